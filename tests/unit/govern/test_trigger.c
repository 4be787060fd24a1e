/* The trigger: the exact rule against wide arithmetic, hysteresis, dwell, second signals, unknown
 * readings, and the bound on transitions under every kind of flapping. */
#include <check.h>
#include <stdlib.h>

#include "govern/trigger.h"
#include "tests/run_suite.h"

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)

static struct weir_trigger trigger;
static uint64_t now_ns;

static void start(uint64_t enter, uint64_t leave, uint64_t dwell_ns, unsigned transitions)
{
    const struct weir_trigger_config config = {.enter_free_bytes = enter,
                                               .leave_free_bytes = leave,
                                               .dwell_ns = dwell_ns,
                                               .stale_ns = 3 * SECOND,
                                               .transitions_max = transitions};
    now_ns = 1000 * SECOND;
    weir_trigger_init(&trigger, &config);
}

static struct weir_reading known(uint64_t free_bytes)
{
    return (struct weir_reading){
        .state = WEIR_READING_KNOWN, .limit_bytes = UINT64_C(1) << 40, .free_bytes = free_bytes};
}

static bool feed(uint64_t free_bytes)
{
    const struct weir_reading reading = known(free_bytes);
    return weir_trigger_step(&trigger, &reading, now_ns);
}

static bool feed_unknown(void)
{
    const struct weir_reading reading = {.state = WEIR_READING_UNKNOWN};
    return weir_trigger_step(&trigger, &reading, now_ns);
}

#define IS(wanted_state, wanted_reason)                                                            \
    do {                                                                                           \
        ck_assert_int_eq(trigger.state, WEIR_TRIGGER_##wanted_state);                              \
        ck_assert_int_eq(trigger.reason, WEIR_REASON_##wanted_reason);                             \
    } while (0)

/* usage - (active_file + inactive_file) >= limit - free_limit, in 128 bits. */
static const uint64_t FIGURES[] = {0,
                                   1,
                                   75,
                                   924,
                                   925,
                                   926,
                                   1000,
                                   1001,
                                   UINT64_C(1) << 30,
                                   UINT64_C(1) << 62,
                                   UINT64_C(1) << 63,
                                   UINT64_MAX - 1,
                                   UINT64_MAX};
#define FIGURE_COUNT (sizeof FIGURES / sizeof FIGURES[0])

START_TEST(the_rule_is_exact)
{
    const struct weir_cgroup cgroup = {.version = WEIR_CGROUP_V2, .level_count = 1};
    uint64_t limit = FIGURES[_i];
    for (size_t u = 0; u < FIGURE_COUNT; u++)
        for (size_t c = 0; c < FIGURE_COUNT; c++)
            for (size_t f = 0; f < FIGURE_COUNT; f++) {
                const struct weir_cgroup_level level = {
                    .limit = {WEIR_FIGURE_VALUE, limit},
                    .usage = {WEIR_FIGURE_VALUE, FIGURES[u]},
                    .active_file = {WEIR_FIGURE_VALUE, FIGURES[c] / 2},
                    .inactive_file = {WEIR_FIGURE_VALUE, FIGURES[c] - FIGURES[c] / 2},
                    .limits_below = true};
                struct weir_room room = weir_cgroup_room(&cgroup, 0, &level);
                ck_assert_int_eq(room.state, WEIR_ROOM_VALUE);
                __extension__ typedef __int128 wide;
                wide used = (wide)FIGURES[u] - (wide)FIGURES[c];
                used = used > 0 ? used : 0;
                bool wanted = used >= (wide)limit - (wide)FIGURES[f];
                ck_assert_msg(weir_room_is_short(&room, FIGURES[f]) == wanted,
                              "limit %lu usage %lu cache %lu free %lu", limit, FIGURES[u],
                              FIGURES[c], FIGURES[f]);
            }
}
END_TEST

START_TEST(enters_at_once_and_leaves_after_the_dwell)
{
    start(100, 200, 5 * SECOND, 60);
    IS(UNKNOWN, START);
    ck_assert(feed(101));
    IS(NORMAL, ENOUGH);
    ck_assert(feed(100));
    IS(PRESSED, SHORT);
    ck_assert_uint_eq(trigger.since_ns, now_ns);
    for (int i = 0; i < 20; i++) { /* between the two thresholds nothing changes */
        now_ns += SECOND;
        ck_assert(!feed(200));
    }
    IS(PRESSED, SHORT);
    ck_assert(!feed(201));
    ck_assert_uint_eq(weir_trigger_rest_ns(&trigger, now_ns), 5 * SECOND);
    now_ns += 4 * SECOND;
    ck_assert(!feed(201));
    ck_assert_uint_eq(weir_trigger_rest_ns(&trigger, now_ns), SECOND);
    now_ns += SECOND - 1;
    ck_assert(!feed(200)); /* the calm was broken one step before its end */
    now_ns += 1;
    ck_assert(!feed(300));
    now_ns += 5 * SECOND;
    ck_assert(feed(300));
    IS(NORMAL, ENOUGH);
}
END_TEST

START_TEST(second_signals_decide_only_in_the_band)
{
    struct weir_reading reading = known(150);
    start(100, 200, 0, 60);
    ck_assert(feed(150));
    reading.signals = WEIR_SIGNAL_PSI;
    ck_assert(weir_trigger_step(&trigger, &reading, now_ns));
    IS(PRESSED, SIGNAL);
    reading.free_bytes = 201; /* they do not keep it there */
    ck_assert(weir_trigger_step(&trigger, &reading, ++now_ns));
    IS(NORMAL, ENOUGH);
    ck_assert(!weir_trigger_step(&trigger, &reading, ++now_ns));
    IS(NORMAL, ENOUGH);
}
END_TEST

START_TEST(unknown_comes_after_the_staleness_bound)
{
    start(100, 200, 5 * SECOND, 60);
    ck_assert(feed_unknown()); /* nothing good was ever read */
    IS(UNKNOWN, UNREAD);
    ck_assert(feed(500));
    IS(NORMAL, ENOUGH);
    now_ns += 3 * SECOND;
    ck_assert(!feed_unknown());
    IS(NORMAL, ENOUGH);
    now_ns += 1;
    ck_assert(feed_unknown());
    IS(UNKNOWN, UNREAD);
    ck_assert(feed(50));
    IS(PRESSED, SHORT);
    now_ns += 4 * SECOND;
    ck_assert(feed_unknown());
    IS(UNKNOWN, UNREAD);
    ck_assert_uint_eq(trigger.entered[WEIR_TRIGGER_UNKNOWN], 2);
}
END_TEST

START_TEST(an_unknown_reading_is_no_calm)
{
    start(100, 200, 2 * SECOND, 60);
    (void)feed(100);
    ck_assert(!feed(500));
    now_ns += SECOND;
    ck_assert(!feed_unknown());
    now_ns += SECOND;
    ck_assert(!feed(500));
    now_ns += 2 * SECOND;
    ck_assert(feed(500));
}
END_TEST

START_TEST(limits_that_are_not_above_the_free_limit)
{
    struct weir_reading reading = {
        .state = WEIR_READING_KNOWN, .limit_bytes = 100, .free_bytes = 100};
    start(100, 200, 0, 60);
    ck_assert(weir_trigger_step(&trigger, &reading, now_ns));
    IS(PRESSED, LIMIT);
    reading.limit_bytes = reading.free_bytes = 1000; /* resized while running */
    ck_assert(weir_trigger_step(&trigger, &reading, now_ns));
    IS(NORMAL, ENOUGH);
    reading = (struct weir_reading){
        .state = WEIR_READING_UNLIMITED, .limit_bytes = UINT64_MAX, .free_bytes = UINT64_MAX};
    ck_assert(!weir_trigger_step(&trigger, &reading, now_ns));
    IS(NORMAL, NO_LIMIT);
}
END_TEST

START_TEST(off_is_always_normal)
{
    const struct weir_trigger_config config = {.is_off = true};
    weir_trigger_init(&trigger, &config);
    ck_assert(feed_unknown());
    IS(NORMAL, OFF);
    ck_assert(!feed(0));
    IS(NORMAL, OFF);
}
END_TEST

/* Random readings at random times: never more changes in any minute than the bound, and never a
 * moment at which a short reading meets a trigger that is not pressed. */
START_TEST(transitions_are_bounded_and_pressure_is_never_put_off)
{
    static const unsigned bounds[] = {WEIR_TRIGGER_TRANSITIONS_MIN, 4, 12,
                                      WEIR_TRIGGER_TRANSITIONS_MAX};
    static uint64_t changes[100000];
    size_t change_count = 0, normal_count = 0;
    unsigned seed = 7;
    start(100, 120, SECOND / 4, bounds[_i]);
    for (int i = 0; i < 200000; i++) {
        now_ns += (uint64_t)rand_r(&seed) % SECOND;
        int kind = rand_r(&seed) % 3;
        bool is_changed = kind == 0 ? feed(50) : kind == 1 ? feed(500) : feed_unknown();
        if (kind == 0)
            ck_assert_int_eq(trigger.state, WEIR_TRIGGER_PRESSED);
        normal_count += trigger.state == WEIR_TRIGGER_NORMAL;
        if (!is_changed || trigger.change_count == 0)
            continue;
        ck_assert_uint_lt(change_count, sizeof changes / sizeof changes[0]);
        changes[change_count++] = now_ns;
        if (change_count > bounds[_i])
            ck_assert_uint_ge(now_ns - changes[change_count - 1 - bounds[_i]], MINUTE);
    }
    ck_assert_uint_gt(change_count, 1000);
    ck_assert_uint_gt(normal_count, 100);
}
END_TEST

/* The rest is the truth: calm from now on ends exactly then. */
START_TEST(the_rest_is_told)
{
    start(100, 200, SECOND, 4);
    for (int i = 0; i < 10; i++) {
        (void)feed(50);
        ck_assert_int_eq(trigger.state, WEIR_TRIGGER_PRESSED);
        (void)feed(500);
        uint64_t rest = weir_trigger_rest_ns(&trigger, now_ns);
        ck_assert_uint_ge(rest, SECOND);
        now_ns += rest - 1;
        ck_assert(!feed(500));
        now_ns += 1;
        ck_assert(feed(500));
        IS(NORMAL, ENOUGH);
    }
}
END_TEST

START_TEST(the_band_has_a_default)
{
    ck_assert_uint_eq(weir_trigger_leave_default(UINT64_C(1) << 30), UINT64_C(1152) << 20);
    ck_assert_uint_eq(weir_trigger_leave_default(0), WEIR_TRIGGER_BAND_MIN);
    ck_assert_uint_eq(weir_trigger_leave_default(UINT64_MAX), UINT64_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trigger");
    TCase *tests = tcase_create("trigger");
    tcase_add_loop_test(tests, the_rule_is_exact, 0, (int)FIGURE_COUNT);
    tcase_add_test(tests, enters_at_once_and_leaves_after_the_dwell);
    tcase_add_test(tests, second_signals_decide_only_in_the_band);
    tcase_add_test(tests, unknown_comes_after_the_staleness_bound);
    tcase_add_test(tests, an_unknown_reading_is_no_calm);
    tcase_add_test(tests, limits_that_are_not_above_the_free_limit);
    tcase_add_test(tests, off_is_always_normal);
    tcase_add_loop_test(tests, transitions_are_bounded_and_pressure_is_never_put_off, 0, 4);
    tcase_add_test(tests, the_rest_is_told);
    tcase_add_test(tests, the_band_has_a_default);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
