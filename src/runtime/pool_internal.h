/* What pool.c and recycle.c share: a pool's record, and how a slot leaves it. */
#ifndef WEIR_RUNTIME_POOL_INTERNAL_H
#define WEIR_RUNTIME_POOL_INTERNAL_H

#include <pthread.h>

#include "runtime/store_internal.h"

struct weir_pool {
    pthread_mutex_t lock;
    const struct weir_linker *linker;
    struct weir_module *module;
    struct weir_engine *engine;
    struct weir_store_config config;
    char *name;
    size_t name_bytes;
    struct weir_store *warm; /* through next_warm; the latest first, its pages are warm too */
    uint32_t slots_max, warm_max;
    uint32_t in_use, warm_count;
    struct weir_pool_figures figures; /* all but in_use and warm */
    struct weir_error fault;          /* set once */
    bool is_reserving, is_verifying, is_resident;
    struct weir_recycle_policy recycle;
    enum weir_status (*set_up)(void *context, struct weir_instance *instance,
                               struct weir_error *error);
    void *set_up_context;
    bool is_closed;                    /* freed when the last slot comes back */
    struct weir_pool *previous, *next; /* of the process, until closed */
};

struct weir__store_extent weir__store_extent(const struct weir_store *store);
/* A clean slot becomes warm and is out of use; false: it is not kept, and still in use. */
bool weir__pool_keep_warm(struct weir_pool *pool, struct weir_store *store);
/* One slot less in use; the last one of a closed pool takes the pool with it. */
void weir__pool_leave(struct weir_pool *pool);
/* Closes an idle slot that is off the list, counted under `reason`. */
void weir__pool_close_idle(struct weir_pool *pool, struct weir_store *store,
                           enum weir_recycle_reason reason);

/* recycle.c */

/* Residents end by time. */
bool weir__pool_has_clock(const struct weir_pool *pool);
/* Back from a use: kept as it is, or ended. */
void weir__resident_give(struct weir_pool *pool, struct weir_instance *instance);

#endif
