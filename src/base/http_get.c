/* See http_get.h. */
#include "base/http_get.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PREFIX "http://"

bool weir_http_place_parse(const char *url, struct weir_http_place *ret_place)
{
    struct weir_http_place place = {.port = "80"};
    if (strncmp(url, PREFIX, strlen(PREFIX)) != 0)
        return false;
    const char *host = url + strlen(PREFIX);
    size_t length = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":/");
    const char *end = host + length;
    if (host[0] == '[') {
        if (*end++ != ']')
            return false;
        host++;
        length--;
    }
    if (length == 0 || length >= sizeof place.host)
        return false;
    memcpy(place.host, host, length);
    if (*end == ':') {
        size_t digits = strspn(end + 1, "0123456789");
        if (digits == 0 || digits >= sizeof place.port)
            return false;
        memset(place.port, 0, sizeof place.port);
        memcpy(place.port, end + 1, digits);
        end += 1 + digits;
    }
    place.path = *end == 0 ? "/" : end;
    if (place.path[0] != '/' || strpbrk(url, " \t\r\n") != NULL)
        return false;
    *ret_place = place;
    return true;
}

enum weir_status weir_http_body(const char *response, size_t size, const char **ret_body,
                                size_t *ret_size, struct weir_error *error)
{
    const char *end = memmem(response, size, "\r\n\r\n", 4);
    if (size < 12 || memcmp(response, "HTTP/1.", 7) != 0 || response[8] != ' ' || end == NULL)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "the answer is not HTTP/1.0 or 1.1");
    if (memcmp(response + 9, "200", 3) != 0)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "the answer's status is %.3s",
                              response + 9);
    *ret_body = end + 4;
    *ret_size = size - (size_t)(end + 4 - response);
    return WEIR_OK;
}

/* Until the deadline, or an event. 0 or -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
    uint64_t now = weir_clock_ms();
    struct pollfd poll = {.fd = fd, .events = events};
    if (now >= deadline_ms)
        return -ETIMEDOUT;
    int ready = weir_io_poll(weir_io_system(), &poll, 1, (int)(deadline_ms - now));
    return ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : ready == -EINTR ? 0 : ready;
}

static int connect_to(const struct addrinfo *address, uint64_t deadline_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int failed = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    socklen_t size = sizeof failed;
    if (failed == EINPROGRESS) {
        failed = -wait_for(fd, POLLOUT, deadline_ms);
        if (failed == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
            failed = errno;
    }
    if (failed == 0)
        return fd;
    (void)close(fd);
    return -failed;
}

static int connect_place(const struct weir_http_place *place, uint64_t deadline_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
    if (getaddrinfo(place->host, place->port, &hints, &addresses) != 0)
        return -EHOSTUNREACH;
    int fd = -EHOSTUNREACH;
    for (struct addrinfo *address = addresses; address != NULL && fd < 0;
         address = address->ai_next)
        fd = connect_to(address, deadline_ms);
    freeaddrinfo(addresses);
    return fd;
}

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int failed = -errno;
    (void)close(fd);
    return failed;
}

static int send_all(int fd, const char *bytes, size_t size, uint64_t deadline_ms)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        int failed = sent >= 0 ? 0 : -errno;
        if (failed == -EAGAIN)
            failed = wait_for(fd, POLLOUT, deadline_ms);
        if (failed != 0 && failed != -EINTR)
            return failed;
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return 0;
}

long weir_read_to_end(int fd, size_t bytes_max, uint64_t deadline_ms, char **ret_bytes)
{
    size_t size = 0, capacity = 0;
    while (size <= bytes_max) {
        if (size == capacity) {
            capacity = capacity * 2 + 16384;
            char *larger = realloc(*ret_bytes, capacity + 1);
            if (larger == NULL)
                return -ENOMEM;
            *ret_bytes = larger;
        }
        long got = weir_io_read(weir_io_system(), fd, *ret_bytes + size, capacity - size);
        if (got == 0)
            return (long)size;
        if (got == -EAGAIN)
            got = wait_for(fd, POLLIN, deadline_ms);
        if (got < 0 && got != -EINTR)
            return got;
        size += got > 0 ? (size_t)got : 0;
    }
    return (long)size;
}

long weir_http_fetch(const struct weir_http_get *get, char **ret_bytes)
{
    struct weir_http_place place;
    char request[WEIR_HTTP_URL_SIZE + 512];
    if (!weir_http_place_parse(get->url, &place))
        return -EINVAL;
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.0\r\nHost: %s:%s\r\nConnection: close\r\n"
                        "Accept: %s\r\n\r\n",
                        place.path, place.host, place.port, get->accept);
    WEIR_ASSERT(size > 0 && (size_t)size < sizeof request);
    uint64_t deadline_ms = weir_clock_ms() + (uint64_t)get->timeout_ms;
    AUTO_CLOSE fd = get->socket != NULL ? connect_socket(get->socket)
                                        : connect_place(&place, deadline_ms);
    if (fd < 0)
        return fd;
    int failed = send_all(fd, request, (size_t)size, deadline_ms);
    return failed != 0 ? failed : weir_read_to_end(fd, get->bytes_max, deadline_ms, ret_bytes);
}
