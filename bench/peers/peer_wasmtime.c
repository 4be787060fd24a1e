/* Wasmtime in the same measurements as Weir: peer_wasmtime LIBRARY COMMAND ...
 *
 *   compute plain|epoch FILE.wasm SCALE   one run per line of stdin, see bench_measure.h
 *   call FILE.wasm                        the figures of bench_call
 *   instantiate plain|pooling FILE.wasm   the figures of bench_instantiate
 *   load FILE.wasm                        a compiled module from its file, as bench_load
 *   compile cranelift|winch FILE.wasm REPEATS
 *
 * Its fastest way everywhere: functions without checks of their arguments, imports resolved ahead,
 * an engine that lives through the run. Epochs are its poll; Weir has one in every figure. FILE is
 * bench_call.wasm for call and instantiate.
 */
#include <dlfcn.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../bench_measure.h"
#include "wasmtime_api.h"

#define CALLS 2000000
#define CYCLES 5000
#define LOADS 500
#define REPEATS_MAX 1000
#define KEEP_RESIDENT_BYTES (1u << 20)
#define RAW_MAX 4

static struct wasmtime_api api;

struct guest {
    struct wasm_engine *engine;
    struct wasmtime_module *module;
    struct wasmtime_instance_pre *pre;
    struct wasmtime_store *store;
    struct wasmtime_context *context;
    struct wasmtime_instance instance;
    struct wasmtime_func func;
    int32_t argument;
    bool has_epoch;
};

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "peer_wasmtime: %s\n", what);
    exit(1);
}

static void must(struct wasmtime_error *error)
{
    struct wasm_bytes message = {0};
    if (error == NULL)
        return;
    api.wasmtime_error_message(error, &message);
    (void)fprintf(stderr, "peer_wasmtime: %.*s\n", (int)message.size, message.data);
    exit(1);
}

static void open_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fail(dlerror());
#define WASMTIME_FIND(result, name, parameters)                                                    \
    *(void **)&api.name = dlsym(library, #name);                                                   \
    if (api.name == NULL)                                                                          \
        fail("the library has no " #name);
    WASMTIME_FUNCTIONS(WASMTIME_FIND)
#undef WASMTIME_FIND
}

static struct wasm_trap *host_nothing(void *data, struct wasmtime_caller *caller,
                                      union wasmtime_raw *values, size_t count)
{
    (void)data;
    (void)caller;
    (void)values;
    (void)count;
    return NULL;
}

static struct wasm_trap *host_add(void *data, struct wasmtime_caller *caller,
                                  union wasmtime_raw *values, size_t count)
{
    (void)data;
    (void)caller;
    (void)count;
    values[0].i32 += values[1].i32;
    return NULL;
}

static void define(struct wasmtime_linker *linker, const char *name, size_t params, size_t results,
                   wasmtime_raw_callback *callback)
{
    struct wasm_valtype *types[RAW_MAX];
    struct wasm_valtypes lists[2];
    for (size_t i = 0; i < params + results; i++)
        types[i] = api.wasm_valtype_new(WASM_I32);
    api.wasm_valtype_vec_new(&lists[0], params, types);
    api.wasm_valtype_vec_new(&lists[1], results, types + params);
    struct wasm_functype *type = api.wasm_functype_new(&lists[0], &lists[1]);
    must(api.wasmtime_linker_define_func_unchecked(linker, "host", 4, name, strlen(name), type,
                                                   callback, NULL, NULL));
}

static void open_store(struct guest *guest)
{
    struct wasm_trap *trap = NULL;
    guest->store = api.wasmtime_store_new(guest->engine, NULL, NULL);
    guest->context = api.wasmtime_store_context(guest->store);
    if (guest->has_epoch)
        api.wasmtime_context_set_epoch_deadline(guest->context, UINT64_MAX / 2);
    must(
        api.wasmtime_instance_pre_instantiate(guest->pre, guest->context, &guest->instance, &trap));
    if (trap != NULL)
        fail("the guest trapped in its start function");
}

static void find_func(struct guest *guest, const char *name)
{
    struct wasmtime_extern item;
    if (!api.wasmtime_instance_export_get(guest->context, &guest->instance, name, strlen(name),
                                          &item))
        fail("the guest lacks an export");
    guest->func = item.of.func;
}

static void call(struct guest *guest, union wasmtime_raw *values, size_t count)
{
    struct wasm_trap *trap = NULL;
    struct wasmtime_error *error =
        api.wasmtime_func_call_unchecked(guest->context, &guest->func, values, count, &trap);
    if (error != NULL || trap != NULL)
        fail("the guest trapped");
}

static void open_guest(struct guest *guest, const char *path, bool has_pool)
{
    size_t size = 0;
    uint8_t *bytes = bench_read_file(path, &size);
    struct wasm_config *config = api.wasm_config_new();
    api.wasmtime_config_epoch_interruption_set(config, guest->has_epoch);
    if (has_pool) {
        struct wasmtime_pooling *pooling = api.wasmtime_pooling_allocation_config_new();
        api.wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pooling,
                                                                               KEEP_RESIDENT_BYTES);
        api.wasmtime_pooling_allocation_strategy_set(config, pooling);
        api.wasmtime_pooling_allocation_config_delete(pooling);
    }
    guest->engine = api.wasm_engine_new_with_config(config);
    must(api.wasmtime_module_new(guest->engine, bytes, size, &guest->module));
    free(bytes);
    struct wasmtime_linker *linker = api.wasmtime_linker_new(guest->engine);
    define(linker, "nothing", 0, 0, host_nothing);
    define(linker, "add", 2, 1, host_add);
    must(api.wasmtime_linker_instantiate_pre(linker, guest->module, &guest->pre));
}

/* --- compute --- */

static uint64_t compute_once(void *context)
{
    struct guest *guest = context;
    union wasmtime_raw values[1] = {{.i32 = guest->argument}};
    call(guest, values, 1);
    return (uint64_t)values[0].i64;
}

static int compute(char **argv)
{
    struct guest guest = {.has_epoch = strcmp(argv[0], "epoch") == 0,
                          .argument = (int32_t)strtoul(argv[2], NULL, 10)};
    open_guest(&guest, argv[1], false);
    open_store(&guest);
    find_func(&guest, "run");
    bench_serve_lines(compute_once, &guest);
    return 0;
}

/* --- call --- */

struct call_job {
    struct guest *guest;
    const char *name;
    size_t count;
};

static double call_guest(void *context)
{
    const struct call_job *job = context;
    find_func(job->guest, job->name);
    double begin = bench_now_ns();
    for (int i = 0; i < CALLS; i++) {
        union wasmtime_raw values[RAW_MAX] = {{.i64 = 1}, {.i64 = 2}, {.i64 = 3}};
        call(job->guest, values, job->count);
    }
    return (bench_now_ns() - begin) / CALLS;
}

static double call_loop(struct guest *guest, const char *name)
{
    union wasmtime_raw values[RAW_MAX] = {{.i32 = CALLS}};
    find_func(guest, name);
    double begin = bench_now_ns();
    call(guest, values, 1);
    return (bench_now_ns() - begin) / CALLS;
}

static double call_host(void *context)
{
    const struct call_job *job = context;
    double with = call_loop(job->guest, job->name);
    return with - call_loop(job->guest, "loop_only");
}

static int measure_calls(char **argv)
{
    struct guest guest = {.has_epoch = true};
    open_guest(&guest, argv[0], false);
    open_store(&guest);
    struct call_job jobs[] = {{&guest, "empty", 0},
                              {&guest, "add", 2},
                              {&guest, "sum", 3},
                              {&guest, "call_nothing", 1},
                              {&guest, "call_add", 1}};
    printf("{\"bench\": \"call\", \"unit\": \"ns\",\n");
    bench_print("host_to_guest_empty", bench_measure(call_guest, &jobs[0]), ",");
    bench_print("host_to_guest_add", bench_measure(call_guest, &jobs[1]), ",");
    bench_print("host_to_guest_floats", bench_measure(call_guest, &jobs[2]), ",");
    bench_print("guest_to_host_nothing", bench_measure(call_host, &jobs[3]), ",");
    bench_print("guest_to_host_add", bench_measure(call_host, &jobs[4]), "}\n");
    return 0;
}

/* --- instantiate --- */

static double cycle(void *context)
{
    struct guest *guest = context;
    double begin = bench_now_ns();
    for (int i = 0; i < CYCLES; i++) {
        union wasmtime_raw values[1] = {{.i32 = guest->argument}};
        open_store(guest);
        find_func(guest, guest->argument == 0 ? "empty" : "touch");
        call(guest, values, guest->argument == 0 ? 0 : 1);
        api.wasmtime_store_delete(guest->store);
    }
    return (bench_now_ns() - begin) / CYCLES / 1e3;
}

static int measure_instances(char **argv)
{
    struct guest guest = {.has_epoch = true};
    open_guest(&guest, argv[1], strcmp(argv[0], "pooling") == 0);
    printf("{\"bench\": \"instantiate\", \"unit\": \"us\",\n");
    bench_print("empty_1_thread", bench_measure(cycle, &guest), ",");
    guest.argument = 16;
    bench_print("16_pages_1_thread", bench_measure(cycle, &guest), "}\n");
    return 0;
}

/* --- load --- */

struct load_job {
    struct wasm_engine *engine;
    char path[32];
};

static double load(void *context)
{
    const struct load_job *job = context;
    double begin = bench_now_ns();
    for (int i = 0; i < LOADS; i++) {
        struct wasmtime_module *module = NULL;
        must(api.wasmtime_module_deserialize_file(job->engine, job->path, &module));
        api.wasmtime_module_delete(module);
    }
    return (bench_now_ns() - begin) / LOADS / 1e3;
}

static int measure_load(char **argv)
{
    struct load_job job = {.path = "/tmp/bench-wasmtime-XXXXXX"};
    struct wasmtime_module *module = NULL;
    struct wasm_bytes image = {0};
    size_t size = 0;
    uint8_t *bytes = bench_read_file(argv[0], &size);
    job.engine = api.wasm_engine_new_with_config(api.wasm_config_new());
    must(api.wasmtime_module_new(job.engine, bytes, size, &module));
    must(api.wasmtime_module_serialize(module, &image));
    free(bytes);
    int fd = mkstemp(job.path);
    if (fd < 0 || write(fd, image.data, image.size) != (ssize_t)image.size)
        fail("cannot write a temporary file");
    (void)close(fd);
    printf("{\"bench\": \"load\", \"unit\": \"us\",\n  \"artifact_bytes\": %zu,\n", image.size);
    bench_print("load_and_unload", bench_measure(load, &job), "}\n");
    (void)unlink(job.path);
    return 0;
}

/* --- compile --- */

static int measure_compile(char **argv)
{
    static double ms[REPEATS_MAX];
    size_t size = 0;
    size_t repeats = strtoul(argv[2], NULL, 10);
    uint8_t *bytes = bench_read_file(argv[1], &size);
    if (repeats == 0 || repeats > REPEATS_MAX)
        fail("1 to 1000 repeats");
    struct wasm_config *config = api.wasm_config_new();
    api.wasmtime_config_parallel_compilation_set(config, false);
    api.wasmtime_config_epoch_interruption_set(config, true);
    if (strcmp(argv[0], "winch") == 0)
        api.wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_WINCH);
    struct wasm_engine *engine = api.wasm_engine_new_with_config(config);
    for (size_t i = 0; i < repeats; i++) {
        struct wasmtime_module *module = NULL;
        double begin = bench_now_ns();
        must(api.wasmtime_module_new(engine, bytes, size, &module));
        ms[i] = (bench_now_ns() - begin) / 1e6;
        api.wasmtime_module_delete(module);
    }
    free(bytes);
    qsort(ms, repeats, sizeof ms[0], bench_compare);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\": \"compile\", \"unit\": \"ms\", \"module_bytes\": %zu,\n", size);
    printf("  \"peak_bytes\": %lld,\n", (long long)usage.ru_maxrss * 1024);
    bench_print("in_process", (struct bench_figure){ms[repeats / 2], ms[0], ms[repeats - 1]},
                "}\n");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(char **argv);
    } commands[] = {{"compute", 3, compute},
                    {"call", 1, measure_calls},
                    {"instantiate", 2, measure_instances},
                    {"load", 1, measure_load},
                    {"compile", 3, measure_compile}};
    for (size_t i = 0; argc > 3 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[2], commands[i].name) == 0 && argc == 3 + commands[i].arguments) {
            open_library(argv[1]);
            return commands[i].run(argv + 3);
        }
    }
    (void)fprintf(stderr, "usage: peer_wasmtime LIBRARY COMMAND ...; see peer_wasmtime.c\n");
    return 2;
}
