/* Many threads: one load for all who want the same module, nobody else held up, and a storm of
 * everything at once after which all sums are right. */
#include <pthread.h>
#include <semaphore.h>

#include "base/poison.h"
#include "cache/cache_internal.h"
#include "tests/unit/cache/cache_modules.h"
#include "tests/unit/runtime/runtime_fixture.h"

#define DATA_BYTES (256u << 10)
#define MODULES 6
#define CROWD (WEIR_ASAN || WEIR_TSAN ? 256 : 2048)
#define STORM_THREADS 4
#define STORM_STEPS (WEIR_ASAN || WEIR_TSAN ? 1000 : 5000)

static struct cache_folder folder;
static struct weir_engine *engine;
static struct cache_module *modules;
static struct weir_cache *cache;

static void fill_disk(void)
{
    const struct weir_cache_config config = {.dir = folder.path};
    struct weir_cache *filler = cache_open(&config);
    for (int i = 0; i < MODULES; i++)
        weir_module_unref(cache_get(filler, engine, &modules[i]));
    weir_cache_free(filler);
}

static void set_up(void)
{
    folder = cache_folder_new();
    engine = fixture_engine(NULL);
    modules = cache_modules_make(MODULES, DATA_BYTES);
    fill_disk();
}

static void tear_down(void)
{
    cache_modules_free(modules, MODULES);
    weir_engine_unref(engine);
    cache_folder_remove(&folder);
}

/* --- a crowd ------------------------------------------------------------------------------- */

/* Holds the load of one artifact until told. */
struct gate {
    char name[WEIR_HASH_HEX_SIZE];
    sem_t arrived, opened;
    _Atomic int held;
};

static void hold(void *context, enum weir_io_op op, const long args[6])
{
    struct gate *gate = context;
    const char *path = (const char *)args[1];
    if (op != WEIR_IO_OPENAT2 || strcmp(path, gate->name) != 0)
        return;
    gate->held++;
    (void)sem_post(&gate->arrived);
    while (sem_wait(&gate->opened) != 0)
        ;
}

static void gate_init(struct gate *gate, const struct cache_module *module)
{
    struct weir_hash id, key;
    memcpy(id.bytes, module->id.sha256, sizeof id.bytes);
    ck_assert_int_eq(weir_module_key(engine, &id, &key, NULL), WEIR_OK);
    weir_hash_hex(&key, gate->name);
    (void)sem_init(&gate->arrived, 0, 0);
    (void)sem_init(&gate->opened, 0, 0);
    gate->held = 0;
}

static void *ask(void *context)
{
    const struct weir_cache_request request = {
        .engine = engine, .id = &modules[0].id, .module = {.name = "crowd"}};
    struct weir_module **module = context;
    (void)weir_cache_get(cache, &request, module, NULL);
    return NULL;
}

/* Polls a state with a generous bound. */
static void wait_until_waiting(uint64_t wanted)
{
    for (int i = 0; i < 120000; i++) {
        if (cache_figures(cache).waiting == wanted)
            return;
        (void)usleep(1000);
    }
    ck_abort_msg("%llu of %llu threads wait", (unsigned long long)cache_figures(cache).waiting,
                 (unsigned long long)wanted);
}

START_TEST(one_load_for_all)
{
    static pthread_t threads[2048];
    static struct weir_module *got[2048];
    struct gate gate;
    gate_init(&gate, &modules[0]);
    struct weir_io_faulty io;
    weir_io_faulty_init(&io, weir_io_system());
    const struct weir_io_rule rule = {.op = WEIR_IO_OPENAT2, .before = hold, .context = &gate};
    ck_assert(weir_io_faulty_add(&io, &rule));
    const struct weir_cache_config config = {.dir = folder.path};
    ck_assert_int_eq(weir__cache_new(&config, &io.io, &cache, NULL), WEIR_OK);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WEIR_ASAN || WEIR_TSAN ? 2 << 20 : 128 << 10);
    for (int i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&threads[i], &attributes, ask, &got[i]), 0);
    (void)pthread_attr_destroy(&attributes);
    while (sem_wait(&gate.arrived) != 0)
        ;
    wait_until_waiting(CROWD - 1);
    /* The load stands still, and others come and go. */
    size_t mappings = cache_mapped_modules();
    for (int i = 1; i < MODULES; i++)
        weir_module_unref(cache_get(cache, engine, &modules[i]));
    weir_module_unref(cache_get(cache, engine, &modules[1]));
    ck_assert_uint_eq(cache_figures(cache).tiers[WEIR_CACHE_DISK].hits, MODULES - 1);
    ck_assert_uint_eq(cache_figures(cache).waiting, CROWD - 1);
    (void)sem_post(&gate.opened);
    for (int i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(gate.held, 1);
    ck_assert_uint_eq(cache_mapped_modules(), mappings + MODULES); /* one for all of the crowd */
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_DISK].hits, MODULES);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].hits, CROWD - 1 + 1);
    ck_assert_uint_eq(figures.waited, CROWD - 1);
    ck_assert_uint_eq(figures.compiled, 0);
    ck_assert_uint_eq(cache_entry(cache, &modules[0]).users, CROWD);
    weir__cache_check(cache);
    for (int i = 0; i < CROWD; i++) {
        ck_assert_ptr_eq(got[i], got[0]);
        weir_module_unref(got[i]);
    }
    weir_cache_free(cache);
    weir_io_faulty_done(&io);
}
END_TEST

/* --- a storm ------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static bool look(void *context, const struct weir_cache_entry *entry)
{
    char text[200];
    weir_cache_explain(entry, text, sizeof text);
    *(uint64_t *)context += entry->hits;
    return true;
}

static void call(struct weir_module *module, int number)
{
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, NULL, module);
    ck_assert_int_eq(CALL_OK(instance, "get"), number);
    weir_store_close(store, NULL);
}

static void one_step(uint64_t *state, int number)
{
    const struct cache_module *module = &modules[number];
    const struct weir_cache_request request = {.engine = engine, .id = &module->id};
    struct weir_cache_advice advice;
    uint64_t sum = 0;
    switch (next_random(state) % 32) {
    case 0:
        (void)weir_cache_pin(cache, &request, NULL);
        return;
    case 1:
        (void)weir_cache_unpin(cache, &module->id, NULL);
        return;
    case 2:
        (void)weir_cache_drop(cache, &module->id, NULL);
        return;
    case 3:
        (void)weir_cache_shrink(cache, next_random(state) % (1 << 20));
        return;
    case 4:
        weir_cache_walk(cache, look, &sum);
        return;
    case 5:
        weir_cache_advise(cache, &advice);
        return;
    case 6:
        weir__cache_check(cache);
        return;
    default: {
        struct weir_module *loaded = cache_get(cache, engine, module);
        if (next_random(state) % 8 == 0)
            call(loaded, number);
        weir_module_unref(loaded);
    }
    }
}

static void *rage(void *context)
{
    uint64_t state = (uint64_t)(uintptr_t)context;
    for (int i = 0; i < STORM_STEPS; i++)
        one_step(&state, (int)(next_random(&state) % MODULES));
    return NULL;
}

START_TEST(storm)
{
    const struct weir_cache_config config = {.dir = folder.path,
                                             .pinned_bytes_max = 3 * DATA_BYTES,
                                             .memory_bytes_max = 2 * DATA_BYTES + DATA_BYTES / 2,
                                             .modules_max = 16};
    cache = cache_open(&config);
    pthread_t threads[STORM_THREADS];
    for (uintptr_t i = 0; i < STORM_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, rage, (void *)(i + 1)), 0);
    for (int i = 0; i < STORM_THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    weir__cache_check(cache);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.compiled, 0);
    ck_assert_uint_eq(figures.lent_modules, 0);
    ck_assert_uint_eq(figures.waiting, 0);
    uint64_t sum = figures.lent_hits + figures.tiers[WEIR_CACHE_MEMORY].hits +
                   figures.tiers[WEIR_CACHE_PINNED].hits;
    for (int i = 0; i < WEIR_CACHE_CAUSE_COUNT; i++)
        sum += figures.misses[i];
    ck_assert_uint_eq(figures.uses, sum);
    weir_cache_free(cache);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache threads");
    TCase *tests = tcase_create("threads");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, one_load_for_all);
    tcase_add_test(tests, storm);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
