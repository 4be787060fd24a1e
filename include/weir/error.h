/* Status codes and the error record that every fallible call of Weir may fill.
 *
 * A fallible function returns `enum weir_status` and takes `struct weir_error *error` last. The
 * pointer may be NULL. First report wins: a record that already holds a status is not overwritten,
 * so that the message nearest to the cause survives. Zero-initialise a record before its first use
 * (`struct weir_error error = {0};`) and release it with weir_error_done().
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_status {
#define WEIR_STATUS(id, name, text, http, exit_code) WEIR_##id,
#include <weir/status.def>
#undef WEIR_STATUS
    WEIR_STATUS_COUNT
};

#define WEIR_ERROR_MESSAGE_SIZE 256
/* No position: the error is not about a byte of an input. */
#define WEIR_NO_OFFSET UINT64_MAX

/* C++ compilers know arrays without a size, and complain when they are asked to be pedantic. */
#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#endif
/* One line of what has no single line: each missing import, each level of a refused charge. */
struct weir_error_detail {
    struct weir_error_detail *next;
    char text[];
};
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

struct weir_error {
    enum weir_status status;
    uint64_t offset; /* byte offset in the input that `message` is about, or WEIR_NO_OFFSET */
    char message[WEIR_ERROR_MESSAGE_SIZE]; /* lower case, what, where, how much, what to do */
    struct weir_error_detail *details;     /* owned by the record, in order of report */
};

/* Frees the details and zeroes the record. NULL is allowed. */
void weir_error_done(struct weir_error *error);

/* The table's texts; never NULL, static. An unknown value answers for WEIR_INVALID_ARGUMENT. */
const char *weir_status_name(enum weir_status status);
const char *weir_status_text(enum weir_status status);
int weir_status_http(enum weir_status status);
int weir_status_exit_code(enum weir_status status);

#ifdef __cplusplus
}
#endif
#endif
