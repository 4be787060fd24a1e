/* Configuration and engine. */

#include "capi/capi_internal.h"

wasm_config_t *wasm_config_new(void)
{
    wasm_config_t *config =
        weir_account_alloc(weir_account_host(), WEIR_KIND_METADATA, sizeof *config, NULL);
    if (config == NULL)
        (void)weir__capi_refuse(WEIR_LIMIT, "no memory for a configuration");
    return config;
}

void wasm_config_delete(wasm_config_t *config)
{
    if (config != NULL)
        weir_account_free(weir_account_host(), WEIR_KIND_METADATA, config, sizeof *config);
}

struct weir_engine_config *weir_wasm_config(wasm_config_t *config)
{
    return &config->config;
}

void weir_wasm_config_no_serialize(wasm_config_t *config)
{
    config->has_no_serialize = true;
}

static wasm_engine_t *new_engine(const wasm_config_t *config, struct weir_error *error)
{
    struct weir_engine *inner = NULL;
    if (weir_engine_new(config != NULL ? &config->config : NULL, &inner, error) != WEIR_OK)
        return NULL;
    wasm_engine_t *engine =
        weir_account_alloc(weir_engine_account(inner), WEIR_KIND_METADATA, sizeof *engine, error);
    if (engine == NULL) {
        weir_engine_unref(inner);
        return NULL;
    }
    engine->refs = 1;
    engine->engine = inner;
    engine->has_no_serialize = config != NULL && config->has_no_serialize;
    return engine;
}

wasm_engine_t *wasm_engine_new_with_config(wasm_config_t *config)
{
    struct weir_error error = {0};
    wasm_engine_t *engine = new_engine(config, &error);
    if (engine == NULL)
        weir__capi_failed(&error);
    wasm_config_delete(config);
    return engine;
}

wasm_engine_t *wasm_engine_new(void)
{
    return wasm_engine_new_with_config(NULL);
}

void weir__capi_engine_ref(struct wasm_engine_t *engine)
{
    atomic_fetch_add_explicit(&engine->refs, 1, memory_order_relaxed);
}

void weir__capi_engine_unref(struct wasm_engine_t *engine)
{
    if (atomic_fetch_sub_explicit(&engine->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct weir_engine *inner = engine->engine;
    weir_account_free(weir_engine_account(inner), WEIR_KIND_METADATA, engine, sizeof *engine);
    weir_engine_unref(inner);
}

void wasm_engine_delete(wasm_engine_t *engine)
{
    if (engine != NULL)
        weir__capi_engine_unref(engine);
}

struct weir_engine *weir_wasm_engine(wasm_engine_t *engine)
{
    return engine->engine;
}
