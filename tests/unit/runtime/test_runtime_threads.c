/* Stores on different threads under one engine, one module, one linker and one pool; modules loaded
 * and dropped meanwhile. Runs under ThreadSanitizer as well. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "state_wasm.h"
#include "tests/run_suite.h"

#define THREADS 4
#define ROUNDS 60

static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;
static struct weir_pool *pool;
static int artifact;

static void use(struct weir_instance *instance, int value)
{
    struct weir_store *store = weir_instance_store(instance);
    static _Thread_local struct weir_trap trap;
    union weir_value values[2] = {{.i32 = 20}, {.i32 = value}};
    ck_assert_int_eq(
        weir_func_call(store, fixture_func(instance, "touch"), values, NULL, NULL, NULL), WEIR_OK);
    values[0].i32 = 8;
    ck_assert_int_eq(
        weir_func_call(store, fixture_func(instance, "load"), values, values, NULL, NULL), WEIR_OK);
    ck_assert_int_eq(values[0].i32, value);
    values[0].i32 = -1;
    ck_assert_int_eq(
        weir_func_call(store, fixture_func(instance, "load"), values, values, &trap, NULL),
        WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_MEMORY_BOUNDS);
    weir_trap_done(&trap);
}

static void *run(void *argument)
{
    int seed = *(const int *)argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct weir_instance *instance = NULL;
        ck_assert_int_eq(weir_pool_take(pool, &instance, NULL), WEIR_OK);
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        weir_store_set_deadline(weir_instance_store(instance),
                                ((uint64_t)now.tv_sec + 100) * 1000000000u);
        use(instance, seed + i);
        weir_pool_give(pool, instance);
        struct weir_module *own = NULL;
        ck_assert_int_eq(weir_module_load(engine, artifact, NULL, &own, NULL), WEIR_OK);
        struct weir_export_info info;
        weir_module_export(module, 0, &info);
        ck_assert_str_eq(info.name, "memory");
        struct weir_store *store = NULL;
        ck_assert_int_eq(weir_store_new(engine, NULL, &store, NULL), WEIR_OK);
        ck_assert_int_eq(weir_instance_new(store, linker, own, &instance, NULL, NULL), WEIR_OK);
        use(instance, seed - i);
        weir_store_close(store, NULL);
        weir_module_unref(own);
    }
    return NULL;
}

START_TEST(threads_share)
{
    struct weir_engine_config config = {0};
    engine = fixture_engine(&config);
    artifact = fixture_artifact(&config, state_wasm, sizeof state_wasm);
    ck_assert_int_eq(weir_module_load(engine, artifact, NULL, &module, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    ck_assert_int_eq(weir_pool_new(linker, module, NULL, &pool, NULL), WEIR_OK);
    pthread_t threads[THREADS];
    int seeds[THREADS];
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = 1000 * (i + 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.takes, THREADS * ROUNDS);
    ck_assert_uint_eq(figures.in_use, 0);
    weir_pool_free(pool);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    (void)close(artifact);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime threads");
    TCase *tests = tcase_create("threads");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, threads_share);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
