/* What a handle costs, in nanoseconds, in a table with none and with 10,000 others: making one and
 * dropping it, looking it up by what the guest has and by what the host remembers, lending it to a
 * call. Then the bytes that one takes. Prints one JSON object. */
#include "bench_guest.h"

#define ROUNDS 200000
#define OTHERS 10000

static struct weir_handles *handles;
static struct weir_store *store;
static const struct weir_resource_type type = {.name = "thing"};
static struct weir_handle kept;

static struct weir_handle make(void)
{
    struct weir_error error = {0};
    struct weir_handle handle;
    const struct weir_handle_new wanted = {.type = &type, .rep = 7, .label = "bench"};
    bench_must(weir_handle_make(handles, &wanted, &handle, &error), &error);
    return handle;
}

static double make_drop(void *context)
{
    struct weir_error error = {0};
    (void)context;
    double begin = bench_thread_ns();
    for (int i = 0; i < ROUNDS; i++)
        bench_must(weir_handle_drop(handles, make().index, &type, &error), &error);
    return (bench_thread_ns() - begin) / ROUNDS;
}

static double find(void *context)
{
    struct weir_error error = {0};
    uint64_t rep = 0;
    (void)context;
    double begin = bench_thread_ns();
    for (int i = 0; i < ROUNDS; i++)
        bench_must(weir_handle_find(handles, kept.index, &type, &rep, &error), &error);
    return (bench_thread_ns() - begin) / ROUNDS;
}

static double check(void *context)
{
    struct weir_error error = {0};
    uint64_t rep = 0;
    (void)context;
    double begin = bench_thread_ns();
    for (int i = 0; i < ROUNDS; i++)
        bench_must(weir_handle_check(handles, kept, &type, &rep, &error), &error);
    return (bench_thread_ns() - begin) / ROUNDS;
}

static double lend(void *context)
{
    struct weir_error error = {0};
    uint64_t rep = 0;
    (void)context;
    double begin = bench_thread_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct weir_scope scope;
        weir_scope_begin(&scope, store);
        bench_must(weir_handle_lend(handles, kept.index, &type, &scope, &rep, &error), &error);
        bench_must(weir_scope_end(&scope, &error), &error);
    }
    return (bench_thread_ns() - begin) / ROUNDS;
}

static uint64_t charged(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_store_account(store), &reading);
    return reading.kinds[WEIR_KIND_HANDLE];
}

static void measure(const char *suffix)
{
    static const struct {
        const char *name;
        double (*run)(void *context);
    } figures[] = {
        {"make_drop", make_drop}, {"find", find}, {"check", check}, {"lend", lend}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s%s", figures[i].name, suffix);
        bench_print(name, bench_measure(figures[i].run, NULL), ",");
    }
}

int main(void)
{
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    bench_must(weir_engine_new(NULL, &engine, &error), &error);
    bench_must(weir_store_new(engine, &(struct weir_store_config){.handles_max = OTHERS + 10},
                              &store, &error),
               &error);
    bench_must(weir_store_handles(store, &handles, &error), &error);
    printf("{\"bench\": \"handles\", \"unit\": \"ns\",\n");
    kept = make();
    measure("");
    uint64_t before = charged();
    for (int i = 0; i < OTHERS; i++)
        (void)make();
    measure("_beside_others");
    printf("  \"others\": %d, \"bytes_per_handle\": %.1f\n}\n", OTHERS,
           (double)(charged() - before) / OTHERS);
    weir_store_close(store, NULL);
    weir_engine_unref(engine);
    return 0;
}
