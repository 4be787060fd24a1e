/* Calls for those who learn a function's type while they run: values that say what they are, each
 * of them checked before the guest is entered. */
#include <weir/extern.h>

#include "runtime/store_internal.h"
#include "wasm/types_text.h"

/* Calls of up to this many values need no large buffer. */
#define SMALL_VALUES 16

bool weir_func_has_type(const struct weir_funcref *func, const struct weir_func_type *type)
{
    const struct weir__type *own = weir__type_at(func->type_id);
    if (own->param_count != type->param_count || own->result_count != type->result_count)
        return false;
    for (uint32_t i = 0; i < own->param_count; i++)
        if (own->params[i] != type->params[i])
            return false;
    for (uint32_t i = 0; i < own->result_count; i++)
        if (own->results[i] != type->results[i])
            return false;
    return true;
}

static enum weir_status check(const struct weir_store *store, const struct weir__type *type,
                              const struct weir_untyped_call *call, struct weir_error *error)
{
    if (call->arg_count != type->param_count || call->result_count != type->result_count)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the function takes %u arguments and gives %u results; %zu and %zu "
                              "are there",
                              type->param_count, type->result_count, call->arg_count,
                              call->result_count);
    if ((call->args == NULL && call->arg_count != 0) ||
        (call->results == NULL && call->result_count != 0))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "arguments or results are at NULL");
    for (uint32_t i = 0; i < type->param_count; i++) {
        const struct weir_typed_value *arg = &call->args[i];
        if (arg->type != type->params[i])
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "argument %u is of type %s, the function takes %s", i,
                                  weir_wasm_type_name(arg->type),
                                  weir_wasm_type_name(type->params[i]));
        if (!weir__ref_fits(store, arg->type, arg->value.funcref))
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                                  "argument %u is a function of another store", i);
    }
    return WEIR_OK;
}

/* `values` has room for the arguments, and for the results, which take their place. */
static enum weir_status call_with(struct weir_store *store, struct weir_funcref *func,
                                  const struct weir_untyped_call *call, union weir_value *values,
                                  struct weir_trap *trap, struct weir_error *error)
{
    for (size_t i = 0; i < call->arg_count; i++)
        values[i] = call->args[i].value;
    enum weir_status status = weir_func_call(store, func, values, values, trap, error);
    if (status != WEIR_OK)
        return status;
    const struct weir__type *type = weir__type_at(func->type_id);
    for (size_t i = 0; i < call->result_count; i++)
        call->results[i] = (struct weir_typed_value){type->results[i], values[i]};
    return WEIR_OK;
}

static __attribute__((noinline)) enum weir_status
call_large(struct weir_store *store, struct weir_funcref *func,
           const struct weir_untyped_call *call, struct weir_trap *trap, struct weir_error *error)
{
    union weir_value values[WEIR_ABI_SLOTS];
    return call_with(store, func, call, values, trap, error);
}

enum weir_status weir_func_call_untyped(struct weir_store *store, struct weir_funcref *func,
                                        const struct weir_untyped_call *call,
                                        struct weir_trap *trap, struct weir_error *error)
{
    if (func == NULL || func->vmctx->state != store->state)
        return weir_func_call(store, func, NULL, NULL, trap, error); /* which says why not */
    const struct weir__type *type = weir__type_at(func->type_id);
    enum weir_status status = check(store, type, call, error);
    if (status != WEIR_OK)
        return status;
    if (call->arg_count > SMALL_VALUES || call->result_count > SMALL_VALUES)
        return call_large(store, func, call, trap, error);
    union weir_value values[SMALL_VALUES];
    return call_with(store, func, call, values, trap, error);
}
