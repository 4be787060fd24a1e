/* Engine: a configuration that was checked once, an account, an artifact directory. */
#include <weir/engine.h>

#include "runtime/compile_job.h"
#include "runtime/module_internal.h"

#define WEIR_FEATURE(bit, id, name, on) | (1u << (bit))
static const uint32_t FEATURES_ALL = 0u
#include <weir/features.def>
    ;
#undef WEIR_FEATURE

static enum weir_status check_config(const struct weir_engine_config *config,
                                     struct weir_error *error)
{
    uint64_t stack = config->stack_bytes;
    if (stack != 0 && (stack < WEIR_STACK_BYTES_MIN || stack > WEIR_STACK_BYTES_MAX))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a guest stack of %llu bytes; between %llu and %llu",
                              (unsigned long long)stack, (unsigned long long)WEIR_STACK_BYTES_MIN,
                              (unsigned long long)WEIR_STACK_BYTES_MAX);
    if ((config->features & ~FEATURES_ALL) != 0)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "0x%x are no features; weir/features.def lists them",
                              config->features & ~FEATURES_ALL);
    if (weir_bounds_name(config->bounds) == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "bounds are guard, explicit or no-signals, not %d",
                              (int)config->bounds);
    return WEIR_OK;
}

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

enum weir_status weir_engine_new(const struct weir_engine_config *config,
                                 struct weir_engine **ret_engine, struct weir_error *error)
{
    static const struct weir_engine_config defaults;
    if (config == NULL)
        config = &defaults;
    enum weir_status status = check_config(config, error);
    if (status == WEIR_OK)
        status = weir__process_start(config->bounds != WEIR_BOUNDS_NO_SIGNALS, error);
    if (status != WEIR_OK)
        return status;
    struct weir_account *parent = config->account != NULL ? config->account : weir_account_host();
    struct weir_account *account;
    status =
        weir_account_new(parent, WEIR_ACCOUNT_SERVICE, "engine", WEIR_UNLIMITED, &account, error);
    if (status != WEIR_OK)
        return status;
    struct weir_engine *engine =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *engine, error);
    if (engine == NULL) {
        weir_account_close(account);
        return weir_error_refused(error);
    }
    engine->refs = 1;
    engine->account = account;
    engine->parent = parent;
    engine->features = (uint32_t)or_default(config->features, WEIR_FEATURES_DEFAULT);
    engine->bounds = config->bounds;
    engine->has_fuel = config->has_fuel;
    engine->has_canonical_nans = config->has_canonical_nans;
    engine->has_fuel_costs = config->fuel_costs != NULL;
    if (config->fuel_costs != NULL)
        engine->fuel_costs = *config->fuel_costs;
    engine->has_poll = !config->no_poll;
    engine->stack_bytes =
        or_default(config->stack_bytes, WEIR_STACK_BYTES_DEFAULT) & ~UINT64_C(4095);
    engine->module_bytes_max = or_default(config->module_bytes_max, WEIR_MODULE_BYTES_DEFAULT);
    engine->event_hook = config->event_hook;
    engine->event_context = config->event_context;
    if (config->artifact_dir != NULL) {
        status = weir_artifact_dir_open(config->artifact_dir, &engine->dir, error);
        if (status != WEIR_OK) {
            weir_engine_unref(engine);
            return status;
        }
    }
    weir__census_enlist(&engine->census, WEIR_CENSUS_ENGINE, NULL);
    *ret_engine = engine;
    return WEIR_OK;
}

struct weir_engine *weir_engine_ref(struct weir_engine *engine)
{
    atomic_fetch_add_explicit(&engine->refs, 1, memory_order_relaxed);
    return engine;
}

void weir_engine_unref(struct weir_engine *engine)
{
    if (engine == NULL || atomic_fetch_sub_explicit(&engine->refs, 1, memory_order_acq_rel) != 1)
        return;
    weir__census_delist_engine(&engine->census, &engine->past);
    if (engine->dir != NULL)
        weir_artifact_dir_close(engine->dir);
    struct weir_account *account = engine->account;
    weir_account_free(account, WEIR_KIND_METADATA, engine, sizeof *engine);
    weir_account_close(account);
}

struct weir_account *weir_engine_account(struct weir_engine *engine)
{
    return engine->account;
}
