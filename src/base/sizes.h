/* The one grammar for sizes and durations, and the one way in which they are shown.
 *
 *   size      = number [ unit ]           unit = B | K KB KiB | M MB MiB | G GB GiB | T TB TiB
 *   duration  = number unit               unit = ns | us | ms | s | m | h | d
 *   number    = digits [ "." digits ]
 *
 * All size units are powers of 1024, whatever they are called; case does not matter; a number
 * without unit is bytes and has no fraction; a fraction of a byte is dropped. A sign, a space,
 * text behind the unit and what does not fit 64 bits are errors that show the grammar. The only
 * duration that may go without a unit is 0.
 */
#ifndef WEIR_BASE_SIZES_H
#define WEIR_BASE_SIZES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define WEIR_SIZE_GRAMMAR "a number with B, K/KB/KiB, M/MB/MiB, G/GB/GiB or T/TB/TiB (1024-based)"
#define WEIR_DURATION_GRAMMAR "a number with ns, us, ms, s, m, h or d"

/* INVALID_ARGUMENT with the grammar and, in `offset`, where the text stops making sense. */
enum weir_status weir_size_parse(const char *text, size_t length, uint64_t *ret_bytes,
                                 struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_duration_parse(const char *text, size_t length, uint64_t *ret_ns,
                                     struct weir_error *error) WEIR_MUST_USE;

#define WEIR_MIB (UINT64_C(1) << 20)

/* Whole MiB, rounded up. */
static inline uint64_t weir_size_mib(uint64_t bytes)
{
    return bytes / WEIR_MIB + (bytes % WEIR_MIB != 0);
}

#define WEIR_SIZE_TEXT_SIZE 24
struct weir_size_text {
    char text[WEIR_SIZE_TEXT_SIZE];
};

/* "512 B", "5.1 MiB", "231 MiB": one decimal below 100, none from there on. */
struct weir_size_text weir_size_format(uint64_t bytes);
/* "640 ns", "41 ms", "1.8 s", "12 m", "3.5 h". */
struct weir_size_text weir_duration_format(uint64_t ns);

#endif
