/* Bytes between guest memory and what stands behind a descriptor.
 *
 * A read comes back with what is there (files: until the end), a write when all is written; between
 * two steps the guest may be parked or stopped. What a write has moved before it was parked is in
 * park.done_bytes, so a guest that does not expect short writes sees none. */
#include "worlds/wasi/wasi_internal.h"

#include <pthread.h>
#include <signal.h>

static bool is_socket(const struct weir__wasi_descriptor *descriptor)
{
    return descriptor->filetype == WASI_FILETYPE_SOCKET_STREAM ||
           descriptor->filetype == WASI_FILETYPE_SOCKET_DGRAM;
}

/* Waits for the host's descriptor, or says AGAIN where the guest asked not to wait. */
static int wait_ready(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                      short events)
{
    if ((descriptor->flags & WASI_FDFLAG_NONBLOCK) != 0)
        return WASI_E_AGAIN;
    struct pollfd fd = {.fd = descriptor->host_fd, .events = events};
    return weir__wasi_wait(call, &fd, 1, UINT64_MAX, -1);
}

static bool is_ready(struct weir_wasi *wasi, const struct weir__wasi_descriptor *descriptor,
                     short events)
{
    struct pollfd fd = {.fd = descriptor->host_fd, .events = events};
    return weir_io_poll(wasi->io, &fd, 1, 0) != 0;
}

/* One system call on something that can wait, or -EAGAIN. An inherited descriptor is not ours to
 * make non-blocking: it is asked first. */
static long read_once(struct weir_wasi *wasi, const struct weir__wasi_descriptor *descriptor,
                      const struct weir__wasi_buffers *buffers)
{
    if (is_socket(descriptor)) {
        struct msghdr message = {.msg_iov = buffers->vectors, .msg_iovlen = buffers->count};
        return weir_io_recvmsg(wasi->io, descriptor->host_fd, &message, MSG_DONTWAIT);
    }
    if (descriptor->is_inherited && !is_ready(wasi, descriptor, POLLIN))
        return -EAGAIN;
    struct iovec head[WASI_IOVECS_INLINE];
    int count = weir__wasi_buffers_head(buffers, WASI_STEP_BYTES, head);
    return weir_io_readv(wasi->io, descriptor->host_fd, head, count);
}

/* Files: steps until the buffers are full or the end. */
static int read_file(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                     struct weir__wasi_buffers *buffers)
{
    uint64_t *done = &call->wasi->park.done_bytes;
    weir__wasi_buffers_skip(buffers, *done);
    while (buffers->total > 0) {
        struct iovec head[WASI_IOVECS_INLINE];
        int count = weir__wasi_buffers_head(buffers, WASI_STEP_BYTES, head);
        uint64_t asked = 0;
        for (int i = 0; i < count; i++)
            asked += head[i].iov_len;
        long result = WASI_RETRY(weir_io_readv(call->wasi->io, descriptor->host_fd, head, count));
        if (result < 0)
            return *done > 0 ? WASI_E_SUCCESS : weir__wasi_errno_of(result);
        *done += (uint64_t)result;
        weir__wasi_buffers_skip(buffers, (uint64_t)result);
        if ((uint64_t)result < asked || buffers->total == 0)
            break;
        int paused = weir__wasi_breathe(call);
        if (paused == WASI_PARK)
            return paused;
        if (paused != WASI_E_SUCCESS)
            break; /* stopped: what is read is read */
    }
    return WASI_E_SUCCESS;
}

int weir__wasi_read(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                    struct weir__wasi_buffers *buffers, uint64_t *ret_count)
{
    struct weir_wasi *wasi = call->wasi;
    if (descriptor->backing == WASI_STREAM)
        return weir__wasi_stream_read(call, descriptor, buffers, ret_count);
    *ret_count = 0;
    if (descriptor->backing == WASI_NONE || buffers->total == 0)
        return WASI_E_SUCCESS;
    if (!descriptor->may_wait) {
        int failed = read_file(call, descriptor, buffers);
        *ret_count = wasi->park.done_bytes;
        return failed;
    }
    for (;;) {
        long result = read_once(wasi, descriptor, buffers);
        if (result >= 0) {
            *ret_count = (uint64_t)result;
            return WASI_E_SUCCESS;
        }
        if (result != -EAGAIN && result != -EINTR)
            return weir__wasi_errno_of(result);
        int waited = result == -EAGAIN             ? wait_ready(call, descriptor, POLLIN)
                     : weir__wasi_is_stopped(wasi) ? WASI_E_INTR
                                                   : WASI_E_SUCCESS;
        if (waited != WASI_E_SUCCESS)
            return waited;
    }
}

/* Without SIGPIPE, which is not the host's fault: the signal is blocked around the call, and taken
 * back when the call raised it. */
static long write_quietly(struct weir_wasi *wasi, int fd, const struct iovec *vectors, int count)
{
    sigset_t pipe_signal, before, pending;
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    long result = weir_io_writev(wasi->io, fd, vectors, count);
    if (result == -EPIPE && sigismember(&pending, SIGPIPE) == 0) {
        struct timespec now = {0};
        while (sigtimedwait(&pipe_signal, NULL, &now) < 0 && errno == EINTR)
            continue;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static long write_once(struct weir_wasi *wasi, const struct weir__wasi_descriptor *descriptor,
                       const struct weir__wasi_buffers *buffers)
{
    if (is_socket(descriptor)) {
        struct msghdr message = {.msg_iov = buffers->vectors, .msg_iovlen = buffers->count};
        return weir_io_sendmsg(wasi->io, descriptor->host_fd, &message,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    struct iovec head[WASI_IOVECS_INLINE];
    if (!descriptor->may_wait) {
        int count = weir__wasi_buffers_head(buffers, WASI_STEP_BYTES, head);
        return WASI_RETRY(weir_io_writev(wasi->io, descriptor->host_fd, head, count));
    }
    uint64_t bytes_max = WASI_STEP_BYTES;
    if (descriptor->is_inherited) {
        if (!is_ready(wasi, descriptor, POLLOUT))
            return -EAGAIN;
        bytes_max = WASI_PIPE_STEP_BYTES;
    }
    int count = weir__wasi_buffers_head(buffers, bytes_max, head);
    return write_quietly(wasi, descriptor->host_fd, head, count);
}

/* What stands between two writes: waiting when nothing moved, else a breath. */
static int pause_write(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                       long result, uint64_t *moved)
{
    if (result == -EAGAIN)
        return wait_ready(call, descriptor, POLLOUT);
    if (result == -EINTR)
        return weir__wasi_is_stopped(call->wasi) ? WASI_E_INTR : WASI_E_SUCCESS;
    *moved += (uint64_t)result;
    if (*moved < WASI_STEP_BYTES)
        return WASI_E_SUCCESS;
    *moved = 0;
    return weir__wasi_breathe(call);
}

int weir__wasi_write(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                     struct weir__wasi_buffers *buffers, uint64_t *ret_count)
{
    if (descriptor->backing == WASI_STREAM)
        return weir__wasi_stream_write(call, descriptor, buffers, ret_count);
    uint64_t *done = &call->wasi->park.done_bytes;
    uint64_t moved = 0;
    if (descriptor->backing == WASI_NONE)
        *done = buffers->total;
    weir__wasi_buffers_skip(buffers, *done);
    *ret_count = *done;
    while (buffers->total > 0) {
        long result = write_once(call->wasi, descriptor, buffers);
        if (result < 0 && result != -EAGAIN && result != -EINTR)
            return *done > 0 ? WASI_E_SUCCESS : weir__wasi_errno_of(result);
        if (result > 0) {
            *done += (uint64_t)result;
            *ret_count = *done;
            weir__wasi_buffers_skip(buffers, (uint64_t)result);
            if (descriptor->filetype == WASI_FILETYPE_SOCKET_DGRAM)
                break;
        }
        int paused =
            buffers->total == 0 ? WASI_E_SUCCESS : pause_write(call, descriptor, result, &moved);
        if (paused == WASI_PARK)
            return paused;
        if (paused != WASI_E_SUCCESS)
            return *done > 0 ? WASI_E_SUCCESS : paused;
    }
    return WASI_E_SUCCESS;
}
