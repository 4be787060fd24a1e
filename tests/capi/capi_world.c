/* See capi_case.h. */
#include "capi_case.h"

#include "capi_finalize_wasm.h"
#include "capi_imports_wasm.h"
#include "capi_plain_wasm.h"
#include "capi_refs_wasm.h"
#include "capi_start_wasm.h"

static const struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
} modules[] = {
    {"plain", capi_plain_wasm, sizeof capi_plain_wasm},
    {"imports", capi_imports_wasm, sizeof capi_imports_wasm},
    {"refs", capi_refs_wasm, sizeof capi_refs_wasm},
    {"start", capi_start_wasm, sizeof capi_start_wasm},
    {"finalize", capi_finalize_wasm, sizeof capi_finalize_wasm},
};

void world_open(struct world *world)
{
    world->engine = wasm_engine_new();
    CHECK(world->engine != NULL);
    world->store = wasm_store_new(world->engine);
    CHECK(world->store != NULL);
}

void world_close(struct world *world)
{
    wasm_store_delete(world->store);
    wasm_engine_delete(world->engine);
}

wasm_byte_vec_t world_bytes(const char *name)
{
    wasm_byte_vec_t bytes;
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        if (strcmp(modules[i].name, name) == 0) {
            wasm_byte_vec_new(&bytes, modules[i].size, (const wasm_byte_t *)modules[i].bytes);
            return bytes;
        }
    }
    CHECK(false && "a module of the tests");
    abort();
}

wasm_module_t *world_module(struct world *world, const char *name)
{
    wasm_byte_vec_t bytes = world_bytes(name);
    wasm_module_t *module = wasm_module_new(world->store, &bytes);
    CHECK(module != NULL);
    wasm_byte_vec_delete(&bytes);
    return module;
}

wasm_instance_t *world_instance(struct world *world, const char *name,
                                const wasm_extern_vec_t *imports)
{
    static const wasm_extern_vec_t none = WASM_EMPTY_VEC;
    wasm_module_t *module = world_module(world, name);
    wasm_trap_t *trap = NULL;
    wasm_instance_t *instance =
        wasm_instance_new(world->store, module, imports != NULL ? imports : &none, &trap);
    CHECK(instance != NULL && trap == NULL);
    wasm_module_delete(module);
    return instance;
}

void exports_open(struct exports *exports, struct world *world, const char *name,
                  const wasm_extern_vec_t *imports)
{
    wasm_instance_t *instance = world_instance(world, name, imports);
    wasm_instance_exports(instance, &exports->items);
    wasm_instance_delete(instance);
    wasm_module_t *module = world_module(world, name);
    wasm_module_exports(module, &exports->types);
    wasm_module_delete(module);
    CHECK(exports->items.size == exports->types.size);
}

void exports_close(struct exports *exports)
{
    wasm_extern_vec_delete(&exports->items);
    wasm_exporttype_vec_delete(&exports->types);
}

bool name_is(const wasm_name_t *name, const char *text)
{
    return name->size == strlen(text) &&
           (name->size == 0 || memcmp(name->data, text, name->size) == 0);
}

wasm_extern_t *export_of(const struct exports *exports, const char *name)
{
    for (size_t i = 0; i < exports->types.size; i++)
        if (name_is(wasm_exporttype_name(exports->types.data[i]), name))
            return exports->items.data[i];
    CHECK(false && "an export of that name");
    return NULL;
}

wasm_func_t *func_of(const struct exports *exports, const char *name)
{
    wasm_func_t *func = wasm_extern_as_func(export_of(exports, name));
    CHECK(func != NULL);
    return func;
}

int32_t call_i32(const wasm_func_t *func, size_t count, const int32_t *args)
{
    wasm_val_t vals[4];
    wasm_val_t result = WASM_INIT_VAL;
    CHECK(count <= 4);
    for (size_t i = 0; i < count; i++) {
        vals[i].kind = WASM_I32;
        vals[i].of.i32 = args[i];
    }
    wasm_val_vec_t arg_vec = {count, vals};
    wasm_val_vec_t result_vec = {wasm_func_result_arity(func), &result};
    CHECK(wasm_func_call(func, &arg_vec, &result_vec) == NULL);
    return result_vec.size > 0 ? result.of.i32 : 0;
}

wasm_ref_t *call_ref(const wasm_func_t *func, wasm_ref_t *arg)
{
    wasm_val_t args[] = {WASM_REF_VAL(arg)};
    wasm_val_t results[] = {WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = {wasm_func_param_arity(func), args};
    wasm_val_vec_t result_vec = {wasm_func_result_arity(func), results};
    CHECK(wasm_func_call(func, &arg_vec, &result_vec) == NULL);
    return result_vec.size > 0 ? results[0].of.ref : NULL;
}

wasm_trap_t *trap_of(wasm_store_t *store, const char *text)
{
    wasm_message_t message;
    wasm_name_new_from_string_nt(&message, text);
    wasm_trap_t *trap = wasm_trap_new(store, &message);
    CHECK(trap != NULL);
    wasm_name_delete(&message);
    return trap;
}

wasm_functype_t *turn_type(void)
{
    wasm_valtype_t *ps[] = {wasm_valtype_new_i32(), wasm_valtype_new_i64(), wasm_valtype_new_f32(),
                            wasm_valtype_new_f64()};
    wasm_valtype_t *rs[] = {wasm_valtype_new_f64(), wasm_valtype_new_f32(), wasm_valtype_new_i64(),
                            wasm_valtype_new_i32()};
    wasm_valtype_vec_t params;
    wasm_valtype_vec_t results;
    wasm_valtype_vec_new(&params, 4, ps);
    wasm_valtype_vec_new(&results, 4, rs);
    return wasm_functype_new(&params, &results);
}

void expect_trap(wasm_trap_t *trap, const char *text)
{
    CHECK(trap != NULL);
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    CHECK(message.size > 1 && message.data[message.size - 1] == '\0');
    CHECK(strstr(message.data, text) != NULL);
    wasm_name_delete(&message);
    wasm_trap_delete(trap);
}
