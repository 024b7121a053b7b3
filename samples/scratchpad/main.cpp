// Writes to a temporary file and reads it back.

#include <cstdio>

int main()
{
    std::FILE *pad = std::tmpfile();
    if (pad == nullptr) {
        std::perror("scratchpad");
        return 1;
    }
    std::fputs("a note", pad);
    std::rewind(pad);
    char text[16];
    std::puts(std::fgets(text, sizeof text, pad));
}
