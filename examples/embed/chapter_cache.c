/* Cache: modules by their bytes, compiled once, loaded once, kept within a size.
 *
 * Who needs a module asks the cache each time and gives the reference back when done. Loading and
 * evicting changes nothing but page cache: the artifact is a file that is mapped. Give a directory
 * and a restart finds what was compiled before it.
 */
#include "chapter.h"

static void use(struct weir_cache *cache, struct weir_engine *engine,
                const struct chapter_bytes *bytes)
{
    struct weir_error error = {0};
    struct weir_module *module = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    struct weir_cache_request request = {
        .engine = engine, .bytes = bytes->data, .size = bytes->size, .module = {.name = "cached"}};
    must(weir_cache_get(cache, &request, &module, &error), &error);
    must(weir_store_new(engine, NULL, &store, &error), &error);
    must(weir_instance_new(store, NULL, module, &instance, NULL, &error), &error);
    weir_module_unref(module); /* the instance holds it; the cache sees that it is in use */
    EXPECT(chapter_call(instance, "add", 40, 2) == 42);
    weir_store_close(store, NULL);
}

static void print_figures(struct weir_cache *cache, const char *when)
{
    struct weir_cache_figures figures;
    weir_cache_figures(cache, &figures);
    printf("%s: %llu uses, %llu compiled, %llu hits in memory, %llu pinned, %llu modules in "
           "memory\n",
           when, (unsigned long long)figures.uses, (unsigned long long)figures.compiled,
           (unsigned long long)figures.tiers[WEIR_CACHE_MEMORY].hits,
           (unsigned long long)figures.tiers[WEIR_CACHE_PINNED].modules,
           (unsigned long long)figures.tiers[WEIR_CACHE_MEMORY].modules);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_cache *cache = NULL;
    must(weir_engine_new(NULL, &engine, &error), &error);
    struct weir_cache_config config = {.dir = argc > 2 ? argv[2] : NULL,
                                       .memory_bytes_max = UINT64_C(4) << 20};
    must(weir_cache_new(&config, &cache, &error), &error);
    struct chapter_bytes bytes = chapter_read(argc > 1 ? argv[1] : NULL);

    for (int i = 0; i < 1000; i++)
        use(cache, engine, &bytes);
    print_figures(cache, "a thousand uses");

    struct weir_cache_request request = {.engine = engine, .bytes = bytes.data, .size = bytes.size};
    must(weir_cache_pin(cache, &request, &error), &error);
    use(cache, engine, &bytes);
    print_figures(cache, "pinned");

    struct weir_module_id id;
    must(weir_module_identify(bytes.data, bytes.size, &id, &error), &error);
    must(weir_cache_unpin(cache, &id, &error), &error);
    (void)weir_cache_shrink(cache, UINT64_MAX);
    use(cache, engine, &bytes);
    print_figures(cache, "given back, and asked for again");

    free(bytes.data);
    weir_cache_free(cache);
    weir_engine_unref(engine);
    return 0;
}
