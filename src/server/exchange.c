/* A request from its head to its end, as the event loop's thread sees it: begin, body, end, pump,
 * completion. All functions here run on that thread while it owns the request. */
#include "server/server_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>

/* Less inline time than this is not worth an entry. */
#define INLINE_MIN_NS 20000u

void weir__exchange_expect(struct weir__connection *connection, uint64_t since_ns,
                           uint64_t grace_ns, uint64_t bytes)
{
    uint64_t allowed =
        grace_ns + connection->suspended_ns + bytes / WEIR_SERVER_RATE_MIN * WEIR_SECOND_NS;
    atomic_store_explicit(&connection->deadline_ns, since_ns + allowed, memory_order_relaxed);
}

/* --- handing over -------------------------------------------------------------------------- */

static void suspend(struct weir__connection *connection)
{
    connection->suspended_at_ns = weir_clock_ns();
    MHD_suspend_connection(connection->mhd);
    weir__watch_suspended(connection);
}

/* First thing in every callback: the loop owns the request again. */
static void take_over(struct weir__connection *connection)
{
    if (connection->suspended_at_ns == 0)
        return;
    /* Until the worker gave it back, not until the client said something again. */
    if (connection->resumed_at_ns > connection->suspended_at_ns)
        connection->suspended_ns += connection->resumed_at_ns - connection->suspended_at_ns;
    connection->suspended_at_ns = 0;
}

void weir__exchange_suspend(struct weir__request *request)
{
    request->was_offloaded = true;
    suspend(request->connection);
}

void weir__exchange_suspend_filtered(struct weir__connection *connection)
{
    suspend(connection);
}

void weir__exchange_take_over(struct weir__connection *connection)
{
    take_over(connection);
}

/* Moves the request to the workers, connection suspended. */
static void offload(struct weir__request *request)
{
    weir__exchange_suspend(request);
    weir__workers_push(&request->connection->server->workers, request);
}

void weir__exchange_report(struct weir__connection *connection, struct weir__reports *reports)
{
    suspend(connection);
    if (weir__reports_push(reports, connection))
        return;
    weir__fail(&connection->failure, WEIR__REFUSAL_DRAINING, "the server is stopping");
    weir__watch_resumed(connection);
    MHD_resume_connection(connection->mhd);
}

void weir__exchange_sleep(struct weir__request *request)
{
    weir__exchange_suspend(request);
    weir__watch_sleep(request);
}

bool weir__exchange_pump(struct weir__request *request)
{
    take_over(request->connection);
    if (!weir__turn_begin(request))
        return false;
    while (weir__request_is_runnable(request)) {
        if (request->inline_left_ns < INLINE_MIN_NS) {
            offload(request);
            return false;
        }
        uint64_t begin = weir_clock_ns();
        weir__guest_step(request, request->inline_left_ns);
        uint64_t spent = weir_clock_ns() - begin;
        request->inline_left_ns -=
            spent < request->inline_left_ns ? spent : request->inline_left_ns;
    }
    /* What it said is in the request's block; others wait for it. */
    if (request->guest == WEIR__GUEST_DONE && request->has_turn)
        weir__guest_close(request);
    return true;
}

/* --- begin --------------------------------------------------------------------------------- */

static void add_address(struct weir__connection *connection, struct weir_cgi_env *env)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%u", connection->server->port);
    weir_cgi_env_add(env, "SERVER_NAME", connection->server->host);
    weir_cgi_env_add(env, "SERVER_PORT", port);
    weir_cgi_env_add(env, "REMOTE_ADDR", connection->client);
    weir_cgi_env_add(env, "REQUEST_ID", connection->id);
}

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    (void)kind;
    if (strcasecmp(name, WEIR__CLIENT_FIELD) != 0)
        weir_cgi_env_header(context, name, value != NULL ? value : "");
    return MHD_YES;
}

/* RFC 3875, section 4.1. */
static void build_env(struct weir__connection *connection, struct weir__request *request,
                      const char *length)
{
    struct weir_cgi_env *env = &request->env;
    const struct weir_route_config *config = request->route->config;
    weir_cgi_env_add_text(env, "GATEWAY_INTERFACE=CGI/1.1");
    weir_cgi_env_add_text(env, "SERVER_SOFTWARE=weir/0.1.0");
    weir_cgi_env_add(env, "SERVER_PROTOCOL", connection->is_old ? "HTTP/1.0" : "HTTP/1.1");
    weir_cgi_env_add(env, "REQUEST_METHOD", connection->method);
    const char *script = strcmp(config->path, "/") == 0 ? "" : config->path;
    weir_cgi_env_add(env, "SCRIPT_NAME", script);
    weir_cgi_env_add(env, "PATH_INFO", connection->target.path + strlen(script));
    weir_cgi_env_add(env, "QUERY_STRING", connection->target.query);
    const char *type =
        MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (type != NULL)
        weir_cgi_env_add(env, "CONTENT_TYPE", type);
    if (length != NULL)
        weir_cgi_env_add(env, "CONTENT_LENGTH", length);
    add_address(connection, env);
    (void)MHD_get_connection_values(connection->mhd, MHD_HEADER_KIND, add_header, env);
    for (size_t i = 0; i < config->env_count; i++)
        weir_cgi_env_add_text(env, config->env[i]);
}

/* Takes the reference to the route over. */
static void begin_guest(struct weir__connection *connection, struct weir__route *route,
                        const char *length, uint64_t body_bytes)
{
    const struct weir_route_config *config = route->config;
    if (body_bytes > config->body_bytes_max) {
        connection->failure.limit = config->body_bytes_max;
        connection->failure.used = body_bytes;
        weir__fail(&connection->failure, WEIR__REFUSAL_BODY, "the body is over the route's limit");
        weir__route_unref(route);
        return;
    }
    if (!weir__governor_admit(connection->server, &connection->pressure)) {
        connection->has_pressure = true;
        connection->pressure.needs_bytes = config->memory_bytes_max;
        weir__fail(&connection->failure, WEIR__REFUSAL_MEMORY, "%s",
                   weir_trigger_reason_text(connection->pressure.reason));
        weir__route_unref(route);
        return;
    }
    /* Behind its filters a request has the place it took in front of them. */
    bool has_place = !connection->is_inner;
    if (has_place && !weir__tenant_enter(route->tenant, &connection->failure)) {
        weir__route_unref(route);
        return;
    }
    if (route->chain != NULL && has_place) {
        connection->has_place = true;
        weir__filtered_begin(connection, route);
        return;
    }
    struct weir__request *request = NULL;
    if (route->pool == NULL) /* it was filtered until a moment ago */
        weir__fail(&connection->failure, WEIR__REFUSAL_NO_ROUTE, "the route has no guest");
    else
        request = weir__request_take(connection, route);
    if (request == NULL) {
        if (has_place)
            weir__tenant_exit(route->tenant);
        weir__route_unref(route);
        return;
    }
    request->has_place = has_place;
    connection->request = request;
    build_env(connection, request, length);
    if (request->env.is_full)
        weir__guest_abort(request, WEIR__REFUSAL_HEADERS,
                          "the request's header fields do not fit a guest's environment");
}

struct checked {
    struct weir_cgi_check check;
    struct weir_error error;
};

static enum MHD_Result check_field(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct checked *checked = context;
    const struct weir_cgi_field field = {name, value != NULL ? value : ""};
    (void)kind;
    return weir_cgi_check_field(&checked->check, &field, &checked->error) == WEIR_OK ? MHD_YES
                                                                                     : MHD_NO;
}

/* False with the failure set. */
static bool check_head(struct weir__connection *connection)
{
    struct checked checked = {0};
    (void)MHD_get_connection_values(connection->mhd, MHD_HEADER_KIND, check_field, &checked);
    bool is_good = checked.error.status == WEIR_OK &&
                   weir_cgi_check_head(&checked.check, connection->method, connection->is_old,
                                       &checked.error) == WEIR_OK;
    if (!is_good)
        weir__fail(&connection->failure, WEIR__REFUSAL_REQUEST, "%s", checked.error.message);
    weir_error_done(&checked.error);
    return is_good;
}

static void begin_route(struct weir__connection *connection, const char *length,
                        uint64_t body_bytes)
{
    struct weir_server *server = connection->server;
    if (connection->target_is_long) {
        connection->failure.limit = WEIR_SERVER_TARGET_MAX;
        weir__fail(&connection->failure, WEIR__REFUSAL_TARGET_LONG,
                   "the request target is too long");
        return;
    }
    struct weir_error error = {0};
    if (weir_cgi_target_parse(connection->text, &connection->target, &error) != WEIR_OK) {
        weir__fail(&connection->failure, WEIR__REFUSAL_TARGET, "%s", error.message);
        weir_error_done(&error);
        return;
    }
    const struct weir__page *page = weir__page_find(connection->target.path);
    if (page != NULL && !connection->is_inner) {
        weir__page_begin(connection, page, body_bytes);
        return;
    }
    struct weir__route *route = weir__route_find(server, connection->target.path);
    if (route == NULL) {
        const char *nearest = weir__page_nearest(connection->target.path);
        weir__fail(&connection->failure, WEIR__REFUSAL_NO_ROUTE, "no route begins this path%s%s%s",
                   nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "?" : "");
    } else if (atomic_load_explicit(&server->phase, memory_order_relaxed) == WEIR__DRAINING &&
               !connection->is_inner) {
        weir__fail(&connection->failure, WEIR__REFUSAL_DRAINING, "the server is stopping");
        weir__route_unref(route);
    } else {
        if (!connection->is_inner) /* the outer one is counted */
            connection->route = weir__route_ref(route);
        begin_guest(connection, route, length, body_bytes);
    }
}

enum MHD_Result weir__exchange_begin(struct weir__connection *connection)
{
    (void)atomic_fetch_add_explicit(&connection->server->active, 1, memory_order_relaxed);
    connection->is_begun = true;
    atomic_store_explicit(&connection->is_whole, false, memory_order_relaxed);
    atomic_store_explicit(&connection->awaits_body, true, memory_order_release);
    connection->begin_ns = weir_clock_ns();
    weir__log_name_request(connection);
    if (connection->is_inner) {
        const char *client =
            MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, WEIR__CLIENT_FIELD);
        (void)snprintf(connection->client, sizeof connection->client, "%s",
                       client != NULL ? client : "unknown");
    }
    const char *length = MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t body_bytes = length != NULL ? strtoull(length, NULL, 10) : 0;
    if (connection->is_inner || check_head(connection))
        begin_route(connection, length, body_bytes);
    weir__exchange_expect(connection, connection->begin_ns,
                          atomic_load(&connection->server->body_ns), 0);
    if (connection->failure.refusal == WEIR__REFUSAL_NONE)
        return MHD_YES;
    connection->is_discarding = true;
    /* Said at once where the client waits to be told to go on, or has too much to say. */
    const char *expect =
        MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    if ((expect != NULL && body_bytes > 0) || body_bytes > WEIR_SERVER_DISCARD_MAX ||
        connection->failure.refusal == WEIR__REFUSAL_REQUEST)
        return weir__answer_failure(connection);
    return MHD_YES;
}

/* --- body ---------------------------------------------------------------------------------- */

/* Chunked bodies show their size only while they come. */
static enum MHD_Result over_limit(struct weir__connection *connection)
{
    struct weir__request *request = connection->request;
    request->failure.limit = request->route->config->body_bytes_max;
    request->failure.used = connection->received;
    weir__guest_abort(request, WEIR__REFUSAL_BODY, "the body is over the route's limit");
    connection->is_discarding = true;
    return MHD_YES;
}

/* After the guest stopped for now and the body is still coming. */
static void react_to_body(struct weir__request *request)
{
    if (request->guest == WEIR__GUEST_WAITS_ROOM)
        request->is_spooling = true; /* MHD answers only behind the whole body */
    else if (request->guest == WEIR__GUEST_WAITS_CLOCK)
        weir__exchange_sleep(request);
}

enum MHD_Result weir__exchange_body(struct weir__connection *connection, const char *data,
                                    size_t *size)
{
    take_over(connection);
    struct weir__request *request = connection->request;
    connection->received += *size;
    weir__exchange_expect(connection, connection->begin_ns,
                          atomic_load(&connection->server->body_ns), connection->received);
    if (connection->filtered != NULL)
        return weir__filtered_body(connection, data, size);
    if (connection->upload != NULL && !connection->is_discarding) {
        weir__modules_body(connection, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (request != NULL && !connection->is_discarding &&
        connection->received > request->route->config->body_bytes_max)
        (void)over_limit(connection);
    if (connection->is_discarding || request == NULL || request->guest == WEIR__GUEST_DONE) {
        connection->discarded += *size;
        if (connection->is_discarding && connection->discarded > WEIR_SERVER_DISCARD_MAX) {
            const struct weir__failure *failure =
                request != NULL ? &request->failure : &connection->failure;
            weir__answer_raw(connection, failure->refusal, failure->reason);
            connection->status = weir__refusal_http(failure->refusal);
            return MHD_NO;
        }
        *size = 0;
        return MHD_YES;
    }
    /* Full buffer: the guest empties it now, or the connection is suspended and MHD shows the rest
     * again, or the guest reads no more and the rest goes to the spool or is thrown away. */
    size_t total = *size, taken = 0;
    do {
        taken += weir__request_feed(request, data + taken, total - taken);
        if (weir__exchange_pump(request))
            react_to_body(request);
    } while (connection->suspended_at_ns == 0 && taken < total &&
             request->guest != WEIR__GUEST_DONE);
    if (connection->suspended_at_ns == 0 && request->guest == WEIR__GUEST_DONE)
        taken = total;
    *size = total - taken;
    connection->received -= *size;
    return MHD_YES;
}

/* --- end ----------------------------------------------------------------------------------- */

/* The guest said something, sleeps, and the client may see it already. */
static bool can_flush(const struct weir__request *request)
{
    return memmem(request->out, request->out_end, "\n\n", 2) != NULL ||
           memmem(request->out, request->out_end, "\n\r\n", 3) != NULL;
}

enum MHD_Result weir__exchange_end(struct weir__connection *connection)
{
    take_over(connection);
    atomic_store_explicit(&connection->is_whole, true, memory_order_relaxed);
    if (connection->failure.refusal != WEIR__REFUSAL_NONE && connection->report.text == NULL)
        return weir__answer_failure(connection);
    struct weir__request *request = connection->request;
    if (connection->filtered != NULL)
        return weir__filtered_end(connection);
    if (request == NULL)
        return weir__page_answer(connection);
    request->in_closed = true;
    if (!weir__exchange_pump(request))
        return MHD_YES;
    switch (request->guest) {
    case WEIR__GUEST_DONE:
        return weir__answer_guest(request);
    case WEIR__GUEST_WAITS_ROOM:
        return weir__answer_stream(request);
    default:
        if (can_flush(request))
            return weir__answer_stream(request);
        weir__exchange_sleep(request);
        return MHD_YES;
    }
}

static void count_tenant(struct weir__connection *connection, const struct weir__failure *failure,
                         unsigned status)
{
    const struct weir__request *request = connection->request;
    const struct weir__ended ended = {.status = status,
                                      .refusal = failure->refusal,
                                      .ns = weir_clock_ns() - connection->begin_ns,
                                      .received = connection->received,
                                      .sent = request != NULL ? request->out_total
                                                              : connection->answer_bytes};
    weir__tenant_count(connection->route->tenant, &ended);
    weir__route_unref(connection->route);
}

static void count_bytes(struct weir__route_figures *figures, uint64_t in, uint64_t out)
{
    (void)atomic_fetch_add_explicit(&figures->body_bytes, in, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&figures->output_bytes, out, memory_order_relaxed);
}

/* Counts a filtered request, and says in the log why it failed. */
static const struct weir__failure *conclude_filtered(struct weir__connection *connection)
{
    const struct weir__failure *failure = weir__filtered_failure(connection->filtered);
    count_bytes(weir__filtered_route(connection->filtered)->figures, connection->received,
                connection->answer_bytes);
    if (failure == NULL)
        return &connection->failure;
    if (failure->refusal != WEIR__REFUSAL_BUSY)
        weir__log_filtered_failure(connection, failure);
    return failure;
}

/* The watch ended it before there was an answer. */
static void settle_without_answer(struct weir__connection *connection)
{
    if (atomic_load_explicit(&connection->is_timed_out, memory_order_relaxed))
        connection->status = weir__refusal_http(WEIR__REFUSAL_SLOW_BODY);
    if (atomic_load_explicit(&connection->is_drained, memory_order_relaxed)) {
        connection->status = weir__refusal_http(WEIR__REFUSAL_DRAINING);
        weir__fail(&connection->failure, WEIR__REFUSAL_DRAINING, WEIR__DRAINING_REASON);
    }
}

void weir__exchange_completed(struct weir__connection *connection, bool is_complete)
{
    take_over(connection);
    struct weir_server *server = connection->server;
    struct weir__request *request = connection->request;
    struct weir__route_figures *figures = &server->own;
    const struct weir__failure *failure = &connection->failure;
    bool is_left_alone = weir__guest_is_left_alone(request);
    atomic_store_explicit(&connection->deadline_ns, weir_clock_ns() + atomic_load(&server->idle_ns),
                          memory_order_relaxed);
    atomic_store_explicit(&connection->awaits_body, false, memory_order_relaxed);
    if (!connection->is_begun) {
        connection->has_target = false;
        return;
    }
    if (request != NULL) {
        figures = request->route->figures;
        /* A client that has all it wanted (HEAD, Content-Length) did not leave. */
        weir__fail(&request->failure,
                   is_complete ? WEIR__REFUSAL_NONE : WEIR__REFUSAL_CANCELLED, "the client left");
        if (!is_left_alone)
            weir__guest_abort(request, request->failure.refusal, "");
        if (request->failure.refusal != WEIR__REFUSAL_NONE)
            failure = &request->failure;
        if (!connection->is_inner)
            count_bytes(figures, connection->received, request->out_total);
        if (!request->was_offloaded)
            (void)atomic_fetch_add_explicit(&figures->inline_done, 1, memory_order_relaxed);
    }
    if (connection->filtered != NULL) {
        figures = weir__filtered_route(connection->filtered)->figures;
        failure = conclude_filtered(connection);
    }
    if (!connection->has_answer)
        settle_without_answer(connection);
    unsigned status = is_complete || connection->status >= 400 ? connection->status : 0;
    if (!connection->is_inner)
        weir__figures_count(figures, status, failure->refusal,
                            weir_clock_ns() - connection->begin_ns);
    if (request != NULL) {
        if (failure->refusal != WEIR__REFUSAL_NONE && failure->refusal != WEIR__REFUSAL_BUSY)
            weir__log_failure(server, request);
        if (!is_left_alone)
            weir__guest_close(request);
    }
    if (!connection->is_inner)
        weir__log_access(connection, failure, status, is_left_alone ? NULL : request);
    if (connection->has_place)
        weir__tenant_exit(connection->route->tenant);
    if (connection->route != NULL)
        count_tenant(connection, failure, status);
    if (connection->filtered != NULL)
        weir__filtered_completed(connection);
    if (request != NULL && !is_left_alone)
        weir__request_give(request);
    atomic_store_explicit(&connection->is_stopped, false, memory_order_relaxed);
    atomic_store_explicit(&connection->is_cancelled, false, memory_order_relaxed);
    if (connection->report.text != NULL) /* the client left while it was made */
        connection->report.release(connection->report.context);
    weir__modules_end(connection);
    if (connection->is_report)
        (void)atomic_fetch_sub(&server->reports, 1);
    if (is_left_alone)
        weir__guest_detach(request);
    else
        (void)atomic_fetch_sub_explicit(&server->active, 1, memory_order_relaxed);
    memset(&connection->has_target, 0,
           offsetof(struct weir__connection, client) -
               offsetof(struct weir__connection, has_target));
}
