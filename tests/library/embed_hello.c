/* What an embedder writes first, built from outside the tree by library_install.py: Weir's own API
 * and the standard one in a program. */
#include <stdio.h>
#include <string.h>

#include <wasm.h>
#include <weir/capi.h>
#include <weir/weir.h>

/* (module (func (export "f") (result i32) (i32.const 42))) */
static const char module_bytes[] = "\0asm\1\0\0\0\1\5\1\x60\0\1\x7f\3\2\1\0\7\5\1\1f\0\0\xa\6\1\4\0"
                                   "\x41\x2a\xb";

static int fail(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, weir_wasm_error()->message);
    return 1;
}

int main(void)
{
    wasm_engine_t *engine = wasm_engine_new();
    if (engine == NULL)
        return fail("engine");
    wasm_store_t *store = wasm_store_new(engine);
    wasm_byte_vec_t bytes;
    wasm_byte_vec_new(&bytes, sizeof module_bytes - 1, module_bytes);
    wasm_module_t *module = wasm_module_new(store, &bytes);
    wasm_byte_vec_delete(&bytes);
    if (module == NULL)
        return fail("module");
    wasm_instance_t *instance = wasm_instance_new(store, module, NULL, NULL);
    if (instance == NULL)
        return fail("instance");
    struct weir_extern item;
    union weir_value result = {0};
    if (weir_instance_export(weir_wasm_instance(instance), "f", 1, &item) != WEIR_OK ||
        weir_func_call(weir_wasm_store(store), item.func, NULL, &result, NULL, NULL) != WEIR_OK)
        return fail("call");
    printf("%d\n", result.i32);
    wasm_instance_delete(instance);
    wasm_module_delete(module);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return result.i32 == 42 ? 0 : 1;
}
