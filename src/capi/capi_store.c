/* Stores: open while there is a handle of the store or of anything in it. */
#include "capi/capi_internal.h"

static enum weir_status open_store(wasm_store_t *store, const struct weir_store_config *given,
                                   struct weir_error *error)
{
    struct weir_store_config config = {0};
    if (given != NULL)
        config = *given;
    if (config.instances_max == 0)
        config.instances_max = WEIR_CAPI_INSTANCES_MAX;
    enum weir_status status = weir_store_new(store->engine->engine, &config, &store->store, error);
    if (status == WEIR_OK)
        store->account = weir_store_account(store->store);
    return status;
}

wasm_store_t *weir_wasm_store_new(wasm_engine_t *engine, const struct weir_store_config *config)
{
    static char no_memory[] = "no memory for a trap's message";
    if (engine == NULL) {
        (void)weir__capi_refuse(WEIR_INVALID_ARGUMENT, "a store without an engine");
        return NULL;
    }
    struct weir_error error = {0};
    wasm_store_t *store =
        weir_account_alloc(weir__capi_account(engine), WEIR_KIND_METADATA, sizeof *store, &error);
    if (store == NULL) {
        weir__capi_failed(&error);
        return NULL;
    }
    store->engine = engine;
    if (open_store(store, config, &error) != WEIR_OK) {
        weir__capi_failed(&error);
        weir_account_free(weir__capi_account(engine), WEIR_KIND_METADATA, store, sizeof *store);
        return NULL;
    }
    weir__capi_engine_ref(engine);
    store->refs = 1;
    store->collect_at = WEIR_CAPI_COLLECT_MIN;
    store->orphans_at = WEIR_CAPI_ORPHANS_MIN;
    /* Its own count keeps it from ever being freed; handles of it count in the store. */
    store->reserve.ref = (struct wasm_ref_t){.refs = 1, .kind = WEIR__CAPI_TRAP, .store = store};
    store->reserve.message = no_memory;
    store->reserve.message_size = sizeof no_memory;
    return store;
}

wasm_store_t *wasm_store_new(wasm_engine_t *engine)
{
    return weir_wasm_store_new(engine, NULL);
}

/* Nobody has a handle of anything in it: finalizers cannot reach it either. */
static void close_store(struct wasm_store_t *store)
{
    weir__capi_pend(store, NULL);
    weir__capi_holds_done(store);
    weir__capi_objects_done(store);
    weir__capi_host_funcs_done(store);
    weir_store_close(store->store, NULL);
    struct wasm_engine_t *engine = store->engine;
    weir_account_free(weir__capi_account(engine), WEIR_KIND_METADATA, store, sizeof *store);
    weir__capi_engine_unref(engine);
}

void weir__capi_store_ref(struct wasm_store_t *store)
{
    atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
}

void weir__capi_store_unref(struct wasm_store_t *store)
{
    if (atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel) == 1)
        close_store(store);
}

void wasm_store_delete(wasm_store_t *store)
{
    if (store != NULL)
        weir__capi_store_unref(store);
}

struct weir_store *weir_wasm_store(wasm_store_t *store)
{
    return store->store;
}
