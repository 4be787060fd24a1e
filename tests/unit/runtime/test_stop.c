/* Ways in which a running guest is stopped or set aside: fuel, deadline, cancellation, time slices,
 * host functions that wait; and going on from there, on other threads too. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "stop_wasm.h"
#include "tests/run_suite.h"

static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;
static struct weir_store *store;
static struct weir_instance *instance;

static uint64_t in_ms(uint64_t ms)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + ms * 1000000u;
}

static enum weir_status host_wait(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    (void)results;
    return WEIR_PENDING;
}

static enum weir_status host_nest(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    (void)args;
    static struct weir_trap trap;
    int64_t result = 0;
    struct weir_instance *guest = weir_caller_instance(caller);
    enum weir_status status =
        fixture_call(guest, "wait_twice", (const int64_t[]){1}, 1, &result, &trap);
    ck_assert_int_eq(status, WEIR_TRAP);
    results[0].i32 = trap.code;
    weir_trap_done(&trap);
    return WEIR_OK;
}

/* Guests of its own until some slices are over: they are not parked. */
static enum weir_status host_nest_long(struct weir_caller *caller, void *data,
                                       const union weir_value *args, union weir_value *results)
{
    (void)data;
    (void)args;
    (void)results;
    struct weir_instance *guest = weir_caller_instance(caller);
    for (uint64_t until = in_ms(30); in_ms(0) < until;)
        ck_assert_int_eq(CALL_OK(guest, "count", 10000), 50010000);
    return WEIR_OK;
}

static void define(const char *name, const enum weir_type *params, size_t param_count,
                   const enum weir_type *results, size_t result_count, weir_host_func *func)
{
    struct weir_func_type type = {params, param_count, results, result_count};
    ck_assert_int_eq(weir_linker_define_func(linker, "host", name,
                                             &(struct weir_host_definition){&type, func, NULL},
                                             NULL),
                     WEIR_OK);
}

static void setup_with(const struct weir_engine_config *config)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const enum weir_type pair[] = {WEIR_TYPE_F64, WEIR_TYPE_I64};
    engine = fixture_engine(config);
    module = fixture_module(engine, config, stop_wasm, sizeof stop_wasm);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    define("wait", i32, 1, i32, 1, host_wait);
    define("wait_pair", NULL, 0, pair, 2, host_wait);
    define("nest", NULL, 0, i32, 1, host_nest);
    define("nest_long", NULL, 0, NULL, 0, host_nest_long);
    store = fixture_store(engine);
    instance = fixture_instance(store, linker, module);
}

static void setup(void)
{
    setup_with(&(struct weir_engine_config){0});
}

static void setup_fuel(void)
{
    setup_with(&(struct weir_engine_config){.has_fuel = true});
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

START_TEST(runs_out_of_fuel)
{
    struct weir_error error = {0};
    ck_assert_int_eq(weir_store_set_fuel(store, 10000, &error), WEIR_OK);
    ck_assert_int_eq(CALL_OK(instance, "count", 10), 60);
    uint64_t used = 10000 - weir_store_fuel(store);
    ck_assert_uint_gt(used, 50);
    ck_assert_uint_lt(used, 500);
    ck_assert_int_eq(weir_store_set_fuel(store, 10000, &error), WEIR_OK);
    ck_assert_int_eq(CALL_OK(instance, "count", 10), 60);
    ck_assert_uint_eq(10000 - weir_store_fuel(store), used);
    ck_assert_int_eq(weir_store_set_fuel(store, used, &error), WEIR_OK);
    ck_assert_int_eq(CALL_OK(instance, "count", 10), 60);
    ck_assert_int_eq(weir_store_set_fuel(store, used - 1, &error), WEIR_OK);
    CALL_TRAPS(instance, "count", WEIR_TRAP_FUEL, 10);
    ck_assert_int_eq(weir_store_set_fuel(store, 100000, &error), WEIR_OK);
    CALL_TRAPS(instance, "spin", WEIR_TRAP_FUEL);
    ck_assert_int_eq(weir_store_set_fuel(store, 100, &error), WEIR_OK);
    CALL_TRAPS(instance, "fill", WEIR_TRAP_FUEL, 0, 1, 65536);
    ck_assert_int_eq(weir_store_set_fuel(store, UINT64_MAX, &error), WEIR_OK);
    ck_assert_int_eq(CALL_OK(instance, "load8", 0), 0); /* it had not begun */
    (void)CALL_OK(instance, "fill", 0, 1, 65536);
    ck_assert_uint_lt(weir_store_fuel(store), INT64_MAX);
}
END_TEST

START_TEST(refuses_fuel_without)
{
    struct weir_error error = {0};
    ck_assert_int_eq(weir_store_set_fuel(store, 1, &error), WEIR_STATE);
}
END_TEST

START_TEST(meets_its_deadline)
{
    for (int round = 0; round < 3; round++) {
        weir_store_set_deadline(store, in_ms(20));
        CALL_TRAPS(instance, "spin", WEIR_TRAP_DEADLINE);
        /* It stays over until another one is set. */
        CALL_TRAPS(instance, "spin", WEIR_TRAP_DEADLINE);
        weir_store_set_deadline(store, 0);
        ck_assert_int_eq(CALL_OK(instance, "count", 1000), 501000);
    }
    weir_store_set_deadline(store, 1); /* long ago */
    CALL_TRAPS(instance, "spin", WEIR_TRAP_DEADLINE);
    CALL_TRAPS(instance, "recurse_until", WEIR_TRAP_DEADLINE, -1);
    weir_store_set_deadline(store, in_ms(60000));
    CALL_TRAPS(instance, "recurse_until", WEIR_TRAP_STACK_EXHAUSTED, -1);
}
END_TEST

static void *interrupt_soon(void *argument)
{
    struct weir_global *turns = argument;
    while (weir_global_get(turns).i32 == 0)
        (void)sched_yield();
    weir_store_interrupt(store);
    return NULL;
}

START_TEST(is_cancelled)
{
    struct weir_extern item;
    ck_assert_int_eq(weir_instance_export(instance, "turns", 5, &item), WEIR_OK);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_soon, item.global), 0);
    CALL_TRAPS(instance, "spin", WEIR_TRAP_CANCELLED);
    (void)pthread_join(thread, NULL);
    CALL_TRAPS(instance, "spin", WEIR_TRAP_CANCELLED); /* sticky */
    weir_store_clear_interrupt(store);
    ck_assert_int_eq(CALL_OK(instance, "count", 1000), 501000);
    ck_assert_int_eq(CALL_OK(instance, "recurse_until", 1000), 1000);
    weir_store_interrupt(store);
    CALL_TRAPS(instance, "recurse_until", WEIR_TRAP_CANCELLED, 1000);
}
END_TEST

static void *resume_slices(void *argument)
{
    int *slices = argument;
    enum weir_status status = WEIR_PENDING;
    while (status == WEIR_PENDING) {
        ck_assert_int_eq(weir_store_parked(store), WEIR_PARK_SLICE);
        ++*slices;
        status = weir_store_resume(store, WEIR_OK, NULL, NULL, NULL);
        if (*slices % 3 == 0)
            break;
    }
    ck_assert(status == WEIR_PENDING || status == WEIR_OK);
    return (void *)(uintptr_t)status;
}

/* Each third slice on a thread of its own. */
START_TEST(runs_in_slices)
{
    int slices = 0;
    int64_t result = 0;
    int64_t n = 300000000;
    weir_store_set_slice(store, 5000000);
    enum weir_status status = fixture_call(instance, "count", &n, 1, &result, NULL);
    ck_assert_int_eq(status, WEIR_PENDING);
    while (status == WEIR_PENDING) {
        pthread_t thread;
        void *answer = NULL;
        ck_assert_int_eq(pthread_create(&thread, NULL, resume_slices, &slices), 0);
        (void)pthread_join(thread, &answer);
        status = (enum weir_status)(uintptr_t)answer;
    }
    ck_assert_int_eq(status, WEIR_OK);
    ck_assert_int_eq(weir_store_results(store)[0].i64, n * (n + 1) / 2 + n / 2);
    ck_assert_int_gt(slices, 3);
    ck_assert_int_eq(weir_store_parked(store), WEIR_PARK_NONE);
}
END_TEST

/* A slice that ends in a guest which cannot be parked ends the outer guest's. */
START_TEST(slice_ends_nested)
{
    weir_store_set_slice(store, 1000000);
    weir_store_set_deadline(store, in_ms(30000)); /* rather than never */
    ck_assert_int_eq(fixture_call(instance, "nest_then_spin", NULL, 0, NULL, NULL), WEIR_PENDING);
    ck_assert_int_eq(weir_store_parked(store), WEIR_PARK_SLICE);
    weir_store_unpark(store);
}
END_TEST

/* A bulk operation is set aside in the middle. */
START_TEST(bulk_runs_in_slices)
{
    int64_t last = 1024 * 65536 - 1;
    (void)CALL_OK(instance, "grow", 1023);
    weir_store_set_slice(store, 1000000);
    int slices = 0;
    for (int64_t value = 1; value < 4 || slices == 0; value++) {
        int64_t args[] = {0, value & 0xff, last + 1};
        enum weir_status status = fixture_call(instance, "fill", args, 3, NULL, NULL);
        for (; status == WEIR_PENDING; slices++)
            status = weir_store_resume(store, WEIR_OK, NULL, NULL, NULL);
        ck_assert_int_eq(status, WEIR_OK);
        int64_t moved[] = {1, 0, last};
        status = fixture_call(instance, "copy", moved, 3, NULL, NULL);
        while (status == WEIR_PENDING)
            status = weir_store_resume(store, WEIR_OK, NULL, NULL, NULL);
        ck_assert_int_eq(status, WEIR_OK);
        struct weir_memory *memory = fixture_memory(instance, "memory");
        for (int64_t at = 0; at <= last; at += 4093)
            ck_assert_uint_eq(*weir_memory_at(memory, (uint64_t)at, 1), value & 0xff);
    }
}
END_TEST

START_TEST(waits_for_host)
{
    for (int32_t n = 1; n < 4; n++) {
        int64_t argument = n;
        union weir_value answer = {.i32 = 7 * n};
        ck_assert_int_eq(fixture_call(instance, "wait_twice", &argument, 1, NULL, NULL),
                         WEIR_PENDING);
        ck_assert_int_eq(weir_store_parked(store), WEIR_PARK_HOST);
        struct weir_error error = {0};
        union weir_value args[1] = {{.i64 = 1}};
        ck_assert_int_eq(
            weir_func_call(store, fixture_func(instance, "load8"), args, args, NULL, &error),
            WEIR_STATE);
        ck_assert_int_eq(weir_instance_reset(instance, NULL), WEIR_STATE);
        ck_assert_int_eq(weir_store_resume(store, WEIR_PENDING, NULL, NULL, NULL), WEIR_PENDING);
        ck_assert_int_eq(weir_store_resume(store, WEIR_OK, &answer, NULL, NULL), WEIR_PENDING);
        answer.i32 = -1;
        ck_assert_int_eq(weir_store_resume(store, WEIR_OK, &answer, NULL, NULL), WEIR_OK);
        ck_assert_int_eq(weir_store_results(store)[0].i32, 100 * n + 7 * n - 1);
        weir_error_done(&error);
    }
    ck_assert_int_eq(weir_store_resume(store, WEIR_OK, NULL, NULL, NULL), WEIR_STATE);
}
END_TEST

START_TEST(waits_for_pair)
{
    union weir_value answer[2] = {{.f64 = 2.25}, {.i64 = INT64_MIN}};
    ck_assert_int_eq(fixture_call(instance, "wait_pair", NULL, 0, NULL, NULL), WEIR_PENDING);
    ck_assert_int_eq(weir_store_resume(store, WEIR_OK, NULL, NULL, NULL), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_store_resume(store, WEIR_OK, answer, NULL, NULL), WEIR_OK);
    ck_assert_int_eq(weir_store_results(store)[0].i64, INT64_MIN);
    ck_assert_double_eq(weir_store_results(store)[1].f64, 2.25);
}
END_TEST

START_TEST(wait_fails)
{
    static struct weir_trap trap;
    int64_t argument = 1;
    ck_assert_int_eq(fixture_call(instance, "wait_twice", &argument, 1, NULL, NULL), WEIR_PENDING);
    ck_assert_int_eq(weir_store_resume(store, WEIR_IO, NULL, &trap, NULL), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_HOST);
    ck_assert_int_eq(trap.cause.status, WEIR_IO);
    ck_assert_uint_eq(trap.frame_count, 1);
    weir_trap_done(&trap);
    ck_assert_int_eq(fixture_call(instance, "wait_twice", &argument, 1, NULL, NULL), WEIR_PENDING);
    weir_store_unpark(store);
    ck_assert_int_eq(CALL_OK(instance, "count", 1000), 501000);
    /* Closing a store with a parked call is fine, too. */
    ck_assert_int_eq(fixture_call(instance, "wait_twice", &argument, 1, NULL, NULL), WEIR_PENDING);
}
END_TEST

START_TEST(refuses_nested_wait)
{
    ck_assert_int_eq(CALL_OK(instance, "wait_nested"), WEIR_TRAP_PARK_REFUSED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime stop");
    TCase *plain = tcase_create("plain");
    tcase_add_checked_fixture(plain, setup, teardown);
    tcase_add_test(plain, refuses_fuel_without);
    tcase_add_test(plain, meets_its_deadline);
    tcase_add_test(plain, is_cancelled);
    tcase_add_test(plain, runs_in_slices);
    tcase_add_test(plain, bulk_runs_in_slices);
    tcase_add_test(plain, slice_ends_nested);
    tcase_add_test(plain, waits_for_host);
    tcase_add_test(plain, waits_for_pair);
    tcase_add_test(plain, wait_fails);
    tcase_add_test(plain, refuses_nested_wait);
    suite_add_tcase(suite, plain);
    TCase *fuel = tcase_create("fuel");
    tcase_add_checked_fixture(fuel, setup_fuel, teardown);
    tcase_add_test(fuel, runs_out_of_fuel);
    suite_add_tcase(suite, fuel);
    return run_suite(suite);
}
