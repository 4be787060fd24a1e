/* What must not get out of the sandbox, nor be swallowed by it: accesses around every edge in both
 * forms, stacks exhausted on either side, signals that are not ours, files cut under a guest, pages
 * that are writable and executable. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "escape_wasm.h"
#include "runtime/boundary_internal.h"
#include "tests/run_suite.h"

#define PAGE 65536

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_linker *linker;
static struct weir_module *module;
static struct weir_store *store;
static struct weir_instance *instance;
static int artifact = -1;
static enum weir_status (*host_body)(struct weir_caller *caller, int32_t argument);
static int host_calls;

static enum weir_status host(struct weir_caller *caller, void *data, const union weir_value *args,
                             union weir_value *results)
{
    (void)data;
    host_calls++;
    results[0].i32 = 5;
    return host_body != NULL ? host_body(caller, args[0].i32) : WEIR_OK;
}

static void setup_with(enum weir_bounds bounds)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    config.bounds = bounds;
    engine = fixture_engine(&config);
    artifact = fixture_artifact(&config, escape_wasm, sizeof escape_wasm);
    ck_assert_int_eq(weir_module_load(engine, artifact, NULL, &module, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    struct weir_func_type type = {i32, 1, i32, 1};
    ck_assert_int_eq(weir_linker_define_func(linker, "host", "call",
                                             &(struct weir_host_definition){&type, host, NULL},
                                             NULL),
                     WEIR_OK);
    store = fixture_store(engine);
    instance = fixture_instance(store, linker, module);
}

static void setup(void)
{
    setup_with(WEIR_BOUNDS_GUARD);
}

static void setup_explicit(void)
{
    setup_with(WEIR_BOUNDS_EXPLICIT);
}

static void teardown(void)
{
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
    (void)close(artifact);
}

START_TEST(stops_at_every_edge)
{
    static const struct {
        const char *name;
        int64_t width;
    } accesses[] = {{"load8", 1},   {"load16", 2},  {"load32", 4},   {"load64", 8},
                    {"loadf32", 4}, {"loadf64", 8}, {"store8", 1},   {"store16", 2},
                    {"store32", 4}, {"store64", 8}, {"storef32", 4}, {"storef64", 8}};
    static const int64_t beyond[] = {2 * PAGE,  2 * PAGE + 1,  3 * PAGE, 1 << 24, INT32_MAX,
                                     INT32_MIN, INT32_MIN + 7, -1,       -2,      -4,
                                     -8,        -4096};
    for (size_t i = 0; i < sizeof accesses / sizeof accesses[0]; i++) {
        int64_t last = 2 * PAGE - accesses[i].width;
        (void)CALL_OK(instance, accesses[i].name, last);
        (void)CALL_OK(instance, accesses[i].name, 0);
        for (int64_t at = last + 1; at <= 2 * PAGE; at++)
            CALL_TRAPS(instance, accesses[i].name, WEIR_TRAP_MEMORY_BOUNDS, at);
        for (size_t j = 0; j < sizeof beyond / sizeof beyond[0]; j++)
            CALL_TRAPS(instance, accesses[i].name, WEIR_TRAP_MEMORY_BOUNDS, beyond[j]);
    }
    /* A store that straddles the edge has written nothing. */
    struct weir_memory *memory = fixture_memory(instance, "memory");
    static const uint8_t tail[7] = {1, 2, 3, 4, 5, 6, 7};
    uint8_t now[7];
    ck_assert_int_eq(weir_memory_write(memory, 2 * PAGE - 7, tail, 7), WEIR_OK);
    CALL_TRAPS(instance, "store64", WEIR_TRAP_MEMORY_BOUNDS, 2 * PAGE - 7);
    ck_assert_int_eq(weir_memory_read(memory, 2 * PAGE - 7, now, 7), WEIR_OK);
    ck_assert_mem_eq(now, tail, 7);
}
END_TEST

START_TEST(stops_large_offsets)
{
    ck_assert_int_eq(CALL_OK(instance, "load32_near", 2 * PAGE - 1004), 0);
    CALL_TRAPS(instance, "load32_near", WEIR_TRAP_MEMORY_BOUNDS, 2 * PAGE - 1003);
    CALL_TRAPS(instance, "load32_near", WEIR_TRAP_MEMORY_BOUNDS, -1000);
    static const int64_t indices[] = {0, 1, 4, PAGE, INT32_MAX, INT32_MIN, -1, -4};
    for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++) {
        CALL_TRAPS(instance, "load32_far", WEIR_TRAP_MEMORY_BOUNDS, indices[i]);
        CALL_TRAPS(instance, "load32_last", WEIR_TRAP_MEMORY_BOUNDS, indices[i]);
        CALL_TRAPS(instance, "store64_last", WEIR_TRAP_MEMORY_BOUNDS, indices[i]);
    }
}
END_TEST

START_TEST(bounds_host_access)
{
    struct weir_memory *memory = fixture_memory(instance, "memory");
    uint8_t bytes[16] = {0};
    ck_assert_int_eq(weir_memory_read(memory, 2 * PAGE - 16, bytes, 16), WEIR_OK);
    ck_assert_int_eq(weir_memory_read(memory, 2 * PAGE - 15, bytes, 16), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_memory_write(memory, UINT64_MAX, bytes, 2), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_memory_write(memory, UINT64_MAX - 1, bytes, 16), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_memory_read(memory, 2 * PAGE, bytes, 0), WEIR_OK);
    ck_assert_ptr_null(weir_memory_at(memory, 2 * PAGE, 1));
    ck_assert_ptr_null(weir_memory_at(memory, 1, 2 * PAGE));
    ck_assert_ptr_nonnull(weir_memory_at(memory, 0, 2 * PAGE));
}
END_TEST

/* Every size and both sides: a missing page is an answer. */
START_TEST(copies_survive_faults)
{
    static uint8_t there[8192];
    uint8_t *gone = mmap(NULL, 12288, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(gone, MAP_FAILED);
    ck_assert_int_eq(mprotect(gone, 4096, PROT_READ | PROT_WRITE), 0);
    for (size_t size = 1; size <= 8192; size += size < 70 ? 1 : 997) {
        ck_assert_int_eq(weir__copy_guarded(there, gone + 4096, size), 1);
        ck_assert_int_eq(weir__copy_guarded(gone + 4096, there, size), 1);
        ck_assert_int_eq(weir__fill_guarded(gone + 4096, 1, size), 1);
        ck_assert_int_eq(weir__copy_guarded(there, gone + 4096 - size / 2 - 1, size),
                         size / 2 + 1 < size);
    }
    ck_assert_int_eq(weir__copy_guarded(there, gone + 4096, 0), 0);
    ck_assert_int_eq(munmap(gone, 12288), 0);
}
END_TEST

static enum weir_status recurse(struct weir_caller *caller, int32_t depth)
{
    static struct weir_trap trap;
    int64_t argument = depth + 1;
    int64_t result = 0;
    enum weir_status status =
        fixture_call(weir_caller_instance(caller), "through_host", &argument, 1, &result, &trap);
    if (status == WEIR_OK)
        return WEIR_OK;
    ck_assert_int_eq(status, WEIR_TRAP);
    int code = trap.code;
    weir_trap_done(&trap);
    return weir_caller_trap(caller, code, "as below");
}

/* Guest and host call each other without end: whichever stack ends first, it is a trap. */
START_TEST(bounds_mutual_recursion)
{
    host_body = recurse;
    for (int round = 0; round < 3; round++) {
        host_calls = 0;
        CALL_TRAPS(instance, "through_host", WEIR_TRAP_STACK_EXHAUSTED, 0);
        ck_assert_int_gt(host_calls, 50);
    }
    host_body = NULL;
    ck_assert_int_eq(CALL_OK(instance, "through_host", 1), 5);
}
END_TEST

static sigjmp_buf escape;
static volatile sig_atomic_t seen_signal;

static void on_signal(int signal)
{
    seen_signal = signal;
    siglongjmp(escape, 1);
}

static enum weir_status fault_in_host(struct weir_caller *caller, int32_t argument)
{
    (void)caller;
    (void)argument;
    volatile int *volatile nowhere = (volatile int *)(uintptr_t)16;
    if (sigsetjmp(escape, 1) == 0)
        *nowhere = 1;
    return WEIR_OK;
}

/* The test's own handler was there before the engine's. */
START_TEST(passes_foreign_faults_on)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
    setup();
    host_body = fault_in_host;
    ck_assert_int_eq(CALL_OK(instance, "through_host", 1), 5);
    ck_assert_int_eq(seen_signal, SIGSEGV);
    host_body = NULL;
    CALL_TRAPS(instance, "load32", WEIR_TRAP_MEMORY_BOUNDS, -1);
    /* Outside of any guest, too, and one that another process sent. */
    seen_signal = 0;
    (void)fault_in_host(NULL, 0);
    ck_assert_int_eq(seen_signal, SIGSEGV);
    seen_signal = 0;
    if (sigsetjmp(escape, 1) == 0)
        (void)raise(SIGSEGV);
    ck_assert_int_eq(seen_signal, SIGSEGV);
    ck_assert_int_eq(CALL_OK(instance, "load32", 0), 0);
    teardown();
}
END_TEST

static enum weir_status fault_for_good(struct weir_caller *caller, int32_t argument)
{
    (void)caller;
    volatile int *volatile nowhere = (volatile int *)(uintptr_t)argument;
    *nowhere = 1;
    return WEIR_OK;
}

/* Nobody was there before: the process ends by the signal, as it would without us. */
START_TEST(dies_of_host_faults)
{
    for (int signal = 0; signal < 2; signal++) {
        struct sigaction none;
        memset(&none, 0, sizeof none);
        none.sa_handler = SIG_DFL;
        ck_assert_int_eq(sigaction(SIGSEGV, &none, NULL), 0);
    }
    setup();
    host_body = fault_for_good;
    (void)CALL_OK(instance, "through_host", 16);
    ck_abort_msg("survived");
}
END_TEST

static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    ticks++;
    if (ticks == 20)
        weir_store_interrupt(store);
}

/* A signal with a handler of its own, taken on the guest's stack again and again. */
START_TEST(takes_signals_while_guest_runs)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_tick;
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(ualarm(1000, 1000), 0);
    CALL_TRAPS(instance, "spin", WEIR_TRAP_CANCELLED);
    (void)ualarm(0, 0);
    weir_store_clear_interrupt(store);
    ck_assert_int_eq(CALL_OK(instance, "other"), 99);
}
END_TEST

static enum weir_status cut_file(struct weir_caller *caller, int32_t argument)
{
    (void)caller;
    ck_assert_int_eq(ftruncate(artifact, argument), 0);
    return WEIR_OK;
}

/* The file goes away while its guest waits for the host: code, image and names with it. */
START_TEST(loses_its_file)
{
    struct weir_memory *memory = fixture_memory(instance, "memory");
    uint8_t bytes[6];
    struct weir_funcref *through_host = fixture_func(instance, "through_host");
    struct weir_funcref *load8 = fixture_func(instance, "load8");
    host_body = cut_file;
    static struct weir_trap trap;
    union weir_value values[1] = {{.i32 = 0}};
    ck_assert_int_eq(weir_func_call(store, through_host, values, values, &trap, NULL), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_CODE_LOST);
    ck_assert_int_eq(weir_func_call(store, load8, values, values, &trap, NULL), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_CODE_LOST);
    ck_assert_uint_ge(trap.frame_count, 1);
    struct weir_extern item;
    ck_assert_int_eq(weir_instance_export(instance, "load8", 5, &item), WEIR_CORRUPT);
    ck_assert_int_eq(weir_memory_read(memory, 65536, bytes, 6), WEIR_IO);
    struct weir_store *second = fixture_store(engine);
    struct weir_instance *none = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_instance_new(second, linker, module, &none, NULL, &error), WEIR_CORRUPT);
    weir_error_done(&error);
    weir_store_close(second, NULL);
}
END_TEST

START_TEST(never_writes_and_executes)
{
    (void)CALL_OK(instance, "other");
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    char line[512];
    int executable = 0;
    struct weir_funcref *func = fixture_func(instance, "other");
    bool found = false;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin;
        unsigned long end;
        char rights[5];
        ck_assert_int_eq(sscanf(line, "%lx-%lx %4s", &begin, &end, rights), 3);
        ck_assert_msg(rights[1] != 'w' || rights[2] != 'x', "%s", line);
        executable += rights[2] == 'x';
        if (begin <= (uintptr_t)func->code && (uintptr_t)func->code < end) {
            found = true;
            ck_assert_str_eq(rights, "r-xp");
        }
    }
    ck_assert(found);
    ck_assert_int_gt(executable, 0);
    (void)fclose(maps);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, stops_at_every_edge);
    tcase_add_test(tests, stops_large_offsets);
    tcase_add_test(tests, bounds_host_access);
    tcase_add_test(tests, copies_survive_faults);
    tcase_add_test(tests, bounds_mutual_recursion);
    tcase_add_test(tests, takes_signals_while_guest_runs);
    tcase_add_test(tests, loses_its_file);
    tcase_add_test(tests, never_writes_and_executes);
}

int main(void)
{
    Suite *suite = suite_create("runtime escape");
    TCase *guard = tcase_create("guard");
    tcase_add_checked_fixture(guard, setup, teardown);
    add_tests(guard);
    suite_add_tcase(suite, guard);
    TCase *checks = tcase_create("explicit");
    tcase_add_checked_fixture(checks, setup_explicit, teardown);
    add_tests(checks);
    suite_add_tcase(suite, checks);
    TCase *bare = tcase_create("signals");
    tcase_add_test(bare, passes_foreign_faults_on);
    tcase_add_test_raise_signal(bare, dies_of_host_faults, SIGSEGV);
    suite_add_tcase(suite, bare);
    return run_suite(suite);
}
