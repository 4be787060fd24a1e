/* Host functions over what plugins share: data, queues, metrics. */
#include "worlds/filter/filter_internal.h"

/* --- data ------------------------------------------------------------------------------------ */

int weir__filter_proxy_get_shared_data(struct weir__filter_host_call *call)
{
    FILTER_SLICE(key);
    FILTER_SLICE(value);
    value.account = call->vm->account;
    int answer = weir__filter_get(call, 0, WEIR_FILTER_NAME_BYTES_MAX, &key);
    if (answer != FILTER_OK)
        return answer;
    uint32_t cas = 0;
    enum weir_status status = weir__filter_shared_get(
        call->vm->plugin, weir__filter_slice_text(&key), &value, &cas);
    if (status != WEIR_OK)
        return weir__filter_status_of(call, status, NULL);
    answer = weir__filter_give(call, 2, weir__filter_slice_text(&value));
    return answer == FILTER_OK ? weir__filter_put_u32(call, 4, cas) : answer;
}

int weir__filter_proxy_set_shared_data(struct weir__filter_host_call *call)
{
    FILTER_SLICE(key);
    FILTER_SLICE(value);
    int answer = weir__filter_get(call, 0, WEIR_FILTER_NAME_BYTES_MAX, &key);
    if (answer == FILTER_OK)
        answer = weir__filter_get(call, 2, WEIR_FILTER_VALUE_BYTES_MAX, &value);
    if (answer != FILTER_OK)
        return answer;
    struct weir_error error = {0};
    enum weir_status status =
        weir__filter_shared_set(call->vm->plugin, weir__filter_slice_text(&key),
                                weir__filter_slice_text(&value), weir__filter_u32(call, 4), &error);
    return weir__filter_status_of(call, status, &error);
}

/* --- queues ---------------------------------------------------------------------------------- */

/* The VM hears of messages from now on. */
static int hear_of(struct weir__filter_host_call *call, uint32_t id)
{
    struct weir_filter_vm *vm = call->vm;
    for (uint32_t i = 0; i < vm->queue_count; i++)
        if (vm->queues[i] == id)
            return FILTER_OK;
    if (vm->queue_count == WEIR_FILTER_VM_QUEUES_MAX)
        return weir__filter_refuse(call, FILTER_INTERNAL_FAILURE,
                                   "a VM registers at most %u queues", WEIR_FILTER_VM_QUEUES_MAX);
    vm->queue_seen[vm->queue_count] = 0;
    vm->queues[vm->queue_count++] = id;
    return FILTER_OK;
}

int weir__filter_proxy_register_shared_queue(struct weir__filter_host_call *call)
{
    FILTER_SLICE(name);
    uint32_t id = 0;
    int answer = weir__filter_get(call, 0, WEIR_FILTER_NAME_BYTES_MAX, &name);
    if (answer != FILTER_OK)
        return answer;
    struct weir_filter_plugin *plugin = call->vm->plugin;
    struct weir_error error = {0};
    enum weir_status status =
        weir__filter_queue_open(plugin, weir_filter_text(plugin->config.vm_id),
                                weir__filter_slice_text(&name), true, &id, &error);
    answer = weir__filter_status_of(call, status, &error);
    if (answer == FILTER_OK)
        answer = hear_of(call, id);
    return answer == FILTER_OK ? weir__filter_put_u32(call, 2, id) : answer;
}

int weir__filter_proxy_resolve_shared_queue(struct weir__filter_host_call *call)
{
    FILTER_SLICE(vm_id);
    FILTER_SLICE(name);
    uint32_t id = 0;
    int answer = weir__filter_get(call, 0, WEIR_FILTER_NAME_BYTES_MAX, &vm_id);
    if (answer == FILTER_OK)
        answer = weir__filter_get(call, 2, WEIR_FILTER_NAME_BYTES_MAX, &name);
    if (answer != FILTER_OK)
        return answer;
    enum weir_status status =
        weir__filter_queue_open(call->vm->plugin, weir__filter_slice_text(&vm_id),
                                weir__filter_slice_text(&name), false, &id, NULL);
    return status == WEIR_OK ? weir__filter_put_u32(call, 4, id) : FILTER_NOT_FOUND;
}

int weir__filter_proxy_enqueue_shared_queue(struct weir__filter_host_call *call)
{
    FILTER_SLICE(message);
    int answer = weir__filter_get(call, 1, WEIR_FILTER_VALUE_BYTES_MAX, &message);
    if (answer != FILTER_OK)
        return answer;
    struct weir_error error = {0};
    enum weir_status status = weir__filter_queue_put(
        call->vm->plugin, weir__filter_u32(call, 0), weir__filter_slice_text(&message), &error);
    return weir__filter_status_of(call, status, &error);
}

int weir__filter_proxy_dequeue_shared_queue(struct weir__filter_host_call *call)
{
    FILTER_SLICE(message);
    message.account = call->vm->account;
    int answer = weir__filter_can_give(call, 1);
    if (answer != FILTER_OK)
        return answer;
    enum weir_status status =
        weir__filter_queue_get(call->vm->plugin, weir__filter_u32(call, 0), &message);
    if (status != WEIR_OK)
        return weir__filter_status_of(call, status, NULL);
    return weir__filter_give(call, 1, weir__filter_slice_text(&message));
}

/* --- metrics --------------------------------------------------------------------------------- */

int weir__filter_proxy_define_metric(struct weir__filter_host_call *call)
{
    FILTER_SLICE(name);
    uint32_t type = weir__filter_u32(call, 0), id = 0;
    int answer = weir__filter_get(call, 1, WEIR_FILTER_NAME_BYTES_MAX, &name);
    if (answer != FILTER_OK)
        return answer;
    if (type > WEIR_FILTER_HISTOGRAM)
        return FILTER_BAD_ARGUMENT;
    struct weir_error error = {0};
    enum weir_status status = weir__filter_metric_define(
        call->vm->plugin, type, weir__filter_slice_text(&name), &id, &error);
    answer = weir__filter_status_of(call, status, &error);
    return answer == FILTER_OK ? weir__filter_put_u32(call, 3, id) : answer;
}

static int use_metric(struct weir__filter_host_call *call, enum weir__filter_metric_use use,
                      int64_t amount, uint64_t *ret_value)
{
    return weir__filter_metric_use(call->vm->plugin, weir__filter_u32(call, 0), use, amount,
                                   ret_value);
}

int weir__filter_proxy_record_metric(struct weir__filter_host_call *call)
{
    return use_metric(call, FILTER_METRIC_RECORD, call->args[1].i64, NULL);
}

int weir__filter_proxy_increment_metric(struct weir__filter_host_call *call)
{
    return use_metric(call, FILTER_METRIC_INCREMENT, call->args[1].i64, NULL);
}

int weir__filter_proxy_get_metric(struct weir__filter_host_call *call)
{
    uint64_t value = 0;
    int answer = use_metric(call, FILTER_METRIC_GET, 0, &value);
    return answer == FILTER_OK ? weir__filter_put_u64(call, 1, value) : answer;
}
