/* Instances: imports, start functions, lifetimes, and stores side by side. */
#include "capi_case.h"

static wasm_trap_t *nothing(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)args;
    (void)results;
    return NULL;
}

/* What "imports" wants. */
struct imports {
    wasm_func_t *call, *plain;
    wasm_global_t *constant, *variable;
    wasm_table_t *table;
    wasm_memory_t *memory;
    wasm_extern_t *items[6];
};

static wasm_func_t *new_func(wasm_store_t *store, wasm_functype_t *type)
{
    wasm_func_t *func = wasm_func_new(store, type, nothing);
    wasm_functype_delete(type);
    return func;
}

static void open_imports(struct imports *imports, wasm_store_t *store)
{
    wasm_limits_t limits = {1, 2};
    wasm_val_t value = WASM_I32_VAL(11);
    wasm_val_t number = WASM_I64_VAL(100);
    imports->call = new_func(store, turn_type());
    imports->plain = new_func(store, wasm_functype_new_0_0());
    wasm_globaltype_t *global = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST);
    imports->constant = wasm_global_new(store, global, &value);
    wasm_globaltype_delete(global);
    global = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
    imports->variable = wasm_global_new(store, global, &number);
    wasm_globaltype_delete(global);
    wasm_tabletype_t *table = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
    imports->table = wasm_table_new(store, table, NULL);
    wasm_tabletype_delete(table);
    wasm_memorytype_t *memory = wasm_memorytype_new(&limits);
    imports->memory = wasm_memory_new(store, memory);
    wasm_memorytype_delete(memory);
    wasm_extern_t *items[] = {
        wasm_func_as_extern(imports->call),       wasm_func_as_extern(imports->plain),
        wasm_global_as_extern(imports->constant), wasm_global_as_extern(imports->variable),
        wasm_table_as_extern(imports->table),     wasm_memory_as_extern(imports->memory)};
    memcpy(imports->items, items, sizeof items);
}

static void close_imports(struct imports *imports)
{
    for (size_t i = 0; i < 6; i++)
        wasm_extern_delete(imports->items[i]);
}

static void shares_imports(void)
{
    struct world world;
    world_open(&world);
    struct imports imports;
    open_imports(&imports, world.store);
    wasm_extern_vec_t vec = WASM_ARRAY_VEC(imports.items);
    struct exports a;
    struct exports b;
    exports_open(&a, &world, "imports", &vec);
    exports_open(&b, &world, "imports", &vec);
    (void)call_i32(func_of(&a, "count"), 0, NULL);
    (void)call_i32(func_of(&b, "count"), 0, NULL);
    wasm_val_t value;
    wasm_global_get(imports.variable, &value);
    CHECK(value.of.i64 == 102);
    (void)call_i32(func_of(&b, "poke"), 0, NULL);
    CHECK(wasm_memory_data(imports.memory)[5] == 42);
    CHECK(wasm_memory_grow(wasm_extern_as_memory(export_of(&a, "memory")), 1));
    CHECK(wasm_memory_size(imports.memory) == 2);
    exports_close(&a);
    exports_close(&b);
    close_imports(&imports);
    world_close(&world);
}

/* What goes in comes out as the same object. */
static void exports_its_imports(void)
{
    static const char *const names[] = {"call", NULL, "const", "var", "table", "memory"};
    struct world world;
    world_open(&world);
    struct imports imports;
    open_imports(&imports, world.store);
    wasm_extern_vec_t vec = WASM_ARRAY_VEC(imports.items);
    struct exports exports;
    exports_open(&exports, &world, "imports", &vec);
    for (size_t i = 0; i < 6; i++)
        if (names[i] != NULL)
            CHECK(wasm_extern_same(export_of(&exports, names[i]), imports.items[i]));
    exports_close(&exports);
    close_imports(&imports);
    world_close(&world);
}

static wasm_instance_t *try_imports(struct world *world, size_t count, wasm_extern_t **items,
                                    wasm_trap_t **trap)
{
    wasm_module_t *module = world_module(world, "imports");
    wasm_extern_vec_t vec = {count, items};
    wasm_instance_t *instance = wasm_instance_new(world->store, module, &vec, trap);
    wasm_module_delete(module);
    return instance;
}

static void refuses_wrong_imports(void)
{
    struct world world;
    world_open(&world);
    struct imports imports;
    open_imports(&imports, world.store);
    for (size_t i = 0; i < 6; i++) {
        wasm_extern_t *items[6];
        memcpy(items, imports.items, sizeof items);
        items[i] = imports.items[(i + 1) % 6];
        wasm_trap_t *trap = NULL;
        CHECK(try_imports(&world, 6, items, &trap) == NULL);
        if (trap != NULL)
            wasm_trap_delete(trap);
        CHECK(try_imports(&world, 6, items, NULL) == NULL);
    }
    wasm_instance_t *instance = try_imports(&world, 6, imports.items, NULL);
    CHECK(instance != NULL);
    wasm_instance_delete(instance);
    close_imports(&imports);
    world_close(&world);
}

static void refuses_a_wrong_number_of_imports(void)
{
    struct world world;
    world_open(&world);
    struct imports imports;
    open_imports(&imports, world.store);
    CHECK(try_imports(&world, 5, imports.items, NULL) == NULL);
    CHECK(try_imports(&world, 0, NULL, NULL) == NULL);
    close_imports(&imports);
    world_close(&world);
}

static void says_why_it_refuses(void)
{
    struct world world;
    world_open(&world);
    struct imports imports;
    open_imports(&imports, world.store);
    imports.items[0] = imports.items[1];
    wasm_trap_t *trap = NULL;
    CHECK(try_imports(&world, 6, imports.items, &trap) == NULL);
    expect_trap(trap, "incompatible import type");
    imports.items[0] = wasm_func_as_extern(imports.call);
    close_imports(&imports);
    world_close(&world);
}

static void null_imports_are_none(void)
{
    struct world world;
    world_open(&world);
    wasm_module_t *module = world_module(&world, "plain");
    wasm_instance_t *instance = wasm_instance_new(world.store, module, NULL, NULL);
    CHECK(instance != NULL);
    wasm_instance_delete(instance);
    wasm_module_delete(module);
    world_close(&world);
}

/* --- start --------------------------------------------------------------------------------- */

static int32_t started;
static wasm_store_t *start_store;

static wasm_trap_t *start(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)results;
    started += args->data[0].of.i32;
    return start_store != NULL ? trap_of(start_store, "not yet") : NULL;
}

static void starts(void)
{
    struct world world;
    world_open(&world);
    wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new(world.store, type, start);
    wasm_functype_delete(type);
    wasm_extern_t *items[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t vec = WASM_ARRAY_VEC(items);
    wasm_instance_t *instance = world_instance(&world, "start", &vec);
    CHECK(started == 9);
    wasm_instance_delete(instance);
    start_store = world.store;
    wasm_module_t *module = world_module(&world, "start");
    wasm_trap_t *trap = NULL;
    CHECK(wasm_instance_new(world.store, module, &vec, &trap) == NULL);
    CHECK(started == 18);
    expect_trap(trap, "not yet");
    CHECK(wasm_instance_new(world.store, module, &vec, NULL) == NULL);
    wasm_module_delete(module);
    wasm_func_delete(func);
    world_close(&world);
}

/* --- lifetimes ----------------------------------------------------------------------------- */

/* Anything may be deleted first; what is left still works. */
static void deletes_in_any_order(void)
{
    struct world world;
    world_open(&world);
    wasm_instance_t *instance = world_instance(&world, "plain", NULL);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    wasm_instance_delete(instance);
    wasm_func_t *add = wasm_func_copy(wasm_extern_as_func(exports.data[4]));
    wasm_memory_t *memory = wasm_memory_copy(wasm_extern_as_memory(exports.data[0]));
    wasm_extern_vec_delete(&exports);
    wasm_engine_delete(world.engine);
    wasm_store_delete(world.store);
    int32_t args[] = {20, 22};
    CHECK(call_i32(add, 2, args) == 42);
    wasm_func_delete(add);
    CHECK(wasm_memory_data(memory)[1] == 1);
    wasm_memory_delete(memory);
}

static int finalized;

static void count(void *info)
{
    finalized += info != NULL;
}

/* As many instances as nobody keeps. */
static void finalizes_instances(void)
{
    struct world world;
    world_open(&world);
    wasm_module_t *module = world_module(&world, "finalize");
    wasm_extern_vec_t none = WASM_EMPTY_VEC;
    for (int i = 0; i < 3000; i++) {
        wasm_instance_t *instance = wasm_instance_new(world.store, module, &none, NULL);
        CHECK(instance != NULL);
        wasm_instance_set_host_info_with_finalizer(instance, &world, count);
        wasm_instance_delete(instance);
    }
    wasm_module_delete(module);
    world_close(&world);
    CHECK(finalized == 3000);
}

/* Nothing of one store gets into another. */
static void keeps_stores_apart(void)
{
    struct world world;
    world_open(&world);
    struct world other = {world.engine, wasm_store_new(world.engine)};
    struct imports here;
    struct imports there;
    open_imports(&here, world.store);
    open_imports(&there, other.store);
    for (size_t i = 0; i < 6; i++) {
        wasm_extern_t *items[6];
        memcpy(items, here.items, sizeof items);
        items[i] = there.items[i];
        CHECK(try_imports(&world, 6, items, NULL) == NULL);
    }
    close_imports(&here);
    close_imports(&there);
    wasm_store_delete(other.store);
    world_close(&world);
}

static void tables_keep_stores_apart(void)
{
    struct world world;
    world_open(&world);
    struct world other = {world.engine, wasm_store_new(world.engine)};
    struct imports here;
    struct imports there;
    open_imports(&here, world.store);
    open_imports(&there, other.store);
    CHECK(!wasm_table_set(here.table, 0, wasm_func_as_ref(there.plain)));
    CHECK(wasm_table_set(here.table, 0, wasm_func_as_ref(here.plain)));
    close_imports(&here);
    close_imports(&there);
    wasm_store_delete(other.store);
    world_close(&world);
}

const struct capi_case capi_instance_cases[] = {
    {"shares_imports", shares_imports},
    {"exports_its_imports", exports_its_imports},
    {"refuses_wrong_imports", refuses_wrong_imports},
    {"refuses_a_wrong_number_of_imports", refuses_a_wrong_number_of_imports},
    {"says_why_it_refuses", says_why_it_refuses},
    {"null_imports_are_none", null_imports_are_none},
    {"starts", starts},
    {"deletes_in_any_order", deletes_in_any_order},
    {"finalizes_instances", finalizes_instances},
    {"keeps_stores_apart", keeps_stores_apart},
    {"tables_keep_stores_apart", tables_keep_stores_apart},
    {NULL, NULL},
};
