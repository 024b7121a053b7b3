/* Asks an HTTP server on this machine whether it is well: exit code 0 for a status of 200 to 399, else 1.
 *
 *     probe http://127.0.0.1:8080/healthz
 *
 * An image from scratch has no shell and no curl; this is what its health check starts instead. It uses no stdio and no
 * heap, so that it stays small. The engine keeps the time; two limits of its own end it where nobody else does.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { SECONDS = 30, LONGEST = 2048 };

static int fail(const char *why)
{
    char line[128] = "probe: ";
    strncat(line, why, sizeof line - strlen(line) - 2);
    strcat(line, "\n");
    (void)!write(2, line, strlen(line));
    return 1;
}

/* The port behind `host:`, 80 without one, 0 where it is none; `path` is set to what follows, or to "". */
static unsigned read_address(const char *address, const char **path)
{
    unsigned port = 0;
    const char *at = address + strcspn(address, ":/");
    if (*at != ':') {
        *path = at;
        return 80;
    }
    for (at++; *at >= '0' && *at <= '9' && port < 65536; at++)
        port = port * 10 + (unsigned)(*at - '0');
    *path = at;
    return port < 65536 && (*at == '/' || *at == '\0') ? port : 0;
}

static int send_all(int connection, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(connection, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        data += sent;
        length -= (size_t)sent;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char scheme[] = "http://";
    if (argc != 2 || strncmp(argv[1], scheme, sizeof scheme - 1) != 0)
        return fail("usage: probe http://127.0.0.1:PORT/PATH");
    const char *host = argv[1] + sizeof scheme - 1, *path;
    unsigned port = read_address(host, &path);
    size_t host_length = strcspn(host, "/");
    if (port == 0 || strlen(argv[1]) > LONGEST)
        return fail("not an address that it can ask");

    struct timeval limit = {.tv_sec = SECONDS};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connection < 0)
        return fail("no socket can be had");
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(connection, (struct sockaddr *)&server, sizeof server) != 0)
        return fail("nobody listens there");

    char request[2 * LONGEST + 128] = "GET ";
    strcat(request, *path ? path : "/");
    strcat(request, " HTTP/1.1\r\nHost: ");
    strncat(request, host, host_length);
    strcat(request, "\r\nUser-Agent: fromscratch-probe\r\nConnection: close\r\n\r\n");
    if (send_all(connection, request, strlen(request)) != 0)
        return fail("the server does not take the request");

    /* "HTTP/1.1 200": the digit at 9 is the class of the status. */
    char answer[13];
    size_t have = 0;
    while (have < sizeof answer - 1) {
        ssize_t got = recv(connection, answer + have, sizeof answer - 1 - have, 0);
        if (got <= 0)
            return fail("the server does not answer");
        have += (size_t)got;
    }
    answer[have] = '\0';
    if (memcmp(answer, "HTTP/1.", 7) != 0)
        return fail("what answers is no HTTP server");
    if (answer[9] == '2' || answer[9] == '3')
        return 0;
    return fail(answer);
}
