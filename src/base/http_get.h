/* One GET over HTTP/1.0, as every program of ours asks another one: the answer ends with the
 * connection, every step is under one deadline, and no more is read than is allowed. */
#ifndef WEIR_BASE_HTTP_GET_H
#define WEIR_BASE_HTTP_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Longest URL that is asked for. */
#define WEIR_HTTP_URL_SIZE 1024

/* The parts of http://HOST[:PORT][/PATH]; "80" without a port, "/" without a path. False: not of
 * that form. */
struct weir_http_place {
    char host[256];
    char port[6];
    const char *path; /* within `url` */
};
bool weir_http_place_parse(const char *url, struct weir_http_place *ret_place);

struct weir_http_get {
    const char *url;    /* shorter than WEIR_HTTP_URL_SIZE; of a socket: its path counts */
    const char *socket; /* NULL, or the path of a unix socket: instead of host and port */
    const char *accept; /* value of the header field */
    size_t bytes_max;
    int timeout_ms;
};
/* The whole answer, head included, bytes_max + 1 at most; free() it, on failure too. Its size, or
 * -errno. */
long weir_http_fetch(const struct weir_http_get *get, char **ret_bytes);

/* The body within a whole HTTP/1.x response. STATE: a status other than 200. */
enum weir_status weir_http_body(const char *response, size_t size, const char **ret_body,
                                size_t *ret_size, struct weir_error *error) WEIR_MUST_USE;

/* To the end of a file or connection that does not block, bytes_max + 1 at most, with room for one
 * byte more. Size or -errno. */
long weir_read_to_end(int fd, size_t bytes_max, uint64_t deadline_ms, char **ret_bytes);

#endif
