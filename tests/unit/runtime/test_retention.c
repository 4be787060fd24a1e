/* Every pattern of retention: a host that does it is told so by name, with evidence; its twin, that
 * does the same work rightly, is not. A pattern found must be the only one. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "state_wasm.h"
#include "tests/run_suite.h"

#define TURNS 12

static struct weir_engine *engine;
static struct weir_module *module;
static const struct weir_resource_type file_type = {.name = "file"};

static void setup(void)
{
    engine = fixture_engine(NULL);
    module = fixture_module(engine, NULL, state_wasm, sizeof state_wasm);
}

static void teardown(void)
{
    weir_module_unref(module);
    weir_engine_unref(engine);
}

static struct weir_store *named_store(const char *name)
{
    const struct weir_store_config config = {.name = name};
    struct weir_store *store = NULL;
    ck_assert_int_eq(weir_store_new(engine, &config, &store, NULL), WEIR_OK);
    return store;
}

/* --- one case: prepare, a census, the deed, a census, clean up --- */

struct scene {
    struct weir_store *store, *second;
    struct weir_instance *instance, *other;
    struct weir_executor *executor;
    struct weir_held *held[TURNS];
    struct weir_ref_edge *edges[3];
    struct weir_engine *engines[TURNS];
    struct weir_linker *linkers[TURNS];
    struct weir_receipt receipt;
    atomic_bool gate;
    uint64_t age_ns;
};

static void make_instance(struct scene *scene)
{
    scene->store = named_store("plugin");
    scene->instance = fixture_instance(scene->store, NULL, module);
}

static void long_lived(struct scene *scene, bool is_wrong)
{
    for (int i = 0; i < TURNS; i++) {
        struct weir_instance *instance = fixture_instance(scene->store, NULL, module);
        (void)CALL_OK(instance, "size");
        if (!is_wrong)
            ck_assert_int_eq(weir_instance_release(instance, NULL, NULL), WEIR_OK);
    }
}

static void handles(struct scene *scene, bool is_wrong)
{
    struct weir_handles *table = NULL;
    const struct weir_handle_new wanted = {.type = &file_type, .label = "open"};
    ck_assert_int_eq(weir_instance_handles(scene->instance, &table, NULL), WEIR_OK);
    for (int i = 0; i < TURNS; i++) {
        struct weir_handle handle;
        ck_assert_int_eq(weir_handle_make(table, &wanted, &handle, NULL), WEIR_OK);
        if (!is_wrong)
            ck_assert_int_eq(weir_handle_drop(table, handle.index, NULL, NULL), WEIR_OK);
    }
}

static void engines(struct scene *scene, bool is_wrong)
{
    for (int i = 0; i < TURNS; i++) {
        if (is_wrong)
            scene->engines[i] = fixture_engine(NULL);
        if (is_wrong)
            ck_assert_int_eq(weir_linker_new(engine, &scene->linkers[i], NULL), WEIR_OK);
        struct weir_store *store = fixture_store(engine);
        (void)fixture_instance(store, NULL, module);
        weir_store_close(store, NULL);
    }
}

/* Each turn the host holds something of an instance, which then ends. */
static void hold(struct scene *scene, bool is_wrong, enum weir_held_kind kind)
{
    for (int i = 0; i < TURNS; i++) {
        struct weir_store *store = fixture_store(engine);
        struct weir_instance *instance = fixture_instance(store, NULL, module);
        ck_assert_int_eq(weir_held_new(instance, kind, "theirs", 1000, &scene->held[i], NULL),
                         WEIR_OK);
        if (!is_wrong && i + 1 < TURNS) { /* one remains, of an instance that lives */
            weir_held_free(scene->held[i]);
            scene->held[i] = NULL;
        }
        if (!is_wrong && i + 1 == TURNS) {
            scene->second = store;
            return;
        }
        weir_store_close(store, NULL);
    }
}

static void callbacks(struct scene *scene, bool is_wrong)
{
    hold(scene, is_wrong, WEIR_HELD_CALLBACK);
}

static void buffers(struct scene *scene, bool is_wrong)
{
    hold(scene, is_wrong, WEIR_HELD_BUFFER);
}

static void cache(struct scene *scene, bool is_wrong)
{
    hold(scene, is_wrong, WEIR_HELD_CACHE);
}

static void waits(struct scene *scene, bool is_wrong)
{
    ck_assert_int_eq(
        weir_held_new(scene->instance, WEIR_HELD_WAIT, "reply", 0, &scene->held[0], NULL), WEIR_OK);
    scene->age_ns = is_wrong ? 1 : 0;
}

static void run(struct weir_store_task *task, void *data)
{
    struct scene *scene = data;
    (void)task; /* looks at nothing but its gate */
    while (!atomic_load(&scene->gate))
        (void)sched_yield();
}

static void done(void *data, bool was_run)
{
    (void)data;
    (void)was_run;
}

static void make_executor(struct scene *scene)
{
    make_instance(scene);
    ck_assert_int_eq(weir_executor_new(NULL, &scene->executor, NULL), WEIR_OK);
}

static void start_task(struct scene *scene, bool is_open)
{
    const struct weir_store_task_definition definition = {
        .label = "resolve", .run = run, .done = done, .data = scene, .instance = scene->instance};
    atomic_store(&scene->gate, is_open);
    ck_assert_int_eq(weir_store_task_start(scene->store, scene->executor, &definition, NULL),
                     WEIR_OK);
    struct weir_executor_figures figures;
    do { /* it runs: closing cannot take it back any more */
        weir_executor_figures(scene->executor, &figures);
        (void)sched_yield();
    } while (figures.waiting != 0);
}

static void task_outlives(struct scene *scene, bool is_wrong)
{
    start_task(scene, !is_wrong);
    weir_store_close(scene->store, &scene->receipt);
    scene->store = NULL;
    if (!is_wrong)
        ck_assert_int_eq(weir_receipt_wait(&scene->receipt, UINT64_C(60000000000)), WEIR_OK);
}

static void task_blocks(struct scene *scene, bool is_wrong)
{
    start_task(scene, !is_wrong);
    while (!is_wrong && weir_store_task_count(scene->store) != 0) {
        (void)weir_store_reap(scene->store);
        (void)sched_yield();
    }
    scene->age_ns = 1;
}

/* Two guests of an embedder's own pool, or one guest, called with growing memory. */
static void serve(struct weir_instance *instance, bool resets)
{
    for (int i = 0; i < TURNS; i++) {
        (void)CALL_OK(instance, "grow", 1);
        if (resets)
            ck_assert_int_eq(weir_instance_reset(instance, NULL), WEIR_OK);
    }
}

static void make_pool(struct scene *scene)
{
    make_instance(scene);
    scene->second = named_store("plugin");
    scene->other = fixture_instance(scene->second, NULL, module);
}

static void pool_not_reset(struct scene *scene, bool is_wrong)
{
    serve(scene->instance, !is_wrong);
    serve(scene->other, !is_wrong);
}

static void kept_state(struct scene *scene, bool is_wrong)
{
    if (is_wrong)
        serve(scene->instance, false);
    for (int i = 0; i < TURNS; i++) /* a guest that keeps what it has and needs no more */
        (void)CALL_OK(scene->instance, "set_counter", i);
}

static void cycle(struct scene *scene, bool is_wrong)
{
    const void *session = &scene->gate, *timer = &scene->age_ns;
    const void *const ends[4] = {scene->instance, session, timer, scene->instance};
    static const char *const LABELS[] = {"handle's session", "session's timer", "timer's instance"};
    for (int i = 0; i < (is_wrong ? 3 : 2); i++)
        ck_assert_int_eq(weir_ref_edge_new(ends[i], ends[i + 1], LABELS[i], &scene->edges[i], NULL),
                         WEIR_OK);
}

static void compiles(struct scene *scene, bool is_wrong)
{
    struct weir_module *once = NULL;
    (void)scene;
    for (int i = 0; i < TURNS; i++) {
        if (once == NULL)
            once = fixture_module(engine, NULL, state_wasm, sizeof state_wasm);
        struct weir_store *store = fixture_store(engine);
        (void)fixture_instance(store, NULL, once);
        weir_store_close(store, NULL);
        if (is_wrong) {
            weir_module_unref(once);
            once = NULL;
        }
    }
    weir_module_unref(once);
}

static void make_two(struct scene *scene)
{
    make_instance(scene);
    scene->other = fixture_instance(scene->store, NULL, module);
}

static void *call_other(void *context)
{
    struct scene *scene = context;
    (void)CALL_OK(scene->other, "size");
    return NULL;
}

static void shared(struct scene *scene, bool is_wrong)
{
    for (int i = 0; i < TURNS; i++) {
        pthread_t thread;
        (void)CALL_OK(scene->instance, "size");
        if (!is_wrong) {
            (void)CALL_OK(scene->other, "size");
            continue;
        }
        ck_assert_int_eq(pthread_create(&thread, NULL, call_other, scene), 0);
        (void)pthread_join(thread, NULL);
    }
}

static const struct {
    enum weir_retention_pattern pattern;
    void (*prepare)(struct scene *scene);
    void (*deed)(struct scene *scene, bool is_wrong);
    const char *evidence; /* part of it */
    bool needs_register;
} cases[] = {
    {WEIR_RETENTION_LONG_LIVED_STORE, make_instance, long_lived,
     "1 instances before, 13 now, 12 made in between", false},
    {WEIR_RETENTION_UNDROPPED_HANDLES, make_instance, handles, "12 more of \"file\" (12 now",
     false},
    {WEIR_RETENTION_ENGINE_PER_INSTANCE, NULL, engines,
     "12 engines and 12 linkers were made for 12 instances", false},
    {WEIR_RETENTION_CALLBACK_CAPTURE, NULL, callbacks,
     "12 callback \"theirs\" (11.7 KiB), 12 of them of instances that have ended", true},
    {WEIR_RETENTION_TASK_OUTLIVES, make_executor, task_outlives,
     "1 of task \"resolve\" still run for closed store \"plugin\"", false},
    {WEIR_RETENTION_TASK_BLOCKS, make_executor, task_blocks,
     "1 of task \"resolve\" of instance 1 of store \"plugin\", the oldest for", false},
    {WEIR_RETENTION_WAIT_HOLDS, make_instance, waits, "1 channel or timeout \"reply\"", true},
    {WEIR_RETENTION_HOST_BUFFERS, NULL, buffers, "12 buffer \"theirs\"", true},
    {WEIR_RETENTION_POOL_NOT_RESET, make_pool, pool_not_reset,
     "2 stores named \"plugin\" serve again and again without a reset; one: 12 calls, linear "
     "memory +768 KiB",
     false},
    {WEIR_RETENTION_HOST_CACHE, NULL, cache, "12 cache entry \"theirs\"", true},
    {WEIR_RETENTION_REFERENCE_CYCLE, make_instance, cycle, "session's timer -> ", true},
    {WEIR_RETENTION_COMPILE_PER_CALL, NULL, compiles,
     "was loaded 12 times, compiled for it 0 times, while 12 instances were made", false},
    {WEIR_RETENTION_SHARED_STORE, make_two, shared, "has 2 instances and was called 24 times, 2",
     false},
    {WEIR_RETENTION_KEPT_STATE, make_instance, kept_state,
     "one instance, 24 calls, no reset, linear memory +768 KiB", false},
};
#define CASES (int)(sizeof cases / sizeof cases[0])
_Static_assert(sizeof cases / sizeof cases[0] == WEIR_RETENTION_COUNT, "each pattern has a case");

static void clean_up(struct scene *scene)
{
    atomic_store(&scene->gate, true);
    if (scene->receipt.drain != NULL)
        ck_assert_int_eq(weir_receipt_wait(&scene->receipt, UINT64_C(60000000000)), WEIR_OK);
    weir_receipt_done(&scene->receipt);
    for (int i = 0; i < TURNS; i++) {
        weir_held_free(scene->held[i]);
        weir_linker_free(scene->linkers[i]);
        weir_engine_unref(scene->engines[i]);
    }
    for (int i = 0; i < 3; i++)
        weir_ref_edge_free(scene->edges[i]);
    weir_executor_free(scene->executor);
    weir_store_close(scene->store, NULL);
    weir_store_close(scene->second, NULL);
}

static struct weir_census *take(const struct weir_census *since)
{
    const struct weir_census_config config = {.since = since};
    struct weir_census *census = NULL;
    ck_assert_int_eq(weir_census_take(NULL, &config, &census, NULL), WEIR_OK);
    return census;
}

static void play(int index, bool is_wrong, struct weir_retention_finding *findings)
{
    static struct scene scene;
    memset(&scene, 0, sizeof scene);
    if (cases[index].prepare != NULL)
        cases[index].prepare(&scene);
    struct weir_census *before = take(NULL);
    cases[index].deed(&scene, is_wrong);
    struct weir_census *after = take(before);
    const struct weir_retention_config config = {.age_ns = scene.age_ns};
    weir_retention_read(before, after, &config, findings);
    weir_census_free(after);
    weir_census_free(before);
    clean_up(&scene);
}

START_TEST(the_fault_is_named)
{
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    play(_i, true, findings);
    for (int i = 0; i < WEIR_RETENTION_COUNT; i++) {
        const char *name = weir_retention_name((enum weir_retention_pattern)i);
        bool is_present = findings[i].state == WEIR_RETENTION_PRESENT;
        ck_assert_int_eq(findings[i].pattern, i);
        ck_assert_msg(is_present == (i == (int)cases[_i].pattern), "%s: %s (%s)", name,
                      is_present ? "found" : "not found", findings[i].evidence);
        ck_assert(weir_retention_advice((enum weir_retention_pattern)i)[0] != '\0');
    }
    const struct weir_retention_finding *finding = &findings[cases[_i].pattern];
    ck_assert_uint_gt(finding->count, 0);
    ck_assert_msg(strstr(finding->evidence, cases[_i].evidence) != NULL, "%s: %s",
                  weir_retention_name(cases[_i].pattern), finding->evidence);
}
END_TEST

START_TEST(its_twin_is_not_blamed)
{
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    play(_i, false, findings);
    for (int i = 0; i < WEIR_RETENTION_COUNT; i++)
        ck_assert_msg(findings[i].state != WEIR_RETENTION_PRESENT, "%s: %s",
                      weir_retention_name((enum weir_retention_pattern)i), findings[i].evidence);
    /* Something was registered, so that absence is an answer. */
    ck_assert_int_eq(findings[cases[_i].pattern].state, WEIR_RETENTION_ABSENT);
}
END_TEST

START_TEST(what_nobody_registered_is_not_observable)
{
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    play(0, false, findings);
    for (int i = 0; i < CASES; i++) {
        const struct weir_retention_finding *finding = &findings[cases[i].pattern];
        bool is_blind = finding->state == WEIR_RETENTION_NOT_OBSERVABLE;
        ck_assert_msg(is_blind == cases[i].needs_register, "%s: %s",
                      weir_retention_name(cases[i].pattern), finding->evidence);
        ck_assert(!is_blind || strstr(finding->evidence, "is registered (weir_") != NULL);
    }
}
END_TEST

/* A store for each plugin, kept in some list of the host when the plugin is done; a pool as large,
 * or a store that is closed, is no such thing. */
START_TEST(stores_that_are_kept_are_named)
{
    static const char EVIDENCE[] = "1 stores \"plugin\" before, 13 now, 13 stores made in between";
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    struct weir_store *stores[TURNS + 1];
    struct weir_linker *linker = NULL;
    struct weir_pool *pool = NULL;
    stores[TURNS] = named_store("plugin");
    struct weir_census *before = take(NULL);
    for (int i = 0; i < TURNS; i++)
        stores[i] = named_store("plugin");
    weir_store_close(named_store("other"), NULL);
    struct weir_census *after = take(before);
    weir_retention_read(before, after, NULL, findings);
    const struct weir_retention_finding *finding = &findings[WEIR_RETENTION_LONG_LIVED_STORE];
    ck_assert_int_eq(finding->state, WEIR_RETENTION_PRESENT);
    ck_assert_uint_eq(finding->count, TURNS);
    ck_assert_uint_gt(finding->bytes, 0);
    ck_assert_msg(strstr(finding->evidence, EVIDENCE) != NULL, "%s", finding->evidence);
    weir_census_free(before);
    for (int i = 0; i <= TURNS; i++)
        weir_store_close(stores[i], NULL);
    const struct weir_pool_config config = {
        .store = {.name = "plugin"}, .slots_max = TURNS, .warm_max = TURNS};
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    ck_assert_int_eq(weir_pool_new(linker, module, &config, &pool, NULL), WEIR_OK);
    ck_assert_int_eq(weir_pool_warm(pool, TURNS, NULL), WEIR_OK);
    struct weir_census *pooled = take(after);
    weir_retention_read(after, pooled, NULL, findings);
    ck_assert_int_eq(finding->state, WEIR_RETENTION_ABSENT);
    weir_pool_free(pool);
    weir_linker_free(linker);
    weir_census_free(pooled);
    weir_census_free(after);
}
END_TEST

/* One that held much has gone meanwhile: together they may hold less than before. */
START_TEST(kept_stores_may_hold_less)
{
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    struct weir_store *stores[TURNS];
    struct weir_store *large = named_store("plugin");
    const struct weir_limits limits = {.min = 64};
    struct weir_memory *memory = NULL;
    ck_assert_int_eq(weir_memory_new(large, &limits, &memory, NULL), WEIR_OK);
    struct weir_census *before = take(NULL);
    weir_store_close(large, NULL);
    for (int i = 0; i < TURNS; i++)
        stores[i] = named_store("plugin");
    struct weir_census *after = take(before);
    weir_retention_read(before, after, NULL, findings);
    const struct weir_retention_finding *finding = &findings[WEIR_RETENTION_LONG_LIVED_STORE];
    ck_assert_int_eq(finding->state, WEIR_RETENTION_PRESENT);
    ck_assert_uint_eq(finding->bytes, 0);
    ck_assert_msg(strstr(finding->evidence, "; +0 B") != NULL, "%s", finding->evidence);
    weir_census_free(after);
    weir_census_free(before);
    for (int i = 0; i < TURNS; i++)
        weir_store_close(stores[i], NULL);
}
END_TEST

/* The evidence is of the place that leaks most, whatever was seen before it. */
START_TEST(the_largest_is_the_evidence)
{
    static const int COUNTS[] = {10, 8, 15};
    static const struct weir_resource_type types[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    for (int turn = 0; turn < 3; turn++) { /* each of them is the largest once */
        struct weir_store *store = named_store("plugin");
        struct weir_handles *table = NULL;
        ck_assert_int_eq(weir_store_handles(store, &table, NULL), WEIR_OK);
        struct weir_census *before = take(NULL);
        for (int i = 0; i < 3; i++) {
            const struct weir_handle_new wanted = {.type = &types[i]};
            struct weir_handle handle;
            for (int made = 0; made < COUNTS[(i + turn) % 3]; made++)
                ck_assert_int_eq(weir_handle_make(table, &wanted, &handle, NULL), WEIR_OK);
        }
        struct weir_census *after = take(before);
        weir_retention_read(before, after, NULL, findings);
        const struct weir_retention_finding *finding = &findings[WEIR_RETENTION_UNDROPPED_HANDLES];
        ck_assert_uint_eq(finding->count, 33);
        ck_assert_msg(strncmp(finding->evidence, "15 more of", 10) == 0, "%s", finding->evidence);
        weir_census_free(after);
        weir_census_free(before);
        weir_store_close(store, NULL);
    }
}
END_TEST

/* A host that fills its linkers at its start, and has made no instance yet. */
START_TEST(linkers_without_instances_are_no_finding)
{
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    struct weir_linker *linkers[TURNS];
    struct weir_census *before = take(NULL);
    for (int i = 0; i < TURNS; i++)
        ck_assert_int_eq(weir_linker_new(engine, &linkers[i], NULL), WEIR_OK);
    struct weir_census *after = take(before);
    weir_retention_read(before, after, NULL, findings);
    ck_assert_int_eq(findings[WEIR_RETENTION_ENGINE_PER_INSTANCE].state, WEIR_RETENTION_ABSENT);
    weir_census_free(after);
    weir_census_free(before);
    for (int i = 0; i < TURNS; i++)
        weir_linker_free(linkers[i]);
}
END_TEST

/* A store that the census has no room for may do anything unseen. */
START_TEST(what_is_not_listed_is_not_observable)
{
    struct weir_store *first = fixture_store(engine), *second = fixture_store(engine);
    const struct weir_census_config config = {.stores_max = 1};
    struct weir_census *before = NULL, *after = NULL;
    ck_assert_int_eq(weir_census_take(NULL, &config, &before, NULL), WEIR_OK);
    ck_assert_int_eq(weir_census_take(NULL, &config, &after, NULL), WEIR_OK);
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    weir_retention_read(before, after, NULL, findings);
    ck_assert_int_eq(findings[WEIR_RETENTION_LONG_LIVED_STORE].state,
                     WEIR_RETENTION_NOT_OBSERVABLE);
    ck_assert_msg(strstr(findings[WEIR_RETENTION_SHARED_STORE].evidence, "raise stores_max"), "%s",
                  findings[WEIR_RETENTION_SHARED_STORE].evidence);
    weir_census_free(after);
    weir_census_free(before);
    weir_store_close(second, NULL);
    weir_store_close(first, NULL);
}
END_TEST

/* Every call compiles: with the compiler's child, as in a host that keeps no module. */
START_TEST(compilations_are_counted)
{
    struct weir_census *before = take(NULL);
    for (int i = 0; i < TURNS; i++) {
        struct weir_module *again = NULL;
        struct weir_error error = {0};
        enum weir_status status =
            weir_module_new(engine, state_wasm, sizeof state_wasm, NULL, &again, &error);
        ck_assert_msg(status == WEIR_OK, "%s", error.message);
        weir_module_unref(again);
    }
    struct weir_census *after = take(before);
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    weir_retention_read(before, after, NULL, findings);
    const char *evidence = findings[WEIR_RETENTION_COMPILE_PER_CALL].evidence;
    ck_assert_msg(strstr(evidence, "was loaded 12 times, compiled for it 12 times") != NULL, "%s",
                  evidence);
    weir_census_free(after);
    weir_census_free(before);
}
END_TEST

START_TEST(a_cycle_is_found_among_many_edges)
{
    enum {
        EDGES = 3000
    };
    static char nodes[EDGES + 1];
    static struct weir_ref_edge *edges[EDGES + 1];
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    for (int i = 0; i < EDGES; i++) /* a long chain, its end first */
        ck_assert_int_eq(
            weir_ref_edge_new(&nodes[EDGES - i - 1], &nodes[EDGES - i], "on", &edges[i], NULL),
            WEIR_OK);
    struct weir_census *census = take(NULL);
    weir_retention_read(census, census, NULL, findings);
    ck_assert_int_eq(findings[WEIR_RETENTION_REFERENCE_CYCLE].state, WEIR_RETENTION_ABSENT);
    weir_census_free(census);
    ck_assert_int_eq(
        weir_ref_edge_new(&nodes[EDGES], &nodes[EDGES - 4], "back", &edges[EDGES], NULL), WEIR_OK);
    census = take(NULL);
    weir_retention_read(census, census, NULL, findings);
    const struct weir_retention_finding *found = &findings[WEIR_RETENTION_REFERENCE_CYCLE];
    ck_assert_int_eq(found->state, WEIR_RETENTION_PRESENT);
    ck_assert_uint_eq(found->count, 5);
    ck_assert_str_eq(found->evidence, "on -> on -> on -> on -> back");
    weir_census_free(census);
    for (int i = 0; i <= EDGES; i++)
        weir_ref_edge_free(edges[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retention");
    TCase *tests = tcase_create("retention");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, the_fault_is_named, 0, CASES);
    tcase_add_loop_test(tests, its_twin_is_not_blamed, 0, CASES);
    tcase_add_test(tests, what_nobody_registered_is_not_observable);
    tcase_add_test(tests, stores_that_are_kept_are_named);
    tcase_add_test(tests, kept_stores_may_hold_less);
    tcase_add_test(tests, the_largest_is_the_evidence);
    tcase_add_test(tests, linkers_without_instances_are_no_finding);
    tcase_add_test(tests, what_is_not_listed_is_not_observable);
    tcase_add_test(tests, compilations_are_counted);
    tcase_add_test(tests, a_cycle_is_found_among_many_edges);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
