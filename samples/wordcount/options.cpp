#include "options.hpp"

#include <stdexcept>

Options parse(int argc, char** argv) {
    Options options;
    bool only_files = false;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (only_files || word.size() < 2 || word[0] != '-') {
            options.files.push_back(word);
        } else if (word == "--") {
            only_files = true;
        } else {
            for (const char letter : word.substr(1)) {
                switch (letter) {
                    case 'l': options.lines = true; break;
                    case 'w': options.words = true; break;
                    case 'c': options.bytes = true; break;
                    default: throw std::invalid_argument("unknown option " + word);
                }
            }
        }
    }
    if (!options.lines && !options.words && !options.bytes) {
        options.lines = options.words = options.bytes = true;
    }
    if (options.files.empty()) options.files.emplace_back("-");
    return options;
}
