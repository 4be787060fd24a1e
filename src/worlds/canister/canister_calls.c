/* Calls of the canister's own, after the message that made them was kept: delivered to itself, or
 * rejected, as nobody else lives here; then its callback runs, as a message of its own. Each of
 * these messages is kept or taken back alone, as on the Internet Computer. */
#include "worlds/canister/canister_internal.h"

#include <string.h>

static void context_drop(struct weir_canister *canister, struct weir__context *context)
{
    if (context->previous != NULL)
        context->previous->next = context->next;
    else
        canister->contexts = context->next;
    if (context->next != NULL)
        context->next->previous = context->previous;
    weir__outgoing_free(canister, context->origin);
    weir_account_free(canister->account, WEIR_KIND_HOST_BUFFER, context, sizeof *context);
}

struct weir__context *weir__context_new(struct weir_canister *canister, struct weir_error *error)
{
    struct weir__context *context =
        weir_account_alloc(canister->account, WEIR_KIND_HOST_BUFFER, sizeof *context, error);
    if (context == NULL)
        return NULL;
    context->next = canister->contexts;
    if (context->next != NULL)
        context->next->previous = context;
    canister->contexts = context;
    return context;
}

void weir__outgoing_free(struct weir_canister *canister, struct weir__outgoing *call)
{
    if (call == NULL)
        return;
    weir__buffer_free(canister, &call->payload);
    weir_account_free(canister->account, WEIR_KIND_HOST_BUFFER, call, sizeof *call);
}

static void push(struct weir_canister *canister, struct weir__outgoing *call)
{
    call->next = NULL;
    if (canister->queue_tail != NULL)
        canister->queue_tail->next = call;
    else
        canister->queue_head = call;
    canister->queue_tail = call;
    canister->queue_count++;
}

void weir__calls_enqueue(struct weir_canister *canister, struct weir__message *message)
{
    struct weir__outgoing *reversed = NULL;
    while (message->performed != NULL) {
        struct weir__outgoing *call = message->performed;
        message->performed = call->next;
        call->next = reversed;
        reversed = call;
    }
    while (reversed != NULL) {
        struct weir__outgoing *call = reversed;
        reversed = call->next;
        call->context->outstanding++;
        push(canister, call);
    }
}

static struct weir__outgoing *pop(struct weir_canister *canister)
{
    struct weir__outgoing *call = canister->queue_head;
    if (call == NULL)
        return NULL;
    canister->queue_head = call->next;
    if (canister->queue_head == NULL)
        canister->queue_tail = NULL;
    canister->queue_count--;
    call->next = NULL;
    return call;
}

static void answer(struct weir_canister *canister, struct weir__context *context,
                   enum weir_canister_reject code, struct weir__buffer *bytes,
                   struct weir_canister_response *response)
{
    context->is_answered = true;
    struct weir__outgoing *origin = context->origin;
    if (origin != NULL) { /* a call of its own: the answer is delivered in its turn */
        context->origin = NULL;
        weir__buffer_free(canister, &origin->payload);
        origin->payload = weir__buffer_take(bytes);
        origin->code = code;
        origin->has_answer = true;
        push(canister, origin);
        return;
    }
    struct weir_error error = {0};
    if (weir__response_take(canister, response, code, bytes, &error) != WEIR_OK)
        weir__response_reject(canister, response, WEIR_CANISTER_SYS_TRANSIENT, NULL, "%s",
                              error.message);
    weir_error_done(&error);
}

/* The payload becomes this text; lost where memory is refused, the code says enough then. */
static void set_payload(struct weir_canister *canister, struct weir__outgoing *call,
                        const struct weir_canister_response *made)
{
    weir__buffer_free(canister, &call->payload);
    struct weir__buffer text = {0};
    if (made->bytes != NULL &&
        weir__buffer_add(canister, &text, made->bytes, made->size, NULL) == WEIR_OK)
        call->payload = text;
    call->code = made->code;
    call->has_answer = true;
}

/* A reject text as the answer. The response is where such texts are made. */
static void answer_reject(struct weir_canister *canister, struct weir__context *context,
                          struct weir_canister_response *made,
                          struct weir_canister_response *response)
{
    context->is_answered = true;
    struct weir__outgoing *origin = context->origin;
    if (origin == NULL) {
        weir_canister_response_done(response);
        *response = *made;
        *made = (struct weir_canister_response){0};
        return;
    }
    context->origin = NULL;
    set_payload(canister, origin, made);
    push(canister, origin);
    weir_canister_response_done(made);
}

/* After a message: its answer, or that there will be none; and the end of its context. */
void weir__context_settle(struct weir_canister *canister, struct weir__context *context,
                          struct weir__message *message, struct weir_canister_response *failure,
                          struct weir_canister_response *response)
{
    if (message->has_answered && !context->is_answered)
        answer(canister, context, message->answer, &message->reply, response);
    if (!context->is_answered && context->outstanding == 0) {
        if (failure->code == WEIR_CANISTER_REPLIED)
            weir__response_reject(canister, failure, WEIR_CANISTER_ERROR, "IC0506",
                                  "Canister did not reply to the call");
        answer_reject(canister, context, failure, response);
    }
    if (context->is_answered && context->outstanding == 0)
        context_drop(canister, context);
}

/* --- delivery ------------------------------------------------------------------------------ */

/* The answer to a call of somebody who is not here. */
static void refuse(struct weir_canister *canister, struct weir__outgoing *call)
{
    char callee[WEIR_PRINCIPAL_TEXT_SIZE];
    weir_principal_write(&call->callee, callee);
    struct weir_canister_response made = {0};
    if (call->callee.size == 0)
        weir__response_reject(canister, &made, WEIR_CANISTER_DESTINATION_INVALID, "IC0301",
                              "there is no management canister here");
    else
        weir__response_reject(canister, &made, WEIR_CANISTER_DESTINATION_INVALID, "IC0301",
                              "Canister %s not found", callee);
    set_payload(canister, call, &made);
    weir_canister_response_done(&made);
}

static enum weir_status deliver_to_self(struct weir_canister *canister, struct weir__outgoing *call,
                                        struct weir_canister_response *response,
                                        struct weir_error *error)
{
    struct weir__context *context = weir__context_new(canister, error);
    if (context == NULL) {
        weir__outgoing_free(canister, call);
        return error->status;
    }
    context->caller = canister->id;
    context->origin = call;
    char method[sizeof call->method];
    memcpy(method, call->method, call->method_size);
    method[call->method_size] = 0;
    const struct weir_canister_call inner = {
        .method = method, .arg = call->payload.bytes, .arg_size = call->payload.size};
    return weir__method_run(canister, &inner, context, response, error);
}

static struct weir_table *callback_table(const struct weir_canister *canister)
{
    struct weir_instance *instance = canister->body->instance;
    struct weir_extern item;
    if (weir_instance_export(instance, "table", 5, &item) == WEIR_OK &&
        item.kind == WEIR_EXTERN_TABLE)
        return item.table;
    for (size_t i = 0; weir_instance_export_at(instance, i, &item) == WEIR_OK; i++)
        if (item.kind == WEIR_EXTERN_TABLE)
            return item.table;
    return NULL;
}

/* A function (env: I) -> () of the table; NULL: there is none. */
static struct weir_funcref *callback(const struct weir_canister *canister, uint64_t index)
{
    struct weir_table *table = callback_table(canister);
    void *ref = NULL;
    if (table == NULL || weir_table_get(table, index, &ref) != WEIR_OK || ref == NULL ||
        weir_table_type(table, NULL) != WEIR_TYPE_FUNCREF)
        return NULL;
    struct weir_func_type type;
    weir_func_type(ref, &type);
    return type.param_count == 1 && type.result_count == 0 &&
                   type.params[0] == weir_ic0_type('p', canister->body->is_64)
               ? ref
               : NULL;
}

static void reject_callback(struct weir_canister *canister, struct weir_canister_response *response)
{
    weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0502",
                          "Canister trapped: a callback that is no function of its table");
}

static union weir_value environment(const struct weir_canister *canister, uint64_t env)
{
    union weir_value value = {0};
    if (canister->body->is_64)
        value.i64 = (int64_t)env;
    else
        value.i32 = (int32_t)(uint32_t)env;
    return value;
}

static enum weir_status run_cleanup(struct weir_canister *canister, struct weir__outgoing *call,
                                    struct weir_error *error)
{
    struct weir_funcref *func = callback(canister, call->cleanup_fun);
    if (!call->has_cleanup || func == NULL)
        return WEIR_OK;
    union weir_value argument = environment(canister, call->cleanup_env);
    struct weir__message message = {.mode = IC0_CLEANUP,
                                    .method = "cleanup callback",
                                    .context = call->context,
                                    .arguments = &argument,
                                    .reject_code = call->code};
    struct weir_canister_response failure = {0};
    bool has_failed = false;
    enum weir_status status =
        weir__message_run(canister->body, &message, func, &failure, &has_failed, error);
    weir__message_done(canister, &message);
    weir_canister_response_done(&failure);
    return status;
}

static enum weir_status run_callback(struct weir_canister *canister, struct weir__outgoing *call,
                                     struct weir_canister_response *response,
                                     struct weir_error *error)
{
    bool is_reply = call->code == WEIR_CANISTER_REPLIED;
    struct weir__context *context = call->context;
    struct weir_funcref *func = callback(canister, is_reply ? call->reply_fun : call->reject_fun);
    union weir_value argument =
        environment(canister, is_reply ? call->reply_env : call->reject_env);
    struct weir__message message = {.mode = is_reply ? IC0_REPLY : IC0_REJECT,
                                    .method = is_reply ? "reply callback" : "reject callback",
                                    .context = context,
                                    .arg = call->payload.bytes,
                                    .arg_size = call->payload.size,
                                    .arguments = &argument,
                                    .reject_code = call->code};
    struct weir_canister_response failure = {0};
    bool has_failed = func == NULL;
    enum weir_status status = WEIR_OK;
    if (func != NULL)
        status = weir__message_run(canister->body, &message, func, &failure, &has_failed, error);
    else
        reject_callback(canister, &failure);
    if (status == WEIR_OK && has_failed)
        status = run_cleanup(canister, call, error);
    context->outstanding--;
    if (status == WEIR_OK)
        weir__context_settle(canister, context, &message, &failure, response);
    weir__message_done(canister, &message);
    weir_canister_response_done(&failure);
    weir__outgoing_free(canister, call);
    return status;
}

enum weir_status weir__calls_drain(struct weir_canister *canister,
                                   struct weir_canister_response *response,
                                   struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    struct weir__outgoing *call;
    while (status == WEIR_OK && (call = pop(canister)) != NULL) {
        canister->messages++;
        if (call->has_answer)
            status = run_callback(canister, call, response, error);
        else if (weir_principal_equal(&call->callee, &canister->id))
            status = deliver_to_self(canister, call, response, error);
        else {
            refuse(canister, call);
            push(canister, call);
        }
    }
    if (status != WEIR_OK)
        canister->is_broken = true; /* a context is left that nobody will answer */
    return status;
}

void weir__calls_forget(struct weir_canister *canister)
{
    struct weir__outgoing *call;
    while ((call = pop(canister)) != NULL)
        weir__outgoing_free(canister, call);
    while (canister->contexts != NULL)
        context_drop(canister, canister->contexts);
}

/* --- composite queries --------------------------------------------------------------------- */

/* The callback of a call that was refused, over what the query has done so far. */
static enum weir_status run_composite_reject(struct weir_canister *canister,
                                             struct weir__message *message,
                                             struct weir__outgoing *call,
                                             struct weir_canister_response *response,
                                             bool *ret_failed, struct weir_error *error)
{
    struct weir_funcref *func = callback(canister, call->reject_fun);
    union weir_value argument = environment(canister, call->reject_env);
    refuse(canister, call);
    *message = (struct weir__message){.mode = IC0_COMPOSITE_REJECT,
                                      .method = "composite reject callback",
                                      .context = call->context,
                                      .arg = call->payload.bytes,
                                      .arg_size = call->payload.size,
                                      .arguments = &argument,
                                      .reject_code = call->code};
    if (func != NULL)
        return weir__message_try(canister->body, message, func, response, ret_failed, error);
    *ret_failed = true;
    reject_callback(canister, response);
    return WEIR_OK;
}

/* What the last of its messages left: an answer, or a failure; then it is over. */
static enum weir_status composite_ends(struct weir_canister *canister,
                                       const struct weir__message *message, bool has_failed,
                                       struct weir_canister_response *response, bool *ret_is_over,
                                       struct weir_error *error)
{
    *ret_is_over = true;
    if (has_failed)
        return WEIR_OK;
    if (message->has_answered)
        return weir__response_take(canister, response, message->answer, &message->reply, error);
    if (canister->queue_head == NULL) {
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0506",
                              "Canister did not reply to the call");
        return WEIR_OK;
    }
    *ret_is_over = false;
    if (!weir_principal_equal(&canister->queue_head->callee, &canister->id))
        return WEIR_OK;
    weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0517",
                          "Query calls re-entering the same canister are not allowed yet.");
    *ret_is_over = true;
    return WEIR_OK;
}

enum weir_status weir__composite_run(struct weir_canister *canister,
                                     const struct weir_canister_call *call,
                                     struct weir_funcref *func, const struct weir_principal *caller,
                                     struct weir_canister_response *response,
                                     struct weir_error *error)
{
    struct weir__context *context = weir__context_new(canister, error);
    if (context == NULL)
        return weir_error_refused(error);
    context->caller = *caller;
    struct weir__message message = {.mode = IC0_COMPOSITE,
                                    .method = call->method,
                                    .context = context,
                                    .arg = call->arg,
                                    .arg_size = call->arg_size};
    bool has_failed = false;
    bool is_over = false;
    enum weir_status status =
        weir__message_try(canister->body, &message, func, response, &has_failed, error);
    while (status == WEIR_OK && !is_over) {
        weir__calls_enqueue(canister, &message);
        status = composite_ends(canister, &message, has_failed, response, &is_over, error);
        weir__message_done(canister, &message);
        if (status != WEIR_OK || is_over)
            break;
        struct weir__outgoing *next = pop(canister);
        canister->messages++;
        status = run_composite_reject(canister, &message, next, response, &has_failed, error);
        weir__outgoing_free(canister, next);
    }
    enum weir_status undone = weir__roll_back(canister, &message, error);
    weir__calls_forget(canister);
    return status != WEIR_OK ? status : undone;
}
