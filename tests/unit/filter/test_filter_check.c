/* What a module lacks or costs as a proxy-wasm plugin: over WAT, and over a real one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter_bad_wasm.h"
#include "filter_good_wasm.h"
#include "worlds/filter/filter_check.h"

static struct weir_arena *arena;
static struct weir_filter_check check;

static void look(const unsigned char *bytes, size_t size)
{
    struct weir_wasm_facts facts;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    ck_assert_msg(weir_wasm_inspect(bytes, size, NULL, arena, &facts, &error) == WEIR_OK, "%s",
                  error.message);
    ck_assert_int_eq(weir_filter_check(&facts, arena, &check, &error), WEIR_OK);
}

START_TEST(names_every_problem)
{
    static const char *const problems[] = {
        "Missing or unknown Proxy-Wasm ABI version",
        "no memory is exported as \"memory\"",
        "Failed to load Wasm module due to a missing import: env.no_such_thing",
        "Failed to load Wasm module due to a missing import: "
        "wasi_snapshot_preview1.no_such_function",
        "Failed to load Wasm module due to a missing import: other.proxy_log",
        "Failed to load Wasm module due to an import type mismatch: env.proxy_log, want: "
        "(i32) -> i32, but host: (i32, i32, i32) -> i32",
    };
    look(filter_bad_wasm, sizeof filter_bad_wasm);
    ck_assert_ptr_null(check.abi);
    ck_assert_uint_eq(check.problem_count, sizeof problems / sizeof problems[0]);
    for (size_t i = 0; i < check.problem_count; i++)
        ck_assert_str_eq(check.problems[i], problems[i]);
    weir_arena_free(arena);
}
END_TEST

START_TEST(says_what_will_hurt)
{
    static const char *const hurts[] = {"sched_yield of WASI", "proxy_grpc_cancel",
                                        "exports malloc beside proxy_on_memory_allocate",
                                        "550 initial pages: 34 MiB"};
    look(filter_good_wasm, sizeof filter_good_wasm);
    ck_assert_str_eq(check.abi, "0.2.1");
    for (size_t i = 0; i < check.problem_count; i++)
        ck_abort_msg("%s", check.problems[i]);
    ck_assert_uint_ge(check.hurt_count, sizeof hurts / sizeof hurts[0]);
    for (size_t i = 0; i < sizeof hurts / sizeof hurts[0]; i++)
        ck_assert_msg(strncmp(check.hurts[i], hurts[i], strlen(hurts[i])) == 0, "%s",
                      check.hurts[i]);
    weir_arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter check");
    TCase *tests = tcase_create("modules");
    tcase_add_test(tests, names_every_problem);
    tcase_add_test(tests, says_what_will_hurt);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
