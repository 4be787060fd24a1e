/* See use_trace.h. */
#include "base/use_trace.h"

#include "base/hash.h"

#include <ctype.h>
#include <string.h>

struct word {
    const char *text;
    size_t size;
};

static struct word take_last_word(const char *line, size_t *size)
{
    size_t end = *size;
    while (end > 0 && isspace((unsigned char)line[end - 1]))
        end--;
    size_t start = end;
    while (start > 0 && !isspace((unsigned char)line[start - 1]))
        start--;
    *size = start;
    return (struct word){line + start, end - start};
}

static bool read_number(struct word word, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < word.size; i++) {
        if (!isdigit((unsigned char)word.text[i]) || __builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (unsigned)(word.text[i] - '0'), &number))
            return false;
    }
    *ret_number = number;
    return word.size > 0;
}

void weir_use_trace_open(const char *name, const char *bytes, size_t size,
                         struct weir_use_trace *ret_trace)
{
    size_t head = strlen(WEIR_USE_TRACE_HEAD);
    *ret_trace = (struct weir_use_trace){
        .name = name,
        .at = bytes,
        .end = bytes + size,
        .has_sizes = size >= head && memcmp(bytes, WEIR_USE_TRACE_HEAD, head) == 0 &&
                     (size == head || isspace((unsigned char)bytes[head]))};
}

static enum weir_status read_line(const struct weir_use_trace *trace, const char *line, size_t size,
                                  struct weir_use *ret_use, struct weir_error *error)
{
    struct weir_use use = {0};
    struct word hash = take_last_word(line, &size);
    if (!weir_hex_read(hash.text, hash.size, use.module, sizeof use.module))
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "%.120s, line %lu: the last word is no checksum of 64 hexadecimal "
                              "digits",
                              trace->name, trace->line);
    if (trace->has_sizes &&
        (!read_number(take_last_word(line, &size), &use.bytes) || use.bytes == 0 ||
         !read_number(take_last_word(line, &size), &use.at_ms) ||
         take_last_word(line, &size).size != 0))
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET,
                              "%.120s, line %lu: milliseconds, bytes (not 0) and a checksum are "
                              "needed",
                              trace->name, trace->line);
    *ret_use = use;
    return WEIR_OK;
}

enum weir_status weir_use_trace_next(struct weir_use_trace *trace, struct weir_use *ret_use,
                                     struct weir_error *error)
{
    while (trace->at < trace->end) {
        const char *line = trace->at;
        const char *newline = memchr(line, '\n', (size_t)(trace->end - line));
        size_t size = (size_t)((newline != NULL ? newline : trace->end) - line);
        trace->at = newline != NULL ? newline + 1 : trace->end;
        trace->line++;
        size_t blank = 0;
        while (blank < size && isspace((unsigned char)line[blank]))
            blank++;
        if (blank == size || line[blank] == '#')
            continue;
        if (newline != NULL || !trace->has_sizes)
            return read_line(trace, line, size, ret_use, error);
        return read_line(trace, line, size, ret_use, NULL) == WEIR_OK ? WEIR_OK : WEIR_NOT_FOUND;
    }
    return WEIR_NOT_FOUND;
}
