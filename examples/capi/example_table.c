/* A table of handlers that host and guest fill together. */
#include "example.h"

static wasm_trap_t *negate(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    wasm_val_t value = WASM_I32_VAL(-args->data[0].of.i32);
    results->data[0] = value;
    return NULL;
}

static int32_t dispatch(const wasm_extern_vec_t *exports, int32_t handler, int32_t x)
{
    const int32_t numbers[] = {handler, x};
    return example_call(example_func(exports, 2), 2, numbers);
}

static bool dispatch_traps(const wasm_extern_vec_t *exports, int32_t handler)
{
    const int32_t numbers[] = {handler, 0};
    return example_traps(example_func(exports, 2), 2, numbers);
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_extern_vec_t exports;
    example_exports(store, module, 0, NULL, &exports);
    wasm_module_delete(module);

    wasm_table_t *handlers = wasm_extern_as_table(exports.data[0]);
    EXPECT(wasm_table_size(handlers) == 2);
    EXPECT(dispatch(&exports, 1, 21) == 42);
    EXPECT(dispatch_traps(&exports, 0)); /* nothing there */
    EXPECT(dispatch_traps(&exports, 2)); /* out of bounds */

    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new(store, type, negate);
    wasm_functype_delete(type);
    EXPECT(wasm_table_set(handlers, 0, wasm_func_as_ref(func)));
    wasm_func_delete(func); /* the table has it */
    EXPECT(dispatch(&exports, 0, 5) == -5);
    printf("handler 0 makes 5 to %d, handler 1 to %d\n", dispatch(&exports, 0, 5),
           dispatch(&exports, 1, 5));

    wasm_ref_t *doubling = wasm_table_get(handlers, 1);
    EXPECT(wasm_table_grow(handlers, 3, doubling));
    wasm_ref_delete(doubling);
    EXPECT(dispatch(&exports, 4, 8) == 16);
    EXPECT(!wasm_table_grow(handlers, 2, NULL)); /* six at most */
    EXPECT(wasm_table_set(handlers, 4, NULL));
    EXPECT(dispatch_traps(&exports, 4));

    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
