/* The grammar of sizes and durations, how they are shown, and sums that stay in range. */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/sizes.h"
#include "tests/run_suite.h"

#define K 1024ull

static const struct {
    const char *text;
    uint64_t bytes;
} good_sizes[] = {
    {"0", 0},
    {"0B", 0},
    {"1", 1},
    {"512B", 512},
    {"4096", 4096},
    {"1K", K},
    {"1KB", K},
    {"1KiB", K},
    {"1kib", K},
    {"3M", 3 * K *K},
    {"3MB", 3 * K *K},
    {"3MiB", 3 * K *K},
    {"1g", K *K *K},
    {"16GB", 16 * K *K *K},
    {"2GiB", 2 * K *K *K},
    {"1T", K *K *K *K},
    {"1TB", K *K *K *K},
    {"1TiB", K *K *K *K},
    {"1.5K", 1536},
    {"0.5MiB", 512 * K},
    {"1.0001KiB", 1024},
    {"0.1K", 102},
    {"0.3GiB", 322122547},
    {"0.999999999999999999999999K", 1023},
    {"18446744073709551615", UINT64_MAX},
    {"16777215T", 16777215 * K *K *K *K},
    {"007K", 7 * K},
};

START_TEST(sizes_are_read)
{
    uint64_t bytes = 1;
    struct weir_error error = {0};
    const char *text = good_sizes[_i].text;
    ck_assert_msg(weir_size_parse(text, strlen(text), &bytes, &error) == WEIR_OK, "%s",
                  error.message);
    ck_assert_uint_eq(bytes, good_sizes[_i].bytes);
}
END_TEST

static const struct {
    const char *text;
    uint64_t offset;
    const char *reason;
} bad_sizes[] = {
    {"", 0, "empty"},
    {"-1", 0, "sign"},
    {"+1K", 0, "sign"},
    {"K", 0, "digit"},
    {" 1K", 0, "digit"},
    {"1 K", 1, "no unit"},
    {"1K ", 1, "no unit"},
    {"1KB/s", 1, "no unit"},
    {"1PB", 1, "no unit"},
    {"1Ki", 1, "no unit"},
    {"1e3", 1, "no unit"},
    {"0x10", 1, "no unit"},
    {"1.K", 2, "point"},
    {"1..5K", 2, "point"},
    {".5K", 0, "digit"},
    {"1.5", 3, "whole"},
    {"1.0", 3, "whole"},
    {"1,5K", 1, "no unit"},
    {"18446744073709551616", 19, "64 bits"},
    {"16777216T", 8, "64 bits"},
    {"16777215.9999999999999999T", 25, NULL},
    {"99999999999999999999999999K", 19, "64 bits"},
};

START_TEST(bad_sizes_show_the_grammar)
{
    uint64_t bytes = 77;
    struct weir_error error = {0};
    const char *text = bad_sizes[_i].text;
    enum weir_status status = weir_size_parse(text, strlen(text), &bytes, &error);
    if (bad_sizes[_i].reason == NULL) { /* the largest that still fits */
        ck_assert_int_eq(status, WEIR_OK);
        return;
    }
    ck_assert_int_eq(status, WEIR_INVALID_ARGUMENT);
    ck_assert_uint_eq(bytes, 77);
    ck_assert_uint_eq(error.offset, bad_sizes[_i].offset);
    ck_assert_msg(strstr(error.message, bad_sizes[_i].reason) != NULL, "%s", error.message);
    ck_assert_msg(strstr(error.message, "K/KB/KiB") != NULL, "%s", error.message);
}
END_TEST

START_TEST(text_ends_at_its_length)
{
    uint64_t bytes = 0;
    ck_assert_int_eq(weir_size_parse("12KBx", 4, &bytes, NULL), WEIR_OK);
    ck_assert_uint_eq(bytes, 12 * K);
}
END_TEST

static const struct {
    const char *text;
    uint64_t ns;
    bool good;
} durations[] = {
    {"500ms", 500000000, true},
    {"10m", 600000000000, true},
    {"1.5s", 1500000000, true},
    {"0", 0, true},
    {"0s", 0, true},
    {"3us", 3000, true},
    {"7ns", 7, true},
    {"2h", 7200000000000, true},
    {"1d", 86400000000000, true},
    {"0.25h", 900000000000, true},
    {"5", 0, false},
    {"5 s", 0, false},
    {"-5s", 0, false},
    {"5min", 0, false},
    {"", 0, false},
    {"300000000d", 0, false},
};

START_TEST(durations_are_read)
{
    uint64_t ns = 1;
    struct weir_error error = {0};
    const char *text = durations[_i].text;
    enum weir_status status = weir_duration_parse(text, strlen(text), &ns, &error);
    if (durations[_i].good) {
        ck_assert_msg(status == WEIR_OK, "%s", error.message);
        ck_assert_uint_eq(ns, durations[_i].ns);
    } else {
        ck_assert_int_eq(status, WEIR_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(error.message, "ns, us, ms, s, m, h or d"));
    }
}
END_TEST

static const struct {
    uint64_t bytes;
    const char *text;
} shown_sizes[] = {
    {0, "0 B"},
    {1, "1 B"},
    {1023, "1023 B"},
    {1024, "1.0 KiB"},
    {5347737, "5.1 MiB"},
    {K * K - 1, "1.0 MiB"},
    {1000 * K, "1000 KiB"},
    {100 * K, "100 KiB"},
    {102348, "99.9 KiB"},
    {102380, "100 KiB"},
    {512 * K * K, "512 MiB"},
    {3 * K * K * K / 2, "1.5 GiB"},
    {UINT64_MAX, "16777216 TiB"},
};

START_TEST(sizes_are_shown)
{
    ck_assert_str_eq(weir_size_format(shown_sizes[_i].bytes).text, shown_sizes[_i].text);
}
END_TEST

START_TEST(durations_are_shown)
{
    ck_assert_str_eq(weir_duration_format(640).text, "640 ns");
    ck_assert_str_eq(weir_duration_format(41000000).text, "41.0 ms");
    ck_assert_str_eq(weir_duration_format(410000000).text, "410 ms");
    ck_assert_str_eq(weir_duration_format(1840000000).text, "1.8 s");
    ck_assert_str_eq(weir_duration_format(59990000000).text, "1.0 m");
    ck_assert_str_eq(weir_duration_format(12600000000000).text, "3.5 h");
}
END_TEST

START_TEST(sums_stay_in_range)
{
    ck_assert_uint_eq(weir_add_sat(UINT64_MAX - 1, 1), UINT64_MAX);
    ck_assert_uint_eq(weir_add_sat(UINT64_MAX - 1, 2), UINT64_MAX);
    ck_assert_uint_eq(weir_mul_sat(UINT64_C(1) << 32, UINT64_C(1) << 31), UINT64_C(1) << 63);
    ck_assert_uint_eq(weir_mul_sat(UINT64_C(1) << 32, UINT64_C(1) << 32), UINT64_MAX);
    ck_assert_uint_eq(weir_sub_sat(3, 2), 1);
    ck_assert_uint_eq(weir_sub_sat(2, 3), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sizes");
    TCase *tests = tcase_create("sizes");
    tcase_add_loop_test(tests, sizes_are_read, 0, (int)(sizeof good_sizes / sizeof good_sizes[0]));
    tcase_add_loop_test(tests, bad_sizes_show_the_grammar, 0,
                        (int)(sizeof bad_sizes / sizeof bad_sizes[0]));
    tcase_add_test(tests, text_ends_at_its_length);
    tcase_add_loop_test(tests, durations_are_read, 0,
                        (int)(sizeof durations / sizeof durations[0]));
    tcase_add_loop_test(tests, sizes_are_shown, 0,
                        (int)(sizeof shown_sizes / sizeof shown_sizes[0]));
    tcase_add_test(tests, durations_are_shown);
    tcase_add_test(tests, sums_stay_in_range);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
