/* /healthz: the process answers. /readyz: it takes requests. And which pages are Weir's own. */
#include "server/server_internal.h"

#include <string.h>

weir__page *weir__page_find(const char *path)
{
    static const struct {
        const char *path;
        weir__page *page;
    } PAGES[] = {
        {"/v1/memory", weir__page_memory}, {"/v1/pressure", weir__page_pressure},
        {"/v1/cache", weir__page_cache},   {"/metrics", weir__page_metrics},
        {"/healthz", weir__page_healthz},  {"/readyz", weir__page_readyz},
    };
    for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0]; i++)
        if (strcmp(path, PAGES[i].path) == 0)
            return PAGES[i].page;
    return NULL;
}

bool weir__report_begin(struct weir__connection *connection)
{
    _Atomic uint32_t *reports = &connection->server->reports;
    connection->is_report = true; /* given back when the request is completed */
    if (atomic_fetch_add(reports, 1) < WEIR_SERVER_REPORTS_MAX)
        return true;
    connection->failure.limit = WEIR_SERVER_REPORTS_MAX;
    weir__fail(&connection->failure, WEIR__REFUSAL_BUSY, "%u reports are made at once",
               WEIR_SERVER_REPORTS_MAX);
    return false;
}

enum MHD_Result weir__page_healthz(struct weir__connection *connection)
{
    static char text[] = "ok\n";
    return weir__answer_text(connection, 200, "text/plain; charset=utf-8", text, strlen(text),
                             MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result weir__page_readyz(struct weir__connection *connection)
{
    static char ready[] = "ready\n";
    static char not_ready[] = "stopping\n";
    bool is_ready = atomic_load(&connection->server->phase) == WEIR__SERVING;
    char *text = is_ready ? ready : not_ready;
    return weir__answer_text(connection, is_ready ? 200 : 503, "text/plain; charset=utf-8", text,
                             strlen(text), MHD_RESPMEM_PERSISTENT);
}
