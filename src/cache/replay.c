/* See replay.h. Modules are numbered as they come, by a table that doubles; a use is a number. */
#include "cache/replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/use_trace.h"
#include "cache/cache_limits.h"
#include "cache/cache_sieve.h"
#include "cache/curve.h"

#define NONE UINT32_MAX

struct replayed {
    struct weir__sieve_node node; /* first */
    uint8_t id[32];
    uint64_t size;
    bool is_in, was_in;
    bool is_unknown; /* asked for its size, in vain */
};

struct weir_replay {
    struct replayed *modules;
    uint32_t module_count, module_capacity;
    uint32_t *table; /* numbers by hash; twice as many places as modules fit */
    uint32_t *uses;
    size_t use_count, use_capacity;
    struct weir__curve *curve;
    struct weir_replay_figures figures;
};

static enum weir_status no_memory(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the trace");
}

/* Of all 32 bytes, as what stands in a trace need not be a hash. */
static uint64_t hash_of(const uint8_t id[32])
{
    uint64_t parts[4];
    memcpy(parts, id, sizeof parts);
    uint64_t hash = parts[0] ^ parts[1] * UINT64_C(0x9e3779b97f4a7c15) ^
                    parts[2] * UINT64_C(0xbf58476d1ce4e5b9) ^
                    parts[3] * UINT64_C(0x94d049bb133111eb);
    hash = (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ hash >> 32;
}

static uint32_t *place_of(const struct weir_replay *replay, const uint8_t id[32])
{
    uint64_t mask = 2 * (uint64_t)replay->module_capacity - 1;
    uint64_t at = hash_of(id) & mask;
    while (replay->table[at] != NONE && memcmp(replay->modules[replay->table[at]].id, id, 32) != 0)
        at = (at + 1) & mask;
    return &replay->table[at];
}

static enum weir_status grow_modules(struct weir_replay *replay, struct weir_error *error)
{
    uint32_t larger = replay->module_capacity == 0 ? 256 : 2 * replay->module_capacity;
    struct replayed *modules = reallocarray(replay->modules, larger, sizeof *modules);
    if (modules == NULL)
        return no_memory(error);
    replay->modules = modules;
    uint32_t *table = reallocarray(replay->table, larger, 2 * sizeof *table);
    if (table == NULL)
        return no_memory(error);
    replay->table = table;
    replay->module_capacity = larger;
    memset(table, 0xff, (size_t)larger * 2 * sizeof *table);
    for (uint32_t i = 0; i < replay->module_count; i++)
        *place_of(replay, modules[i].id) = i;
    return WEIR_OK;
}

static enum weir_status number_module(struct weir_replay *replay, const uint8_t id[32],
                                      uint32_t *ret_number, struct weir_error *error)
{
    if (replay->module_count == replay->module_capacity) {
        enum weir_status status = grow_modules(replay, error);
        if (status != WEIR_OK)
            return status;
    }
    uint32_t *place = place_of(replay, id);
    if (*place == NONE) {
        struct replayed *module = &replay->modules[replay->module_count];
        *module = (struct replayed){.size = 0};
        memcpy(module->id, id, sizeof module->id);
        *place = replay->module_count++;
    }
    *ret_number = *place;
    return WEIR_OK;
}

static enum weir_status add_use(struct weir_replay *replay, uint32_t number,
                                struct weir_error *error)
{
    if (replay->use_count == WEIR_REPLAY_USES_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "the trace has more than %u uses; give a part of it",
                              WEIR_REPLAY_USES_MAX);
    if (replay->use_count == replay->use_capacity) {
        size_t larger = 2 * replay->use_capacity + 1024;
        uint32_t *uses = reallocarray(replay->uses, larger, sizeof *uses);
        if (uses == NULL)
            return no_memory(error);
        replay->uses = uses;
        replay->use_capacity = larger;
    }
    replay->uses[replay->use_count++] = number;
    return WEIR_OK;
}

/* A size that changes on the way counts as it was last; 1 TiB at most, so that sums fit. */
static void add_up(struct weir_replay *replay)
{
    struct weir_replay_figures *figures = &replay->figures;
    for (uint32_t i = 0; i < replay->module_count; i++) {
        uint64_t bytes = replay->modules[i].size;
        figures->modules += bytes > 0;
        figures->module_bytes += bytes;
        if (bytes > figures->largest_bytes)
            figures->largest_bytes = bytes;
    }
    for (size_t i = 0; i < replay->use_count; i++) {
        const struct replayed *module = &replay->modules[replay->uses[i]];
        figures->used_bytes += module->size;
        weir__curve_use(replay->curve, hash_of(module->id), module->size);
    }
    struct weir__curve_figures curve;
    weir__curve_figures(replay->curve, &curve);
    figures->uses = replay->use_count;
    figures->enough_bytes = curve.enough_bytes;
}

static enum weir_status read_uses(struct weir_replay *replay, const struct weir_replay_trace *trace,
                                  struct weir_error *error)
{
    struct weir_use_trace lines;
    weir_use_trace_open(trace->name, trace->bytes, trace->size, &lines);
    struct weir_use use;
    enum weir_status status;
    uint64_t first_ms = UINT64_MAX;
    while ((status = weir_use_trace_next(&lines, &use, error)) == WEIR_OK) {
        uint32_t number = 0;
        if ((status = number_module(replay, use.module, &number, error)) != WEIR_OK)
            return status;
        uint64_t bytes = use.bytes;
        if (bytes == 0)
            bytes = replay->modules[number].size;
        if (bytes == 0 && trace->size_of != NULL && !replay->modules[number].is_unknown)
            bytes = trace->size_of(trace->context, use.module);
        if (bytes == 0) {
            replay->modules[number].is_unknown = true;
            replay->figures.unknown_uses++;
            continue;
        }
        if ((status = add_use(replay, number, error)) != WEIR_OK)
            return status;
        replay->modules[number].size = bytes < WEIR_CACHE_BYTES_MAX ? bytes : WEIR_CACHE_BYTES_MAX;
        first_ms = first_ms < use.at_ms ? first_ms : use.at_ms;
        if (use.at_ms - first_ms > replay->figures.duration_ms)
            replay->figures.duration_ms = use.at_ms - first_ms;
    }
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

enum weir_status weir_replay_open(const struct weir_replay_trace *trace,
                                  struct weir_replay **ret_replay, struct weir_error *error)
{
    struct weir_replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL)
        return no_memory(error);
    enum weir_status status = weir__curve_new(weir_account_host(), &replay->curve, error);
    if (status == WEIR_OK)
        status = read_uses(replay, trace, error);
    if (status == WEIR_OK && replay->use_count == 0)
        status = weir_error_set(error, WEIR_INVALID, WEIR_NO_OFFSET,
                                "%.120s names no module of known size (%llu of unknown size)",
                                trace->name, (unsigned long long)replay->figures.unknown_uses);
    if (status != WEIR_OK) {
        weir_replay_free(replay);
        return status;
    }
    add_up(replay);
    *ret_replay = replay;
    return WEIR_OK;
}

void weir_replay_free(struct weir_replay *replay)
{
    if (replay == NULL)
        return;
    weir__curve_free(weir_account_host(), replay->curve);
    free(replay->modules);
    free(replay->table);
    free(replay->uses);
    free(replay);
}

void weir_replay_figures(const struct weir_replay *replay, struct weir_replay_figures *ret)
{
    *ret = replay->figures;
}

uint64_t weir_replay_size_for(const struct weir_replay *replay, double ratio)
{
    return weir__curve_size_for(replay->curve, ratio);
}

/* --- running ------------------------------------------------------------------------------- */

static bool never_busy(const struct weir__sieve_node *node)
{
    (void)node;
    return false;
}

static void load(struct weir__sieve *cache, struct replayed *module,
                 struct weir_replay_result *result)
{
    result->loads++;
    result->loaded_bytes += module->size;
    if (module->was_in) {
        result->reloads++;
        result->reloaded_bytes += module->size;
    }
    module->was_in = true;
    if (module->size > result->cache_bytes)
        return;
    while (cache->bytes > result->cache_bytes - module->size) {
        struct weir__sieve_node *victim = weir__sieve_victim(cache, never_busy);
        weir__sieve_remove(cache, victim);
        ((struct replayed *)(uintptr_t)victim)->is_in = false;
        result->evictions++;
    }
    module->node.bytes = module->size;
    weir__sieve_insert(cache, &module->node);
    module->is_in = true;
}

void weir_replay_run(struct weir_replay *replay, uint64_t cache_bytes,
                     struct weir_replay_result *ret)
{
    struct weir__sieve cache = {0};
    *ret = (struct weir_replay_result){.cache_bytes = cache_bytes};
    for (uint32_t i = 0; i < replay->module_count; i++)
        replay->modules[i].is_in = replay->modules[i].was_in = false;
    for (size_t i = 0; i < replay->use_count; i++) {
        struct replayed *module = &replay->modules[replay->uses[i]];
        if (module->is_in)
            module->node.is_marked = true;
        else
            load(&cache, module, ret);
    }
    ret->lru_reload_byte_ratio = weir__curve_at(replay->curve, cache_bytes).reload_byte_ratio;
}
