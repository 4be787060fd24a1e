/* Pool: warm stores of one module, each with one instance; for a fresh state per request, or kept.
 *
 * Any thread. A slot is taken, used by one thread at a time, given back and reset then. With it end
 * handles and tasks of its store, too; a slot that cannot be made as new is closed: when a task is
 * still running, or when instances, host functions, tables, memories or globals were put into it.
 *
 * Memory is that of the slots in use plus that of at most `warm_max` warm ones. A warm slot holds
 * what it held right after instantiation, and a guest stack once it has run; of the pages that it
 * had made its own at most store.keep_resident_bytes per memory stay resident.
 *
 * Or residents: slots that keep their state from use to use, until the policy ends them
 * (weir/recycle.h). Nothing of one is reset when it comes back, so whoever takes it next sees what
 * its guest has become. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include <weir/instance.h>
#include <weir/recycle.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_pool;

struct weir_pool_config {
    /* For every slot; `data` is not used. `data_free` only for residents: weir_store_set_data()
     * stays with such a slot and is freed when it is closed, in whatever call of Weir and under
     * locks of Weir's; NULL when nothing was set. */
    struct weir_store_config store;
    uint32_t slots_max; /* in use at once; more answers BUSY: 64 */
    uint32_t warm_max;  /* kept ready: 8; residents: slots_max */
    /* A slot in use holds store.memory_bytes_max in the accounts above it, used or not, so that
     * what runs is never refused there; an idle one holds what it uses. */
    bool is_reserving;
    /* For tests: each reset is verified (weir_instance_verify), and a slot that is not as new is
     * closed, counted and told of by weir_pool_fault(). */
    bool is_verifying;
    bool is_resident;                   /* slots keep their state */
    struct weir_recycle_policy recycle; /* of residents */
    /* For slots that weir_pool_warm() makes: what their user would do with one that is new, up to
     * weir_pool_settle(). Not OK: the slot is closed, and that is weir_pool_warm()'s answer. */
    enum weir_status (*set_up)(void *context, struct weir_instance *instance,
                               struct weir_error *error);
    void *set_up_context;
};

/* The linker must outlive the pool, as slots are made when they are needed; the module is held. */
enum weir_status weir_pool_new(const struct weir_linker *linker, struct weir_module *module,
                               const struct weir_pool_config *config, struct weir_pool **ret_pool,
                               struct weir_error *error);
/* Closes idle slots; slots in use are closed when given back. */
void weir_pool_free(struct weir_pool *pool);
/* A store whose only instance is as right after instantiation. BUSY, LIMIT, TRAP (start). A warm
 * slot that the calling thread had last is preferred: its pages are in this processor's cache. */
enum weir_status weir_pool_take(struct weir_pool *pool, struct weir_instance **ret_instance,
                                struct weir_error *error);
/* As above, but preferred is a slot that was last taken under this key: a tenant, a connection.
 * Only of the few that were given back last; it is no promise. */
enum weir_status weir_pool_take_near(struct weir_pool *pool, uint64_t key,
                                     struct weir_instance **ret_instance, struct weir_error *error);
/* Gives back what was taken from this very pool; not from inside a call into the slot. */
void weir_pool_give(struct weir_pool *pool, struct weir_instance *instance);
/* Makes slots until so many are warm, at least one, which shows what would fail every take. Nothing
 * is reserved for them. What is over warm_max is closed again. Errors as of weir_pool_take(). */
enum weir_status weir_pool_warm(struct weir_pool *pool, uint32_t count, struct weir_error *error);
/* How many slots are kept from now on; those that are warm already stay until they are taken. */
void weir_pool_set_warm(struct weir_pool *pool, uint32_t warm_max);
/* Closes the slot instead of keeping it; otherwise as weir_pool_give(). */
void weir_pool_drop(struct weir_pool *pool, struct weir_instance *instance);

/* What was done with a slot in use so far was to set it up: from now on a reset goes back to its
 * present state, and a resident's calls count. Once per slot, as first thing (what the pool made is
 * never settled). STATE while a call is active or parked, while tasks run or handles are left, or
 * when a call into it did not return.
 * LIMIT, IO: the slot can only be given back, which closes it. */
enum weir_status weir_pool_settle(struct weir_pool *pool, struct weir_instance *instance,
                                  struct weir_error *error);
bool weir_pool_is_settled(const struct weir_instance *instance);

/* Whether a resident in use will be recycled when it is given back, and why; `ret_verdict` may be
 * NULL. */
enum weir_recycle_reason weir_pool_due(const struct weir_pool *pool,
                                       const struct weir_instance *instance,
                                       struct weir_recycle_verdict *ret_verdict);
/* Ends a slot in use now, counted under `reason`; the next take makes a new one. STATE, and nothing
 * is done, while a call into it is active or parked. `receipt` may be NULL. */
enum weir_status weir_pool_recycle(struct weir_pool *pool, struct weir_instance *instance,
                                   enum weir_recycle_reason reason, struct weir_receipt *receipt,
                                   struct weir_error *error);
/* Ends the residents that are not in use and are due by age or idleness; how many. *ret_next_ns:
 * when the next one will be (weir's monotonic clock; UINT64_MAX: none); may be NULL. Call it then:
 * nobody else does, but a take, which never hands out one that is due. */
uint32_t weir_pool_recycle_idle(struct weir_pool *pool, uint64_t *ret_next_ns);

/* Sets the embedder's data of a taken slot's store (cleared when given back). */
void weir_store_set_data(struct weir_store *store, void *data);

struct weir_pool_figures {
    uint32_t in_use, warm;
    uint64_t takes, cold_takes, resets, busy;
    uint64_t near_takes; /* of the same thread or key as the last time */
    uint64_t spoiled;    /* closed because they could not be made as new */
    uint64_t faults;     /* resets that a verification found wrong */
    /* Residents, and idle slots of others (PRESSURE), whose memory is back. */
    uint64_t recycled[WEIR_RECYCLE_REASON_COUNT];
};
/* The first difference that a verifying pool found, NULL: none. Valid until the pool is freed. */
const struct weir_error *weir_pool_fault(struct weir_pool *pool);
void weir_pool_figures(const struct weir_pool *pool, struct weir_pool_figures *ret);

#ifdef __cplusplus
}
#endif
#endif
