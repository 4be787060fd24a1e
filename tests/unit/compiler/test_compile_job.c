/* Compile jobs end to end: another process, its limits and its sandbox, its death, the words for
 * all of it. The program is weir-compile over the stub generator. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/poison.h"
#include "job_helpers.h"
#include "tests/run_suite.h"

static enum weir_status run_trial(enum weir_compile_trial trial,
                                  const struct weir_compile_limits *limits,
                                  struct weir_error *error)
{
    struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
    struct weir_compile_result result = {.fd = -1};
    if (limits != NULL)
        job.limits = *limits;
    atomic_store(&weir__compile_trial, (uint32_t)trial);
    enum weir_status status = weir_compile_job_run(NULL, &job, &result, error);
    atomic_store(&weir__compile_trial, (uint32_t)WEIR_TRIAL_NONE);
    if (status == WEIR_OK)
        (void)close(result.fd);
    return status;
}

START_TEST(test_same_as_in_process)
{
    const struct weir_compile_request request = {
        .module = own_wasm,
        .module_bytes = sizeof own_wasm,
        .options = {.features = WEIR_FEATURES_DEFAULT, .generator = "fast"},
    };
    uint8_t *expected = NULL;
    size_t size = 0;
    ck_assert_int_eq(weir_compile(&request, &expected, &size, NULL), WEIR_OK);
    struct weir_compile_result result = run_job(NULL);
    ck_assert(!result.was_cached && !result.is_filed);
    ck_assert(result.child_up_ms > 0 && result.child_up_ms <= result.compile_ms);
    ck_assert_uint_gt(result.peak_bytes, size);
    struct stat stat;
    ck_assert_int_eq(fstat(result.fd, &stat), 0);
    ck_assert_int_eq(stat.st_size, (off_t)size);
    uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, result.fd, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);
    ck_assert_mem_eq(bytes, expected, size);
    /* Nobody can change it, whatever descriptor they get. */
    ck_assert_int_lt(pwrite(result.fd, "x", 1, 0), 0);
    ck_assert_int_eq(fcntl(result.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    const int frozen = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    ck_assert_int_eq(fcntl(result.fd, F_GET_SEALS) & frozen, frozen);
    (void)munmap(bytes, size);
    (void)close(result.fd);
    free(expected);
}
END_TEST

/* The parent's error is the compiler's, to the byte. */
START_TEST(test_errors_arrive_unchanged)
{
    unsigned char broken[sizeof own_wasm];
    int refused = 0;
    for (size_t cut = 0; cut < sizeof own_wasm; cut += 7) {
        memcpy(broken, own_wasm, sizeof own_wasm);
        broken[cut] ^= 0xff;
        const struct weir_compile_request request = {
            .module = broken,
            .module_bytes = sizeof broken,
            .options = {.features = WEIR_FEATURES_DEFAULT, .generator = "fast"},
        };
        uint8_t *bytes = NULL;
        size_t size = 0;
        struct weir_error here = {0}, there = {0};
        enum weir_status expected = weir_compile(&request, &bytes, &size, &here);
        struct weir_compile_job job = job_for(broken, sizeof broken);
        struct weir_compile_result result;
        enum weir_status status = weir_compile_job_run(NULL, &job, &result, &there);
        ck_assert_int_eq(status, expected);
        if (expected == WEIR_OK) {
            free(bytes);
            (void)close(result.fd);
            continue;
        }
        refused++;
        ck_assert_uint_eq(there.offset, here.offset);
        ck_assert_str_eq(there.message, here.message);
    }
    ck_assert_int_gt(refused, 20);
}
END_TEST

START_TEST(test_empty_module_bytes)
{
    struct weir_compile_job job = job_for((const unsigned char *)"", 0);
    struct weir_compile_result result;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_MALFORMED);
}
END_TEST

/* --- the sandbox holds --- */

static const struct {
    enum weir_compile_trial trial;
    const char *words;
} attempts[] = {
    {WEIR_TRIAL_OPEN, "sandbox forbids"},        {WEIR_TRIAL_SOCKET, "sandbox forbids"},
    {WEIR_TRIAL_EXEC, "sandbox forbids"},        {WEIR_TRIAL_FORK, "sandbox forbids"},
    {WEIR_TRIAL_KILL_PARENT, "sandbox forbids"}, {WEIR_TRIAL_MAP_EXECUTABLE, "sandbox forbids"},
    {WEIR_TRIAL_CRASH, "crashed (SIG"},          {WEIR_TRIAL_SILENCE, "without a result"},
};

START_TEST(test_attempts)
{
    struct weir_error error = {0};
    ck_assert_int_eq(run_trial(attempts[_i].trial, NULL, &error), WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, attempts[_i].words) != NULL, "%s", error.message);
    /* The spawner does not mind. */
    pid_t pid = weir__compile_pid();
    struct weir_compile_result result = run_job(NULL);
    (void)close(result.fd);
    ck_assert_int_eq(weir__compile_pid(), pid);
}
END_TEST

START_TEST(test_trials_are_for_tests)
{
    ck_assert_int_eq(unsetenv("WEIR_COMPILE_TRIALS"), 0);
    struct weir_error error = {0};
    ck_assert_int_eq(run_trial(WEIR_TRIAL_SPIN, NULL, &error), WEIR_INVALID_ARGUMENT);
}
END_TEST

/* --- limits are hit on purpose --- */

START_TEST(test_cpu_limit)
{
    struct weir_error error = {0};
    const struct weir_compile_limits limits = {.cpu_ms = 60};
    ck_assert_int_eq(run_trial(WEIR_TRIAL_SPIN, &limits, &error), WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, "60 ms of CPU time") != NULL, "%s", error.message);
}
END_TEST

START_TEST(test_memory_limit)
{
    if (WEIR_ASAN || WEIR_TSAN) /* which needs an address space without limit */
        return;
    struct weir_error error = {0};
    const struct weir_compile_limits limits = {.memory_bytes = 24 << 20};
    ck_assert_int_eq(run_trial(WEIR_TRIAL_MEMORY, &limits, &error), WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, "limit of 24.0 MiB") != NULL, "%s", error.message);
}
END_TEST

START_TEST(test_output_limit)
{
    struct weir_error error = {0};
    const struct weir_compile_limits limits = {.output_bytes = 1 << 20};
    ck_assert_int_eq(run_trial(WEIR_TRIAL_OUTPUT, &limits, &error), WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, "limit of 1.0 MiB") != NULL, "%s", error.message);
}
END_TEST

/* A real job over its limits: 8 bytes of output and one byte of tables. */
START_TEST(test_small_limits)
{
    struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
    struct weir_compile_result result;
    struct weir_error error = {0};
    job.limits.output_bytes = 8;
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, "limit of 8 B") != NULL, "%s", error.message);
    error = (struct weir_error){0};
    job.limits = (struct weir_compile_limits){.memory_bytes = 1};
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, "limit of 1 B") != NULL, "%s", error.message);
}
END_TEST

START_TEST(test_account)
{
    struct weir_account *account = NULL;
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_SERVICE, "compiler",
                                      32 << 20, &account, NULL),
                     WEIR_OK);
    struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
    struct weir_compile_result result = {.fd = -1};
    struct weir_error error = {0};
    job.account = account;
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_LIMIT);
    job.limits.memory_bytes = 31 << 20;
    weir_error_done(&error);
    enum weir_status status = weir_compile_job_run(NULL, &job, &result, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    (void)close(result.fd);
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_DESCRIPTOR], 0);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_MAPPING], 0);
    ck_assert_uint_eq(reading.kind_peaks[WEIR_KIND_COMPILER], (31 << 20) + sizeof own_wasm);
    weir_account_close(account);
}
END_TEST

/* --- ends --- */

static void nap_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Waits until the spawner has `count` children; *ret_child is the last of them. */
static bool wait_children(pid_t pid, int count, pid_t *ret_child)
{
    char path[64], text[256];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    for (int i = 0; i < 10000; i++) {
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            size_t size = fread(text, 1, sizeof text - 1, file);
            (void)fclose(file);
            text[size] = '\0';
            int found = 0;
            char *rest = text;
            for (long child; (child = strtol(rest, &rest, 10)) > 0; found++)
                *ret_child = (pid_t)child;
            if (found == count)
                return true;
        }
        nap_ms(10);
    }
    return false;
}

static void *spin_job(void *context)
{
    struct weir_error *error = context;
    const struct weir_compile_limits limits = {.cpu_ms = 400};
    return (void *)(intptr_t)run_trial(WEIR_TRIAL_SPIN, &limits, error);
}

START_TEST(test_spawner_killed_between_jobs)
{
    struct weir_compile_result result = run_job(NULL);
    (void)close(result.fd);
    pid_t pid = weir__compile_pid();
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    result = run_job(NULL);
    (void)close(result.fd);
    ck_assert_int_ne(weir__compile_pid(), pid);
}
END_TEST

/* Tried once more with another spawner, where it spins until its time is up. */
START_TEST(test_spawner_killed_during_a_job)
{
    struct weir_compile_result result = run_job(NULL);
    (void)close(result.fd);
    pid_t pid = weir__compile_pid();
    struct weir_error error = {0};
    pthread_t thread;
    pid_t child = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, spin_job, &error), 0);
    ck_assert(wait_children(pid, 1, &child));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    void *status;
    ck_assert_int_eq(pthread_join(thread, &status), 0);
    ck_assert_int_eq((intptr_t)status, WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, "400 ms of CPU time") != NULL, "%s", error.message);
    ck_assert_int_ne(weir__compile_pid(), pid);
}
END_TEST

/* As the kernel does when memory runs out. */
START_TEST(test_child_killed)
{
    struct weir_compile_result result = run_job(NULL);
    (void)close(result.fd);
    pid_t pid = weir__compile_pid(), child = 0;
    struct weir_error error = {0};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, spin_job, &error), 0);
    ck_assert(wait_children(pid, 1, &child));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    void *status;
    ck_assert_int_eq(pthread_join(thread, &status), 0);
    ck_assert_int_eq((intptr_t)status, WEIR_COMPILE);
    ck_assert_msg(strstr(error.message, "was killed at ") != NULL, "%s", error.message);
    ck_assert_int_eq(weir__compile_pid(), pid);
}
END_TEST

START_TEST(test_cancel)
{
    int pipes[2];
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    ck_assert_int_eq(write(pipes[1], "x", 1), 1);
    struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
    struct weir_compile_result result;
    struct weir_error error = {0};
    job.cancel_fd = pipes[0];
    atomic_store(&weir__compile_trial, (uint32_t)WEIR_TRIAL_SPIN);
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_CANCELLED);
    atomic_store(&weir__compile_trial, (uint32_t)WEIR_TRIAL_NONE);
    pid_t child = 0;
    ck_assert(wait_children(weir__compile_pid(), 0, &child));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}
END_TEST

START_TEST(test_stop)
{
    struct weir_compile_result result = run_job(NULL);
    (void)close(result.fd);
    pid_t pid = weir__compile_pid();
    weir_compile_stop();
    ck_assert_int_eq(weir__compile_pid(), 0);
    ck_assert_int_ne(kill(pid, 0), 0);
    weir_compile_stop();
    result = run_job(NULL);
    (void)close(result.fd);
}
END_TEST

/* A fork shares the socket, but neither keeps the spawner alive nor takes it away. */
START_TEST(test_fork)
{
    struct weir_compile_result result = run_job(NULL);
    (void)close(result.fd);
    pid_t pid = weir__compile_pid();
    pid_t copy = fork();
    ck_assert_int_ge(copy, 0);
    if (copy == 0) {
        struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
        bool is_good = weir__compile_pid() == 0 &&
                       weir_compile_job_run(NULL, &job, &result, NULL) == WEIR_OK &&
                       weir__compile_pid() > 0 && weir__compile_pid() != pid;
        _exit(is_good ? 0 : 1);
    }
    int how = -1;
    ck_assert_int_eq(waitpid(copy, &how, 0), copy);
    ck_assert_int_eq(how, 0);
    result = run_job(NULL);
    (void)close(result.fd);
    ck_assert_int_eq(weir__compile_pid(), pid);
    copy = fork();
    ck_assert_int_ge(copy, 0);
    if (copy == 0) {
        (void)pause();
        _exit(0);
    }
    weir_compile_stop();
    ck_assert_int_ne(kill(pid, 0), 0);
    ck_assert_int_eq(kill(copy, SIGKILL), 0);
    ck_assert_int_eq(waitpid(copy, &how, 0), copy);
}
END_TEST

START_TEST(test_missing_program)
{
    struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
    struct weir_compile_result result;
    struct weir_error error = {0};
    weir_compile_set_program("/nowhere/weir-compile");
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_COMPILE);
    ck_assert_ptr_nonnull(strstr(error.message, "/nowhere/weir-compile"));
    weir_compile_set_program("/bin/true");
    error = (struct weir_error){0};
    ck_assert_int_eq(weir_compile_job_run(NULL, &job, &result, &error), WEIR_COMPILE);
    weir_compile_set_program(NULL);
    result = run_job(NULL);
    (void)close(result.fd);
}
END_TEST

#define THREADS 8
static void *many_jobs(void *context)
{
    struct weir_artifact_dir *dir = context;
    for (int i = 0; i < 5; i++) {
        struct weir_compile_result result = run_job(dir);
        (void)close(result.fd);
    }
    return NULL;
}

START_TEST(test_many_threads)
{
    struct folder folder = new_folder();
    struct weir_artifact_dir *dir = _i == 0 ? NULL : open_dir(folder.path);
    pthread_t threads[THREADS];
    int before = count_descriptors();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, many_jobs, dir), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    weir_compile_stop();
    ck_assert_int_eq(count_descriptors(), before);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

static TCase *death_case(void)
{
    TCase *ends = tcase_create("ends");
    tcase_add_test(ends, test_spawner_killed_between_jobs);
    tcase_add_test(ends, test_spawner_killed_during_a_job);
    tcase_add_test(ends, test_child_killed);
    tcase_add_test(ends, test_cancel);
    tcase_add_test(ends, test_stop);
    tcase_add_test(ends, test_fork);
    tcase_add_test(ends, test_missing_program);
    tcase_add_loop_test(ends, test_many_threads, 0, 2);
    return ends;
}

int main(void)
{
    if (setenv("WEIR_COMPILE", WEIR_STUB_PROGRAM, 1) != 0 ||
        setenv("WEIR_COMPILE_TRIALS", "1", 1) != 0)
        return 1;
    Suite *suite = suite_create("compile_job");
    TCase *results = tcase_create("results");
    tcase_add_test(results, test_same_as_in_process);
    tcase_add_test(results, test_errors_arrive_unchanged);
    tcase_add_test(results, test_empty_module_bytes);
    suite_add_tcase(suite, results);
    TCase *sandbox = tcase_create("sandbox");
    tcase_add_loop_test(sandbox, test_attempts, 0, (int)(sizeof attempts / sizeof attempts[0]));
    tcase_add_test(sandbox, test_trials_are_for_tests);
    suite_add_tcase(suite, sandbox);
    TCase *limits = tcase_create("limits");
    tcase_add_test(limits, test_cpu_limit);
    tcase_add_test(limits, test_memory_limit);
    tcase_add_test(limits, test_output_limit);
    tcase_add_test(limits, test_small_limits);
    tcase_add_test(limits, test_account);
    suite_add_tcase(suite, limits);
    suite_add_tcase(suite, death_case());
    return run_suite(suite);
}
