/* Objects of the host in a guest's hands: it can keep and hand on, but not look inside. */
#include "example.h"

static wasm_ref_t *new_host_object(wasm_store_t *store, const char *name)
{
    wasm_foreign_t *foreign = wasm_foreign_new(store);
    EXPECT(foreign != NULL);
    wasm_foreign_set_host_info(foreign, (void *)(uintptr_t)name);
    return wasm_foreign_as_ref(foreign);
}

/* Takes the reference, which must be this object. */
static void expect_named(wasm_ref_t *ref, const char *name)
{
    EXPECT(ref != NULL && wasm_ref_get_host_info(ref) == name);
    printf("%s\n", name);
    wasm_ref_delete(ref);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"a socket", "a file"};
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_extern_vec_t exports;
    example_exports(store, module, 0, NULL, &exports);
    wasm_module_delete(module);
    wasm_global_t *kept = wasm_extern_as_global(exports.data[0]);
    wasm_table_t *all = wasm_extern_as_table(exports.data[1]);

    wasm_ref_t *socket = new_host_object(store, names[0]);
    wasm_ref_t *file = new_host_object(store, names[1]);
    EXPECT(!wasm_ref_same(socket, file));
    EXPECT(wasm_table_set(all, 0, socket) && wasm_table_set(all, 3, file));
    const int32_t places[] = {0, 3};
    (void)example_call(example_func(&exports, 3), 2, places);
    expect_named(wasm_table_get(all, 0), names[1]);
    expect_named(wasm_table_get(all, 3), names[0]);

    wasm_val_t args[] = {WASM_REF_VAL(file)};
    wasm_val_vec_t arg_vec = WASM_ARRAY_VEC(args);
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    EXPECT(wasm_func_call(example_func(&exports, 2), &arg_vec, &none) == NULL);
    wasm_ref_delete(file); /* the guest has it */
    wasm_ref_delete(socket);
    wasm_val_t value;
    wasm_global_get(kept, &value);
    EXPECT(value.kind == WASM_EXTERNREF);
    expect_named(value.of.ref, names[1]);

    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
