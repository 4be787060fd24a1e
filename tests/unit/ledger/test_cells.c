/* Cells of shared accounts: nothing is refused for credit that lies in one, no limit exceeded,
 * figures exact, wherever the bytes were charged and whoever gives them back. Meant for the tsan
 * preset as well. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/poison.h"
#include "ledger/ledger.h"
#include "ledger/ledger_limits.h"

#define MIB (UINT64_C(1) << 20)
#define WARM (2 * WEIR__CELL_CHARGES)
#define SANITIZED (WEIR_TSAN || WEIR_ASAN)

static struct weir_account *new_account(struct weir_account *parent, enum weir_account_role role,
                                        uint64_t limit)
{
    struct weir_account *account = NULL;
    ck_assert_int_eq(weir_account_new(parent, role, "x", limit, &account, NULL), WEIR_OK);
    return account;
}

static struct weir_account *new_tenant(uint64_t limit)
{
    return new_account(weir_account_host(), WEIR_ACCOUNT_TENANT, limit);
}

static void charge(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    struct weir_error error = {0};
    enum weir_status status = weir_account_charge(account, kind, amount, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static void refused(struct weir_account *account, uint64_t amount)
{
    ck_assert_int_eq(weir_account_charge(account, WEIR_KIND_HANDLE, amount, NULL), WEIR_LIMIT);
}

static struct weir_account_reading read_of(const struct weir_account *account)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    return reading;
}

/* From here on the calling thread has a cell with credit. */
static void warm(struct weir_account *account)
{
    for (int i = 0; i < WARM; i++) {
        charge(account, WEIR_KIND_HANDLE, 1);
        weir_account_discharge(account, WEIR_KIND_HANDLE, 1);
    }
}

/* One byte at a time was charged: more can only have been granted to cells. */
static bool has_cells(const struct weir_account *account)
{
    return read_of(account).peak_bytes > 1;
}

static void end(struct weir_account *account)
{
    ck_assert_uint_eq(read_of(account).used_bytes, 0);
    weir_account_close(account);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
}

START_TEST(an_account_charged_often_has_cells_and_exact_figures)
{
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    charge(tenant, WEIR_KIND_HANDLE, 1);
    weir_account_discharge(tenant, WEIR_KIND_HANDLE, 1);
    ck_assert(!has_cells(tenant));
    warm(tenant);
    ck_assert(has_cells(tenant));
    ck_assert_uint_le(read_of(tenant).peak_bytes, 1 + WEIR__SLAB_BYTES);
    ck_assert_uint_eq(read_of(tenant).used_bytes, 0);
    charge(tenant, WEIR_KIND_TABLE, 100);
    charge(tenant, WEIR_KIND_CACHE, 10 * MIB);
    charge(tenant, WEIR_KIND_TABLE, WEIR__SLAB_BYTES);
    struct weir_account_reading reading = read_of(tenant);
    ck_assert_uint_eq(reading.used_bytes, 10 * MIB + 100 + WEIR__SLAB_BYTES);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_TABLE], 100 + WEIR__SLAB_BYTES);
    ck_assert_uint_eq(reading.kind_peaks[WEIR_KIND_TABLE], 100 + WEIR__SLAB_BYTES);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_CACHE], 10 * MIB);
    ck_assert_uint_ge(reading.peak_bytes, reading.used_bytes);
    weir_account_discharge(tenant, WEIR_KIND_CACHE, 10 * MIB);
    weir_account_discharge(tenant, WEIR_KIND_TABLE, 100 + WEIR__SLAB_BYTES);
    end(tenant);
}
END_TEST

/* A kind's peak is known to a slab, without anybody reading. */
START_TEST(the_peak_of_a_kind_lags_by_less_than_a_slab)
{
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    warm(tenant);
    for (int i = 0; i < 3000; i++)
        charge(tenant, WEIR_KIND_TABLE, 100);
    for (int i = 0; i < 3000; i++)
        weir_account_discharge(tenant, WEIR_KIND_TABLE, 100);
    uint64_t peak = read_of(tenant).kind_peaks[WEIR_KIND_TABLE];
    ck_assert_uint_le(peak, 300000);
    ck_assert_uint_gt(peak, 300000 - WEIR__SLAB_BYTES);
    end(tenant);
}
END_TEST

/* --- threads that leave something in their cells ------------------------------------------- */

struct sitter {
    pthread_t thread;
    struct weir_account *account;
    pthread_barrier_t *barrier;
    uint64_t held; /* pieces */
    uint64_t piece;
};

/* Holds bytes, and credit beside, from the first barrier to the second. */
static void *sit(void *context)
{
    struct sitter *sitter = context;
    warm(sitter->account);
    for (uint64_t i = 0; i < sitter->held; i++)
        charge(sitter->account, WEIR_KIND_HANDLE, sitter->piece);
    (void)pthread_barrier_wait(sitter->barrier);
    (void)pthread_barrier_wait(sitter->barrier);
    for (uint64_t i = 0; i < sitter->held; i++)
        weir_account_discharge(sitter->account, WEIR_KIND_HANDLE, sitter->piece);
    return NULL;
}

#define SITTERS 4

/* With sitters under `charged`, `asker` may have everything up to the limit, to the byte. */
static void fill_beside_sitters(struct weir_account *charged, struct weir_account *asker,
                                uint64_t limit)
{
    struct sitter sitters[SITTERS];
    pthread_barrier_t barrier;
    (void)pthread_barrier_init(&barrier, NULL, SITTERS + 1);
    for (int i = 0; i < SITTERS; i++) {
        sitters[i] = (struct sitter){
            .account = charged, .barrier = &barrier, .held = 7, .piece = 1};
        ck_assert_int_eq(pthread_create(&sitters[i].thread, NULL, sit, &sitters[i]), 0);
    }
    (void)pthread_barrier_wait(&barrier);
    const uint64_t rest = limit - SITTERS * 7;
    ck_assert_uint_gt(read_of(charged).peak_bytes, SITTERS * WEIR__SLAB_BYTES / 2);
    charge(asker, WEIR_KIND_CACHE, rest);
    refused(asker, 1);
    refused(charged, 1);
    weir_account_discharge(asker, WEIR_KIND_CACHE, 1);
    charge(charged, WEIR_KIND_HANDLE, 1);
    weir_account_discharge(charged, WEIR_KIND_HANDLE, 1);
    weir_account_discharge(asker, WEIR_KIND_CACHE, rest - 1);
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < SITTERS; i++)
        (void)pthread_join(sitters[i].thread, NULL);
    (void)pthread_barrier_destroy(&barrier);
}

START_TEST(nothing_is_refused_for_credit_in_a_cell)
{
    struct weir_account *above = new_tenant(MIB);
    struct weir_account *tenant = new_account(above, WEIR_ACCOUNT_TENANT, WEIR_UNLIMITED);
    struct weir_account *sibling = new_account(above, WEIR_ACCOUNT_TENANT, WEIR_UNLIMITED);
    struct weir_account *store = new_account(tenant, WEIR_ACCOUNT_STORE, WEIR_UNLIMITED);
    fill_beside_sitters(tenant, tenant, MIB);
    fill_beside_sitters(tenant, sibling, MIB);
    fill_beside_sitters(tenant, store, MIB);
    fill_beside_sitters(tenant, above, MIB);
    ck_assert_uint_le(read_of(above).peak_bytes, MIB);
    ck_assert_uint_eq(read_of(above).refused_count, 8);
    weir_account_close(store);
    weir_account_close(sibling);
    weir_account_close(tenant);
    end(above);
}
END_TEST

START_TEST(a_lowered_limit_holds_for_the_next_charge)
{
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    warm(tenant);
    charge(tenant, WEIR_KIND_HANDLE, 100);
    weir_account_set_limit(tenant, 50);
    refused(tenant, 1);
    weir_account_set_limit(tenant, 101);
    charge(tenant, WEIR_KIND_HANDLE, 1);
    refused(tenant, 1);
    weir_account_discharge(tenant, WEIR_KIND_HANDLE, 101);
    end(tenant);
}
END_TEST

/* --- bytes that go from thread to thread --------------------------------------------------- */

static void *charge_pieces(void *context)
{
    struct sitter *sitter = context;
    warm(sitter->account);
    for (uint64_t i = 0; i < sitter->held; i++)
        charge(sitter->account, WEIR_KIND_REQUEST, 10);
    return NULL;
}

static void charge_elsewhere(struct weir_account *account, uint64_t pieces)
{
    struct sitter sitter = {.account = account, .held = pieces};
    ck_assert_int_eq(pthread_create(&sitter.thread, NULL, charge_pieces, &sitter), 0);
    (void)pthread_join(sitter.thread, NULL);
}

START_TEST(another_thread_gives_back)
{
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    warm(tenant);
    for (int round = 0; round < 3; round++) {
        charge_elsewhere(tenant, 1000);
        ck_assert_uint_eq(read_of(tenant).used_bytes, 10000);
        charge(tenant, WEIR_KIND_REQUEST, 5);
        weir_account_discharge(tenant, WEIR_KIND_REQUEST, 9005);
        for (int i = 0; i < 100; i++)
            weir_account_discharge(tenant, WEIR_KIND_REQUEST, 10);
        ck_assert_uint_eq(read_of(tenant).used_bytes, 0);
    }
    end(tenant);
}
END_TEST

START_TEST(discharging_more_than_charged_is_caught)
{
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    charge_elsewhere(tenant, 10);
    charge(tenant, WEIR_KIND_REQUEST, 1);
    weir_account_discharge(tenant, WEIR_KIND_REQUEST, 102);
}
END_TEST

static void count_call(void *context)
{
    (*(int *)context)++;
}

START_TEST(a_closed_account_waits_for_what_cells_hold)
{
    int drained = 0;
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    weir_account_set_drained(tenant, count_call, &drained);
    charge_elsewhere(tenant, 10);
    warm(tenant);
    charge(tenant, WEIR_KIND_REQUEST, 1);
    weir_account_close(tenant);
    weir_account_discharge(tenant, WEIR_KIND_REQUEST, 1);
    weir_account_discharge(tenant, WEIR_KIND_REQUEST, 99);
    ck_assert_int_eq(drained, 0);
    weir_account_discharge(tenant, WEIR_KIND_REQUEST, 1);
    ck_assert_int_eq(drained, 1);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
}
END_TEST

/* The last bytes go from cells, more than these keep, by those who charged them, while the account
 * is closed. */
START_TEST(the_last_discharges_may_race_with_the_close)
{
    for (int round = 0; round < (SANITIZED ? 50 : 300); round++) {
        int drained = 0;
        struct sitter sitters[2];
        pthread_barrier_t barrier;
        (void)pthread_barrier_init(&barrier, NULL, 3);
        struct weir_account *service =
            new_account(weir_account_host(), WEIR_ACCOUNT_SERVICE, WEIR_UNLIMITED);
        weir_account_set_drained(service, count_call, &drained);
        for (int i = 0; i < 2; i++) {
            sitters[i] = (struct sitter){
                .account = service, .barrier = &barrier, .held = 20, .piece = 5000};
            ck_assert_int_eq(pthread_create(&sitters[i].thread, NULL, sit, &sitters[i]), 0);
        }
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
        weir_account_close(service);
        for (int i = 0; i < 2; i++)
            (void)pthread_join(sitters[i].thread, NULL);
        (void)pthread_barrier_destroy(&barrier);
        ck_assert_int_eq(drained, 1);
        ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
    }
}
END_TEST

/* --- limits hit from all sides ------------------------------------------------------------- */

#define WORKERS 6
#define LIMIT (UINT64_C(256) << 10)
#define ROUNDS (SANITIZED ? 8000 : 100000)
#define POSTS 64

/* Charged amounts that whoever comes by gives back. */
struct side {
    struct weir_account *account;
    _Atomic uint64_t posts[POSTS];
};

struct worker {
    pthread_t thread;
    struct side *side;
    unsigned seed;
    uint64_t refused;
    uint64_t granted;
};

/* Bytes that the workers hold together, by their own count. */
static _Atomic uint64_t held;
static _Atomic uint64_t held_max;
static _Atomic int stop;

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void note_held(uint64_t amount)
{
    uint64_t now = atomic_fetch_add(&held, amount) + amount;
    uint64_t seen = atomic_load(&held_max);
    while (seen < now && !atomic_compare_exchange_weak(&held_max, &seen, now))
        continue;
}

static void give_back(struct weir_account *account, uint64_t amount)
{
    atomic_fetch_sub(&held, amount);
    weir_account_discharge(account, WEIR_KIND_HOST_BUFFER, amount);
}

static void *work(void *context)
{
    struct worker *worker = context;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned size = next_random(&worker->seed) % 8;
        uint64_t amount =
            1 + next_random(&worker->seed) % (size == 0 ? LIMIT / 2 : size < 3 ? 20000 : 300);
        if (weir_account_charge(worker->side->account, WEIR_KIND_HOST_BUFFER, amount, NULL) !=
            WEIR_OK) {
            worker->refused++;
            amount = 0;
        } else {
            worker->granted++;
            note_held(amount);
        }
        /* Mostly its own bytes at once, so that cells are in use. */
        if (next_random(&worker->seed) % 64 == 0)
            amount =
                atomic_exchange(&worker->side->posts[next_random(&worker->seed) % POSTS], amount);
        give_back(worker->side->account, amount);
    }
    return NULL;
}

static void *watch(void *context)
{
    struct weir_account *account = context;
    while (atomic_load(&stop) == 0) {
        struct weir_account_reading reading = read_of(account);
        ck_assert_uint_le(reading.used_bytes, LIMIT);
        ck_assert_uint_le(reading.peak_bytes, LIMIT);
        ck_assert_uint_le(reading.kind_peaks[WEIR_KIND_HOST_BUFFER], LIMIT);
    }
    return NULL;
}

START_TEST(never_above_the_limit_from_any_side)
{
    static struct side sides[3];
    struct worker workers[WORKERS];
    pthread_t watcher;
    struct weir_account *above = new_tenant(LIMIT);
    sides[0].account = above;
    sides[1].account = new_account(above, WEIR_ACCOUNT_TENANT, LIMIT / 2);
    sides[2].account = new_account(above, WEIR_ACCOUNT_SERVICE, WEIR_UNLIMITED);
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch, above), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.side = &sides[i % 3], .seed = 42 + i};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    uint64_t granted = 0, refusals = 0, counted = 0;
    for (int i = 0; i < WORKERS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        granted += workers[i].granted;
        refusals += workers[i].refused;
    }
    atomic_store(&stop, 1);
    (void)pthread_join(watcher, NULL);
    /* The test would be idle if nothing were refused or granted. */
    ck_assert_uint_gt(granted, 1000);
    ck_assert_uint_gt(refusals, 10);
    ck_assert_uint_le(atomic_load(&held_max), LIMIT);
    for (int i = 2; i >= 0; i--) {
        for (int post = 0; post < POSTS; post++)
            give_back(sides[i].account, atomic_load(&sides[i].posts[post]));
        counted += read_of(sides[i].account).refused_count;
    }
    ck_assert_uint_eq(atomic_load(&held), 0);
    ck_assert_uint_eq(counted, refusals);
    /* What is idle in the cells of threads that ended is not lost. */
    charge(above, WEIR_KIND_CACHE, LIMIT);
    refused(above, 1);
    weir_account_discharge(above, WEIR_KIND_CACHE, LIMIT);
    weir_account_close(sides[1].account);
    weir_account_close(sides[2].account);
    end(above);
}
END_TEST

/* --- stopping cells in use ----------------------------------------------------------------- */

static _Atomic uint64_t spun;

static void *spin_charges(void *context)
{
    struct weir_account *account = context;
    while (atomic_load_explicit(&stop, memory_order_relaxed) == 0) {
        uint64_t done = 0;
        for (int i = 0; i < 2 * WARM; i++) {
            if (weir_account_charge(account, WEIR_KIND_HANDLE, 100, NULL) != WEIR_OK)
                continue;
            weir_account_discharge(account, WEIR_KIND_HANDLE, 100);
            done++;
        }
        atomic_fetch_add_explicit(&spun, done, memory_order_relaxed);
    }
    return NULL;
}

/* Some charge from their cells as fast as they can, another needs their credit again and again.
 * What was lost or doubled on the way would show in what the account grants in the end. */
START_TEST(credit_is_neither_lost_nor_doubled_by_stopping)
{
    struct weir_account *tenant = new_tenant(LIMIT);
    pthread_t threads[2];
    uint64_t taken = 0;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, spin_charges, tenant), 0);
    while (taken < ROUNDS / 8 || atomic_load(&spun) < 10 * ROUNDS) {
        if (weir_account_charge(tenant, WEIR_KIND_CACHE, LIMIT - 250, NULL) != WEIR_OK)
            continue;
        taken++;
        weir_account_discharge(tenant, WEIR_KIND_CACHE, LIMIT - 250);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    ck_assert_uint_eq(read_of(tenant).used_bytes, 0);
    charge(tenant, WEIR_KIND_CACHE, LIMIT);
    refused(tenant, 1);
    weir_account_discharge(tenant, WEIR_KIND_CACHE, LIMIT);
    end(tenant);
}
END_TEST

/* --- where there are no cells -------------------------------------------------------------- */

START_TEST(more_threads_than_cells)
{
    enum { COUNT = WEIR__CELL_THREADS + 8 };
    static struct sitter sitters[COUNT];
    pthread_barrier_t barrier;
    (void)pthread_barrier_init(&barrier, NULL, COUNT + 1);
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    for (int i = 0; i < COUNT; i++) {
        sitters[i] = (struct sitter){.account = tenant, .barrier = &barrier, .held = 3, .piece = 1};
        ck_assert_int_eq(pthread_create(&sitters[i].thread, NULL, sit, &sitters[i]), 0);
    }
    (void)pthread_barrier_wait(&barrier);
    ck_assert_uint_eq(read_of(tenant).used_bytes, 3 * COUNT);
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < COUNT; i++)
        (void)pthread_join(sitters[i].thread, NULL);
    (void)pthread_barrier_destroy(&barrier);
    end(tenant);
}
END_TEST

/* Only a thread that has a cell makes the account grant more than it charges. */
START_TEST(cells_of_threads_that_ended_are_used_again)
{
    for (int i = 0; i < WEIR__CELL_THREADS + 8; i++) {
        struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
        charge_elsewhere(tenant, 0);
        ck_assert_msg(has_cells(tenant), "thread %d has no cell", i);
        end(tenant);
    }
}
END_TEST

START_TEST(more_accounts_than_blocks)
{
    enum { COUNT = WEIR__CELL_BLOCKS + 4 };
    struct weir_account *tenants[COUNT];
    int with_cells = 0;
    for (int i = 0; i < COUNT; i++) {
        tenants[i] = new_tenant(WEIR_UNLIMITED);
        warm(tenants[i]);
        with_cells += has_cells(tenants[i]);
    }
    ck_assert_int_eq(with_cells, WEIR__CELL_BLOCKS);
    weir_account_close(tenants[0]);
    warm(tenants[COUNT - 1]);
    ck_assert(has_cells(tenants[COUNT - 1]));
    for (int i = 1; i < COUNT - 1; i++)
        weir_account_close(tenants[i]);
    end(tenants[COUNT - 1]);
}
END_TEST

START_TEST(every_nth_charge_can_fail)
{
    struct weir_account *tenant = new_tenant(WEIR_UNLIMITED);
    warm(tenant);
    for (uint64_t n = 1; n <= 5; n++) {
        int failed = 0;
        (void)weir_ledger_fail_nth(n);
        for (uint64_t i = 1; i <= 5; i++) {
            enum weir_status status = weir_account_charge(tenant, WEIR_KIND_HANDLE, 1, NULL);
            ck_assert_int_eq(status, i == n ? WEIR_NO_MEMORY : WEIR_OK);
            failed += status != WEIR_OK;
        }
        ck_assert_uint_eq(weir_ledger_fail_nth(0), 5);
        ck_assert_int_eq(failed, 1);
        ck_assert_uint_eq(read_of(tenant).used_bytes, 4);
        weir_account_discharge(tenant, WEIR_KIND_HANDLE, 4);
    }
    end(tenant);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cells");
    TCase *tests = tcase_create("cells");
    tcase_add_test(tests, an_account_charged_often_has_cells_and_exact_figures);
    tcase_add_test(tests, the_peak_of_a_kind_lags_by_less_than_a_slab);
    tcase_add_test(tests, nothing_is_refused_for_credit_in_a_cell);
    tcase_add_test(tests, a_lowered_limit_holds_for_the_next_charge);
    tcase_add_test(tests, another_thread_gives_back);
    tcase_add_test_raise_signal(tests, discharging_more_than_charged_is_caught, SIGABRT);
    tcase_add_test(tests, a_closed_account_waits_for_what_cells_hold);
    tcase_add_test(tests, the_last_discharges_may_race_with_the_close);
    tcase_add_test(tests, never_above_the_limit_from_any_side);
    tcase_add_test(tests, credit_is_neither_lost_nor_doubled_by_stopping);
    tcase_add_test(tests, more_threads_than_cells);
    tcase_add_test(tests, cells_of_threads_that_ended_are_used_again);
    tcase_add_test(tests, more_accounts_than_blocks);
    tcase_add_test(tests, every_nth_charge_can_fail);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
