/* The I/O layer: what the system answers comes through, and every fault can be produced. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/named_file.h"
#include "tests/run_suite.h"

static int new_file(struct weir_io *io)
{
    int fd = weir_io_memfd_create(io, "test", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(the_system_answers_as_it_is)
{
    struct weir_io *io = weir_io_system();
    char bytes[16] = "";
    struct stat status;
    ck_assert_int_eq(weir_io_open(io, AT_FDCWD, "/does/not/exist", O_RDONLY, 0), -ENOENT);
    ck_assert_int_eq(weir_io_close(io, -1), -EBADF);
    int fd = new_file(io);
    ck_assert_int_eq(weir_io_write_all(io, fd, "hello world", 11), 0);
    ck_assert_int_eq(weir_io_pread(io, fd, bytes, 5, 6), 5);
    ck_assert_str_eq(bytes, "world");
    ck_assert_int_eq(weir_io_pwrite(io, fd, "W", 1, 6), 1);
    ck_assert_int_eq(weir_io_lseek(io, fd, 0, SEEK_SET), 0);
    ck_assert_int_eq(weir_io_read_full(io, fd, bytes, sizeof bytes), 11);
    ck_assert_int_eq(memcmp(bytes, "hello World", 11), 0);
    ck_assert_int_eq(weir_io_ftruncate(io, fd, 3), 0);
    ck_assert_int_eq(weir_io_fstat(io, fd, &status), 0);
    ck_assert_int_eq(status.st_size, 3);
    char first[2];
    char second[8];
    struct iovec vector[2] = {{first, 2}, {second, 8}};
    ck_assert_int_eq(weir_io_preadv(io, fd, vector, 2, 1), 2);
    ck_assert_int_eq(weir_io_pwritev(io, fd, vector, 1, UINT64_C(1) << 33), 2);
    ck_assert_int_eq(weir_io_fstat(io, fd, &status), 0);
    ck_assert_int_eq(status.st_size, (1L << 33) + 2);
    ck_assert_int_eq(weir_io_close(io, fd), 0);
}
END_TEST

START_TEST(files_and_folders)
{
    struct weir_io *io = weir_io_system();
    char folder[] = "/tmp/weir-test-io-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    int dir = weir_io_open(io, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    ck_assert_int_ge(dir, 0);
    int fd = weir_io_open(io, dir, "a", O_RDWR | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(weir_io_fcntl(io, fd, F_GETFD, 0), FD_CLOEXEC);
    ck_assert_int_eq(weir_io_fsync(io, fd), 0);
    ck_assert_int_eq(weir_io_renameat(io, dir, "a", dir, "b", 0), 0);
    ck_assert_int_eq(weir_io_mkdirat(io, dir, "d", 0700), 0);
    ck_assert_int_eq(weir_io_symlinkat(io, "b", dir, "l"), 0);
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    ck_assert_int_eq(weir_io_openat2(io, dir, "l", &how), -ELOOP);
    ck_assert_int_eq(weir_io_openat2(io, dir, "../x", &how), -EXDEV);
    char entries[1024];
    ck_assert_int_gt(weir_io_getdents(io, dir, entries, sizeof entries), 0);
    ck_assert_int_eq(weir_io_readlinkat(io, dir, "l", entries, sizeof entries), 1);
    ck_assert_int_eq(weir_io_unlinkat(io, dir, "l", 0), 0);
    ck_assert_int_eq(weir_io_unlinkat(io, dir, "b", 0), 0);
    ck_assert_int_eq(weir_io_unlinkat(io, dir, "d", AT_REMOVEDIR), 0);
    ck_assert_int_eq(weir_io_close(io, fd), 0);
    ck_assert_int_eq(weir_io_close(io, dir), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* The reason is still seen behind a path that is longer than a message. */
START_TEST(a_named_file_says_why_not)
{
    int fd = -1;
    uint64_t bytes = 0;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_named_file_open("/proc/self/exe", 1, &fd, &bytes, &error),
                     WEIR_TOO_LARGE);
    weir_error_done(&error);
    ck_assert_int_eq(weir_named_file_open("/", 1, &fd, &bytes, &error), WEIR_IO);
    ck_assert_str_eq(error.message, "cannot read /: it is a directory");
    weir_error_done(&error);
    ck_assert_int_eq(weir_named_file_open("/dev/null", 1, &fd, &bytes, &error), WEIR_IO);
    ck_assert_str_eq(error.message, "cannot read /dev/null: it is not a regular file");
    weir_error_done(&error);
    char path[512] = "/dev/null/";
    memset(path + strlen(path), 'x', 200);
    ck_assert_int_eq(weir_named_file_open(path, 1, &fd, &bytes, &error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "x: Not a directory"));
    weir_error_done(&error);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(weir_named_file_open("/proc/self/exe", UINT64_MAX, &fd, &bytes, &error),
                     WEIR_OK);
    ck_assert_uint_gt(bytes, 0);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(the_nth_call_fails)
{
    struct weir_io_faulty faulty;
    weir_io_faulty_init(&faulty, weir_io_system());
    struct weir_io *io = &faulty.io;
    int fd = new_file(io);
    struct weir_io_rule rule = {.op = WEIR_IO_WRITE, .first = 2, .count = 2, .error = ENOSPC};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    static const long wanted[] = {1, -ENOSPC, -ENOSPC, 1};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(weir_io_write(io, fd, "x", 1), wanted[i]);
    ck_assert_uint_eq(faulty.calls[WEIR_IO_WRITE], 4);
    ck_assert_int_eq(weir_io_lseek(io, fd, 0, SEEK_CUR), 2); /* the failed ones wrote nothing */
    weir_io_faulty_reset(&faulty);
    rule = (struct weir_io_rule){.op = WEIR_IO_ANY, .first = 3, .error = EIO};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    ck_assert_int_eq(weir_io_fsync(io, fd), 0);
    ck_assert_int_eq(weir_io_write(io, fd, "x", 1), 1);
    ck_assert_int_eq(weir_io_fsync(io, fd), -EIO);
    ck_assert_int_eq(weir_io_fsync(io, fd), -EIO);
    ck_assert_str_eq(weir_io_op_name(WEIR_IO_PWRITE), "pwrite64");
    (void)weir_io_close(weir_io_system(), fd);
    weir_io_faulty_done(&faulty);
}
END_TEST

START_TEST(transfers_come_back_short)
{
    struct weir_io_faulty faulty;
    weir_io_faulty_init(&faulty, weir_io_system());
    struct weir_io *io = &faulty.io;
    int fd = new_file(io);
    struct weir_io_rule rule = {.op = WEIR_IO_ANY, .bytes_max = 3};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    ck_assert_int_eq(weir_io_write(io, fd, "0123456789", 10), 3);
    ck_assert_int_eq(weir_io_write_all(io, fd, "3456789", 7), 0);
    char bytes[16] = "";
    char more[16];
    ck_assert_int_eq(weir_io_pread(io, fd, bytes, 10, 0), 3);
    struct iovec vector[2] = {{bytes, 10}, {more, 10}};
    ck_assert_int_eq(weir_io_preadv(io, fd, vector, 2, 4), 3);
    ck_assert_int_eq(memcmp(bytes, "456", 3), 0);
    ck_assert_int_eq(weir_io_lseek(io, fd, 0, SEEK_SET), 0);
    ck_assert_int_eq(weir_io_read_full(io, fd, bytes, sizeof bytes), 10);
    ck_assert_int_eq(memcmp(bytes, "0123456789", 10), 0);
    (void)weir_io_close(weir_io_system(), fd);
    weir_io_faulty_done(&faulty);
}
END_TEST

START_TEST(interruptions_are_retried_by_the_helpers_only)
{
    struct weir_io_faulty faulty;
    weir_io_faulty_init(&faulty, weir_io_system());
    struct weir_io *io = &faulty.io;
    int fd = new_file(io);
    struct weir_io_rule rule = {.op = WEIR_IO_WRITE, .count = 3, .error = EINTR};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    ck_assert_int_eq(weir_io_write(io, fd, "x", 1), -EINTR);
    ck_assert_int_eq(weir_io_write_all(io, fd, "abc", 3), 0);
    ck_assert_uint_eq(faulty.calls[WEIR_IO_WRITE], 4);
    (void)weir_io_close(weir_io_system(), fd);
    weir_io_faulty_done(&faulty);
}
END_TEST

static void count_call(void *context, enum weir_io_op op, const long args[6])
{
    (void)args;
    ck_assert_int_eq(op, WEIR_IO_FSYNC);
    (*(int *)context)++;
}

START_TEST(a_call_can_be_held_back)
{
    struct weir_io_faulty faulty;
    weir_io_faulty_init(&faulty, weir_io_system());
    int calls = 0;
    struct weir_io_rule rule = {
        .op = WEIR_IO_FSYNC, .delay_ms = 20, .before = count_call, .context = &calls};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    int fd = new_file(weir_io_system());
    uint64_t before = weir_clock_ms();
    ck_assert_int_eq(weir_io_fsync(&faulty.io, fd), 0);
    ck_assert_uint_ge(weir_clock_ms() - before, 19);
    ck_assert_int_eq(calls, 1);
    for (int i = 1; i < WEIR_IO_RULES_MAX; i++)
        ck_assert(weir_io_faulty_add(&faulty, &rule));
    ck_assert(!weir_io_faulty_add(&faulty, &rule));
    (void)weir_io_close(weir_io_system(), fd);
    weir_io_faulty_done(&faulty);
}
END_TEST

static uint64_t stopped_clock(void *context)
{
    return *(uint64_t *)context;
}

START_TEST(the_clock_can_be_replaced)
{
    uint64_t now = 5000000;
    weir_clock_replace(stopped_clock, &now);
    ck_assert_uint_eq(weir_clock_ns(), 5000000);
    ck_assert_uint_eq(weir_clock_ms(), 5);
    weir_clock_replace(NULL, NULL);
    ck_assert_uint_ne(weir_clock_ns(), 5000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("io");
    TCase *tests = tcase_create("io");
    tcase_add_test(tests, the_system_answers_as_it_is);
    tcase_add_test(tests, files_and_folders);
    tcase_add_test(tests, a_named_file_says_why_not);
    tcase_add_test(tests, the_nth_call_fails);
    tcase_add_test(tests, transfers_come_back_short);
    tcase_add_test(tests, interruptions_are_retried_by_the_helpers_only);
    tcase_add_test(tests, a_call_can_be_held_back);
    tcase_add_test(tests, the_clock_can_be_replaced);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
