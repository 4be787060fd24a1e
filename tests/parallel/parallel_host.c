/* See parallel_host.h. */
#include "tests/parallel/parallel_host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "ledger/equation.h"
#include "parallel_plugin_wasm.h"

#define TURNS 8             /* handles and log lines of one plugin */
#define WARM_UP_ROUNDS 10
#define ROUNDS_MIN 100u /* for a verdict, however slow the machine */
#define BLOCK_BYTES 1000u   /* of a burst */
#define BURST_STEP 60000u   /* by which bursts become larger from round to round */
#define BURST_ROUNDS 60u    /* until then */
#define RECORD_BYTES 3000u  /* what a host keeps of its last plugin */

const char *parallel_policy_name(enum parallel_policy policy)
{
    static const char *const NAMES[] = {"right", "stores", "handles", "engines", "arenas"};
    return NAMES[policy];
}

static void must(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", weir_status_name(status), error->message);
    exit(weir_status_exit_code(status));
}

/* --- host state ---------------------------------------------------------------------------- */

/* What the host keeps for a plugin while it lives. */
struct line {
    struct line *next;
    char text[64];
};
struct plugin {
    struct line *lines;
};

struct host {
    const struct parallel_options *options;
    struct weir_engine *engine;
    struct weir_module *module;
    struct weir_linker *linker;
    pthread_barrier_t barrier;
    atomic_uint lives; /* of this round and thread */
    atomic_uint round;
    atomic_bool is_over;
};

struct worker {
    struct host *host;
    pthread_t thread;
    struct weir_store *store; /* HANDLES */
    struct weir_instance *instance;
    void *record; /* ARENAS */
    void **burst;
};

static void destroy_buffer(void *context, uint64_t rep)
{
    (void)context;
    free((void *)(uintptr_t)rep);
}

static const struct weir_resource_type BUFFER = {.name = "buffer", .destroy = destroy_buffer};

static enum weir_status host_open(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    struct weir_handles *handles = NULL;
    struct weir_handle handle;
    (void)data;
    void *buffer = calloc(1, (size_t)args[0].i32 & 0xffff);
    const struct weir_handle_new wanted = {
        .type = &BUFFER, .rep = (uintptr_t)buffer, .label = "host.open"};
    if (buffer == NULL ||
        weir_store_handles(weir_caller_store(caller), &handles, NULL) != WEIR_OK ||
        weir_handle_make(handles, &wanted, &handle, NULL) != WEIR_OK) {
        free(buffer);
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "no buffer");
    }
    results[0].i32 = (int32_t)handle.index;
    return WEIR_OK;
}

static enum weir_status host_close(struct weir_caller *caller, void *data,
                                   const union weir_value *args, union weir_value *results)
{
    struct weir_handles *handles = NULL;
    (void)data;
    (void)results;
    if (weir_store_handles(weir_caller_store(caller), &handles, NULL) != WEIR_OK ||
        weir_handle_drop(handles, (uint32_t)args[0].i32, &BUFFER, NULL) != WEIR_OK)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "no buffer %d", args[0].i32);
    return WEIR_OK;
}

static enum weir_status host_log(struct weir_caller *caller, void *data,
                                 const union weir_value *args, union weir_value *results)
{
    struct plugin *plugin = weir_store_data(weir_caller_store(caller));
    struct line *line = malloc(sizeof *line);
    (void)data;
    (void)results;
    if (line == NULL || weir_memory_read(weir_caller_memory(caller), (uint32_t)args[0].i32,
                                         line->text, sizeof line->text) != WEIR_OK) {
        free(line);
        return weir_caller_trap(caller, WEIR_TRAP_MEMORY_BOUNDS, "a line outside of memory");
    }
    line->next = plugin->lines;
    plugin->lines = line;
    return WEIR_OK;
}

static void forget_lines(struct plugin *plugin)
{
    while (plugin->lines != NULL) {
        struct line *line = plugin->lines;
        plugin->lines = line->next;
        free(line);
    }
}

static void free_plugin(void *data)
{
    forget_lines(data);
    free(data);
}

static struct weir_linker *make_linker(struct weir_engine *engine)
{
    static const enum weir_type I32S[] = {WEIR_TYPE_I32, WEIR_TYPE_I32};
    static const struct {
        const char *name;
        weir_host_func *func;
        struct weir_func_type type;
    } FUNCS[] = {
        {"open", host_open, {I32S, 1, I32S, 1}},
        {"close", host_close, {I32S, 1, NULL, 0}},
        {"log", host_log, {I32S, 2, NULL, 0}},
    };
    struct weir_error error = {0};
    struct weir_linker *linker = NULL;
    must(weir_linker_new(engine, &linker, &error), &error);
    for (size_t i = 0; i < sizeof FUNCS / sizeof FUNCS[0]; i++) {
        const struct weir_host_definition definition = {.type = &FUNCS[i].type,
                                                        .func = FUNCS[i].func};
        must(weir_linker_define_func(linker, "host", FUNCS[i].name, &definition, &error), &error);
    }
    return linker;
}

static struct weir_engine *make_engine(void)
{
    const struct weir_engine_config config = {.artifact_dir = getenv("PARALLEL_ARTIFACTS")};
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    must(weir_engine_new(&config, &engine, &error), &error);
    return engine;
}

static struct weir_module *make_module(struct weir_engine *engine)
{
    const struct weir_module_config config = {.name = "plugin.wasm"};
    struct weir_error error = {0};
    struct weir_module *module = NULL;
    must(weir_module_new(engine, parallel_plugin_wasm, sizeof parallel_plugin_wasm, &config,
                         &module, &error),
         &error);
    return module;
}

/* --- one plugin ---------------------------------------------------------------------------- */

static struct weir_store *make_store(struct weir_engine *engine)
{
    struct weir_error error = {0};
    struct weir_store *store = NULL;
    struct plugin *plugin = calloc(1, sizeof *plugin);
    WEIR_ASSERT(plugin != NULL);
    const struct weir_store_config config = {
        .name = "plugin", .memory_bytes_max = UINT64_C(8) << 20, .data = plugin,
        .data_free = free_plugin};
    must(weir_store_new(engine, &config, &store, &error), &error);
    return store;
}

static void call_plugin(struct weir_instance *instance, bool closes)
{
    struct weir_error error = {0};
    struct weir_extern item = {0};
    const union weir_value args[] = {{.i32 = TURNS}, {.i32 = closes}};
    union weir_value result = {0};
    enum weir_status status = weir_instance_export(instance, "run", 3, &item);
    WEIR_ASSERT(status == WEIR_OK && item.kind == WEIR_EXTERN_FUNC);
    status = weir_func_call(weir_instance_store(instance), item.func, args, &result, NULL, &error);
    must(status, &error);
    WEIR_ASSERT(result.i32 == 3);
}

/* The shape that all but HANDLES have. */
static struct weir_store *run_in_store(struct weir_engine *engine, struct weir_linker *linker,
                                       struct weir_module *module)
{
    struct weir_error error = {0};
    struct weir_instance *instance = NULL;
    struct weir_store *store = make_store(engine);
    must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    call_plugin(instance, true);
    return store;
}

static void live_right(struct worker *worker)
{
    const struct host *host = worker->host;
    weir_store_close(run_in_store(host->engine, host->linker, host->module), NULL);
}

/* The host lists finished plugins, with their stores, and nobody takes them off the list. */
static void live_stores(struct worker *worker)
{
    const struct host *host = worker->host;
    (void)run_in_store(host->engine, host->linker, host->module);
}

/* The store outlives each plugin, which is reset; what it opened belongs to the store. */
static void live_handles(struct worker *worker)
{
    const struct host *host = worker->host;
    struct weir_error error = {0};
    if (worker->store == NULL) {
        worker->store = make_store(host->engine);
        must(weir_instance_new(worker->store, host->linker, host->module, &worker->instance, NULL,
                               &error),
             &error);
    }
    call_plugin(worker->instance, false);
    must(weir_instance_reset(worker->instance, &error), &error);
    forget_lines(weir_store_data(worker->store));
}

/* "A plugin needs an engine": its store is closed, engine, linker and module stay. */
static void live_engines(struct worker *worker)
{
    (void)worker;
    struct weir_engine *engine = make_engine();
    struct weir_linker *linker = make_linker(engine);
    struct weir_module *module = make_module(engine);
    weir_store_close(run_in_store(engine, linker, module), NULL);
}

/* Values of the host, as many small blocks, ever larger bursts of them; all are freed, after the
 * record of this plugin was made and before that of the next one is: so it lies behind the burst,
 * and the arena cannot be cut back below it. */
static void live_arenas(struct worker *worker)
{
    unsigned round = atomic_load(&worker->host->round);
    size_t count = BURST_STEP / BLOCK_BYTES * (round < BURST_ROUNDS ? round + 1 : BURST_ROUNDS);
    live_right(worker);
    for (size_t i = 0; i < count; i++) {
        worker->burst[i] = malloc(BLOCK_BYTES);
        WEIR_ASSERT(worker->burst[i] != NULL);
        memset(worker->burst[i], 1, BLOCK_BYTES);
    }
    void *record = malloc(RECORD_BYTES);
    WEIR_ASSERT(record != NULL);
    for (size_t i = 0; i < count; i++)
        free(worker->burst[i]);
    free(worker->record);
    worker->record = record;
}

static void (*const LIVE[PARALLEL_POLICY_COUNT])(struct worker *worker) = {
    [PARALLEL_RIGHT] = live_right,     [PARALLEL_STORES] = live_stores,
    [PARALLEL_HANDLES] = live_handles, [PARALLEL_ENGINES] = live_engines,
    [PARALLEL_ARENAS] = live_arenas,
};

static void *work(void *data)
{
    struct worker *worker = data;
    struct host *host = worker->host;
    for (;;) {
        (void)pthread_barrier_wait(&host->barrier); /* a round begins */
        if (atomic_load(&host->is_over))
            return NULL;
        unsigned lives = atomic_load(&host->lives);
        for (unsigned i = 0; i < lives; i++)
            LIVE[host->options->policy](worker);
        (void)pthread_barrier_wait(&host->barrier); /* all have ended */
    }
}

/* --- what is measured ---------------------------------------------------------------------- */

struct series {
    double seconds[PARALLEL_ROUNDS_MAX], operations[PARALLEL_ROUNDS_MAX];
    double resident[2][PARALLEL_ROUNDS_MAX], live[2][PARALLEL_ROUNDS_MAX];
    double held[2][PARALLEL_ROUNDS_MAX];
};

static struct series series;

/* malloc's memory and, beside it, mappings of our own, of which all is in use. */
static struct parallel_figures look(unsigned round, uint64_t completed)
{
    struct weir_equation equation;
    struct weir_error error = {0};
    struct parallel_figures figures = {0};
    must(weir_equation_read(&equation, &error), &error);
    must(weir_growth_read(&figures.growth_bytes, &error), &error);
    uint64_t owned = 0;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        owned += equation.owned[kind];
    owned -= equation.owned_file_bytes;
    figures.mappings = equation.mapping_count;
    figures.descriptors = equation.descriptor_count;
    figures.live_bytes = equation.malloc_live_bytes + owned;
    figures.slack_bytes = equation.malloc_free_resident_bytes;
    series.seconds[round] = (double)weir_clock_ns() / 1e9;
    series.operations[round] = (double)completed;
    series.resident[0][round] = (double)equation.malloc_bytes;
    series.live[0][round] = (double)equation.malloc_live_bytes;
    series.held[0][round] =
        (double)(equation.malloc_live_bytes + equation.malloc_free_resident_bytes);
    series.resident[1][round] = series.live[1][round] = series.held[1][round] = (double)owned;
    return figures;
}

static void judge(unsigned rounds, struct parallel_result *result)
{
    const struct weir_verdict_terms terms = {.class_count = 2};
    struct weir_verdict verdicts[2];
    struct weir_error error = {0};
    for (int i = 0; i < 2; i++) {
        const struct weir_series one = {.count = rounds,
                                        .seconds = series.seconds,
                                        .operations = series.operations,
                                        .resident = series.resident[i],
                                        .live = series.live[i],
                                        .system = series.held[i]};
        must(weir_verdict_judge(&one, &terms, &verdicts[i], &error), &error);
    }
    result->verdict = verdicts[weir_verdict_overall(verdicts, 2)];
    weir_verdict_headline(&result->verdict, result->headline, sizeof result->headline);
}

static struct weir_census *take(const struct weir_census *since, uint32_t size)
{
    const struct weir_census_config config = {
        .since = since, .groups_max = size, .stores_max = size};
    struct weir_error error = {0};
    struct weir_census *census = NULL;
    must(weir_census_take(NULL, &config, &census, &error), &error);
    return census;
}

struct growths {
    struct weir_census_growth charged, live;
};

/* Quiesced: what is left, somebody holds. A plugin is completed when it has done its work, whether
 * or not the host knows. */
static struct parallel_figures end_round(struct host *host, unsigned round, uint64_t completed,
                                         struct growths *growths)
{
    (void)weir_engine_quiesce(host->engine);
    struct parallel_figures figures = look(round, completed);
    struct weir_census *census = take(NULL, 1);
    weir_census_growth_add(&growths->charged, completed, weir_census_bytes(census));
    weir_census_growth_add(&growths->live, completed, figures.live_bytes);
    weir_census_free(census);
    return figures;
}

static void compare(const struct weir_census *before, struct parallel_result *result)
{
    const struct weir_retention_config config = {.turns_min = 8};
    struct weir_census *after = take(before, 0);
    weir_retention_read(before, after, &config, result->findings);
    if (weir_census_diff(before, after, &result->top, 1) > 0)
        result->top_group = *(result->top.after != NULL ? result->top.after : result->top.before);
    result->top.before = result->top.after = NULL;
    weir_census_free(after);
}

enum weir_retention_pattern parallel_pattern(const struct parallel_result *result)
{
    int i = 0;
    while (i < WEIR_RETENTION_COUNT && result->findings[i].state != WEIR_RETENTION_PRESENT)
        i++;
    return (enum weir_retention_pattern)i;
}

/* --- rounds -------------------------------------------------------------------------------- */

static uint64_t run_round(struct host *host)
{
    uint64_t begin = weir_clock_ns();
    (void)pthread_barrier_wait(&host->barrier);
    (void)pthread_barrier_wait(&host->barrier);
    return weir_clock_ns() - begin;
}

/* So many plugins that a round takes about as long as it should. */
static void fit_lives(struct host *host, uint64_t took_ns)
{
    const struct parallel_options *options = host->options;
    uint64_t lives = atomic_load(&host->lives) * options->round_ns / (took_ns + 1);
    if (options->lives_max != 0 && lives > options->lives_max)
        lives = options->lives_max;
    atomic_store(&host->lives, lives < 1 ? 1 : (unsigned)lives);
}

static void run_rounds(struct host *host, struct parallel_result *result)
{
    unsigned rounds = host->options->rounds;
    struct growths growths = {0}, unused = {0};
    struct weir_census *before = NULL;
    struct weir_error error = {0};
    for (unsigned i = 0; i < WARM_UP_ROUNDS; i++) {
        fit_lives(host, run_round(host));
        weir_census_free(before);
        before = take(NULL, 0);
        result->before = end_round(host, 0, 0, &unused);
    }
    uint64_t end_ns = weir_clock_ns() + rounds * host->options->round_ns;
    unsigned i = 0;
    for (; i < rounds && (i < ROUNDS_MIN || weir_clock_ns() < end_ns); i++) {
        atomic_store(&host->round, i);
        (void)run_round(host);
        result->completed += (uint64_t)atomic_load(&host->lives) * host->options->threads;
        result->after = end_round(host, i, result->completed, &growths);
    }
    compare(before, result);
    weir_census_free(before);
    judge(i, result);
    must(weir_census_growth_read(&growths.charged, &result->charged, &error), &error);
    must(weir_census_growth_read(&growths.live, &result->live, &error), &error);
}

void parallel_run(const struct parallel_options *options, struct parallel_result *ret_result)
{
    static struct worker workers[PARALLEL_THREADS_MAX];
    struct host host = {.options = options};
    WEIR_ASSERT(options->threads >= 1 && options->threads <= PARALLEL_THREADS_MAX);
    WEIR_ASSERT(options->rounds <= PARALLEL_ROUNDS_MAX);
    memset(ret_result, 0, sizeof *ret_result);
    host.engine = make_engine();
    host.module = make_module(host.engine);
    host.linker = make_linker(host.engine);
    atomic_store(&host.lives, 1);
    int failed = pthread_barrier_init(&host.barrier, NULL, options->threads + 1);
    for (unsigned i = 0; i < options->threads && failed == 0; i++) {
        workers[i] = (struct worker){.host = &host};
        if (options->policy == PARALLEL_ARENAS)
            workers[i].burst = calloc(BURST_STEP / BLOCK_BYTES * BURST_ROUNDS, sizeof(void *));
        failed = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    WEIR_ASSERT(failed == 0);
    run_rounds(&host, ret_result);
    atomic_store(&host.is_over, true);
    (void)pthread_barrier_wait(&host.barrier);
    for (unsigned i = 0; i < options->threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        weir_store_close(workers[i].store, NULL);
        free(workers[i].record);
        free(workers[i].burst);
    }
    (void)pthread_barrier_destroy(&host.barrier);
    weir_linker_free(host.linker);
    weir_module_unref(host.module);
    weir_engine_unref(host.engine);
}
