/* The no-signals form: whatever a guest does, no handler is installed, none is called, and the
 * process's own arrangements stay as they were; it fits a small address space. Beside an engine
 * that does use signals, neither disturbs the other, and neither takes what the other's are. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/poison.h"
#include "no_signals_wasm.h"
#include "tests/run_suite.h"

#define MIB (1 << 20)
#define NAN_BITS INT64_C(0x7ff8000000000000)
#define HUGE_BITS INT64_C(0x7e37e43c8800759c) /* 1e300 */

static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#define SYNCHRONOUS_COUNT (sizeof synchronous / sizeof synchronous[0])

struct guest {
    struct weir_engine *engine;
    struct weir_linker *linker;
    struct weir_module *module;
    struct weir_store *store;
    struct weir_instance *instance;
};

static enum weir_status host(struct weir_caller *caller, void *data, const union weir_value *args,
                             union weir_value *results)
{
    (void)data;
    results[0].i32 = args[0].i32 + 1;
    return args[0].i32 == 13 ? weir_caller_trap(caller, WEIR_TRAP_HOST, "unlucky") : WEIR_OK;
}

static void guest_open(struct guest *guest, const struct weir_engine_config *config)
{
    static const enum weir_type i32[] = {WEIR_TYPE_I32};
    static const struct weir_func_type type = {i32, 1, i32, 1};
    struct weir_error error = {0};
    guest->engine = fixture_engine(config);
    ck_assert_int_eq(weir_linker_new(guest->engine, &guest->linker, NULL), WEIR_OK);
    ck_assert_int_eq(weir_linker_define_func(guest->linker, "host", "call",
                                             &(struct weir_host_definition){&type, host, NULL},
                                             NULL),
                     WEIR_OK);
    enum weir_status status = weir_module_new(guest->engine, no_signals_wasm,
                                              sizeof no_signals_wasm, NULL, &guest->module, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    guest->store = fixture_store(guest->engine);
    if (config->has_fuel)
        ck_assert_int_eq(weir_store_set_fuel(guest->store, UINT64_C(1) << 40, NULL), WEIR_OK);
    guest->instance = fixture_instance(guest->store, guest->linker, guest->module);
}

static void guest_close(struct guest *guest)
{
    weir_store_close(guest->store, NULL);
    weir_linker_free(guest->linker);
    weir_module_unref(guest->module);
    weir_engine_unref(guest->engine);
}

static const struct {
    const char *name;
    int64_t argument;
    int code;
} traps[] = {
    {"unreachable", 0, WEIR_TRAP_UNREACHABLE},
    {"unreachable_after_call", 0, WEIR_TRAP_UNREACHABLE},
    {"load", MIB - 3, WEIR_TRAP_MEMORY_BOUNDS},
    {"load", -1, WEIR_TRAP_MEMORY_BOUNDS},
    {"load_last", 0, WEIR_TRAP_MEMORY_BOUNDS},
    {"load_const", 0, WEIR_TRAP_MEMORY_BOUNDS},
    {"sum_loaded", MIB - 8, WEIR_TRAP_MEMORY_BOUNDS},
    {"store", MIB - 7, WEIR_TRAP_MEMORY_BOUNDS},
    {"store_const", MIB - 1, WEIR_TRAP_MEMORY_BOUNDS},
    {"div_s", 0, WEIR_TRAP_DIVIDE_BY_ZERO},
    {"rem_u", 0, WEIR_TRAP_DIVIDE_BY_ZERO},
    {"overflow", 0, WEIR_TRAP_DIVIDE_BY_ZERO},
    {"overflow", -1, WEIR_TRAP_INTEGER_OVERFLOW},
    {"overflow_const", INT64_MIN, WEIR_TRAP_INTEGER_OVERFLOW},
    {"zero_const", 5, WEIR_TRAP_DIVIDE_BY_ZERO},
    {"trunc", NAN_BITS, WEIR_TRAP_INVALID_CONVERSION},
    {"trunc", HUGE_BITS, WEIR_TRAP_INTEGER_OVERFLOW},
    {"trunc_wide", NAN_BITS, WEIR_TRAP_INVALID_CONVERSION},
    {"trunc_wide", HUGE_BITS, WEIR_TRAP_INTEGER_OVERFLOW},
    {"trunc_unsigned", NAN_BITS, WEIR_TRAP_INVALID_CONVERSION},
    {"trunc_unsigned", HUGE_BITS, WEIR_TRAP_INTEGER_OVERFLOW},
    {"indirect", 4, WEIR_TRAP_UNDEFINED_ELEMENT},
    {"indirect", 3, WEIR_TRAP_UNINITIALIZED_ELEMENT},
    {"indirect_type", 0, WEIR_TRAP_INDIRECT_TYPE},
    {"tail_indirect", -1, WEIR_TRAP_UNDEFINED_ELEMENT},
    {"tail_indirect", 3, WEIR_TRAP_UNINITIALIZED_ELEMENT},
    {"table_get", 4, WEIR_TRAP_TABLE_BOUNDS},
    {"table_set", -1, WEIR_TRAP_TABLE_BOUNDS},
    {"table_fill", 1, WEIR_TRAP_TABLE_BOUNDS},
    {"table_copy", 1, WEIR_TRAP_TABLE_BOUNDS},
    {"table_init", 0, WEIR_TRAP_TABLE_BOUNDS},
    {"fill", MIB - 15, WEIR_TRAP_MEMORY_BOUNDS},
    {"copy", MIB - 15, WEIR_TRAP_MEMORY_BOUNDS},
    {"init", 0, WEIR_TRAP_MEMORY_BOUNDS},
    {"recurse", 0, WEIR_TRAP_STACK_EXHAUSTED},
    {"host", 13, WEIR_TRAP_HOST},
};
#define TRAP_COUNT ((int)(sizeof traps / sizeof traps[0]))

/* Every kind of trap, what else ends guests, and what goes well. */
static void run_all(const struct guest *guest)
{
    struct weir_memory *memory = fixture_memory(guest->instance, "memory");
    uint8_t byte = 0;
    for (int i = 0; i < TRAP_COUNT; i++)
        CALL_TRAPS(guest->instance, traps[i].name, traps[i].code, traps[i].argument);
    weir_store_interrupt(guest->store);
    CALL_TRAPS(guest->instance, "spin", WEIR_TRAP_CANCELLED, 0);
    weir_store_clear_interrupt(guest->store);
    weir_store_set_deadline(guest->store, 1);
    CALL_TRAPS(guest->instance, "spin", WEIR_TRAP_DEADLINE, 0);
    weir_store_set_deadline(guest->store, 0);
    ck_assert_int_eq(CALL_OK(guest->instance, "grow", 1), -1);
    ck_assert_int_eq(CALL_OK(guest->instance, "host", 1), 2);
    ck_assert_int_eq(CALL_OK(guest->instance, "load", MIB - 4), 0);
    ck_assert_int_eq(weir_memory_read(memory, MIB, &byte, 1), WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_memory_write(memory, MIB - 1, &byte, 1), WEIR_OK);
    ck_assert_int_eq(weir_instance_reset(guest->instance, NULL), WEIR_OK);
    ck_assert_int_eq(CALL_OK(guest->instance, "count", 100), 100);
}

/* --- nothing is installed, nothing is needed ------------------------------------------------ */

static volatile sig_atomic_t handled;

static void handle(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
    handled++;
}

struct arrangements {
    struct sigaction actions[SYNCHRONOUS_COUNT];
    stack_t stack;
    sigset_t mask;
};

static struct arrangements look(void)
{
    struct arrangements now;
    memset(&now, 0, sizeof now);
    for (size_t i = 0; i < SYNCHRONOUS_COUNT; i++)
        ck_assert_int_eq(sigaction(synchronous[i], NULL, &now.actions[i]), 0);
    ck_assert_int_eq(sigaltstack(NULL, &now.stack), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &now.mask), 0);
    return now;
}

/* The C library leaves the rest of a set as it was. */
static void expect_same_set(const sigset_t *now, const sigset_t *before)
{
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        ck_assert_int_eq(sigismember(now, signal), sigismember(before, signal));
}

static void expect_same(const struct arrangements *before)
{
    struct arrangements now = look();
    for (size_t i = 0; i < SYNCHRONOUS_COUNT; i++) {
        ck_assert_ptr_eq((void *)(uintptr_t)now.actions[i].sa_handler,
                         (void *)(uintptr_t)before->actions[i].sa_handler);
        ck_assert_int_eq(now.actions[i].sa_flags, before->actions[i].sa_flags);
        expect_same_set(&now.actions[i].sa_mask, &before->actions[i].sa_mask);
    }
    ck_assert_ptr_eq(now.stack.ss_sp, before->stack.ss_sp);
    ck_assert_int_eq(now.stack.ss_flags, before->stack.ss_flags);
    expect_same_set(&now.mask, &before->mask);
    ck_assert_int_eq(handled, 0);
}

/* What was there before: by the system, ignored, or the embedder's own. */
static void arrange(int which)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = which == 1 ? SIG_IGN : SIG_DFL;
    if (which == 2) {
        action.sa_sigaction = handle;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        (void)sigaddset(&action.sa_mask, SIGUSR1);
    }
    for (size_t i = 0; i < SYNCHRONOUS_COUNT; i++)
        ck_assert_int_eq(sigaction(synchronous[i], &action, NULL), 0);
}

static void *live(void *argument)
{
    const struct weir_engine_config *config = argument;
    struct arrangements before = look();
    struct guest guest;
    guest_open(&guest, config);
    expect_same(&before);
    run_all(&guest);
    expect_same(&before);
    guest_close(&guest);
    expect_same(&before);
    return NULL;
}

START_TEST(leaves_signals_alone)
{
    struct weir_engine_config config = {.bounds = WEIR_BOUNDS_NO_SIGNALS};
    arrange(_i % 3);
    if (_i >= 3) {
        sigset_t blocked;
        (void)sigemptyset(&blocked);
        for (size_t i = 0; i < SYNCHRONOUS_COUNT; i++)
            (void)sigaddset(&blocked, synchronous[i]);
        ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
    }
    (void)live(&config);
    config.has_fuel = true;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, live, &config), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(pays_fuel)
{
    struct guest guest;
    guest_open(&guest, &(struct weir_engine_config){.bounds = WEIR_BOUNDS_NO_SIGNALS,
                                                    .has_fuel = true});
    ck_assert_int_eq(weir_store_set_fuel(guest.store, 1000, NULL), WEIR_OK);
    CALL_TRAPS(guest.instance, "spin", WEIR_TRAP_FUEL, 0);
    CALL_TRAPS(guest.instance, "one", WEIR_TRAP_FUEL, 0);
    guest_close(&guest);
}
END_TEST

/* --- a small address space ------------------------------------------------------------------ */

#define SMALL_SPACE (UINT64_C(256) << 20)

START_TEST(fits_small_address_space)
{
    const struct rlimit space = {SMALL_SPACE, SMALL_SPACE};
    struct weir_engine_config config = {.bounds = WEIR_BOUNDS_NO_SIGNALS};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &space), 0);
    (void)live(&config);
    /* The other form says what it lacks. */
    struct weir_error error = {0};
    struct weir_memory *memory = NULL;
    struct weir_engine *engine = fixture_engine(NULL);
    struct weir_store *store = fixture_store(engine);
    const struct weir_limits limits = {.min = 1, .max = 1, .has_max = true};
    ck_assert_int_eq(weir_memory_new(store, &limits, &memory, &error), WEIR_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(error.message, "of address space"));
    ck_assert_ptr_nonnull(strstr(error.message, "explicit form"));
    weir_error_done(&error);
    weir_store_close(store, NULL);
    weir_engine_unref(engine);
}
END_TEST

/* Nothing bounds this memory but the store, by either of its limits. */
START_TEST(says_how_to_fit)
{
    const struct rlimit space = {SMALL_SPACE, SMALL_SPACE};
    const struct weir_limits limits = {.min = 1};
    struct weir_error error = {0};
    struct weir_memory *memory = NULL;
    struct weir_engine *engine =
        fixture_engine(&(struct weir_engine_config){.bounds = WEIR_BOUNDS_NO_SIGNALS});
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &space), 0);
    static const struct weir_store_config configs[] = {
        {.name = "free"}, {.linear_bytes_max = 16 << 20}, {.memory_bytes_max = 16 << 20}};
    for (int i = 0; i < 3; i++) {
        struct weir_store *store = NULL;
        ck_assert_int_eq(weir_store_new(engine, &configs[i], &store, NULL), WEIR_OK);
        enum weir_status status = weir_memory_new(store, &limits, &memory, &error);
        ck_assert_int_eq(status, i > 0 ? WEIR_OK : WEIR_NO_MEMORY);
        ck_assert(i > 0 || strstr(error.message, "linear_bytes_max") != NULL);
        weir_error_done(&error);
        weir_store_close(store, NULL);
    }
    weir_engine_unref(engine);
}
END_TEST

/* --- both kinds in one process -------------------------------------------------------------- */

static bool is_own_handler(void)
{
    struct sigaction now;
    ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
    return (now.sa_flags & SA_SIGINFO) == 0;
}

/* The order of coming, and who is used first on a thread. */
START_TEST(live_side_by_side)
{
    static const enum weir_bounds orders[][2] = {
        {WEIR_BOUNDS_NO_SIGNALS, WEIR_BOUNDS_GUARD},
        {WEIR_BOUNDS_GUARD, WEIR_BOUNDS_NO_SIGNALS},
        {WEIR_BOUNDS_NO_SIGNALS, WEIR_BOUNDS_EXPLICIT},
    };
    struct guest guests[2];
    arrange(0);
    for (int i = 0; i < 2; i++) {
        guest_open(&guests[i], &(struct weir_engine_config){.bounds = orders[_i][i]});
        run_all(&guests[i]);
        if (i == 0)
            ck_assert_int_eq(is_own_handler(), orders[_i][0] == WEIR_BOUNDS_NO_SIGNALS);
    }
    ck_assert(!is_own_handler());
    for (int round = 0; round < 6; round++)
        run_all(&guests[round % 2]);
    guest_close(&guests[_i % 2]);
    run_all(&guests[1 - _i % 2]);
    guest_close(&guests[1 - _i % 2]);
}
END_TEST

START_TEST(keep_to_themselves)
{
    struct weir_engine_config configs[] = {{.bounds = WEIR_BOUNDS_GUARD},
                                           {.bounds = WEIR_BOUNDS_EXPLICIT},
                                           {.bounds = WEIR_BOUNDS_NO_SIGNALS}};
    struct guest guests[3];
    for (int i = 0; i < 3; i++)
        guest_open(&guests[i], &configs[i]);
    for (int i = 0; i < 3; i++) {
        int artifact = fixture_artifact(&configs[i], no_signals_wasm, sizeof no_signals_wasm);
        for (int k = 0; k < 3; k++) {
            struct weir_error error = {0};
            struct weir_instance *none = NULL;
            ck_assert_int_eq(weir_instance_new(guests[k].store, guests[k].linker, guests[i].module,
                                               &none, NULL, &error),
                             i == k ? WEIR_OK : WEIR_INVALID_ARGUMENT);
            ck_assert(i == k || strstr(error.message, "another engine") != NULL);
            weir_error_done(&error);
            /* Only the guard form, which promises more, takes explicit code. */
            bool is_taken = i == k || (i == 1 && k == 0);
            struct weir_module *module = NULL;
            ck_assert_int_eq(weir_module_load(guests[k].engine, artifact, NULL, &module, &error),
                             is_taken ? WEIR_OK : WEIR_FOREIGN);
            ck_assert(is_taken || strstr(error.message, weir_bounds_name(configs[i].bounds)));
            weir_error_done(&error);
            weir_module_unref(module);
        }
        (void)close(artifact);
    }
    for (int i = 0; i < 3; i++)
        guest_close(&guests[i]);
}
END_TEST

static void remove_folder(const char *folder)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* In one directory each form has artifacts of its own. */
START_TEST(miss_each_other)
{
    char folder[] = "/tmp/weir-forms-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int round = 0; round < 2; round++) {
        for (int form = WEIR_BOUNDS_GUARD; form <= WEIR_BOUNDS_NO_SIGNALS; form++) {
            struct guest guest;
            struct weir_module_figures figures;
            guest_open(&guest, &(struct weir_engine_config){.bounds = (enum weir_bounds)form,
                                                            .artifact_dir = folder});
            weir_module_figures(guest.module, &figures);
            ck_assert_int_eq(figures.was_cached, round == 1);
            run_all(&guest);
            guest_close(&guest);
        }
    }
    remove_folder(folder);
}
END_TEST

/* --- what is told of a trap ----------------------------------------------------------------- */

/* The same frames, down to the offset of the instruction. */
START_TEST(tell_the_same_place)
{
    static struct weir_trap told[3];
    for (int form = WEIR_BOUNDS_GUARD; form <= WEIR_BOUNDS_NO_SIGNALS; form++) {
        struct guest guest;
        guest_open(&guest, &(struct weir_engine_config){.bounds = (enum weir_bounds)form});
        int64_t argument = traps[_i].argument;
        ck_assert_int_eq(
            fixture_call(guest.instance, traps[_i].name, &argument, 1, NULL, &told[form]),
            WEIR_TRAP);
        ck_assert_uint_ge(told[form].frame_count, 1);
        ck_assert_uint_eq(told[form].frame_count, told[0].frame_count);
        for (size_t i = 0; i < told[form].frame_count; i++) {
            const struct weir_trap_frame *have = &told[form].frames[i];
            const struct weir_trap_frame *wanted = &told[0].frames[i];
            ck_assert_uint_eq(have->func_index, wanted->func_index);
            ck_assert_uint_eq(have->func_offset, wanted->func_offset);
            ck_assert_uint_eq(have->module_offset, wanted->module_offset);
        }
        guest_close(&guest);
    }
    for (int form = WEIR_BOUNDS_GUARD; form <= WEIR_BOUNDS_NO_SIGNALS; form++)
        weir_trap_done(&told[form]);
}
END_TEST

START_TEST(names_forms)
{
    enum weir_bounds form = WEIR_BOUNDS_GUARD;
    struct weir_error error = {0};
    for (int i = WEIR_BOUNDS_GUARD; i <= WEIR_BOUNDS_NO_SIGNALS; i++) {
        ck_assert_int_eq(weir_bounds_parse(weir_bounds_name((enum weir_bounds)i), &form, NULL),
                         WEIR_OK);
        ck_assert_int_eq(form, i);
    }
    ck_assert_int_eq(weir_bounds_parse("signals", &form, &error), WEIR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "no-signals"));
    weir_error_done(&error);
    struct weir_engine *engine = NULL;
    const struct weir_engine_config wrong = {.bounds = (enum weir_bounds)3};
    ck_assert_int_eq(weir_engine_new(&wrong, &engine, &error), WEIR_INVALID_ARGUMENT);
    weir_error_done(&error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("no signals");
    TCase *alone = tcase_create("alone");
    tcase_add_loop_test(alone, leaves_signals_alone, 0, 6);
    tcase_add_test(alone, pays_fuel);
    tcase_add_test(alone, names_forms);
    if (!WEIR_ASAN && !WEIR_TSAN) { /* their shadow memory is terabytes of address space */
        tcase_add_test(alone, fits_small_address_space);
        tcase_add_test(alone, says_how_to_fit);
    }
    suite_add_tcase(suite, alone);
    TCase *both = tcase_create("both");
    tcase_add_loop_test(both, live_side_by_side, 0, 3);
    tcase_add_test(both, keep_to_themselves);
    tcase_add_test(both, miss_each_other);
    tcase_add_loop_test(both, tell_the_same_place, 0, TRAP_COUNT);
    suite_add_tcase(suite, both);
    return run_suite(suite);
}
