/* Globals, tables, memories, and what externals have in common. */
#include "capi/capi_internal.h"

static struct wasm_ref_t *finish(struct wasm_store_t *store, enum weir_status status,
                                 const struct weir_extern *item, struct weir_error *error)
{
    struct wasm_ref_t *ref = status == WEIR_OK ? weir__capi_extern(store, item, error) : NULL;
    if (ref == NULL)
        weir__capi_failed(error);
    return ref;
}

static void *refuse_untyped(const char *what)
{
    (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "a %s without a type", what);
    return NULL;
}

/* --- globals ------------------------------------------------------------------------------- */

wasm_global_t *wasm_global_new(wasm_store_t *store, const wasm_globaltype_t *type,
                               const wasm_val_t *value)
{
    if (type == NULL)
        return refuse_untyped("global");
    weir__capi_collect(store);
    struct weir_error error = {0};
    struct weir_extern item = {.kind = WEIR_EXTERN_GLOBAL};
    enum weir_type content = weir__capi_type_of(wasm_valtype_kind(wasm_globaltype_content(type)));
    union weir_value first;
    enum weir_status status = weir__capi_to_guest(store, content, value, &first, &error);
    if (status == WEIR_OK)
        status =
            weir_global_new(store->store, content, wasm_globaltype_mutability(type) == WASM_VAR,
                            first, &item.global, &error);
    return (wasm_global_t *)(void *)finish(store, status, &item, &error);
}

wasm_globaltype_t *wasm_global_type(const wasm_global_t *global)
{
    return wasm_externtype_as_globaltype(wasm_extern_type(wasm_global_as_extern_const(global)));
}

void wasm_global_get(const wasm_global_t *global, wasm_val_t *out)
{
    struct weir_error error = {0};
    union weir_value value = weir_global_get(global->ref.item.global);
    if (weir__capi_from_guest(global->ref.store, weir_global_type(global->ref.item.global, NULL),
                              &value, out, &error) != WEIR_OK)
        weir__capi_failed(&error);
}

void wasm_global_set(wasm_global_t *handle, const wasm_val_t *value)
{
    struct weir_global *global = handle->ref.item.global;
    bool is_mutable = false;
    enum weir_type type = weir_global_type(global, &is_mutable);
    if (!is_mutable) {
        (void)weir__capi_refuse(WEIR_STATE, "the global is constant");
        return;
    }
    weir__capi_collect(handle->ref.store);
    struct weir_error error = {0};
    union weir_value bits;
    enum weir_status status = weir__capi_to_guest(handle->ref.store, type, value, &bits, &error);
    if (status == WEIR_OK)
        status = weir_global_set(global, bits);
    if (status != WEIR_OK)
        weir__capi_failed(&error);
}

/* --- tables -------------------------------------------------------------------------------- */

static enum weir_status fill(struct weir_table *table, void *ref)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; status == WEIR_OK && i < weir_table_size(table); i++)
        status = weir_table_set(table, i, ref);
    return status;
}

wasm_table_t *wasm_table_new(wasm_store_t *store, const wasm_tabletype_t *type, wasm_ref_t *init)
{
    if (type == NULL)
        return refuse_untyped("table");
    weir__capi_collect(store);
    struct weir_error error = {0};
    struct weir_extern item = {.kind = WEIR_EXTERN_TABLE};
    enum weir_type element = weir__capi_type_of(wasm_valtype_kind(wasm_tabletype_element(type)));
    struct weir_limits limits = weir__capi_limits(wasm_tabletype_limits(type));
    void *ref = NULL;
    enum weir_status status = weir__capi_ref_to_guest(store, element, init, &ref, &error);
    if (status == WEIR_OK)
        status = weir_table_new(store->store, element, &limits, &item.table, &error);
    if (status == WEIR_OK && ref != NULL)
        status = fill(item.table, ref);
    return (wasm_table_t *)(void *)finish(store, status, &item, &error);
}

wasm_tabletype_t *wasm_table_type(const wasm_table_t *table)
{
    return wasm_externtype_as_tabletype(wasm_extern_type(wasm_table_as_extern_const(table)));
}

wasm_ref_t *wasm_table_get(const wasm_table_t *handle, wasm_table_size_t index)
{
    const struct weir_table *table = handle->ref.item.table;
    union weir_value value = {0};
    if (weir_table_get(table, index, &value.externref) != WEIR_OK) {
        (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "element %u of a table of %llu", index,
                                (unsigned long long)weir_table_size(table));
        return NULL;
    }
    struct weir_error error = {0};
    wasm_val_t val;
    if (weir__capi_from_guest(handle->ref.store, weir_table_type(table, NULL), &value, &val,
                              &error) != WEIR_OK)
        weir__capi_failed(&error);
    return val.of.ref;
}

/* The reference as the table wants it. */
static bool take_ref(wasm_table_t *handle, wasm_ref_t *ref, void **ret_ref)
{
    weir__capi_collect(handle->ref.store);
    struct weir_error error = {0};
    enum weir_type type = weir_table_type(handle->ref.item.table, NULL);
    if (weir__capi_ref_to_guest(handle->ref.store, type, ref, ret_ref, &error) == WEIR_OK)
        return true;
    weir__capi_failed(&error);
    return false;
}

bool wasm_table_set(wasm_table_t *handle, wasm_table_size_t index, wasm_ref_t *ref)
{
    struct weir_table *table = handle->ref.item.table;
    void *element = NULL;
    if (!take_ref(handle, ref, &element))
        return false;
    if (weir_table_set(table, index, element) == WEIR_OK)
        return true;
    (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "element %u of a table of %llu", index,
                            (unsigned long long)weir_table_size(table));
    return false;
}

wasm_table_size_t wasm_table_size(const wasm_table_t *table)
{
    return (wasm_table_size_t)weir_table_size(table->ref.item.table);
}

bool wasm_table_grow(wasm_table_t *handle, wasm_table_size_t delta, wasm_ref_t *init)
{
    void *element = NULL;
    if (!take_ref(handle, init, &element))
        return false;
    struct weir_error error = {0};
    if (weir_table_grow(handle->ref.item.table, delta, element, &error) != UINT64_MAX)
        return true;
    weir__capi_failed(&error);
    return false;
}

/* --- memories ------------------------------------------------------------------------------ */

wasm_memory_t *wasm_memory_new(wasm_store_t *store, const wasm_memorytype_t *type)
{
    if (type == NULL)
        return refuse_untyped("memory");
    struct weir_error error = {0};
    struct weir_extern item = {.kind = WEIR_EXTERN_MEMORY};
    struct weir_limits limits = weir__capi_limits(wasm_memorytype_limits(type));
    enum weir_status status = weir_memory_new(store->store, &limits, &item.memory, &error);
    return (wasm_memory_t *)(void *)finish(store, status, &item, &error);
}

wasm_memorytype_t *wasm_memory_type(const wasm_memory_t *memory)
{
    return wasm_externtype_as_memorytype(wasm_extern_type(wasm_memory_as_extern_const(memory)));
}

byte_t *wasm_memory_data(wasm_memory_t *memory)
{
    return (byte_t *)weir_memory_at(memory->ref.item.memory, 0, 0);
}

size_t wasm_memory_data_size(const wasm_memory_t *memory)
{
    return weir_memory_bytes(memory->ref.item.memory);
}

wasm_memory_pages_t wasm_memory_size(const wasm_memory_t *memory)
{
    return (wasm_memory_pages_t)(weir_memory_bytes(memory->ref.item.memory) / MEMORY_PAGE_SIZE);
}

bool wasm_memory_grow(wasm_memory_t *memory, wasm_memory_pages_t delta)
{
    struct weir_error error = {0};
    if (weir_memory_grow(memory->ref.item.memory, delta, &error) != UINT64_MAX)
        return true;
    weir__capi_failed(&error);
    return false;
}

/* --- externals ----------------------------------------------------------------------------- */

wasm_externkind_t wasm_extern_kind(const wasm_extern_t *item)
{
    static_assert((int)WEIR__CAPI_FUNC == (int)WASM_EXTERN_FUNC &&
                      (int)WEIR__CAPI_GLOBAL == (int)WASM_EXTERN_GLOBAL &&
                      (int)WEIR__CAPI_TABLE == (int)WASM_EXTERN_TABLE &&
                      (int)WEIR__CAPI_MEMORY == (int)WASM_EXTERN_MEMORY,
                  "kinds of externals are in the API's order");
    return (wasm_externkind_t)item->ref.kind;
}

wasm_externtype_t *wasm_extern_type(const wasm_extern_t *handle)
{
    const struct weir_extern *item = &handle->ref.item;
    struct weir_extern_type type = {.kind = item->kind};
    switch (item->kind) {
    case WEIR_EXTERN_FUNC:
        weir_func_type(item->func, &type.func);
        break;
    case WEIR_EXTERN_TABLE:
        type.type = weir_table_type(item->table, &type.limits);
        break;
    case WEIR_EXTERN_MEMORY:
        weir_memory_limits(item->memory, &type.limits);
        break;
    case WEIR_EXTERN_GLOBAL:
        type.type = weir_global_type(item->global, &type.is_mutable);
        break;
    }
    return weir__capi_externtype(&type);
}
