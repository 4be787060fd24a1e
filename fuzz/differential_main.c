/* One side of fuzz/differential: makes modules from seeds, runs each in several forms and
 * prints one line per test of each: "SEED guard|explicit|metered|no-signals tN VALUE|TRAP MEMORY".
 * The modules go to a folder for the other engine.
 *
 *     differential_run FEATURES FOLDER FIRST_SEED COUNT [STEPS ...]
 *
 * FEATURES, by commas, is what modules may need beyond WebAssembly 2.0 ("none": nothing). STEPS
 * makes function 0, 1 ... smaller (wasm_gen.h), to find what a difference hangs on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module_run.h"

static const struct {
    const char *name;
    struct run_options options;
} forms[] = {
    {"guard", {WEIR_BOUNDS_GUARD, false, false}},
    {"explicit", {WEIR_BOUNDS_EXPLICIT, false, false}},
    {"metered", {WEIR_BOUNDS_GUARD, true, true}},
    {"no-signals", {WEIR_BOUNDS_NO_SIGNALS, false, false}},
};

static void write_module(const char *folder, uint64_t seed, const uint8_t *bytes, size_t size)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%" PRIu64 ".wasm", folder, seed);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void print_outcome(uint64_t seed, const char *form, const struct run_outcome *outcome)
{
    for (unsigned i = 0; i < GEN_TESTS; i++) {
        (void)printf("%" PRIu64 " %s t%u ", seed, form, i);
        if (outcome->traps[i] != NULL)
            (void)printf("%s", outcome->traps[i]);
        else
            (void)printf("%016" PRIx64, (uint64_t)outcome->values[i]);
        (void)printf(" %" PRIx64 "\n", outcome->hashes[i]);
    }
}

static struct gen_options parse_features(const char *names)
{
    return (struct gen_options){.has_tail_calls = strstr(names, "tail-calls") != NULL,
                                .has_memory64 = strstr(names, "memory64") != NULL,
                                .has_table64 = strstr(names, "table64") != NULL,
                                .has_multi_memory = strstr(names, "multi-memory") != NULL};
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 5 + GEN_FUNCS_MAX) {
        (void)fprintf(stderr,
                      "usage: differential_run FEATURES FOLDER FIRST_SEED COUNT [STEPS ...]\n");
        return 2;
    }
    struct gen_options options = parse_features(argv[1]);
    for (int i = 5; i < argc; i++)
        options.steps[i - 5] = (int)strtol(argv[i], NULL, 10);
    const char *folder = argv[2];
    uint64_t first = strtoull(argv[3], NULL, 10);
    uint64_t count = strtoull(argv[4], NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) {
        size_t size = 0;
        uint8_t *module = gen_module(NULL, 0, seed, &options, &size);
        write_module(folder, seed, module, size);
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
            struct run_outcome outcome;
            run_module(module, size, &forms[i].options, &outcome);
            print_outcome(seed, forms[i].name, &outcome);
        }
        (void)fflush(stdout);
        free(module);
    }
    return 0;
}
