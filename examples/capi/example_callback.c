/* Two callbacks: a plain one, and one with an environment that is given back at the end. */
#include "example.h"

static wasm_trap_t *print(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    printf("the guest says %d\n", args->data[0].of.i32);
    wasm_val_copy(&results->data[0], &args->data[0]);
    return NULL;
}

static wasm_trap_t *bump(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)args;
    int *counter = env;
    wasm_val_t value = WASM_I32_VAL(++*counter);
    results->data[0] = value;
    return NULL;
}

static bool is_finalized;

static void finalize(void *env)
{
    printf("the counter ends at %d\n", *(int *)env);
    free(env);
    is_finalized = true;
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);

    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    wasm_func_t *print_func = wasm_func_new(store, type, print);
    wasm_functype_delete(type);
    int *counter = malloc(sizeof *counter);
    EXPECT(counter != NULL);
    *counter = 41;
    type = wasm_functype_new_0_1(wasm_valtype_new_i32());
    wasm_func_t *bump_func = wasm_func_new_with_env(store, type, bump, counter, finalize);
    wasm_functype_delete(type);

    wasm_extern_t *imports[] = {wasm_func_as_extern(print_func), wasm_func_as_extern(bump_func)};
    wasm_extern_vec_t exports;
    example_exports(store, module, 2, imports, &exports);
    wasm_func_delete(print_func);
    wasm_func_delete(bump_func);
    wasm_module_delete(module);

    const int32_t numbers[] = {3, 4};
    int32_t sum = example_call(example_func(&exports, 0), 2, numbers);
    printf("the guest answers %d\n", sum);
    EXPECT(sum == 3 + 4 + 42);

    wasm_extern_vec_delete(&exports);
    EXPECT(!is_finalized);
    wasm_store_delete(store);
    EXPECT(is_finalized);
    wasm_engine_delete(engine);
    return 0;
}
