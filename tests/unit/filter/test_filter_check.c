/* What a module lacks or costs as a proxy-wasm plugin: over WAT, and over a real one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter_bad_wasm.h"
#include "filter_good_wasm.h"
#include "tests/run_suite.h"
#include "worlds/filter/filter_check.h"

static struct weir_arena *arena;
static struct weir_filter_facts facts;

static void look(const unsigned char *bytes, size_t size)
{
    struct weir_wasm_module *module;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    ck_assert_msg(weir_wasm_decode((struct weir_wasm_bytes){bytes, size}, WEIR_FEATURES_DEFAULT,
                                   NULL, arena, &module, &error) == WEIR_OK,
                  "%s", error.message);
    ck_assert_int_eq(weir_wasm_validate(module, arena, &error), WEIR_OK);
    ck_assert_int_eq(weir_filter_check(module, arena, &facts, &error), WEIR_OK);
}

static void expect(const char *const *wanted, size_t count, bool is_fatal)
{
    size_t next = 0;
    for (uint32_t i = 0; i < facts.findings.count; i++) {
        const struct weir_wasm_finding *finding = &facts.findings.items[i];
        if (finding->is_fatal != is_fatal)
            continue;
        ck_assert_msg(next < count && strstr(finding->text, wanted[next]) != NULL, "%s",
                      finding->text);
        next++;
    }
    ck_assert_uint_eq(next, count);
}

START_TEST(names_every_problem)
{
    static const char *const envoy[] = {
        "Failed to load Wasm module due to a missing import: env.no_such_thing",
        "Failed to load Wasm module due to a missing import: "
        "wasi_snapshot_preview1.no_such_function",
        "Failed to load Wasm module due to a missing import: other.proxy_log",
        "Failed to load Wasm module due to an import type mismatch: env.proxy_log, want: "
        "i32 -> i32, but host exports: i32 i32 i32 -> i32",
        "Missing or unknown Proxy-Wasm ABI version",
    };
    static const char *const refusals[] = {"it is no proxy-wasm plugin",
                                           "it exports no memory of the name"};
    look(filter_bad_wasm, sizeof filter_bad_wasm);
    ck_assert_ptr_null(facts.abi);
    ck_assert_uint_eq(facts.envoy_count, sizeof envoy / sizeof envoy[0]);
    for (size_t i = 0; i < facts.envoy_count; i++)
        ck_assert_str_eq(facts.envoy[i], envoy[i]);
    expect(refusals, sizeof refusals / sizeof refusals[0], true);
    ck_assert(!weir_wasm_is_taken(&facts.findings));
    weir_arena_free(arena);
}
END_TEST

START_TEST(says_what_will_hurt)
{
    static const char *const hurts[] = {
        "sched_yield",
        "proxy_grpc_cancel",
        "it exports malloc beside proxy_on_memory_allocate",
        "memory begins with 550 pages (34 MiB)",
        "memory has no maximum",
    };
    look(filter_good_wasm, sizeof filter_good_wasm);
    ck_assert_str_eq(facts.abi, "0.2.1");
    ck_assert_uint_eq(facts.envoy_count, 0);
    ck_assert(weir_wasm_is_taken(&facts.findings));
    expect(hurts, sizeof hurts / sizeof hurts[0], false);
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
    return run_suite(suite);
}
