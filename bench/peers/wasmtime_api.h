/* The part of Wasmtime's C interface that the benches use, declared here and found in the library
 * of its Python wheel at run time: the wheel has no headers, and nothing of Weir links to it. The
 * layouts are those of the release that bench/lib/peers.py names. */
#ifndef WEIR_BENCH_WASMTIME_API_H
#define WEIR_BENCH_WASMTIME_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wasm_config;
struct wasm_engine;
struct wasm_functype;
struct wasm_trap;
struct wasm_valtype;
struct wasmtime_caller;
struct wasmtime_context;
struct wasmtime_error;
struct wasmtime_instance_pre;
struct wasmtime_linker;
struct wasmtime_module;
struct wasmtime_pooling;
struct wasmtime_store;

struct wasm_bytes {
    size_t size;
    char *data;
};

struct wasm_valtypes {
    size_t size;
    struct wasm_valtype **data;
};

struct wasmtime_func {
    uint64_t store;
    void *private;
};

struct wasmtime_instance {
    uint64_t store;
    size_t private;
};

struct wasmtime_extern {
    uint8_t kind;
    union {
        struct wasmtime_func func;
        uint64_t room[3];
    } of;
};

union wasmtime_raw {
    int32_t i32;
    int64_t i64;
    double f64;
    uint8_t v128[16];
};

#define WASMTIME_STRATEGY_WINCH 2
#define WASM_I32 0

typedef struct wasm_trap *wasmtime_raw_callback(void *data, struct wasmtime_caller *caller,
                                                union wasmtime_raw *values, size_t count);

/* FUNCTION(result, name, parameters) */
#define WASMTIME_FUNCTIONS(FUNCTION)                                                               \
    FUNCTION(struct wasm_config *, wasm_config_new, (void))                                        \
    FUNCTION(void, wasmtime_config_epoch_interruption_set, (struct wasm_config *, bool))           \
    FUNCTION(void, wasmtime_config_parallel_compilation_set, (struct wasm_config *, bool))         \
    FUNCTION(void, wasmtime_config_strategy_set, (struct wasm_config *, uint8_t))                  \
    FUNCTION(struct wasmtime_pooling *, wasmtime_pooling_allocation_config_new, (void))            \
    FUNCTION(void, wasmtime_pooling_allocation_config_linear_memory_keep_resident_set,             \
             (struct wasmtime_pooling *, size_t))                                                  \
    FUNCTION(void, wasmtime_pooling_allocation_config_delete, (struct wasmtime_pooling *))         \
    FUNCTION(void, wasmtime_pooling_allocation_strategy_set,                                       \
             (struct wasm_config *, const struct wasmtime_pooling *))                              \
    FUNCTION(struct wasm_engine *, wasm_engine_new_with_config, (struct wasm_config *))            \
    FUNCTION(struct wasmtime_error *, wasmtime_module_new,                                         \
             (struct wasm_engine *, const uint8_t *, size_t, struct wasmtime_module **))           \
    FUNCTION(void, wasmtime_module_delete, (struct wasmtime_module *))                             \
    FUNCTION(struct wasmtime_error *, wasmtime_module_serialize,                                   \
             (struct wasmtime_module *, struct wasm_bytes *))                                      \
    FUNCTION(struct wasmtime_error *, wasmtime_module_deserialize_file,                            \
             (struct wasm_engine *, const char *, struct wasmtime_module **))                      \
    FUNCTION(struct wasmtime_store *, wasmtime_store_new,                                          \
             (struct wasm_engine *, void *, void (*)(void *)))                                     \
    FUNCTION(struct wasmtime_context *, wasmtime_store_context, (struct wasmtime_store *))         \
    FUNCTION(void, wasmtime_store_delete, (struct wasmtime_store *))                               \
    FUNCTION(void, wasmtime_context_set_epoch_deadline, (struct wasmtime_context *, uint64_t))     \
    FUNCTION(struct wasmtime_linker *, wasmtime_linker_new, (struct wasm_engine *))                \
    FUNCTION(struct wasmtime_error *, wasmtime_linker_define_func_unchecked,                       \
             (struct wasmtime_linker *, const char *, size_t, const char *, size_t,                \
              const struct wasm_functype *, wasmtime_raw_callback *, void *, void (*)(void *)))    \
    FUNCTION(struct wasmtime_error *, wasmtime_linker_instantiate_pre,                             \
             (const struct wasmtime_linker *, const struct wasmtime_module *,                      \
              struct wasmtime_instance_pre **))                                                    \
    FUNCTION(struct wasmtime_error *, wasmtime_instance_pre_instantiate,                           \
             (const struct wasmtime_instance_pre *, struct wasmtime_context *,                     \
              struct wasmtime_instance *, struct wasm_trap **))                                    \
    FUNCTION(bool, wasmtime_instance_export_get,                                                   \
             (struct wasmtime_context *, const struct wasmtime_instance *, const char *, size_t,   \
              struct wasmtime_extern *))                                                           \
    FUNCTION(struct wasmtime_error *, wasmtime_func_call_unchecked,                                \
             (struct wasmtime_context *, const struct wasmtime_func *, union wasmtime_raw *,       \
              size_t, struct wasm_trap **))                                                        \
    FUNCTION(struct wasm_valtype *, wasm_valtype_new, (uint8_t))                                   \
    FUNCTION(void, wasm_valtype_vec_new,                                                           \
             (struct wasm_valtypes *, size_t, struct wasm_valtype *const *))                       \
    FUNCTION(struct wasm_functype *, wasm_functype_new,                                            \
             (struct wasm_valtypes *, struct wasm_valtypes *))                                     \
    FUNCTION(void, wasmtime_error_message, (const struct wasmtime_error *, struct wasm_bytes *))

#define WASMTIME_DECLARE(result, name, parameters) result(*name) parameters;
struct wasmtime_api {
    WASMTIME_FUNCTIONS(WASMTIME_DECLARE)
};
#undef WASMTIME_DECLARE

#endif
