/* A module that goes through bytes, as it would through a file. */
#include "example.h"

static int32_t said;

static wasm_trap_t *hello(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)results;
    said = args->data[0].of.i32;
    return NULL;
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);

    wasm_byte_vec_t bytes;
    wasm_module_serialize(module, &bytes);
    wasm_module_delete(module);
    printf("%zu bytes\n", bytes.size);
    module = wasm_module_deserialize(store, &bytes);
    EXPECT(module != NULL);
    bytes.data[bytes.size / 2] = (char)~bytes.data[bytes.size / 2];
    wasm_byte_vec_delete(&bytes);

    wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new(store, type, hello);
    wasm_functype_delete(type);
    wasm_extern_t *imports[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t exports;
    example_exports(store, module, 1, imports, &exports);
    wasm_func_delete(func);
    wasm_module_delete(module);
    (void)example_call(example_func(&exports, 0), 0, NULL);
    EXPECT(said == 42);

    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
