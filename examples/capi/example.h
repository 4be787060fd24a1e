/* What every example needs and no reader came for: reading a module's file, giving up with a
 * reason, and vectors on the stack. Each program takes the path of its module; all of them compile
 * with any <wasm.h>. */
#ifndef WEIR_EXAMPLE_H
#define WEIR_EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>

#include <wasm.h>

static inline void example_check(bool is_good, const char *what)
{
    if (is_good)
        return;
    (void)fprintf(stderr, "this went wrong: %s\n", what);
    exit(EXIT_FAILURE);
}

/* Ends the program unless it holds. */
#define EXPECT(x) example_check((x), #x)

/* The bytes of a file. */
static inline wasm_byte_vec_t example_read(const char *path)
{
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    example_check(file != NULL, "the module's file can be opened (give its path)");
    (void)fseek(file, 0, SEEK_END);
    long size = ftell(file);
    (void)fseek(file, 0, SEEK_SET);
    wasm_byte_vec_t bytes;
    wasm_byte_vec_new_uninitialized(&bytes, size > 0 ? (size_t)size : 0);
    example_check(fread(bytes.data, 1, bytes.size, file) == bytes.size, "the file can be read");
    (void)fclose(file);
    return bytes;
}

static inline wasm_module_t *example_module(wasm_store_t *store, const char *path)
{
    wasm_byte_vec_t bytes = example_read(path);
    wasm_module_t *module = wasm_module_new(store, &bytes);
    wasm_byte_vec_delete(&bytes);
    example_check(module != NULL, "the module compiles");
    return module;
}

/* An instance of the module with these imports; its exports in `out`, to be deleted. */
static inline void example_exports(wasm_store_t *store, const wasm_module_t *module, size_t count,
                                   wasm_extern_t **imports, wasm_extern_vec_t *out)
{
    wasm_extern_vec_t list = {count, imports};
    wasm_instance_t *instance = wasm_instance_new(store, module, &list, NULL);
    example_check(instance != NULL, "the module can be instantiated");
    wasm_instance_exports(instance, out);
    wasm_instance_delete(instance); /* its exports keep what they need */
}

static inline const wasm_func_t *example_func(const wasm_extern_vec_t *exports, size_t index)
{
    example_check(index < exports->size && wasm_extern_as_func(exports->data[index]) != NULL,
                  "an export is a function");
    return wasm_extern_as_func(exports->data[index]);
}

/* Calls a function of i32s with at most one result. */
static inline wasm_trap_t *example_try(const wasm_func_t *func, size_t count,
                                       const int32_t *numbers, wasm_val_t *result)
{
    wasm_val_t args[4];
    for (size_t i = 0; i < count; i++) {
        args[i].kind = WASM_I32;
        args[i].of.i32 = numbers[i];
    }
    wasm_val_vec_t arg_vec = {count, args};
    wasm_val_vec_t result_vec = {wasm_func_result_arity(func), result};
    return wasm_func_call(func, &arg_vec, &result_vec);
}

/* One that must not trap; what it returns, or 0. */
static inline int32_t example_call(const wasm_func_t *func, size_t count, const int32_t *numbers)
{
    wasm_val_t result = WASM_I32_VAL(0);
    example_check(example_try(func, count, numbers, &result) == NULL, "a call comes back");
    return result.of.i32;
}

static inline bool example_traps(const wasm_func_t *func, size_t count, const int32_t *numbers)
{
    wasm_val_t result = WASM_I32_VAL(0);
    wasm_trap_t *trap = example_try(func, count, numbers, &result);
    if (trap == NULL)
        return false;
    wasm_trap_delete(trap);
    return true;
}

#endif
