/* Sums over routes, then one question to each folder; what is the server's own is reckoned here. */
#include "server/server_plan.h"

#include "base/bytes.h"
#include "base/sizes.h"
#include "cache/cache.h"
#include "runtime/runtime_bounds.h"
#include "server/filter_plan.h"
#include "server/module_store.h"
#include "server/server_internal.h"
#include "worlds/wasi/wasi_bounds.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>

struct sums {
    struct weir_runtime_demand runtime;
    struct weir_code_demand code;
    struct weir_wasi_demand wasi;
    uint64_t requests;   /* at once, those that wait for a resident included */
    uint64_t body_bytes; /* largest spools of all requests */
};

static uint64_t block_bytes(void)
{
    return sizeof(struct weir__request) + WEIR_SERVER_BUFFER_BYTES;
}

static uint64_t connection_bytes(void)
{
    return WEIR_SERVER_CONNECTION_BYTES + sizeof(struct weir__connection);
}

static uint32_t log_count(const struct weir_server_config *config)
{
    return config->log.access != NULL ? 2 : 1;
}

static uint32_t thread_count(const struct weir_server_config *config)
{
    return config->loops + config->workers + WEIR_SERVER_OWN_THREADS + log_count(config);
}

/* --- routes -------------------------------------------------------------------------------- */

static bool is_capped(const struct weir_route_config *route)
{
    return route->tenant_bytes_max < weir_mul_sat(route->slots, route->memory_bytes_max);
}

static uint64_t guests_bytes(const struct weir_route_config *route)
{
    return is_capped(route) ? route->tenant_bytes_max
                            : weir_mul_sat(route->slots, route->memory_bytes_max);
}

/* What a tenant's routes could take without its limit. */
static uint64_t tenant_bytes(const struct weir_server_config *config,
                             const struct weir_tenant_keys *tenant)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].tenant_keys == tenant && weir_route_has_guest(&config->routes[i]))
            bytes = weir_add_sat(bytes, guests_bytes(&config->routes[i]));
    return bytes;
}

/* The limit of its tenant cuts what this route could take. */
static bool is_tenant_capped(const struct weir_server_config *config,
                             const struct weir_route_config *route)
{
    return route->tenant_keys != NULL &&
           route->tenant_keys->memory_bytes_max < tenant_bytes(config, route->tenant_keys);
}

/* Its tenant is counted here. */
static bool is_first_of_tenant(const struct weir_server_config *config,
                               const struct weir_route_config *route)
{
    for (const struct weir_route_config *before = config->routes; before < route; before++)
        if (before->tenant_keys == route->tenant_keys && weir_route_has_guest(before))
            return false;
    return true;
}

/* What counts for this route: its guests, all of its tenant's, or nothing, since another stands
 * for the tenant. */
static uint64_t counted_bytes(const struct weir_server_config *config,
                              const struct weir_route_config *route)
{
    if (!is_tenant_capped(config, route))
        return guests_bytes(route);
    return is_first_of_tenant(config, route) ? route->tenant_keys->memory_bytes_max : 0;
}

static void sum_routes(const struct weir_server_config *config, struct sums *sums)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct weir_route_config *route = &config->routes[i];
        if (!weir_route_has_guest(route))
            continue;
        sums->runtime.slots += route->slots;
        sums->requests += route->concurrency;
        sums->runtime.warm += route->warm;
        sums->runtime.memory_bytes =
            weir_add_sat(sums->runtime.memory_bytes, counted_bytes(config, route));
        sums->body_bytes =
            weir_add_sat(sums->body_bytes, weir_mul_sat(route->concurrency, route->body_bytes_max));
        if (route->dir_count > 0)
            sums->wasi.guests += route->slots;
    }
    uint64_t plugin_bytes = 0;
    sums->runtime.slots += weir_filter_plan_vms(config, &plugin_bytes);
    sums->runtime.memory_bytes = weir_add_sat(sums->runtime.memory_bytes, plugin_bytes);
    if (config->memory_bytes_max < sums->runtime.memory_bytes)
        sums->runtime.memory_bytes = config->memory_bytes_max;
    sums->runtime.threads = config->loops + config->workers + 1; /* and the main thread */
}

static enum weir_status weigh(const struct weir_server_config *config, const char *module,
                              bool has_fuel, struct sums *sums, struct weir_error *error)
{
    struct weir_module_weight weight;
    enum weir_status status =
        weir_module_weigh(module, has_fuel, config->cache_dir, &weight, error);
    if (status != WEIR_OK)
        return status;
    sums->code.modules++;
    sums->code.compiled += weight.is_compiled;
    sums->code.code_bytes = weir_add_sat(sums->code.code_bytes, weight.code_bytes);
    if (!weight.is_compiled && weight.module_bytes > sums->code.largest_bytes)
        sums->code.largest_bytes = weight.module_bytes;
    return WEIR_OK;
}

/* Two routes with one module load it once each. */
static enum weir_status weigh_modules(const struct weir_server_config *config, struct sums *sums,
                                      struct weir_error *error)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct weir_route_config *route = &config->routes[i];
        struct weir_error inner = {0};
        enum weir_status status = WEIR_OK;
        if (weir_route_has_guest(route))
            status = weigh(config, route->module, route->fuel != 0, sums, &inner);
        /* One that cannot be read takes no code, and the server not down. */
        for (size_t k = 0; k < route->filter_count; k++)
            (void)weigh(config, route->filters[k].module, route->filters[k].fuel != 0, sums, NULL);
        if (status != WEIR_OK) {
            (void)weir_error_set(error, status, inner.offset, "route %s: %s", route->path,
                                 inner.message);
            weir_error_done(&inner);
            return status;
        }
    }
    return WEIR_OK;
}

/* Any of the uploads may be as large as is allowed, and is compiled. */
static void weigh_uploads(const struct weir_server_config *config, struct sums *sums)
{
    if (config->control.upload_bytes_max > sums->code.largest_bytes)
        sums->code.largest_bytes = config->control.upload_bytes_max;
}

/* A resident holds a mark and what one request adds to it, together no more than its limit. */
static void describe_guests(const struct weir_route_config *route, char *text, size_t size)
{
    uint64_t mark = route->recycle.private_bytes_max != 0 ? route->recycle.private_bytes_max
                                                          : route->recycle.linear_bytes_max;
    bool is_resident = route->mode == WEIR_ROUTE_RESIDENT;
    int used = snprintf(text, size, "%u %sx %s", route->slots, is_resident ? "residents " : "",
                        weir_size_format(route->memory_bytes_max).text);
    if (is_resident && mark != 0 && used > 0 && (size_t)used < size)
        (void)snprintf(text + used, size - (size_t)used, ", recycled over %s",
                       weir_size_format(mark).text);
}

static void report_guests(const struct weir_server_config *config, weir_bound_report *report,
                          void *context)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct weir_route_config *route = &config->routes[i];
        char what[320], source[96] = "memory_max";
        if (!weir_route_has_guest(route) || counted_bytes(config, route) == 0)
            continue;
        (void)snprintf(what, sizeof what, "running guests %s", route->path);
        if (is_tenant_capped(config, route)) {
            (void)snprintf(what, sizeof what, "running guests of %s", route->tenant);
            (void)snprintf(source, sizeof source, "limits.memory of the tenant");
        } else if (!is_capped(route)) {
            describe_guests(route, source, sizeof source);
        }
        report(context, &(struct weir_bound){.what = what,
                                             .source = source,
                                             .bytes = counted_bytes(config, route)});
    }
}

/* --- the module cache --------------------------------------------------------------------- */

struct weir_cache_config weir__server_cache_config(const struct weir_server_config *config)
{
    return (struct weir_cache_config){.dir = config->cache_dir,
                                      .pinned_bytes_max = config->module_cache.pinned_bytes,
                                      .memory_bytes_max = config->module_cache.memory_bytes,
                                      .disk_bytes_max = config->module_cache.disk_bytes,
                                      .modules_max = WEIR_SERVER_CACHE_MODULES_MAX};
}

/* --- the server's own ---------------------------------------------------------------------- */

/* One of WEIR_SERVER_REPORTS_MAX. */
static uint64_t page_bytes(const struct weir_server_config *config)
{
    uint64_t slots = 0;
    for (size_t i = 0; i < config->route_count; i++)
        slots += config->routes[i].slots;
    return WEIR_SERVER_REPORT_BYTES + weir_mul_sat(slots, WEIR_SERVER_REPORT_SLOT_BYTES) +
           weir_mul_sat(config->route_count, WEIR_SERVER_REPORT_ROUTE_BYTES) +
           WEIR_SERVER_CACHE_MODULES_MAX * WEIR_SERVER_REPORT_MODULE_BYTES;
}

struct weir_server_census_sizes weir_server_plan_census(const struct weir_server_config *config)
{
    uint64_t groups = WEIR_SERVER_CENSUS_GROUPS;
    uint64_t stores = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        groups += WEIR_SERVER_CENSUS_ROUTE_GROUPS;
        stores += config->routes[i].concurrency;
    }
    return (struct weir_server_census_sizes){
        .groups = groups < WEIR_SERVER_CENSUS_GROUPS_MAX ? (uint32_t)groups
                                                         : WEIR_SERVER_CENSUS_GROUPS_MAX,
        .stores = stores < WEIR_SERVER_CENSUS_STORES_MAX ? (uint32_t)stores
                                                         : WEIR_SERVER_CENSUS_STORES_MAX};
}

/* Its table of groups has up to four places for each. */
static uint64_t census_bytes(const struct weir_server_config *config)
{
    struct weir_server_census_sizes sizes = weir_server_plan_census(config);
    return sizes.groups * (sizeof(struct weir_census_group) + 4 * sizeof(uint32_t)) +
           sizes.stores * sizeof(struct weir_census_store) + WEIR_SERVER_CENSUS_OWN_BYTES;
}

/* The kept ones, the one that is shown, and what shows it. */
static uint64_t censuses_bytes(const struct weir_server_config *config)
{
    struct weir_server_census_sizes sizes = weir_server_plan_census(config);
    return (WEIR_SERVER_CENSUS_KEPT + 1) * census_bytes(config) +
           2 * sizes.groups * sizeof(struct weir_census_change) +
           WEIR_SERVER_CENSUS_PAGE_BYTES(WEIR_SERVER_CENSUS_TOP_MAX);
}

uint64_t weir_server_plan_report_bytes(const struct weir_server_config *config)
{
    return weir_add_sat(weir_mul_sat(WEIR_SERVER_REPORTS_MAX, page_bytes(config)),
                        censuses_bytes(config));
}

static void report_charged(const struct weir_server_config *config, const struct sums *sums,
                           weir_bound_report *report, void *context)
{
    char source[128];
    uint64_t requests = sums->requests;
    (void)snprintf(source, sizeof source, "%llu x %s", (unsigned long long)requests,
                   weir_size_format(block_bytes()).text);
    report(context, &(struct weir_bound){.what = "requests: bodies and buffers",
                                         .source = source,
                                         .bytes = weir_mul_sat(requests, block_bytes()),
                                         .descriptors = requests}); /* spool files */
    uint32_t connections = weir_server_connections(config);
    (void)snprintf(source, sizeof source, "%u x %s", connections,
                   weir_size_format(connection_bytes()).text);
    report(context, &(struct weir_bound){.what = "connections",
                                         .source = source,
                                         .bytes = weir_mul_sat(connections, connection_bytes()),
                                         .descriptors = connections});
    (void)snprintf(source, sizeof source, "%u x %s", thread_count(config),
                   weir_size_format(WEIR_SERVER_THREAD_STACK).text);
    report(context, &(struct weir_bound){
                        .what = "thread stacks",
                        .source = source,
                        .bytes = weir_mul_sat(thread_count(config), WEIR_SERVER_THREAD_STACK),
                        .mappings = 2 * (uint64_t)thread_count(config)});
    uint64_t log_bytes = config->log.queue_bytes + WEIR_SERVER_LOG_OWN_BYTES;
    (void)snprintf(source, sizeof source, "%u x %s, log.queue and a batch", log_count(config),
                   weir_size_format(log_bytes).text);
    report(context, &(struct weir_bound){.what = "logs",
                                         .source = source,
                                         .bytes = weir_mul_sat(log_count(config), log_bytes),
                                         .descriptors = 2}); /* while it is opened again */
    if (config->control.upload_bytes_max > 0)
        report(context,
               &(struct weir_bound){.what = "uploads",
                                    .source = "4 at once; their bytes go to disk",
                                    .bytes = WEIR_MODULE_UPLOADS_MAX * WEIR_SERVER_UPLOAD_BYTES,
                                    .descriptors = WEIR_MODULE_UPLOADS_MAX + 1});
    (void)snprintf(source, sizeof source, "%u pages x %s, censuses %s",
                   WEIR_SERVER_REPORTS_MAX, weir_size_format(page_bytes(config)).text,
                   weir_size_format(censuses_bytes(config)).text);
    report(context, &(struct weir_bound){.what = "reports",
                                         .source = source,
                                         .bytes = weir_server_plan_report_bytes(config)});
}

static bool is_in_memory(const char *folder)
{
    struct statfs fs;
    return statfs(folder, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static void report_beside(const struct weir_server_config *config, const struct sums *sums,
                          weir_bound_report *report, void *context)
{
    char source[128];
    uint64_t libraries =
        WEIR_SERVER_LIBRARY_BYTES +
        weir_mul_sat(weir_server_connections(config), WEIR_SERVER_LIBRARY_CONNECTION_BYTES) +
        weir_mul_sat(sums->requests, WEIR_SERVER_STREAM_BYTES);
    report(context, &(struct weir_bound){.what = "libraries",
                                         .source = "reserve: HTTP, YAML, JSON, C",
                                         .bytes = libraries,
                                         .basis = WEIR_BOUND_MEASURED,
                                         .is_beside = true,
                                         .mappings = WEIR_SERVER_OWN_MAPPINGS,
                                         .descriptors = WEIR_SERVER_OWN_DESCRIPTORS});
    uint64_t kernel = weir_mul_sat(config->connections_max, WEIR_SERVER_SOCKET_BYTES) +
                      weir_mul_sat(thread_count(config), WEIR_SERVER_THREAD_KERNEL_BYTES) +
                      WEIR_SERVER_KERNEL_BYTES;
    (void)snprintf(source, sizeof source, "%u x %s, %u threads", config->connections_max,
                   weir_size_format(WEIR_SERVER_SOCKET_BYTES).text, thread_count(config));
    report(context, &(struct weir_bound){.what = "kernel: sockets, threads",
                                         .source = source,
                                         .bytes = kernel,
                                         .basis = WEIR_BOUND_ESTIMATED,
                                         .is_beside = true});
    if (is_in_memory(config->spool_dir))
        report(context, &(struct weir_bound){.what = "spooled bodies",
                                             .source = "server.spool is memory (tmpfs)",
                                             .bytes = sums->body_bytes,
                                             .is_beside = true});
}

static void report_free(const struct weir_server_config *config, weir_bound_report *report,
                        void *context)
{
    if (config->governor.free_bytes > 0)
        report(context, &(struct weir_bound){.what = "kept free",
                                             .source = "governor.mem_free_limit",
                                             .bytes = config->governor.free_bytes,
                                             .is_beside = true});
}

static void add_beside(void *context, const struct weir_bound *bound)
{
    uint64_t *sum = context;
    if (bound->is_beside)
        *sum = weir_add_sat(*sum, bound->bytes);
}

uint64_t weir_server_plan_beside_bytes(const struct weir_server_config *config)
{
    struct sums sums = {0};
    uint64_t bytes = 0;
    sum_routes(config, &sums);
    weir_runtime_bounds(&sums.runtime, add_beside, &bytes);
    report_beside(config, &sums, add_beside, &bytes);
    weir_filter_plan_report(config, add_beside, &bytes);
    return bytes;
}

/* --- knobs --------------------------------------------------------------------------------- */

static enum weir_status add_knob(struct weir_plan *plan, const char *unit,
                                 const struct weir_plan_knob *knob, struct weir_error *error)
{
    struct weir_plan_knob own = *knob;
    own.unit = unit;
    return weir_plan_add_knob(plan, &own, error);
}

static enum weir_status add_tenant_knob(const struct weir_server_config *config,
                                        const struct weir_tenant_keys *tenant,
                                        struct weir_plan *plan, struct weir_error *error)
{
    char name[320];
    uint64_t least = 0;
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].tenant_keys == tenant && config->routes[i].memory_bytes_max > least)
            least = config->routes[i].memory_bytes_max;
    (void)snprintf(name, sizeof name, "limits.memory of tenant %s", tenant->name);
    return add_knob(plan, "MiB",
                    &(struct weir_plan_knob){.name = name,
                                             .value = tenant->memory_bytes_max / WEIR_MIB,
                                             .minimum = least / WEIR_MIB + 1,
                                             .unit_bytes = WEIR_MIB},
                    error);
}

static enum weir_status add_route_knobs(const struct weir_server_config *config,
                                        const struct weir_route_config *route,
                                        struct weir_plan *plan, struct weir_error *error)
{
    char name[320];
    if (!weir_route_has_guest(route) || counted_bytes(config, route) == 0)
        return WEIR_OK;
    if (is_tenant_capped(config, route))
        return add_tenant_knob(config, route->tenant_keys, plan, error);
    if (is_capped(route)) {
        (void)snprintf(name, sizeof name, "%s memory_max", route->path);
        return add_knob(plan, "MiB",
                        &(struct weir_plan_knob){.name = name,
                                                 .value = route->tenant_bytes_max / WEIR_MIB,
                                                 .minimum = route->memory_bytes_max / WEIR_MIB,
                                                 .unit_bytes = WEIR_MIB},
                        error);
    }
    bool is_resident = route->mode == WEIR_ROUTE_RESIDENT;
    (void)snprintf(name, sizeof name, "%s %s", route->path,
                   is_resident ? "residents" : "limits.concurrency");
    enum weir_status status =
        add_knob(plan, is_resident ? "guests" : "requests",
                 &(struct weir_plan_knob){.name = name,
                                          .value = route->slots,
                                          .minimum = 1,
                                          .unit_bytes = route->memory_bytes_max +
                                                        (is_resident ? 0 : block_bytes())},
                 error);
    (void)snprintf(name, sizeof name, "%s limits.memory", route->path);
    if (status == WEIR_OK)
        status = add_knob(plan, "MiB",
                          &(struct weir_plan_knob){.name = name,
                                                   .value = route->memory_bytes_max / WEIR_MIB,
                                                   .minimum = 2,
                                                   .unit_bytes = route->slots * WEIR_MIB},
                          error);
    return status;
}

/* What the cap cuts off anyway is no use to turn. */
static enum weir_status add_knobs(const struct weir_server_config *config, struct weir_plan *plan,
                                  struct weir_error *error)
{
    bool is_cut = weir_plan_cut(plan) > 0;
    enum weir_status status = WEIR_OK;
    size_t most = WEIR_PLAN_KNOBS_MAX / 2 - 2;
    for (size_t i = 0; !is_cut && status == WEIR_OK && i < config->route_count && i < most; i++)
        status = add_route_knobs(config, &config->routes[i], plan, error);
    if (is_cut)
        status = add_knob(plan, "MiB",
                          &(struct weir_plan_knob){.name = "memory_max",
                                                   .value = config->memory_bytes_max / WEIR_MIB,
                                                   .minimum = WEIR_SERVER_MEMORY_MIN / WEIR_MIB,
                                                   .unit_bytes = WEIR_MIB},
                          error);
    uint64_t connection = WEIR_SERVER_SOCKET_BYTES + WEIR_SERVER_LIBRARY_CONNECTION_BYTES +
                          (is_cut ? 0 : connection_bytes());
    if (status == WEIR_OK)
        status = add_knob(plan, "connections",
                          &(struct weir_plan_knob){.name = "server.connections_max",
                                                   .value = config->connections_max,
                                                   .minimum = 1,
                                                   .unit_bytes = connection},
                          error);
    if (status == WEIR_OK && config->governor.free_bytes > 0)
        status = add_knob(plan, "MiB",
                          &(struct weir_plan_knob){.name = "governor.mem_free_limit",
                                                   .value = config->governor.free_bytes / WEIR_MIB,
                                                   .minimum = 0,
                                                   .unit_bytes = WEIR_MIB},
                          error);
    return status;
}

/* --- the plan ------------------------------------------------------------------------------ */

static void set_count_limits(struct weir_plan *plan)
{
    uint64_t mappings = weir_ledger_count_limit(WEIR_KIND_MAPPING);
    weir_plan_set_count_limit(plan, WEIR_PLAN_MAPPINGS, mappings, "7/8 of vm.max_map_count");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max != RLIM_INFINITY)
        weir_plan_set_count_limit(plan, WEIR_PLAN_DESCRIPTORS, files.rlim_max,
                                  "ulimit -H -n of this process");
}

static enum weir_status fill(const struct weir_server_config *config, struct weir_plan *plan,
                             struct weir_error *error)
{
    struct sums sums = {0};
    enum weir_status status = weigh_modules(config, &sums, error);
    if (status != WEIR_OK)
        return status;
    weigh_uploads(config, &sums);
    sum_routes(config, &sums);
    weir_code_bounds(&sums.code, weir_plan_bound, plan);
    const struct weir_cache_config cache = weir__server_cache_config(config);
    weir_cache_config_bounds(&cache, weir_plan_bound, plan);
    report_guests(config, weir_plan_bound, plan);
    weir_runtime_bounds(&sums.runtime, weir_plan_bound, plan);
    report_charged(config, &sums, weir_plan_bound, plan);
    weir_wasi_bounds(&sums.wasi, weir_plan_bound, plan);
    report_beside(config, &sums, weir_plan_bound, plan);
    weir_filter_plan_report(config, weir_plan_bound, plan);
    report_free(config, weir_plan_bound, plan);
    set_count_limits(plan);
    if (config->memory_bytes_max != WEIR_UNLIMITED)
        status =
            weir_plan_cap(plan, WEIR_PLAN_CHARGED, config->memory_bytes_max, "memory_max", error);
    if (status == WEIR_OK)
        status = add_knobs(config, plan, error);
    return status;
}

enum weir_status weir_server_plan_new(const struct weir_server_config *config,
                                      struct weir_plan **ret_plan, struct weir_error *error)
{
    struct weir_plan *plan = NULL;
    enum weir_status status = weir_plan_new(config->file, &plan, error);
    if (status == WEIR_OK)
        status = fill(config, plan, error);
    if (status != WEIR_OK) {
        weir_plan_free(plan);
        return status;
    }
    *ret_plan = plan;
    return WEIR_OK;
}
