/* Instances. */
#include "capi/capi_internal.h"

/* The imports as the runtime wants them. */
struct list {
    struct weir_extern small[WEIR_CAPI_SMALL_IMPORTS];
    struct weir_extern *items;
    size_t count;
};

static enum weir_status take_imports(struct wasm_store_t *store, const wasm_extern_vec_t *imports,
                                     struct list *list, struct weir_error *error)
{
    list->items = list->small;
    list->count = imports != NULL && imports->data != NULL ? imports->size : 0;
    if (list->count > WEIR_CAPI_SMALL_IMPORTS) {
        list->items = weir_account_alloc(store->account, WEIR_KIND_HOST_BUFFER,
                                         list->count * sizeof *list->items, error);
        if (list->items == NULL)
            return WEIR_LIMIT;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (imports->data[i] == NULL)
            return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET, "import %zu is NULL", i);
        list->items[i] = imports->data[i]->ref.item;
    }
    return WEIR_OK;
}

static void give_imports(struct wasm_store_t *store, struct list *list)
{
    if (list->items != list->small)
        weir_account_free(store->account, WEIR_KIND_HOST_BUFFER, list->items,
                          list->count * sizeof *list->items);
}

static enum weir_status instantiate(struct wasm_store_t *store, const wasm_module_t *module,
                                    const wasm_extern_vec_t *imports, struct wasm_ref_t **ret_ref,
                                    struct weir_trap *trap, struct weir_error *error)
{
    if (module == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "there is no module to make an instance of");
    if (weir_module_engine(weir_wasm_module(module)) != store->engine->engine)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the module belongs to another engine");
    struct list list;
    struct weir_instance *instance = NULL;
    enum weir_status status = take_imports(store, imports, &list, error);
    if (status == WEIR_OK) {
        const struct weir_imports given = {.items = list.items, .count = list.count};
        status = weir_instance_new_with(store->store, weir_wasm_module(module), &given, &instance,
                                        trap, error);
    }
    give_imports(store, &list);
    if (status != WEIR_OK)
        return status;
    *ret_ref = weir__capi_instance(store, instance, error);
    return *ret_ref != NULL ? WEIR_OK : WEIR_LIMIT;
}

wasm_instance_t *wasm_instance_new(wasm_store_t *store, const wasm_module_t *module,
                                   const wasm_extern_vec_t *imports, wasm_trap_t **ret_trap)
{
    weir__capi_collect(store);
    struct weir_trap trap; /* 12 KiB, written only by a guest that traps */
    trap.cause = (struct weir_error){0};
    struct weir_error error = {0};
    struct wasm_ref_t *ref = NULL;
    wasm_trap_t *reason = NULL;
    weir__capi_store_ref(store); /* a callback may delete all handles */
    enum weir_status status = instantiate(store, module, imports, &ref, &trap, &error);
    if (status != WEIR_OK)
        reason = weir__capi_trap_of(store, status, &trap, &error);
    if (ret_trap != NULL)
        *ret_trap = reason;
    else
        wasm_trap_delete(reason);
    weir__capi_store_unref(store);
    return (wasm_instance_t *)(void *)ref;
}

static bool fill(struct wasm_store_t *store, struct weir_instance *instance, wasm_extern_vec_t *out,
                 struct weir_error *error)
{
    for (size_t i = 0; i < out->size; i++) {
        struct weir_extern item;
        enum weir_status status = weir_instance_export_at(instance, i, &item);
        if (status != WEIR_OK) {
            (void)weir_error_set(error, status, WEIR_NO_OFFSET,
                                 "the artifact was cut after it was loaded");
            return false;
        }
        out->data[i] = (wasm_extern_t *)(void *)weir__capi_extern(store, &item, error);
        if (out->data[i] == NULL)
            return false;
    }
    return true;
}

void wasm_instance_exports(const wasm_instance_t *handle, wasm_extern_vec_t *out)
{
    struct weir_error error = {0};
    struct weir_instance *instance = handle->ref.instance;
    size_t count = weir_module_export_count(weir_instance_module(instance));
    wasm_extern_vec_new_uninitialized(out, count);
    if (fill(handle->ref.store, instance, out, &error))
        return;
    weir__capi_failed(&error);
    wasm_extern_vec_delete(out);
}
