/* What keeping and taking back the pages of one message costs, in microseconds: 0, 16 and 1,000
 * pages written in a heap of 32 MiB whose pages are all used, with PAGEMAP_SCAN and with
 * /proc/self/pagemap, which kernels before 6.7 have:
 *
 *     commit     they are written (and fault), then kept
 *     back       they are written (and fault), then taken back
 *
 * By the thread's own time. Prints one JSON object. An argument other than 1 divides the cycles. */
#include "bench_guest.h"
#include "runtime/process_internal.h"

#include "bench_pages_wasm.h"

#define HEAP_PAGES 8192
#define CYCLES 1000
#define CYCLES_OF_MANY 100

static struct weir_engine *engine;
static struct weir_store *store;
static struct weir_instance *instance;
static int divisor = 1;

enum what {
    COMMIT,
    BACK
};

struct job {
    enum what what;
    int pages;
};

static void touch(int pages)
{
    struct weir_error error = {0};
    union weir_value args[1] = {{.i32 = pages}};
    bench_must(weir_func_call(store, bench_func(instance, "touch"), args, NULL, NULL, &error),
               &error);
}

static double run_job(void *context)
{
    const struct job *job = context;
    struct weir_error error = {0};
    int cycles = (job->pages > 100 ? CYCLES_OF_MANY : CYCLES) / divisor;
    cycles = cycles > 0 ? cycles : 1;
    double begin = bench_thread_ns();
    for (int i = 0; i < cycles; i++) {
        touch(job->pages);
        if (job->what == COMMIT)
            bench_must(weir_instance_commit(instance, NULL, &error), &error);
        else
            bench_must(weir_instance_reset(instance, &error), &error);
    }
    return (bench_thread_ns() - begin) / cycles / 1e3;
}

static void measure_all(void)
{
    static const struct {
        const char *name;
        enum weir__scan_path path;
    } paths[] = {{"scan", WEIR__SCAN_BEST}, {"pagemap", WEIR__SCAN_PAGEMAP}};
    static const int pages[] = {0, 16, 1000};
    static const char *const names[] = {"commit", "back"};
    for (size_t p = 0; p < 2; p++) {
        weir__privatised_choose(paths[p].path);
        for (size_t i = 0; i < 3; i++) {
            for (enum what what = COMMIT; what <= BACK; what++) {
                struct job job = {what, pages[i]};
                char name[64];
                (void)snprintf(name, sizeof name, "%s_%d_pages_%s", names[what], pages[i],
                               paths[p].name);
                bench_print(name, bench_measure(run_job, &job), ",");
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    struct weir_module *module = NULL;
    struct weir_linker *linker = NULL;
    divisor = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    divisor = divisor < 1 ? 1 : divisor;
    bench_must(weir_engine_new(NULL, &engine, &error), &error);
    int fd = bench_artifact(bench_pages_wasm, sizeof bench_pages_wasm);
    bench_must(weir_module_load(engine, fd, NULL, &module, &error), &error);
    bench_must(weir_linker_new(engine, &linker, &error), &error);
    bench_must(weir_store_new(engine, NULL, &store, &error), &error);
    bench_must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    if (weir_memory_grow(weir_instance_memory(instance, 0), HEAP_PAGES / 16 - 64, &error) ==
        UINT64_MAX)
        bench_must(error.status, &error);
    touch(HEAP_PAGES);
    bench_must(weir_instance_commit(instance, NULL, &error), &error);
    printf("{\"bench\": \"image\", \"unit\": \"us\",\n");
    measure_all();
    printf("  \"heap_bytes\": %zu\n}\n", (size_t)HEAP_PAGES * 4096);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    (void)close(fd);
    return 0;
}
