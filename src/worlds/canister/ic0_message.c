/* ic0: arguments, caller, replies and rejects of the message that runs, and bytes between guest and
 * host. */
#include "worlds/canister/ic0_internal.h"

#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"

enum weir_status weir__ic0_get(struct weir__ic0 *call, uint64_t address, void *to, uint64_t size)
{
    if (call->memory != NULL && weir_memory_read(call->memory, address, to, size) == WEIR_OK)
        return WEIR_OK;
    return weir__ic0_fail(call, "heap out of bounds: %llu bytes at %llu", (unsigned long long)size,
                          (unsigned long long)address);
}

enum weir_status weir__ic0_put(struct weir__ic0 *call, uint64_t address, const void *from,
                               uint64_t size)
{
    if (call->memory != NULL && weir_memory_write(call->memory, address, from, size) == WEIR_OK)
        return WEIR_OK;
    return weir__ic0_fail(call, "heap out of bounds: %llu bytes at %llu", (unsigned long long)size,
                          (unsigned long long)address);
}

enum weir_status weir__ic0_append(struct weir__ic0 *call, struct weir__buffer *buffer,
                                  uint64_t address, uint64_t size, size_t size_max)
{
    struct weir_error error = {0};
    uint64_t have = call->memory != NULL ? weir_memory_bytes(call->memory) : 0;
    if (!weir_range_fits(address, size, have))
        return weir__ic0_fail(call, "heap out of bounds: %llu bytes at %llu",
                              (unsigned long long)size, (unsigned long long)address);
    enum weir_status status = weir__buffer_reserve(call->canister, buffer, size, size_max, &error);
    if (status != WEIR_OK) {
        status = weir__ic0_fail(call, "%s", error.message);
        weir_error_done(&error);
        return status;
    }
    status = weir__ic0_get(call, address, buffer->bytes + buffer->size, size);
    if (status == WEIR_OK)
        buffer->size += size;
    return status;
}

enum weir_status weir__ic0_copy(struct weir__ic0 *call, const void *bytes, size_t bytes_size)
{
    uint64_t to = call->args[0];
    uint64_t offset = call->args[1];
    uint64_t size = call->args[2];
    if (!weir_range_fits(offset, size, bytes_size))
        return weir__ic0_fail(call, "copying %llu bytes from offset %llu of a payload of %zu",
                              (unsigned long long)size, (unsigned long long)offset, bytes_size);
    static const uint8_t nothing[1];
    const uint8_t *from = bytes_size != 0 ? bytes : nothing;
    return weir__ic0_put(call, to, from + offset, size);
}

enum weir_status weir__ic0_msg_arg_data_size(struct weir__ic0 *call)
{
    call->result = call->message->arg_size;
    return WEIR_OK;
}

enum weir_status weir__ic0_msg_arg_data_copy(struct weir__ic0 *call)
{
    return weir__ic0_copy(call, call->message->arg, call->message->arg_size);
}

enum weir_status weir__ic0_msg_caller_size(struct weir__ic0 *call)
{
    call->result = call->message->caller->size;
    return WEIR_OK;
}

enum weir_status weir__ic0_msg_caller_copy(struct weir__ic0 *call)
{
    return weir__ic0_copy(call, call->message->caller->bytes, call->message->caller->size);
}

enum weir_status weir__ic0_msg_reject_code(struct weir__ic0 *call)
{
    call->result = (uint64_t)call->message->reject_code;
    return WEIR_OK;
}

/* A reject's text stands where a reply's bytes do. */
enum weir_status weir__ic0_msg_reject_msg_size(struct weir__ic0 *call)
{
    return weir__ic0_msg_arg_data_size(call);
}

enum weir_status weir__ic0_msg_reject_msg_copy(struct weir__ic0 *call)
{
    return weir__ic0_msg_arg_data_copy(call);
}

enum weir_status weir__ic0_msg_method_name_size(struct weir__ic0 *call)
{
    call->result = strlen(call->message->method);
    return WEIR_OK;
}

enum weir_status weir__ic0_msg_method_name_copy(struct weir__ic0 *call)
{
    return weir__ic0_copy(call, call->message->method, strlen(call->message->method));
}

enum weir_status weir__ic0_accept_message(struct weir__ic0 *call)
{
    if (call->message->is_accepted)
        return weir__ic0_fail(call, "accept_message twice");
    call->message->is_accepted = true;
    return WEIR_OK;
}

/* A context is answered once, by whichever of its messages comes first. */
static bool has_answer(const struct weir__message *message)
{
    return message->has_answered || (message->context != NULL && message->context->is_answered);
}

static size_t reply_max(const struct weir__message *message)
{
    return (message->mode & IC0_NOT_REPLICATED) != 0 ? CANISTER_QUERY_REPLY_BYTES_MAX
                                                     : CANISTER_REPLY_BYTES_MAX;
}

enum weir_status weir__ic0_msg_reply_data_append(struct weir__ic0 *call)
{
    struct weir__message *message = call->message;
    if (has_answer(message))
        return weir__ic0_fail(call, "msg_reply_data_append after the call was answered");
    return weir__ic0_append(call, &message->reply, call->args[0], call->args[1],
                            reply_max(message));
}

enum weir_status weir__ic0_msg_reply(struct weir__ic0 *call)
{
    if (has_answer(call->message))
        return weir__ic0_fail(call, "msg_reply after the call was answered");
    call->message->has_answered = true;
    call->message->answer = WEIR_CANISTER_REPLIED;
    return WEIR_OK;
}

enum weir_status weir__ic0_msg_reject(struct weir__ic0 *call)
{
    struct weir__message *message = call->message;
    if (has_answer(message))
        return weir__ic0_fail(call, "msg_reject after the call was answered");
    message->reply.size = 0;
    enum weir_status status = weir__ic0_append(call, &message->reply, call->args[0], call->args[1],
                                               CANISTER_REPLY_BYTES_MAX);
    if (status != WEIR_OK)
        return status;
    if (weir_utf8_valid_prefix(message->reply.bytes, message->reply.size) != message->reply.size)
        return weir__ic0_fail(call, "msg_reject with a text that is not UTF-8");
    message->has_answered = true;
    message->answer = WEIR_CANISTER_REJECTED;
    return WEIR_OK;
}
