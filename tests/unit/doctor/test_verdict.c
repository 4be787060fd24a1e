/* The rules, one synthetic process for each; what is said of it; and input that is not whole. The
 * error rates are tests/doctor's and bench/calibrate's matter. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/verdict.h"
#include "doctor/verdict_limits.h"

#define COUNT 240
#define MIB 1048576.0

static double seconds[COUNT], resident[COUNT], live[COUNT], held[COUNT], done[COUNT];
static double cache[COUNT], cache_limit[COUNT];
static struct weir_series series;
static struct weir_verdict_terms terms;
static uint64_t state;

static double jitter(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53 - 0.5;
}

/* A quiet process: 100 MiB live, 110 held, all known. */
static void begin(void)
{
    state = 77;
    for (int i = 0; i < COUNT; i++) {
        seconds[i] = 10 * i;
        done[i] = 1000.0 * i;
        live[i] = (100 + jitter()) * MIB;
        held[i] = 110 * MIB;
        resident[i] = (112 + 0.1 * jitter()) * MIB;
        cache[i] = 0;
        cache_limit[i] = 40 * MIB;
    }
    series = (struct weir_series){.count = COUNT,
                                  .seconds = seconds,
                                  .resident = resident,
                                  .live = live,
                                  .system = held,
                                  .operations = done};
    terms = (struct weir_verdict_terms){.class_count = 1, .budget_bytes = 1024 * MIB};
}

static struct weir_verdict judge(void)
{
    struct weir_verdict verdict;
    struct weir_error error = {0};
    ck_assert_msg(weir_verdict_judge(&series, &terms, &verdict, &error) == WEIR_OK, "%s",
                  error.message);
    return verdict;
}

static void add(double *to, double mib, int i)
{
    to[i] += mib * MIB;
}

static void add_all(double mib, int i)
{
    add(live, mib, i);
    add(held, mib, i);
    add(resident, mib, i);
}

static void make_leak(void)
{
    for (int i = 0; i < COUNT; i++)
        add_all(0.05 * i, i);
}

START_TEST(quiet_is_no_growth)
{
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_HIGH_WATER);
    ck_assert_int_eq(verdict.confidence, WEIR_CONFIDENCE_HIGH);
    char text[WEIR_VERDICT_TEXT_SIZE];
    weir_verdict_headline(&verdict, text, sizeof text);
    ck_assert_str_eq(text, "Verdict: no growth (high confidence).");
}
END_TEST

START_TEST(live_bytes_that_rise_are_a_leak)
{
    make_leak();
    terms.limit_bytes = 2048 * MIB;
    terms.used_bytes = 1024 * MIB;
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_LEAK);
    ck_assert_int_eq(verdict.confidence, WEIR_CONFIDENCE_HIGH);
    const struct weir_verdict_evidence *evidence = &verdict.evidence;
    ck_assert_str_eq(evidence->basis, "live");
    ck_assert_str_eq(evidence->time_base, "operations");
    ck_assert_double_eq_tol(evidence->slope, 0.05 * MIB / 1000, 3);
    ck_assert_double_eq_tol(evidence->per_hour, 18 * MIB, MIB);
    ck_assert_double_lt(evidence->slope_low, evidence->slope);
    /* 1 GiB at 18 MiB an hour. */
    ck_assert_double_eq_tol(evidence->limit_hours, 1024.0 / 18, 3);
    ck_assert_double_lt(evidence->limit_hours_low, evidence->limit_hours);
    ck_assert_double_gt(evidence->limit_hours_high, evidence->limit_hours);
}
END_TEST

START_TEST(resident_alone_is_never_sure_of_a_leak)
{
    make_leak();
    series.live = series.system = series.operations = NULL;
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_LEAK);
    ck_assert_int_eq(verdict.confidence, WEIR_CONFIDENCE_LOW);
    ck_assert_str_eq(verdict.evidence.time_base, "seconds");
    char text[WEIR_VERDICT_TEXT_SIZE];
    bool is_said = false;
    for (size_t i = 0; weir_verdict_sentence(&verdict, "rss", i, text, sizeof text); i++)
        is_said = is_said || strstr(text, "fragmentation") != NULL;
    ck_assert(is_said);
    /* What the allocator holds stays: the growth is of pages it has already. */
    series.system = held;
    for (int i = 0; i < COUNT; i++)
        held[i] = 200 * MIB;
    ck_assert_int_ne(judge().kind, WEIR_VERDICT_LEAK);
}
END_TEST

START_TEST(what_the_allocator_keeps_is_retention)
{
    for (int i = 0; i < COUNT; i++) {
        add(held, 24 * (i / 12 < 16 ? i / 12 : 16), i);
        add(resident, 24 * (i / 12 < 16 ? i / 12 : 16), i);
    }
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_RETENTION);
    ck_assert_double_gt(verdict.evidence.explained, 0.95);
    ck_assert_double_eq_tol(verdict.evidence.held, (10 + 384) * MIB, 2 * MIB);
    terms.has_probe = true;
    terms.probe_released = 300 * MIB;
    ck_assert_int_eq(judge().confidence, WEIR_CONFIDENCE_HIGH);
    terms.probe_released = 30 * MIB;
    verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_RETENTION);
    ck_assert_int_eq(verdict.confidence, WEIR_CONFIDENCE_LOW);
}
END_TEST

/* An allocator that grew to hold what the program held at its peak only did as it was told. */
START_TEST(a_peak_of_the_program_is_not_retention)
{
    for (int i = 0; i < COUNT; i++) {
        add(live, i >= 60 && i < 70 ? 80 : 0, i);
        add(held, i >= 60 ? 80 : 0, i);
        add(resident, i >= 60 ? 80 : 0, i);
    }
    ck_assert_int_ne(judge().kind, WEIR_VERDICT_RETENTION);
}
END_TEST

static void fill_cache(double rate)
{
    series.cache = cache;
    series.cache_limit = cache_limit;
    for (int i = 0; i < COUNT; i++) {
        double fill = fmin(40, rate * i);
        add(cache, fill, i);
        add_all(fill, i);
    }
}

START_TEST(a_cache_below_its_limit_explains)
{
    fill_cache(_i == 0 ? 0.1 : 1);
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_CACHE_FILL);
    ck_assert_double_eq_tol(verdict.evidence.plateau, (112 + 40) * MIB, 2 * MIB);
}
END_TEST

START_TEST(a_leak_beside_a_cache_is_found)
{
    fill_cache(0.2);
    make_leak();
    ck_assert_int_eq(judge().kind, WEIR_VERDICT_LEAK);
}
END_TEST

START_TEST(a_cache_without_limit_decides_nothing)
{
    fill_cache(0.1);
    series.cache_limit = NULL;
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_UNDECIDED);
    ck_assert_int_eq(verdict.doubt, WEIR_DOUBT_NO_LIMIT);
}
END_TEST

START_TEST(entries_are_weighed)
{
    fill_cache(0.1);
    series.is_cache_entries = true;
    for (int i = 0; i < COUNT; i++) {
        cache[i] = floor(cache[i] / 2000);
        cache_limit[i] = 40 * MIB / 2000;
    }
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_CACHE_FILL);
    ck_assert_int_eq(verdict.confidence, WEIR_CONFIDENCE_MEDIUM);
    ck_assert_double_eq_tol(verdict.evidence.plateau, (112 + 40) * MIB, 4 * MIB);
}
END_TEST

START_TEST(one_change_of_level_is_a_step)
{
    for (int i = 100; i < COUNT; i++)
        add_all(30, i);
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_STEP);
    ck_assert_double_eq_tol(verdict.evidence.jump, 30 * MIB, MIB);
    ck_assert_double_eq(verdict.evidence.jump_seconds, 1000);
}
END_TEST

START_TEST(growth_that_ended_is_a_high_water_mark)
{
    for (int i = 0; i < COUNT; i++)
        add_all(60 * (1 - exp(-i / 25.0)), i);
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_HIGH_WATER);
    char text[WEIR_VERDICT_TEXT_SIZE];
    weir_verdict_headline(&verdict, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "High-water mark reached"));
}
END_TEST

START_TEST(peaks_over_steady_troughs_are_churn)
{
    for (int i = 0; i < COUNT; i++) {
        add(live, 3 * (i % 15), i);
        add(resident, 3 * (i % 15), i);
        held[i] = 160 * MIB;
    }
    ck_assert_int_eq(judge().kind, WEIR_VERDICT_CHURN);
}
END_TEST

START_TEST(slowing_growth_is_undecided)
{
    for (int i = 0; i < COUNT; i++)
        add_all(60 * (1 - exp(-i / 100.0)), i);
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_UNDECIDED);
    ck_assert_int_eq(verdict.doubt, WEIR_DOUBT_SLOWING);
    ck_assert_uint_gt(verdict.samples_needed, 0);
}
END_TEST

START_TEST(growth_that_nothing_explains_is_undecided)
{
    for (int i = 0; i < COUNT; i++)
        add(resident, 0.02 * i, i);
    for (int i = 0; i < COUNT; i++)
        held[i] = 200 * MIB;
    series.live = live;
    struct weir_verdict verdict = judge();
    ck_assert_int_ne(verdict.kind, WEIR_VERDICT_LEAK);
}
END_TEST

START_TEST(few_samples_say_how_many_are_missing)
{
    for (series.count = 0; series.count < WEIR_VERDICT_SAMPLES_MIN; series.count++) {
        struct weir_verdict verdict = judge();
        ck_assert_int_eq(verdict.kind, WEIR_VERDICT_UNDECIDED);
        ck_assert_int_eq(verdict.doubt, WEIR_DOUBT_FEW_SAMPLES);
        ck_assert_uint_eq(verdict.samples_needed, WEIR_VERDICT_SAMPLES_MIN - series.count);
        char text[WEIR_VERDICT_TEXT_SIZE];
        for (size_t i = 0; weir_verdict_sentence(&verdict, "rss", i, text, sizeof text); i++)
            ck_assert_ptr_null(strstr(text, "nan"));
    }
    ck_assert_int_ne(judge().doubt, WEIR_DOUBT_FEW_SAMPLES);
}
END_TEST

START_TEST(gaps_are_left_out)
{
    make_leak();
    for (int i = 0; i < COUNT; i += 6)
        live[i] = NAN;
    resident[3] = NAN;
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_LEAK);
    ck_assert_str_eq(verdict.evidence.basis, "live");
    ck_assert_uint_eq(verdict.samples, COUNT - 41);
    for (int i = 0; i < COUNT; i += 2)
        live[i] = INFINITY;
    verdict = judge();
    ck_assert_str_eq(verdict.evidence.basis, "resident");
    ck_assert_int_eq(verdict.confidence, WEIR_CONFIDENCE_LOW);
}
END_TEST

START_TEST(resident_bytes_that_are_missing_decide_nothing)
{
    for (int i = 0; i < COUNT; i++)
        resident[i] = i % 2 == 0 ? NAN : MIB;
    struct weir_verdict verdict = judge();
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_UNDECIDED);
    ck_assert_int_eq(verdict.doubt, WEIR_DOUBT_FEW_SAMPLES);
}
END_TEST

START_TEST(extremes_are_judged_too)
{
    static const double VALUES[] = {0, 1e300, -1e300, 4096, 1e18};
    for (size_t v = 0; v < sizeof VALUES / sizeof VALUES[0]; v++) {
        begin();
        for (int i = 0; i < COUNT; i++)
            resident[i] = live[i] = held[i] = i % (2 + (int)v) == 0 ? VALUES[v] : 0;
        (void)judge();
        for (int i = 0; i < COUNT; i++)
            seconds[i] = done[i] = 5;
        ck_assert_int_eq(judge().kind, WEIR_VERDICT_UNDECIDED);
    }
}
END_TEST

START_TEST(many_classes_share_the_error)
{
    struct weir_verdict one = judge();
    terms.class_count = 20;
    ck_assert_double_gt(judge().evidence.critical, one.evidence.critical + 0.5);
}
END_TEST

START_TEST(misuse_is_refused)
{
    struct weir_verdict verdict;
    struct weir_error error = {0};
    series.count = WEIR_VERDICT_SAMPLES_MAX + 1;
    ck_assert_int_eq(weir_verdict_judge(&series, &terms, &verdict, &error), WEIR_INVALID_ARGUMENT);
    series.count = COUNT;
    series.resident = NULL;
    ck_assert_int_eq(weir_verdict_judge(&series, &terms, &verdict, NULL), WEIR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(a_leak_speaks_for_the_process)
{
    struct weir_verdict verdicts[3] = {
        {.kind = WEIR_VERDICT_HIGH_WATER, .evidence = {.resident_grown = 10}},
        {.kind = WEIR_VERDICT_LEAK, .evidence = {.resident_grown = 1}},
        {.kind = WEIR_VERDICT_RETENTION, .evidence = {.resident_grown = 100}}};
    ck_assert_uint_eq(weir_verdict_overall(verdicts, 3), 1);
    verdicts[1].kind = WEIR_VERDICT_UNDECIDED;
    ck_assert_uint_eq(weir_verdict_overall(verdicts, 3), 2);
    verdicts[2].evidence.resident_grown = NAN;
    ck_assert_uint_eq(weir_verdict_overall(verdicts, 3), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *tests = tcase_create("verdict");
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, quiet_is_no_growth);
    tcase_add_test(tests, live_bytes_that_rise_are_a_leak);
    tcase_add_test(tests, resident_alone_is_never_sure_of_a_leak);
    tcase_add_test(tests, what_the_allocator_keeps_is_retention);
    tcase_add_test(tests, a_peak_of_the_program_is_not_retention);
    tcase_add_loop_test(tests, a_cache_below_its_limit_explains, 0, 2);
    tcase_add_test(tests, a_leak_beside_a_cache_is_found);
    tcase_add_test(tests, a_cache_without_limit_decides_nothing);
    tcase_add_test(tests, entries_are_weighed);
    tcase_add_test(tests, one_change_of_level_is_a_step);
    tcase_add_test(tests, growth_that_ended_is_a_high_water_mark);
    tcase_add_test(tests, peaks_over_steady_troughs_are_churn);
    tcase_add_test(tests, slowing_growth_is_undecided);
    tcase_add_test(tests, growth_that_nothing_explains_is_undecided);
    tcase_add_test(tests, few_samples_say_how_many_are_missing);
    tcase_add_test(tests, gaps_are_left_out);
    tcase_add_test(tests, resident_bytes_that_are_missing_decide_nothing);
    tcase_add_test(tests, extremes_are_judged_too);
    tcase_add_test(tests, many_classes_share_the_error);
    tcase_add_test(tests, misuse_is_refused);
    tcase_add_test(tests, a_leak_speaks_for_the_process);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
