/* Pools: a reset that is not right is found and named, a slot that cannot be as new is closed,
 * slots go back to whom they served, and memory is that of slots in use and of warm ones. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "runtime/store_internal.h"
#include "eventful_wasm.h"
#include "state_wasm.h"
#include "tests/run_suite.h"

#define PAGE INT64_C(65536)

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_module *module;

static void begin(int form)
{
    config.bounds = form % 2 == 0 ? WEIR_BOUNDS_GUARD : WEIR_BOUNDS_EXPLICIT;
    weir__privatised_choose(form < 2 ? WEIR__SCAN_BEST : WEIR__SCAN_PAGEMAP);
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, state_wasm, sizeof state_wasm);
}

static void end(void)
{
    weir_module_unref(module);
    weir_engine_unref(engine);
}

static struct weir_pool *new_pool(const struct weir_pool_config *pool_config)
{
    struct weir_pool *pool = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_pool_new(NULL, module, pool_config, &pool, &error) == WEIR_OK, "%s",
                  error.message);
    return pool;
}

static struct weir_instance *take(struct weir_pool *pool)
{
    struct weir_instance *slot = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_pool_take(pool, &slot, &error) == WEIR_OK, "%s", error.message);
    return slot;
}

static void use(struct weir_instance *slot)
{
    (void)CALL_OK(slot, "touch", 100, 0x5ec2e7);
    ck_assert_int_eq(CALL_OK(slot, "grow", 3), 8);
    (void)CALL_OK(slot, "store", 9 * PAGE, 1);
    (void)CALL_OK(slot, "drop_data");
    (void)CALL_OK(slot, "set_counter", 77);
    (void)CALL_OK(slot, "table_set", 1);
    (void)CALL_OK(slot, "drop_elem");
    ck_assert_int_eq(CALL_OK(slot, "table_grow", 5), 4);
}

/* --- verification --------------------------------------------------------------------------- */

static struct weir_table *table_of(struct weir_instance *slot)
{
    struct weir_extern item;
    ck_assert_int_eq(weir_instance_export(slot, "table", 5, &item), WEIR_OK);
    return item.table;
}

static void spoil_memory(struct weir_instance *slot, uint64_t offset)
{
    ck_assert_int_eq(weir_memory_write(fixture_memory(slot, "memory"), offset, "\xee", 1), WEIR_OK);
}

static void spoil_growth(struct weir_instance *slot, uint64_t pages)
{
    (void)CALL_OK(slot, "grow", (int64_t)pages);
}

/* A page stays behind the end, as if a reset had forgotten to drop it. */
static void spoil_behind(struct weir_instance *slot, uint64_t offset)
{
    struct weir_memory *memory = fixture_memory(slot, "memory");
    uint64_t size = weir_memory_bytes(memory);
    ck_assert_uint_eq(weir_memory_grow(memory, 2, NULL), size / PAGE);
    spoil_memory(slot, offset);
    ck_assert_int_eq(weir__memory_resize(memory, size, NULL), WEIR_OK);
}

static void spoil_element(struct weir_instance *slot, uint64_t index)
{
    ck_assert_int_eq(weir_table_set(table_of(slot), index, NULL), WEIR_OK);
}

static void spoil_with_other(struct weir_instance *slot, uint64_t index)
{
    void *ref = NULL;
    ck_assert_int_eq(weir_table_get(table_of(slot), 1, &ref), WEIR_OK);
    ck_assert_int_eq(weir_table_set(table_of(slot), index, ref), WEIR_OK);
}

static void spoil_table_size(struct weir_instance *slot, uint64_t count)
{
    (void)CALL_OK(slot, "table_grow", (int64_t)count);
}

static void spoil_element_behind(struct weir_instance *slot, uint64_t index)
{
    (void)CALL_OK(slot, "table_grow", 8);
    ck_assert_int_eq(weir_instance_reset(slot, NULL), WEIR_OK);
    table_of(slot)->vm.elements[index] = slot;
}

static void spoil_global(struct weir_instance *slot, uint64_t value)
{
    (void)CALL_OK(slot, "set_counter", (int64_t)value);
}

static void spoil_data_segment(struct weir_instance *slot, uint64_t unused)
{
    (void)unused;
    (void)CALL_OK(slot, "drop_data");
}

static void spoil_elem_segment(struct weir_instance *slot, uint64_t unused)
{
    (void)unused;
    (void)CALL_OK(slot, "drop_elem");
}

static const struct weir_resource_type PLAIN = {.name = "plain"};

static void spoil_handles(struct weir_instance *slot, uint64_t count)
{
    struct weir_handles *handles = NULL;
    struct weir_handle handle;
    ck_assert_int_eq(weir_instance_handles(slot, &handles, NULL), WEIR_OK);
    for (uint64_t i = 0; i < count; i++)
        ck_assert_int_eq(
            weir_handle_make(handles, &(struct weir_handle_new){.type = &PLAIN}, &handle, NULL),
            WEIR_OK);
}

static const struct {
    void (*spoil)(struct weir_instance *slot, uint64_t number);
    uint64_t number;
    const char *named;
    bool is_lasting; /* a reset does not see it */
} spoils[] = {
    {spoil_memory, 0, "memory 0 at offset 0x0: 0xee instead of 0x00", false},
    {spoil_memory, 0x1234, "memory 0 at offset 0x1234: 0xee instead of 0x00", false},
    {spoil_memory, 101, "memory 0 at offset 0x65: 0xee instead of 0x6e", false},
    {spoil_memory, 8 * PAGE - 1, "memory 0 at offset 0x7ffff: 0xee instead of 0x00", false},
    {spoil_growth, 1, "memory 0 has 589824 bytes instead of 524288", false},
    {spoil_behind, 9 * PAGE, "memory 0 keeps a page at offset 0x90000, behind its end", true},
    {spoil_element, 2, "table 0 at element 2: null instead of a reference", false},
    {spoil_with_other, 0, "table 0 at element 0: another reference", false},
    {spoil_table_size, 3, "table 0 has 7 elements instead of 4", false},
    {spoil_element_behind, 6, "table 0 at element 6, behind its end: another reference", true},
    {spoil_global, 12, "global 0: 0xc instead of 0xb", false},
    {spoil_data_segment, 0, "data segment 2 is dropped", false},
    {spoil_elem_segment, 0, "element segment 1 is dropped", false},
    {spoil_handles, 2, "handles are left in its table: 2", false},
};
#define SPOIL_COUNT (sizeof spoils / sizeof spoils[0])

/* Without a reset each difference is named; after one there is none. */
START_TEST(names_differences)
{
    begin(_i);
    for (size_t i = 0; i < SPOIL_COUNT; i++) {
        struct weir_error error = {0};
        struct weir_store *store = fixture_store(engine);
        struct weir_instance *instance = fixture_instance(store, NULL, module);
        ck_assert_msg(weir_instance_verify(instance, &error) == WEIR_OK, "%s", error.message);
        spoils[i].spoil(instance, spoils[i].number);
        ck_assert_int_eq(weir_instance_verify(instance, &error), WEIR_CORRUPT);
        ck_assert_msg(strstr(error.message, spoils[i].named) != NULL, "\"%s\" in \"%s\"",
                      spoils[i].named, error.message);
        weir_error_done(&error);
        ck_assert_int_eq(weir_instance_reset(instance, NULL), WEIR_OK);
        ck_assert_int_eq(weir_instance_verify(instance, &error) == WEIR_CORRUPT,
                         spoils[i].is_lasting);
        weir_error_done(&error);
        weir_store_close(store, NULL);
    }
    end();
}
END_TEST

/* A resource that writes to the guest's memory when it ends, behind the back of the reset. */
static void write_late(void *context, uint64_t rep)
{
    (void)context;
    spoil_memory((struct weir_instance *)(uintptr_t)rep, 0x4321);
}

static void break_by_handle(struct weir_instance *slot)
{
    static const struct weir_resource_type late = {.name = "late", .destroy = write_late};
    struct weir_handles *handles = NULL;
    struct weir_handle handle;
    ck_assert_int_eq(weir_instance_handles(slot, &handles, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_handle_make(handles, &(struct weir_handle_new){.type = &late, .rep = (uintptr_t)slot},
                         &handle, NULL),
        WEIR_OK);
}

/* The mark by which a reset knows that a table was written to gets lost. */
static void break_by_mark(struct weir_instance *slot)
{
    ck_assert_int_eq(weir_instance_reset(slot, NULL), WEIR_OK);
    (void)CALL_OK(slot, "table_set", 2);
    table_of(slot)->vm.is_dirty = 0;
}

START_TEST(pool_finds_broken_resets)
{
    static const struct {
        void (*break_reset)(struct weir_instance *slot);
        const char *named;
    } breaks[] = {{break_by_handle, "memory 0 at offset 0x4321: 0xee instead of 0x00"},
                  {break_by_mark, "table 0 at element 2: null instead of a reference"}};
    begin(_i);
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        struct weir_pool_figures figures;
        struct weir_pool *pool =
            new_pool(&(struct weir_pool_config){.warm_max = 2, .is_verifying = true});
        for (int round = 0; round < 10; round++) {
            struct weir_instance *slot = take(pool);
            use(slot);
            weir_pool_give(pool, slot);
        }
        weir_pool_figures(pool, &figures);
        ck_assert_uint_eq(figures.resets, 10);
        ck_assert_uint_eq(figures.cold_takes, 1);
        ck_assert_uint_eq(figures.faults, 0);
        ck_assert_ptr_null(weir_pool_fault(pool));

        struct weir_instance *slot = take(pool);
        use(slot);
        breaks[i].break_reset(slot);
        weir_pool_give(pool, slot);
        weir_pool_figures(pool, &figures);
        ck_assert_uint_eq(figures.faults, 1);
        ck_assert_uint_eq(figures.warm, 0);
        const struct weir_error *fault = weir_pool_fault(pool);
        ck_assert_ptr_nonnull(fault);
        ck_assert_int_eq(fault->status, WEIR_CORRUPT);
        ck_assert_msg(strstr(fault->message, breaks[i].named) != NULL, "%s", fault->message);
        slot = take(pool); /* another one, as new */
        ck_assert_int_eq(weir_instance_verify(slot, NULL), WEIR_OK);
        weir_pool_give(pool, slot);
        weir_pool_free(pool);
    }
    end();
}
END_TEST

/* --- what else a slot may hold --------------------------------------------------------------- */

static int ended;

static void count_end(void *context, uint64_t rep)
{
    (void)context;
    (void)rep;
    ended++;
}

static enum weir_status do_nothing(struct weir_caller *caller, void *data,
                                   const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    (void)results;
    return WEIR_OK;
}

static void add_func(struct weir_store *store)
{
    struct weir_func_type type = {0};
    struct weir_funcref *func = NULL;
    ck_assert_int_eq(
        weir_func_new(store, &(struct weir_host_definition){.type = &type, .func = do_nothing},
                      &func, NULL),
        WEIR_OK);
}

static void add_memory(struct weir_store *store)
{
    struct weir_memory *memory = NULL;
    ck_assert_int_eq(weir_memory_new(store, &(struct weir_limits){.min = 1}, &memory, NULL),
                     WEIR_OK);
}

static void add_table(struct weir_store *store)
{
    struct weir_table *table = NULL;
    ck_assert_int_eq(
        weir_table_new(store, WEIR_TYPE_EXTERNREF, &(struct weir_limits){.min = 1}, &table, NULL),
        WEIR_OK);
}

static void add_global(struct weir_store *store)
{
    struct weir_global *global = NULL;
    ck_assert_int_eq(
        weir_global_new(store, WEIR_TYPE_I32, true, (union weir_value){0}, &global, NULL), WEIR_OK);
}

static void add_instance(struct weir_store *store)
{
    (void)fixture_instance(store, NULL, module);
}

/* Handles of the store end with each use; what can't be taken out again costs the slot. */
START_TEST(pool_leaves_nothing_behind)
{
    static void (*const adds[])(struct weir_store *) = {add_func, add_memory, add_table, add_global,
                                                        add_instance};
    static const struct weir_resource_type counted = {.name = "counted", .destroy = count_end};
    begin(0);
    struct weir_pool_figures figures;
    struct weir_pool *pool = new_pool(NULL);
    struct weir_instance *slot = take(pool);
    struct weir_handles *handles = NULL;
    struct weir_handle handle;
    ck_assert_int_eq(weir_store_handles(weir_instance_store(slot), &handles, NULL), WEIR_OK);
    ck_assert_int_eq(
        weir_handle_make(handles, &(struct weir_handle_new){.type = &counted}, &handle, NULL),
        WEIR_OK);
    weir_pool_give(pool, slot);
    ck_assert_int_eq(ended, 1);
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.warm, 1);
    for (uint32_t i = 0; i < sizeof adds / sizeof adds[0]; i++) {
        slot = take(pool);
        adds[i](weir_instance_store(slot));
        weir_pool_give(pool, slot);
        weir_pool_figures(pool, &figures);
        ck_assert_uint_eq(figures.spoiled, i + 1);
        ck_assert_uint_eq(figures.warm, 0);
    }
    weir_pool_free(pool);
    end();
}
END_TEST

static _Atomic bool is_running, may_end;

static void run_long(struct weir_store_task *task, void *data)
{
    (void)task;
    (void)data;
    atomic_store(&is_running, true);
    while (!atomic_load(&may_end))
        (void)sched_yield();
}

static void done(void *data, bool was_run)
{
    (void)data;
    ended += was_run;
}

/* A task that still runs for the last guest keeps its store, not the slot. */
START_TEST(pool_outlives_tasks)
{
    begin(0);
    struct weir_pool_figures figures;
    struct weir_executor *executor = NULL;
    ck_assert_int_eq(weir_executor_new(NULL, &executor, NULL), WEIR_OK);
    struct weir_pool *pool = new_pool(NULL);
    struct weir_instance *slot = take(pool);
    const struct weir_store_task_definition task = {.label = "t", .run = run_long, .done = done};
    ck_assert_int_eq(weir_store_task_start(weir_instance_store(slot), executor, &task, NULL),
                     WEIR_OK);
    while (!atomic_load(&is_running))
        (void)sched_yield();
    weir_pool_give(pool, slot);
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.spoiled, 1);
    ck_assert_uint_eq(figures.warm + figures.in_use, 0);
    atomic_store(&may_end, true);
    weir_pool_free(pool);
    weir_executor_free(executor);
    ck_assert_int_eq(ended, 1);
    end();
}
END_TEST

/* --- affinity ------------------------------------------------------------------------------- */

#define KEYS UINT64_C(4)

START_TEST(pool_remembers_keys)
{
    begin(0);
    struct weir_pool_figures figures;
    struct weir_pool *pool = new_pool(&(struct weir_pool_config){.warm_max = (uint32_t)KEYS});
    struct weir_instance *slots[KEYS];
    for (uint64_t key = 0; key < KEYS; key++)
        ck_assert_int_eq(weir_pool_take_near(pool, key + 1, &slots[key], NULL), WEIR_OK);
    for (uint64_t key = 0; key < KEYS; key++)
        weir_pool_give(pool, slots[key]);
    static const uint64_t orders[][KEYS] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        for (uint64_t j = 0; j < KEYS; j++) {
            struct weir_instance *slot = NULL;
            uint64_t key = orders[i][j];
            ck_assert_int_eq(weir_pool_take_near(pool, key + 1, &slot, NULL), WEIR_OK);
            ck_assert_ptr_eq(slot, slots[key]);
        }
        for (uint64_t j = 0; j < KEYS; j++)
            weir_pool_give(pool, slots[orders[i][KEYS - 1 - j]]);
    }
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.near_takes, 3 * KEYS);
    ck_assert_uint_eq(figures.cold_takes, KEYS);
    /* A key that nobody had gets one all the same. */
    ck_assert_int_eq(weir_pool_take_near(pool, 99, &slots[0], NULL), WEIR_OK);
    weir_pool_give(pool, slots[0]);
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.cold_takes, KEYS);
    weir_pool_free(pool);
    end();
}
END_TEST

static void *give_slot(void *data)
{
    struct weir_pool *pool = data;
    weir_pool_give(pool, take(pool));
    return NULL;
}

/* The latest slot is another thread's; this thread gets its own. */
START_TEST(pool_remembers_threads)
{
    begin(0);
    struct weir_pool *pool = new_pool(NULL);
    struct weir_instance *own = take(pool);
    struct weir_instance *other = take(pool);
    weir_pool_give(pool, own);
    pthread_t thread;
    /* Meanwhile `own` is the only warm one, so the thread takes a slot of its own only when it is
     * out. */
    ck_assert_ptr_eq(take(pool), own);
    ck_assert_int_eq(pthread_create(&thread, NULL, give_slot, pool), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    weir_pool_give(pool, own);
    ck_assert_int_eq(pthread_create(&thread, NULL, give_slot, pool), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_eq(take(pool), own);
    weir_pool_give(pool, own);
    weir_pool_give(pool, other);
    weir_pool_free(pool);
    end();
}
END_TEST

/* --- memory --------------------------------------------------------------------------------- */

#define IN_USE UINT64_C(12)
#define WARM UINT64_C(3)
#define KEEP_BYTES (UINT64_C(16) * 4096)

static uint64_t used_of(struct weir_account *account)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    return reading.used_bytes;
}

static uint64_t growth_now(void)
{
    uint64_t bytes = 0;
    ck_assert_int_eq(weir_growth_read(&bytes, NULL), WEIR_OK);
    return bytes;
}

static void use_many(struct weir_pool *pool, struct weir_account *tenant, uint64_t *ret_peak_bytes)
{
    struct weir_instance *slots[IN_USE];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < IN_USE; i++) {
        slots[i] = take(pool);
        use(slots[i]);
    }
    for (uint64_t i = 0; i < IN_USE; i++)
        sum += used_of(weir_store_account(weir_instance_store(slots[i])));
    ck_assert_uint_eq(used_of(tenant), sum); /* none is warm while so many are in use */
    *ret_peak_bytes = growth_now();
    for (uint64_t i = 0; i < IN_USE; i++)
        weir_pool_give(pool, slots[i]);
}

/* A table that grew far gives its room back, and shows nulls when it grows again. */
START_TEST(tables_give_back)
{
    begin(0);
    struct weir_module *other =
        fixture_module(engine, &config, eventful_wasm, sizeof eventful_wasm);
    struct weir_store *store = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(store, NULL, other);
    struct weir_table *table = table_of(instance);
    struct weir_funcref *func = fixture_func(instance, "grow");
    struct weir_account_reading reading;
    weir_account_read(weir_store_account(store), &reading);
    uint64_t before = reading.kinds[WEIR_KIND_TABLE];
    for (int round = 0; round < 3; round++) {
        void *ref = instance;
        ck_assert_uint_eq(weir_table_grow(table, 100000, NULL, NULL), 4);
        ck_assert_int_eq(weir_table_get(table, 100003, &ref), WEIR_OK);
        ck_assert_ptr_null(ref);
        ck_assert_int_eq(weir_table_set(table, 100003, func), WEIR_OK);
        ck_assert_int_eq(weir_table_set(table, 5, func), WEIR_OK);
        weir_account_read(weir_store_account(store), &reading);
        ck_assert_uint_ge(reading.kinds[WEIR_KIND_TABLE], 100000 * sizeof(void *));
        ck_assert_int_eq(weir_instance_reset(instance, NULL), WEIR_OK);
        ck_assert_int_eq(weir_instance_verify(instance, NULL), WEIR_OK);
        weir_account_read(weir_store_account(store), &reading);
        ck_assert_uint_eq(reading.kinds[WEIR_KIND_TABLE], before);
    }
    weir_store_close(store, NULL);
    weir_module_unref(other);
    end();
}
END_TEST

START_TEST(pool_memory_is_in_use_and_warm)
{
    begin(0);
    struct weir_account *tenant = NULL;
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", WEIR_UNLIMITED,
                                      &tenant, NULL),
                     WEIR_OK);
    struct weir_pool *pool = new_pool(
        &(struct weir_pool_config){.store = {.account = tenant, .keep_resident_bytes = KEEP_BYTES},
                                   .warm_max = (uint32_t)WARM});
    struct weir_error error = {0};
    ck_assert_int_eq(weir_pool_warm(pool, (uint32_t)WARM, &error), WEIR_OK);
    uint64_t warm_bytes = used_of(tenant);
    ck_assert_uint_ge(warm_bytes, WARM * 8 * PAGE);
    uint64_t first_bytes = growth_now();
    uint64_t peak_bytes = 0;
    use_many(pool, tenant, &peak_bytes);
    uint64_t after_first = growth_now();
    for (int round = 0; round < 50; round++) {
        use_many(pool, tenant, &peak_bytes);
        /* What they held when new, and the stacks on which they ran. */
        struct weir_account_reading reading;
        weir_account_read(tenant, &reading);
        ck_assert_uint_eq(reading.used_bytes - reading.kinds[WEIR_KIND_STACK], warm_bytes);
        ck_assert_uint_le(reading.kinds[WEIR_KIND_STACK], WARM * (UINT64_C(1) << 20));
    }
    uint64_t last_bytes = growth_now();
    if (!WEIR_ASAN && !WEIR_TSAN) {
        /* By the kernel: while in use each has its hundred pages; then the pages that may stay. */
        const uint64_t slack = 256 << 10;
        ck_assert_uint_ge(peak_bytes, first_bytes + IN_USE * 100 * 4096);
        ck_assert_uint_le(after_first, first_bytes + WARM * KEEP_BYTES + slack);
        ck_assert_uint_le(last_bytes, after_first + slack);
    }
    weir_pool_free(pool);
    ck_assert_uint_eq(used_of(tenant), 0);
    weir_account_close(tenant);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime pool");
    TCase *tests = tcase_create("pool");
    tcase_add_loop_test(tests, names_differences, 0, 4);
    tcase_add_loop_test(tests, pool_finds_broken_resets, 0, 4);
    tcase_add_test(tests, pool_leaves_nothing_behind);
    tcase_add_test(tests, pool_outlives_tasks);
    tcase_add_test(tests, pool_remembers_keys);
    tcase_add_test(tests, pool_remembers_threads);
    tcase_add_test(tests, tables_give_back);
    tcase_add_test(tests, pool_memory_is_in_use_and_warm);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
