/* Pools: warm stores of one module. A slot is reset when it is given back, so taking one is a pop.
 *
 * The lock guards the list and the counts only; stores are made, reset and closed outside it.
 */
#include <string.h>

#include <weir/task.h>

#include "base/clock.h"
#include "runtime/handle_internal.h"
#include "runtime/pool_internal.h"

/* Taken before a pool's own lock. */
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_pool *pools;

static void enlist(struct weir_pool *pool)
{
    (void)pthread_mutex_lock(&pools_lock);
    pool->next = pools;
    if (pools != NULL)
        pools->previous = pool;
    pools = pool;
    (void)pthread_mutex_unlock(&pools_lock);
}

static void unlist(struct weir_pool *pool)
{
    (void)pthread_mutex_lock(&pools_lock);
    if (pool->previous != NULL)
        pool->previous->next = pool->next;
    else
        pools = pool->next;
    if (pool->next != NULL)
        pool->next->previous = pool->previous;
    (void)pthread_mutex_unlock(&pools_lock);
}

/* What identifies a thread among those that live. */
static uint64_t own_key(void)
{
    static _Thread_local char here;
    return (uint64_t)(uintptr_t)&here;
}

struct weir__store_extent weir__store_extent(const struct weir_store *store)
{
    return (struct weir__store_extent){.instances = store->instances,
                                       .memories = store->memories,
                                       .tables = store->tables,
                                       .host_funcs = store->host_funcs,
                                       .host_globals = store->host_globals,
                                       .definitions = store->definitions};
}

/* A warm slot's store, or NULL. */
static struct weir_store *pop_warm(struct weir_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    struct weir_store *store = pool->warm;
    if (store != NULL) {
        pool->warm = store->next_warm;
        pool->warm_count--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return store;
}

/* Of one pool, until so much was given back. */
static uint64_t reclaim(struct weir_pool *pool, uint64_t wanted_bytes)
{
    uint64_t given = 0;
    struct weir_store *store;
    while (given < wanted_bytes && (store = pop_warm(pool)) != NULL) {
        struct weir_account_reading reading;
        weir_account_read(store->account, &reading);
        given += reading.used_bytes;
        weir__pool_close_idle(pool, store, WEIR_RECYCLE_PRESSURE);
    }
    return given;
}

/* Warm slots are closed under the list's lock, which keeps their pool from going away. Residents,
 * who lose their state by it, come last. */
uint64_t weir__pools_reclaim(void *context, uint64_t wanted_bytes)
{
    (void)context;
    uint64_t given = 0;
    (void)pthread_mutex_lock(&pools_lock);
    for (int turn = 0; turn < 2; turn++)
        for (struct weir_pool *at = pools; at != NULL && given < wanted_bytes; at = at->next)
            if (at->is_resident == (turn == 1))
                given += reclaim(at, wanted_bytes - given);
    (void)pthread_mutex_unlock(&pools_lock);
    return given;
}

static void destroy(struct weir_pool *pool)
{
    struct weir_engine *engine = pool->engine;
    (void)pthread_mutex_destroy(&pool->lock);
    weir_error_done(&pool->fault);
    weir_module_unref(pool->module);
    weir_account_free(engine->account, WEIR_KIND_METADATA, pool->name, pool->name_bytes);
    weir_account_free(engine->account, WEIR_KIND_METADATA, pool, sizeof *pool);
    weir_engine_unref(engine);
}

enum weir_status weir_pool_new(const struct weir_linker *linker, struct weir_module *module,
                               const struct weir_pool_config *config, struct weir_pool **ret_pool,
                               struct weir_error *error)
{
    static const struct weir_pool_config defaults;
    if (config == NULL)
        config = &defaults;
    struct weir_engine *engine = module->engine;
    struct weir_pool *pool =
        weir_account_alloc(engine->account, WEIR_KIND_METADATA, sizeof *pool, error);
    if (pool == NULL)
        return weir_error_refused(error);
    const char *name = config->store.name != NULL ? config->store.name : "slot";
    pool->name_bytes = strlen(name) + 1;
    pool->name = weir_account_alloc(engine->account, WEIR_KIND_METADATA, pool->name_bytes, error);
    if (pool->name == NULL) {
        weir_account_free(engine->account, WEIR_KIND_METADATA, pool, sizeof *pool);
        return weir_error_refused(error);
    }
    memcpy(pool->name, name, pool->name_bytes);
    (void)pthread_mutex_init(&pool->lock, NULL);
    pool->engine = weir_engine_ref(engine);
    pool->linker = linker;
    pool->module = weir_module_ref(module);
    pool->config = config->store;
    pool->config.name = pool->name;
    pool->config.data = NULL;
    pool->is_resident = config->is_resident;
    if (!pool->is_resident)
        pool->config.data_free = NULL;
    else
        pool->recycle = config->recycle;
    pool->set_up = config->set_up;
    pool->set_up_context = config->set_up_context;
    pool->slots_max = config->slots_max != 0 ? config->slots_max : WEIR_POOL_SLOTS_DEFAULT;
    uint32_t warm_max = pool->is_resident ? pool->slots_max : WEIR_POOL_WARM_DEFAULT;
    pool->warm_max = config->warm_max != 0 ? config->warm_max : warm_max;
    pool->is_verifying = config->is_verifying && !pool->is_resident;
    pool->is_reserving = config->is_reserving && config->store.memory_bytes_max != 0;
    enlist(pool);
    *ret_pool = pool;
    return WEIR_OK;
}

void weir_pool_free(struct weir_pool *pool)
{
    if (pool == NULL)
        return;
    unlist(pool);
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_closed = true;
    struct weir_store *store = pool->warm;
    pool->warm = NULL;
    pool->warm_count = 0;
    bool is_last = pool->in_use == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    while (store != NULL) {
        struct weir_store *next = store->next_warm;
        weir_store_close(store, NULL);
        store = next;
    }
    if (is_last)
        destroy(pool);
}

static enum weir_status make_slot(struct weir_pool *pool, struct weir_instance **ret_instance,
                                  struct weir_error *error)
{
    struct weir_store *store;
    enum weir_status status = weir_store_new(pool->engine, &pool->config, &store, error);
    if (status != WEIR_OK)
        return status;
    status = weir_instance_new(store, pool->linker, pool->module, ret_instance, NULL, error);
    if (status != WEIR_OK) {
        weir_store_close(store, NULL);
        return status;
    }
    store->pooled = *ret_instance;
    store->pool_extent = weir__store_extent(store);
    weir__census_begin(&store->mark);
    store->is_slot = true;
    weir__census_end(&store->mark);
    return WEIR_OK;
}

void weir__pool_leave(struct weir_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->in_use--;
    bool is_last = pool->is_closed && pool->in_use == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    if (is_last)
        destroy(pool);
}

bool weir__pool_keep_warm(struct weir_pool *pool, struct weir_store *store)
{
    if (weir__pool_has_clock(pool))
        store->given_ns = weir_clock_ns();
    (void)pthread_mutex_lock(&pool->lock);
    bool is_kept = !pool->is_closed && pool->warm_count < pool->warm_max;
    if (is_kept) {
        store->next_warm = pool->warm;
        pool->warm = store;
        pool->warm_count++;
        pool->in_use--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return is_kept;
}

/* What it may come to hold, before it runs; idle slots of this pool make room for it. */
static enum weir_status reserve(struct weir_pool *pool, struct weir_instance *instance,
                                struct weir_error *error)
{
    if (!pool->is_reserving)
        return WEIR_OK;
    struct weir_store *store = instance->store;
    uint64_t bytes = pool->config.memory_bytes_max;
    enum weir_status status = weir_account_reserve(store->account, bytes, NULL);
    struct weir_store *idle;
    while (status == WEIR_LIMIT && (idle = pop_warm(pool)) != NULL) {
        weir__pool_close_idle(pool, idle, WEIR_RECYCLE_PRESSURE);
        status = weir_account_reserve(store->account, bytes, NULL);
    }
    if (status != WEIR_OK)
        status = weir_account_reserve(store->account, bytes, error);
    if (status != WEIR_OK && !weir__pool_keep_warm(pool, store))
        weir_pool_drop(pool, instance);
    return status;
}

/* A warm slot of this key, else the latest; NULL without. Under the lock. */
static struct weir_store *pop_near(struct weir_pool *pool, uint64_t key)
{
    struct weir_store **at = &pool->warm;
    for (uint32_t i = 0; *at != NULL && i < WEIR_POOL_NEAR_MAX; i++, at = &(*at)->next_warm)
        if ((*at)->pool_key == key)
            break;
    if (*at == NULL || (*at)->pool_key != key)
        at = &pool->warm;
    struct weir_store *store = *at;
    if (store == NULL)
        return NULL;
    pool->figures.near_takes += store->pool_key == key;
    *at = store->next_warm;
    pool->warm_count--;
    return store;
}

enum weir_status weir_pool_take(struct weir_pool *pool, struct weir_instance **ret_instance,
                                struct weir_error *error)
{
    return weir_pool_take_near(pool, own_key(), ret_instance, error);
}

enum weir_status weir_pool_take_near(struct weir_pool *pool, uint64_t key,
                                     struct weir_instance **ret_instance, struct weir_error *error)
{
    if (weir__pool_has_clock(pool))
        (void)weir_pool_recycle_idle(pool, NULL);
    (void)pthread_mutex_lock(&pool->lock);
    bool is_busy = pool->in_use >= pool->slots_max;
    struct weir_store *store = is_busy ? NULL : pop_near(pool, key);
    if (is_busy) {
        pool->figures.busy++;
    } else {
        pool->in_use++;
        pool->figures.takes++;
        pool->figures.cold_takes += store == NULL;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (is_busy)
        return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                              "all %u slots of the pool are in use", pool->slots_max);
    struct weir_instance *instance = store != NULL ? store->pooled : NULL;
    if (instance == NULL) {
        enum weir_status status = make_slot(pool, &instance, error);
        if (status != WEIR_OK) {
            weir__pool_leave(pool);
            return status;
        }
    }
    instance->store->pool_key = key;
    enum weir_status status = reserve(pool, instance, error);
    if (status == WEIR_OK)
        *ret_instance = instance;
    return status;
}

enum weir_status weir_pool_warm(struct weir_pool *pool, uint32_t count, struct weir_error *error)
{
    for (uint32_t made = 0; made == 0 || made < count; made++) {
        struct weir_instance *instance;
        (void)pthread_mutex_lock(&pool->lock);
        bool is_full = pool->in_use >= pool->slots_max || (made > 0 && pool->warm_count >= count);
        pool->in_use += !is_full;
        (void)pthread_mutex_unlock(&pool->lock);
        if (is_full)
            break;
        enum weir_status status = make_slot(pool, &instance, error);
        if (status != WEIR_OK) {
            weir__pool_leave(pool);
            return status;
        }
        if (pool->set_up != NULL)
            status = pool->set_up(pool->set_up_context, instance, error);
        if (status != WEIR_OK) {
            weir_pool_drop(pool, instance);
            return status;
        }
        if (!weir__pool_keep_warm(pool, instance->store))
            weir_pool_drop(pool, instance);
    }
    return WEIR_OK;
}

void weir_pool_drop(struct weir_pool *pool, struct weir_instance *instance)
{
    weir_store_close(instance->store, NULL);
    weir__pool_leave(pool);
}

/* What the reset of an instance leaves alone: calls, tasks, handles and timers of the store. */
static bool reset_store(struct weir_store *store)
{
    weir_store_unpark(store);
    store->is_torn = false; /* the reset mends it */
    weir_store_cancel_tasks(store, NULL);
    weir__handles_destroy(store->handles, NULL);
    store->data = NULL;
    store->data_free = NULL;
    weir_store_clear_interrupt(store);
    if (store->engine->has_fuel)
        store->state->fuel = 0;
    if (store->has_timer || atomic_load(&store->events) != 0) {
        weir_store_set_deadline(store, 0);
        weir_store_set_slice(store, 0);
    }
    const struct weir__store_extent extent = weir__store_extent(store);
    return weir_store_task_count(store) == 0 &&
           memcmp(&extent, &store->pool_extent, sizeof extent) == 0;
}

/* True when the instance is as new. */
static bool reset_slot(struct weir_pool *pool, struct weir_instance *instance)
{
    struct weir_error fault = {0};
    bool is_clean = reset_store(instance->store) && weir_instance_reset(instance, NULL) == WEIR_OK;
    bool is_right =
        !is_clean || !pool->is_verifying || weir_instance_verify(instance, &fault) == WEIR_OK;
    (void)pthread_mutex_lock(&pool->lock);
    pool->figures.resets += is_clean;
    pool->figures.spoiled += !is_clean;
    pool->figures.faults += !is_right;
    if (!is_right && pool->fault.status == WEIR_OK) {
        pool->fault = fault;
        fault = (struct weir_error){0};
    }
    (void)pthread_mutex_unlock(&pool->lock);
    weir_error_done(&fault);
    return is_clean && is_right;
}

void weir_pool_give(struct weir_pool *pool, struct weir_instance *instance)
{
    struct weir_store *store = instance->store;
    WEIR_ASSERT(store->pooled == instance);
    if (pool->is_resident) {
        weir__resident_give(pool, instance);
        return;
    }
    if (!reset_slot(pool, instance)) {
        weir_pool_drop(pool, instance);
        return;
    }
    if (pool->is_reserving)
        weir_account_unreserve(store->account);
    if (!weir__pool_keep_warm(pool, store))
        weir_pool_drop(pool, instance);
}

void weir_pool_set_warm(struct weir_pool *pool, uint32_t warm_max)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->warm_max = warm_max;
    (void)pthread_mutex_unlock(&pool->lock);
}

const struct weir_error *weir_pool_fault(struct weir_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    const struct weir_error *fault = pool->fault.status != WEIR_OK ? &pool->fault : NULL;
    (void)pthread_mutex_unlock(&pool->lock);
    return fault;
}

void weir_pool_figures(const struct weir_pool *shared, struct weir_pool_figures *ret)
{
    struct weir_pool *pool = (struct weir_pool *)(uintptr_t)shared;
    (void)pthread_mutex_lock(&pool->lock);
    *ret = pool->figures;
    ret->in_use = pool->in_use;
    ret->warm = pool->warm_count;
    (void)pthread_mutex_unlock(&pool->lock);
}
