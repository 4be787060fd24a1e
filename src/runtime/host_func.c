/* Host functions that belong to a store alone: a binding and the record that references to the
 * function point at, in the store's arena. The type is held until the store is closed. */
#include <weir/extern.h>

#include "runtime/store_internal.h"
#include "wasm/module.h"

static bool are_types(const enum weir_type *types, size_t count)
{
    if (types == NULL)
        return count == 0;
    for (size_t i = 0; i < count && i < WEIR_ABI_SLOTS; i++)
        if (!weir_wasm_type_is_value(types[i]))
            return false;
    return true;
}

enum weir_status weir__host_definition_check(const struct weir_host_definition *definition,
                                             struct weir_error *error)
{
    const struct weir_func_type *type = definition->type;
    if (definition->func == NULL || type == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a host function is defined without %s",
                              type == NULL ? "a type" : "a function");
    if (!are_types(type->params, type->param_count) ||
        !are_types(type->results, type->result_count))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the type of a host function has something that is no value type");
    return WEIR_OK;
}

enum weir_status weir_func_new(struct weir_store *store,
                               const struct weir_host_definition *definition,
                               struct weir_funcref **ret_func, struct weir_error *error)
{
    const struct weir__type *type = NULL;
    enum weir_status status = weir__host_definition_check(definition, error);
    if (status == WEIR_OK)
        status = weir__type_acquire(definition->type, &type, error);
    if (status != WEIR_OK)
        return status;
    struct weir__host_func *func = weir__store_alloc(store, sizeof *func, error);
    if (func == NULL) {
        weir__type_release(type);
        return weir_error_refused(error);
    }
    func->binding = (struct weir__binding){.state = store->state,
                                           .has_floats = type->float_count != 0,
                                           .type = type,
                                           .func = definition->func,
                                           .data = definition->data,
                                           .store = store};
    func->ref = (struct weir_funcref){.code = weir__host_stub,
                                      .vmctx = (struct weir_vmctx *)(void *)&func->binding,
                                      .type_id = type->id,
                                      .func_index = UINT32_MAX,
                                      .owner = &func->binding};
    func->next = store->host_funcs;
    store->host_funcs = func;
    *ret_func = &func->ref;
    return WEIR_OK;
}

void weir__host_funcs_done(struct weir_store *store)
{
    for (struct weir__host_func *func = store->host_funcs; func != NULL; func = func->next)
        weir__type_release(func->binding.type);
    store->host_funcs = NULL;
}
