/* The cost table is a parameter of the engine: consumption is what the table says, to the unit,
 * through the compiler process; tables do not mix; bad ones are refused. */
#include <string.h>
#include <unistd.h>

#include "tests/unit/runtime/runtime_fixture.h"

#include "fuel_wasm.h"
#include "tests/run_suite.h"

#define FUEL UINT64_C(1000000000)

static uint64_t used(const struct weir_fuel_costs *costs, const char *name, int64_t argument)
{
    const struct weir_engine_config config = {.has_fuel = true, .fuel_costs = costs};
    struct weir_engine *engine = fixture_engine(&config);
    struct weir_module *module = NULL;
    struct weir_error error = {0};
    enum weir_status status =
        weir_module_new(engine, fuel_wasm, sizeof fuel_wasm, NULL, &module, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    ck_assert_int_eq(weir_store_set_fuel(store, FUEL, NULL), WEIR_OK);
    const union weir_value value = {.i64 = argument};
    status = weir_func_call(store, fixture_func(instance, name), &value, NULL, NULL, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    uint64_t left = weir_store_fuel(store);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    return FUEL - left;
}

START_TEST(test_prices)
{
    struct weir_fuel_costs costs = {
        .class_costs = {[WEIR_FUEL_CALL] = 1000}, .free_locals = 1, .per_more_local = 7};
    /* Plain: loop once, then call (4), get, const, sub, tee, br_if. */
    ck_assert_uint_eq(used(NULL, "calls", 12), 1 + 12 * 9);
    ck_assert_uint_eq(used(NULL, "locals", 0), 0);
    for (uint32_t points = WEIR_FUEL_AT_BLOCK_ENTRY; points <= WEIR_FUEL_BEFORE_ACCOUNTING;
         points++) {
        costs.points = points;
        ck_assert_uint_eq(used(&costs, "calls", 12), 12 * 1000);
        ck_assert_uint_eq(used(&costs, "locals", 0), 2 * 7);
    }
    costs.class_costs[WEIR_FUEL_CALL] = WEIR_FUEL_COST_MAX;
    ck_assert_uint_eq(used(&costs, "calls", 3), 3 * (uint64_t)WEIR_FUEL_COST_MAX);
}
END_TEST

/* Code that ends dead: its block is paid for, and nobody else pays for what was not reached. */
START_TEST(test_dead_ends)
{
    struct weir_fuel_costs costs = {.class_costs = {[WEIR_FUEL_OPERATOR] = 1}};
    for (uint32_t points = WEIR_FUEL_AT_BLOCK_ENTRY; points <= WEIR_FUEL_BEFORE_ACCOUNTING;
         points++) {
        costs.points = points;
        ck_assert_uint_eq(used(&costs, "trap_aside", 0), 1);
        ck_assert_uint_eq(used(&costs, "leave", 0), 1);
        ck_assert_uint_eq(used(&costs, "leave", 1), 3);
    }
}
END_TEST

START_TEST(test_tables_do_not_mix)
{
    const struct weir_fuel_costs costs = {.class_costs = {[WEIR_FUEL_CALL] = 2}};
    const struct weir_engine_config plain = {.has_fuel = true};
    const struct weir_engine_config priced = {.has_fuel = true, .fuel_costs = &costs};
    const struct weir_engine_config *configs[] = {&plain, &priced};
    for (size_t i = 0; i < 2; i++) {
        struct weir_engine *engine = fixture_engine(configs[i]);
        struct weir_module *module = NULL;
        int fd = fixture_artifact(configs[1 - i], fuel_wasm, sizeof fuel_wasm);
        ck_assert_int_eq(weir_module_load(engine, fd, NULL, &module, NULL), WEIR_FOREIGN);
        ck_assert_ptr_null(module);
        (void)close(fd);
        fd = fixture_artifact(configs[i], fuel_wasm, sizeof fuel_wasm);
        ck_assert_int_eq(weir_module_load(engine, fd, NULL, &module, NULL), WEIR_OK);
        (void)close(fd);
        weir_module_unref(module);
        weir_engine_unref(engine);
    }
}
END_TEST

START_TEST(test_refused)
{
    const struct weir_fuel_costs dear = {.class_costs = {WEIR_FUEL_COST_MAX + 1}};
    const struct weir_fuel_costs odd = {.points = WEIR_FUEL_BEFORE_ACCOUNTING + 1};
    const struct weir_fuel_costs good = {.points = WEIR_FUEL_AT_BLOCK_ENTRY};
    const struct weir_engine_config configs[] = {
        {.has_fuel = true, .fuel_costs = &dear},
        {.has_fuel = true, .fuel_costs = &odd},
        {.fuel_costs = &good}, /* prices, but no fuel */
    };
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        struct weir_engine *engine = fixture_engine(&configs[i]);
        struct weir_module *module = NULL;
        struct weir_error error = {0};
        ck_assert_int_eq(
            weir_module_new(engine, fuel_wasm, sizeof fuel_wasm, NULL, &module, &error),
            WEIR_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(error.message, "fuel costs"));
        weir_engine_unref(engine);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fuel");
    TCase *tests = tcase_create("costs");
    tcase_add_test(tests, test_prices);
    tcase_add_test(tests, test_dead_ends);
    tcase_add_test(tests, test_tables_do_not_mix);
    tcase_add_test(tests, test_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
