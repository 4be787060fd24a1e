/* Counters of routes, the table of refusals, and the log line of a failed guest. */
#include "server/server_internal.h"

#include "base/clock.h"

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
    uint64_t second = weir_clock_ns() / UINT64_C(1000000000);
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

void weir__log_failure(struct weir_server *server, const struct weir__request *request)
{
    uint64_t left_out = 0;
    if (!may_log(server, &left_out))
        return;
    char said[WEIR_SERVER_STDERR_BYTES + 1];
    size_t size = 0;
    for (size_t i = 0; i < request->stderr_size; i++) {
        unsigned char c = (unsigned char)request->stderr_text[i];
        said[size++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    while (size > 0 && said[size - 1] == ' ')
        size--;
    said[size] = 0;
    const struct weir__failure *failure = &request->failure;
    (void)fprintf(stderr, "%s: %s: %s%s%s%s%s\n", request->route->config->path,
                  weir__refusal_name(failure->refusal), failure->reason,
                  failure->at[0] != 0 ? " in " : "", failure->at, size > 0 ? "; it said: " : "",
                  said);
    if (left_out > 0)
        (void)fprintf(stderr, "%llu such lines were left out\n", (unsigned long long)left_out);
}
