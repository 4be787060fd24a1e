/* Reading goes through the I/O layer; a file that grows while it is read is cut at its first size.
 */
#include "server/host_file.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sizes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static enum weir_status file_error(const char *path, int number, struct weir_error *error)
{
    enum weir_status status = number == ENOENT || number == ENOTDIR ? WEIR_NOT_FOUND
                              : number == EACCES || number == EPERM ? WEIR_PERMISSION
                                                                    : WEIR_IO;
    return weir_error_set_errno(error, status, number, "cannot read %s", path);
}

static enum weir_status check_file(struct weir_io *io, int fd, const char *path, uint64_t bytes_max,
                                   struct stat *st, struct weir_error *error)
{
    int failed = weir_io_fstat(io, fd, st);
    if (failed < 0)
        return file_error(path, -failed, error);
    if (!S_ISREG(st->st_mode))
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot read %s: it is %s", path,
                              S_ISDIR(st->st_mode) ? "a directory" : "not a regular file");
    if ((uint64_t)st->st_size > bytes_max)
        return weir_error_set(
            error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "%s has %s, at most %s are read", path,
            weir_size_format((uint64_t)st->st_size).text, weir_size_format(bytes_max).text);
    return WEIR_OK;
}

enum weir_status weir_host_file_read(const char *path, uint64_t bytes_max,
                                     struct weir_account *account, struct weir_host_file *ret_file,
                                     struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    AUTO_CLOSE fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return file_error(path, -fd, error);
    struct stat st;
    enum weir_status status = check_file(io, fd, path, bytes_max, &st, error);
    if (status != WEIR_OK)
        return status;
    struct weir_host_file file = {.size = (size_t)st.st_size, .account = account};
    file.bytes = weir_account_alloc(account, WEIR_KIND_COMPILER, file.size + 1, error);
    if (file.bytes == NULL)
        return weir_error_refused(error);
    long got = weir_io_read_full(io, fd, file.bytes, file.size);
    if (got != (long)file.size) {
        weir_host_file_done(&file);
        if (got >= 0)
            return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "%s shrank while it was read",
                                  path);
        return file_error(path, (int)-got, error);
    }
    *ret_file = file;
    return WEIR_OK;
}

void weir_host_file_done(struct weir_host_file *file)
{
    if (file->bytes != NULL)
        weir_account_free(file->account, WEIR_KIND_COMPILER, file->bytes, file->size + 1);
    *file = (struct weir_host_file){0};
}

const char *weir_host_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

bool weir_host_cache_dir(char *ret_path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length;
    if (cache != NULL && cache[0] == '/')
        length = snprintf(ret_path, size, "%s", cache);
    else if (home != NULL && home[0] == '/')
        length = snprintf(ret_path, size, "%s/.cache", home);
    else
        return false;
    if (length < 0 || (size_t)length + sizeof "/weir" > size)
        return false;
    (void)mkdir(ret_path, 0700); /* there already, or the artifact directory will say why not */
    memcpy(ret_path + length, "/weir", sizeof "/weir");
    return true;
}
