/* A start function that traps: there is no instance, but a reason and a place. */
#include "example.h"

static int32_t readiness;

static wasm_trap_t *ready(const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)results;
    readiness = args->data[0].of.i32;
    return NULL;
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new(store, type, ready);
    wasm_functype_delete(type);
    wasm_extern_t *items[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t imports = WASM_ARRAY_VEC(items);

    wasm_trap_t *trap = NULL;
    EXPECT(wasm_instance_new(store, module, &imports, &trap) == NULL);
    EXPECT(trap != NULL && readiness == 1);
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    printf("no instance: %s\n", message.data);
    EXPECT(strstr(message.data, "out of bounds") != NULL);
    wasm_name_delete(&message);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    EXPECT(origin != NULL && wasm_frame_func_index(origin) == 1);
    wasm_frame_delete(origin);
    wasm_trap_delete(trap);

    wasm_func_delete(func);
    wasm_module_delete(module);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
