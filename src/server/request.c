/* Request blocks and their two streams. Blocks are kept per route and used again: a request takes
 * no memory from the system once as many ran at once before. */
#include "server/server_internal.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <stddef.h>
#include <string.h>

void weir__fail_memory(struct weir__failure *failure, const struct weir__route *route,
                       const char *message)
{
    const struct weir_account *accounts[] = {route->account, weir__tenant_account(route->tenant),
                                             weir_account_host()};
    weir__fail(failure, WEIR__REFUSAL_MEMORY, "%s", message);
    failure->needs = route->config->memory_bytes_max;
    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++) {
        struct weir_account_reading reading;
        weir_account_read(accounts[i], &reading);
        uint64_t held = reading.used_bytes + reading.reserved_bytes;
        if (reading.limit_bytes == WEIR_UNLIMITED || held + failure->needs <= reading.limit_bytes)
            continue;
        failure->limit = reading.limit_bytes;
        failure->used = held;
        if (i == 1 && accounts[1] != accounts[2])
            failure->tenant = weir__tenant_name(route->tenant);
        return;
    }
}

struct weir__request *weir__request_take(struct weir__connection *connection,
                                         struct weir__route *route)
{
    (void)pthread_mutex_lock(&route->lock);
    struct weir__request *request = route->free_list;
    bool may_grow = route->request_count < route->config->concurrency;
    if (request != NULL)
        route->free_list = request->next;
    else if (may_grow)
        route->request_count++;
    (void)pthread_mutex_unlock(&route->lock);
    if (request == NULL && !may_grow) {
        connection->failure.limit = route->config->concurrency;
        weir__fail(&connection->failure, WEIR__REFUSAL_BUSY, "%u requests are served here at once",
                   route->config->concurrency);
        return NULL;
    }
    if (request == NULL) {
        struct weir_error error = {0};
        request = weir_account_alloc(route->account, WEIR_KIND_REQUEST, sizeof *request, &error);
        if (request == NULL) {
            weir__fail_memory(&connection->failure, route, error.message);
            weir_error_done(&error);
            (void)pthread_mutex_lock(&route->lock);
            route->request_count--;
            (void)pthread_mutex_unlock(&route->lock);
            return NULL;
        }
    }
    /* Buffers keep their old bytes; everything in front of the head is zero again. */
    uint8_t *in = request->in;
    memset(request, 0, offsetof(struct weir__request, head));
    request->in = in;
    request->spool_fd = -1;
    request->trap.code = 0;
    request->trap.frame_count = 0;
    request->trap.cause = (struct weir_error){0};
    request->connection = connection;
    request->route = route;
    request->inline_left_ns = WEIR_SERVER_INLINE_NS;
    request->env = (struct weir_cgi_env){.bytes = request->env_bytes,
                                         .size = sizeof request->env_bytes,
                                         .list = request->env_list,
                                         .count_max = WEIR_SERVER_ENV_MAX};
    return request;
}

void weir__request_give(struct weir__request *request)
{
    struct weir__route *route = request->route;
    if (request->has_place)
        weir__tenant_exit(route->tenant);
    if (request->spool_fd >= 0)
        (void)close(request->spool_fd);
    request->spool_fd = -1;
    request->connection = NULL;
    (void)pthread_mutex_lock(&route->lock);
    request->next = route->free_list;
    route->free_list = request;
    (void)pthread_mutex_unlock(&route->lock);
    weir__route_unref(route);
}

uint64_t weir__route_shrink(struct weir__route *route)
{
    uint64_t given = 0;
    (void)pthread_mutex_lock(&route->lock);
    while (route->free_list != NULL) {
        struct weir__request *request = route->free_list;
        route->free_list = request->next;
        given += sizeof *request + (request->in != NULL ? WEIR_SERVER_BUFFER_BYTES : 0);
        if (request->in != NULL)
            weir_account_free(route->account, WEIR_KIND_REQUEST, request->in,
                              WEIR_SERVER_BUFFER_BYTES);
        weir_account_free(route->account, WEIR_KIND_REQUEST, request, sizeof *request);
        route->request_count--;
    }
    (void)pthread_mutex_unlock(&route->lock);
    return given;
}

/* --- body in ------------------------------------------------------------------------------- */

static bool open_spool(struct weir__request *request)
{
    const char *dir = request->connection->server->config->spool_dir;
    int fd = weir_io_open(weir_io_system(), AT_FDCWD, dir, O_TMPFILE | O_RDWR, 0600);
    if (fd < 0) {
        weir__guest_abort(request, WEIR__REFUSAL_INTERNAL,
                          "the body could not be kept: no file in the spool directory");
        return false;
    }
    request->spool_fd = fd;
    return true;
}

static size_t feed_spool(struct weir__request *request, const char *data, size_t size)
{
    if (request->spool_fd < 0 && !open_spool(request))
        return size;
    size_t done = 0;
    while (done < size) {
        long count = weir_io_pwrite(weir_io_system(), request->spool_fd, data + done, size - done,
                                    request->spool_written);
        if (count <= 0) {
            weir__guest_abort(request, WEIR__REFUSAL_INTERNAL,
                              "the body could not be kept: the spool directory is full");
            return size;
        }
        done += (size_t)count;
        request->spool_written += (uint64_t)count;
    }
    return size;
}

size_t weir__request_feed(struct weir__request *request, const char *data, size_t size)
{
    if (request->is_spooling)
        return feed_spool(request, data, size);
    if (request->in == NULL) {
        struct weir_error error = {0};
        request->in = weir_account_alloc(request->route->account, WEIR_KIND_REQUEST,
                                         WEIR_SERVER_BUFFER_BYTES, &error);
        if (request->in == NULL) {
            weir__guest_abort(request, WEIR__REFUSAL_MEMORY, error.message);
            weir_error_done(&error);
            return size;
        }
    }
    size_t room = WEIR_SERVER_BUFFER_BYTES - request->in_size;
    size_t count = size < room ? size : room;
    size_t at = (request->in_begin + request->in_size) % WEIR_SERVER_BUFFER_BYTES;
    size_t first = WEIR_SERVER_BUFFER_BYTES - at < count ? WEIR_SERVER_BUFFER_BYTES - at : count;
    memcpy(request->in + at, data, first);
    memcpy(request->in, data + first, count - first);
    request->in_size += count;
    return count;
}

static size_t take_ring(struct weir__request *request, uint8_t *to, size_t size)
{
    size_t count = size < request->in_size ? size : request->in_size;
    size_t room = WEIR_SERVER_BUFFER_BYTES - request->in_begin;
    size_t first = room < count ? room : count;
    memcpy(to, request->in + request->in_begin, first);
    memcpy(to + first, request->in, count - first);
    request->in_begin = (request->in_begin + count) % WEIR_SERVER_BUFFER_BYTES;
    request->in_size -= count;
    if (request->in_size == 0)
        request->in_begin = 0;
    return count;
}

static enum weir_status read_body(void *context, void *to, size_t size, size_t *ret_count)
{
    struct weir__request *request = context;
    *ret_count = 0;
    if (request->in_size > 0) {
        *ret_count = take_ring(request, to, size);
        return WEIR_OK;
    }
    if (request->spool_read < request->spool_written) {
        uint64_t left = request->spool_written - request->spool_read;
        long count = weir_io_pread(weir_io_system(), request->spool_fd, to,
                                   size < left ? size : (size_t)left, request->spool_read);
        if (count <= 0)
            return WEIR_IO;
        request->spool_read += (uint64_t)count;
        *ret_count = (size_t)count;
        return WEIR_OK;
    }
    if (request->is_hung_up)
        return WEIR_IO;
    return request->in_closed ? WEIR_OK : WEIR_PENDING;
}

/* --- output -------------------------------------------------------------------------------- */

static enum weir_status write_output(void *context, const void *from, size_t size,
                                     size_t *ret_count)
{
    struct weir__request *request = context;
    const struct weir_route_config *config = request->route->config;
    *ret_count = 0;
    if (request->is_hung_up)
        return WEIR_CANCELLED;
    if (request->out_begin == request->out_end && request->has_head)
        request->out_begin = request->out_end = 0;
    size_t room = WEIR_SERVER_BUFFER_BYTES - request->out_end;
    size_t count = size < room ? size : room;
    if (size > 0 && count == 0)
        return WEIR_PENDING;
    if (request->out_total + count > config->output_bytes_max) {
        request->failure.limit = config->output_bytes_max;
        weir__fail(&request->failure, WEIR__REFUSAL_OUTPUT,
                   "the guest wrote more than its limit of output");
        weir_store_interrupt(request->store); /* it would only write on */
        return WEIR_LIMIT;
    }
    if (count > 0)
        memcpy(request->out + request->out_end, from, count);
    request->out_end += count;
    request->out_total += count;
    *ret_count = count;
    return WEIR_OK;
}

/* The first bytes are kept for the log; nobody waits for the rest. */
static enum weir_status write_stderr(void *context, const void *from, size_t size,
                                     size_t *ret_count)
{
    struct weir__request *request = context;
    size_t room = WEIR_SERVER_STDERR_BYTES - request->stderr_size;
    size_t count = size < room ? size : room;
    if (count > 0)
        memcpy(request->stderr_text + request->stderr_size, from, count);
    request->stderr_size += count;
    *ret_count = size;
    return WEIR_OK;
}

struct weir_wasi_stream weir__request_stream(struct weir__request *request, int number)
{
    struct weir_wasi_stream stream = {.context = request};
    if (number == 0)
        stream.read = read_body;
    else
        stream.write = number == 1 ? write_output : write_stderr;
    return stream;
}

bool weir__request_is_runnable(const struct weir__request *request)
{
    switch (request->guest) {
    case WEIR__GUEST_FRESH:
    case WEIR__GUEST_READY:
        return true;
    case WEIR__GUEST_WAITS_BODY:
        return request->in_size > 0 || request->in_closed ||
               request->spool_read < request->spool_written;
    case WEIR__GUEST_WAITS_ROOM:
        return request->has_head ? request->out_begin == request->out_end
                                 : request->out_end < WEIR_SERVER_BUFFER_BYTES;
    default:
        return false;
    }
}
