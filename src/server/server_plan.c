/* What a configuration allows at most: one line per bound, with the keys it comes from. */
#include "server/server_internal.h"

#include "base/sizes.h"

#include <stdio.h>

/* What a clean slot holds: its stack and what a reset keeps resident (weir/engine.h, weir/store.h),
 * and its tables and records. */
#define WARM_SLOT_BYTES ((UINT64_C(2) << 20) + (UINT64_C(256) << 10))

static void add(weir_bound_report *report, void *context, const char *what, uint64_t bytes,
                const char *source)
{
    const struct weir_bound bound = {.what = what, .source = source, .bytes = bytes};
    report(context, &bound);
}

static void add_modules(const struct weir_server *server, weir_bound_report *report, void *context)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < server->config->route_count; i++) {
        struct weir_module_figures figures;
        weir_module_figures(server->routes[i].module, &figures);
        bytes += figures.artifact_bytes + figures.private_bytes;
    }
    char source[96];
    (void)snprintf(source, sizeof source, "%zu modules, measured; page cache",
                   server->config->route_count);
    add(report, context, "module code", bytes, source);
}

static void add_guests(const struct weir_server_config *config, weir_bound_report *report,
                       void *context)
{
    char source[128];
    uint64_t blocks = 0, warm = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct weir_route_config *route = &config->routes[i];
        uint64_t bytes = route->concurrency * route->memory_bytes_max;
        (void)snprintf(source, sizeof source, "%s: %u at once x %s%s", route->path,
                       route->concurrency, weir_size_format(route->memory_bytes_max).text,
                       route->tenant_bytes_max < bytes ? ", memory_max" : "");
        add(report, context, "running guests",
            route->tenant_bytes_max < bytes ? route->tenant_bytes_max : bytes, source);
        blocks += route->concurrency;
        warm += route->warm;
    }
    (void)snprintf(source, sizeof source, "%llu warm slots x %s", (unsigned long long)warm,
                   weir_size_format(WARM_SLOT_BYTES).text);
    add(report, context, "idle guests", warm * WARM_SLOT_BYTES, source);
    uint64_t block = sizeof(struct weir__request) + WEIR_SERVER_BUFFER_BYTES;
    (void)snprintf(source, sizeof source, "%llu x %s", (unsigned long long)blocks,
                   weir_size_format(block).text);
    add(report, context, "requests: bodies and buffers", blocks * block, source);
}

void weir_server_bounds(const struct weir_server *server, weir_bound_report *report, void *context)
{
    const struct weir_server_config *config = server->config;
    char source[128];
    add_modules(server, report, context);
    add_guests(config, report, context);
    uint64_t connection = WEIR_SERVER_CONNECTION_BYTES + sizeof(struct weir__connection);
    (void)snprintf(source, sizeof source, "%u x %s", config->connections_max,
                   weir_size_format(connection).text);
    add(report, context, "connections", config->connections_max * connection, source);
    uint32_t threads = config->loops + config->workers + 1;
    (void)snprintf(source, sizeof source, "%u x %s", threads,
                   weir_size_format(WEIR_SERVER_THREAD_STACK).text);
    add(report, context, "thread stacks", (uint64_t)threads * WEIR_SERVER_THREAD_STACK, source);
}
