/* The smallest whole program: a guest that calls the host. */
#include "example.h"

static wasm_trap_t *hello(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)args;
    (void)results;
    puts("hello from the guest");
    return NULL;
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);

    wasm_functype_t *type = wasm_functype_new_0_0();
    wasm_func_t *func = wasm_func_new(store, type, hello);
    wasm_functype_delete(type);

    wasm_extern_t *imports[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t exports;
    example_exports(store, module, 1, imports, &exports);
    wasm_func_delete(func);
    wasm_module_delete(module);

    wasm_val_vec_t none = WASM_EMPTY_VEC;
    EXPECT(wasm_func_call(example_func(&exports, 0), &none, &none) == NULL);

    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
