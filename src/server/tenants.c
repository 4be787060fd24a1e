/* Totals per tenant: whoever a route says it belongs to, or else the route itself. They last as
 * long as some configuration has a route of that name, through every reload, so there are never
 * more than the configuration has. A tenant that is named has an account over its routes'. */
#include "server/server_internal.h"

#include "base/json_number.h"
#include "observe/metrics.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

struct weir__tenant {
    struct weir__tenant *next; /* under the lock, as `refs` is */
    uint32_t refs;             /* routes, of every configuration that still has requests */
    struct weir_account *account; /* NULL: the route's own is the tenant's */
    _Atomic uint32_t concurrency; /* 0: no limit */
    _Atomic uint32_t running;     /* requests that hold a place */
    struct weir__route_figures figures;
    _Atomic uint64_t cpu_ns;
    char name[WEIR_SERVER_TENANT_NAME_MAX + 1];
};

/* --- who there is -------------------------------------------------------------------------- */

static struct weir__tenant *find(struct weir_server *server, const char *name)
{
    struct weir__tenant *tenant = server->tenants;
    while (tenant != NULL && strcmp(tenant->name, name) != 0)
        tenant = tenant->next;
    return tenant;
}

static struct weir_tenant_keys limits_of(const struct weir_tenant_keys *keys)
{
    return keys != NULL ? *keys : (struct weir_tenant_keys){.memory_bytes_max = WEIR_UNLIMITED};
}

enum weir_status weir__tenant_join(struct weir__route *route, struct weir_error *error)
{
    struct weir_server *server = route->server;
    const struct weir_route_config *config = route->config;
    const char *name = config->tenant != NULL ? config->tenant : config->path;
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&server->tenant_lock);
    struct weir__tenant *tenant = find(server, name);
    if (tenant == NULL) {
        tenant = weir_account_alloc(server->account, WEIR_KIND_SERVER, sizeof *tenant, error);
        if (tenant != NULL) {
            (void)snprintf(tenant->name, sizeof tenant->name, "%s", name);
            atomic_init(&tenant->concurrency, limits_of(config->tenant_keys).concurrency);
            tenant->next = server->tenants;
            server->tenants = tenant;
        }
    }
    if (tenant == NULL)
        status = WEIR_LIMIT;
    else if (config->tenant != NULL && tenant->account == NULL)
        status = weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, name,
                                  limits_of(config->tenant_keys).memory_bytes_max,
                                  &tenant->account, error);
    if (tenant != NULL) {
        tenant->refs++;
        route->tenant = tenant; /* also after an error: it leaves again */
    }
    (void)pthread_mutex_unlock(&server->tenant_lock);
    return status;
}

void weir__tenant_leave(struct weir__route *route)
{
    struct weir_server *server = route->server;
    struct weir__tenant *tenant = route->tenant;
    if (tenant == NULL)
        return;
    (void)pthread_mutex_lock(&server->tenant_lock);
    bool is_last = --tenant->refs == 0;
    if (is_last) {
        struct weir__tenant **at = &server->tenants;
        while (*at != tenant)
            at = &(*at)->next;
        *at = tenant->next;
    }
    (void)pthread_mutex_unlock(&server->tenant_lock);
    if (!is_last)
        return;
    weir_account_close(tenant->account);
    weir_account_free(server->account, WEIR_KIND_SERVER, tenant, sizeof *tenant);
}

const char *weir__tenant_name(const struct weir__tenant *tenant)
{
    return tenant->name;
}

struct weir_account *weir__tenant_account(const struct weir__tenant *tenant)
{
    return tenant->account != NULL ? tenant->account : weir_account_host();
}

/* --- limits ----------------------------------------------------------------------------------- */

bool weir__tenant_enter(struct weir__tenant *tenant, struct weir__failure *failure)
{
    uint32_t limit = LOAD(tenant->concurrency);
    uint32_t before = atomic_fetch_add_explicit(&tenant->running, 1, memory_order_relaxed);
    if (limit == 0 || before < limit)
        return true;
    weir__tenant_exit(tenant);
    failure->limit = limit;
    failure->tenant = tenant->name;
    weir__fail(failure, WEIR__REFUSAL_BUSY, "%u requests of tenant %.100s are served at once",
               limit, tenant->name);
    return false;
}

void weir__tenant_exit(struct weir__tenant *tenant)
{
    (void)atomic_fetch_sub_explicit(&tenant->running, 1, memory_order_relaxed);
}

static void log_change(struct weir_server *server, const char *name, bool is_memory,
                       bool is_concurrency)
{
    const char *keys = !is_concurrency ? "limits.memory"
                       : !is_memory    ? "limits.concurrency"
                                       : "limits.memory, limits.concurrency";
    const struct weir_server_log_field fields[] = {
        {"tenant", name, 0}, {"change", "changed", 0}, {"keys", keys, 0}, {NULL, NULL, 0}};
    weir_server_log(
        server,
        &(struct weir_server_event){.level = WEIR_LOG_INFO, .name = "tenant", .fields = fields},
        "tenant %s: changed: %s", name, keys);
}

void weir__tenants_set(struct weir_server *server, const struct weir_server_config *config)
{
    (void)pthread_mutex_lock(&server->tenant_lock);
    for (struct weir__tenant *tenant = server->tenants; tenant != NULL; tenant = tenant->next) {
        struct weir_tenant_keys limits = limits_of(weir_server_config_tenant(config, tenant->name));
        struct weir_account_reading reading;
        if (tenant->account == NULL)
            continue;
        weir_account_read(tenant->account, &reading);
        bool is_memory = reading.limit_bytes != limits.memory_bytes_max;
        bool is_concurrency = LOAD(tenant->concurrency) != limits.concurrency;
        weir_account_set_limit(tenant->account, limits.memory_bytes_max);
        atomic_store_explicit(&tenant->concurrency, limits.concurrency, memory_order_relaxed);
        if (is_memory || is_concurrency)
            log_change(server, tenant->name, is_memory, is_concurrency);
    }
    (void)pthread_mutex_unlock(&server->tenant_lock);
}

/* --- counting ------------------------------------------------------------------------------ */

void weir__tenant_count(struct weir__tenant *tenant, const struct weir__ended *ended)
{
    weir__figures_count(&tenant->figures, ended->status, ended->refusal, ended->ns);
    (void)atomic_fetch_add_explicit(&tenant->figures.body_bytes, ended->received,
                                    memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&tenant->figures.output_bytes, ended->sent,
                                    memory_order_relaxed);
}

void weir__tenant_spend(struct weir__tenant *tenant, uint64_t cpu_ns)
{
    (void)atomic_fetch_add_explicit(&tenant->cpu_ns, cpu_ns, memory_order_relaxed);
}

/* --- reading: under the table's lock, so that routes and accounts stay ----------------------- */

struct totals {
    const struct weir__tenant *tenant;
    uint64_t requests, used_bytes, peak_bytes, limit_bytes;
};

/* The n-th tenant of the table, in the order of its routes; false when there are no more. */
static bool nth(const struct weir__route_table *table, size_t n, struct totals *ret_totals)
{
    struct totals totals = {0};
    for (size_t i = 0; i < table->count && totals.tenant == NULL; i++) {
        bool is_first = true;
        for (size_t j = 0; j < i; j++)
            is_first = is_first && table->routes[j]->tenant != table->routes[i]->tenant;
        if (is_first && n-- == 0)
            totals.tenant = table->routes[i]->tenant;
    }
    if (totals.tenant == NULL)
        return false;
    for (size_t i = 0; i < table->count; i++) {
        struct weir_account_reading reading;
        bool is_named = totals.tenant->account != NULL;
        if (table->routes[i]->tenant != totals.tenant)
            continue;
        weir_account_read(is_named ? totals.tenant->account : table->routes[i]->account, &reading);
        totals.used_bytes = reading.used_bytes;
        totals.peak_bytes = reading.peak_bytes;
        totals.limit_bytes = reading.limit_bytes;
    }
    for (int i = 0; i < 6; i++)
        totals.requests += LOAD(totals.tenant->figures.by_status[i]);
    *ret_totals = totals;
    return true;
}

static json_t *tenant_json(const struct weir__route_table *table, const struct totals *totals)
{
    static const char *const STATUSES[6] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const struct weir__tenant *tenant = totals->tenant;
    json_t *object = json_pack("{s:s}", "tenant", tenant->name);
    json_t *routes = json_array(), *statuses = json_object(), *refused = json_object();
    for (size_t i = 0; i < table->count; i++)
        if (table->routes[i]->tenant == tenant)
            (void)json_array_append_new(routes, json_string(table->routes[i]->config->path));
    for (int i = 0; i < 6; i++)
        weir_json_set_number(statuses, STATUSES[i], LOAD(tenant->figures.by_status[i]));
    for (int i = 1; i < WEIR__REFUSAL_COUNT; i++)
        if (LOAD(tenant->figures.refusals[i]) > 0)
            weir_json_set_number(refused, weir__refusal_name((enum weir__refusal)i),
                                 LOAD(tenant->figures.refusals[i]));
    (void)json_object_set_new(object, "routes", routes);
    weir_json_set_number(object, "requests", totals->requests);
    (void)json_object_set_new(object, "by_status", statuses);
    (void)json_object_set_new(object, "refused", refused);
    weir_json_set_number(object, "received_bytes", LOAD(tenant->figures.body_bytes));
    weir_json_set_number(object, "sent_bytes", LOAD(tenant->figures.output_bytes));
    weir_json_set_number(object, "cpu_ns", LOAD(tenant->cpu_ns));
    weir_json_set_number(object, "used_bytes", totals->used_bytes);
    weir_json_set_number(object, "peak_bytes", totals->peak_bytes);
    if (totals->limit_bytes != WEIR_UNLIMITED)
        weir_json_set_number(object, "limit_bytes", totals->limit_bytes);
    weir_json_set_number(object, "running", LOAD(tenant->running));
    if (LOAD(tenant->concurrency) != 0)
        weir_json_set_number(object, "concurrency", LOAD(tenant->concurrency));
    return object;
}

void weir__report_tenants(struct weir__connection *connection)
{
    json_t *list = json_array();
    struct totals totals;
    const struct weir__route_table *table = weir__route_table_hold(connection->server);
    for (size_t n = 0; nth(table, n, &totals); n++)
        (void)json_array_append_new(list, tenant_json(table, &totals));
    weir__route_table_release(connection->server);
    weir__report_json(connection, list, NULL);
}

/* One sample of a tenant; those with two labels follow each other. */
static void add_samples(struct weir_metrics *metrics, enum weir_metric metric,
                        const struct totals *totals)
{
    const struct weir__route_figures *figures = &totals->tenant->figures;
    struct weir_metrics_label labels[] = {
        {"tenant", totals->tenant->name}, {NULL, NULL}, {NULL, NULL}};
    switch (metric) {
    case WEIR_METRIC_TENANT_REQUESTS:
        weir_metrics_value(metrics, metric, labels, totals->requests);
        break;
    case WEIR_METRIC_TENANT_CPU:
        weir_metrics_real(metrics, metric, labels, (double)LOAD(totals->tenant->cpu_ns) / 1e9);
        break;
    case WEIR_METRIC_TENANT_USED:
        weir_metrics_value(metrics, metric, labels, totals->used_bytes);
        break;
    case WEIR_METRIC_TENANT_PEAK:
        weir_metrics_value(metrics, metric, labels, totals->peak_bytes);
        break;
    case WEIR_METRIC_TENANT_LIMIT:
        if (totals->limit_bytes != WEIR_UNLIMITED)
            weir_metrics_value(metrics, metric, labels, totals->limit_bytes);
        break;
    case WEIR_METRIC_TENANT_RUNNING:
        weir_metrics_value(metrics, metric, labels, LOAD(totals->tenant->running));
        break;
    case WEIR_METRIC_TENANT_CONCURRENCY:
        if (LOAD(totals->tenant->concurrency) != 0)
            weir_metrics_value(metrics, metric, labels, LOAD(totals->tenant->concurrency));
        break;
    case WEIR_METRIC_TENANT_BODY_BYTES:
        labels[1] = (struct weir_metrics_label){"direction", "in"};
        weir_metrics_value(metrics, metric, labels, LOAD(figures->body_bytes));
        labels[1].value = "out";
        weir_metrics_value(metrics, metric, labels, LOAD(figures->output_bytes));
        break;
    default:
        for (int i = 1; i < WEIR__REFUSAL_COUNT; i++) {
            labels[1] = (struct weir_metrics_label){"reason",
                                                    weir__refusal_name((enum weir__refusal)i)};
            if (LOAD(figures->refusals[i]) > 0)
                weir_metrics_value(metrics, metric, labels, LOAD(figures->refusals[i]));
        }
        break;
    }
}

void weir__tenant_metrics(struct weir_server *server, struct weir_metrics *metrics)
{
    static const enum weir_metric METRICS[] = {
        WEIR_METRIC_TENANT_REQUESTS,   WEIR_METRIC_TENANT_REFUSALS, WEIR_METRIC_TENANT_BODY_BYTES,
        WEIR_METRIC_TENANT_CPU,        WEIR_METRIC_TENANT_USED,     WEIR_METRIC_TENANT_PEAK,
        WEIR_METRIC_TENANT_LIMIT,      WEIR_METRIC_TENANT_RUNNING,
        WEIR_METRIC_TENANT_CONCURRENCY};
    for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++) {
        struct totals totals;
        weir_metrics_family(metrics, METRICS[i]);
        for (size_t n = 0; nth(server->table, n, &totals); n++)
            add_samples(metrics, METRICS[i], &totals);
    }
}
