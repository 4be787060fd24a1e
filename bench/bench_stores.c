/* Stores made and closed, each with an instance that was called and that wrote to its memory:
 *
 *     bench_stores [COUNT]     100,000 without
 *
 * Prints one JSON object: microseconds per store, growth over all of them, mappings and descriptors
 * before and after. Ends with 1 when anything is left behind (DESIGN 7): growth over 256 KiB, other
 * counts, or a charge. Under sanitizers, which keep memory, only what is counted is judged. */
#include <stdbool.h>

#include "base/poison.h"
#include "ledger/equation.h"

#include "bench_guest.h"

#include "bench_pages_wasm.h"

#define COUNT 100000
#define WARM_UP 200
#define GROWTH_MAX ((int64_t)256 << 10)

struct state {
    uint64_t growth, mappings, descriptors, charged;
};

static void read_state(struct state *ret)
{
    struct weir_error error = {0};
    struct weir_equation equation;
    struct weir_account_reading reading;
    bench_must(weir_equation_read(&equation, &error), &error);
    weir_account_read(weir_account_host(), &reading);
    ret->mappings = equation.mapping_count;
    ret->descriptors = equation.descriptor_count;
    ret->charged = reading.used_bytes;
    bench_must(weir_growth_read(&ret->growth, &error), &error);
}

static void live(struct weir_engine *engine, const struct weir_linker *linker,
                 struct weir_module *module, long count)
{
    struct weir_error error = {0};
    union weir_value pages[1] = {{.i32 = 3}};
    for (long i = 0; i < count; i++) {
        struct weir_store *store = NULL;
        struct weir_instance *instance = NULL;
        bench_must(weir_store_new(engine, NULL, &store, &error), &error);
        bench_must(weir_instance_new(store, linker, module, &instance, NULL, &error), &error);
        bench_must(weir_func_call(store, bench_func(instance, "touch"), pages, NULL, NULL, &error),
                   &error);
        weir_store_close(store, NULL);
    }
}

static bool is_as_before(const struct state *before, const struct state *after)
{
    if (before->descriptors != after->descriptors || before->charged != after->charged)
        return false;
    if (WEIR_ASAN || WEIR_TSAN)
        return true;
    return before->mappings == after->mappings &&
           (int64_t)(after->growth - before->growth) <= GROWTH_MAX;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : COUNT;
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    struct weir_module *module = NULL;
    bench_must(weir_engine_new(NULL, &engine, &error), &error);
    int fd = bench_artifact(bench_pages_wasm, sizeof bench_pages_wasm);
    bench_must(weir_module_load(engine, fd, NULL, &module, &error), &error);
    bench_must(weir_linker_new(engine, &linker, &error), &error);
    struct state before;
    struct state after;
    live(engine, linker, module, WARM_UP);
    read_state(&before); /* the first reading takes memory of its own */
    read_state(&before);
    double begin = bench_now_ns();
    live(engine, linker, module, count);
    double us = (bench_now_ns() - begin) / (double)count / 1e3;
    read_state(&after);
    printf("{\"bench\": \"stores\", \"unit\": \"us\", \"stores\": %ld, \"per_store\": %.2f,\n"
           "  \"growth_bytes\": %lld,\n",
           count, us, (long long)(after.growth - before.growth));
    printf("  \"mappings\": [%llu, %llu], \"descriptors\": [%llu, %llu],\n",
           (unsigned long long)before.mappings, (unsigned long long)after.mappings,
           (unsigned long long)before.descriptors, (unsigned long long)after.descriptors);
    printf("  \"charged_bytes\": [%llu, %llu]\n}\n", (unsigned long long)before.charged,
           (unsigned long long)after.charged);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    (void)close(fd);
    return count > 0 && is_as_before(&before, &after) ? 0 : 1;
}
