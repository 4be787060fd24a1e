/* Responses: a guest's finished answer from its buffer, a guest's stream through a reader, Weir's
 * own refusals as JSON. */
#include "server/server_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define READER_BLOCK 32768u /* what MHD takes at once; malloc'ed by it for each stream */

enum MHD_Result weir__answer_queue(struct weir__connection *connection, unsigned status,
                                   struct MHD_Response *response, uint64_t size)
{
    (void)MHD_add_response_header(response, WEIR__REQUEST_ID_FIELD, connection->id);
    enum MHD_Result result = MHD_queue_response(connection->mhd, status, response);
    MHD_destroy_response(response);
    connection->has_answer = true;
    connection->answer_bytes = strcmp(connection->method, "HEAD") != 0 ? size : 0;
    atomic_store_explicit(&connection->awaits_body, false, memory_order_relaxed);
    connection->status = status;
    connection->answer_ns = weir_clock_ns();
    weir__exchange_expect(connection, connection->answer_ns,
                          atomic_load(&connection->server->write_ns), size);
    return result;
}

enum MHD_Result weir__answer_text(struct weir__connection *connection, unsigned status,
                                  const char *type, char *text, size_t size,
                                  enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(size, text, mode);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return weir__answer_queue(connection, status, response, size);
}

enum MHD_Result weir__answer_report(struct weir__connection *connection,
                                    const struct weir__report *report)
{
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        report->size, report->text, report->release, report->context);
    if (response == NULL) {
        report->release(report->context);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, report->type);
    if (report->etag[0] != 0)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, report->etag);
    return weir__answer_queue(connection, report->status != 0 ? report->status : 200, response,
                              report->size);
}

/* --- refusals ------------------------------------------------------------------------------ */

/* `text` with what JSON does not allow in a string replaced; cut to the buffer. */
static void write_string(char *to, size_t size, const char *text)
{
    size_t used = 0;
    for (const char *c = text; *c != 0 && used + 3 < size; c++) {
        if (*c == '"' || *c == '\\')
            to[used++] = '\\';
        to[used++] = (unsigned char)*c < 0x20 ? ' ' : *c;
    }
    to[used] = 0;
}

/* {"error":…,"reason":…,…}; returns its size. */
static size_t write_failure(struct weir__connection *connection,
                            const struct weir__failure *failure)
{
    const struct weir__request *request = connection->request;
    char reason[440], at[200], figures[160] = "", trap[64] = "";
    write_string(reason, sizeof reason, failure->reason);
    write_string(at, sizeof at, failure->at);
    const char *unit = weir__refusal_unit(failure->refusal);
    if (failure->limit != 0 && failure->used != 0)
        (void)snprintf(figures, sizeof figures, ",\"limit_%s\":%llu,\"used_%s\":%llu", unit,
                       (unsigned long long)failure->limit, unit, (unsigned long long)failure->used);
    else if (failure->limit != 0)
        (void)snprintf(figures, sizeof figures, ",\"limit_%s\":%llu", unit,
                       (unsigned long long)failure->limit);
    size_t used = strlen(figures);
    if (failure->needs != 0)
        (void)snprintf(figures + used, sizeof figures - used, ",\"needs_%s\":%llu", unit,
                       (unsigned long long)failure->needs);
    if (failure->trap[0] != 0)
        (void)snprintf(trap, sizeof trap, ",\"trap\":\"%s\"", failure->trap);
    char route[300] = "";
    const struct weir__route *at_route = request != NULL ? request->route
                                         : connection->filtered != NULL
                                             ? weir__filtered_route(connection->filtered)
                                             : NULL;
    if (at_route != NULL) {
        char path[260];
        write_string(path, sizeof path, at_route->config->path);
        (void)snprintf(route, sizeof route, ",\"route\":\"%s\"", path);
    }
    char tenant[220] = "", named[200];
    if (failure->tenant != NULL) {
        write_string(named, sizeof named, failure->tenant);
        (void)snprintf(tenant, sizeof tenant, ",\"tenant\":\"%s\"", named);
    }
    char filter[120] = "", name[96];
    if (connection->filtered != NULL && weir__filtered_filter(connection->filtered) != NULL) {
        write_string(name, sizeof name, weir__filtered_filter(connection->filtered));
        (void)snprintf(filter, sizeof filter, ",\"filter\":\"%s\"", name);
    }
    int size = snprintf(connection->reply, sizeof connection->reply,
                        "{\"error\":\"%s\",\"reason\":\"%s\"%s%s%s%s%s%s%s%s}\n",
                        weir__refusal_name(failure->refusal), reason, route, tenant, filter,
                        figures, trap, at[0] != 0 ? ",\"at\":\"" : "", at, at[0] != 0 ? "\"" : "");
    return size > 0 && (size_t)size < sizeof connection->reply ? (size_t)size
                                                               : strlen(connection->reply);
}

/* The governor's own account of why; `text` is copied. */
static enum MHD_Result answer_pressure(struct weir__connection *connection)
{
    char text[WEIR_REFUSAL_JSON_SIZE], seconds[16];
    size_t size = weir_refusal_json(&connection->pressure, text, sizeof text);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    (void)snprintf(seconds, sizeof seconds, "%u", connection->pressure.retry_s);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    return weir__answer_queue(connection, weir__refusal_http(WEIR__REFUSAL_MEMORY), response, size);
}

enum MHD_Result weir__answer_failure(struct weir__connection *connection)
{
    const struct weir__failure *failure = &connection->failure;
    if (connection->has_pressure)
        return answer_pressure(connection);
    if (connection->request != NULL && connection->request->failure.refusal != WEIR__REFUSAL_NONE)
        failure = &connection->request->failure;
    if (connection->filtered != NULL && weir__filtered_failure(connection->filtered) != NULL)
        failure = weir__filtered_failure(connection->filtered);
    size_t size = write_failure(connection, failure);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, connection->reply, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    unsigned retry_s = weir__refusal_retry_s(failure->refusal);
    if (retry_s != 0) {
        char text[16];
        (void)snprintf(text, sizeof text, "%u", retry_s);
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, text);
    }
    char methods[64];
    if (failure->refusal == WEIR__REFUSAL_METHOD)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
                                      weir__page_methods(connection, methods, sizeof methods));
    if (failure->refusal == WEIR__REFUSAL_UNAUTHORIZED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                      "Bearer realm=\"weir\"");
    if (failure->refusal == WEIR__REFUSAL_DRAINING || failure->refusal == WEIR__REFUSAL_REQUEST)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return weir__answer_queue(connection, weir__refusal_http(failure->refusal), response, size);
}

void weir__answer_raw(struct weir__connection *connection, enum weir__refusal refusal,
                      const char *reason)
{
    char text[800], body[512], escaped[440];
    write_string(escaped, sizeof escaped, reason);
    int body_size = snprintf(body, sizeof body, "{\"error\":\"%s\",\"reason\":\"%s\"}\n",
                             weir__refusal_name(refusal), escaped);
    unsigned status = weir__refusal_http(refusal);
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                        status, MHD_get_reason_phrase_for(status), body_size, body);
    (void)send(connection->fd, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(connection->fd, SHUT_WR);
}

/* --- guests -------------------------------------------------------------------------------- */

static enum MHD_Result fail_guest(struct weir__request *request, enum weir__refusal refusal,
                                  const char *reason)
{
    weir__guest_abort(request, refusal, reason);
    return weir__answer_failure(request->connection);
}

static void add_fields(struct MHD_Response *response, const struct weir_cgi_head *head)
{
    for (size_t i = 0; i < head->field_count; i++)
        (void)MHD_add_response_header(response, head->fields[i].name, head->fields[i].value);
    if (!head->has_type)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                      "application/octet-stream");
}

/* False with the failure set when the output does not begin with a good head. */
static bool read_head(struct weir__request *request)
{
    struct weir_error error = {0};
    enum weir_status status =
        weir_cgi_head_parse((char *)request->out, request->out_end, &request->head, &error);
    if (status == WEIR_OK) {
        request->has_head = true;
        request->out_begin = request->head.body_offset;
        return true;
    }
    if (status == WEIR_PENDING && request->out_end == 0)
        weir__guest_abort(request, WEIR__REFUSAL_EMPTY, "the guest ended without an answer");
    else if (status == WEIR_PENDING)
        weir__guest_abort(request, WEIR__REFUSAL_HEAD,
                          "no empty line ends the header of the guest's answer");
    else
        weir__guest_abort(request, WEIR__REFUSAL_HEAD, error.message);
    weir_error_done(&error);
    return false;
}

/* Never called: libmicrohttpd sends no body for HEAD and 304. */
static ssize_t read_nothing(void *context, uint64_t position, char *to, size_t size)
{
    (void)context;
    (void)position;
    (void)to;
    (void)size;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* RFC 3875, 4.3.3: to HEAD a guest says how long its body would be, and sends none. */
static bool has_no_body(const struct weir__request *request)
{
    return strcmp(request->connection->method, "HEAD") == 0 ||
           request->head.status == MHD_HTTP_NOT_MODIFIED;
}

enum MHD_Result weir__answer_guest(struct weir__request *request)
{
    struct weir__connection *connection = request->connection;
    if (request->failure.refusal != WEIR__REFUSAL_NONE || !read_head(request))
        return weir__answer_failure(connection);
    size_t size = request->out_end - request->out_begin;
    bool is_length_said = request->head.has_length && has_no_body(request);
    if (request->head.has_length && request->head.length != size && !is_length_said) {
        request->failure.limit = request->head.length;
        request->failure.used = size;
        return fail_guest(request, WEIR__REFUSAL_LENGTH,
                          "the guest's body is not as long as its Content-Length says");
    }
    struct MHD_Response *response =
        is_length_said
            ? MHD_create_response_from_callback(request->head.length, 1, read_nothing, NULL, NULL)
            : MHD_create_response_from_buffer(size, request->out + request->out_begin,
                                              MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    add_fields(response, &request->head);
    if (size > WEIR_SERVER_LATE_CLEAN_BYTES)
        weir__guest_close(request);
    return weir__answer_queue(connection, request->head.status, response,
                              is_length_said ? 0 : size);
}

/* MHD's reader: what the guest has written, running it for more. */
static ssize_t read_output(void *context, uint64_t position, char *to, size_t size)
{
    struct weir__request *request = context;
    struct weir__connection *connection = request->connection;
    (void)position;
    for (;;) {
        size_t have = request->out_end - request->out_begin;
        if (have > 0) {
            size_t count = have < size ? have : size;
            memcpy(to, request->out + request->out_begin, count);
            request->out_begin += count;
            request->body_sent += count;
            weir__exchange_expect(connection, connection->answer_ns,
                                  atomic_load(&connection->server->write_ns), request->body_sent);
            return (ssize_t)count;
        }
        if (request->guest == WEIR__GUEST_DONE) {
            bool is_short = request->head.has_length && request->body_sent < request->head.length;
            if (is_short)
                weir__fail(&request->failure, WEIR__REFUSAL_LENGTH,
                           "the guest's body is not as long as its Content-Length says");
            return request->failure.refusal != WEIR__REFUSAL_NONE
                       ? MHD_CONTENT_READER_END_WITH_ERROR
                       : MHD_CONTENT_READER_END_OF_STREAM;
        }
        if (!weir__exchange_pump(request))
            return 0;
        if (request->guest == WEIR__GUEST_WAITS_CLOCK && request->out_end == request->out_begin) {
            weir__exchange_sleep(request);
            return 0;
        }
    }
}

enum MHD_Result weir__answer_stream(struct weir__request *request)
{
    struct weir__connection *connection = request->connection;
    if (!read_head(request))
        return weir__answer_failure(connection);
    uint64_t size = request->head.has_length ? request->head.length : MHD_SIZE_UNKNOWN;
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, READER_BLOCK, read_output, request, NULL);
    if (response == NULL)
        return fail_guest(request, WEIR__REFUSAL_MEMORY, "no memory for the answer");
    request->is_streaming = true;
    add_fields(response, &request->head);
    return weir__answer_queue(connection, request->head.status, response, 0);
}
