/* Guests that do not end are stopped, in whatever they are: loops, recursion, bulk operations, the
 * host; by a deadline and by another thread. Signals rain on guests that run, trap and are parked.
 * Fuel is exact. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "tests/escape/escape_guest.h"
#include "tests/run_suite.h"

static struct escape_guest guest;

static void setup_guard(void)
{
    escape_guest_init(&guest, NULL);
}

static void setup_explicit(void)
{
    escape_guest_init(&guest, &(struct weir_engine_config){.bounds = WEIR_BOUNDS_EXPLICIT});
}

static void setup_no_signals(void)
{
    escape_guest_init(&guest, &(struct weir_engine_config){.bounds = WEIR_BOUNDS_NO_SIGNALS});
}

static void setup_fuel(void)
{
    escape_guest_init(&guest, &(struct weir_engine_config){.has_fuel = true});
}

static void teardown(void)
{
    escape_guest_done(&guest);
}

static const char *const endless[] = {"spin",      "spin_table", "spin_calls", "spin_fill",
                                      "spin_copy", "spin_host",  "spin_tail"};
#define ENDLESS_COUNT ((int)(sizeof endless / sizeof endless[0]))

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

START_TEST(stops_at_deadline)
{
    uint64_t begin = now_ns();
    weir_store_set_deadline(guest.store, begin + 20000000);
    CALL_TRAPS(guest.instance, endless[_i], WEIR_TRAP_DEADLINE);
    ck_assert_uint_ge(now_ns(), begin + 20000000);
    weir_store_set_deadline(guest.store, 0);
    ck_assert_int_eq(CALL_OK(guest.instance, "bounded", 9), 9);
}
END_TEST

static void *interrupt_later(void *store)
{
    const struct timespec moment = {.tv_nsec = 10000000};
    (void)nanosleep(&moment, NULL);
    weir_store_interrupt(store);
    return NULL;
}

START_TEST(stops_when_interrupted)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_later, guest.store), 0);
    CALL_TRAPS(guest.instance, endless[_i], WEIR_TRAP_CANCELLED);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    weir_store_clear_interrupt(guest.store);
    ck_assert_int_eq(CALL_OK(guest.instance, "bounded", 9), 9);
}
END_TEST

static enum weir_status wait_for_stop(struct escape_guest *of, struct weir_caller *caller,
                                      int32_t argument, int32_t *ret_result)
{
    (void)caller;
    (void)argument;
    (void)ret_result;
    const struct timespec moment = {.tv_nsec = 1000000};
    while (!weir_store_is_stopped(of->store))
        (void)nanosleep(&moment, NULL);
    return WEIR_OK;
}

START_TEST(stops_waiting_host)
{
    guest.host = wait_for_stop;
    weir_store_set_deadline(guest.store, now_ns() + 10000000);
    CALL_TRAPS(guest.instance, "spin_host", WEIR_TRAP_DEADLINE);
    weir_store_set_deadline(guest.store, 0);
    guest.host = NULL;
    ck_assert_int_eq(CALL_OK(guest.instance, "through_host", 4), 4);
}
END_TEST

static volatile sig_atomic_t signal_count;

static void on_signal(int number)
{
    (void)number;
    volatile char stack[512]; /* room that is really used */
    memset((char *)stack, 1, sizeof stack);
    signal_count++;
}

static void rain(long interval_us)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    const struct itimerval timer = {{0, interval_us}, {0, interval_us}};
    ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void run_parked(void)
{
    static struct weir_trap trap;
    struct weir_error error = {0};
    struct weir_funcref *spin = fixture_func(guest.instance, "spin_table");
    weir_store_set_slice(guest.store, 1000000);
    enum weir_status status = weir_func_call(guest.store, spin, NULL, NULL, &trap, &error);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(status, WEIR_PENDING);
        status = weir_store_resume(guest.store, WEIR_OK, NULL, &trap, &error);
    }
    ck_assert_int_eq(status, WEIR_PENDING);
    weir_store_unpark(guest.store);
    weir_store_set_slice(guest.store, 0);
}

START_TEST(lives_in_the_rain)
{
    signal_count = 0;
    rain(1000);
    while (signal_count < 200) { /* not for a time: a process that does not run gets one signal */
        CALL_TRAPS(guest.instance, "direct", WEIR_TRAP_STACK_EXHAUSTED, 0);
        CALL_TRAPS(guest.instance, "load", WEIR_TRAP_MEMORY_BOUNDS, -4);
        CALL_TRAPS(guest.instance, "divide", WEIR_TRAP_DIVIDE_BY_ZERO, 0);
        ck_assert_int_eq(CALL_OK(guest.instance, "bounded", 1000), 1000);
        ck_assert_int_eq(CALL_OK(guest.instance, "through_host", 6), 6);
        run_parked();
    }
    rain(0);
}
END_TEST

/* A parked store is closed like any other: teardown looks at the receipt. */
START_TEST(closes_while_parked)
{
    static struct weir_trap trap;
    struct weir_error error = {0};
    weir_store_set_slice(guest.store, 1000000);
    struct weir_funcref *spin = fixture_func(guest.instance, "spin_calls");
    ck_assert_int_eq(weir_func_call(guest.store, spin, NULL, NULL, &trap, &error), WEIR_PENDING);
    ck_assert_int_eq(weir_store_parked(guest.store), WEIR_PARK_SLICE);
}
END_TEST

START_TEST(counts_fuel_exactly)
{
    struct weir_error error = {0};
    static const char *const names[] = {"bounded", "tail_indirect"};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(weir_store_set_fuel(guest.store, 1 << 30, &error), WEIR_OK);
        int64_t result = CALL_OK(guest.instance, names[i], 100);
        uint64_t used = (1 << 30) - weir_store_fuel(guest.store);
        for (uint64_t fuel = 0; fuel < used; fuel += 1 + used / 300) {
            ck_assert_int_eq(weir_store_set_fuel(guest.store, fuel, &error), WEIR_OK);
            CALL_TRAPS(guest.instance, names[i], WEIR_TRAP_FUEL, 100);
        }
        ck_assert_int_eq(weir_store_set_fuel(guest.store, used - 1, &error), WEIR_OK);
        CALL_TRAPS(guest.instance, names[i], WEIR_TRAP_FUEL, 100);
        ck_assert_int_eq(weir_store_set_fuel(guest.store, used, &error), WEIR_OK);
        ck_assert_int_eq(CALL_OK(guest.instance, names[i], 100), result);
        ck_assert_uint_eq(weir_store_fuel(guest.store), 0);
    }
    for (int i = 0; i < ENDLESS_COUNT; i++) {
        ck_assert_int_eq(weir_store_set_fuel(guest.store, 3000000, &error), WEIR_OK);
        CALL_TRAPS(guest.instance, endless[i], WEIR_TRAP_FUEL);
    }
}
END_TEST

static void add_form(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, stops_at_deadline, 0, ENDLESS_COUNT);
    tcase_add_loop_test(tests, stops_when_interrupted, 0, ENDLESS_COUNT);
    tcase_add_test(tests, stops_waiting_host);
    tcase_add_test(tests, lives_in_the_rain);
    tcase_add_test(tests, closes_while_parked);
    suite_add_tcase(suite, tests);
}

int main(void)
{
    Suite *suite = suite_create("endless");
    add_form(suite, "guard", setup_guard);
    add_form(suite, "explicit", setup_explicit);
    add_form(suite, "no-signals", setup_no_signals);
    TCase *fuel = tcase_create("fuel");
    tcase_add_checked_fixture(fuel, setup_fuel, teardown);
    tcase_add_test(fuel, counts_fuel_exactly);
    suite_add_tcase(suite, fuel);
    return run_suite(suite);
}
