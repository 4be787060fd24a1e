/* Pressure stall information: every form of the text, and every state of the file. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc_pressure.h"
#include "tests/run_suite.h"

#define SOME "some avg10=1.50 avg60=0.80 avg300=0.20 total=123456\n"
#define FULL "full avg10=100.00 avg60=99.99 avg300=0.01 total=18446744073709551615\n"

START_TEST(both_lines_are_read)
{
    struct weir_pressure pressure;
    ck_assert_int_eq(weir_pressure_parse(SOME FULL, strlen(SOME FULL), &pressure, NULL), WEIR_OK);
    ck_assert_int_eq(pressure.state, WEIR_FIGURE_VALUE);
    ck_assert(pressure.some.is_given && pressure.full.is_given);
    ck_assert_uint_eq(pressure.some.avg10_bp, 150);
    ck_assert_uint_eq(pressure.some.avg60_bp, 80);
    ck_assert_uint_eq(pressure.some.avg300_bp, 20);
    ck_assert_uint_eq(pressure.some.total_us, 123456);
    ck_assert_uint_eq(pressure.full.avg10_bp, 10000);
    ck_assert_uint_eq(pressure.full.avg60_bp, 9999);
    ck_assert_uint_eq(pressure.full.avg300_bp, 1);
    ck_assert_uint_eq(pressure.full.total_us, UINT64_MAX);
}
END_TEST

static const struct {
    const char *text;
    bool is_good;
} texts[] = {
    {SOME, true}, /* a kernel without `full` */
    {FULL SOME, true},
    {SOME "later avg10=nonsense\n", true},
    {"some avg10=0.00 avg60=0.00 avg300=0.00 total=1 later=x\n", true},
    {"", false},
    {FULL, false},
    {"\n", false},
    {SOME SOME, false},
    {"some avg10=0.00 avg60=0.00 avg300=0.00\n", false},
    {"some avg10=0.00 avg60=0.00 total=1\n", false},
    {"some avg10=100.01 avg60=0.00 avg300=0.00 total=1\n", false},
    {"some avg10=101.00 avg60=0.00 avg300=0.00 total=1\n", false},
    {"some avg10=0.0 avg60=0.00 avg300=0.00 total=1\n", false},
    {"some avg10=0.000 avg60=0.00 avg300=0.00 total=1\n", false},
    {"some avg10=-1.00 avg60=0.00 avg300=0.00 total=1\n", false},
    {"some avg10= avg60=0.00 avg300=0.00 total=1\n", false},
    {"some avg10=1.x0 avg60=0.00 avg300=0.00 total=1\n", false},
    {"some avg10=0.00 avg60=0.00 avg300=0.00 total=18446744073709551616\n", false},
    {"some avg10=0.00 avg60=0.00 avg300=0.00 total=1x\n", false},
};

START_TEST(forms)
{
    struct weir_pressure pressure = {.state = WEIR_FIGURE_MISSING};
    struct weir_error error = {0};
    enum weir_status status =
        weir_pressure_parse(texts[_i].text, strlen(texts[_i].text), &pressure, &error);
    ck_assert_int_eq(status, texts[_i].is_good ? WEIR_OK : WEIR_MALFORMED);
    ck_assert_int_eq(pressure.state, texts[_i].is_good ? WEIR_FIGURE_VALUE : WEIR_FIGURE_MISSING);
    weir_error_done(&error);
}
END_TEST

START_TEST(files_have_states)
{
    char path[] = "/tmp/weir-test-pressure-XXXXXX";
    char large[4096];
    struct weir_pressure pressure;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    weir_pressure_read_file(path, &pressure);
    ck_assert_int_eq(pressure.state, WEIR_FIGURE_MALFORMED); /* empty */
    ck_assert_int_eq(write(fd, SOME, strlen(SOME)), (int)strlen(SOME));
    weir_pressure_read_file(path, &pressure);
    ck_assert_int_eq(pressure.state, WEIR_FIGURE_VALUE);
    memset(large, ' ', sizeof large);
    ck_assert_int_eq(write(fd, large, sizeof large), (int)sizeof large);
    weir_pressure_read_file(path, &pressure);
    ck_assert_int_eq(pressure.state, WEIR_FIGURE_MALFORMED);
    (void)close(fd);
    (void)unlink(path);
    weir_pressure_read_file(path, &pressure);
    ck_assert_int_eq(pressure.state, WEIR_FIGURE_MISSING);
    weir_pressure_read_file("/tmp", &pressure);
    ck_assert_int_eq(pressure.state, WEIR_FIGURE_UNREADABLE);
    weir_pressure_read("/nowhere", &pressure);
    ck_assert_int_eq(pressure.state, WEIR_FIGURE_MISSING);
    weir_pressure_read("", &pressure); /* whatever this machine says, it is a state */
    ck_assert(pressure.state == WEIR_FIGURE_VALUE || pressure.state == WEIR_FIGURE_MISSING ||
              pressure.state == WEIR_FIGURE_UNREADABLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pressure");
    TCase *tests = tcase_create("pressure");
    tcase_add_test(tests, both_lines_are_read);
    tcase_add_loop_test(tests, forms, 0, (int)(sizeof texts / sizeof texts[0]));
    tcase_add_test(tests, files_have_states);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
