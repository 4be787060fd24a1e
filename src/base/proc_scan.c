/* See proc_scan.h. */
#include "base/proc_scan.h"

#include <string.h>

#include "base/bytes.h"

bool weir_scan_word(struct weir_scan *scan, struct weir_scan *ret_word)
{
    const char *start = scan->at;
    while (scan->at != scan->end && *scan->at != ' ' && *scan->at != '\t')
        scan->at++;
    if (scan->at == start)
        return false;
    *ret_word = (struct weir_scan){start, scan->at};
    return true;
}

bool weir_scan_line(struct weir_scan *scan, struct weir_scan *ret_line)
{
    if (scan->at == scan->end)
        return false;
    const char *start = scan->at;
    const char *newline = memchr(start, '\n', (size_t)(scan->end - start));
    *ret_line = (struct weir_scan){start, newline != NULL ? newline : scan->end};
    scan->at = newline != NULL ? newline + 1 : scan->end;
    return true;
}

bool weir_scan_is(const struct weir_scan *scan, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(scan->end - scan->at) == length && memcmp(scan->at, text, length) == 0;
}

bool weir_scan_starts(const struct weir_scan *scan, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(scan->end - scan->at) >= length && memcmp(scan->at, text, length) == 0;
}

bool weir_scan_dec(struct weir_scan *scan, uint64_t *ret_value)
{
    const char *start = scan->at;
    uint64_t value = 0;
    for (; scan->at != scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++)
        if (!weir_mul_u64(value, 10, &value) ||
            !weir_add_u64(value, (uint64_t)(*scan->at - '0'), &value))
            return false;
    if (scan->at == start)
        return false;
    *ret_value = value;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool weir_scan_hex(struct weir_scan *scan, uint64_t *ret_value)
{
    const char *start = scan->at;
    uint64_t value = 0;
    for (; scan->at != scan->end && hex_value(*scan->at) >= 0; scan->at++) {
        if (value >> 60 != 0)
            return false;
        value = value << 4 | (uint64_t)hex_value(*scan->at);
    }
    if (scan->at == start)
        return false;
    *ret_value = value;
    return true;
}
