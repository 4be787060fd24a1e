/* Reports: Weir's own pages that are as long as the ledger. They are made one after the other on a
 * thread of their own, their connections suspended meanwhile: a page that takes 30 ms holds up
 * neither the connections of an event loop nor a guest in a worker. */
#include "server/server_internal.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

void weir__report_set(struct weir__connection *connection, const struct weir__report *report)
{
    connection->report = *report;
}

void weir__report_json(struct weir__connection *connection, char *text, struct weir_error *error)
{
    if (text == NULL) {
        bool is_told = error != NULL && error->message[0] != 0;
        weir__fail(&connection->failure, WEIR__REFUSAL_INTERNAL, "%s",
                   is_told ? error->message : "no memory for the report");
        weir_error_done(error);
        return;
    }
    const struct weir__report report = {.type = "application/json",
                                        .text = text,
                                        .size = strlen(text),
                                        .release = free,
                                        .context = text};
    weir__report_set(connection, &report);
}

/* --- the queue ----------------------------------------------------------------------------- */

void weir__reports_push(struct weir__connection *connection)
{
    struct weir__reports *reports = &connection->server->report_queue;
    connection->next_report = NULL;
    (void)pthread_mutex_lock(&reports->lock);
    if (reports->last != NULL)
        reports->last->next_report = connection;
    else
        reports->first = connection;
    reports->last = connection;
    (void)pthread_cond_signal(&reports->wake);
    (void)pthread_mutex_unlock(&reports->lock);
}

/* NULL when the server stops and nothing waits. */
static struct weir__connection *pop(struct weir__reports *reports)
{
    (void)pthread_mutex_lock(&reports->lock);
    while (reports->first == NULL && !reports->is_stopping)
        (void)pthread_cond_wait(&reports->wake, &reports->lock);
    struct weir__connection *connection = reports->first;
    if (connection != NULL) {
        reports->first = connection->next_report;
        if (reports->first == NULL)
            reports->last = NULL;
    }
    (void)pthread_mutex_unlock(&reports->lock);
    return connection;
}

static void *make_reports(void *context)
{
    struct weir_server *server = context;
    struct weir__connection *connection;
    while ((connection = pop(&server->report_queue)) != NULL) {
        (void)pthread_mutex_lock(&server->report_lock);
        weir__page_find(connection->target.path)->make(connection);
        (void)pthread_mutex_unlock(&server->report_lock);
        connection->report.is_made = true;
        weir__watch_resumed(connection);
        MHD_resume_connection(connection->mhd);
    }
    return NULL;
}

/* --- start and stop ------------------------------------------------------------------------ */

enum weir_status weir__reports_start(struct weir_server *server, struct weir_error *error)
{
    struct weir__reports *reports = &server->report_queue;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_SERVER_THREAD_STACK);
    int failed = pthread_create(&reports->thread, &attributes, make_reports, server);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed,
                                    "cannot start the thread of reports");
    reports->is_running = true;
    return WEIR_OK;
}

void weir__reports_stop(struct weir_server *server)
{
    struct weir__reports *reports = &server->report_queue;
    if (!reports->is_running)
        return;
    (void)pthread_mutex_lock(&reports->lock);
    reports->is_stopping = true;
    (void)pthread_cond_signal(&reports->wake);
    (void)pthread_mutex_unlock(&reports->lock);
    (void)pthread_join(reports->thread, NULL);
    WEIR_ASSERT(reports->first == NULL);
    reports->is_running = false;
}
