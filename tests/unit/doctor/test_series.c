/* The arithmetic under the verdicts, against values reckoned by hand. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "doctor/series.h"

#define COUNT 200

static uint64_t state;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

static double normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

START_TEST(medians_are_those_of_sorting)
{
    state = (uint64_t)_i;
    size_t count = 1 + (size_t)(uniform() * 60);
    double values[64], sorted[64];
    for (size_t i = 0; i < count; i++)
        values[i] = sorted[i] = floor(uniform() * (_i % 2 == 0 ? 5 : 1000));
    qsort(sorted, count, sizeof *sorted, compare);
    double wanted =
        count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
    ck_assert_double_eq(weir_median(values, count), wanted);
    ck_assert(isnan(weir_median(values, 0)));
}
END_TEST

START_TEST(quantiles_of_the_normal)
{
    ck_assert_double_eq_tol(weir_normal_quantile(0.01), 2.326348, 0.001);
    ck_assert_double_eq_tol(weir_normal_quantile(0.001), 3.090232, 0.001);
    ck_assert_double_eq_tol(weir_normal_quantile(0.025), 1.959964, 0.001);
}
END_TEST

START_TEST(troughs_are_the_lowest_of_each_window)
{
    const double x[] = {0, 1, 2, 3, 4, 5, 6}, y[] = {5, 3, 4, 9, 8, 8, 1};
    double tx[8], ty[8];
    ck_assert_uint_eq(weir_troughs(x, y, 7, 3, tx, ty), 2);
    ck_assert_double_eq(tx[0], 1);
    ck_assert_double_eq(ty[0], 3);
    ck_assert_double_eq(tx[1], 4);
    ck_assert_double_eq(ty[1], 8);
    /* Collapses at 1 (5 to 3)? no: by more than 3 only before 6. */
    ck_assert_uint_eq(weir_troughs_between(x, y, 7, 3, tx, ty), 0);
    const double teeth[] = {9, 1, 5, 9, 2, 5, 9, 3, 6};
    const double at[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    ck_assert_uint_eq(weir_troughs_between(at, teeth, 9, 5, tx, ty), 2);
    ck_assert_double_eq(ty[0], 1);
    ck_assert_double_eq(ty[1], 2);
}
END_TEST

START_TEST(theil_sen_leaves_outliers_aside)
{
    double x[COUNT], y[COUNT];
    static double scratch[COUNT * COUNT];
    for (int i = 0; i < COUNT; i++) {
        x[i] = 3 * i;
        y[i] = 7 + 2 * x[i] + (i % 10 == 0 ? 5000 : 0);
    }
    ck_assert_double_eq_tol(weir_theil_sen(x, y, COUNT, scratch), 2, 1e-9);
    for (int i = 0; i < COUNT; i++)
        x[i] = 1;
    ck_assert_double_eq(weir_theil_sen(x, y, COUNT, scratch), 0);
}
END_TEST

START_TEST(mann_kendall_by_hand)
{
    /* S = 13, Var = (6*5*17)/18 = 28.33 without ties. */
    const double rising[] = {1, 2, 3, 5, 4, 6}, none[] = {0, 1, 0, 1, 0, 1};
    double scratch[18];
    ck_assert_double_eq_tol(weir_mann_kendall(rising, none, 6, scratch), 12 / sqrt(85.0 / 3), 1e-9);
    /* Two pairs of equals: S = 12, Var less 2 * (2*1*9) / 18 = 2. */
    const double ties[] = {1, 1, 2, 2, 3, 4};
    ck_assert_double_eq_tol(weir_mann_kendall(ties, none, 6, scratch), 12 / sqrt(85.0 / 3 - 2),
                            1e-9);
    const double flat[] = {4, 4, 4, 4, 4, 4};
    ck_assert_double_eq(weir_mann_kendall(flat, none, 6, scratch), 0);
}
END_TEST

START_TEST(autocorrelation_lowers_z)
{
    double y[COUNT], wandering[COUNT], scratch[3 * COUNT], independent[COUNT];
    state = 3;
    double noise = 0;
    for (int i = 0; i < COUNT; i++) {
        noise = 0.9 * noise + normal();
        wandering[i] = noise;
        independent[i] = normal();
        y[i] = i;
    }
    double plain = weir_mann_kendall(y, independent, COUNT, scratch);
    ck_assert_double_lt(weir_mann_kendall(y, wandering, COUNT, scratch), plain / 1.5);
}
END_TEST

START_TEST(noise_knows_a_walk)
{
    static const double PHI[] = {0, 0.5, 0.8, 1};
    for (size_t p = 0; p < 4; p++) {
        double y[COUNT], noise = 0;
        state = 11;
        for (int i = 0; i < COUNT; i++)
            y[i] = noise = PHI[p] * noise + normal();
        struct weir_noise found = weir_noise_of(y, COUNT);
        ck_assert_double_eq_tol(found.phi, PHI[p], 0.15);
        ck_assert_int_eq(found.is_wandering, PHI[p] > 0.99);
    }
}
END_TEST

/* The error that is claimed for a slope, against the scatter of slopes. */
START_TEST(slope_errors_are_honest)
{
    static const double PHI[] = {0, 0.5, 0.8};
    static double x[COUNT], y[COUNT], scratch[COUNT * COUNT];
    double square = 0, claimed = 0;
    const int runs = 60;
    state = 5;
    for (int run = 0; run < runs; run++) {
        double noise = 0;
        for (int i = 0; i < COUNT; i++) {
            x[i] = i;
            y[i] = noise = PHI[_i] * noise + normal();
        }
        double slope = weir_theil_sen(x, y, COUNT, scratch);
        for (int i = 0; i < COUNT; i++)
            y[i] -= slope * x[i];
        struct weir_noise found = weir_noise_of(y, COUNT);
        square += slope * slope / runs;
        claimed += weir_slope_error(x, y, COUNT, &found, scratch) / runs;
    }
    ck_assert_double_gt(claimed, 0.75 * sqrt(square));
    ck_assert_double_lt(claimed, 2.5 * sqrt(square));
}
END_TEST

START_TEST(the_best_split_is_found)
{
    double x[COUNT], y[COUNT], scratch[COUNT];
    state = 9;
    for (int i = 0; i < COUNT; i++) {
        x[i] = i;
        y[i] = (i >= 130 ? 10 : 0) + normal() / 4;
    }
    struct weir_change change = weir_change_find(x, y, COUNT, scratch);
    ck_assert_uint_eq(change.at, 130);
    ck_assert_double_eq_tol(change.jump, 10, 0.5);
    ck_assert_double_gt(change.explained, 0.95);
    ck_assert_double_lt(change.of_line, change.explained);
    for (int i = 0; i < COUNT; i++)
        y[i] = 4;
    ck_assert_uint_eq(weir_change_find(x, y, COUNT, scratch).at, 0);
    ck_assert_uint_eq(weir_change_find(x, y, 3, scratch).at, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("series");
    TCase *tests = tcase_create("series");
    tcase_add_loop_test(tests, medians_are_those_of_sorting, 0, 200);
    tcase_add_test(tests, quantiles_of_the_normal);
    tcase_add_test(tests, troughs_are_the_lowest_of_each_window);
    tcase_add_test(tests, theil_sen_leaves_outliers_aside);
    tcase_add_test(tests, mann_kendall_by_hand);
    tcase_add_test(tests, autocorrelation_lowers_z);
    tcase_add_test(tests, noise_knows_a_walk);
    tcase_add_loop_test(tests, slope_errors_are_honest, 0, 3);
    tcase_add_test(tests, the_best_split_is_found);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
