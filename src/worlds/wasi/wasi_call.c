/* How a guest's call reaches an operation, and how a guest that waits goes on: the linker's
 * definitions, the run of a command, and the retry of what was parked. */
#include <weir/instance.h>

#include "artifact/abi.h"
#include "base/check.h"
#include "worlds/wasi/wasi_internal.h"

#include <string.h>

typedef struct weir_wasi *find_context(struct weir_store *store);

struct function {
    const char *name;
    const char *params; /* i and I; wasi_functions.def */
    int (*operation)(struct weir__wasi_call *call);
    weir_host_func *entry;
};

static bool has_result(const struct function *function)
{
    return function->operation != weir__wasi_proc_exit;
}

/* ISO C has no conversion between a function's pointer and void *; the bits are the same here. */
static void *context_to_data(find_context *find)
{
    void *data;
    static_assert(sizeof data == sizeof find, "POSIX");
    memcpy(&data, &find, sizeof data);
    return data;
}

static struct weir_wasi *context_of(struct weir_caller *caller, void *data)
{
    find_context *find;
    struct weir_store *store = weir_caller_store(caller);
    memcpy(&find, &data, sizeof data);
    return find != NULL ? find(store) : weir_store_data(store);
}

static enum weir_status enter(struct weir_caller *caller, void *data, const union weir_value *args,
                              union weir_value *results, const struct function *function)
{
    struct weir_wasi *wasi = context_of(caller, data);
    if (wasi == NULL)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "the store has no WASI context");
    struct weir__wasi_call call = {
        .wasi = wasi, .memory = weir_caller_memory(caller), .caller = caller, .args = args};
    int answer = weir__wasi_begin(&call, function->operation, (unsigned)strlen(function->params));
    if (answer == WASI_PARK)
        return WEIR_PENDING;
    if (answer == WASI_END)
        return call.status;
    results[0].i32 = answer;
    return WEIR_OK;
}

enum function_index {
#define WASI_FUNCTION(name, parameters) FUNCTION_##name,
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION
    FUNCTION_COUNT
};
static const struct function functions[FUNCTION_COUNT];

#define WASI_FUNCTION(name, parameters)                                                            \
    static_assert(sizeof(parameters) - 1 <= WASI_ARGS_MAX, "room for the arguments");              \
    static enum weir_status enter_##name(struct weir_caller *caller, void *data,                   \
                                         const union weir_value *args, union weir_value *results)  \
    {                                                                                              \
        return enter(caller, data, args, results, &functions[FUNCTION_##name]);                    \
    }
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION

static const struct function functions[FUNCTION_COUNT] = {
#define WASI_FUNCTION(name, parameters) {#name, parameters, weir__wasi_##name, enter_##name},
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION
};

/* What snapshot 0 has of its own, by the same index; the rest is empty. */
static const struct function functions0[FUNCTION_COUNT];

#define WASI_SNAPSHOT0(name, parameters)                                                           \
    static enum weir_status enter_0_##name(struct weir_caller *caller, void *data,                 \
                                           const union weir_value *args,                           \
                                           union weir_value *results)                              \
    {                                                                                              \
        return enter(caller, data, args, results, &functions0[FUNCTION_##name]);                   \
    }
#include "worlds/wasi/wasi_snapshot0.def"
#undef WASI_SNAPSHOT0

static const struct function functions0[FUNCTION_COUNT] = {
#define WASI_SNAPSHOT0(name, parameters)                                                           \
    [FUNCTION_##name] = {#name, parameters, weir__wasi_0_##name, enter_0_##name},
#include "worlds/wasi/wasi_snapshot0.def"
#undef WASI_SNAPSHOT0
};

static enum weir_status define(struct weir_linker *linker, const char *module,
                               const struct function *function, find_context *find,
                               struct weir_error *error)
{
    static const enum weir_type result = WEIR_TYPE_I32;
    enum weir_type params[WASI_ARGS_MAX];
    size_t param_count = strlen(function->params);
    for (size_t k = 0; k < param_count; k++)
        params[k] = function->params[k] == 'i' ? WEIR_TYPE_I32 : WEIR_TYPE_I64;
    struct weir_func_type type = {.params = params,
                                  .param_count = param_count,
                                  .results = &result,
                                  .result_count = has_result(function) ? 1 : 0};
    return weir_linker_define_func(
        linker, module, function->name,
        &(struct weir_host_definition){&type, function->entry, context_to_data(find)}, error);
}

enum weir_status weir_wasi_link(struct weir_linker *linker,
                                struct weir_wasi *(*find)(struct weir_store *store),
                                struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < FUNCTION_COUNT && status == WEIR_OK; i++) {
        const struct function *function0 =
            functions0[i].name != NULL ? &functions0[i] : &functions[i];
        status = define(linker, "wasi_snapshot_preview1", &functions[i], find, error);
        if (status == WEIR_OK && i != FUNCTION_sock_accept)
            status = define(linker, "wasi_unstable", function0, find, error);
    }
    return status;
}

/* A guest's exit is the command's result, not a trap. What the callee filled is `filled`, which a
 * call that went well never touches: it is large, so nobody clears it in advance. `result` NULL:
 * the function answers nothing. */
static enum weir_status finish(enum weir_status status, struct weir_trap *filled, bool is_kept,
                               const union weir_value *result, int *ret_exit_code)
{
    if (status == WEIR_OK)
        *ret_exit_code = result != NULL ? result->i32 : 0;
    if (status != WEIR_TRAP)
        return status;
    if (filled->code == WEIR_TRAP_EXIT) {
        *ret_exit_code = filled->exit_code;
        status = WEIR_OK;
    }
    if (status == WEIR_OK || !is_kept)
        weir_trap_done(filled);
    return status;
}

enum weir_status weir_wasi_check_entry(const struct weir_func_type *type, bool may_answer)
{
    bool answers_i32 = type->result_count == 1 && type->results[0] == WEIR_TYPE_I32;
    return type->param_count == 0 && (type->result_count == 0 || (may_answer && answers_i32))
               ? WEIR_OK
               : WEIR_LINK;
}

static enum weir_status call(struct weir_wasi *wasi, struct weir_funcref *func, int *ret_exit_code,
                             struct weir_trap *trap, struct weir_error *error)
{
    struct weir_trap local;
    struct weir_trap *filled = trap != NULL ? trap : &local;
    union weir_value result = {0};
    struct weir_func_type type = {0};
    weir_func_type(func, &type);
    wasi->park.operation = NULL;
    wasi->has_result = type.result_count == 1;
    enum weir_status status = weir_func_call(wasi->store, func, NULL, &result, filled, error);
    return finish(status, filled, trap != NULL, wasi->has_result ? &result : NULL, ret_exit_code);
}

enum weir_status weir_wasi_run(struct weir_wasi *wasi, struct weir_instance *instance,
                               int *ret_exit_code, struct weir_trap *trap, struct weir_error *error)
{
    WEIR_ASSERT(wasi != NULL && instance != NULL && ret_exit_code != NULL);
    WEIR_ASSERT(weir_instance_store(instance) == wasi->store);
    struct weir_extern start;
    struct weir_func_type type = {0};
    if (weir_instance_export(instance, "_start", 6, &start) != WEIR_OK ||
        start.kind != WEIR_EXTERN_FUNC)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "the module exports no function '_start'; it is not a WASI command");
    weir_func_type(start.func, &type);
    if (weir_wasi_check_entry(&type, false) != WEIR_OK)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "'_start' takes %zu parameters and answers %zu results; a WASI "
                              "command's has neither",
                              type.param_count, type.result_count);
    return call(wasi, start.func, ret_exit_code, trap, error);
}

enum weir_status weir_wasi_call(struct weir_wasi *wasi, struct weir_instance *instance,
                                const char *name, int *ret_exit_code, struct weir_trap *trap,
                                struct weir_error *error)
{
    WEIR_ASSERT(wasi != NULL && instance != NULL && name != NULL && ret_exit_code != NULL);
    WEIR_ASSERT(weir_instance_store(instance) == wasi->store);
    struct weir_extern entry;
    struct weir_func_type type = {0};
    if (weir_instance_export(instance, name, strlen(name), &entry) != WEIR_OK ||
        entry.kind != WEIR_EXTERN_FUNC)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "the module exports no function '%.60s'", name);
    weir_func_type(entry.func, &type);
    if (weir_wasi_check_entry(&type, true) != WEIR_OK)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "'%.60s' must take no parameter and answer nothing or an i32", name);
    return call(wasi, entry.func, ret_exit_code, trap, error);
}

enum weir_status weir_wasi_resume(struct weir_wasi *wasi, int *ret_exit_code,
                                  struct weir_trap *trap, struct weir_error *error)
{
    struct weir__wasi_park *park = &wasi->park;
    union weir_value result = {0};
    if (park->operation != NULL) {
        union weir_value args[WASI_ARGS_MAX];
        memcpy(args, park->args, sizeof args);
        struct weir__wasi_call call = {.wasi = wasi, .memory = park->memory, .args = args};
        int answer = park->operation(&call);
        if (answer == WASI_PARK)
            return WEIR_PENDING;
        WEIR_ASSERT(answer >= 0); /* what ends a guest does not wait */
        park->operation = NULL;
        result.i32 = answer;
    }
    struct weir_trap local;
    struct weir_trap *filled = trap != NULL ? trap : &local;
    enum weir_status status = weir_store_resume(wasi->store, WEIR_OK, &result, filled, error);
    const union weir_value *answer = wasi->has_result ? weir_store_results(wasi->store) : NULL;
    return finish(status, filled, trap != NULL, answer, ret_exit_code);
}
