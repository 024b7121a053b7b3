#pragma once

#include <string>
#include <vector>

// What the command line asks for.
struct Options {
    bool lines = false;
    bool words = false;
    bool bytes = false;
    std::vector<std::string> files;  // "-" is standard input
};

// Throws std::invalid_argument for an option that is not known.
Options parse(int argc, char** argv);
