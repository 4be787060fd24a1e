/* The parsers of /proc: fixed texts cut at every place, the own process, and the pagemap on both
 * kernel paths. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc_pagemap.h"
#include "base/proc_smaps.h"
#include "tests/run_suite.h"

static const char smaps_text[] =
    "55e18e8ea000-55e18e8ec000 r--p 00001000 fe:0a 247026                     /usr/bin/c at\n"
    "Size:                  8 kB\n"
    "Rss:                   8 kB\n"
    "Pss:                   3 kB\n"
    "Anonymous:             4 kB\n"
    "VmFlags: rd mr mw me nr nh \n"
    "7f25-7f26 rwxs 00000000 00:00 0 \n"
    "Swap:                 12 kB\n"
    "SomethingNew:        abc\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

struct seen {
    struct weir_vma vmas[4];
    char paths[4][64];
    int count;
    int stop_after;
};

static bool keep(void *context, const struct weir_vma *vma)
{
    struct seen *seen = context;
    ck_assert_int_lt(seen->count, 4);
    seen->vmas[seen->count] = *vma;
    strncpy(seen->paths[seen->count], vma->path, 63);
    seen->count++;
    return seen->count != seen->stop_after;
}

static enum weir_status parse(const char *text, size_t size, size_t cut, struct seen *seen,
                              struct weir_error *error)
{
    struct weir_smaps smaps;
    weir_smaps_begin(&smaps, keep, seen);
    enum weir_status status = weir_smaps_feed(&smaps, text, cut, error);
    if (status == WEIR_OK)
        status = weir_smaps_feed(&smaps, text + cut, size - cut, error);
    return status == WEIR_OK ? weir_smaps_end(&smaps, error) : status;
}

START_TEST(areas_are_read_however_they_are_cut)
{
    size_t size = sizeof smaps_text - 1;
    for (size_t cut = 0; cut <= size; cut++) {
        struct seen seen = {.stop_after = -1};
        struct weir_error error = {0};
        ck_assert_msg(parse(smaps_text, size, cut, &seen, &error) == WEIR_OK, "%s", error.message);
        ck_assert_int_eq(seen.count, 3);
        const struct weir_vma *vma = &seen.vmas[0];
        ck_assert_uint_eq(vma->start, 0x55e18e8ea000);
        ck_assert_uint_eq(vma->end, 0x55e18e8ec000);
        ck_assert(vma->readable && !vma->writable && !vma->executable && !vma->shared);
        ck_assert_uint_eq(vma->offset, 0x1000);
        ck_assert_uint_eq(vma->dev_major, 0xfe);
        ck_assert_uint_eq(vma->dev_minor, 0xa);
        ck_assert_uint_eq(vma->inode, 247026);
        ck_assert_str_eq(seen.paths[0], "/usr/bin/c at");
        ck_assert_uint_eq(vma->rss, 8192);
        ck_assert_uint_eq(vma->pss, 3072);
        ck_assert_uint_eq(vma->anonymous, 4096);
        ck_assert(vma->has_flags);
        ck_assert_uint_eq(vma->flags, WEIR_VMA_NORESERVE | WEIR_VMA_NO_HUGE);
        vma = &seen.vmas[1];
        ck_assert(vma->readable && vma->writable && vma->executable && vma->shared);
        ck_assert_uint_eq(vma->swap, 12288);
        ck_assert_uint_eq(vma->path_length, 0);
        ck_assert(!vma->has_flags);
        ck_assert_uint_eq(seen.vmas[2].end, 0xffffffffff601000);
        ck_assert_str_eq(seen.paths[2], "[vsyscall]");
    }
}
END_TEST

static const struct {
    const char *text;
    uint64_t offset;
} bad_smaps[] = {
    {"Rss: 8 kB\n", 0},
    {"xyz\n", 0},
    {"1-2 rwxp 0 0:0\n", 0},
    {"2-1 rwxp 0 0:0 0\n", 0},
    {"1-2 rwqp 0 0:0 0\n", 0},
    {"1-2 rwxp 0 0:0 0\nRss: many kB\n", 17},
    {"1-2 rwxp 0 0:0 0\nRss: 8 MB\n", 17},
    {"1-2 rwxp 0 0:0 0\nRss: 99999999999999999999 kB\n", 17},
    {"1-2 rwxp 0 0:0 0\nRss: 18014398509481985 kB\n", 17},
    {"1-2 rwxp 0 0:0 0\nRss\n", 17},
    {"11111111111111111-2 rwxp 0 0:0 0\n", 0},
    {"\n\n1-2 rwxp 0 0:0 0\n-\n", 19},
};

START_TEST(bad_lines_are_found_where_they_are)
{
    struct seen seen = {.stop_after = -1};
    struct weir_error error = {0};
    const char *text = bad_smaps[_i].text;
    ck_assert_int_eq(parse(text, strlen(text), 0, &seen, &error), WEIR_MALFORMED);
    ck_assert_uint_eq(error.offset, bad_smaps[_i].offset);
}
END_TEST

START_TEST(a_visitor_can_stop)
{
    struct seen seen = {.stop_after = 1};
    ck_assert_int_eq(parse(smaps_text, sizeof smaps_text - 1, 0, &seen, NULL), WEIR_OK);
    ck_assert_int_eq(seen.count, 1);
}
END_TEST

START_TEST(an_endless_path_is_cut)
{
    static char text[30000];
    size_t length = (size_t)snprintf(text, sizeof text, "1-2 rwxp 0 0:0 7 /");
    memset(text + length, 'a', 20000);
    length += 20000;
    length += (size_t)snprintf(text + length, sizeof text - length, "\nRss: 4 kB\n5-x");
    struct seen seen = {.stop_after = -1};
    struct weir_error error = {0};
    ck_assert_int_eq(parse(text, length, 5, &seen, &error), WEIR_MALFORMED);
    ck_assert_uint_eq(error.offset, length - 3);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_uint_eq(seen.vmas[0].rss, 4096);
    ck_assert_uint_lt(seen.vmas[0].path_length, WEIR_SMAPS_LINE_SIZE);
}
END_TEST

struct sums {
    uint64_t rss;
    uint64_t last_end;
    int count;
};

static bool add_up(void *context, const struct weir_vma *vma)
{
    struct sums *sums = context;
    ck_assert_uint_ge(vma->start, sums->last_end);
    sums->last_end = vma->end;
    sums->rss += vma->rss;
    sums->count++;
    return true;
}

/* What reads may itself map memory between the two; a second time it has what it wants. */
static void read_both(struct sums *sums, struct sums *maps)
{
    for (int turn = 0; turn == 0 || (sums->count != maps->count && turn < 10); turn++) {
        *sums = *maps = (struct sums){0};
        ck_assert_int_eq(weir_smaps_read("/proc/self/smaps", add_up, sums, NULL), WEIR_OK);
        ck_assert_int_eq(weir_smaps_read("/proc/self/maps", add_up, maps, NULL), WEIR_OK);
    }
}

START_TEST(the_own_process_adds_up)
{
    struct sums sums;
    struct sums maps;
    struct weir_vma rollup;
    struct weir_proc_status status;
    read_both(&sums, &maps);
    ck_assert_int_eq(weir_smaps_rollup("/proc/self/smaps_rollup", &rollup, NULL), WEIR_OK);
    ck_assert_int_eq(weir_proc_status_read("/proc/self/status", &status, NULL), WEIR_OK);
    ck_assert_int_eq(sums.count, maps.count);
    ck_assert_uint_gt(sums.rss, 0);
    ck_assert_uint_lt(rollup.rss > sums.rss ? rollup.rss - sums.rss : sums.rss - rollup.rss,
                      1 << 20);
    ck_assert_uint_gt(rollup.pss_anon, 0);
    ck_assert_uint_gt(status.vm_pte, 0);
    ck_assert_uint_ge(status.threads, 1); /* TSan has one of its own */
    struct weir_error error = {0};
    ck_assert_int_eq(weir_smaps_read("/proc/self/none", add_up, &sums, &error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "/proc/self/none"));
}
END_TEST

/* Ends the process whose areas are read, when the first one is seen. */
static bool end_it(void *context, const struct weir_vma *vma)
{
    pid_t *child = context;
    (void)vma;
    if (*child > 0) {
        siginfo_t info;
        ck_assert_int_eq(kill(*child, SIGKILL), 0);
        ck_assert_int_eq(waitid(P_PID, (id_t)*child, &info, WEXITED | WNOWAIT), 0);
        *child = 0;
    }
    return true;
}

START_TEST(a_process_that_ends_meanwhile_is_not_taken_for_whole)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        for (;;)
            (void)pause();
    char path[64];
    struct weir_error error = {0};
    (void)snprintf(path, sizeof path, "/proc/%d/smaps", child);
    pid_t left = child;
    ck_assert_int_eq(weir_smaps_read(path, end_it, &left, &error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    /* A zombie has no areas, which is no error. */
    ck_assert_int_eq(weir_smaps_read(path, end_it, &left, NULL), WEIR_OK);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(weir_smaps_read(path, end_it, &left, NULL), WEIR_NOT_FOUND);
}
END_TEST

START_TEST(status_is_read)
{
    struct weir_proc_status status;
    struct weir_error error = {0};
    const char text[] = "Name:\tx\nVmRSS:\t  12 kB\nThreads:\t3\nVmPTE:  4 kB\n";
    ck_assert_int_eq(weir_proc_status_parse(text, sizeof text - 1, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.vm_rss, 12288);
    ck_assert_uint_eq(status.vm_pte, 4096);
    ck_assert_uint_eq(status.threads, 3);
    ck_assert_int_eq(weir_proc_status_parse("VmRSS:\tx\n", 9, &status, &error), WEIR_MALFORMED);
    char small[16];
    size_t length;
    ck_assert_int_eq(weir_proc_file_read("/proc/self/status", small, sizeof small, &length, NULL),
                     WEIR_TOO_LARGE);
}
END_TEST

/* Writes a status file with so many groups, and figures on both sides of them. */
static void write_status(const char *path, unsigned groups)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs("Name:\tx\nVmRSS:\t  12 kB\nGroups:\t", file);
    for (unsigned i = 0; i < groups; i++)
        (void)fprintf(file, "%u ", 1000000 + i);
    (void)fputs("\nThreads:\t3\nVmPTE:\t  4 kB", file);
    ck_assert_int_eq(fclose(file), 0);
}

/* As a process in hundreds of groups has it, to the most that Linux allows; what no kernel writes
 * is refused. */
START_TEST(a_long_status_is_read)
{
    static const unsigned groups[] = {0, 700, 1100, 65536};
    char path[] = "/tmp/weir-status-XXXXXX";
    struct weir_error error = {0};
    struct weir_proc_status status;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        write_status(path, groups[i]);
        ck_assert_int_eq(weir_proc_status_read(path, &status, &error), WEIR_OK);
        ck_assert_uint_eq(status.vm_rss, 12288);
        ck_assert_uint_eq(status.threads, 3);
        ck_assert_uint_eq(status.vm_pte, 4096);
    }
    write_status(path, 200000);
    ck_assert_int_eq(weir_proc_status_read(path, &status, &error), WEIR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    weir_error_done(&error);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Loop index: 0 the old path, 1 PAGEMAP_SCAN where the kernel has it. */
START_TEST(the_pagemap_counts_what_was_touched)
{
    struct weir_pagemap pagemap;
    struct weir_page_sums sums;
    ck_assert_int_eq(weir_pagemap_open(_i == 1, &pagemap, NULL), WEIR_OK);
    size_t size = 1200 * 4096;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    (void)madvise(memory, size, MADV_NOHUGEPAGE);
    for (size_t page = 0; page < 1200; page += 3)
        memory[page * 4096] = 1;
    uint64_t start = (uint64_t)(uintptr_t)memory;
    ck_assert_int_eq(weir_pagemap_sum(&pagemap, start, start + size, &sums, NULL), WEIR_OK);
    ck_assert_uint_eq(sums.resident_bytes, 400 * 4096);
    ck_assert_uint_eq(sums.file_bytes, 0);
    ck_assert_int_eq(weir_pagemap_sum(&pagemap, start + 4096, start + 5 * 4096, &sums, NULL),
                     WEIR_OK);
    ck_assert_uint_eq(sums.resident_bytes, 4096);
    ck_assert_int_eq(weir_pagemap_sum(&pagemap, start, start, &sums, NULL), WEIR_OK);
    ck_assert_uint_eq(sums.resident_bytes, 0);
    (void)munmap(memory, size);
    memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memory[0] = 1;
    start = (uint64_t)(uintptr_t)memory;
    ck_assert_int_eq(weir_pagemap_sum(&pagemap, start, start + 8192, &sums, NULL), WEIR_OK);
    ck_assert_uint_eq(sums.file_bytes, 4096);
    (void)munmap(memory, 8192);
    weir_pagemap_close(&pagemap);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proc");
    TCase *tests = tcase_create("proc");
    tcase_add_test(tests, areas_are_read_however_they_are_cut);
    tcase_add_loop_test(tests, bad_lines_are_found_where_they_are, 0,
                        (int)(sizeof bad_smaps / sizeof bad_smaps[0]));
    tcase_add_test(tests, a_visitor_can_stop);
    tcase_add_test(tests, an_endless_path_is_cut);
    tcase_add_test(tests, the_own_process_adds_up);
    tcase_add_test(tests, a_process_that_ends_meanwhile_is_not_taken_for_whole);
    tcase_add_test(tests, status_is_read);
    tcase_add_test(tests, a_long_status_is_read);
    tcase_add_loop_test(tests, the_pagemap_counts_what_was_touched, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
