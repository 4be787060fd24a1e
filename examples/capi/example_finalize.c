/* Host info: data of the host that lives as long as a guest's object, in two stores at once. */
#include "example.h"

#define INSTANCES 20000

static long live;

static void finalize(void *info)
{
    live--;
    free(info);
}

static void fill(wasm_store_t *store, const char *path)
{
    wasm_module_t *module = example_module(store, path);
    for (long i = 0; i < INSTANCES; i++) {
        wasm_instance_t *instance = wasm_instance_new(store, module, NULL, NULL);
        EXPECT(instance != NULL);
        long *number = malloc(sizeof *number);
        EXPECT(number != NULL);
        *number = i;
        wasm_instance_set_host_info_with_finalizer(instance, number, finalize);
        live++;
        EXPECT(*(long *)wasm_instance_get_host_info(instance) == i);
        wasm_instance_delete(instance);
    }
    wasm_module_delete(module);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : NULL;
    wasm_engine_t *engine = wasm_engine_new();
    wasm_store_t *first = wasm_store_new(engine);
    wasm_store_t *second = wasm_store_new(engine);
    fill(first, path);
    fill(second, path);
    printf("%ld live\n", live);
    wasm_store_delete(second);
    printf("%ld live\n", live);
    EXPECT(live <= INSTANCES);
    fill(first, path);
    wasm_store_delete(first);
    printf("%ld live\n", live);
    EXPECT(live == 0);
    wasm_engine_delete(engine);
    return 0;
}
