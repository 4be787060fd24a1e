/* Calls across the boundary in both directions, values of every class in registers and slots,
 * traps of guest and host with their frames, nesting. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "call_wasm.h"
#include "tests/run_suite.h"

static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;
static struct weir_store *store;
static struct weir_instance *instance;
static struct weir_engine_config config;

static enum weir_status host_add(struct weir_caller *caller, void *data,
                                 const union weir_value *args, union weir_value *results)
{
    ck_assert_ptr_eq(data, &config);
    ck_assert_ptr_eq(weir_caller_store(caller), store);
    ck_assert_ptr_nonnull(weir_caller_memory(caller));
    results[0].i32 = args[0].i32 + args[1].i32;
    return WEIR_OK;
}

static enum weir_status host_mixed(struct weir_caller *caller, void *data,
                                   const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0].f64 = (double)args[0].i64 * 10000 + args[1].f64 * 1000 + (double)args[2].f32 * 100 +
                     (double)args[3].i32 * 10 + args[4].f64;
    return WEIR_OK;
}

static enum weir_status host_fail(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    (void)args;
    (void)results;
    return weir_caller_trap(caller, WEIR_TRAP_HOST, "no %s today", "cake");
}

/* 0: answers 7; 1: calls a guest that traps; n > 1: calls the guest that calls us with n - 1. */
static enum weir_status host_back(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    struct weir_instance *guest = weir_caller_instance(caller);
    int64_t n = args[0].i32;
    if (n == 0) {
        results[0].i32 = 7;
        return WEIR_OK;
    }
    struct weir_trap *trap = calloc(1, sizeof *trap);
    ck_assert_ptr_nonnull(trap);
    int64_t result = 0;
    enum weir_status status;
    if (n == 1) {
        status = fixture_call(guest, "outer", NULL, 0, NULL, trap);
        ck_assert_int_eq(status, WEIR_TRAP);
        ck_assert_int_eq(trap->code, WEIR_TRAP_DIVIDE_BY_ZERO);
        result = 100;
    } else {
        status = fixture_call(guest, "call_back", (const int64_t[]){n - 1}, 1, &result, trap);
        ck_assert_int_eq(status, WEIR_OK);
    }
    weir_trap_done(trap);
    free(trap);
    results[0].i32 = (int32_t)result + 1;
    return WEIR_OK;
}

static void define(const char *name, const enum weir_type *params, size_t param_count,
                   const enum weir_type *results, size_t result_count, weir_host_func *func)
{
    struct weir_func_type type = {params, param_count, results, result_count};
    struct weir_error error = {0};
    enum weir_status status = weir_linker_define_func(
        linker, "host", name, &(struct weir_host_definition){&type, func, &config}, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static void setup_with(enum weir_bounds bounds)
{
    static const enum weir_type i32x2[] = {WEIR_TYPE_I32, WEIR_TYPE_I32};
    static const enum weir_type mixed[] = {WEIR_TYPE_I64, WEIR_TYPE_F64, WEIR_TYPE_F32,
                                           WEIR_TYPE_I32, WEIR_TYPE_F64};
    static const enum weir_type f64[] = {WEIR_TYPE_F64};
    config = (struct weir_engine_config){.bounds = bounds};
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, call_wasm, sizeof call_wasm);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    define("add", i32x2, 2, i32x2, 1, host_add);
    define("mixed", mixed, 5, f64, 1, host_mixed);
    define("fail", NULL, 0, NULL, 0, host_fail);
    define("back", i32x2, 1, i32x2, 1, host_back);
    store = fixture_store(engine);
    instance = fixture_instance(store, linker, module);
}

static void setup(void)
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
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

START_TEST(passes_values)
{
    ck_assert_int_eq(CALL_OK(instance, "identity", INT64_MIN + 3), INT64_MIN + 3);
    ck_assert_int_eq(CALL_OK(instance, "sum7", 1, 20, 300, 4000, 50000, 600000, 7000000), 7654321);
    union weir_value args[10];
    union weir_value results[3];
    for (int i = 0; i < 9; i++)
        args[i].f64 = i + 1;
    args[9].f32 = 0.5f;
    struct weir_funcref *func = fixture_func(instance, "floats10");
    ck_assert_int_eq(weir_func_call(store, func, args, results, NULL, NULL), WEIR_OK);
    ck_assert_double_eq(results[0].f64, 45.5);
    func = fixture_func(instance, "three");
    args[0].i64 = 0x1234567800000009; /* the high half is not part of an i32 */
    ck_assert_int_eq(weir_func_call(store, func, args, results, NULL, NULL), WEIR_OK);
    ck_assert_int_eq(results[0].i32, 9);
    ck_assert_double_eq(results[1].f64, 2.5);
    ck_assert_int_eq(results[2].i64, -3);
}
END_TEST

START_TEST(calls_host)
{
    ck_assert_int_eq(CALL_OK(instance, "call_host", 40, 2), 42);
    ck_assert_int_eq(CALL_OK(instance, "call_host", -40, 2), -38);
    union weir_value result;
    struct weir_funcref *func = fixture_func(instance, "call_mixed");
    ck_assert_int_eq(weir_func_call(store, func, NULL, &result, NULL, NULL), WEIR_OK);
    ck_assert_double_eq(result.f64, 12345);
}
END_TEST

START_TEST(uses_memory)
{
    ck_assert_int_eq(CALL_OK(instance, "load", 16), 0x72696577);
    ck_assert_int_eq(CALL_OK(instance, "size"), 1);
    (void)CALL_OK(instance, "store", 65532, 11);
    ck_assert_int_eq(CALL_OK(instance, "load", 65532), 11);
    CALL_TRAPS(instance, "load", WEIR_TRAP_MEMORY_BOUNDS, 65533);
    CALL_TRAPS(instance, "load", WEIR_TRAP_MEMORY_BOUNDS, -1);
    ck_assert_int_eq(CALL_OK(instance, "grow", 1), 1);
    ck_assert_int_eq(CALL_OK(instance, "load", 65533), 0);
    ck_assert_int_eq(CALL_OK(instance, "grow", 3), -1);
    ck_assert_ptr_nonnull(strstr(weir_store_refusal(store)->message, "maximum"));
    ck_assert_int_eq(CALL_OK(instance, "grow", 2), 2);
    (void)CALL_OK(instance, "fill", 0, 0xab, 4 * 65536);
    ck_assert_int_eq(CALL_OK(instance, "load", 4 * 65536 - 4), (int32_t)0xabababab);
    CALL_TRAPS(instance, "fill", WEIR_TRAP_MEMORY_BOUNDS, 1, 0, 4 * 65536);
    ck_assert_int_eq(CALL_OK(instance, "load", 4), (int32_t)0xabababab);
}
END_TEST

START_TEST(copies_overlapping)
{
    struct weir_memory *memory = fixture_memory(instance, "memory");
    static uint8_t expected[65536];
    static uint8_t got[65536];
    static const int64_t cases[][3] = {
        {100, 101, 1},      {100, 97, 5},       {200, 190, 33},     {190, 200, 33},
        {1000, 1001, 4000}, {1001, 1000, 4000}, {1000, 1040, 4000}, {1000, 3000, 9000},
        {3000, 1000, 9000}, {7, 7, 500},        {0, 65536, 0},      {65536, 0, 0},
        {10, 26, 17},       {26, 10, 17},       {0, 1, 65535},      {1, 0, 65535}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < sizeof expected; j++)
            expected[j] = (uint8_t)(j * 7 + j / 251);
        ck_assert_int_eq(weir_memory_write(memory, 0, expected, sizeof expected), WEIR_OK);
        memmove(expected + cases[i][0], expected + cases[i][1], (size_t)cases[i][2]);
        (void)CALL_OK(instance, "copy", cases[i][0], cases[i][1], cases[i][2]);
        ck_assert_int_eq(weir_memory_read(memory, 0, got, sizeof got), WEIR_OK);
        ck_assert_msg(memcmp(got, expected, sizeof got) == 0, "case %zu", i);
    }
    CALL_TRAPS(instance, "copy", WEIR_TRAP_MEMORY_BOUNDS, 65536, 0, 1);
    CALL_TRAPS(instance, "copy", WEIR_TRAP_MEMORY_BOUNDS, 65537, 0, 0);
}
END_TEST

START_TEST(traps)
{
    for (int round = 0; round < 3; round++) {
        CALL_TRAPS(instance, "divide", WEIR_TRAP_DIVIDE_BY_ZERO, 1, 0);
        CALL_TRAPS(instance, "divide", WEIR_TRAP_INTEGER_OVERFLOW, INT32_MIN, -1);
        CALL_TRAPS(instance, "unreachable", WEIR_TRAP_UNREACHABLE);
        CALL_TRAPS(instance, "indirect", WEIR_TRAP_INDIRECT_TYPE, 1);
        CALL_TRAPS(instance, "indirect", WEIR_TRAP_UNINITIALIZED_ELEMENT, 2);
        CALL_TRAPS(instance, "indirect", WEIR_TRAP_UNDEFINED_ELEMENT, 4);
        ck_assert_int_eq(CALL_OK(instance, "indirect", 0), 1);
        CALL_TRAPS(instance, "recurse", WEIR_TRAP_STACK_EXHAUSTED, 0);
        ck_assert_int_eq(CALL_OK(instance, "divide", 7, -2), -3);
    }
}
END_TEST

START_TEST(shows_frames)
{
    static struct weir_trap trap;
    ck_assert_int_eq(fixture_call(instance, "outer", NULL, 0, NULL, &trap), WEIR_TRAP);
    ck_assert_uint_eq(trap.frame_count, 3);
    ck_assert_str_eq(trap.frames[0].function, "inner");
    ck_assert_str_eq(trap.frames[1].function, "middle");
    ck_assert_str_eq(trap.frames[2].function, "outer");
    ck_assert_str_eq(trap.frames[0].module, "fixture");
    ck_assert_uint_ne(trap.frames[0].module_offset, 0);
    /* The module's byte at the offset is the instruction: i32.div_u, then two calls. */
    ck_assert_uint_eq(call_wasm[trap.frames[0].module_offset], 0x6e);
    ck_assert_uint_eq(call_wasm[trap.frames[1].module_offset], 0x10);
    ck_assert_uint_eq(call_wasm[trap.frames[2].module_offset], 0x10);
    weir_trap_done(&trap);

    ck_assert_int_eq(fixture_call(instance, "call_fail", NULL, 0, NULL, &trap), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_HOST);
    ck_assert_str_eq(trap.cause.message, "no cake today");
    ck_assert_uint_eq(trap.frame_count, 1);
    ck_assert_str_eq(trap.frames[0].function, "fails");
    weir_trap_done(&trap);

    ck_assert_int_eq(fixture_call(instance, "od\x1b[31md\nname", NULL, 0, NULL, &trap), WEIR_TRAP);
    ck_assert_str_eq(trap.frames[0].function, "od?[31md?name");
    weir_trap_done(&trap);

    ck_assert_int_eq(fixture_call(instance, "recurse", (const int64_t[]){0}, 1, NULL, &trap),
                     WEIR_TRAP);
    ck_assert_uint_eq(trap.frame_count, WEIR_TRAP_FRAMES_MAX);
    ck_assert_uint_gt(trap.frames_left_out, 1000);
    ck_assert_str_eq(trap.frames[0].function, "deeper");
    weir_trap_done(&trap);
}
END_TEST

START_TEST(nests)
{
    ck_assert_int_eq(CALL_OK(instance, "call_back", 0), 7);
    ck_assert_int_eq(CALL_OK(instance, "call_back", 1), 101);
    ck_assert_int_eq(CALL_OK(instance, "call_back", 5), 105);
    ck_assert_int_eq(CALL_OK(instance, "call_back", 20), 120);
}
END_TEST

START_TEST(reports_unknown_imports)
{
    struct weir_linker *empty = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_linker_new(engine, &empty, &error), WEIR_OK);
    struct weir_instance *none = NULL;
    ck_assert_int_eq(weir_instance_new(store, empty, module, &none, NULL, &error), WEIR_LINK);
    ck_assert_ptr_nonnull(strstr(error.message, "unknown import: \"host\" \"add\""));
    size_t lines = 0;
    for (const struct weir_error_detail *at = error.details; at != NULL; at = at->next)
        lines++;
    ck_assert_uint_eq(lines, 4);
    weir_error_done(&error);
    weir_linker_free(empty);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, passes_values);
    tcase_add_test(tests, calls_host);
    tcase_add_test(tests, uses_memory);
    tcase_add_test(tests, copies_overlapping);
    tcase_add_test(tests, traps);
    tcase_add_test(tests, shows_frames);
    tcase_add_test(tests, nests);
    tcase_add_test(tests, reports_unknown_imports);
}

int main(void)
{
    Suite *suite = suite_create("runtime call");
    TCase *guard = tcase_create("guard");
    tcase_add_checked_fixture(guard, setup, teardown);
    add_tests(guard);
    suite_add_tcase(suite, guard);
    TCase *checks = tcase_create("explicit");
    tcase_add_checked_fixture(checks, setup_explicit, teardown);
    add_tests(checks);
    suite_add_tcase(suite, checks);
    TCase *calls = tcase_create("no-signals");
    tcase_add_checked_fixture(calls, setup_no_signals, teardown);
    add_tests(calls);
    suite_add_tcase(suite, calls);
    return run_suite(suite);
}
