/* The cache bug can't happen: four modules, a memory tier smaller than two of them, so that nearly
 * every use loads from disk, by four threads, with calls, traps and memory.grow in between. Nothing
 * grows: memory, mappings and descriptors are at the end what they were after warming up.
 *
 * usage: cache_churn [USES]     20,000 as a test; 1,000,000 as `ctest -L bench -R cache_churn`
 */
#include <dirent.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/poison.h"
#include "cache/cache_limits.h"
#include "ledger/equation.h"
#include "tests/unit/cache/cache_modules.h"
#include "tests/unit/runtime/runtime_fixture.h"

#define MODULES 4
#define THREADS 4
#define DATA_BYTES (512u << 10)
#define WARM_USES (2 * WEIR_CURVE_KEYS / THREADS + 1)
#define GROWTH_MAX ((int64_t)256 << 10)

static struct weir_engine *engine;
static struct weir_cache *cache;
static struct cache_module *modules;
static int uses_per_thread;
static pthread_barrier_t barrier, meeting;

static void run_guest(struct weir_module *module, uint32_t number, unsigned kind)
{
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, NULL, module);
    ck_assert_int_eq(CALL_OK(instance, "get"), number);
    if (kind == 0) {
        struct weir_trap trap = {0}; /* the fixture's is one for all threads */
        ck_assert_int_eq(fixture_call(instance, "trap", NULL, 0, NULL, &trap), WEIR_TRAP);
        weir_trap_done(&trap);
    }
    if (kind == 1)
        ck_assert_int_eq(CALL_OK(instance, "grow", 3), DATA_BYTES / 65536 + 1);
    weir_store_close(store, NULL);
}

static void churn(uint64_t *state, int count)
{
    for (int i = 0; i < count; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint32_t number = (uint32_t)(*state >> 33) % MODULES;
        struct weir_module *module = cache_get(cache, engine, &modules[number]);
        run_guest(module, number, (unsigned)(*state >> 40) % 8);
        weir_module_unref(module);
    }
}

/* All guests at once, as they may be at any moment later: the stacks that are kept are as many. */
static void meet(uint32_t number)
{
    struct weir_module *module = cache_get(cache, engine, &modules[number]);
    struct weir_store *store = fixture_store(engine);
    ck_assert_int_eq(CALL_OK(fixture_instance(store, NULL, module), "get"), number);
    (void)pthread_barrier_wait(&meeting);
    weir_store_close(store, NULL);
    weir_module_unref(module);
}

static void *work(void *context)
{
    uint64_t state = (uint64_t)(uintptr_t)context;
    meet((uint32_t)state % MODULES);
    for (uint32_t i = 0; i < WARM_USES; i++) /* the curve's places have all been used once */
        weir_module_unref(cache_get(cache, engine, &modules[i % MODULES]));
    churn(&state, uses_per_thread / 10 + 100);
    (void)pthread_barrier_wait(&barrier); /* warmed up: measured */
    (void)pthread_barrier_wait(&barrier);
    churn(&state, uses_per_thread);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    return NULL;
}

struct state {
    uint64_t bytes;
    uint64_t mappings, descriptors;
};

static struct state read_state(void)
{
    struct state state;
    struct weir_equation equation;
    ck_assert_int_eq(weir_growth_read(&state.bytes, NULL), WEIR_OK);
    ck_assert_int_eq(weir_equation_read(&equation, NULL), WEIR_OK);
    state.mappings = equation.mapping_count;
    state.descriptors = equation.descriptor_count;
    return state;
}

/* Nothing of the cache and the guests is loaded: what is left is compared. */
static struct state read_empty_state(void)
{
    (void)weir_cache_shrink(cache, UINT64_MAX);
    return read_state();
}

static void report(const struct state *before, const struct state *after, uint64_t took_ns)
{
    struct weir_cache_figures figures = cache_figures(cache);
    const struct weir_cache_tier_figures *disk = &figures.tiers[WEIR_CACHE_DISK];
    (void)printf("%d uses: %llu loads from disk (%.1f us each), %llu hits, %llu evictions; "
                 "%lld bytes, %lld mappings, %lld descriptors more; %.1f us a use\n",
                 uses_per_thread * THREADS, (unsigned long long)disk->hits,
                 (double)disk->load_ns_sum / 1e3 / (double)disk->hits,
                 (unsigned long long)(figures.tiers[WEIR_CACHE_MEMORY].hits + figures.lent_hits),
                 (unsigned long long)figures.tiers[WEIR_CACHE_MEMORY].evictions,
                 (long long)(after->bytes - before->bytes),
                 (long long)(after->mappings - before->mappings),
                 (long long)(after->descriptors - before->descriptors),
                 (double)took_ns / 1e3 / uses_per_thread / THREADS);
}

START_TEST(leaves_nothing)
{
    struct cache_folder folder = cache_folder_new();
    engine = fixture_engine(NULL);
    modules = cache_modules_make(MODULES, DATA_BYTES);
    const struct weir_cache_config config = {.dir = folder.path,
                                             .memory_bytes_max = DATA_BYTES + DATA_BYTES / 2};
    cache = cache_open(&config);
    pthread_t threads[THREADS];
    (void)pthread_barrier_init(&barrier, NULL, THREADS + 1);
    (void)pthread_barrier_init(&meeting, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    (void)pthread_barrier_wait(&barrier);
    (void)read_empty_state(); /* what reading itself takes */
    struct state before = read_empty_state();
    uint64_t begin_ns = weir_clock_ns();
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    uint64_t took_ns = weir_clock_ns() - begin_ns;
    struct state after = read_empty_state();
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    report(&before, &after, took_ns);
    ck_assert_uint_eq(after.mappings, before.mappings);
    ck_assert_uint_eq(after.descriptors, before.descriptors);
    if (!WEIR_ASAN && !WEIR_TSAN)
        ck_assert_int_le((int64_t)(after.bytes - before.bytes), GROWTH_MAX);
    ck_assert_uint_eq(cache_figures(cache).compiled, MODULES);
    weir_cache_free(cache);
    cache_modules_free(modules, MODULES);
    weir_engine_unref(engine);
    cache_folder_remove(&folder);
}
END_TEST

int main(int argc, char **argv)
{
    weir_process_tune_malloc(); /* as Weir's own programs do */
    int uses = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 20000;
    uses_per_thread = (WEIR_ASAN || WEIR_TSAN ? 2000 : uses) / THREADS;
    Suite *suite = suite_create("cache churn");
    TCase *tests = tcase_create("churn");
    tcase_add_test(tests, leaves_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* the process that is measured */
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
