/* GET /v1/filters: the plugins of all routes, what they hold by kind, their high-water marks and
 * what became of them; and the same as metrics. */
#include "server/lane_internal.h"

#include <jansson.h>

#include "base/json_number.h"
#include "observe/metrics.h"

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

/* The i-th plugin of all, or false; the table is held. */
struct plugin_at {
    const struct weir__route *route;
    struct weir__plugin *plugin;
};

static bool find_plugin(const struct weir__route_table *table, size_t index, struct plugin_at *ret)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct weir__route *route = table->routes[i];
        size_t count = route->chain != NULL ? route->chain->plugin_count : 0;
        if (index < count) {
            *ret = (struct plugin_at){route, &route->chain->plugins[index]};
            return true;
        }
        index -= count;
    }
    return false;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *kinds_json(const struct weir_account_reading *reading)
{
    json_t *kinds = json_object();
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (reading->kinds[kind] > 0 && weir_kind_is_bytes((enum weir_kind)kind))
            weir_json_set_number(kinds, weir_kind_name((enum weir_kind)kind), reading->kinds[kind]);
    return kinds;
}

static void add_figures(json_t *object, const struct weir__plugin *plugin)
{
    struct weir_filter_figures figures;
    struct weir_account_reading reading;
    weir_filter_plugin_figures(plugin->plugin, &figures);
    weir_account_read(weir_filter_plugin_account(plugin->plugin), &reading);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"used_bytes", reading.used_bytes},
        {"peak_bytes", reading.peak_bytes},
        {"limit_bytes", reading.limit_bytes},
        {"memory_bytes_max", plugin->keys->memory_bytes},
        {"memory_bytes_soft", plugin->keys->soft_bytes},
        {"linear_bytes_peak", figures.linear_bytes_peak},
        {"stream_host_bytes", figures.stream_host_bytes},
        {"stream_growth_bytes", figures.stream_growth_bytes},
        {"streams", figures.streams},
        {"callbacks", figures.callbacks},
        {"traps", figures.traps},
        {"calls", figures.calls},
        {"call_answers", figures.call_answers},
        {"calls_left", figures.calls_left},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        weir_json_set_number(object, numbers[i].name, numbers[i].value);
    (void)json_object_set_new(object, "kinds", kinds_json(&reading));
    (void)json_object_set_new(object, "abi", json_string(weir_filter_plugin_abi(plugin->plugin)));
}

static json_t *plugin_json(const struct plugin_at *at)
{
    struct weir__plugin *plugin = at->plugin;
    json_t *object = json_pack(
        "{s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "name", plugin->keys->name, "route",
        at->route->config->path, "module", plugin->keys->module, "on_failure",
        plugin->keys->is_open ? "fail_open" : "fail_closed", "failures",
        (json_int_t)LOAD(plugin->failures), "restarted", (json_int_t)LOAD(plugin->restarted),
        "recycled", (json_int_t)LOAD(plugin->recycled));
    if (object != NULL && plugin->plugin != NULL)
        add_figures(object, plugin);
    else if (object != NULL)
        (void)json_object_set_new(object, "failure", json_string(plugin->failure));
    return object;
}

void weir__report_filters(struct weir__connection *connection)
{
    struct weir_server *server = connection->server;
    json_t *filters = json_array();
    const struct weir__route_table *table = weir__route_table_hold(server);
    struct plugin_at at;
    for (size_t i = 0; find_plugin(table, i, &at); i++)
        (void)json_array_append_new(filters, plugin_json(&at));
    weir__route_table_release(server);
    weir__report_json(connection, json_pack("{s:o}", "filters", filters), NULL);
}

/* --- metrics --------------------------------------------------------------------------------- */

static void add_bytes(struct weir_metrics *metrics, const struct weir__route_table *table)
{
    struct plugin_at at;
    weir_metrics_family(metrics, WEIR_METRIC_FILTER_BYTES);
    for (size_t i = 0; find_plugin(table, i, &at); i++) {
        struct weir_account_reading reading;
        if (at.plugin->plugin == NULL)
            continue;
        weir_account_read(weir_filter_plugin_account(at.plugin->plugin), &reading);
        for (int kind = 0; kind < WEIR_KIND_COUNT; kind++) {
            const struct weir_metrics_label labels[] = {
                {"route", at.route->config->path},
                {"filter", at.plugin->keys->name},
                {"kind", weir_kind_name((enum weir_kind)kind)},
                {NULL, NULL}};
            if (reading.kinds[kind] > 0 && weir_kind_is_bytes((enum weir_kind)kind))
                weir_metrics_value(metrics, WEIR_METRIC_FILTER_BYTES, labels, reading.kinds[kind]);
        }
    }
}

static void add_counts(struct weir_metrics *metrics, const struct weir__route_table *table)
{
    static const enum weir_metric METRICS[] = {
        WEIR_METRIC_FILTER_STREAMS,      WEIR_METRIC_FILTER_CALLBACKS,
        WEIR_METRIC_FILTER_FAILURES,     WEIR_METRIC_FILTER_RESTARTED,
        WEIR_METRIC_FILTER_RECYCLED,     WEIR_METRIC_FILTER_CALLS,
        WEIR_METRIC_FILTER_CALL_ANSWERS, WEIR_METRIC_FILTER_LINEAR_PEAK,
        WEIR_METRIC_FILTER_STREAM_HOST,  WEIR_METRIC_FILTER_STREAM_GROWTH};
    for (size_t m = 0; m < sizeof METRICS / sizeof METRICS[0]; m++) {
        struct plugin_at at;
        weir_metrics_family(metrics, METRICS[m]);
        for (size_t i = 0; find_plugin(table, i, &at); i++) {
            struct weir_filter_figures f = {0};
            if (at.plugin->plugin != NULL)
                weir_filter_plugin_figures(at.plugin->plugin, &f);
            const uint64_t values[] = {
                f.streams,           f.callbacks,           LOAD(at.plugin->failures),
                LOAD(at.plugin->restarted), LOAD(at.plugin->recycled), f.calls,
                f.call_answers,      f.linear_bytes_peak,   f.stream_host_bytes,
                f.stream_growth_bytes};
            const struct weir_metrics_label labels[] = {{"route", at.route->config->path},
                                                        {"filter", at.plugin->keys->name},
                                                        {NULL, NULL}};
            weir_metrics_value(metrics, METRICS[m], labels, values[m]);
        }
    }
}

static void add_plugin_metric(void *context, const struct weir_filter_metric_reading *reading)
{
    static const char *const TYPES[] = {"counter", "gauge", "histogram_sum"};
    const struct weir_metrics_label labels[] = {{"plugin", reading->plugin},
                                                {"name", reading->name},
                                                {"type", TYPES[reading->type]},
                                                {NULL, NULL}};
    weir_metrics_value(context, WEIR_METRIC_PLUGIN, labels, reading->value);
}

void weir__filters_metrics(struct weir_server *server, struct weir_metrics *metrics)
{
    add_bytes(metrics, server->table);
    add_counts(metrics, server->table);
    weir_metrics_family(metrics, WEIR_METRIC_PLUGIN);
    if (server->filter_registry != NULL)
        weir_filter_registry_metrics(server->filter_registry, add_plugin_metric, metrics);
}
