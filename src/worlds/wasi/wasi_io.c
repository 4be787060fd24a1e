/* fd_read, fd_write and their kin, fd_seek, fd_tell. */
#include "worlds/wasi/wasi_internal.h"

static int read_or_write(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                         bool is_write)
{
    struct weir__wasi_buffers buffers;
    uint64_t count = 0;
    int failed =
        weir__wasi_buffers_init(call, weir__wasi_u32(call, 1), weir__wasi_u32(call, 2), &buffers);
    if (failed == WASI_E_SUCCESS)
        failed = is_write ? weir__wasi_write(call, descriptor, &buffers, &count)
                          : weir__wasi_read(call, descriptor, &buffers, &count);
    weir__wasi_buffers_done(call, &buffers);
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_put_u32(call, weir__wasi_u32(call, 3), (uint32_t)count);
}

int weir__wasi_fd_read(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (descriptor->filetype == WASI_FILETYPE_DIRECTORY)
        return WASI_E_ISDIR;
    if ((descriptor->rights_base & WASI_RIGHT_FD_READ) == 0)
        return WASI_E_NOTCAPABLE;
    return read_or_write(call, descriptor, false);
}

int weir__wasi_fd_write(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), WASI_RIGHT_FD_WRITE, &descriptor);
    return failed != WASI_E_SUCCESS ? failed : read_or_write(call, descriptor, true);
}

/* One step at an offset; what is shorter than asked ends the operation. */
static long move_at(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                    const struct weir__wasi_buffers *buffers, uint64_t offset, bool is_write)
{
    struct weir_io *io = call->wasi->io;
    struct iovec head[WASI_IOVECS_INLINE];
    int count = weir__wasi_buffers_head(buffers, WASI_STEP_BYTES, head);
    int fd = descriptor->host_fd;
    return is_write ? WASI_RETRY(weir_io_pwritev(io, fd, head, count, offset))
                    : WASI_RETRY(weir_io_preadv(io, fd, head, count, offset));
}

/* Steps until all is moved, or the end of the file, or the guest is stopped. */
static int move_all_at(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                       struct weir__wasi_buffers *buffers, uint64_t offset, bool is_write)
{
    uint64_t *done = &call->wasi->park.done_bytes;
    weir__wasi_buffers_skip(buffers, *done);
    do {
        long result = move_at(call, descriptor, buffers, offset + *done, is_write);
        if (result < 0)
            return *done > 0 ? WASI_E_SUCCESS : weir__wasi_errno_of(result);
        if (result == 0)
            return WASI_E_SUCCESS;
        *done += (uint64_t)result;
        weir__wasi_buffers_skip(buffers, (uint64_t)result);
        if (buffers->total == 0)
            return WASI_E_SUCCESS;
        int paused = weir__wasi_breathe(call);
        if (paused != WASI_E_SUCCESS)
            return paused == WASI_PARK ? paused : WASI_E_SUCCESS;
    } while (true);
}

static int at_offset(struct weir__wasi_call *call, bool is_write)
{
    struct weir__wasi_descriptor *descriptor;
    uint64_t right = is_write ? WASI_RIGHT_FD_WRITE : WASI_RIGHT_FD_READ;
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (descriptor->filetype == WASI_FILETYPE_DIRECTORY && !is_write)
        return WASI_E_ISDIR;
    if ((descriptor->rights_base & right) == 0)
        return WASI_E_NOTCAPABLE;
    if (descriptor->backing != WASI_HOST)
        return WASI_E_SPIPE;
    uint64_t offset = weir__wasi_u64(call, 3);
    if (offset > INT64_MAX - UINT32_MAX)
        return WASI_E_INVAL;
    struct weir__wasi_buffers buffers;
    failed =
        weir__wasi_buffers_init(call, weir__wasi_u32(call, 1), weir__wasi_u32(call, 2), &buffers);
    if (failed == WASI_E_SUCCESS)
        failed = move_all_at(call, descriptor, &buffers, offset, is_write);
    weir__wasi_buffers_done(call, &buffers);
    return failed != WASI_E_SUCCESS ? failed
                                    : weir__wasi_put_u32(call, weir__wasi_u32(call, 4),
                                                         (uint32_t)call->wasi->park.done_bytes);
}

int weir__wasi_fd_pread(struct weir__wasi_call *call)
{
    return at_offset(call, false);
}

int weir__wasi_fd_pwrite(struct weir__wasi_call *call)
{
    return at_offset(call, true);
}

static int seek(struct weir__wasi_call *call, int64_t offset, int whence, uint64_t rights,
                uint32_t ret_address)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (descriptor->filetype == WASI_FILETYPE_DIRECTORY)
        return WASI_E_BADF; /* a directory's position is a cookie, see fd_readdir */
    if (descriptor->backing != WASI_HOST)
        return WASI_E_SPIPE;
    if ((descriptor->rights_base & rights) != rights)
        return WASI_E_NOTCAPABLE;
    int64_t position = weir_io_lseek(call->wasi->io, descriptor->host_fd, offset, whence);
    return position < 0 ? weir__wasi_errno_of((long)position)
                        : weir__wasi_put_u64(call, ret_address, (uint64_t)position);
}

int weir__wasi_fd_seek(struct weir__wasi_call *call)
{
    return weir__wasi_seek(call, weir__wasi_u32(call, 2));
}

int weir__wasi_seek(struct weir__wasi_call *call, uint32_t whence)
{
    static const int host_whence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    int64_t offset = call->args[1].i64;
    if (whence > WASI_WHENCE_END)
        return WASI_E_INVAL;
    uint64_t rights =
        offset == 0 && whence == WASI_WHENCE_CUR ? WASI_RIGHT_FD_TELL : WASI_RIGHT_FD_SEEK;
    return seek(call, offset, host_whence[whence], rights, weir__wasi_u32(call, 3));
}

int weir__wasi_fd_tell(struct weir__wasi_call *call)
{
    return seek(call, 0, SEEK_CUR, WASI_RIGHT_FD_TELL, weir__wasi_u32(call, 1));
}
