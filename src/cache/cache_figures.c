/* What the cache tells: counters, one entry per module with its reasons, advice on the size. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/sizes.h"
#include "cache/cache_internal.h"

const char *weir_cache_tier_name(enum weir_cache_tier tier)
{
    static const char *const names[] = {"pinned", "memory", "disk"};
    return tier < WEIR_CACHE_TIER_COUNT ? names[tier] : "unknown";
}

static const struct {
    const char *name, *text;
} causes[] = {
#define WEIR_CACHE_CAUSE(id, name, text) {name, text},
#include <weir/cache_causes.def>
#undef WEIR_CACHE_CAUSE
};

const char *weir_cache_cause_name(enum weir_cache_cause cause)
{
    return cause < WEIR_CACHE_CAUSE_COUNT ? causes[cause].name : "unknown";
}

const char *weir_cache_cause_text(enum weir_cache_cause cause)
{
    return cause < WEIR_CACHE_CAUSE_COUNT ? causes[cause].text : "for an unknown reason";
}

void weir_cache_figures(struct weir_cache *cache, struct weir_cache_figures *ret)
{
    struct weir_artifact_dir_counts disk = {0};
    if (cache->dir != NULL)
        weir_artifact_dir_read(cache->dir, &disk);
    (void)pthread_mutex_lock(&cache->lock);
    *ret = cache->figures;
    struct weir_cache_tier_figures *tiers = ret->tiers;
    tiers[WEIR_CACHE_PINNED].limit_bytes = cache->config.pinned_bytes_max;
    tiers[WEIR_CACHE_PINNED].used_bytes = cache->pinned.bytes;
    tiers[WEIR_CACHE_PINNED].modules = cache->pinned.count;
    tiers[WEIR_CACHE_MEMORY].limit_bytes = cache->config.memory_bytes_max;
    tiers[WEIR_CACHE_MEMORY].used_bytes = cache->memory.bytes;
    tiers[WEIR_CACHE_MEMORY].modules = cache->memory.count;
    ret->lent_bytes = cache->lent_bytes;
    ret->lent_modules = cache->lent_modules;
    ret->remembered = cache->used_count;
    (void)pthread_mutex_unlock(&cache->lock);
    tiers[WEIR_CACHE_DISK].limit_bytes = cache->dir != NULL ? cache->config.disk_bytes_max : 0;
    tiers[WEIR_CACHE_DISK].used_bytes = disk.bytes;
    tiers[WEIR_CACHE_DISK].evictions = disk.removed;
    tiers[WEIR_CACHE_DISK].evicted_bytes = disk.removed_bytes;
}

/* --- entries ------------------------------------------------------------------------------- */

/* Under the mutex; a loaded module's figures are read outside, by the reference that is taken. */
static struct weir_module *snapshot(const struct weir__record *record, uint64_t now_ms,
                                    struct weir_cache_entry *ret)
{
    *ret = (struct weir_cache_entry){.place = record->place,
                                     .cause = record->cause,
                                     .bytes = record->node.bytes,
                                     .hits = record->hits,
                                     .loads = record->loads,
                                     .compiles = record->compiles,
                                     .evictions = record->evictions,
                                     .load_ns_sum = record->load_ns_sum,
                                     .load_ns_last = record->load_ns_last,
                                     .since_ms = now_ms - record->since_ms,
                                     .used_ms = now_ms - record->used_ms,
                                     .was_used = record->node.is_marked};
    memcpy(ret->id.sha256, record->id.bytes, sizeof ret->id.sha256);
    memcpy(ret->key.sha256, record->key.bytes, sizeof ret->key.sha256);
    memcpy(ret->misses, record->misses, sizeof ret->misses);
    memcpy(ret->name, record->name, sizeof ret->name);
    struct weir_module *module = record->module;
    if (module == NULL)
        return NULL;
    uint32_t users = weir_module_use_count(module);
    bool is_kept = record->place != WEIR_CACHE_AT_LENT;
    ret->users = users > is_kept ? users - is_kept : 0;
    return weir_module_try_ref(module) ? module : NULL;
}

static void read_module(struct weir_module *module, struct weir_cache_entry *entry)
{
    struct weir_module_residency residency = {0};
    struct weir_module_figures figures;
    weir_module_figures(module, &figures);
    entry->private_bytes = figures.private_bytes;
    if (weir_module_residency(module, &residency, NULL) != WEIR_OK)
        return;
    entry->mapped_bytes = residency.mapped_bytes;
    entry->resident_bytes = residency.resident_bytes;
    entry->private_bytes += residency.copied_bytes;
}

void weir_cache_walk(struct weir_cache *cache,
                     bool (*visit)(void *context, const struct weir_cache_entry *entry),
                     void *context)
{
    uint64_t now_ms = weir_clock_ms();
    bool goes_on = true;
    for (uint32_t i = 0; goes_on; i++) {
        struct weir_cache_entry entry;
        struct weir_module *module = NULL;
        (void)pthread_mutex_lock(&cache->lock);
        bool is_end = i >= cache->used_count;
        if (!is_end)
            module = snapshot(&cache->records[i], now_ms, &entry);
        (void)pthread_mutex_unlock(&cache->lock);
        if (is_end)
            return;
        if (module != NULL)
            read_module(module, &entry);
        weir_module_unref(module);
        goes_on = visit(context, &entry);
    }
}

static uint64_t ms_to_ns(uint64_t ms)
{
    return ms < UINT64_MAX / 1000000 ? ms * 1000000 : UINT64_MAX;
}

void weir_cache_explain(const struct weir_cache_entry *entry, char *text, size_t text_size)
{
    struct weir_size_text age = weir_duration_format(ms_to_ns(entry->since_ms));
    struct weir_size_text used = weir_duration_format(ms_to_ns(entry->used_ms));
    const char *since = age.text;
    switch (entry->place) {
    case WEIR_CACHE_AT_PINNED:
        (void)snprintf(text, text_size, "pinned %s ago; last used %s ago", since, used.text);
        return;
    case WEIR_CACHE_AT_MEMORY:
        (void)snprintf(text, text_size, "in memory for %s, loaded because %s; %s", since,
                       weir_cache_cause_text(entry->cause),
                       entry->users > 0 ? "in use, so it stays"
                       : entry->was_used
                           ? "used since the hand passed, so the next pass spares it"
                           : "not used since the hand passed, so the next pass may take it");
        return;
    case WEIR_CACHE_AT_LENT:
        (void)snprintf(text, text_size, "in use by %u for %s, kept nowhere: %s", entry->users,
                       since, weir_cache_cause_text(entry->cause));
        return;
    default:
        (void)snprintf(text, text_size, "not loaded for %s: %s", since,
                       weir_cache_cause_text(entry->cause));
    }
}

/* --- another size -------------------------------------------------------------------------- */

static void fill_point(const struct weir_cache *cache, struct weir_cache_point *point)
{
    struct weir__curve_point at = weir__curve_at(cache->curve, point->cache_bytes);
    point->reload_ratio = at.reload_ratio;
    point->reload_byte_ratio = at.reload_byte_ratio;
    point->error = at.error;
}

void weir_cache_curve(struct weir_cache *cache, struct weir_cache_point *points, size_t count)
{
    (void)pthread_mutex_lock(&cache->lock);
    weir__curve_age(cache->curve, weir_clock_ms());
    for (size_t i = 0; i < count; i++)
        fill_point(cache, &points[i]);
    (void)pthread_mutex_unlock(&cache->lock);
}

void weir_cache_advise(struct weir_cache *cache, struct weir_cache_advice *ret)
{
    static const double ratios[WEIR_CACHE_ADVICE_POINTS] = {0.5,  0.25, 0.1,   0.05,
                                                            0.02, 0.01, 0.005, 0};
    struct weir_cache_advice advice = {0};
    struct weir__curve_figures figures;
    (void)pthread_mutex_lock(&cache->lock);
    weir__curve_age(cache->curve, weir_clock_ms());
    weir__curve_figures(cache->curve, &figures);
    advice.now.cache_bytes = cache->config.memory_bytes_max;
    fill_point(cache, &advice.now);
    uint64_t last = 0;
    for (size_t i = 0; i < WEIR_CACHE_ADVICE_POINTS; i++) {
        uint64_t bytes = weir__curve_size_for(cache->curve, ratios[i]);
        if (bytes <= last)
            continue;
        struct weir_cache_point *point = &advice.points[advice.point_count++];
        point->cache_bytes = last = bytes;
        fill_point(cache, point);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    advice.uses = figures.uses;
    advice.used_bytes = figures.bytes;
    advice.first_byte_ratio = figures.bytes > 0 ? figures.first_bytes / figures.bytes : 0;
    advice.modules = figures.keys;
    advice.sampling_rate = figures.rate;
    *ret = advice;
}

void weir_cache_advice_text(const struct weir_cache_advice *advice, char *text, size_t text_size)
{
    size_t used = 0;
    if (advice->point_count == 0) {
        (void)snprintf(text, text_size, "nothing was used twice: no cache avoids a load");
        return;
    }
    for (size_t i = 0; i < advice->point_count && used < text_size; i++) {
        const struct weir_cache_point *point = &advice->points[i];
        struct weir_size_text bytes = weir_size_format(point->cache_bytes);
        const char *size = bytes.text;
        int length =
            i + 1 == advice->point_count
                ? snprintf(text + used, text_size - used, "%s and more: nothing", size)
                : snprintf(text + used, text_size - used, "%s: %.1f %%%s; ", size,
                           100 * point->reload_byte_ratio, i == 0 ? " of bytes loaded again" : "");
        used += length > 0 ? (size_t)length : 0;
    }
}
