/* The guest's side of CGI: the head of its answer. Lines end with LF or CR LF. */
#include "server/cgi.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The offset behind the empty line that ends the head; 0 while there is none. */
static size_t find_end(const char *bytes, size_t size)
{
    size_t line = 0;
    for (;;) {
        const char *end = memchr(bytes + line, '\n', size - line);
        if (end == NULL)
            return 0;
        size_t at = (size_t)(end - bytes);
        if (at == line || (at == line + 1 && bytes[line] == '\r'))
            return at + 1;
        line = at + 1;
    }
}

/* Cuts "Name: value" in place; NULL, or what is wrong. */
static const char *cut_line(char *line, size_t size, struct weir_cgi_field *field)
{
    if (size > 0 && line[size - 1] == '\r')
        size--;
    line[size] = 0;
    size_t name_size = 0;
    while (name_size < size && weir_cgi_is_token(line + name_size, 1))
        name_size++;
    if (name_size == 0 || line[name_size] != ':')
        return "no \"Name: value\"";
    char *value = line + name_size + 1;
    char *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    for (const char *c = value; c < end; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return "a control character in its value";
    line[name_size] = 0;
    *end = 0;
    *field = (struct weir_cgi_field){.name = line, .value = value};
    return NULL;
}

static const char *read_status(const char *value, struct weir_cgi_head *head)
{
    unsigned status = 0;
    for (int i = 0; i < 3; i++) {
        if (isdigit((unsigned char)value[i]) == 0)
            return "no status of three digits";
        status = status * 10 + (unsigned)(value[i] - '0');
    }
    if (value[3] != 0 && value[3] != ' ')
        return "no status of three digits";
    if (status < 200 || status > 599)
        return "a status outside 200 to 599";
    head->status = status;
    return NULL;
}

static const char *read_length(const char *value, struct weir_cgi_head *head)
{
    uint64_t length = 0;
    size_t digits = strlen(value);
    if (digits == 0 || digits > 15) /* far beyond any limit, far below overflow */
        return "no length";
    for (size_t i = 0; i < digits; i++) {
        if (isdigit((unsigned char)value[i]) == 0)
            return "no length";
        length = length * 10 + (uint64_t)(value[i] - '0');
    }
    if (head->has_length && head->length != length)
        return "a second, different length";
    head->has_length = true;
    head->length = length;
    return NULL;
}

/* Fields that belong to the connection between client and server, which the guest does not see,
 * and the request's name, which the log has. */
static bool is_ours(const char *name)
{
    static const char *const NAMES[] = {"connection", "keep-alive", "transfer-encoding", "te",
                                        "trailer",    "upgrade",    "proxy-connection",  "date",
                                        "x-request-id"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcasecmp(name, NAMES[i]) == 0)
            return true;
    return false;
}

static const char *add_field(const struct weir_cgi_field *field, struct weir_cgi_head *head,
                             bool *has_location)
{
    if (strcasecmp(field->name, "status") == 0)
        return read_status(field->value, head);
    if (strcasecmp(field->name, "content-length") == 0)
        return read_length(field->value, head);
    if (is_ours(field->name))
        return NULL;
    if (head->field_count == WEIR_SERVER_CGI_FIELDS_MAX)
        return "one field too many";
    if (strcasecmp(field->name, "content-type") == 0)
        head->has_type = true;
    if (strcasecmp(field->name, "location") == 0)
        *has_location = true;
    head->fields[head->field_count++] = *field;
    return NULL;
}

enum weir_status weir_cgi_head_parse(char *bytes, size_t size, struct weir_cgi_head *ret_head,
                                     struct weir_error *error)
{
    size_t end = find_end(bytes, size);
    if (end == 0 && size < WEIR_SERVER_CGI_HEAD_MAX)
        return WEIR_PENDING;
    if (end == 0 || end > WEIR_SERVER_CGI_HEAD_MAX)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "no empty line ends the header within %u bytes",
                              WEIR_SERVER_CGI_HEAD_MAX);
    ret_head->status = 0;
    ret_head->has_length = false;
    ret_head->has_type = false;
    ret_head->field_count = 0;
    bool has_location = false;
    unsigned line_number = 0;
    for (size_t line = 0;;) {
        char *stop = memchr(bytes + line, '\n', end - line);
        size_t length = (size_t)(stop - bytes) - line;
        if (length == 0 || (length == 1 && bytes[line] == '\r'))
            break;
        line_number++;
        struct weir_cgi_field field;
        const char *wrong = cut_line(bytes + line, length, &field);
        if (wrong == NULL)
            wrong = add_field(&field, ret_head, &has_location);
        if (wrong != NULL)
            return weir_error_set(error, WEIR_MALFORMED, line, "header line %u has %s", line_number,
                                  wrong);
        line += length + 1;
    }
    if (line_number == 0)
        return weir_error_set(error, WEIR_MALFORMED, 0, "the header is empty");
    if (ret_head->status == 0)
        ret_head->status = has_location ? 302 : 200;
    ret_head->body_offset = end;
    return WEIR_OK;
}
