/* Censuses: what is counted and by whom it is owned, differences, bounded memory, growth; and a
 * census while stores run on other threads (under ThreadSanitizer as well).
 *
 * With --no-membarrier the same without that system call: owners of stores pay for the barrier. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "handle_wasm.h"
#include "ledger/ledger.h"
#include "runtime/census_internal.h"
#include "state_wasm.h"
#include "tests/run_suite.h"
#include "tests/skip.h"
#include "tests/unit/runtime/no_membarrier.h"

static bool has_membarrier = true;
static struct weir_engine *engine;
static struct weir_module *module;
static const struct weir_resource_type file_type = {.name = "file"};

static void setup(void)
{
    engine = fixture_engine(NULL);
    module = fixture_module(engine, NULL, state_wasm, sizeof state_wasm);
}

static bool is_fenced(void)
{
    return (atomic_load(&weir__census_state) & WEIR__CENSUS_FENCED) != 0;
}

static void teardown(void)
{
    weir_module_unref(module);
    weir_engine_unref(engine);
}

static struct weir_census *take(const struct weir_census_config *config)
{
    struct weir_census *census = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_census_take(engine, config, &census, &error) == WEIR_OK, "%s",
                  error.message);
    return census;
}

static struct weir_census *take_since(const struct weir_census *before)
{
    return take(&(struct weir_census_config){.since = before});
}

static struct weir_census_total total_of(const struct weir_census *census,
                                         enum weir_census_type type)
{
    struct weir_census_total total;
    weir_census_total(census, type, &total);
    return total;
}

static const struct weir_census_group *group_named(const struct weir_census *census,
                                                   enum weir_census_type type, const char *name)
{
    for (size_t i = 0; i < weir_census_group_count(census); i++) {
        const struct weir_census_group *group = weir_census_group(census, i);
        if (group->type == type && strcmp(group->name, name) == 0)
            return group;
    }
    ck_abort_msg("no group %s %s", weir_census_type_name(type), name);
}

static struct weir_handle make_handle(struct weir_handles *handles, const char *label)
{
    struct weir_handle handle = {0};
    const struct weir_handle_new wanted = {.type = &file_type, .label = label};
    ck_assert_int_eq(weir_handle_make(handles, &wanted, &handle, NULL), WEIR_OK);
    return handle;
}

/* The path that is meant is the one that is tested: known before the first store is made. */
START_TEST(knows_its_kernel)
{
    ck_assert_int_eq(is_fenced(), !has_membarrier);
    weir_census_free(take(NULL));
    ck_assert_int_eq(is_fenced(), !has_membarrier);
}
END_TEST

/* A filter that comes later: one census is refused, since owners could not know; then they pay. */
START_TEST(membarrier_goes_away)
{
    struct weir_store *store = fixture_store(engine);
    struct weir_census *census = NULL;
    struct weir_error error = {0};
    weir_census_free(take(NULL));
    ck_assert(take_membarrier_away());
    if (has_membarrier) {
        ck_assert_int_eq(weir_census_take(engine, NULL, &census, &error), WEIR_BUSY);
        ck_assert_msg(strstr(error.message, "membarrier") != NULL, "%s", error.message);
        weir_error_done(&error);
    }
    census = take(NULL);
    ck_assert(is_fenced());
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_STORE).count, 1);
    weir_census_free(census);
    weir_store_close(store, NULL);
}
END_TEST

START_TEST(counts_what_lives)
{
    struct weir_store_config config = {.name = "plugin"};
    struct weir_store *store = NULL;
    ck_assert_int_eq(weir_store_new(engine, &config, &store, NULL), WEIR_OK);
    struct weir_instance *instance = fixture_instance(store, NULL, module);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    struct weir_handles *handles = NULL;
    ck_assert_int_eq(weir_instance_handles(instance, &handles, NULL), WEIR_OK);
    for (int i = 0; i < 20; i++)
        (void)make_handle(handles, "path_open");
    struct weir_instance_pin *pin = NULL;
    ck_assert_int_eq(weir_instance_pin(instance, "router", &pin, NULL), WEIR_OK);
    struct weir_held *held = NULL;
    ck_assert_int_eq(weir_held_new(instance, WEIR_HELD_BUFFER, "log", 700, &held, NULL), WEIR_OK);
    const struct weir_limits limits = {.min = 2};
    struct weir_memory *host_memory = NULL;
    ck_assert_int_eq(weir_memory_new(store, &limits, &host_memory, NULL), WEIR_OK);

    struct weir_census *census = take(NULL);
    static const uint64_t COUNTS[WEIR_CENSUS_TYPE_COUNT] = {
        [WEIR_CENSUS_ENGINE] = 1, [WEIR_CENSUS_MODULE] = 1,   [WEIR_CENSUS_LINKER] = 1,
        [WEIR_CENSUS_STORE] = 1,  [WEIR_CENSUS_INSTANCE] = 1, [WEIR_CENSUS_MEMORY] = 2,
        [WEIR_CENSUS_TABLE] = 1,  [WEIR_CENSUS_HANDLE] = 20,  [WEIR_CENSUS_TASK] = 0,
        [WEIR_CENSUS_PIN] = 1,    [WEIR_CENSUS_HELD] = 1};
    for (int type = 0; type < WEIR_CENSUS_TYPE_COUNT; type++) {
        struct weir_census_total total = total_of(census, (enum weir_census_type)type);
        ck_assert_msg(total.count == COUNTS[type], "%llu of %s", (unsigned long long)total.count,
                      weir_census_type_name((enum weir_census_type)type));
        ck_assert_uint_eq(total.left_out, 0);
    }
    struct weir_account_reading reading;
    weir_account_read(weir_store_account(store), &reading);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_STORE).bytes, reading.used_bytes);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_MEMORY).bytes, (8 + 2) * 65536);
    ck_assert_uint_eq(group_named(census, WEIR_CENSUS_MEMORY, "the host's")->bytes, 2 * 65536);
    const struct weir_census_group *files = group_named(census, WEIR_CENSUS_HANDLE, "file");
    ck_assert_str_eq(files->origin, "the host, path_open");
    ck_assert_str_eq(files->owner, "instance 1 of store \"plugin\"");
    ck_assert_uint_gt(files->oldest_ns, 0);
    ck_assert_uint_eq(group_named(census, WEIR_CENSUS_PIN, "router")->count, 1);
    ck_assert_uint_eq(group_named(census, WEIR_CENSUS_HELD, "log")->bytes, 700);
    ck_assert_uint_eq(weir_census_store_count(census), 1);
    ck_assert_uint_eq(weir_census_store(census, 0)->handles, 20);
    ck_assert_uint_eq(weir_census_completed(census), 0);
    weir_census_free(census);

    weir_held_free(held);
    weir_linker_free(linker);
    weir_store_close(store, NULL);
    census = take(NULL);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_STORE).count, 0);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_HELD).count, 0);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_LINKER).count, 0);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_LINKER).made, 1);
    ck_assert_uint_eq(weir_census_completed(census), 1);
    weir_census_free(census);
}
END_TEST

static struct weir_handles *opened;

static enum weir_status host_open(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    results[0].i32 = (int32_t)make_handle(opened, "open").index;
    return WEIR_OK;
}

START_TEST(names_the_guest_function_that_made_a_handle)
{
    static const enum weir_type i32 = WEIR_TYPE_I32;
    const struct weir_func_type type = {&i32, 1, &i32, 1};
    const struct weir_host_definition definition = {.type = &type, .func = host_open};
    struct weir_module *guest = fixture_module(engine, NULL, handle_wasm, sizeof handle_wasm);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    static const char *const NAMES[] = {"open", "drop"};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_linker_define_func(linker, "host", NAMES[i], &definition, NULL),
                         WEIR_OK);
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, linker, guest);
    ck_assert_int_eq(weir_instance_handles(instance, &opened, NULL), WEIR_OK);
    for (int i = 0; i < 3; i++)
        (void)CALL_OK(instance, "open", 0);
    struct weir_census *census = take(NULL);
    const struct weir_census_group *group = group_named(census, WEIR_CENSUS_HANDLE, "file");
    ck_assert_uint_eq(group->count, 3);
    ck_assert_msg(strstr(group->origin, "inner (+0x") == group->origin &&
                      strstr(group->origin, "in fixture, open") != NULL,
                  "%s", group->origin);
    weir_census_free(census);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(guest);
}
END_TEST

START_TEST(tells_new_and_gone_apart)
{
    struct weir_store *store = fixture_store(engine);
    struct weir_handles *handles = NULL;
    ck_assert_int_eq(weir_store_handles(store, &handles, NULL), WEIR_OK);
    struct weir_handle old[4];
    for (int i = 0; i < 4; i++)
        old[i] = make_handle(handles, "old");
    struct weir_census *before = take(NULL);
    struct weir_census *same = take_since(before);
    ck_assert_uint_eq(weir_census_diff(before, same, NULL, 0), 0);
    weir_census_free(same);
    for (int i = 0; i < 3; i++) /* as many of the same are made as go, less one */
        ck_assert_int_eq(weir_handle_drop(handles, old[i].index, NULL, NULL), WEIR_OK);
    for (int i = 0; i < 2; i++)
        (void)make_handle(handles, "old");
    struct weir_store *another = fixture_store(engine);
    struct weir_census *after = take_since(before);
    struct weir_census_change changes[8];
    ck_assert_uint_eq(weir_census_diff(before, after, changes, 8), 2);
    ck_assert_int_eq(changes[0].after->type, WEIR_CENSUS_STORE);
    ck_assert_int_eq(changes[0].count, 1);
    ck_assert_int_eq(changes[1].after->type, WEIR_CENSUS_HANDLE);
    ck_assert_int_eq(changes[1].count, -1);
    ck_assert_uint_eq(changes[1].made, 2);
    ck_assert_uint_eq(changes[1].gone, 3);
    weir_store_close(another, NULL);
    weir_store_close(store, NULL);
    struct weir_census *last = take_since(after);
    ck_assert_uint_eq(weir_census_diff(after, last, changes, 8), 2);
    ck_assert_ptr_null(changes[1].after);
    ck_assert_uint_eq(changes[1].gone, 3);
    weir_census_free(last);
    weir_census_free(after);
    weir_census_free(before);
}
END_TEST

START_TEST(is_bounded)
{
    struct weir_store *stores[8];
    for (int i = 0; i < 8; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", i);
        const struct weir_store_config config = {.name = name};
        ck_assert_int_eq(weir_store_new(engine, &config, &stores[i], NULL), WEIR_OK);
    }
    struct weir_census *census =
        take(&(struct weir_census_config){.groups_max = 3, .stores_max = 2});
    ck_assert_uint_eq(weir_census_group_count(census), 3);
    ck_assert_uint_eq(weir_census_store_count(census), 2);
    ck_assert_str_eq(weir_census_store(census, 0)->name, "s0");
    struct weir_census_total total = total_of(census, WEIR_CENSUS_STORE);
    ck_assert_uint_eq(total.count, 8);
    ck_assert_uint_ge(total.left_out, 7);
    weir_census_free(census);
    struct weir_error error = {0};
    const struct weir_census_config huge = {.groups_max = UINT32_MAX};
    ck_assert_int_eq(weir_census_take(engine, &huge, &census, &error), WEIR_INVALID_ARGUMENT);
    for (int i = 0; i < 8; i++)
        weir_store_close(stores[i], NULL);
}
END_TEST

START_TEST(another_engine_is_not_counted)
{
    struct weir_engine *other = fixture_engine(NULL);
    struct weir_store *store = fixture_store(other);
    struct weir_census *census = take(NULL);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_STORE).count, 0);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_ENGINE).count, 1);
    weir_census_free(census);
    ck_assert_int_eq(weir_census_take(NULL, NULL, &census, NULL), WEIR_OK);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_STORE).count, 1);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_ENGINE).count, 2);
    weir_census_free(census);
    weir_store_close(store, NULL);
    weir_engine_unref(other);
}
END_TEST

START_TEST(every_refusal_leaves_nothing)
{
    struct weir_account_reading before, after;
    weir_account_read(weir_account_host(), &before);
    for (uint64_t nth = 1;; nth++) {
        struct weir_census *census = NULL;
        (void)weir_ledger_fail_nth(nth);
        enum weir_status status = weir_census_take(engine, NULL, &census, NULL);
        (void)weir_ledger_fail_nth(0);
        if (status == WEIR_OK) {
            ck_assert_uint_gt(nth, 4);
            weir_census_free(census);
            break;
        }
        ck_assert_ptr_null(census);
    }
    weir_account_read(weir_account_host(), &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
}
END_TEST

/* --- bytes per completed instance ----------------------------------------------------------- */

static double growth_of(struct weir_store *keeper, int kept_per_round, bool *ret_is_growing)
{
    struct weir_handles *handles = NULL;
    ck_assert_int_eq(weir_store_handles(keeper, &handles, NULL), WEIR_OK);
    struct weir_census_growth growth = {0};
    struct weir_census_growth_reading reading = {0};
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 10; i++) {
            struct weir_store *store = fixture_store(engine);
            struct weir_instance *instance = fixture_instance(store, NULL, module);
            (void)CALL_OK(instance, "grow", i % 3);
            weir_store_close(store, NULL);
        }
        for (int i = 0; i < kept_per_round; i++) {
            struct weir_instance *instance = fixture_instance(keeper, NULL, module);
            (void)instance;
        }
        (void)weir_engine_quiesce(engine);
        struct weir_census *census = take(NULL);
        weir_census_growth_add(&growth, weir_census_completed(census), weir_census_bytes(census));
        weir_census_free(census);
    }
    ck_assert_int_eq(weir_census_growth_read(&growth, &reading, NULL), WEIR_OK);
    ck_assert(reading.low <= reading.bytes_per_instance);
    ck_assert(reading.high >= reading.bytes_per_instance);
    *ret_is_growing = reading.is_growing;
    return reading.bytes_per_instance;
}

START_TEST(growth_per_instance_is_measured)
{
    struct weir_store *keeper = fixture_store(engine);
    bool is_growing = true;
    ck_assert(growth_of(keeper, 0, &is_growing) == 0);
    ck_assert(!is_growing);
    /* One kept for ten that completed: at least a tenth of its linear memory each. */
    ck_assert(growth_of(keeper, 1, &is_growing) > 0.1 * 8 * 65536);
    ck_assert(is_growing);
    weir_store_close(keeper, NULL);
    struct weir_census_growth none = {0};
    struct weir_census_growth_reading reading;
    for (int i = 0; i < 20; i++)
        weir_census_growth_add(&none, 7, (uint64_t)i * 1000); /* nothing completes */
    ck_assert_int_eq(weir_census_growth_read(&none, &reading, NULL), WEIR_STATE);
}
END_TEST

/* --- threads -------------------------------------------------------------------------------- */

#define LIVES 150
static atomic_int running;

static void *live(void *context)
{
    (void)context;
    for (int i = 0; i < LIVES; i++) {
        struct weir_store *store = fixture_store(engine);
        struct weir_handles *handles = NULL;
        for (int k = 0; k < 2; k++) {
            struct weir_instance *instance = fixture_instance(store, NULL, module);
            ck_assert_int_eq(weir_instance_handles(instance, &handles, NULL), WEIR_OK);
            for (int h = 0; h < 30; h++)
                (void)make_handle(handles, "made");
            (void)CALL_OK(instance, "grow", 1);
            (void)CALL_OK(instance, "table_grow", 3);
            struct weir_held *held = NULL;
            ck_assert_int_eq(weir_held_new(instance, WEIR_HELD_CACHE, "entry", 10, &held, NULL),
                             WEIR_OK);
            struct weir_instance_pin *pin = NULL;
            ck_assert_int_eq(weir_instance_pin(instance, "me", &pin, NULL), WEIR_OK);
            weir_instance_unpin(pin);
            for (uint32_t h = 1; h <= 10; h++)
                ck_assert_int_eq(weir_handle_drop(handles, h, NULL, NULL), WEIR_OK);
            if (k == 0)
                ck_assert_int_eq(weir_instance_reset(instance, NULL), WEIR_OK);
            else
                ck_assert_int_eq(weir_instance_release(instance, NULL, NULL), WEIR_OK);
            ck_assert(weir_held_has_ended(held));
            weir_held_free(held);
        }
        weir_store_close(store, NULL);
    }
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

START_TEST(is_taken_while_stores_run)
{
    pthread_t threads[3];
    atomic_store(&running, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, live, NULL), 0);
    uint64_t completed = 0;
    while (atomic_load(&running) > 0) {
        struct weir_census *census = take(NULL);
        ck_assert_uint_ge(weir_census_completed(census), completed);
        completed = weir_census_completed(census);
        ck_assert_uint_le(total_of(census, WEIR_CENSUS_STORE).count, 3);
        ck_assert_uint_le(total_of(census, WEIR_CENSUS_INSTANCE).count, 6);
        ck_assert_uint_le(total_of(census, WEIR_CENSUS_HANDLE).count, 90);
        weir_census_free(census);
    }
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    struct weir_census *census = take(NULL);
    /* Two instances and one reset in each life. */
    ck_assert_uint_eq(weir_census_completed(census), 3 * 3 * LIVES);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_STORE).count, 0);
    weir_census_free(census);
}
END_TEST

/* --- tasks of stores that close ------------------------------------------------------------- */

#define CLOSINGS 200
static struct weir_executor *executor;

static void run_nothing(struct weir_store_task *task, void *data)
{
    (void)task;
    (void)data;
}

static void done_nothing(void *data, bool was_run)
{
    (void)data;
    (void)was_run;
}

static struct weir_store *busy_store(const struct weir_store_config *config)
{
    const struct weir_store_task_definition definition = {
        .label = "work", .run = run_nothing, .done = done_nothing};
    struct weir_store *store = NULL;
    ck_assert_int_eq(weir_store_new(engine, config, &store, NULL), WEIR_OK);
    for (int i = 0; i < 4; i++) /* BUSY is fine: some of them run */
        (void)weir_store_task_start(store, executor, &definition, NULL);
    return store;
}

static void close_inner(void *data)
{
    weir_store_close(data, NULL);
}

/* While a store closes, its embedder's data may take another store along. */
static void *close_nested(void *context)
{
    (void)context;
    for (int i = 0; i < CLOSINGS; i++) {
        const struct weir_store_config outer = {.data = busy_store(NULL), .data_free = close_inner};
        weir_store_close(busy_store(&outer), NULL);
    }
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

START_TEST(tasks_are_counted_while_stores_close)
{
    pthread_t threads[2];
    ck_assert_int_eq(weir_executor_new(NULL, &executor, NULL), WEIR_OK);
    atomic_store(&running, 2);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, close_nested, NULL), 0);
    while (atomic_load(&running) > 0) {
        struct weir_census *census = take(NULL);
        /* Two stores each, and what the executor still ends of closed ones. */
        ck_assert_uint_le(total_of(census, WEIR_CENSUS_TASK).count, 2 * 2 * 4 + 64 + 2);
        weir_census_free(census);
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    weir_executor_free(executor);
    struct weir_census *census = take(NULL);
    ck_assert_uint_eq(total_of(census, WEIR_CENSUS_TASK).count, 0);
    weir_census_free(census);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--no-membarrier") == 0) {
        has_membarrier = false;
        if (!take_membarrier_away())
            skip_test("the kernel takes no seccomp filters");
    }
    Suite *suite = suite_create("census");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, knows_its_kernel);
    tcase_add_test(tests, membarrier_goes_away);
    tcase_add_test(tests, counts_what_lives);
    tcase_add_test(tests, names_the_guest_function_that_made_a_handle);
    tcase_add_test(tests, tells_new_and_gone_apart);
    tcase_add_test(tests, is_bounded);
    tcase_add_test(tests, another_engine_is_not_counted);
    tcase_add_test(tests, every_refusal_leaves_nothing);
    tcase_add_test(tests, growth_per_instance_is_measured);
    tcase_add_test(tests, is_taken_while_stores_run);
    tcase_add_test(tests, tasks_are_counted_while_stores_close);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
