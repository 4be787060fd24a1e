/* Every error: by name and reason (wasi_errno_cases.def), and by force (wasi_sweep_cases.def), at
 * every system call, at every access to guest memory and at every charge. */
#include "tests/unit/wasi/wasi_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct world world;
static struct world *const w = &world;
static uint32_t fd;

#define JOIN_2(a, b) a##b
#define JOIN(a, b) JOIN_2(a, b)

#define CASE(function, wasi_errno, how, expression)                                                \
    static int JOIN(case_, __LINE__)(void)                                                         \
    {                                                                                              \
        return expression;                                                                         \
    }
#include "tests/unit/wasi/wasi_errno_cases.def"
#undef CASE

static const struct {
    const char *function;
    int expected;
    const char *how;
    int (*run)(void);
} cases[] = {
#define CASE(function, wasi_errno, how, expression)                                                \
    {#function, WASI_E_##wasi_errno, how, JOIN(case_, __LINE__)},
#include "tests/unit/wasi/wasi_errno_cases.def"
#undef CASE
};

#define SWEEP(function, before, expression)                                                        \
    static uint32_t JOIN(before_, __LINE__)(void)                                                  \
    {                                                                                              \
        return before;                                                                             \
    }                                                                                              \
    static int JOIN(sweep_, __LINE__)(void)                                                        \
    {                                                                                              \
        return expression;                                                                         \
    }
#include "tests/unit/wasi/wasi_sweep_cases.def"
#undef SWEEP

static const struct {
    const char *function;
    uint32_t (*before)(void);
    int (*run)(void);
} sweeps[] = {
#define SWEEP(function, before, expression)                                                        \
    {#function, JOIN(before_, __LINE__), JOIN(sweep_, __LINE__)},
#include "tests/unit/wasi/wasi_sweep_cases.def"
#undef SWEEP
};
#define CASE_COUNT ((int)(sizeof cases / sizeof cases[0]))
#define SWEEP_COUNT ((int)(sizeof sweeps / sizeof sweeps[0]))

static const struct {
    int value;
    int host;
} errnos[] = {
#define WASI_ERRNO(value, name, host, text) {value, host},
#include "worlds/wasi/wasi_errno.def"
#undef WASI_ERRNO
};

static void open_world(void)
{
    world_open(w);
}

static void close_world(void)
{
    (void)weir_ledger_fail_nth(0);
    weir_io_faulty_reset(&w->faulty);
    world_close(w);
}

/* Several to a process, because a process costs more than a world. */
#define BATCH 20

START_TEST(case_by_case)
{
    for (int i = _i * BATCH; i < (_i + 1) * BATCH && i < CASE_COUNT; i++) {
        if (i > _i * BATCH) {
            close_world();
            open_world();
        }
        int answer = cases[i].run();
        ck_assert_msg(answer == cases[i].expected, "%s: %s: got %s, expected %s", cases[i].function,
                      cases[i].how, weir__wasi_errno_name(answer),
                      weir__wasi_errno_name(cases[i].expected));
    }
}
END_TEST

static bool is_listed(const char *function, bool in_cases)
{
    for (int i = 0; i < (in_cases ? CASE_COUNT : SWEEP_COUNT); i++) {
        if (strcmp(in_cases ? cases[i].function : sweeps[i].function, function) == 0)
            return true;
    }
    return false;
}

/* A function without cases is one that nobody thought of. */
START_TEST(every_function_is_listed)
{
    static const char *const functions[] = {
#define WASI_FUNCTION(name, parameters) #name,
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION
    };
    size_t count = sizeof functions / sizeof functions[0];
    ck_assert_uint_eq(count, 46);
    for (size_t i = 0; i < count; i++) {
        bool ends = strncmp(functions[i], "proc_", 5) == 0;
        bool never_fails =
            strcmp(functions[i], "proc_exit") == 0 || strcmp(functions[i], "sched_yield") == 0;
        bool closes = strcmp(functions[i], "fd_close") == 0; /* in path_open's sweep */
        ck_assert_msg(never_fails || is_listed(functions[i], true), "%s", functions[i]);
        ck_assert_msg(ends || closes || is_listed(functions[i], false), "%s", functions[i]);
    }
}
END_TEST

/* What a failed call must leave as it was. */
struct traces {
    uint64_t kinds[WEIR_KIND_COUNT];
    int host_fds;
};

static struct traces look(void)
{
    struct traces traces;
    struct weir_account_reading reading;
    weir_account_read(w->store.account, &reading);
    memcpy(traces.kinds, reading.kinds, sizeof traces.kinds);
    traces.host_fds = count_open_fds();
    return traces;
}

static void check_traces(const struct traces *before, const char *function)
{
    struct traces now = look();
    ck_assert_msg(now.host_fds == before->host_fds, "%s: %d descriptors, before %d", function,
                  now.host_fds, before->host_fds);
    for (int i = 0; i < WEIR_KIND_COUNT; i++)
        ck_assert_msg(now.kinds[i] == before->kinds[i], "%s: %s", function,
                      weir_kind_name((enum weir_kind)i));
}

/* Once well, so that the table of descriptors has its size. */
static struct traces begin_sweep(int index)
{
    fd = sweeps[index].before();
    ck_ok(sweeps[index].run());
    fd = strcmp(sweeps[index].function, "fd_fdstat_set_rights") == 0 ? OPENED(w, "f") : fd;
    if (strcmp(sweeps[index].function, "fd_fdstat_set_flags") == 0)
        w->wasi->descriptors[fd].flags = 0;
    return look();
}

static int expected_answer(enum weir_io_op op, int number, int value)
{
    if (op == WEIR_IO_OPENAT2 && number == EXDEV)
        return WASI_E_PERM;
    if (op == WEIR_IO_READLINKAT && number == ENOENT)
        return WASI_E_INVAL;
    return value;
}

static void fail_op(int index, enum weir_io_op op, uint64_t nth, const struct traces *before)
{
    for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
        int number = errnos[i].host;
        if (number <= 0 || number == EINTR || number == EAGAIN)
            continue; /* those are waited for or tried again; see the cases */
        const struct weir_io_rule rule = {.op = op, .first = nth, .count = 1, .error = number};
        weir_io_faulty_reset(&w->faulty);
        ck_assert(weir_io_faulty_add(&w->faulty, &rule));
        int answer = sweeps[index].run();
        int expected = expected_answer(op, number, errnos[i].value);
        ck_assert_msg(answer == expected, "%s: %s failed with %s: got %s, expected %s",
                      sweeps[index].function, weir_io_op_name(op), strerror(number),
                      weir__wasi_errno_name(answer), weir__wasi_errno_name(expected));
        check_traces(before, sweeps[index].function);
    }
    /* An error of the host that WASI has no name for. */
    fail_io(w, op, ESHUTDOWN, 1);
    if (nth == 1)
        ck_errno(sweeps[index].run(), IO);
    weir_io_faulty_reset(&w->faulty);
}

START_TEST(every_system_call_fails)
{
    const struct traces before = begin_sweep(_i);
    uint64_t calls[WEIR_IO_OP_COUNT];
    weir_io_faulty_reset(&w->faulty);
    if (strcmp(sweeps[_i].function, "fd_fdstat_set_flags") == 0)
        w->wasi->descriptors[fd].flags = 0;
    ck_ok(sweeps[_i].run());
    memcpy(calls, w->faulty.calls, sizeof calls);
    for (int op = 0; op < WEIR_IO_OP_COUNT; op++) {
        if (op == WEIR_IO_CLOSE)
            continue; /* nobody can do anything about it */
        for (uint64_t nth = 1; nth <= calls[op]; nth++) {
            if (strcmp(sweeps[_i].function, "fd_fdstat_set_flags") == 0)
                w->wasi->descriptors[fd].flags = 0;
            fail_op(_i, (enum weir_io_op)op, nth, &before);
        }
    }
    ck_ok(sweeps[_i].run());
}
END_TEST

START_TEST(every_page_is_lost)
{
    const struct traces before = begin_sweep(_i);
    for (int k = 0;; k++) {
        ck_assert_int_lt(k, 1000);
        w->memory.reads_left = k;
        int answer = sweeps[_i].run();
        bool was_lost = w->memory.reads_left < 0;
        w->memory.reads_left = -1;
        check_traces(&before, sweeps[_i].function);
        if (!was_lost) {
            ck_ok(answer);
            return;
        }
        ck_errno(answer, IO);
    }
}
END_TEST

START_TEST(every_charge_is_refused)
{
    const struct traces before = begin_sweep(_i);
    for (uint64_t k = 1;; k++) {
        ck_assert_uint_lt(k, 100);
        (void)weir_ledger_fail_nth(k);
        int answer = sweeps[_i].run();
        uint64_t counted = weir_ledger_fail_nth(0);
        check_traces(&before, sweeps[_i].function);
        if (counted < k) {
            ck_ok(answer);
            return;
        }
        ck_assert(answer == WASI_E_NOMEM || answer == WASI_E_NFILE);
    }
}
END_TEST

/* Making a context: refused at every charge and at every system call, with nothing left behind. */
START_TEST(a_context_is_made_whole_or_not)
{
    weir_wasi_free(w->wasi);
    w->wasi = NULL;
    const struct traces before = look();
    int refused = 0;
    for (uint64_t k = 1;; k++) {
        struct weir_error error = {0};
        (void)weir_ledger_fail_nth(k);
        enum weir_status status =
            world_wasi_new(w, &w->wasi, k % 2 == 0 ? &error : NULL);
        uint64_t counted = weir_ledger_fail_nth(0);
        if (counted < k) {
            ck_assert_int_eq(status, WEIR_OK);
            break;
        }
        refused++;
        ck_assert(status == WEIR_LIMIT || status == WEIR_NO_MEMORY);
        ck_assert(k % 2 != 0 || error.message[0] != '\0');
        weir_error_done(&error);
        check_traces(&before, "new");
    }
    /* The record with all its strings and numbers, and what is a descriptor of the host. */
    ck_assert_int_eq(refused, 1 + 5);
    weir_wasi_free(w->wasi);
    w->wasi = NULL;
    static const enum weir_io_op ops[] = {WEIR_IO_OPENAT2, WEIR_IO_FSTAT, WEIR_IO_FCNTL};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct weir_error error = {0};
        fail_io(w, ops[i], EIO, 1);
        ck_assert_int_eq(world_wasi_new(w, &w->wasi, &error), WEIR_IO);
        ck_assert_str_ne(error.message, "");
        weir_error_done(&error);
        check_traces(&before, "new");
    }
}
END_TEST

START_TEST(configurations_that_cannot_be)
{
    struct weir_error error = {0};
    struct weir_wasi *none = NULL;
    w->config.descriptors_max = 7;
    ck_assert_int_eq(world_wasi_new(w, &none, &error), WEIR_LIMIT);
    ck_assert_ptr_null(none);
    weir_error_done(&error);
    w->config.descriptors_max = 0;
    w->preopens[0].host_path = "/nowhere/at/all";
    ck_assert_int_eq(world_wasi_new(w, &none, &error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "/nowhere/at/all"));
    weir_error_done(&error);
    w->preopens[0].host_path = "/etc/passwd";
    ck_assert_int_eq(world_wasi_new(w, &none, &error), WEIR_IO);
    weir_error_done(&error);
    w->config.preopen_count = 0;
    w->config.stdio_fds[2] = 9999;
    ck_assert_int_eq(world_wasi_new(w, &none, &error), WEIR_IO);
    weir_error_done(&error);
    static char large[(16u << 20) + 1];
    memset(large, 'x', sizeof large - 1);
    const char *const args[] = {large};
    w->config.args = args;
    w->config.arg_count = 1;
    ck_assert_int_eq(world_wasi_new(w, &none, &error), WEIR_TOO_LARGE);
    weir_error_done(&error);
    weir_wasi_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi errno");
    TCase *tcase = tcase_create("errno");
    tcase_add_checked_fixture(tcase, open_world, close_world);
    tcase_add_loop_test(tcase, case_by_case, 0, (CASE_COUNT + BATCH - 1) / BATCH);
    tcase_add_test(tcase, every_function_is_listed);
    tcase_add_loop_test(tcase, every_system_call_fails, 0, SWEEP_COUNT);
    tcase_add_loop_test(tcase, every_page_is_lost, 0, SWEEP_COUNT);
    tcase_add_loop_test(tcase, every_charge_is_refused, 0, SWEEP_COUNT);
    tcase_add_test(tcase, a_context_is_made_whole_or_not);
    tcase_add_test(tcase, configurations_that_cannot_be);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
