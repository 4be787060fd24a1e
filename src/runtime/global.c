/* Globals: a type and a pointer to the one place where the value lives, in the vmctx of the
 * instance that defines it or, for the host's own, beside the record. */
#include <weir/extern.h>

#include "runtime/store_internal.h"
#include "wasm/module.h"

enum weir_status weir__refuse_ref(struct weir_error *error)
{
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "the function referred to belongs to another store");
}

enum weir_status weir_global_new(struct weir_store *store, enum weir_type type, bool is_mutable,
                                 union weir_value value, struct weir_global **ret_global,
                                 struct weir_error *error)
{
    if (!weir_wasm_type_is_value(type))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "0x%x is no type of a global", (unsigned)type);
    if (!weir__ref_fits(store, type, value.funcref))
        return weir__refuse_ref(error);
    struct weir__host_global *host = weir__store_alloc(store, sizeof *host, error);
    if (host == NULL)
        return weir_error_refused(error);
    host->home = value;
    host->global = (struct weir_global){
        .store = store, .type = type, .is_mutable = is_mutable, .value = &host->home};
    host->next = store->host_globals;
    store->host_globals = host;
    *ret_global = &host->global;
    return WEIR_OK;
}

enum weir_type weir_global_type(const struct weir_global *global, bool *ret_is_mutable)
{
    if (ret_is_mutable != NULL)
        *ret_is_mutable = global->is_mutable;
    return global->type;
}

union weir_value weir_global_get(const struct weir_global *global)
{
    return *global->value;
}

enum weir_status weir_global_set(struct weir_global *global, union weir_value value)
{
    if (!global->is_mutable)
        return WEIR_STATE;
    if (!weir__ref_fits(global->store, global->type, value.funcref))
        return WEIR_INVALID_ARGUMENT;
    *global->value = value;
    return WEIR_OK;
}
