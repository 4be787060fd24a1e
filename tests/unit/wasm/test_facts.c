/* Names, texts of types and the facts behind `weir inspect`, on modules made from WAT; decoding and
 * validation of all of them, also when memory runs out at any point. */
#include "wasm/inspect.h"
#include "wasm/names.h"
#include "wasm/types_text.h"
#include "wasm_helpers.h"

#include "front_control_wasm.h"
#include "front_externs_wasm.h"
#include "front_memories_wasm.h"
#include "front_memory64_wasm.h"
#include "front_memory_wasm.h"
#include "front_numeric_wasm.h"
#include "front_simd_wasm.h"
#include "front_tables_wasm.h"
#include "front_tail_wasm.h"

#define F(name) WEIR_FEATURE_##name
#define MODULE(name, needed)                                                                       \
    {                                                                                              \
#name, front_##name##_wasm, sizeof front_##name##_wasm, needed                             \
    }

static const struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
    uint32_t needed;
} modules[] = {
    MODULE(control, F(MULTI_VALUE) | F(REFERENCE_TYPES)),
    MODULE(externs, F(MUTABLE_GLOBALS) | F(MULTI_VALUE)),
    MODULE(memories, F(MULTI_MEMORY) | F(BULK_MEMORY)),
    MODULE(memory64, F(MEMORY64) | F(BULK_MEMORY)),
    MODULE(memory, F(BULK_MEMORY)),
    MODULE(numeric, F(SIGN_EXTENSION) | F(SATURATING_FLOAT)),
    MODULE(simd, F(SIMD)),
    MODULE(tables, F(BULK_MEMORY) | F(REFERENCE_TYPES)),
    MODULE(tail, F(TAIL_CALLS) | F(EXTENDED_CONST)),
};

START_TEST(test_valid)
{
    struct subject subject;
    subject_init(&subject, modules[_i].bytes, modules[_i].size, FEATURES_ALL, NULL);
    expect_error(&subject, modules[_i].name, WEIR_OK, 0, "");
    ck_assert_uint_eq(subject.module->features_needed, modules[_i].needed);
    subject_done(&subject);
    subject_init(&subject, modules[_i].bytes, modules[_i].size, modules[_i].needed, NULL);
    expect_error(&subject, modules[_i].name, WEIR_OK, 0, "");
    subject_done(&subject);
}
END_TEST

/* A module cut anywhere gets an answer, and the offset of an error lies within. */
START_TEST(test_cut)
{
    for (size_t size = 0; size < modules[_i].size; size++) {
        struct subject subject;
        subject_init(&subject, modules[_i].bytes, size, FEATURES_ALL, NULL);
        ck_assert(subject.status == WEIR_OK || subject.error.offset <= size);
        ck_assert(subject.status == WEIR_OK || subject.status == WEIR_MALFORMED ||
                  subject.status == WEIR_INVALID);
        subject_done(&subject);
    }
}
END_TEST

/* Each byte changed in eight ways: whatever comes out, it is an answer. */
START_TEST(test_mutated)
{
    unsigned char *bytes = malloc(modules[_i].size);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, modules[_i].bytes, modules[_i].size);
    for (size_t at = 0; at < modules[_i].size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct subject subject;
            bytes[at] ^= (unsigned char)(1u << bit);
            subject_init(&subject, bytes, modules[_i].size, FEATURES_ALL, NULL);
            ck_assert(subject.status == WEIR_OK || subject.error.message[0] != '\0');
            subject_done(&subject);
            bytes[at] ^= (unsigned char)(1u << bit);
        }
    }
    free(bytes);
}
END_TEST

struct budget {
    long left;
};

static void *take(void *context, size_t bytes, struct weir_error *error)
{
    struct budget *budget = context;
    if (budget->left-- > 0)
        return calloc(1, bytes);
    (void)weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "the budget is used up");
    return NULL;
}

static void give(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(memory);
}

static enum weir_status run_all(const unsigned char *bytes, size_t size, struct budget *budget,
                                struct weir_error *error)
{
    struct weir_arena_source source = {take, give, budget};
    AUTO(weir_arena) *arena = NULL;
    struct weir_wasm_facts facts;
    const struct weir_wasm_bytes *names = NULL;
    enum weir_status status = weir_arena_new(&source, 64, &arena, error);
    if (status == WEIR_OK)
        status = weir_wasm_inspect(bytes, size, NULL, arena, &facts, error);
    if (status == WEIR_OK && facts.problem.status != WEIR_OK)
        status = facts.problem.status;
    if (status == WEIR_OK)
        status = weir_wasm_func_names(facts.module, arena, &names, error);
    return status;
}

/* The n-th chunk is refused, for every n until it works: NO_MEMORY, and nothing is leaked. */
START_TEST(test_no_memory)
{
    long count = 0;
    for (;; count++) {
        struct budget budget = {count};
        struct weir_error error = {0};
        enum weir_status status = run_all(modules[_i].bytes, modules[_i].size, &budget, &error);
        weir_error_done(&error);
        if (status == WEIR_OK)
            break;
        ck_assert_msg(status == WEIR_NO_MEMORY, "after %ld chunks: %s", count,
                      weir_status_name(status));
        ck_assert_int_lt(count, 1000);
    }
    ck_assert_int_gt(count, 5);
}
END_TEST

static bool same(struct weir_wasm_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) &&
           (bytes.size == 0 || memcmp(bytes.data, text, bytes.size) == 0);
}

static void check_extern(const struct weir_wasm_extern_fact *fact, const char *name,
                         enum weir_extern_kind kind, const char *type)
{
    ck_assert_msg(same(fact->name, name), "%s is called %.*s", name, (int)fact->name.size,
                  (const char *)fact->name.data);
    ck_assert_int_eq((int)fact->kind, (int)kind);
    ck_assert_str_eq(fact->type, type);
}

static void check_externs(const struct weir_wasm_facts *facts)
{
    ck_assert_uint_eq(facts->import_count, 5);
    ck_assert(same(facts->imports[0].module, "env"));
    check_extern(&facts->imports[0], "log", WEIR_EXTERN_FUNC, "(i32, i64) -> f32");
    check_extern(&facts->imports[1], "table", WEIR_EXTERN_TABLE, "funcref 1..2");
    check_extern(&facts->imports[2], "memory", WEIR_EXTERN_MEMORY, "2..3 pages");
    check_extern(&facts->imports[3], "counter", WEIR_EXTERN_GLOBAL, "mut i32");
    check_extern(&facts->imports[4], "limit", WEIR_EXTERN_GLOBAL, "f64");
    ck_assert_uint_eq(facts->export_count, 9);
    check_extern(&facts->exports[1], "twins", WEIR_EXTERN_FUNC, "(i32) -> (i64, f64)");
    check_extern(&facts->exports[6], "mine", WEIR_EXTERN_GLOBAL, "mut i64");
    check_extern(&facts->exports[7], "", WEIR_EXTERN_FUNC, "() -> ()");
    check_extern(&facts->exports[8], "na\xc3\xafve \xf0\x9f\x98\x80", WEIR_EXTERN_FUNC, "() -> ()");
}

START_TEST(test_inspect)
{
    struct weir_arena *arena = NULL;
    struct weir_wasm_facts facts;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_wasm_inspect(front_externs_wasm, sizeof front_externs_wasm, NULL, arena, &facts, NULL),
        WEIR_OK);
    ck_assert_int_eq(facts.problem.status, WEIR_OK);
    check_externs(&facts);
    ck_assert_uint_eq(facts.func_count, 3);
    ck_assert_uint_eq(facts.func_import_count, 1);
    ck_assert_uint_eq(facts.named_func_count, 3);
    ck_assert(facts.has_names && facts.has_start);
    ck_assert_uint_eq(facts.memory_count, 1);
    ck_assert_uint_eq(facts.memory_pages_min, 0); /* it is imported */
    ck_assert_uint_eq(facts.feature_count, 2);
    ck_assert_str_eq(facts.features[0], "mutable-globals");
    ck_assert_str_eq(facts.features[1], "multi-value");
    static const char *const sections[] = {"type",   "import", "function", "global",
                                           "export", "start",  "code",     "custom"};
    ck_assert_uint_eq(facts.section_count, 8);
    uint64_t end = 8;
    for (uint32_t i = 0; i < facts.section_count; i++) {
        const struct weir_wasm_section_fact *section = &facts.sections[i];
        ck_assert_str_eq(section->name, sections[i]);
        ck_assert_uint_ge(section->offset, end + 2);
        end = section->offset + section->payload.size;
    }
    ck_assert_uint_eq(end, sizeof front_externs_wasm);
    ck_assert_uint_eq(facts.sections[1].entries, 5);
    ck_assert_uint_eq(facts.sections[6].entries, 2);
    ck_assert(same(facts.sections[7].custom_name, "name"));
    weir_arena_free(arena);
}
END_TEST

START_TEST(test_inspect_sums)
{
    struct weir_arena *arena = NULL;
    struct weir_wasm_facts facts;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_wasm_inspect(front_memory_wasm, sizeof front_memory_wasm, NULL, arena, &facts, NULL),
        WEIR_OK);
    ck_assert_uint_eq(facts.memory_pages_min, 1);
    ck_assert_uint_eq(facts.data_bytes, strlen("hello") + strlen("passive"));
    ck_assert_uint_eq(facts.code_bytes, facts.module->funcs[0].body_size);
    ck_assert(!facts.has_start);
    weir_arena_free(arena);
}
END_TEST

/* A module that decodes but is not valid is shown with what is wrong. */
START_TEST(test_inspect_invalid)
{
    static const char bytes[] = HEADER "\x07\x05\x01\x01x\x00\x07";
    struct weir_arena *arena = NULL;
    struct weir_wasm_facts facts;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_wasm_inspect((const uint8_t *)bytes, sizeof bytes - 1, NULL, arena, &facts, NULL),
        WEIR_OK);
    ck_assert_int_eq(facts.problem.status, WEIR_INVALID);
    ck_assert_uint_eq(facts.problem.offset, 14);
    check_extern(&facts.exports[0], "x", WEIR_EXTERN_FUNC, "unknown");
    weir_arena_free(arena);
}
END_TEST

#define TWO_FUNCS                                                                                  \
    HEADER TYPE_SECTION "\x03\x03\x02\x00\x00\x07\x05\x01\x01x\x00\x01\x0a\x07\x02\x02\x00\x0b"    \
                        "\x02\x00\x0b"
#define NAMES(content) TWO_FUNCS content, sizeof(TWO_FUNCS content) - 1

static const struct {
    const char *name;
    const char *bytes;
    size_t size;
    const char *names[2];
} name_cases[] = {
    {"no section", NAMES(""), {"", "x"}},
    {"good",
     NAMES("\x00\x0e\x04name\x01\x07\x02\x00\x01"
           "a\x01\x01"
           "b"),
     {"a", "b"}},
    {"export fills the gap",
     NAMES("\x00\x0b\x04name\x01\x04\x01\x00\x01"
           "a"),
     {"a", "x"}},
    {"index out of range",
     NAMES("\x00\x0b\x04name\x01\x04\x01\x02\x01"
           "a"),
     {"", "x"}},
    {"not ascending",
     NAMES("\x00\x0e\x04name\x01\x07\x02\x01\x01"
           "a\x00\x01"
           "b"),
     {"", "x"}},
    {"twice",
     NAMES("\x00\x0e\x04name\x01\x07\x02\x00\x01"
           "a\x00\x01"
           "b"),
     {"", "x"}},
    {"cut",
     NAMES("\x00\x0b\x04name\x01\x04\x02\x00\x01"
           "a"),
     {"", "x"}},
    {"too long",
     NAMES("\x00\x0b\x04name\x01\x04\x01\x00\x02"
           "a"),
     {"", "x"}},
    {"no UTF-8", NAMES("\x00\x0b\x04name\x01\x04\x01\x00\x01\xff"), {"", "x"}},
    {"order of subsections",
     NAMES("\x00\x0d\x04name\x02\x00\x01\x04\x01\x00\x01"
           "a"),
     {"", "x"}},
    {"module name first",
     NAMES("\x00\x0f\x04name\x00\x02\x01m\x01\x04\x01\x00\x01"
           "a"),
     {"a", "x"}},
};

START_TEST(test_names)
{
    struct subject subject;
    const struct weir_wasm_bytes *names = NULL;
    subject_init(&subject, name_cases[_i].bytes, name_cases[_i].size, FEATURES_ALL, NULL);
    expect_error(&subject, name_cases[_i].name, WEIR_OK, 0, "");
    ck_assert_int_eq(weir_wasm_func_names(subject.module, subject.arena, &names, NULL), WEIR_OK);
    for (size_t i = 0; i < 2; i++)
        ck_assert_msg(same(names[i], name_cases[_i].names[i]), "%s: function %zu is %.*s",
                      name_cases[_i].name, i, (int)names[i].size, (const char *)names[i].data);
    subject_done(&subject);
}
END_TEST

/* Texts are cut like snprintf's and say how long they would be. */
START_TEST(test_text)
{
    static const weir_wasm_type two[] = {WEIR_TYPE_V128, WEIR_TYPE_EXTERNREF};
    struct weir_wasm_func_type type = {.params = two, .param_count = 2};
    struct weir_limits wide = {.min = 1, .is_64 = true};
    char buffer[40];
    ck_assert_uint_eq(weir_wasm_func_type_text(&type, NULL, 0), 23);
    ck_assert_uint_eq(weir_wasm_func_type_text(&type, buffer, sizeof buffer), 23);
    ck_assert_str_eq(buffer, "(v128, externref) -> ()");
    ck_assert_uint_eq(weir_wasm_func_type_text(&type, buffer, 9), 23);
    ck_assert_str_eq(buffer, "(v128, e");
    ck_assert_uint_eq(weir_wasm_func_type_text(&type, buffer, 1), 23);
    ck_assert_str_eq(buffer, "");
    (void)weir_wasm_memory_type_text(&wide, buffer, sizeof buffer);
    ck_assert_str_eq(buffer, "1.. pages, i64 index");
}
END_TEST

int main(void)
{
    int module_count = (int)(sizeof modules / sizeof modules[0]);
    Suite *suite = suite_create("wasm_facts");
    TCase *tcase = tcase_create("facts");
    tcase_add_loop_test(tcase, test_valid, 0, module_count);
    tcase_add_loop_test(tcase, test_cut, 0, module_count);
    tcase_add_loop_test(tcase, test_mutated, 0, module_count);
    tcase_add_loop_test(tcase, test_no_memory, 0, module_count);
    tcase_add_test(tcase, test_inspect);
    tcase_add_test(tcase, test_inspect_sums);
    tcase_add_test(tcase, test_inspect_invalid);
    tcase_add_loop_test(tcase, test_names, 0, (int)(sizeof name_cases / sizeof name_cases[0]));
    tcase_add_test(tcase, test_text);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
