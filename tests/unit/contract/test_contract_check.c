/* What a chain would take: upstream's sentences for each way to be refused, facts, and everything
 * that is wrong at once. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "worlds/contract/contract_check.h"

#include "contract_block_results_wasm.h"
#include "contract_broken_code_wasm.h"
#include "contract_bulk_wasm.h"
#include "contract_capabilities_wasm.h"
#include "contract_everything_wasm.h"
#include "contract_floats_wasm.h"
#include "contract_good_wasm.h"
#include "contract_locals_100_wasm.h"
#include "contract_locals_101_wasm.h"
#include "contract_marker_7_wasm.h"
#include "contract_memory_513_wasm.h"
#include "contract_memory_import_wasm.h"
#include "contract_memory_max_wasm.h"
#include "contract_migrate_version_wasm.h"
#include "contract_no_allocate_wasm.h"
#include "contract_no_marker_wasm.h"
#include "contract_no_memory_wasm.h"
#include "contract_params_101_wasm.h"
#include "contract_reference_wasm.h"
#include "contract_table_full_wasm.h"
#include "contract_table_large_wasm.h"
#include "contract_table_unbound_wasm.h"
#include "contract_two_markers_wasm.h"
#include "contract_two_results_wasm.h"
#include "contract_two_tables_wasm.h"
#include "contract_unknown_imports_wasm.h"
#include "contract_vector_wasm.h"
#include "contract_zero_names_wasm.h"
#include "tests/run_suite.h"

#define STATIC "Error during static Wasm validation: "
#define WASM(name) contract_##name##_wasm, sizeof contract_##name##_wasm

static const struct {
    const unsigned char *wasm;
    size_t size;
    /* The first refusal, whole or its beginning ("…" at the end); NULL: taken. */
    const char *refusal;
    uint32_t count;
} CASES[] = {
    {WASM(good), NULL, 0},
    {WASM(floats), NULL, 0},
    {WASM(table_full), NULL, 0},
    {WASM(locals_100), NULL, 0},
    {WASM(migrate_version), NULL, 0},
    {WASM(no_memory), STATIC "Wasm contract must contain exactly one memory", 1},
    {WASM(memory_513), STATIC "Wasm contract memory's minimum must not exceed 512 pages.", 1},
    {WASM(memory_max),
     STATIC "Wasm contract memory's maximum must be unset. The host will set it for you.", 1},
    {WASM(no_marker), STATIC "Wasm contract missing a required marker export: interface_version_*",
     1},
    {WASM(two_markers),
     STATIC "Wasm contract contains more than one marker export: interface_version_*", 1},
    {WASM(marker_7),
     STATIC "Wasm contract has unknown interface_version_* marker export (see "
            "https://github.com/CosmWasm/cosmwasm/blob/main/packages/vm/README.md)",
     1},
    {WASM(no_allocate),
     STATIC "Wasm contract doesn't have required export: \"allocate\". Exports required by VM: "
            "[\"allocate\", \"deallocate\"].",
     1},
    {WASM(unknown_imports),
     STATIC "Wasm contract requires unsupported import: \"env.foo\". Required imports: "
            "{\"env.bar\", \"env.db_read\", \"env.foo\", \"wasi_snapshot_preview1.fd_write\"}. "
            "Available imports: [\"env.abort\", \"env.db_read\", …",
     1},
    {WASM(zero_names),
     STATIC "Wasm contract contains more than one marker export: interface_version_*", 3},
    {WASM(memory_import), STATIC "Wasm contract must contain exactly one memory", 2},
    {WASM(table_unbound), STATIC "Wasm contract must not have unbound table section", 1},
    {WASM(table_large), STATIC "Wasm contract's first table section has a too large max limit", 1},
    {WASM(two_tables), STATIC "Wasm contract must not have more than 1 table section", 1},
    {WASM(capabilities),
     STATIC "Wasm contract requires unavailable capabilities: {\"nutrients\", \"water\"}", 1},
    {WASM(two_results), STATIC "Wasm contract contains function with more than 1 results", 1},
    {WASM(params_101), STATIC "Wasm contract contains function with more than 100 parameters", 1},
    {WASM(locals_101), STATIC "Wasm contract contains function with more than 100 locals: 101", 1},
    {WASM(reference),
     "Error compiling Wasm: Could not compile: Reference type operation detected: ref.null (at "
     "offset …",
     1},
    {WASM(bulk),
     STATIC "Wasm bytecode could not be deserialized. Deserialization error: \"illegal opcode: "
            "memory.fill…",
     1},
    {WASM(vector), STATIC "Wasm bytecode could not be deserialized. Deserialization error: …", 1},
    {WASM(block_results), STATIC "Wasm contract contains function with more than 1 results", 2},
    {WASM(broken_code),
     STATIC "Wasm bytecode could not be deserialized. Deserialization error: \"type mismatch…", 1},
    {WASM(everything), STATIC "Wasm contract must not have unbound table section", 8},
};

static struct weir_contract_facts check(const void *wasm, size_t size, struct weir_arena *arena)
{
    struct weir_contract_facts facts;
    struct weir_error error = {0};
    enum weir_status status =
        weir_contract_check((struct weir_wasm_bytes){wasm, size}, arena, &facts, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return facts;
}

START_TEST(refused_in_upstreams_words)
{
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    struct weir_contract_facts facts = check(CASES[_i].wasm, CASES[_i].size, arena);
    const char *wanted = CASES[_i].refusal;
    const char *first = facts.refusals.count > 0 ? facts.refusals.items[0] : "taken";
    ck_assert_msg(facts.refusals.count == CASES[_i].count, "%u refusals, first: %s",
                  facts.refusals.count, first);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_contract_verdict(&facts, &error),
                     wanted != NULL ? WEIR_INVALID : WEIR_OK);
    if (wanted != NULL) {
        const char *rest = strstr(wanted, "…");
        size_t size = rest != NULL ? (size_t)(rest - wanted) : strlen(wanted) + 1;
        ck_assert_msg(strncmp(first, wanted, size) == 0, "%s", first);
        ck_assert_int_eq(strncmp(error.message, first, 200), 0);
        ck_assert(strlen(first) < sizeof error.message || error.details != NULL);
    }
    weir_error_done(&error);
    weir_arena_free(arena);
}
END_TEST

START_TEST(facts_are_told)
{
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    struct weir_contract_facts facts = check(WASM(migrate_version), arena);
    ck_assert(facts.is_wasm && !facts.has_migrate_version);
    ck_assert_uint_eq(facts.migrate_params, 3);
    ck_assert_uint_eq(facts.memory_pages, 1);
    ck_assert_str_eq(facts.interface_marker, "interface_version_8");
    ck_assert_uint_eq(facts.entries.count, 2);
    ck_assert_str_eq(facts.entries.items[0], "migrate");
    ck_assert_str_eq(facts.entries.items[1], "query");

    facts = check(WASM(capabilities), arena);
    ck_assert_uint_eq(facts.capabilities.count, 3); /* `requires_` names none */
    ck_assert_str_eq(facts.capabilities.items[0], "iterator");
    ck_assert_uint_eq(facts.unavailable.count, 2);

    facts = check(WASM(unknown_imports), arena);
    ck_assert_uint_eq(facts.imports.count, 4);
    ck_assert_uint_eq(facts.unknown.count, 3);
    ck_assert_str_eq(facts.unknown.items[1], "env.bar");
    struct weir_error error = {0};
    ck_assert_int_eq(weir_contract_verdict(&facts, &error), WEIR_INVALID);
    unsigned told = 0;
    for (const struct weir_error_detail *d = error.details; d != NULL; d = d->next)
        told += strcmp(d->text, "unsupported import: wasi_snapshot_preview1.fd_write") == 0 ||
                strcmp(d->text, "unsupported import: env.bar") == 0;
    ck_assert_uint_eq(told, 2);
    weir_error_done(&error);

    facts = check("no module", 9, arena);
    ck_assert(!facts.is_wasm);
    ck_assert_uint_eq(facts.refusals.count, 1);
    weir_arena_free(arena);
}
END_TEST

static const struct {
    const char *text;
    bool is_number;
    uint64_t number;
} VERSIONS[] = {
    {"42", true, 42},
    {"0", true, 0},
    {"+7", true, 7},
    {"18446744073709551615", true, UINT64_MAX},
    {"18446744073709551616", false, 0},
    {"", false, 0},
    {"+", false, 0},
    {"-1", false, 0},
    {"4x2", false, 0},
    {" 1", false, 0},
};

/* Behind the module stands a custom section. */
START_TEST(migrate_versions_are_numbers)
{
    static const char NAME[] = "\x12"
                               "cw_migrate_version";
    uint8_t wasm[1024];
    size_t size = sizeof contract_good_wasm, length = strlen(VERSIONS[_i].text);
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    memcpy(wasm, contract_good_wasm, size);
    wasm[size++] = 0;
    wasm[size++] = (uint8_t)(sizeof NAME - 1 + length);
    memcpy(wasm + size, NAME, sizeof NAME - 1);
    memcpy(wasm + size + sizeof NAME - 1, VERSIONS[_i].text, length);
    size += sizeof NAME - 1 + length;
    struct weir_contract_facts facts = check(wasm, size, arena);
    ck_assert_int_eq(facts.has_migrate_version, VERSIONS[_i].is_number);
    ck_assert_uint_eq(facts.migrate_version, VERSIONS[_i].number);
    ck_assert_uint_eq(facts.refusals.count, !VERSIONS[_i].is_number);
    weir_arena_free(arena);
}
END_TEST

/* Cut anywhere, a module is refused or taken; nothing is read behind its end. */
START_TEST(every_prefix_is_judged)
{
    for (size_t size = 0; size < sizeof contract_unknown_imports_wasm; size++) {
        struct weir_arena *arena = NULL;
        ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, contract_unknown_imports_wasm, size);
        struct weir_contract_facts facts = check(copy, size, arena);
        ck_assert_uint_gt(facts.refusals.count, 0);
        free(copy);
        weir_arena_free(arena);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contract checks");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, refused_in_upstreams_words, 0, sizeof CASES / sizeof CASES[0]);
    tcase_add_test(tests, facts_are_told);
    tcase_add_loop_test(tests, migrate_versions_are_numbers, 0,
                        sizeof VERSIONS / sizeof VERSIONS[0]);
    tcase_add_test(tests, every_prefix_is_judged);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
