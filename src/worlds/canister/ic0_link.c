/* How a guest's call reaches a function of ic0: the linker's definitions for a pointer width, and
 * what all of them check first: that this kind of message may call it. */
#include "worlds/canister/ic0_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *mode_name(unsigned mode)
{
    static const struct {
        unsigned mode;
        const char *name;
    } names[] = {
        {IC0_START, "start"},
        {IC0_INIT, "init"},
        {IC0_PRE_UPGRADE, "pre_upgrade"},
        {IC0_UPDATE, "update"},
        {IC0_QUERY, "query"},
        {IC0_REPLY, "reply callback"},
        {IC0_REJECT, "reject callback"},
        {IC0_CLEANUP, "cleanup callback"},
        {IC0_TASK, "system task"},
        {IC0_INSPECT, "inspect_message"},
        {IC0_REPLICATED_QUERY, "replicated query"},
        {IC0_COMPOSITE, "composite query"},
        {IC0_COMPOSITE_REPLY, "composite reply callback"},
        {IC0_COMPOSITE_REJECT, "composite reject callback"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].mode == mode)
            return names[i].name;
    return "unknown";
}

enum weir_status weir__ic0_fail(struct weir__ic0 *call, const char *format, ...)
{
    char text[WEIR_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return weir_caller_trap(call->caller, WEIR_TRAP_HOST, "%s", text);
}

static enum weir_status enter(struct weir_caller *caller, const union weir_value *args,
                              union weir_value *results, enum weir_ic0_index index,
                              enum weir_status (*operation)(struct weir__ic0 *call))
{
    const struct weir_ic0_function *function = &weir_ic0_functions[index];
    struct weir__body *body = weir_store_data(weir_caller_store(caller));
    struct weir__ic0 call = {.body = body,
                             .canister = body->canister,
                             .message = body->canister->message,
                             .caller = caller,
                             .memory = weir_caller_memory(caller)};
    WEIR_ASSERT(call.message != NULL);
    if ((function->modes & call.message->mode) == 0)
        return weir__ic0_fail(&call, "ic0.%s cannot be executed in %s mode", function->name,
                              mode_name(call.message->mode));
    for (size_t i = 0; function->params[i] != 0; i++)
        call.args[i] = weir_ic0_type(function->params[i], body->is_64) == WEIR_TYPE_I64
                           ? (uint64_t)args[i].i64
                           : (uint32_t)args[i].i32;
    enum weir_status status = operation(&call);
    if (status != WEIR_OK || function->result == '-')
        return status;
    if (weir_ic0_type(function->result, body->is_64) == WEIR_TYPE_I64)
        results[0].i64 = (int64_t)call.result;
    else
        results[0].i32 = (int32_t)(uint32_t)call.result;
    return WEIR_OK;
}

#define IC0(name, params, result, modes)                                                           \
    static_assert(sizeof(params) - 1 <= IC0_PARAMS_MAX, "room for the arguments");                 \
    static enum weir_status enter_##name(struct weir_caller *caller, void *data,                   \
                                         const union weir_value *args, union weir_value *results)  \
    {                                                                                              \
        (void)data;                                                                                \
        return enter(caller, args, results, WEIR_IC0_##name, weir__ic0_##name);                    \
    }
#include "worlds/canister/ic0.def"
#undef IC0

static weir_host_func *const entries[WEIR_IC0_COUNT] = {
#define IC0(name, params, result, modes) enter_##name,
#include "worlds/canister/ic0.def"
#undef IC0
};

static enum weir_status define(struct weir_linker *linker, size_t index, bool is_64,
                               struct weir_error *error)
{
    const struct weir_ic0_function *function = &weir_ic0_functions[index];
    enum weir_type params[IC0_PARAMS_MAX];
    size_t count = strlen(function->params);
    for (size_t i = 0; i < count; i++)
        params[i] = weir_ic0_type(function->params[i], is_64);
    enum weir_type result = weir_ic0_type(function->result, is_64);
    struct weir_func_type type = {.params = params,
                                  .param_count = count,
                                  .results = &result,
                                  .result_count = function->result == '-' ? 0 : 1};
    return weir_linker_define_func(linker, "ic0", function->name,
                                   &(struct weir_host_definition){&type, entries[index], NULL},
                                   error);
}

enum weir_status weir__ic0_linker(struct weir_canister *canister, bool is_64,
                                  struct weir_linker **ret_linker, struct weir_error *error)
{
    struct weir_linker **at = &canister->linkers[is_64];
    enum weir_status status = WEIR_OK;
    if (*at == NULL) {
        struct weir_linker *linker = NULL;
        status = weir_linker_new(canister->engine, &linker, error);
        for (size_t i = 0; status == WEIR_OK && i < WEIR_IC0_COUNT; i++)
            status = define(linker, i, is_64, error);
        if (status != WEIR_OK) {
            weir_linker_free(linker);
            return status;
        }
        *at = linker;
    }
    *ret_linker = *at;
    return WEIR_OK;
}
