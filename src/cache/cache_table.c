/* Records by key: a table of fixed size, whose oldest history makes room for what is new. */
#include <string.h>

#include "cache/cache_internal.h"

static uint32_t *chain_of(struct weir_cache *cache, const struct weir_hash *key)
{
    uint32_t hash;
    memcpy(&hash, key->bytes + 8, sizeof hash); /* the curve uses the first eight bytes */
    return &cache->chains[hash & (cache->chain_count - 1)];
}

struct weir__record *weir__record_find(struct weir_cache *cache, const struct weir_hash *key,
                                       const struct weir_engine *engine)
{
    uint32_t index = *chain_of(cache, key);
    while (index != WEIR__RECORD_NONE) {
        struct weir__record *record = &cache->records[index];
        if (record->engine == engine && memcmp(&record->key, key, sizeof *key) == 0)
            return record;
        index = record->next_in_chain;
    }
    return NULL;
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
    uint32_t *link = chain_of(cache, &record->key);
    while (*link != index)
        link = &cache->records[*link].next_in_chain;
    *link = record->next_in_chain;
}

struct weir__record *weir__record_add(struct weir_cache *cache, const struct weir_hash *key,
                                      const struct weir_hash *id, struct weir_engine *engine)
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
    uint32_t *chain = chain_of(cache, key);
    *record = (struct weir__record){
        .key = *key, .id = *id, .engine = engine, .cache = cache, .next_in_chain = *chain};
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
