/* See listen.h. */
#include "base/listen.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 511 /* what nginx asks for; the kernel cuts it to net.core.somaxconn */

enum weir_status weir_listen_parse(const char *text, char ret_host[WEIR_LISTEN_HOST_SIZE],
                                   uint16_t *ret_port, struct weir_error *error)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    size_t host_size = colon != NULL ? (size_t)(colon - text) : 0;
    bool is_bracketed = host_size > 1 && text[0] == '[' && text[host_size - 1] == ']';
    if (is_bracketed) {
        text++;
        host_size -= 2;
    }
    if (colon == NULL || !isdigit((unsigned char)colon[1]) || *end != 0 || port > 65535 ||
        host_size >= WEIR_LISTEN_HOST_SIZE ||
        (!is_bracketed && memchr(text, ':', host_size) != NULL))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "\"%.80s\": HOST:PORT is needed, such as 127.0.0.1:7070", text);
    memcpy(ret_host, text, host_size);
    ret_host[host_size] = 0;
    *ret_port = (uint16_t)port;
    return WEIR_OK;
}

static enum weir_status refuse(const char *text, int number, struct weir_error *error)
{
    const char *remedy = number == EADDRINUSE ? "; another program listens there: choose another "
                                                "port with --listen, or 0 for any"
                         : number == EACCES   ? "; ports below 1024 need a privilege"
                                              : "";
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot listen on %s: %s%s", text,
                          strerror(number), remedy);
}

static_assert(offsetof(struct sockaddr_in6, sin6_port) == offsetof(struct sockaddr_in, sin_port),
              "the port stands at one place in both");

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    uint16_t port = 0;
    (void)getsockname(fd, (struct sockaddr *)&address, &size);
    memcpy(&port, (const char *)&address + offsetof(struct sockaddr_in, sin_port), sizeof port);
    return ntohs(port);
}

/* The descriptor, or -errno. */
static int open_socket(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int failed = -errno;
    (void)close(fd);
    return failed;
}

enum weir_status weir_listen_open(const char *text, struct weir_listen *ret_listen,
                                  struct weir_error *error)
{
    struct weir_listen listening = {.fd = -1};
    const char *host = listening.host;
    char port[8];
    enum weir_status status = weir_listen_parse(text, listening.host, &listening.port, error);
    if (status != WEIR_OK)
        return status;
    (void)snprintf(port, sizeof port, "%u", listening.port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host[0] != 0 ? host : NULL, port, &hints, &found);
    if (failed != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "cannot listen on %s: %s", text, gai_strerror(failed));
    listening.fd = open_socket(found);
    freeaddrinfo(found);
    if (listening.fd < 0)
        return refuse(text, -listening.fd, error);
    listening.port = port_of(listening.fd);
    bool is_ipv6 = strchr(host, ':') != NULL;
    (void)snprintf(listening.url, sizeof listening.url, "http://%s%s%s:%u", is_ipv6 ? "[" : "",
                   host[0] != 0 ? host : "127.0.0.1", is_ipv6 ? "]" : "", listening.port);
    *ret_listen = listening;
    return WEIR_OK;
}
