/* weir.yaml from anyone: an error with a line or a configuration whose values are in range. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "server/server_config.h"
#include "server/server_limits.h"

static void check_route(const struct weir_route_config *route)
{
    WEIR_ASSERT(route->path[0] == '/');
    WEIR_ASSERT(route->module[0] != 0);
    WEIR_ASSERT(route->concurrency >= 1 && route->concurrency <= 10000);
    WEIR_ASSERT(route->warm <= route->concurrency);
    WEIR_ASSERT(route->time_ns > 0 && route->memory_bytes_max > 0);
    for (size_t i = 0; i < route->env_count; i++)
        WEIR_ASSERT(strchr(route->env[i], '=') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena *arena = NULL;
    struct weir_server_config config = {0};
    struct weir_error error = {0};
    if (weir_arena_new(NULL, 0, &arena, NULL) != WEIR_OK)
        return 0;
    const struct weir_config_text text = {"fuzz.yaml", data, size};
    enum weir_status status = weir_server_config_parse(&text, "/modules", arena, &config, &error);
    if (status == WEIR_OK) {
        WEIR_ASSERT(config.route_count >= 1 && config.route_count <= WEIR_SERVER_ROUTES_MAX);
        WEIR_ASSERT(config.loops >= 1 && config.workers >= 1 && config.connections_max >= 1);
        for (size_t i = 0; i < config.route_count; i++)
            check_route(&config.routes[i]);
    } else {
        WEIR_ASSERT(error.status == status);
        WEIR_ASSERT(error.message[0] != 0);
    }
    weir_error_done(&error);
    weir_arena_free(arena);
    return 0;
}
