#include "count.hpp"

#include <array>
#include <istream>

#include "space.hpp"

Counts count(std::istream& input) {
    Counts counts;
    bool in_word = false;
    std::array<char, 65536> buffer{};
    while (input.read(buffer.data(), buffer.size()), input.gcount() > 0) {
        const auto size = static_cast<std::size_t>(input.gcount());
        counts.bytes += size;
        for (std::size_t i = 0; i < size; ++i) {
            const bool space = is_space(buffer[i]);
            counts.lines += buffer[i] == '\n';
            counts.words += !space && !in_word;
            in_word = !space;
        }
    }
    if (input.bad()) throw std::ios_base::failure("read error");
    return counts;
}

Counts& Counts::operator+=(const Counts& other) {
    lines += other.lines;
    words += other.words;
    bytes += other.bytes;
    return *this;
}
