/* Functions of the guest and the host, and calling them. */
#include "capi/capi_internal.h"

size_t wasm_func_param_arity(const wasm_func_t *func)
{
    struct weir_func_type type;
    weir_func_type(func->ref.item.func, &type);
    return type.param_count;
}

size_t wasm_func_result_arity(const wasm_func_t *func)
{
    struct weir_func_type type;
    weir_func_type(func->ref.item.func, &type);
    return type.result_count;
}

wasm_functype_t *wasm_func_type(const wasm_func_t *func)
{
    struct weir_func_type type;
    weir_func_type(func->ref.item.func, &type);
    return weir__capi_functype(&type);
}

/* One call: its values as the runtime wants them, arguments first. */
struct call {
    const wasm_func_t *func;
    struct wasm_store_t *store;
    struct weir_func_type type;
    union weir_value small[WEIR_CAPI_SMALL_VALUES];
    union weir_value *values;
    size_t bytes; /* of values, when they are not small */
};

static enum weir_status begin(struct call *call, const wasm_val_vec_t *args,
                              struct weir_error *error)
{
    call->values = call->small;
    size_t arg_count = args != NULL && args->data != NULL ? args->size : 0;
    if (arg_count != call->type.param_count)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "%zu arguments are given, the function takes %zu", arg_count,
                              call->type.param_count);
    size_t count = call->type.param_count + call->type.result_count;
    if (count > WEIR_CAPI_SMALL_VALUES) {
        call->bytes = count * sizeof *call->values;
        call->values =
            weir_account_alloc(call->store->account, WEIR_KIND_HOST_BUFFER, call->bytes, error);
        if (call->values == NULL)
            return WEIR_LIMIT;
    }
    for (size_t i = 0; i < arg_count; i++) {
        struct weir_error why = {0};
        enum weir_status status = weir__capi_to_guest(call->store, call->type.params[i],
                                                      &args->data[i], &call->values[i], &why);
        if (status != WEIR_OK) {
            (void)weir_error_set(error, status, WEIR_NO_OFFSET, "argument %zu: %s", i, why.message);
            weir_error_done(&why);
            return status;
        }
    }
    return WEIR_OK;
}

static void end(struct call *call)
{
    if (call->values != call->small)
        weir_account_free(call->store->account, WEIR_KIND_HOST_BUFFER, call->values, call->bytes);
}

/* All of them or none. What finds no place in `results` was never made. */
static enum weir_status get_results(struct call *call, wasm_val_vec_t *results,
                                    struct weir_error *error)
{
    size_t count = results != NULL && results->data != NULL ? results->size : 0;
    if (count > call->type.result_count)
        count = call->type.result_count;
    const union weir_value *values = call->values + call->type.param_count;
    for (size_t i = 0; i < count; i++) {
        enum weir_status status = weir__capi_from_guest(call->store, call->type.results[i],
                                                        &values[i], &results->data[i], error);
        if (status == WEIR_OK)
            continue;
        for (size_t j = 0; j < i; j++)
            wasm_val_delete(&results->data[j]);
        return status;
    }
    return WEIR_OK;
}

/* A guest that waits cannot be waited for here: the API has no way to go on with it. */
static enum weir_status give_up(struct call *call, struct weir_error *error)
{
    weir_store_unpark(call->store->store);
    return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                          "the guest was parked, and the standard C API cannot resume it");
}

static enum weir_status run(struct call *call, const wasm_val_vec_t *args, wasm_val_vec_t *results,
                            struct weir_trap *trap, struct weir_error *error)
{
    enum weir_status status = begin(call, args, error);
    if (status == WEIR_OK)
        status = weir_func_call(call->store->store, call->func->ref.item.func, call->values,
                                call->values + call->type.param_count, trap, error);
    if (status == WEIR_PENDING)
        status = give_up(call, error);
    if (status == WEIR_OK)
        status = get_results(call, results, error);
    end(call);
    return status;
}

wasm_trap_t *wasm_func_call(const wasm_func_t *func, const wasm_val_vec_t *args,
                            wasm_val_vec_t *results)
{
    struct wasm_store_t *store = func->ref.store;
    weir__capi_collect(store);
    struct call call; /* room for values is not cleared */
    call.func = func;
    call.store = store;
    call.values = call.small;
    weir_func_type(func->ref.item.func, &call.type);
    struct weir_trap trap; /* 12 KiB, written only by a guest that traps */
    trap.cause = (struct weir_error){0};
    struct weir_error error = {0};
    weir__capi_store_ref(store); /* a callback may delete all handles */
    enum weir_status status = run(&call, args, results, &trap, &error);
    wasm_trap_t *result =
        status != WEIR_OK ? weir__capi_trap_of(store, status, &trap, &error) : NULL;
    weir__capi_store_unref(store);
    return result;
}
