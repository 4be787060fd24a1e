/* Filtered requests as the event loop sees them: begin, body, end, answer, completion. While a
 * filter thread has the request its connection is suspended. */
#include "server/lane_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READER_BLOCK 32768u

/* --- beginning ------------------------------------------------------------------------------- */

static size_t filtered_bytes(size_t stages)
{
    return sizeof(struct weir__filtered) + stages * sizeof(struct weir__stage);
}

void weir__filtered_free(struct weir__filtered *filtered)
{
    struct weir__route *route = filtered->route;
    struct weir__chain *chain = filtered->chain;
    weir__transfer_stop(&filtered->transfer);
    weir_filter_exchange_done(&filtered->exchange);
    weir_filter_map_clear(&filtered->answer);
    struct weir_filter_buffer *const buffers[] = {&filtered->in, &filtered->out, &filtered->up,
                                                  &filtered->down};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        weir_filter_buffer_clear(buffers[i]);
    for (size_t i = 0; i < filtered->stage_count; i++)
        for (size_t d = 0; d < 2; d++)
            weir_filter_buffer_clear(&filtered->stages[i].held[d]);
    weir_account_free(route->account, WEIR_KIND_REQUEST, filtered,
                      filtered_bytes(filtered->stage_count));
    weir__chain_unref(chain);
    weir__route_unref(route);
}

struct adding {
    struct weir__filtered *filtered;
    struct weir_error *error;
    enum weir_status status;
};

static void add(struct adding *adding, const char *name, const char *value)
{
    struct weir__filtered *filtered = adding->filtered;
    if (adding->status == WEIR_OK)
        adding->status = weir_filter_map_add(
            &filtered->exchange.maps[WEIR_FILTER_REQUEST_HEADERS], filtered->exchange.account,
            weir_filter_text(name), weir_filter_text(value), adding->error);
}

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    (void)kind;
    if (strcasecmp(name, "host") != 0 && strcasecmp(name, WEIR__CLIENT_FIELD) != 0 &&
        strcasecmp(name, WEIR__REQUEST_ID_FIELD) != 0)
        add(context, name, value != NULL ? value : "");
    return MHD_YES;
}

static enum weir_status fill(struct weir__connection *connection, struct weir__filtered *filtered,
                             struct weir_error *error)
{
    struct adding adding = {filtered, error, WEIR_OK};
    const char *host =
        MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    char path[WEIR_SERVER_TARGET_MAX + 2];
    const char *query = connection->target.query;
    (void)snprintf(path, sizeof path, "%s%s%s", connection->url, query[0] != 0 ? "?" : "", query);
    add(&adding, ":method", connection->method);
    add(&adding, ":scheme", "http");
    add(&adding, ":authority", host != NULL ? host : "");
    add(&adding, ":path", path);
    (void)MHD_get_connection_values(connection->mhd, MHD_HEADER_KIND, add_header, &adding);
    add(&adding, WEIR__REQUEST_ID_FIELD, connection->id);
    filtered->exchange.has_map[WEIR_FILTER_REQUEST_HEADERS] = true;
    filtered->exchange.protocol = "HTTP/1.1";
    filtered->exchange.source_address = filtered->client;
    filtered->exchange.destination_address = connection->server->host;
    filtered->exchange.destination_port = connection->server->port;
    filtered->exchange.route_name = filtered->route->config->path;
    filtered->exchange.upstream_name =
        filtered->route->config->upstream != NULL ? filtered->route->config->upstream->name : NULL;
    filtered->exchange.connection_id = (uint64_t)connection->fd;
    filtered->exchange.begin_ns = weir_clock_unix_ns();
    return adding.status;
}

/* The reference to the route is its. */
static struct weir__filtered *make(struct weir__connection *connection, struct weir__route *route,
                                   struct weir_error *error)
{
    struct weir_server *server = connection->server;
    size_t stages = route->chain->plugin_count;
    struct weir__filtered *filtered =
        weir_account_alloc(route->account, WEIR_KIND_REQUEST, filtered_bytes(stages), error);
    if (filtered == NULL) {
        weir__route_unref(route);
        return NULL;
    }
    filtered->connection = connection;
    filtered->route = route;
    filtered->chain = route->chain;
    (void)atomic_fetch_add(&route->chain->refs, 1);
    filtered->stage_count = stages;
    filtered->lane = &server->lanes[atomic_fetch_add(&server->lane_next, 1) % server->lane_count];
    filtered->exchange.account = route->account;
    filtered->in.account = filtered->out.account = route->account;
    filtered->up.account = filtered->down.account = route->account;
    for (size_t i = 0; i < stages; i++)
        filtered->stages[i].held[0].account = filtered->stages[i].held[1].account = route->account;
    memcpy(filtered->client, connection->client, sizeof filtered->client);
    if (fill(connection, filtered, error) == WEIR_OK)
        return filtered;
    weir__filtered_free(filtered);
    return NULL;
}

void weir__filtered_begin(struct weir__connection *connection, struct weir__route *route)
{
    const struct weir_route_config *config = route->config;
    struct weir_error error = {0};
    if (atomic_load(&route->chain->active) >= config->concurrency) {
        connection->failure.limit = config->concurrency;
        weir__fail(&connection->failure, WEIR__REFUSAL_BUSY, "%u requests are served here at once",
                   config->concurrency);
        weir__route_unref(route);
        return;
    }
    connection->filtered = make(connection, route, &error);
    if (connection->filtered != NULL) {
        (void)atomic_fetch_add(&route->chain->active, 1);
        return;
    }
    enum weir__refusal refusal =
        error.status == WEIR_LIMIT ? WEIR__REFUSAL_MEMORY : WEIR__REFUSAL_HEADERS;
    weir__fail(&connection->failure, refusal, "%s", error.message);
    weir_error_done(&error);
}

/* --- handing over ---------------------------------------------------------------------------- */

static void hand_over(struct weir__filtered *filtered)
{
    weir__exchange_suspend_filtered(filtered->connection);
    weir__lane_post(filtered);
}

/* As much as the window takes is copied, then the lane has the request. */
enum MHD_Result weir__filtered_body(struct weir__connection *connection, const char *data,
                                    size_t *size)
{
    struct weir__filtered *filtered = connection->filtered;
    const struct weir_route_config *config = filtered->route->config;
    if (connection->received > config->body_bytes_max &&
        filtered->failure.refusal == WEIR__REFUSAL_NONE) {
        filtered->failure.limit = config->body_bytes_max;
        filtered->failure.used = connection->received;
        weir__fail(&filtered->failure, WEIR__REFUSAL_BODY, "the body is over the route's limit");
    }
    if (weir__filtered_is_decided(filtered)) {
        connection->discarded += *size;
        *size = 0;
        if (connection->discarded <= WEIR_SERVER_DISCARD_MAX || filtered->is_local)
            return MHD_YES;
        weir__answer_raw(connection, filtered->failure.refusal, filtered->failure.reason);
        connection->status = weir__refusal_http(filtered->failure.refusal);
        return MHD_NO;
    }
    size_t room = filtered->in.size < WEIR_SERVER_FILTER_WINDOW
                      ? WEIR_SERVER_FILTER_WINDOW - (size_t)filtered->in.size
                      : 0;
    size_t count = *size < room ? *size : room;
    struct weir_error error = {0};
    if (weir_filter_buffer_append(&filtered->in, data, count, &error) != WEIR_OK) {
        weir__fail(&filtered->failure, WEIR__REFUSAL_MEMORY, "%s", error.message);
        count = *size;
    }
    weir_error_done(&error);
    filtered->exchange.request_bytes += count;
    *size -= count;
    connection->received -= *size;
    if (filtered->failure.refusal == WEIR__REFUSAL_NONE)
        hand_over(filtered);
    return MHD_YES;
}

/* --- answering ------------------------------------------------------------------------------- */

static ssize_t read_answer(void *context, uint64_t position, char *to, size_t size)
{
    struct weir__filtered *filtered = context;
    struct weir__connection *connection = filtered->connection;
    (void)position;
    weir__exchange_take_over(connection);
    size_t count = weir_filter_buffer_take(&filtered->out, to, size);
    if (count > 0) {
        connection->answer_bytes += count;
        weir__exchange_expect(connection, connection->answer_ns,
                              atomic_load(&connection->server->write_ns),
                              connection->answer_bytes);
        return (ssize_t)count;
    }
    if (filtered->failure.refusal != WEIR__REFUSAL_NONE)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (filtered->out_end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    hand_over(filtered);
    return 0;
}

uint64_t weir__length_of(const struct weir_filter_pair *length)
{
    uint64_t size = 0;
    if (length == NULL || length->value_size == 0 || length->value_size > 18)
        return UINT64_MAX;
    for (uint32_t i = 0; i < length->value_size; i++) {
        uint8_t digit = weir_filter_pair_value(length)[i];
        if (digit < '0' || digit > '9')
            return UINT64_MAX;
        size = size * 10 + (uint64_t)(digit - '0');
    }
    return size;
}

static uint64_t answer_size(const struct weir__filtered *filtered)
{
    const struct weir_filter_pair *length =
        weir_filter_map_find(&filtered->answer, weir_filter_text("content-length"));
    bool is_head = strcmp(filtered->connection->method, "HEAD") == 0;
    if (filtered->out_end && !is_head)
        return filtered->out.size;
    static_assert(MHD_SIZE_UNKNOWN == UINT64_MAX, "a length that is not known");
    return weir__length_of(length);
}

static void add_fields(const struct weir__filtered *filtered, struct MHD_Response *response)
{
    static const char *const OURS[] = {"content-length",    "connection", "keep-alive",
                                       "transfer-encoding", "date",       WEIR__REQUEST_ID_FIELD};
    for (const struct weir_filter_pair *p = filtered->answer.first; p != NULL; p = p->next) {
        const char *name = (const char *)p->bytes;
        bool is_ours = name[0] == ':';
        for (size_t i = 0; i < sizeof OURS / sizeof OURS[0]; i++)
            is_ours = is_ours || strcasecmp(name, OURS[i]) == 0;
        if (!is_ours)
            (void)MHD_add_response_header(response, name,
                                          (const char *)weir_filter_pair_value(p));
    }
}

static unsigned answer_status(const struct weir__filtered *filtered)
{
    const struct weir_filter_pair *status =
        weir_filter_map_find(&filtered->answer, weir_filter_text(":status"));
    char text[4] = "502";
    if (status != NULL && status->value_size == 3)
        memcpy(text, weir_filter_pair_value(status), 3);
    unsigned long code = strtoul(text, NULL, 10);
    return code >= 200 && code <= 599 ? (unsigned)code : 502;
}

/* All of it is there, in one piece or none: it goes out with the head. */
static struct MHD_Response *whole_answer(struct weir_filter_buffer *out)
{
    const struct weir_filter_chunk *chunk = out->first;
    return MHD_create_response_from_buffer(
        out->size, chunk != NULL ? (void *)(uintptr_t)(chunk->bytes + chunk->begin) : NULL,
        MHD_RESPMEM_MUST_COPY);
}

enum MHD_Result weir__filtered_end(struct weir__connection *connection)
{
    struct weir__filtered *filtered = connection->filtered;
    if (filtered->failure.refusal != WEIR__REFUSAL_NONE)
        return weir__answer_failure(connection);
    bool is_answerable = filtered->has_answer && filtered->answer.count > 0 &&
                         (filtered->in_end || filtered->is_local);
    if (!is_answerable) {
        filtered->in_end = true;
        hand_over(filtered);
        return MHD_YES;
    }
    bool is_whole = filtered->out_end && filtered->out.first == filtered->out.last &&
                    strcmp(connection->method, "HEAD") != 0;
    uint64_t size = is_whole ? filtered->out.size : 0;
    struct MHD_Response *response =
        is_whole ? whole_answer(&filtered->out)
                 : MHD_create_response_from_callback(answer_size(filtered), READER_BLOCK,
                                                     read_answer, filtered, NULL);
    if (response == NULL) {
        weir__fail(&filtered->failure, WEIR__REFUSAL_MEMORY, "no memory for the answer");
        return weir__answer_failure(connection);
    }
    add_fields(filtered, response);
    return weir__answer_queue(connection, answer_status(filtered), response, size);
}

/* --- the end --------------------------------------------------------------------------------- */

void weir__filtered_completed(struct weir__connection *connection)
{
    struct weir__filtered *filtered = connection->filtered;
    connection->filtered = NULL;
    filtered->connection = NULL;
    filtered->is_ending = true;
    (void)atomic_fetch_sub(&filtered->chain->active, 1); /* the client may come again */
    if (connection->server->lane_count == 0)
        weir__filtered_free(filtered);
    else
        weir__lane_post(filtered);
}

const struct weir__failure *weir__filtered_failure(const struct weir__filtered *filtered)
{
    return filtered->failure.refusal != WEIR__REFUSAL_NONE ? &filtered->failure : NULL;
}

const char *weir__filtered_filter(const struct weir__filtered *filtered)
{
    return filtered->failed_filter;
}

struct weir__route *weir__filtered_route(const struct weir__filtered *filtered)
{
    return filtered->route;
}

void weir__filtered_cancel(struct weir__filtered *filtered)
{
    atomic_store_explicit(&filtered->is_gone, true, memory_order_relaxed);
    weir__lane_wake(filtered->lane);
}
