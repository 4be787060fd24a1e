/* The fast generator through its own corners: functions of wat/fast.wat, each called in every form
 * of code. What they must answer was computed by another engine. */
#include "tests/unit/compiler/fast_harness.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "artifact/cpu.h"
#include "compiler/common/fuel.h"
#include "fast_wasm.h"
#include "tests/run_suite.h"
#include "vector_wasm.h"

struct call_case {
    const char *function;
    uint64_t args[5]; /* bits; i32 and f32 in the low half */
    enum weir_trap_code trap;
    unsigned result_count;
    uint64_t results[4];
};

static const struct call_case cases[] = {
    {"old_value", {5}, WEIR_TRAP_NONE, 1, {0xfffffc1d}},
    {"old_values", {7}, WEIR_TRAP_NONE, 1, {350}},
    {"swap", {3, 10}, WEIR_TRAP_NONE, 1, {7}},
    {"tee_chain", {4}, WEIR_TRAP_NONE, 1, {18}},
    {"pressure", {9}, WEIR_TRAP_NONE, 1, {0xfffff034}},
    {"pressure", {1234}, WEIR_TRAP_NONE, 1, {0xecb9230f}},
    {"float_pressure", {0x3ff4000000000000}, WEIR_TRAP_NONE, 1, {0xbff4000000000000}},
    {"block_result", {0}, WEIR_TRAP_NONE, 1, {109}},
    {"block_result", {1}, WEIR_TRAP_NONE, 1, {107}},
    {"br_if_keeps", {0}, WEIR_TRAP_NONE, 1, {2}},
    {"br_if_keeps", {6}, WEIR_TRAP_NONE, 1, {56}},
    {"two_results", {0}, WEIR_TRAP_NONE, 1, {42}},
    {"two_results", {3}, WEIR_TRAP_NONE, 1, {47}},
    {"loop_params", {6}, WEIR_TRAP_NONE, 1, {720}},
    {"if_params", {0}, WEIR_TRAP_NONE, 1, {78}},
    {"if_params", {1}, WEIR_TRAP_NONE, 1, {68}},
    {"if_without_else", {0}, WEIR_TRAP_NONE, 1, {10}},
    {"if_without_else", {5}, WEIR_TRAP_NONE, 1, {30}},
    {"dead_code", {1}, WEIR_TRAP_NONE, 1, {3}},
    {"br_table", {0}, WEIR_TRAP_NONE, 1, {10}},
    {"br_table", {3}, WEIR_TRAP_NONE, 1, {13}},
    {"br_table", {6}, WEIR_TRAP_NONE, 1, {16}},
    {"br_table", {0xffffffff}, WEIR_TRAP_NONE, 1, {16}},
    {"br_table_value", {0}, WEIR_TRAP_NONE, 1, {1327}},
    {"br_table_value", {1}, WEIR_TRAP_NONE, 1, {327}},
    {"br_table_value", {2}, WEIR_TRAP_NONE, 1, {307}},
    {"br_table_value", {5}, WEIR_TRAP_NONE, 1, {307}},
    {"br_table_value", {6}, WEIR_TRAP_NONE, 1, {7}},
    {"br_table_value", {99}, WEIR_TRAP_NONE, 1, {7}},
    {"br_table_values", {0}, WEIR_TRAP_NONE, 1, {161}},
    {"br_table_values", {1}, WEIR_TRAP_NONE, 1, {21}},
    {"br_table_values", {2}, WEIR_TRAP_NONE, 1, {161}},
    {"br_table_loop", {9}, WEIR_TRAP_NONE, 1, {45}},
    {"br_table_loop", {2}, WEIR_TRAP_NONE, 1, {3}},
    {"chain", {1, 2}, WEIR_TRAP_NONE, 1, {5}},
    {"chain", {2, 1}, WEIR_TRAP_NONE, 1, {6}},
    {"kept", {1, 2}, WEIR_TRAP_NONE, 1, {10}},
    {"kept", {0xffffffff, 2}, WEIR_TRAP_NONE, 1, {0}},
    {"const_left", {3}, WEIR_TRAP_NONE, 1, {98}},
    {"const_left", {30}, WEIR_TRAP_NONE, 1, {70}},
    {"nan_branch", {0x3ff0000000000000, 0x3ff0000000000000}, WEIR_TRAP_NONE, 1, {57}},
    {"nan_branch", {0x3ff0000000000000, 0x4000000000000000}, WEIR_TRAP_NONE, 1, {70}},
    {"nan_branch", {0x4000000000000000, 0x3ff0000000000000}, WEIR_TRAP_NONE, 1, {90}},
    {"nan_branch", {0x7ff8000000000000, 0x3ff0000000000000}, WEIR_TRAP_NONE, 1, {74}},
    {"nan_select", {0x3f800000, 0x3f800000}, WEIR_TRAP_NONE, 1, {0x40000000}},
    {"nan_select", {0x7fc00000, 0x3f800000}, WEIR_TRAP_NONE, 1, {0x3f800000}},
    {"divide_consts", {0xbc614e}, WEIR_TRAP_NONE, 1, {0xffeed0b4}},
    {"divide_consts", {0xff439eb2}, WEIR_TRAP_NONE, 1, {0xfeed0b3}},
    {"divide_consts", {0x80000000}, WEIR_TRAP_NONE, 1, {0x5b6db6c}},
    {"divide_wide", {0x1b69b4ba630f34e}, WEIR_TRAP_NONE, 1, {0xff99de7af362604d}},
    {"divide_wide", {0xfe4964b459cf0cb2}, WEIR_TRAP_NONE, 1, {0x19ff81f21686038f}},
    {"divide_lowest", {0x80000000}, WEIR_TRAP_NONE, 1, {1}},
    {"divide_lowest", {5}, WEIR_TRAP_NONE, 1, {0}},
    {"divide_minus_one", {7}, WEIR_TRAP_NONE, 1, {0xfffffff9}},
    {"divide_minus_one", {0x80000000}, WEIR_TRAP_INTEGER_OVERFLOW, 0, {0}},
    {"divide_zero", {1}, WEIR_TRAP_DIVIDE_BY_ZERO, 0, {0}},
    {"divide_all", {0xffffffef, 5}, WEIR_TRAP_NONE, 1, {0x3333332e}},
    {"divide_all", {17, 0xffffffff}, WEIR_TRAP_NONE, 1, {0}},
    {"divide_all", {0x80000000, 0xffffffff}, WEIR_TRAP_INTEGER_OVERFLOW, 0, {0}},
    {"divide_all", {1, 0}, WEIR_TRAP_DIVIDE_BY_ZERO, 0, {0}},
    {"wraps", {0xfffffffc}, WEIR_TRAP_NONE, 1, {1}},
    {"wraps", {0xfffffffd}, WEIR_TRAP_NONE, 1, {2}},
    {"far_offset", {0}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"farthest_offset", {0}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"farthest_offset", {0xffffffff}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"const_address", {0}, WEIR_TRAP_NONE, 1, {0xf8f9fafbfcfdfeff}},
    {"const_beyond", {0}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"const_far", {0}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"store_straddles", {0xfff9}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"store_straddles", {0xfff8}, WEIR_TRAP_NONE, 0, {0}},
    {"stores", {100, 0xfffffffffffffffb}, WEIR_TRAP_NONE, 1, {0x3ff7fffcf5996888}},
    {"recheck_set", {0, 16}, WEIR_TRAP_NONE, 1, {0x08070605}},
    {"recheck_set", {0, 65533}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"recheck_tee", {8, 4}, WEIR_TRAP_NONE, 1, {0x04030201}},
    {"recheck_tee", {8, 65521}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"recheck_join", {16, 1}, WEIR_TRAP_NONE, 1, {0x04030201}},
    {"recheck_join", {65533, 0}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"recheck_more", {65529}, WEIR_TRAP_NONE, 1, {0}},
    {"recheck_more", {65530}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"recheck_loop", {65524}, WEIR_TRAP_NONE, 1, {3}},
    {"recheck_loop", {65525}, WEIR_TRAP_MEMORY_BOUNDS, 0, {0}},
    {"grow", {1}, WEIR_TRAP_NONE, 1, {102}},
    {"grow", {5}, WEIR_TRAP_NONE, 1, {0xffffff9d}},
    {"survives", {5, 0x4004000000000000}, WEIR_TRAP_NONE, 1, {0x408e100000000000}},
    {"survives", {0xffffff9c, 0x4202a05f20000000}, WEIR_TRAP_NONE, 1, {0x4224a05f1f3c0000}},
    {"argument_cycle", {1, 2, 3, 4, 5}, WEIR_TRAP_NONE, 1, {0xc822}},
    {"argument_swap", {1, 2, 3, 4, 5}, WEIR_TRAP_NONE, 1, {0x53bb}},
    {"many", {3}, WEIR_TRAP_NONE, 1, {0x41f0000045780000}},
    {"many", {0xfffffff9}, WEIR_TRAP_NONE, 1, {0x41f0000042f80000}},
    {"indirect", {1, 50, 8}, WEIR_TRAP_NONE, 1, {42}},
    {"indirect", {2, 1, 1}, WEIR_TRAP_INDIRECT_TYPE, 0, {0}},
    {"indirect", {3, 1, 1}, WEIR_TRAP_UNINITIALIZED_ELEMENT, 0, {0}},
    {"indirect", {8, 1, 1}, WEIR_TRAP_UNDEFINED_ELEMENT, 0, {0}},
    {"indirect", {0xffffffff, 1, 1}, WEIR_TRAP_UNDEFINED_ELEMENT, 0, {0}},
    {"tail_sum", {0x186a0, 0}, WEIR_TRAP_NONE, 1, {0x12a06b550}},
    {"tail_many", {1}, WEIR_TRAP_NONE, 4, {0x4050e00000000000, 28, 12, 0x41c80000}},
    {"tail_indirect", {1, 50, 8}, WEIR_TRAP_NONE, 1, {42}},
    {"tail_indirect", {2, 1, 1}, WEIR_TRAP_INDIRECT_TYPE, 0, {0}},
    {"fib", {20}, WEIR_TRAP_NONE, 1, {6765}},
    {"recurse", {0}, WEIR_TRAP_STACK_EXHAUSTED, 0, {0}},
    {"count", {1000}, WEIR_TRAP_NONE, 1, {1000}},
    {"unreachable", {0}, WEIR_TRAP_UNREACHABLE, 0, {0}},
    {"frame_locals", {1000}, WEIR_TRAP_NONE, 1, {0x339938e5}},
};
#define CASE_COUNT (int)(sizeof cases / sizeof *cases)

static const struct {
    uint32_t flags;
    bool has_all_features;
} forms[] = {
    {WEIR_ARTIFACT_POLL, false},
    {WEIR_ARTIFACT_POLL, true},
    {0, false},
    {WEIR_ARTIFACT_POLL | WEIR_ARTIFACT_EXPLICIT_BOUNDS, false},
    {WEIR_ARTIFACT_POLL | WEIR_ARTIFACT_FUEL, false},
    {WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_FUEL, true},
    {WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_NO_SIGNALS, false},
    {WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_NO_SIGNALS | WEIR_ARTIFACT_POLL |
         WEIR_ARTIFACT_FUEL,
     true},
};

static const struct weir_fuel_costs accounting_costs = {
    .class_costs = {115, 115, 1610, 1610, 1610, 1610, 115, 115},
    .points = WEIR_FUEL_BEFORE_ACCOUNTING,
    .free_locals = 29,
    .per_more_local = 115,
};

static struct harness *load(const uint8_t *bytes, size_t size, struct weir_code_options options)
{
    struct weir_error error = {0};
    struct harness *h = harness_new(bytes, size, &options, &error);
    ck_assert_msg(h != NULL, "%s", error.message);
    return h;
}

static uint32_t export_of(const struct harness *h, const char *name)
{
    uint32_t index = harness_export(h, name, strlen(name));
    ck_assert_msg(index != WEIR_WASM_NONE, "no export %s", name);
    return index;
}

static uint64_t narrowed(const struct harness *h, uint32_t function, unsigned i, uint64_t bits)
{
    const struct weir_wasm_module *m = harness_module(h);
    weir_wasm_type type = m->types[m->funcs[function].type_index].results[i];
    return type == WEIR_TYPE_F32 ? (uint32_t)bits : bits; /* an i32 must come zero-extended */
}

/* One instance per case: cases leave their marks in memory. */
static void run_case(const struct call_case *c, struct weir_code_options options)
{
    struct harness *h = load(fast_wasm, sizeof fast_wasm, options);
    uint32_t function = export_of(h, c->function);
    uint64_t results[4] = {0};
    enum weir_trap_code trap = harness_call(h, function, c->args, results, NULL);
    ck_assert_msg(trap == c->trap, "%s(%lld ...): trap %d, not %d (flags %u)", c->function,
                  (long long)c->args[0], (int)trap, (int)c->trap, options.flags);
    for (unsigned i = 0; i < c->result_count; i++) {
        uint64_t got = narrowed(h, function, i, results[i]);
        ck_assert_msg(got == c->results[i],
                      "%s(%lld ...): result %u is %#llx, not %#llx (flags %u)", c->function,
                      (long long)c->args[0], i, (unsigned long long)got,
                      (unsigned long long)c->results[i], options.flags);
    }
    harness_free(h);
}

START_TEST(test_calls)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct weir_code_options options = {
            .flags = forms[i].flags,
            .cpu_features = forms[i].has_all_features ? weir_cpu_host() : weir_cpu_baseline};
        run_case(&cases[_i], options);
    }
    struct weir_code_options options = {.flags = WEIR_ARTIFACT_POLL | WEIR_ARTIFACT_FUEL,
                                        .fuel_costs = &accounting_costs};
    run_case(&cases[_i], options);
}
END_TEST

START_TEST(test_code_is_deterministic_and_sites_are_sorted)
{
    struct weir_code_options options = {.flags = WEIR_ARTIFACT_POLL | WEIR_ARTIFACT_FUEL};
    struct harness *a = load(fast_wasm, sizeof fast_wasm, options);
    struct harness *b = load(fast_wasm, sizeof fast_wasm, options);
    const struct weir_code *x = harness_code(a);
    const struct weir_code *y = harness_code(b);
    ck_assert_uint_eq(x->text_size, y->text_size);
    ck_assert_mem_eq(x->text, y->text, x->text_size);
    ck_assert_uint_eq(x->rodata_size, y->rodata_size);
    ck_assert_mem_eq(x->rodata, y->rodata, x->rodata_size);
    ck_assert_uint_eq(x->site_count, y->site_count);
    ck_assert_uint_gt(x->site_count, 50);
    for (size_t i = 1; i < x->site_count; i++)
        ck_assert_uint_gt(x->sites[i].text_offset, x->sites[i - 1].text_offset);
    const struct weir_wasm_module *m = harness_module(a);
    for (uint32_t i = 0; i < m->func_count - m->func_import_count; i++) {
        const struct weir_code_func *f = &x->funcs[i];
        ck_assert_uint_eq(f->text_offset % 16, 0);
        for (uint32_t k = 0; k < f->site_count; k++) {
            const struct weir_trap_site *site = &x->sites[f->first_site + k];
            ck_assert_uint_ge(site->text_offset, f->text_offset);
            ck_assert_uint_le(site->text_offset, f->text_offset + f->text_size);
            ck_assert_uint_lt(site->site & 0xffffff, m->funcs[m->func_import_count + i].body_size);
        }
    }
    harness_free(a);
    harness_free(b);
}
END_TEST

/* The offset of a trap points at its instruction: `unreachable` is the only one of its body. */
START_TEST(test_trap_offset)
{
    struct harness *h = load(fast_wasm, sizeof fast_wasm, (struct weir_code_options){.flags = 0});
    uint32_t function = export_of(h, "unreachable");
    uint64_t none[1] = {0};
    uint32_t offset = 0;
    ck_assert_int_eq(harness_call(h, function, none, none, &offset), WEIR_TRAP_UNREACHABLE);
    ck_assert_uint_eq(offset, 1); /* after the empty list of locals */
    harness_free(h);
}
END_TEST

/* A straddling store writes none of its bytes. */
START_TEST(test_store_that_traps_writes_nothing)
{
    for (uint32_t flags = 0; flags <= WEIR_ARTIFACT_EXPLICIT_BOUNDS; flags++) {
        struct harness *h =
            load(fast_wasm, sizeof fast_wasm, (struct weir_code_options){.flags = flags});
        uint64_t args[1] = {65529};
        uint64_t none[1] = {0};
        uint32_t function = export_of(h, "store_straddles");
        ck_assert_int_eq(harness_call(h, function, args, none, NULL), WEIR_TRAP_MEMORY_BOUNDS);
        for (unsigned i = 65520; i < 65536; i++)
            ck_assert_uint_eq(harness_memory(h)[i], 0);
        harness_free(h);
    }
}
END_TEST

START_TEST(test_polls)
{
    struct harness *h =
        load(fast_wasm, sizeof fast_wasm, (struct weir_code_options){.flags = WEIR_ARTIFACT_POLL});
    uint64_t args[1] = {1000};
    uint64_t results[1] = {0};
    uint32_t function = export_of(h, "count");
    harness_state(h)->interrupt = 1;
    ck_assert_int_eq(harness_call(h, function, args, results, NULL), WEIR_TRAP_NONE);
    ck_assert_uint_eq(results[0], 1000);
    ck_assert_uint_eq(harness_polls(h), 1);
    ck_assert_uint_eq(harness_state(h)->interrupt, 0);
    harness_free(h);
}
END_TEST

/* What `function(argument)` burns; it must not trap. */
static int64_t fuel_of(struct harness *h, const char *function, uint64_t argument)
{
    uint64_t args[1] = {argument};
    uint64_t results[4];
    harness_state(h)->fuel = INT64_C(1) << 40;
    ck_assert_int_eq(harness_call(h, export_of(h, function), args, results, NULL), WEIR_TRAP_NONE);
    return (INT64_C(1) << 40) - harness_state(h)->fuel;
}

START_TEST(test_fuel_at_block_entry)
{
    struct weir_code_options options = {.flags = WEIR_ARTIFACT_FUEL | WEIR_ARTIFACT_POLL};
    struct harness *h = load(fast_wasm, sizeof fast_wasm, options);
    /* loop 1; per turn four for the sum, three for the comparison, one for br_if; local.get */
    ck_assert_int_eq(fuel_of(h, "count", 1), 1 + 8 + 1);
    ck_assert_int_eq(fuel_of(h, "count", 11) - fuel_of(h, "count", 10), 8);
    ck_assert_int_eq(fuel_of(h, "count", 1000), 1 + 8 * 1000 + 1);
    /* Exactly enough is enough, one less is not. */
    uint64_t args[1] = {1000};
    uint64_t results[1];
    harness_state(h)->fuel = 8002;
    ck_assert_int_eq(harness_call(h, export_of(h, "count"), args, results, NULL), WEIR_TRAP_NONE);
    ck_assert_int_eq(harness_state(h)->fuel, 0);
    harness_state(h)->fuel = 8001;
    ck_assert_int_eq(harness_call(h, export_of(h, "count"), args, results, NULL), WEIR_TRAP_FUEL);
    ck_assert_int_lt(harness_state(h)->fuel, 0);
    harness_free(h);
}
END_TEST

START_TEST(test_fuel_before_accounting)
{
    struct weir_code_options options = {.flags = WEIR_ARTIFACT_FUEL | WEIR_ARTIFACT_POLL,
                                        .fuel_costs = &accounting_costs};
    struct harness *h = load(fast_wasm, sizeof fast_wasm, options);
    /* loop; per turn seven operators and br_if; end of loop; local.get; end of function */
    int64_t turn = 7 * 115 + 1610;
    ck_assert_int_eq(fuel_of(h, "count", 1), 1610 + turn + 1610 + 115 + 1610);
    ck_assert_int_eq(fuel_of(h, "count", 100) - fuel_of(h, "count", 99), turn);
    harness_free(h);
}
END_TEST

START_TEST(test_vectors_are_named)
{
    struct weir_error error = {0};
    struct weir_code_options options = {.flags = 0};
    ck_assert_ptr_null(harness_new(vector_wasm, sizeof vector_wasm, &options, &error));
    ck_assert_int_eq(error.status, WEIR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "i32x4.splat"));
    ck_assert_uint_eq(vector_wasm[error.offset], 0xfd);
    weir_error_done(&error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fast");
    TCase *tcase = tcase_create("code");
    tcase_add_loop_test(tcase, test_calls, 0, CASE_COUNT);
    tcase_add_test(tcase, test_code_is_deterministic_and_sites_are_sorted);
    tcase_add_test(tcase, test_trap_offset);
    tcase_add_test(tcase, test_store_that_traps_writes_nothing);
    tcase_add_test(tcase, test_polls);
    tcase_add_test(tcase, test_fuel_at_block_entry);
    tcase_add_test(tcase, test_fuel_before_accounting);
    tcase_add_test(tcase, test_vectors_are_named);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
