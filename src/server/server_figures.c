/* Counters of routes, the table of refusals, and the log line of a failed guest. */
#include "server/server_internal.h"

#include "base/clock.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const uint64_t weir__latency_bounds_us[WEIR__LATENCY_BUCKETS - 1] = {
    25,    50,    100,    250,    500,    1000,    2500,    5000,   10000,
    25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};

static const struct {
    const char *name;
    unsigned http, retry_s;
    const char *unit;
} REFUSALS[WEIR__REFUSAL_COUNT] = {
#define WEIR_REFUSAL(id, name, http, retry, unit) [WEIR__REFUSAL_##id] = {name, http, retry, unit},
#include "server/refusals.def"
#undef WEIR_REFUSAL
};

const char *weir__refusal_name(enum weir__refusal refusal)
{
    return REFUSALS[refusal].name;
}

unsigned weir__refusal_http(enum weir__refusal refusal)
{
    return REFUSALS[refusal].http;
}

unsigned weir__refusal_retry_s(enum weir__refusal refusal)
{
    return REFUSALS[refusal].retry_s;
}

const char *weir__refusal_unit(enum weir__refusal refusal)
{
    return REFUSALS[refusal].unit;
}

void weir__fail(struct weir__failure *failure, enum weir__refusal refusal, const char *format, ...)
{
    if (failure->refusal != WEIR__REFUSAL_NONE)
        return;
    failure->refusal = refusal;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(failure->reason, sizeof failure->reason, format, args);
    va_end(args);
}

void weir__figures_count(struct weir__route_figures *figures, unsigned status,
                         enum weir__refusal refusal, uint64_t ns)
{
    unsigned hundreds = status / 100 < 6 ? status / 100 : 0;
    (void)atomic_fetch_add_explicit(&figures->by_status[hundreds], 1, memory_order_relaxed);
    if (refusal != WEIR__REFUSAL_NONE)
        (void)atomic_fetch_add_explicit(&figures->refusals[refusal], 1, memory_order_relaxed);
    int bucket = 0;
    while (bucket < WEIR__LATENCY_BUCKETS - 1 && ns > weir__latency_bounds_us[bucket] * 1000)
        bucket++;
    (void)atomic_fetch_add_explicit(&figures->latency[bucket], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&figures->latency_sum_ns, ns, memory_order_relaxed);
}

/* False when this second has had its lines; *ret_left_out lines were swallowed since the last. */
static bool may_log(struct weir_server *server, uint64_t *ret_left_out)
{
    uint64_t second = weir_clock_ns() / WEIR_SECOND_NS;
    (void)pthread_mutex_lock(&server->log_lock);
    if (second != server->log_second) {
        server->log_second = second;
        server->log_lines = 0;
    }
    bool may = server->log_lines < WEIR_SERVER_LOG_LINES_MAX;
    *ret_left_out = may ? server->log_left_out : 0;
    server->log_left_out = may ? 0 : server->log_left_out + 1;
    server->log_lines += may;
    (void)pthread_mutex_unlock(&server->log_lock);
    return may;
}

void weir__log_filtered_failure(const struct weir__connection *connection,
                                const struct weir__failure *failure)
{
    uint64_t left_out = 0;
    const char *filter = weir__filtered_filter(connection->filtered);
    const char *path = weir__filtered_route(connection->filtered)->config->path;
    const char *refused = weir__refusal_name(failure->refusal);
    if (!may_log(connection->server, &left_out))
        return;
    const struct weir_server_log_field fields[] = {
        {"id", connection->id, 0},          {"route", path, 0},
        {"filter", filter != NULL ? filter : "", 0}, {"refused", refused, 0},
        {"reason", failure->reason, 0},     {"left_out", NULL, left_out},
        {NULL, NULL, 0}};
    const struct weir_server_event event = {
        .level = WEIR_LOG_WARNING, .name = "request_failed", .fields = fields};
    weir_server_log(connection->server, &event, "%s: %s: %s", path, refused, failure->reason);
}

void weir__log_failure(struct weir_server *server, const struct weir__request *request)
{
    uint64_t left_out = 0;
    if (!may_log(server, &left_out))
        return;
    char said[WEIR_SERVER_STDERR_BYTES + 1];
    size_t size = request->stderr_size;
    for (size_t i = 0; i < size; i++)
        said[i] = request->stderr_text[i] != 0 ? request->stderr_text[i] : ' ';
    while (size > 0 && isspace((unsigned char)said[size - 1]))
        size--;
    said[size] = 0;
    const struct weir__failure *failure = &request->failure;
    const char *path = request->route->config->path;
    const char *refused = weir__refusal_name(failure->refusal);
    const struct weir_server_log_field fields[] = {
        {"id", request->connection->id, 0},
        {"route", path, 0},
        {"refused", refused, 0},
        {"reason", failure->reason, 0},
        {"trap", failure->trap, 0},
        {"at", failure->at, 0},
        {"stderr", said, 0},
        {"left_out", NULL, left_out},
        {NULL, NULL, 0},
    };
    const struct weir_server_event event = {
        .level = WEIR_LOG_WARNING, .name = "request_failed", .fields = fields};
    char before[64] = "";
    if (left_out > 0)
        (void)snprintf(before, sizeof before, "; %llu such lines were left out before this",
                       (unsigned long long)left_out);
    weir_server_log(server, &event, "%s: %s: %s%s%s%s%s%s", path, refused, failure->reason,
                      failure->at[0] != 0 ? " in " : "", failure->at,
                      size > 0 ? "; it said: " : "", said, before);
}
