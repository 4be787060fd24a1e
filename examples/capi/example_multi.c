/* Several results, of several types, in both directions. */
#include "example.h"

static wasm_trap_t *swap(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    for (size_t i = 0; i < 3; i++)
        wasm_val_copy(&results->data[i], &args->data[2 - i]);
    return NULL;
}

static wasm_functype_t *swap_type(void)
{
    wasm_valtype_t *ps[] = {wasm_valtype_new_i32(), wasm_valtype_new_i64(), wasm_valtype_new_f32()};
    wasm_valtype_t *rs[] = {wasm_valtype_new_f32(), wasm_valtype_new_i64(), wasm_valtype_new_i32()};
    wasm_valtype_vec_t params;
    wasm_valtype_vec_t results;
    wasm_valtype_vec_new(&params, 3, ps);
    wasm_valtype_vec_new(&results, 3, rs);
    return wasm_functype_new(&params, &results);
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_functype_t *type = swap_type();
    wasm_func_t *func = wasm_func_new(store, type, swap);
    wasm_functype_delete(type);
    wasm_extern_t *imports[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t exports;
    example_exports(store, module, 1, imports, &exports);
    wasm_func_delete(func);
    wasm_module_delete(module);

    wasm_val_t args[] = {WASM_I32_VAL(1), WASM_I64_VAL(2), WASM_F32_VAL(3)};
    wasm_val_t results[] = {WASM_INIT_VAL, WASM_INIT_VAL, WASM_INIT_VAL};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t result_vec = WASM_ARRAY_VEC(results);
    EXPECT(wasm_func_call(example_func(&exports, 0), &arg_vec, &result_vec) == NULL);
    printf("%d, %lld, %g\n", results[0].of.i32, (long long)results[1].of.i64,
           (double)results[2].of.f32);
    EXPECT(results[0].kind == WASM_I32 && results[0].of.i32 == 1);
    EXPECT(results[1].kind == WASM_I64 && results[1].of.i64 == 2);
    EXPECT(results[2].kind == WASM_F32 && results[2].of.f32 == 3);

    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
