/* What weir/engine.h promises of fork(): an exec takes nothing along; a child that was forked while
 * no call was under way goes on with copies, its guests are still stopped in time, and an executor
 * that stayed behind says so. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/compile_job.h"
#include "stop_wasm.h"

static enum weir_status host_nothing(struct weir_caller *caller, void *data,
                                     const union weir_value *args, union weir_value *results)
{
    (void)caller;
    (void)data;
    (void)args;
    (void)results;
    return WEIR_OK;
}

static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_linker *linker;
static struct weir_store *store;
static struct weir_instance *instance;
static struct weir_executor *executor;

static void define(const char *name, size_t param_count, const enum weir_type *results,
                   size_t result_count)
{
    static const enum weir_type I32[] = {WEIR_TYPE_I32};
    const struct weir_func_type type = {I32, param_count, results, result_count};
    const struct weir_host_definition host = {&type, host_nothing, NULL};
    ck_assert_int_eq(weir_linker_define_func(linker, "host", name, &host, NULL), WEIR_OK);
}

static void setup(void)
{
    static const enum weir_type I32[] = {WEIR_TYPE_I32};
    static const enum weir_type PAIR[] = {WEIR_TYPE_F64, WEIR_TYPE_I64};
    const struct weir_executor_config one = {.threads = 1};
    engine = fixture_engine(NULL);
    module = fixture_module(engine, NULL, stop_wasm, sizeof stop_wasm);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    define("wait", 1, I32, 1);
    define("wait_pair", 0, PAIR, 2);
    define("nest", 0, I32, 1);
    define("nest_long", 0, NULL, 0);
    store = fixture_store(engine);
    instance = fixture_instance(store, linker, module);
    ck_assert_int_eq(weir_executor_new(&one, &executor, NULL), WEIR_OK);
}

static void teardown(void)
{
    weir_executor_free(executor);
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    weir_compile_stop();
}

static void run(struct weir_store_task *task, void *data)
{
    (void)task;
    (void)data;
}

static void done(void *data, bool was_run)
{
    *(int *)data += was_run;
}

static enum weir_status start(int *runs, struct weir_error *error)
{
    const struct weir_store_task_definition definition = {
        .label = "work", .run = run, .done = done, .data = runs};
    return weir_store_task_start(store, executor, &definition, error);
}

/* One task, to its end: its thread waits for the next one then. */
static void work(void)
{
    struct weir_executor_figures figures;
    int runs = 0;
    ck_assert_int_eq(start(&runs, NULL), WEIR_OK);
    do {
        (void)sched_yield();
        (void)weir_store_reap(store);
        weir_executor_figures(executor, &figures);
    } while (runs == 0 || figures.done != figures.started);
}

static void compile(void)
{
    static const uint8_t EMPTY[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    struct weir_module *empty = NULL;
    struct weir_error error = {0};
    ck_assert_msg(weir_module_new(engine, EMPTY, sizeof EMPTY, NULL, &empty, &error) == WEIR_OK,
                  "%s", error.message);
    weir_module_unref(empty);
}

static uint64_t in_ms(uint64_t ms)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + ms * 1000000;
}

static void expect_end(pid_t child)
{
    int how = -1;
    ck_assert_int_ge(child, 0);
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_int_eq(how, 0);
}

/* The limit was set before the fork, by a thread that the child does not have. A failed assertion
 * ends the child with another code. */
static void go_on(void)
{
    struct weir_error error = {0};
    int runs = 0;
    CALL_TRAPS(instance, "spin", WEIR_TRAP_DEADLINE);
    weir_store_set_deadline(store, 0);
    weir_store_set_slice(store, 1000000);
    ck_assert_int_eq(fixture_call(instance, "spin", NULL, 0, NULL, NULL), WEIR_PENDING);
    weir_store_unpark(store);
    weir_store_set_slice(store, 0);
    ck_assert_int_eq(CALL_OK(instance, "count", 10000), 50010000);
    compile();
    ck_assert_int_eq(start(&runs, &error), WEIR_STATE);
    ck_assert_ptr_nonnull(strstr(error.message, "make another here"));
    teardown();
    setup();
    work();
    teardown();
    _exit(0);
}

START_TEST(child_goes_on)
{
    setup();
    work();
    compile();
    weir_store_set_deadline(store, in_ms(50));
    pid_t child = fork();
    if (child == 0)
        go_on();
    CALL_TRAPS(instance, "spin", WEIR_TRAP_DEADLINE);
    expect_end(child);
    weir_store_set_deadline(store, 0);
    ck_assert_int_eq(CALL_OK(instance, "count", 10000), 50010000);
    work();
    compile();
    teardown();
}
END_TEST

/* What a program that is executed now has open. */
static void list_descriptors(char *list, size_t size)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        if (dup2(ends[1], 1) == 1)
            (void)execl("/bin/sh", "sh", "-c", "echo /proc/self/fd/*", NULL);
        _exit(1);
    }
    (void)close(ends[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(ends[0], list + used, size - 1 - used)) > 0;)
        used += (size_t)got;
    list[used] = 0;
    (void)close(ends[0]);
    expect_end(child);
}

static atomic_bool is_over;

static void *run_guests(void *context)
{
    (void)context;
    while (!atomic_load(&is_over)) {
        struct weir_store *other = fixture_store(engine);
        struct weir_instance *guest = fixture_instance(other, linker, module);
        ck_assert_int_eq(CALL_OK(guest, "count", 10000), 50010000);
        weir_store_close(other, NULL);
    }
    return NULL;
}

START_TEST(exec_takes_nothing)
{
    char before[1024], after[1024], folder[] = "/tmp/weir-fork-XXXXXX", command[64];
    pthread_t thread;
    list_descriptors(before, sizeof before);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setup();
    const struct weir_engine_config config = {.artifact_dir = folder};
    struct weir_engine *kept = fixture_engine(&config);
    struct weir_engine *without = engine;
    engine = kept;
    compile();
    engine = without;
    weir_store_set_deadline(store, in_ms(1));
    CALL_TRAPS(instance, "spin", WEIR_TRAP_DEADLINE);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_guests, NULL), 0);
    for (int i = 0; i < 20; i++) {
        list_descriptors(after, sizeof after);
        ck_assert_str_eq(before, after);
    }
    atomic_store(&is_over, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    weir_engine_unref(kept);
    teardown();
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fork");
    TCase *tests = tcase_create("fork");
    tcase_add_test(tests, child_goes_on);
    tcase_add_test(tests, exec_takes_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
