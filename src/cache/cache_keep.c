/* Tiers: where a module goes when it is loaded, what leaves for it, pinning, letting go. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/sizes.h"
#include "cache/cache_internal.h"

void weir__doomed_free(struct weir__doomed *doomed)
{
    while (doomed->first != NULL) {
        struct weir_module *module = doomed->first;
        doomed->first = weir_module_owner_of(module)->next;
        weir_module_unref(module);
    }
}

/* What the module takes: its mapping and its private part, as charged. */
static uint64_t bytes_of(const struct weir_module *module)
{
    struct weir_module_figures figures;
    weir_module_figures(module, &figures);
    return figures.artifact_bytes + figures.private_bytes;
}

/* Somebody outside the cache holds a reference. Nobody can get the first one meanwhile: they are
 * handed out under the mutex. */
static bool is_busy(const struct weir__sieve_node *node)
{
    return weir_module_use_count(weir__record_of(node)->module) > 1;
}

static struct weir__sieve *tier_of(struct weir_cache *cache, enum weir_cache_place place)
{
    return place == WEIR_CACHE_AT_PINNED ? &cache->pinned : &cache->memory;
}

/* --- moves between places ------------------------------------------------------------------ */

static void enter(struct weir_cache *cache, struct weir__record *record,
                  enum weir_cache_place place)
{
    record->place = place;
    record->since_ms = weir_clock_ms();
    if (place == WEIR_CACHE_AT_LENT) {
        cache->lent_bytes += record->node.bytes;
        cache->lent_modules++;
    } else {
        weir__sieve_insert(tier_of(cache, place), &record->node);
    }
}

static void leave(struct weir_cache *cache, struct weir__record *record)
{
    if (record->place == WEIR_CACHE_AT_LENT) {
        cache->lent_bytes -= record->node.bytes;
        cache->lent_modules--;
    } else {
        weir__sieve_remove(tier_of(cache, record->place), &record->node);
    }
}

/* The cache's reference goes; who uses the module keeps it. */
static void let_go(struct weir_cache *cache, struct weir__record *record,
                   enum weir_cache_cause cause, struct weir__doomed *doomed)
{
    struct weir_module *module = record->module;
    leave(cache, record);
    record->cause = cause;
    record->evictions++;
    if (weir_module_unref_shared(module)) {
        enter(cache, record, WEIR_CACHE_AT_LENT);
        return;
    }
    record->module = NULL;
    record->since_ms = weir_clock_ms();
    weir__record_gone(cache, record);
    weir_module_owner_of(module)->next = doomed->first;
    doomed->first = module;
}

/* The last reference of a module from here went, in whatever thread. */
static void module_unused(void *context, struct weir_module *module)
{
    struct weir__record *record = context;
    struct weir_cache *cache = record->cache;
    (void)pthread_mutex_lock(&cache->lock);
    if (record->module == module) {
        leave(cache, record);
        record->module = NULL;
        record->since_ms = weir_clock_ms();
        if (record->flight == NULL)
            weir__record_gone(cache, record);
        else
            record->place = WEIR_CACHE_AT_NONE;
    }
    weir__cache_unref_locked(cache);
}

static void evict(struct weir_cache *cache, struct weir__record *record,
                  enum weir_cache_cause cause, struct weir__doomed *doomed)
{
    cache->figures.tiers[WEIR_CACHE_MEMORY].evictions++;
    cache->figures.tiers[WEIR_CACHE_MEMORY].evicted_bytes += record->node.bytes;
    let_go(cache, record, cause, doomed);
}

/* Room in the memory tier, or nothing at all is evicted. */
static bool make_room(struct weir_cache *cache, uint64_t bytes, struct weir__doomed *doomed)
{
    uint64_t most = cache->config.memory_bytes_max;
    if (bytes > most)
        return false;
    uint64_t over = cache->memory.bytes > most - bytes ? cache->memory.bytes - (most - bytes) : 0;
    if (!weir__sieve_can_give(&cache->memory, over, is_busy))
        return false;
    while (cache->memory.bytes > most - bytes) {
        struct weir__sieve_node *victim = weir__sieve_victim(&cache->memory, is_busy);
        if (victim == NULL)
            return false; /* somebody took the last idle one after it was counted */
        evict(cache, weir__record_of(victim), WEIR_CACHE_CAUSE_EVICTED, doomed);
    }
    return true;
}

static bool fits_pinned(const struct weir_cache *cache, uint64_t bytes)
{
    return bytes <= cache->config.pinned_bytes_max &&
           cache->pinned.bytes <= cache->config.pinned_bytes_max - bytes;
}

/* The tier in memory that a module of this record can have now; LENT when none. */
static enum weir_cache_place choose(struct weir_cache *cache, struct weir__record *record,
                                    bool is_pinned, struct weir__doomed *doomed)
{
    uint64_t bytes = record->node.bytes;
    if (is_pinned && fits_pinned(cache, bytes))
        return WEIR_CACHE_AT_PINNED;
    cache->figures.pins_refused += is_pinned;
    if (make_room(cache, bytes, doomed))
        return WEIR_CACHE_AT_MEMORY;
    bool is_oversize = bytes > cache->config.memory_bytes_max;
    record->cause = is_oversize ? WEIR_CACHE_CAUSE_OVERSIZE : WEIR_CACHE_CAUSE_CROWDED;
    cache->figures.oversize += is_oversize;
    cache->figures.crowded += !is_oversize;
    return WEIR_CACHE_AT_LENT;
}

void weir__cache_place(struct weir_cache *cache, struct weir__record *record,
                       struct weir_module *module, bool is_pinned, struct weir__doomed *doomed)
{
    if (record->module != NULL) /* a lent one on its way out, which will find itself replaced */
        leave(cache, record);
    record->module = module;
    record->node.bytes = bytes_of(module);
    struct weir_module_owner *owner = weir_module_owner_of(module);
    owner->unused = module_unused;
    owner->context = record;
    cache->refs++;
    enum weir_cache_place place = choose(cache, record, is_pinned, doomed);
    enter(cache, record, place);
    if (place == WEIR_CACHE_AT_LENT) {
        bool is_left = weir_module_unref_shared(module);
        WEIR_ASSERT(is_left);
    }
}

void weir__cache_keep_lent(struct weir_cache *cache, struct weir__record *record,
                           struct weir__doomed *doomed)
{
    if (!make_room(cache, record->node.bytes, doomed))
        return;
    (void)weir_module_ref(record->module);
    leave(cache, record);
    enter(cache, record, WEIR_CACHE_AT_MEMORY);
}

/* --- pinning ------------------------------------------------------------------------------- */

static enum weir_status refuse_pin(struct weir_cache *cache, const struct weir__record *record,
                                   struct weir_error *error)
{
    cache->figures.pins_refused++;
    return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                          "\"%.48s\" takes %s; the pinned tier holds %s of %s: unpin something or "
                          "raise its limit",
                          record->name, weir_size_format(record->node.bytes).text,
                          weir_size_format(cache->pinned.bytes).text,
                          weir_size_format(cache->config.pinned_bytes_max).text);
}

/* The caller holds a reference, so the record's module stays. */
static enum weir_status pin_loaded(struct weir_cache *cache, struct weir__record *record,
                                   struct weir_error *error)
{
    if (record->place == WEIR_CACHE_AT_PINNED)
        return WEIR_OK;
    if (!fits_pinned(cache, record->node.bytes))
        return refuse_pin(cache, record, error);
    if (record->place == WEIR_CACHE_AT_LENT)
        (void)weir_module_ref(record->module);
    leave(cache, record);
    enter(cache, record, WEIR_CACHE_AT_PINNED);
    return WEIR_OK;
}

enum weir_status weir_cache_pin(struct weir_cache *cache, const struct weir_cache_request *request,
                                struct weir_error *error)
{
    struct weir_module *module = NULL;
    enum weir_status status = weir_cache_get(cache, request, &module, error);
    if (status != WEIR_OK)
        return status;
    struct weir_hash id = {{0}};
    (void)pthread_mutex_lock(&cache->lock);
    struct weir__record *record = weir_module_owner_of(module)->context;
    if (record == NULL || record->module != module) {
        status = weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                                "all %u modules that the cache can remember are in use",
                                cache->record_count);
    } else {
        id = record->id;
        status = pin_loaded(cache, record, error);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    weir_module_unref(module);
    if (status == WEIR_OK && cache->dir != NULL)
        status = weir_artifact_dir_pin(cache->dir, &id, true, error);
    return status;
}

static struct weir_hash hash_of(const struct weir_module_id *id)
{
    struct weir_hash hash;
    memcpy(hash.bytes, id->sha256, sizeof hash.bytes);
    return hash;
}

/* Calls `move` for each record of the module that is kept; true when there was one. */
static bool each_of_module(struct weir_cache *cache, const struct weir_module_id *id,
                           bool (*move)(struct weir_cache *cache, struct weir__record *record,
                                        struct weir__doomed *doomed))
{
    const struct weir_hash hash = hash_of(id);
    struct weir__doomed doomed = {NULL};
    bool was_moved = false;
    (void)pthread_mutex_lock(&cache->lock);
    for (struct weir__record *record = weir__record_next(cache, &hash, NULL); record != NULL;
         record = weir__record_next(cache, &hash, record))
        if (record->module != NULL)
            was_moved |= move(cache, record, &doomed);
    (void)pthread_mutex_unlock(&cache->lock);
    weir__doomed_free(&doomed);
    return was_moved;
}

static bool demote(struct weir_cache *cache, struct weir__record *record,
                   struct weir__doomed *doomed)
{
    if (record->place != WEIR_CACHE_AT_PINNED)
        return false;
    if (make_room(cache, record->node.bytes, doomed)) {
        leave(cache, record);
        enter(cache, record, WEIR_CACHE_AT_MEMORY);
    } else {
        let_go(cache, record, WEIR_CACHE_CAUSE_UNPINNED, doomed);
    }
    return true;
}

enum weir_status weir_cache_unpin(struct weir_cache *cache, const struct weir_module_id *id,
                                  struct weir_error *error)
{
    const struct weir_hash hash = hash_of(id);
    bool was_pinned = false;
    if (cache->dir != NULL && weir_artifact_dir_is_pinned(cache->dir, &hash)) {
        enum weir_status status = weir_artifact_dir_pin(cache->dir, &hash, false, error);
        if (status != WEIR_OK)
            return status;
        was_pinned = true;
    }
    was_pinned |= each_of_module(cache, id, demote);
    return was_pinned
               ? WEIR_OK
               : weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "this module is not pinned");
}

struct warming {
    struct weir_cache *cache;
    struct weir_engine *engine;
    uint32_t count;
};

static bool warm_one(void *context, const struct weir_hash *module)
{
    struct warming *warming = context;
    struct weir_module_id id;
    memcpy(id.sha256, module->bytes, sizeof id.sha256);
    const struct weir_cache_request request = {.engine = warming->engine, .id = &id};
    warming->count += weir_cache_pin(warming->cache, &request, NULL) == WEIR_OK;
    return true;
}

uint32_t weir_cache_warm(struct weir_cache *cache, struct weir_engine *engine)
{
    struct warming warming = {cache, engine, 0};
    if (cache->dir != NULL)
        weir_artifact_dir_walk_pins(cache->dir, warm_one, &warming);
    return warming.count;
}

/* --- letting go ---------------------------------------------------------------------------- */

static bool drop(struct weir_cache *cache, struct weir__record *record, struct weir__doomed *doomed)
{
    if (record->place == WEIR_CACHE_AT_MEMORY)
        evict(cache, record, WEIR_CACHE_CAUSE_DROPPED, doomed);
    else if (record->place == WEIR_CACHE_AT_PINNED)
        let_go(cache, record, WEIR_CACHE_CAUSE_DROPPED, doomed);
    else
        return false;
    return true;
}

enum weir_status weir_cache_drop(struct weir_cache *cache, const struct weir_module_id *id,
                                 struct weir_error *error)
{
    return each_of_module(cache, id, drop)
               ? WEIR_OK
               : weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "this module is not kept");
}

uint64_t weir_cache_shrink(struct weir_cache *cache, uint64_t wanted_bytes)
{
    struct weir__doomed doomed = {NULL};
    uint64_t given = 0;
    (void)pthread_mutex_lock(&cache->lock);
    while (given < wanted_bytes) {
        struct weir__sieve_node *victim = weir__sieve_victim(&cache->memory, is_busy);
        if (victim == NULL)
            break;
        given += victim->bytes;
        evict(cache, weir__record_of(victim), WEIR_CACHE_CAUSE_PRESSURE, &doomed);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    weir__doomed_free(&doomed);
    return given;
}

void weir__cache_empty(struct weir_cache *cache)
{
    struct weir__doomed doomed = {NULL};
    (void)pthread_mutex_lock(&cache->lock);
    for (uint32_t i = 0; i < cache->used_count; i++) {
        struct weir__record *record = &cache->records[i];
        if (record->place == WEIR_CACHE_AT_MEMORY || record->place == WEIR_CACHE_AT_PINNED)
            let_go(cache, record, WEIR_CACHE_CAUSE_DROPPED, &doomed);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    weir__doomed_free(&doomed);
}
