/* See runtime_fixture.h. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "artifact/cpu.h"
#include "compiler/compiler.h"

int fixture_artifact(const struct weir_engine_config *config, const uint8_t *wasm, size_t size)
{
    static const struct weir_engine_config defaults;
    if (config == NULL)
        config = &defaults;
    struct weir_compile_request request = {
        .module = wasm,
        .module_bytes = size,
        .options = {
            .features = config->features != 0 ? config->features : WEIR_FEATURES_DEFAULT,
            .flags = weir_artifact_bounds_flags(config->bounds) |
                     (config->has_fuel ? WEIR_ARTIFACT_FUEL : 0u) |
                     (config->has_canonical_nans ? WEIR_ARTIFACT_CANONICAL_NANS : 0u) |
                     (config->no_poll ? 0u : WEIR_ARTIFACT_POLL),
            .cpu_features = weir_cpu_baseline,
            .generator = "fast"}};
    if (config->fuel_costs != NULL) {
        request.options.has_fuel_costs = 1;
        request.options.fuel_costs = *config->fuel_costs;
    }
    uint8_t *bytes = NULL;
    size_t artifact_bytes = 0;
    struct weir_error error = {0};
    enum weir_status status = weir_compile(&request, &bytes, &artifact_bytes, &error);
    ck_assert_msg(status == WEIR_OK, "compile: %s", error.message);
    int fd = memfd_create("artifact", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int64_t)artifact_bytes, write(fd, bytes, artifact_bytes));
    free(bytes);
    return fd;
}

struct weir_module *fixture_module(struct weir_engine *engine,
                                   const struct weir_engine_config *config, const uint8_t *wasm,
                                   size_t size)
{
    int fd = fixture_artifact(config, wasm, size);
    struct weir_module *module = NULL;
    struct weir_error error = {0};
    struct weir_module_config names = {.name = "fixture"};
    enum weir_status status = weir_module_load(engine, fd, &names, &module, &error);
    ck_assert_msg(status == WEIR_OK, "load: %s", error.message);
    (void)close(fd);
    return module;
}

struct weir_engine *fixture_engine(const struct weir_engine_config *config)
{
    struct weir_engine *engine = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_engine_new(config, &engine, &error);
    ck_assert_msg(status == WEIR_OK, "engine: %s", error.message);
    return engine;
}

struct weir_store *fixture_store(struct weir_engine *engine)
{
    struct weir_store *store = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_store_new(engine, NULL, &store, &error);
    ck_assert_msg(status == WEIR_OK, "store: %s", error.message);
    return store;
}

struct weir_instance *fixture_instance(struct weir_store *store, const struct weir_linker *linker,
                                       struct weir_module *module)
{
    struct weir_instance *instance = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_instance_new(store, linker, module, &instance, NULL, &error);
    ck_assert_msg(status == WEIR_OK, "instance: %s", error.message);
    return instance;
}

struct weir_funcref *fixture_func(struct weir_instance *instance, const char *name)
{
    struct weir_extern item;
    enum weir_status status = weir_instance_export(instance, name, strlen(name), &item);
    ck_assert_msg(status == WEIR_OK, "no export %s", name);
    ck_assert_int_eq(item.kind, WEIR_EXTERN_FUNC);
    return item.func;
}

struct weir_memory *fixture_memory(struct weir_instance *instance, const char *name)
{
    struct weir_extern item;
    enum weir_status status = weir_instance_export(instance, name, strlen(name), &item);
    ck_assert_msg(status == WEIR_OK, "no export %s", name);
    ck_assert_int_eq(item.kind, WEIR_EXTERN_MEMORY);
    return item.memory;
}

enum weir_status fixture_call(struct weir_instance *instance, const char *name, const int64_t *args,
                              size_t arg_count, int64_t *ret_result, struct weir_trap *trap)
{
    union weir_value values[16] = {0};
    union weir_value results[16] = {0};
    ck_assert_uint_le(arg_count, 16);
    for (size_t i = 0; i < arg_count; i++)
        values[i].i64 = args[i];
    struct weir_funcref *func = fixture_func(instance, name);
    struct weir_func_type type;
    weir_func_type(func, &type);
    ck_assert_uint_eq(type.param_count, arg_count);
    struct weir_error error = {0};
    enum weir_status status =
        weir_func_call(weir_instance_store(instance), func, values, results, trap, &error);
    if (status != WEIR_OK && status != WEIR_TRAP && status != WEIR_PENDING)
        ck_abort_msg("call %s: %s", name, error.message);
    weir_error_done(&error);
    if (type.result_count > 0 && ret_result != NULL)
        *ret_result = type.results[0] == WEIR_TYPE_I32 ? results[0].i32 : results[0].i64;
    return status;
}

int64_t fixture_call_ok(struct weir_instance *instance, const char *name, const int64_t *args,
                        size_t arg_count)
{
    int64_t result = 0;
    static struct weir_trap trap;
    enum weir_status status = fixture_call(instance, name, args, arg_count, &result, &trap);
    ck_assert_msg(status == WEIR_OK, "call %s: %s %s %s", name, weir_status_name(status),
                  weir_trap_text(trap.code), trap.cause.message);
    return result;
}

void fixture_call_traps(struct weir_instance *instance, const char *name, const int64_t *args,
                        size_t arg_count, int code)
{
    static struct weir_trap trap;
    enum weir_status status = fixture_call(instance, name, args, arg_count, NULL, &trap);
    ck_assert_msg(status == WEIR_TRAP, "call %s answered %s", name, weir_status_name(status));
    ck_assert_msg(trap.code == code, "call %s: trap %s, not %s", name, weir_trap_name(trap.code),
                  weir_trap_name(code));
    weir_trap_done(&trap);
}
