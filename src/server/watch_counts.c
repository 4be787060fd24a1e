/* What is counted elsewhere and seldom changes, as events: slots that could not be made as new,
 * guests that were recycled, artifacts that were put into quarantine. On the watch's thread, each
 * time that it looks at its clients. */
#include "server/server_internal.h"

static void tell(struct weir_server *server, const char *name, const char *route, uint64_t count,
                 const char *what)
{
    const struct weir_server_log_field fields[] = {
        {"route", route, 0}, {"count", NULL, count}, {NULL, NULL, 0}};
    const struct weir_server_event event = {
        .level = WEIR_LOG_INFO, .name = name, .fields = fields};
    if (count > 0)
        weir_server_log(server, &event, "%s%s%llu %s", route, route[0] != 0 ? ": " : "",
                        (unsigned long long)count, what);
}

/* How far a counter has come since it was told. */
static uint64_t since(uint64_t *told, uint64_t now)
{
    uint64_t more = now - *told;
    *told = now;
    return more;
}

void weir__counts_tell(struct weir_server *server)
{
    const struct weir__route_table *table = weir__route_table_hold(server);
    for (size_t i = 0; i < table->count; i++) {
        struct weir__route *route = table->routes[i];
        struct weir_pool_figures figures;
        uint64_t recycled = 0;
        if (route->pool == NULL) /* it leads to an upstream */
            continue;
        weir_pool_figures(route->pool, &figures);
        for (size_t j = 0; j < WEIR_RECYCLE_REASON_COUNT; j++)
            recycled += figures.recycled[j];
        tell(server, "spoiled", route->config->path, since(&route->told_spoiled, figures.spoiled),
             "slots were closed: they could not be made as new");
        tell(server, "recycled", route->config->path, since(&route->told_recycled, recycled),
             "guests were recycled");
    }
    weir__route_table_release(server);
    struct weir_cache_figures cache;
    weir_cache_figures(server->cache, &cache);
    tell(server, "quarantined", "", since(&server->told_quarantined, cache.disk_quarantined),
         "artifacts were damaged or foreign, and are in quarantine");
}
