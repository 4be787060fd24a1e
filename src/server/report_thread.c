/* Reports: Weir's own pages that are as long as the ledger. They are made one after the other on a
 * thread of their own, their connections suspended meanwhile: a page that takes 30 ms holds up
 * neither the connections of an event loop nor a guest in a worker. The thread also takes the
 * censuses that are kept. Changes, which may take a compile job each, have a thread of their own,
 * too. */
#include "server/server_internal.h"

#include "base/check.h"
#include "base/clock.h"

#include <time.h>

void weir__report_set(struct weir__connection *connection, const struct weir__report *report)
{
    connection->report = *report;
}

/* Lives until its last byte is sent, in memory that was reserved for reports. */
struct text {
    struct weir_server *server;
    size_t size;
    char bytes[];
};

static void free_text(void *context)
{
    struct text *text = context;
    struct weir_server *server = text->server;
    (void)pthread_mutex_lock(&server->report_lock);
    weir_account_free(server->reports_account, WEIR_KIND_SERVER, text, sizeof *text + text->size);
    (void)pthread_mutex_unlock(&server->report_lock);
}

static struct text *write_text(struct weir_server *server, const json_t *object)
{
    size_t size = json_dumpb(object, NULL, 0, JSON_COMPACT);
    struct text *text = size == 0 ? NULL
                                  : weir_account_alloc(server->reports_account, WEIR_KIND_SERVER,
                                                       sizeof *text + size, NULL);
    if (text == NULL)
        return NULL;
    text->server = server;
    text->size = size;
    (void)json_dumpb(object, text->bytes, size, JSON_COMPACT);
    return text;
}

void weir__report_json(struct weir__connection *connection, json_t *object,
                       struct weir_error *error)
{
    struct text *text = object != NULL ? write_text(connection->server, object) : NULL;
    json_decref(object);
    if (text == NULL) {
        bool is_told = error != NULL && error->message[0] != 0;
        weir__fail(&connection->failure, WEIR__REFUSAL_MEMORY, "%s",
                   is_told ? error->message : "no memory for the report");
        weir_error_done(error);
        return;
    }
    const struct weir__report report = {.type = "application/json",
                                        .text = text->bytes,
                                        .size = text->size,
                                        .release = free_text,
                                        .context = text};
    weir__report_set(connection, &report);
}

/* --- the queue ----------------------------------------------------------------------------- */

bool weir__reports_push(struct weir__reports *reports, struct weir__connection *connection)
{
    connection->next_report = NULL;
    (void)pthread_mutex_lock(&reports->lock);
    bool is_taken = !reports->is_stopping;
    if (is_taken && reports->last != NULL)
        reports->last->next_report = connection;
    else if (is_taken)
        reports->first = connection;
    if (is_taken)
        reports->last = connection;
    (void)pthread_cond_signal(&reports->wake);
    (void)pthread_mutex_unlock(&reports->lock);
    return is_taken;
}

/* The next one; NULL at `until_ns`, or when the server stops and nothing waits. */
static struct weir__connection *pop(struct weir__reports *reports, uint64_t until_ns,
                                    bool *ret_is_over)
{
    const struct timespec until = weir_timespec(until_ns);
    int failed = 0;
    (void)pthread_mutex_lock(&reports->lock);
    while (reports->first == NULL && !reports->is_stopping && failed == 0)
        failed = pthread_cond_timedwait(&reports->wake, &reports->lock, &until);
    struct weir__connection *connection = reports->first;
    if (connection != NULL) {
        reports->first = connection->next_report;
        if (reports->first == NULL)
            reports->last = NULL;
    }
    *ret_is_over = connection == NULL && reports->is_stopping;
    (void)pthread_mutex_unlock(&reports->lock);
    return connection;
}

static void *make_reports(void *context)
{
    struct weir__reports *reports = context;
    bool is_over = false;
    while (!is_over) {
        uint64_t due_ns = reports->tick != NULL ? reports->tick(reports->server) : UINT64_MAX;
        struct weir__connection *connection = pop(reports, due_ns, &is_over);
        if (connection == NULL)
            continue;
        reports->make(connection);
        connection->report.is_made = true;
        weir__watch_resumed(connection);
        MHD_resume_connection(connection->mhd);
    }
    return NULL;
}

/* --- start and stop ------------------------------------------------------------------------ */

enum weir_status weir__reports_start(struct weir__reports *reports, struct weir_error *error)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_SERVER_THREAD_STACK);
    int failed = pthread_create(&reports->thread, &attributes, make_reports, reports);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed,
                                    "cannot start the thread of reports");
    reports->is_running = true;
    return WEIR_OK;
}

void weir__reports_stop(struct weir__reports *reports)
{
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
