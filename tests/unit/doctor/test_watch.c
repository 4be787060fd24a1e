/* Watches: thinning keeps troughs, peaks and time; the loop ends as it should; recordings are read
 * strictly; refused memory leaves nothing behind. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "doctor/record.h"
#include "doctor/watch.h"

#define MIB 1048576.0

static struct weir_watch *watch;
static struct weir_error error;

static void begin(void)
{
    error = (struct weir_error){0};
    ck_assert_int_eq(weir_watch_new(&watch, &error), WEIR_OK);
    ck_assert_int_eq(weir_watch_class_add(watch, "process", "The process", &error), WEIR_OK);
    ck_assert_int_eq(weir_watch_class_add(watch, "malloc", "malloc", &error), WEIR_OK);
}

static void end(void)
{
    weir_watch_free(watch);
    weir_error_done(&error);
}

static void add(double seconds, double resident, double live)
{
    struct weir_watch_sample sample = weir_watch_sample_empty(seconds);
    sample.operations = 100 * seconds;
    sample.classes[0].resident = resident;
    sample.classes[1] = (struct weir_watch_class){resident, live, resident};
    ck_assert_msg(weir_watch_add(watch, &sample, &error) == WEIR_OK, "%s", error.message);
}

static struct weir_verdict judge(size_t *ret_class)
{
    struct weir_watch_verdicts verdicts;
    ck_assert_msg(weir_watch_judge(watch, NULL, &verdicts, &error) == WEIR_OK, "%s", error.message);
    *ret_class = verdicts.of[verdicts.overall].class;
    return verdicts.of[verdicts.overall].verdict;
}

START_TEST(a_long_watch_is_thinned)
{
    /* A sawtooth with a leak below: only the troughs tell, and they survive every merging. */
    for (int i = 0; i < 100000; i++)
        add(i, (50 + 10 * (i % 20 != 0) + 0.0005 * i) * MIB, (40 + 0.0005 * i) * MIB);
    struct weir_watch_count count = weir_watch_count(watch);
    ck_assert_uint_eq(count.seen, 100000);
    ck_assert_uint_le(count.kept, WEIR_VERDICT_SAMPLES_MAX);
    ck_assert_uint_ge(count.kept, WEIR_VERDICT_SAMPLES_MAX / 2);
    ck_assert_uint_eq(count.merged, 128);
    ck_assert_double_eq(count.seconds, 99999 - 127 * (count.seconds < 99999));
    size_t class;
    struct weir_verdict verdict = judge(&class);
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_LEAK);
    ck_assert_uint_eq(class, 1);
    ck_assert_double_eq_tol(verdict.evidence.slope, 0.0005 * MIB / 100, 0.05);
}
END_TEST

START_TEST(peaks_survive_thinning)
{
    for (int i = 0; i < 5000; i++)
        add(i, (50 + 30 * (i % 20 == 7)) * MIB, 40 * MIB);
    size_t class;
    struct weir_verdict verdict = judge(&class);
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_CHURN);
    ck_assert_double_eq_tol(verdict.evidence.amplitude, 30 * MIB, MIB);
}
END_TEST

START_TEST(classes_that_stand_still_are_not_judged)
{
    ck_assert_int_eq(weir_watch_class_add(watch, "still", "still", &error), WEIR_OK);
    for (int i = 0; i < 200; i++) {
        struct weir_watch_sample sample = weir_watch_sample_empty(i);
        sample.classes[0].resident = (90 + i) * MIB;
        sample.classes[1].resident = (80 + i) * MIB;
        sample.classes[2].resident = 10 * MIB;
        ck_assert_int_eq(weir_watch_add(watch, &sample, &error), WEIR_OK);
    }
    struct weir_watch_verdicts verdicts;
    ck_assert_int_eq(weir_watch_judge(watch, NULL, &verdicts, &error), WEIR_OK);
    ck_assert_uint_eq(verdicts.count, 2);
    ck_assert_uint_eq(verdicts.of[verdicts.overall].class, 1);
}
END_TEST

/* What no class makes is the whole process's. */
START_TEST(growth_outside_the_classes_is_the_processs)
{
    for (int i = 0; i < 200; i++) {
        struct weir_watch_sample sample = weir_watch_sample_empty(i);
        sample.classes[0].resident = (90 + i) * MIB;
        sample.classes[1].resident = (80 + (i % 2)) * MIB;
        ck_assert_int_eq(weir_watch_add(watch, &sample, &error), WEIR_OK);
    }
    size_t class;
    ck_assert_int_eq(judge(&class).kind, WEIR_VERDICT_LEAK);
    ck_assert_uint_eq(class, 0);
}
END_TEST

START_TEST(time_does_not_go_back)
{
    add(5, MIB, MIB);
    struct weir_watch_sample sample = weir_watch_sample_empty(4);
    ck_assert_int_eq(weir_watch_add(watch, &sample, &error), WEIR_STATE);
    weir_error_done(&error);
    sample.seconds = NAN;
    ck_assert_int_eq(weir_watch_add(watch, &sample, NULL), WEIR_STATE);
    ck_assert_uint_eq(weir_watch_count(watch).seen, 1);
}
END_TEST

START_TEST(classes_are_limited)
{
    enum weir_status status = WEIR_OK;
    for (size_t i = 2; i <= WEIR_VERDICT_CLASSES_MAX; i++)
        status = weir_watch_class_add(watch, "x", "x", &error);
    ck_assert_int_eq(status, WEIR_LIMIT);
}
END_TEST

/* --- the loop ------------------------------------------------------------------------------ */

static struct {
    uint64_t now_ns;
    uint64_t cost_ns; /* of a sample */
    int taken, waits, stop_at, fail_from, fail_count;
    enum weir_status failure;
} run;

static uint64_t read_clock(void *context)
{
    (void)context;
    return run.now_ns;
}

static enum weir_status take(void *context, struct weir_watch_sample *sample,
                             struct weir_error *report)
{
    (void)context;
    run.now_ns += run.cost_ns;
    int number = run.taken++;
    if (number >= run.fail_from && number < run.fail_from + run.fail_count)
        return weir_error_set(report, run.failure, WEIR_NO_OFFSET, "failed");
    sample->classes[0].resident = MIB;
    return WEIR_OK;
}

static bool wait_until(void *context, uint64_t until_ns)
{
    (void)context;
    run.now_ns = until_ns;
    return ++run.waits != run.stop_at;
}

static enum weir_status run_loop(enum weir_watch_end *ret_end)
{
    struct weir_watch_loop loop = {.duration_ns = UINT64_C(100000000000),
                                   .interval_ns = 1000000000,
                                   .take = take,
                                   .wait = wait_until};
    weir_clock_replace(read_clock, NULL);
    return weir_watch_run(watch, &loop, ret_end, &error);
}

static const struct {
    uint64_t cost_ms;
    int stop_at, fail_from, fail_count;
    enum weir_status failure;
    enum weir_status status;
    enum weir_watch_end end;
    int taken;
} RUNS[] = {
    {0, 0, 0, 0, WEIR_OK, WEIR_OK, WEIR_WATCH_COMPLETE, 101},
    {50, 0, 0, 0, WEIR_OK, WEIR_OK, WEIR_WATCH_COMPLETE, 101},
    /* A sample of 1 s every 10 s. */
    {1000, 0, 0, 0, WEIR_OK, WEIR_OK, WEIR_WATCH_COMPLETE, 11},
    {0, 7, 0, 0, WEIR_OK, WEIR_OK, WEIR_WATCH_STOPPED, 7},
    {0, 0, 20, 1000, WEIR_NOT_FOUND, WEIR_OK, WEIR_WATCH_GONE, 21},
    {0, 0, 20, 1000, WEIR_STATE, WEIR_OK, WEIR_WATCH_GONE, 21},
    {0, 0, 20, 9, WEIR_IO, WEIR_OK, WEIR_WATCH_COMPLETE, 101},
    {0, 0, 20, 1000, WEIR_IO, WEIR_IO, WEIR_WATCH_COMPLETE, 30},
    {0, 0, 0, 1, WEIR_IO, WEIR_IO, WEIR_WATCH_COMPLETE, 1},
    {0, 0, 0, 1, WEIR_NOT_FOUND, WEIR_NOT_FOUND, WEIR_WATCH_COMPLETE, 1},
};

START_TEST(the_loop_ends_as_it_should)
{
    run.now_ns = 5;
    run.taken = run.waits = 0;
    run.cost_ns = RUNS[_i].cost_ms * 1000000;
    run.stop_at = RUNS[_i].stop_at;
    run.fail_from = RUNS[_i].fail_from;
    run.fail_count = RUNS[_i].fail_count;
    run.failure = RUNS[_i].failure;
    enum weir_watch_end how = WEIR_WATCH_COMPLETE;
    ck_assert_int_eq(run_loop(&how), RUNS[_i].status);
    ck_assert_int_eq(how, RUNS[_i].end);
    ck_assert_int_eq(run.taken, RUNS[_i].taken);
}
END_TEST

/* --- recordings ---------------------------------------------------------------------------- */

START_TEST(recordings_are_read_back)
{
    struct weir_watch_sample sample = weir_watch_sample_empty(1.25);
    sample.operations = 7;
    sample.limit_bytes = 99;
    sample.classes[1].live = 12345678901234.0;
    char *head = NULL, *line = NULL;
    ck_assert_int_eq(weir_record_head(watch, "4711 nitro", &head, &error), WEIR_OK);
    ck_assert_int_eq(weir_record_line(watch, &sample, &line, &error), WEIR_OK);
    ck_assert_str_eq(head, "# weir doctor watch 1\n# 4711 nitro\n"
                           "seconds,operations,cache,cache_limit,limit,used,process.resident,"
                           "process.live,process.system,malloc.resident,malloc.live,"
                           "malloc.system\n");
    ck_assert_str_eq(line, "1.250,7,,,99,0,,,,,12345678901234,\n");
    free(head);
    free(line);
}
END_TEST

static const struct {
    const char *text;
    const char *message; /* NULL: it is read */
} TEXTS[] = {
    {"seconds,process.resident\n1,2\n", NULL},
    {"# c\n\nprocess.resident,seconds\r\n5,1\r\n6,1\r\n", NULL},
    {"seconds,a.resident,b.resident\n1,2,\n2,,4\n", NULL},
    {"seconds,cache_entries,cache_entries_limit,a.resident\n0,1,2,3\n", NULL},
    {"seconds,a.resident\n1e2,1.5E3\n", NULL},
    {"", "f, line 1: no sample"},
    {"seconds,process.resident\n", "f, line 2: no sample"},
    {"seconds\n1\n", "f, line 1: the columns seconds and CLASS.resident are needed"},
    {"process.resident\n1\n", "f, line 1: the columns seconds and CLASS.resident are needed"},
    {"seconds,process.live\n1,1\n", "f, line 1: the columns seconds and CLASS.resident"},
    {"seconds,a.resident,a.resident\n", "f, line 1: the column"},
    {"seconds,seconds,a.resident\n", "f, line 1: the column seconds stands twice"},
    {"seconds,a.resident,b.live\n", "f, line 1: b has no column b.resident"},
    {"seconds,a.weight\n", "f, line 1: unknown column a.weight"},
    {"seconds,A.resident\n", "f, line 1: unknown column"},
    {"seconds,.resident\n", "f, line 1: unknown column .resident"},
    {"seconds,cache_entries_x,a.resident\n", "f, line 1: unknown column cache_entries_x"},
    {"seconds,a.resident\n1\n", "f, line 2: 1 cells for 2 columns"},
    {"seconds,a.resident\n1,2,3\n", "f, line 2: more cells than columns (2)"},
    {"seconds,a.resident\n,2\n", "f, line 2: seconds are missing"},
    {"seconds,a.resident\n2,2\n1,2\n", "f, line 3: 1.000 s is earlier"},
    {"seconds,a.resident\n1,x\n", "f, line 2: x is no number"},
    {"seconds,a.resident\n1,-5\n", "f, line 2: -5 is no number"},
    {"seconds,a.resident\n1,nan\n", "f, line 2: nan is no number"},
    {"seconds,a.resident\n1,1e99\n", "f, line 2: 1e99 is no number"},
    {"seconds,a.resident\n1,0x10\n", "f, line 2: 0x10 is no number"},
    {"seconds,a.resident\n1, 5\n", "f, line 2:  5 is no number"},
};

START_TEST(recordings_are_read_strictly)
{
    struct weir_watch *read = NULL;
    enum weir_status status =
        weir_record_parse("f", TEXTS[_i].text, strlen(TEXTS[_i].text), &read, &error);
    if (TEXTS[_i].message == NULL) {
        ck_assert_msg(status == WEIR_OK, "%s", error.message);
    } else {
        ck_assert_int_eq(status, WEIR_MALFORMED);
        ck_assert_msg(strstr(error.message, TEXTS[_i].message) == error.message, "%s",
                      error.message);
    }
    weir_watch_free(read);
    ck_assert_int_eq(weir_record_parse("f", TEXTS[_i].text, strlen(TEXTS[_i].text), &read, NULL),
                     status);
    if (status == WEIR_OK)
        weir_watch_free(read);
}
END_TEST

/* Without a column for it the process is the sum of its classes. */
START_TEST(a_process_is_the_sum_of_its_classes)
{
    char text[16384];
    size_t used = (size_t)snprintf(text, sizeof text, "seconds,a.resident,b.resident\n");
    for (int i = 0; i < 120; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%d,%.0f,%.0f\n", i,
                                 (10 + i) * MIB, (500 - i) * MIB);
    struct weir_watch *read = NULL;
    ck_assert_int_eq(weir_record_parse("f", text, used, &read, &error), WEIR_OK);
    ck_assert_uint_eq(weir_watch_class_count(read), 3);
    struct weir_watch_verdicts verdicts;
    ck_assert_int_eq(weir_watch_judge(read, NULL, &verdicts, &error), WEIR_OK);
    ck_assert_str_eq(weir_watch_class_name(read, verdicts.of[verdicts.overall].class), "a");
    ck_assert_int_eq(verdicts.of[verdicts.overall].verdict.kind, WEIR_VERDICT_LEAK);
    weir_watch_free(read);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("watch");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_long_watch_is_thinned);
    tcase_add_test(tests, peaks_survive_thinning);
    tcase_add_test(tests, classes_that_stand_still_are_not_judged);
    tcase_add_test(tests, growth_outside_the_classes_is_the_processs);
    tcase_add_test(tests, time_does_not_go_back);
    tcase_add_test(tests, classes_are_limited);
    tcase_add_loop_test(tests, the_loop_ends_as_it_should, 0, sizeof RUNS / sizeof RUNS[0]);
    tcase_add_test(tests, recordings_are_read_back);
    tcase_add_loop_test(tests, recordings_are_read_strictly, 0, sizeof TEXTS / sizeof TEXTS[0]);
    tcase_add_test(tests, a_process_is_the_sum_of_its_classes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
