// Counts lines, words and bytes of standard input or of the given files, as wc does.
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include "count.hpp"
#include "options.hpp"

namespace {

Counts count_file(const std::string& name) {
    if (name == "-") return count(std::cin);
    std::ifstream file(name, std::ios::binary);
    if (!file) throw std::runtime_error("cannot open " + name);
    return count(file);
}

void print(const Counts& counts, const Options& options, const std::string& name) {
    const char* separator = "";
    const auto column = [&separator](std::uint64_t number) {
        std::cout << separator << number;
        separator = " ";
    };
    if (options.lines) column(counts.lines);
    if (options.words) column(counts.words);
    if (options.bytes) column(counts.bytes);
    if (name != "-") std::cout << ' ' << name;
    std::cout << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Options options = parse(argc, argv);
        Counts total;
        for (const std::string& name : options.files) {
            const Counts counts = count_file(name);
            print(counts, options, name);
            total += counts;
        }
        if (options.files.size() > 1) print(total, options, "total");
    } catch (const std::exception& error) {
        std::cerr << "wordcount: " << error.what() << '\n';
        return 1;
    }
}
