/* A compute guest on Weir's fast code, through the embedding API: bench_compute MODE FILE.wasm
 * SCALE
 *
 * MODE: guard (poll on, what `weir run` uses), explicit (bounds compared, poll on), no-signals
 * (explicit, traps are calls), fuel (guard, fuel and poll), bare (guard without poll). One run per
 * line of stdin, see bench_measure.h.
 */
#include "bench_measure.h"

#include <string.h>

#include <weir/weir.h>

#define FUEL_ENOUGH (UINT64_C(1) << 60)

struct guest {
    struct weir_store *store;
    struct weir_funcref *func;
    uint32_t scale;
    bool has_fuel;
};

static void must(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "bench_compute: %s: %s\n", weir_status_name(status), error->message);
    exit(1);
}

static uint64_t run_guest(void *context)
{
    const struct guest *guest = context;
    union weir_value args[1] = {{.i32 = (int32_t)guest->scale}};
    union weir_value result = {0};
    struct weir_error error = {0};
    if (guest->has_fuel)
        must(weir_store_set_fuel(guest->store, FUEL_ENOUGH, &error), &error);
    must(weir_func_call(guest->store, guest->func, args, &result, NULL, &error), &error);
    return (uint64_t)result.i64;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bench_compute guard|explicit|no-signals|fuel|bare FILE.wasm "
                              "SCALE\n");
        return 2;
    }
    const char *mode = argv[1];
    const struct weir_engine_config config = {
        .bounds = strcmp(mode, "explicit") == 0     ? WEIR_BOUNDS_EXPLICIT
                  : strcmp(mode, "no-signals") == 0 ? WEIR_BOUNDS_NO_SIGNALS
                                                    : WEIR_BOUNDS_GUARD,
        .has_fuel = strcmp(mode, "fuel") == 0,
        .no_poll = strcmp(mode, "bare") == 0,
    };
    size_t size = 0;
    uint8_t *bytes = bench_read_file(argv[2], &size);
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    struct weir_module *module = NULL;
    struct weir_instance *instance = NULL;
    struct guest guest = {.scale = (uint32_t)strtoul(argv[3], NULL, 10),
                          .has_fuel = config.has_fuel};
    must(weir_engine_new(&config, &engine, &error), &error);
    must(weir_linker_new(engine, &linker, &error), &error);
    must(weir_module_new(engine, bytes, size, NULL, &module, &error), &error);
    free(bytes);
    must(weir_store_new(engine, NULL, &guest.store, &error), &error);
    if (guest.has_fuel)
        must(weir_store_set_fuel(guest.store, FUEL_ENOUGH, &error), &error);
    must(weir_instance_new(guest.store, linker, module, &instance, NULL, &error), &error);
    struct weir_extern item;
    if (weir_instance_export(instance, "run", 3, &item) != WEIR_OK)
        return 1;
    guest.func = item.func;
    bench_serve_lines(run_guest, &guest);
    weir_store_close(guest.store, NULL);
    weir_module_unref(module);
    weir_linker_free(linker);
    weir_engine_unref(engine);
    return 0;
}
