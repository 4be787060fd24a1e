/* What the module cache costs: a hit by the module's id (ns), with one thread and with two; a load
 * from its disk tier and the eviction of what made room (us), with few modules and beside 10,000
 * loaded ones; the runtime's own load of an open artifact beside it; memory per loaded module.
 *
 * By the thread's own clock, but for the two threads'.
 *
 * usage: bench_cache [MODULES]   prints one JSON object */
#include <pthread.h>
#include <sys/resource.h>

#include "bench_guest.h"
#include "cache/cache_internal.h"
#include "ledger/equation.h"
#include "tests/unit/cache/cache_modules.h"

#define HITS 20000
#define LOADS 500
#define DATA_BYTES (64u << 10)

static struct weir_engine *engine;
static struct weir_cache *cache;
static struct cache_module *modules;
static unsigned count;
static int artifact;

/* --- the disk tier, filled in this process -------------------------------------------------- */

static void file_module(struct weir_artifact_dir *dir, const struct cache_module *module)
{
    struct weir_compile_request request = {.module = module->bytes,
                                           .module_bytes = module->size,
                                           .options = {.features = WEIR_FEATURES_DEFAULT,
                                                       .flags = WEIR_ARTIFACT_POLL,
                                                       .cpu_features = weir_cpu_baseline,
                                                       .generator = "fast"}};
    struct weir_hash id, key;
    struct weir_error error = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    int fd = -1;
    memcpy(id.bytes, module->id.sha256, sizeof id.bytes);
    bench_must(weir_module_key(engine, &id, &key, &error), &error);
    bench_must(weir_compile(&request, &bytes, &size, &error), &error);
    bench_must(weir__artifact_dir_file(dir, &key, bytes, size, &fd, &error), &error);
    free(bytes);
    (void)close(fd);
}

static void fill(const char *folder)
{
    struct weir_artifact_dir *dir = NULL;
    struct weir_error error = {0};
    bench_must(weir_artifact_dir_open(folder, &dir, &error), &error);
    for (unsigned i = 0; i < count; i++)
        file_module(dir, &modules[i]);
    weir_artifact_dir_close(dir);
}

/* --- figures -------------------------------------------------------------------------------- */

static struct weir_module *get(unsigned number)
{
    const struct weir_cache_request request = {.engine = engine, .id = &modules[number].id};
    struct weir_module *module = NULL;
    struct weir_error error = {0};
    bench_must(weir_cache_get(cache, &request, &module, &error), &error);
    return module;
}

static double hit(void *context)
{
    unsigned spread = *(const unsigned *)context;
    double begin = bench_thread_ns();
    for (unsigned i = 0; i < HITS; i++)
        weir_module_unref(get(i * 7919 % spread));
    return (bench_thread_ns() - begin) / HITS;
}

static void *hit_beside(void *context)
{
    (void)hit(context);
    return NULL;
}

static double hit_by_two(void *context)
{
    pthread_t other;
    double begin = bench_now_ns();
    if (pthread_create(&other, NULL, hit_beside, context) != 0)
        exit(1);
    (void)hit(context);
    (void)pthread_join(other, NULL);
    return (bench_now_ns() - begin) / HITS;
}

/* Two modules of which one is dropped before each use: every use loads. */
static double load(void *context)
{
    (void)context;
    double begin = bench_thread_ns();
    for (unsigned i = 0; i < LOADS; i++) {
        (void)weir_cache_drop(cache, &modules[i % 2].id, NULL);
        weir_module_unref(get(i % 2));
    }
    return (bench_thread_ns() - begin) / LOADS / 1e3;
}

static double load_directly(void *context)
{
    (void)context;
    struct weir_error error = {0};
    double begin = bench_thread_ns();
    for (int i = 0; i < LOADS; i++) {
        struct weir_module *module = NULL;
        bench_must(weir_module_load(engine, artifact, NULL, &module, &error), &error);
        weir_module_unref(module);
    }
    return (bench_thread_ns() - begin) / LOADS / 1e3;
}

static uint64_t growth(void)
{
    uint64_t bytes = 0;
    struct weir_error error = {0};
    bench_must(weir_growth_read(&bytes, &error), &error);
    return bytes;
}

/* Loads all of them, which stay. */
static void load_many(void)
{
    double begin = bench_now_ns();
    uint64_t before = growth();
    for (unsigned i = 0; i < count; i++)
        weir_module_unref(get(i));
    double us = (bench_now_ns() - begin) / count / 1e3;
    uint64_t after = growth();
    struct weir_cache_figures figures;
    weir_cache_figures(cache, &figures);
    printf("  \"loaded\": %llu,\n  \"first_load_with_seal_us\": %.2f,\n"
           "  \"memory_per_module_bytes\": %.0f,\n",
           (unsigned long long)figures.tiers[WEIR_CACHE_MEMORY].modules, us,
           (double)(after - before) / count);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    bench_must(weir_engine_new(NULL, &engine, &error), &error);
    modules = cache_modules_make(count, DATA_BYTES);
    struct cache_folder folder = cache_folder_new();
    fill(folder.path);
    artifact = bench_artifact(modules[0].bytes, modules[0].size);
    (void)usleep(100000); /* an artifact of this very moment is checked at each load */
    const struct weir_cache_config config = {.dir = folder.path,
                                             .memory_bytes_max = UINT64_C(64) << 30,
                                             .disk_bytes_max = WEIR_UNLIMITED,
                                             .modules_max = count > 8192 ? count : 8192};
    cache = cache_open(&config);
    printf("{\"bench\": \"cache\", \"unit\": \"us\",\n");
    unsigned few = count < 100 ? count : 100;
    for (unsigned i = 0; i < few; i++)
        weir_module_unref(get(i));
    bench_print("load_directly", bench_measure(load_directly, NULL), ",");
    bench_print("drop_and_load", bench_measure(load, NULL), ",");
    bench_print("hit_ns", bench_measure(hit, &few), ",");
    bench_print("hit_by_two_threads_ns", bench_measure(hit_by_two, &few), ",");
    load_many();
    bench_print("drop_and_load_beside_others", bench_measure(load, NULL), ",");
    bench_print("hit_beside_others_ns", bench_measure(hit, &count), "");
    printf("}\n");
    weir_cache_free(cache);
    cache_folder_remove(&folder);
    cache_modules_free(modules, count);
    weir_engine_unref(engine);
    (void)close(artifact);
    return 0;
}
