/* Configuration, engines and stores; modules: validated, described, serialised, shared. */
#include "capi_case.h"

static void engines(void)
{
    wasm_config_t *config = wasm_config_new();
    CHECK(config != NULL);
    wasm_engine_t *engine = wasm_engine_new_with_config(config);
    CHECK(engine != NULL);
    wasm_engine_t *other = wasm_engine_new();
    CHECK(other != NULL && other != engine);
    wasm_store_t *a = wasm_store_new(engine);
    wasm_store_t *b = wasm_store_new(engine);
    CHECK(a != NULL && b != NULL && a != b);
    wasm_store_delete(a);
    wasm_engine_delete(engine); /* a store keeps it */
    wasm_module_t *module = world_module(&(struct world){engine, b}, "plain");
    wasm_module_delete(module);
    wasm_store_delete(b);
    wasm_engine_delete(other);
    wasm_config_delete(wasm_config_new());
}

static void validates(void)
{
    struct world world;
    world_open(&world);
    wasm_byte_vec_t good = world_bytes("plain");
    CHECK(wasm_module_validate(world.store, &good));
    for (size_t cut = 0; cut < 40; cut++) {
        wasm_byte_vec_t bad = {cut, good.data};
        if (cut != 8) { /* the empty module */
            CHECK(!wasm_module_validate(world.store, &bad));
            CHECK(wasm_module_new(world.store, &bad) == NULL);
        }
    }
    wasm_byte_vec_delete(&good);
    /* A body that leaves nothing where an i32 is promised: well-formed and invalid. */
    static const char invalid[] = "\0asm\1\0\0\0\1\5\1\x60\0\1\x7f\3\2\1\0\xa\4\1\2\0\xb";
    wasm_byte_vec_new(&good, sizeof invalid - 1, invalid);
    CHECK(!wasm_module_validate(world.store, &good));
    CHECK(wasm_module_new(world.store, &good) == NULL);
    wasm_byte_vec_delete(&good);
    world_close(&world);
}

static void describes_exports(void)
{
    static const struct {
        const char *name;
        wasm_externkind_t kind;
    } wanted[] = {{"memory", WASM_EXTERN_MEMORY}, {"table", WASM_EXTERN_TABLE},
                  {"g", WASM_EXTERN_GLOBAL},      {"c", WASM_EXTERN_GLOBAL},
                  {"add", WASM_EXTERN_FUNC},      {"turn", WASM_EXTERN_FUNC}};
    struct world world;
    world_open(&world);
    wasm_module_t *module = world_module(&world, "plain");
    wasm_importtype_vec_t imports;
    wasm_module_imports(module, &imports);
    CHECK(imports.size == 0);
    wasm_importtype_vec_delete(&imports);
    wasm_exporttype_vec_t exports;
    wasm_module_exports(module, &exports);
    wasm_module_delete(module);
    CHECK(exports.size == 18);
    const wasm_externtype_t *types[6];
    for (size_t i = 0; i < 6; i++) {
        CHECK(name_is(wasm_exporttype_name(exports.data[i]), wanted[i].name));
        types[i] = wasm_exporttype_type(exports.data[i]);
        CHECK(wasm_externtype_kind(types[i]) == wanted[i].kind);
    }
    const wasm_limits_t *limits =
        wasm_memorytype_limits(wasm_externtype_as_memorytype_const(types[0]));
    CHECK(limits->min == 2 && limits->max == 3);
    const wasm_tabletype_t *table = wasm_externtype_as_tabletype_const(types[1]);
    CHECK(wasm_valtype_kind(wasm_tabletype_element(table)) == WASM_FUNCREF);
    CHECK(wasm_tabletype_limits(table)->min == 2 && wasm_tabletype_limits(table)->max == 10);
    const wasm_globaltype_t *global = wasm_externtype_as_globaltype_const(types[2]);
    CHECK(wasm_valtype_kind(wasm_globaltype_content(global)) == WASM_I64);
    CHECK(wasm_globaltype_mutability(global) == WASM_VAR);
    CHECK(wasm_globaltype_mutability(wasm_externtype_as_globaltype_const(types[3])) == WASM_CONST);
    const wasm_functype_t *func = wasm_externtype_as_functype_const(types[5]);
    CHECK(wasm_functype_params(func)->size == 4 && wasm_functype_results(func)->size == 4);
    CHECK(wasm_valtype_kind(wasm_functype_results(func)->data[1]) == WASM_F32);
    wasm_exporttype_vec_delete(&exports);
    world_close(&world);
}

static void describes_imports(void)
{
    static const struct {
        const char *module, *name;
        wasm_externkind_t kind;
    } wanted[] = {{"host", "call", WASM_EXTERN_FUNC},   {"host", "", WASM_EXTERN_FUNC},
                  {"", "const", WASM_EXTERN_GLOBAL},    {"host", "var", WASM_EXTERN_GLOBAL},
                  {"host", "table", WASM_EXTERN_TABLE}, {"host", "memory", WASM_EXTERN_MEMORY}};
    struct world world;
    world_open(&world);
    wasm_module_t *module = world_module(&world, "imports");
    wasm_importtype_vec_t imports;
    wasm_module_imports(module, &imports);
    wasm_module_delete(module);
    CHECK(imports.size == 6);
    for (size_t i = 0; i < 6; i++) {
        CHECK(name_is(wasm_importtype_module(imports.data[i]), wanted[i].module));
        CHECK(name_is(wasm_importtype_name(imports.data[i]), wanted[i].name));
        CHECK(wasm_externtype_kind(wasm_importtype_type(imports.data[i])) == wanted[i].kind);
    }
    const wasm_memorytype_t *memory =
        wasm_externtype_as_memorytype_const(wasm_importtype_type(imports.data[5]));
    CHECK(wasm_memorytype_limits(memory)->min == 1 && wasm_memorytype_limits(memory)->max == 4);
    wasm_importtype_vec_delete(&imports);
    world_close(&world);
}

static void serializes(void)
{
    struct world world;
    world_open(&world);
    wasm_module_t *module = world_module(&world, "plain");
    wasm_byte_vec_t bytes;
    wasm_module_serialize(module, &bytes);
    CHECK(bytes.size > 0);
    wasm_module_delete(module);
    wasm_module_t *again = wasm_module_deserialize(world.store, &bytes);
    wasm_byte_vec_delete(&bytes);
    CHECK(again != NULL);
    wasm_extern_vec_t none = WASM_EMPTY_VEC;
    wasm_instance_t *instance = wasm_instance_new(world.store, again, &none, NULL);
    CHECK(instance != NULL);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    CHECK(exports.size == 18);
    int32_t args[] = {40, 2};
    CHECK(call_i32(wasm_extern_as_func(exports.data[4]), 2, args) == 42);
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
    wasm_module_delete(again);
    world_close(&world);
}

static void deserializes_nothing_else(void)
{
    struct world world;
    world_open(&world);
    wasm_byte_vec_t bytes;
    wasm_name_new_from_string(&bytes, "not a module of any kind, but long enough to be read");
    CHECK(wasm_module_deserialize(world.store, &bytes) == NULL);
    wasm_byte_vec_delete(&bytes);
    wasm_byte_vec_new_empty(&bytes);
    CHECK(wasm_module_deserialize(world.store, &bytes) == NULL);
    bytes = world_bytes("plain"); /* a module, not a serialised one */
    CHECK(wasm_module_deserialize(world.store, &bytes) == NULL);
    wasm_byte_vec_delete(&bytes);
    world_close(&world);
}

static void shares(void)
{
    struct world world;
    world_open(&world);
    wasm_module_t *module = world_module(&world, "plain");
    wasm_shared_module_t *shared = wasm_module_share(module);
    CHECK(shared != NULL);
    wasm_module_delete(module);
    wasm_store_delete(world.store);
    world.store = wasm_store_new(world.engine);
    module = wasm_module_obtain(world.store, shared);
    CHECK(module != NULL);
    wasm_shared_module_delete(shared);
    wasm_extern_vec_t none = WASM_EMPTY_VEC;
    wasm_instance_t *instance = wasm_instance_new(world.store, module, &none, NULL);
    CHECK(instance != NULL);
    wasm_instance_delete(instance);
    wasm_module_delete(module);
    world_close(&world);
}

const struct capi_case capi_module_cases[] = {
    {"engines", engines},
    {"validates", validates},
    {"describes_exports", describes_exports},
    {"describes_imports", describes_imports},
    {"serializes", serializes},
    {"deserializes_nothing_else", deserializes_nothing_else},
    {"shares", shares},
    {NULL, NULL},
};
