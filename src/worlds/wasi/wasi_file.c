/* What is known of an open file and can be changed: fd_filestat_*, fd_allocate, fd_advise, fd_sync,
 * fd_datasync. */
#include "worlds/wasi/wasi_internal.h"

#include "base/clock.h"

#include <fcntl.h>

/* Times before 1970 have no value in WASI: 0. */
static uint64_t to_ns(struct timespec time)
{
    return time.tv_sec < 0 ? 0 : weir_timespec_ns(time);
}

struct wasi_filestat weir__wasi_filestat(const struct stat *stat)
{
    return (struct wasi_filestat){.dev = stat->st_dev,
                                  .ino = stat->st_ino,
                                  .filetype = weir__wasi_filetype(stat),
                                  .link_count = stat->st_nlink,
                                  .size = (uint64_t)stat->st_size,
                                  .accessed_ns = to_ns(stat->st_atim),
                                  .modified_ns = to_ns(stat->st_mtim),
                                  .changed_ns = to_ns(stat->st_ctim)};
}

int weir__wasi_times(uint64_t accessed_ns, uint64_t modified_ns, uint32_t flags,
                     struct timespec ret_times[2])
{
    const uint64_t ns[2] = {accessed_ns, modified_ns};
    if ((flags & ~WASI_FST_ALL) != 0)
        return WASI_E_INVAL;
    for (unsigned i = 0; i < 2; i++) {
        bool is_set = (flags >> (2 * i) & WASI_FST_ATIM) != 0;
        bool is_now = (flags >> (2 * i) & WASI_FST_ATIM_NOW) != 0;
        if (is_set && is_now)
            return WASI_E_INVAL;
        ret_times[i] = weir_timespec(ns[i]);
        if (!is_set)
            ret_times[i] = (struct timespec){.tv_nsec = is_now ? UTIME_NOW : UTIME_OMIT};
    }
    return WASI_E_SUCCESS;
}

int weir__wasi_fd_filestat_get(struct weir__wasi_call *call)
{
    struct wasi_filestat filestat;
    int failed = weir__wasi_descriptor_stat(call, &filestat);
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_put(call, weir__wasi_u32(call, 1), &filestat, sizeof filestat);
}

/* Descriptors without a file behind them know their type only. */
int weir__wasi_descriptor_stat(struct weir__wasi_call *call, struct wasi_filestat *ret_filestat)
{
    struct weir__wasi_descriptor *descriptor;
    int failed =
        weir__wasi_find(call, weir__wasi_u32(call, 0), WASI_RIGHT_FD_FILESTAT_GET, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (descriptor->backing != WASI_HOST) {
        *ret_filestat = (struct wasi_filestat){.filetype = descriptor->filetype};
        return WASI_E_SUCCESS;
    }
    struct stat stat;
    long result = weir_io_fstat(call->wasi->io, descriptor->host_fd, &stat);
    if (result < 0)
        return weir__wasi_errno_of(result);
    *ret_filestat = weir__wasi_filestat(&stat);
    return WASI_E_SUCCESS;
}

/* A descriptor with a file behind it and the right; INVAL for streams. */
static int find_file(struct weir__wasi_call *call, uint64_t rights,
                     struct weir__wasi_descriptor **ret_descriptor)
{
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), rights, ret_descriptor);
    if (failed == WASI_E_SUCCESS && (*ret_descriptor)->backing != WASI_HOST)
        return WASI_E_INVAL;
    return failed;
}

int weir__wasi_fd_filestat_set_size(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    uint64_t size = weir__wasi_u64(call, 1);
    int failed = find_file(call, WASI_RIGHT_FD_FILESTAT_SET_SIZE, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (size > INT64_MAX)
        return WASI_E_FBIG;
    return weir__wasi_errno_of(
        WASI_RETRY(weir_io_ftruncate(call->wasi->io, descriptor->host_fd, size)));
}

int weir__wasi_fd_filestat_set_times(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    struct timespec times[2];
    int failed = find_file(call, WASI_RIGHT_FD_FILESTAT_SET_TIMES, &descriptor);
    if (failed == WASI_E_SUCCESS)
        failed = weir__wasi_times(weir__wasi_u64(call, 1), weir__wasi_u64(call, 2),
                                  weir__wasi_u32(call, 3), times);
    if (failed != WASI_E_SUCCESS)
        return failed;
    return weir__wasi_errno_of(
        weir_io_utimensat(call->wasi->io, descriptor->host_fd, NULL, times, 0));
}

int weir__wasi_fd_allocate(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    uint64_t offset = weir__wasi_u64(call, 1);
    uint64_t size = weir__wasi_u64(call, 2);
    int failed = find_file(call, WASI_RIGHT_FD_ALLOCATE, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (size == 0)
        return WASI_E_INVAL;
    if (offset > INT64_MAX || size > INT64_MAX - offset)
        return WASI_E_FBIG;
    return weir__wasi_errno_of(
        WASI_RETRY(weir_io_fallocate(call->wasi->io, descriptor->host_fd, 0, offset, size)));
}

int weir__wasi_fd_advise(struct weir__wasi_call *call)
{
    static const int host_advice[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL,
                                      POSIX_FADV_RANDOM,   POSIX_FADV_WILLNEED,
                                      POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE};
    struct weir__wasi_descriptor *descriptor;
    uint64_t offset = weir__wasi_u64(call, 1);
    uint64_t size = weir__wasi_u64(call, 2);
    uint32_t advice = weir__wasi_u32(call, 3);
    int failed = find_file(call, WASI_RIGHT_FD_ADVISE, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (advice >= sizeof host_advice / sizeof host_advice[0] || offset > INT64_MAX ||
        size > INT64_MAX - offset)
        return WASI_E_INVAL;
    return weir__wasi_errno_of(
        weir_io_fadvise(call->wasi->io, descriptor->host_fd, offset, size, host_advice[advice]));
}

int weir__wasi_fd_sync(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = find_file(call, WASI_RIGHT_FD_SYNC, &descriptor);
    return failed != WASI_E_SUCCESS ? failed
                                    : weir__wasi_errno_of(WASI_RETRY(
                                          weir_io_fsync(call->wasi->io, descriptor->host_fd)));
}

int weir__wasi_fd_datasync(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = find_file(call, WASI_RIGHT_FD_DATASYNC, &descriptor);
    return failed != WASI_E_SUCCESS ? failed
                                    : weir__wasi_errno_of(WASI_RETRY(
                                          weir_io_fdatasync(call->wasi->io, descriptor->host_fd)));
}
