/* What a call costs in each direction, in nanoseconds: host → guest (empty, two integers, three
 * floats) and guest → host (nothing, two integers and a result; the loop around it subtracted).
 * Prints one JSON object. */
#include "bench_guest.h"

#include "bench_call_wasm.h"

#define CALLS 2000000

static struct weir_store *store;
static struct weir_instance *instance;

static enum weir_status host_nothing(struct weir_caller *caller, void *data,
                                     const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    (void)results;
    return WEIR_OK;
}

static enum weir_status host_add(struct weir_caller *caller, void *data,
                                 const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0].i32 = args[0].i32 + args[1].i32;
    return WEIR_OK;
}

static double call_guest(void *context)
{
    struct weir_funcref *func = bench_func(instance, context);
    union weir_value args[3] = {{.i64 = 1}, {.i64 = 2}, {.i64 = 3}};
    union weir_value result;
    double begin = bench_now_ns();
    for (int i = 0; i < CALLS; i++)
        if (weir_func_call(store, func, args, &result, NULL, NULL) != WEIR_OK)
            exit(1);
    return (bench_now_ns() - begin) / CALLS;
}

static double run_once(const char *name)
{
    struct weir_funcref *func = bench_func(instance, name);
    union weir_value args[1] = {{.i32 = CALLS}};
    union weir_value result;
    double begin = bench_now_ns();
    if (weir_func_call(store, func, args, &result, NULL, NULL) != WEIR_OK)
        exit(1);
    return (bench_now_ns() - begin) / CALLS;
}

static double call_host(void *context)
{
    double with = run_once(context);
    return with - run_once("loop_only");
}

int main(void)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    struct weir_module *module = NULL;
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
                                       &(struct weir_host_definition){&two, host_add, NULL},
                                       &error),
               &error);
    bench_must(weir_store_new(engine, NULL, &store, &error), &error);
    bench_must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
    static char empty[] = "empty";
    static char add[] = "add";
    static char sum[] = "sum";
    static char call_nothing[] = "call_nothing";
    static char call_add[] = "call_add";
    printf("{\"bench\": \"call\", \"unit\": \"ns\",\n");
    bench_print("host_to_guest_empty", bench_measure(call_guest, empty), ",");
    bench_print("host_to_guest_add", bench_measure(call_guest, add), ",");
    bench_print("host_to_guest_floats", bench_measure(call_guest, sum), ",");
    bench_print("guest_to_host_nothing", bench_measure(call_host, call_nothing), ",");
    bench_print("guest_to_host_add", bench_measure(call_host, call_add), "");
    printf("}\n");
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    (void)close(fd);
    return 0;
}
