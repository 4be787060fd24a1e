/* Heads that two readers may understand differently: whatever stands between a client and Weir, or
 * behind Weir, must see the same requests in the same bytes. libmicrohttpd 0.9.75 takes all of
 * these. RFC 9112: 2.3, 3.2, 5.1, 5.2, 6.1, 6.3. */
#include "server/cgi.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool weir_cgi_is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (isalnum((unsigned char)text[i]) == 0 &&
            (text[i] == 0 || strchr("!#$%&'*+-.^_`|~", text[i]) == NULL))
            return false;
    return size > 0;
}

static enum weir_status refuse(struct weir_error *error, const char *what)
{
    return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET, "%s", what);
}

static bool is_named(const struct weir_cgi_field *field, const char *name)
{
    return strcasecmp(field->name, name) == 0;
}

/* A value lies behind its name and a colon. libmicrohttpd adds a line that continues another one to
 * the other one's name, in another place. */
static bool is_folded(const struct weir_cgi_field *field)
{
    uintptr_t end = (uintptr_t)field->name + strlen(field->name) + 1;
    uintptr_t value = (uintptr_t)field->value;
    if (value < end)
        return true;
    for (const char *c = field->name + strlen(field->name) + 1; c < field->value; c++)
        if (*c != ' ' && *c != '\t')
            return true;
    return false;
}

enum weir_status weir_cgi_check_field(struct weir_cgi_check *check,
                                      const struct weir_cgi_field *field, struct weir_error *error)
{
    if (is_folded(field))
        return refuse(error, "a header field goes on in a second line: send it in one");
    if (!weir_cgi_is_token(field->name, strlen(field->name)))
        return refuse(error, "the name of a header field is empty, or has a space or another "
                             "character that names do not have");
    if (strpbrk(field->value, "\r\n") != NULL)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "the header field %.40s has a CR that ends no line", field->name);
    if (is_named(field, "Host"))
        check->host_count++;
    else if (is_named(field, "Transfer-Encoding")) {
        if (check->has_encoding || strcasecmp(field->value, "chunked") != 0)
            return refuse(error, "a Transfer-Encoding other than chunked, or two of them");
        check->has_encoding = true;
    } else if (is_named(field, "Content-Length")) {
        if (check->length != NULL && strcmp(check->length, field->value) != 0)
            return refuse(error, "two Content-Lengths that differ");
        check->length = field->value;
    }
    return WEIR_OK;
}

enum weir_status weir_cgi_check_head(const struct weir_cgi_check *check, const char *method,
                                     bool is_http_1_0, struct weir_error *error)
{
    if (!weir_cgi_is_token(method, strlen(method)))
        return refuse(error, "the method has a character that methods do not have");
    if (strcmp(method, "CONNECT") == 0)
        return refuse(error, "CONNECT asks for a tunnel, and there are none here");
    if (check->has_encoding && check->length != NULL)
        return refuse(error, "both Content-Length and Transfer-Encoding: send one of them");
    if (check->has_encoding && is_http_1_0)
        return refuse(error, "Transfer-Encoding in HTTP/1.0: send a Content-Length");
    if (check->host_count > 1)
        return refuse(error, "more than one Host");
    if (check->host_count == 0 && !is_http_1_0)
        return refuse(error, "no Host, which HTTP/1.1 needs");
    return WEIR_OK;
}
