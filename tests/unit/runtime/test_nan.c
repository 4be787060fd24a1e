/* Canonical NaNs are an option of the engine and of the artifact's key: what arithmetic makes has
 * one form, what is only moved keeps its own, numbers are as without. */
#include <unistd.h>

#include "tests/unit/runtime/runtime_fixture.h"

#include "nan_wasm.h"
#include "tests/run_suite.h"

#define ONE 0x3f800000
#define MINUS_ONE 0xbf800000
#define TWO 0x40000000
#define INFINITE 0x7f800000
#define CANONICAL 0x7fc00000
#define CANONICAL_MINUS 0xffc00000
#define PAYLOAD 0x7fd00001 /* quiet, with bits of its own */
#define SIGNALLING 0x7fa00001

static const struct {
    const char *name;
    uint32_t left, right, result;
} CASES[] = {
    {"div", 0, 0, CANONICAL},
    {"add", PAYLOAD, ONE, CANONICAL},
    {"add", ONE, SIGNALLING, CANONICAL},
    {"add", INFINITE, INFINITE | 0x80000000, CANONICAL},
    {"add", ONE, ONE, TWO},
    {"min", PAYLOAD, ONE, CANONICAL},
    {"min", ONE, PAYLOAD, CANONICAL},
    {"min", ONE, TWO, ONE},
    {"neg_min", PAYLOAD, ONE, CANONICAL_MINUS},
    {"neg", PAYLOAD, 0, PAYLOAD | 0x80000000},
    {"neg", SIGNALLING, 0, SIGNALLING | 0x80000000},
    {"neg_div", 0, 0, CANONICAL},
    {"neg_div", ONE, ONE, MINUS_ONE},
    {"neg_abs_div", 0, 0, CANONICAL},
    {"neg_tee_div", 0, 0, CANONICAL},
    {"neg_set_div", 0, 0, CANONICAL_MINUS},
    {"copysign_div", 0, MINUS_ONE, CANONICAL_MINUS},
    {"sqrt", MINUS_ONE, 0, CANONICAL},
    {"ceil", PAYLOAD, 0, CANONICAL},
    {"nearest", PAYLOAD | 0x80000000, 0, CANONICAL},
    {"promote", PAYLOAD, 0, 0x7ffa0000},
    {"promote_div", 0, 0, 0x7ff80000},
    {"mul64", PAYLOAD, 0, 0x7ff80000},
    {"number", TWO, ONE, TWO},
};

START_TEST(test_forms)
{
    const struct weir_engine_config config = {.has_canonical_nans = true};
    struct weir_engine *engine = fixture_engine(&config);
    struct weir_module *module = fixture_module(engine, &config, nan_wasm, sizeof nan_wasm);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint32_t result = (uint32_t)CALL_OK(instance, CASES[i].name, CASES[i].left, CASES[i].right);
        ck_assert_msg(result == CASES[i].result, "%s(%x, %x): %x instead of %x", CASES[i].name,
                      CASES[i].left, CASES[i].right, result, CASES[i].result);
    }
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

/* An engine that promises them takes no code without; the other way round nothing is promised. */
START_TEST(test_key)
{
    const struct weir_engine_config canonical = {.has_canonical_nans = true}, plain = {0};
    struct weir_module *module = NULL;
    struct weir_engine *engine = fixture_engine(&canonical);
    int fd = fixture_artifact(&plain, nan_wasm, sizeof nan_wasm);
    ck_assert_int_eq(weir_module_load(engine, fd, NULL, &module, NULL), WEIR_FOREIGN);
    (void)close(fd);
    fd = fixture_artifact(&canonical, nan_wasm, sizeof nan_wasm);
    ck_assert_int_eq(weir_module_load(engine, fd, NULL, &module, NULL), WEIR_OK);
    (void)close(fd);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nan");
    TCase *tests = tcase_create("canonical");
    tcase_add_test(tests, test_forms);
    tcase_add_test(tests, test_key);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
