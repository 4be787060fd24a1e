/* Which censuses are kept: the first for ever, the others ever further apart; and which one is
 * compared with. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/server_census.h"
#include "tests/run_suite.h"

#define MINUTE UINT64_C(60000000000)
#define KEPT WEIR_SERVER_CENSUS_KEPT

/* One a minute for three days. */
START_TEST(lie_ever_further_apart)
{
    uint64_t taken[KEPT], worst = 0;
    size_t count = 0;
    for (uint64_t minute = 0; minute < 3 * 1440; minute++) {
        uint64_t now = minute * MINUTE;
        if (count == KEPT) {
            size_t out = weir__census_thin(taken, count, now);
            ck_assert_uint_gt(out, 0);
            ck_assert_uint_lt(out, count);
            count--;
            memmove(&taken[out], &taken[out + 1], (count - out) * sizeof taken[0]);
        }
        taken[count++] = now;
        ck_assert_uint_eq(taken[0], 0);
        /* Whoever asks for an age between a minute and a day gets at most so many times of it. */
        for (uint64_t age = 1; age <= 1440 && age < minute; age *= 2) {
            size_t at = weir__census_pick(taken, count, now, age * MINUTE);
            uint64_t got = (now - taken[at]) / MINUTE;
            ck_assert_uint_ge(got, age);
            worst = got / age > worst ? got / age : worst;
        }
    }
    ck_assert_uint_le(worst, 10);
    ck_assert_uint_eq(count, KEPT);
}
END_TEST

static const struct {
    uint64_t age;
    size_t picked;
} PICKS[] = {{0, 3}, {1, 2}, {10, 2}, {11, 1}, {90, 1}, {91, 0}, {100, 0}, {UINT64_MAX, 0}};

START_TEST(the_latest_that_is_old_enough)
{
    static const uint64_t TAKEN[] = {0, 10, 90, 100};
    ck_assert_uint_eq(weir__census_pick(TAKEN, 4, 100, PICKS[_i].age), PICKS[_i].picked);
    ck_assert_uint_eq(weir__census_pick(TAKEN, 1, 100, PICKS[_i].age), 0);
}
END_TEST

START_TEST(one_of_two_goes)
{
    static const uint64_t TAKEN[] = {5, 5};
    ck_assert_uint_eq(weir__census_thin(TAKEN, 2, 5), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("census_keep");
    TCase *tcase = tcase_create("census_keep");
    tcase_add_test(tcase, lie_ever_further_apart);
    tcase_add_loop_test(tcase, the_latest_that_is_old_enough, 0,
                        (int)(sizeof PICKS / sizeof PICKS[0]));
    tcase_add_test(tcase, one_of_two_goes);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
