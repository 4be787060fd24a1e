/* Streams: contexts of the guest's, each for one exchange. A stream belongs to who made it until it
 * is finished, then to its VM, which ends it when proxy_on_done says yes or proxy_done() is called.
 */
#include "base/check.h"
#include "worlds/filter/filter_internal.h"

#include <string.h>

static struct weir_filter_stream **bucket_of(struct weir_filter_vm *vm, uint32_t id)
{
    return &vm->buckets[id % WEIR_FILTER_BUCKETS];
}

struct weir_filter_stream *weir__filter_find_stream(const struct weir_filter_vm *vm, uint32_t id)
{
    struct weir_filter_stream *stream = vm->buckets[id % WEIR_FILTER_BUCKETS];
    while (stream != NULL && stream->id != id)
        stream = stream->next;
    return stream;
}

struct weir_filter_stream *weir__filter_stream_now(const struct weir_filter_vm *vm)
{
    return vm->effective == vm->root_id ? NULL : weir__filter_find_stream(vm, vm->effective);
}

/* Numbers go round once in four thousand million streams; those in use are left out, and 0. */
static uint32_t next_id(struct weir_filter_vm *vm)
{
    uint32_t id;
    do
        id = vm->next_id++;
    while (id == 0 || id == vm->root_id || weir__filter_find_stream(vm, id) != NULL);
    return id;
}

enum weir_status weir_filter_stream_new(struct weir_filter_vm *vm,
                                        struct weir_filter_exchange *exchange, void *data,
                                        struct weir_filter_stream **ret_stream,
                                        struct weir_error *error)
{
    if (vm->failed != WEIR_OK)
        return weir__filter_failed(vm, error);
    if (!weir_filter_vm_has_room(vm))
        return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                              "%u streams are open in one VM of %s, as many as it may have",
                              vm->stream_count, vm->plugin->config.name);
    struct weir_filter_stream *stream =
        weir_account_alloc(vm->account, WEIR_KIND_METADATA, sizeof *stream, error);
    if (stream == NULL)
        return WEIR_LIMIT;
    stream->vm = vm;
    stream->account = vm->account;
    stream->exchange = exchange;
    stream->data = data;
    stream->id = next_id(vm);
    stream->buffers[0].account = stream->buffers[1].account = vm->account;
    stream->local.body.account = vm->account;
    struct weir_filter_stream **bucket = bucket_of(vm, stream->id);
    stream->next = *bucket;
    *bucket = stream;
    vm->stream_count++;
    (void)atomic_fetch_add_explicit(&vm->plugin->figures.streams, 1, memory_order_relaxed);
    *ret_stream = stream;
    return WEIR_OK;
}

static void drop_properties(struct weir_filter_stream *stream)
{
    while (stream->properties != NULL) {
        struct weir__filter_property *property = stream->properties;
        stream->properties = property->next;
        weir_account_free(stream->account, WEIR_KIND_HOST_BUFFER, property,
                          sizeof *property + property->path_size + property->value_size);
    }
}

/* Out of its VM's tables. */
static void unlink_stream(struct weir_filter_stream *stream)
{
    struct weir_filter_vm *vm = stream->vm;
    struct weir_filter_stream **at = bucket_of(vm, stream->id);
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    vm->stream_count--;
    for (at = &vm->lingering; *at != NULL; at = &(*at)->lingers_next)
        if (*at == stream) {
            *at = stream->lingers_next;
            vm->linger_count--;
            break;
        }
}

static void free_stream(struct weir_filter_stream *stream)
{
    if (stream->vm != NULL)
        unlink_stream(stream);
    weir_filter_buffer_clear(&stream->buffers[0]);
    weir_filter_buffer_clear(&stream->buffers[1]);
    weir_filter_buffer_clear(&stream->local.body);
    weir_filter_map_clear(&stream->local.headers);
    drop_properties(stream);
    weir_account_free(stream->account, WEIR_KIND_METADATA, stream, sizeof *stream);
}

void weir__filter_stream_measure(struct weir_filter_stream *stream)
{
    uint64_t bytes = stream->buffers[0].size + stream->buffers[1].size + stream->local.body.size +
                     stream->local.headers.bytes + stream->property_bytes;
    for (size_t i = 0; stream->exchange != NULL && i < WEIR_FILTER_STREAM_MAPS; i++)
        for (const struct weir_filter_pair *pair = stream->exchange->maps[i].first; pair != NULL;
             pair = pair->next)
            if (pair->account == stream->account)
                bytes += pair->name_size + pair->value_size;
    if (bytes > stream->host_bytes_peak)
        stream->host_bytes_peak = bytes;
}

/* --- events ---------------------------------------------------------------------------------- */

static const struct {
    enum weir__filter_callback callback;
    enum weir_filter_direction direction;
    bool is_body, has_end;
    enum weir_filter_map_id map; /* whose size is told */
} events[] = {
    [WEIR_FILTER_ON_REQUEST_HEADERS] = {FILTER_ON_REQUEST_HEADERS, WEIR_FILTER_REQUEST, false, true,
                                        WEIR_FILTER_REQUEST_HEADERS},
    [WEIR_FILTER_ON_REQUEST_BODY] = {FILTER_ON_REQUEST_BODY, WEIR_FILTER_REQUEST, true, true, 0},
    [WEIR_FILTER_ON_REQUEST_TRAILERS] = {FILTER_ON_REQUEST_TRAILERS, WEIR_FILTER_REQUEST, false,
                                         false, WEIR_FILTER_REQUEST_TRAILERS},
    [WEIR_FILTER_ON_RESPONSE_HEADERS] = {FILTER_ON_RESPONSE_HEADERS, WEIR_FILTER_RESPONSE, false,
                                         true, WEIR_FILTER_RESPONSE_HEADERS},
    [WEIR_FILTER_ON_RESPONSE_BODY] = {FILTER_ON_RESPONSE_BODY, WEIR_FILTER_RESPONSE, true, true, 0},
    [WEIR_FILTER_ON_RESPONSE_TRAILERS] = {FILTER_ON_RESPONSE_TRAILERS, WEIR_FILTER_RESPONSE, false,
                                          false, WEIR_FILTER_RESPONSE_TRAILERS},
};

static void create_step(struct weir_filter_stream *stream)
{
    if (stream->is_created)
        return;
    stream->is_created = true;
    const int32_t args[5] = {(int32_t)stream->id, (int32_t)stream->vm->root_id};
    weir__filter_step(stream->vm, FILTER_ON_CONTEXT_CREATE, stream->id, args);
}

enum weir_status weir_filter_stream_event(struct weir_filter_stream *stream,
                                          enum weir_filter_event event, bool is_end,
                                          struct weir_error *error)
{
    struct weir_filter_vm *vm = stream->vm;
    if (vm == NULL)
        return weir_error_set(error, WEIR_TRAP, WEIR_NO_OFFSET, "the plugin was closed");
    if (vm->failed != WEIR_OK)
        return weir__filter_failed(vm, error);
    WEIR_ASSERT(!vm->is_busy && vm->step_count == 0);
    enum weir_filter_direction direction = events[event].direction;
    uint64_t size = events[event].is_body ? stream->buffers[direction].size
                                          : stream->exchange->maps[events[event].map].count;
    const int32_t args[5] = {(int32_t)stream->id, size > INT32_MAX ? INT32_MAX : (int32_t)size,
                             is_end};
    stream->has_body[direction] = stream->has_body[direction] || events[event].is_body;
    stream->is_paused[direction] = false;
    vm->runs = stream;
    create_step(stream);
    weir__filter_step(vm, events[event].callback, stream->id, args);
    return weir__filter_run(vm, error);
}

void weir__filter_stream_returned(struct weir_filter_vm *vm, enum weir__filter_callback callback,
                                  int32_t result)
{
    struct weir_filter_stream *stream = vm->runs;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i].callback == callback) {
            stream->is_paused[events[i].direction] = result != 0;
            stream->has_body[events[i].direction] =
                stream->has_body[events[i].direction] && result != 0;
        }
    if (callback == FILTER_ON_DONE && result == 0 && !stream->is_done_said)
        vm->step = vm->step_count; /* the rest comes when it says so */
    if (callback == FILTER_ON_DELETE)
        stream->is_done_said = true;
}

bool weir_filter_stream_is_paused(const struct weir_filter_stream *stream,
                                  enum weir_filter_direction direction)
{
    return stream->is_paused[direction];
}

bool weir_filter_stream_is_closed(const struct weir_filter_stream *stream)
{
    return stream->is_closed;
}

struct weir_filter_local *weir_filter_stream_local(struct weir_filter_stream *stream)
{
    if (!stream->has_local || stream->is_local_taken)
        return NULL;
    stream->is_local_taken = true;
    return &stream->local;
}

struct weir_filter_buffer *weir_filter_stream_buffer(struct weir_filter_stream *stream,
                                                     enum weir_filter_direction direction)
{
    return &stream->buffers[direction];
}

void *weir_filter_stream_data(const struct weir_filter_stream *stream)
{
    return stream->data;
}

struct weir_filter_vm *weir_filter_stream_vm(const struct weir_filter_stream *stream)
{
    return stream->vm;
}

void weir__filter_wake(struct weir_filter_stream *stream)
{
    const struct weir_filter_config *config = &stream->vm->plugin->config;
    if (config->host != NULL && config->host->wake != NULL && !stream->is_finishing)
        config->host->wake(config->host_context, stream);
}

void weir_filter_exchange_done(struct weir_filter_exchange *exchange)
{
    for (size_t i = 0; i < WEIR_FILTER_STREAM_MAPS; i++)
        weir_filter_map_clear(&exchange->maps[i]);
}

/* --- the end --------------------------------------------------------------------------------- */

static void end_steps(struct weir_filter_stream *stream)
{
    const int32_t args[5] = {(int32_t)stream->id};
    weir__filter_step(stream->vm, FILTER_ON_LOG, stream->id, args);
    weir__filter_step(stream->vm, FILTER_ON_DELETE, stream->id, args);
}

enum weir_status weir_filter_stream_finish(struct weir_filter_stream *stream,
                                           struct weir_error *error)
{
    struct weir_filter_vm *vm = stream->vm;
    stream->is_finishing = true;
    if (vm == NULL || vm->failed != WEIR_OK || !stream->is_created) {
        free_stream(stream);
        return WEIR_OK;
    }
    WEIR_ASSERT(!vm->is_busy && vm->step_count == 0);
    const int32_t args[5] = {(int32_t)stream->id};
    vm->runs = stream;
    weir__filter_step(vm, FILTER_ON_DONE, stream->id, args);
    end_steps(stream);
    return weir__filter_run(vm, error);
}

/* Waits for proxy_done() from now on, without the exchange. */
static void linger(struct weir_filter_stream *stream)
{
    struct weir_filter_vm *vm = stream->vm;
    struct weir_filter_stream **at = &vm->lingering;
    for (; *at != NULL; at = &(*at)->lingers_next)
        if (*at == stream)
            return;
    *at = stream;
    stream->lingers_next = NULL;
    if (++vm->linger_count > WEIR_FILTER_LINGER_MAX)
        vm->lingering->is_done_said = true; /* the oldest has waited long enough */
}

void weir__filter_stream_settled(struct weir_filter_stream *stream)
{
    if (!stream->is_finishing)
        return;
    struct weir_filter_vm *vm = stream->vm;
    stream->exchange = NULL;
    weir_filter_buffer_clear(&stream->buffers[0]);
    weir_filter_buffer_clear(&stream->buffers[1]);
    /* Without an export for the end there is nothing to wait for. */
    bool is_over = vm->failed != WEIR_OK || stream->is_done_said || vm->action != 0 ||
                   vm->callbacks[FILTER_ON_DONE] == NULL;
    if (is_over)
        free_stream(stream);
    else
        linger(stream);
}

bool weir__filter_linger_step(struct weir_filter_vm *vm)
{
    struct weir_filter_stream *stream = vm->lingering;
    while (stream != NULL && !stream->is_done_said)
        stream = stream->lingers_next;
    if (stream == NULL)
        return false;
    vm->runs = stream;
    end_steps(stream);
    if (vm->step_count == 0) { /* it exports neither */
        vm->runs = NULL;
        free_stream(stream);
    }
    return true;
}

/* Of a VM that goes: those that linger are the VM's own; others are freed by their owners. */
void weir__filter_streams_drop(struct weir_filter_vm *vm)
{
    if (vm->runs != NULL && vm->runs->is_finishing)
        free_stream(vm->runs);
    vm->runs = NULL;
    while (vm->lingering != NULL)
        free_stream(vm->lingering);
    for (size_t i = 0; i < WEIR_FILTER_BUCKETS; i++)
        while (vm->buckets[i] != NULL) {
            struct weir_filter_stream *stream = vm->buckets[i];
            vm->buckets[i] = stream->next;
            stream->next = NULL;
            stream->vm = NULL;
        }
    vm->stream_count = 0;
}
