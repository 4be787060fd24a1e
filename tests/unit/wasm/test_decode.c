/* Malformed modules: each family of errors with its text and its exact offset. */
#include "wasm_helpers.h"

#define MALFORMED(name, bytes, offset, text)                                                       \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, offset, text, WEIR_MALFORMED                               \
    }
#define ACCEPTED(name, bytes)                                                                      \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, 0, "", WEIR_OK                                             \
    }

static const struct {
    const char *name;
    const char *bytes;
    size_t size;
    uint64_t offset;
    const char *text;
    enum weir_status status;
} cases[] = {
    ACCEPTED("empty module", HEADER),
    ACCEPTED("one function", HEADER TYPE_SECTION FUNC_SECTION CODE_SECTION),
    ACCEPTED("custom sections anywhere",
             HEADER "\x00\x02\x01x" TYPE_SECTION "\x00\x02\x01x" FUNC_SECTION
                    "\x00\x03\x01xy" CODE_SECTION "\x00\x01\x00"),
    ACCEPTED("padded numbers", HEADER "\x01\x85\x80\x80\x80\x00\x81\x00\x60\x00\x00"),
    /* Header. */
    MALFORMED("nothing", "", 0, "unexpected end"),
    MALFORMED("half a magic", "\0as", 3, "unexpected end"),
    MALFORMED("another magic", "\177ELF\1\0\0\0", 0, "magic header not detected"),
    MALFORMED("half a version", "\0asm\1\0", 6, "unexpected end"),
    MALFORMED("another version", "\0asm\2\0\0\0", 4, "unknown binary version"),
    MALFORMED("a component", "\0asm\x0d\0\1\0", 4, "unknown binary version: a component"),
    /* Sections. */
    MALFORMED("section without size", HEADER "\x01", 9, "unexpected end"),
    MALFORMED("unknown section", HEADER "\x0e\x00", 8, "malformed section id: 14"),
    MALFORMED("section too long", HEADER "\x01\x05\x01\x60\x00\x00", 9, "length out of bounds"),
    MALFORMED("section longer than its content", HEADER "\x01\x05\x01\x60\x00\x00\x00", 15,
              "section size mismatch"),
    MALFORMED("section shorter than its content", HEADER "\x01\x03\x01\x60\x00\x00", 13,
              "section size mismatch"),
    MALFORMED("twice", HEADER TYPE_SECTION TYPE_SECTION, 14,
              "unexpected content after last section: a type section"),
    MALFORMED("wrong order", HEADER FUNC_SECTION TYPE_SECTION, 12,
              "unexpected content after last section"),
    MALFORMED("data count behind code",
              HEADER TYPE_SECTION FUNC_SECTION CODE_SECTION "\x0c\x01\x00", 24,
              "unexpected content after last section"),
    MALFORMED("size too long", HEADER "\x01\x80\x80\x80\x80\x80\x00", 9,
              "integer representation too long"),
    MALFORMED("size too large", HEADER "\x01\x80\x80\x80\x80\x10", 9, "integer too large"),
    /* Names. */
    MALFORMED("bare continuation in a name", HEADER "\x00\x03\x02\x61\x80", 12,
              "malformed UTF-8 encoding"),
    MALFORMED("overlong name", HEADER "\x00\x03\x02\xc0\x80", 11, "malformed UTF-8 encoding"),
    MALFORMED("surrogate", HEADER "\x00\x04\x03\xed\xa0\x80", 11, "malformed UTF-8 encoding"),
    MALFORMED("beyond unicode", HEADER "\x00\x05\x04\xf4\x90\x80\x80", 11,
              "malformed UTF-8 encoding"),
    MALFORMED("name beyond the module", HEADER "\x00\x02\x09x", 10, "length out of bounds"),
    MALFORMED("name beyond the section", HEADER "\x00\x02\x02xx" TYPE_SECTION, 12,
              "unexpected end"),
    /* Types, imports, tables, memories, globals, exports. */
    MALFORMED("type form", HEADER "\x01\x04\x01\x5e\x00\x00", 11, "malformed definition type"),
    MALFORMED("value type", HEADER "\x01\x05\x01\x60\x01\x6a\x00", 13, "malformed value type"),
    MALFORMED("import kind", HEADER "\x02\x05\x01\x00\x00\x04\x00", 13, "malformed import kind"),
    MALFORMED("reference type", HEADER "\x04\x04\x01\x7f\x00\x00", 11, "malformed reference type"),
    MALFORMED("limits", HEADER "\x05\x03\x01\x08\x00", 11, "malformed limits flags"),
    MALFORMED("shared memory", HEADER "\x05\x04\x01\x03\x00\x01", 11, "malformed limits flags"),
    MALFORMED("mutability", HEADER "\x06\x06\x01\x7f\x02\x41\x00\x0b", 12, "malformed mutability"),
    MALFORMED("export kind", HEADER "\x07\x04\x01\x00\x04\x00", 12, "malformed export kind"),
    MALFORMED("expression without end", HEADER "\x06\x05\x01\x7f\x00\x41\x00", 15,
              "unexpected end of section or function"),
    /* Segments. */
    MALFORMED("element kind", HEADER "\x09\x04\x01\x01\x01\x00", 12, "malformed element kind"),
    MALFORMED("element segment", HEADER "\x09\x04\x01\x08\x00\x00", 11,
              "malformed elements segment kind"),
    MALFORMED("data segment", HEADER "\x0b\x03\x01\x03\x00", 11, "malformed data segment kind"),
    MALFORMED("data count", HEADER "\x0c\x01\x02\x0b\x03\x01\x01\x00", 16,
              "data count and data section have inconsistent lengths: 2 and 1"),
    MALFORMED("data count alone", HEADER "\x0c\x01\x02", 11,
              "data count and data section have inconsistent lengths: 2 and 0"),
    /* Bodies. */
    MALFORMED("function without body", HEADER TYPE_SECTION FUNC_SECTION, 18,
              "function and code section have inconsistent lengths: 1 and 0"),
    MALFORMED("body without function", HEADER CODE_SECTION, 14,
              "function and code section have inconsistent lengths: 0 and 1"),
    MALFORMED("too many locals",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x10\x01\x0e\x02\xff\xff\xff\xff\x0f\x7f"
                                               "\xff\xff\xff\xff\x0f\x7f\x0b",
              22, "too many locals"),
    MALFORMED("locals beyond the body",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x06\x01\x02\x01\x01\x7f\x0b", 24,
              "section size mismatch"),
    MALFORMED("body without end, at the end of the module",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x04\x01\x02\x00\x01", 24,
              "unexpected end of section or function"),
    MALFORMED("body without end, another behind it",
              HEADER TYPE_SECTION "\x03\x03\x02\x00\x00"
                                  "\x0a\x07\x02\x02\x00\x01\x02\x00\x0b",
              25, "END opcode expected"),
    MALFORMED("bytes behind the end",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x05\x01\x03\x00\x0b\x01", 24,
              "section size mismatch"),
    MALFORMED("illegal opcode", HEADER TYPE_SECTION FUNC_SECTION "\x0a\x05\x01\x03\x00\xff\x0b", 23,
              "illegal opcode ff"),
    MALFORMED("illegal prefixed opcode",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x06\x01\x04\x00\xfc\x12\x0b", 23,
              "illegal opcode fc 12"),
    MALFORMED("illegal vector opcode",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x07\x01\x05\x00\xfd\x80\x02\x0b", 23,
              "illegal opcode fd 100"),
    MALFORMED("a broken rule before malformed bytes",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x06\x01\x04\x00\x6a\xff\x0b", 24,
              "illegal opcode ff"),
    MALFORMED("constant too long",
              HEADER TYPE_SECTION FUNC_SECTION
              "\x0a\x0b\x01\x09\x00\x41\x80\x80\x80\x80\x80\x00\x0b",
              24, "integer representation too long"),
    MALFORMED("constant too large",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x0a\x01\x08\x00\x41\x80\x80\x80\x80\x08\x0b",
              24, "integer too large"),
    MALFORMED("block type", HEADER TYPE_SECTION FUNC_SECTION "\x0a\x07\x01\x05\x00\x02\x6e\x0b\x0b",
              24, "malformed block type"),
    MALFORMED("memory flags",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x08\x01\x06\x00\x28\x80\x01\x00\x0b", 24,
              "malformed memop flags"),
    MALFORMED("heap type", HEADER TYPE_SECTION FUNC_SECTION "\x0a\x06\x01\x04\x00\xd0\x7f\x0b", 24,
              "malformed reference type"),
    MALFORMED("misplaced else", HEADER TYPE_SECTION FUNC_SECTION "\x0a\x05\x01\x03\x00\x05\x0b", 23,
              "misplaced ELSE opcode"),
    MALFORMED("segment without data count",
              HEADER TYPE_SECTION FUNC_SECTION "\x0a\x07\x01\x05\x00\xfc\x09\x00\x0b"
                                               "\x0b\x03\x01\x01\x00",
              23, "data count section required"),
};

START_TEST(test_case)
{
    struct subject subject;
    subject_init(&subject, cases[_i].bytes, cases[_i].size, FEATURES_ALL, NULL);
    expect_error(&subject, cases[_i].name, cases[_i].status, cases[_i].offset, cases[_i].text);
    subject_done(&subject);
}
END_TEST

/* The message ends with where the offset lies. */
START_TEST(test_place)
{
    static const char in_body[] = HEADER TYPE_SECTION "\x03\x03\x02\x00\x00"
                                                      "\x0a\x08\x02\x02\x00\x0b\x03\x00\x6a\x0b";
    static const char in_types[] = HEADER "\x01\x04\x01\x5e\x00\x00";
    struct subject subject;
    subject_init(&subject, in_body, sizeof in_body - 1, FEATURES_ALL, NULL);
    ck_assert_ptr_nonnull(strstr(subject.error.message, "(code section, function 1)"));
    subject_done(&subject);
    subject_init(&subject, in_types, sizeof in_types - 1, FEATURES_ALL, NULL);
    ck_assert_ptr_nonnull(strstr(subject.error.message, "(type section)"));
    subject_done(&subject);
}
END_TEST

/* An error that is already there stays, and NULL is no reason to crash. */
START_TEST(test_first_report)
{
    struct weir_error error = {.status = WEIR_LIMIT, .message = "before"};
    struct weir_arena *arena = NULL;
    struct weir_wasm_module *module = NULL;
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_wasm_decode((struct weir_wasm_bytes){NULL, 0}, 0, NULL, arena, &module, &error),
        WEIR_MALFORMED);
    ck_assert_int_eq(error.status, WEIR_LIMIT);
    ck_assert_str_eq(error.message, "before");
    ck_assert_int_eq(
        weir_wasm_decode((struct weir_wasm_bytes){NULL, 0}, 0, NULL, arena, &module, NULL),
        WEIR_MALFORMED);
    ck_assert_ptr_null(module);
    weir_arena_free(arena);
}
END_TEST

/* Every proper prefix of a module ends in an error, wherever it is cut; 24 bytes hold it all. */
START_TEST(test_truncated)
{
    static const char whole[] = HEADER TYPE_SECTION FUNC_SECTION CODE_SECTION;
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        struct subject subject;
        subject_init(&subject, whole, size, FEATURES_ALL, NULL);
        /* Between sections only the missing body is noticed. */
        bool is_whole = size == 8 || size == 14;
        ck_assert_msg((subject.status == WEIR_OK) == is_whole, "%zu bytes: %s", size,
                      weir_status_name(subject.status));
        ck_assert(is_whole || subject.error.offset <= size);
        subject_done(&subject);
    }
}
END_TEST

/* Equal types have one canonical index, and their vectors are one pointer. */
START_TEST(test_canonical)
{
    static const char bytes[] = HEADER "\x01\x1a\x06"
                                       "\x60\x01\x7f\x01\x7e" /* (i32) -> i64 */
                                       "\x60\x00\x00"         /* () -> () */
                                       "\x60\x01\x7f\x01\x7e" /* (i32) -> i64 */
                                       "\x60\x01\x7f\x00"     /* (i32) -> () */
                                       "\x60\x00\x01\x7f"     /* () -> i32 */
                                       "\x60\x01\x7f\x00";    /* (i32) -> () */
    static const uint32_t canonical[] = {0, 1, 0, 3, 4, 3};
    struct subject subject;
    subject_init(&subject, bytes, sizeof bytes - 1, FEATURES_ALL, NULL);
    ck_assert_msg(subject.status == WEIR_OK, "%s", subject.error.message);
    ck_assert_uint_eq(subject.module->type_count, 6);
    for (uint32_t i = 0; i < 6; i++)
        ck_assert_uint_eq(subject.module->types[i].canonical, canonical[i]);
    ck_assert_ptr_eq(subject.module->types[0].params, subject.module->types[4].results);
    subject_done(&subject);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasm_decode");
    TCase *tcase = tcase_create("decode");
    tcase_add_loop_test(tcase, test_case, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tcase, test_place);
    tcase_add_test(tcase, test_first_report);
    tcase_add_test(tcase, test_truncated);
    tcase_add_test(tcase, test_canonical);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
