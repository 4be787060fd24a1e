/* See copy_out.h. */
#include "base/copy_out.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define COPY_BYTES 65536u

static enum weir_status refuse(const char *path, int number, struct weir_error *error)
{
    return weir_error_set_errno(error, WEIR_IO, number, "cannot write %s", path);
}

static enum weir_status refuse_kind(const char *path, const char *what, struct weir_error *error)
{
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot write %s: it is %s", path, what);
}

static int copy(struct weir_io *io, int from, int to, uint64_t *ret_bytes)
{
    char bytes[COPY_BYTES];
    uint64_t offset = 0;
    for (;;) {
        long got = weir_io_pread(io, from, bytes, sizeof bytes, offset);
        if (got == -EINTR)
            continue;
        int failed = got > 0 ? weir_io_write_all(io, to, bytes, (size_t)got) : (int)got;
        if (failed < 0)
            return failed;
        if (got == 0)
            break;
        offset += (uint64_t)got;
    }
    *ret_bytes = offset;
    return 0;
}

/* What stands under the name now. *ret_flags: how it is written to; 0: it is replaced. */
static enum weir_status look(struct weir_io *io, const char *path, int *ret_flags,
                             struct weir_error *error)
{
    struct stat stat;
    int got = weir_io_fstatat(io, AT_FDCWD, path, &stat, AT_SYMLINK_NOFOLLOW);
    *ret_flags = 0;
    if (got == -ENOENT || (got == 0 && S_ISREG(stat.st_mode)))
        return WEIR_OK;
    if (got < 0)
        return refuse(path, -got, error);
    if (S_ISDIR(stat.st_mode))
        return refuse(path, EISDIR, error);
    if (S_ISBLK(stat.st_mode))
        return refuse_kind(path, "a block device", error);
    *ret_flags = O_WRONLY | O_NOCTTY;
    if (!S_ISLNK(stat.st_mode))
        *ret_flags |= O_NOFOLLOW;
    else if (weir_io_fstatat(io, AT_FDCWD, path, &stat, 0) != 0 || !S_ISFIFO(stat.st_mode))
        return refuse_kind(path, "a symbolic link; name the file itself", error);
    return WEIR_OK;
}

static enum weir_status write_through(struct weir_io *io, int from, const char *path, int flags,
                                      uint64_t *ret_bytes, struct weir_error *error)
{
    AUTO_CLOSE to = weir_io_open(io, AT_FDCWD, path, flags, 0);
    int failed = to < 0 ? to : copy(io, from, to, ret_bytes);
    return failed < 0 ? refuse(path, -failed, error) : WEIR_OK;
}

/* Under a new name in `folder`, then under `name`. 0 or -errno. */
static int replace(struct weir_io *io, int from, int folder, const char *name, uint64_t *ret_bytes)
{
    char temporary[40];
    uint64_t number = 0, bytes = 0;
    long random = weir_io_getrandom(io, &number, sizeof number, 0);
    if (random != (long)sizeof number)
        return random < 0 ? (int)random : -EIO;
    (void)snprintf(temporary, sizeof temporary, ".weir-new-%016" PRIx64, number);
    AUTO_CLOSE to = weir_io_open(io, folder, temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (to < 0)
        return to;
    int failed = copy(io, from, to, &bytes);
    if (failed == 0)
        failed = weir_io_fsync(io, to);
    if (failed == 0)
        failed = weir_io_renameat(io, folder, temporary, folder, name, 0);
    if (failed < 0)
        (void)weir_io_unlinkat(io, folder, temporary, 0);
    else
        *ret_bytes = bytes;
    return failed;
}

enum weir_status weir_copy_out(struct weir_io *io, int from, const char *path, uint64_t *ret_bytes,
                               struct weir_error *error)
{
    char folder[PATH_MAX];
    int flags;
    enum weir_status status = look(io, path, &flags, error);
    if (status != WEIR_OK)
        return status;
    if (flags != 0)
        return write_through(io, from, path, flags, ret_bytes, error);
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    int size = snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    if (size < 0 || (size_t)size >= sizeof folder || path[0] == 0)
        return refuse(path, path[0] == 0 ? ENOENT : ENAMETOOLONG, error);
    AUTO_CLOSE at = weir_io_open(io, AT_FDCWD, size > 0 ? folder : ".", O_PATH | O_DIRECTORY, 0);
    int failed = at < 0 ? at : name[0] == 0 ? -EISDIR : replace(io, from, at, name, ret_bytes);
    return failed < 0 ? refuse(path, -failed, error) : WEIR_OK;
}
