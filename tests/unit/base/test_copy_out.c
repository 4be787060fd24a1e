/* Writing a result: whole or not at all, whatever lies under its name, and whichever call fails. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/copy_out.h"

#define BYTES 100000u

static char folder[32];
static char content[BYTES];
static int from = -1;

static void set_up(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/weir-out-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    for (size_t i = 0; i < BYTES; i++)
        content[i] = (char)(i * 31 >> 3);
    from = memfd_create("from", MFD_CLOEXEC);
    ck_assert_int_eq(weir_io_write_all(weir_io_system(), from, content, BYTES), 0);
}

static void tear_down(void)
{
    char command[64];
    (void)close(from);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static void write_text(const char *path, const char *text)
{
    AUTO_CLOSE fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static bool holds(const char *path, const char *bytes, size_t size)
{
    static char got[BYTES + 1];
    AUTO_CLOSE fd = open(path, O_RDONLY | O_CLOEXEC);
    return weir_io_read_full(weir_io_system(), fd, got, sizeof got) == (long)size &&
           memcmp(got, bytes, size) == 0;
}

static int count_names(void)
{
    DIR *names = opendir(".");
    int count = -2; /* "." and ".." */
    while (readdir(names) != NULL)
        count++;
    (void)closedir(names);
    return count;
}

static void put(const char *path)
{
    uint64_t bytes = 0;
    struct weir_error error = {0};
    enum weir_status status = weir_copy_out(weir_io_system(), from, path, &bytes, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    ck_assert_uint_eq(bytes, BYTES);
}

static void refuse(const char *path, const char *words)
{
    uint64_t bytes = 77;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_copy_out(weir_io_system(), from, path, &bytes, &error), WEIR_IO);
    ck_assert_msg(strstr(error.message, words) != NULL, "%s", error.message);
    ck_assert_uint_eq(bytes, 77);
}

START_TEST(replaces_files)
{
    char name[256], path[300];
    put("new");
    ck_assert(holds("new", content, BYTES));
    write_text("old", "old");
    ck_assert_int_eq(link("old", "other"), 0);
    put("old");
    ck_assert(holds("old", content, BYTES) && holds("other", "old", 3));
    memset(name, 'x', 255); /* as long as a name can be */
    name[255] = 0;
    put(name);
    (void)snprintf(path, sizeof path, "%s/absolute", folder);
    put(path);
    ck_assert_int_eq(count_names(), 5);
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
    write_text("victim", "precious");
    ck_assert_int_eq(symlink("victim", "link"), 0);
    ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
    ck_assert_int_eq(symlink("/dev/null", "device"), 0);
    ck_assert_int_eq(mkdir("inside", 0700), 0);
    refuse("link", "link: it is a symbolic link");
    refuse("dangling", "symbolic link");
    refuse("device", "symbolic link");
    refuse("inside", "inside: Is a directory");
    refuse("inside/", "Is a directory");
    refuse("missing/", "No such file");
    refuse("missing/x", "missing/x: No such file");
    refuse("victim/x", "Not a directory");
    refuse("", "cannot write");
    ck_assert(holds("victim", "precious", 8));
    ck_assert_int_eq(count_names(), 5);
}
END_TEST

START_TEST(writes_through_pipes)
{
    char *got = malloc(BYTES + 1);
    struct stat stat_of;
    ck_assert_int_eq(mkfifo("pipe", 0600), 0);
    ck_assert_int_eq(symlink("pipe", "link"), 0);
    AUTO_CLOSE end = open("pipe", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fcntl(end, F_SETPIPE_SZ, 2 * (int)BYTES), (int)BYTES);
    static const char *const NAMES[] = {"pipe", "link"};
    for (size_t i = 0; i < 2; i++) {
        put(NAMES[i]);
        ck_assert_int_eq(weir_io_read_full(weir_io_system(), end, got, BYTES), BYTES);
        ck_assert_int_eq(memcmp(got, content, BYTES), 0);
    }
    ck_assert_int_eq(lstat("pipe", &stat_of), 0);
    ck_assert(S_ISFIFO(stat_of.st_mode));
    put("/dev/null");
    ck_assert_int_eq(lstat("/dev/null", &stat_of), 0);
    ck_assert(S_ISCHR(stat_of.st_mode));
    free(got);
}
END_TEST

/* The n-th call fails as on a full disk: the old file stays, and nothing beside it. */
START_TEST(whole_or_not_at_all)
{
    bool was_reached = true;
    for (uint64_t n = 1; was_reached; n++) {
        struct weir_io_faulty faulty;
        uint64_t bytes;
        weir_io_faulty_init(&faulty, weir_io_system());
        const struct weir_io_rule rule = {
            .op = WEIR_IO_ANY, .first = n, .count = 1, .error = ENOSPC};
        ck_assert(weir_io_faulty_add(&faulty, &rule));
        write_text("file", "old");
        enum weir_status status = weir_copy_out(&faulty.io, from, "file", &bytes, NULL);
        was_reached = faulty.calls[WEIR_IO_ANY] >= n;
        ck_assert_int_eq(status, was_reached ? WEIR_IO : WEIR_OK);
        ck_assert(was_reached ? holds("file", "old", 3) : holds("file", content, BYTES));
        ck_assert_int_eq(count_names(), 1);
        weir_io_faulty_done(&faulty);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copy_out");
    TCase *tests = tcase_create("results");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, replaces_files);
    tcase_add_test(tests, refuses_what_is_no_file);
    tcase_add_test(tests, writes_through_pipes);
    tcase_add_test(tests, whole_or_not_at_all);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
