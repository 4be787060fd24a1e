/* Residents of a pool: when they are due, and their end. The policy is looked at between uses only:
 * when a slot comes back, when it is to be handed out, and when somebody asks about idle ones. */
#include <string.h>

#include <weir/task.h>

#include "base/clock.h"
#include "runtime/event_internal.h"
#include "runtime/handle_internal.h"
#include "runtime/pool_internal.h"
#include "runtime/references.h"

#define RANGES 64

const char *weir_recycle_reason_name(enum weir_recycle_reason reason)
{
    static const char *const names[WEIR_RECYCLE_REASON_COUNT] = {
        "none", "calls", "age", "idle", "private", "linear", "spoiled", "pressure", "asked"};
    return (unsigned)reason < WEIR_RECYCLE_REASON_COUNT ? names[reason] : "unknown";
}

/* --- is it due? ---------------------------------------------------------------------------- */

static uint64_t linear_bytes(const struct weir_store *store)
{
    uint64_t bytes = 0;
    for (const struct weir_memory *memory = store->memories; memory != NULL; memory = memory->next)
        bytes += memory->vm.size_bytes;
    return bytes;
}

/* Counts no further than over `most`. What cannot be told counts as nothing: the linear mark and
 * the store's own limit hold all the same. */
static uint64_t private_bytes(const struct weir_store *store, uint64_t most)
{
    uint64_t bytes = 0;
    for (const struct weir_memory *memory = store->memories; memory != NULL;
         memory = memory->next) {
        uint64_t at = (uint64_t)memory->vm.base;
        uint64_t end = at + memory->vm.size_bytes;
        while (at < end && bytes <= most) {
            struct weir__page_range ranges[RANGES];
            size_t found = 0;
            if (weir__privatised_scan(&at, end, ranges, RANGES, &found, NULL) != WEIR_OK)
                break;
            for (size_t i = 0; i < found; i++)
                bytes += ranges[i].end - ranges[i].begin;
        }
    }
    return bytes;
}

static bool is_over(enum weir_recycle_reason reason, uint64_t value, uint64_t limit,
                    struct weir_recycle_verdict *ret_verdict)
{
    if (limit == 0 || value < limit)
        return false;
    *ret_verdict = (struct weir_recycle_verdict){reason, value, limit};
    return true;
}

/* Calls are over when the last one was made, marks when they are passed. */
static bool is_worn(const struct weir_pool *pool, const struct weir_store *store,
                    struct weir_recycle_verdict *ret_verdict)
{
    const struct weir_recycle_policy *policy = &pool->recycle;
    uint64_t calls = atomic_load_explicit(&store->calls, memory_order_relaxed);
    uint64_t linear = policy->linear_bytes_max, private = policy->private_bytes_max;
    return is_over(WEIR_RECYCLE_CALLS, calls - store->settled_calls, policy->calls_max,
                   ret_verdict) ||
           (linear != 0 &&
            is_over(WEIR_RECYCLE_LINEAR, linear_bytes(store), linear + 1, ret_verdict)) ||
           (private != 0 &&
            is_over(WEIR_RECYCLE_PRIVATE, private_bytes(store, private), private + 1, ret_verdict));
}

static bool is_old(const struct weir_pool *pool, const struct weir_store *store, uint64_t now_ns,
                   struct weir_recycle_verdict *ret_verdict)
{
    return is_over(WEIR_RECYCLE_AGE, now_ns - store->pooled->made_ns, pool->recycle.age_ns_max,
                   ret_verdict);
}

/* A call into it has ended the wrong way, or something was left that outlives a use. */
static bool is_spoiled(const struct weir_store *store)
{
    const struct weir__store_extent extent = weir__store_extent(store);
    return store->is_torn || store->park != WEIR_PARK_NONE || !store->pooled->is_whole ||
           memcmp(&extent, &store->pool_extent, sizeof extent) != 0;
}

bool weir__pool_has_clock(const struct weir_pool *pool)
{
    return pool->recycle.age_ns_max != 0 || pool->recycle.idle_ns_max != 0;
}

/* Why an idle resident must not be handed out any more; NONE: it may. */
static enum weir_recycle_reason idle_reason(const struct weir_pool *pool,
                                            const struct weir_store *store, uint64_t now_ns)
{
    struct weir_recycle_verdict verdict = {0};
    if (!is_old(pool, store, now_ns, &verdict))
        (void)is_over(WEIR_RECYCLE_IDLE, now_ns - store->given_ns, pool->recycle.idle_ns_max,
                      &verdict);
    return verdict.reason;
}

enum weir_recycle_reason weir_pool_due(const struct weir_pool *pool,
                                       const struct weir_instance *instance,
                                       struct weir_recycle_verdict *ret_verdict)
{
    const struct weir_store *store = instance->store;
    struct weir_recycle_verdict verdict = {0};
    if (pool->is_resident && is_spoiled(store))
        verdict.reason = WEIR_RECYCLE_SPOILED;
    else if (pool->is_resident && !is_worn(pool, store, &verdict) && weir__pool_has_clock(pool))
        (void)is_old(pool, store, weir_clock_ns(), &verdict);
    if (ret_verdict != NULL)
        *ret_verdict = verdict;
    return verdict.reason;
}

/* --- the end of one ------------------------------------------------------------------------ */

/* Counted when its memory is back: who has seen the figure can look at what is left. */
static void end(struct weir_pool *pool, struct weir_store *store, enum weir_recycle_reason reason,
                struct weir_receipt *receipt)
{
    if (weir__event_is_wanted(store->engine))
        weir__event_tell_instance(store->pooled, WEIR_EVENT_INSTANCE_RECYCLED, reason);
    weir_store_close(store, receipt);
    (void)pthread_mutex_lock(&pool->lock);
    pool->figures.recycled[reason]++;
    pool->figures.spoiled += reason == WEIR_RECYCLE_SPOILED;
    (void)pthread_mutex_unlock(&pool->lock);
}

void weir__pool_close_idle(struct weir_pool *pool, struct weir_store *store,
                           enum weir_recycle_reason reason)
{
    end(pool, store, reason, NULL);
}

enum weir_status weir_pool_recycle(struct weir_pool *pool, struct weir_instance *instance,
                                   enum weir_recycle_reason reason, struct weir_receipt *receipt,
                                   struct weir_error *error)
{
    struct weir_store *store = instance->store;
    WEIR_ASSERT(store->pooled == instance);
    if ((unsigned)reason >= WEIR_RECYCLE_REASON_COUNT)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%d is no reason to recycle a guest", (int)reason);
    if (!weir_store_is_idle(store))
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "a guest cannot be recycled while a call into it is active or "
                              "parked; do it when the call has come back");
    end(pool, store, reason, receipt);
    weir__pool_leave(pool);
    return WEIR_OK;
}

/* What belongs to one use ends with it; handles are the guest's state and stay. */
static void end_use(struct weir_store *store)
{
    weir_store_cancel_tasks(store, NULL);
    (void)weir_store_reap(store);
    weir_store_clear_interrupt(store);
    if (store->has_timer || atomic_load(&store->events) != 0) {
        weir_store_set_deadline(store, 0);
        weir_store_set_slice(store, 0);
    }
}

void weir__resident_give(struct weir_pool *pool, struct weir_instance *instance)
{
    struct weir_store *store = instance->store;
    enum weir_recycle_reason reason = weir_pool_due(pool, instance, NULL);
    weir_store_unpark(store); /* a call that was given up counts as spoiling */
    end_use(store);
    if (reason == WEIR_RECYCLE_NONE && weir_store_task_count(store) != 0)
        reason = WEIR_RECYCLE_SPOILED;
    if (reason == WEIR_RECYCLE_NONE) {
        if (pool->is_reserving)
            weir_account_unreserve(store->account);
        if (weir__pool_keep_warm(pool, store))
            return;
        weir_pool_drop(pool, instance);
        return;
    }
    enum weir_status status = weir_pool_recycle(pool, instance, reason, NULL, NULL);
    WEIR_ASSERT(status == WEIR_OK);
}

/* --- idle ones ----------------------------------------------------------------------------- */

/* Under the lock: the first that is over comes off the list; otherwise *next_ns is lowered to when
 * the next one will be. */
static struct weir_store *pop_over(struct weir_pool *pool, uint64_t now_ns,
                                   enum weir_recycle_reason *ret_reason, uint64_t *next_ns)
{
    const struct weir_recycle_policy *policy = &pool->recycle;
    for (struct weir_store **at = &pool->warm; *at != NULL; at = &(*at)->next_warm) {
        struct weir_store *store = *at;
        *ret_reason = idle_reason(pool, store, now_ns);
        if (*ret_reason != WEIR_RECYCLE_NONE) {
            *at = store->next_warm;
            pool->warm_count--;
            return store;
        }
        uint64_t idle =
            policy->idle_ns_max != 0 ? store->given_ns + policy->idle_ns_max : UINT64_MAX;
        uint64_t old =
            policy->age_ns_max != 0 ? store->pooled->made_ns + policy->age_ns_max : UINT64_MAX;
        uint64_t due = idle < old ? idle : old;
        *next_ns = due < *next_ns ? due : *next_ns;
    }
    return NULL;
}

uint32_t weir_pool_recycle_idle(struct weir_pool *pool, uint64_t *ret_next_ns)
{
    uint64_t next_ns = UINT64_MAX;
    uint32_t count = 0;
    while (pool->is_resident && weir__pool_has_clock(pool)) {
        enum weir_recycle_reason reason = WEIR_RECYCLE_NONE;
        uint64_t now_ns = weir_clock_ns();
        next_ns = UINT64_MAX;
        (void)pthread_mutex_lock(&pool->lock);
        struct weir_store *store = pop_over(pool, now_ns, &reason, &next_ns);
        (void)pthread_mutex_unlock(&pool->lock);
        if (store == NULL)
            break;
        weir__pool_close_idle(pool, store, reason);
        count++;
    }
    if (ret_next_ns != NULL)
        *ret_next_ns = next_ns;
    return count;
}

/* --- setting up ---------------------------------------------------------------------------- */

bool weir_pool_is_settled(const struct weir_instance *instance)
{
    return instance->store->is_settled;
}

enum weir_status weir_pool_settle(struct weir_pool *pool, struct weir_instance *instance,
                                  struct weir_error *error)
{
    struct weir_store *store = instance->store;
    WEIR_ASSERT(store->pooled == instance);
    bool has_handles = instance->handles != NULL && instance->handles->count != 0;
    (void)weir_store_reap(store);
    if (store->is_torn)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "a slot whose guest trapped or exited cannot be settled");
    if (!weir_store_is_idle(store) || weir_store_task_count(store) != 0 || has_handles)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "a slot cannot be settled while a call is active or parked, a task "
                              "runs or handles are left in its table");
    if (!pool->is_resident) {
        enum weir_status status = weir__instance_remember(instance, error);
        if (status != WEIR_OK) {
            instance->is_whole = false; /* nothing to reset to */
            return status;
        }
    }
    store->pool_extent = weir__store_extent(store);
    store->settled_calls = atomic_load_explicit(&store->calls, memory_order_relaxed);
    store->is_settled = true;
    return WEIR_OK;
}
