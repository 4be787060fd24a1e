/* Reset: an instance is as right after instantiation, whatever its guest did, on both kernel
 * paths, with pages resident, dropped or paged out; and pools, which are built on it. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ledger/ledger.h"
#include "runtime/process_internal.h"
#include "started_wasm.h"
#include "state_wasm.h"
#include "tests/run_suite.h"

#define PAGE 65536

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_store *store;
static struct weir_instance *instance;

/* Each combination runs as a test of its own: bounds form, kernel path, what stays resident. */
static const struct {
    enum weir_bounds bounds;
    enum weir__scan_path path;
    uint64_t keep_bytes;
} forms[] = {{WEIR_BOUNDS_GUARD, WEIR__SCAN_BEST, 0},
             {WEIR_BOUNDS_GUARD, WEIR__SCAN_PAGEMAP, 0},
             {WEIR_BOUNDS_EXPLICIT, WEIR__SCAN_BEST, 0},
             {WEIR_BOUNDS_GUARD, WEIR__SCAN_BEST, 3 * 4096},
             {WEIR_BOUNDS_GUARD, WEIR__SCAN_PAGEMAP, 1}};
#define FORM_COUNT ((int)(sizeof forms / sizeof forms[0]))

static void begin(int form, const uint8_t *wasm, size_t size)
{
    config.bounds = forms[form].bounds;
    weir__privatised_choose(forms[form].path);
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, wasm, size);
    struct weir_store_config store_config = {.keep_resident_bytes = forms[form].keep_bytes};
    ck_assert_int_eq(weir_store_new(engine, &store_config, &store, NULL), WEIR_OK);
    struct weir_global *base = NULL;
    union weir_value value = {.i32 = PAGE};
    ck_assert_int_eq(weir_global_new(store, WEIR_TYPE_I32, false, value, &base, NULL), WEIR_OK);
    struct weir_extern item = {.kind = WEIR_EXTERN_GLOBAL, .global = base};
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_define(linker, store, "host", "base", &item, NULL), WEIR_OK);
    instance = fixture_instance(store, linker, module);
    weir_linker_free(linker);
}

static void end(void)
{
    weir_store_close(store, NULL);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

static void reset(void)
{
    struct weir_error error = {0};
    enum weir_status status = weir_instance_reset(instance, &error);
    ck_assert_msg(status == WEIR_OK, "reset: %s", error.message);
    status = weir_instance_verify(instance, &error);
    ck_assert_msg(status == WEIR_OK, "after a reset: %s", error.message);
}

static uint8_t *copy_of_memory(size_t *ret_size)
{
    struct weir_memory *memory = fixture_memory(instance, "memory");
    *ret_size = weir_memory_bytes(memory);
    uint8_t *copy = malloc(*ret_size);
    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(weir_memory_read(memory, 0, copy, *ret_size), WEIR_OK);
    return copy;
}

static void use_everything(int64_t secret)
{
    (void)CALL_OK(instance, "touch", 8 * 16, secret);
    (void)CALL_OK(instance, "store", 100, secret);
    (void)CALL_OK(instance, "store", 8 * PAGE - 4, secret);
    ck_assert_int_eq(CALL_OK(instance, "grow", 3), 8);
    (void)CALL_OK(instance, "store", 9 * PAGE, secret);
    (void)CALL_OK(instance, "init", 5000);
    (void)CALL_OK(instance, "drop_data");
    (void)CALL_OK(instance, "set_counter", secret);
    (void)CALL_OK(instance, "table_set", 1);
    (void)CALL_OK(instance, "table_init", 0);
    (void)CALL_OK(instance, "drop_elem");
    ck_assert_int_eq(CALL_OK(instance, "table_grow", 5), 4);
    (void)CALL_OK(instance, "table_set", 8);
}

static void check_first_state(const uint8_t *first, size_t first_size)
{
    size_t size = 0;
    uint8_t *now = copy_of_memory(&size);
    ck_assert_uint_eq(size, first_size);
    ck_assert(memcmp(now, first, size) == 0);
    free(now);
    ck_assert_int_eq(CALL_OK(instance, "size"), 8);
    CALL_TRAPS(instance, "load", WEIR_TRAP_MEMORY_BOUNDS, 8 * PAGE);
    CALL_TRAPS(instance, "load", WEIR_TRAP_MEMORY_BOUNDS, 9 * PAGE);
    ck_assert_int_eq(CALL_OK(instance, "counter_now"), 11);
    ck_assert_int_eq(CALL_OK(instance, "wide_now"), -1);
    ck_assert_int_eq(CALL_OK(instance, "table_size"), 4);
    ck_assert_int_eq(CALL_OK(instance, "call", 1), 1);
    ck_assert_int_eq(CALL_OK(instance, "call", 2), 2);
    CALL_TRAPS(instance, "call", WEIR_TRAP_UNINITIALIZED_ELEMENT, 0);
    CALL_TRAPS(instance, "call", WEIR_TRAP_UNDEFINED_ELEMENT, 4);
}

START_TEST(goes_back)
{
    begin(_i, state_wasm, sizeof state_wasm);
    size_t size = 0;
    uint8_t *first = copy_of_memory(&size);
    ck_assert(memcmp(first + 100, "initial", 7) == 0);
    ck_assert(memcmp(first + 200000, "far away", 8) == 0);
    struct weir_account_reading before;
    struct weir_account_reading after;
    (void)CALL_OK(instance, "size");
    reset();
    weir_account_read(weir_store_account(store), &before);
    for (int round = 1; round < 6; round++) {
        use_everything(0x5ec2e7 + round);
        reset();
        check_first_state(first, size);
        /* What was grown shows zeros when it is grown again. */
        ck_assert_int_eq(CALL_OK(instance, "grow", 3), 8);
        ck_assert_int_eq(CALL_OK(instance, "load", 9 * PAGE), 0);
        ck_assert_int_eq(CALL_OK(instance, "table_grow", 5), 4);
        CALL_TRAPS(instance, "call", WEIR_TRAP_UNINITIALIZED_ELEMENT, 8);
        reset();
        weir_account_read(weir_store_account(store), &after);
        ck_assert_uint_eq(before.kinds[WEIR_KIND_LINEAR_MEMORY],
                          after.kinds[WEIR_KIND_LINEAR_MEMORY]);
        ck_assert_uint_eq(before.kinds[WEIR_KIND_MAPPING], after.kinds[WEIR_KIND_MAPPING]);
    }
    free(first);
    end();
}
END_TEST

/* A page in swap (or dropped to its file) is still the last guest's data. */
START_TEST(finds_paged_out_pages)
{
    begin(_i, state_wasm, sizeof state_wasm);
    size_t size = 0;
    uint8_t *first = copy_of_memory(&size);
    struct weir_memory *memory = fixture_memory(instance, "memory");
    for (int round = 0; round < 3; round++) {
        (void)CALL_OK(instance, "touch", 8 * 16, 0x5ec2e7);
        (void)madvise(weir_memory_at(memory, 0, size), size, 21 /* MADV_PAGEOUT */);
        reset();
        check_first_state(first, size);
    }
    free(first);
    end();
}
END_TEST

START_TEST(keeps_what_it_may)
{
    begin(_i, state_wasm, sizeof state_wasm);
    struct weir_memory *memory = fixture_memory(instance, "memory");
    (void)CALL_OK(instance, "touch", 100, 1);
    struct weir_memory_figures figures;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_memory_figures(memory, &figures, &error), WEIR_OK);
    ck_assert_uint_eq(figures.accessible_bytes, 8 * PAGE);
    ck_assert_uint_ge(figures.private_bytes, 100 * 4096);
    ck_assert_uint_ge(figures.resident_bytes, 100 * 4096);
    ck_assert_uint_ge(figures.reserved_bytes, 64 * PAGE);
    ck_assert_int_eq(weir_instance_reset(instance, &error), WEIR_OK);
    ck_assert_int_eq(weir_memory_figures(memory, &figures, &error), WEIR_OK);
    uint64_t keep = forms[_i].keep_bytes != 0 ? forms[_i].keep_bytes : UINT64_C(1) << 20;
    if (keep < 100 * 4096)
        ck_assert_uint_le(figures.private_bytes, keep);
    else
        ck_assert_uint_ge(figures.private_bytes, 100 * 4096);
    end();
}
END_TEST

/* Start ran and segments were applied at run time: that state is the one to go back to. */
START_TEST(goes_back_behind_start)
{
    begin(_i, started_wasm, sizeof started_wasm);
    size_t size = 0;
    uint8_t *first = copy_of_memory(&size);
    ck_assert_uint_eq(size, 3 * PAGE);
    ck_assert(memcmp(first + 65536, "at run time", 11) == 0);
    for (int round = 0; round < 4; round++) {
        ck_assert_int_eq(CALL_OK(instance, "load", 40), 0x5eed);
        ck_assert_int_eq(CALL_OK(instance, "call", 2), 1);
        (void)CALL_OK(instance, "fill", 0, 0xee, 3 * PAGE);
        ck_assert_int_eq(CALL_OK(instance, "grow", 2), 3);
        (void)CALL_OK(instance, "table_clear", 2);
        (void)CALL_OK(instance, "set_count", 1);
        reset();
        size_t now_size = 0;
        uint8_t *now = copy_of_memory(&now_size);
        ck_assert_uint_eq(now_size, size);
        ck_assert(memcmp(now, first, size) == 0);
        free(now);
        ck_assert_int_eq(CALL_OK(instance, "count_now"), 33);
        ck_assert_int_eq(CALL_OK(instance, "size"), 3);
        CALL_TRAPS(instance, "load", WEIR_TRAP_MEMORY_BOUNDS, 3 * PAGE);
        CALL_TRAPS(instance, "call", WEIR_TRAP_UNINITIALIZED_ELEMENT, 1);
    }
    free(first);
    end();
}
END_TEST

START_TEST(pool_gives_fresh_states)
{
    begin(_i, state_wasm, sizeof state_wasm);
    struct weir_instance *spare = instance;
    struct weir_linker *none = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &none, NULL), WEIR_OK);
    struct weir_pool *pool = NULL;
    struct weir_pool_config pool_config = {
        .store = {.keep_resident_bytes = forms[_i].keep_bytes}, .slots_max = 3, .warm_max = 2};
    struct weir_error error = {0};
    ck_assert_int_eq(weir_pool_new(none, module, &pool_config, &pool, &error), WEIR_OK);
    size_t size = 0;
    uint8_t *first = copy_of_memory(&size);
    struct weir_pool_figures figures;
    for (int round = 0; round < 5; round++) {
        struct weir_instance *taken[4];
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(weir_pool_take(pool, &taken[i], &error), WEIR_OK);
            instance = taken[i];
            check_first_state(first, size);
            use_everything(round * 10 + i);
            weir_store_set_data(weir_instance_store(instance), &error);
        }
        ck_assert_int_eq(weir_pool_take(pool, &taken[3], &error), WEIR_BUSY);
        weir_error_done(&error);
        weir_pool_figures(pool, &figures);
        ck_assert_uint_eq(figures.in_use, 3);
        for (int i = 0; i < 3; i++)
            weir_pool_give(pool, taken[i]);
        weir_pool_figures(pool, &figures);
        ck_assert_uint_eq(figures.in_use, 0);
        ck_assert_uint_eq(figures.warm, 2);
    }
    ck_assert_uint_eq(figures.takes, 15);
    ck_assert_uint_eq(figures.cold_takes, 3 + 4);
    ck_assert_uint_eq(figures.busy, 5);
    /* A slot in use outlives its pool. */
    struct weir_instance *last = NULL;
    ck_assert_int_eq(weir_pool_take(pool, &last, &error), WEIR_OK);
    weir_pool_free(pool);
    weir_pool_give(pool, last);
    weir_linker_free(none);
    instance = spare;
    free(first);
    end();
}
END_TEST

/* Under pressure warm slots and idle stacks go back, and nothing in use. */
START_TEST(pool_gives_back)
{
    begin(0, state_wasm, sizeof state_wasm);
    struct weir_linker *none = NULL;
    struct weir_pool *pool = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &none, NULL), WEIR_OK);
    ck_assert_int_eq(weir_pool_new(none, module, NULL, &pool, NULL), WEIR_OK);
    struct weir_instance *spare = instance;
    struct weir_instance *taken[4];
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(weir_pool_take(pool, &taken[i], NULL), WEIR_OK);
        instance = taken[i];
        use_everything(i);
    }
    for (int i = 0; i < 3; i++)
        weir_pool_give(pool, taken[i]);
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.warm, 3);
    struct weir_account_reading before;
    struct weir_account_reading after;
    weir_account_read(weir_account_host(), &before);
    uint64_t given = weir_ledger_reclaim(1);
    ck_assert_uint_ge(given, 8 * PAGE);
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.warm, 2);
    ck_assert_uint_ge(weir_ledger_reclaim(UINT64_MAX), given);
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.warm, 0);
    ck_assert_uint_eq(figures.in_use, 1);
    weir_account_read(weir_account_host(), &after);
    /* Three memories and three stacks at least. */
    ck_assert_uint_ge(before.used_bytes - after.used_bytes, 3 * (8 * PAGE + (1 << 20)));
    instance = taken[3];
    ck_assert_int_eq(CALL_OK(instance, "counter_now"), 3);
    weir_pool_give(pool, taken[3]);
    weir_pool_free(pool);
    weir_linker_free(none);
    instance = spare;
    end();
}
END_TEST

/* A slot in use holds all it may come to hold; idle slots make room for it before it is refused. */
START_TEST(pool_reserves)
{
    begin(0, state_wasm, sizeof state_wasm);
    const uint64_t each = UINT64_C(4) << 20;
    struct weir_linker *none = NULL;
    struct weir_pool *pool = NULL;
    struct weir_account *tenant = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "t",
                                      2 * each + (1 << 20), &tenant, NULL),
                     WEIR_OK);
    ck_assert_int_eq(weir_linker_new(engine, &none, NULL), WEIR_OK);
    const struct weir_pool_config reserving = {
        .store = {.account = tenant, .memory_bytes_max = each}, .is_reserving = true};
    ck_assert_int_eq(weir_pool_new(none, module, &reserving, &pool, NULL), WEIR_OK);
    ck_assert_int_eq(weir_pool_warm(pool, 3, &error), WEIR_OK);
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.warm, 3);
    struct weir_instance *taken[3];
    struct weir_account_reading reading;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_take(pool, &taken[i], &error), WEIR_OK);
    weir_account_read(tenant, &reading);
    ck_assert_uint_ge(reading.used_bytes + reading.reserved_bytes, 2 * each);
    ck_assert_int_eq(weir_pool_take(pool, &taken[2], &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "tenant \"t\""));
    weir_error_done(&error);
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.in_use, 2);
    ck_assert_uint_eq(figures.warm, 1); /* the one that was refused is as good as before */
    weir_pool_give(pool, taken[0]);
    weir_account_read(tenant, &reading);
    ck_assert_uint_lt(reading.reserved_bytes, each);
    ck_assert_int_eq(weir_pool_take(pool, &taken[0], &error), WEIR_OK);
    weir_pool_set_warm(pool, 0);
    for (int i = 0; i < 2; i++)
        weir_pool_give(pool, taken[i]);
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.warm, 1); /* none is kept any more */
    weir_pool_free(pool);
    weir_linker_free(none);
    weir_account_read(tenant, &reading);
    ck_assert_uint_eq(reading.used_bytes + reading.reserved_bytes, 0);
    weir_account_close(tenant);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime reset");
    TCase *tests = tcase_create("forms");
    tcase_add_loop_test(tests, goes_back, 0, FORM_COUNT);
    tcase_add_loop_test(tests, finds_paged_out_pages, 0, FORM_COUNT);
    tcase_add_loop_test(tests, keeps_what_it_may, 0, FORM_COUNT);
    tcase_add_loop_test(tests, goes_back_behind_start, 0, FORM_COUNT);
    tcase_add_loop_test(tests, pool_gives_fresh_states, 0, FORM_COUNT);
    tcase_add_test(tests, pool_gives_back);
    tcase_add_test(tests, pool_reserves);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
