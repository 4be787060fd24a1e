/* Memory: reading and writing a guest's memory from the host, and what it really takes.
 *
 * Host code copies; it does not keep pointers into a guest. Copies check the range against the
 * size of that moment and survive a page that cannot be read. Four figures are never mixed:
 * reserved address space, accessible pages, what is resident, and what is this memory's alone.
 */
#include "chapter.h"

static void print_figures(const struct weir_memory *memory, const char *when)
{
    struct weir_error error = {0};
    struct weir_memory_figures figures;
    must(weir_memory_figures(memory, &figures, &error), &error);
    printf("%s: accessible %llu KiB, of its own %llu KiB\n", when,
           (unsigned long long)figures.accessible_bytes / 1024,
           (unsigned long long)figures.private_bytes / 1024);
    EXPECT(figures.reserved_bytes >= figures.accessible_bytes);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_module *module = chapter_module(engine, argc > 1 ? argv[1] : NULL, "memory");
    must(weir_store_new(engine, NULL, &store, &error), &error);
    must(weir_instance_new(store, NULL, module, &instance, NULL, &error), &error);
    struct weir_extern item = {0};
    must(weir_instance_export(instance, "memory", 6, &item), &error);
    struct weir_memory *memory = item.memory;
    print_figures(memory, "new");

    const char text[] = "to be summed";
    EXPECT(weir_memory_write(memory, 65536, text, sizeof text - 1) == WEIR_OK);
    printf("sum of \"%s\": %d\n", text,
           chapter_call(instance, "sum", 65536, (int32_t)sizeof text - 1));
    print_figures(memory, "one page written");

    char back[5] = {0};
    EXPECT(weir_memory_read(memory, 65536 + 6, back, 2) == WEIR_OK);
    printf("read back: \"%s\"\n", back);

    /* Nothing is written when a part of the range is outside. */
    EXPECT(weir_memory_write(memory, 4 * 65536 - 1, "xy", 2) == WEIR_INVALID_ARGUMENT);
    EXPECT(weir_memory_read(memory, 4 * 65536 - 1, back, 1) == WEIR_OK && back[0] == 0);
    printf("across the end: refused, nothing written\n");

    uint64_t before = weir_memory_grow(memory, 1, &error);
    printf("grown from %llu pages to %llu\n", (unsigned long long)before,
           (unsigned long long)weir_memory_bytes(memory) / 65536);
    EXPECT(weir_memory_grow(memory, 4, &error) == UINT64_MAX);
    print_error(stdout, &error);
    weir_error_done(&error);

    weir_store_close(store, NULL);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return 0;
}
