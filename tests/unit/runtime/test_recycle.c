/* Residents: a guest keeps its state until its policy, its own misbehaviour, the host or pressure
 * ends it, and loses it then; what it leaks stays under the mark. Slots that are set up once. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/poison.h"
#include "ledger/equation.h"
#include "ledger/ledger.h"
#include "resident_wasm.h"
#include "tests/run_suite.h"

#define SECOND UINT64_C(1000000000)
#define KIB UINT64_C(1024)

static struct weir_engine *engine;
static struct weir_module *module;

static uint64_t now_ns = 1000 * SECOND;

static uint64_t read_clock(void *context)
{
    (void)context;
    return now_ns;
}

static struct {
    _Atomic unsigned created, released, recycled;
    _Atomic int last;
    struct weir_pool *pool; /* whose figures are looked at while an instance goes */
} told;

static uint64_t recycled(const struct weir_pool *pool, enum weir_recycle_reason reason)
{
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    return figures.recycled[reason];
}

static void hear(void *context, const struct weir_event *event)
{
    (void)context;
    if (event->kind == WEIR_EVENT_INSTANCE_CREATED)
        told.created++;
    if (event->kind == WEIR_EVENT_INSTANCE_RELEASED)
        told.released++;
    if (event->kind == WEIR_EVENT_INSTANCE_RELEASED && told.pool != NULL)
        ck_assert_uint_eq(recycled(told.pool, WEIR_RECYCLE_CALLS) + 1, told.recycled); /* not yet */
    if (event->kind == WEIR_EVENT_INSTANCE_RECYCLED) {
        ck_assert_uint_lt(told.released, told.created); /* told before it goes */
        ck_assert_ptr_nonnull(event->instance);
        told.recycled++;
        told.last = (int)event->reason;
    }
}

static void begin(void)
{
    struct weir_engine_config config = {.event_hook = hear};
    weir_clock_replace(read_clock, NULL);
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, resident_wasm, sizeof resident_wasm);
}

static void end(void)
{
    weir_module_unref(module);
    weir_engine_unref(engine);
    ck_assert_uint_eq(told.created, told.released);
}

static struct weir_pool *new_pool(const struct weir_pool_config *config)
{
    struct weir_pool *pool = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_pool_new(NULL, module, config, &pool, &error) == WEIR_OK, "%s",
                  error.message);
    return pool;
}

static struct weir_pool *resident_pool(const struct weir_recycle_policy *policy)
{
    return new_pool(
        &(struct weir_pool_config){.slots_max = 2, .is_resident = true, .recycle = *policy});
}

static struct weir_instance *take(struct weir_pool *pool)
{
    struct weir_instance *slot = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_pool_take(pool, &slot, &error) == WEIR_OK, "%s", error.message);
    return slot;
}

static int64_t count_once(struct weir_pool *pool)
{
    struct weir_instance *slot = take(pool);
    int64_t count = CALL_OK(slot, "count");
    weir_pool_give(pool, slot);
    return count;
}

/* --- reasons -------------------------------------------------------------------------------- */

START_TEST(names_reasons)
{
    for (int i = 0; i < WEIR_RECYCLE_REASON_COUNT; i++)
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(weir_recycle_reason_name((enum weir_recycle_reason)i),
                             weir_recycle_reason_name((enum weir_recycle_reason)j));
    ck_assert_str_eq(weir_recycle_reason_name(WEIR_RECYCLE_ASKED), "asked");
    ck_assert_str_eq(weir_recycle_reason_name(WEIR_RECYCLE_REASON_COUNT), "unknown");
}
END_TEST

START_TEST(keeps_its_state_for_so_many_calls)
{
    begin();
    struct weir_pool *pool = resident_pool(&(struct weir_recycle_policy){.calls_max = 5});
    told.pool = pool;
    for (int life = 0; life < 4; life++)
        for (int64_t call = 1; call <= 5; call++)
            ck_assert_int_eq(count_once(pool), call);
    ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_CALLS), 4);
    ck_assert_uint_eq(told.recycled, 4);
    ck_assert_int_eq(told.last, WEIR_RECYCLE_CALLS);
    ck_assert_uint_eq(told.created, 4);
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.resets, 0);
    ck_assert_uint_eq(figures.spoiled, 0);
    ck_assert_uint_eq(figures.warm, 0);
    /* Several calls in one use are never cut; what set it up does not count. */
    struct weir_instance *slot = take(pool);
    (void)CALL_OK(slot, "set_up");
    ck_assert(!weir_pool_is_settled(slot));
    ck_assert_int_eq(weir_pool_settle(pool, slot, NULL), WEIR_OK);
    ck_assert(weir_pool_is_settled(slot));
    struct weir_recycle_verdict verdict;
    for (int64_t call = 1; call <= 9; call++) {
        ck_assert_int_eq(weir_pool_due(pool, slot, &verdict) == WEIR_RECYCLE_CALLS, call > 5);
        ck_assert_int_eq(CALL_OK(slot, "count"), 1000 + call);
    }
    ck_assert_uint_eq(verdict.value, 8);
    ck_assert_uint_eq(verdict.limit, 5);
    weir_pool_give(pool, slot);
    ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_CALLS), 5);
    weir_pool_free(pool);
    end();
}
END_TEST

START_TEST(grows_old_and_idle)
{
    begin();
    const struct weir_recycle_policy policy = {.age_ns_max = 60 * SECOND,
                                               .idle_ns_max = 10 * SECOND};
    struct weir_pool *pool = resident_pool(&policy);
    uint64_t next_ns = 0;
    ck_assert_uint_eq(weir_pool_recycle_idle(pool, &next_ns), 0);
    ck_assert_uint_eq(next_ns, UINT64_MAX);
    for (int64_t call = 1; call <= 6; call++) {
        ck_assert_int_eq(count_once(pool), call);
        now_ns += 9 * SECOND;
        ck_assert_uint_eq(weir_pool_recycle_idle(pool, &next_ns), 0);
        ck_assert_uint_eq(next_ns, now_ns + SECOND);
    }
    ck_assert_int_eq(count_once(pool), 7); /* 54 s old, back now: age comes first */
    ck_assert_uint_eq(weir_pool_recycle_idle(pool, &next_ns), 0);
    ck_assert_uint_eq(next_ns, now_ns + 6 * SECOND);
    now_ns += 6 * SECOND - 1;
    ck_assert_uint_eq(weir_pool_recycle_idle(pool, NULL), 0);
    now_ns++;
    ck_assert_uint_eq(weir_pool_recycle_idle(pool, &next_ns), 1);
    ck_assert_uint_eq(next_ns, UINT64_MAX);
    ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_AGE), 1);
    ck_assert_uint_eq(told.created, told.released);
    /* Idle ones are not handed out either, when nobody swept. */
    ck_assert_int_eq(count_once(pool), 1);
    now_ns += 10 * SECOND;
    ck_assert_int_eq(count_once(pool), 1);
    ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_IDLE), 1);
    /* Age during a use: it ends with the use. */
    struct weir_instance *slot = take(pool);
    now_ns += 100 * SECOND;
    ck_assert_int_eq(CALL_OK(slot, "count"), 2);
    ck_assert_int_eq(weir_pool_due(pool, slot, NULL), WEIR_RECYCLE_AGE);
    weir_pool_give(pool, slot);
    ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_AGE), 2);
    /* One that was made ready and never used waits as long. */
    ck_assert_int_eq(weir_pool_warm(pool, 2, NULL), WEIR_OK);
    ck_assert_uint_eq(weir_pool_recycle_idle(pool, &next_ns), 0);
    ck_assert_uint_eq(next_ns, now_ns + 10 * SECOND);
    now_ns += 10 * SECOND;
    ck_assert_uint_eq(weir_pool_recycle_idle(pool, NULL), 2);
    weir_pool_free(pool);
    end();
}
END_TEST

START_TEST(passes_a_mark)
{
    static const struct {
        struct weir_recycle_policy policy;
        enum weir_recycle_reason reason;
        int64_t calls; /* of 64 KiB until it is over */
    } cases[] = {
        /* 64 KiB at first; each growth is of 256 KiB */
        {{.linear_bytes_max = 64 * KIB}, WEIR_RECYCLE_LINEAR, 1},
        {{.linear_bytes_max = 320 * KIB}, WEIR_RECYCLE_LINEAR, 5},
        {{.linear_bytes_max = 321 * KIB}, WEIR_RECYCLE_LINEAR, 5},
        {{.private_bytes_max = 64 * KIB}, WEIR_RECYCLE_PRIVATE, 2},
        {{.private_bytes_max = 1024 * KIB}, WEIR_RECYCLE_PRIVATE, 17},
        {{.private_bytes_max = 1024 * KIB, .linear_bytes_max = 640 * KIB}, WEIR_RECYCLE_LINEAR, 9},
        {{.private_bytes_max = 1024 * KIB, .calls_max = 3}, WEIR_RECYCLE_CALLS, 3},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_pool *pool = resident_pool(&cases[i].policy);
        for (int64_t call = 1; call <= cases[i].calls; call++) {
            struct weir_instance *slot = take(pool);
            ck_assert_int_eq(CALL_OK(slot, "leak", 65536), call * 65536);
            struct weir_recycle_verdict verdict;
            enum weir_recycle_reason reason = weir_pool_due(pool, slot, &verdict);
            ck_assert_msg((reason != WEIR_RECYCLE_NONE) == (call == cases[i].calls),
                          "case %zu, call %d: %s", i, (int)call, weir_recycle_reason_name(reason));
            if (reason != WEIR_RECYCLE_NONE) {
                ck_assert_int_eq(reason, cases[i].reason);
                ck_assert_uint_ge(verdict.value, verdict.limit);
            }
            weir_pool_give(pool, slot);
        }
        ck_assert_uint_eq(recycled(pool, cases[i].reason), 1);
        weir_pool_free(pool);
    }
    end();
}
END_TEST

/* --- misbehaviour, pressure, the host --------------------------------------------------------- */

static void do_trap(struct weir_instance *slot)
{
    CALL_TRAPS(slot, "trap", WEIR_TRAP_UNREACHABLE);
}

static void do_time_out(struct weir_instance *slot)
{
    weir_store_set_deadline(weir_instance_store(slot), 1);
    CALL_TRAPS(slot, "spin", WEIR_TRAP_DEADLINE);
}

static void do_cancel(struct weir_instance *slot)
{
    weir_store_interrupt(weir_instance_store(slot));
    CALL_TRAPS(slot, "spin", WEIR_TRAP_CANCELLED);
}

static void do_park(struct weir_instance *slot)
{
    weir_store_set_slice(weir_instance_store(slot), 1000);
    ck_assert_int_eq(fixture_call(slot, "spin", NULL, 0, NULL, NULL), WEIR_PENDING);
}

static void do_leave(struct weir_instance *slot)
{
    struct weir_memory *memory = NULL;
    ck_assert_int_eq(
        weir_memory_new(weir_instance_store(slot), &(struct weir_limits){.min = 1}, &memory, NULL),
        WEIR_OK);
}

START_TEST(is_spoiled)
{
    static void (*const misdeeds[])(struct weir_instance *) = {do_trap, do_time_out, do_cancel,
                                                               do_park, do_leave};
    begin();
    weir_clock_replace(NULL, NULL); /* slices and deadlines are of real time */
    struct weir_pool *pool = resident_pool(&(struct weir_recycle_policy){0});
    for (unsigned i = 0; i < sizeof misdeeds / sizeof misdeeds[0]; i++) {
        struct weir_instance *other = take(pool);
        ck_assert_int_eq(CALL_OK(other, "count"), 1);
        struct weir_instance *slot = take(pool);
        misdeeds[i](slot);
        ck_assert_int_eq(weir_pool_due(pool, slot, NULL), WEIR_RECYCLE_SPOILED);
        weir_pool_give(pool, slot);
        ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_SPOILED), i + 1);
        ck_assert_int_eq(CALL_OK(other, "count"), 2); /* unharmed */
        slot = take(pool);
        ck_assert_int_eq(CALL_OK(slot, "count"), 1); /* a new one */
        weir_pool_drop(pool, slot);
        weir_pool_drop(pool, other);
    }
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.spoiled, sizeof misdeeds / sizeof misdeeds[0]);
    weir_pool_free(pool);
    end();
}
END_TEST

START_TEST(recycles_when_asked)
{
    begin();
    weir_clock_replace(NULL, NULL);
    struct weir_pool *pool = resident_pool(&(struct weir_recycle_policy){0});
    struct weir_instance *slot = take(pool);
    struct weir_receipt receipt = {0};
    struct weir_error error = {0};
    do_park(slot);
    ck_assert_int_eq(weir_pool_recycle(pool, slot, WEIR_RECYCLE_ASKED, &receipt, &error),
                     WEIR_STATE);
    ck_assert_ptr_nonnull(strstr(error.message, "parked"));
    weir_error_done(&error);
    ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_ASKED), 0);
    weir_store_unpark(weir_instance_store(slot));
    const enum weir_recycle_reason none = WEIR_RECYCLE_REASON_COUNT;
    ck_assert_int_eq(weir_pool_recycle(pool, slot, none, &receipt, NULL), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_pool_recycle(pool, slot, WEIR_RECYCLE_ASKED, &receipt, &error), WEIR_OK);
    ck_assert(receipt.drained);
    ck_assert_uint_eq(receipt.released[WEIR_KIND_LINEAR_MEMORY], 64 * KIB);
    weir_receipt_done(&receipt);
    ck_assert_uint_eq(recycled(pool, WEIR_RECYCLE_ASKED), 1);
    ck_assert_int_eq(told.last, WEIR_RECYCLE_ASKED);
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.in_use + figures.warm, 0);
    weir_pool_free(pool);
    end();
}
END_TEST

/* Slots that are reset anyway go first. */
START_TEST(gives_way_to_others)
{
    begin();
    struct weir_pool *residents = resident_pool(&(struct weir_recycle_policy){0});
    struct weir_pool *plain = new_pool(&(struct weir_pool_config){0});
    ck_assert_int_eq(count_once(residents), 1);
    ck_assert_int_eq(count_once(plain), 1);
    ck_assert_uint_gt(weir_ledger_reclaim(1), 0);
    ck_assert_uint_eq(recycled(plain, WEIR_RECYCLE_PRESSURE), 1);
    ck_assert_uint_eq(recycled(residents, WEIR_RECYCLE_PRESSURE), 0);
    ck_assert_int_eq(count_once(residents), 2);
    ck_assert_uint_gt(weir_ledger_reclaim(64 * KIB), 0);
    ck_assert_uint_eq(recycled(residents, WEIR_RECYCLE_PRESSURE), 1);
    ck_assert_int_eq(told.last, WEIR_RECYCLE_PRESSURE);
    ck_assert_int_eq(count_once(residents), 1);
    weir_pool_free(residents);
    weir_pool_free(plain);
    end();
}
END_TEST

static unsigned freed;

static void free_data(void *data)
{
    freed += data != NULL ? *(unsigned *)data : 0;
}

/* The embedder's data stays with a resident, and ends with it. */
START_TEST(keeps_data)
{
    begin();
    unsigned weight = 1;
    struct weir_pool *pool = new_pool(&(struct weir_pool_config){
        .store = {.data_free = free_data}, .is_resident = true, .recycle = {.calls_max = 2}});
    struct weir_instance *slot = take(pool);
    ck_assert_ptr_null(weir_store_data(weir_instance_store(slot)));
    weir_store_set_data(weir_instance_store(slot), &weight);
    weir_pool_give(pool, slot);
    ck_assert_int_eq(count_once(pool), 1);
    slot = take(pool);
    ck_assert_ptr_eq(weir_store_data(weir_instance_store(slot)), &weight);
    (void)CALL_OK(slot, "count");
    ck_assert_uint_eq(freed, 0);
    weir_pool_give(pool, slot);
    ck_assert_uint_eq(freed, 1);
    weir_pool_free(pool);
    end();
}
END_TEST

/* --- set up once ------------------------------------------------------------------------------ */

/* A reset goes back to where the slot was settled, as a verification confirms. */
START_TEST(resets_to_where_it_was_settled)
{
    static const enum weir_bounds bounds[] = {WEIR_BOUNDS_GUARD, WEIR_BOUNDS_EXPLICIT};
    struct weir_engine_config config = {.bounds = bounds[_i]};
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, resident_wasm, sizeof resident_wasm);
    struct weir_pool *pool = new_pool(&(struct weir_pool_config){.is_verifying = true});
    struct weir_instance *slot = take(pool);
    (void)CALL_OK(slot, "set_up");
    ck_assert_int_eq(weir_pool_settle(pool, slot, NULL), WEIR_OK);
    for (int round = 0; round < 5; round++) {
        struct weir_error error = {0};
        ck_assert_msg(weir_instance_verify(slot, &error) == WEIR_OK, "%s", error.message);
        ck_assert_int_eq(CALL_OK(slot, "load", 512), 77);
        ck_assert_int_eq(CALL_OK(slot, "load", 131076), 88);
        ck_assert_int_eq(CALL_OK(slot, "load", 40000), 0);
        ck_assert_int_eq(CALL_OK(slot, "count"), 1001);
        struct weir_extern table;
        void *refs[2] = {NULL, NULL};
        ck_assert_int_eq(weir_instance_export(slot, "table", 5, &table), WEIR_OK);
        ck_assert_uint_eq(weir_table_size(table.table), 5);
        ck_assert_int_eq(weir_table_get(table.table, 1, &refs[0]), WEIR_OK);
        ck_assert_int_eq(weir_table_get(table.table, 4, &refs[1]), WEIR_OK);
        ck_assert_ptr_nonnull(refs[0]);
        ck_assert_ptr_eq(refs[0], refs[1]);
        (void)CALL_OK(slot, "use_up");
        weir_pool_give(pool, slot);
        struct weir_instance *again = take(pool);
        ck_assert_ptr_eq(again, slot);
        ck_assert(weir_pool_is_settled(slot));
    }
    weir_pool_give(pool, slot);
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.resets, 6);
    ck_assert_uint_eq(figures.faults + figures.spoiled, 0);
    ck_assert_ptr_null(weir_pool_fault(pool));
    weir_pool_free(pool);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

/* A guest that trapped while it was set up is no state to go back to; its slot is, once reset. */
START_TEST(settles_what_is_whole)
{
    begin();
    struct weir_pool *pool = new_pool(&(struct weir_pool_config){0});
    struct weir_instance *slot = take(pool);
    struct weir_error error = {0};
    do_trap(slot);
    ck_assert_int_eq(weir_pool_settle(pool, slot, &error), WEIR_STATE);
    weir_error_done(&error);
    weir_pool_give(pool, slot);
    ck_assert_ptr_eq(take(pool), slot);
    (void)CALL_OK(slot, "set_up");
    ck_assert_int_eq(weir_pool_settle(pool, slot, NULL), WEIR_OK);
    weir_pool_give(pool, slot);
    ck_assert_int_eq(count_once(pool), 1001);
    weir_pool_free(pool);
    end();
}
END_TEST

/* Every charge of settling fails once: an error, and the slot ends when it is given back. */
START_TEST(settling_can_be_refused)
{
    begin();
    struct weir_pool *pool = new_pool(&(struct weir_pool_config){0});
    uint64_t spoiled = 0;
    for (uint64_t n = 1;; n++) {
        struct weir_instance *slot = take(pool);
        struct weir_error error = {0};
        (void)CALL_OK(slot, "set_up");
        (void)weir_ledger_fail_nth(n);
        enum weir_status status = weir_pool_settle(pool, slot, &error);
        uint64_t counted = weir_ledger_fail_nth(0);
        ck_assert_int_eq(weir_pool_is_settled(slot), status == WEIR_OK);
        weir_pool_give(pool, slot);
        if (counted < n) {
            ck_assert_int_eq(status, WEIR_OK);
            break;
        }
        ck_assert_int_ne(status, WEIR_OK);
        ck_assert_int_eq(error.status, status);
        weir_error_done(&error);
        spoiled++;
    }
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_ge(spoiled, 2); /* pages and the table at least */
    ck_assert_uint_eq(figures.spoiled, spoiled);
    weir_pool_free(pool);
    end();
}
END_TEST

/* --- growth --------------------------------------------------------------------------------- */

#define LEAK 4096
#define MARK (UINT64_C(1) << 20)

static uint64_t growth_now(void)
{
    uint64_t bytes = 0;
    ck_assert_int_eq(weir_growth_read(&bytes, NULL), WEIR_OK);
    return bytes;
}

static void leak_once(struct weir_pool *pool)
{
    struct weir_instance *slot = take(pool);
    ck_assert_int_gt(CALL_OK(slot, "leak", LEAK), 0);
    weir_pool_give(pool, slot);
}

/* 100,000 calls that leak a page each: the host never holds more than the mark and one call. */
START_TEST(leaks_stay_under_the_mark)
{
    struct weir_recycle_policy policy = {.private_bytes_max = MARK};
    const int calls = WEIR_ASAN || WEIR_TSAN ? 2000 : 100000;
    begin();
    struct weir_pool *pool = resident_pool(&policy);
    leak_once(pool);
    const uint64_t slack = 256 * KIB; /* what counts as zero everywhere */
    uint64_t first_bytes = growth_now(), most_bytes = 0;
    for (int i = 0; i < calls; i++) {
        leak_once(pool);
        if (i % 97 == 0) {
            uint64_t bytes = growth_now();
            most_bytes = bytes > most_bytes ? bytes : most_bytes;
        }
    }
    ck_assert_uint_ge(recycled(pool, WEIR_RECYCLE_PRIVATE), (uint64_t)calls * LEAK / MARK - 2);
    ck_assert_uint_le(recycled(pool, WEIR_RECYCLE_PRIVATE), (uint64_t)calls * LEAK / MARK + 1);
    if (!WEIR_ASAN && !WEIR_TSAN) {
        ck_assert_uint_le(most_bytes, first_bytes + MARK + LEAK + slack);
        ck_assert_uint_ge(most_bytes, first_bytes + MARK / 2); /* it did leak */
    }
    weir_pool_free(pool);
    end();
    if (!WEIR_ASAN && !WEIR_TSAN)
        ck_assert_uint_le(growth_now(), first_bytes + slack);
}
END_TEST

/* --- threads -------------------------------------------------------------------------------- */

#define THREADS 4
static _Atomic uint64_t calls_made;

static void *call_and_sweep(void *data)
{
    struct weir_pool *pool = data;
    for (int i = 0; i < 2000; i++) {
        struct weir_instance *slot = NULL;
        if (weir_pool_take(pool, &slot, NULL) == WEIR_OK) {
            if (i % 50 == 7)
                (void)fixture_call(slot, "trap", NULL, 0, NULL, NULL);
            else
                ck_assert_int_ge(CALL_OK(slot, "count"), 1);
            (void)atomic_fetch_add(&calls_made, 1);
            weir_pool_give(pool, slot);
        }
        if (i % 10 == 0)
            (void)weir_pool_recycle_idle(pool, NULL);
    }
    return NULL;
}

START_TEST(threads_share_residents)
{
    begin();
    weir_clock_replace(NULL, NULL);
    struct weir_pool *pool = new_pool(&(struct weir_pool_config){
        .slots_max = 3, .is_resident = true, .recycle = {.calls_max = 20, .idle_ns_max = 20000}});
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_and_sweep, pool), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    struct weir_pool_figures figures;
    weir_pool_figures(pool, &figures);
    ck_assert_uint_eq(figures.takes, atomic_load(&calls_made));
    ck_assert_uint_gt(figures.recycled[WEIR_RECYCLE_SPOILED], 0);
    ck_assert_uint_eq(figures.in_use, 0);
    uint64_t ended = 0;
    for (int i = 0; i < WEIR_RECYCLE_REASON_COUNT; i++)
        ended += figures.recycled[i];
    ck_assert_uint_eq(figures.cold_takes, ended + figures.warm);
    weir_pool_free(pool);
    weir_module_unref(module);
    weir_engine_unref(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recycling");
    TCase *tests = tcase_create("recycle");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, names_reasons);
    tcase_add_test(tests, keeps_its_state_for_so_many_calls);
    tcase_add_test(tests, grows_old_and_idle);
    tcase_add_test(tests, passes_a_mark);
    tcase_add_test(tests, is_spoiled);
    tcase_add_test(tests, recycles_when_asked);
    tcase_add_test(tests, gives_way_to_others);
    tcase_add_test(tests, keeps_data);
    tcase_add_loop_test(tests, resets_to_where_it_was_settled, 0, 2);
    tcase_add_test(tests, settles_what_is_whole);
    tcase_add_test(tests, settling_can_be_refused);
    tcase_add_test(tests, leaks_stay_under_the_mark);
    tcase_add_test(tests, threads_share_residents);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
