/* Equation (b) on fake trees: every version, what is missing or nonsense, who is counted, and how
 * far the sides may be apart. A real cgroup is in test_cgroup_live.c. */
#include <check.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/poison.h"
#include "base/proc_cgroup_members.h"
#include "ledger/cgroup_equation.h"
#include "tests/fake_root.h"

#define MIB ((uint64_t)1 << 20)
#define V2 "/sys/fs/cgroup/a"
#define V1 "/sys/fs/cgroup/memory/a"

static void put_number(const char *path, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu\n", (unsigned long long)value);
    put(path, text);
}

/* A process with so many KiB; `pss_anon_kib` SIZE_MAX: a kernel that tells no shares. */
static void put_process(unsigned pid, size_t anon_kib, size_t pss_anon_kib, size_t file_kib)
{
    char path[64], text[400], shares[100] = "";
    if (pss_anon_kib != SIZE_MAX)
        (void)snprintf(shares, sizeof shares, "Pss_Anon: %zu kB\nPss_File: %zu kB\n", pss_anon_kib,
                       file_kib);
    (void)snprintf(path, sizeof path, "/proc/%u/smaps_rollup", pid);
    (void)snprintf(text, sizeof text,
                   "00400000-7ffe00000000 ---p 00000000 00:00 0   [rollup]\nRss: %zu kB\n%s"
                   "Anonymous: %zu kB\n",
                   anon_kib + file_kib, shares, anon_kib);
    put(path, text);
}

static void put_v2(uint64_t usage)
{
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
    put_number(V2 "/memory.current", usage);
    put(V2 "/memory.stat", "anon 1\nfile 20971520\nkernel 3145728\nkernel_stack 16384\n"
                           "sock 1048576\nshmem 4194304\n");
    put(V2 "/cgroup.procs", "10\n11\n");
    put(V2 "/b/c/cgroup.procs", "12\n");
    put_process(10, 8 << 10, 6 << 10, 1 << 10);
    put_process(11, 8 << 10, 6 << 10, 1 << 10);
    put_process(12, 4 << 10, 4 << 10, 2 << 10);
}

#define V2_SUM (16 * MIB + 20 * MIB + 4 * MIB)

static void put_v1(uint64_t usage)
{
    put("/proc/self/cgroup", "4:memory:/a\n");
    put("/proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    put_number(V1 "/memory.usage_in_bytes", usage);
    put(V1 "/memory.kmem.usage_in_bytes", "2097152\n");
    put(V1 "/memory.stat", "cache 7\nshmem 8\ntotal_cache 5242880\ntotal_shmem 1048576\n");
    put(V1 "/cgroup.procs", "20\n");
    put_process(20, 3 << 10, SIZE_MAX, 0);
}

#define V1_SUM (3 * MIB + 5 * MIB + 2 * MIB)

static struct weir_cgroup_equation read_equation(void)
{
    struct weir_cgroup_equation equation;
    weir_cgroup_equation_find(root, "self", NULL, &equation);
    return equation;
}

static void expect_state(const char *name)
{
    struct weir_cgroup_equation equation = read_equation();
    ck_assert_str_eq(weir_cgroup_equation_state_name(equation.state), name);
}

START_TEST(v2_adds_up)
{
    put_v2(V2_SUM);
    struct weir_cgroup_equation equation = read_equation();
    ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_HOLDS);
    ck_assert_uint_eq(equation.usage_bytes, V2_SUM);
    ck_assert_uint_eq(equation.anonymous_bytes, 16 * MIB); /* shares: forked pages count once */
    ck_assert_uint_eq(equation.cache_bytes, 16 * MIB);
    ck_assert_uint_eq(equation.shared_bytes, 4 * MIB);
    ck_assert_uint_eq(equation.kernel_bytes, 4 * MIB); /* with the sockets' */
    ck_assert_int_eq(equation.unexplained_bytes, 0);
    ck_assert_uint_eq(equation.file_resident_bytes, 4 * MIB);
    ck_assert_uint_eq(equation.process_count, 3);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    ck_assert_uint_eq(equation.tolerance_bytes,
                      V2_SUM / 100 + (uint64_t)cpus * 64 * (uint64_t)sysconf(_SC_PAGESIZE));
}
END_TEST

START_TEST(v1_adds_up)
{
    put_v1(V1_SUM);
    struct weir_cgroup_equation equation = read_equation();
    ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_HOLDS);
    ck_assert_uint_eq(equation.anonymous_bytes, 3 * MIB); /* no shares: Anonymous */
    ck_assert_uint_eq(equation.cache_bytes, 4 * MIB);
    ck_assert_uint_eq(equation.shared_bytes, 1 * MIB);
    ck_assert_uint_eq(equation.kernel_bytes, 2 * MIB);
    ck_assert_int_eq(equation.unexplained_bytes, 0);
}
END_TEST

START_TEST(older_kernels_do_not_sum_up_kernel_memory)
{
    put_v2(V2_SUM);
    put(V2 "/memory.stat", "file 20971520\nshmem 0\nkernel_stack 1048576\npagetables 1048576\n"
                           "slab 2097152\n");
    struct weir_cgroup_equation equation = read_equation();
    ck_assert_uint_eq(equation.kernel_bytes, 4 * MIB);
    ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_HOLDS);
}
END_TEST

START_TEST(the_tolerance_has_an_edge_on_both_sides)
{
    put_v2(V2_SUM);
    uint64_t slack = read_equation().tolerance_bytes - V2_SUM / 100;
    static const int SIGNS[] = {1, -1};
    for (int i = 0; i < 2; i++) {
        /* usage = sum ± (1 % of usage + slack) */
        double exact = (double)(int64_t)V2_SUM + SIGNS[i] * (double)slack;
        uint64_t edge = (uint64_t)(exact / (1 - 0.01 * SIGNS[i]));
        put_number(V2 "/memory.current", edge - (uint64_t)(SIGNS[i] * 4096));
        struct weir_cgroup_equation equation = read_equation();
        ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_HOLDS);
        ck_assert_int_eq(equation.unexplained_bytes > 0, SIGNS[i] > 0);
        put_number(V2 "/memory.current", edge + (uint64_t)(SIGNS[i] * 4096));
        ck_assert_int_eq(read_equation().state, WEIR_CGROUP_EQUATION_BROKEN);
    }
    put_number(V2 "/memory.current", V2_SUM + 8 * MIB);
    ck_assert_int_eq(read_equation().unexplained_bytes, 8 * (int64_t)MIB);
}
END_TEST

static uint64_t now_ns;

/* A reading takes two looks at the clock, so it costs a second. */
static uint64_t step_a_second(void *context)
{
    (void)context;
    return now_ns += 1000000000u;
}

START_TEST(renewing_takes_one_percent_of_the_time)
{
    struct weir_cgroup_equation equation = {0};
    ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_NOT_READ);
    weir_clock_replace(step_a_second, NULL);
    put_v2(V2_SUM);
    weir_cgroup_equation_renew(&equation, root, "self", NULL);
    ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_HOLDS);
    ck_assert_uint_eq(equation.cost_ns, 1000000000u);
    put_number(V2 "/memory.current", V2_SUM + 4096);
    now_ns = equation.read_ns + UINT64_C(98000000000);
    weir_cgroup_equation_renew(&equation, root, "self", NULL);
    ck_assert_uint_eq(equation.usage_bytes, V2_SUM);
    now_ns = equation.read_ns + UINT64_C(99000000000);
    weir_cgroup_equation_renew(&equation, root, "self", NULL);
    ck_assert_uint_eq(equation.usage_bytes, V2_SUM + 4096);
}
END_TEST

START_TEST(processes_that_ended_have_no_memory)
{
    put_v2(V2_SUM);
    put(V2 "/cgroup.procs", "10\n99\n11\n");
    struct weir_cgroup_equation equation = read_equation();
    ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_HOLDS);
    ck_assert_uint_eq(equation.process_count, 3);
}
END_TEST

/* --- nothing is guessed -------------------------------------------------------------------- */

static const struct {
    const char *path, *text;
    const char *state;
} cases[] = {
    {"/proc/self/cgroup", "0::/a\n", "holds"},
    {"/proc/self/mountinfo", "23 1 254:0 / / rw - ext4 /dev/root rw\n", "no_cgroup"},
    {V2 "/memory.current", "max\n", "no_figure"},
    {V2 "/memory.current", "", "no_figure"},
    {V2 "/memory.current", "-5\n", "no_figure"},
    {V2 "/memory.current", "99999999999999999999999\n", "no_figure"},
    {V2 "/memory.current", "18446744073709551615\n", "no_figure"},
    {V2 "/memory.stat", "", "no_figure"},
    {V2 "/memory.stat", "file 1\nshmem 1\n", "no_figure"},
    {V2 "/memory.stat", "file 1\nkernel 1\n", "no_figure"},
    {V2 "/memory.stat", "shmem 1\nkernel 1\n", "no_figure"},
    {V2 "/memory.stat", "file x\nshmem 1\nkernel 1\n", "no_figure"},
    {V2 "/memory.stat", "file 1\nshmem 1\nkernel 18446744073709551615\nsock 9\n", "no_figure"},
    {V2 "/memory.stat", "file 18446744073709551615\nshmem 1\nkernel 1\n", "no_figure"},
    {V2 "/memory.stat", "file 1\nshmem 20971520\nkernel 4194304\n", "broken"},
    {V2 "/cgroup.procs", "", "broken"}, /* their memory is charged to nobody */
    {V2 "/cgroup.procs", "10\n11 12\n", "no_figure"},
    {V2 "/cgroup.procs", "ten\n", "no_figure"},
    {V2 "/cgroup.procs", "0\n10\n11\n", "unreadable"},
    {"/proc/11/smaps_rollup", "nonsense\n", "unreadable"},
    {"/proc/11/smaps_rollup", "", "unreadable"},
};

START_TEST(what_is_not_known_is_said)
{
    put_v2(V2_SUM);
    put(cases[_i].path, cases[_i].text);
    struct weir_cgroup_equation equation = read_equation();
    ck_assert_msg(strcmp(weir_cgroup_equation_state_name(equation.state), cases[_i].state) == 0,
                  "%s \"%s\": %s", cases[_i].path, cases[_i].text,
                  weir_cgroup_equation_state_name(equation.state));
    ck_assert_uint_gt(strlen(weir_cgroup_equation_state_meaning(equation.state)), 10);
}
END_TEST

START_TEST(missing_files)
{
    static const char *const FILES[] = {V1 "/memory.usage_in_bytes", V1 "/memory.stat",
                                        V1 "/memory.kmem.usage_in_bytes", V1 "/cgroup.procs"};
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char path[200];
        put_v1(V1_SUM);
        expect_state("holds");
        (void)snprintf(path, sizeof path, "%s%s", root, FILES[i]);
        ck_assert_int_eq(unlink(path), 0);
        expect_state("no_figure");
    }
}
END_TEST

START_TEST(a_root_cgroup_is_told)
{
    put_v1(V1_SUM);
    put(V1 "/release_agent", "\n");
    expect_state("root");
    put_v2(V2_SUM); /* the root of v2 has no memory.current */
    char path[200];
    (void)snprintf(path, sizeof path, "%s%s", root, V2 "/memory.current");
    ck_assert_int_eq(unlink(path), 0);
    expect_state("no_figure");
}
END_TEST

START_TEST(crowds_are_not_counted)
{
    char text[8192];
    size_t size = 0;
    put_v2(V2_SUM);
    for (int i = 0; i < 600; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "10\n");
    put(V2 "/cgroup.procs", text);
    expect_state("crowded");
    put(V2 "/cgroup.procs", "10\n11\n");
    for (int i = 0; i < WEIR_CGROUP_FOLDERS_MAX; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, V2 "/child-%d/cgroup.procs", i);
        put(path, "");
    }
    expect_state("crowded");
}
END_TEST

START_TEST(threaded_cgroups_have_no_processes)
{
    put_v2(V2_SUM);
    /* The kernel refuses to read their list; so does a folder in its place. */
    put(V2 "/t/cgroup.procs/x", "");
    expect_state("no_figure");
    put(V2 "/t/cgroup.type", "threaded\n");
    expect_state("holds");
}
END_TEST

START_TEST(memory_for_the_reading_may_be_missing)
{
    static struct weir_cgroup cgroup;
    put_v2(V2_SUM);
    ck_assert_int_eq(weir_cgroup_find(root, "self", &cgroup, NULL), WEIR_OK);
    /* Blocks of the reader's size come from mmap, which the limit refuses. */
    struct rlimit limit = {0, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    struct weir_cgroup_equation equation;
    weir_cgroup_equation_read(root, &cgroup, &equation);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_int_eq(equation.state, WEIR_CGROUP_EQUATION_NO_FIGURE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cgroup_equation");
    TCase *tests = tcase_create("cgroup_equation");
    tcase_add_checked_fixture(tests, make_root, remove_root);
    tcase_add_test(tests, v2_adds_up);
    tcase_add_test(tests, v1_adds_up);
    tcase_add_test(tests, older_kernels_do_not_sum_up_kernel_memory);
    tcase_add_test(tests, the_tolerance_has_an_edge_on_both_sides);
    tcase_add_test(tests, renewing_takes_one_percent_of_the_time);
    tcase_add_test(tests, processes_that_ended_have_no_memory);
    tcase_add_loop_test(tests, what_is_not_known_is_said, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tests, missing_files);
    tcase_add_test(tests, a_root_cgroup_is_told);
    tcase_add_test(tests, crowds_are_not_counted);
    tcase_add_test(tests, threaded_cgroups_have_no_processes);
    if (!WEIR_ASAN && !WEIR_TSAN)
        tcase_add_test(tests, memory_for_the_reading_may_be_missing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
