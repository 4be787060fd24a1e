/* Charging from several threads under one tenant: never above its limit, every byte back at the
 * end, also while others read, walk, drain and close. Meant for the tsan preset as well. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/poison.h"
#include "ledger/mapping.h"

#define THREADS 4
#define LIMIT (UINT64_C(1) << 20)
#define ROUNDS (WEIR_TSAN || WEIR_ASAN ? 4000 : 20000)

struct worker {
    pthread_t thread;
    struct weir_account *tenant;
    unsigned seed;
    uint64_t refused;
    uint64_t granted;
};

/* Bytes that the workers hold together, by their own count. */
static _Atomic uint64_t held;
static _Atomic uint64_t held_max;
static _Atomic int stop;

static void note_held(uint64_t amount)
{
    uint64_t now = atomic_fetch_add(&held, amount) + amount;
    uint64_t seen = atomic_load(&held_max);
    while (seen < now && !atomic_compare_exchange_weak(&held_max, &seen, now))
        continue;
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Stores come and go; each charges in sizes that fit the credit and in sizes that do not. */
static void *work(void *context)
{
    struct worker *worker = context;
    for (int round = 0; round < ROUNDS; round++) {
        struct weir_account *store = NULL;
        struct weir_account *instance = NULL;
        ck_assert_int_eq(
            weir_account_new(worker->tenant, WEIR_ACCOUNT_STORE, "s", WEIR_UNLIMITED, &store, NULL),
            WEIR_OK);
        ck_assert_int_eq(
            weir_account_new(store, WEIR_ACCOUNT_INSTANCE, "i", WEIR_UNLIMITED, &instance, NULL),
            WEIR_OK);
        uint64_t amounts[8];
        for (int i = 0; i < 8; i++) {
            bool large = next_random(&worker->seed) % 2 == 0;
            amounts[i] = 1 + next_random(&worker->seed) % (large ? LIMIT / 2 : 3000);
            if (weir_account_charge(i % 2 == 0 ? store : instance, WEIR_KIND_HOST_BUFFER,
                                    amounts[i], NULL) == WEIR_OK) {
                note_held(amounts[i]);
                worker->granted++;
            } else {
                amounts[i] = 0;
                worker->refused++;
            }
        }
        for (int i = 0; i < 8; i++) {
            atomic_fetch_sub(&held, amounts[i]);
            weir_account_discharge(i % 2 == 0 ? store : instance, WEIR_KIND_HOST_BUFFER,
                                   amounts[i]);
        }
        weir_account_close(store);
        weir_account_close(instance);
    }
    return NULL;
}

static bool look(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    (void)depth;
    uint64_t *high = context;
    if (reading->role == WEIR_ACCOUNT_TENANT && reading->peak_bytes > *high)
        *high = reading->peak_bytes;
    return true;
}

static void *watch(void *context)
{
    while (atomic_load(&stop) == 0)
        weir_account_walk(weir_account_host(), look, context);
    return NULL;
}

START_TEST(never_above_the_limit_and_all_back)
{
    struct weir_account *tenant = NULL;
    ck_assert_int_eq(
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", LIMIT, &tenant, NULL),
        WEIR_OK);
    struct worker workers[THREADS];
    pthread_t watcher;
    uint64_t high = 0;
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch, &high), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.tenant = tenant, .seed = 42 + i};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    uint64_t granted = 0;
    uint64_t refused = 0;
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        granted += workers[i].granted;
        refused += workers[i].refused;
    }
    atomic_store(&stop, 1);
    (void)pthread_join(watcher, NULL);
    /* The test would be idle if nothing were refused or granted. */
    ck_assert_uint_gt(granted, 1000);
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_le(atomic_load(&held_max), LIMIT);
    ck_assert_uint_gt(atomic_load(&held_max), LIMIT / 2);
    ck_assert_uint_le(high, LIMIT);
    struct weir_account_reading reading;
    weir_account_read(tenant, &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    ck_assert_uint_eq(reading.refused_count, refused);
    ck_assert_uint_le(reading.peak_bytes, LIMIT);
    weir_account_close(tenant);
    weir_account_read(weir_account_host(), &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
}
END_TEST

/* One store charges and discharges as fast as it can, another needs its idle credit again and
 * again. Credit that was lost or doubled on the way would show in what the tenant granted, which
 * is checked when it is closed. */
static _Atomic uint64_t spun;

static void *spin_charges(void *context)
{
    struct weir_account *store = context;
    while (atomic_load_explicit(&stop, memory_order_relaxed) == 0) {
        uint64_t done = 0;
        for (int i = 0; i < 200; i++) {
            if (weir_account_charge(store, WEIR_KIND_HANDLE, 100, NULL) != WEIR_OK)
                continue;
            weir_account_discharge(store, WEIR_KIND_HANDLE, 100);
            done++;
        }
        atomic_fetch_add_explicit(&spun, done, memory_order_relaxed);
    }
    return NULL;
}

START_TEST(credit_is_neither_lost_nor_doubled_by_draining)
{
    const uint64_t limit = 256 << 10;
    struct weir_account *tenant = NULL;
    struct weir_account *spinner = NULL;
    struct weir_account *taker = NULL;
    pthread_t thread;
    ck_assert_int_eq(
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", limit, &tenant, NULL),
        WEIR_OK);
    ck_assert_int_eq(
        weir_account_new(tenant, WEIR_ACCOUNT_STORE, "a", WEIR_UNLIMITED, &spinner, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_account_new(tenant, WEIR_ACCOUNT_STORE, "b", WEIR_UNLIMITED, &taker, NULL), WEIR_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, spin_charges, spinner), 0);
    uint64_t taken = 0;
    /* Long enough for both to have run, whoever the scheduler prefers. */
    while (taken < 10 * ROUNDS || atomic_load(&spun) < 100 * ROUNDS) {
        if (weir_account_charge(taker, WEIR_KIND_CACHE, limit - 50, NULL) != WEIR_OK)
            continue;
        taken++;
        weir_account_discharge(taker, WEIR_KIND_CACHE, limit - 50);
    }
    atomic_store(&stop, 1);
    (void)pthread_join(thread, NULL);
    weir_account_close(spinner);
    weir_account_close(taker);
    weir_account_close(tenant);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
}
END_TEST

/* A shared account whose last charge and whose closing race. */
static void *charge_shared(void *context)
{
    struct weir_account *service = context;
    weir_account_discharge(service, WEIR_KIND_REQUEST, 100);
    return NULL;
}

START_TEST(the_last_discharge_may_race_with_the_close)
{
    for (int round = 0; round < 200; round++) {
        struct weir_account *service = NULL;
        ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_SERVICE, "x",
                                          WEIR_UNLIMITED, &service, NULL),
                         WEIR_OK);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(weir_account_charge(service, WEIR_KIND_REQUEST, 100, NULL), WEIR_OK);
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, charge_shared, service), 0);
        weir_account_close(service);
        for (int i = 0; i < 2; i++)
            (void)pthread_join(threads[i], NULL);
        ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
    }
}
END_TEST

static void *map_and_unmap(void *context)
{
    struct weir_account *service = context;
    for (int round = 0; round < 300; round++) {
        struct weir_mapping mappings[4];
        for (size_t i = 0; i < 4; i++)
            ck_assert_int_eq(weir_mapping_new_charged(service, WEIR_KIND_CACHE, 4096 * (i + 1),
                                                      &mappings[i], NULL),
                             WEIR_OK);
        for (int i = 3; i >= 0; i--)
            weir_mapping_free(&mappings[i]);
    }
    return NULL;
}

START_TEST(mappings_from_several_threads)
{
    pthread_t threads[THREADS];
    struct weir_account *service = NULL;
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_SERVICE, "x",
                                      WEIR_UNLIMITED, &service, NULL),
                     WEIR_OK);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, map_and_unmap, service), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    ck_assert_uint_eq(weir_mapping_count(), 0);
    weir_account_close(service);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("charge_threads");
    TCase *tests = tcase_create("charge_threads");
    tcase_add_test(tests, never_above_the_limit_and_all_back);
    tcase_add_test(tests, credit_is_neither_lost_nor_doubled_by_draining);
    tcase_add_test(tests, the_last_discharge_may_race_with_the_close);
    tcase_add_test(tests, mappings_from_several_threads);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
