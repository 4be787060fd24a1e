/* Weir seen from Go: one engine, any number of guests. For the tests of signals shared with Go's
 * runtime; also linked into a C program that loads Go later. */
#ifndef WEIR_TEST_GO_GUEST_H
#define WEIR_TEST_GO_GUEST_H

#include <stddef.h>
#include <stdint.h>

struct guest;

/* What the guest's host function calls. */
typedef int32_t guest_callback(int32_t argument);

/* The module file becomes the process's module; `form` as weir_bounds_name() says it. NULL or why
 * not. */
const char *guest_engine_open(const char *path, const char *form, guest_callback *callback);
void guest_engine_close(void);

/* A store and an instance of its own; NULL when there is no memory for it. */
struct guest *guest_new(void);
void guest_free(struct guest *guest);

/* Calls an export with one argument. 0 with the result, a trap's code, or -1. */
int guest_call(struct guest *guest, const char *name, int64_t argument, int64_t *ret_result);

/* All that traps, with what it must be. */
struct guest_trap {
    const char *name;
    int64_t argument;
    int code;
};
extern const struct guest_trap guest_traps[];
extern const size_t guest_trap_count;

/* Who handles SIGSEGV now. */
const void *guest_handler(void);
/* Addresses that fault: no access (SIGSEGV), and behind the end of a file (SIGBUS). */
void *guest_no_access(void);
void *guest_no_file(void);
void guest_fault_in_c(void);

#endif
