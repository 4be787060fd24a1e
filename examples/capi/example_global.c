/* Globals in both directions: the host's constant and variable, the guest's own. */
#include "example.h"

static wasm_global_t *new_global(wasm_store_t *store, wasm_valtype_t *content,
                                 wasm_mutability_t mutability, wasm_val_t value)
{
    wasm_globaltype_t *type = wasm_globaltype_new(content, mutability);
    wasm_global_t *global = wasm_global_new(store, type, &value);
    wasm_globaltype_delete(type);
    EXPECT(global != NULL);
    return global;
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);

    wasm_val_t rate_value = WASM_F64_VAL(1.5);
    wasm_val_t total_value = WASM_I64_VAL(100);
    wasm_global_t *rate = new_global(store, wasm_valtype_new_f64(), WASM_CONST, rate_value);
    wasm_global_t *total = new_global(store, wasm_valtype_new_i64(), WASM_VAR, total_value);
    wasm_extern_t *imports[] = {wasm_global_as_extern(rate), wasm_global_as_extern(total)};
    wasm_extern_vec_t exports;
    example_exports(store, module, 2, imports, &exports);
    wasm_module_delete(module);

    const int32_t amount = 10;
    EXPECT(example_call(example_func(&exports, 1), 1, &amount) == 1);
    wasm_val_t value;
    wasm_global_get(total, &value);
    printf("the total is %lld\n", (long long)value.of.i64);
    EXPECT(value.of.i64 == 115);

    wasm_global_t *calls = wasm_extern_as_global(exports.data[0]);
    wasm_val_t seven = WASM_I32_VAL(7);
    wasm_global_set(calls, &seven);
    EXPECT(example_call(example_func(&exports, 1), 1, &amount) == 8);
    wasm_global_get(total, &value);
    EXPECT(value.of.i64 == 130);

    wasm_global_delete(rate);
    wasm_global_delete(total);
    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
