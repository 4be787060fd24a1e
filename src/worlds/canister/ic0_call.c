/* ic0: calls to other canisters. What is formed here is delivered after the message is kept. */
#include "worlds/canister/ic0_internal.h"

#include <string.h>

/* Forming a new call gives up the one before. */
static void give_up(struct weir__ic0 *call)
{
    weir__outgoing_free(call->canister, call->message->forming);
    call->message->forming = NULL;
}

enum weir_status weir__ic0_call_new(struct weir__ic0 *call)
{
    struct weir_canister *canister = call->canister;
    struct weir__message *message = call->message;
    const uint64_t *args = call->args;
    give_up(call);
    if (args[1] > CANISTER_PRINCIPAL_BYTES_MAX)
        return weir__ic0_fail(call, "call_new with a principal of %llu bytes",
                              (unsigned long long)args[1]);
    struct weir_error error = {0};
    struct weir__outgoing *made =
        weir_account_alloc(canister->account, WEIR_KIND_HOST_BUFFER, sizeof *made, &error);
    if (made == NULL) {
        enum weir_status refused = weir__ic0_fail(call, "%s", error.message);
        weir_error_done(&error);
        return refused;
    }
    message->forming = made;
    if (args[3] >= sizeof made->method)
        return weir__ic0_fail(call, "call_new with a method name of %llu bytes",
                              (unsigned long long)args[3]);
    made->callee.size = (uint8_t)args[1];
    made->method_size = args[3];
    made->reply_fun = args[4];
    made->reply_env = args[5];
    made->reject_fun = args[6];
    made->reject_env = args[7];
    made->context = message->context;
    enum weir_status status = weir__ic0_get(call, args[0], made->callee.bytes, made->callee.size);
    if (status == WEIR_OK)
        status = weir__ic0_get(call, args[2], made->method, made->method_size);
    return status;
}

static enum weir_status need_forming(struct weir__ic0 *call, const char *name)
{
    if (call->message->forming != NULL)
        return WEIR_OK;
    return weir__ic0_fail(call, "%s without call_new", name);
}

enum weir_status weir__ic0_call_on_cleanup(struct weir__ic0 *call)
{
    enum weir_status status = need_forming(call, "call_on_cleanup");
    if (status != WEIR_OK)
        return status;
    struct weir__outgoing *forming = call->message->forming;
    if (forming->has_cleanup)
        return weir__ic0_fail(call, "call_on_cleanup twice");
    forming->has_cleanup = true;
    forming->cleanup_fun = call->args[0];
    forming->cleanup_env = call->args[1];
    return WEIR_OK;
}

enum weir_status weir__ic0_call_data_append(struct weir__ic0 *call)
{
    enum weir_status status = need_forming(call, "call_data_append");
    if (status != WEIR_OK)
        return status;
    return weir__ic0_append(call, &call->message->forming->payload, call->args[0], call->args[1],
                            CANISTER_CALL_BYTES_MAX);
}

enum weir_status weir__ic0_call_cycles_add128(struct weir__ic0 *call)
{
    enum weir_status status = need_forming(call, "call_cycles_add128");
    if (status == WEIR_OK && (call->args[0] | call->args[1]) != 0)
        return weir__ic0_fail(call, "call_cycles_add128: this canister has no cycles");
    return status;
}

enum weir_status weir__ic0_call_with_best_effort_response(struct weir__ic0 *call)
{
    enum weir_status status = need_forming(call, "call_with_best_effort_response");
    if (status != WEIR_OK)
        return status;
    if (call->message->forming->is_best_effort)
        return weir__ic0_fail(call, "call_with_best_effort_response twice");
    call->message->forming->is_best_effort = true;
    return WEIR_OK;
}

enum weir_status weir__ic0_call_perform(struct weir__ic0 *call)
{
    struct weir_canister *canister = call->canister;
    struct weir__message *message = call->message;
    enum weir_status status = need_forming(call, "call_perform");
    if (status != WEIR_OK)
        return status;
    uint32_t waiting = canister->queue_count;
    for (const struct weir__outgoing *at = message->performed; at != NULL; at = at->next)
        waiting++;
    if (waiting >= CANISTER_CALLS_MAX || canister->messages + waiting >= CANISTER_MESSAGES_MAX) {
        give_up(call);
        call->result = 2; /* SYS_TRANSIENT: the queue is full */
        return WEIR_OK;
    }
    struct weir__outgoing *made = message->forming;
    message->forming = NULL;
    made->next = message->performed;
    message->performed = made;
    call->result = 0;
    return WEIR_OK;
}
