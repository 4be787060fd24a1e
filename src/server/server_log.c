/* The two logs: opened with the server, one line per request, one per event. */
#include "server/server_log.h"

#include "base/clock.h"
#include "base/io.h"
#include "observe/log_queue.h"
#include "server/server_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- events -------------------------------------------------------------------------------- */

static void add_fields(struct weir_log_line *line, const struct weir_server_event *event)
{
    const struct weir_server_log_field *field = event->fields;
    for (; field != NULL && field->key != NULL; field++) {
        if (field->text != NULL)
            weir_log_line_text(line, field->key, field->text);
        else if (field->number != UINT64_MAX)
            weir_log_line_number(line, field->key, field->number);
    }
}

bool weir_server_is_log_for_people(const struct weir_log_keys *keys)
{
    return keys->events == NULL && keys->events_form == WEIR_LOG_TEXT;
}

void weir_server_log(struct weir_server *server, const struct weir_server_event *event,
                       const char *format, ...)
{
    static const char *const LEVELS[] = {"debug", "info", "warning", "error"};
    char message[1024], text[WEIR_SERVER_LOG_LINE_BYTES], time[WEIR_LOG_TIME_SIZE];
    const struct weir_log_keys *keys = &server->config->log;
    if ((int)event->level < atomic_load_explicit(&server->log_level, memory_order_relaxed) ||
        (event->is_told && weir_server_is_log_for_people(keys)))
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct weir_log_line line;
    weir_log_line_begin(&line, keys->events_form, text, sizeof text);
    if (keys->events_form != WEIR_LOG_TEXT) {
        weir_log_time(weir_clock_unix_ns(), time);
        weir_log_line_text(&line, "time", time);
        weir_log_line_text(&line, "level", LEVELS[event->level]);
        weir_log_line_text(&line, "event", event->name);
    }
    weir_log_line_text(&line, "message", message);
    if (keys->events_form != WEIR_LOG_TEXT)
        add_fields(&line, event);
    (void)weir_log_queue_write(server->events, text, weir_log_line_end(&line));
}

/* --- requests ------------------------------------------------------------------------------ */

static bool is_good_id(const char *id)
{
    size_t size = strlen(id);
    if (size == 0 || size > WEIR_SERVER_REQUEST_ID_MAX)
        return false;
    for (const char *c = id; *c != 0; c++)
        if (!isalnum((unsigned char)*c) && strchr("-_.:+/=", *c) == NULL)
            return false;
    return true;
}

void weir__log_name_request(struct weir__connection *connection)
{
    struct weir_server *server = connection->server;
    const char *given =
        MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, WEIR__REQUEST_ID_FIELD);
    if (given != NULL && is_good_id(given))
        (void)snprintf(connection->id, sizeof connection->id, "%s", given);
    else
        (void)snprintf(connection->id, sizeof connection->id, "%08x-%llx", server->id_seed,
                       (unsigned long long)atomic_fetch_add(&server->id_next, 1));
}

/* As it was sent. */
static const char *write_target(const struct weir__connection *connection, char *text, size_t size)
{
    const char *query = connection->target.query;
    bool has_query = query != NULL && query[0] != 0;
    (void)snprintf(text, size, "%s%s%s", connection->url, has_query ? "?" : "",
                   has_query ? query : "");
    return text;
}

struct access {
    struct weir__connection *connection;
    const struct weir__failure *failure;
    const char *route, *tenant;
    const char *referer, *agent;
    const struct weir__usage *usage;
    unsigned status; /* 0: no answer */
    uint64_t bytes, us;
};

static void write_json(const struct access *access, struct weir_log_line *line)
{
    const struct weir__connection *connection = access->connection;
    char target[WEIR_SERVER_TARGET_MAX + 1], time[WEIR_LOG_TIME_SIZE];
    weir_log_time(weir_clock_unix_ns(), time);
    const struct weir_server_log_field fields[] = {
        {"time", time, 0},
        {"id", connection->id, 0},
        {"client", connection->client, 0},
        {"method", connection->method, 0},
        {"target", write_target(connection, target, sizeof target), 0},
        {"status", NULL, access->status},
        {"bytes", NULL, access->bytes},
        {"received", NULL, connection->received},
        {"duration_us", NULL, access->us},
        {"route", access->route, 0},
        {"tenant", access->tenant, 0},
        {"cpu_us", NULL, access->usage->cpu_ns / 1000},
        {"fuel", NULL, access->usage->fuel},
        {"memory_bytes", NULL, access->usage->memory_bytes},
        {"refused", weir__refusal_name(access->failure->refusal), 0},
        {"reason", access->failure->reason, 0},
        {"referer", access->referer != NULL ? access->referer : "", 0},
        {"agent", access->agent != NULL ? access->agent : "", 0},
        {NULL, NULL, 0},
    };
    add_fields(line, &(struct weir_server_event){.fields = fields});
}

/* Apache's combined form; what has no place in it follows as words. */
static void write_combined(const struct access *access, struct weir_log_line *line)
{
    const struct weir__connection *connection = access->connection;
    char target[WEIR_SERVER_TARGET_MAX + 1], text[sizeof target + 64], time[WEIR_LOG_TIME_SIZE];
    weir_log_line_word(line, connection->client);
    weir_log_line_word(line, NULL);
    weir_log_line_word(line, NULL);
    weir_log_time_apache(weir_clock_unix_ns(), time);
    weir_log_line_text(line, "time", time);
    (void)snprintf(text, sizeof text, "%.32s %s HTTP/1.1", connection->method,
                   write_target(connection, target, sizeof target));
    weir_log_line_quoted(line, text);
    (void)snprintf(text, sizeof text, "%03u %llu", access->status,
                   (unsigned long long)access->bytes);
    weir_log_line_text(line, "status", text);
    weir_log_line_quoted(line, access->referer);
    weir_log_line_quoted(line, access->agent);
    weir_log_line_word(line, connection->id);
    weir_log_line_word(line, access->route);
    weir_log_line_word(line, access->tenant);
    (void)snprintf(text, sizeof text, "us=%llu cpu_us=%llu fuel=%llu memory=%llu received=%llu",
                   (unsigned long long)access->us,
                   (unsigned long long)access->usage->cpu_ns / 1000,
                   (unsigned long long)access->usage->fuel,
                   (unsigned long long)access->usage->memory_bytes,
                   (unsigned long long)connection->received);
    weir_log_line_text(line, "figures", text);
    weir_log_line_word(line, weir__refusal_name(access->failure->refusal));
    weir_log_line_quoted(line, access->failure->reason);
}

void weir__log_access(struct weir__connection *connection, const struct weir__failure *failure,
                      unsigned status, const struct weir__request *request)
{
    static const struct weir__usage NOTHING = {0};
    struct weir_server *server = connection->server;
    const struct weir__route *route = connection->route;
    if (server->access == NULL)
        return;
    char text[WEIR_SERVER_LOG_LINE_BYTES];
    struct weir_log_line line;
    const struct access access = {
        .connection = connection,
        .failure = failure,
        .route = route != NULL ? route->config->path : "",
        .tenant = route != NULL ? weir__tenant_name(route->tenant) : "",
        .referer =
            MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_REFERER),
        .agent = MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND,
                                             MHD_HTTP_HEADER_USER_AGENT),
        .usage = request != NULL ? &request->usage : &NOTHING,
        .status = status,
        .bytes = request != NULL && request->is_streaming ? request->body_sent
                                                          : connection->answer_bytes,
        .us = (weir_clock_ns() - connection->begin_ns) / 1000,
    };
    enum weir_log_form form = server->config->log.access_form;
    weir_log_line_begin(&line, form, text, sizeof text);
    if (form == WEIR_LOG_JSON)
        write_json(&access, &line);
    else
        write_combined(&access, &line);
    (void)weir_log_queue_write(server->access, text, weir_log_line_end(&line));
}

/* --- life ---------------------------------------------------------------------------------- */

/* A log's own troubles are events; those of the events wait in their queue until it works. */
static void tell(struct weir_server *server, const char *log, enum weir_log_trouble trouble,
                 uint64_t count, int number)
{
    static const char *const MESSAGES[] = {
        [WEIR_LOG_DROPPED] = "lines were left out: the queue was full",
        [WEIR_LOG_FAILED] = "cannot be written, tried again until it can",
        [WEIR_LOG_WORKS] = "is written again",
        [WEIR_LOG_NOT_OPENED] = "cannot be opened again, the old file is written on",
    };
    const struct weir_server_log_field fields[] = {{"log", log, 0},
                                                   {"lines", NULL, count},
                                                   {"errno", NULL, (uint64_t)number},
                                                   {NULL, NULL, 0}};
    const struct weir_server_event event = {.level =
                                         trouble == WEIR_LOG_WORKS ? WEIR_LOG_INFO : WEIR_LOG_ERROR,
                                     .name = "log",
                                     .fields = fields};
    char lines[32] = "";
    if (trouble == WEIR_LOG_DROPPED)
        (void)snprintf(lines, sizeof lines, "%llu ", (unsigned long long)count);
    weir_server_log(server, &event, "log.%s: %s%s%s%s", log, lines, MESSAGES[trouble],
                      number != 0 ? ": " : "", number != 0 ? strerror(number) : "");
}

static void tell_access(void *context, enum weir_log_trouble trouble, uint64_t count, int number)
{
    tell(context, "access", trouble, count, number);
}

static void tell_events(void *context, enum weir_log_trouble trouble, uint64_t count, int number)
{
    tell(context, "events", trouble, count, number);
}

enum weir_status weir__logs_open(struct weir_server *server, struct weir_error *error)
{
    const struct weir_log_keys *keys = &server->config->log;
    struct weir_log_config config = {.path = keys->events,
                                     .fd = STDERR_FILENO,
                                     .queue_bytes = keys->queue_bytes,
                                     .account = server->account,
                                     .tell = tell_events,
                                     .context = server};
    if (weir_io_getrandom(weir_io_system(), &server->id_seed, sizeof server->id_seed, 0) < 0)
        server->id_seed = (uint32_t)weir_clock_unix_ns();
    enum weir_status status = weir_log_queue_new(&config, &server->events, error);
    if (status != WEIR_OK || keys->access == NULL)
        return status;
    bool is_stdout = strcmp(keys->access, WEIR_LOG_STDOUT) == 0;
    config.path = is_stdout ? NULL : keys->access;
    config.fd = STDOUT_FILENO;
    config.tell = tell_access;
    return weir_log_queue_new(&config, &server->access, error);
}

/* The events last: they tell what became of the other. */
void weir__logs_close(struct weir_server *server)
{
    weir_log_queue_free(server->access);
    server->access = NULL;
    weir_log_queue_free(server->events);
    server->events = NULL;
}

void weir_server_reopen_logs(struct weir_server *server)
{
    if (server->access != NULL)
        weir_log_queue_reopen(server->access);
    weir_log_queue_reopen(server->events);
}
