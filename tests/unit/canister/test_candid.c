/* Candid against vectors of its own test suite (dfinity/candid, test/prim.test.did and others),
 * both ways; texts with their errors and positions; bytes that are none; principals. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/run_suite.h"
#include "worlds/canister/candid.h"
#include "worlds/canister/principal.h"

static struct weir_arena *arena;

static void begin(void)
{
    ck_assert_int_eq(weir_arena_new(NULL, 0, &arena, NULL), WEIR_OK);
}

static void end(void)
{
    weir_arena_free(arena);
}

static size_t from_hex(const char *hex, uint8_t *to)
{
    size_t size = strlen(hex) / 2;
    ck_assert(weir_hex_read(hex, strlen(hex), to, size));
    return size;
}

static const struct {
    const char *text; /* as it is read */
    const char *hex;
    const char *printed; /* NULL: as it is read */
} both[] = {
    {"()", "4449444c0000", NULL},
    {"(true, false)", "4449444c00027e7e0100", NULL},
    {"(0 : nat)", "4449444c00017d00", NULL},
    {"(5)", "4449444c00017d05", "(5 : nat)"},
    {"(127 : nat, 128 : nat)", "4449444c00027d7d7f8001", NULL},
    {"(60000000000000000 : nat)", "4449444c00017d808098f4e9b5ca6a", NULL},
    {"(60000000000000000 : int)", "4449444c00017c808098f4e9b5caea00", NULL},
    {"(-1)", "4449444c00017c7f", "(-1 : int)"},
    {"(-64 : int, -65 : int, 64 : int, 63 : int)", "4449444c00047c7c7c7c40bf7fc0003f", NULL},
    {"(-128 : int)", "4449444c00017c807f", NULL},
    {"(-60000000000000000 : int)", "4449444c00017c8080e88b96cab5957f", NULL},
    {"(+7)", "4449444c00017c07", "(7 : int)"},
    {"(0x_ff)", NULL, NULL},
    {"(0xff, 1_000_000)", "4449444c00027d7dff01c0843d", "(255 : nat, 1000000 : nat)"},
    {"(255 : nat8, 65535 : nat16, 4294967295 : nat32, 18446744073709551615 : nat64)",
     "4449444c00047b7a7978ffffffffffffffffffffffffffffff", NULL},
    {"(-128 : int8, -2 : int16, -1 : int32, -9223372036854775808 : int64)",
     "4449444c00047776757480feffffffffff0000000000000080", NULL},
    {"(256 : nat8)", NULL, NULL},
    {"(-1 : nat)", NULL, NULL},
    {"(-129 : int8)", NULL, NULL},
    {"(1.5)", "4449444c000172000000000000f83f", "(1.5 : float64)"},
    {"(3 : float32)", "4449444c00017300004040", "(3.0 : float32)"},
    {"(1e3)", "4449444c0001720000000000408f40", "(1000.0 : float64)"},
    {"(\"\")", "4449444c00017100", NULL},
    {"(\"\\u{41}\\u{e9}\\u{2603}\\u{01F600}\")", "4449444c0001710a41c3a9e29883f09f9880",
     "(\"A\xc3\xa9\xe2\x98\x83\xf0\x9f\x98\x80\")"},
    {"(variant { 5 })", "4449444c016b01057f010000", NULL},
    {"(variant { 5 = 2 : nat })", "4449444c016b01057d01000002", NULL},
    {"(\"Motoko \\e2\\98\\83\")", "4449444c0001710a4d6f746f6b6f20e29883",
     "(\"Motoko \xe2\x98\x83\")"},
    {"(\"a\\nb\\\"c\\\\\")", "4449444c00017106610a6222635c", NULL},
    {"(\"\\ff\")", NULL, NULL},
    {"(null : null)", "4449444c00017f", NULL},
    {"(null : reserved)", "4449444c000170", NULL},
    {"(opt 42)", "4449444c016e7d0100012a", "(opt (42 : nat))"},
    {"(opt (opt true))", "4449444c026e7e6e0001010101 01", NULL},
    {"(vec { 1; 2; 3 })", "4449444c016d7d010003010203", "(vec { 1 : nat; 2 : nat; 3 : nat })"},
    {"(vec { 1; -2 })", "4449444c016d7c010002017e", "(vec { 1 : int; -2 : int })"},
    {"(vec {})", "4449444c016d6f010000", "(vec { })"},
    {"(vec { vec {}; vec { true } })", "4449444c026d7e6d000101020001 01", NULL},
    {"(vec { 1; true })", NULL, NULL},
    {"(blob \"\\00\\ffA\")", "4449444c016d7b01000300ff41", NULL},
    {"(vec { 0 : nat8; 255 : nat8; 65 : nat8 })", "4449444c016d7b01000300ff41",
     "(blob \"\\00\\ffA\")"},
    {"(record {})", "4449444c016c000100", "(record { })"},
    {"(record { 1; true })", "4449444c016c02007d017e01000101", "(record { 1 : nat; true })"},
    {"(record { foo = 1; 2 = true })", "4449444c016c02027e86 8eb7027d01000101", NULL},
    {"(record { a = 1; a = 2 })", NULL, NULL},
    {"(variant { ok })", "4449444c016b019cc2017f010000", "(variant { 24860 })"},
    {"(variant { ok = 5 })", "4449444c016b019cc2017d01000005", "(variant { 24860 = 5 : nat })"},
    {"(principal \"aaaaa-aa\")", "4449444c0001680100", NULL},
    {"(principal \"2vxsx-fae\")", "4449444c000168010104", NULL},
    {"(principal \"2vxsx-faf\")", NULL, NULL},
    {"5", NULL, NULL},
    {"(5", NULL, NULL},
    {"(5,,)", NULL, NULL},
    {"(5) 6", NULL, NULL},
    {"(\"open)", NULL, NULL},
    {"(five)", NULL, NULL},
    {"(5 : natural)", NULL, NULL},
    {"(record { = 5 })", NULL, NULL},
    {"(- 5)", NULL, NULL},
};

START_TEST(both_ways)
{
    const char *text = both[_i].text;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    struct weir_error error = {0};
    enum weir_status status = weir_candid_encode(text, strlen(text), arena, &bytes, &size, &error);
    if (both[_i].hex == NULL) {
        ck_assert_msg(status == WEIR_MALFORMED, "%s", text);
        ck_assert_str_ne(error.message, "");
        ck_assert_uint_le(error.offset, strlen(text));
        weir_error_done(&error);
        return;
    }
    ck_assert_msg(status == WEIR_OK, "%s: %s", text, error.message);
    char hex[512];
    size_t at = 0;
    for (const char *from = both[_i].hex; *from != 0; from++)
        if (*from != ' ')
            hex[at++] = *from;
    hex[at] = 0;
    uint8_t wanted[256];
    size_t wanted_size = from_hex(hex, wanted);
    ck_assert_msg(size == wanted_size && memcmp(bytes, wanted, size) == 0, "%s", text);
    struct weir_candid_text printed = {0};
    status = weir_candid_decode(bytes, size, NULL, arena, &printed, &error);
    ck_assert_msg(status == WEIR_OK, "%s: %s", text, error.message);
    /* What is printed is read again as the same. */
    const uint8_t *again = NULL;
    size_t again_size = 0;
    if (strstr(printed.text, "record") == NULL || both[_i].printed != NULL) {
        status = weir_candid_encode(printed.text, printed.size, arena, &again, &again_size, &error);
        bool is_same = status == WEIR_OK && again_size == size && memcmp(again, bytes, size) == 0;
        /* An unnamed case, an empty vec's elements and a field's number are not. */
        ck_assert_msg(is_same || strstr(text, "variant") != NULL, "%s: %s %s", text, printed.text,
                      error.message);
    }
    weir_error_done(&error);
    if (both[_i].printed != NULL)
        ck_assert_str_eq(printed.text, both[_i].printed);
}
END_TEST

static const char *const malformed[] = {
    "",
    "44",
    "4449444d0000",
    "4449444c",
    "4449444c00",
    "4449444c000100", /* no such type */
    "4449444c00017d",
    "4449444c00017d80",
    "4449444c00017e02",
    "4449444c000171 05 6162",
    "4449444c000171 01 ff",
    "4449444c0000 00",
    "4449444c01",
    "4449444c016d",
    "4449444c016d050100",
    "4449444c016c020100010001000000", /* the same field twice */
    "4449444c016e7e010002",
    "4449444c016b0101007f",
    "4449444c016b01007f01000 1",
    "4449444c000168 00",
    "4449444c0001 6f",
    "4449444c016c0100000100",       /* itself for ever */
    "4449444c016d7f0100ffffffff0f", /* four billion nulls */
    "4449444c ffffffff0f",
    "4449444c0000ff",
};

/* What is said, and where. */
static const struct {
    const char *text, *said;
    uint64_t offset;
} wrong[] = {
    {"(1", ", or ) is expected at the end", 2},
    {"5", "arguments stand in parentheses", 0},
    {"(\"a\\q\")", "an escape is \\n, ", 3},
    {"(\"a\\u{d800}\")", "an escape is \\n, ", 3},
    {"(\"a\\u{110000}\")", "an escape is \\n, ", 3},
    {"(\"a\\u{}\")", "an escape is \\n, ", 3},
    {"(\"a", "a text without its closing quote", 3},
    {"(\"\\ff\")", "a text that is not UTF-8 at '\"", 1},
    {"( 300 : nat8)", "a value that is no nat8 at '300", 2},
    {"(vec { 1; \"a\" })", "an element of another type than those before it at '\"a", 10},
    {"(principal \"aaaaa-ab\")", "a principal that is none", 11},
    {"(variant { a; b })", "one case, then } is expected at 'b", 14},
    {"(variant { 5_000_000_000 })", "32 bits; not so at '5_000", 11},
    {"(record { a = 1; a = 2 })", "a field twice", 24},
    {"(5 : opt nat)", "a type like nat8 or text is expected", 5},
    {"(service \"aaaaa-aa\")", "a value is expected at 'service", 1},
};

START_TEST(says_where)
{
    const uint8_t *bytes = NULL;
    size_t size = 0;
    struct weir_error error = {0};
    const char *text = wrong[_i].text;
    ck_assert_int_eq(weir_candid_encode(text, strlen(text), arena, &bytes, &size, &error),
                     WEIR_MALFORMED);
    ck_assert_msg(strstr(error.message, wrong[_i].said) != NULL, "%s: %s", text, error.message);
    ck_assert_msg(error.offset == wrong[_i].offset, "%s: %llu", text,
                  (unsigned long long)error.offset);
    weir_error_done(&error);
}
END_TEST

START_TEST(malformed_bytes)
{
    char hex[128];
    size_t at = 0;
    for (const char *from = malformed[_i]; *from != 0; from++)
        if (*from != ' ')
            hex[at++] = *from;
    hex[at] = 0;
    uint8_t bytes[64];
    size_t size = from_hex(hex, bytes);
    struct weir_error error = {0};
    struct weir_candid_text text = {0};
    enum weir_status status = weir_candid_decode(bytes, size, NULL, arena, &text, &error);
    ck_assert_msg(status == WEIR_MALFORMED || status == WEIR_TOO_LARGE, "%s", malformed[_i]);
    ck_assert_str_ne(error.message, "");
    weir_error_done(&error);
}
END_TEST

START_TEST(names_of_fields)
{
    static const char interface[] =
        "service : { stats: () -> (record { heap: nat; memory: nat }) query; }";
    struct weir_candid_names names;
    ck_assert_int_eq(weir_candid_names_of(interface, sizeof interface - 1, arena, &names, NULL),
                     WEIR_OK);
    static const char text[] = "(record { memory = 34144256; heap = 32 })";
    const uint8_t *bytes = NULL;
    size_t size = 0;
    ck_assert_int_eq(weir_candid_encode(text, sizeof text - 1, arena, &bytes, &size, NULL),
                     WEIR_OK);
    struct weir_candid_text printed = {0};
    ck_assert_int_eq(weir_candid_decode(bytes, size, &names, arena, &printed, NULL), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(printed.text, "memory = 34144256 : nat"));
    ck_assert_ptr_nonnull(strstr(printed.text, "heap = 32 : nat"));
    uint64_t value = 0;
    ck_assert_int_eq(weir_candid_field(bytes, size, "heap", arena, &value, NULL), WEIR_OK);
    ck_assert_uint_eq(value, 32);
    ck_assert_int_eq(weir_candid_field(bytes, size, "nothing", arena, &value, NULL),
                     WEIR_NOT_FOUND);
}
END_TEST

/* Very long ones, both ways; and too long ones. */
START_TEST(numbers)
{
    char text[2048];
    for (size_t digits = 1; digits < 1500; digits += 37) {
        text[0] = '(';
        text[1] = '-';
        for (size_t i = 0; i < digits; i++)
            text[2 + i] = (char)('1' + (i * 7 + digits) % 9);
        memcpy(text + 2 + digits, " : int)", 8);
        const uint8_t *bytes = NULL;
        struct weir_candid_text printed = {0};
        size_t size = 0;
        ck_assert_int_eq(weir_candid_encode(text, strlen(text), arena, &bytes, &size, NULL),
                         WEIR_OK);
        ck_assert_int_eq(weir_candid_decode(bytes, size, NULL, arena, &printed, NULL), WEIR_OK);
        ck_assert_str_eq(printed.text, text);
    }
    static char large[5000];
    memset(large, '9', sizeof large - 1);
    large[0] = '(';
    large[sizeof large - 2] = ')';
    const uint8_t *bytes = NULL;
    size_t size = 0;
    ck_assert_int_eq(weir_candid_encode(large, sizeof large - 1, arena, &bytes, &size, NULL),
                     WEIR_TOO_LARGE);
}
END_TEST

START_TEST(too_deep)
{
    static char text[1200];
    for (size_t i = 0; i < 200; i++)
        memcpy(text + 1 + i * 4, "opt ", 4);
    text[0] = '(';
    memcpy(text + 801, "1)", 3);
    const uint8_t *bytes = NULL;
    size_t size = 0;
    ck_assert_int_eq(weir_candid_encode(text, strlen(text), arena, &bytes, &size, NULL),
                     WEIR_MALFORMED);
}
END_TEST

START_TEST(principals)
{
    static const struct {
        const char *text;
        const char *hex; /* NULL: none */
    } cases[] = {
        {"aaaaa-aa", ""},
        {"2vxsx-fae", "04"},
        {"ryjl3-tyaaa-aaaaa-aaaba-cai", "00000000000000020101"},
        {"rrkah-fqaaa-aaaaa-aaaaq-cai", "00000000000000010101"},
        {"rrkah-fqaaa-aaaaa-aaaaq-caj", NULL},
        {"rrkahfqaaaaaaaaaaaaqcai", NULL},
        {"RRKAH-FQAAA-AAAAA-AAAAQ-CAI", NULL},
        {"", NULL},
        {"aaaaa-aa-", NULL},
        {"aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaa", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_principal principal;
        bool is_one = weir_principal_read(cases[i].text, strlen(cases[i].text), &principal);
        ck_assert_msg(is_one == (cases[i].hex != NULL), "%s", cases[i].text);
        if (!is_one)
            continue;
        uint8_t bytes[32];
        size_t size = from_hex(cases[i].hex, bytes);
        ck_assert_uint_eq(principal.size, size);
        ck_assert(memcmp(principal.bytes, bytes, size) == 0);
        char text[WEIR_PRINCIPAL_TEXT_SIZE];
        weir_principal_write(&principal, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("candid");
    TCase *tests = tcase_create("candid");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, both_ways, 0, (int)(sizeof both / sizeof both[0]));
    tcase_add_loop_test(tests, says_where, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_loop_test(tests, malformed_bytes, 0, (int)(sizeof malformed / sizeof malformed[0]));
    tcase_add_test(tests, names_of_fields);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, too_deep);
    tcase_add_test(tests, principals);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
