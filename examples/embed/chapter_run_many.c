/* Run many: a host of plugins with a pool of threads that runs them for months.
 *
 * Who is shared and who is not decides whether memory grows:
 *   engine, module, linker   made once, shared by all threads
 *   store                    one for each run, on the stack of who runs it, closed on every path
 *   host state               in the store: freed by it, found through it, captured by nobody else
 *   resources                handles in a table of the store: a plugin that forgets is tidied up
 *   results                  copied out as plain values before the store closes
 *
 * One run in eight traps and one in five forgets its handles, as plugins do. At the end the
 * receipts are added up, and what the process takes is compared with what it took after a warm-up:
 * more than 256 KiB of growth is a failure.
 *
 * usage: chapter_run_many MODULE [THREADS [RUNS [judge|report|keep]]]
 * `report` prints the growth without judging; `keep` forgets to close one store in four, to show
 * that the measurement would notice.
 */
#define _POSIX_C_SOURCE 200809L /* barriers, in strict C too */
#include <pthread.h>
#include <stdatomic.h>

#include "chapter.h"

#define THREADS_MAX 64
#define WARM_UP_PARTS 4 /* a fourth of the runs comes first and is not measured */
#define GROWTH_KIB_MAX 256

/* What all runs share; nothing in it changes but the counters. */
struct host {
    struct weir_engine *engine;
    struct weir_module *module;
    struct weir_linker *linker;
    bool keeps;
    _Atomic int next_run;
    int end_run; /* of this part */
    pthread_barrier_t part;
};

/* Of one run. */
struct run {
    int number;
    uint64_t answer;
    int logged;
};

/* What a thread adds up. */
struct totals {
    uint64_t runs, traps, logged, answers, undropped, not_drained;
    uint64_t released[WEIR_KIND_COUNT];
};

struct worker {
    pthread_t thread;
    struct host *host;
    struct totals totals;
};

static _Atomic int buffers_open;

static void destroy_buffer(void *context, uint64_t rep)
{
    (void)context;
    free((void *)(uintptr_t)rep);
    atomic_fetch_sub(&buffers_open, 1);
}

static const struct weir_resource_type BUFFER = {.name = "buffer", .destroy = destroy_buffer};

static struct run *run_of(struct weir_caller *caller)
{
    return weir_store_data(weir_caller_store(caller));
}

/* host.open: a buffer of the host's, by handle. */
static enum weir_status host_open(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    struct weir_handles *handles;
    struct weir_handle handle;
    size_t size = (size_t)args[0].i32 & 0xffff;
    void *buffer = calloc(1, size + 1);
    struct weir_handle_new wanted = {.type = &BUFFER, .rep = (uintptr_t)buffer, .label = "open"};
    if (buffer == NULL ||
        weir_store_handles(weir_caller_store(caller), &handles, NULL) != WEIR_OK ||
        weir_handle_make(handles, &wanted, &handle, NULL) != WEIR_OK) {
        free(buffer);
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "no buffer of %zu bytes", size);
    }
    atomic_fetch_add(&buffers_open, 1);
    results[0].i32 = (int32_t)handle.index;
    return WEIR_OK;
}

static enum weir_status host_drop(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    (void)results;
    struct weir_handles *handles;
    if (weir_store_handles(weir_caller_store(caller), &handles, NULL) != WEIR_OK ||
        weir_handle_drop(handles, (uint32_t)args[0].i32, &BUFFER, NULL) != WEIR_OK)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "no buffer %d", args[0].i32);
    return WEIR_OK;
}

/* host.log: the text is read and counted; keeping it would be the host's decision and its bytes. */
static enum weir_status host_log(struct weir_caller *caller, void *data,
                                 const union weir_value *args, union weir_value *results)
{
    (void)data;
    (void)results;
    char text[64];
    size_t size = (uint32_t)args[1].i32 < sizeof text ? (uint32_t)args[1].i32 : sizeof text;
    if (weir_memory_read(weir_caller_memory(caller), (uint32_t)args[0].i32, text, size) != WEIR_OK)
        return weir_caller_trap(caller, WEIR_TRAP_MEMORY_BOUNDS, "a log line outside of memory");
    run_of(caller)->logged++;
    return WEIR_OK;
}

static void define(struct weir_linker *linker, const char *name, weir_host_func *func,
                   struct weir_func_type type)
{
    struct weir_error error = {0};
    must(weir_linker_define_func(linker, "host", name,
                                 &(struct weir_host_definition){.type = &type, .func = func},
                                 &error),
         &error);
}

static void add_receipt(struct totals *totals, struct weir_receipt *receipt)
{
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        totals->released[kind] += receipt->released[kind];
    totals->undropped += receipt->undropped_count;
    totals->not_drained += !receipt->drained;
    weir_receipt_done(receipt);
}

static void run_one(struct host *host, int number, struct totals *totals)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    struct run run = {.number = number};
    must(weir_store_new(host->engine,
                        &(struct weir_store_config){
                            .name = "run", .memory_bytes_max = UINT64_C(8) << 20, .data = &run},
                        &store, &error),
         &error);
    must(weir_instance_new(store, host->linker, host->module, &instance, NULL, &error), &error);
    union weir_value args[] = {{.i32 = number}};
    union weir_value result = {0};
    enum weir_status status =
        weir_func_call(store, chapter_func(instance, "run"), args, &result, NULL, NULL);
    EXPECT(status == WEIR_OK || status == WEIR_TRAP);
    run.answer = status == WEIR_OK ? (uint32_t)result.i32 : 0;

    totals->runs++;
    totals->traps += status == WEIR_TRAP;
    totals->logged += (uint64_t)run.logged;
    totals->answers += run.answer;
    if (host->keeps && number % 4 == 0)
        return; /* the mistake that this chapter is about */
    struct weir_receipt receipt = {0};
    weir_store_close(store, &receipt);
    add_receipt(totals, &receipt);
}

/* Two parts: warm-up, and what is measured; main looks at the process in between. */
static void *work(void *data)
{
    struct worker *worker = data;
    struct host *host = worker->host;
    for (int part = 0; part < 2; part++) {
        (void)pthread_barrier_wait(&host->part); /* it begins */
        int number;
        while ((number = atomic_fetch_add(&host->next_run, 1)) < host->end_run)
            run_one(host, number, &worker->totals);
        (void)pthread_barrier_wait(&host->part); /* all have ended */
    }
    (void)pthread_barrier_wait(&host->part); /* the process was measured */
    return NULL;
}

static uint64_t sum_of_lines(const char *path, const char *const *names)
{
    char line[256];
    uint64_t sum = 0;
    FILE *file = fopen(path, "r");
    EXPECT(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        for (const char *const *name = names; *name != NULL; name++)
            if (strncmp(line, *name, strlen(*name)) == 0)
                sum += strtoull(line + strlen(*name), NULL, 10);
    (void)fclose(file);
    return sum;
}

/* What the process has of its own, in KiB: memory, swap, and page tables. */
static uint64_t process_kib(void)
{
    static const char *const memory[] = {"Pss_Anon:", "Pss_Shmem:", "Swap:", NULL};
    static const char *const tables[] = {"VmPTE:", NULL};
    return sum_of_lines("/proc/self/smaps_rollup", memory) +
           sum_of_lines("/proc/self/status", tables);
}

static void begin_part(struct host *host, int end_run)
{
    atomic_store(&host->next_run, host->end_run);
    host->end_run = end_run;
    (void)pthread_barrier_wait(&host->part);
}

static uint64_t end_part(struct host *host)
{
    (void)pthread_barrier_wait(&host->part);
    return process_kib();
}

static void print_totals(const struct totals *totals, int threads)
{
    printf("%llu runs on %d threads: %llu trapped, %llu lines logged, answers add up to %llu\n",
           (unsigned long long)totals->runs, threads, (unsigned long long)totals->traps,
           (unsigned long long)totals->logged, (unsigned long long)totals->answers);
    printf("%llu handles were never dropped and were destroyed, %d are left; %llu receipts pend\n",
           (unsigned long long)totals->undropped, atomic_load(&buffers_open),
           (unsigned long long)totals->not_drained);
    printf("released, by the receipts:\n");
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (totals->released[kind] != 0 && weir_kind_is_bytes((enum weir_kind)kind))
            printf("  %-14s %10.1f MiB\n", weir_kind_name((enum weir_kind)kind),
                   (double)totals->released[kind] / (1 << 20));
}

/* All runs, and by how many KiB the process grew from the end of the warm-up on. */
static int64_t run_many(struct host *host, int threads, int runs, struct totals *ret_totals)
{
    static struct worker workers[THREADS_MAX];
    EXPECT(pthread_barrier_init(&host->part, NULL, (unsigned)threads + 1) == 0);
    for (int i = 0; i < threads; i++) {
        workers[i].host = host;
        EXPECT(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    begin_part(host, runs / WARM_UP_PARTS);
    uint64_t before = end_part(host);
    begin_part(host, runs);
    uint64_t after = end_part(host);
    (void)pthread_barrier_wait(&host->part);
    for (int i = 0; i < threads; i++) {
        EXPECT(pthread_join(workers[i].thread, NULL) == 0);
        const struct totals *one = &workers[i].totals;
        ret_totals->runs += one->runs;
        ret_totals->traps += one->traps;
        ret_totals->logged += one->logged;
        ret_totals->answers += one->answers;
        ret_totals->undropped += one->undropped;
        ret_totals->not_drained += one->not_drained;
        for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
            ret_totals->released[kind] += one->released[kind];
    }
    (void)pthread_barrier_destroy(&host->part);
    return (int64_t)(after - before);
}

int main(int argc, char **argv)
{
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 4;
    int runs = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 2000;
    const char *mode = argc > 4 ? argv[4] : "judge";
    EXPECT(threads > 0 && threads <= THREADS_MAX && runs >= WARM_UP_PARTS);
    static const enum weir_type i32s[] = {WEIR_TYPE_I32, WEIR_TYPE_I32};
    struct weir_error error = {0};
    struct totals totals = {0};
    struct host host = {.keeps = strcmp(mode, "keep") == 0};
    must(weir_engine_new(NULL, &host.engine, &error), &error);
    host.module = chapter_module(host.engine, argc > 1 ? argv[1] : NULL, "plugin");
    must(weir_linker_new(host.engine, &host.linker, &error), &error);
    define(host.linker, "open", host_open, (struct weir_func_type){i32s, 1, i32s, 1});
    define(host.linker, "drop", host_drop, (struct weir_func_type){i32s, 1, NULL, 0});
    define(host.linker, "log", host_log, (struct weir_func_type){i32s, 2, NULL, 0});

    int64_t growth_kib = run_many(&host, threads, runs, &totals);
    print_totals(&totals, threads);
    printf("growth over the last %d runs: %lld KiB, at most %d are zero\n",
           runs - runs / WARM_UP_PARTS, (long long)growth_kib, GROWTH_KIB_MAX);

    weir_linker_free(host.linker);
    weir_module_unref(host.module);
    weir_engine_unref(host.engine);
    bool is_good = totals.runs == (uint64_t)runs && atomic_load(&buffers_open) == 0 &&
                   (growth_kib <= GROWTH_KIB_MAX || strcmp(mode, "report") == 0);
    printf("%s\n", is_good ? "nothing is left of any run" : "something is left");
    return is_good ? 0 : 1;
}
