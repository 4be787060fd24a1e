/* What an embedder may hand in by mistake: null, of another store, of no type, out of range, at the
 * wrong moment. Each is an error with a reason, and nothing has happened. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "stillborn_wasm.h"
#include "strange_wasm.h"
#include "tests/run_suite.h"

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_linker *linker;
static struct weir_store *store, *other;
static struct weir_instance *instance, *stranger;
static struct weir_error error;
static struct weir_trap trap;

enum {
    SAY_NOTHING,
    SAY_AND_GO_ON,
    EXIT_WITH_3,
    EXIT_WITHOUT,
    FAIL,
    UNPARK,
    MAKE_STILLBORN
};

static void make_stillborn(struct weir_store *in);

static enum weir_status say(struct weir_caller *caller, void *data, const union weir_value *args,
                            union weir_value *results)
{
    (void)data;
    results[0].i32 = args[0].i32;
    switch (args[0].i32) {
    case SAY_AND_GO_ON:
        (void)weir_caller_trap(caller, WEIR_TRAP_MEMORY_LIMIT, "never mind");
        return WEIR_OK;
    case EXIT_WITH_3:
        return weir_caller_exit(caller, 3);
    case EXIT_WITHOUT:
        return WEIR_EXIT;
    case FAIL:
        return WEIR_IO;
    case UNPARK:
        weir_store_unpark(weir_caller_store(caller));
        return WEIR_OK;
    case MAKE_STILLBORN:
        for (int i = 0; i < 3; i++)
            make_stillborn(weir_caller_store(caller));
        return WEIR_OK;
    default:
        return WEIR_OK;
    }
}

static const enum weir_type i32 = WEIR_TYPE_I32;
static const struct weir_func_type unary = {&i32, 1, &i32, 1};

static void setup(void)
{
    error = (struct weir_error){0};
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, strange_wasm, sizeof strange_wasm);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    const struct weir_host_definition definition = {.type = &unary, .func = say};
    ck_assert_int_eq(weir_linker_define_func(linker, "host", "say", &definition, NULL), WEIR_OK);
    const struct weir_store_config few = {.instances_max = 10};
    ck_assert_int_eq(weir_store_new(engine, &few, &store, NULL), WEIR_OK);
    other = fixture_store(engine);
    instance = fixture_instance(store, linker, module);
    stranger = fixture_instance(other, linker, module);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_store_close(other, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

static struct weir_extern item_of(struct weir_instance *from, const char *name)
{
    struct weir_extern item;
    ck_assert_int_eq(weir_instance_export(from, name, strlen(name), &item), WEIR_OK);
    return item;
}

/* The call answered so, with words of its own where it was given a record. */
static void refused(enum weir_status status, enum weir_status expected)
{
    ck_assert_str_eq(weir_status_name(status), weir_status_name(expected));
    ck_assert_int_eq(error.status, expected);
    ck_assert_str_ne(error.message, "");
    weir_error_done(&error);
}

START_TEST(refuses_calls)
{
    union weir_value values[4] = {0};
    struct weir_funcref *four = fixture_func(instance, "four");
    refused(weir_func_call(store, NULL, values, values, NULL, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_func_call(store, four, NULL, values, NULL, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_func_call(store, four, values, NULL, NULL, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_func_call(store, fixture_func(stranger, "one"), NULL, values, NULL, &error),
            WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_func_call(store, fixture_func(instance, "one"), NULL, values, NULL, NULL),
                     WEIR_OK);
}
END_TEST

START_TEST(refuses_references_of_other_stores)
{
    struct weir_funcref *foreign = fixture_func(stranger, "one");
    struct weir_table *table = item_of(instance, "table").table;
    struct weir_global *held = item_of(instance, "held").global;
    const union weir_value value = {.funcref = foreign};
    ck_assert_int_eq(weir_table_set(table, 0, foreign), WEIR_INVALID_ARGUMENT);
    ck_assert_uint_eq(weir_table_grow(table, 1, foreign, &error), UINT64_MAX);
    refused(error.status, WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_global_set(held, value), WEIR_INVALID_ARGUMENT);
    struct weir_global *made = NULL;
    refused(weir_global_new(store, WEIR_TYPE_FUNCREF, true, value, &made, &error),
            WEIR_INVALID_ARGUMENT);
    refused(weir_global_new(store, (enum weir_type)5, true, value, &made, &error),
            WEIR_INVALID_ARGUMENT);
    struct weir_extern items[] = {item_of(stranger, "one"), {.kind = WEIR_EXTERN_FUNC}};
    for (size_t i = 0; i < 2; i++) {
        refused(weir_linker_define(linker, store, "a", "b", &items[i], &error),
                WEIR_INVALID_ARGUMENT);
        struct weir_instance *none = NULL;
        const struct weir_imports imports = {&items[i], 1};
        refused(weir_instance_new_with(store, module, &imports, &none, NULL, &error), WEIR_LINK);
    }
    refused(weir_linker_define(linker, NULL, "a", "b", items, &error), WEIR_INVALID_ARGUMENT);
    ck_assert_uint_eq(weir_table_size(table), 2);
    ck_assert_int_eq(weir_table_set(table, 0, fixture_func(instance, "one")), WEIR_OK);
}
END_TEST

START_TEST(refuses_definitions)
{
    static const enum weir_type strange = (enum weir_type)77;
    static const struct weir_func_type odd = {&strange, 1, NULL, 0};
    static const struct weir_func_type missing = {NULL, 2, NULL, 0};
    static enum weir_type many[1001];
    static const struct weir_func_type long_one = {many, 1001, NULL, 0};
    const struct weir_host_definition bad[] = {{NULL, say, NULL},
                                               {&unary, NULL, NULL},
                                               {&odd, say, NULL},
                                               {&missing, say, NULL},
                                               {&long_one, say, NULL}};
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
        many[i] = WEIR_TYPE_I32;
    struct weir_funcref *func = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(weir_linker_define_func(linker, "a", "b", &bad[i], &error), WEIR_INVALID_ARGUMENT);
        refused(weir_func_new(store, &bad[i], &func, &error), WEIR_INVALID_ARGUMENT);
    }
    const struct weir_host_definition good = {&unary, say, NULL};
    refused(weir_linker_define_func(linker, NULL, "b", &good, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_linker_define_func(linker, "a", NULL, &good, &error), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_linker_define_func(linker, "a", "trap", &good, NULL), WEIR_OK);
    /* One name of the instance's is taken: none is defined. */
    refused(weir_linker_define_instance(linker, "a", instance, &error), WEIR_EXISTS);
    ck_assert_int_eq(weir_linker_define_func(linker, "a", "memory", &good, NULL), WEIR_OK);
}
END_TEST

START_TEST(refuses_configurations)
{
    struct weir_engine *none = NULL;
    const struct weir_engine_config features = {.features = 1u << 30};
    refused(weir_engine_new(&features, &none, &error), WEIR_INVALID_ARGUMENT);
    enum weir_bounds bounds;
    refused(weir_bounds_parse(NULL, &bounds, &error), WEIR_INVALID_ARGUMENT);
    struct weir_account *account = NULL;
    refused(weir_account_new(NULL, WEIR_ACCOUNT_TENANT, "a", 1, &account, &error),
            WEIR_INVALID_ARGUMENT);
    refused(weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, NULL, 1, &account, &error),
            WEIR_INVALID_ARGUMENT);
    static const struct weir_executor_config executors[] = {
        {.threads = 257}, {.queue_max = 65537}, {.stack_bytes = 1}, {.stack_bytes = UINT64_MAX}};
    struct weir_executor *executor = NULL;
    for (size_t i = 0; i < sizeof executors / sizeof executors[0]; i++)
        refused(weir_executor_new(&executors[i], &executor, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_store_task_start(store, NULL, &(struct weir_store_task_definition){0}, &error),
            WEIR_INVALID_ARGUMENT);
    struct weir_module *module_of_nothing = NULL;
    refused(weir_module_new(engine, NULL, 8, NULL, &module_of_nothing, &error),
            WEIR_INVALID_ARGUMENT);
    refused(weir_module_validate(engine, NULL, 8, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_module_validate(engine, NULL, 0, &error), WEIR_MALFORMED);
    refused(weir_module_new(engine, NULL, 0, NULL, &module_of_nothing, &error), WEIR_MALFORMED);
}
END_TEST

START_TEST(refuses_handles)
{
    static const struct weir_resource_type type = {.name = "file"};
    struct weir_handles *handles = NULL;
    struct weir_handle handle;
    struct weir_scope scope;
    uint64_t rep;
    ck_assert_int_eq(weir_store_handles(store, &handles, NULL), WEIR_OK);
    refused(weir_handle_make(handles, &(struct weir_handle_new){0}, &handle, &error),
            WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_handle_find(handles, 0, NULL, &rep, &error), WEIR_NOT_FOUND);
    ck_assert(strstr(error.message, "index 0") != NULL);
    weir_error_done(&error);
    struct weir_handle_new wanted = {.type = &type, .rep = 1};
    ck_assert_int_eq(weir_handle_make(handles, &wanted, &handle, NULL), WEIR_OK);
    weir_scope_begin(&scope, other);
    refused(weir_handle_lend(handles, handle.index, &type, &scope, &rep, &error),
            WEIR_INVALID_ARGUMENT);
    refused(weir_handle_borrow(handles, &wanted, &scope, &handle, &error), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_scope_end(&scope, NULL), WEIR_OK);
    weir_scope_begin(&scope, store);
    wanted.parent = handle;
    refused(weir_handle_borrow(handles, &wanted, &scope, &handle, &error), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_scope_end(&scope, NULL), WEIR_OK);
    ck_assert_uint_eq(weir_handles_count(handles), 1);
}
END_TEST

START_TEST(answers_beyond_the_end)
{
    struct weir_import_info import;
    struct weir_export_info export;
    weir_module_import(module, 1, &import);
    weir_module_export(module, 99, &export);
    ck_assert_str_eq(import.module, "");
    ck_assert_str_eq(import.name, "");
    ck_assert_str_eq(export.name, "");
    ck_assert_ptr_null(weir_instance_global(instance, 2));
    ck_assert_ptr_null(weir_instance_memory(instance, 1));
    ck_assert_int_eq(weir_instance_release(NULL, NULL, NULL), WEIR_OK);
}
END_TEST

START_TEST(refuses_registrations)
{
    struct weir_held *held = NULL;
    struct weir_ref_edge *edge = NULL;
    struct weir_instance_pin *pin = NULL;
    const enum weir_held_kind unknown = (enum weir_held_kind)(WEIR_HELD_WAIT + 1);
    refused(weir_held_new(instance, unknown, "x", 1, &held, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_held_new(instance, WEIR_HELD_WAIT, NULL, 1, &held, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_ref_edge_new(store, instance, NULL, &edge, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_instance_pin(instance, NULL, &pin, &error), WEIR_INVALID_ARGUMENT);
    struct weir_census *census = NULL;
    struct weir_census_total total = {.count = 1};
    ck_assert_int_eq(weir_census_take(engine, NULL, &census, NULL), WEIR_OK);
    weir_census_total(census, WEIR_CENSUS_TYPE_COUNT, &total);
    ck_assert_uint_eq(total.count, 0);
    ck_assert_ptr_null(weir_census_group(census, weir_census_group_count(census)));
    ck_assert_ptr_null(weir_census_store(census, weir_census_store_count(census)));
    weir_census_free(census);
}
END_TEST

START_TEST(calls_untyped)
{
    struct weir_funcref *four = fixture_func(instance, "four");
    struct weir_typed_value args[] = {{WEIR_TYPE_I32, {.i32 = -7}},
                                      {WEIR_TYPE_I64, {.i64 = 1}},
                                      {WEIR_TYPE_FUNCREF, {.funcref = four}},
                                      {WEIR_TYPE_EXTERNREF, {.externref = &store}}};
    struct weir_typed_value results[4] = {0};
    struct weir_untyped_call call = {args, 4, results, 4};
    ck_assert_int_eq(weir_func_call_untyped(store, four, &call, NULL, &error), WEIR_OK);
    ck_assert_int_eq(results[0].type, WEIR_TYPE_F64);
    ck_assert(results[0].value.f64 > 2.4 && results[0].value.f64 < 2.6);
    ck_assert_int_eq(results[1].type, WEIR_TYPE_EXTERNREF);
    ck_assert_ptr_eq(results[1].value.externref, &store);
    ck_assert_int_eq(results[2].value.i32, -7);
    ck_assert_ptr_eq(results[3].value.funcref, four);
    call.arg_count = 3;
    refused(weir_func_call_untyped(store, four, &call, NULL, &error), WEIR_INVALID_ARGUMENT);
    call = (struct weir_untyped_call){args, 4, results, 5};
    refused(weir_func_call_untyped(store, four, &call, NULL, &error), WEIR_INVALID_ARGUMENT);
    call = (struct weir_untyped_call){args, 4, NULL, 4};
    refused(weir_func_call_untyped(store, four, &call, NULL, &error), WEIR_INVALID_ARGUMENT);
    call.results = results;
    args[2].value.funcref = fixture_func(stranger, "one");
    refused(weir_func_call_untyped(store, four, &call, NULL, &error), WEIR_INVALID_ARGUMENT);
    args[2].value.funcref = NULL;
    args[1].type = WEIR_TYPE_F64;
    refused(weir_func_call_untyped(store, four, &call, NULL, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_func_call_untyped(store, NULL, &call, NULL, &error), WEIR_INVALID_ARGUMENT);
    refused(weir_func_call_untyped(other, four, &call, NULL, &error), WEIR_INVALID_ARGUMENT);
    call = (struct weir_untyped_call){0};
    ck_assert_int_eq(
        weir_func_call_untyped(store, fixture_func(instance, "trap"), &call, &trap, NULL),
        WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_UNREACHABLE);
}
END_TEST

START_TEST(calls_untyped_with_many_values)
{
    struct weir_typed_value args[17], results[17];
    for (int i = 0; i < 17; i++)
        args[i] = (struct weir_typed_value){WEIR_TYPE_I32, {.i32 = i - 8}};
    const struct weir_untyped_call call = {args, 17, results, 17};
    struct weir_funcref *many = fixture_func(instance, "many");
    ck_assert_int_eq(weir_func_call_untyped(store, many, &call, NULL, NULL), WEIR_OK);
    for (int i = 0; i < 17; i++)
        ck_assert_int_eq(results[i].value.i32, 8 - i);
}
END_TEST

START_TEST(tells_types_apart)
{
    static const enum weir_type wide = WEIR_TYPE_I64;
    static const struct weir_func_type not [] = {
        {&i32, 1, NULL, 0}, {NULL, 0, &i32, 1}, {&wide, 1, &i32, 1}, {&i32, 1, &wide, 1}};
    struct weir_funcref *func = fixture_func(instance, "say");
    ck_assert(weir_func_has_type(func, &unary));
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++)
        ck_assert(!weir_func_has_type(func, &not [i]));
}
END_TEST

/* What one host function said or left is not told of the next trap. */
START_TEST(traps_are_about_themselves)
{
    ck_assert_int_eq(CALL_OK(instance, "say", SAY_AND_GO_ON), SAY_AND_GO_ON);
    ck_assert_int_eq(fixture_call(instance, "trap", NULL, 0, NULL, &trap), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_UNREACHABLE);
    ck_assert_str_eq(trap.cause.message, "");
    ck_assert_int_eq(CALL_OK(instance, "say", SAY_AND_GO_ON), SAY_AND_GO_ON);
    const int64_t fail = FAIL, with_3 = EXIT_WITH_3, without = EXIT_WITHOUT;
    ck_assert_int_eq(fixture_call(instance, "say", &fail, 1, NULL, &trap), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_HOST);
    ck_assert_int_eq(trap.cause.status, WEIR_IO);
    weir_trap_done(&trap);
    ck_assert_int_eq(fixture_call(instance, "say", &with_3, 1, NULL, &trap), WEIR_TRAP);
    ck_assert_int_eq(trap.exit_code, 3);
    ck_assert_int_eq(fixture_call(instance, "say", &without, 1, NULL, &trap), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_EXIT);
    ck_assert_int_eq(trap.exit_code, 0);
}
END_TEST

START_TEST(nothing_is_parked_inside)
{
    ck_assert_int_eq(CALL_OK(instance, "say", UNPARK), UNPARK);
    weir_store_unpark(store);
    ck_assert_int_eq(CALL_OK(instance, "one"), 1);
}
END_TEST

/* --- instances that could not be made -------------------------------------------------------- */

static struct weir_table *shared;
static struct weir_module *stillborn;

static void make_stillborn(struct weir_store *in)
{
    const struct weir_extern item = {.kind = WEIR_EXTERN_TABLE, .table = shared};
    const struct weir_imports imports = {&item, 1};
    struct weir_instance *none = NULL;
    ck_assert_int_eq(weir_instance_new_with(in, stillborn, &imports, &none, NULL, &error),
                     WEIR_TRAP);
    ck_assert_ptr_null(none);
    weir_error_done(&error);
}

/* Others held a function of each, and let go: they don't fill the store, which may have ten. */
START_TEST(stillborn_instances_go)
{
    stillborn = fixture_module(engine, &config, stillborn_wasm, sizeof stillborn_wasm);
    const struct weir_limits one = {.min = 1};
    ck_assert_int_eq(weir_table_new(store, WEIR_TYPE_FUNCREF, &one, &shared, NULL), WEIR_OK);
    make_stillborn(store);
    void *left = NULL;
    ck_assert_int_eq(weir_table_get(shared, 0, &left), WEIR_OK);
    ck_assert_int_eq(weir_func_call(store, left, NULL, NULL, NULL, NULL), WEIR_OK);
    for (int i = 0; i < 1000; i++)
        make_stillborn(store); /* takes the place of the one before in the table */
    for (int i = 0; i < 200; i++) {
        (void)CALL_OK(instance, "say", MAKE_STILLBORN); /* none can go during the call */
        make_stillborn(store);
    }
    ck_assert_int_eq(weir_table_set(shared, 0, NULL), WEIR_OK);
    for (int i = 0; i < 9; i++)
        (void)fixture_instance(store, linker, module);
    ck_assert_int_eq(weir_table_get(shared, 0, &left), WEIR_OK);
    ck_assert_ptr_null(left);
    struct weir_instance *none = NULL;
    refused(weir_instance_new(store, linker, module, &none, NULL, &error), WEIR_LIMIT);
    weir_module_unref(stillborn);
}
END_TEST

/* Refused again and again, memories and tables leave nothing in the store's own records. */
START_TEST(refusals_take_nothing)
{
    struct weir_store *small = NULL;
    const struct weir_store_config limited = {.memory_bytes_max = UINT64_C(1) << 20};
    ck_assert_int_eq(weir_store_new(engine, &limited, &small, NULL), WEIR_OK);
    const struct weir_limits large = {.min = 32}, larger = {.min = 500000};
    struct weir_memory *memory = NULL;
    struct weir_table *table = NULL;
    struct weir_account_reading before, after;
    for (int i = 0; i < 2000; i++) {
        if (i == 10)
            weir_account_read(weir_store_account(small), &before);
        ck_assert_int_eq(weir_memory_new(small, &large, &memory, NULL), WEIR_LIMIT);
        ck_assert_int_eq(weir_table_new(small, WEIR_TYPE_FUNCREF, &larger, &table, NULL),
                         WEIR_LIMIT);
    }
    weir_account_read(weir_store_account(small), &after);
    ck_assert_uint_eq(after.used_bytes, before.used_bytes);
    weir_store_close(small, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime strange");
    TCase *tests = tcase_create("strange");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, refuses_calls);
    tcase_add_test(tests, refuses_references_of_other_stores);
    tcase_add_test(tests, refuses_definitions);
    tcase_add_test(tests, refuses_configurations);
    tcase_add_test(tests, refuses_handles);
    tcase_add_test(tests, answers_beyond_the_end);
    tcase_add_test(tests, refuses_registrations);
    tcase_add_test(tests, calls_untyped);
    tcase_add_test(tests, calls_untyped_with_many_values);
    tcase_add_test(tests, tells_types_apart);
    tcase_add_test(tests, traps_are_about_themselves);
    tcase_add_test(tests, nothing_is_parked_inside);
    tcase_add_test(tests, stillborn_instances_go);
    tcase_add_test(tests, refusals_take_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
