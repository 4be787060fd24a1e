/* Attacks on the sandbox: whatever a guest names, and whoever changes the tree meanwhile, nothing
 * outside the preopened folder is read, written, made, removed or even stat'ed. */
#include "tests/unit/wasi/wasi_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct world world;
static struct world *const w = &world;
static struct stat outside_before;

static void stat_outside(struct stat *ret_stat)
{
    ck_assert_int_eq(stat(w->outside, ret_stat), 0);
}

static void open_world(void)
{
    world_open(w);
    stat_outside(&outside_before);
}

/* The folder outside holds what it held: a socket and the secret, unchanged. */
static void close_world(void)
{
    struct stat now, secret;
    char path[128];
    stat_outside(&now);
    ck_assert_int_eq(now.st_mtim.tv_sec, outside_before.st_mtim.tv_sec);
    ck_assert_int_eq(now.st_mtim.tv_nsec, outside_before.st_mtim.tv_nsec);
    (void)snprintf(path, sizeof path, "%s/secret", w->outside);
    ck_assert_int_eq(stat(path, &secret), 0);
    ck_assert_int_eq(secret.st_size, 8);
    ck_assert_uint_eq(secret.st_nlink, 1);
    world_close(w);
}

/* Paths that lead out, each way a path can. */
static const char *const escapes[] = {
    "..",
    "../",
    "../outside",
    "../outside/secret",
    "d/../../outside/secret",
    "./../root/f",
    "d/../..",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "out/secret",
    "out/../outside/secret",
    "dirlink/../../outside/secret",
    "d/./../../outside/./secret",
    "empty/../d/../../outside/secret",
    "out/.",
    "out/..",
};

START_TEST(no_path_leads_out)
{
    const char *path = escapes[_i];
    ck_errno(-OPEN(w, path), PERM);
    ck_errno(-open_at(w, 3, path, WASI_OFLAG_CREAT, WASI_RIGHTS_ALL), PERM);
    ck_errno(-OPEN_DIR(w, path), PERM);
    ck_errno(CALL(w, path_filestat_get, 3, 1, PATH(w, path), RET), PERM);
    ck_errno(CALL(w, path_filestat_get, 3, 0, PATH(w, path), RET), PERM);
    ck_errno(CALL(w, path_filestat_set_times, 3, 1, PATH(w, path), 0, 0, 10), PERM);
    ck_errno(CALL(w, path_readlink, 3, PATH(w, path), BUFFER, 100, RET), PERM);
    ck_errno(CALL(w, path_link, 3, 0, PATH(w, path), 3, PATH(w, "stolen")), PERM);
    ck_errno(CALL(w, path_link, 3, 1, PATH(w, path), 3, PATH(w, "stolen")), PERM);
}
END_TEST

/* For what names an entry, the folder that would hold it is outside; or the name itself is `..`,
 * which is never an entry. */
START_TEST(no_name_leads_out)
{
    const char *path = escapes[_i];
    ck_assert_int_gt(CALL(w, path_unlink_file, 3, PATH(w, path)), 0);
    ck_assert_int_gt(CALL(w, path_remove_directory, 3, PATH(w, path)), 0);
    ck_assert_int_gt(CALL(w, path_create_directory, 3, PATH(w, path)), 0);
    ck_assert_int_gt(CALL(w, path_rename, 3, PATH(w, path), 3, PATH(w, "stolen")), 0);
    ck_assert_int_gt(CALL(w, path_rename, 3, PATH(w, "f"), 3, PATH(w, path)), 0);
    ck_assert_int_gt(CALL(w, path_link, 3, 0, PATH(w, "f"), 3, PATH(w, path)), 0);
    ck_assert_int_gt(CALL(w, path_symlink, PATH(w, "f"), 3, PATH(w, path)), 0);
}
END_TEST

static const char *const new_escapes[] = {"../new",      "../outside/new",  "out/new",
                                          "d/../../new", "/tmp/weir_new",   "dirlink/../../new",
                                          "out/../new",  "d/../out/./new/", "out/new/"};

START_TEST(nothing_is_made_outside)
{
    const char *path = new_escapes[_i];
    ck_errno(-open_at(w, 3, path, WASI_OFLAG_CREAT, WASI_RIGHTS_ALL), PERM);
    ck_errno(-open_at(w, 3, path, WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WASI_RIGHTS_ALL), PERM);
    ck_errno(CALL(w, path_create_directory, 3, PATH(w, path)), PERM);
    ck_errno(CALL(w, path_symlink, PATH(w, "f"), 3, PATH(w, path)), PERM);
    ck_errno(CALL(w, path_link, 3, 0, PATH(w, "f"), 3, PATH(w, path)), PERM);
    ck_errno(CALL(w, path_rename, 3, PATH(w, "f"), 3, PATH(w, path)), PERM);
    ck_errno(CALL(w, path_rename, 3, PATH(w, path), 3, PATH(w, "n")), PERM);
    ck_errno(CALL(w, path_unlink_file, 3, PATH(w, path)), PERM);
    ck_errno(CALL(w, path_remove_directory, 3, PATH(w, path)), PERM);
}
END_TEST

/* A link to the outside is a thing inside: it can be read, renamed and removed, but not followed.
 */
START_TEST(links_out_are_not_followed)
{
    static const char *const links[] = {"out_file", "out_absolute"};
    for (int i = 0; i < 2; i++) {
        const char *link = links[i];
        ck_errno(-OPEN(w, link), PERM);
        ck_errno(-open_at(w, 3, link, WASI_OFLAG_TRUNC, WASI_RIGHTS_ALL), PERM);
        ck_errno(CALL(w, path_filestat_get, 3, 1, PATH(w, link), RET), PERM);
        ck_errno(CALL(w, path_filestat_set_times, 3, 1, PATH(w, link), 1, 1, 5), PERM);
        ck_errno(CALL(w, path_link, 3, 1, PATH(w, link), 3, PATH(w, "stolen")), PERM);
        ck_ok(CALL(w, path_filestat_get, 3, 0, PATH(w, link), RET));
        ck_assert_uint_eq(w->memory.bytes[RET + 16], WASI_FILETYPE_SYMBOLIC_LINK);
        ck_ok(CALL(w, path_filestat_set_times, 3, 0, PATH(w, link), 1, 1, 5));
        ck_ok(CALL(w, path_readlink, 3, PATH(w, link), BUFFER, 100, RET));
        ck_errno(CALL(w, path_remove_directory, 3, PATH(w, link)), NOTDIR);
        ck_ok(CALL(w, path_unlink_file, 3, PATH(w, link)));
    }
    /* With a slash behind it, the kernel's name calls must not look through it either. */
    ck_assert_int_gt(CALL(w, path_remove_directory, 3, PATH(w, "out/")), 0);
    ck_assert_int_gt(CALL(w, path_unlink_file, 3, PATH(w, "out/")), 0);
    ck_assert_int_gt(CALL(w, path_rename, 3, PATH(w, "out/"), 3, PATH(w, "moved")), 0);
    ck_assert_int_gt(CALL(w, path_rename, 3, PATH(w, "empty"), 3, PATH(w, "out/")), 0);
    ck_assert_int_gt(CALL(w, path_create_directory, 3, PATH(w, "out/")), 0);
    ck_assert_int_gt(CALL(w, path_link, 3, 0, PATH(w, "out/"), 3, PATH(w, "stolen")), 0);
    ck_ok(CALL(w, path_rename, 3, PATH(w, "out"), 3, PATH(w, "moved")));
    ck_errno(-OPEN_DIR(w, "moved"), PERM);
}
END_TEST

START_TEST(dangling_links_make_nothing_outside)
{
    char path[128];
    ck_errno(-open_at(w, 3, "dangling_out", WASI_OFLAG_CREAT, WASI_RIGHTS_ALL), PERM);
    ck_errno(-open_at(w, 3, "dangling_out", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WASI_RIGHTS_ALL),
             EXIST);
    ck_errno(CALL(w, path_create_directory, 3, PATH(w, "dangling_out")), EXIST);
    ck_errno(CALL(w, path_create_directory, 3, PATH(w, "dangling_out/")), EXIST);
    (void)snprintf(path, sizeof path, "%s/created", w->outside);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(absolute_links_are_not_made)
{
    ck_errno(CALL(w, path_symlink, PATH(w, "/etc/passwd"), 3, PATH(w, "n")), PERM);
    ck_errno(CALL(w, path_symlink, PATH(w, "/"), 3, PATH(w, "n")), PERM);
    ck_ok(CALL(w, path_symlink, PATH(w, "../outside/secret"), 3, PATH(w, "n")));
    ck_errno(-OPEN(w, "n"), PERM);
}
END_TEST

/* A subdirectory's descriptor is a sandbox of its own: its parent is out. */
START_TEST(a_subdirectory_has_no_parent)
{
    uint32_t dir = (uint32_t)OPEN_DIR(w, "d");
    ck_errno(-open_at(w, dir, "../f", 0, WASI_RIGHTS_ALL), PERM);
    ck_errno(-open_at(w, dir, "..", 0, RIGHTS_READ), PERM);
    ck_assert_int_gt(open_at(w, dir, "inner", 0, RIGHTS_READ), 0);
    /* Moved elsewhere while it is open, it is still one. */
    ck_ok(CALL(w, path_rename, 3, PATH(w, "d"), 3, PATH(w, "empty/d")));
    ck_errno(-open_at(w, dir, "../../f", 0, RIGHTS_READ), PERM);
    /* Under another number it is what it was. */
    ck_ok(CALL(w, fd_renumber, dir, 3));
    ck_errno(-OPEN(w, "../f"), PERM);
    ck_errno(-open_at(w, 3, "../../outside/secret", 0, RIGHTS_READ), PERM);
    ck_assert_int_gt(OPEN(w, "inner"), 0);
    ck_ok(CALL(w, fd_renumber, 3, 0));
    ck_errno(-open_at(w, 0, "..", 0, RIGHTS_READ), PERM);
}
END_TEST

START_TEST(a_removed_directory_leads_nowhere)
{
    uint32_t dir = (uint32_t)OPEN_DIR(w, "empty");
    ck_ok(CALL(w, path_remove_directory, 3, PATH(w, "empty")));
    ck_errno(-open_at(w, dir, "n", WASI_OFLAG_CREAT, WASI_RIGHTS_ALL), NOENT);
    ck_errno(-open_at(w, dir, "..", 0, RIGHTS_READ), PERM);
    ck_errno(CALL(w, path_create_directory, dir, PATH(w, "n")), NOENT);
    ck_errno(CALL(w, path_rename, 3, PATH(w, "f"), dir, PATH(w, "n")), NOENT);
    ck_errno(CALL(w, fd_readdir, dir, BUFFER, 1000, 0, RET), NOENT);
    ck_ok(CALL(w, fd_filestat_get, dir, RET));
}
END_TEST

/* The kernel's magic links lead anywhere; a folder of them is the worst preopen there is. */
START_TEST(magic_links_are_not_followed)
{
    world_close(w);
    world_prepare(w);
    w->preopens[0].host_path = "/proc/self";
    world_start(w);
    stat_outside(&outside_before);
    ck_errno(-open_at(w, 3, "root", WASI_OFLAG_DIRECTORY, RIGHTS_READ), LOOP);
    ck_errno(-open_at(w, 3, "root/etc/passwd", 0, RIGHTS_READ), LOOP);
    ck_errno(-open_at(w, 3, "cwd", WASI_OFLAG_DIRECTORY, RIGHTS_READ), LOOP);
    ck_errno(-open_at(w, 3, "exe", 0, RIGHTS_READ), LOOP);
    ck_errno(-open_at(w, 3, "fd/0", 0, RIGHTS_READ), LOOP);
    ck_errno(CALL(w, path_filestat_get, 3, 1, PATH(w, "exe"), RET), LOOP);
    ck_errno(CALL(w, path_filestat_get, 3, 1, PATH(w, "root/etc"), RET), LOOP);
    ck_assert_int_gt(open_at(w, 3, "status", 0, RIGHTS_READ), 0);
}
END_TEST

/* Paths that are no paths. */
START_TEST(malformed_paths_are_refused)
{
    static const struct {
        const char *bytes;
        uint32_t size;
        int expected;
    } paths[] = {
        {"", 0, WASI_E_NOENT},
        {"f\0g", 3, WASI_E_INVAL},
        {"\0", 1, WASI_E_INVAL},
        {"f\0", 2, WASI_E_INVAL},
        {"\xff", 1, WASI_E_ILSEQ},
        {"a\x80", 2, WASI_E_ILSEQ},
        {"\xc0\xaf", 2, WASI_E_ILSEQ}, /* overlong slash */
        {"\xc1\xbf", 2, WASI_E_ILSEQ},
        {"\xe0\x80\xaf", 3, WASI_E_ILSEQ},
        {"\xe0\x9f\xbf", 3, WASI_E_ILSEQ},
        {"\xed\xa0\x80", 3, WASI_E_ILSEQ}, /* surrogate */
        {"\xf0\x80\x80\xaf", 4, WASI_E_ILSEQ},
        {"\xf0\x8f\xbf\xbf", 4, WASI_E_ILSEQ},
        {"\xf4\x90\x80\x80", 4, WASI_E_ILSEQ}, /* above 10ffff */
        {"\xf5\x80\x80\x80", 4, WASI_E_ILSEQ},
        {"\xe2\x82", 2, WASI_E_ILSEQ}, /* cut short */
        {"..\xc0\xaf..", 6, WASI_E_ILSEQ},
        {"\xe2\x82\xac", 3, WASI_E_NOENT}, /* well-formed */
        {"\xf0\x9f\x90\x9f", 4, WASI_E_NOENT},
        {"\xed\x9f\xbf", 3, WASI_E_NOENT},
        {"\xf4\x8f\xbf\xbf", 4, WASI_E_NOENT},
    };
    memcpy(w->memory.bytes + BUFFER, paths[_i].bytes, paths[_i].size);
    int expected = paths[_i].expected;
    uint64_t at = BUFFER;
    uint64_t size = paths[_i].size;
    ck_assert_int_eq(CALL(w, path_open, 3, 1, at, size, 0, 0, 0, 0, RET), expected);
    ck_assert_int_eq(CALL(w, path_filestat_get, 3, 1, at, size, RET), expected);
    ck_assert_int_eq(CALL(w, path_filestat_set_times, 3, 1, at, size, 0, 0, 5), expected);
    ck_assert_int_eq(CALL(w, path_readlink, 3, at, size, BUFFER, 9, RET), expected);
    ck_assert_int_eq(CALL(w, path_unlink_file, 3, at, size), expected);
    ck_assert_int_eq(CALL(w, path_remove_directory, 3, at, size), expected);
    ck_assert_int_eq(CALL(w, path_rename, 3, at, size, 3, PATH(w, "n")), expected);
    ck_assert_int_eq(CALL(w, path_link, 3, 0, at, size, 3, PATH(w, "n")), expected);
    if (expected != WASI_E_NOENT || size == 0) {
        ck_assert_int_eq(CALL(w, path_create_directory, 3, at, size), expected);
        ck_assert_int_eq(CALL(w, path_symlink, PATH(w, "f"), 3, at, size), expected);
        ck_assert_int_eq(CALL(w, path_symlink, at, size, 3, PATH(w, "n")), expected);
        ck_assert_int_eq(CALL(w, path_rename, 3, PATH(w, "f"), 3, at, size), expected);
    }
}
END_TEST
#define MALFORMED_COUNT 21

START_TEST(overlong_paths_are_refused)
{
    memset(w->memory.bytes + BUFFER, 'a', 1u << 20);
    ck_errno(CALL(w, path_open, 3, 1, BUFFER, 256, 0, 0, 0, 0, RET), NAMETOOLONG);
    ck_errno(CALL(w, path_open, 3, 1, BUFFER, 4096, 0, 0, 0, 0, RET), NAMETOOLONG);
    ck_errno(CALL(w, path_open, 3, 1, BUFFER, 1u << 20, 0, 0, 0, 0, RET), NAMETOOLONG);
    ck_errno(CALL(w, path_open, 3, 1, BUFFER, UINT32_MAX, 0, 0, 0, 0, RET), NAMETOOLONG);
    ck_errno(CALL(w, path_open, 3, 1, FAR_OUT, 10, 0, 0, 0, 0, RET), FAULT);
    for (uint32_t i = 1; i < 4094; i += 2)
        w->memory.bytes[BUFFER + i] = '/';
    memset(w->memory.bytes + BUFFER, '.', 1);
    for (uint32_t i = 0; i < 4094; i += 2)
        w->memory.bytes[BUFFER + i] = '.';
    ck_ok(CALL(w, path_open, 3, 1, BUFFER, 4094, WASI_OFLAG_DIRECTORY, 0, 0, 0, RET));
}
END_TEST

START_TEST(dots_and_slashes_inside_are_fine)
{
    static const char *const paths[] = {"./f",          "d/../f",        ".//d//..///f",
                                        "dirlink/../f", "d/../d/./../f", "././././f"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        ck_assert_int_gt(OPEN(w, paths[i]), 0);
    ck_errno(-OPEN(w, "f/"), NOTDIR);
    ck_errno(-OPEN(w, "f/."), NOTDIR);
    ck_assert_int_gt(OPEN_DIR(w, "d/"), 0);
    ck_assert_int_gt(OPEN_DIR(w, "."), 0);
    ck_assert_int_gt(OPEN_DIR(w, "d/."), 0);
    ck_errno(CALL(w, path_unlink_file, 3, PATH(w, "f/")), NOTDIR);
    ck_errno(CALL(w, path_unlink_file, 3, PATH(w, "d")), ISDIR);
    ck_errno(CALL(w, path_remove_directory, 3, PATH(w, ".")), INVAL);
    ck_errno(CALL(w, path_rename, 3, PATH(w, "f/"), 3, PATH(w, "n")), NOTDIR);
    ck_errno(CALL(w, path_create_directory, 3, PATH(w, ".")), EXIST);
    ck_errno(CALL(w, path_link, 3, 0, PATH(w, "f/"), 3, PATH(w, "n")), NOTDIR);
}
END_TEST

/* --- the race: an entry is exchanged between a file inside and a link to the outside --- */

struct swapper {
    char inside[128], shown[128], link[128], spare[128];
    _Atomic bool is_over;
};

static void *swap_links(void *context)
{
    struct swapper *swapper = context;
    while (!atomic_load(&swapper->is_over)) {
        (void)rename(swapper->link, swapper->shown); /* now a link out */
        (void)unlink(swapper->spare);
        ck_assert_int_eq(symlink("../outside/secret", swapper->link), 0);
        ck_assert_int_eq(link(swapper->inside, swapper->spare), 0);
        (void)rename(swapper->spare, swapper->shown); /* now the file inside */
    }
    return NULL;
}

static void *swap_folders(void *context)
{
    struct swapper *swapper = context;
    while (!atomic_load(&swapper->is_over)) {
        (void)renameat2(AT_FDCWD, swapper->link, AT_FDCWD, swapper->shown, RENAME_EXCHANGE);
    }
    return NULL;
}

static void start_swapper(struct swapper *swapper, pthread_t *thread, void *(*run)(void *))
{
    (void)snprintf(swapper->inside, sizeof swapper->inside, "%s/f", w->root);
    (void)snprintf(swapper->shown, sizeof swapper->shown, "%s/shown", w->root);
    (void)snprintf(swapper->link, sizeof swapper->link, "%s/swap_link", w->root);
    (void)snprintf(swapper->spare, sizeof swapper->spare, "%s/swap_spare", w->root);
    atomic_store(&swapper->is_over, false);
    ck_assert_int_eq(pthread_create(thread, NULL, run, swapper), 0);
}

START_TEST(a_swapped_link_never_shows_the_outside)
{
    struct swapper swapper;
    pthread_t thread;
    char link_path[128];
    (void)snprintf(link_path, sizeof link_path, "%s/swap_link", w->root);
    ck_assert_int_eq(symlink("../outside/secret", link_path), 0);
    start_swapper(&swapper, &thread, swap_links);
    int opened = 0;
    int refused = 0;
    for (int i = 0; i < 20000; i++) {
        int fd = open_at(w, 3, "shown", 0, WASI_RIGHT_FD_READ);
        if (fd >= 0) {
            opened++;
            ck_ok(CALL(w, fd_read, (uint32_t)fd, put_iovec(w, BUFFER, 20), 1, RET));
            ck_assert_uint_eq(get_u32(w, RET), 10);
            ck_assert_int_eq(memcmp(w->memory.bytes + BUFFER, "0123456789", 10), 0);
            ck_ok(CALL(w, fd_close, (uint32_t)fd));
        } else {
            ck_assert(fd == -WASI_E_PERM || fd == -WASI_E_NOENT);
            refused += fd == -WASI_E_PERM;
        }
        int answer = CALL(w, path_filestat_get, 3, 1, PATH(w, "shown"), RET);
        if (answer == WASI_E_SUCCESS)
            ck_assert_uint_eq(get_u64(w, RET + 32), 10);
    }
    atomic_store(&swapper.is_over, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_gt(opened, 0); /* or the race was not run */
    ck_assert_int_gt(refused, 0);
}
END_TEST

/* The folder in the middle of a path is now a folder, now a link out: entries are made and removed
 * below it. */
START_TEST(a_swapped_folder_never_leads_outside)
{
    struct swapper swapper;
    pthread_t thread;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/shown", w->root);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/swap_link", w->root);
    ck_assert_int_eq(symlink("../outside", path), 0);
    start_swapper(&swapper, &thread, swap_folders);
    int made = 0;
    int refused = 0;
    for (int i = 0; i < 20000; i++) {
        int answer = i % 2 == 0 ? CALL(w, path_create_directory, 3, PATH(w, "shown/n"))
                                : CALL(w, path_remove_directory, 3, PATH(w, "shown/n"));
        made += answer == WASI_E_SUCCESS;
        refused += answer == WASI_E_PERM;
        (void)CALL(w, path_unlink_file, 3, PATH(w, "shown/secret"));
        (void)CALL(w, path_rename, 3, PATH(w, "shown/secret"), 3, PATH(w, "stolen"));
        (void)CALL(w, path_link, 3, 0, PATH(w, "shown/secret"), 3, PATH(w, "stolen"));
        (void)CALL(w, path_filestat_set_times, 3, 1, PATH(w, "shown/secret"), 1, 1, 5);
    }
    atomic_store(&swapper.is_over, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_gt(made, 0);
    ck_assert_int_gt(refused, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi sandbox");
    TCase *tcase = tcase_create("sandbox");
    tcase_add_checked_fixture(tcase, open_world, close_world);
    tcase_add_loop_test(tcase, no_path_leads_out, 0, sizeof escapes / sizeof escapes[0]);
    tcase_add_loop_test(tcase, no_name_leads_out, 0, sizeof escapes / sizeof escapes[0]);
    tcase_add_loop_test(tcase, nothing_is_made_outside, 0,
                        sizeof new_escapes / sizeof new_escapes[0]);
    tcase_add_test(tcase, links_out_are_not_followed);
    tcase_add_test(tcase, dangling_links_make_nothing_outside);
    tcase_add_test(tcase, absolute_links_are_not_made);
    tcase_add_test(tcase, a_subdirectory_has_no_parent);
    tcase_add_test(tcase, a_removed_directory_leads_nowhere);
    tcase_add_test(tcase, magic_links_are_not_followed);
    tcase_add_loop_test(tcase, malformed_paths_are_refused, 0, MALFORMED_COUNT);
    tcase_add_test(tcase, overlong_paths_are_refused);
    tcase_add_test(tcase, dots_and_slashes_inside_are_fine);
    tcase_add_test(tcase, a_swapped_link_never_shows_the_outside);
    tcase_add_test(tcase, a_swapped_folder_never_leads_outside);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
