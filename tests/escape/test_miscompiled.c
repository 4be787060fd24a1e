/* Generated code that once did the wrong thing, in both bounds forms. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>

#include "miscompiled_wasm.h"
#include "tests/run_suite.h"

static const struct {
    const char *name;
    uint64_t argument;
    uint64_t result;
} cases[] = {
    {"dead_tee", 0x4000000000000000, 0xc031000000000000},
};

START_TEST(does_right_now)
{
    struct weir_engine_config config = {.bounds = (enum weir_bounds)_i};
    struct weir_engine *engine = fixture_engine(&config);
    struct weir_module *module =
        fixture_module(engine, &config, miscompiled_wasm, sizeof miscompiled_wasm);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_uint_eq((uint64_t)CALL_OK(instance, cases[i].name, (int64_t)cases[i].argument),
                          cases[i].result);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("miscompiled");
    TCase *tests = tcase_create("forms");
    tcase_add_loop_test(tests, does_right_now, WEIR_BOUNDS_GUARD, WEIR_BOUNDS_NO_SIGNALS + 1);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
