/* Host functions about the plugin and its streams: log, time, contexts, flow, local response, and
 * what is not offered. */
#include "base/clock.h"
#include "worlds/filter/filter_internal.h"

#include <string.h>

int weir__filter_proxy_log(struct weir__filter_host_call *call)
{
    const struct weir_filter_config *config = &call->vm->plugin->config;
    uint32_t level = weir__filter_u32(call, 0);
    uint32_t address = weir__filter_u32(call, 1), size = weir__filter_u32(call, 2);
    if (level > WEIR_FILTER_CRITICAL)
        return FILTER_BAD_ARGUMENT;
    if (weir_memory_at(call->vm->memory, address, size) == NULL)
        return FILTER_INVALID_MEMORY_ACCESS;
    char text[WEIR_FILTER_LOG_BYTES_MAX];
    if (size > sizeof text)
        size = sizeof text;
    if (weir_memory_read(call->vm->memory, address, text, size) != WEIR_OK)
        return FILTER_INVALID_MEMORY_ACCESS;
    if (config->host != NULL && config->host->log != NULL &&
        level >= (uint32_t)config->level)
        config->host->log(config->host_context, call->vm->plugin, (enum weir_filter_level)level,
                          (struct weir_filter_text){text, size});
    return FILTER_OK;
}

int weir__filter_proxy_get_log_level(struct weir__filter_host_call *call)
{
    return weir__filter_put_u32(call, 0, (uint32_t)call->vm->plugin->config.level);
}

int weir__filter_proxy_get_current_time_nanoseconds(struct weir__filter_host_call *call)
{
    return weir__filter_put_u64(call, 0, weir_clock_unix_ns());
}

int weir__filter_proxy_set_tick_period_milliseconds(struct weir__filter_host_call *call)
{
    uint64_t period_ns = weir__filter_u32(call, 0) * WEIR_MS_NS;
    if (period_ns != 0 && period_ns < WEIR_FILTER_TICK_NS_MIN)
        period_ns = WEIR_FILTER_TICK_NS_MIN;
    call->vm->tick_ns = period_ns;
    call->vm->tick_due_ns = weir_clock_ns() + period_ns;
    return FILTER_OK;
}

int weir__filter_proxy_done(struct weir__filter_host_call *call)
{
    struct weir_filter_stream *stream = weir__filter_stream_now(call->vm);
    if (stream == NULL || !stream->is_finishing || stream->is_done_said)
        return FILTER_NOT_FOUND;
    stream->is_done_said = true;
    return FILTER_OK;
}

int weir__filter_proxy_set_effective_context(struct weir__filter_host_call *call)
{
    struct weir_filter_vm *vm = call->vm;
    uint32_t id = weir__filter_u32(call, 0);
    if (id != vm->root_id && weir__filter_find_stream(vm, id) == NULL)
        return FILTER_BAD_ARGUMENT;
    vm->effective = id;
    return FILTER_OK;
}

/* --- flow ------------------------------------------------------------------------------------ */

static int continue_stream(struct weir__filter_host_call *call, uint32_t direction)
{
    struct weir_filter_stream *stream = weir__filter_stream_now(call->vm);
    if (direction > WEIR_FILTER_RESPONSE)
        return direction <= 3 ? FILTER_UNIMPLEMENTED : FILTER_BAD_ARGUMENT;
    if (stream == NULL || stream->is_finishing)
        return FILTER_BAD_ARGUMENT;
    stream->is_paused[direction] = false;
    weir__filter_wake(stream);
    return FILTER_OK;
}

int weir__filter_proxy_continue_stream(struct weir__filter_host_call *call)
{
    return continue_stream(call, weir__filter_u32(call, 0));
}

int weir__filter_proxy_continue_request(struct weir__filter_host_call *call)
{
    return continue_stream(call, WEIR_FILTER_REQUEST);
}

int weir__filter_proxy_continue_response(struct weir__filter_host_call *call)
{
    return continue_stream(call, WEIR_FILTER_RESPONSE);
}

int weir__filter_proxy_close_stream(struct weir__filter_host_call *call)
{
    struct weir_filter_stream *stream = weir__filter_stream_now(call->vm);
    if (weir__filter_u32(call, 0) > 3 || stream == NULL || stream->is_finishing)
        return FILTER_BAD_ARGUMENT;
    stream->is_closed = true;
    weir__filter_wake(stream);
    return FILTER_OK;
}

/* There is one route, chosen before the chain began. */
int weir__filter_proxy_clear_route_cache(struct weir__filter_host_call *call)
{
    (void)call;
    return FILTER_OK;
}

int weir__filter_proxy_send_local_response(struct weir__filter_host_call *call)
{
    struct weir_filter_vm *vm = call->vm;
    struct weir_filter_stream *stream = weir__filter_stream_now(vm);
    uint32_t status = weir__filter_u32(call, 0);
    FILTER_SLICE(body);
    FILTER_SLICE(pairs);
    int answer = weir__filter_look(call, 1); /* the details, which nobody is told */
    if (answer == FILTER_OK)
        answer = weir__filter_get(call, 3, vm->plugin->config.buffer_bytes_max, &body);
    if (answer == FILTER_OK)
        answer = weir__filter_get(call, 5, WEIR_FILTER_MAP_BYTES_MAX, &pairs);
    if (answer != FILTER_OK)
        return answer;
    if (stream == NULL || stream->is_finishing || stream->has_local || status < 200 || status > 599)
        return FILTER_BAD_ARGUMENT;
    struct weir_filter_local *local = &stream->local;
    struct weir_error error = {0};
    enum weir_status done =
        weir_filter_pairs_read(pairs.bytes, pairs.size, vm->account, &local->headers, &error);
    if (done == WEIR_OK)
        done = weir_filter_buffer_append(&local->body, body.bytes, body.size, &error);
    if (done != WEIR_OK) {
        weir_filter_map_clear(&local->headers);
        return weir__filter_status_of(call, done, &error);
    }
    local->status = status;
    stream->has_local = true;
    weir__filter_wake(stream);
    return FILTER_OK;
}

/* --- what is not offered --------------------------------------------------------------------- */

static int refuse_grpc(struct weir__filter_host_call *call)
{
    return weir__filter_refuse(call, FILTER_UNIMPLEMENTED, "gRPC calls are not offered here");
}

#define GRPC(name)                                                                                 \
    int weir__filter_proxy_grpc_##name(struct weir__filter_host_call *call)                        \
    {                                                                                              \
        return refuse_grpc(call);                                                                  \
    }
GRPC(call)
GRPC(stream)
GRPC(send)
GRPC(cancel)
GRPC(close)

/* Of the last gRPC callback, which there never is. */
int weir__filter_proxy_get_status(struct weir__filter_host_call *call)
{
    int answer = weir__filter_put_u32(call, 0, 0);
    return answer == FILTER_OK ? weir__filter_give(call, 1, (struct weir_filter_text){0}) : answer;
}

int weir__filter_proxy_call_foreign_function(struct weir__filter_host_call *call)
{
    FILTER_SLICE(name);
    int answer = weir__filter_get(call, 0, WEIR_FILTER_NAME_BYTES_MAX, &name);
    if (answer == FILTER_OK)
        answer = weir__filter_look(call, 2);
    return answer == FILTER_OK ? FILTER_NOT_FOUND : answer;
}

int weir__filter_pthread_equal(struct weir__filter_host_call *call)
{
    return weir__filter_u32(call, 0) == weir__filter_u32(call, 1);
}

int weir__filter_emscripten_notify_memory_growth(struct weir__filter_host_call *call)
{
    (void)call;
    return FILTER_OK;
}
