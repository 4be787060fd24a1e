/* The CGI convention (RFC 3875) on bytes: request target and head to an environment, a guest's
 * answer to status and header fields. No socket and no guest is known here; both parsers take
 * hostile input and are fuzzed (fuzz_cgi). */
#ifndef WEIR_SERVER_CGI_H
#define WEIR_SERVER_CGI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "server/server_limits.h"

/* --- request ------------------------------------------------------------------------------- */

struct weir_cgi_field {
    const char *name, *value;
};

/* Of one head, all zero at first. */
struct weir_cgi_check {
    unsigned host_count;
    bool has_encoding;
    const char *length; /* Content-Length; NULL: none */
};
/* A header field as libmicrohttpd shows it, in the memory it was received in. MALFORMED: it goes on
 * in another line, has a bad name or a bare CR, or contradicts an earlier one. */
enum weir_status weir_cgi_check_field(struct weir_cgi_check *check,
                                      const struct weir_cgi_field *field,
                                      struct weir_error *error) WEIR_MUST_USE;
/* After all fields. MALFORMED: where the body ends, or whom it is for, is not clear. */
enum weir_status weir_cgi_check_head(const struct weir_cgi_check *check, const char *method,
                                     bool is_http_1_0, struct weir_error *error) WEIR_MUST_USE;
/* RFC 9110, 5.6.2: what names of fields and methods consist of. */
bool weir_cgi_is_token(const char *text, size_t size);

struct weir_cgi_target {
    char *path;  /* percent-decoded, begins with '/' */
    char *query; /* as sent; "" without */
};

/* Cuts and decodes a request target in place (origin form or absolute form). MALFORMED: no path, a
 * bad escape, a space, a control character, encoded or not. */
enum weir_status weir_cgi_target_parse(char *target, struct weir_cgi_target *ret_target,
                                       struct weir_error *error) WEIR_MUST_USE;

/* "NAME=value" strings one after another in the caller's bytes. */
struct weir_cgi_env {
    char *bytes;
    size_t size, used;
    const char **list;
    size_t count, count_max;
    bool is_full; /* something did not fit: the request must be refused (431) */
};

void weir_cgi_env_add(struct weir_cgi_env *env, const char *name, const char *value);
/* A whole "NAME=value" that outlives the environment. */
void weir_cgi_env_add_text(struct weir_cgi_env *env, const char *text);
/* A request's header field as HTTP_NAME. Repeated fields are joined by ", " ("; " for cookies).
 * Left out: Proxy (it would become HTTP_PROXY), Content-Type and Content-Length (they have names of
 * their own), hop-by-hop fields, and names with characters other than letters, digits and '-'. */
void weir_cgi_env_header(struct weir_cgi_env *env, const char *name, const char *value);

/* --- response ------------------------------------------------------------------------------ */

struct weir_cgi_head {
    unsigned status; /* 200 without a Status field, 302 with only Location */
    bool has_length;
    bool has_type;
    uint64_t length;    /* of the body, when has_length */
    size_t body_offset; /* where the body begins */
    size_t field_count; /* Status, Content-Length and hop-by-hop fields are not among them */
    struct weir_cgi_field fields[WEIR_SERVER_CGI_FIELDS_MAX];
};

/* Reads the head at the beginning of a guest's output, in place: terminators are written into
 * `bytes`, which the fields then point into. PENDING: no empty line yet, and nothing was changed.
 * MALFORMED says what is wrong in which line. */
enum weir_status weir_cgi_head_parse(char *bytes, size_t size, struct weir_cgi_head *ret_head,
                                     struct weir_error *error) WEIR_MUST_USE;

#endif
