// The name of the user that it runs as.

#include <cstdio>
#include <pwd.h>
#include <unistd.h>

int main()
{
    const passwd *entry = getpwuid(getuid());
    if (entry == nullptr) {
        std::fprintf(stderr, "whoami: no name for user %u\n", static_cast<unsigned>(getuid()));
        return 1;
    }
    std::puts(entry->pw_name);
}
