/* From the standard C API (<wasm.h>) to Weir's own: reasons of failures, limits, accounts, and the
 * objects behind the handles.
 */
#ifndef WEIR_CAPI_H
#define WEIR_CAPI_H

#include <wasm.h>

#include <weir/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why the last call of the standard API on this thread that failed did so; never NULL, status OK
 * when none has failed. Valid until the next failure. Without details. */
const struct weir_error *weir_wasm_error(void);

/* The configuration that wasm_engine_new_with_config() will use, to be changed before: features,
 * bounds, artifact directory, account. What it points to must live until then. */
struct weir_engine_config *weir_wasm_config(wasm_config_t *config);
/* Modules of the engine cannot be serialised and do not keep their bytes, which are otherwise
 * charged to the engine as code. */
void weir_wasm_config_no_serialize(wasm_config_t *config);

/* A store with limits and an account of its own; `config` may be NULL. Zero for instances_max
 * means 1,000,000 here, since programs of the standard API make new ones without end. */
wasm_store_t *weir_wasm_store_new(wasm_engine_t *engine, const struct weir_store_config *config);

/* Borrowed: valid while the handle is. References in the store's tables and globals of type
 * externref are wasm_ref_t handles that belong to the store. */
struct weir_engine *weir_wasm_engine(wasm_engine_t *engine);
struct weir_store *weir_wasm_store(wasm_store_t *store);
struct weir_module *weir_wasm_module(const wasm_module_t *module);
struct weir_instance *weir_wasm_instance(wasm_instance_t *instance);
struct weir_extern weir_wasm_extern(wasm_extern_t *item);

#ifdef __cplusplus
}
#endif
#endif
