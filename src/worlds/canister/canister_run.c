/* Messages from outside, and methods by name. */
#include "worlds/canister/canister_internal.h"

#include <string.h>

#include "base/sizes.h"

enum weir_status weir__ready(const struct weir_canister *canister, struct weir_error *error)
{
    if (canister->is_broken)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "canister %s was left between two states by an earlier failure; load "
                              "it again",
                              canister->name);
    if (canister->body == NULL)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "canister %s has no code; install some", canister->name);
    return WEIR_OK;
}

/* An update, or a query that runs as one. */
static struct weir_funcref *find_method(const struct weir_canister *canister, const char *method,
                                        bool *ret_is_update)
{
    struct weir_funcref *func = weir__body_func(canister->body, "canister_update ", method);
    *ret_is_update = func != NULL;
    return func != NULL ? func : weir__body_func(canister->body, "canister_query ", method);
}

/* A composite query runs for those who ask for a query; an update has no such thing. */
static void no_method(struct weir_canister *canister, const char *method, bool is_update,
                      struct weir_canister_response *response)
{
    if (is_update && weir__body_func(canister->body, "canister_composite_query ", method) != NULL) {
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0527",
                              "Composite query cannot be called in replicated mode");
        return;
    }
    weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0536",
                          "Canister has no %s method '%.200s'.", is_update ? "update" : "query",
                          method);
}

/* Above its limit a canister may answer queries, but not run updates. */
static bool is_over_limit(const struct weir_canister *canister)
{
    return canister->heap_limit != 0 &&
           weir__body_heap_bytes(canister->body) > canister->heap_limit;
}

enum weir_status weir__method_run(struct weir_canister *canister,
                                  const struct weir_canister_call *call,
                                  struct weir__context *context,
                                  struct weir_canister_response *response, struct weir_error *error)
{
    bool is_update = false;
    struct weir_funcref *func = find_method(canister, call->method, &is_update);
    struct weir__message message = {.mode = is_update ? IC0_UPDATE : IC0_REPLICATED_QUERY,
                                    .method = call->method,
                                    .context = context,
                                    .arg = call->arg,
                                    .arg_size = call->arg_size,
                                    .is_heap_limited = is_update};
    struct weir_canister_response failure = {0};
    bool has_failed = false;
    enum weir_status status = WEIR_OK;
    if (func == NULL)
        no_method(canister, call->method, true, &failure);
    else if (is_update && is_over_limit(canister))
        weir__response_heap_limit(canister, call->method, weir__body_heap_bytes(canister->body),
                                  NULL, &failure);
    else
        status = weir__message_run(canister->body, &message, func, &failure, &has_failed, error);
    if (status == WEIR_OK)
        weir__context_settle(canister, context, &message, &failure, response);
    weir__message_done(canister, &message);
    weir_canister_response_done(&failure);
    return status;
}

static enum weir_status check_call(const struct weir_canister *canister,
                                   const struct weir_canister_call *call, struct weir_error *error)
{
    if (call->arg_size > CANISTER_ARGUMENT_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the argument has %zu bytes, at most %llu are taken", call->arg_size,
                              (unsigned long long)CANISTER_ARGUMENT_BYTES_MAX);
    return weir__ready(canister, error);
}

/* Asks the module whether it takes a message from outside; the response says if not. Its query
 * costs nobody anything, and what it did is taken back. */
static enum weir_status inspect(struct weir_canister *canister,
                                const struct weir_canister_call *call,
                                const struct weir_principal *caller,
                                struct weir_canister_response *response, bool *ret_is_accepted,
                                struct weir_error *error)
{
    struct weir_funcref *func = weir__body_func(canister->body, "", "canister_inspect_message");
    *ret_is_accepted = true;
    if (func == NULL)
        return WEIR_OK;
    struct weir__message message = {.mode = IC0_INSPECT,
                                    .method = call->method,
                                    .caller = caller,
                                    .arg = call->arg,
                                    .arg_size = call->arg_size};
    bool has_failed = false;
    enum weir_status status =
        weir__message_run(canister->body, &message, func, response, &has_failed, error);
    weir__message_done(canister, &message);
    *ret_is_accepted = !has_failed && message.is_accepted;
    if (status == WEIR_OK && !has_failed && !message.is_accepted) {
        weir__response_reject(canister, response, WEIR_CANISTER_REJECTED, "IC0406",
                              "Canister rejected the message");
        weir__response_note(response, "canister_inspect_message did not accept a call of %s",
                            call->method);
    }
    return status;
}

static void begin_outside(struct weir_canister *canister)
{
    canister->messages = 0;
    canister->instructions = 0;
    canister->pages_written = 0;
}

static void end_outside(const struct weir_canister *canister,
                        struct weir_canister_response *response)
{
    response->instructions = canister->instructions;
    response->pages_written = canister->pages_written;
}

/* The end of what may have changed the canister: the response goes to *ret, or nowhere. */
static enum weir_status finish(struct weir_canister *canister, enum weir_status status,
                               struct weir_canister_response *response,
                               struct weir_canister_response *ret, struct weir_error *error)
{
    if (status == WEIR_OK)
        status = weir__low_memory_check(canister, response, error);
    if (status != WEIR_OK) {
        weir_canister_response_done(response);
        weir__calls_forget(canister);
        return status;
    }
    end_outside(canister, response);
    *ret = *response;
    return WEIR_OK;
}

/* The method and everything it sets off. */
static enum weir_status run_update(struct weir_canister *canister,
                                   const struct weir_canister_call *call,
                                   const struct weir_principal *caller,
                                   struct weir_canister_response *response,
                                   struct weir_error *error)
{
    struct weir__context *context = weir__context_new(canister, error);
    if (context == NULL)
        return weir_error_refused(error);
    context->caller = *caller;
    enum weir_status status = weir__method_run(canister, call, context, response, error);
    return status == WEIR_OK ? weir__calls_drain(canister, response, error) : status;
}

enum weir_status weir_canister_update(struct weir_canister *canister,
                                      const struct weir_canister_call *call,
                                      struct weir_canister_response *ret, struct weir_error *error)
{
    enum weir_status status = check_call(canister, call, error);
    if (status != WEIR_OK)
        return status;
    struct weir_principal caller =
        call->caller != NULL ? *call->caller : weir_principal_anonymous();
    struct weir_canister_response response = {0};
    bool is_accepted = false;
    begin_outside(canister);
    status = inspect(canister, call, &caller, &response, &is_accepted, error);
    if (status == WEIR_OK && is_accepted)
        status = run_update(canister, call, &caller, &response, error);
    return finish(canister, status, &response, ret, error);
}

static enum weir_status run_query(struct weir_canister *canister,
                                  const struct weir_canister_call *call, struct weir_funcref *func,
                                  const struct weir_principal *caller,
                                  struct weir_canister_response *response, struct weir_error *error)
{
    struct weir__message message = {.mode = IC0_QUERY,
                                    .method = call->method,
                                    .caller = caller,
                                    .arg = call->arg,
                                    .arg_size = call->arg_size};
    bool has_failed = false;
    enum weir_status status =
        weir__message_run(canister->body, &message, func, response, &has_failed, error);
    if (status == WEIR_OK && !has_failed && message.has_answered)
        status = weir__response_take(canister, response, message.answer, &message.reply, error);
    else if (status == WEIR_OK && !has_failed)
        weir__response_reject(canister, response, WEIR_CANISTER_ERROR, "IC0506",
                              "Canister did not reply to the call");
    weir__message_done(canister, &message);
    return status;
}

enum weir_status weir_canister_query(struct weir_canister *canister,
                                     const struct weir_canister_call *call,
                                     struct weir_canister_response *ret, struct weir_error *error)
{
    enum weir_status status = check_call(canister, call, error);
    if (status != WEIR_OK)
        return status;
    struct weir_principal caller =
        call->caller != NULL ? *call->caller : weir_principal_anonymous();
    struct weir_canister_response response = {.canister = canister};
    struct weir_funcref *query = weir__body_func(canister->body, "canister_query ", call->method);
    struct weir_funcref *composite =
        query == NULL ? weir__body_func(canister->body, "canister_composite_query ", call->method)
                      : NULL;
    begin_outside(canister);
    if (query != NULL)
        status = run_query(canister, call, query, &caller, &response, error);
    else if (composite != NULL)
        status = weir__composite_run(canister, call, composite, &caller, &response, error);
    else
        no_method(canister, call->method, false, &response);
    if (status != WEIR_OK) {
        weir_canister_response_done(&response);
        return status;
    }
    end_outside(canister, &response);
    *ret = response;
    return WEIR_OK;
}

/* --- tasks --------------------------------------------------------------------------------- */

static enum weir_status run_task(struct weir_canister *canister, const char *name,
                                 struct weir_canister_response *response, struct weir_error *error)
{
    struct weir_funcref *func = weir__body_func(canister->body, "", name);
    struct weir__context *context = weir__context_new(canister, error);
    if (context == NULL)
        return weir_error_refused(error);
    context->is_answered = true; /* nobody waits */
    struct weir__message message = {.mode = IC0_TASK, .method = name, .context = context};
    struct weir_canister_response failure = {0};
    bool has_failed = false;
    enum weir_status status =
        weir__message_run(canister->body, &message, func, &failure, &has_failed, error);
    if (status == WEIR_OK && has_failed && response->bytes == NULL) {
        *response = failure;
        failure = (struct weir_canister_response){0};
    }
    weir_canister_response_done(&failure);
    if (status == WEIR_OK) {
        struct weir_canister_response nobody = {0};
        weir__context_settle(canister, context, &message, &failure, &nobody);
        weir_canister_response_done(&nobody);
        status = weir__calls_drain(canister, &nobody, error);
        weir_canister_response_done(&nobody);
    }
    weir__message_done(canister, &message);
    return status;
}

static uint64_t heap_left(const struct weir_canister *canister)
{
    uint64_t heap = weir__body_heap_bytes(canister->body);
    uint64_t limit = canister->heap_limit != 0 ? canister->heap_limit
                     : canister->body->is_64   ? CANISTER_HEAP64_BYTES_MAX
                                               : CANISTER_HEAP32_BYTES_MAX;
    return heap < limit ? limit - heap : 0;
}

enum weir_status weir__low_memory_check(struct weir_canister *canister,
                                        struct weir_canister_response *response,
                                        struct weir_error *error)
{
    static const char name[] = "canister_on_low_wasm_memory";
    uint64_t left = heap_left(canister);
    bool is_low = left < canister->low_memory_bytes;
    bool is_due = is_low && !canister->low_memory_ran;
    canister->is_changed = canister->is_changed || is_low != canister->low_memory_ran;
    canister->low_memory_ran = is_low;
    if (!is_due || weir__body_func(canister->body, "", name) == NULL)
        return WEIR_OK;
    struct weir_canister_response failure = {0};
    enum weir_status status = run_task(canister, name, &failure, error);
    if (status == WEIR_OK)
        weir__response_note(response, "%s ran, %s of heap were left%s%s", name,
                            weir_size_format(left).text,
                            failure.bytes != NULL ? "; it failed: " : "",
                            failure.bytes != NULL ? (const char *)failure.bytes : "");
    weir_canister_response_done(&failure);
    return status;
}

enum weir_status weir_canister_tick(struct weir_canister *canister, unsigned *ret_count,
                                    struct weir_canister_response *ret, struct weir_error *error)
{
    enum weir_status status = weir__ready(canister, error);
    if (status != WEIR_OK)
        return status;
    begin_outside(canister);
    unsigned count = 0;
    struct weir_canister_response response = {.canister = canister};
    if (weir__body_func(canister->body, "", "canister_heartbeat") != NULL) {
        status = run_task(canister, "canister_heartbeat", &response, error);
        count++;
    }
    if (status == WEIR_OK && canister->timer_ns != 0 && canister->timer_ns <= weir__now(canister) &&
        weir__body_func(canister->body, "", "canister_global_timer") != NULL) {
        /* It is off before it runs, and stays off when it traps. */
        canister->timer_ns = 0;
        canister->committed_timer_ns = 0;
        canister->is_changed = true;
        status = run_task(canister, "canister_global_timer", &response, error);
        count++;
    }
    *ret_count = count;
    return finish(canister, status, &response, ret, error);
}
