/* See metric_source.h. One request per reading, HTTP/1.0 so that the body ends with the connection,
 * every step under one deadline. */
#include "doctor/metric_source.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/sizes.h"
#include "doctor/metric_text.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PREFIX "http://"

enum weir_status weir_metric_source_parse(const char *option, const char *text,
                                          size_t selectors_max,
                                          struct weir_metric_source *ret_source,
                                          struct weir_error *error)
{
    struct weir_metric_source source = {0};
    struct weir_http_place place;
    const char *hash = strchr(text, '#');
    size_t length = hash != NULL ? (size_t)(hash - text) : 0;
    if (length == 0 || length >= sizeof source.place)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s %.120s: http://HOST:PORT/PATH#METRIC is needed, or FILE#METRIC",
                              option, text);
    memcpy(source.place, text, length);
    if (strstr(source.place, "://") != NULL && !weir_http_place_parse(source.place, &place))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "--%s %.120s: only http://HOST[:PORT]/PATH is read, or a file",
                              option, source.place);
    for (const char *at = hash + 1;; at++) {
        if (source.selector_count == selectors_max || !weir_metric_selector_check(at, &length) ||
            length >= WEIR_METRIC_NAME_SIZE)
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "--%s ...#%.120s: %s, each with {label=\"value\"} or without",
                                  option, hash + 1,
                                  selectors_max == 1 ? "one metric's name is needed"
                                                     : "one or two metrics' names are needed");
        memcpy(source.selectors[source.selector_count++], at, length);
        at += length;
        if (*at == 0)
            break;
    }
    *ret_source = source;
    return WEIR_OK;
}

/* --- HTTP ---------------------------------------------------------------------------------- */

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

/* To the end of a file or connection, WEIR_METRICS_BYTES_MAX + 1 at most. Size or -errno. */
static long read_to_end(int fd, uint64_t deadline_ms, char **ret_bytes)
{
    size_t size = 0, capacity = 0;
    while (size <= WEIR_METRICS_BYTES_MAX) {
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

static long fetch(const char *url, char **ret_bytes)
{
    struct weir_http_place place;
    char request[WEIR_METRIC_PLACE_SIZE + 512];
    if (!weir_http_place_parse(url, &place))
        return -EINVAL;
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.0\r\nHost: %s:%s\r\nConnection: close\r\n"
                        "Accept: text/plain;version=0.0.4\r\n\r\n",
                        place.path, place.host, place.port);
    WEIR_ASSERT(size > 0 && (size_t)size < sizeof request);
    uint64_t deadline_ms = weir_clock_ms() + WEIR_METRICS_TIMEOUT_MS;
    AUTO_CLOSE fd = connect_place(&place, deadline_ms);
    if (fd < 0)
        return fd;
    int failed = send_all(fd, request, (size_t)size, deadline_ms);
    return failed != 0 ? failed : read_to_end(fd, deadline_ms, ret_bytes);
}

static long read_place(const char *place, char **ret_bytes)
{
    if (strncmp(place, PREFIX, strlen(PREFIX)) == 0)
        return fetch(place, ret_bytes);
    AUTO_CLOSE fd = weir_io_open(weir_io_system(), AT_FDCWD, place, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    return read_to_end(fd, weir_clock_ms() + WEIR_METRICS_TIMEOUT_MS, ret_bytes);
}

enum weir_status weir_metric_source_read(const struct weir_metric_source *source,
                                         double ret_values[WEIR_METRIC_SELECTORS_MAX],
                                         struct weir_error *error)
{
    AUTO_FREE char *bytes = NULL;
    long size = read_place(source->place, &bytes);
    if (size < 0)
        return weir_error_set_errno(error, WEIR_IO, (int)-size, "cannot read %.160s",
                                    source->place);
    if (size > WEIR_METRICS_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "%.120s gives more than %s of metrics", source->place,
                              weir_size_format(WEIR_METRICS_BYTES_MAX).text);
    const char *text = bytes;
    size_t text_size = (size_t)size;
    enum weir_status status = WEIR_OK;
    if (strncmp(source->place, PREFIX, strlen(PREFIX)) == 0)
        status = weir_http_body(bytes, (size_t)size, &text, &text_size, error);
    for (size_t i = 0; status == WEIR_OK && i < source->selector_count; i++)
        status = weir_metric_sum(text, text_size, source->selectors[i], &ret_values[i], error);
    return status;
}
