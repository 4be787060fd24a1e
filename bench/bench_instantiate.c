/* What an instance costs, in microseconds: warm from a pool with an empty call and with 16 dirty
 * pages, by one thread and by two (total rate), and cold from a loaded module (store, instance,
 * empty call, close). Then the memory of an idle instance: growth per store over 1,000 of them.
 * Prints one JSON object. */
#include <pthread.h>

#include "ledger/equation.h"

#include "bench_guest.h"

#include "bench_call_wasm.h"

#define CYCLES 20000
#define IDLE_STORES 1000

static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;

static enum weir_status host_nothing(struct weir_caller *caller, void *data,
                                     const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    results[0].i32 = 0;
    return WEIR_OK;
}

static void cycle_pool(struct weir_pool *pool, const char *name, int pages)
{
    struct weir_instance *instance = NULL;
    struct weir_error error = {0};
    bench_must(weir_pool_take(pool, &instance, &error), &error);
    union weir_value args[1] = {{.i32 = pages}};
    struct weir_funcref *func = bench_func(instance, name);
    bench_must(weir_func_call(weir_instance_store(instance), func, args, NULL, NULL, &error),
               &error);
    weir_pool_give(pool, instance);
}

struct job {
    struct weir_pool *pool;
    int pages;
    pthread_t thread;
    double own_us; /* per cycle, of the thread's own time */
};

static void *run_job(void *context)
{
    struct job *job = context;
    double begin = bench_thread_ns();
    for (int i = 0; i < CYCLES; i++)
        cycle_pool(job->pool, job->pages == 0 ? "empty" : "touch", job->pages);
    job->own_us = (bench_thread_ns() - begin) / CYCLES / 1e3;
    return NULL;
}

static double warm_one(void *context)
{
    double begin = bench_now_ns();
    (void)run_job(context);
    return (bench_now_ns() - begin) / CYCLES / 1e3;
}

/* Per cycle of each thread: equal to warm_one when two threads do not disturb each other. */
static double warm_two(void *context)
{
    const struct job *model = context;
    struct job jobs[2] = {*model, *model};
    double begin = bench_now_ns();
    for (int i = 0; i < 2; i++)
        if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) != 0)
            exit(1);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(jobs[i].thread, NULL);
    return (bench_now_ns() - begin) / CYCLES / 1e3;
}

/* The same by the threads' own time, for a machine that others use too: what two threads wait for
 * each other asleep is not in it, what they disturb each other awake is. */
static double warm_one_own(void *context)
{
    (void)run_job(context);
    return ((const struct job *)context)->own_us;
}

static double warm_two_own(void *context)
{
    const struct job *model = context;
    struct job jobs[2] = {*model, *model};
    for (int i = 0; i < 2; i++)
        if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) != 0)
            exit(1);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(jobs[i].thread, NULL);
    return (jobs[0].own_us + jobs[1].own_us) / 2;
}

static struct weir_store *make_store(bool is_called)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    bench_must(weir_store_new(engine, NULL, &store, &error), &error);
    bench_must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    if (is_called)
        bench_must(weir_func_call(store, bench_func(instance, "empty"), NULL, NULL, NULL, &error),
                   &error);
    return store;
}

static double cold(void *context)
{
    (void)context;
    double begin = bench_now_ns();
    for (int i = 0; i < CYCLES / 10; i++)
        weir_store_close(make_store(true), NULL);
    return (bench_now_ns() - begin) / (CYCLES / 10) / 1e3;
}

/* Only what comes before the first call; stores are closed outside the measurement. */
static double cold_instantiate(void *context)
{
    (void)context;
    enum {
        BATCH = 64
    };
    static struct weir_store *stores[BATCH];
    struct weir_error error = {0};
    for (int i = 0; i < BATCH; i++)
        bench_must(weir_store_new(engine, NULL, &stores[i], &error), &error);
    double begin = bench_now_ns();
    for (int i = 0; i < BATCH; i++) {
        struct weir_instance *instance = NULL;
        bench_must(weir_instance_new(stores[i], linker, module, &instance, NULL, &error), &error);
    }
    double ns = bench_now_ns() - begin;
    for (int i = 0; i < BATCH; i++)
        weir_store_close(stores[i], NULL);
    return ns / BATCH / 1e3;
}

static uint64_t page_table_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    unsigned long long kilobytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmPTE: %llu", &kilobytes) == 1)
            break;
    if (file != NULL)
        (void)fclose(file);
    return kilobytes * 1024;
}

/* Everything that one more store makes the process grow by, page tables apart. */
static double idle_bytes(double *ret_page_tables)
{
    static struct weir_store *stores[IDLE_STORES];
    struct weir_error error = {0};
    uint64_t before = 0;
    uint64_t after = 0;
    weir_store_close(make_store(true), NULL);
    for (int i = 0; i < IDLE_STORES; i++)
        stores[i] = (struct weir_store *)(void *)&stores[i]; /* the list's own pages */
    (void)page_table_bytes();
    bench_must(weir_growth_read(&before, &error), &error); /* the readers' own buffers */
    uint64_t tables_before = page_table_bytes();
    bench_must(weir_growth_read(&before, &error), &error);
    for (int i = 0; i < IDLE_STORES; i++)
        stores[i] = make_store(false);
    bench_must(weir_growth_read(&after, &error), &error);
    double tables = (double)(page_table_bytes() - tables_before);
    for (int i = 0; i < IDLE_STORES; i++)
        weir_store_close(stores[i], NULL);
    *ret_page_tables = tables / IDLE_STORES;
    return ((double)(after - before) - tables) / IDLE_STORES;
}

int main(void)
{
    struct weir_error error = {0};
    bench_must(weir_engine_new(NULL, &engine, &error), &error);
    int fd = bench_artifact(bench_call_wasm, sizeof bench_call_wasm);
    bench_must(weir_module_load(engine, fd, NULL, &module, &error), &error);
    bench_must(weir_linker_new(engine, &linker, &error), &error);
    static const enum weir_type i32x2[] = {WEIR_TYPE_I32, WEIR_TYPE_I32};
    struct weir_func_type none = {0};
    struct weir_func_type two = {i32x2, 2, i32x2, 1};
    bench_must(weir_linker_define_func(linker, "host", "nothing",
                                       &(struct weir_host_definition){&none, host_nothing, NULL},
                                       &error),
               &error);
    bench_must(weir_linker_define_func(linker, "host", "add",
                                       &(struct weir_host_definition){&two, host_nothing, NULL},
                                       &error),
               &error);
    struct weir_pool *pool = NULL;
    bench_must(weir_pool_new(linker, module, NULL, &pool, &error), &error);
    struct job empty = {.pool = pool, .pages = 0};
    struct weir_pool *pool_16 = NULL;
    bench_must(weir_pool_new(linker, module, NULL, &pool_16, &error), &error);
    struct job touch = {.pool = pool_16, .pages = 16};
    printf("{\"bench\": \"instantiate\", \"unit\": \"us\",\n");
    bench_print("warm_empty_1_thread", bench_measure(warm_one, &empty), ",");
    bench_print("warm_empty_2_threads", bench_measure(warm_two, &empty), ",");
    bench_print("warm_16_pages_1_thread", bench_measure(warm_one, &touch), ",");
    bench_print("warm_16_pages_2_threads", bench_measure(warm_two, &touch), ",");
    bench_print("warm_empty_1_thread_own", bench_measure(warm_one_own, &empty), ",");
    bench_print("warm_empty_2_threads_own", bench_measure(warm_two_own, &empty), ",");
    bench_print("warm_16_pages_1_thread_own", bench_measure(warm_one_own, &touch), ",");
    bench_print("warm_16_pages_2_threads_own", bench_measure(warm_two_own, &touch), ",");
    bench_print("cold_instantiate", bench_measure(cold_instantiate, NULL), ",");
    bench_print("cold_store_instance_call_close", bench_measure(cold, NULL), ",");
    double page_tables = 0;
    double idle = idle_bytes(&page_tables);
    printf("  \"idle_instance_bytes\": %.0f,\n  \"idle_page_table_bytes\": %.0f\n}\n", idle,
           page_tables);
    weir_pool_free(pool);
    weir_pool_free(pool_16);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    (void)close(fd);
    return 0;
}
