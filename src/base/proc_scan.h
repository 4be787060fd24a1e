/* Scanning the columns of /proc files: a cursor over bytes that ends at a length, not at a zero.
 * Everything returns false where the text is not of the form, or does not fit 64 bits. */
#ifndef WEIR_BASE_PROC_SCAN_H
#define WEIR_BASE_PROC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_scan {
    const char *at;
    const char *end;
};

static inline struct weir_scan weir_scan(const char *bytes, size_t length)
{
    return (struct weir_scan){bytes, bytes + length};
}

static inline bool weir_scan_done(const struct weir_scan *scan)
{
    return scan->at == scan->end;
}

/* Passes over c if it is next. */
static inline bool weir_scan_char(struct weir_scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

/* Spaces and tabs; any number. */
static inline void weir_scan_blank(struct weir_scan *scan)
{
    while (scan->at != scan->end && (*scan->at == ' ' || *scan->at == '\t'))
        scan->at++;
}

/* Up to the next blank or the end; false when empty. */
bool weir_scan_word(struct weir_scan *scan, struct weir_scan *ret_word);
/* The next line without its newline; false at the end. */
bool weir_scan_line(struct weir_scan *scan, struct weir_scan *ret_line);
bool weir_scan_is(const struct weir_scan *scan, const char *text);
bool weir_scan_starts(const struct weir_scan *scan, const char *text);
bool weir_scan_dec(struct weir_scan *scan, uint64_t *ret_value);
bool weir_scan_hex(struct weir_scan *scan, uint64_t *ret_value);

#endif
