/* What one process has once, whatever the number of engines: signal handlers, the table of code
 * ranges, canonical types, idle stacks, the timer thread (DESIGN 1). Started by the first engine,
 * never torn down; all of it may be used from any thread.
 */
#ifndef WEIR_RUNTIME_PROCESS_INTERNAL_H
#define WEIR_RUNTIME_PROCESS_INTERNAL_H

#include <stdatomic.h>

#include "base/check.h"
#include "ledger/ledger.h"
#include "ledger/mapping.h"
#include "runtime/boundary_internal.h"
#include "runtime/runtime_limits.h"

struct weir_store;
struct weir_module;

/* Reclaimers: idle stacks, warm slots of pools (pool.c). Bytes given back. */
uint64_t weir__stacks_reclaim(void *context, uint64_t wanted_bytes);
uint64_t weir__pools_reclaim(void *context, uint64_t wanted_bytes);

/* Idempotent; any thread. */
enum weir_status weir__process_start(bool needs_signals, struct weir_error *error) WEIR_MUST_USE;

/* --- threads (thread_state.c) -------------------------------------------------------------- */

/* One entry into guest code. Lives on the host stack of the thread that runs it; the handler finds
 * it through weir__current and writes only the trap_ fields. */
struct weir__activation {
    struct weir_vm_state *state; /* offset 0: assembly */
    struct weir__activation *outer_on_thread;
    struct weir__activation *outer_in_store;
    struct weir_store *store;
    uint64_t trap_pc;
    uint64_t trap_fp;
    uint64_t trap_address; /* what could not be accessed */
    uint32_t trap_code;    /* enum weir_trap_code */
    /* The outer activation's, restored when this one ends. */
    uint64_t saved_host_sp, saved_guest_sp, saved_guest_fp, saved_guest_pc;
};
static_assert(offsetof(struct weir__activation, state) == WEIR__ACTIVATION_STATE, "assembly");

/* Initial-exec, so that handler and assembly reach it without a call. */
extern _Thread_local struct weir__activation *weir__current
    __attribute__((tls_model("initial-exec")));
/* The lowest address of the thread's own stack plus WEIR_HOST_STACK_MARGIN. */
extern _Thread_local uint64_t weir__host_stack_limit __attribute__((tls_model("initial-exec")));

/* What a thread has, and what a store's guests need of it (store->thread_needs). */
#define WEIR__THREAD_LIMIT 1u  /* its stack's bounds are known */
#define WEIR__THREAD_SIGNALS 2u /* an alternate signal stack */
extern _Thread_local uint32_t weir__thread_has __attribute__((tls_model("initial-exec")));

/* Gives the calling thread what it needs. */
enum weir_status weir__thread_prepare(uint32_t needs, struct weir_error *error) WEIR_MUST_USE;

static inline bool weir__thread_is_prepared(uint32_t needs)
{
    return (weir__thread_has & needs) == needs;
}

/* Enough of the thread's own stack is left to call into a guest or a host function. On a stack
 * that is not the thread's (a fiber's) only the depth of nesting bounds it. */
static inline bool weir__host_stack_has_room(void)
{
    uint64_t here = (uint64_t)__builtin_frame_address(0);
    uint64_t limit = weir__host_stack_limit;
    return __builtin_expect(here >= limit, 1) || here < limit - WEIR_HOST_STACK_MARGIN;
}

/* --- code ranges (code_table.c) ------------------------------------------------------------ */

struct weir__code_range {
    uint64_t begin, end; /* text in memory */
    const struct weir_module *module;
};

/* The range and its module must live until removed. */
enum weir_status weir__code_add(struct weir__code_range *range, struct weir_error *error)
    WEIR_MUST_USE;
void weir__code_remove(struct weir__code_range *range);
/* Async-signal-safe; NULL for foreign code. */
const struct weir__code_range *weir__code_find(uint64_t pc);

/* --- signals (trap_signal.c) --------------------------------------------------------------- */

enum weir_status weir__signals_install(struct weir_error *error) WEIR_MUST_USE;

/* --- canonical types (type_registry.c) ----------------------------------------------------- */

struct weir__type {
    const enum weir_type *params;
    const enum weir_type *results;
    uint32_t param_count, result_count;
    uint32_t id;
    uint32_t hash;
    uint32_t refs;         /* under the registry's lock */
    uint32_t int_count;    /* parameters in general registers and their slots */
    uint32_t float_count;  /* parameters in vector registers and their slots */
    uint32_t wide_mask;    /* parameters 0-4: bit i set when param i has 64 bits */
    bool is_simple;        /* integers and references only, at most five, at most one result */
    bool has_float_result; /* result 0 comes in xmm0 */
    struct weir__type *next;
    size_t bytes;
    enum weir_type codes[];
};

/* The one record of a function type, with one more reference. */
enum weir_status weir__type_acquire(const struct weir_func_type *type,
                                    const struct weir__type **ret_type, struct weir_error *error)
    WEIR_MUST_USE;
void weir__type_release(const struct weir__type *type);
/* Of a type somebody holds. No lock. */
const struct weir__type *weir__type_at(uint32_t id);

static inline bool weir__type_is_float(enum weir_type type)
{
    return type == WEIR_TYPE_F32 || type == WEIR_TYPE_F64 || type == WEIR_TYPE_V128;
}

/* --- guest stacks (stack.c) ---------------------------------------------------------------- */

struct weir__stack {
    struct weir_mapping mapping; /* guard below, then `bytes` */
    uint64_t bytes;
    uint64_t limit; /* what state->stack_limit says when nobody asks for a poll */
    uint64_t top;
    unsigned valgrind_id;
    struct weir__stack *next; /* idle ones */
};

/* An idle stack or a new one; `bytes` are charged to `account` as STACK. */
enum weir_status weir__stack_take(struct weir_account *account, uint64_t bytes,
                                  struct weir__stack **ret_stack, struct weir_error *error)
    WEIR_MUST_USE;
/* Discharges; keeps a few stacks for the next taker (charged to the host), frees the others. */
void weir__stack_give(struct weir_account *account, struct weir__stack *stack);

/* --- timers (timer.c) ---------------------------------------------------------------------- */

/* Events of a store: why its guest is asked to look up. */
#define WEIR__EVENT_CANCEL 1u
#define WEIR__EVENT_DEADLINE 2u
#define WEIR__EVENT_SLICE 4u

struct weir__timer {
    struct weir__timer *previous, *next;
    uint64_t deadline_ns;  /* CLOCK_MONOTONIC; UINT64_MAX: none */
    uint64_t slice_ns;     /* 0: none */
    uint64_t slice_end_ns; /* of the running call */
    struct weir_store *store;
    bool is_armed;
};

/* While armed, the timer thread raises the store's events when an instant has come. */
enum weir_status weir__timer_start(struct weir_error *error) WEIR_MUST_USE;
void weir__timer_arm(struct weir__timer *timer);
void weir__timer_disarm(struct weir__timer *timer);

/* --- what a memory has privatised (privatised.c) ------------------------------------------- */

struct weir__page_range {
    uint64_t begin, end; /* addresses */
};

enum weir__scan_path {
    WEIR__SCAN_BEST,
    WEIR__SCAN_PAGEMAP
};

/* Fills up to `count` ranges of pages in [*from, to) that are (PRESENT or SWAPPED) and not FILE,
 * in order; *from is moved to where the next call goes on (`to` when all is seen). The zero page
 * is left out where the kernel tells. Returns how many. */
enum weir_status weir__privatised_scan(uint64_t *from, uint64_t to, struct weir__page_range *ranges,
                                       size_t count, size_t *ret_count, struct weir_error *error)
    WEIR_MUST_USE;
/* Bytes of [from, to) that are in memory, and those that are private (swap included). */
enum weir_status weir__resident_count(uint64_t from, uint64_t to, uint64_t *ret_resident,
                                      uint64_t *ret_private, struct weir_error *error)
    WEIR_MUST_USE;
/* Tests force the second path. */
void weir__privatised_choose(enum weir__scan_path path);

#endif
