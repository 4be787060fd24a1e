/* ic0: the canister itself, time, timer, counters, cycles, debug output and the explicit trap.
 *
 * There are no cycles here: balances are zero, and what is accepted or burnt is nothing. */
#include "worlds/canister/ic0_internal.h"

#include <string.h>

enum weir_status weir__ic0_canister_self_size(struct weir__ic0 *call)
{
    call->result = call->canister->id.size;
    return WEIR_OK;
}

enum weir_status weir__ic0_canister_self_copy(struct weir__ic0 *call)
{
    return weir__ic0_copy(call, call->canister->id.bytes, call->canister->id.size);
}

enum weir_status weir__ic0_canister_status(struct weir__ic0 *call)
{
    call->result = 1; /* running */
    return WEIR_OK;
}

enum weir_status weir__ic0_canister_version(struct weir__ic0 *call)
{
    call->result = call->canister->version;
    return WEIR_OK;
}

enum weir_status weir__ic0_is_controller(struct weir__ic0 *call)
{
    struct weir_principal who = {0};
    if (call->args[1] > sizeof who.bytes)
        return weir__ic0_fail(call, "is_controller with a principal of %llu bytes",
                              (unsigned long long)call->args[1]);
    who.size = (uint8_t)call->args[1];
    enum weir_status status = weir__ic0_get(call, call->args[0], who.bytes, who.size);
    for (size_t i = 0; i < call->canister->controller_count; i++)
        if (weir_principal_equal(&who, &call->canister->controllers[i]))
            call->result = 1;
    return status;
}

enum weir_status weir__ic0_in_replicated_execution(struct weir__ic0 *call)
{
    call->result = (call->message->mode & IC0_NOT_REPLICATED) == 0;
    return WEIR_OK;
}

enum weir_status weir__ic0_time(struct weir__ic0 *call)
{
    call->result = call->message->time_ns;
    return WEIR_OK;
}

enum weir_status weir__ic0_global_timer_set(struct weir__ic0 *call)
{
    call->result = call->canister->timer_ns;
    call->canister->timer_ns = call->args[0];
    return WEIR_OK;
}

enum weir_status weir__ic0_performance_counter(struct weir__ic0 *call)
{
    const struct weir__message *message = call->message;
    uint64_t here = message->fuel - weir_store_fuel(call->body->store);
    if (call->args[0] > 1)
        return weir__ic0_fail(call, "performance_counter %llu: 0 and 1 are known",
                              (unsigned long long)call->args[0]);
    call->result = here;
    if (call->args[0] == 1 && message->context != NULL)
        call->result += message->context->instructions;
    return WEIR_OK;
}

enum weir_status weir__ic0_debug_print(struct weir__ic0 *call)
{
    struct weir__message *message = call->message;
    uint64_t left = CANISTER_DEBUG_BYTES_MAX - message->debug_bytes;
    uint64_t size = call->args[1] < left ? call->args[1] : left;
    for (uint64_t at = 0; at < size;) {
        char piece[1024];
        size_t part = size - at < sizeof piece ? size - at : sizeof piece;
        enum weir_status status = weir__ic0_get(call, call->args[0] + at, piece, part);
        if (status != WEIR_OK)
            return status;
        if (call->canister->debug_print != NULL)
            call->canister->debug_print(call->canister->context, piece, part);
        at += part;
    }
    message->debug_bytes += size;
    return WEIR_OK;
}

enum weir_status weir__ic0_trap(struct weir__ic0 *call)
{
    struct weir__message *message = call->message;
    size_t size =
        call->args[1] < sizeof message->trap_text ? call->args[1] : sizeof message->trap_text;
    enum weir_status status = weir__ic0_get(call, call->args[0], message->trap_text, size);
    if (status != WEIR_OK)
        return status;
    message->trap_size = size;
    return weir__ic0_fail(call, "ic0.trap");
}

enum weir_status weir__ic0_certified_data_set(struct weir__ic0 *call)
{
    uint8_t bytes[CANISTER_CERTIFIED_BYTES_MAX];
    if (call->args[1] > sizeof bytes)
        return weir__ic0_fail(call, "certified data of %llu bytes, at most %u are allowed",
                              (unsigned long long)call->args[1], CANISTER_CERTIFIED_BYTES_MAX);
    enum weir_status status = weir__ic0_get(call, call->args[0], bytes, call->args[1]);
    if (status != WEIR_OK)
        return status;
    memcpy(call->canister->certified, bytes, call->args[1]);
    call->canister->certified_size = (uint32_t)call->args[1];
    return WEIR_OK;
}

/* Nobody signs here, so there is no certificate, as in an update. */
enum weir_status weir__ic0_data_certificate_present(struct weir__ic0 *call)
{
    call->result = 0;
    return WEIR_OK;
}

enum weir_status weir__ic0_data_certificate_size(struct weir__ic0 *call)
{
    return weir__ic0_fail(call, "there is no data certificate");
}

enum weir_status weir__ic0_data_certificate_copy(struct weir__ic0 *call)
{
    return weir__ic0_fail(call, "there is no data certificate");
}

/* --- cycles -------------------------------------------------------------------------------- */

static enum weir_status no_cycles(struct weir__ic0 *call, uint64_t address)
{
    static const uint8_t zero[16];
    return weir__ic0_put(call, address, zero, sizeof zero);
}

enum weir_status weir__ic0_canister_cycle_balance128(struct weir__ic0 *call)
{
    return no_cycles(call, call->args[0]);
}

enum weir_status weir__ic0_canister_liquid_cycle_balance128(struct weir__ic0 *call)
{
    return no_cycles(call, call->args[0]);
}

enum weir_status weir__ic0_msg_cycles_available128(struct weir__ic0 *call)
{
    return no_cycles(call, call->args[0]);
}

enum weir_status weir__ic0_msg_cycles_refunded128(struct weir__ic0 *call)
{
    return no_cycles(call, call->args[0]);
}

enum weir_status weir__ic0_msg_cycles_accept128(struct weir__ic0 *call)
{
    return no_cycles(call, call->args[2]);
}

enum weir_status weir__ic0_cycles_burn128(struct weir__ic0 *call)
{
    return no_cycles(call, call->args[2]);
}

enum weir_status weir__ic0_cost_call(struct weir__ic0 *call)
{
    return no_cycles(call, call->args[2]);
}
