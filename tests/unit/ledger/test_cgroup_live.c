/* Equation (b) in a real memory cgroup (v1 or v2; needs root): a process in it takes anonymous
 * memory, page cache, shared memory and kernel memory one after the other, and each moves its own
 * term. What no term explains shows as unexplained.
 *
 * The process that takes is this program again, started as "taker" inside the cgroup, so that all
 * its memory is charged there; it obeys commands on stdin and ends with it.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ledger/cgroup_equation.h"
#include "tests/skip.h"

#define MIB ((int64_t)1 << 20)
#define TAKEN (24 * MIB)
#define WAIT_MS 60000

/* --- the taker ----------------------------------------------------------------------------- */

static void fill(int fd)
{
    static char block[1 << 20];
    memset(block, 0x5a, sizeof block);
    for (int64_t i = 0; i < TAKEN / MIB; i++)
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block)
            exit(3);
}

static void take(const char *what)
{
    if (strcmp(what, "anonymous\n") == 0) {
        memset(
            mmap(NULL, (size_t)TAKEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            1, (size_t)TAKEN);
    } else if (strcmp(what, "page_cache\n") == 0) {
        char path[] = "/var/tmp/weir-test-cache-XXXXXX";
        int fd = mkstemp(path);
        (void)unlink(path);
        fill(fd);
        if (fsync(fd) != 0) /* clean pages: written back, and still cached */
            exit(4);
    } else if (strcmp(what, "shared_memory\n") == 0) {
        fill(memfd_create("weir-test", MFD_CLOEXEC));
    } else if (strcmp(what, "kernel\n") == 0) {
        static char block[65536];
        for (int64_t i = 0; i < TAKEN / (int64_t)sizeof block; i++) {
            int ends[2];
            if (pipe(ends) != 0 || write(ends[1], block, sizeof block) != (ssize_t)sizeof block)
                exit(5);
        }
    } else if (strcmp(what, "fork\n") == 0) {
        if (fork() == 0) /* all that was taken is in both now */
            for (;;)
                (void)pause();
    } else if (strcmp(what, "leave\n") == 0) {
        FILE *procs = fopen(getenv("WEIR_TEST_OUTSIDE"), "we");
        if (procs == NULL || fprintf(procs, "%d\n", getpid()) < 0 || fclose(procs) != 0)
            exit(6);
    }
}

static int run_taker(void)
{
    char line[64];
    (void)puts("ready");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        take(line);
        (void)puts("taken");
        (void)fflush(stdout);
    }
    (void)kill(0, SIGKILL); /* its forks too */
    return 0;
}

/* --- the cgroup ---------------------------------------------------------------------------- */

static char mount_point[64];
static char folder[128];
static pid_t taker;
static FILE *commands;
static FILE *answers;

static bool find_hierarchy(void)
{
    static const char *const PLACES[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(mount_point, sizeof mount_point, "%s", PLACES[i]);
        (void)snprintf(folder, sizeof folder, "%s/weir-test-%d", PLACES[i], getpid());
        if (mkdir(folder, 0700) != 0)
            continue;
        char usage[160];
        (void)snprintf(usage, sizeof usage, "%s/%s", folder,
                       i == 0 ? "memory.usage_in_bytes" : "memory.current");
        bool is_there = access(usage, R_OK) == 0;
        (void)rmdir(folder);
        if (is_there)
            return true;
    }
    return false;
}

/* In the child: into the cgroup, and a program of its own. */
static _Noreturn void become_taker(int in, int out)
{
    char path[160], outside[160];
    (void)setpgid(0, 0);
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    (void)snprintf(outside, sizeof outside, "%s/cgroup.procs", mount_point);
    (void)setenv("WEIR_TEST_OUTSIDE", outside, 1);
    FILE *procs = fopen(path, "we");
    if (procs == NULL || fputs("0\n", procs) < 0 || fclose(procs) != 0)
        _exit(7);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)execl("/proc/self/exe", "taker", "taker", (char *)NULL);
    _exit(8);
}

static void expect_answer(const char *wanted)
{
    char line[64] = "";
    ck_assert_ptr_nonnull(fgets(line, sizeof line, answers));
    ck_assert_str_eq(line, wanted);
}

static void start(void)
{
    int to[2], from[2];
    (void)snprintf(folder, sizeof folder, "%s/weir-test-%d", mount_point, getpid());
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    taker = fork();
    ck_assert_int_ge(taker, 0);
    if (taker == 0)
        become_taker(to[0], from[1]);
    (void)close(to[0]);
    (void)close(from[1]);
    commands = fdopen(to[1], "w");
    answers = fdopen(from[0], "r");
    expect_answer("ready\n");
}

static void stop(void)
{
    (void)fclose(commands);
    (void)waitpid(taker, NULL, 0);
    (void)fclose(answers);
    uint64_t end = weir_clock_ms() + WAIT_MS;
    while (rmdir(folder) != 0 && errno == EBUSY && weir_clock_ms() < end)
        (void)nanosleep(&(struct timespec){0, 20000000}, NULL);
}

static void command(const char *what)
{
    (void)fprintf(commands, "%s\n", what);
    (void)fflush(commands);
    expect_answer("taken\n");
}

/* --- what is seen -------------------------------------------------------------------------- */

static void read_once(struct weir_cgroup_equation *ret)
{
    weir_cgroup_equation_find("", NULL, folder, ret);
}

/* The kernel updates memory.stat every two seconds, so a state is waited for. */
static struct weir_cgroup_equation wait_for(enum weir_cgroup_equation_state state)
{
    struct weir_cgroup_equation equation;
    uint64_t end = weir_clock_ms() + WAIT_MS;
    for (read_once(&equation); equation.state != state && weir_clock_ms() < end;) {
        (void)nanosleep(&(struct timespec){0, 50000000}, NULL);
        read_once(&equation);
    }
    ck_assert_msg(equation.state == state, "%s: %lld KiB of %llu KiB are unexplained, %llu allowed",
                  weir_cgroup_equation_state_name(equation.state),
                  (long long)equation.unexplained_bytes / 1024,
                  (unsigned long long)equation.usage_bytes / 1024,
                  (unsigned long long)equation.tolerance_bytes / 1024);
    return equation;
}

#define TERMS 4

static void terms_of(const struct weir_cgroup_equation *equation, int64_t ret_terms[TERMS])
{
    ret_terms[0] = (int64_t)equation->anonymous_bytes;
    ret_terms[1] = (int64_t)equation->cache_bytes;
    ret_terms[2] = (int64_t)equation->shared_bytes;
    ret_terms[3] = (int64_t)equation->kernel_bytes;
}

START_TEST(each_kind_moves_its_own_term)
{
    static const char *const NAMES[TERMS] = {"anonymous", "page_cache", "shared_memory", "kernel"};
    /* Page tables, inodes, and the kernel's stocks. */
    const int64_t near = 3 * MIB;
    struct weir_cgroup_equation before = wait_for(WEIR_CGROUP_EQUATION_HOLDS);
    ck_assert_uint_eq(before.process_count, 1);
    for (int taken = 0; taken < TERMS; taken++) {
        int64_t old[TERMS], new[TERMS];
        command(NAMES[taken]);
        struct weir_cgroup_equation after = wait_for(WEIR_CGROUP_EQUATION_HOLDS);
        terms_of(&before, old);
        terms_of(&after, new);
        for (int term = 0; term < TERMS; term++) {
            int64_t moved = new[term] - old[term];
            int64_t wanted = term == taken ? TAKEN : 0;
            ck_assert_msg(llabs(moved - wanted) <= near, "%s moved %s by %lld KiB", NAMES[taken],
                          NAMES[term], (long long)moved / 1024);
        }
        before = after;
    }
    ck_assert_uint_ge(before.usage_bytes, (uint64_t)(TERMS * TAKEN));
}
END_TEST

START_TEST(forked_pages_count_once)
{
    command("anonymous");
    struct weir_cgroup_equation before = wait_for(WEIR_CGROUP_EQUATION_HOLDS);
    command("fork");
    struct weir_cgroup_equation after = wait_for(WEIR_CGROUP_EQUATION_HOLDS);
    ck_assert_uint_eq(after.process_count, 2);
    ck_assert_int_le(llabs((int64_t)after.anonymous_bytes - (int64_t)before.anonymous_bytes),
                     2 * MIB);
}
END_TEST

/* v1 leaves the charge behind when a process goes elsewhere, v2 does too: nobody in the cgroup has
 * that memory. */
START_TEST(what_nobody_has_is_unexplained)
{
    command("anonymous");
    (void)wait_for(WEIR_CGROUP_EQUATION_HOLDS);
    command("leave");
    struct weir_cgroup_equation equation = wait_for(WEIR_CGROUP_EQUATION_BROKEN);
    ck_assert_int_ge(equation.unexplained_bytes, TAKEN);
    ck_assert_int_le(equation.unexplained_bytes, TAKEN + 3 * MIB);
    ck_assert_uint_eq(equation.process_count, 0);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "taker") == 0)
        return run_taker();
    if (geteuid() != 0)
        skip_test("a memory cgroup needs root");
    if (!find_hierarchy())
        skip_test("no memory cgroup can be made here");
    Suite *suite = suite_create("cgroup_live");
    TCase *tests = tcase_create("cgroup_live");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, each_kind_moves_its_own_term);
    tcase_add_test(tests, forked_pages_count_once);
    tcase_add_test(tests, what_nobody_has_is_unexplained);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
