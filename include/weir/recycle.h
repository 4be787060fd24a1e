/* Recycling: when a guest that keeps its state has had its time.
 *
 * For guests that are kept over many calls (residents, see struct weir_pool_config): whatever they
 * leak, cache or fragment goes back with them when the policy says so, between two uses and never
 * during one. A guest's state is therefore a cache: it may be gone at its next call.
 */
#ifndef WEIR_RECYCLE_H
#define WEIR_RECYCLE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero: never for that reason. The marks are looked at when a guest comes back from a use, so it
 * holds at most a mark and what one use added to it. */
struct weir_recycle_policy {
    uint64_t calls_max;         /* by the host, outermost, since it was settled */
    uint64_t age_ns_max;        /* since it was instantiated */
    uint64_t idle_ns_max;       /* since it came back */
    uint64_t private_bytes_max; /* resident or swapped pages of its memories that are its own; */
                                /* asks the kernel each time: 1 µs for some 100 pages */
    uint64_t linear_bytes_max;  /* size of its memories */
};

enum weir_recycle_reason {
    WEIR_RECYCLE_NONE,
    WEIR_RECYCLE_CALLS,
    WEIR_RECYCLE_AGE,
    WEIR_RECYCLE_IDLE,
    WEIR_RECYCLE_PRIVATE,
    WEIR_RECYCLE_LINEAR,
    WEIR_RECYCLE_SPOILED,  /* it trapped or exited, a call was given up, something was left in it */
    WEIR_RECYCLE_PRESSURE, /* memory was wanted for others */
    WEIR_RECYCLE_ASKED,    /* by the embedder */
    WEIR_RECYCLE_REASON_COUNT
};

/* Why a guest is due, with the figure that says so and its limit (0 where there is none). */
struct weir_recycle_verdict {
    enum weir_recycle_reason reason;
    uint64_t value, limit;
};

/* "calls", "age", "idle", "private", "linear", "spoiled", "pressure", "asked"; "none". */
const char *weir_recycle_reason_name(enum weir_recycle_reason reason);

#ifdef __cplusplus
}
#endif
#endif
