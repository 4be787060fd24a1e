/* What filters, upstreams and the threads between may take, for the plan. */
#include "server/filter_plan.h"

#include "base/bytes.h"
#include "base/sizes.h"
#include "server/server_limits.h"

#include <stdio.h>

uint64_t weir_filter_plan_vms(const struct weir_server_config *config, uint64_t *ret_bytes)
{
    uint64_t vms = 0, bytes = 0;
    for (size_t i = 0; i < config->route_count; i++)
        for (size_t k = 0; k < config->routes[i].filter_count; k++) {
            vms += config->filter_threads + 1;
            bytes = weir_add_sat(bytes, weir_filter_keys_bytes(&config->routes[i].filters[k],
                                                               config->filter_threads));
        }
    *ret_bytes = bytes;
    return vms;
}

static void report_plugins(const struct weir_server_config *config, weir_bound_report *report,
                           void *context)
{
    for (size_t i = 0; i < config->route_count; i++)
        for (size_t k = 0; k < config->routes[i].filter_count; k++) {
            const struct weir_filter_keys *keys = &config->routes[i].filters[k];
            char what[400], source[128];
            (void)snprintf(what, sizeof what, "filter %s of %s", keys->name,
                           config->routes[i].path);
            (void)snprintf(source, sizeof source, "(%u threads + 1) x %s, shared %s",
                           config->filter_threads, weir_size_format(keys->memory_bytes).text,
                           weir_size_format(WEIR_SERVER_FILTER_SHARED_BYTES).text);
            report(context,
                   &(struct weir_bound){
                       .what = what,
                       .source = source,
                       .bytes = weir_filter_keys_bytes(keys, config->filter_threads)});
        }
}

/* Windows on the four ways, its maps and records, and a body that waits for its answer to be read.
 */
static uint64_t request_bytes(const struct weir_route_config *route)
{
    return 4 * (WEIR_SERVER_FILTER_WINDOW + 2 * WEIR_SERVER_FILTER_CHUNK) +
           2 * WEIR_SERVER_UPSTREAM_HEAD_MAX + WEIR_SERVER_FILTERED_BYTES + route->body_bytes_max;
}

static void report_requests(const struct weir_server_config *config, weir_bound_report *report,
                            void *context)
{
    uint64_t bytes = 0, count = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct weir_route_config *route = &config->routes[i];
        if (!weir_route_is_filtered(route))
            continue;
        uint64_t all = weir_mul_sat(route->concurrency, request_bytes(route));
        bytes = weir_add_sat(bytes, all < route->tenant_bytes_max ? all : route->tenant_bytes_max);
        count += route->concurrency;
    }
    char source[128];
    (void)snprintf(source, sizeof source, "%llu at once: windows, heads, limits.body",
                   (unsigned long long)count);
    report(context,
           &(struct weir_bound){.what = "filtered requests", .source = source, .bytes = bytes});
    (void)snprintf(source, sizeof source, "reserve: itself, %llu transfers x %s",
                   (unsigned long long)count, weir_size_format(WEIR_SERVER_TRANSFER_BYTES).text);
    report(context, &(struct weir_bound){.what = "libcurl",
                                         .source = source,
                                         .bytes = WEIR_SERVER_CURL_BYTES +
                                                  weir_mul_sat(count, WEIR_SERVER_TRANSFER_BYTES),
                                         .basis = WEIR_BOUND_ESTIMATED,
                                         .is_beside = true,
                                         .mappings = 64,
                                         .descriptors = 8 * (uint64_t)config->filter_threads});
}

static void report_connections(const struct weir_server_config *config, weir_bound_report *report,
                               void *context)
{
    uint64_t outward = 0;
    for (size_t i = 0; i < config->upstream_count; i++)
        outward += config->upstreams[i].connections;
    outward = weir_mul_sat(outward, config->filter_threads);
    uint64_t inner = weir_server_connections(config) - config->connections_max;
    char source[128];
    (void)snprintf(source, sizeof source, "%llu to upstreams, %llu to guests",
                   (unsigned long long)outward, (unsigned long long)inner);
    report(context, &(struct weir_bound){
                        .what = "kernel: sockets of filters",
                        .source = source,
                        .bytes = weir_mul_sat(outward + 2 * inner, WEIR_SERVER_SOCKET_BYTES),
                        .basis = WEIR_BOUND_ESTIMATED,
                        .is_beside = true,
                        .descriptors = outward + inner});
}

void weir_filter_plan_report(const struct weir_server_config *config, weir_bound_report *report,
                             void *context)
{
    if (config->filter_threads == 0)
        return;
    char source[64];
    report_plugins(config, report, context);
    report_requests(config, report, context);
    (void)snprintf(source, sizeof source, "%u x %s", config->filter_threads,
                   weir_size_format(WEIR_SERVER_FILTER_THREAD_STACK).text);
    report(context,
           &(struct weir_bound){.what = "filter threads",
                                .source = source,
                                .bytes = (uint64_t)config->filter_threads *
                                         WEIR_SERVER_FILTER_THREAD_STACK,
                                .mappings = 2 * (uint64_t)config->filter_threads});
    report_connections(config, report, context);
}
