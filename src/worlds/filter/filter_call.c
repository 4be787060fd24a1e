/* HTTP calls of guests. Each is in one of two lists of its VM: under way, or finished and to be
 * told. It leaves the second by one callback, or with its VM. */
#include "base/check.h"
#include "base/clock.h"
#include "worlds/filter/filter_internal.h"

#include <string.h>

static void free_call(struct weir_filter_call *call, struct weir_account *account)
{
    weir_filter_map_clear(&call->headers);
    weir_filter_map_clear(&call->trailers);
    weir_filter_map_clear(&call->answer_headers);
    weir_filter_map_clear(&call->answer_trailers);
    weir_filter_buffer_clear(&call->body);
    weir_filter_buffer_clear(&call->answer_body);
    if (call->upstream != NULL)
        weir_account_free(account, WEIR_KIND_HOST_BUFFER, call->upstream,
                          strlen(call->upstream) + 1);
    weir_account_free(account, WEIR_KIND_HOST_BUFFER, call, sizeof *call);
}

static void unlink_call(struct weir_filter_call **list, const struct weir_filter_call *call)
{
    while (*list != NULL && *list != call)
        list = &(*list)->next;
    WEIR_ASSERT(*list == call);
    *list = call->next;
}

static const struct weir_filter_pair *find(const struct weir_filter_map *map, const char *name)
{
    const struct weir_filter_pair *pair = weir_filter_map_find(map, weir_filter_text(name));
    return pair != NULL && pair->value_size > 0 ? pair : NULL;
}

/* What the guest asks for, out of its memory. */
static int read_call(struct weir__filter_host_call *host_call, struct weir_filter_call *call)
{
    struct weir_account *account = host_call->vm->account;
    FILTER_SLICE(upstream);
    FILTER_SLICE(headers);
    FILTER_SLICE(body);
    FILTER_SLICE(trailers);
    struct weir_error error = {0};
    int answer = weir__filter_get(host_call, 0, WEIR_FILTER_NAME_BYTES_MAX, &upstream);
    if (answer == FILTER_OK)
        answer = weir__filter_get(host_call, 2, WEIR_FILTER_MAP_BYTES_MAX, &headers);
    if (answer == FILTER_OK)
        answer = weir__filter_get(host_call, 4, host_call->vm->plugin->config.buffer_bytes_max,
                                  &body);
    if (answer == FILTER_OK)
        answer = weir__filter_get(host_call, 6, WEIR_FILTER_MAP_BYTES_MAX, &trailers);
    if (answer != FILTER_OK)
        return answer;
    if (upstream.size == 0 || memchr(upstream.bytes, 0, upstream.size) != NULL)
        return FILTER_BAD_ARGUMENT;
    enum weir_status status =
        weir_filter_pairs_read(headers.bytes, headers.size, account, &call->headers, &error);
    if (status == WEIR_OK)
        status = weir_filter_pairs_read(trailers.bytes, trailers.size, account, &call->trailers,
                                        &error);
    if (status == WEIR_OK)
        status = weir_filter_buffer_append(&call->body, body.bytes, body.size, &error);
    if (status == WEIR_OK) {
        call->upstream =
            weir_account_alloc(account, WEIR_KIND_HOST_BUFFER, upstream.size + 1, &error);
        status = call->upstream != NULL ? WEIR_OK : WEIR_LIMIT;
    }
    if (status != WEIR_OK)
        return weir__filter_status_of(host_call, status, &error);
    memcpy(call->upstream, upstream.bytes, upstream.size);
    if (find(&call->headers, ":method") == NULL || find(&call->headers, ":path") == NULL ||
        find(&call->headers, ":authority") == NULL)
        return weir__filter_refuse(host_call, FILTER_BAD_ARGUMENT,
                                   "a call to %s needs :method, :path and :authority",
                                   call->upstream);
    return FILTER_OK;
}

static int start_call(struct weir__filter_host_call *host_call, struct weir_filter_call *call)
{
    struct weir_filter_vm *vm = host_call->vm;
    const struct weir_filter_config *config = &vm->plugin->config;
    int answer = read_call(host_call, call);
    if (answer == FILTER_OK)
        answer = weir__filter_put_u32(host_call, 9, vm->next_call_id);
    if (answer != FILTER_OK)
        return answer;
    call->id = vm->next_call_id++;
    call->timeout_ns = weir__filter_u32(host_call, 8) * WEIR_MS_NS;
    struct weir_error error = {0};
    enum weir_status status = config->host != NULL && config->host->call != NULL
                                  ? config->host->call(config->host_context, call, &error)
                                  : WEIR_NOT_FOUND;
    if (status == WEIR_NOT_FOUND) /* Envoy's answer for a cluster that is not there */
        return weir__filter_refuse(host_call, FILTER_BAD_ARGUMENT, "there is no upstream %.100s",
                                   call->upstream);
    return status == WEIR_OK ? FILTER_OK : weir__filter_status_of(host_call, status, &error);
}

int weir__filter_proxy_http_call(struct weir__filter_host_call *host_call)
{
    struct weir_filter_vm *vm = host_call->vm;
    if (vm->call_count >= WEIR_FILTER_CALLS_MAX)
        return weir__filter_refuse(host_call, FILTER_INTERNAL_FAILURE,
                                   "%u calls are not answered yet, as many as there may be",
                                   vm->call_count);
    struct weir_error error = {0};
    struct weir_filter_call *call =
        weir_account_alloc(vm->account, WEIR_KIND_HOST_BUFFER, sizeof *call, &error);
    if (call == NULL)
        return weir__filter_status_of(host_call, WEIR_LIMIT, &error);
    call->vm = vm;
    call->body.account = call->answer_body.account = vm->account;
    call->next = vm->calls;
    vm->calls = call;
    vm->call_count++;
    int answer = start_call(host_call, call);
    if (answer != FILTER_OK) {
        unlink_call(&vm->calls, call);
        vm->call_count--;
        free_call(call, vm->account);
        return answer;
    }
    (void)atomic_fetch_add_explicit(&vm->plugin->figures.calls, 1, memory_order_relaxed);
    return FILTER_OK;
}

void weir_filter_call_finish(struct weir_filter_call *call)
{
    struct weir_filter_vm *vm = call->vm;
    WEIR_ASSERT(!call->is_finished);
    call->is_finished = true;
    unlink_call(&vm->calls, call);
    vm->call_count--;
    weir_filter_map_clear(&call->headers);
    weir_filter_map_clear(&call->trailers);
    weir_filter_buffer_clear(&call->body);
    call->next = NULL;
    struct weir_filter_call **last = &vm->finished;
    while (*last != NULL)
        last = &(*last)->next;
    *last = call;
}

bool weir__filter_call_step(struct weir_filter_vm *vm)
{
    struct weir_filter_call *call = vm->finished;
    if (call == NULL)
        return false;
    vm->finished = call->next;
    vm->answers = call;
    uint64_t size = call->answer_body.size;
    const int32_t args[5] = {(int32_t)vm->root_id, (int32_t)call->id,
                             (int32_t)call->answer_headers.count,
                             size > INT32_MAX ? INT32_MAX : (int32_t)size,
                             (int32_t)call->answer_trailers.count};
    weir__filter_step(vm, FILTER_ON_CALL_RESPONSE, vm->root_id, args);
    if (vm->step_count == 0)
        weir__filter_call_told(vm);
    return true;
}

void weir__filter_call_told(struct weir_filter_vm *vm)
{
    struct weir_filter_call *call = vm->answers;
    vm->answers = NULL;
    (void)atomic_fetch_add_explicit(&vm->plugin->figures.call_answers, 1, memory_order_relaxed);
    free_call(call, vm->account);
}

void weir__filter_calls_drop(struct weir_filter_vm *vm)
{
    const struct weir_filter_config *config = &vm->plugin->config;
    uint64_t left = 0;
    while (vm->calls != NULL) {
        struct weir_filter_call *call = vm->calls;
        vm->calls = call->next;
        config->host->cancel(config->host_context, call);
        free_call(call, vm->account);
        left++;
    }
    while (vm->finished != NULL) {
        struct weir_filter_call *call = vm->finished;
        vm->finished = call->next;
        free_call(call, vm->account);
        left++;
    }
    if (vm->answers != NULL) {
        free_call(vm->answers, vm->account);
        left++;
    }
    vm->answers = NULL;
    (void)atomic_fetch_add_explicit(&vm->plugin->figures.calls_left, left, memory_order_relaxed);
}
