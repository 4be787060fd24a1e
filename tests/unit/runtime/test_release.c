/* One instance ends while its store lives: what comes back, what holds it and is named, ten
 * thousand plugins in one store without a byte of growth. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/poison.h"
#include "holder_wasm.h"
#include "keeper_wasm.h"
#include "ledger/equation.h"
#include "release_wasm.h"
#include "tests/run_suite.h"

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_store *store;
static struct weir_linker *linker;
static struct weir_module *plugin_module, *holder_module, *keeper_module;
static struct weir_instance *victim; /* host_open() tries to release it */
static enum weir_status inner_status;

static const struct weir_resource_type file = {.name = "file"};

#define FOR_THE_STORE 99

static enum weir_status host_open(struct weir_caller *caller, void *data,
                                  const union weir_value *args, union weir_value *results)
{
    (void)data;
    struct weir_handles *handles;
    struct weir_handle handle;
    if (victim != NULL)
        inner_status = weir_instance_release(victim, NULL, NULL);
    if (args[0].i32 < 0)
        return WEIR_PENDING;
    if ((args[0].i32 == FOR_THE_STORE
             ? weir_store_handles(weir_caller_store(caller), &handles, NULL)
             : weir_instance_handles(weir_caller_instance(caller), &handles, NULL)) != WEIR_OK ||
        weir_handle_make(handles, &(struct weir_handle_new){.type = &file}, &handle, NULL) !=
            WEIR_OK)
        return WEIR_LIMIT;
    results[0].i32 = (int32_t)handle.index;
    return WEIR_OK;
}

static void setup(void)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const struct weir_func_type type = {i32, 1, i32, 1};
    victim = NULL;
    engine = fixture_engine(&config);
    store = fixture_store(engine);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_define_func(linker, "host", "open",
                                             &(struct weir_host_definition){&type, host_open, NULL},
                                             NULL),
                     WEIR_OK);
    plugin_module = fixture_module(engine, &config, release_wasm, sizeof release_wasm);
    holder_module = fixture_module(engine, &config, holder_wasm, sizeof holder_wasm);
    keeper_module = fixture_module(engine, &config, keeper_wasm, sizeof keeper_wasm);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(plugin_module);
    weir_module_unref(holder_module);
    weir_module_unref(keeper_module);
    weir_engine_unref(engine);
}

static struct weir_instance *plugin(void)
{
    return fixture_instance(store, linker, plugin_module);
}

static void release_ok(struct weir_instance *instance)
{
    struct weir_error error = {0};
    enum weir_status status = weir_instance_release(instance, NULL, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

/* Refused, with as many pins, the last of which says so. */
static void release_pinned(struct weir_instance *instance, unsigned count, const char *why)
{
    struct weir_error error = {0};
    struct weir_receipt receipt = {0};
    ck_assert_int_eq(weir_instance_release(instance, &receipt, &error), WEIR_STATE);
    unsigned found = 0;
    bool is_named = false;
    for (struct weir_receipt_pin *pin = receipt.pins; pin != NULL; pin = pin->next, found++)
        is_named = is_named || strcmp(pin->holder, why) == 0;
    ck_assert_msg(is_named && found == count, "%u pins, the first: %s", found,
                  receipt.pins != NULL ? receipt.pins->holder : "none");
    ck_assert_ptr_nonnull(strstr(error.message, "cannot be released"));
    ck_assert_uint_eq(receipt.released[WEIR_KIND_LINEAR_MEMORY], 0);
    weir_receipt_done(&receipt);
    weir_error_done(&error);
}

START_TEST(gives_back_what_it_had)
{
    struct weir_instance *other = plugin();
    struct weir_instance *instance = plugin();
    struct weir_account_reading before, after;
    weir_account_read(weir_store_account(store), &before);
    ck_assert_int_eq(CALL_OK(instance, "grow"), 2);
    ck_assert_int_eq(CALL_OK(instance, "host", 1), 1);
    struct weir_receipt receipt = {0};
    ck_assert_int_eq(weir_instance_release(instance, &receipt, NULL), WEIR_OK);
    ck_assert_uint_eq(receipt.released[WEIR_KIND_LINEAR_MEMORY], 5 * 65536);
    ck_assert_uint_gt(receipt.released[WEIR_KIND_INSTANCE], 0);
    ck_assert_uint_gt(receipt.released[WEIR_KIND_HANDLE], 0);
    ck_assert_uint_gt(receipt.released[WEIR_KIND_MAPPING], 0);
    ck_assert_uint_eq(receipt.undropped_count, 1);
    ck_assert(receipt.drained);
    weir_receipt_done(&receipt);
    ck_assert_int_eq(CALL_OK(other, "double", 21), 42);
    release_ok(other);
    weir_account_read(weir_store_account(store), &after);
    ck_assert_uint_eq(after.kinds[WEIR_KIND_LINEAR_MEMORY], 0);
    ck_assert_uint_lt(after.kinds[WEIR_KIND_INSTANCE], before.kinds[WEIR_KIND_INSTANCE]);
    ck_assert_int_eq(CALL_OK(plugin(), "double", 4), 8);
}
END_TEST

START_TEST(importers_pin)
{
    struct weir_instance *instance = plugin();
    struct weir_linker *own;
    ck_assert_int_eq(weir_linker_new(engine, &own, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_define_instance(own, "plugin", instance, NULL), WEIR_OK);
    release_pinned(instance, 7, "a linker defines it as \"plugin\" \"memory\"");
    struct weir_instance *holder = fixture_instance(store, own, holder_module);
    ck_assert_int_eq(CALL_OK(holder, "run"), 10 + 'p');
    weir_linker_free(own);
    release_pinned(instance, 4, "instance 2 imports its memory as \"plugin\" \"memory\"");
    release_pinned(instance, 4, "instance 2 imports its function as \"plugin\" \"double\"");
    release_pinned(instance, 4, "instance 2 imports its table as \"plugin\" \"table\"");
    release_pinned(instance, 4, "instance 2 imports its global as \"plugin\" \"number\"");
    ck_assert_int_eq(CALL_OK(holder, "run"), 10 + 'p');
    release_ok(holder);
    release_ok(instance);
}
END_TEST

START_TEST(references_pin)
{
    struct weir_instance *instance = plugin();
    struct weir_instance *keeper = fixture_instance(store, linker, keeper_module);
    struct weir_extern table, ref;
    ck_assert_int_eq(weir_instance_export(keeper, "table", 5, &table), WEIR_OK);
    ck_assert_int_eq(weir_instance_export(keeper, "ref", 3, &ref), WEIR_OK);
    struct weir_funcref *func = fixture_func(instance, "double");
    ck_assert_int_eq(weir_table_set(table.table, 2, func), WEIR_OK);
    release_pinned(instance, 1, "entry 2 of a table of instance 2 is its function 1");
    ck_assert_int_eq(weir_global_set(ref.global, (union weir_value){.funcref = func}), WEIR_OK);
    release_pinned(instance, 2, "global 0 of instance 2 holds its function 1");
    (void)CALL_OK(keeper, "clear");
    ck_assert_int_eq(weir_table_set(table.table, 1, fixture_func(instance, "reexport")), WEIR_OK);
    release_pinned(instance, 1, "entry 1 of a table of instance 2 is its function 0");
    ck_assert_int_eq(weir_table_set(table.table, 1, NULL), WEIR_OK);

    const struct weir_limits limits = {.min = 3};
    struct weir_table *host;
    struct weir_global *global;
    ck_assert_int_eq(weir_table_new(store, WEIR_TYPE_FUNCREF, &limits, &host, NULL), WEIR_OK);
    ck_assert_int_eq(weir_table_set(host, 0, func), WEIR_OK);
    release_pinned(instance, 1, "entry 0 of a table of the host is its function 1");
    ck_assert_int_eq(weir_table_set(host, 0, NULL), WEIR_OK);
    ck_assert_int_eq(weir_global_new(store, WEIR_TYPE_FUNCREF, true,
                                     (union weir_value){.funcref = func}, &global, NULL),
                     WEIR_OK);
    release_pinned(instance, 1, "a global of the host holds its function 1");
    ck_assert_int_eq(weir_global_set(global, (union weir_value){0}), WEIR_OK);
    release_ok(instance);
}
END_TEST

START_TEST(the_embedder_pins)
{
    struct weir_instance *instance = plugin();
    struct weir_instance_pin *menu, *timer;
    ck_assert_int_eq(weir_instance_pin(instance, "the menu", &menu, NULL), WEIR_OK);
    ck_assert_int_eq(weir_instance_pin(instance, "a timer", &timer, NULL), WEIR_OK);
    release_pinned(instance, 2, "pinned by the menu");
    weir_instance_unpin(menu);
    release_pinned(instance, 1, "pinned by a timer");
    weir_instance_unpin(timer);
    struct weir_handles *handles;
    struct weir_scope scope;
    uint64_t rep;
    ck_assert_int_eq(CALL_OK(instance, "host", 1), 1);
    ck_assert_int_eq(weir_instance_handles(instance, &handles, NULL), WEIR_OK);
    weir_scope_begin(&scope, store);
    ck_assert_int_eq(weir_handle_lend(handles, 1, &file, &scope, &rep, NULL), WEIR_OK);
    release_pinned(instance, 1, "its handle 1, a \"file\", is lent to a call");
    ck_assert_int_eq(weir_scope_end(&scope, NULL), WEIR_OK);
    release_ok(instance);
    struct weir_instance *last = plugin(); /* the store closes over a pin */
    ck_assert_int_eq(weir_instance_pin(last, "nobody", &menu, NULL), WEIR_OK);
}
END_TEST

static bool has_site(void *context, const struct weir_handle_info *info)
{
    *(bool *)context = info->has_site;
    return true;
}

/* A handle that outlives the guest which made it: where that was is told while some instance in the
 * store still keeps its code, and not looked for afterwards. */
START_TEST(handles_outlive_their_maker)
{
    struct weir_handles *handles;
    struct weir_receipt receipt = {0};
    bool is_told = false;
    struct weir_instance *instance = plugin();
    struct weir_instance *twin = plugin();
    ck_assert_int_eq(CALL_OK(instance, "host", FOR_THE_STORE), 1);
    ck_assert_int_eq(weir_store_handles(store, &handles, NULL), WEIR_OK);
    release_ok(instance);
    weir_handles_walk(handles, has_site, &is_told);
    ck_assert(is_told);
    release_ok(twin);
    weir_handles_walk(handles, has_site, &is_told);
    ck_assert(!is_told);
    weir_store_close(store, &receipt);
    store = fixture_store(engine);
    ck_assert_uint_eq(receipt.undropped_count, 1);
    ck_assert_ptr_nonnull(
        strstr(receipt.undropped->holder, "made by an instance that was released"));
    weir_receipt_done(&receipt);
}
END_TEST

START_TEST(never_on_the_stack)
{
    struct weir_instance *instance = plugin();
    victim = instance;
    ck_assert_int_eq(CALL_OK(instance, "host", 1), 1);
    ck_assert_int_eq(inner_status, WEIR_STATE);
    victim = plugin();
    ck_assert_int_eq(CALL_OK(instance, "host", 1), 2);
    ck_assert_int_eq(inner_status, WEIR_STATE);
    struct weir_instance *other = victim;
    victim = NULL;
    int64_t result;
    const int64_t parked[] = {-1};
    ck_assert_int_eq(fixture_call(instance, "host", parked, 1, &result, NULL), WEIR_PENDING);
    ck_assert_int_eq(weir_instance_release(other, NULL, NULL), WEIR_STATE);
    weir_store_unpark(store);
    release_ok(instance);
    release_ok(other);
}
END_TEST

START_TEST(a_closed_store_leaves_no_definitions)
{
    struct weir_error error = {0};
    struct weir_store *short_lived = fixture_store(engine);
    struct weir_instance *instance = fixture_instance(short_lived, linker, plugin_module);
    struct weir_instance *holder = NULL;
    struct weir_linker *own;
    ck_assert_int_eq(weir_linker_new(engine, &own, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_define_instance(own, "plugin", instance, NULL), WEIR_OK);
    weir_store_close(short_lived, NULL);
    ck_assert_int_eq(weir_instance_new(store, own, holder_module, &holder, NULL, &error),
                     WEIR_LINK);
    ck_assert_ptr_nonnull(strstr(error.message, "import from a store that is closed"));
    weir_error_done(&error);
    weir_linker_free(own);
}
END_TEST

/* --- growth -------------------------------------------------------------------------------- */

struct figures {
    uint64_t growth, mappings, used;
};

static struct figures measure(void)
{
    struct figures figures;
    struct weir_equation equation;
    struct weir_account_reading reading;
    ck_assert_int_eq(weir_equation_read(&equation, NULL), WEIR_OK);
    weir_account_read(weir_account_host(), &reading);
    figures.mappings = equation.mapping_count;
    figures.used = reading.used_bytes;
    ck_assert_int_eq(weir_growth_read(&figures.growth, NULL), WEIR_OK);
    return figures;
}

/* One to three plugins at a time, of two sizes, released in another order than made. */
static void cycle(int count)
{
    for (int i = 0; i < count; i++) {
        struct weir_instance *instances[3];
        int live = 1 + i % 3;
        for (int k = 0; k < live; k++) {
            instances[k] = k == 1 ? fixture_instance(store, linker, keeper_module) : plugin();
            if (k != 1)
                (void)CALL_OK(instances[k], "host", 1);
        }
        for (int k = 0; k < live; k++)
            release_ok(instances[(k + i) % live]);
    }
}

START_TEST(ten_thousand_plugins_in_one_store)
{
    int count = WEIR_ASAN || WEIR_TSAN ? 500 : 10000;
    cycle(200);
    struct figures before = measure();
    cycle(count);
    struct figures after = measure();
    printf("%d plugins: %lld bytes\n", count, (long long)(after.growth - before.growth));
    ck_assert_uint_eq(after.used, before.used);
    if (WEIR_ASAN || WEIR_TSAN)
        return;
    ck_assert_uint_eq(after.mappings, before.mappings);
    ck_assert_int_le((int64_t)(after.growth - before.growth), 256 << 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("release");
    TCase *tests = tcase_create("instances");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, gives_back_what_it_had);
    tcase_add_test(tests, importers_pin);
    tcase_add_test(tests, references_pin);
    tcase_add_test(tests, the_embedder_pins);
    tcase_add_test(tests, handles_outlive_their_maker);
    tcase_add_test(tests, never_on_the_stack);
    tcase_add_test(tests, a_closed_store_leaves_no_definitions);
    tcase_add_test(tests, ten_thousand_plugins_in_one_store);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
