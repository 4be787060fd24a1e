/* The doctor's verdicts on real processes: each kind of growth and its quiet twin, watched from
 * outside with nothing but /proc and the process's own counters, as many steps as samples. Time is
 * the fixture's operations, so the test does not depend on the machine's speed.
 *
 * The thresholds were tuned on the seeds 1 to 3; these are others. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "doctor/record.h"
#include "doctor/watch_process.h"
#include "growth_fixture.h"
#include "tests/run_suite.h"

#define KIND(x) (1u << WEIR_VERDICT_##x)

static const int SEEDS[] = {104729, 1299709};

static const struct growth_case {
    const char *kind;
    unsigned verdicts; /* any of these */
    enum weir_verdict_confidence least;
    enum {
        GREW,
        STAYED,
        SWINGS
    } growth; /* by more than the floor; churn's ends are of its phase */
    int steps;
    int seed; /* of SEEDS */
} CASES[] = {
    {"drift", KIND(RETENTION), WEIR_CONFIDENCE_MEDIUM, GREW, 96, 0},
    {"drift_clean", KIND(HIGH_WATER), WEIR_CONFIDENCE_MEDIUM, STAYED, 96, 0},
    {"leak", KIND(LEAK), WEIR_CONFIDENCE_HIGH, GREW, 200, 0},
    {"leak", KIND(LEAK), WEIR_CONFIDENCE_HIGH, GREW, 200, 1},
    {"quiet", KIND(HIGH_WATER), WEIR_CONFIDENCE_MEDIUM, STAYED, 200, 0},
    {"quiet", KIND(HIGH_WATER), WEIR_CONFIDENCE_MEDIUM, STAYED, 200, 1},
    {"cache", KIND(CACHE_FILL), WEIR_CONFIDENCE_HIGH, GREW, 120, 0},
    {"cache", KIND(CACHE_FILL), WEIR_CONFIDENCE_HIGH, GREW, 120, 1},
    {"full_cache", KIND(HIGH_WATER), WEIR_CONFIDENCE_MEDIUM, STAYED, 120, 0},
    {"full_cache", KIND(HIGH_WATER), WEIR_CONFIDENCE_MEDIUM, STAYED, 120, 1},
    {"high_water", KIND(HIGH_WATER), WEIR_CONFIDENCE_MEDIUM, GREW, 120, 0},
    {"high_water", KIND(HIGH_WATER), WEIR_CONFIDENCE_MEDIUM, GREW, 120, 1},
    {"step", KIND(STEP), WEIR_CONFIDENCE_MEDIUM, GREW, 120, 0},
    {"step", KIND(STEP), WEIR_CONFIDENCE_MEDIUM, GREW, 120, 1},
    {"churn", KIND(CHURN), WEIR_CONFIDENCE_MEDIUM, SWINGS, 240, 0},
    {"churn", KIND(CHURN), WEIR_CONFIDENCE_MEDIUM, SWINGS, 240, 1},
    {"churn_leak", KIND(LEAK), WEIR_CONFIDENCE_MEDIUM, GREW, 240, 0},
    {"churn_leak", KIND(LEAK), WEIR_CONFIDENCE_MEDIUM, GREW, 240, 1},
};
#define CASE_COUNT (sizeof CASES / sizeof CASES[0])

/* --- a fixture ------------------------------------------------------------------------------ */

struct fixture {
    pid_t pid;
    int to, from;
    struct growth_report report;
};

static void start(struct fixture *fixture, const char *kind, int seed, int steps)
{
    int to[2], from[2];
    ck_assert_int_eq(pipe(to), 0);
    ck_assert_int_eq(pipe(from), 0);
    char seed_text[16], steps_text[16];
    (void)snprintf(seed_text, sizeof seed_text, "%d", seed);
    (void)snprintf(steps_text, sizeof steps_text, "%d", steps);
    fixture->pid = fork();
    ck_assert_int_ge(fixture->pid, 0);
    if (fixture->pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        (void)close(to[1]);
        (void)close(from[0]);
        (void)unsetenv("MALLOC_ARENA_MAX");
        (void)execl(GROWTH_FIXTURE, "growth_fixture", kind, seed_text, steps_text, (char *)NULL);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    fixture->to = to[1];
    fixture->from = from[0];
}

/* One command; false when the fixture is gone. */
static bool command(struct fixture *fixture, char what)
{
    size_t size = 0;
    if (write(fixture->to, &what, 1) != 1)
        return false;
    while (size < sizeof fixture->report) {
        ssize_t got =
            read(fixture->from, (char *)&fixture->report + size, sizeof fixture->report - size);
        if (got <= 0)
            return false;
        size += (size_t)got;
    }
    return true;
}

static void stop(struct fixture *fixture)
{
    (void)kill(fixture->pid, SIGKILL);
    (void)waitpid(fixture->pid, NULL, 0);
    (void)close(fixture->to);
    (void)close(fixture->from);
}

/* --- a watch of it ---------------------------------------------------------------------------- */

static uint64_t clock_ns;

static uint64_t read_clock(void *context)
{
    (void)context;
    return clock_ns;
}

static enum weir_status take(void *context, struct weir_watch_sample *sample,
                             struct weir_error *error)
{
    struct fixture *fixture = context;
    struct weir_doctor_snapshot snapshot;
    char pid[16];
    (void)snprintf(pid, sizeof pid, "%d", (int)fixture->pid);
    enum weir_status status =
        weir_doctor_read(&(struct weir_doctor_options){.root = ""}, pid, &snapshot, error);
    if (status != WEIR_OK)
        return status;
    weir_watch_process_fill(&snapshot, sample);
    sample->operations = fixture->report.operations;
    if (fixture->report.cache >= 0) {
        sample->cache = fixture->report.cache;
        sample->cache_limit = fixture->report.cache_limit;
    }
    return WEIR_OK;
}

static bool wait_step(void *context, uint64_t until_ns)
{
    clock_ns = until_ns;
    return command(context, GROWTH_GO);
}

static struct weir_watch *watch_fixture(struct fixture *fixture, int steps,
                                        enum weir_watch_end *ret_end)
{
    struct weir_watch *watch = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_watch_new(&watch, &error) == WEIR_OK, "%s", error.message);
    ck_assert_msg(weir_watch_process_classes(watch, &error) == WEIR_OK, "%s", error.message);
    clock_ns = 1;
    weir_clock_replace(read_clock, NULL);
    struct weir_watch_loop loop = {.duration_ns = UINT64_C(1000000000) * (uint64_t)(steps - 1),
                                   .interval_ns = 1000000000,
                                   .take = take,
                                   .wait = wait_step,
                                   .context = fixture};
    ck_assert(command(fixture, GROWTH_GO));
    ck_assert_msg(weir_watch_run(watch, &loop, ret_end, &error) == WEIR_OK, "%s", error.message);
    return watch;
}

static struct weir_verdict judge(const struct weir_watch *watch,
                                 const struct weir_watch_probe *probe, size_t *ret_class)
{
    struct weir_watch_verdicts verdicts;
    struct weir_error error = {0};
    ck_assert_msg(weir_watch_judge(watch, probe, &verdicts, &error) == WEIR_OK, "%s",
                  error.message);
    *ret_class = verdicts.of[verdicts.overall].class;
    return verdicts.of[verdicts.overall].verdict;
}

static void describe(const struct weir_watch *watch, const struct weir_verdict *verdict,
                     size_t class, char *text, size_t size)
{
    weir_verdict_headline(verdict, text, size);
    for (size_t i = 0;; i++) {
        size_t used = strlen(text);
        if (size - used < 2 + WEIR_VERDICT_TEXT_SIZE)
            return;
        (void)strncat(text, "\n  ", size - used - 1);
        used = strlen(text);
        if (!weir_verdict_sentence(verdict, weir_watch_class_text(watch, class), i, text + used,
                                   size - used))
            return;
    }
}

/* What a trim of the fixture gives back of malloc's resident memory. */
static double trim(struct fixture *fixture)
{
    struct weir_watch_sample before = weir_watch_sample_empty(0);
    struct weir_watch_sample after = before;
    struct weir_error error = {0};
    ck_assert_msg(take(fixture, &before, &error) == WEIR_OK, "%s", error.message);
    ck_assert(command(fixture, GROWTH_TRIM));
    ck_assert_msg(take(fixture, &after, &error) == WEIR_OK, "%s", error.message);
    return before.classes[1].resident - after.classes[1].resident;
}

/* --- tests --------------------------------------------------------------------------------- */

START_TEST(every_kind_of_growth_is_told)
{
    const struct growth_case *wanted = &CASES[_i];
    struct fixture fixture = {0};
    enum weir_watch_end end;
    start(&fixture, wanted->kind, SEEDS[wanted->seed], wanted->steps);
    struct weir_watch *watch = watch_fixture(&fixture, wanted->steps, &end);
    ck_assert_int_eq(end, WEIR_WATCH_COMPLETE);
    size_t class;
    struct weir_verdict verdict = judge(watch, NULL, &class);
    char text[4096];
    describe(watch, &verdict, class, text, sizeof text);
    if (getenv("GROWTH_SHOW") != NULL)
        printf("%s: %s: %s\n", wanted->kind, weir_watch_class_name(watch, class), text);
    ck_assert_msg((wanted->verdicts & 1u << verdict.kind) != 0, "%s: %s", wanted->kind, text);
    ck_assert_msg(verdict.confidence >= wanted->least, "%s: %s", wanted->kind, text);
    bool has_grown = verdict.evidence.resident_grown > WEIR_VERDICT_FLOOR_BYTES;
    ck_assert_msg(wanted->growth == SWINGS || has_grown == (wanted->growth == GREW), "%s: %s",
                  wanted->kind, text);
    /* The trim agrees with the verdict: it gives back what is retained, and nothing else. */
    struct weir_watch_probe probe = {.is_done = true, .released = trim(&fixture)};
    if (verdict.kind == WEIR_VERDICT_RETENTION) {
        verdict = judge(watch, &probe, &class);
        ck_assert_int_eq(verdict.kind, WEIR_VERDICT_RETENTION);
        ck_assert_int_eq(verdict.confidence, WEIR_CONFIDENCE_HIGH);
    } else if (wanted->growth == GREW) {
        ck_assert_double_lt(probe.released, 0.5 * verdict.evidence.resident_grown);
    }
    weir_watch_free(watch);
    stop(&fixture);
}
END_TEST

/* What the walk over malloc's chunks calls live is what the fixture knows that it holds. */
START_TEST(live_bytes_are_the_fixtures_own)
{
    struct fixture fixture = {0};
    start(&fixture, _i == 0 ? "leak" : "drift", 7, 60);
    for (int i = 0; i < 60; i++)
        ck_assert(command(&fixture, GROWTH_GO));
    struct weir_watch_sample sample = weir_watch_sample_empty(0);
    struct weir_error error = {0};
    ck_assert_msg(take(&fixture, &sample, &error) == WEIR_OK, "%s", error.message);
    double live = sample.classes[1].live;
    /* Headers, the program's start, and blocks that wait in its caches. */
    ck_assert_double_gt(live, fixture.report.live);
    ck_assert_double_lt(live, 1.1 * fixture.report.live + 512 * 1024);
    stop(&fixture);
}
END_TEST

/* The recording of a watch leads to the same verdict as the watch. */
struct recorder {
    struct weir_watch *watch;
    FILE *file;
};
static struct recorder recorder;

static void record(void *context, const struct weir_watch_sample *sample)
{
    (void)context;
    char *line = NULL;
    ck_assert_int_eq(weir_record_line(recorder.watch, sample, &line, NULL), WEIR_OK);
    (void)fputs(line, recorder.file);
    free(line);
}

START_TEST(a_recording_says_the_same)
{
    struct fixture fixture = {0};
    start(&fixture, "leak", 11, 120);
    char *text = NULL, *head = NULL;
    size_t size = 0, class, replayed_class;
    struct weir_error error = {0};
    recorder.file = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(recorder.file);
    ck_assert_int_eq(weir_watch_new(&recorder.watch, &error), WEIR_OK);
    ck_assert_int_eq(weir_watch_process_classes(recorder.watch, &error), WEIR_OK);
    ck_assert_int_eq(weir_record_head(recorder.watch, "a\nleak", &head, &error), WEIR_OK);
    (void)fputs(head, recorder.file);
    free(head);
    clock_ns = 1;
    weir_clock_replace(read_clock, NULL);
    struct weir_watch_loop loop = {.duration_ns = UINT64_C(1000000000) * 119,
                                   .interval_ns = 1000000000,
                                   .take = take,
                                   .wait = wait_step,
                                   .seen = record,
                                   .context = &fixture};
    enum weir_watch_end end;
    ck_assert_int_eq(weir_watch_run(recorder.watch, &loop, &end, &error), WEIR_OK);
    (void)fclose(recorder.file);
    struct weir_watch *replayed = NULL;
    ck_assert_msg(weir_record_parse("memory", text, size, &replayed, &error) == WEIR_OK, "%s",
                  error.message);
    struct weir_verdict verdict = judge(recorder.watch, NULL, &class);
    struct weir_verdict again = judge(replayed, NULL, &replayed_class);
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_LEAK);
    ck_assert_int_eq(again.kind, verdict.kind);
    ck_assert_int_eq(again.confidence, verdict.confidence);
    ck_assert_double_eq_tol(again.evidence.slope, verdict.evidence.slope, 1e-6);
    ck_assert_str_eq(weir_watch_class_name(replayed, replayed_class),
                     weir_watch_class_name(recorder.watch, class));
    weir_watch_free(replayed);
    weir_watch_free(recorder.watch);
    free(text);
    stop(&fixture);
}
END_TEST

static bool wait_and_kill(void *context, uint64_t until_ns)
{
    struct fixture *fixture = context;
    if (until_ns < 101 * UINT64_C(1000000000))
        return wait_step(context, until_ns);
    clock_ns = until_ns;
    (void)kill(fixture->pid, SIGKILL);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)fixture->pid, &info, WEXITED | WNOWAIT), 0);
    return true;
}

START_TEST(a_process_that_ends_is_judged_by_what_was_seen)
{
    struct fixture fixture = {0};
    start(&fixture, "leak", 13, 120);
    struct weir_watch *watch = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_watch_new(&watch, &error), WEIR_OK);
    ck_assert_int_eq(weir_watch_process_classes(watch, &error), WEIR_OK);
    clock_ns = 1;
    weir_clock_replace(read_clock, NULL);
    struct weir_watch_loop loop = {.duration_ns = UINT64_C(1000000000) * 120,
                                   .interval_ns = 1000000000,
                                   .take = take,
                                   .wait = wait_and_kill,
                                   .context = &fixture};
    enum weir_watch_end end;
    enum weir_status status = weir_watch_run(watch, &loop, &end, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    ck_assert_int_eq(end, WEIR_WATCH_GONE);
    size_t class;
    struct weir_verdict verdict = judge(watch, NULL, &class);
    ck_assert_uint_ge(verdict.samples, 100);
    ck_assert_int_eq(verdict.kind, WEIR_VERDICT_LEAK);
    weir_watch_free(watch);
    stop(&fixture);
}
END_TEST

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("growth");
    TCase *tests = tcase_create("growth");
    tcase_add_loop_test(tests, every_kind_of_growth_is_told, 0, (int)CASE_COUNT);
    tcase_add_loop_test(tests, live_bytes_are_the_fixtures_own, 0, 2);
    tcase_add_test(tests, a_recording_says_the_same);
    tcase_add_test(tests, a_process_that_ends_is_judged_by_what_was_seen);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
