#include "space.hpp"

bool is_space(char character) {
    return character == ' ' || (character >= '\t' && character <= '\r');
}
