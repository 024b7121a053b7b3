// The addresses of a host, and the port that a service name stands for.

#include <arpa/inet.h>
#include <cstdio>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fputs("usage: resolver HOST SERVICE\n", stderr);
        return 2;
    }
    addrinfo hints{};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    if (const int error = getaddrinfo(argv[1], argv[2], &hints, &found); error != 0) {
        std::fprintf(stderr, "resolver: %s\n", gai_strerror(error));
        return 1;
    }
    char text[INET_ADDRSTRLEN];
    const auto *address = reinterpret_cast<const sockaddr_in *>(found->ai_addr);
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    std::printf("%s %d\n", text, ntohs(address->sin_port));
    freeaddrinfo(found);
}
