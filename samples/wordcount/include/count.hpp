#pragma once

#include <cstdint>
#include <iosfwd>

// What wc counts: newlines, runs of characters that are not white space, bytes.
struct Counts {
    std::uint64_t lines = 0;
    std::uint64_t words = 0;
    std::uint64_t bytes = 0;

    Counts& operator+=(const Counts& other);
};

// Reads `input` to its end. Throws std::ios_base::failure where reading fails.
Counts count(std::istream& input);
