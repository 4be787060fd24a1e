/* What a configuration of `weir serve` may take at most, line by line: asked of every folder that
 * takes part, each for what the configuration makes of it. Needs no engine: `weir plan` and `weir
 * serve` make the same plan.
 */
#ifndef WEIR_SERVER_SERVER_PLAN_H
#define WEIR_SERVER_SERVER_PLAN_H

#include <weir/cache.h>

#include "govern/plan.h"
#include "server/server_config.h"

/* Without a limit: weir_plan_set_limit() and weir_plan_set_cgroup() follow. Reads the modules of
 * all routes for their size; errors name the route. */
enum weir_status weir_server_plan_new(const struct weir_server_config *config,
                                      struct weir_plan **ret_plan, struct weir_error *error)
    WEIR_MUST_USE;

/* What is reserved for reports: /metrics, /v1/memory, /v1/cache, /v1/census, and what they compare
 * with. */
uint64_t weir_server_plan_report_bytes(const struct weir_server_config *config);

/* How much one census of this configuration's guests holds. */
struct weir_server_census_sizes {
    uint32_t groups, stores;
};
struct weir_server_census_sizes weir_server_plan_census(const struct weir_server_config *config);

/* Of the lines beside the ledger, what this process itself may come to hold of memory that cannot
 * be reclaimed. */
uint64_t weir_server_plan_beside_bytes(const struct weir_server_config *config);

/* The host's module cache as the configuration wants it. */
struct weir_cache_config weir__server_cache_config(const struct weir_server_config *config);

#endif
