/* GET /v1/memory: the account tree, equations (a) and (b), every linear memory, the peak. */
#include "server/server_internal.h"

#include "base/json_number.h"
#include "observe/memory_json.h"

#include <string.h>

#define MEMORIES_MAX 1000 /* linear memories listed; the sums hold all */

static json_t *recycled_json(const struct weir_pool_figures *figures)
{
    json_t *recycled = json_object();
    for (int i = WEIR_RECYCLE_NONE + 1; recycled != NULL && i < WEIR_RECYCLE_REASON_COUNT; i++)
        weir_json_set_number(recycled, weir_recycle_reason_name((enum weir_recycle_reason)i),
                             figures->recycled[i]);
    return recycled;
}

static json_t *pools_json(struct weir_server *server)
{
    json_t *pools = json_array();
    const struct weir__route_table *table = weir__route_table_hold(server);
    for (size_t i = 0; i < table->count; i++) {
        struct weir_pool_figures figures;
        if (table->routes[i]->pool == NULL)
            continue;
        weir_pool_figures(table->routes[i]->pool, &figures);
        struct weir__route *route = table->routes[i];
        json_t *pool = json_pack("{s:s,s:s}", "route", route->config->path, "mode",
                                 weir_route_mode_name(route->config->mode));
        if (pool == NULL)
            break;
        weir_json_set_number(pool, "in_use", figures.in_use);
        weir_json_set_number(pool, "warm", figures.warm);
        weir_json_set_number(pool, "takes", figures.takes);
        weir_json_set_number(pool, "cold_takes", figures.cold_takes);
        weir_json_set_number(pool, "resets", figures.resets);
        weir_json_set_number(pool, "busy", figures.busy);
        weir_json_set_number(pool, "near_takes", figures.near_takes);
        weir_json_set_number(pool, "spoiled", figures.spoiled);
        weir_json_set_number(pool, "faults", figures.faults);
        weir_json_set_number(pool, "waiting", weir__turns_waiting(route));
        (void)json_object_set_new(pool, "recycled", recycled_json(&figures));
        (void)json_array_append_new(pools, pool);
    }
    weir__route_table_release(server);
    return pools;
}

static json_t *memory_json(struct weir_server *server, struct weir_error *error)
{
    struct weir_equation equation;
    if (weir_equation_read(&equation, error) != WEIR_OK)
        return NULL;
    json_t *object = weir_memory_json(weir_account_host(), &equation);
    if (object == NULL)
        return NULL;
    uint64_t growth = 0;
    if (weir_growth_read(&growth, NULL) == WEIR_OK)
        weir_json_set_number(object, "growth_bytes", growth);
    weir_cgroup_equation_renew(&server->cgroup, "", "self", NULL);
    (void)json_object_set_new(object, "cgroup", weir_memory_json_cgroup(&server->cgroup));
    (void)json_object_set_new(object, "memories", weir_memory_json_memories(MEMORIES_MAX));
    (void)json_object_set_new(object, "pools", pools_json(server));
    return object;
}

void weir__report_memory(struct weir__connection *connection)
{
    struct weir_error error = {0};
    json_t *object = memory_json(connection->server, &error);
    weir__report_json(connection, object, &error);
}
