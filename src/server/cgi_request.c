/* The request's side of CGI: target and environment. */
#include "server/cgi.h"

#include "base/hash.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Percent-decodes in place; NULL, or what is wrong. */
static const char *decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != 0; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == '%') {
            int high = weir_hex_digit(from[1]);
            int low = high >= 0 ? weir_hex_digit(from[2]) : -1;
            if (low < 0)
                return "a % that two hexadecimal digits do not follow";
            c = (unsigned char)(high * 16 + low);
            from += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return "a control character";
        *to++ = (char)c;
    }
    *to = 0;
    return NULL;
}

enum weir_status weir_cgi_target_parse(char *target, struct weir_cgi_target *ret_target,
                                       struct weir_error *error)
{
    char *path = target;
    for (const char *c = target; *c != 0; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                                  "the request target has a space or a control character");
    if (strncasecmp(path, "http://", 7) == 0) {
        path = strpbrk(path + 7, "/?");
        if (path == NULL)
            return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                                  "the request target has no path");
    }
    char *query = strchr(path, '?');
    if (query != NULL)
        *query++ = 0;
    const char *wrong = path[0] != '/' ? "a path that does not begin with /" : decode(path);
    if (wrong != NULL)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET, "the request target has %s",
                              wrong);
    ret_target->path = path;
    ret_target->query = query != NULL ? query : path + strlen(path);
    return WEIR_OK;
}

static char *take(struct weir_cgi_env *env, size_t size)
{
    if (env->size - env->used < size) {
        env->is_full = true;
        return NULL;
    }
    char *bytes = env->bytes + env->used;
    env->used += size;
    return bytes;
}

static void add_entry(struct weir_cgi_env *env, const char *text)
{
    if (env->count == env->count_max)
        env->is_full = true;
    else
        env->list[env->count++] = text;
}

void weir_cgi_env_add_text(struct weir_cgi_env *env, const char *text)
{
    add_entry(env, text);
}

void weir_cgi_env_add(struct weir_cgi_env *env, const char *name, const char *value)
{
    size_t name_size = strlen(name), value_size = strlen(value);
    char *text = take(env, name_size + value_size + 2);
    if (text == NULL)
        return;
    memcpy(text, name, name_size);
    text[name_size] = '=';
    memcpy(text + name_size + 1, value, value_size + 1);
    add_entry(env, text);
}

static bool is_left_out(const char *name)
{
    static const char *const NAMES[] = {
        "proxy", "content-type", "content-length", "connection",        "keep-alive",
        "te",    "trailer",      "upgrade",        "transfer-encoding", "proxy-connection",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcasecmp(name, NAMES[i]) == 0)
            return true;
    return name[0] == 0;
}

/* "HTTP_ACCEPT_LANGUAGE=" written to `to`; its length, or 0 when the name has other characters. */
static size_t write_name(char *to, const char *name, size_t name_size)
{
    memcpy(to, "HTTP_", 5);
    for (size_t i = 0; i < name_size; i++) {
        char c = name[i];
        if (isalnum((unsigned char)c) == 0 && c != '-')
            return 0;
        to[5 + i] = c == '-' ? '_' : (char)toupper((unsigned char)c);
    }
    to[5 + name_size] = '=';
    return name_size + 6;
}

/* An earlier field of the same name: its entry, to be joined with. */
static size_t find_entry(const struct weir_cgi_env *env, const char *name, size_t size)
{
    for (size_t i = env->count; i-- > 0;)
        if (strncmp(env->list[i], name, size) == 0)
            return i;
    return SIZE_MAX;
}

void weir_cgi_env_header(struct weir_cgi_env *env, const char *name, const char *value)
{
    if (is_left_out(name))
        return;
    size_t name_size = strlen(name), value_size = strlen(value);
    size_t begin = env->used;
    char *text = take(env, name_size + 6 + value_size + 1);
    if (text == NULL)
        return;
    size_t head = write_name(text, name, name_size);
    if (head == 0) {
        env->used = begin;
        return;
    }
    size_t earlier = find_entry(env, text, head);
    if (earlier == SIZE_MAX) {
        memcpy(text + head, value, value_size + 1);
        add_entry(env, text);
        return;
    }
    const char *old = env->list[earlier];
    size_t old_size = strlen(old);
    env->used = begin;
    text = take(env, old_size + 2 + value_size + 1);
    if (text == NULL)
        return;
    memcpy(text, old, old_size);
    memcpy(text + old_size, strcasecmp(name, "cookie") == 0 ? "; " : ", ", 2);
    memcpy(text + old_size + 2, value, value_size + 1);
    env->list[earlier] = text;
}
