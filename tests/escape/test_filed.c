/* Artifacts on disk while guests run from them: cut, swapped, changed through another link. The
 * process lives, wrong code never runs, and what was damaged is compiled again. No mapping is ever
 * writable and executable. Through the public interface, compiler process and all. */
#include <glob.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/runtime/runtime_fixture.h"

#include "exhaust_start_wasm.h"
#include "exhaust_wasm.h"
#include "tests/run_suite.h"

static char folder[64];
static char path[512]; /* of the artifact */
static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;
static struct weir_store *store;
static struct weir_instance *instance;
static bool is_cutting;

static enum weir_status host(struct weir_caller *caller, void *data, const union weir_value *args,
                             union weir_value *results)
{
    (void)caller;
    (void)data;
    results[0].i32 = args[0].i32;
    if (is_cutting)
        ck_assert_int_eq(truncate(path, args[0].i32), 0);
    return WEIR_OK;
}

static struct weir_module *compile(const uint8_t *bytes, size_t size, bool is_cached)
{
    struct weir_error error = {0};
    struct weir_module *made = NULL;
    enum weir_status status = weir_module_new(engine, bytes, size, NULL, &made, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    struct weir_module_figures figures;
    weir_module_figures(made, &figures);
    ck_assert_int_eq(figures.was_cached, is_cached);
    return made;
}

/* The only artifact of the folder's only version. */
static void find_artifact(void)
{
    char pattern[96];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/v*/[0-9a-f]*", folder);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    (void)snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
    globfree(&found);
}

static void open_store(void)
{
    store = fixture_store(engine);
    instance = fixture_instance(store, linker, module);
}

static void open_engine(void)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const struct weir_func_type type = {i32, 1, i32, 1};
    const struct weir_host_definition definition = {&type, host, NULL};
    const struct weir_engine_config config = {.artifact_dir = folder};
    engine = fixture_engine(&config);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_define_func(linker, "host", "call", &definition, NULL), WEIR_OK);
}

static void setup(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/weir-filed-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    is_cutting = false;
    open_engine();
    module = compile(exhaust_wasm, sizeof exhaust_wasm, false);
    find_artifact();
    open_store();
}

static void teardown(void)
{
    char command[128];
    weir_store_close(store, NULL);
    weir_module_unref(module);
    weir_linker_free(linker);
    weir_engine_unref(engine);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* What follows damage: the module is compiled again and does what it should. */
static void expect_recovery(void)
{
    weir_store_close(store, NULL);
    weir_module_unref(module);
    module = compile(exhaust_wasm, sizeof exhaust_wasm, false);
    open_store();
    ck_assert_int_eq(CALL_OK(instance, "bounded", 12), 12);
    weir_module_unref(module);
    module = compile(exhaust_wasm, sizeof exhaust_wasm, true);
}

START_TEST(survives_a_cut)
{
    is_cutting = true;
    CALL_TRAPS(instance, "through_host", WEIR_TRAP_CODE_LOST, _i == 0 ? 0 : 4096);
    is_cutting = false;
    expect_recovery();
}
END_TEST

START_TEST(survives_a_swap)
{
    char other[512];
    memcpy(other, path, sizeof other);
    struct weir_module *second = compile(exhaust_start_wasm, sizeof exhaust_start_wasm, false);
    weir_module_unref(second);
    ck_assert_int_eq(unlink(other), 0);
    find_artifact();
    ck_assert_int_eq(rename(path, other), 0); /* a valid artifact under the wrong name */
    ck_assert_int_eq(CALL_OK(instance, "bounded", 12), 12); /* its file is still mapped */
    expect_recovery();
}
END_TEST

START_TEST(survives_a_change_through_a_link)
{
    char link_path[600];
    struct stat st;
    (void)snprintf(link_path, sizeof link_path, "%s.link", path);
    ck_assert_int_eq(link(path, link_path), 0);
    weir_store_close(store, NULL);
    weir_module_unref(module);
    ck_assert_int_eq(stat(link_path, &st), 0);
    ck_assert_int_eq(chmod(link_path, 0600), 0);
    int fd = open(link_path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    uint8_t byte;
    ck_assert_int_eq(pread(fd, &byte, 1, 4100), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, 4100), 1);
    (void)close(fd);
    module = compile(exhaust_wasm, sizeof exhaust_wasm, false);
    open_store();
    ck_assert_int_eq(CALL_OK(instance, "bounded", 12), 12);
}
END_TEST

START_TEST(does_not_follow_a_link)
{
    char elsewhere[600];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s.elsewhere", folder);
    ck_assert_int_eq(rename(path, elsewhere), 0);
    ck_assert_int_eq(symlink(elsewhere, path), 0);
    weir_store_close(store, NULL);
    weir_module_unref(module);
    module = compile(exhaust_wasm, sizeof exhaust_wasm, false);
    open_store();
    ck_assert_int_eq(unlink(elsewhere), 0);
    ck_assert_int_eq(CALL_OK(instance, "bounded", 12), 12);
}
END_TEST

static volatile bool is_over;

static void *watch_mappings(void *context)
{
    unsigned *reads = context;
    while (!is_over) {
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[512];
        while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
            const char *rights = strchr(line, ' ');
            if (rights != NULL && rights[2] == 'w' && rights[3] == 'x')
                abort();
        }
        if (maps != NULL)
            (void)fclose(maps);
        ++*reads;
    }
    return NULL;
}

START_TEST(never_writes_what_it_executes)
{
    pthread_t thread;
    unsigned reads = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, watch_mappings, &reads), 0);
    for (int i = 0; i < 60; i++) {
        weir_store_close(store, NULL);
        weir_module_unref(module);
        if (i % 4 == 0)
            ck_assert_int_eq(unlink(path), 0);
        module = compile(exhaust_wasm, sizeof exhaust_wasm, i % 4 != 0);
        open_store();
        ck_assert_int_eq(CALL_OK(instance, "through_host", 3), 3);
        CALL_TRAPS(instance, "load", WEIR_TRAP_MEMORY_BOUNDS, -4);
    }
    is_over = true;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_gt(reads, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filed");
    TCase *tests = tcase_create("artifacts");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, survives_a_cut, 0, 2);
    tcase_add_test(tests, survives_a_swap);
    tcase_add_test(tests, survives_a_change_through_a_link);
    tcase_add_test(tests, does_not_follow_a_link);
    tcase_add_test(tests, never_writes_what_it_executes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
