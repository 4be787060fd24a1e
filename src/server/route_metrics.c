/* GET /metrics: Prometheus text of the process, the equation, accounts, pools and routes. */
#include "server/server_internal.h"

#include "observe/metrics.h"

#include <stdio.h>

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

struct figures_of {
    const char *route;
    const struct weir__route_figures *figures;
};

static size_t list_figures(const struct weir_server *server, size_t index,
                           struct figures_of *ret_of)
{
    size_t count = server->config->route_count + 1;
    if (index == 0)
        *ret_of = (struct figures_of){"(weir)", &server->own};
    else if (index < count)
        *ret_of = (struct figures_of){server->routes[index - 1].config->path,
                                      &server->routes[index - 1].figures};
    return count;
}

static void add_statuses(struct weir_metrics *metrics, const struct figures_of *of)
{
    static const char *const NAMES[6] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (int i = 0; i < 6; i++) {
        const struct weir_metrics_label labels[] = {
            {"route", of->route}, {"status", NAMES[i]}, {NULL, NULL}};
        uint64_t value = LOAD(of->figures->by_status[i]);
        if (value > 0 || i == 2)
            weir_metrics_value(metrics, "weir_requests_total", labels, value);
    }
}

static void add_refusals(struct weir_metrics *metrics, const struct figures_of *of)
{
    for (int i = 1; i < WEIR__REFUSAL_COUNT; i++) {
        const struct weir_metrics_label labels[] = {
            {"route", of->route},
            {"reason", weir__refusal_name((enum weir__refusal)i)},
            {NULL, NULL}};
        uint64_t value = LOAD(of->figures->refusals[i]);
        if (value > 0)
            weir_metrics_value(metrics, "weir_refusals_total", labels, value);
    }
}

static void add_latency(struct weir_metrics *metrics, const struct figures_of *of)
{
    uint64_t sum = 0;
    for (int i = 0; i < WEIR__LATENCY_BUCKETS; i++) {
        char bound[24] = "+Inf";
        if (i < WEIR__LATENCY_BUCKETS - 1)
            (void)snprintf(bound, sizeof bound, "%g", (double)weir__latency_bounds_us[i] / 1e6);
        const struct weir_metrics_label labels[] = {
            {"route", of->route}, {"le", bound}, {NULL, NULL}};
        sum += LOAD(of->figures->latency[i]);
        weir_metrics_value(metrics, "weir_request_seconds_bucket", labels, sum);
    }
    const struct weir_metrics_label labels[] = {{"route", of->route}, {NULL, NULL}};
    weir_metrics_real(metrics, "weir_request_seconds_sum", labels,
                      (double)LOAD(of->figures->latency_sum_ns) / 1e9);
    weir_metrics_value(metrics, "weir_request_seconds_count", labels, sum);
}

static void add_bytes(struct weir_metrics *metrics, const struct figures_of *of)
{
    const struct weir_metrics_label in[] = {
        {"route", of->route}, {"direction", "in"}, {NULL, NULL}};
    const struct weir_metrics_label out[] = {
        {"route", of->route}, {"direction", "out"}, {NULL, NULL}};
    weir_metrics_value(metrics, "weir_body_bytes_total", in, LOAD(of->figures->body_bytes));
    weir_metrics_value(metrics, "weir_body_bytes_total", out, LOAD(of->figures->output_bytes));
}

static void add_inline(struct weir_metrics *metrics, const struct figures_of *of)
{
    const struct weir_metrics_label labels[] = {{"route", of->route}, {NULL, NULL}};
    weir_metrics_value(metrics, "weir_requests_inline_total", labels,
                       LOAD(of->figures->inline_done));
}

static void add_requests(struct weir_metrics *metrics, const struct weir_server *server)
{
    static const struct {
        const char *name, *type, *help;
        void (*add)(struct weir_metrics *metrics, const struct figures_of *of);
    } FAMILIES[] = {
        {"weir_requests_total", "counter", "Requests by route and status.", add_statuses},
        {"weir_refusals_total", "counter", "Requests that got no guest's answer, by reason.",
         add_refusals},
        {"weir_request_seconds", "histogram", "From the request's head to its end.", add_latency},
        {"weir_body_bytes_total", "counter", "Body bytes to and output bytes from guests.",
         add_bytes},
        {"weir_requests_inline_total", "counter", "Finished on the event loop's thread.",
         add_inline},
    };
    for (size_t i = 0; i < sizeof FAMILIES / sizeof FAMILIES[0]; i++) {
        weir_metrics_family(metrics, FAMILIES[i].name, FAMILIES[i].type, FAMILIES[i].help);
        struct figures_of of = {0};
        for (size_t j = 0; j < list_figures(server, j, &of); j++)
            FAMILIES[i].add(metrics, &of);
    }
}

static void add_pools(struct weir_metrics *metrics, const struct weir_server *server)
{
    static const char *const NAMES[] = {"weir_pool_in_use",       "weir_pool_warm",
                                        "weir_pool_takes_total",  "weir_pool_cold_takes_total",
                                        "weir_pool_resets_total", "weir_pool_busy_total"};
    static const char *const HELP[] = {"Slots in use.",
                                       "Slots kept ready.",
                                       "Slots taken.",
                                       "Slots made for a request.",
                                       "Slots cleaned for reuse.",
                                       "Requests without a slot."};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        weir_metrics_family(metrics, NAMES[i], i < 2 ? "gauge" : "counter", HELP[i]);
        for (size_t j = 0; j < server->config->route_count; j++) {
            struct weir_pool_figures figures;
            weir_pool_figures(server->routes[j].pool, &figures);
            const uint64_t values[] = {figures.in_use,     figures.warm,   figures.takes,
                                       figures.cold_takes, figures.resets, figures.busy};
            const struct weir_metrics_label labels[] = {{"route", server->routes[j].config->path},
                                                        {NULL, NULL}};
            weir_metrics_value(metrics, NAMES[i], labels, values[i]);
        }
    }
}

static void add_server(struct weir_metrics *metrics, struct weir_server *server)
{
    weir_metrics_family(metrics, "weir_requests_active", "gauge", "Requests in flight.");
    weir_metrics_value(metrics, "weir_requests_active", NULL, LOAD(server->active));
    weir_metrics_family(metrics, "weir_connections_total", "counter", "Connections accepted.");
    weir_metrics_value(metrics, "weir_connections_total", NULL, LOAD(server->connections_total));
    weir_metrics_family(metrics, "weir_connections", "gauge", "Connections open.");
    (void)pthread_mutex_lock(&server->watch.lock);
    uint64_t open = server->watch.connection_count;
    (void)pthread_mutex_unlock(&server->watch.lock);
    weir_metrics_value(metrics, "weir_connections", NULL, open);
    weir_metrics_family(metrics, "weir_workers_queued", "gauge", "Guests that wait for a worker.");
    (void)pthread_mutex_lock(&server->workers.lock);
    uint64_t queued = server->workers.queued;
    (void)pthread_mutex_unlock(&server->workers.lock);
    weir_metrics_value(metrics, "weir_workers_queued", NULL, queued);
}

enum MHD_Result weir__page_metrics(struct weir__connection *connection)
{
    struct weir_server *server = connection->server;
    struct weir_metrics metrics;
    struct weir_equation equation;
    weir_metrics_init(&metrics, server->account);
    (void)pthread_mutex_lock(&server->report_lock);
    bool has_equation = weir_equation_read(&equation, NULL) == WEIR_OK;
    (void)pthread_mutex_unlock(&server->report_lock);
    weir_metrics_process(&metrics);
    if (has_equation)
        weir_metrics_equation(&metrics, &equation);
    weir_metrics_accounts(&metrics, weir_account_host());
    add_server(&metrics, server);
    add_pools(&metrics, server);
    add_requests(&metrics, server);
    enum MHD_Result result;
    if (metrics.status != WEIR_OK) {
        weir__fail(&connection->failure, WEIR__REFUSAL_MEMORY, "no memory for the metrics");
        result = weir__answer_failure(connection);
    } else {
        result = weir__answer_text(connection, 200, "text/plain; version=0.0.4; charset=utf-8",
                                   metrics.text, metrics.size, MHD_RESPMEM_MUST_COPY);
    }
    weir_metrics_done(&metrics);
    return result;
}
