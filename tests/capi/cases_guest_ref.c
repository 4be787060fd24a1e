/* References in the guest's hands: externref and funcref through calls, globals and tables. */
#include "capi_case.h"

static int finalized;

static void count(void *info)
{
    finalized += info != NULL;
}

static wasm_trap_t *echo(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    wasm_val_copy(&results->data[0], &args->data[0]);
    return NULL;
}

static wasm_func_t *echo_func(wasm_store_t *store, wasm_valkind_t kind)
{
    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(kind), wasm_valtype_new(kind));
    wasm_func_t *func = wasm_func_new(store, type, echo);
    wasm_functype_delete(type);
    CHECK(func != NULL);
    return func;
}

struct guest {
    struct world world;
    struct exports exports;
};

static void open_guest(struct guest *guest)
{
    world_open(&guest->world);
    wasm_extern_t *items[] = {wasm_func_as_extern(echo_func(guest->world.store, WASM_EXTERNREF)),
                              wasm_func_as_extern(echo_func(guest->world.store, WASM_FUNCREF))};
    wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);
    exports_open(&guest->exports, &guest->world, "refs", &imports);
    wasm_extern_delete(items[0]);
    wasm_extern_delete(items[1]);
}

static void close_guest(struct guest *guest)
{
    exports_close(&guest->exports);
    world_close(&guest->world);
}

static wasm_ref_t *new_foreign(struct guest *guest, void *info)
{
    wasm_ref_t *ref = wasm_foreign_as_ref(wasm_foreign_new(guest->world.store));
    CHECK(ref != NULL);
    wasm_ref_set_host_info_with_finalizer(ref, info, count);
    return ref;
}

/* Takes `actual`, which must be the same object. */
static void expect_same(wasm_ref_t *actual, const wasm_ref_t *wanted)
{
    CHECK((actual != NULL) == (wanted != NULL));
    if (actual == NULL)
        return;
    CHECK(wasm_ref_same(actual, wanted));
    wasm_ref_delete(actual);
}

static void through_calls(void)
{
    struct guest guest;
    open_guest(&guest);
    wasm_ref_t *ref = new_foreign(&guest, &guest);
    const wasm_func_t *id = func_of(&guest.exports, "id");
    const wasm_func_t *through = func_of(&guest.exports, "through");
    expect_same(call_ref(id, NULL), NULL);
    expect_same(call_ref(id, ref), ref);
    expect_same(call_ref(through, NULL), NULL);
    expect_same(call_ref(through, ref), ref);
    wasm_ref_t *back = call_ref(through, ref);
    CHECK(wasm_ref_get_host_info(back) == &guest);
    wasm_ref_delete(back);
    wasm_ref_delete(ref);
    close_guest(&guest);
    CHECK(finalized == 1);
}

static void through_globals(void)
{
    struct guest guest;
    open_guest(&guest);
    wasm_ref_t *a = new_foreign(&guest, &guest);
    wasm_ref_t *b = new_foreign(&guest, &finalized);
    const wasm_func_t *set = func_of(&guest.exports, "set");
    const wasm_func_t *get = func_of(&guest.exports, "get");
    expect_same(call_ref(get, NULL), NULL);
    (void)call_ref(set, a);
    expect_same(call_ref(get, NULL), a);
    wasm_global_t *global = wasm_extern_as_global(export_of(&guest.exports, "g"));
    wasm_val_t val;
    wasm_global_get(global, &val);
    CHECK(val.kind == WASM_EXTERNREF);
    expect_same(val.of.ref, a);
    val.of.ref = b;
    wasm_global_set(global, &val);
    expect_same(call_ref(get, NULL), b);
    val.of.ref = NULL;
    wasm_global_set(global, &val);
    expect_same(call_ref(get, NULL), NULL);
    wasm_ref_delete(a);
    wasm_ref_delete(b);
    close_guest(&guest);
    CHECK(finalized == 2);
}

static void through_tables(void)
{
    struct guest guest;
    open_guest(&guest);
    wasm_ref_t *a = new_foreign(&guest, &guest);
    wasm_table_t *table = wasm_extern_as_table(export_of(&guest.exports, "table"));
    CHECK(wasm_table_set(table, 2, a));
    expect_same(wasm_table_get(table, 2), a);
    wasm_val_t args[] = {WASM_I32_VAL(2)};
    wasm_val_t results[] = {WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
    CHECK(wasm_func_call(func_of(&guest.exports, "take"), &arg_vec, &result_vec) == NULL);
    expect_same(results[0].of.ref, a);
    wasm_val_t put[] = {WASM_I32_VAL(1), WASM_REF_VAL(a)};
    wasm_val_vec_t put_vec = WASM_ARRAY_VEC(put);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    CHECK(wasm_func_call(func_of(&guest.exports, "put"), &put_vec, &none) == NULL);
    expect_same(wasm_table_get(table, 1), a);
    CHECK(wasm_table_grow(table, 2, a));
    expect_same(wasm_table_get(table, 5), a);
    wasm_ref_delete(a);
    close_guest(&guest);
    CHECK(finalized == 1);
}

/* Only the guest has it, and gives it back whole. */
static void guest_keeps_references(void)
{
    struct guest guest;
    open_guest(&guest);
    wasm_ref_t *ref = new_foreign(&guest, &guest);
    (void)call_ref(func_of(&guest.exports, "set"), ref);
    wasm_ref_delete(ref);
    for (int i = 0; i < 2000; i++) { /* many others come and go meanwhile */
        wasm_ref_t *other = new_foreign(&guest, &guest);
        expect_same(call_ref(func_of(&guest.exports, "id"), other), other);
        wasm_ref_delete(other);
    }
    wasm_ref_t *back = call_ref(func_of(&guest.exports, "get"), NULL);
    CHECK(back != NULL && wasm_ref_get_host_info(back) == &guest);
    wasm_ref_delete(back);
    close_guest(&guest);
    CHECK(finalized == 2001);
}

/* Any object of the store is an external reference. */
static void any_object_is_a_reference(void)
{
    struct guest guest;
    open_guest(&guest);
    const wasm_func_t *id = func_of(&guest.exports, "id");
    wasm_trap_t *trap = trap_of(guest.world.store, "an object");
    wasm_module_t *module = world_module(&guest.world, "plain");
    wasm_instance_t *instance = world_instance(&guest.world, "plain", NULL);
    wasm_ref_t *refs[] = {
        wasm_trap_as_ref(trap),
        wasm_module_as_ref(module),
        wasm_instance_as_ref(instance),
        wasm_extern_as_ref(export_of(&guest.exports, "table")),
        wasm_extern_as_ref(export_of(&guest.exports, "g")),
        wasm_func_as_ref(func_of(&guest.exports, "id")),
    };
    for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++)
        expect_same(call_ref(id, refs[i]), refs[i]);
    wasm_trap_delete(trap);
    wasm_module_delete(module);
    wasm_instance_delete(instance);
    close_guest(&guest);
}

static wasm_trap_t *call_with_func(const wasm_func_t *func, wasm_ref_t *arg, wasm_ref_t **ret)
{
    wasm_val_t args[] = {WASM_REF_VAL(arg)};
    args[0].kind = WASM_FUNCREF;
    wasm_val_t results[] = {WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = {wasm_func_result_arity(func), results};
    wasm_trap_t *trap = wasm_func_call(func, &arg_vec, &result_vec);
    *ret = results[0].of.ref;
    return trap;
}

static void functions_are_references(void)
{
    struct guest guest;
    open_guest(&guest);
    wasm_ref_t *func = wasm_func_as_ref(func_of(&guest.exports, "id"));
    wasm_ref_t *back = NULL;
    CHECK(call_with_func(func_of(&guest.exports, "pass"), func, &back) == NULL);
    expect_same(back, func);
    CHECK(call_with_func(func_of(&guest.exports, "pass"), NULL, &back) == NULL && back == NULL);
    CHECK(call_with_func(func_of(&guest.exports, "keep"), func, &back) == NULL);
    wasm_val_t val;
    wasm_global_get(wasm_extern_as_global(export_of(&guest.exports, "f")), &val);
    CHECK(val.kind == WASM_FUNCREF && wasm_ref_as_func(val.of.ref) != NULL);
    expect_same(val.of.ref, func);
    close_guest(&guest);
}

static void foreign_objects_are_no_functions(void)
{
    struct guest guest;
    open_guest(&guest);
    wasm_ref_t *ref = new_foreign(&guest, &guest);
    wasm_ref_t *back = NULL;
    wasm_trap_t *trap = call_with_func(func_of(&guest.exports, "pass"), ref, &back);
    CHECK(trap != NULL);
    wasm_trap_delete(trap);
    wasm_ref_delete(ref);
    close_guest(&guest);
}

static void references_stay_in_their_store(void)
{
    struct guest guest;
    struct guest other;
    open_guest(&guest);
    open_guest(&other);
    wasm_ref_t *ref = new_foreign(&other, &other);
    wasm_val_t args[] = {WASM_REF_VAL(ref)};
    wasm_val_t results[] = {WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
    wasm_trap_t *trap = wasm_func_call(func_of(&guest.exports, "id"), &arg_vec, &result_vec);
    CHECK(trap != NULL);
    wasm_trap_delete(trap);
    CHECK(!wasm_table_set(wasm_extern_as_table(export_of(&guest.exports, "table")), 0, ref));
    wasm_ref_delete(ref);
    close_guest(&other);
    close_guest(&guest);
}

static void globals_of_references(void)
{
    struct guest guest;
    open_guest(&guest);
    wasm_ref_t *ref = new_foreign(&guest, &guest);
    wasm_val_t val = WASM_REF_VAL(ref);
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_externref(), WASM_VAR);
    wasm_global_t *global = wasm_global_new(guest.world.store, type, &val);
    wasm_globaltype_delete(type);
    CHECK(global != NULL);
    wasm_ref_delete(ref);
    wasm_global_get(global, &val);
    CHECK(wasm_ref_get_host_info(val.of.ref) == &guest);
    wasm_val_delete(&val);
    wasm_global_delete(global);
    close_guest(&guest);
    CHECK(finalized == 1);
}

const struct capi_case capi_guest_ref_cases[] = {
    {"through_calls", through_calls},
    {"through_globals", through_globals},
    {"through_tables", through_tables},
    {"guest_keeps_references", guest_keeps_references},
    {"any_object_is_a_reference", any_object_is_a_reference},
    {"functions_are_references", functions_are_references},
    {"foreign_objects_are_no_functions", foreign_objects_are_no_functions},
    {"references_stay_in_their_store", references_stay_in_their_store},
    {"globals_of_references", globals_of_references},
    {NULL, NULL},
};
