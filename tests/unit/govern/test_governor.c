/* The governor over injected figures and injected time: the ladder, policies for the unknown,
 * background tasks in order, admission with its refusal, reclaimers of the ledger, and the thread.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "govern/governor.h"
#include "tests/run_suite.h"

#define SECOND UINT64_C(1000000000)
#define MIB (UINT64_C(1) << 20)

static char file[64];
static uint64_t now_ns;
static struct weir_governor *governor;
static struct weir_governor_status status;
static char log_text[4096];

static void note(const char *format, ...) WEIR_PRINTF(1, 2);
static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t length = strlen(log_text);
    (void)vsnprintf(log_text + length, sizeof log_text - length, format, args);
    va_end(args);
}

#define LOG_IS(wanted)                                                                             \
    do {                                                                                           \
        ck_assert_str_eq(log_text, wanted);                                                        \
        log_text[0] = '\0';                                                                        \
    } while (0)

static void put(const char *text)
{
    FILE *to = fopen(file, "we");
    ck_assert_ptr_nonnull(to);
    (void)fputs(text, to);
    (void)fclose(to);
}

static unsigned now_free_mib;

static void put_free(unsigned free_mib)
{
    char text[64];
    now_free_mib = free_mib;
    (void)snprintf(text, sizeof text, "limit 1000MiB\nusage %uMiB\n", 1000 - free_mib);
    put(text);
}

static void on_event(void *context, const struct weir_governor_event *event)
{
    (void)context;
    switch (event->kind) {
    case WEIR_EVENT_STATE:
        note("%s:%s>%s ", event->action->name, weir_trigger_state_name(event->before),
             weir_trigger_state_name(event->action->trigger.state));
        break;
    case WEIR_EVENT_READ:
        note("failed ");
        break;
    case WEIR_EVENT_READ_GOOD:
        note("good ");
        break;
    case WEIR_EVENT_RECLAIMED:
        note("%s gave %lu ", event->action->name, (unsigned long)(event->bytes / MIB));
        break;
    case WEIR_EVENT_TASK:
        note("%s %s%s ", event->task->name, weir_task_state_name(event->task->state),
             event->status != WEIR_OK ? " failed" : "");
        break;
    default:
        break;
    }
}

static void open_governor(void)
{
    strncpy(file, "/tmp/weir-test-governor-XXXXXX", sizeof file - 1);
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    const struct weir_governor_config config = {
        .monitor = {.pressure_file = file}, .stale_ns = 3 * SECOND, .event = on_event};
    struct weir_error error = {0};
    now_ns = 1000 * SECOND;
    ck_assert_int_eq(weir_governor_new(&config, weir_account_host(), &governor, &error), WEIR_OK);
}

static void close_governor(void)
{
    weir_governor_free(governor);
    (void)unlink(file);
}

static void add(struct weir_action action, uint64_t enter_mib)
{
    action.when.enter_free_bytes = enter_mib * MIB;
    action.when.leave_free_bytes = (enter_mib + 50) * MIB;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_governor_add_action(governor, &action, &error), WEIR_OK);
}

static void poll_free(unsigned free_mib)
{
    put_free(free_mib);
    weir_governor_poll(governor, now_ns);
}

/* --- the ladder ----------------------------------------------------------------------------- */

static unsigned caches_give_mib;

static uint64_t shrink(void *context, uint64_t wanted_bytes)
{
    note("%s? %lu ", (const char *)context, (unsigned long)(wanted_bytes / MIB));
    struct weir_governor_status before;
    weir_governor_status(governor, now_ns, &before); /* from a callback: no lock is held */
    unsigned given = caches_give_mib;
    if (given > 0)
        put_free(now_free_mib + given);
    caches_give_mib = 0;
    return given * MIB;
}

static void hold(void *context, bool is_active, const struct weir_reading *reading)
{
    note("%s %s at %lu ", (const char *)context, is_active ? "on" : "off",
         (unsigned long)(reading->free_bytes / MIB));
}

START_TEST(the_ladder_is_climbed_in_order)
{
    add(
        (struct weir_action){
            .name = "caches", .kind = WEIR_ACTION_RECLAIM, .reclaim = shrink, .context = "caches"},
        400);
    add((struct weir_action){.name = "trim",
                             .kind = WEIR_ACTION_RECLAIM,
                             .reclaim = shrink,
                             .context = "trim",
                             .again_ns = 10 * SECOND},
        300);
    add(
        (struct weir_action){
            .name = "hold", .kind = WEIR_ACTION_HOLD, .set = hold, .context = "hold"},
        200);
    poll_free(800);
    LOG_IS("good caches:unknown>normal trim:unknown>normal hold:unknown>normal ");
    poll_free(390);
    LOG_IS("caches:normal>pressed caches? 60 ");
    /* What the first gives back spares the second. */
    caches_give_mib = 110;
    poll_free(290);
    weir_governor_status(governor, now_ns, &status);
    LOG_IS("caches? 160 caches gave 110 ");
    ck_assert_uint_eq(status.reading.free_bytes, 400 * MIB);
    poll_free(190);
    LOG_IS("caches? 260 trim:normal>pressed trim? 160 hold:normal>pressed hold on at 190 ");
    /* trim gives once, and then only after its pause. */
    caches_give_mib = 0;
    poll_free(180);
    LOG_IS("caches? 270 trim? 170 ");
    poll_free(500);
    LOG_IS("caches:pressed>normal trim:pressed>normal hold:pressed>normal hold off at 500 ");
}
END_TEST

START_TEST(a_rung_rests_after_it_gave)
{
    add((struct weir_action){.name = "stop",
                             .kind = WEIR_ACTION_RECLAIM,
                             .reclaim = shrink,
                             .context = "stop",
                             .again_ns = 10 * SECOND},
        300);
    caches_give_mib = 10;
    poll_free(100);
    LOG_IS("good stop:unknown>pressed stop? 250 stop gave 10 ");
    now_ns += 9 * SECOND;
    poll_free(100);
    LOG_IS("");
    now_ns += SECOND;
    poll_free(100);
    LOG_IS("stop? 250 ");
    weir_governor_status(governor, now_ns, &status);
    ck_assert_uint_eq(status.actions[0].calls, 2);
    ck_assert_uint_eq(status.actions[0].given_bytes, 10 * MIB);
}
END_TEST

static uint64_t ledger_asked;

static uint64_t ledger_reclaimer(void *context, uint64_t wanted_bytes)
{
    (void)context;
    ledger_asked = wanted_bytes;
    return 7 * MIB;
}

START_TEST(the_ledgers_reclaimers_are_asked)
{
    const struct weir_reclaimer reclaimer = {"test", ledger_reclaimer, NULL};
    ck_assert_int_eq(weir_ledger_add_reclaimer(&reclaimer, NULL), WEIR_OK);
    add((struct weir_action){.name = "caches", .kind = WEIR_ACTION_RECLAIM}, 400);
    poll_free(100);
    weir_ledger_remove_reclaimer("test", NULL);
    ck_assert_uint_eq(ledger_asked, 350 * MIB);
    LOG_IS("good caches:unknown>pressed caches gave 7 ");
}
END_TEST

/* --- admission ------------------------------------------------------------------------------ */

static void add_refuse(enum weir_unknown_policy policy)
{
    add((struct weir_action){.name = "refuse", .kind = WEIR_ACTION_REFUSE, .on_unknown = policy},
        100);
}

START_TEST(admission_follows_the_state)
{
    struct weir_refusal refusal;
    add_refuse(WEIR_UNKNOWN_CLOSED);
    ck_assert(!weir_governor_admit(governor, now_ns, &refusal)); /* before the first poll */
    ck_assert_int_eq(refusal.reason, WEIR_REASON_STALE);
    poll_free(101);
    ck_assert(weir_governor_admit(governor, now_ns, &refusal));
    poll_free(100);
    now_ns += 1840 * (SECOND / 1000);
    weir_governor_poll(governor, now_ns);
    ck_assert(!weir_governor_admit(governor, now_ns, &refusal));
    ck_assert_int_eq(refusal.reason, WEIR_REASON_SHORT);
    ck_assert_uint_eq(refusal.since_ms, 1840);
    ck_assert_uint_eq(refusal.limit_bytes, 1000 * MIB);
    ck_assert_uint_eq(refusal.used_bytes, 900 * MIB);
    ck_assert_uint_eq(refusal.free_bytes, 100 * MIB);
    ck_assert_uint_eq(refusal.free_limit_bytes, 100 * MIB);
    ck_assert_uint_eq(refusal.retry_s, 1);
    ck_assert_str_eq(refusal.binding, file);
    poll_free(151);
    ck_assert(weir_governor_admit(governor, now_ns, NULL));
    weir_governor_status(governor, now_ns, &status);
    ck_assert_uint_eq(status.admitted, 2);
    ck_assert_uint_eq(status.admitted_unknown, 0);
    ck_assert_uint_eq(status.refused[WEIR_REASON_SHORT], 1);
    ck_assert_uint_eq(status.refused[WEIR_REASON_STALE], 1);
}
END_TEST

START_TEST(unknown_follows_the_policy)
{
    bool is_open = _i == 0;
    struct weir_refusal refusal;
    add_refuse(is_open ? WEIR_UNKNOWN_OPEN : WEIR_UNKNOWN_CLOSED);
    poll_free(500);
    put("limit nonsense\n");
    now_ns += 3 * SECOND;
    weir_governor_poll(governor, now_ns);
    ck_assert(weir_governor_admit(governor, now_ns, NULL)); /* the last good one still counts */
    now_ns += SECOND;
    weir_governor_poll(governor, now_ns);
    ck_assert(weir_governor_admit(governor, now_ns, &refusal) == is_open);
    weir_governor_status(governor, now_ns, &status);
    ck_assert(status.is_read_failing);
    ck_assert_uint_eq(status.read_failures, 2);
    ck_assert_uint_eq(status.admitted_unknown, is_open ? 1 : 0);
    ck_assert_int_eq(status.actions[0].is_active, !is_open);
    if (!is_open) {
        ck_assert_int_eq(refusal.reason, WEIR_REASON_UNREAD);
        ck_assert(!refusal.has_figures);
        ck_assert_ptr_nonnull(strstr(refusal.why, "limit nonsense"));
    }
    /* Nobody polls any more. */
    poll_free(500);
    now_ns += 3 * SECOND;
    ck_assert(weir_governor_admit(governor, now_ns, NULL));
    ck_assert(weir_governor_admit(governor, now_ns + 1, NULL) == is_open);
    weir_governor_status(governor, now_ns + 1, &status);
    ck_assert(status.is_stale);
}
END_TEST

START_TEST(off_admits_whatever_is_read)
{
    const struct weir_action action = {.name = "refuse",
                                       .kind = WEIR_ACTION_REFUSE,
                                       .when.is_off = true,
                                       .on_unknown = WEIR_UNKNOWN_CLOSED};
    ck_assert_int_eq(weir_governor_add_action(governor, &action, NULL), WEIR_OK);
    poll_free(0);
    ck_assert(weir_governor_admit(governor, now_ns, NULL));
    put("");
    weir_governor_poll(governor, now_ns + 60 * SECOND);
    ck_assert(weir_governor_admit(governor, now_ns + 999 * SECOND, NULL));
}
END_TEST

START_TEST(the_refusal_is_json)
{
    char text[WEIR_REFUSAL_JSON_SIZE];
    struct weir_refusal refusal = {.reason = WEIR_REASON_SHORT,
                                   .has_figures = true,
                                   .limit_bytes = 2147483648,
                                   .used_bytes = 1392508928,
                                   .free_bytes = 754974720,
                                   .needs_bytes = 67108864,
                                   .free_limit_bytes = 1073741824,
                                   .since_ms = 1840,
                                   .binding =
                                       "/sys/fs/cgroup/a \"b\"\\x2d/\x01\xc3\xa4/memory.max"};
    size_t length = weir_refusal_json(&refusal, text, sizeof text);
    ck_assert_uint_eq(length, strlen(text));
    ck_assert_str_eq(text,
                     "{\"error\":\"memory\",\"reason\":\"free memory below mem_free_limit\","
                     "\"limit_bytes\":2147483648,\"used_bytes\":1392508928,"
                     "\"free_bytes\":754974720,\"needs_bytes\":67108864,"
                     "\"mem_free_limit_bytes\":1073741824,\"since_ms\":1840,"
                     "\"binding\":\"/sys/fs/cgroup/a \\\"b\\\"\\\\x2d/\\u0001?\?/memory.max\"}\n");
    /* The longest of all fits, and any shorter room is kept to. */
    memset(refusal.binding, 1, sizeof refusal.binding - 1);
    refusal.limit_bytes = refusal.used_bytes = refusal.free_bytes = UINT64_MAX;
    refusal.needs_bytes = refusal.free_limit_bytes = refusal.since_ms = UINT64_MAX;
    length = weir_refusal_json(&refusal, text, sizeof text);
    ck_assert_uint_lt(length, sizeof text - 1);
    ck_assert_str_eq(text + length - 3, "\"}\n");
    for (size_t size = 1; size < 200; size++) {
        memset(text, 'x', sizeof text);
        ck_assert_uint_lt(weir_refusal_json(&refusal, text, size), size);
        ck_assert_int_eq(text[size], 'x');
    }
}
END_TEST

/* --- background tasks ----------------------------------------------------------------------- */

static enum weir_status answers[3];

static enum weir_status set_task(void *context, bool is_paused, const struct weir_reading *reading,
                                 const char *reason)
{
    (void)reading;
    ck_assert(strlen(reason) > 0);
    const char *name = context;
    note("%s(%s) ", is_paused ? "pause" : "resume", name);
    return answers[name[0] - 'a'];
}

static void add_tasks(void)
{
    static const char *const names[] = {"a", "b", "c"};
    add((struct weir_action){.name = "pause", .kind = WEIR_ACTION_PAUSE}, 100);
    for (size_t i = 0; i < 3; i++) {
        const struct weir_task task = {names[i], set_task, (void *)(uintptr_t)names[i]};
        ck_assert_int_eq(weir_governor_add_task(governor, &task, NULL), WEIR_OK);
        answers[i] = WEIR_OK;
    }
}

START_TEST(tasks_pause_together_and_resume_in_order)
{
    add_tasks();
    poll_free(500);
    log_text[0] = '\0';
    poll_free(50);
    LOG_IS("pause:normal>pressed c pausing pause(c) c paused b pausing pause(b) b paused "
           "a pausing pause(a) a paused ");
    answers[1] = WEIR_PENDING;
    poll_free(500);
    LOG_IS("pause:pressed>normal a resuming resume(a) a running ");
    poll_free(500);
    LOG_IS("b resuming resume(b) ");
    poll_free(500); /* c waits until b runs */
    LOG_IS("resume(b) ");
    answers[1] = WEIR_OK;
    poll_free(500);
    LOG_IS("resume(b) b running ");
    poll_free(90); /* pressure comes back before c's turn */
    LOG_IS("pause:normal>pressed b pausing pause(b) b paused a pausing pause(a) a paused ");
    weir_governor_status(governor, now_ns, &status);
    ck_assert_int_eq(status.tasks[2].state, WEIR_TASK_PAUSED);
    ck_assert_uint_eq(status.tasks[1].pauses, 2);
    ck_assert_uint_eq(status.tasks[1].resumes, 1);
    ck_assert_str_eq(status.tasks[0].reason, "free memory below mem_free_limit");
}
END_TEST

START_TEST(a_task_that_fails_is_tried_again_and_keeps_nobody_waiting)
{
    add_tasks();
    poll_free(50);
    log_text[0] = '\0';
    answers[0] = WEIR_IO;
    poll_free(500);
    LOG_IS("pause:pressed>normal a resuming resume(a) a resuming failed ");
    poll_free(500);
    LOG_IS("b resuming resume(b) b running ");
    poll_free(500);
    LOG_IS("c resuming resume(c) c running ");
    poll_free(500);
    LOG_IS("");
    now_ns += WEIR_TASK_RETRY_NS;
    answers[0] = WEIR_OK;
    poll_free(500);
    LOG_IS("resume(a) a running ");
    weir_governor_status(governor, now_ns, &status);
    ck_assert_uint_eq(status.tasks[0].failures, 1);
}
END_TEST

/* --- registration, victims, thread ---------------------------------------------------------- */

START_TEST(registration_is_checked)
{
    struct weir_action action = {.name = "x", .kind = WEIR_ACTION_HOLD};
    struct weir_error error = {0};
    action.when = (struct weir_trigger_config){.enter_free_bytes = 2, .leave_free_bytes = 1};
    ck_assert_int_eq(weir_governor_add_action(governor, &action, &error), WEIR_INVALID_ARGUMENT);
    action.when = (struct weir_trigger_config){.transitions_max = 2};
    ck_assert_int_eq(weir_governor_add_action(governor, &action, NULL), WEIR_INVALID_ARGUMENT);
    action.when = (struct weir_trigger_config){0};
    action.kind = WEIR_ACTION_REFUSE;
    ck_assert_int_eq(weir_governor_add_action(governor, &action, NULL), WEIR_OK);
    ck_assert_int_eq(weir_governor_add_action(governor, &action, NULL), WEIR_EXISTS);
    action.kind = WEIR_ACTION_HOLD;
    for (unsigned i = 1; i < WEIR_GOVERNOR_ACTIONS_MAX; i++)
        ck_assert_int_eq(weir_governor_add_action(governor, &action, NULL), WEIR_OK);
    ck_assert_int_eq(weir_governor_add_action(governor, &action, NULL), WEIR_LIMIT);
    const struct weir_task task = {"a", set_task, "a"};
    for (unsigned i = 0; i < WEIR_GOVERNOR_TASKS_MAX; i++)
        ck_assert_int_eq(weir_governor_add_task(governor, &task, NULL), WEIR_OK);
    ck_assert_int_eq(weir_governor_add_task(governor, &task, NULL), WEIR_LIMIT);
    const struct weir_governor_config bad = {.monitor.pid = "12x"};
    struct weir_governor *none = NULL;
    ck_assert_int_eq(weir_governor_new(&bad, weir_account_host(), &none, NULL),
                     WEIR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(memory_may_be_refused)
{
    const struct weir_governor_config config = {.stale_ns = SECOND};
    for (uint64_t n = 1; n <= 2; n++) {
        struct weir_governor *none = NULL;
        struct weir_error error = {0};
        (void)weir_ledger_fail_nth(n);
        ck_assert_int_ne(weir_governor_new(&config, weir_account_host(), &none, &error), WEIR_OK);
        ck_assert_ptr_null(none);
        weir_error_done(&error);
    }
    (void)weir_ledger_fail_nth(0);
}
END_TEST

static void note_line(void *context, const char *line)
{
    (void)context;
    note("%s\n", line);
}

START_TEST(the_one_furthest_over_is_chosen)
{
    const struct weir_candidate candidates[] = {{"small", 30 * MIB, 10 * MIB},
                                                {"large", 500 * MIB, 600 * MIB},
                                                {"over", 90 * MIB, 40 * MIB},
                                                {"also", 150 * MIB, 100 * MIB}};
    ck_assert_int_eq(weir_candidates_worst(candidates, 4), 3);
    ck_assert_int_eq(weir_candidates_worst(candidates, 3), 2);
    ck_assert_int_eq(weir_candidates_worst(candidates + 1, 1), -1);
    ck_assert_int_eq(weir_candidates_worst(candidates, 0), -1);
    weir_candidates_explain(candidates, 2, note_line, NULL);
    LOG_IS("small                 30.0 MiB used  10.0 MiB guaranteed  20.0 MiB over  <-\n"
           "large                  500 MiB used   600 MiB guaranteed       0 B over\n");
}
END_TEST

START_TEST(the_own_thread_polls_until_it_is_stopped)
{
    struct weir_error error = {0};
    add_refuse(WEIR_UNKNOWN_CLOSED);
    put_free(500);
    ck_assert_int_eq(weir_governor_start(governor, SECOND / 1000, &error), WEIR_OK);
    ck_assert(weir_governor_admit(governor, weir_clock_ns(), NULL)); /* polled once already */
    put_free(10);
    struct weir_refusal refusal;
    while (weir_governor_admit(governor, weir_clock_ns(), &refusal))
        ; /* the test's own limit of time ends it */
    ck_assert_int_eq(refusal.reason, WEIR_REASON_SHORT);
    weir_governor_stop(governor);
    weir_governor_status(governor, weir_clock_ns(), &status);
    uint64_t polls = status.polls;
    ck_assert_uint_ge(polls, 2);
    weir_governor_stop(governor);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("governor");
    TCase *tests = tcase_create("governor");
    tcase_add_checked_fixture(tests, open_governor, close_governor);
    tcase_add_test(tests, the_ladder_is_climbed_in_order);
    tcase_add_test(tests, a_rung_rests_after_it_gave);
    tcase_add_test(tests, the_ledgers_reclaimers_are_asked);
    tcase_add_test(tests, admission_follows_the_state);
    tcase_add_loop_test(tests, unknown_follows_the_policy, 0, 2);
    tcase_add_test(tests, off_admits_whatever_is_read);
    tcase_add_test(tests, the_refusal_is_json);
    tcase_add_test(tests, tasks_pause_together_and_resume_in_order);
    tcase_add_test(tests, a_task_that_fails_is_tried_again_and_keeps_nobody_waiting);
    tcase_add_test(tests, registration_is_checked);
    tcase_add_test(tests, memory_may_be_refused);
    tcase_add_test(tests, the_one_furthest_over_is_chosen);
    tcase_add_test(tests, the_own_thread_polls_until_it_is_stopped);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
