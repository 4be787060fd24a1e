/* Rules of validation, one body per rule, in a module that has one of everything; and rules of the
 * module as a whole. */
#include "wasm_helpers.h"

/* Around the body under test, which is function 0 of type () -> () with locals i32, i64:
 * types 0 () -> ()   1 (i32) -> i32   2 (i32, i32) -> (i32, i32)   3 (i64) -> ()   4 (i32) -> ()
 * function 1 of type 3, not declared as a reference; table 0 of funcref, table 1 of externref;
 * one memory; global 0 i32, global 1 mut i64; elem 0 of funcref, elem 1 of externref; one data. */
#define BEFORE_CODE                                                                                \
    HEADER "\x01\x18\x05\x60\x00\x00\x60\x01\x7f\x01\x7f\x60\x02\x7f\x7f\x02\x7f\x7f\x60\x01\x7e"  \
           "\x00\x60\x01\x7f\x00"                                                                  \
           "\x03\x03\x02\x00\x03"                                                                  \
           "\x04\x07\x02\x70\x00\x01\x6f\x00\x01"                                                  \
           "\x05\x03\x01\x00\x01"                                                                  \
           "\x06\x0b\x02\x7f\x00\x41\x00\x0b\x7e\x01\x42\x00\x0b"                                  \
           "\x09\x08\x02\x01\x00\x01\x00\x05\x6f\x00"                                              \
           "\x0c\x01\x01"
#define LOCALS "\x02\x01\x7f\x01\x7e"
#define SECOND_BODY "\x02\x00\x0b"
#define BEHIND_CODE "\x0b\x03\x01\x01\x00"
#define BODY_SIZE_MAX 100

#define VALID(name, body)                                                                          \
    {                                                                                              \
        name, body, sizeof(body) - 1, 0, "", WEIR_OK                                               \
    }
#define INVALID(name, body, offset, text)                                                          \
    {                                                                                              \
        name, body, sizeof(body) - 1, offset, text, WEIR_INVALID                                   \
    }

static const struct {
    const char *name;
    const char *body; /* behind the locals, with its end */
    size_t size;
    uint32_t offset; /* from the first instruction */
    const char *text;
    enum weir_status status;
} bodies[] = {
    VALID("empty", "\x0b"),
    VALID("a value consumed", "\x41\x00\x1a\x0b"),
    VALID("unreachable takes all", "\x00\x6a\x1a\x0b"),
    VALID("block with parameters", "\x41\x00\x41\x00\x02\x02\x0b\x1a\x1a\x0b"),
    VALID("loop takes its parameters", "\x41\x00\x03\x04\x0c\x00\x0b\x0b"),
    VALID("declared reference", "\xd2\x00\x1a\x0b"),
    VALID("select of unknown", "\x00\x1b\x1a\x0b"),
    /* Stack. */
    INVALID("operand missing", "\x41\x00\x6a\x1a\x0b", 2,
            "type mismatch: i32.add wants i32, found nothing"),
    INVALID("operand of another type", "\x42\x00\x41\x00\x6a\x1a\x0b", 4,
            "type mismatch: i32.add wants i32, found i64"),
    INVALID("nothing to drop", "\x1a\x0b", 0, "type mismatch: drop"),
    INVALID("value left over", "\x41\x00\x0b", 2, "type mismatch: 1 values left over"),
    INVALID("value below the block", "\x41\x00\x02\x40\x1a\x0b\x0b", 4, "type mismatch"),
    INVALID("value left in a block", "\x02\x40\x41\x00\x0b\x0b", 4, "type mismatch"),
    INVALID("result missing", "\x02\x7f\x0b\x1a\x0b", 2, "type mismatch: end wants i32"),
    INVALID("result of another type", "\x02\x7f\x42\x00\x0b\x1a\x0b", 4, "type mismatch"),
    INVALID("dead code is typed", "\x00\x42\x00\x45\x1a\x0b", 3,
            "type mismatch: i32.eqz wants i32, found i64"),
    /* Control. */
    INVALID("if without else", "\x41\x00\x04\x7f\x41\x00\x0b\x1a\x0b", 6, "type mismatch: an if"),
    INVALID("condition missing", "\x04\x40\x0b\x0b", 0, "type mismatch: if wants i32"),
    INVALID("arm of another type", "\x41\x00\x04\x7f\x41\x00\x05\x42\x00\x0b\x1a\x0b", 9,
            "type mismatch"),
    INVALID("label", "\x0c\x01\x0b", 0, "unknown label 1"),
    INVALID("label of br_if", "\x41\x00\x0d\x07\x0b", 2, "unknown label 7"),
    INVALID("label in br_table", "\x41\x00\x0e\x01\x00\x02\x0b", 2, "unknown label 2"),
    INVALID("arity in br_table", "\x02\x7f\x41\x00\x41\x00\x0e\x01\x00\x01\x0b\x1a\x0b", 6,
            "type mismatch: br_table"),
    INVALID("value of a branch", "\x02\x7f\x0c\x00\x0b\x1a\x0b", 2, "type mismatch: br wants i32"),
    INVALID("block of an unknown type", "\x02\x05\x0b\x0b", 0, "unknown type 5"),
    INVALID("else without value", "\x41\x00\x04\x7f\x05\x41\x00\x0b\x1a\x0b", 4, "type mismatch"),
    /* Calls. */
    INVALID("function", "\x10\x02\x0b", 0, "unknown function 2"),
    INVALID("argument", "\x41\x00\x10\x01\x0b", 2, "type mismatch: call wants i64"),
    INVALID("type of call_indirect", "\x41\x00\x11\x09\x00\x0b", 2, "unknown type 9"),
    INVALID("table of call_indirect", "\x41\x00\x11\x00\x02\x0b", 2, "unknown table 2"),
    INVALID("call_indirect through externref", "\x41\x00\x11\x00\x01\x0b", 2, "type mismatch"),
    INVALID("tail call of other results",
            "\x41\x00\x41\x00\x11\x01\x00\x1a\x41\x00\x41\x00"
            "\x13\x01\x00\x0b",
            12, "type mismatch: return_call_indirect"),
    /* Variables. */
    INVALID("local", "\x20\x02\x1a\x0b", 0, "unknown local 2, the function has 2"),
    INVALID("local of another type", "\x41\x00\x21\x01\x0b", 2, "type mismatch: local.set"),
    INVALID("global", "\x23\x02\x1a\x0b", 0, "unknown global 2"),
    INVALID("immutable global", "\x41\x00\x24\x00\x0b", 2, "global is immutable"),
    INVALID("global of another type", "\x41\x00\x24\x01\x0b", 2, "type mismatch"),
    /* Select and references. */
    INVALID("select of two types", "\x41\x00\x42\x00\x41\x00\x1b\x1a\x0b", 6, "type mismatch"),
    INVALID("select of references", "\xd0\x70\xd0\x70\x41\x00\x1b\x1a\x0b", 6, "type mismatch"),
    INVALID("select of no type", "\x41\x00\x41\x00\x41\x00\x1c\x00\x1a\x0b", 6,
            "invalid result arity"),
    INVALID("select of two results", "\x41\x00\x41\x00\x41\x00\x1c\x02\x7f\x7f\x1a\x0b", 6,
            "invalid result arity"),
    INVALID("ref.is_null of a number", "\x41\x00\xd1\x1a\x0b", 2, "type mismatch: ref.is_null"),
    INVALID("undeclared reference", "\xd2\x01\x1a\x0b", 0, "undeclared function reference"),
    INVALID("reference to nothing", "\xd2\x02\x1a\x0b", 0, "unknown function 2"),
    /* Tables. */
    INVALID("table", "\x41\x00\x25\x02\x1a\x0b", 2, "unknown table 2"),
    INVALID("element of another type", "\x41\x00\xd0\x70\x26\x01\x0b", 4, "type mismatch"),
    INVALID("elem segment", "\xfc\x0d\x02\x0b", 0, "unknown elem segment 2"),
    INVALID("table.init of another type", "\x41\x00\x41\x00\x41\x00\xfc\x0c\x01\x00\x0b", 6,
            "type mismatch: table.init"),
    INVALID("table.copy of another type", "\x41\x00\x41\x00\x41\x00\xfc\x0e\x00\x01\x0b", 6,
            "type mismatch: table.copy"),
    INVALID("table.grow", "\x41\x00\x41\x00\xfc\x0f\x00\x1a\x0b", 4, "type mismatch: table.grow"),
    /* Memory. */
    INVALID("alignment", "\x41\x00\x28\x03\x00\x1a\x0b", 2,
            "alignment must not be larger than natural"),
    INVALID("alignment of 2**63", "\x41\x00\x2d\x3f\x00\x1a\x0b", 2,
            "alignment must not be larger than natural"),
    INVALID("memory", "\x41\x00\x28\x42\x01\x00\x1a\x0b", 2, "unknown memory 1"),
    INVALID("offset", "\x41\x00\x28\x02\x80\x80\x80\x80\x10\x1a\x0b", 2, "offset out of range"),
    INVALID("data segment", "\xfc\x09\x01\x0b", 0, "unknown data segment 1"),
    INVALID("memory.init", "\x41\x00\x41\x00\xfc\x08\x00\x00\x0b", 4, "type mismatch: memory.init"),
    INVALID("address", "\x42\x00\x28\x02\x00\x1a\x0b", 2, "type mismatch: i32.load wants i32"),
    /* Vectors. */
    INVALID("lane", "\x41\x00\xfd\x0f\xfd\x15\x10\x1a\x0b", 4, "invalid lane index 16"),
    INVALID("lane of a load", "\x41\x00\x41\x00\xfd\x0f\xfd\x57\x00\x00\x02\x1a\x0b", 6,
            "invalid lane index 2"),
    INVALID("shuffle",
            "\x41\x00\xfd\x0f\x41\x00\xfd\x0f\xfd\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
            "\x00\x00\x00\x00\x20\x1a\x0b",
            8, "invalid lane index 32"),
};

static size_t build_module(uint8_t *bytes, const char *body, size_t body_size)
{
    size_t size = 0;
    size_t locals_size = sizeof LOCALS - 1;
    size_t second_size = sizeof SECOND_BODY - 1;
    ck_assert_uint_le(body_size, BODY_SIZE_MAX);
    memcpy(bytes, BEFORE_CODE, sizeof BEFORE_CODE - 1);
    size += sizeof BEFORE_CODE - 1;
    bytes[size++] = 0x0a;
    bytes[size++] = (uint8_t)(2 + locals_size + body_size + second_size);
    bytes[size++] = 2;
    bytes[size++] = (uint8_t)(locals_size + body_size);
    memcpy(bytes + size, LOCALS, locals_size);
    size += locals_size;
    memcpy(bytes + size, body, body_size);
    size += body_size;
    memcpy(bytes + size, SECOND_BODY, second_size);
    size += second_size;
    memcpy(bytes + size, BEHIND_CODE, sizeof BEHIND_CODE - 1);
    return size + sizeof BEHIND_CODE - 1;
}

START_TEST(test_body)
{
    uint8_t bytes[sizeof BEFORE_CODE + BODY_SIZE_MAX + 64];
    struct subject subject;
    size_t size = build_module(bytes, bodies[_i].body, bodies[_i].size);
    subject_init(&subject, bytes, size, FEATURES_ALL, NULL);
    ck_assert_msg(subject.module != NULL, "%s: %s", bodies[_i].name, subject.error.message);
    expect_error(&subject, bodies[_i].name, bodies[_i].status,
                 subject.module->funcs[0].code_offset + bodies[_i].offset, bodies[_i].text);
    subject_done(&subject);
}
END_TEST

#define MODULE(name, bytes, offset, text)                                                          \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, offset, text                                               \
    }

static const struct {
    const char *name;
    const char *bytes;
    size_t size;
    uint64_t offset;
    const char *text;
} modules[] = {
    MODULE("type of a function", HEADER TYPE_SECTION "\x03\x02\x01\x01" CODE_SECTION, 17,
           "unknown type 1 of function 0"),
    MODULE("type of an import", HEADER "\x02\x07\x01\x01m\x01n\x00\x03", 16,
           "unknown type 3 of function 0"),
    MODULE("table limits", HEADER "\x04\x05\x01\x70\x01\x02\x01", 11,
           "size minimum must not be greater than maximum"),
    MODULE("memory limits", HEADER "\x05\x04\x01\x01\x02\x01", 11,
           "size minimum must not be greater than maximum"),
    MODULE("memory size", HEADER "\x05\x05\x01\x00\x81\x80\x04", 11, "memory size must be at most"),
    MODULE("memory maximum", HEADER "\x05\x06\x01\x01\x00\x81\x80\x04", 11,
           "memory size must be at most"),
    MODULE("type of a global", HEADER "\x06\x06\x01\x7f\x00\x42\x00\x0b", 15, "type mismatch"),
    MODULE("empty initial value", HEADER "\x06\x04\x01\x7f\x00\x0b", 13, "type mismatch"),
    MODULE("initial value of a later global", HEADER "\x06\x06\x01\x7f\x00\x23\x00\x0b", 13,
           "unknown global 0"),
    MODULE("mutable global as initial value",
           HEADER "\x06\x0b\x02\x7f\x01\x41\x00\x0b\x7f\x00\x23\x00\x0b", 18,
           "constant expression required: global 0 is mutable"),
    MODULE("not constant", HEADER "\x06\x07\x01\x7f\x00\x41\x00\x45\x0b", 15,
           "constant expression required: i32.eqz"),
    MODULE("exported function", HEADER "\x07\x05\x01\x01x\x00\x00", 14, "unknown function 0"),
    MODULE("exported memory", HEADER "\x07\x05\x01\x01x\x02\x00", 14, "unknown memory 0"),
    MODULE("export name twice",
           HEADER TYPE_SECTION FUNC_SECTION "\x07\x09\x02\x01x\x00\x00\x01x\x00\x00" CODE_SECTION,
           26, "duplicate export name: \"x\" is export 0 and 1"),
    MODULE("start", HEADER "\x08\x01\x00", 10, "unknown function 0"),
    MODULE("start with parameters",
           HEADER "\x01\x05\x01\x60\x01\x7f\x00" FUNC_SECTION "\x08\x01\x00" CODE_SECTION, 21,
           "start function 0"),
    MODULE("table of elements", HEADER "\x09\x06\x01\x00\x41\x00\x0b\x00", 11, "unknown table 0"),
    MODULE("offset of elements",
           HEADER "\x04\x04\x01\x70\x00\x01"
                  "\x09\x06\x01\x00\x42\x00\x0b\x00",
           20, "type mismatch"),
    MODULE("type of elements",
           HEADER "\x04\x04\x01\x6f\x00\x01"
                  "\x09\x06\x01\x00\x41\x00\x0b\x00",
           17, "type mismatch: an element segment of funcref for a table of externref"),
    MODULE("function as element", HEADER "\x09\x05\x01\x01\x00\x01\x05", 11,
           "unknown function 5 as element 0"),
    MODULE("memory of data", HEADER "\x0b\x06\x01\x00\x41\x00\x0b\x00", 11, "unknown memory 0"),
    MODULE("offset of data",
           HEADER "\x05\x03\x01\x00\x01"
                  "\x0b\x06\x01\x00\x42\x00\x0b\x00",
           19, "type mismatch"),
};

START_TEST(test_module)
{
    struct subject subject;
    subject_init(&subject, modules[_i].bytes, modules[_i].size, FEATURES_ALL, NULL);
    expect_error(&subject, modules[_i].name, WEIR_INVALID, modules[_i].offset, modules[_i].text);
    subject_done(&subject);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasm_validate");
    TCase *tcase = tcase_create("validate");
    tcase_add_loop_test(tcase, test_body, 0, (int)(sizeof bodies / sizeof bodies[0]));
    tcase_add_loop_test(tcase, test_module, 0, (int)(sizeof modules / sizeof modules[0]));
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
