/* A test program has its limits from tests/hang_limit.c, not from who started it. */
#include <check.h>
#include <stdlib.h>

#include "tests/run_suite.h"

START_TEST(limits_are_set)
{
    ck_assert_ptr_nonnull(getenv("CK_DEFAULT_TIMEOUT"));
    ck_assert_ptr_nonnull(getenv("CK_TIMEOUT_MULTIPLIER"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hang limit");
    TCase *tests = tcase_create("limits");
    tcase_add_test(tests, limits_are_set);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
