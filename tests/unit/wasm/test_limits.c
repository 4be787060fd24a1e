/* Limits, each lowered until a small module crosses it; and modules that claim what they do not
 * have, which must cost neither memory nor time. */
#include <stddef.h>
#include <time.h>

#include "wasm_helpers.h"

#define CASE(field, at, bytes, offset)                                                             \
    {                                                                                              \
#field, offsetof(struct weir_wasm_limits, field), at, bytes, sizeof(bytes) - 1, offset     \
    }
#define TWO_TYPES "\x01\x07\x02\x60\x00\x00\x60\x00\x00"
#define FUNC_MODULE HEADER TYPE_SECTION FUNC_SECTION

/* With the limit at `at` the module is accepted, one below it is too large at `offset`. */
static const struct {
    const char *name;
    size_t field;
    uint64_t at;
    const char *bytes;
    size_t size;
    uint64_t offset;
} cases[] = {
    CASE(module_bytes_max, 14, HEADER TYPE_SECTION, 0),
    CASE(types_max, 2, HEADER TWO_TYPES, 10),
    CASE(functions_max, 1, FUNC_MODULE CODE_SECTION, 16),
    CASE(functions_max, 1, HEADER TYPE_SECTION "\x02\x07\x01\x01m\x01n\x00\x00", 17),
    CASE(imports_max, 1, HEADER TYPE_SECTION "\x02\x07\x01\x01m\x01n\x00\x00", 16),
    CASE(exports_max, 1, HEADER "\x05\x03\x01\x00\x01\x07\x05\x01\x01x\x02\x00", 15),
    CASE(globals_max, 1, HEADER "\x06\x06\x01\x7f\x00\x41\x00\x0b", 10),
    CASE(data_segments_max, 1, HEADER "\x0b\x03\x01\x01\x00", 10),
    CASE(data_segments_max, 1, HEADER "\x0c\x01\x01\x0b\x03\x01\x01\x00", 10),
    CASE(tables_max, 1, HEADER "\x04\x04\x01\x70\x00\x01", 10),
    CASE(memories_max, 1, HEADER "\x05\x03\x01\x00\x01", 10),
    CASE(memories_max, 1, HEADER "\x02\x08\x01\x01m\x01n\x02\x00\x01", 11),
    CASE(elem_segments_max, 1, HEADER "\x09\x04\x01\x01\x00\x00", 10),
    CASE(elem_segment_entries_max, 2, FUNC_MODULE "\x09\x06\x01\x01\x00\x02\x00\x00" CODE_SECTION,
         23),
    CASE(table_entries_max, 5, HEADER "\x04\x04\x01\x70\x00\x05", 11),
    CASE(memory_pages_max, 7, HEADER "\x05\x03\x01\x00\x07", 11),
    CASE(params_max, 2, HEADER "\x01\x06\x01\x60\x02\x7f\x7f\x00", 12),
    CASE(results_max, 2, HEADER "\x01\x06\x01\x60\x00\x02\x7f\x7f", 13),
    CASE(locals_max, 3, FUNC_MODULE "\x0a\x06\x01\x04\x01\x03\x7f\x0b", 22),
    CASE(body_bytes_max, 3, FUNC_MODULE "\x0a\x05\x01\x03\x00\x01\x0b", 21),
    CASE(block_depth_max, 2, FUNC_MODULE "\x0a\x07\x01\x05\x00\x02\x40\x0b\x0b", 23),
    CASE(operands_max, 2, FUNC_MODULE "\x0a\x0a\x01\x08\x00\x41\x00\x41\x00\x1a\x1a\x0b", 25),
    CASE(br_table_targets_max, 1, FUNC_MODULE "\x0a\x0a\x01\x08\x00\x41\x00\x0e\x01\x00\x00\x0b",
         25),
    CASE(name_bytes_max, 2, HEADER "\x00\x03\x02xy", 10),
    CASE(custom_sections_max, 1, HEADER "\x00\x02\x01x", 8),
};

static struct weir_wasm_limits lowered(size_t field, uint64_t value)
{
    struct weir_wasm_limits limits = weir_wasm_limits_default;
    memcpy((char *)&limits + field, &value, sizeof value);
    return limits;
}

START_TEST(test_limit)
{
    struct subject subject;
    struct weir_wasm_limits limits = lowered(cases[_i].field, cases[_i].at);
    subject_init(&subject, cases[_i].bytes, cases[_i].size, FEATURES_ALL, &limits);
    expect_error(&subject, cases[_i].name, WEIR_OK, 0, "");
    subject_done(&subject);
    limits = lowered(cases[_i].field, cases[_i].at - 1);
    subject_init(&subject, cases[_i].bytes, cases[_i].size, FEATURES_ALL, &limits);
    expect_error(&subject, cases[_i].name, WEIR_TOO_LARGE, cases[_i].offset, "");
    subject_done(&subject);
}
END_TEST

/* No limit is left without a case. */
START_TEST(test_complete){
#define WEIR_WASM_LIMIT(id, value, reason)                                                         \
    {                                                                                              \
        bool seen = false;                                                                         \
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)                                \
            seen = seen || strcmp(cases[i].name, #id) == 0;                                        \
        ck_assert_msg(seen, "%s has no case", #id);                                                \
    }
#include "wasm/limits.def"
#undef WEIR_WASM_LIMIT
} END_TEST

    /* A limit can only be lowered. */
    START_TEST(test_not_raised)
{
    static const char bytes[] = HEADER "\x04\x07\x01\x70\x00\x81\xad\xe2\x04"; /* 10,000,001 */
    struct weir_wasm_limits limits =
        lowered(offsetof(struct weir_wasm_limits, table_entries_max), UINT64_MAX);
    struct subject subject;
    subject_init(&subject, bytes, sizeof bytes - 1, FEATURES_ALL, &limits);
    expect_error(&subject, "table", WEIR_TOO_LARGE, 11, "table of 10000001 entries");
    ck_assert_uint_eq(weir_wasm_limits_default.table_entries_max, 10000000);
    subject_done(&subject);
}
END_TEST

#define CLAIM(name, bytes)                                                                         \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1                                                             \
    }
#define FOUR_BILLION "\xff\xff\xff\xff\x0f"

static const struct {
    const char *name;
    const char *bytes;
    size_t size;
} claims[] = {
    CLAIM("types", HEADER "\x01\x05" FOUR_BILLION),
    CLAIM("parameters", HEADER "\x01\x07\x01\x60" FOUR_BILLION),
    CLAIM("imports", HEADER "\x02\x05" FOUR_BILLION),
    CLAIM("functions", HEADER "\x03\x05" FOUR_BILLION),
    CLAIM("tables", HEADER "\x04\x05" FOUR_BILLION),
    CLAIM("memories", HEADER "\x05\x05" FOUR_BILLION),
    CLAIM("globals", HEADER "\x06\x05" FOUR_BILLION),
    CLAIM("exports", HEADER "\x07\x05" FOUR_BILLION),
    CLAIM("element segments", HEADER "\x09\x05" FOUR_BILLION),
    CLAIM("elements", HEADER "\x09\x08\x01\x01\x00" FOUR_BILLION),
    CLAIM("ten million elements", HEADER "\x09\x08\x01\x01\x00\x80\xad\xe2\x04"),
    CLAIM("a million types", HEADER "\x01\x03\xc0\x84\x3d"),
    CLAIM("a million imports", HEADER "\x02\x03\xc0\x84\x3d"),
    CLAIM("bodies", HEADER "\x0a\x05" FOUR_BILLION),
    CLAIM("body bytes", FUNC_MODULE "\x0a\x06\x01" FOUR_BILLION),
    CLAIM("groups of locals", FUNC_MODULE "\x0a\x07\x01\x06" FOUR_BILLION "\x0b"),
    CLAIM("locals", FUNC_MODULE "\x0a\x0a\x01\x08\x01" FOUR_BILLION "\x7f\x0b"),
    CLAIM("targets", FUNC_MODULE "\x0a\x0b\x01\x09\x00\x00\x0e" FOUR_BILLION "\x0b"),
    CLAIM("types of select", FUNC_MODULE "\x0a\x0b\x01\x09\x00\x00\x1c" FOUR_BILLION "\x0b"),
    CLAIM("data segments", HEADER "\x0b\x05" FOUR_BILLION),
    CLAIM("data", HEADER "\x0b\x07\x01\x01" FOUR_BILLION),
    CLAIM("name", HEADER "\x00\x05" FOUR_BILLION),
    CLAIM("section", HEADER "\x01" FOUR_BILLION),
};

START_TEST(test_claim)
{
    struct subject subject;
    subject_init(&subject, claims[_i].bytes, claims[_i].size, FEATURES_ALL, NULL);
    ck_assert_msg(subject.status == WEIR_MALFORMED || subject.status == WEIR_TOO_LARGE, "%s: %s",
                  claims[_i].name, weir_status_name(subject.status));
    size_t taken = weir_arena_bytes(subject.arena) + weir_arena_bytes(subject.scratch);
    ck_assert_msg(taken <= 128 * 1024, "%s: %zu bytes of arena", claims[_i].name, taken);
    subject_done(&subject);
}
END_TEST

static void put(uint8_t *bytes, size_t *size, const void *content, size_t content_size)
{
    memcpy(bytes + *size, content, content_size);
    *size += content_size;
}

/* A number in five bytes, whatever it is. */
static void put_u32(uint8_t *bytes, size_t *size, uint32_t value)
{
    for (int i = 0; i < 5; i++)
        bytes[(*size)++] = (uint8_t)((value >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
}

static double cpu_seconds(void)
{
    struct timespec now;
    ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 20,000 bodies of eight bytes with 50,000 locals each: a validator that expands locals would
 * write four gigabytes (about a second here, without sanitizers). */
#define LOCALS_FUNCTIONS 20000u
static const uint8_t locals_body[] = {0x08, 0x01, 0xd0, 0x86, 0x03, 0x7f, 0x20, 0x00, 0x1a};

START_TEST(test_many_locals)
{
    static uint8_t bytes[LOCALS_FUNCTIONS * 12 + 100];
    size_t size = 0;
    put(bytes, &size, HEADER TYPE_SECTION "\x03", sizeof HEADER TYPE_SECTION);
    put_u32(bytes, &size, LOCALS_FUNCTIONS + 5);
    put_u32(bytes, &size, LOCALS_FUNCTIONS);
    memset(bytes + size, 0, LOCALS_FUNCTIONS);
    size += LOCALS_FUNCTIONS;
    bytes[size++] = 0x0a;
    put_u32(bytes, &size, LOCALS_FUNCTIONS * 10 + 5);
    put_u32(bytes, &size, LOCALS_FUNCTIONS);
    for (uint32_t i = 0; i < LOCALS_FUNCTIONS; i++) {
        put(bytes, &size, locals_body, sizeof locals_body);
        bytes[size - sizeof locals_body] = sizeof locals_body;
        bytes[size++] = 0x0b;
    }
    struct subject subject;
    double start = cpu_seconds();
    subject_init(&subject, bytes, size, FEATURES_ALL, NULL);
    double took = cpu_seconds() - start;
    expect_error(&subject, "locals", WEIR_OK, 0, "");
    ck_assert_uint_eq(subject.module->funcs[1].local_count, 50000);
    ck_assert_uint_le(weir_arena_bytes(subject.scratch), 128 * 1024);
    ck_assert_msg(took < 0.3, "took %.3f s", took);
    subject_done(&subject);
}
END_TEST

/* Locals beyond the expanded ones are found in their groups: 3 × i32, 40,000 × i64, 2 × f32. */
START_TEST(test_far_locals)
{
    static const struct {
        const char body[40];
        size_t size;
        enum weir_status status;
    } far[] = {
        {"\x20\x02\x45\x1a\x0b", 5, WEIR_OK},              /* i32: the last of its group */
        {"\x20\x03\x50\x1a\x0b", 5, WEIR_OK},              /* i64: the first */
        {"\x20\xc2\xb8\x02\x50\x1a\x0b", 7, WEIR_OK},      /* i64: the last, 40,002 */
        {"\x20\xc3\xb8\x02\x8c\x1a\x0b", 7, WEIR_OK},      /* f32: 40,003 */
        {"\x20\xc4\xb8\x02\x8c\x1a\x0b", 7, WEIR_OK},      /* f32: 40,004 */
        {"\x20\xc5\xb8\x02\x8c\x1a\x0b", 7, WEIR_INVALID}, /* nothing: 40,005 */
        {"\x20\xc3\xb8\x02\x50\x1a\x0b", 7, WEIR_INVALID}, /* f32 is no i64 */
        {"\x20\xc2\xb8\x02\x8c\x1a\x0b", 7, WEIR_INVALID}, /* i64 is no f32 */
    };
    static const char groups[] = "\x03\x03\x7f\xc0\xb8\x02\x7e\x02\x7d";
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        uint8_t bytes[100];
        size_t size = 0;
        size_t body_size = sizeof groups - 1 + far[i].size;
        put(bytes, &size, FUNC_MODULE "\x0a", sizeof FUNC_MODULE);
        bytes[size++] = (uint8_t)(body_size + 2);
        bytes[size++] = 1;
        bytes[size++] = (uint8_t)body_size;
        put(bytes, &size, groups, sizeof groups - 1);
        put(bytes, &size, far[i].body, far[i].size);
        struct subject subject;
        subject_init(&subject, bytes, size, FEATURES_ALL, NULL);
        ck_assert_msg(subject.status == far[i].status, "case %zu: %s", i, subject.error.message);
        subject_done(&subject);
    }
}
END_TEST

/* br_tables with 60,000 targets each, all the label of a function with 1,000 results, which are on
 * the stack. Comparing them for each target would take 7.2 thousand million steps; equal vectors
 * are compared once per instruction. */
#define WIDE_ARITY 1000u
#define WIDE_TARGETS 60000u
#define WIDE_TABLES 120u

/* One function of type () -> 1,000 × i32; the body follows. */
static size_t put_wide_head(uint8_t *bytes, uint32_t body_size)
{
    size_t size = 0;
    put(bytes, &size, HEADER "\x01", sizeof HEADER);
    put_u32(bytes, &size, WIDE_ARITY + 8);
    put(bytes, &size, "\x01\x60\x00", 3);
    put_u32(bytes, &size, WIDE_ARITY);
    memset(bytes + size, 0x7f, WIDE_ARITY);
    size += WIDE_ARITY;
    put(bytes, &size, FUNC_SECTION "\x0a", sizeof FUNC_SECTION);
    put_u32(bytes, &size, 1 + 5 + body_size);
    bytes[size++] = 1;
    put_u32(bytes, &size, body_size);
    return size;
}

START_TEST(test_wide_br_table)
{
    static uint8_t bytes[WIDE_ARITY + WIDE_TABLES * (WIDE_TARGETS + 40) + 5000];
    size_t size = put_wide_head(bytes, 1 + WIDE_TABLES * (5 + 5 + WIDE_TARGETS + 1) + 2);
    bytes[size++] = 0;
    for (uint32_t i = 0; i < WIDE_TABLES; i++) {
        put(bytes, &size, "\x10\x00\x41\x00\x0e", 5); /* call 0, i32.const 0, br_table */
        put_u32(bytes, &size, WIDE_TARGETS);
        memset(bytes + size, 0, WIDE_TARGETS + 1);
        size += WIDE_TARGETS + 1;
    }
    put(bytes, &size, "\x00\x0b", 2);
    struct subject subject;
    double start = cpu_seconds();
    subject_init(&subject, bytes, size, FEATURES_ALL, NULL);
    double took = cpu_seconds() - start;
    expect_error(&subject, "br_table", WEIR_OK, 0, "");
    ck_assert_msg(took < 0.35, "took %.3f s", took);
    subject_done(&subject);
}
END_TEST

/* Calls that push 1,000 results each stop at the limit of the operand stack. */
START_TEST(test_operand_stack)
{
    static uint8_t bytes[WIDE_ARITY + 4000];
    size_t size = put_wide_head(bytes, 302);
    bytes[size++] = 0;
    for (int i = 0; i < 150; i++)
        put(bytes, &size, "\x10\x00", 2);
    bytes[size++] = 0x0b;
    struct subject subject;
    subject_init(&subject, bytes, size, FEATURES_ALL, NULL);
    expect_error(&subject, "operands", WEIR_TOO_LARGE,
                 subject.module->funcs[0].code_offset + 2 * 100, "more than 100000 operands");
    ck_assert_uint_le(weir_arena_bytes(subject.scratch), 2 * 1024 * 1024);
    subject_done(&subject);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasm_limits");
    TCase *tcase = tcase_create("limits");
    tcase_add_loop_test(tcase, test_limit, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tcase, test_complete);
    tcase_add_test(tcase, test_not_raised);
    tcase_add_loop_test(tcase, test_claim, 0, (int)(sizeof claims / sizeof claims[0]));
    tcase_add_test(tcase, test_many_locals);
    tcase_add_test(tcase, test_far_locals);
    tcase_add_test(tcase, test_wide_br_table);
    tcase_add_test(tcase, test_operand_stack);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
