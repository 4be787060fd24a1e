/* Records by key: a table of fixed size, whose oldest history makes room for what is new. */
#include <string.h>

#include "cache/cache_internal.h"

static uint32_t *chain_of(struct weir_cache *cache, const struct weir_hash *id)
{
    uint32_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    return &cache->chains[hash & (cache->chain_count - 1)];
}

struct weir__record *weir__record_next(struct weir_cache *cache, const struct weir_hash *id,
                                       const struct weir__record *after)
{
    uint32_t index = after == NULL ? *chain_of(cache, id) : after->next_in_chain;
    while (index != WEIR__RECORD_NONE && memcmp(&cache->records[index].id, id, sizeof *id) != 0)
        index = cache->records[index].next_in_chain;
    return index != WEIR__RECORD_NONE ? &cache->records[index] : NULL;
}

struct weir__record *weir__record_find(struct weir_cache *cache, const struct weir_hash *id,
                                       const struct weir_engine *engine)
{
    struct weir__record *record = weir__record_next(cache, id, NULL);
    while (record != NULL && record->engine != engine)
        record = weir__record_next(cache, id, record);
    return record;
}

static uint32_t index_of(const struct weir_cache *cache, const struct weir__record *record)
{
    return (uint32_t)(record - cache->records);
}

void weir__record_gone(struct weir_cache *cache, struct weir__record *record)
{
    uint32_t index = index_of(cache, record);
    record->place = WEIR_CACHE_AT_NONE;
    record->next_gone = WEIR__RECORD_NONE;
    record->previous_gone = cache->last_gone;
    if (cache->last_gone != WEIR__RECORD_NONE)
        cache->records[cache->last_gone].next_gone = index;
    else
        cache->first_gone = index;
    cache->last_gone = index;
}

void weir__record_back(struct weir_cache *cache, struct weir__record *record)
{
    if (record->previous_gone != WEIR__RECORD_NONE)
        cache->records[record->previous_gone].next_gone = record->next_gone;
    else
        cache->first_gone = record->next_gone;
    if (record->next_gone != WEIR__RECORD_NONE)
        cache->records[record->next_gone].previous_gone = record->previous_gone;
    else
        cache->last_gone = record->previous_gone;
}

static void forget(struct weir_cache *cache, struct weir__record *record)
{
    uint32_t index = index_of(cache, record);
    uint32_t *link = chain_of(cache, &record->id);
    while (*link != index)
        link = &cache->records[*link].next_in_chain;
    *link = record->next_in_chain;
}

struct weir__record *weir__record_add(struct weir_cache *cache, const struct weir_hash *id,
                                      struct weir_engine *engine)
{
    struct weir__record *record;
    if (cache->used_count < cache->record_count) {
        record = &cache->records[cache->used_count++];
    } else if (cache->first_gone != WEIR__RECORD_NONE) {
        record = &cache->records[cache->first_gone];
        weir__record_back(cache, record);
        forget(cache, record);
    } else {
        return NULL;
    }
    uint32_t *chain = chain_of(cache, id);
    *record =
        (struct weir__record){.id = *id, .engine = engine, .cache = cache, .next_in_chain = *chain};
    *chain = index_of(cache, record);
    weir__record_gone(cache, record);
    return record;
}

struct weir_module *weir__record_take(struct weir__record *record)
{
    if (record->module == NULL || !weir_module_try_ref(record->module))
        return NULL;
    return record->module;
}

/* --- for tests ----------------------------------------------------------------------------- */

static void check_record(const struct weir__record *record, struct weir_cache_figures *sums)
{
    if (record->place == WEIR_CACHE_AT_NONE) {
        WEIR_ASSERT(record->module == NULL);
        return;
    }
    uint32_t users = weir_module_use_count(record->module);
    WEIR_ASSERT(weir_module_owner_of(record->module)->context == record);
    if (record->place == WEIR_CACHE_AT_LENT) {
        sums->lent_modules++;
        sums->lent_bytes += record->node.bytes;
        return;
    }
    WEIR_ASSERT(users >= 1);
    enum weir_cache_tier tier =
        record->place == WEIR_CACHE_AT_PINNED ? WEIR_CACHE_PINNED : WEIR_CACHE_MEMORY;
    sums->tiers[tier].modules++;
    sums->tiers[tier].used_bytes += record->node.bytes;
}

static uint32_t count_gone(const struct weir_cache *cache)
{
    uint32_t count = 0, previous = WEIR__RECORD_NONE;
    for (uint32_t at = cache->first_gone; at != WEIR__RECORD_NONE;
         at = cache->records[at].next_gone) {
        const struct weir__record *record = &cache->records[at];
        WEIR_ASSERT(record->place == WEIR_CACHE_AT_NONE && record->flight == NULL);
        WEIR_ASSERT(record->previous_gone == previous);
        previous = at;
        count++;
    }
    WEIR_ASSERT(cache->last_gone == previous);
    return count;
}

void weir__cache_check(struct weir_cache *cache)
{
    struct weir_cache_figures sums = {0};
    uint32_t gone = 0;
    (void)pthread_mutex_lock(&cache->lock);
    for (uint32_t i = 0; i < cache->used_count; i++) {
        const struct weir__record *record = &cache->records[i];
        check_record(record, &sums);
        gone += record->place == WEIR_CACHE_AT_NONE && record->flight == NULL;
        WEIR_ASSERT(weir__record_find(cache, &record->id, record->engine) == record);
    }
    WEIR_ASSERT(gone == count_gone(cache));
    weir__sieve_check(&cache->memory);
    weir__sieve_check(&cache->pinned);
    WEIR_ASSERT(cache->memory.bytes == sums.tiers[WEIR_CACHE_MEMORY].used_bytes);
    WEIR_ASSERT(cache->memory.count == sums.tiers[WEIR_CACHE_MEMORY].modules);
    WEIR_ASSERT(cache->memory.bytes <= cache->config.memory_bytes_max);
    WEIR_ASSERT(cache->pinned.bytes == sums.tiers[WEIR_CACHE_PINNED].used_bytes);
    WEIR_ASSERT(cache->pinned.bytes <= cache->config.pinned_bytes_max);
    WEIR_ASSERT(cache->lent_bytes == sums.lent_bytes);
    WEIR_ASSERT(cache->lent_modules == sums.lent_modules);
    (void)pthread_mutex_unlock(&cache->lock);
}
