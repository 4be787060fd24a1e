/* HTTP of `weir guard`: one thread of libmicrohttpd. /admit costs a load and a compare and answers
 * with a response that was made once; a refusal and the pages are made for the request. */
#include "cli/guard_internal.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/guard_limits.h"

struct guard_http {
    struct weir_governor *governor;
    struct guard_equation *equation;
    struct weir_account *account;
    struct MHD_Daemon *daemon;
    struct MHD_Response *yes; /* empty: 204 for /admit, 200 below it */
    struct MHD_Response *healthy;
    struct guard_times times;
};

/* --- answers -------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *copy_of(const char *text, size_t size, const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (char *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return response;
}

static enum MHD_Result answer_error(struct MHD_Connection *connection, unsigned status,
                                    const char *text)
{
    return answer(connection, status, copy_of(text, strlen(text), "application/json"));
}

/* The header repeats the body in one line, for gateways that pass on headers of a subrequest but
 * not its body (nginx's auth_request). */
static enum MHD_Result answer_refusal(struct MHD_Connection *connection,
                                      const struct weir_refusal *refusal)
{
    char text[WEIR_REFUSAL_JSON_SIZE], retry[16];
    size_t size = weir_refusal_json(refusal, text, sizeof text);
    struct MHD_Response *response = copy_of(text, size, "application/json");
    if (response == NULL)
        return MHD_NO;
    (void)snprintf(retry, sizeof retry, "%u", refusal->retry_s);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, retry);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    text[size - 1] = '\0'; /* the newline */
    (void)MHD_add_response_header(response, "Weir-Refusal", text);
    return answer(connection, MHD_HTTP_TOO_MANY_REQUESTS, response);
}

/* --- pages ---------------------------------------------------------------------------------- */

static void count_time(struct guard_times *times, uint64_t ns)
{
    unsigned bucket = ns == 0 ? 0 : 64u - (unsigned)__builtin_clzll(ns);
    if (bucket >= GUARD_TIME_BUCKETS)
        bucket = GUARD_TIME_BUCKETS - 1;
    (void)atomic_fetch_add_explicit(&times->counts[bucket], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&times->sum_ns, ns, memory_order_relaxed);
}

/* /admit is 204; below it 200, because Envoy's ext_authz takes nothing else for a yes. */
static enum MHD_Result admit(struct guard_http *http, struct MHD_Connection *connection,
                             bool is_below)
{
    struct weir_refusal refusal;
    uint64_t begin_ns = weir_clock_ns();
    bool is_admitted = weir_governor_admit(http->governor, begin_ns, &refusal);
    count_time(&http->times, weir_clock_ns() - begin_ns);
    if (!is_admitted)
        return answer_refusal(connection, &refusal);
    return MHD_queue_response(connection, is_below ? MHD_HTTP_OK : MHD_HTTP_NO_CONTENT, http->yes);
}

static enum MHD_Result show_pressure(struct guard_http *http, struct MHD_Connection *connection)
{
    struct weir_governor_status status;
    uint64_t now_ns = weir_clock_ns();
    weir_governor_status(http->governor, now_ns, &status);
    char *text = weir_governor_json(&status, now_ns);
    if (text == NULL)
        return MHD_NO;
    struct MHD_Response *response = copy_of(text, strlen(text), "application/json");
    free(text);
    return answer(connection, MHD_HTTP_OK, response);
}

static enum MHD_Result show_metrics(struct guard_http *http, struct MHD_Connection *connection)
{
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    /* http->daemon is not known before the first request may be here. */
    struct MHD_Daemon *daemon =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_DAEMON)->daemon;
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    struct weir_metrics page;
    weir_metrics_init(&page, http->account, weir_metrics_accepted(accept));
    guard__metrics_write(&page, http->governor, http->equation, &http->times,
                         info != NULL ? info->num_connections : 0);
    struct MHD_Response *response = NULL;
    if (page.status == WEIR_OK)
        response = copy_of(page.text, page.size, weir_metrics_content_type(page.form));
    weir_metrics_done(&page);
    return answer(connection, MHD_HTTP_OK, response);
}

static bool is_below_admit(const char *url)
{
    return strncmp(url, "/admit/", sizeof "/admit/" - 1) == 0;
}

static enum MHD_Result route(struct guard_http *http, struct MHD_Connection *connection,
                             const char *url, const char *method)
{
    static const char *const PAGES[] = {"/v1/pressure", "/metrics", "/healthz"};
    size_t page = 0;
    if (strcmp(url, "/admit") == 0 || is_below_admit(url))
        return admit(http, connection, is_below_admit(url));
    while (page < sizeof PAGES / sizeof PAGES[0] && strcmp(url, PAGES[page]) != 0)
        page++;
    if (page == sizeof PAGES / sizeof PAGES[0])
        return answer_error(connection, MHD_HTTP_NOT_FOUND,
                            "{\"error\":\"not_found\",\"reason\":\"there are /admit, /v1/pressure, "
                            "/metrics and /healthz\"}\n");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                            "{\"error\":\"method\",\"reason\":\"GET or HEAD is needed\"}\n");
    if (page == 0)
        return show_pressure(http, connection);
    if (page == 1)
        return show_metrics(http, connection);
    return MHD_queue_response(connection, MHD_HTTP_OK, http->healthy);
}

/* --- libmicrohttpd -------------------------------------------------------------------------- */

/* A body is none of our business, but it must be read before there can be an answer. */
static bool is_body_long(struct MHD_Connection *connection)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text != NULL && strtoull(text, NULL, 10) > GUARD_BODY_BYTES_MAX;
}

static enum MHD_Result refuse_body(struct MHD_Connection *connection)
{
    return answer_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                        "{\"error\":\"body_too_large\",\"reason\":\"a request to the guard needs "
                        "no body; at most 1 MiB is read\"}\n");
}

static enum MHD_Result mhd_access_handler(void *context, struct MHD_Connection *connection,
                                          const char *url, const char *method, const char *version,
                                          const char *data, size_t *data_size,
                                          void **request_context)
{
    struct guard_http *http = context;
    (void)version;
    (void)data;
    /* One more than the bytes of the body so far. */
    uintptr_t seen = (uintptr_t)*request_context;
    if (seen == 0) {
        *request_context = (void *)(seen + 1);
        return is_body_long(connection) ? refuse_body(connection) : MHD_YES;
    }
    if (*data_size > 0) {
        seen += *data_size;
        *request_context = (void *)seen;
        *data_size = 0;
        return seen > GUARD_BODY_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    return route(http, connection, url, method);
}

/* The path is compared as it was sent. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* Malformed requests and clients that left are none of our log. */
static void __attribute__((format(printf, 2, 0)))
drop_log(void *context, const char *format, va_list args)
{
    (void)context;
    (void)format;
    (void)args;
}

/* poll and not epoll: libmicrohttpd's edge-triggered loop misses the end of a connection that comes
 * together with its last bytes; such connections would fill the table until they time out. */
static struct MHD_Daemon *start_daemon(struct guard_http *http, int listen_fd)
{
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)drop_log, NULL},
        {MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, GUARD_CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, GUARD_CONNECTION_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, GUARD_IDLE_S, NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, GUARD_THREAD_STACK, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_USE_ITC, 0, NULL,
                            NULL, mhd_access_handler, http, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

enum weir_status guard__http_start(struct weir_governor *governor, struct guard_equation *equation,
                                   const struct weir_listen *listen, struct guard_http **ret_http,
                                   struct weir_error *error)
{
    static char ok[] = "ok\n";
    struct weir_account *account = weir_account_host();
    struct guard_http *http = weir_account_alloc(account, WEIR_KIND_SERVER, sizeof *http, error);
    if (http == NULL)
        return WEIR_LIMIT;
    http->governor = governor;
    http->equation = equation;
    http->account = account;
    http->yes = MHD_create_response_from_buffer(0, ok, MHD_RESPMEM_PERSISTENT);
    http->healthy = MHD_create_response_from_buffer(strlen(ok), ok, MHD_RESPMEM_PERSISTENT);
    if (http->yes != NULL && http->healthy != NULL)
        http->daemon = start_daemon(http, listen->fd);
    if (http->daemon == NULL) {
        int number = errno;
        guard__http_stop(http);
        return weir_error_set_errno(error, WEIR_IO, number, "cannot start the HTTP server");
    }
    *ret_http = http;
    return WEIR_OK;
}

void guard__http_stop(struct guard_http *http)
{
    if (http == NULL)
        return;
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    if (http->yes != NULL)
        MHD_destroy_response(http->yes);
    if (http->healthy != NULL)
        MHD_destroy_response(http->healthy);
    weir_account_free(http->account, WEIR_KIND_SERVER, http, sizeof *http);
}
