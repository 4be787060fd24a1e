/* What a compiler child may do once it is set up: manage its memory, write to its output and its
 * reply socket, read the clock, end. Everything else kills it (SIGSYS). */
#ifndef WEIR_COMPILER_SANDBOX_INTERNAL_H
#define WEIR_COMPILER_SANDBOX_INTERNAL_H

#include <linux/filter.h>

#include "artifact/compile_wire.h"

/* Descriptors of a child; it has no others. */
enum weir__child_fd {
    WEIR__CHILD_MODULE = 3, /* memfd, mapped read-only */
    WEIR__CHILD_OUTPUT = 4, /* memfd, written */
    WEIR__CHILD_REPLY = 5   /* socket, written */
};

struct weir__sandbox {
    struct sock_filter *filter; /* malloc'ed */
    unsigned short filter_count;
};

/* Builds the filter once, in the spawner. UNSUPPORTED when libseccomp refuses. */
enum weir_status weir__sandbox_build(struct weir__sandbox *ret_sandbox, struct weir_error *error)
    WEIR_MUST_USE;
void weir__sandbox_done(struct weir__sandbox *sandbox);

/* Limits of the calling process: address space beyond `base_bytes`, CPU time, file size, no core,
 * no further processes or descriptors. */
enum weir_status weir__sandbox_limit(const struct weir_compile_request_wire *request,
                                     uint64_t base_bytes, struct weir_error *error) WEIR_MUST_USE;

/* No new privileges, no files (Landlock, where the kernel has it), then the filter. Cannot be
 * left. */
enum weir_status weir__sandbox_enter(const struct weir__sandbox *sandbox, struct weir_error *error)
    WEIR_MUST_USE;

/* Size of the address space of this process, before a job is added to it. */
uint64_t weir__sandbox_base_bytes(void);

#endif
