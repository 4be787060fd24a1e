/* One job's child: forked, limited, closed in, gone. */
#ifndef WEIR_COMPILER_CHILD_INTERNAL_H
#define WEIR_COMPILER_CHILD_INTERNAL_H

#include <sys/types.h>

#include "compiler/sandbox_internal.h"

struct weir__child_job {
    struct weir_compile_request_wire request;
    int fds[WEIR_COMPILE_FDS]; /* enum weir_compile_fd; stay the caller's */
    const struct weir__sandbox *sandbox;
    uint64_t base_bytes; /* of the address space, before the job */
};

/* Forks the child that does the job and answers on the reply descriptor. IO when it cannot be
 * forked. The child dies with the calling process. */
enum weir_status weir__child_start(const struct weir__child_job *job, pid_t *ret_pid,
                                   struct weir_error *error) WEIR_MUST_USE;

/* Waits for a child that has ended (or will) and fills the EXIT reply. False when there is none. */
bool weir__child_reap(pid_t pid, bool may_wait, struct weir_compile_reply_wire *ret_reply);

#endif
