/* Weir's own pages: which there are, and how one is answered. /healthz: the process answers.
 * /readyz: it takes requests. */
#include "server/server_internal.h"

#include <string.h>

static enum MHD_Result answer_healthz(struct weir__connection *connection)
{
    static char text[] = "ok\n";
    return weir__answer_text(connection, 200, "text/plain; charset=utf-8", text, strlen(text),
                             MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer_readyz(struct weir__connection *connection)
{
    static char ready[] = "ready\n";
    static char not_ready[] = "stopping\n";
    bool is_ready = atomic_load(&connection->server->phase) == WEIR__SERVING;
    char *text = is_ready ? ready : not_ready;
    return weir__answer_text(connection, is_ready ? 200 : 503, "text/plain; charset=utf-8", text,
                             strlen(text), MHD_RESPMEM_PERSISTENT);
}

/* --- the table ----------------------------------------------------------------------------- */

const struct weir__page *weir__page_find(const char *path)
{
    static const struct weir__page PAGES[] = {
        {"/v1/memory", NULL, weir__report_memory},
        {"/v1/cache", NULL, weir__report_cache},
        {"/v1/census", NULL, weir__report_census},
        {"/metrics", NULL, weir__report_metrics},
        {"/v1/pressure", weir__page_pressure, NULL},
        {"/healthz", answer_healthz, NULL},
        {"/readyz", answer_readyz, NULL},
    };
    for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0]; i++)
        if (strcmp(path, PAGES[i].path) == 0)
            return &PAGES[i];
    return NULL;
}

/* One report more, until the request is completed; false with the failure set when there are
 * WEIR_SERVER_REPORTS_MAX already. */
static bool begin_report(struct weir__connection *connection)
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

enum MHD_Result weir__page_answer(struct weir__connection *connection)
{
    const struct weir__page *page = weir__page_find(connection->target.path);
    struct weir__report *report = &connection->report;
    if (page->answer != NULL)
        return page->answer(connection);
    if (!report->is_made) {
        if (!begin_report(connection))
            return weir__answer_failure(connection);
        weir__exchange_report(connection);
        return MHD_YES;
    }
    char *text = report->text;
    report->text = NULL;
    return weir__answer_owned(connection, report->type, text, report->size, report->release,
                              report->context);
}
