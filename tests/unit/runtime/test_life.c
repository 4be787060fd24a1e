/* Whole lives, from load to close: no growth over many of them on any path, every refusal along
 * the way (the n-th charge fails, for every n) leaves nothing behind, receipts tell what came back.
 */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "at_rest_wasm.h"
#include "life_wasm.h"
#include "tests/run_suite.h"

static struct weir_engine_config config;

static enum weir_status host(struct weir_caller *caller, void *data, const union weir_value *args,
                             union weir_value *results)
{
    (void)data;
    results[0] = args[0];
    if (args[0].i32 == 1)
        return WEIR_PENDING;
    if (args[0].i32 == 2)
        return weir_caller_trap(caller, WEIR_TRAP_HOST, "on request");
    return WEIR_OK;
}

static enum weir_status make_linker(struct weir_engine *engine, struct weir_linker **ret_linker,
                                    struct weir_error *error)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    struct weir_func_type type = {i32, 1, i32, 1};
    enum weir_status status = weir_linker_new(engine, ret_linker, error);
    if (status == WEIR_OK)
        status = weir_linker_define_func(*ret_linker, "host", "call",
                                         &(struct weir_host_definition){&type, host, NULL}, error);
    return status;
}

static enum weir_status call(struct weir_instance *instance, const char *name, int32_t argument,
                             struct weir_error *error)
{
    union weir_value values[1] = {{.i32 = argument}};
    return weir_func_call(weir_instance_store(instance), fixture_func(instance, name), values,
                          values, NULL, error);
}

/* A guest that does one of the things a guest can do. */
static enum weir_status live(struct weir_engine *engine, struct weir_linker *linker,
                             struct weir_module *module, int path, struct weir_error *error)
{
    struct weir_store *store = NULL;
    struct weir_instance *instance = NULL;
    enum weir_status status = weir_store_new(engine, NULL, &store, error);
    if (status == WEIR_OK)
        status = weir_instance_new(store, linker, module, &instance, NULL, error);
    if (status == WEIR_OK)
        status = call(instance, "touch", 1, error);
    if (status == WEIR_OK) {
        switch (path) {
        case 0:
            status = call(instance, "grow", 3, error);
            if (status == WEIR_OK)
                status = weir_instance_reset(instance, error);
            if (status == WEIR_OK)
                status = weir_instance_verify(instance, error);
            break;
        case 1:
            status = call(instance, "trap", 0, error);
            break;
        case 2: /* parked, then closed */
            status = call(instance, "call", 1, error);
            break;
        case 3:
            status = call(instance, "call", 2, error);
            break;
        case 4:
            status = call(instance, "recurse", 0, error);
            break;
        default:
            status = call(instance, "grow", 1000, error);
            break;
        }
    }
    weir_store_close(store, NULL);
    return status;
}

static const enum weir_status expected[] = {WEIR_OK,   WEIR_TRAP, WEIR_PENDING,
                                            WEIR_TRAP, WEIR_TRAP, WEIR_OK};
#define PATH_COUNT 6
/* A first life makes about 60 charges and mappings. */
#define FIRST_LIFE_CHARGES 90

struct figures {
    uint64_t growth;
    uint64_t mappings;
    uint64_t descriptors;
    uint64_t used;
};

static struct figures measure(void)
{
    struct figures figures;
    struct weir_equation equation;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_equation_read(&equation, &error), WEIR_OK);
    figures.mappings = equation.mapping_count;
    figures.descriptors = equation.descriptor_count;
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    figures.used = reading.used_bytes;
    ck_assert_int_eq(weir_growth_read(&figures.growth, &error), WEIR_OK);
    return figures;
}

static void check_no_growth(const struct figures *before, const struct figures *after)
{
    ck_assert_uint_eq(before->descriptors, after->descriptors);
    ck_assert_uint_eq(before->used, after->used);
    if (WEIR_ASAN || WEIR_TSAN)
        return; /* their own mappings come and go */
    ck_assert_uint_eq(before->mappings, after->mappings);
    ck_assert_uint_le(after->growth, before->growth + 256 * 1024);
}

static void run_lives(struct weir_engine *engine, int artifact, int count)
{
    struct weir_linker *linker = NULL;
    struct weir_module *module = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(make_linker(engine, &linker, &error), WEIR_OK);
    ck_assert_int_eq(weir_module_load(engine, artifact, NULL, &module, &error), WEIR_OK);
    for (int i = 0; i < count; i++) {
        /* Exhausting a stack touches all of it: a few are enough. */
        int path = i % PATH_COUNT == 4 && i % 50 != 4 ? 0 : i % PATH_COUNT;
        ck_assert_int_eq(live(engine, linker, module, path, &error), expected[path]);
        weir_error_done(&error);
        if (i % 10 == 0) { /* modules come and go, too */
            weir_module_unref(module);
            ck_assert_int_eq(weir_module_load(engine, artifact, NULL, &module, &error), WEIR_OK);
        }
    }
    weir_module_unref(module);
    weir_linker_free(linker);
}

static int cycles = 3000;

START_TEST(does_not_grow)
{
    config.bounds = _i == 0 ? WEIR_BOUNDS_GUARD : WEIR_BOUNDS_EXPLICIT;
    struct weir_engine *engine = fixture_engine(&config);
    int artifact = fixture_artifact(&config, life_wasm, sizeof life_wasm);
    run_lives(engine, artifact, 300); /* warm-up */
    struct figures before = measure();
    run_lives(engine, artifact, cycles);
    struct figures after = measure();
    check_no_growth(&before, &after);
    weir_engine_unref(engine);
    (void)close(artifact);
}
END_TEST

/* From engine to close, with one charge or mapping refused. */
static enum weir_status whole_life(int artifact, int path, struct weir_error *error)
{
    struct weir_engine *engine = NULL;
    struct weir_linker *linker = NULL;
    struct weir_module *module = NULL;
    struct weir_pool *pool = NULL;
    struct weir_instance *pooled = NULL;
    enum weir_status status = weir_engine_new(&config, &engine, error);
    if (status == WEIR_OK)
        status = make_linker(engine, &linker, error);
    if (status == WEIR_OK)
        status = weir_module_load(engine, artifact, NULL, &module, error);
    if (status == WEIR_OK)
        status = live(engine, linker, module, path, error);
    if (status == expected[path] && path == 0) {
        status = weir_pool_new(linker, module, NULL, &pool, error);
        if (status == WEIR_OK)
            status = weir_pool_take(pool, &pooled, error);
        if (status == WEIR_OK)
            weir_pool_give(pool, pooled);
    }
    weir_pool_free(pool);
    weir_module_unref(module);
    weir_linker_free(linker);
    weir_engine_unref(engine);
    return status;
}

START_TEST(survives_every_refusal)
{
    config.bounds = WEIR_BOUNDS_GUARD;
    int artifact = fixture_artifact(&config, life_wasm, sizeof life_wasm);
    struct weir_error error = {0};
    for (int i = 0; i < 3; i++) { /* what is made once per process */
        ck_assert_int_eq(whole_life(artifact, _i, &error), expected[_i]);
        weir_error_done(&error);
    }
    struct figures before = measure();
    uint64_t n = 1;
    for (bool is_over = false; !is_over; n++) {
        (void)weir_ledger_fail_nth(n);
        enum weir_status status = whole_life(artifact, _i, &error);
        is_over = weir_ledger_fail_nth(0) < n;
        if (is_over)
            ck_assert_int_eq(status, expected[_i]);
        else if (status != expected[_i])
            ck_assert_msg(status == error.status && status != WEIR_OK && error.message[0] != 0,
                          "n %llu: %s but %s", (unsigned long long)n, weir_status_name(status),
                          weir_status_name(error.status));
        weir_error_done(&error);
        struct weir_account_reading reading;
        weir_account_read(weir_account_host(), &reading);
        /* Less when it was the idle stack that could not be kept. */
        ck_assert_msg(reading.used_bytes <= before.used, "n %llu: %llu bytes are left",
                      (unsigned long long)n,
                      (unsigned long long)(reading.used_bytes - before.used));
    }
    ck_assert_uint_gt(n, 15);
    ck_assert_int_eq(whole_life(artifact, _i, &error), expected[_i]);
    weir_error_done(&error);
    struct figures after = measure();
    check_no_growth(&before, &after);
    (void)close(artifact);
}
END_TEST

/* The same where nothing has been made yet that a process has once: each n in a process of its own.
 */
START_TEST(first_life_survives_refusal)
{
    config.bounds = WEIR_BOUNDS_GUARD;
    int artifact = fixture_artifact(&config, life_wasm, sizeof life_wasm);
    struct weir_error error = {0};
    (void)weir_ledger_fail_nth((uint64_t)_i);
    enum weir_status status = whole_life(artifact, 0, &error);
    uint64_t seen = weir_ledger_fail_nth(0);
    ck_assert_msg(status == WEIR_OK || (status == error.status && error.message[0] != '\0'),
                  "%s but %s", weir_status_name(status), weir_status_name(error.status));
    ck_assert(status == WEIR_OK || seen >= (uint64_t)_i);
    if (_i == FIRST_LIFE_CHARGES - 1)
        ck_assert_uint_lt(seen, (uint64_t)_i); /* none is left out */
    weir_error_done(&error);
    ck_assert_int_eq(whole_life(artifact, 0, &error), WEIR_OK);
    ck_assert_int_eq(whole_life(artifact, 1, &error), WEIR_TRAP);
    weir_error_done(&error);
    (void)close(artifact);
}
END_TEST

START_TEST(gives_receipts)
{
    config.bounds = WEIR_BOUNDS_GUARD;
    struct weir_engine *engine = fixture_engine(&config);
    struct weir_module *module = fixture_module(engine, &config, life_wasm, sizeof life_wasm);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(make_linker(engine, &linker, NULL), WEIR_OK);
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    ck_assert_int_eq(call(instance, "grow", 2, NULL), WEIR_OK);
    struct weir_account_reading reading;
    weir_account_read(weir_store_account(store), &reading);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_LINEAR_MEMORY], 4 * 65536);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_STACK], 1 << 20);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_TABLE], 16384);
    struct weir_receipt receipt = {0};
    weir_store_close(store, &receipt);
    ck_assert_uint_eq(receipt.released[WEIR_KIND_LINEAR_MEMORY], 4 * 65536);
    ck_assert_uint_eq(receipt.released[WEIR_KIND_STACK], 1 << 20);
    ck_assert_uint_eq(receipt.released[WEIR_KIND_TABLE], 16384);
    ck_assert_uint_gt(receipt.released[WEIR_KIND_INSTANCE], 0);
    ck_assert_uint_gt(receipt.released[WEIR_KIND_IMAGE], 0); /* start had changed a page */
    ck_assert(receipt.drained);
    ck_assert_ptr_null(receipt.pins);
    weir_receipt_done(&receipt);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

/* A ceiling over the whole store: growth ends there, and the reason can be told. */
START_TEST(stays_below_its_ceiling)
{
    config.bounds = WEIR_BOUNDS_GUARD;
    struct weir_engine *engine = fixture_engine(&config);
    struct weir_module *module = fixture_module(engine, &config, life_wasm, sizeof life_wasm);
    struct weir_linker *linker = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(make_linker(engine, &linker, NULL), WEIR_OK);
    struct weir_store_config store_config = {.name = "thumbs", .memory_bytes_max = 1536 * 1024};
    struct weir_store *store = NULL;
    ck_assert_int_eq(weir_store_new(engine, &store_config, &store, NULL), WEIR_OK);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    union weir_value values[1] = {{.i32 = 8}};
    struct weir_funcref *grow = fixture_func(instance, "grow");
    ck_assert_int_eq(weir_func_call(store, grow, values, values, NULL, NULL), WEIR_OK);
    ck_assert_int_eq(values[0].i32, -1);
    const struct weir_error *why = weir_store_refusal(store);
    ck_assert_ptr_nonnull(why);
    ck_assert_int_eq(why->status, WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(why->message, "thumbs"));
    weir_store_close(store, NULL);
    store_config.memory_bytes_max = 128 * 1024;
    ck_assert_int_eq(weir_store_new(engine, &store_config, &store, NULL), WEIR_OK);
    ck_assert_int_eq(weir_instance_new(store, linker, module, &instance, NULL, &error), WEIR_LIMIT);
    weir_error_done(&error);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

/* Account, entries of the registry and records lie in the store's one page: nothing on the heap. */
START_TEST(an_instance_at_rest_is_its_page)
{
    config.bounds = WEIR_BOUNDS_GUARD;
    struct weir_engine *engine = fixture_engine(&config);
    struct weir_module *module = fixture_module(engine, &config, at_rest_wasm, sizeof at_rest_wasm);
    struct weir_linker *linker = NULL;
    struct weir_store *store = NULL;
    ck_assert_int_eq(make_linker(engine, &linker, NULL), WEIR_OK);
    uint64_t heap = weir_ledger_heap_bytes();
    ck_assert_int_eq(weir_store_new(engine, NULL, &store, NULL), WEIR_OK);
    ck_assert_ptr_nonnull(fixture_instance(store, linker, module));
    ck_assert_uint_eq(weir_ledger_heap_bytes(), heap);
    struct weir_account_reading reading;
    weir_account_read(weir_store_account(store), &reading);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_MAPPING], 3); /* the store 1, its memory 2 */
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1)
        cycles = (int)strtol(argv[1], NULL, 10);
    Suite *suite = suite_create("runtime life");
    TCase *tests = tcase_create("lives");
    tcase_set_timeout(tests, 240);
    if (argc <= 1) {
        tcase_add_loop_test(tests, survives_every_refusal, 0, PATH_COUNT);
        tcase_add_loop_test(tests, first_life_survives_refusal, 1, FIRST_LIFE_CHARGES);
        tcase_add_test(tests, gives_receipts);
        tcase_add_test(tests, stays_below_its_ceiling);
        tcase_add_test(tests, an_instance_at_rest_is_its_page);
    }
    tcase_add_loop_test(tests, does_not_grow, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
