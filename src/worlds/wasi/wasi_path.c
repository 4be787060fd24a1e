/* path_*: everything that names a file. wasi_resolve.c says why none of it leaves its directory. */
#include "worlds/wasi/wasi_internal.h"

#include <stdio.h>

/* A directory's descriptor with the rights, and a path of the guest. */
static int begin(struct weir__wasi_call *call, uint32_t fd, uint64_t rights, unsigned path_arg,
                 struct weir__wasi_path *ret_path, struct weir__wasi_descriptor **ret_directory)
{
    struct weir__wasi_descriptor *directory;
    int failed = weir__wasi_find(call, fd, 0, &directory);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (directory->filetype != WASI_FILETYPE_DIRECTORY)
        return WASI_E_NOTDIR;
    if ((directory->rights_base & rights) != rights)
        return WASI_E_NOTCAPABLE;
    *ret_directory = directory;
    return weir__wasi_path_get(call, weir__wasi_u32(call, path_arg),
                               weir__wasi_u32(call, path_arg + 1), ret_path);
}

/* As begin(), and opens the directory that holds the path's last component. */
static int begin_place(struct weir__wasi_call *call, uint32_t fd, uint64_t rights,
                       unsigned path_arg, struct weir__wasi_path *path,
                       struct weir__wasi_place *ret_place)
{
    struct weir__wasi_descriptor *directory;
    int failed = begin(call, fd, rights, path_arg, path, &directory);
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_place_open(call->wasi, directory->host_fd, path, ret_place);
}

/* The file itself as an O_PATH descriptor, the last link followed or not. Charged until
 * done_file(). */
static int open_file(struct weir__wasi_call *call, int dir, const struct weir__wasi_path *path,
                     uint32_t lookup_flags, int *ret_fd)
{
    struct weir_wasi *wasi = call->wasi;
    if ((lookup_flags & ~WASI_LOOKUP_SYMLINK_FOLLOW) != 0)
        return WASI_E_INVAL;
    if (weir_account_charge(wasi->account, WEIR_KIND_DESCRIPTOR, 1, NULL) != WEIR_OK)
        return WASI_E_NFILE;
    uint64_t follow = (lookup_flags & WASI_LOOKUP_SYMLINK_FOLLOW) != 0 ? 0 : O_NOFOLLOW;
    int failed = weir__wasi_open_beneath(wasi, dir, path->text, O_PATH | follow, ret_fd);
    if (failed != WASI_E_SUCCESS)
        weir_account_discharge(wasi->account, WEIR_KIND_DESCRIPTOR, 1);
    return failed;
}

static void done_file(struct weir_wasi *wasi, int fd)
{
    (void)weir_io_close(wasi->io, fd);
    weir_account_discharge(wasi->account, WEIR_KIND_DESCRIPTOR, 1);
}

int weir__wasi_path_create_directory(struct weir__wasi_call *call)
{
    struct weir__wasi_path path;
    struct weir__wasi_place place;
    int failed = begin_place(call, weir__wasi_u32(call, 0), WASI_RIGHT_PATH_CREATE_DIRECTORY, 1,
                             &path, &place);
    if (failed != WASI_E_SUCCESS)
        return failed;
    long result = weir_io_mkdirat(call->wasi->io, place.dir, place.name, 0777);
    weir__wasi_place_close(call->wasi, &place);
    return weir__wasi_errno_of(result);
}

static int unlink_at(struct weir__wasi_call *call, uint64_t right, int flags)
{
    struct weir__wasi_path path;
    struct weir__wasi_place place;
    int failed = begin_place(call, weir__wasi_u32(call, 0), right, 1, &path, &place);
    if (failed != WASI_E_SUCCESS)
        return failed;
    long result = weir_io_unlinkat(call->wasi->io, place.dir, place.name, flags);
    weir__wasi_place_close(call->wasi, &place);
    return weir__wasi_errno_of(result);
}

int weir__wasi_path_remove_directory(struct weir__wasi_call *call)
{
    return unlink_at(call, WASI_RIGHT_PATH_REMOVE_DIRECTORY, AT_REMOVEDIR);
}

int weir__wasi_path_unlink_file(struct weir__wasi_call *call)
{
    return unlink_at(call, WASI_RIGHT_PATH_UNLINK_FILE, 0);
}

int weir__wasi_path_rename(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    struct weir__wasi_path from_path, to_path;
    struct weir__wasi_place from, to;
    int failed = begin_place(call, weir__wasi_u32(call, 0), WASI_RIGHT_PATH_RENAME_SOURCE, 1,
                             &from_path, &from);
    if (failed != WASI_E_SUCCESS)
        return failed;
    failed =
        begin_place(call, weir__wasi_u32(call, 3), WASI_RIGHT_PATH_RENAME_TARGET, 4, &to_path, &to);
    if (failed == WASI_E_SUCCESS) {
        failed = weir__wasi_errno_of(
            weir_io_renameat(wasi->io, from.dir, from.name, to.dir, to.name, 0));
        weir__wasi_place_close(wasi, &to);
    }
    weir__wasi_place_close(wasi, &from);
    return failed;
}

/* The link may point anywhere beneath or not exist; where it leads out, every walk over it is
 * refused. An absolute target can never be followed, so it is not made. */
int weir__wasi_path_symlink(struct weir__wasi_call *call)
{
    struct weir__wasi_path target, path;
    struct weir__wasi_place place;
    int failed =
        weir__wasi_path_get(call, weir__wasi_u32(call, 0), weir__wasi_u32(call, 1), &target);
    if (failed == WASI_E_SUCCESS)
        failed =
            begin_place(call, weir__wasi_u32(call, 2), WASI_RIGHT_PATH_SYMLINK, 3, &path, &place);
    if (failed != WASI_E_SUCCESS)
        return failed;
    failed = target.text[0] == '/' ? WASI_E_PERM
                                   : weir__wasi_errno_of(weir_io_symlinkat(
                                         call->wasi->io, target.text, place.dir, place.name));
    weir__wasi_place_close(call->wasi, &place);
    return failed;
}

/* By the file's own descriptor, so that what is linked is what was found beneath the directory.
 * /proc/self/fd is the host's, not the guest's. */
int weir__wasi_path_link(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    struct weir__wasi_path from_path, to_path;
    struct weir__wasi_descriptor *from_dir;
    struct weir__wasi_place to;
    int from;
    int failed =
        begin(call, weir__wasi_u32(call, 0), WASI_RIGHT_PATH_LINK_SOURCE, 2, &from_path, &from_dir);
    if (failed == WASI_E_SUCCESS)
        failed = open_file(call, from_dir->host_fd, &from_path, weir__wasi_u32(call, 1), &from);
    if (failed != WASI_E_SUCCESS)
        return failed;
    failed =
        begin_place(call, weir__wasi_u32(call, 4), WASI_RIGHT_PATH_LINK_TARGET, 5, &to_path, &to);
    if (failed == WASI_E_SUCCESS) {
        char name[32];
        (void)snprintf(name, sizeof name, "/proc/self/fd/%d", from);
        failed = weir__wasi_errno_of(
            weir_io_linkat(wasi->io, AT_FDCWD, name, to.dir, to.name, AT_SYMLINK_FOLLOW));
        weir__wasi_place_close(wasi, &to);
    }
    done_file(wasi, from);
    return failed;
}

/* A target longer than the guest's buffer is cut, as POSIX has it. */
int weir__wasi_path_readlink(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    struct weir__wasi_path path;
    struct weir__wasi_descriptor *directory;
    int fd;
    int failed =
        begin(call, weir__wasi_u32(call, 0), WASI_RIGHT_PATH_READLINK, 1, &path, &directory);
    if (failed == WASI_E_SUCCESS)
        failed = open_file(call, directory->host_fd, &path, 0, &fd);
    if (failed != WASI_E_SUCCESS)
        return failed;
    char target[WASI_PATH_BYTES_MAX];
    long result = weir_io_readlinkat(wasi->io, fd, "", target, sizeof target);
    done_file(wasi, fd);
    if (result == -ENOENT)
        return WASI_E_INVAL; /* found, but not a link: what readlink says with a name */
    if (result < 0)
        return weir__wasi_errno_of(result);
    uint32_t room = weir__wasi_u32(call, 4);
    uint32_t size = (uint32_t)result < room ? (uint32_t)result : room;
    failed = weir__wasi_put(call, weir__wasi_u32(call, 3), target, size);
    return failed != WASI_E_SUCCESS ? failed
                                    : weir__wasi_put_u32(call, weir__wasi_u32(call, 5), size);
}

int weir__wasi_path_filestat_get(struct weir__wasi_call *call)
{
    struct wasi_filestat filestat;
    int failed = weir__wasi_path_stat(call, &filestat);
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_put(call, weir__wasi_u32(call, 4), &filestat, sizeof filestat);
}

int weir__wasi_path_stat(struct weir__wasi_call *call, struct wasi_filestat *ret_filestat)
{
    struct weir_wasi *wasi = call->wasi;
    struct weir__wasi_path path;
    struct weir__wasi_descriptor *directory;
    int fd;
    int failed =
        begin(call, weir__wasi_u32(call, 0), WASI_RIGHT_PATH_FILESTAT_GET, 2, &path, &directory);
    if (failed == WASI_E_SUCCESS)
        failed = open_file(call, directory->host_fd, &path, weir__wasi_u32(call, 1), &fd);
    if (failed != WASI_E_SUCCESS)
        return failed;
    struct stat stat;
    long result = weir_io_fstat(wasi->io, fd, &stat);
    done_file(wasi, fd);
    if (result < 0)
        return weir__wasi_errno_of(result);
    *ret_filestat = weir__wasi_filestat(&stat);
    return WASI_E_SUCCESS;
}

int weir__wasi_path_filestat_set_times(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    struct weir__wasi_path path;
    struct weir__wasi_descriptor *directory;
    struct timespec times[2];
    int fd;
    int failed = begin(call, weir__wasi_u32(call, 0), WASI_RIGHT_PATH_FILESTAT_SET_TIMES, 2, &path,
                       &directory);
    if (failed == WASI_E_SUCCESS)
        failed = weir__wasi_times(weir__wasi_u64(call, 4), weir__wasi_u64(call, 5),
                                  weir__wasi_u32(call, 6), times);
    if (failed == WASI_E_SUCCESS)
        failed = open_file(call, directory->host_fd, &path, weir__wasi_u32(call, 1), &fd);
    if (failed != WASI_E_SUCCESS)
        return failed;
    long result = weir_io_utimensat(wasi->io, fd, "", times, AT_EMPTY_PATH);
    done_file(wasi, fd);
    return weir__wasi_errno_of(result);
}
