/* See module_run.h. */
#include "module_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "artifact/abi.h"
#include "artifact/cpu.h"
#include "compiler/compiler.h"

#define FEATURES                                                                                   \
    (WEIR_FEATURES_DEFAULT | WEIR_FEATURE_MULTI_MEMORY | WEIR_FEATURE_MEMORY64 |                   \
     WEIR_FEATURE_TABLE64)

const char *run_subject = "module";

void run_expect(enum weir_status status, const char *what, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s: %s (at %" PRIx64 ")\n", run_subject, what,
                  weir_status_name(status), error->message, error->offset);
    abort();
}

/* The classes that engines agree on: some do not tell all of WebAssembly's traps apart. */
const char *run_trap_class(int code)
{
    switch (code) {
    case WEIR_TRAP_UNREACHABLE:
        return "unreachable";
    case WEIR_TRAP_MEMORY_BOUNDS:
        return "memory";
    case WEIR_TRAP_TABLE_BOUNDS:
    case WEIR_TRAP_UNDEFINED_ELEMENT:
        return "table";
    case WEIR_TRAP_UNINITIALIZED_ELEMENT:
    case WEIR_TRAP_INDIRECT_TYPE:
        return "indirect";
    case WEIR_TRAP_DIVIDE_BY_ZERO:
        return "zero";
    case WEIR_TRAP_INTEGER_OVERFLOW:
    case WEIR_TRAP_INVALID_CONVERSION:
        return "range";
    default:
        return weir_trap_name(code);
    }
}

static enum weir_status host(struct weir_caller *caller, void *data, const union weir_value *args,
                             union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0].i64 = gen_host(args[0].i32, args[1].i64);
    return WEIR_OK;
}

int run_compile(const uint8_t *bytes, size_t size, const struct run_options *options)
{
    struct weir_compile_request request = {
        .module = bytes,
        .module_bytes = size,
        .options = {
            .features = FEATURES,
            .flags = weir_artifact_bounds_flags(options->bounds) |
                     (options->has_fuel ? WEIR_ARTIFACT_FUEL : 0u) |
                     (options->no_poll ? 0u : WEIR_ARTIFACT_POLL),
            .cpu_features = weir_cpu_baseline,
            .generator = "fast"}};
    uint8_t *artifact = NULL;
    size_t artifact_bytes = 0;
    struct weir_error error = {0};
    run_expect(weir_compile(&request, &artifact, &artifact_bytes, &error), "compile", &error);
    int fd = memfd_create("artifact", MFD_CLOEXEC);
    if (fd < 0 || write(fd, artifact, artifact_bytes) != (ssize_t)artifact_bytes)
        abort();
    free(artifact);
    return fd;
}

struct weir_engine *run_engine(const struct run_options *options)
{
    const struct weir_engine_config config = {.features = FEATURES,
                                              .bounds = options->bounds,
                                              .has_fuel = options->has_fuel,
                                              .no_poll = options->no_poll,
                                              .stack_bytes = (uint64_t)8 << 20};
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    run_expect(weir_engine_new(&config, &engine, &error), "engine", &error);
    return engine;
}

/* Of the memories exported as "m", "n" …, one behind the other. */
static uint64_t memory_hash(struct weir_instance *instance)
{
    uint64_t total = 0;
    uint32_t low = 2166136261u;
    struct weir_extern item;
    for (char name = 'm'; weir_instance_export(instance, &name, 1, &item) == WEIR_OK; name++) {
        uint64_t size = weir_memory_bytes(item.memory);
        uint8_t *bytes = malloc(size);
        if (bytes == NULL || weir_memory_read(item.memory, 0, bytes, size) != WEIR_OK)
            abort();
        for (uint64_t i = 0; i < size; i++)
            low = (low ^ bytes[i]) * 16777619u;
        free(bytes);
        total += size;
    }
    return total << 32 | low;
}

static void run_tests(struct weir_store *store, struct weir_instance *instance,
                      struct run_outcome *outcome)
{
    static struct weir_trap trap;
    struct weir_error error = {0};
    for (unsigned i = 0; i < GEN_TESTS; i++) {
        char name[3] = {'t', (char)('0' + i), '\0'};
        struct weir_extern item;
        run_expect(weir_instance_export(instance, name, 2, &item), "export", &error);
        union weir_value result = {0};
        enum weir_status status = weir_func_call(store, item.func, NULL, &result, &trap, &error);
        if (status == WEIR_TRAP) {
            outcome->traps[i] = run_trap_class(trap.code);
            weir_trap_done(&trap);
        } else {
            run_expect(status, "call", &error);
            outcome->values[i] = result.i64;
        }
        outcome->hashes[i] = memory_hash(instance);
    }
}

void run_module(const uint8_t *bytes, size_t size, const struct run_options *options,
                struct run_outcome *ret_outcome)
{
    static const enum weir_type params[] = {WEIR_TYPE_I32, WEIR_TYPE_I64};
    static const struct weir_func_type type = {params, 2, params + 1, 1};
    struct weir_error error = {0};
    struct weir_engine *engine = run_engine(options);
    struct weir_module *module = NULL;
    struct weir_linker *linker = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    int fd = run_compile(bytes, size, options);
    run_expect(weir_module_load(engine, fd, NULL, &module, &error), "load", &error);
    (void)close(fd);
    run_expect(weir_linker_new(engine, &linker, &error), "linker", &error);
    run_expect(weir_linker_define_func(linker, "e", "h",
                                   &(struct weir_host_definition){&type, host, NULL}, &error),
           "host", &error);
    run_expect(weir_store_new(engine, NULL, &store, &error), "store", &error);
    if (options->has_fuel)
        run_expect(weir_store_set_fuel(store, UINT64_C(1) << 40, &error), "fuel", &error);
    run_expect(weir_instance_new(store, linker, module, &instance, NULL, &error), "instance",
               &error);
    *ret_outcome = (struct run_outcome){0};
    run_tests(store, instance, ret_outcome);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
