/* Store: unit of accounting and of failure; owns instances, stacks and host state of one guest.
 *
 * One thread at a time uses a store; only weir_store_interrupt() may be called from any thread.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <weir/module.h>
#include <weir/receipt.h>
#include <weir/trap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_store;
struct weir_memory;

/* A guest asks for more of a linear memory. */
struct weir_growth {
    const struct weir_memory *memory;
    uint64_t old_pages;
    uint64_t pages;                       /* to be added; not 0 */
    const struct weir_trap_frame *frames; /* of the guest, innermost first */
    size_t frame_count;
};
/* Called before it gets them. OK: they are asked for (and may still be refused, then memory.grow
 * answers -1); anything else: the guest traps with MEMORY_LIMIT, and `error` is the cause. Must not
 * call into the store. */
typedef enum weir_status weir_growth_hook(void *context, const struct weir_growth *growth,
                                          struct weir_error *error);

/* Zero-initialise; zero means the default named behind each field. */
struct weir_store_config {
    const char *name;              /* "store" */
    struct weir_account *account;  /* parent (a tenant): the engine's parent */
    uint64_t memory_bytes_max;     /* limit over everything the store holds: none */
    uint64_t linear_bytes_max;     /* a single linear memory: 4 GiB; without guard pages no more
                                    * than memory_bytes_max */
    uint64_t table_elements_max;   /* a single table: 1,000,000 */
    uint32_t instances_max;        /* 1,000 */
    uint32_t tasks_max;            /* not reaped yet (weir/task.h): 64 */
    uint32_t handles_max;          /* of all its tables (weir/handle.h): 16,384 */
    uint64_t keep_resident_bytes;  /* privatised memory that a reset keeps: 1 MiB */
    void *data;                    /* the embedder's */
    void (*data_free)(void *data); /* called when the store is closed, not when it could not be
                                    * made; may be NULL */
    weir_growth_hook *growth_hook; /* none */
    void *growth_context;
};

enum weir_status weir_store_new(struct weir_engine *engine, const struct weir_store_config *config,
                                struct weir_store **ret_store, struct weir_error *error);
/* Never blocks. Not from inside a call into the store; with a parked one it may. `receipt` may be
 * NULL, as may the store. */
void weir_store_close(struct weir_store *store, struct weir_receipt *receipt);

void *weir_store_data(const struct weir_store *store);
struct weir_account *weir_store_account(struct weir_store *store);
struct weir_engine *weir_store_engine(struct weir_store *store);

/* Gives the guest stack back; the next call takes one again. For a store that will be idle. */
void weir_store_rest(struct weir_store *store);
/* Why memory.grow or table.grow was refused the first time since the last reset; NULL: never. */
const struct weir_error *weir_store_refusal(const struct weir_store *store);

/* Fuel left, at most INT64_MAX; STATE when the engine has no fuel. */
enum weir_status weir_store_set_fuel(struct weir_store *store, uint64_t fuel,
                                     struct weir_error *error);
uint64_t weir_store_fuel(const struct weir_store *store);

/* Guest time ends at this CLOCK_MONOTONIC instant with a DEADLINE trap; 0 switches it off. One
 * timer thread serves the process; resolution about a millisecond. */
void weir_store_set_deadline(struct weir_store *store, uint64_t monotonic_ns);
/* After this much running time calls come back with WEIR_PENDING at the next poll, to be resumed by
 * weir_store_resume(); 0 switches it off. */
void weir_store_set_slice(struct weir_store *store, uint64_t slice_ns);
/* Any thread: the guest traps with CANCELLED at its next poll. Sticky until
 * weir_store_clear_interrupt(). */
void weir_store_interrupt(struct weir_store *store);
void weir_store_clear_interrupt(struct weir_store *store);
/* The deadline has passed or the store was interrupted: a host function that waits should come
 * back, the guest traps at its next poll. */
bool weir_store_is_stopped(const struct weir_store *store);

/* Continues a parked call: after a slice (results NULL), or a host function that answered PENDING
 * (its results, and `status` as it would have returned). Answers like weir_func_call(). Any thread
 * may resume, one at a time. */
enum weir_status weir_store_resume(struct weir_store *store, enum weir_status status,
                                   const union weir_value *results, struct weir_trap *trap,
                                   struct weir_error *error);
enum weir_park {
    WEIR_PARK_NONE,
    WEIR_PARK_SLICE, /* its time slice ended */
    WEIR_PARK_HOST   /* a host function waits */
};
enum weir_park weir_store_parked(const struct weir_store *store);
/* Gives a parked call up: its frames are dropped, the store is usable again. Nothing happens when
 * none is parked. */
void weir_store_unpark(struct weir_store *store);

#ifdef __cplusplus
}
#endif
#endif
