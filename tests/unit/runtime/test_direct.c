/* Instances without a linker: host functions of a store, imports by position, exports by index;
 * what is the same thing, where external references are kept, and validation alone. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "direct_wasm.h"
#include "ledger/ledger.h"
#include "runtime/references.h"
#include "tests/run_suite.h"

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_store *store;
static struct weir_extern items[4];

static enum weir_status twice(struct weir_caller *caller, void *data, const union weir_value *args,
                              union weir_value *results)
{
    ck_assert_ptr_null(weir_caller_instance(caller));
    ck_assert_ptr_null(weir_caller_memory(caller));
    ck_assert_ptr_eq(weir_caller_store(caller), store);
    *(int32_t *)data += args[0].i32;
    results[0].f64 = 2 * args[1].f64;
    return WEIR_OK;
}

static const enum weir_type params[] = {WEIR_TYPE_I32, WEIR_TYPE_F64};
static const struct weir_func_type twice_type = {
    .params = params, .param_count = 2, .results = params + 1, .result_count = 1};
static int32_t seen;
static const struct weir_host_definition twice_host = {
    .type = &twice_type, .func = twice, .data = &seen};

static void setup(void)
{
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, direct_wasm, sizeof direct_wasm);
    store = fixture_store(engine);
    struct weir_limits limits = {.min = 1, .max = 3, .has_max = true};
    items[0].kind = WEIR_EXTERN_FUNC;
    items[1].kind = WEIR_EXTERN_MEMORY;
    items[2].kind = WEIR_EXTERN_TABLE;
    items[3].kind = WEIR_EXTERN_GLOBAL;
    ck_assert_int_eq(weir_func_new(store, &twice_host, &items[0].func, NULL), WEIR_OK);
    ck_assert_int_eq(weir_memory_new(store, &limits, &items[1].memory, NULL), WEIR_OK);
    ck_assert_int_eq(weir_table_new(store, WEIR_TYPE_EXTERNREF, &limits, &items[2].table, NULL),
                     WEIR_OK);
    ck_assert_int_eq(weir_global_new(store, WEIR_TYPE_I64, true, (union weir_value){.i64 = 5},
                                     &items[3].global, NULL),
                     WEIR_OK);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

static struct weir_instance *make(void)
{
    const struct weir_imports imports = {.items = items, .count = 4};
    struct weir_instance *instance = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_instance_new_with(store, module, &imports, &instance, NULL, &error) ==
                      WEIR_OK,
                  "%s", error.message);
    return instance;
}

START_TEST(calls_a_host_function_of_the_store)
{
    struct weir_func_type type;
    weir_func_type(items[0].func, &type);
    ck_assert_uint_eq(type.param_count, 2);
    ck_assert_int_eq(type.results[0], WEIR_TYPE_F64);
    union weir_value args[2] = {{.i32 = 4}, {.f64 = 1.25}};
    union weir_value result = {0};
    seen = 0;
    ck_assert_int_eq(weir_func_call(store, items[0].func, args, &result, NULL, NULL), WEIR_OK);
    ck_assert_int_eq(seen, 4);
    ck_assert(result.f64 == 2.5);
    struct weir_funcref *run = fixture_func(make(), "run");
    ck_assert_int_eq(weir_func_call(store, run, args, &result, NULL, NULL), WEIR_OK);
    ck_assert_int_eq(seen, 8);
    ck_assert(result.f64 == 2.5);
    ck_assert_int_eq(weir_global_get(items[3].global).i64, 6);
}
END_TEST

START_TEST(refuses_wrong_imports)
{
    struct weir_store *other = fixture_store(engine);
    for (size_t i = 0; i < 4; i++) {
        struct weir_extern wrong[4];
        memcpy(wrong, items, sizeof wrong);
        wrong[i] = items[(i + 1) % 4];
        const struct weir_imports imports = {.items = wrong, .count = 4};
        struct weir_instance *instance = NULL;
        struct weir_error error = {0};
        ck_assert_int_eq(weir_instance_new_with(store, module, &imports, &instance, NULL, &error),
                         WEIR_LINK);
        ck_assert(strstr(error.message, "incompatible import type") != NULL);
        weir_error_done(&error);
        const struct weir_imports all = {.items = items, .count = 4};
        ck_assert_int_eq(weir_instance_new_with(other, module, &all, &instance, NULL, &error),
                         WEIR_LINK);
        ck_assert(strstr(error.message, "import of another store") != NULL);
        weir_error_done(&error);
        const struct weir_imports few = {.items = items, .count = i};
        ck_assert_int_eq(weir_instance_new_with(store, module, &few, &instance, NULL, &error),
                         WEIR_LINK);
        ck_assert(strstr(error.message, "imports are given, the module has 4") != NULL);
        weir_error_done(&error);
    }
    weir_store_close(other, NULL);
}
END_TEST

START_TEST(finds_exports_by_index)
{
    struct weir_instance *instance = make();
    struct weir_extern item;
    for (size_t i = 0; i < weir_module_export_count(module); i++) {
        struct weir_export_info info;
        struct weir_extern named;
        weir_module_export(module, i, &info);
        ck_assert_int_eq(weir_instance_export_at(instance, i, &item), WEIR_OK);
        ck_assert_int_eq(weir_instance_export(instance, info.name, info.name_size, &named),
                         WEIR_OK);
        ck_assert_int_eq(item.kind, info.type.kind);
        ck_assert_ptr_eq(item.func, named.func);
    }
    ck_assert_int_eq(weir_instance_export_at(instance, weir_module_export_count(module), &item),
                     WEIR_NOT_FOUND);
}
END_TEST

static bool is_same(const struct weir_extern *a, const struct weir_extern *b)
{
    struct weir_identity left = weir_extern_identity(a);
    struct weir_identity right = weir_extern_identity(b);
    return left.code == right.code && left.home == right.home;
}

START_TEST(knows_what_is_the_same)
{
    struct weir_instance *instance = make();
    struct weir_extern item;
    ck_assert_int_eq(weir_instance_export(instance, "twice", 5, &item), WEIR_OK);
    ck_assert_ptr_ne(item.func, items[0].func); /* a record of its own */
    ck_assert(is_same(&item, &items[0]));
    ck_assert_int_eq(weir_instance_export(instance, "count", 5, &item), WEIR_OK);
    ck_assert_ptr_ne(item.global, items[3].global);
    ck_assert(is_same(&item, &items[3]));
    struct weir_extern run = {.kind = WEIR_EXTERN_FUNC, .func = fixture_func(instance, "run")};
    struct weir_extern other = {.kind = WEIR_EXTERN_FUNC, .func = fixture_func(make(), "run")};
    ck_assert(!is_same(&run, &items[0]));
    ck_assert(!is_same(&run, &other));
    ck_assert_ptr_null(weir_store_instance_of(store, module)); /* there are two */
}
END_TEST

static void *visited[8];
static size_t visited_count;

static void visit(void *context, void *externref)
{
    ck_assert_ptr_eq(context, visited);
    ck_assert_uint_lt(visited_count, 8);
    visited[visited_count++] = externref;
}

START_TEST(visits_external_references)
{
    struct weir_instance *instance = make();
    ck_assert_ptr_eq(weir_store_instance_of(store, module), instance);
    ck_assert(weir_store_is_idle(store));
    int thing;
    int other;
    union weir_value ref = {.externref = &thing};
    ck_assert_int_eq(weir_func_call(store, fixture_func(instance, "keep"), &ref, NULL, NULL, NULL),
                     WEIR_OK);
    ck_assert_uint_eq(weir_table_grow(items[2].table, 2, &other, NULL), 1);
    visited_count = 0;
    weir_store_visit_externrefs(store, visit, visited);
    ck_assert_uint_eq(visited_count, 3); /* two elements, one global */
    int things = 0;
    for (size_t i = 0; i < 3; i++)
        things += visited[i] == &thing;
    ck_assert_int_eq(things, 1);
}
END_TEST

START_TEST(grows_tables)
{
    struct weir_limits limits;
    ck_assert_int_eq(weir_table_type(items[2].table, &limits), WEIR_TYPE_EXTERNREF);
    ck_assert(limits.min == 1 && limits.has_max && limits.max == 3);
    struct weir_error error = {0};
    ck_assert_uint_eq(weir_table_grow(items[2].table, 3, NULL, &error), UINT64_MAX);
    ck_assert_int_eq(error.status, WEIR_LIMIT);
    weir_error_done(&error);
    ck_assert_uint_eq(weir_table_grow(items[2].table, 2, NULL, NULL), 1);
    ck_assert_int_eq(weir_table_type(items[2].table, &limits), WEIR_TYPE_EXTERNREF);
    ck_assert_uint_eq(limits.min, 3);
}
END_TEST

START_TEST(frames_tell_offsets)
{
    struct weir_instance *instance = make();
    union weir_value zero = {.i32 = 0};
    union weir_value result;
    static struct weir_trap trap;
    ck_assert_int_eq(
        weir_func_call(store, fixture_func(instance, "fail"), &zero, &result, &trap, NULL),
        WEIR_TRAP);
    ck_assert_uint_eq(trap.frame_count, 1);
    ck_assert_ptr_eq(trap.frames[0].code, module);
    /* no locals, i32.const 1, local.get 0, then the division */
    ck_assert_uint_eq(trap.frames[0].func_offset, 5);
    ck_assert_uint_gt(trap.frames[0].module_offset, trap.frames[0].func_offset);
    weir_trap_done(&trap);
}
END_TEST

START_TEST(validates_alone)
{
    struct weir_error error = {0};
    ck_assert_int_eq(weir_module_validate(engine, direct_wasm, sizeof direct_wasm, &error),
                     WEIR_OK);
    ck_assert_int_eq(weir_module_validate(engine, direct_wasm, sizeof direct_wasm - 1, &error),
                     WEIR_MALFORMED);
    weir_error_done(&error);
    ck_assert_int_eq(weir_module_validate(engine, NULL, 0, &error), WEIR_MALFORMED);
    weir_error_done(&error);
    (void)weir_ledger_fail_nth(1);
    ck_assert_int_ne(weir_module_validate(engine, direct_wasm, sizeof direct_wasm, &error),
                     WEIR_OK);
    (void)weir_ledger_fail_nth(0);
    weir_error_done(&error);
}
END_TEST

/* A store gives back what its host functions took, refused ones included. */
START_TEST(charges_host_functions)
{
    struct weir_account_reading before;
    struct weir_account_reading after;
    weir_account_read(weir_account_host(), &before);
    struct weir_store *other = fixture_store(engine);
    struct weir_funcref *func = NULL;
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(weir_func_new(other, &twice_host, &func, NULL), WEIR_OK);
    weir_account_read(weir_store_account(other), &after);
    ck_assert_uint_gt(after.used_bytes, UINT64_C(1000) * 64);
    int refused = 0;
    for (int i = 0; i < 300; i++) {
        (void)weir_ledger_fail_nth(1);
        refused += weir_func_new(other, &twice_host, &func, NULL) != WEIR_OK;
    }
    (void)weir_ledger_fail_nth(0);
    ck_assert_int_gt(refused, 0);
    weir_store_close(other, NULL);
    weir_account_read(weir_account_host(), &after);
    ck_assert_mem_eq(after.kinds, before.kinds, sizeof after.kinds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("direct");
    TCase *tests = tcase_create("direct");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, calls_a_host_function_of_the_store);
    tcase_add_test(tests, refuses_wrong_imports);
    tcase_add_test(tests, finds_exports_by_index);
    tcase_add_test(tests, knows_what_is_the_same);
    tcase_add_test(tests, visits_external_references);
    tcase_add_test(tests, grows_tables);
    tcase_add_test(tests, frames_tell_offsets);
    tcase_add_test(tests, validates_alone);
    tcase_add_test(tests, charges_host_functions);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
