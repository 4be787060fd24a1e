/* Handles of the standard C API in any order: each pair of bytes is a step over sixteen places that
 * hold references of any kind, in two stores at once. Whatever is done, nothing is used after it
 * is gone (the sanitizers watch), every finalizer runs exactly once, and both stores close when
 * the last handle goes. Input that begins with 0xff is a serialised module instead. */
#include <string.h>

#include <weir/capi.h>

#include "base/check.h"
#include "capi_refs_wasm.h"

#define PLACES 16u

static wasm_engine_t *engine;
static wasm_shared_module_t *shared;
static long set_count, finalized_count;

struct state {
    wasm_store_t *stores[2];
    wasm_ref_t *places[PLACES];
};

static void finalize(void *info)
{
    WEIR_ASSERT(info == &finalized_count);
    finalized_count++;
}

static wasm_trap_t *echo(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    struct state *state = env;
    wasm_val_copy(&results->data[0], &args->data[0]);
    /* A callback may drop what the caller still uses. */
    if (args->data[0].of.ref == NULL) {
        wasm_ref_delete(state->places[1]);
        state->places[1] = NULL;
    }
    return NULL;
}

static void prepare(void)
{
    engine = wasm_engine_new();
    WEIR_ASSERT(engine != NULL);
    wasm_store_t *store = wasm_store_new(engine);
    wasm_byte_vec_t bytes;
    wasm_byte_vec_new(&bytes, sizeof capi_refs_wasm, (const char *)capi_refs_wasm);
    wasm_module_t *module = wasm_module_new(store, &bytes);
    WEIR_ASSERT(module != NULL);
    shared = wasm_module_share(module);
    wasm_byte_vec_delete(&bytes);
    wasm_module_delete(module);
    wasm_store_delete(store);
}

/* Takes the reference over; what was there goes. */
static void put(struct state *state, unsigned place, wasm_ref_t *ref)
{
    wasm_ref_t *before = state->places[place % PLACES];
    state->places[place % PLACES] = ref;
    wasm_ref_delete(before);
}

static wasm_ref_t *new_func(struct state *state, wasm_store_t *store, wasm_valkind_t kind)
{
    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(kind), wasm_valtype_new(kind));
    wasm_func_t *func = wasm_func_new_with_env(store, type, echo, state, NULL);
    wasm_functype_delete(type);
    return wasm_func_as_ref(func);
}

static wasm_ref_t *new_instance(struct state *state, wasm_store_t *store)
{
    wasm_ref_t *funcs[] = {new_func(state, store, WASM_EXTERNREF),
                           new_func(state, store, WASM_FUNCREF)};
    wasm_extern_t *items[] = {wasm_ref_as_extern(funcs[0]), wasm_ref_as_extern(funcs[1])};
    wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);
    wasm_module_t *module = wasm_module_obtain(store, shared);
    wasm_instance_t *instance = wasm_instance_new(store, module, &imports, NULL);
    WEIR_ASSERT(instance != NULL);
    wasm_module_delete(module);
    wasm_ref_delete(funcs[0]);
    wasm_ref_delete(funcs[1]);
    return wasm_instance_as_ref(instance);
}

static wasm_ref_t *new_table(wasm_store_t *store, wasm_valkind_t kind, wasm_ref_t *init)
{
    wasm_limits_t limits = {2, 6};
    wasm_tabletype_t *type = wasm_tabletype_new(wasm_valtype_new(kind), &limits);
    wasm_table_t *table = wasm_table_new(store, type, init);
    wasm_tabletype_delete(type);
    return table != NULL ? wasm_table_as_ref(table) : NULL;
}

static wasm_ref_t *new_global(wasm_store_t *store, wasm_ref_t *value)
{
    wasm_val_t val = WASM_REF_VAL(value);
    wasm_globaltype_t *type = wasm_globaltype_new(wasm_valtype_new_externref(), WASM_VAR);
    wasm_global_t *global = wasm_global_new(store, type, &val);
    wasm_globaltype_delete(type);
    return global != NULL ? wasm_global_as_ref(global) : NULL;
}

static void take_export(struct state *state, unsigned place, wasm_ref_t *ref)
{
    wasm_instance_t *instance = wasm_ref_as_instance(ref);
    if (instance == NULL)
        return;
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    WEIR_ASSERT(exports.size == 13);
    put(state, place, wasm_ref_copy(wasm_extern_as_ref(exports.data[place % exports.size])));
    wasm_extern_vec_delete(&exports);
}

/* Calls what is a function with a reference, whatever it takes. */
static void call(struct state *state, unsigned place, wasm_ref_t *callee, wasm_ref_t *arg)
{
    wasm_func_t *func = wasm_func_copy(wasm_ref_as_func(callee));
    if (func == NULL)
        return;
    wasm_val_t args[2] = {WASM_I32_VAL(1), WASM_REF_VAL(arg)};
    size_t first = wasm_func_param_arity(func) == 2 ? 0 : 1;
    if (wasm_ref_as_func(arg) != NULL)
        args[1].kind = WASM_FUNCREF;
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t arg_vec = {wasm_func_param_arity(func), args + first};
    wasm_val_vec_t result_vec = {1, &result};
    wasm_trap_t *trap = wasm_func_call(func, &arg_vec, &result_vec);
    wasm_func_delete(func);
    if (trap != NULL)
        put(state, place, wasm_trap_as_ref(trap));
    else if (wasm_valkind_is_ref(result.kind))
        put(state, place, result.of.ref);
}

static void use_table(struct state *state, unsigned place, wasm_ref_t *ref, wasm_ref_t *value)
{
    wasm_table_t *table = wasm_ref_as_table(ref);
    if (table == NULL)
        return;
    (void)wasm_table_set(table, place % 8, value);
    (void)wasm_table_grow(table, place % 2, value);
    put(state, place, wasm_table_get(table, (place + 1) % 8));
}

static void use_global(struct state *state, unsigned place, wasm_ref_t *ref, wasm_ref_t *value)
{
    wasm_global_t *global = wasm_ref_as_global(ref);
    if (global == NULL)
        return;
    wasm_val_t val = WASM_REF_VAL(value);
    wasm_global_set(global, &val);
    wasm_global_get(global, &val);
    put(state, place, val.of.ref);
}

static void step(struct state *state, unsigned op, unsigned operand)
{
    unsigned place = operand % PLACES;
    wasm_store_t *store = state->stores[operand / PLACES % 2];
    wasm_ref_t *here = state->places[place];
    wasm_ref_t *next = state->places[(place + 1) % PLACES];
    switch (op % 13) {
    case 0:
        put(state, place, wasm_foreign_as_ref(wasm_foreign_new(store)));
        break;
    case 1:
        put(state, place, new_func(state, store, operand > 127 ? WASM_FUNCREF : WASM_EXTERNREF));
        break;
    case 2:
        put(state, place, new_instance(state, store));
        break;
    case 3:
        put(state, place, new_table(store, operand > 127 ? WASM_FUNCREF : WASM_EXTERNREF, next));
        break;
    case 4:
        put(state, place, new_global(store, next));
        break;
    case 5:
        take_export(state, place, next);
        break;
    case 6:
        call(state, place, here, next);
        break;
    case 7:
        use_table(state, place, next, state->places[(place + 2) % PLACES]);
        break;
    case 8:
        use_global(state, place, next, state->places[(place + 2) % PLACES]);
        break;
    case 9:
        put(state, place, wasm_ref_copy(next));
        break;
    case 10:
        if (here != NULL) {
            wasm_ref_set_host_info_with_finalizer(here, &finalized_count, finalize);
            set_count++;
        }
        break;
    case 11:
        put(state, place, wasm_module_as_ref(wasm_module_obtain(store, shared)));
        break;
    default:
        put(state, place, NULL);
        break;
    }
}

static void read_serialized(const uint8_t *data, size_t size)
{
    wasm_store_t *store = wasm_store_new(engine);
    wasm_byte_vec_t bytes;
    wasm_byte_vec_new(&bytes, size, (const char *)data);
    wasm_module_t *module = wasm_module_deserialize(store, &bytes);
    WEIR_ASSERT(module != NULL || weir_wasm_error()->status != WEIR_OK);
    wasm_module_delete(module);
    wasm_byte_vec_delete(&bytes);
    wasm_store_delete(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (engine == NULL)
        prepare();
    if (size > 0 && data[0] == 0xff) {
        read_serialized(data + 1, size - 1);
        return 0;
    }
    struct state state = {.stores = {wasm_store_new(engine), wasm_store_new(engine)}};
    WEIR_ASSERT(state.stores[0] != NULL && state.stores[1] != NULL);
    set_count = finalized_count = 0;
    for (size_t i = 0; i + 1 < size && i < 512; i += 2)
        step(&state, data[i], data[i + 1]);
    /* One store's handle first, the others outlive it. */
    wasm_store_delete(state.stores[0]);
    for (unsigned i = 0; i < PLACES; i++)
        put(&state, i, NULL);
    wasm_store_delete(state.stores[1]);
    WEIR_ASSERT(finalized_count == set_count);
    return 0;
}
