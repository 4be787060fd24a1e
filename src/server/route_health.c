/* Weir's own pages: which there are, and how one is answered. /healthz: the process answers.
 * /readyz: it takes requests. */
#include "server/server_census.h"

#include "base/clock.h"
#include "base/nearest.h"

#include <stdio.h>
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

static const struct weir__page PAGES[] = {
    {"/v1/memory", .make = weir__report_memory},
    {"/v1/cache", .make = weir__report_cache},
    {"/v1/filters", .make = weir__report_filters},
    {"/v1/census", .make = weir__report_census},
    {"/metrics", .make = weir__report_metrics},
    {"/v1/tenants", .make = weir__report_tenants},
    {"/v1/modules", .make = weir__modules_list},
    {WEIR__MODULES_PATH, .make = weir__modules_show, .changes = "PUT, DELETE",
     .begin = weir__modules_begin, .change = weir__modules_change},
    {"/v1/pressure", .answer = weir__page_pressure},
    {"/healthz", .answer = answer_healthz},
    {"/readyz", .answer = answer_readyz},
};

const struct weir__page *weir__page_find(const char *path)
{
    for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0]; i++) {
        size_t size = strlen(PAGES[i].path);
        bool is_tree = PAGES[i].path[size - 1] == '/';
        if (is_tree ? strncmp(path, PAGES[i].path, size) == 0 : strcmp(path, PAGES[i].path) == 0)
            return &PAGES[i];
    }
    return NULL;
}

const char *weir__page_nearest(const char *path)
{
    const char *names[sizeof PAGES / sizeof PAGES[0]];
    for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0]; i++)
        names[i] = PAGES[i].path;
    return weir_nearest_name(path, names, sizeof PAGES / sizeof PAGES[0]);
}

const char *weir__page_methods(const struct weir__connection *connection, char *text, size_t size)
{
    const char *changes = weir__page_find(connection->target.path)->changes;
    (void)snprintf(text, size, "GET, HEAD%s%s", changes != NULL ? ", " : "",
                   changes != NULL ? changes : "");
    return text;
}

/* A word of "PUT, DELETE". */
static bool is_listed(const char *methods, const char *method)
{
    size_t size = strlen(method);
    for (const char *at = methods; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (size > 0 && strncmp(at, method, size) == 0 && (at[size] == ',' || at[size] == 0))
            return true;
    }
    return false;
}

static bool is_read(const struct weir__connection *connection)
{
    return strcmp(connection->method, "GET") == 0 || strcmp(connection->method, "HEAD") == 0;
}

void weir__page_begin(struct weir__connection *connection, const struct weir__page *page,
                      uint64_t body_bytes)
{
    char methods[64];
    bool is_change = !is_read(connection);
    if (is_change && !is_listed(page->changes, connection->method))
        weir__fail(&connection->failure, WEIR__REFUSAL_METHOD, "only %s are answered",
                   weir__page_methods(connection, methods, sizeof methods));
    else if (weir__control_admit(connection, is_change) && is_change &&
             atomic_load(&connection->server->phase) == WEIR__DRAINING)
        weir__fail(&connection->failure, WEIR__REFUSAL_DRAINING, "the server is stopping");
    if (is_change && connection->failure.refusal == WEIR__REFUSAL_NONE)
        page->begin(connection, body_bytes);
}

void weir__page_make(struct weir__connection *connection)
{
    struct weir_server *server = connection->server;
    (void)pthread_mutex_lock(&server->report_lock);
    weir__page_find(connection->target.path)->make(connection);
    (void)pthread_mutex_unlock(&server->report_lock);
}

/* The thread of reports takes the censuses that are kept, too. */
uint64_t weir__page_tick(struct weir_server *server)
{
    (void)pthread_mutex_lock(&server->report_lock);
    uint64_t due_ns = weir__server_census_tick(server, weir_clock_ns());
    (void)pthread_mutex_unlock(&server->report_lock);
    return due_ns;
}

void weir__page_change(struct weir__connection *connection)
{
    if (atomic_load(&connection->server->are_changes_off))
        weir__fail(&connection->failure, WEIR__REFUSAL_DRAINING, "the server is stopping");
    else
        weir__page_find(connection->target.path)->change(connection);
    (void)atomic_fetch_sub(&connection->server->changes, 1);
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

/* As above, until it is made. */
static bool begin_change(struct weir__connection *connection)
{
    _Atomic uint32_t *changes = &connection->server->changes;
    if (atomic_fetch_add(changes, 1) < WEIR_SERVER_CHANGES_MAX)
        return true;
    (void)atomic_fetch_sub(changes, 1);
    connection->failure.limit = WEIR_SERVER_CHANGES_MAX;
    weir__fail(&connection->failure, WEIR__REFUSAL_BUSY, "%u changes wait already",
               WEIR_SERVER_CHANGES_MAX);
    return false;
}

enum MHD_Result weir__page_answer(struct weir__connection *connection)
{
    const struct weir__page *page = weir__page_find(connection->target.path);
    struct weir__report *report = &connection->report;
    if (page->answer != NULL)
        return page->answer(connection);
    if (!report->is_made) {
        struct weir_server *server = connection->server;
        bool is_change = !is_read(connection);
        if (!(is_change ? begin_change(connection) : begin_report(connection)))
            return weir__answer_failure(connection);
        weir__exchange_report(connection,
                              is_change ? &server->change_queue : &server->report_queue);
        return MHD_YES;
    }
    const struct weir__report made = *report;
    report->text = NULL;
    return weir__answer_report(connection, &made);
}
