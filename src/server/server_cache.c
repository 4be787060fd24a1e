/* The host's module cache: opened by the configuration, and told on /metrics and
 * GET /v1/cache. Routes hold the modules they use; beside them the memory tier keeps what earlier
 * configurations used, until something else needs the room. */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json_number.h"
#include "observe/metrics.h"
#include "server/server_internal.h"
#include "server/server_plan.h"

/* --- opening ------------------------------------------------------------------------------- */

enum weir_status weir__server_cache_open(struct weir_server *server, struct weir_error *error)
{
    const struct weir_cache_config config = weir__server_cache_config(server->config);
    const char *trace = server->config->module_cache.trace;
    enum weir_status status = weir_cache_new(&config, &server->cache, error);
    if (status != WEIR_OK || trace == NULL)
        return status;
    AUTO_CLOSE fd = open(trace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "cannot write module_cache.trace %s",
                                    trace);
    return weir_cache_record(server->cache, fd, error);
}

void weir__server_cache_close(struct weir_server *server)
{
    static const struct weir_server_event FAILED = {.level = WEIR_LOG_ERROR, .name = "trace"};
    struct weir_error error = {0};
    if (server->cache != NULL && weir_cache_record(server->cache, -1, &error) != WEIR_OK)
        weir_server_log(server, &FAILED, "module_cache.trace: %s", error.message);
    weir_error_done(&error);
    weir_cache_free(server->cache);
    server->cache = NULL;
}

/* --- metrics ------------------------------------------------------------------------------- */

static void add_value(struct weir_metrics *metrics, enum weir_metric metric, const char *label,
                      const char *text, uint64_t value)
{
    const struct weir_metrics_label labels[] = {{label, text}, {NULL, NULL}};
    weir_metrics_value(metrics, metric, labels, value);
}

static void add_tiers(struct weir_metrics *metrics, const struct weir_cache_figures *figures)
{
    static const enum weir_metric METRICS[] = {
        WEIR_METRIC_CACHE_LIMIT, WEIR_METRIC_CACHE_BYTES,     WEIR_METRIC_CACHE_MODULES,
        WEIR_METRIC_CACHE_HITS,  WEIR_METRIC_CACHE_EVICTIONS, WEIR_METRIC_CACHE_EVICTED};
    for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++) {
        weir_metrics_family(metrics, METRICS[i]);
        for (int tier = 0; tier < WEIR_CACHE_TIER_COUNT; tier++) {
            const struct weir_cache_tier_figures *at = &figures->tiers[tier];
            const uint64_t values[] = {at->limit_bytes, at->used_bytes, at->modules,
                                       at->hits,        at->evictions,  at->evicted_bytes};
            if (tier == WEIR_CACHE_DISK && METRICS[i] == WEIR_METRIC_CACHE_MODULES)
                continue; /* only a walk through the directory would tell */
            add_value(metrics, METRICS[i], "tier", weir_cache_tier_name((enum weir_cache_tier)tier),
                      values[i]);
        }
        if (METRICS[i] == WEIR_METRIC_CACHE_BYTES)
            add_value(metrics, METRICS[i], "tier", "lent", figures->lent_bytes);
        if (METRICS[i] == WEIR_METRIC_CACHE_MODULES)
            add_value(metrics, METRICS[i], "tier", "lent", figures->lent_modules);
        if (METRICS[i] == WEIR_METRIC_CACHE_HITS)
            add_value(metrics, METRICS[i], "tier", "lent", figures->lent_hits);
    }
}

static void add_misses(struct weir_metrics *metrics, const struct weir_cache_figures *figures)
{
    weir_metrics_family(metrics, WEIR_METRIC_CACHE_MISSES);
    for (int i = 0; i < WEIR_CACHE_CAUSE_COUNT; i++)
        add_value(metrics, WEIR_METRIC_CACHE_MISSES, "cause",
                  weir_cache_cause_name((enum weir_cache_cause)i), figures->misses[i]);
    weir_metrics_family(metrics, WEIR_METRIC_CACHE_DISK_MISSES);
    add_value(metrics, WEIR_METRIC_CACHE_DISK_MISSES, "cause", "absent", figures->disk_absent);
    add_value(metrics, WEIR_METRIC_CACHE_DISK_MISSES, "cause", "quarantined",
              figures->disk_quarantined);
    add_value(metrics, WEIR_METRIC_CACHE_DISK_MISSES, "cause", "unreadable",
              figures->disk_unreadable);
    weir_metrics_family(metrics, WEIR_METRIC_CACHE_UNCACHED);
    add_value(metrics, WEIR_METRIC_CACHE_UNCACHED, "cause", "oversize", figures->oversize);
    add_value(metrics, WEIR_METRIC_CACHE_UNCACHED, "cause", "crowded", figures->crowded);
}

static void add_loads(struct weir_metrics *metrics, const struct weir_cache_figures *figures)
{
    static const struct weir_metrics_label DISK[] = {{"from", "disk"}, {NULL, NULL}};
    static const struct weir_metrics_label COMPILER[] = {{"from", "compiler"}, {NULL, NULL}};
    const struct weir_cache_tier_figures *disk = &figures->tiers[WEIR_CACHE_DISK];
    weir_metrics_family(metrics, WEIR_METRIC_CACHE_LOADS);
    weir_metrics_value(metrics, WEIR_METRIC_CACHE_LOADS, DISK, disk->hits);
    weir_metrics_value(metrics, WEIR_METRIC_CACHE_LOADS, COMPILER, figures->compiled);
    weir_metrics_family(metrics, WEIR_METRIC_CACHE_LOAD_SECONDS);
    weir_metrics_real(metrics, WEIR_METRIC_CACHE_LOAD_SECONDS, DISK,
                      (double)disk->load_ns_sum / 1e9);
    weir_metrics_real(metrics, WEIR_METRIC_CACHE_LOAD_SECONDS, COMPILER,
                      (double)figures->compile_ns_sum / 1e9);
    weir_metrics_single(metrics, WEIR_METRIC_CACHE_WAITED, figures->waited);
    weir_metrics_single(metrics, WEIR_METRIC_CACHE_FAILURES, figures->failures);
}

/* What an LRU of each size would load again: up to WEIR_CACHE_ADVICE_POINTS sizes, and ours. */
static void add_curve(struct weir_metrics *metrics, const struct weir_cache_advice *advice)
{
    weir_metrics_family(metrics, WEIR_METRIC_CACHE_RELOAD_RATIO);
    for (size_t i = 0; i <= advice->point_count; i++) {
        const struct weir_cache_point *point =
            i < advice->point_count ? &advice->points[i] : &advice->now;
        char bytes[24];
        (void)snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)point->cache_bytes);
        const struct weir_metrics_label labels[] = {{"cache_bytes", bytes}, {NULL, NULL}};
        weir_metrics_real(metrics, WEIR_METRIC_CACHE_RELOAD_RATIO, labels,
                          point->reload_byte_ratio);
    }
}

/* Per module, those that are loaded; what does not fit the page is summed up as "other". */
struct rows {
    struct weir_cache_entry list[WEIR_SERVER_CACHE_ROWS];
    size_t count;
    struct weir_cache_entry other;
    bool has_other;
};

static bool add_row(void *context, const struct weir_cache_entry *entry)
{
    struct rows *rows = context;
    if (entry->place == WEIR_CACHE_AT_NONE)
        return true;
    if (rows->count < WEIR_SERVER_CACHE_ROWS) {
        rows->list[rows->count++] = *entry;
        return true;
    }
    rows->has_other = true;
    rows->other.hits += entry->hits;
    rows->other.loads += entry->loads;
    rows->other.mapped_bytes += entry->mapped_bytes;
    rows->other.resident_bytes += entry->resident_bytes;
    rows->other.private_bytes += entry->private_bytes;
    return true;
}

static void hash_text(const struct weir_module_id *id, char text[WEIR_HASH_HEX_SIZE])
{
    struct weir_hash hash;
    memcpy(hash.bytes, id->sha256, sizeof hash.bytes);
    weir_hash_hex(&hash, text);
}

static void add_module(struct weir_metrics *metrics, enum weir_metric metric,
                       const struct weir_cache_entry *entry, bool is_other)
{
    static const char *const KINDS[] = {"mapped", "resident", "private"};
    const uint64_t bytes[] = {entry->mapped_bytes, entry->resident_bytes, entry->private_bytes};
    char hash[WEIR_HASH_HEX_SIZE] = "";
    if (!is_other)
        hash_text(&entry->key, hash);
    hash[12] = 0; /* as `weir cache ls` shows it */
    struct weir_metrics_label labels[] = {{"module", is_other ? "other" : entry->name},
                                          {"artifact", hash},
                                          {NULL, NULL},
                                          {NULL, NULL}};
    if (metric == WEIR_METRIC_CACHE_MODULE_HITS) {
        weir_metrics_value(metrics, metric, labels, entry->hits);
        return;
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        labels[2] = (struct weir_metrics_label){"kind", KINDS[i]};
        weir_metrics_value(metrics, metric, labels, bytes[i]);
    }
}

static void add_modules(struct weir_metrics *metrics, struct weir_cache *cache)
{
    static const enum weir_metric METRICS[] = {WEIR_METRIC_CACHE_MODULE_HITS,
                                               WEIR_METRIC_CACHE_MODULE_BYTES};
    struct rows *rows = weir_account_alloc(metrics->account, WEIR_KIND_SERVER, sizeof *rows, NULL);
    if (rows == NULL)
        return;
    weir_cache_walk(cache, add_row, rows);
    for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++) {
        weir_metrics_family(metrics, METRICS[i]);
        for (size_t j = 0; j < rows->count; j++)
            add_module(metrics, METRICS[i], &rows->list[j], false);
        if (rows->has_other)
            add_module(metrics, METRICS[i], &rows->other, true);
    }
    weir_account_free(metrics->account, WEIR_KIND_SERVER, rows, sizeof *rows);
}

void weir__server_cache_metrics(struct weir_server *server, struct weir_metrics *metrics)
{
    struct weir_cache_figures figures;
    struct weir_cache_advice advice;
    weir_cache_figures(server->cache, &figures);
    weir_cache_advise(server->cache, &advice);
    add_tiers(metrics, &figures);
    add_misses(metrics, &figures);
    add_loads(metrics, &figures);
    add_curve(metrics, &advice);
    add_modules(metrics, server->cache);
}

/* --- GET /v1/cache ------------------------------------------------------------------------- */

static json_t *tiers_json(const struct weir_cache_figures *figures)
{
    json_t *tiers = json_object();
    for (int i = 0; i < WEIR_CACHE_TIER_COUNT; i++) {
        const struct weir_cache_tier_figures *tier = &figures->tiers[i];
        json_t *object = json_object();
        weir_json_set_number(object, "limit_bytes", tier->limit_bytes);
        weir_json_set_number(object, "used_bytes", tier->used_bytes);
        if (i != WEIR_CACHE_DISK)
            weir_json_set_number(object, "modules", tier->modules);
        weir_json_set_number(object, "hits", tier->hits);
        weir_json_set_number(object, "evictions", tier->evictions);
        weir_json_set_number(object, "evicted_bytes", tier->evicted_bytes);
        (void)json_object_set_new(tiers, weir_cache_tier_name((enum weir_cache_tier)i), object);
    }
    json_t *lent = json_object();
    weir_json_set_number(lent, "used_bytes", figures->lent_bytes);
    weir_json_set_number(lent, "modules", figures->lent_modules);
    weir_json_set_number(lent, "hits", figures->lent_hits);
    (void)json_object_set_new(tiers, "lent", lent);
    return tiers;
}

static json_t *misses_json(const uint64_t misses[WEIR_CACHE_CAUSE_COUNT])
{
    json_t *object = json_object();
    for (int i = 0; i < WEIR_CACHE_CAUSE_COUNT; i++)
        if (misses[i] > 0)
            weir_json_set_number(object, weir_cache_cause_name((enum weir_cache_cause)i),
                                 misses[i]);
    return object;
}

static bool add_entry(void *context, const struct weir_cache_entry *entry)
{
    static const char *const PLACES[] = {"none", "lent", "memory", "pinned"};
    json_t *list = context, *object = json_object();
    char hash[WEIR_HASH_HEX_SIZE], text[256];
    if (object == NULL || json_array_size(list) == WEIR_SERVER_CACHE_MODULES_MAX)
        return false;
    hash_text(&entry->id, hash);
    weir_cache_explain(entry, text, sizeof text);
    (void)json_object_set_new(object, "name", json_string(entry->name));
    (void)json_object_set_new(object, "module", json_string(hash));
    (void)json_object_set_new(object, "place", json_string(PLACES[entry->place]));
    (void)json_object_set_new(object, "why", json_string(text));
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"users", entry->users},
        {"bytes", entry->bytes},
        {"mapped_bytes", entry->mapped_bytes},
        {"resident_bytes", entry->resident_bytes},
        {"private_bytes", entry->private_bytes},
        {"hits", entry->hits},
        {"loads", entry->loads},
        {"compiles", entry->compiles},
        {"evictions", entry->evictions},
        {"load_ns_last", entry->load_ns_last},
        {"load_ns_sum", entry->load_ns_sum},
        {"since_ms", entry->since_ms},
        {"used_ms", entry->used_ms},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        weir_json_set_number(object, numbers[i].key, numbers[i].value);
    (void)json_object_set_new(object, "misses", misses_json(entry->misses));
    (void)json_array_append_new(list, object);
    return true;
}

static json_t *advice_json(struct weir_cache *cache)
{
    struct weir_cache_advice advice;
    char text[512];
    weir_cache_advise(cache, &advice);
    weir_cache_advice_text(&advice, text, sizeof text);
    json_t *points = json_array();
    for (size_t i = 0; i < advice.point_count; i++)
        (void)json_array_append_new(
            points, json_pack("{s:I, s:f, s:f}", "cache_bytes",
                              (json_int_t)advice.points[i].cache_bytes, "reload_byte_ratio",
                              advice.points[i].reload_byte_ratio, "error", advice.points[i].error));
    return json_pack("{s:s, s:f, s:f, s:I, s:f, s:f, s:o}", "text", text, "uses", advice.uses,
                     "used_bytes", advice.used_bytes, "modules", (json_int_t)advice.modules,
                     "sampling_rate", advice.sampling_rate, "reload_byte_ratio_now",
                     advice.now.reload_byte_ratio, "points", points);
}

static json_t *cache_json(struct weir_cache *cache)
{
    struct weir_cache_figures figures;
    weir_cache_figures(cache, &figures);
    json_t *object = json_object();
    json_t *modules = json_array();
    if (modules != NULL)
        weir_cache_walk(cache, add_entry, modules);
    weir_json_set_number(object, "uses", figures.uses);
    weir_json_set_number(object, "waited", figures.waited);
    weir_json_set_number(object, "compiled", figures.compiled);
    weir_json_set_number(object, "quarantined", figures.disk_quarantined);
    weir_json_set_number(object, "not_kept_on_disk", figures.disk_file_failures);
    weir_json_set_number(object, "oversize", figures.oversize);
    weir_json_set_number(object, "crowded", figures.crowded);
    weir_json_set_number(object, "pins_refused", figures.pins_refused);
    weir_json_set_number(object, "failures", figures.failures);
    (void)json_object_set_new(object, "misses", misses_json(figures.misses));
    (void)json_object_set_new(object, "tiers", tiers_json(&figures));
    (void)json_object_set_new(object, "advice", advice_json(cache));
    (void)json_object_set_new(object, "modules", modules);
    return object;
}

void weir__report_cache(struct weir__connection *connection)
{
    weir__report_json(connection, cache_json(connection->server->cache), NULL);
}
