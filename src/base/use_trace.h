/* Traces of module use, as `weir cache` writes them and as others' logs can be read.
 *
 *   # weir module trace 1
 *   12 1204224 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
 *
 * One use per line, in order: milliseconds since the recording began, bytes that the module takes
 * in memory, SHA-256 of the module's bytes. Empty lines and lines with # in front are skipped. In a
 * file that does not begin with that first line only the last word of a line is read, which must be
 * the hash: a log of another host will do, and sizes come from elsewhere. Where the last line
 * breaks off, because the disk was full or the host is still at it, the trace ends before it. */
#ifndef WEIR_BASE_USE_TRACE_H
#define WEIR_BASE_USE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define WEIR_USE_TRACE_HEAD "# weir module trace 1"

struct weir_use_trace {
    const char *name; /* for messages */
    const char *at, *end;
    unsigned long line;
    bool has_sizes;
};

struct weir_use {
    uint8_t module[32];
    uint64_t bytes; /* 0: the trace does not say */
    uint64_t at_ms; /* likewise */
};

void weir_use_trace_open(const char *name, const char *bytes, size_t size,
                         struct weir_use_trace *ret_trace);
/* NOT_FOUND at the end; MALFORMED with name and line. */
enum weir_status weir_use_trace_next(struct weir_use_trace *trace, struct weir_use *ret_use,
                                     struct weir_error *error) WEIR_MUST_USE;

#endif
