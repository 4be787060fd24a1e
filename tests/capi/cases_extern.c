/* Globals, tables and memories: the guest's, and the host's own. */
#include "capi_case.h"

static wasm_global_t *new_global(wasm_store_t *store, wasm_valkind_t kind, wasm_mutability_t mut,
                                 wasm_val_t value)
{
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new(kind), mut);
    wasm_global_t *global = wasm_global_new(store, type, &value);
    wasm_globaltype_delete(type);
    return global;
}

static void globals(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_global_t *global = wasm_extern_as_global(export_of(&exports, "g"));
    wasm_val_t value;
    wasm_global_get(global, &value);
    CHECK(value.kind == WASM_I64 && value.of.i64 == 7);
    value.of.i64 = INT64_MAX;
    wasm_global_set(global, &value);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t results = {1, &result};
    CHECK(wasm_func_call(func_of(&exports, "get"), &none, &results) == NULL);
    CHECK(result.of.i64 == INT64_MAX);
    wasm_globaltype_t *type = wasm_global_type(global);
    CHECK(wasm_valtype_kind(wasm_globaltype_content(type)) == WASM_I64);
    CHECK(wasm_globaltype_mutability(type) == WASM_VAR);
    wasm_globaltype_delete(type);
    wasm_global_get(wasm_extern_as_global(export_of(&exports, "c")), &value);
    CHECK(value.kind == WASM_F32 && value.of.f32 == 1.5f);
    exports_close(&exports);
    world_close(&world);
}

static void globals_of_the_host(void)
{
    struct world world;
    world_open(&world);
    const wasm_val_t values[] = {WASM_I32_VAL(-3), WASM_I64_VAL(INT64_MIN), WASM_F32_VAL(2.5f),
                                 WASM_F64_VAL(-1e-300)};
    for (wasm_valkind_t kind = WASM_I32; kind <= WASM_F64; kind++) {
        wasm_global_t *global = new_global(world.store, kind, WASM_VAR, values[kind]);
        wasm_val_t value;
        wasm_global_get(global, &value);
        CHECK(value.kind == kind);
        CHECK(kind != WASM_I32 || value.of.i32 == -3);
        CHECK(kind != WASM_I64 || value.of.i64 == INT64_MIN);
        CHECK(kind != WASM_F32 || value.of.f32 == 2.5f);
        CHECK(kind != WASM_F64 || value.of.f64 == -1e-300);
        wasm_global_delete(global);
    }
    world_close(&world);
}

/* What cannot be set stays as it is. */
static void globals_refuse(void)
{
    struct world world;
    world_open(&world);
    wasm_global_t *constant =
        new_global(world.store, WASM_I32, WASM_CONST, (wasm_val_t)WASM_I32_VAL(1));
    wasm_val_t value = WASM_I32_VAL(2);
    wasm_global_set(constant, &value);
    wasm_global_get(constant, &value);
    CHECK(value.of.i32 == 1);
    wasm_global_t *variable =
        new_global(world.store, WASM_I32, WASM_VAR, (wasm_val_t)WASM_I32_VAL(1));
    wasm_val_t wide = WASM_I64_VAL(2);
    wasm_global_set(variable, &wide);
    wasm_global_get(variable, &value);
    CHECK(value.kind == WASM_I32 && value.of.i32 == 1);
    CHECK(new_global(world.store, WASM_F32, WASM_VAR, wide) == NULL);
    wasm_global_delete(constant);
    wasm_global_delete(variable);
    world_close(&world);
}

static int32_t call_at(const struct exports *exports, int32_t arg, int32_t index)
{
    int32_t args[] = {arg, index};
    return call_i32(func_of(exports, "call"), 2, args);
}

static bool is_set(wasm_table_t *table, wasm_table_size_t index)
{
    wasm_ref_t *ref = wasm_table_get(table, index);
    if (ref == NULL)
        return false;
    wasm_ref_delete(ref);
    return true;
}

static void tables(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_table_t *table = wasm_extern_as_table(export_of(&exports, "table"));
    CHECK(wasm_table_size(table) == 2);
    CHECK(!is_set(table, 0) && is_set(table, 1));
    CHECK(call_at(&exports, 7, 1) == 7);
    CHECK(wasm_table_set(table, 0, wasm_func_as_ref(func_of(&exports, "h"))));
    CHECK(wasm_table_set(table, 1, NULL));
    CHECK(call_at(&exports, 7, 0) == 666 && !is_set(table, 1));
    CHECK(!wasm_table_set(table, 2, NULL));
    CHECK(wasm_table_get(table, 2) == NULL);
    CHECK(wasm_table_grow(table, 3, wasm_func_as_ref(func_of(&exports, "f"))));
    CHECK(wasm_table_size(table) == 5);
    for (int32_t i = 2; i < 5; i++)
        CHECK(call_at(&exports, i, i) == i);
    CHECK(!wasm_table_grow(table, 6, NULL));
    CHECK(wasm_table_grow(table, 0, NULL) && wasm_table_size(table) == 5);
    CHECK(wasm_table_grow(table, 5, NULL) && !is_set(table, 9));
    exports_close(&exports);
    world_close(&world);
}

static wasm_trap_t *negate(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    results->data[0].kind = WASM_I32;
    results->data[0].of.i32 = -args->data[0].of.i32;
    return NULL;
}

static void tables_hold_host_functions(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_table_t *table = wasm_extern_as_table(export_of(&exports, "table"));
    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new(world.store, type, negate);
    wasm_functype_delete(type);
    CHECK(wasm_table_set(table, 0, wasm_func_as_ref(func)));
    wasm_func_delete(func);
    CHECK(call_at(&exports, 6, 0) == -6);
    exports_close(&exports);
    world_close(&world);
}

static void tables_give_what_they_hold(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_table_t *table = wasm_extern_as_table(export_of(&exports, "table"));
    wasm_ref_t *ref = wasm_table_get(table, 1);
    wasm_func_t *func = func_of(&exports, "f");
    CHECK(wasm_ref_same(ref, wasm_func_as_ref(func)));
    int32_t arg = 12;
    CHECK(call_i32(wasm_ref_as_func(ref), 1, &arg) == 12);
    wasm_ref_delete(ref);
    exports_close(&exports);
    world_close(&world);
}

static wasm_table_t *new_table(wasm_store_t *store, wasm_valkind_t kind, wasm_limits_t limits,
                               wasm_ref_t *init)
{
    wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new(kind), &limits);
    wasm_table_t *table = wasm_table_new(store, type, init);
    wasm_tabletype_delete(type);
    return table;
}

static void tables_of_the_host(void)
{
    struct world world;
    world_open(&world);
    wasm_table_t *table = new_table(world.store, WASM_FUNCREF, (wasm_limits_t){5, 5}, NULL);
    CHECK(wasm_table_size(table) == 5 && !is_set(table, 0) && !is_set(table, 4));
    CHECK(!wasm_table_grow(table, 1, NULL) && wasm_table_grow(table, 0, NULL));
    wasm_tabletype_t *type = wasm_table_type(table);
    CHECK(wasm_valtype_kind(wasm_tabletype_element(type)) == WASM_FUNCREF);
    CHECK(wasm_tabletype_limits(type)->min == 5 && wasm_tabletype_limits(type)->max == 5);
    wasm_tabletype_delete(type);
    wasm_table_delete(table);
    table = new_table(world.store, WASM_FUNCREF, (wasm_limits_t){0, wasm_limits_max_default}, NULL);
    CHECK(wasm_table_size(table) == 0 && wasm_table_grow(table, 100, NULL) && !is_set(table, 99));
    wasm_table_delete(table);
    world_close(&world);
}

static void tables_begin_with(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_table_t *table = new_table(world.store, WASM_FUNCREF, (wasm_limits_t){5, 6},
                                    wasm_func_as_ref(func_of(&exports, "f")));
    CHECK(wasm_table_size(table) == 5 && is_set(table, 0) && is_set(table, 4));
    wasm_table_delete(table);
    exports_close(&exports);
    world_close(&world);
}

static void limits_that_contradict(void)
{
    struct world world;
    world_open(&world);
    CHECK(new_table(world.store, WASM_FUNCREF, (wasm_limits_t){6, 5}, NULL) == NULL);
    wasm_limits_t limits = {3, 2};
    wasm_memorytype_t *type = wasm_memorytype_new(&limits);
    CHECK(wasm_memory_new(world.store, type) == NULL);
    wasm_memorytype_delete(type);
    world_close(&world);
}

/* A table of functions holds functions. */
static void tables_refuse(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_table_t *table = wasm_extern_as_table(export_of(&exports, "table"));
    wasm_ref_t *foreign = wasm_foreign_as_ref(wasm_foreign_new(world.store));
    CHECK(!wasm_table_set(table, 0, foreign));
    CHECK(!wasm_table_grow(table, 1, foreign));
    CHECK(!is_set(table, 0) && wasm_table_size(table) == 2);
    CHECK(new_table(world.store, WASM_FUNCREF, (wasm_limits_t){1, 1}, foreign) == NULL);
    wasm_ref_delete(foreign);
    exports_close(&exports);
    world_close(&world);
}

static void memories(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_memory_t *memory = wasm_extern_as_memory(export_of(&exports, "memory"));
    byte_t *data = wasm_memory_data(memory);
    CHECK(wasm_memory_size(memory) == 2);
    CHECK(wasm_memory_data_size(memory) == 2 * MEMORY_PAGE_SIZE);
    CHECK(data[0] == 0 && data[1] == 1 && data[3] == 3 && data[4] == 0);
    int32_t at = 0x1ffff;
    data[at] = 99;
    CHECK(call_i32(func_of(&exports, "load"), 1, &at) == 99);
    int32_t args[] = {500, 42};
    (void)call_i32(func_of(&exports, "store"), 2, args);
    CHECK(data[500] == 42);
    CHECK(wasm_memory_grow(memory, 1) && wasm_memory_size(memory) == 3);
    CHECK(call_i32(func_of(&exports, "size"), 0, NULL) == 3);
    CHECK(wasm_memory_data(memory)[500] == 42 && wasm_memory_data(memory)[0x2ffff] == 0);
    CHECK(!wasm_memory_grow(memory, 1) && wasm_memory_grow(memory, 0));
    wasm_memorytype_t *type = wasm_memory_type(memory);
    CHECK(wasm_memorytype_limits(type)->max == 3);
    wasm_memorytype_delete(type);
    exports_close(&exports);
    world_close(&world);
}

static void memories_stay(void)
{
    struct world world;
    struct exports exports;
    world_open(&world);
    exports_open(&exports, &world, "plain", NULL);
    wasm_memory_t *memory = wasm_extern_as_memory(export_of(&exports, "memory"));
    byte_t *data = wasm_memory_data(memory);
    int32_t one = 1;
    CHECK(call_i32(func_of(&exports, "grow"), 1, &one) == 2);
    CHECK(wasm_memory_data(memory) == data);
    CHECK(wasm_memory_data_size(memory) == 3 * MEMORY_PAGE_SIZE);
    data[0x2ffff] = 5;
    int32_t at = 0x2ffff;
    CHECK(call_i32(func_of(&exports, "load"), 1, &at) == 5);
    exports_close(&exports);
    world_close(&world);
}

static wasm_memory_t *new_memory(wasm_store_t *store, wasm_limits_t limits)
{
    wasm_memorytype_t *type = wasm_memorytype_new(&limits);
    wasm_memory_t *memory = wasm_memory_new(store, type);
    wasm_memorytype_delete(type);
    return memory;
}

static void memories_of_the_host(void)
{
    struct world world;
    world_open(&world);
    wasm_memory_t *memory = new_memory(world.store, (wasm_limits_t){1, 2});
    memset(wasm_memory_data(memory), 1, wasm_memory_data_size(memory));
    CHECK(wasm_memory_grow(memory, 1) && !wasm_memory_grow(memory, 1));
    wasm_memory_delete(memory);
    memory = new_memory(world.store, (wasm_limits_t){0, wasm_limits_max_default});
    CHECK(wasm_memory_size(memory) == 0 && wasm_memory_data_size(memory) == 0);
    CHECK(wasm_memory_grow(memory, 3) && wasm_memory_size(memory) == 3);
    wasm_memory_delete(memory);
    world_close(&world);
}

const struct capi_case capi_extern_cases[] = {
    {"globals", globals},
    {"globals_of_the_host", globals_of_the_host},
    {"globals_refuse", globals_refuse},
    {"tables", tables},
    {"tables_hold_host_functions", tables_hold_host_functions},
    {"tables_give_what_they_hold", tables_give_what_they_hold},
    {"tables_of_the_host", tables_of_the_host},
    {"tables_begin_with", tables_begin_with},
    {"tables_refuse", tables_refuse},
    {"limits_that_contradict", limits_that_contradict},
    {"memories", memories},
    {"memories_stay", memories_stay},
    {"memories_of_the_host", memories_of_the_host},
    {NULL, NULL},
};
