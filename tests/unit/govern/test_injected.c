/* Injected figures: the forms of the file, and what a reading makes of them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "govern/monitor.h"
#include "tests/run_suite.h"

static struct weir_injected injected;

static enum weir_status parse(const char *text)
{
    return weir_injected_parse(text, strlen(text), &injected, NULL);
}

START_TEST(all_keys)
{
    ck_assert_int_eq(parse("limit 2GiB\n  usage\t1500MiB  \n\nactive_file 1KB\ninactive_file 5\n"
                           "high max\nswap_limit 1GiB\nswap_usage 0\npsi_full_avg10 3.5"),
                     WEIR_MALFORMED); /* blanks behind a value */
    ck_assert_int_eq(parse("limit 2GiB\n  usage\t1500MiB\n\nactive_file 1KB\ninactive_file 5\n"
                           "high max\nswap_limit 1GiB\nswap_usage 0\npsi_full_avg10 3.5"),
                     WEIR_OK);
    ck_assert_uint_eq(injected.figures.limit.value, UINT64_C(2) << 30);
    ck_assert_uint_eq(injected.figures.usage.value, UINT64_C(1500) << 20);
    ck_assert_uint_eq(injected.figures.active_file.value, 1024);
    ck_assert_uint_eq(injected.figures.inactive_file.value, 5);
    ck_assert_int_eq(injected.figures.high.state, WEIR_FIGURE_MAX);
    ck_assert_uint_eq(injected.figures.swap_limit.value, UINT64_C(1) << 30);
    ck_assert_uint_eq(injected.pressure.full.avg10_bp, 350);
    ck_assert_int_eq(parse("unknown the sensor is away\n"), WEIR_OK);
    ck_assert(injected.is_unknown);
    ck_assert_str_eq(injected.why, "the sensor is away");
}
END_TEST

static const char *const bad[] = {
    "",
    "limit 1GiB\n",
    "usage 1GiB\n",
    "limit\nusage 1\n",
    "limit 1 GiB\nusage 1\n",
    "limit -1\nusage 1\n",
    "limit 1\nusage max\n",
    "limit 99999999TiB\nusage 1\n",
    "limit 1\nusage 1\nlimits 1\n",
    "limit 1\nusage 1\npsi_full_avg10 100.01\n",
    "limit 1\nusage 1\npsi_full_avg10 1.234\n",
    "limit 1\nusage 1\npsi_full_avg10 x\n",
    "0.93\n",
};

START_TEST(bad_files_are_malformed)
{
    ck_assert_int_eq(parse(bad[_i]), WEIR_MALFORMED);
}
END_TEST

START_TEST(half_a_percent)
{
    ck_assert_int_eq(parse("limit 1\nusage 1\npsi_full_avg10 0.5\n"), WEIR_OK);
    ck_assert_uint_eq(injected.pressure.full.avg10_bp, 50);
    ck_assert_int_eq(parse("limit max\nusage 1\npsi_full_avg10 100\n"), WEIR_OK);
    ck_assert_uint_eq(injected.pressure.full.avg10_bp, 10000);
    ck_assert_int_eq(injected.figures.limit.state, WEIR_FIGURE_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("injected");
    TCase *tests = tcase_create("injected");
    tcase_add_test(tests, all_keys);
    tcase_add_loop_test(tests, bad_files_are_malformed, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(tests, half_a_percent);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
