/* Events: every object that comes goes once, on every path; names, figures and order are right. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eventful_trap_wasm.h"
#include "eventful_wasm.h"
#include "tests/run_suite.h"

#define LOG_MAX 64
#define THREADS INT64_C(4)
#define ROUNDS INT64_C(100)

struct log {
    size_t count;
    struct {
        struct weir_event event;
        char name[WEIR_ACCOUNT_NAME_SIZE];
    } items[LOG_MAX];
};

static struct log events;
static struct weir_engine *engine;
static struct weir_module *module;

static void note(void *context, const struct weir_event *event)
{
    struct log *log = context;
    ck_assert_uint_lt(log->count, LOG_MAX);
    log->items[log->count].event = *event;
    (void)snprintf(log->items[log->count].name, WEIR_ACCOUNT_NAME_SIZE, "%s", event->name);
    log->count++;
}

static void begin(void)
{
    events.count = 0;
    struct weir_engine_config config = {.event_hook = note, .event_context = &events};
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, eventful_wasm, sizeof eventful_wasm);
}

static void end(void)
{
    weir_module_unref(module);
    weir_engine_unref(engine);
}

/* Exactly these kinds since the log was emptied. */
static void check_kinds(size_t count, const enum weir_event_kind *kinds)
{
    for (size_t i = 0; i < count && i < events.count; i++)
        ck_assert_str_eq(weir_event_name(events.items[i].event.kind), weir_event_name(kinds[i]));
    ck_assert_uint_eq(events.count, count);
    events.count = 0;
}
#define CHECK_KINDS(...)                                                                           \
    check_kinds(sizeof((const enum weir_event_kind[]){__VA_ARGS__}) /                              \
                    sizeof(enum weir_event_kind),                                                  \
                (const enum weir_event_kind[]){__VA_ARGS__})

static struct weir_store *named_store(const char *name)
{
    struct weir_store *store = NULL;
    ck_assert_int_eq(
        weir_store_new(engine, &(struct weir_store_config){.name = name}, &store, NULL), WEIR_OK);
    return store;
}

START_TEST(tells_of_a_life)
{
    begin();
    struct weir_module_figures figures;
    weir_module_figures(module, &figures);
    ck_assert_ptr_eq(events.items[0].event.module, module);
    ck_assert_ptr_null(events.items[0].event.store);
    ck_assert_uint_eq(events.items[0].event.bytes, figures.private_bytes);
    CHECK_KINDS(WEIR_EVENT_MODULE_CREATED);

    struct weir_store *store = named_store("life");
    struct weir_instance *first = fixture_instance(store, NULL, module);
    struct weir_instance *second = fixture_instance(store, NULL, module);
    ck_assert_str_eq(events.items[0].name, "life");
    ck_assert_ptr_eq(events.items[0].event.store, store);
    ck_assert_uint_gt(events.items[0].event.bytes, 0);
    ck_assert_str_eq(events.items[1].name, weir_module_name(module));
    ck_assert_ptr_eq(events.items[1].event.instance, first);
    ck_assert_ptr_eq(events.items[1].event.store, store);
    ck_assert_uint_eq(events.items[1].event.instance_number, 1);
    ck_assert_uint_ge(events.items[1].event.bytes, UINT64_C(131072));
    ck_assert_uint_lt(events.items[1].event.bytes, UINT64_C(196608));
    ck_assert_uint_eq(events.items[2].event.instance_number, 2);
    CHECK_KINDS(WEIR_EVENT_STORE_CREATED, WEIR_EVENT_INSTANCE_CREATED, WEIR_EVENT_INSTANCE_CREATED);

    /* A release that is refused tells nothing; one that happens, what it had come to hold. */
    struct weir_instance_pin *pin = NULL;
    ck_assert_int_eq(weir_instance_pin(first, "the test", &pin, NULL), WEIR_OK);
    ck_assert_int_eq(weir_instance_release(first, NULL, NULL), WEIR_STATE);
    ck_assert_uint_eq(events.count, 0);
    weir_instance_unpin(pin);
    (void)CALL_OK(first, "grow", 3);
    ck_assert_int_eq(weir_instance_release(first, NULL, NULL), WEIR_OK);
    ck_assert_ptr_eq(events.items[0].event.instance, first);
    ck_assert_uint_ge(events.items[0].event.bytes, UINT64_C(327680));
    CHECK_KINDS(WEIR_EVENT_INSTANCE_RELEASED);

    struct weir_receipt receipt = {0};
    weir_store_close(store, &receipt);
    ck_assert_ptr_eq(events.items[0].event.instance, second);
    uint64_t released = 0;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (weir_kind_is_bytes((enum weir_kind)kind))
            released += receipt.released[kind];
    ck_assert_uint_eq(events.items[1].event.bytes, released);
    weir_receipt_done(&receipt);
    CHECK_KINDS(WEIR_EVENT_INSTANCE_RELEASED, WEIR_EVENT_STORE_RELEASED);

    weir_module_unref(weir_module_ref(module)); /* not the last reference */
    ck_assert_uint_eq(events.count, 0);
    end();
    CHECK_KINDS(WEIR_EVENT_MODULE_RELEASED);
}
END_TEST

/* What fails before there is anything tells nothing; an instance whose start traps was there. */
START_TEST(tells_of_failures)
{
    begin();
    events.count = 0;
    struct weir_account *poor = NULL;
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    ck_assert_int_eq(
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "poor", 4096, &poor, NULL),
        WEIR_OK);
    ck_assert_int_eq(
        weir_store_new(engine, &(struct weir_store_config){.account = poor}, &store, NULL),
        WEIR_LIMIT);
    ck_assert_int_eq(
        weir_module_load(engine, -1, NULL, &(struct weir_module *){NULL}, NULL) == WEIR_OK, false);
    ck_assert_uint_eq(events.count, 0);
    weir_account_close(poor);

    ck_assert_int_eq(weir_store_new(engine,
                                    &(struct weir_store_config){.memory_bytes_max = 65536 + 4096},
                                    &store, NULL),
                     WEIR_OK);
    ck_assert_int_eq(weir_instance_new(store, NULL, module, &instance, NULL, NULL), WEIR_LIMIT);
    weir_store_close(store, NULL);
    CHECK_KINDS(WEIR_EVENT_STORE_CREATED, WEIR_EVENT_STORE_RELEASED);

    struct weir_engine_config config = {0};
    struct weir_module *trapping =
        fixture_module(engine, &config, eventful_trap_wasm, sizeof eventful_trap_wasm);
    store = named_store("trap");
    ck_assert_int_eq(weir_instance_new(store, NULL, trapping, &instance, NULL, NULL), WEIR_TRAP);
    CHECK_KINDS(WEIR_EVENT_MODULE_CREATED, WEIR_EVENT_STORE_CREATED, WEIR_EVENT_INSTANCE_CREATED,
                WEIR_EVENT_INSTANCE_RELEASED);
    weir_module_unref(trapping);
    weir_store_close(store, NULL);
    CHECK_KINDS(WEIR_EVENT_MODULE_RELEASED, WEIR_EVENT_STORE_RELEASED);
    end();
}
END_TEST

/* A pool's slots are stores like others; a reset is neither an end nor a beginning. */
START_TEST(tells_of_pools)
{
    begin();
    events.count = 0;
    struct weir_pool *pool = NULL;
    struct weir_instance *slot = NULL;
    const struct weir_pool_config config = {.store = {.name = "slot of a pool"}, .warm_max = 1};
    ck_assert_int_eq(weir_pool_new(NULL, module, &config, &pool, NULL), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weir_pool_take(pool, &slot, NULL), WEIR_OK);
        weir_pool_give(pool, slot);
    }
    ck_assert_str_eq(events.items[0].name, "slot of a pool");
    CHECK_KINDS(WEIR_EVENT_STORE_CREATED, WEIR_EVENT_INSTANCE_CREATED);
    weir_pool_free(pool);
    CHECK_KINDS(WEIR_EVENT_INSTANCE_RELEASED, WEIR_EVENT_STORE_RELEASED);
    end();
}
END_TEST

static _Atomic int64_t balance[WEIR_EVENT_KIND_COUNT];

static void count(void *context, const struct weir_event *event)
{
    (void)context;
    atomic_fetch_add(&balance[event->kind], 1);
}

static void *live_and_die(void *data)
{
    (void)data;
    for (int i = 0; i < ROUNDS; i++) {
        struct weir_store *store = fixture_store(engine);
        struct weir_instance *one = fixture_instance(store, NULL, module);
        (void)fixture_instance(store, NULL, module);
        if (i % 2 == 0)
            ck_assert_int_eq(weir_instance_release(one, NULL, NULL), WEIR_OK);
        weir_store_close(store, NULL);
    }
    return NULL;
}

START_TEST(balances_on_threads)
{
    struct weir_engine_config config = {.event_hook = count};
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, eventful_wasm, sizeof eventful_wasm);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, live_and_die, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    end();
    static const int64_t wanted[WEIR_EVENT_KIND_COUNT] = {
        [WEIR_EVENT_MODULE_CREATED] = 1,
        [WEIR_EVENT_MODULE_RELEASED] = 1,
        [WEIR_EVENT_STORE_CREATED] = THREADS * ROUNDS,
        [WEIR_EVENT_STORE_RELEASED] = THREADS * ROUNDS,
        [WEIR_EVENT_INSTANCE_CREATED] = 2 * THREADS * ROUNDS,
        [WEIR_EVENT_INSTANCE_RELEASED] = 2 * THREADS * ROUNDS,
    };
    for (int i = 0; i < WEIR_EVENT_KIND_COUNT; i++)
        ck_assert_int_eq(atomic_load(&balance[i]), wanted[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tests = tcase_create("hooks");
    tcase_add_test(tests, tells_of_a_life);
    tcase_add_test(tests, tells_of_failures);
    tcase_add_test(tests, tells_of_pools);
    tcase_add_test(tests, balances_on_threads);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
