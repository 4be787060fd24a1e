/* How Weir's own code reports: the writing side of <weir/error.h>. */
#ifndef WEIR_BASE_ERROR_H
#define WEIR_BASE_ERROR_H

#include <stddef.h>

#include <weir/error.h>

#define WEIR_MUST_USE __attribute__((warn_unused_result))
#define WEIR_PRINTF(format_index, args_index)                                                      \
    __attribute__((format(printf, format_index, args_index)))

/* Fills `error` unless it is NULL or already filled; returns `status` so that callers can write
 * `return weir_error_set(...)`. `offset` is WEIR_NO_OFFSET when no byte is meant. A message longer
 * than the record is cut at a character boundary. */
enum weir_status weir_error_set(struct weir_error *error, enum weir_status status, uint64_t offset,
                                const char *format, ...) WEIR_PRINTF(4, 5);

/* As above with errno's text appended (": No such file or directory"). */
enum weir_status weir_error_set_errno(struct weir_error *error, enum weir_status status, int number,
                                      const char *format, ...) WEIR_PRINTF(4, 5);

/* Appends a detail line; drops it silently when memory for it is refused (the message stands). */
void weir_error_add(struct weir_error *error, const char *format, ...) WEIR_PRINTF(2, 3);

/* Hands the report in `from` on to `to` and leaves `from` empty. Where `to` is NULL or already
 * filled, the report is dropped. */
void weir_error_move(struct weir_error *to, struct weir_error *from);

/* What to answer when an account refused an allocation: what the report says, or LIMIT where nobody
 * asked for one. */
static inline enum weir_status weir_error_refused(const struct weir_error *error)
{
    return error != NULL && error->status != WEIR_OK ? error->status : WEIR_LIMIT;
}

#endif
