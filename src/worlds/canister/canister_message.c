/* One message: run, then kept or taken back. */
#include "worlds/canister/canister_internal.h"

#include <string.h>

/* --- buffers ------------------------------------------------------------------------------- */

enum weir_status weir__buffer_reserve(struct weir_canister *canister, struct weir__buffer *buffer,
                                      size_t more, size_t size_max, struct weir_error *error)
{
    if (buffer->size > size_max || more > size_max - buffer->size)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "application payload size (%zu and more) cannot be larger than %zu",
                              more, size_max);
    size_t wanted = buffer->size + more;
    if (wanted <= buffer->capacity && buffer->bytes != NULL)
        return WEIR_OK;
    size_t capacity = buffer->capacity * 2 > wanted ? buffer->capacity * 2 : wanted + 64;
    uint8_t *bytes = weir_account_alloc(canister->account, WEIR_KIND_HOST_BUFFER, capacity, error);
    if (bytes == NULL)
        return weir_error_refused(error);
    if (buffer->size != 0)
        memcpy(bytes, buffer->bytes, buffer->size);
    size_t size = buffer->size;
    weir__buffer_free(canister, buffer);
    *buffer = (struct weir__buffer){bytes, size, capacity};
    return WEIR_OK;
}

enum weir_status weir__buffer_add(struct weir_canister *canister, struct weir__buffer *buffer,
                                  const void *bytes, size_t size, struct weir_error *error)
{
    enum weir_status status = weir__buffer_reserve(canister, buffer, size, SIZE_MAX / 4, error);
    if (status == WEIR_OK && size != 0) {
        memcpy(buffer->bytes + buffer->size, bytes, size);
        buffer->size += size;
    }
    return status;
}

void weir__buffer_free(struct weir_canister *canister, struct weir__buffer *buffer)
{
    if (buffer->bytes != NULL)
        weir_account_free(canister->account, WEIR_KIND_HOST_BUFFER, buffer->bytes,
                          buffer->capacity);
    *buffer = (struct weir__buffer){0};
}

/* --- begin and end ------------------------------------------------------------------------- */

static uint64_t fuel_of(unsigned mode)
{
    switch (mode) {
    case IC0_START:
    case IC0_INIT:
    case IC0_PRE_UPGRADE:
        return CANISTER_INSTALL_INSTRUCTIONS;
    case IC0_INSPECT:
        return CANISTER_INSPECT_INSTRUCTIONS;
    case IC0_QUERY:
    case IC0_REPLICATED_QUERY:
    case IC0_COMPOSITE:
    case IC0_COMPOSITE_REPLY:
    case IC0_COMPOSITE_REJECT:
        return CANISTER_QUERY_INSTRUCTIONS;
    default:
        return CANISTER_UPDATE_INSTRUCTIONS;
    }
}

void weir__message_begin(struct weir__body *body, struct weir__message *message)
{
    static const struct weir_principal nobody = {0};
    struct weir_canister *canister = body->canister;
    message->time_ns = weir__now(canister);
    message->fuel = fuel_of(message->mode);
    if (canister->instructions_max != 0 && canister->instructions_max < message->fuel)
        message->fuel = canister->instructions_max;
    if ((message->mode & (IC0_COMPOSITE_REPLY | IC0_COMPOSITE_REJECT)) != 0) /* one limit for all */
        message->fuel -= message->context->instructions < message->fuel
                             ? message->context->instructions
                             : message->fuel;
    message->heap_before = weir__body_heap_bytes(body);
    if (message->caller == NULL)
        message->caller = message->context != NULL ? &message->context->caller : &nobody;
    enum weir_status status = weir_store_set_fuel(body->store, message->fuel, NULL);
    WEIR_ASSERT(status == WEIR_OK); /* the engine has fuel: weir_canister_new() asked */
    canister->message = message;
}

static void end(struct weir__body *body, struct weir__message *message)
{
    uint64_t used = message->fuel - weir_store_fuel(body->store);
    body->canister->instructions += used;
    if (message->context != NULL)
        message->context->instructions += used;
    body->canister->message = NULL;
}

void weir__message_done(struct weir_canister *canister, struct weir__message *message)
{
    weir__buffer_free(canister, &message->reply);
    weir__outgoing_free(canister, message->forming);
    message->forming = NULL;
    while (message->performed != NULL) {
        struct weir__outgoing *call = message->performed;
        message->performed = call->next;
        weir__outgoing_free(canister, call);
    }
}

void weir__message_trapped(struct weir__body *body, struct weir__message *message,
                           const struct weir_trap *trap, struct weir_canister_response *response)
{
    end(body, message);
    weir__response_trap(body->canister, message, trap, response);
}

/* --- keeping ------------------------------------------------------------------------------- */

static enum weir_status broken(struct weir_canister *canister, enum weir_status status)
{
    /* What was refused before anything was changed can be rolled back; the rest cannot. */
    if (status != WEIR_LIMIT && status != WEIR_NO_MEMORY)
        canister->is_broken = true;
    return status;
}

static enum weir_status commit_memories(struct weir_canister *canister,
                                        struct weir__message *message, struct weir_error *error)
{
    struct weir_commit commit = {0};
    enum weir_status status = weir_instance_commit(canister->body->instance, &commit, error);
    if (status != WEIR_OK)
        return broken(canister, status);
    canister->pages_written += commit.pages_copied + weir_stable_commit(canister->stable);
    canister->version++;
    canister->is_changed = true;
    canister->committed_timer_ns = canister->timer_ns;
    memcpy(canister->committed_certified, canister->certified, sizeof canister->certified);
    canister->committed_certified_size = canister->certified_size;
    if (message != NULL) {
        weir__growth_keep(canister, message);
        weir__calls_enqueue(canister, message);
    }
    return WEIR_OK;
}

enum weir_status weir__roll_back(struct weir_canister *canister, struct weir__message *message,
                                 struct weir_error *error)
{
    (void)weir_stable_rollback(canister->stable);
    canister->timer_ns = canister->committed_timer_ns;
    memcpy(canister->certified, canister->committed_certified, sizeof canister->certified);
    canister->certified_size = canister->committed_certified_size;
    if (message != NULL)
        weir__message_done(canister, message);
    if (canister->body == NULL || canister->body->instance == NULL)
        return WEIR_OK;
    enum weir_status status = weir_instance_reset(canister->body->instance, error);
    if (status != WEIR_OK)
        canister->is_broken = true;
    return status;
}

/* --- running ------------------------------------------------------------------------------- */

enum weir_status weir__message_try(struct weir__body *body, struct weir__message *message,
                                   struct weir_funcref *func,
                                   struct weir_canister_response *response, bool *ret_failed,
                                   struct weir_error *error)
{
    struct weir_trap trap = {0};
    weir__message_begin(body, message);
    enum weir_status status =
        weir_func_call(body->store, func, message->arguments, NULL, &trap, error);
    *ret_failed = status == WEIR_TRAP;
    if (status == WEIR_TRAP) {
        weir_error_done(error);
        weir__message_trapped(body, message, &trap, response);
        weir_trap_done(&trap);
        return WEIR_OK;
    }
    if (status == WEIR_PENDING) { /* no host function of this world waits, and there is no slice */
        weir_store_unpark(body->store);
        status = weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "a canister's call was parked");
    }
    end(body, message);
    return status;
}

static bool is_lasting(unsigned mode)
{
    return (mode & (IC0_NOT_REPLICATED | IC0_REPLICATED_QUERY)) == 0;
}

/* A commit that is refused is the canister's failure: it wrote more than it may hold. */
static enum weir_status keep(struct weir_canister *canister, struct weir__message *message,
                             struct weir_canister_response *response, bool *ret_failed,
                             struct weir_error *error)
{
    struct weir_error refusal = {0};
    enum weir_status status = commit_memories(canister, message, &refusal);
    if (status == WEIR_OK)
        return WEIR_OK;
    if (canister->is_broken) {
        weir_error_move(error, &refusal);
        return status;
    }
    *ret_failed = true;
    message->has_answered = false;
    weir__response_reject(canister, response, WEIR_CANISTER_ERROR, NULL,
                          "what the message wrote cannot be kept: %s", refusal.message);
    weir_error_done(&refusal);
    return weir__roll_back(canister, message, error);
}

enum weir_status weir__message_run(struct weir__body *body, struct weir__message *message,
                                   struct weir_funcref *func,
                                   struct weir_canister_response *response, bool *ret_failed,
                                   struct weir_error *error)
{
    struct weir_canister *canister = body->canister;
    struct weir_error host = {0};
    enum weir_status status = weir__message_try(body, message, func, response, ret_failed, &host);
    if (status == WEIR_OK && !*ret_failed && is_lasting(message->mode))
        return keep(canister, message, response, ret_failed, error);
    if (status == WEIR_OK && !*ret_failed) {
        /* The answer is all that a query leaves. */
        struct weir__buffer reply = weir__buffer_take(&message->reply);
        status = weir__roll_back(canister, message, error);
        message->reply = reply;
        return status;
    }
    message->has_answered = false;
    weir_error_move(error, &host);
    enum weir_status undone = weir__roll_back(canister, message, error);
    return status != WEIR_OK ? status : undone;
}
