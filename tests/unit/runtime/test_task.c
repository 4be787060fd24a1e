/* Tasks: run and reaped, refused, cancelled while they wait and while they run; stores that close
 * over them and drain; many of all this at once. Runs under ThreadSanitizer as well. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "release_wasm.h"
#include "tests/run_suite.h"

#define SECOND UINT64_C(1000000000)

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_executor *executor;

/* Work that waits until the gate is open, or its task is cancelled when it may look. */
struct work {
    atomic_bool *gate;
    bool looks;
    atomic_int ran, ended, dropped;
    bool saw_cancel;
};

static void run(struct weir_store_task *task, void *data)
{
    struct work *work = data;
    (void)atomic_fetch_add(&work->ran, 1);
    while (work->gate != NULL && !atomic_load(work->gate)) {
        if (work->looks && weir_store_task_is_cancelled(task)) {
            work->saw_cancel = true;
            return;
        }
        (void)sched_yield();
    }
}

static void done(void *data, bool was_run)
{
    struct work *work = data;
    (void)atomic_fetch_add(was_run ? &work->ended : &work->dropped, 1);
}

static enum weir_status start(struct weir_store *store, struct work *work, uint64_t bytes,
                              struct weir_error *error)
{
    const struct weir_store_task_definition definition = {
        .label = "work", .run = run, .done = done, .data = work, .bytes = bytes};
    return weir_store_task_start(store, executor, &definition, error);
}

static void setup(void)
{
    struct weir_error error = {0};
    engine = fixture_engine(&config);
    const struct weir_executor_config one = {.threads = 1, .queue_max = 3};
    ck_assert_msg(weir_executor_new(&one, &executor, &error) == WEIR_OK, "%s", error.message);
}

static void teardown(void)
{
    weir_executor_free(executor);
    weir_engine_unref(engine);
}

static void wait_for(const atomic_int *value, int wanted)
{
    while (atomic_load(value) < wanted)
        (void)sched_yield();
}

static void wait_for_reap(struct weir_store *store, uint32_t count)
{
    for (uint32_t reaped = 0; reaped < count;) {
        reaped += weir_store_reap(store);
        (void)sched_yield();
    }
}

START_TEST(is_run_and_reaped)
{
    struct weir_store *store = fixture_store(engine);
    struct work work = {0};
    struct weir_account_reading before, during, after;
    weir_account_read(weir_store_account(store), &before);
    ck_assert_int_eq(start(store, &work, 5000, NULL), WEIR_OK);
    weir_account_read(weir_store_account(store), &during);
    ck_assert_uint_eq(during.kinds[WEIR_KIND_HOST_BUFFER],
                      before.kinds[WEIR_KIND_HOST_BUFFER] + 5000);
    wait_for(&work.ran, 1);
    wait_for_reap(store, 1);
    ck_assert_int_eq(work.ended, 1);
    ck_assert_uint_eq(weir_store_task_count(store), 0);
    weir_account_read(weir_store_account(store), &after);
    ck_assert_uint_eq(after.kinds[WEIR_KIND_HOST_BUFFER], before.kinds[WEIR_KIND_HOST_BUFFER]);
    struct weir_receipt receipt = {0};
    weir_store_close(store, &receipt);
    ck_assert(receipt.drained);
    ck_assert_int_eq(weir_receipt_wait(&receipt, 0), WEIR_OK);
    weir_receipt_done(&receipt);
}
END_TEST

START_TEST(refusals_start_nothing)
{
    struct weir_error error = {0};
    atomic_bool gate = false;
    struct work work = {.gate = &gate};
    struct weir_store *store = NULL;
    const struct weir_store_config small = {.memory_bytes_max = 200 << 10, .tasks_max = 5};
    ck_assert_int_eq(weir_store_new(engine, &small, &store, NULL), WEIR_OK);
    ck_assert_int_eq(start(store, &work, 1 << 20, &error), WEIR_LIMIT);
    weir_error_done(&error);
    ck_assert_int_eq(start(store, &work, 0, NULL), WEIR_OK);
    wait_for(&work.ran, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(start(store, &work, 0, NULL), WEIR_OK);
    ck_assert_int_eq(start(store, &work, 0, &error), WEIR_BUSY);
    ck_assert_ptr_nonnull(strstr(error.message, "3 tasks are in the executor's queue"));
    weir_error_done(&error);
    ck_assert_uint_eq(weir_store_task_count(store), 4);
    struct weir_executor_figures figures;
    weir_executor_figures(executor, &figures);
    ck_assert_uint_eq(figures.running, 1);
    ck_assert_uint_eq(figures.waiting, 3);
    ck_assert_uint_eq(figures.refused, 1);
    atomic_store(&gate, true);
    wait_for_reap(store, 4);
    ck_assert_int_eq(work.ended, 4);
    atomic_store(&gate, false);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(start(store, &work, 0, NULL), WEIR_OK);
        if (i == 0)
            wait_for(&work.ran, 5);
    }
    atomic_store(&gate, true); /* ended, but not reaped: they count */
    while (weir_executor_figures(executor, &figures), figures.waiting != 0)
        (void)sched_yield();
    ck_assert_int_eq(start(store, &work, 0, NULL), WEIR_OK);
    ck_assert_int_eq(start(store, &work, 0, &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "the store has 5 tasks, which is its limit"));
    weir_error_done(&error);
    weir_store_close(store, NULL);
}
END_TEST

START_TEST(cancelling_ends_what_waits)
{
    struct weir_store *store = fixture_store(engine);
    atomic_bool gate = false;
    struct work first = {.gate = &gate, .looks = true};
    struct work waiting = {.gate = &gate};
    ck_assert_int_eq(start(store, &first, 0, NULL), WEIR_OK);
    wait_for(&first.ran, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(start(store, &waiting, 10, NULL), WEIR_OK);
    weir_store_cancel_tasks(store, NULL);
    ck_assert_int_eq(waiting.dropped, 3);
    ck_assert_int_eq(waiting.ran, 0);
    while (weir_store_task_count(store) != 0)
        (void)weir_store_reap(store);
    ck_assert_int_eq(first.ended, 1);
    ck_assert(first.saw_cancel);
    weir_store_close(store, NULL);
}
END_TEST

START_TEST(a_store_closes_at_once_and_drains)
{
    struct weir_account_reading before, after;
    weir_account_read(weir_account_host(), &before);
    struct weir_store *store = fixture_store(engine);
    atomic_bool gate = false;
    struct work stubborn = {.gate = &gate};
    struct work waiting = {.gate = &gate};
    ck_assert_int_eq(start(store, &stubborn, 70000, NULL), WEIR_OK);
    wait_for(&stubborn.ran, 1);
    ck_assert_int_eq(start(store, &waiting, 10, NULL), WEIR_OK);
    struct weir_receipt receipt = {0};
    weir_store_close(store, &receipt);
    ck_assert_int_eq(waiting.dropped, 1);
    ck_assert(!receipt.drained);
    ck_assert_uint_eq(receipt.pending[WEIR_KIND_HOST_BUFFER], 70000);
    ck_assert_uint_gt(receipt.released[WEIR_KIND_INSTANCE], 0);
    ck_assert_str_eq(receipt.pins->holder, "task \"work\" still runs; it was told to end");
    ck_assert_int_eq(weir_receipt_wait(&receipt, 1000000), WEIR_DEADLINE);
    ck_assert_int_eq(stubborn.ended, 0);
    ck_assert_ptr_nonnull(receipt.pins);
    uint64_t all = receipt.pending[WEIR_KIND_HOST_BUFFER] + receipt.released[WEIR_KIND_HOST_BUFFER];
    atomic_store(&gate, true);
    ck_assert_int_eq(weir_receipt_wait(&receipt, 30 * SECOND), WEIR_OK);
    ck_assert_int_eq(stubborn.ended, 1);
    ck_assert(receipt.drained);
    ck_assert_uint_eq(receipt.pending[WEIR_KIND_HOST_BUFFER], 0);
    ck_assert_uint_eq(receipt.released[WEIR_KIND_HOST_BUFFER], all);
    ck_assert_ptr_null(receipt.pins);
    weir_receipt_done(&receipt);
    weir_account_read(weir_account_host(), &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
}
END_TEST

static enum weir_status open_nothing(struct weir_caller *caller, void *data,
                                     const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0] = args[0];
    return WEIR_OK;
}

START_TEST(a_task_pins_its_instance)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const struct weir_func_type type = {i32, 1, i32, 1};
    struct weir_error error = {0};
    struct weir_linker *linker;
    struct weir_store *store = fixture_store(engine);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_linker_define_func(linker, "host", "open",
                                &(struct weir_host_definition){&type, open_nothing, NULL}, NULL),
        WEIR_OK);
    struct weir_module *module = fixture_module(engine, &config, release_wasm, sizeof release_wasm);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    atomic_bool gate = false;
    struct work work = {.gate = &gate};
    const struct weir_store_task_definition definition = {
        .label = "resolve", .run = run, .done = done, .data = &work, .instance = instance};
    ck_assert_int_eq(weir_store_task_start(store, executor, &definition, NULL), WEIR_OK);
    ck_assert_int_eq(weir_instance_release(instance, NULL, &error), WEIR_STATE);
    ck_assert_ptr_nonnull(strstr(error.message, "task \"resolve\" works for it"));
    weir_error_done(&error);
    atomic_store(&gate, true);
    enum weir_status status = WEIR_STATE;
    while (status != WEIR_OK) /* it reaps by itself */
        status = weir_instance_release(instance, NULL, NULL);
    ck_assert_int_eq(work.ended, 1);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
}
END_TEST

static void free_data(void *data)
{
    struct work *work = data;
    atomic_store(work->gate, true);
    weir_executor_free(executor);
    executor = NULL;
}

/* What the embedder keeps for a store may be the executor of its tasks, which still run. */
START_TEST(an_executor_ends_with_its_store)
{
    atomic_bool gate = false;
    struct work works[2] = {{.gate = &gate}, {.gate = &gate}};
    struct weir_store *store = NULL;
    struct weir_receipt receipt = {0};
    const struct weir_store_config with_data = {.data = &works[0], .data_free = free_data};
    ck_assert_int_eq(weir_store_new(engine, &with_data, &store, NULL), WEIR_OK);
    ck_assert_int_eq(start(store, &works[0], 1000, NULL), WEIR_OK);
    wait_for(&works[0].ran, 1);
    ck_assert_int_eq(start(store, &works[1], 1000, NULL), WEIR_OK);
    weir_store_close(store, &receipt);
    ck_assert_ptr_null(executor);
    ck_assert_int_eq(works[0].ended, 1);
    ck_assert_int_eq(works[1].dropped, 1);
    ck_assert(receipt.drained);
    ck_assert_uint_eq(receipt.released[WEIR_KIND_HOST_BUFFER], 2000);
    weir_receipt_done(&receipt);
}
END_TEST

START_TEST(an_executor_that_ends_gives_its_queue_back)
{
    struct weir_store *store = fixture_store(engine);
    atomic_bool gate = false;
    struct work first = {.gate = &gate, .looks = true};
    struct work waiting = {.gate = &gate};
    ck_assert_int_eq(start(store, &first, 0, NULL), WEIR_OK);
    wait_for(&first.ran, 1);
    ck_assert_int_eq(start(store, &waiting, 10, NULL), WEIR_OK);
    atomic_store(&gate, true);
    weir_executor_free(executor);
    executor = NULL;
    wait_for_reap(store, 2);
    ck_assert_int_eq(waiting.dropped + waiting.ended, 1);
    ck_assert_int_eq(first.ended, 1);
    weir_store_close(store, NULL);
}
END_TEST

/* --- many at once --------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 150

static void wake(void *data)
{
    (void)data;
}

static void *churn(void *argument)
{
    struct weir_executor *shared = argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct weir_store *store = fixture_store(engine);
        struct work work = {0};
        int started = 0;
        for (int k = 0; k < 8; k++) {
            const struct weir_store_task_definition definition = {.label = "churn",
                                                                  .run = run,
                                                                  .wake = wake,
                                                                  .done = done,
                                                                  .data = &work,
                                                                  .bytes = 100};
            started += weir_store_task_start(store, shared, &definition, NULL) == WEIR_OK ? 1 : 0;
            if (k == 4 && i % 3 == 0)
                weir_store_cancel_tasks(store, NULL);
            if (i % 2 == 0)
                (void)weir_store_reap(store);
        }
        struct weir_receipt receipt = {0};
        weir_store_close(store, &receipt);
        ck_assert_int_eq(weir_receipt_wait(&receipt, 60 * SECOND), WEIR_OK);
        weir_receipt_done(&receipt);
        ck_assert_int_eq(work.ended + work.dropped, started);
    }
    return NULL;
}

START_TEST(many_stores_and_few_threads)
{
    struct weir_account_reading before, after;
    struct weir_executor *shared;
    pthread_t threads[THREADS];
    weir_account_read(weir_account_host(), &before);
    ck_assert_int_eq(weir_executor_new(&(struct weir_executor_config){.threads = 3}, &shared, NULL),
                     WEIR_OK);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, shared), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    weir_executor_free(shared);
    weir_account_read(weir_account_host(), &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
}
END_TEST

/* The n-th charge fails, for every n. */
static bool live(void)
{
    struct weir_executor *own = NULL;
    struct weir_store *store = NULL;
    struct work work = {0};
    bool is_whole = weir_executor_new(NULL, &own, NULL) == WEIR_OK &&
                    weir_store_new(engine, NULL, &store, NULL) == WEIR_OK;
    const struct weir_store_task_definition definition = {
        .label = "sweep", .run = run, .done = done, .data = &work, .bytes = 64};
    for (int i = 0; is_whole && i < 3; i++)
        is_whole = weir_store_task_start(store, own, &definition, NULL) == WEIR_OK;
    struct weir_receipt receipt = {0};
    weir_store_close(store, &receipt);
    if (store != NULL)
        ck_assert_int_eq(weir_receipt_wait(&receipt, 60 * SECOND), WEIR_OK);
    weir_receipt_done(&receipt);
    weir_executor_free(own);
    return is_whole;
}

START_TEST(refused_memory_loses_nothing)
{
    struct weir_account_reading before, after;
    ck_assert(live());
    weir_account_read(weir_account_host(), &before);
    bool is_whole = false;
    for (uint64_t n = 1; !is_whole; n++) {
        ck_assert_uint_lt(n, 60);
        (void)weir_ledger_fail_nth(n);
        is_whole = live();
        (void)weir_ledger_fail_nth(0);
        weir_account_read(weir_account_host(), &after);
        ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("task");
    TCase *tests = tcase_create("tasks");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, is_run_and_reaped);
    tcase_add_test(tests, refusals_start_nothing);
    tcase_add_test(tests, cancelling_ends_what_waits);
    tcase_add_test(tests, a_store_closes_at_once_and_drains);
    tcase_add_test(tests, a_task_pins_its_instance);
    tcase_add_test(tests, an_executor_that_ends_gives_its_queue_back);
    tcase_add_test(tests, an_executor_ends_with_its_store);
    tcase_add_test(tests, many_stores_and_few_threads);
    tcase_add_test(tests, refused_memory_loses_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
