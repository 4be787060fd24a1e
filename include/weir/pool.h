/* Pool: warm stores of one module, each with one instance, for a fresh state per request.
 *
 * Any thread. A slot is taken, used by one thread at a time, given back and reset then. With it end
 * handles and tasks of its store, too; a slot that cannot be made as new is closed: when a task is
 * still running, or when instances, host functions, tables, memories or globals were put into it.
 *
 * Memory is that of the slots in use plus that of at most `warm_max` warm ones. A warm slot holds
 * what it held right after instantiation, and a guest stack once it has run; of the pages that it
 * had made its own at most store.keep_resident_bytes per memory stay resident. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include <weir/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_pool;

struct weir_pool_config {
    struct weir_store_config store; /* for every slot; its data and data_free are not used */
    uint32_t slots_max;             /* in use at once; more answers BUSY: 64 */
    uint32_t warm_max;              /* kept ready: 8 */
    /* A slot in use holds store.memory_bytes_max in the accounts above it, used or not, so that
     * what runs is never refused there; an idle one holds what it uses. */
    bool is_reserving;
    /* For tests: each reset is verified (weir_instance_verify), and a slot that is not as new is
     * closed, counted and told of by weir_pool_fault(). */
    bool is_verifying;
};

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
void weir_pool_give(struct weir_pool *pool, struct weir_instance *instance);
/* Makes slots until so many are warm, at least one, which shows what would fail every take. Nothing
 * is reserved for them. What is over warm_max is closed again. Errors as of weir_pool_take(). */
enum weir_status weir_pool_warm(struct weir_pool *pool, uint32_t count, struct weir_error *error);
/* How many slots are kept from now on; those that are warm already stay until they are taken. */
void weir_pool_set_warm(struct weir_pool *pool, uint32_t warm_max);
/* Closes the slot instead of keeping it. */
void weir_pool_drop(struct weir_pool *pool, struct weir_instance *instance);
/* Sets the embedder's data of a taken slot's store (cleared when given back). */
void weir_store_set_data(struct weir_store *store, void *data);

struct weir_pool_figures {
    uint32_t in_use, warm;
    uint64_t takes, cold_takes, resets, busy;
    uint64_t near_takes; /* of the same thread or key as the last time */
    uint64_t spoiled;    /* closed because they could not be made as new */
    uint64_t faults;     /* resets that a verification found wrong */
};
/* The first difference that a verifying pool found, NULL: none. Valid until the pool is freed. */
const struct weir_error *weir_pool_fault(struct weir_pool *pool);
void weir_pool_figures(const struct weir_pool *pool, struct weir_pool_figures *ret);

#ifdef __cplusplus
}
#endif
#endif
