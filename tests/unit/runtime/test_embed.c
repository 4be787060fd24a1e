/* What an embedder sees around calls: module figures and types, artifacts that must be refused,
 * linker rules, memories, tables and globals of the host's own making. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "call_wasm.h"
#include "embed_wasm.h"
#include "tests/run_suite.h"

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_linker *linker;
static struct weir_store *store;

static void setup(void)
{
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, embed_wasm, sizeof embed_wasm);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    store = fixture_store(engine);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

START_TEST(describes_module)
{
    ck_assert_str_eq(weir_module_name(module), "fixture");
    ck_assert_uint_eq(weir_module_import_count(module), 3);
    struct weir_import_info import;
    weir_module_import(module, 0, &import);
    ck_assert_str_eq(import.module, "m");
    ck_assert_str_eq(import.name, "memory");
    ck_assert_uint_eq(import.name_size, 6);
    ck_assert_int_eq(import.type.kind, WEIR_EXTERN_MEMORY);
    ck_assert_uint_eq(import.type.limits.min, 1);
    ck_assert(import.type.limits.has_max);
    ck_assert_uint_eq(import.type.limits.max, 3);
    weir_module_import(module, 1, &import);
    ck_assert_int_eq(import.type.kind, WEIR_EXTERN_TABLE);
    ck_assert_int_eq(import.type.type, WEIR_TYPE_EXTERNREF);
    ck_assert(!import.type.limits.has_max);
    weir_module_import(module, 2, &import);
    ck_assert_int_eq(import.type.kind, WEIR_EXTERN_GLOBAL);
    ck_assert_int_eq(import.type.type, WEIR_TYPE_I64);
    ck_assert(import.type.is_mutable);
    ck_assert_uint_eq(weir_module_export_count(module), 7);
    struct weir_export_info export;
    weir_module_export(module, 6, &export);
    ck_assert_str_eq(export.name, "v");
    ck_assert_int_eq(export.type.kind, WEIR_EXTERN_FUNC);
    ck_assert_uint_eq(export.type.func.param_count, 4);
    ck_assert_int_eq(export.type.func.params[2], WEIR_TYPE_F32);
    ck_assert_uint_eq(export.type.func.result_count, 2);
    ck_assert_int_eq(export.type.func.results[1], WEIR_TYPE_I32);
    struct weir_module_figures figures;
    weir_module_figures(module, &figures);
    ck_assert_uint_eq(figures.module_bytes, sizeof embed_wasm);
    ck_assert_uint_gt(figures.text_bytes, 0);
    ck_assert_uint_gt(figures.artifact_bytes, figures.text_bytes);
}
END_TEST

/* Before anybody asked for names, a module is a few hundred bytes. */
START_TEST(takes_few_private_bytes)
{
    struct weir_account_reading before;
    struct weir_account_reading after;
    struct weir_module_figures figures;
    int artifact = fixture_artifact(&config, call_wasm, sizeof call_wasm);
    weir_account_read(weir_engine_account(engine), &before);
    struct weir_module *other = NULL;
    ck_assert_int_eq(weir_module_load(engine, artifact, NULL, &other, NULL), WEIR_OK);
    weir_account_read(weir_engine_account(engine), &after);
    weir_module_figures(other, &figures);
    ck_assert_uint_le(figures.private_bytes, 8192);
    ck_assert_uint_eq(figures.private_bytes,
                      after.kinds[WEIR_KIND_CODE] - before.kinds[WEIR_KIND_CODE]);
    ck_assert_uint_eq(after.kinds[WEIR_KIND_MAPPING] - before.kinds[WEIR_KIND_MAPPING], 3);
    ck_assert_uint_eq(after.kinds[WEIR_KIND_DESCRIPTOR] - before.kinds[WEIR_KIND_DESCRIPTOR], 1);
    weir_module_unref(other);
    weir_account_read(weir_engine_account(engine), &after);
    ck_assert_uint_eq(before.used_bytes, after.used_bytes);
    (void)close(artifact);
}
END_TEST

static enum weir_status load_with(const struct weir_engine_config *wanted, int artifact)
{
    struct weir_engine *other = fixture_engine(wanted);
    struct weir_module *none = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_module_load(other, artifact, NULL, &none, &error);
    ck_assert(status == WEIR_OK || error.message[0] != '\0');
    weir_error_done(&error);
    weir_module_unref(none);
    weir_engine_unref(other);
    return status;
}

START_TEST(refuses_wrong_artifacts)
{
    int artifact = fixture_artifact(&config, embed_wasm, sizeof embed_wasm);
    struct weir_engine_config wanted = {.bounds = WEIR_BOUNDS_EXPLICIT};
    ck_assert_int_eq(load_with(&wanted, artifact), WEIR_FOREIGN);
    wanted = (struct weir_engine_config){.has_fuel = true};
    ck_assert_int_eq(load_with(&wanted, artifact), WEIR_FOREIGN);
    wanted = (struct weir_engine_config){.features = WEIR_FEATURE_MUTABLE_GLOBALS};
    ck_assert_int_eq(load_with(&wanted, artifact), WEIR_UNSUPPORTED);
    off_t size = lseek(artifact, 0, SEEK_END);
    ck_assert_int_eq(ftruncate(artifact, size / 2), 0);
    ck_assert_int_eq(load_with(&config, artifact), WEIR_CORRUPT);
    ck_assert_int_eq(ftruncate(artifact, 0), 0);
    ck_assert_int_eq(load_with(&config, artifact), WEIR_IO);
    ck_assert_int_eq(load_with(&config, STDIN_FILENO), WEIR_IO);
    (void)close(artifact);
    artifact = memfd_create("nothing", MFD_CLOEXEC);
    static const char text[] = "not an artifact, but long enough to look at";
    ck_assert_int_eq(write(artifact, text, sizeof text), sizeof text);
    ck_assert_int_eq(load_with(&config, artifact), WEIR_CORRUPT);
    (void)close(artifact);
}
END_TEST

/* A file that was accepted once is checked again when it was changed. */
START_TEST(checks_changed_files_again)
{
    int artifact = fixture_artifact(&config, embed_wasm, sizeof embed_wasm);
    ck_assert_int_eq(load_with(&config, artifact), WEIR_OK);
    ck_assert_int_eq(load_with(&config, artifact), WEIR_OK);
    off_t size = lseek(artifact, 0, SEEK_END);
    static uint8_t noise[256];
    memset(noise, 0xa5, sizeof noise);
    /* Behind the head: in the tables. */
    ck_assert_int_eq(pwrite(artifact, noise, sizeof noise, 1024), sizeof noise);
    ck_assert_int_eq(lseek(artifact, 0, SEEK_END), size);
    ck_assert_int_eq(load_with(&config, artifact), WEIR_CORRUPT);
    (void)close(artifact);
}
END_TEST

static void define(const char *name, const struct weir_extern *item)
{
    struct weir_error error = {0};
    enum weir_status status = weir_linker_define(linker, store, "m", name, item, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static struct weir_extern memory_of(uint64_t min, uint64_t max)
{
    struct weir_limits limits = {.min = min, .max = max, .has_max = true};
    struct weir_extern item = {.kind = WEIR_EXTERN_MEMORY};
    ck_assert_int_eq(weir_memory_new(store, &limits, &item.memory, NULL), WEIR_OK);
    return item;
}

static struct weir_extern table_of(enum weir_type type, uint64_t min)
{
    struct weir_limits limits = {.min = min};
    struct weir_extern item = {.kind = WEIR_EXTERN_TABLE};
    ck_assert_int_eq(weir_table_new(store, type, &limits, &item.table, NULL), WEIR_OK);
    return item;
}

static struct weir_extern global_of(enum weir_type type, bool is_mutable)
{
    struct weir_extern item = {.kind = WEIR_EXTERN_GLOBAL};
    union weir_value value = {.i64 = 40};
    ck_assert_int_eq(weir_global_new(store, type, is_mutable, value, &item.global, NULL), WEIR_OK);
    return item;
}

START_TEST(shares_host_objects)
{
    struct weir_extern memory = memory_of(1, 3);
    struct weir_extern table = table_of(WEIR_TYPE_EXTERNREF, 2);
    struct weir_extern global = global_of(WEIR_TYPE_I64, true);
    define("memory", &memory);
    define("table", &table);
    define("global", &global);
    struct weir_instance *instance = fixture_instance(store, linker, module);
    static const uint64_t two = 2;
    ck_assert_int_eq(weir_memory_write(memory.memory, 8, &two, sizeof two), WEIR_OK);
    ck_assert_int_eq(CALL_OK(instance, "bump"), 42);
    ck_assert_int_eq(weir_global_get(global.global).i64, 42);
    ck_assert_int_eq(weir_global_set(global.global, (union weir_value){.i64 = -2}), WEIR_OK);
    ck_assert_int_eq(CALL_OK(instance, "bump"), 0);
    ck_assert_int_eq(weir_table_set(table.table, 1, &config), WEIR_OK);
    ck_assert_ptr_eq((void *)CALL_OK(instance, "get", 1), &config);
    (void)CALL_OK(instance, "set", 0, (int64_t)(intptr_t)&store);
    void *ref = NULL;
    ck_assert_int_eq(weir_table_get(table.table, 0, &ref), WEIR_OK);
    ck_assert_ptr_eq(ref, &store);
    ck_assert_int_eq(CALL_OK(instance, "is_null", 0), 1);
    ck_assert_int_eq(CALL_OK(instance, "is_null", 8), 0);
    ck_assert_int_eq(weir_table_get(table.table, 2, &ref), WEIR_INVALID_ARGUMENT);
    CALL_TRAPS(instance, "get", WEIR_TRAP_TABLE_BOUNDS, 2);
    /* Grown by the host, seen by the guest. */
    ck_assert_uint_eq(weir_memory_grow(memory.memory, 2, NULL), 1);
    ck_assert_int_eq(CALL_OK(instance, "size"), 3);
    struct weir_error error = {0};
    ck_assert_uint_eq(weir_memory_grow(memory.memory, 1, &error), UINT64_MAX);
    ck_assert_int_eq(error.status, WEIR_LIMIT);
    weir_error_done(&error);
    ck_assert_ptr_eq(fixture_memory(instance, "again"), memory.memory);
    ck_assert_uint_eq(weir_instance_global_count(instance), 1);
    ck_assert_int_eq(weir_global_get(weir_instance_global(instance, 0)).i64, 0);
}
END_TEST

START_TEST(matches_types)
{
    struct {
        struct weir_extern memory, table, global;
        bool fits;
    } cases[] = {
        {memory_of(1, 3), table_of(WEIR_TYPE_EXTERNREF, 2), global_of(WEIR_TYPE_I64, true), true},
        {memory_of(2, 2), table_of(WEIR_TYPE_EXTERNREF, 9), global_of(WEIR_TYPE_I64, true), true},
        {memory_of(0, 3), table_of(WEIR_TYPE_EXTERNREF, 2), global_of(WEIR_TYPE_I64, true), false},
        {memory_of(1, 4), table_of(WEIR_TYPE_EXTERNREF, 2), global_of(WEIR_TYPE_I64, true), false},
        {memory_of(1, 3), table_of(WEIR_TYPE_EXTERNREF, 1), global_of(WEIR_TYPE_I64, true), false},
        {memory_of(1, 3), table_of(WEIR_TYPE_FUNCREF, 2), global_of(WEIR_TYPE_I64, true), false},
        {memory_of(1, 3), table_of(WEIR_TYPE_EXTERNREF, 2), global_of(WEIR_TYPE_I32, true), false},
        {memory_of(1, 3), table_of(WEIR_TYPE_EXTERNREF, 2), global_of(WEIR_TYPE_I64, false), false},
        {global_of(WEIR_TYPE_I64, true), table_of(WEIR_TYPE_EXTERNREF, 2),
         global_of(WEIR_TYPE_I64, true), false}};
    weir_linker_allow_shadowing(linker, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        define("memory", &cases[i].memory);
        define("table", &cases[i].table);
        define("global", &cases[i].global);
        struct weir_instance *instance = NULL;
        struct weir_error error = {0};
        enum weir_status status = weir_instance_new(store, linker, module, &instance, NULL, &error);
        ck_assert_msg(status == (cases[i].fits ? WEIR_OK : WEIR_LINK), "case %zu: %s", i,
                      error.message);
        if (status == WEIR_LINK)
            ck_assert_ptr_nonnull(strstr(error.message, "incompatible import type"));
        weir_error_done(&error);
    }
    /* Another store's things are not for this one. */
    struct weir_store *second = fixture_store(engine);
    define("memory", &cases[0].memory);
    define("table", &cases[0].table);
    define("global", &cases[0].global);
    struct weir_instance *instance = NULL;
    ck_assert_int_eq(weir_instance_new(second, linker, module, &instance, NULL, NULL), WEIR_LINK);
    weir_store_close(second, NULL);
}
END_TEST

/* A link that fails again and again takes nothing from its store. */
START_TEST(failed_links_leave_nothing)
{
    struct weir_account_reading before;
    struct weir_account_reading after;
    struct weir_instance *instance = NULL;
    ck_assert_int_eq(weir_instance_new(store, linker, module, &instance, NULL, NULL), WEIR_LINK);
    weir_account_read(weir_store_account(store), &before);
    for (int i = 0; i < 2000; i++)
        ck_assert_int_eq(weir_instance_new(store, linker, module, &instance, NULL, NULL),
                         WEIR_LINK);
    weir_account_read(weir_store_account(store), &after);
    ck_assert_uint_eq(before.used_bytes, after.used_bytes);
}
END_TEST

START_TEST(keeps_linker_rules)
{
    struct weir_extern memory = memory_of(1, 3);
    struct weir_error error = {0};
    define("memory", &memory);
    ck_assert_int_eq(weir_linker_define(linker, store, "m", "memory", &memory, &error),
                     WEIR_EXISTS);
    ck_assert_ptr_nonnull(strstr(error.message, "\"m\" \"memory\""));
    weir_error_done(&error);
    /* Names are pairs, not concatenations. */
    ck_assert_int_eq(weir_linker_define(linker, store, "mm", "emory", &memory, NULL), WEIR_OK);
    /* Enough to make the table grow. */
    char name[16];
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        define(name, &memory);
    }
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        ck_assert_int_eq(weir_linker_define(linker, store, "m", name, &memory, NULL), WEIR_EXISTS);
    }
    struct weir_func_type huge = {.param_count = 1001};
    ck_assert_int_eq(weir_linker_define_func(linker, "m", "huge",
                                             &(struct weir_host_definition){&huge, NULL, NULL},
                                             &error),
                     WEIR_INVALID_ARGUMENT);
    weir_error_done(&error);
}
END_TEST

START_TEST(keeps_store_limits)
{
    struct weir_store_config limits = {
        .linear_bytes_max = 65536, .table_elements_max = 10, .instances_max = 1};
    struct weir_store *small = NULL;
    ck_assert_int_eq(weir_store_new(engine, &limits, &small, NULL), WEIR_OK);
    struct weir_memory *memory = NULL;
    struct weir_table *table = NULL;
    struct weir_error error = {0};
    struct weir_limits two = {.min = 2};
    ck_assert_int_eq(weir_memory_new(small, &two, &memory, &error), WEIR_LIMIT);
    weir_error_done(&error);
    two.min = 1;
    ck_assert_int_eq(weir_memory_new(small, &two, &memory, &error), WEIR_OK);
    ck_assert_uint_eq(weir_memory_grow(memory, 1, &error), UINT64_MAX);
    ck_assert_int_eq(error.status, WEIR_LIMIT);
    weir_error_done(&error);
    two.min = 11;
    ck_assert_int_eq(weir_table_new(small, WEIR_TYPE_FUNCREF, &two, &table, &error), WEIR_LIMIT);
    weir_error_done(&error);
    two = (struct weir_limits){.min = 3, .max = 2, .has_max = true};
    ck_assert_int_eq(weir_table_new(small, WEIR_TYPE_FUNCREF, &two, &table, NULL),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_memory_new(small, &two, &memory, NULL), WEIR_INVALID_ARGUMENT);
    two = (struct weir_limits){.min = 1};
    ck_assert_int_eq(weir_table_new(small, WEIR_TYPE_I32, &two, &table, NULL),
                     WEIR_INVALID_ARGUMENT);
    weir_store_close(small, NULL);
    struct weir_engine_config bad = {.stack_bytes = 1};
    struct weir_engine *none = NULL;
    ck_assert_int_eq(weir_engine_new(&bad, &none, &error), WEIR_INVALID_ARGUMENT);
    weir_error_done(&error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime embed");
    TCase *tests = tcase_create("embed");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, describes_module);
    tcase_add_test(tests, takes_few_private_bytes);
    tcase_add_test(tests, refuses_wrong_artifacts);
    tcase_add_test(tests, checks_changed_files_again);
    tcase_add_test(tests, shares_host_objects);
    tcase_add_test(tests, matches_types);
    tcase_add_test(tests, failed_links_leave_nothing);
    tcase_add_test(tests, keeps_linker_rules);
    tcase_add_test(tests, keeps_store_limits);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
