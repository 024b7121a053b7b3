// What time it was when a moment of the past passed, in the zone that is asked for. Without zoneinfo a C library says
// nothing and prints UTC, under the name of the zone.

#include <cstdio>
#include <cstdlib>
#include <ctime>

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fputs("usage: clock ZONE, for example Europe/Berlin\n", stderr);
        return 2;
    }
    setenv("TZ", argv[1], 1);
    tzset();
    const std::time_t moment = 1700000000;
    char text[64];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z", std::localtime(&moment));
    std::puts(text);
}
