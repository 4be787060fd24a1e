/* What dirty pages cost, in microseconds: 0, 16 and 1,000 of them, by one thread and by two (per
 * cycle of each), with PAGEMAP_SCAN and with /proc/self/pagemap, which kernels before 6.7 have:
 *
 *     instantiate   store, instance, touch the pages, close
 *     reset         take from a pool, touch the pages, give back: they are put back
 *
 * By the clock, and (`_own`) by the threads' own time: on a machine that others use too only the
 * latter tells much, but what two threads wait for each other asleep is not in it.
 *
 * Prints one JSON object. An argument other than 1 divides the cycles (to see that it works). */
#include <pthread.h>

#include "bench_guest.h"
#include "runtime/process_internal.h"

#include "bench_pages_wasm.h"

#define CYCLES 2000
#define CYCLES_OF_MANY 100 /* of a thousand faults each */

static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;
static int divisor = 1;

struct job {
    struct weir_pool *pool; /* NULL: instantiate */
    int pages;
    int threads;
    double own_ns; /* per cycle, of the thread that ran last */
};

static void touch(struct weir_instance *instance, int pages)
{
    struct weir_error error = {0};
    union weir_value args[1] = {{.i32 = pages}};
    bench_must(weir_func_call(weir_instance_store(instance), bench_func(instance, "touch"), args,
                              NULL, NULL, &error),
               &error);
}

static void instantiate(int pages)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    bench_must(weir_store_new(engine, NULL, &store, &error), &error);
    bench_must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    touch(instance, pages);
    weir_store_close(store, NULL);
}

static void reset(struct weir_pool *pool, int pages)
{
    struct weir_error error = {0};
    struct weir_instance *instance = NULL;
    bench_must(weir_pool_take(pool, &instance, &error), &error);
    touch(instance, pages);
    weir_pool_give(pool, instance);
}

static int cycles_of(const struct job *job)
{
    int cycles = (job->pages > 100 ? CYCLES_OF_MANY : CYCLES) / divisor;
    return cycles > 0 ? cycles : 1;
}

static void *run_cycles(void *context)
{
    struct job *job = context;
    int cycles = cycles_of(job);
    double begin = bench_thread_ns();
    for (int i = 0; i < cycles; i++) {
        if (job->pool == NULL)
            instantiate(job->pages);
        else
            reset(job->pool, job->pages);
    }
    job->own_ns = (bench_thread_ns() - begin) / cycles;
    return NULL;
}

/* Per cycle of a thread; its own time goes to the job. */
static double run_job(void *context)
{
    struct job *job = context;
    struct job second = *job;
    pthread_t other;
    double begin = bench_now_ns();
    if (job->threads == 2 && pthread_create(&other, NULL, run_cycles, &second) != 0)
        exit(1);
    (void)run_cycles(job);
    if (job->threads == 2) {
        (void)pthread_join(other, NULL);
        job->own_ns = (job->own_ns + second.own_ns) / 2;
    }
    return (bench_now_ns() - begin) / cycles_of(job) / 1e3;
}

static double run_own(void *context)
{
    (void)run_job(context);
    return ((const struct job *)context)->own_ns / 1e3;
}

static void measure(struct job *job, const char *path)
{
    char name[64];
    int size = snprintf(name, sizeof name, "%s_%d_pages_%s_%d",
                        job->pool == NULL ? "instantiate" : "reset", job->pages, path,
                        job->threads);
    bench_print(name, bench_measure(run_job, job), ",");
    (void)snprintf(name + size, sizeof name - (size_t)size, "_own");
    bench_print(name, bench_measure(run_own, job), ",");
}

static void measure_all(void)
{
    static const struct {
        const char *name;
        enum weir__scan_path path;
    } paths[] = {{"scan", WEIR__SCAN_BEST}, {"pagemap", WEIR__SCAN_PAGEMAP}};
    static const int pages[] = {0, 16, 1000};
    for (size_t p = 0; p < 2; p++) {
        weir__privatised_choose(paths[p].path);
        for (size_t i = 0; i < 3; i++) {
            struct weir_pool *pool = NULL;
            struct weir_error error = {0};
            bench_must(weir_pool_new(linker, module, NULL, &pool, &error), &error);
            for (int threads = 1; threads <= 2; threads++) {
                measure(&(struct job){NULL, pages[i], threads, 0}, paths[p].name);
                measure(&(struct job){pool, pages[i], threads, 0}, paths[p].name);
            }
            weir_pool_free(pool);
        }
    }
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    if (argc > 1)
        divisor = (int)strtol(argv[1], NULL, 10);
    if (divisor < 1)
        divisor = 1;
    bench_must(weir_engine_new(NULL, &engine, &error), &error);
    int fd = bench_artifact(bench_pages_wasm, sizeof bench_pages_wasm);
    bench_must(weir_module_load(engine, fd, NULL, &module, &error), &error);
    bench_must(weir_linker_new(engine, &linker, &error), &error);
    printf("{\"bench\": \"pages\", \"unit\": \"us\",\n");
    measure_all();
    printf("  \"image_bytes\": %zu\n}\n", (size_t)4 << 16);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    (void)close(fd);
    return 0;
}
