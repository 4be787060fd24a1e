/* Each feature switched off, one construct at a time: UNSUPPORTED at the construct's offset, with
 * the feature's name. With the feature on the module is valid and says that it needs it. */
#include "wasm/types_text.h"
#include "wasm_helpers.h"

#define CASE(feature, name, bytes, offset)                                                         \
    {                                                                                              \
        WEIR_FEATURE_##feature, name, bytes, sizeof(bytes) - 1, offset                             \
    }

/* Behind TYPE_SECTION and FUNC_SECTION a body begins at 21: section head 18..20, size 21, locals
 * 22, code from 23 on. */
#define CODE(content) HEADER TYPE_SECTION FUNC_SECTION "\x0a" content

static const struct {
    uint32_t feature;
    const char *name;
    const char *bytes;
    size_t size;
    uint64_t offset;
} cases[] = {
    CASE(MUTABLE_GLOBALS, "imported", HEADER "\x02\x08\x01\x01m\x01n\x03\x7f\x01", 16),
    CASE(MUTABLE_GLOBALS, "exported",
         HEADER "\x06\x06\x01\x7f\x01\x41\x00\x0b\x07\x05\x01\x01x\x03\x00", 21),
    CASE(SIGN_EXTENSION, "i32.extend8_s", CODE("\x08\x01\x06\x00\x41\x00\xc0\x1a\x0b"), 25),
    CASE(SIGN_EXTENSION, "i64.extend32_s", CODE("\x08\x01\x06\x00\x42\x00\xc4\x1a\x0b"), 25),
    CASE(SATURATING_FLOAT, "i32.trunc_sat_f32_s",
         CODE("\x0c\x01\x0a\x00\x43\x00\x00\x00\x00\xfc\x00\x1a\x0b"), 28),
    CASE(MULTI_VALUE, "two results", HEADER "\x01\x06\x01\x60\x00\x02\x7f\x7f", 13),
    CASE(MULTI_VALUE, "block of a type", CODE("\x07\x01\x05\x00\x02\x00\x0b\x0b"), 24),
    CASE(BULK_MEMORY, "elem.drop",
         HEADER TYPE_SECTION FUNC_SECTION "\x09\x04\x01\x01\x00\x00"
                                          "\x0a\x07\x01\x05\x00\xfc\x0d\x00\x0b",
         21),
    CASE(BULK_MEMORY, "memory.fill",
         HEADER TYPE_SECTION FUNC_SECTION "\x05\x03\x01\x00\x01"
                                          "\x0a\x0d\x01\x0b\x00\x41\x00\x41\x00\x41\x00\xfc\x0b"
                                          "\x00\x0b",
         34),
    CASE(BULK_MEMORY, "passive data", HEADER "\x0b\x03\x01\x01\x00", 11),
    CASE(BULK_MEMORY, "data count", HEADER "\x0c\x01\x00", 10),
    CASE(REFERENCE_TYPES, "parameter", HEADER "\x01\x05\x01\x60\x01\x6f\x00", 13),
    CASE(REFERENCE_TYPES, "table of externref", HEADER "\x04\x04\x01\x6f\x00\x01", 11),
    CASE(REFERENCE_TYPES, "second table", HEADER "\x04\x07\x02\x70\x00\x01\x70\x00\x01", 14),
    CASE(REFERENCE_TYPES, "ref.null", CODE("\x07\x01\x05\x00\xd0\x70\x1a\x0b"), 23),
    CASE(REFERENCE_TYPES, "ref.is_null", CODE("\x07\x01\x05\x00\x00\xd1\x1a\x0b"), 24),
    CASE(REFERENCE_TYPES, "select with type", CODE("\x09\x01\x07\x00\x00\x1c\x01\x7f\x1a\x0b"), 24),
    CASE(REFERENCE_TYPES, "block type", CODE("\x09\x01\x07\x00\x02\x70\x00\x0b\x1a\x0b"), 24),
    CASE(REFERENCE_TYPES, "declared elements", HEADER "\x09\x04\x01\x03\x00\x00", 11),
    CASE(SIMD, "parameter", HEADER "\x01\x05\x01\x60\x01\x7b\x00", 13),
    CASE(SIMD, "local", CODE("\x06\x01\x04\x01\x01\x7b\x0b"), 24),
    CASE(SIMD, "v128.not", CODE("\x08\x01\x06\x00\x00\xfd\x4d\x1a\x0b"), 24),
    CASE(SIMD, "block type", CODE("\x09\x01\x07\x00\x02\x7b\x00\x0b\x1a\x0b"), 24),
    CASE(TAIL_CALLS, "return_call", CODE("\x06\x01\x04\x00\x12\x00\x0b"), 23),
    CASE(EXTENDED_CONST, "i32.add", HEADER "\x06\x09\x01\x7f\x00\x41\x00\x41\x00\x6a\x0b", 17),
    CASE(MULTI_MEMORY, "second memory", HEADER "\x05\x05\x02\x00\x01\x00\x01", 13),
    CASE(MEMORY64, "memory", HEADER "\x05\x03\x01\x04\x01", 11),
    CASE(TABLE64, "table", HEADER "\x04\x04\x01\x70\x04\x01", 12),
};

START_TEST(test_off)
{
    struct subject subject;
    const char *name = weir_wasm_feature_name(cases[_i].feature);
    subject_init(&subject, cases[_i].bytes, cases[_i].size, FEATURES_ALL & ~cases[_i].feature,
                 NULL);
    expect_error(&subject, cases[_i].name, WEIR_UNSUPPORTED, cases[_i].offset, "");
    ck_assert_msg(strstr(subject.error.message, name) != NULL, "%s is not named: %s", name,
                  subject.error.message);
    subject_done(&subject);
}
END_TEST

START_TEST(test_on)
{
    struct subject subject;
    subject_init(&subject, cases[_i].bytes, cases[_i].size, FEATURES_ALL, NULL);
    expect_error(&subject, cases[_i].name, WEIR_OK, 0, "");
    ck_assert_msg((subject.module->features_needed & cases[_i].feature) != 0, "%s: needed is 0x%x",
                  cases[_i].name, (unsigned)subject.module->features_needed);
    uint32_t needed = subject.module->features_needed;
    subject_done(&subject);
    /* What it says it needs is enough. */
    subject_init(&subject, cases[_i].bytes, cases[_i].size, needed, NULL);
    expect_error(&subject, cases[_i].name, WEIR_OK, 0, "");
    subject_done(&subject);
}
END_TEST

/* No feature is left without a case. */
START_TEST(test_complete)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        seen |= cases[i].feature;
    uint32_t known = 0;
#define WEIR_FEATURE(bit, id, name, on) known |= WEIR_FEATURE_##id;
#include <weir/features.def>
#undef WEIR_FEATURE
    ck_assert_uint_eq(seen, known);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasm_features");
    TCase *tcase = tcase_create("features");
    tcase_add_loop_test(tcase, test_off, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_loop_test(tcase, test_on, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tcase, test_complete);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
