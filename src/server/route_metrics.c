/* GET /metrics: the process, the equations, accounts, pools and routes, in the form that the Accept
 * header asks for. */
#include "server/server_census.h"

#include "base/clock.h"
#include "govern/governor_pages.h"
#include "observe/log_queue.h"
#include "observe/metrics.h"

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

struct figures_of {
    const char *route;
    const struct weir__route_figures *figures;
};

static size_t list_figures(const struct weir_server *server, size_t index,
                           struct figures_of *ret_of)
{
    size_t count = server->table->count + 1; /* the page holds the table */
    if (index == 0)
        *ret_of = (struct figures_of){"(weir)", &server->own};
    else if (index < count)
        *ret_of = (struct figures_of){server->table->routes[index - 1]->config->path,
                                      server->table->routes[index - 1]->figures};
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
            weir_metrics_value(metrics, WEIR_METRIC_REQUESTS, labels, value);
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
            weir_metrics_value(metrics, WEIR_METRIC_REFUSALS, labels, value);
    }
}

static void add_latency(struct weir_metrics *metrics, const struct figures_of *of)
{
    double bounds[WEIR__LATENCY_BUCKETS - 1];
    uint64_t counts[WEIR__LATENCY_BUCKETS];
    for (int i = 0; i < WEIR__LATENCY_BUCKETS; i++) {
        counts[i] = LOAD(of->figures->latency[i]);
        if (i < WEIR__LATENCY_BUCKETS - 1)
            bounds[i] = (double)weir__latency_bounds_us[i] / 1e6;
    }
    const struct weir_metrics_buckets buckets = {
        .bounds = bounds,
        .counts = counts,
        .bucket_count = WEIR__LATENCY_BUCKETS,
        .sum = (double)LOAD(of->figures->latency_sum_ns) / 1e9,
    };
    const struct weir_metrics_label labels[] = {{"route", of->route}, {NULL, NULL}};
    weir_metrics_histogram(metrics, WEIR_METRIC_REQUEST_SECONDS, labels, &buckets);
}

static void add_bytes(struct weir_metrics *metrics, const struct figures_of *of)
{
    const struct weir_metrics_label in[] = {
        {"route", of->route}, {"direction", "in"}, {NULL, NULL}};
    const struct weir_metrics_label out[] = {
        {"route", of->route}, {"direction", "out"}, {NULL, NULL}};
    weir_metrics_value(metrics, WEIR_METRIC_BODY_BYTES, in, LOAD(of->figures->body_bytes));
    weir_metrics_value(metrics, WEIR_METRIC_BODY_BYTES, out, LOAD(of->figures->output_bytes));
}

static void add_inline(struct weir_metrics *metrics, const struct figures_of *of)
{
    const struct weir_metrics_label labels[] = {{"route", of->route}, {NULL, NULL}};
    weir_metrics_value(metrics, WEIR_METRIC_REQUESTS_INLINE, labels,
                       LOAD(of->figures->inline_done));
}

static void add_requests(struct weir_metrics *metrics, const struct weir_server *server)
{
    static const struct {
        enum weir_metric metric;
        void (*add)(struct weir_metrics *metrics, const struct figures_of *of);
    } FAMILIES[] = {
        {WEIR_METRIC_REQUESTS, add_statuses},       {WEIR_METRIC_REFUSALS, add_refusals},
        {WEIR_METRIC_REQUEST_SECONDS, add_latency}, {WEIR_METRIC_BODY_BYTES, add_bytes},
        {WEIR_METRIC_REQUESTS_INLINE, add_inline},
    };
    for (size_t i = 0; i < sizeof FAMILIES / sizeof FAMILIES[0]; i++) {
        weir_metrics_family(metrics, FAMILIES[i].metric);
        struct figures_of of = {0};
        for (size_t j = 0; j < list_figures(server, j, &of); j++)
            FAMILIES[i].add(metrics, &of);
    }
}

static void add_recycled(struct weir_metrics *metrics, const char *path,
                         const struct weir_pool_figures *figures)
{
    for (int i = WEIR_RECYCLE_NONE + 1; i < WEIR_RECYCLE_REASON_COUNT; i++) {
        const struct weir_metrics_label labels[] = {
            {"route", path},
            {"reason", weir_recycle_reason_name((enum weir_recycle_reason)i)},
            {NULL, NULL}};
        if (figures->recycled[i] > 0)
            weir_metrics_value(metrics, WEIR_METRIC_POOL_RECYCLED, labels, figures->recycled[i]);
    }
}

static void add_pools(struct weir_metrics *metrics, const struct weir_server *server)
{
    static const enum weir_metric METRICS[] = {
        WEIR_METRIC_POOL_IN_USE,     WEIR_METRIC_POOL_WARM,    WEIR_METRIC_POOL_TAKES,
        WEIR_METRIC_POOL_COLD_TAKES, WEIR_METRIC_POOL_RESETS,  WEIR_METRIC_POOL_BUSY,
        WEIR_METRIC_POOL_NEAR_TAKES, WEIR_METRIC_POOL_SPOILED, WEIR_METRIC_POOL_FAULTS,
        WEIR_METRIC_ROUTE_WAITING,   WEIR_METRIC_POOL_RECYCLED};
    const size_t count = sizeof METRICS / sizeof METRICS[0];
    for (size_t i = 0; i < count; i++) {
        weir_metrics_family(metrics, METRICS[i]);
        for (size_t j = 0; j < server->table->count; j++) {
            struct weir_pool_figures figures;
            struct weir__route *route = server->table->routes[j];
            if (route->pool == NULL)
                continue;
            weir_pool_figures(route->pool, &figures);
            const uint64_t values[] = {
                figures.in_use,     figures.warm,    figures.takes,
                figures.cold_takes, figures.resets,  figures.busy,
                figures.near_takes, figures.spoiled, figures.faults,
                i == count - 2 ? weir__turns_waiting(route) : 0};
            const char *path = route->config->path;
            const struct weir_metrics_label labels[] = {{"route", path}, {NULL, NULL}};
            if (i == count - 1)
                add_recycled(metrics, path, &figures);
            else
                weir_metrics_value(metrics, METRICS[i], labels, values[i]);
        }
    }
}

static void add_server(struct weir_metrics *metrics, struct weir_server *server)
{
    weir_metrics_single(metrics, WEIR_METRIC_REQUESTS_ACTIVE, LOAD(server->active));
    weir_metrics_single(metrics, WEIR_METRIC_CONNECTIONS_ACCEPTED, LOAD(server->connections_total));
    (void)pthread_mutex_lock(&server->watch.lock);
    uint64_t open = server->watch.connection_count;
    (void)pthread_mutex_unlock(&server->watch.lock);
    weir_metrics_single(metrics, WEIR_METRIC_CONNECTIONS, open);
    (void)pthread_mutex_lock(&server->workers.lock);
    uint64_t queued = server->workers.queued;
    (void)pthread_mutex_unlock(&server->workers.lock);
    weir_metrics_single(metrics, WEIR_METRIC_WORKERS_QUEUED, queued);
}

static void add_logs(struct weir_metrics *metrics, struct weir_server *server)
{
    const struct {
        const char *name;
        struct weir_log_queue *queue;
    } LOGS[] = {{"events", server->events}, {"access", server->access}};
    static const enum weir_metric METRICS[] = {WEIR_METRIC_LOG_LINES, WEIR_METRIC_LOG_DROPPED};
    for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++) {
        weir_metrics_family(metrics, METRICS[i]);
        for (size_t j = 0; j < sizeof LOGS / sizeof LOGS[0] && LOGS[j].queue != NULL; j++) {
            struct weir_log_figures figures;
            weir_log_queue_figures(LOGS[j].queue, &figures);
            const struct weir_metrics_label labels[] = {{"log", LOGS[j].name}, {NULL, NULL}};
            weir_metrics_value(metrics, METRICS[i], labels,
                               i == 0 ? figures.lines : figures.dropped);
        }
    }
}

static void add_memory(struct weir_metrics *metrics, struct weir_server *server)
{
    struct weir_equation equation;
    uint64_t growth;
    bool has_equation = weir_equation_read(&equation, NULL) == WEIR_OK;
    bool has_growth = weir_growth_read(&growth, NULL) == WEIR_OK;
    weir_cgroup_equation_renew(&server->cgroup, "", "self", NULL);
    struct weir_cgroup_equation cgroup = server->cgroup;
    if (has_equation)
        weir_metrics_equation(metrics, &equation);
    if (has_growth)
        weir_metrics_single(metrics, WEIR_METRIC_GROWTH, growth);
    weir_metrics_cgroup_equation(metrics, &cgroup);
    weir_metrics_accounts(metrics, weir_account_host());
}

static void add_pressure(struct weir_metrics *metrics, struct weir_server *server)
{
    struct weir_governor_status status;
    if (weir__governor_status(server, &status))
        weir_metrics_governor(metrics, &status, weir_clock_ns());
}

/* A page lives until the last byte of it is sent, in memory that was reserved for reports. */
struct page {
    struct weir_server *server;
    struct weir_metrics metrics;
};

static void free_locked(struct page *page)
{
    struct weir_account *account = page->server->reports_account;
    weir_metrics_done(&page->metrics);
    weir_account_free(account, WEIR_KIND_SERVER, page, sizeof *page);
}

static void free_page(void *context)
{
    struct weir_server *server = ((struct page *)context)->server;
    (void)pthread_mutex_lock(&server->report_lock);
    free_locked(context);
    (void)pthread_mutex_unlock(&server->report_lock);
}

/* NULL when it would be longer than what is reserved. */
static struct page *make_page(struct weir_server *server, const char *accept)
{
    struct page *page =
        weir_account_alloc(server->reports_account, WEIR_KIND_SERVER, sizeof *page, NULL);
    if (page == NULL)
        return NULL;
    struct weir_metrics *metrics = &page->metrics;
    page->server = server;
    weir_metrics_init(metrics, server->reports_account, weir_metrics_accepted(accept));
    weir_metrics_process(metrics);
    add_memory(metrics, server);
    weir__server_cache_metrics(server, metrics);
    weir__server_census_metrics(server, metrics);
    (void)weir__route_table_hold(server);
    add_server(metrics, server);
    add_pools(metrics, server);
    add_requests(metrics, server);
    weir__tenant_metrics(server, metrics);
    weir__filters_metrics(server, metrics);
    weir__route_table_release(server);
    add_logs(metrics, server);
    add_pressure(metrics, server);
    weir_metrics_end(metrics);
    if (metrics->status == WEIR_OK)
        return page;
    free_locked(page);
    return NULL;
}

void weir__report_metrics(struct weir__connection *connection)
{
    struct weir_server *server = connection->server;
    const char *accept =
        MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    struct page *page = make_page(server, accept);
    if (page == NULL) {
        weir__fail(&connection->failure, WEIR__REFUSAL_MEMORY, "no memory for the metrics");
        return;
    }
    const struct weir__report report = {.type = weir_metrics_content_type(page->metrics.form),
                                        .text = page->metrics.text,
                                        .size = page->metrics.size,
                                        .release = free_page,
                                        .context = page};
    weir__report_set(connection, &report);
}
