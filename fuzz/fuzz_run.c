/* Valid modules from the input's bytes, run in every form that the fast generator has: bounds by
 * guard and by comparison, traps by calls, with and without fuel and polls. All must do the same;
 * whether it is right is asked by fuzz/differential. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "module_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct run_options forms[] = {
    {WEIR_BOUNDS_GUARD, false, false},
    {WEIR_BOUNDS_EXPLICIT, false, true},
    {WEIR_BOUNDS_GUARD, true, true},
    {WEIR_BOUNDS_EXPLICIT, true, false},
    {WEIR_BOUNDS_NO_SIGNALS, false, true},
    {WEIR_BOUNDS_NO_SIGNALS, true, false},
};

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gen_options options = {
        .has_tail_calls = 1, .has_memory64 = 1, .has_table64 = 1, .has_multi_memory = 1};
    size_t module_size = 0;
    uint8_t *module = gen_module(data, size, 0, &options, &module_size);
    struct run_outcome first;
    run_module(module, module_size, &forms[0], &first);
    for (size_t i = 1; i < sizeof forms / sizeof forms[0]; i++) {
        struct run_outcome outcome;
        run_module(module, module_size, &forms[i], &outcome);
        for (unsigned test = 0; test < GEN_TESTS; test++) {
            WEIR_ASSERT(is_same(first.traps[test], outcome.traps[test]));
            WEIR_ASSERT(first.values[test] == outcome.values[test]);
            WEIR_ASSERT(first.hashes[test] == outcome.hashes[test]);
        }
    }
    free(module);
    return 0;
}
