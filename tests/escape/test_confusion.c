/* Types, tables and bulk operations: what is called is what the type says, and ranges end where
 * they end, also between two instances that share everything. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>

#include "confusion_a_wasm.h"
#include "confusion_b_wasm.h"
#include "tests/run_suite.h"

#define PAGE 65536

static struct weir_engine *engine;
static struct weir_module *modules[2];
static struct weir_linker *linkers[2];
static struct weir_store *store;
static struct weir_instance *a;
static struct weir_instance *b;

static void setup_with(enum weir_bounds bounds)
{
    struct weir_engine_config config = {.bounds = bounds};
    engine = fixture_engine(&config);
    modules[0] = fixture_module(engine, &config, confusion_a_wasm, sizeof confusion_a_wasm);
    modules[1] = fixture_module(engine, &config, confusion_b_wasm, sizeof confusion_b_wasm);
    ck_assert_int_eq(weir_linker_new(engine, &linkers[0], NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_new(engine, &linkers[1], NULL), WEIR_OK);
    store = fixture_store(engine);
    a = fixture_instance(store, linkers[0], modules[0]);
    ck_assert_int_eq(weir_linker_define_instance(linkers[1], "a", a, NULL), WEIR_OK);
    b = fixture_instance(store, linkers[1], modules[1]);
}

static void setup_guard(void)
{
    setup_with(WEIR_BOUNDS_GUARD);
}

static void setup_explicit(void)
{
    setup_with(WEIR_BOUNDS_EXPLICIT);
}

static void setup_no_signals(void)
{
    setup_with(WEIR_BOUNDS_NO_SIGNALS);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    for (int i = 0; i < 2; i++) {
        weir_linker_free(linkers[i]);
        weir_module_unref(modules[i]);
    }
    weir_engine_unref(engine);
}

START_TEST(checks_indirect_calls)
{
    static const char *const calls[] = {"call", "tail"};
    for (int i = 0; i < 2; i++) {
        const char *call = calls[i];
        ck_assert_int_eq(CALL_OK(a, call, 0), 42);
        CALL_TRAPS(a, call, WEIR_TRAP_INDIRECT_TYPE, 1);
        CALL_TRAPS(a, call, WEIR_TRAP_UNINITIALIZED_ELEMENT, 2);
        CALL_TRAPS(a, call, WEIR_TRAP_UNINITIALIZED_ELEMENT, 7);
        CALL_TRAPS(a, call, WEIR_TRAP_UNDEFINED_ELEMENT, 8);
        CALL_TRAPS(a, call, WEIR_TRAP_UNDEFINED_ELEMENT, 20);
        CALL_TRAPS(a, call, WEIR_TRAP_UNDEFINED_ELEMENT, INT32_MAX);
        CALL_TRAPS(a, call, WEIR_TRAP_UNDEFINED_ELEMENT, INT32_MIN);
        CALL_TRAPS(a, call, WEIR_TRAP_UNDEFINED_ELEMENT, -1);
        CALL_TRAPS(a, call, WEIR_TRAP_UNDEFINED_ELEMENT, 0x20000000); /* times 8 is 0 */
    }
    ck_assert_int_eq(CALL_OK(a, "call_wide", 1), 21);
    CALL_TRAPS(a, "call_wide", WEIR_TRAP_INDIRECT_TYPE, 0);
    CALL_TRAPS(a, "call_none", WEIR_TRAP_INDIRECT_TYPE, 0);
}
END_TEST

START_TEST(shares_between_instances)
{
    ck_assert_int_eq(CALL_OK(b, "call", 0), 8);
    CALL_TRAPS(b, "call", WEIR_TRAP_INDIRECT_TYPE, 1);
    (void)CALL_OK(b, "put", 5);
    ck_assert_int_eq(CALL_OK(a, "call", 5), 1021); /* with b's own global */
    ck_assert_int_eq(CALL_OK(a, "tail", 5), 1021);
    CALL_TRAPS(a, "call_wide", WEIR_TRAP_INDIRECT_TYPE, 5);
    (void)CALL_OK(b, "put_trap", 6);
    CALL_TRAPS(a, "call", WEIR_TRAP_UNREACHABLE, 6);
    ck_assert_int_eq(CALL_OK(a, "call", 5), 1021);
    CALL_TRAPS(b, "put", WEIR_TRAP_TABLE_BOUNDS, 8);
    ck_assert_int_eq(CALL_OK(a, "table_grow", 2), 8);
    (void)CALL_OK(b, "put", 9);
    CALL_TRAPS(b, "put", WEIR_TRAP_TABLE_BOUNDS, 10);
    (void)CALL_OK(b, "set_global", INT64_MIN);
    ck_assert_int_eq(CALL_OK(a, "read_global"), INT64_MIN);
    CALL_TRAPS(b, "load8", WEIR_TRAP_MEMORY_BOUNDS, PAGE);
    ck_assert_int_eq(CALL_OK(b, "grow", 1), 1);
    ck_assert_int_eq(CALL_OK(b, "load8", 2 * PAGE - 1), 0);
    ck_assert_int_eq(CALL_OK(a, "load8", 2 * PAGE - 1), 0);
    CALL_TRAPS(a, "load8", WEIR_TRAP_MEMORY_BOUNDS, 2 * PAGE);
    ck_assert_int_eq(CALL_OK(a, "grow", 1), -1);
}
END_TEST

/* Two numbers each: where, how many. The edge itself is inside when nothing is moved. */
static const struct {
    const char *name;
    int64_t args[3];
    size_t arg_count;
    int code; /* WEIR_TRAP_NONE: fine */
} ranges[] = {
    {"fill", {PAGE, 0}, 2, WEIR_TRAP_NONE},
    {"fill", {PAGE + 1, 0}, 2, WEIR_TRAP_MEMORY_BOUNDS},
    {"fill", {-1, 0}, 2, WEIR_TRAP_MEMORY_BOUNDS},
    {"fill", {PAGE - 1, 1}, 2, WEIR_TRAP_NONE},
    {"fill", {PAGE - 1, 2}, 2, WEIR_TRAP_MEMORY_BOUNDS},
    {"fill", {1, -1}, 2, WEIR_TRAP_MEMORY_BOUNDS},
    {"fill", {0, -1}, 2, WEIR_TRAP_MEMORY_BOUNDS},
    {"fill", {-1, -1}, 2, WEIR_TRAP_MEMORY_BOUNDS},
    {"fill", {-1, 2}, 2, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", {PAGE, PAGE, 0}, 3, WEIR_TRAP_NONE},
    {"copy", {PAGE + 1, 0, 0}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", {0, PAGE + 1, 0}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", {0, 1, PAGE}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", {1, 0, PAGE}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", {1, 0, PAGE - 1}, 3, WEIR_TRAP_NONE},
    {"copy", {0, 1, PAGE - 1}, 3, WEIR_TRAP_NONE},
    {"copy", {-1, 0, 2}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", {0, -1, 2}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", {1, 1, -1}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"init", {0, 10, 0}, 3, WEIR_TRAP_NONE},
    {"init", {0, 11, 0}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"init", {0, 0, 11}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"init", {0, 1, -1}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"init", {0, -1, 1}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"init", {PAGE - 10, 0, 10}, 3, WEIR_TRAP_NONE},
    {"init", {PAGE - 9, 0, 10}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"init", {-1, 0, 1}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"table_fill", {8, 0}, 2, WEIR_TRAP_NONE},
    {"table_fill", {9, 0}, 2, WEIR_TRAP_TABLE_BOUNDS},
    {"table_fill", {7, 2}, 2, WEIR_TRAP_TABLE_BOUNDS},
    {"table_fill", {1, -1}, 2, WEIR_TRAP_TABLE_BOUNDS},
    {"table_fill", {-1, 1}, 2, WEIR_TRAP_TABLE_BOUNDS},
    {"table_copy", {8, 8, 0}, 3, WEIR_TRAP_NONE},
    {"table_copy", {0, 9, 0}, 3, WEIR_TRAP_TABLE_BOUNDS},
    {"table_copy", {1, 0, 8}, 3, WEIR_TRAP_TABLE_BOUNDS},
    {"table_copy", {0, 1, -1}, 3, WEIR_TRAP_TABLE_BOUNDS},
    {"table_copy", {1, 0, 7}, 3, WEIR_TRAP_NONE},
    {"table_init", {0, 3, 0}, 3, WEIR_TRAP_NONE},
    {"table_init", {0, 4, 0}, 3, WEIR_TRAP_TABLE_BOUNDS},
    {"table_init", {0, 1, -1}, 3, WEIR_TRAP_TABLE_BOUNDS},
    {"table_init", {5, 0, 3}, 3, WEIR_TRAP_NONE},
    {"table_init", {6, 0, 3}, 3, WEIR_TRAP_TABLE_BOUNDS},
    {"get", {8}, 1, WEIR_TRAP_TABLE_BOUNDS},
    {"get", {-1}, 1, WEIR_TRAP_TABLE_BOUNDS},
    {"get", {7}, 1, WEIR_TRAP_NONE},
    {"clear", {8}, 1, WEIR_TRAP_TABLE_BOUNDS},
    {"clear", {INT32_MIN}, 1, WEIR_TRAP_TABLE_BOUNDS},
    {"table_grow", {13}, 1, WEIR_TRAP_NONE},
    {"table_grow", {-1}, 1, WEIR_TRAP_NONE},
    {"data_drop", {0}, 0, WEIR_TRAP_NONE},
    {"init", {0, 0, 0}, 3, WEIR_TRAP_NONE},
    {"init", {0, 0, 1}, 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"elem_drop", {0}, 0, WEIR_TRAP_NONE},
    {"table_init", {0, 0, 0}, 3, WEIR_TRAP_NONE},
    {"table_init", {0, 0, 1}, 3, WEIR_TRAP_TABLE_BOUNDS},
};

START_TEST(ends_ranges)
{
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (ranges[i].code == WEIR_TRAP_NONE)
            (void)fixture_call_ok(a, ranges[i].name, ranges[i].args, ranges[i].arg_count);
        else
            fixture_call_traps(a, ranges[i].name, ranges[i].args, ranges[i].arg_count,
                               ranges[i].code);
    }
    ck_assert_int_eq(CALL_OK(a, "size"), 8);
}
END_TEST

/* A range that does not fit writes nothing, and overlapping ones move as if through a buffer. */
START_TEST(moves_whole_ranges)
{
    CALL_TRAPS(a, "fill", WEIR_TRAP_MEMORY_BOUNDS, PAGE - 8, 9);
    ck_assert_int_eq(CALL_OK(a, "load8", PAGE - 8), 0);
    CALL_TRAPS(a, "init", WEIR_TRAP_MEMORY_BOUNDS, PAGE - 8, 0, 9);
    ck_assert_int_eq(CALL_OK(a, "load8", PAGE - 8), 0);
    CALL_TRAPS(a, "table_fill", WEIR_TRAP_TABLE_BOUNDS, 4, 5);
    ck_assert_int_eq(CALL_OK(a, "get", 4), 1);
    (void)CALL_OK(a, "init", 0, 0, 10);
    (void)CALL_OK(a, "copy", 1, 0, 10);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(CALL_OK(a, "load8", 1 + i), '0' + i);
    (void)CALL_OK(a, "copy", 0, 1, 10);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(CALL_OK(a, "load8", i), '0' + i);
    (void)CALL_OK(a, "table_copy", 1, 0, 3);
    ck_assert_int_eq(CALL_OK(a, "call", 1), 42);
    ck_assert_int_eq(CALL_OK(a, "call_wide", 2), 21);
    CALL_TRAPS(a, "call", WEIR_TRAP_UNINITIALIZED_ELEMENT, 3);
}
END_TEST

static void add_form(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, checks_indirect_calls);
    tcase_add_test(tests, shares_between_instances);
    tcase_add_test(tests, ends_ranges);
    tcase_add_test(tests, moves_whole_ranges);
    suite_add_tcase(suite, tests);
}

int main(void)
{
    Suite *suite = suite_create("confusion");
    add_form(suite, "guard", setup_guard);
    add_form(suite, "explicit", setup_explicit);
    add_form(suite, "no-signals", setup_no_signals);
    return run_suite(suite);
}
