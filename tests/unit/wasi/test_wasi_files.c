/* Files as a guest uses them: open, read, write, seek, list, stat, rename, and what a descriptor is
 * and may. Real files, beneath a real folder. */
#include "tests/unit/wasi/wasi_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct world world;
static struct world *const w = &world;

static void open_world(void)
{
    world_open(w);
}

static void close_world(void)
{
    world_close(w);
}

static void check_read(uint32_t fd, const char *expected)
{
    memset(w->memory.bytes + BUFFER, 0, 100);
    ck_ok(CALL(w, fd_read, fd, put_iovec(w, BUFFER, 100), 1, RET));
    ck_assert_uint_eq(get_u32(w, RET), strlen(expected));
    ck_assert_str_eq((char *)w->memory.bytes + BUFFER, expected);
}

START_TEST(reads_and_seeks)
{
    int fd = OPEN(w, "f");
    ck_assert_int_eq(fd, 8);
    check_read((uint32_t)fd, "0123456789");
    check_read((uint32_t)fd, "");
    ck_ok(CALL(w, fd_seek, (uint32_t)fd, 4, WASI_WHENCE_SET, RET));
    ck_assert_uint_eq(get_u64(w, RET), 4);
    check_read((uint32_t)fd, "456789");
    ck_ok(CALL(w, fd_seek, (uint32_t)fd, (uint64_t)-3, WASI_WHENCE_END, RET));
    ck_ok(CALL(w, fd_seek, (uint32_t)fd, 1, WASI_WHENCE_CUR, RET));
    ck_ok(CALL(w, fd_tell, (uint32_t)fd, RET));
    ck_assert_uint_eq(get_u64(w, RET), 8);
    ck_ok(CALL(w, fd_pread, (uint32_t)fd, put_iovec(w, BUFFER, 3), 1, 1, RET));
    ck_assert_int_eq(memcmp(w->memory.bytes + BUFFER, "123", 3), 0);
    check_read((uint32_t)fd, "89");
    ck_ok(CALL(w, fd_close, (uint32_t)fd));
    ck_errno(CALL(w, fd_close, (uint32_t)fd), BADF);
}
END_TEST

START_TEST(writes_through_many_vectors)
{
    uint32_t fd =
        (uint32_t)open_at(w, 3, "new", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WASI_RIGHTS_ALL);
    struct wasi_iovec vectors[300];
    for (uint32_t i = 0; i < 300; i++) {
        vectors[i] = (struct wasi_iovec){BUFFER + 1000 * i, i};
        memset(w->memory.bytes + BUFFER + 1000 * i, 'a' + (int)(i % 26), i);
    }
    memcpy(w->memory.bytes + IOVECS, vectors, sizeof vectors);
    ck_ok(CALL(w, fd_write, fd, IOVECS, 300, RET));
    ck_assert_uint_eq(get_u32(w, RET), 299 * 300 / 2);
    ck_ok(CALL(w, fd_pwrite, fd, put_iovec(w, BUFFER + 1000, 1), 1, 100000, RET));
    ck_ok(CALL(w, fd_filestat_get, fd, RET));
    ck_assert_uint_eq(get_u64(w, RET + 32), 100001);
    ck_assert_uint_eq(w->memory.bytes[RET + 16], WASI_FILETYPE_REGULAR_FILE);
    ck_assert_uint_eq(get_u64(w, RET + 24), 1);
    memcpy(w->memory.bytes + IOVECS, vectors, sizeof vectors);
    memset(w->memory.bytes + BUFFER, 0, 300 * 1000);
    ck_ok(CALL(w, fd_pread, fd, IOVECS, 300, 0, RET));
    ck_assert_uint_eq(get_u32(w, RET), 299 * 300 / 2);
    for (uint32_t i = 1; i < 300; i++) {
        ck_assert_uint_eq(w->memory.bytes[BUFFER + 1000 * i], 'a' + i % 26);
        ck_assert_uint_eq(w->memory.bytes[BUFFER + 1000 * i + i - 1], 'a' + i % 26);
        ck_assert_uint_eq(w->memory.bytes[BUFFER + 1000 * i + i], 0);
    }
}
END_TEST

/* More than a step: several system calls, and short transfers in between. */
START_TEST(large_transfers_are_whole)
{
    const uint32_t size = 3u << 20;
    uint32_t fd = (uint32_t)open_at(w, 3, "large", WASI_OFLAG_CREAT, WASI_RIGHTS_ALL);
    for (uint32_t i = 0; i < size; i++)
        w->memory.bytes[BUFFER + i] = (uint8_t)(i * 2654435761u >> 24);
    const struct weir_io_rule shorten = {
        .op = WEIR_IO_WRITEV, .first = 2, .count = 1, .bytes_max = 1000};
    ck_assert(weir_io_faulty_add(&w->faulty, &shorten));
    ck_ok(CALL(w, fd_write, fd, put_iovec(w, BUFFER, size), 1, RET));
    ck_assert_uint_eq(get_u32(w, RET), size);
    ck_assert_uint_ge(w->faulty.calls[WEIR_IO_WRITEV], 4);
    memset(w->memory.bytes + BUFFER, 0, size);
    ck_ok(CALL(w, fd_seek, fd, 0, WASI_WHENCE_SET, RET));
    ck_ok(CALL(w, fd_read, fd, put_iovec(w, BUFFER, size), 1, RET));
    ck_assert_uint_eq(get_u32(w, RET), size);
    uint32_t good = 0;
    while (good < size && w->memory.bytes[BUFFER + good] == (uint8_t)(good * 2654435761u >> 24))
        good++;
    ck_assert_uint_eq(good, size);
    w->store.is_stopped = true; /* what is moved before the guest is stopped counts */
    ck_ok(CALL(w, fd_pread, fd, put_iovec(w, BUFFER, size), 1, 0, RET));
    ck_assert_uint_eq(get_u32(w, RET), WASI_STEP_BYTES);
}
END_TEST

START_TEST(truncates_allocates_and_syncs)
{
    uint32_t fd = (uint32_t)OPEN(w, "f");
    ck_ok(CALL(w, fd_filestat_set_size, fd, 4));
    check_read(fd, "0123");
    ck_ok(CALL(w, fd_allocate, fd, 0, 5000));
    ck_ok(CALL(w, fd_filestat_get, fd, RET));
    ck_assert_uint_eq(get_u64(w, RET + 32), 5000);
    for (uint64_t advice = 0; advice <= 5; advice++)
        ck_ok(CALL(w, fd_advise, fd, 0, 100, advice));
    ck_ok(CALL(w, fd_sync, fd));
    ck_ok(CALL(w, fd_datasync, fd));
    ck_ok(CALL(w, fd_filestat_set_times, fd, 5000000001, 7000000002, 1 | 4));
    ck_ok(CALL(w, fd_filestat_get, fd, RET));
    ck_assert_uint_eq(get_u64(w, RET + 40), 5000000001);
    ck_assert_uint_eq(get_u64(w, RET + 48), 7000000002);
    fd = (uint32_t)open_at(w, 3, "f", WASI_OFLAG_TRUNC, WASI_RIGHTS_ALL);
    check_read(fd, "");
}
END_TEST

START_TEST(times_follow_links_only_when_asked)
{
    ck_ok(CALL(w, path_filestat_set_times, 3, 0, PATH(w, "link"), 1000000000, 2000000000, 5));
    ck_ok(CALL(w, path_filestat_get, 3, 0, PATH(w, "link"), RET));
    ck_assert_uint_eq(w->memory.bytes[RET + 16], WASI_FILETYPE_SYMBOLIC_LINK);
    ck_assert_uint_eq(get_u64(w, RET + 48), 2000000000);
    ck_ok(CALL(w, path_filestat_set_times, 3, 1, PATH(w, "link"), 3000000000, 4000000000, 5));
    ck_ok(CALL(w, path_filestat_get, 3, 1, PATH(w, "link"), RET));
    ck_assert_uint_eq(w->memory.bytes[RET + 16], WASI_FILETYPE_REGULAR_FILE);
    ck_assert_uint_eq(get_u64(w, RET + 48), 4000000000);
    ck_ok(CALL(w, path_filestat_set_times, 3, 0, PATH(w, "f"), 0, 0, 2));
    ck_ok(CALL(w, path_filestat_get, 3, 0, PATH(w, "f"), RET));
    ck_assert_uint_gt(get_u64(w, RET + 40), 1700000000000000000);
    ck_assert_uint_eq(get_u64(w, RET + 48), 4000000000);
}
END_TEST

START_TEST(makes_and_removes)
{
    ck_ok(CALL(w, path_create_directory, 3, PATH(w, "d/new")));
    ck_ok(CALL(w, path_create_directory, 3, PATH(w, "with_slash/")));
    ck_errno(CALL(w, path_create_directory, 3, PATH(w, "d/new")), EXIST);
    ck_ok(CALL(w, path_symlink, PATH(w, "../f"), 3, PATH(w, "d/up")));
    ck_ok(CALL(w, path_readlink, 3, PATH(w, "d/up"), BUFFER, 100, RET));
    ck_assert_uint_eq(get_u32(w, RET), 4);
    ck_assert_int_eq(memcmp(w->memory.bytes + BUFFER, "../f", 4), 0);
    ck_ok(CALL(w, path_readlink, 3, PATH(w, "d/up"), BUFFER, 2, RET));
    ck_assert_uint_eq(get_u32(w, RET), 2);
    check_read((uint32_t)OPEN(w, "d/up"), "0123456789");
    ck_ok(CALL(w, path_link, 3, 0, PATH(w, "f"), 3, PATH(w, "d/hard")));
    ck_ok(CALL(w, path_link, 3, 0, PATH(w, "link"), 3, PATH(w, "d/hard_link")));
    ck_ok(CALL(w, path_filestat_get, 3, 0, PATH(w, "d/hard_link"), RET));
    ck_assert_uint_eq(w->memory.bytes[RET + 16], WASI_FILETYPE_SYMBOLIC_LINK);
    ck_ok(CALL(w, path_link, 3, 1, PATH(w, "link"), 3, PATH(w, "d/hard_file")));
    ck_ok(CALL(w, path_filestat_get, 3, 0, PATH(w, "f"), RET));
    ck_assert_uint_eq(get_u64(w, RET + 24), 3);
    ck_ok(CALL(w, path_rename, 3, PATH(w, "f"), 3, PATH(w, "d/moved")));
    ck_errno(-OPEN(w, "f"), NOENT);
    check_read((uint32_t)OPEN(w, "d/moved"), "0123456789");
    ck_ok(CALL(w, path_unlink_file, 3, PATH(w, "d/moved")));
    ck_ok(CALL(w, path_remove_directory, 3, PATH(w, "d/new/")));
    ck_errno(CALL(w, path_remove_directory, 3, PATH(w, "d")), NOTEMPTY);
}
END_TEST

/* Every entry once, whatever the size of the guest's buffer, continuing by cookie as C libraries
 * do: from the last entry that was whole. */
static unsigned list(uint32_t fd, uint32_t buffer_size)
{
    uint64_t cookie = 0;
    unsigned seen = 0;
    unsigned total = 0;
    for (;;) {
        ck_ok(CALL(w, fd_readdir, fd, BUFFER, buffer_size, cookie, RET));
        uint32_t used = get_u32(w, RET);
        uint32_t at = 0;
        ck_assert_uint_le(used, buffer_size);
        while (used - at >= 24 && used - at - 24 >= get_u32(w, BUFFER + at + 16)) {
            const char *name = (char *)w->memory.bytes + BUFFER + at + 24;
            unsigned number;
            cookie = get_u64(w, BUFFER + at);
            if (sscanf(name, "entry%u", &number) == 1) {
                ck_assert_uint_eq(seen >> number & 1, 0);
                seen |= 1u << number;
                ck_assert_uint_eq(w->memory.bytes[BUFFER + at + 20], WASI_FILETYPE_REGULAR_FILE);
            }
            at += 24 + get_u32(w, BUFFER + at + 16);
            total++;
        }
        if (used < buffer_size)
            break;
    }
    ck_assert_uint_eq(seen, 0x3fffffff);
    return total;
}

START_TEST(lists_a_directory_in_any_pieces)
{
    ck_ok(CALL(w, path_create_directory, 3, PATH(w, "many")));
    for (int i = 0; i < 30; i++) {
        char name[250];
        (void)snprintf(name, sizeof name, "many/entry%02d_%0*d", i, 1 + i * 6, 0);
        int fd = open_at(w, 3, name, WASI_OFLAG_CREAT, WASI_RIGHTS_ALL);
        ck_assert_int_gt(fd, 0);
        ck_ok(CALL(w, fd_close, (uint32_t)fd));
    }
    uint32_t dir = (uint32_t)OPEN_DIR(w, "many");
    for (uint32_t size = 300; size < 20000; size = size * 3 / 2 + 7)
        ck_assert_uint_eq(list(dir, size), 32);
    ck_ok(CALL(w, fd_readdir, dir, BUFFER, 10, 0, RET));
    ck_assert_uint_eq(get_u32(w, RET), 10);
    ck_ok(CALL(w, fd_readdir, dir, BUFFER, 0, 0, RET));
    ck_assert_uint_eq(get_u32(w, RET), 0);
}
END_TEST

START_TEST(renumber_moves_a_descriptor)
{
    uint32_t first = (uint32_t)OPEN(w, "f");
    uint32_t second = (uint32_t)OPEN(w, "d/inner");
    int before = count_open_fds();
    ck_ok(CALL(w, fd_renumber, first, second));
    ck_assert_int_eq(count_open_fds(), before - 1);
    check_read(second, "0123456789");
    ck_errno(CALL(w, fd_tell, first, RET), BADF);
    ck_errno(CALL(w, fd_renumber, second, 200), BADF);
    ck_errno(CALL(w, fd_renumber, 200, second), BADF);
    ck_errno(CALL(w, fd_renumber, UINT32_MAX, second), BADF);
    ck_ok(CALL(w, fd_renumber, second, second));
    ck_assert_int_eq(OPEN(w, "f"), (int)first); /* the lowest free number */
}
END_TEST

START_TEST(describes_descriptors)
{
    uint32_t fd = (uint32_t)OPEN(w, "f");
    ck_ok(CALL(w, fd_fdstat_get, fd, RET));
    ck_assert_uint_eq(w->memory.bytes[RET], WASI_FILETYPE_REGULAR_FILE);
    ck_assert_uint_eq(get_u64(w, RET + 8), WASI_RIGHTS_FILE);
    ck_ok(CALL(w, fd_fdstat_set_flags, fd, WASI_FDFLAG_APPEND));
    ck_ok(CALL(w, fd_write, fd, put_iovec(w, BUFFER, 2), 1, RET));
    ck_ok(CALL(w, fd_filestat_get, fd, RET));
    ck_assert_uint_eq(get_u64(w, RET + 32), 12);
    ck_ok(CALL(w, fd_fdstat_get, fd, RET));
    ck_assert_uint_eq(w->memory.bytes[RET + 2], WASI_FDFLAG_APPEND);
    ck_ok(CALL(w, fd_fdstat_get, 3, RET));
    ck_assert_uint_eq(w->memory.bytes[RET], WASI_FILETYPE_DIRECTORY);
    ck_ok(CALL(w, fd_prestat_get, 4, RET));
    ck_assert_uint_eq(w->memory.bytes[RET], WASI_PREOPEN_DIR);
    ck_assert_uint_eq(get_u32(w, RET + 4), 10);
    ck_ok(CALL(w, fd_prestat_dir_name, 4, BUFFER, 10));
    ck_assert_int_eq(memcmp(w->memory.bytes + BUFFER, "/read-only", 10), 0);
    ck_errno(CALL(w, fd_prestat_get, 5, RET), BADF);
}
END_TEST

START_TEST(rights_only_shrink)
{
    uint32_t fd = (uint32_t)OPEN(w, "f");
    uint64_t read_only = WASI_RIGHT_FD_READ;
    ck_ok(CALL(w, fd_fdstat_set_rights, fd, read_only, 0));
    check_read(fd, "0123456789");
    ck_errno(CALL(w, fd_write, fd, put_iovec(w, BUFFER, 1), 1, RET), NOTCAPABLE);
    ck_errno(CALL(w, fd_tell, fd, RET), NOTCAPABLE);
    ck_errno(CALL(w, fd_fdstat_set_rights, fd, WASI_RIGHTS_FILE, 0), NOTCAPABLE);
    /* A directory hands down no more than it inherits. */
    uint32_t dir = (uint32_t)OPEN_DIR(w, "d");
    ck_ok(CALL(w, fd_fdstat_set_rights, dir, WASI_RIGHT_PATH_OPEN, WASI_RIGHT_FD_READ));
    ck_errno(-open_at(w, dir, "inner", 0, WASI_RIGHT_FD_WRITE), NOTCAPABLE);
    ck_errno(-open_at(w, dir, "made", WASI_OFLAG_CREAT, WASI_RIGHT_FD_READ), NOTCAPABLE);
    int inner = open_at(w, dir, "inner", 0, WASI_RIGHT_FD_READ);
    check_read((uint32_t)inner, "inner\n");
    ck_errno(CALL(w, fd_filestat_get, (uint32_t)inner, RET), NOTCAPABLE);
}
END_TEST

START_TEST(read_only_is_read_only)
{
    static const uint64_t rights = WASI_RIGHTS_READ_ONLY;
    int fd = open_at(w, 4, "f", 0, rights);
    check_read((uint32_t)fd, "0123456789");
    ck_errno(CALL(w, fd_write, (uint32_t)fd, put_iovec(w, BUFFER, 1), 1, RET), NOTCAPABLE);
    ck_errno(CALL(w, fd_filestat_set_size, (uint32_t)fd, 0), NOTCAPABLE);
    ck_errno(CALL(w, fd_filestat_set_times, (uint32_t)fd, 0, 0, 5), NOTCAPABLE);
    ck_errno(CALL(w, fd_allocate, (uint32_t)fd, 0, 1), NOTCAPABLE);
    ck_errno(-open_at(w, 4, "f", 0, WASI_RIGHTS_ALL), NOTCAPABLE);
    ck_errno(-open_at(w, 4, "f", WASI_OFLAG_TRUNC, rights), NOTCAPABLE);
    ck_errno(-open_at(w, 4, "n", WASI_OFLAG_CREAT, rights), NOTCAPABLE);
    uint32_t dir = (uint32_t)open_at(w, 4, "d", WASI_OFLAG_DIRECTORY, rights);
    const uint32_t dirs[] = {4, dir};
    for (int i = 0; i < 2; i++) {
        uint32_t d = dirs[i];
        ck_errno(CALL(w, path_unlink_file, d, PATH(w, "f")), NOTCAPABLE);
        ck_errno(CALL(w, path_remove_directory, d, PATH(w, "empty")), NOTCAPABLE);
        ck_errno(CALL(w, path_create_directory, d, PATH(w, "n")), NOTCAPABLE);
        ck_errno(CALL(w, path_rename, d, PATH(w, "f"), 3, PATH(w, "n")), NOTCAPABLE);
        ck_errno(CALL(w, path_rename, 3, PATH(w, "f"), d, PATH(w, "n")), NOTCAPABLE);
        ck_errno(CALL(w, path_link, d, 0, PATH(w, "f"), 3, PATH(w, "n")), NOTCAPABLE);
        ck_errno(CALL(w, path_link, 3, 0, PATH(w, "f"), d, PATH(w, "n")), NOTCAPABLE);
        ck_errno(CALL(w, path_symlink, PATH(w, "f"), d, PATH(w, "n")), NOTCAPABLE);
        ck_errno(CALL(w, path_filestat_set_times, d, 0, PATH(w, "f"), 0, 0, 5), NOTCAPABLE);
    }
    check_read((uint32_t)open_at(w, dir, "inner", 0, rights), "inner\n");
}
END_TEST

/* A step of 20,000 leaves nothing behind: not a byte, not a descriptor. */
START_TEST(cycles_leave_nothing)
{
    struct weir_account_reading before, after;
    CALL(w, fd_close, (uint32_t)OPEN(w, "f"));
    int fds = count_open_fds();
    weir_account_read(w->store.account, &before);
    for (int i = 0; i < 20000; i++) {
        uint32_t fd = (uint32_t)OPEN(w, "d/inner");
        ck_ok(CALL(w, fd_read, fd, put_iovec(w, BUFFER, 100), 1, RET));
        ck_ok(CALL(w, fd_close, fd));
        ck_ok(CALL(w, path_filestat_get, 3, 1, PATH(w, "d/inner"), RET));
    }
    weir_account_read(w->store.account, &after);
    ck_assert_int_eq(count_open_fds(), fds);
    ck_assert_int_eq(memcmp(before.kinds, after.kinds, sizeof before.kinds), 0);
    ck_assert_uint_eq(before.used_bytes, after.used_bytes);
}
END_TEST

/* Folders that the host has open already: shared, never closed, and their position never moved. */
START_TEST(borrowed_folders_stay_the_hosts)
{
    world_close(w);
    world_prepare(w);
    int host_fd = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int borrowed[] = {host_fd, host_fd};
    w->config.preopen_fds = borrowed;
    int fds = count_open_fds();
    world_start(w);
    ck_assert_int_eq(count_open_fds(), fds + 3); /* the sockets */
    check_read((uint32_t)OPEN(w, "f"), "0123456789");
    ck_ok(CALL(w, fd_readdir, 3, BUFFER, 5000, 0, RET));
    uint32_t used = get_u32(w, RET);
    ck_assert_uint_gt(used, 200);
    ck_assert_int_eq(lseek(host_fd, 0, SEEK_CUR), 0);
    ck_ok(CALL(w, fd_readdir, 3, BUFFER, 5000, 0, RET));
    ck_assert_uint_eq(get_u32(w, RET), used);
    ck_errno(CALL(w, path_unlink_file, 4, PATH(w, "f")), NOTCAPABLE);
    ck_errno(-OPEN(w, "../outside/secret"), PERM);
    ck_ok(CALL(w, fd_prestat_get, 3, RET));
    fail_io(w, WEIR_IO_OPENAT2, EMFILE, 1);
    ck_errno(CALL(w, fd_readdir, 4, BUFFER, 5000, 0, RET), MFILE);
    (void)weir_ledger_fail_nth(1);
    ck_errno(CALL(w, fd_readdir, 4, BUFFER, 5000, 0, RET), NFILE);
    (void)weir_ledger_fail_nth(0);
    ck_ok(CALL(w, fd_close, 3));
    ck_ok(CALL(w, fd_close, 4));
    ck_assert_int_ge(fcntl(host_fd, F_GETFD), 0);
    (void)close(host_fd);
}
END_TEST

START_TEST(the_table_is_limited)
{
    world_close(w);
    world_prepare(w);
    w->config.descriptors_max = 12;
    world_start(w);
    for (int i = 8; i < 12; i++)
        ck_assert_int_eq(OPEN(w, "f"), i);
    ck_errno(-OPEN(w, "f"), MFILE);
    ck_ok(CALL(w, fd_close, 9));
    ck_assert_int_eq(OPEN(w, "f"), 9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi files");
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, open_world, close_world);
    tcase_add_test(tcase, reads_and_seeks);
    tcase_add_test(tcase, writes_through_many_vectors);
    tcase_add_test(tcase, large_transfers_are_whole);
    tcase_add_test(tcase, truncates_allocates_and_syncs);
    tcase_add_test(tcase, times_follow_links_only_when_asked);
    tcase_add_test(tcase, makes_and_removes);
    tcase_add_test(tcase, lists_a_directory_in_any_pieces);
    tcase_add_test(tcase, renumber_moves_a_descriptor);
    tcase_add_test(tcase, describes_descriptors);
    tcase_add_test(tcase, rights_only_shrink);
    tcase_add_test(tcase, read_only_is_read_only);
    tcase_add_test(tcase, cycles_leave_nothing);
    tcase_add_test(tcase, borrowed_folders_stay_the_hosts);
    tcase_add_test(tcase, the_table_is_limited);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
