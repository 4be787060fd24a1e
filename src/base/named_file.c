/* Through the I/O layer. Paths are cut in messages so that the reason behind them is still seen. A
 * FIFO does not hold the opening up. */
#include "base/named_file.h"

#include "base/io.h"
#include "base/sizes.h"

#include <errno.h>

enum weir_status weir_named_file_status(int number)
{
    return number == ENOENT || number == ENOTDIR ? WEIR_NOT_FOUND
           : number == EACCES || number == EPERM ? WEIR_PERMISSION
                                                 : WEIR_IO;
}

enum weir_status weir_named_file_error(const char *path, int number, struct weir_error *error)
{
    return weir_error_set_errno(error, weir_named_file_status(number), number,
                                "cannot read %.160s", path);
}

static enum weir_status check(const char *path, int fd, uint64_t bytes_max, uint64_t *ret_bytes,
                              struct weir_error *error)
{
    struct stat st;
    int failed = weir_io_fstat(weir_io_system(), fd, &st);
    if (failed < 0)
        return weir_named_file_error(path, -failed, error);
    if (!S_ISREG(st.st_mode))
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot read %.160s: it is %s", path,
                              S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    if ((uint64_t)st.st_size > bytes_max)
        return weir_error_set(
            error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "%.120s has %s, at most %s are read", path,
            weir_size_format((uint64_t)st.st_size).text, weir_size_format(bytes_max).text);
    *ret_bytes = (uint64_t)st.st_size;
    return WEIR_OK;
}

enum weir_status weir_named_file_open(const char *path, uint64_t bytes_max, int *ret_fd,
                                      uint64_t *ret_bytes, struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    int fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return weir_named_file_error(path, -fd, error);
    enum weir_status status = check(path, fd, bytes_max, ret_bytes, error);
    if (status == WEIR_OK)
        *ret_fd = fd;
    else
        (void)weir_io_close(io, fd);
    return status;
}
