/* Traces of module use: both forms, and where what is wrong stands. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/use_trace.h"
#include "tests/run_suite.h"

#define A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define B "FFEEDDCCBBAA99887766554433221100ffeeddccbbaa99887766554433221100"
#define HEAD WEIR_USE_TRACE_HEAD "\n"

static const struct {
    const char *text;
    int uses;
    uint64_t bytes, at_ms; /* of the last use */
    unsigned long line;    /* where reading ends with an error; 0: at the end */
} cases[] = {
    {"", 0, 0, 0, 0},
    {"\n \t\n# comment\n", 0, 0, 0, 0},
    {A, 1, 0, 0, 0},
    {A "\n" B "\n\n" A "\r\n", 3, 0, 0, 0},
    {"12:00:01 node1 load 99 " A "\n", 1, 0, 0, 0}, /* 99 is no size here */
    {HEAD, 0, 0, 0, 0},
    {WEIR_USE_TRACE_HEAD, 0, 0, 0, 0},
    {HEAD "5 1000 " A "\n", 1, 1000, 5, 0},
    {HEAD "5 1000 " A "\n#x\n18446744073709551615 18446744073709551615 " B, 2, UINT64_MAX,
     UINT64_MAX, 0},
    {"# weir module trace 12\n5 1000 " A "\n", 1, 0, 0, 0}, /* another form: read as a log */
    {"hello\n", 0, 0, 0, 1},
    {A "\n" A "0\n", 1, 0, 0, 2},
    {A "\n\n" A A "\n", 1, 0, 0, 3},
    {HEAD A "\n", 0, 0, 0, 2},
    {HEAD "1000 " A "\n", 0, 0, 0, 2},
    {HEAD "5 0 " A "\n", 0, 0, 0, 2},
    {HEAD "5 -1 " A "\n", 0, 0, 0, 2},
    {HEAD "5 18446744073709551616 " A "\n", 0, 0, 0, 2},
    {HEAD "5 5 5 " A "\n", 0, 0, 0, 2},
    {HEAD "5 1000 " A "\n7 1000 0011", 1, 1000, 5, 0}, /* broken off */
    {HEAD "5 1000 " A "\n7 10", 1, 1000, 5, 0},
    {HEAD "5 1000 " A "\n7 10\n", 1, 1000, 5, 3},
    {A "\n0011", 1, 0, 0, 2}, /* of another host's log nothing is known */
};

START_TEST(reads)
{
    struct weir_use_trace trace;
    struct weir_use use = {.bytes = 0};
    struct weir_error error = {0};
    enum weir_status status;
    int uses = 0;
    weir_use_trace_open("t", cases[_i].text, strlen(cases[_i].text), &trace);
    while ((status = weir_use_trace_next(&trace, &use, &error)) == WEIR_OK)
        uses++;
    ck_assert_int_eq(uses, cases[_i].uses);
    ck_assert_uint_eq(use.bytes, cases[_i].bytes);
    ck_assert_uint_eq(use.at_ms, cases[_i].at_ms);
    ck_assert_int_eq(status, cases[_i].line == 0 ? WEIR_NOT_FOUND : WEIR_MALFORMED);
    if (cases[_i].line != 0) {
        char words[32];
        (void)snprintf(words, sizeof words, "t, line %lu:", cases[_i].line);
        ck_assert_msg(strstr(error.message, words) != NULL, "%s", error.message);
    }
    weir_error_done(&error);
}
END_TEST

START_TEST(reads_hashes)
{
    struct weir_use_trace trace;
    struct weir_use use;
    weir_use_trace_open("t", B, strlen(B), &trace);
    ck_assert_int_eq(weir_use_trace_next(&trace, &use, NULL), WEIR_OK);
    ck_assert_uint_eq(use.module[0], 0xff);
    ck_assert_uint_eq(use.module[1], 0xee);
    ck_assert_uint_eq(use.module[31], 0x00);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("use_trace");
    TCase *tests = tcase_create("lines");
    tcase_add_loop_test(tests, reads, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tests, reads_hashes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
