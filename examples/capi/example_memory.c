/* Memory that host and guest both read, write and grow. */
#include "example.h"

int main(int argc, char **argv)
{
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *store = wasm_store_new(engine);
    wasm_module_t *module = example_module(store, argc > 1 ? argv[1] : NULL);
    wasm_extern_vec_t exports;
    example_exports(store, module, 0, NULL, &exports);
    wasm_module_delete(module);

    wasm_memory_t *memory = wasm_extern_as_memory(exports.data[0]);
    EXPECT(wasm_memory_data_size(memory) == MEMORY_PAGE_SIZE);
    char *data = wasm_memory_data(memory);
    printf("%.20s\n", data + 16);
    memcpy(data + 25, "host", 4);
    const int32_t range[] = {16, 20};
    (void)example_call(example_func(&exports, 1), 2, range);
    printf("%.20s\n", data + 16);
    EXPECT(memcmp(data + 16, "WHAT THE HOSTT WROTE", 20) == 0);

    const int32_t beyond = (int32_t)MEMORY_PAGE_SIZE;
    EXPECT(example_traps(example_func(&exports, 2), 1, &beyond));
    EXPECT(wasm_memory_grow(memory, 1) && wasm_memory_size(memory) == 2);
    EXPECT(!example_traps(example_func(&exports, 2), 1, &beyond));
    wasm_memory_data(memory)[beyond] = 9; /* ask again after growth: it may move elsewhere */
    EXPECT(example_call(example_func(&exports, 2), 1, &beyond) == 9);
    EXPECT(!wasm_memory_grow(memory, 1)); /* two pages at most */

    wasm_limits_t limits = {5, 5};
    wasm_memorytype_t *type = wasm_memorytype_new(&limits);
    wasm_memory_t *own = wasm_memory_new(store, type);
    wasm_memorytype_delete(type);
    EXPECT(own != NULL && wasm_memory_size(own) == 5);
    wasm_memory_delete(own);

    wasm_extern_vec_delete(&exports);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
    return 0;
}
