/* Traps are values: one that the host makes, one that the guest runs into; where they happened. */
#include "example.h"

static wasm_trap_t *fail(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results)
{
    (void)args;
    (void)results;
    wasm_message_t message;
    wasm_name_new_from_string_nt(&message, "the host does not want to");
    wasm_trap_t *trap = wasm_trap_new(env, &message);
    wasm_name_delete(&message);
    return trap;
}

static void print_frames(const wasm_trap_t *trap)
{
    wasm_frame_vec_t trace;
    wasm_trap_trace(trap, &trace);
    for (size_t i = 0; i < trace.size; i++)
        printf("  func %u, %#zx in it, %#zx in the module\n", wasm_frame_func_index(trace.data[i]),
               wasm_frame_func_offset(trace.data[i]), wasm_frame_module_offset(trace.data[i]));
    wasm_frame_vec_delete(&trace);
}

static void call(const wasm_extern_vec_t *exports, size_t index, const char *wanted)
{
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t args = WASM_EMPTY_VEC;
    wasm_val_vec_t results = {1, &result};
    wasm_trap_t *trap = wasm_func_call(example_func(exports, index), &args, &results);
    EXPECT(trap != NULL);
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    printf("trap: %s\n", message.data);
    EXPECT(strstr(message.data, wanted) != NULL);
    wasm_name_delete(&message);
    print_frames(trap);
    wasm_frame_t *origin = wasm_trap_origin(trap);
    EXPECT(origin != NULL);
    wasm_frame_delete(origin);
    wasm_trap_delete(trap);
}

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_functype_t *type = wasm_functype_new_0_1(wasm_valtype_new_i32());
    wasm_func_t *func = wasm_func_new_with_env(store, type, fail, store, NULL);
    wasm_functype_delete(type);
    wasm_extern_t *imports[] = {wasm_func_as_extern(func)};
    wasm_extern_vec_t exports;
    example_exports(store, module, 1, imports, &exports);
    wasm_func_delete(func);
    wasm_module_delete(module);

    call(&exports, 0, "the host does not want to");
    call(&exports, 1, "unreachable");

    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
