/* sock_*: sockets that the host has opened beforehand, and connections accepted from them. */
#include "worlds/wasi/wasi_internal.h"

static int find_socket(struct weir__wasi_call *call, uint64_t rights,
                       struct weir__wasi_descriptor **ret_descriptor)
{
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, ret_descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if ((*ret_descriptor)->filetype != WASI_FILETYPE_SOCKET_STREAM &&
        (*ret_descriptor)->filetype != WASI_FILETYPE_SOCKET_DGRAM)
        return WASI_E_NOTSOCK;
    return ((*ret_descriptor)->rights_base & rights) == rights ? WASI_E_SUCCESS : WASI_E_NOTCAPABLE;
}

/* After a call that did not come through: SUCCESS to try again. */
static int wait_socket(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                       long result, short events)
{
    if (result == -EINTR)
        return weir__wasi_is_stopped(call->wasi) ? WASI_E_INTR : WASI_E_SUCCESS;
    if (result != -EAGAIN || (descriptor->flags & WASI_FDFLAG_NONBLOCK) != 0)
        return weir__wasi_errno_of(result);
    struct pollfd fd = {.fd = descriptor->host_fd, .events = events};
    return weir__wasi_wait(call, &fd, 1, UINT64_MAX, -1);
}

/* A listening socket that others share may have lost its connection again when we come to it, so
 * it is asked first and, where the host left it blocking, only then accepted from. */
static int accept_host(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                       int *ret_host_fd)
{
    for (;;) {
        struct pollfd fd = {.fd = descriptor->host_fd, .events = POLLIN};
        long result = weir_io_poll(call->wasi->io, &fd, 1, 0);
        if (result >= 0)
            result = result == 0 ? -EAGAIN
                                 : weir_io_accept(call->wasi->io, descriptor->host_fd,
                                                  SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (result >= 0) {
            *ret_host_fd = (int)result;
            return WASI_E_SUCCESS;
        }
        int waited = wait_socket(call, descriptor, result, POLLIN);
        if (waited != WASI_E_SUCCESS)
            return waited;
    }
}

static int accept_reserved(struct weir__wasi_call *call, uint32_t listening, uint32_t flags,
                           uint32_t fd)
{
    struct weir_wasi *wasi = call->wasi;
    const struct weir__wasi_descriptor *listener = &wasi->descriptors[listening];
    int host_fd;
    int failed = accept_host(call, listener, &host_fd);
    if (failed != WASI_E_SUCCESS)
        return failed;
    struct weir__wasi_descriptor descriptor;
    failed = weir__wasi_describe(wasi, host_fd, &descriptor);
    if (failed != WASI_E_SUCCESS) {
        (void)weir_io_close(wasi->io, host_fd);
        return failed;
    }
    descriptor.flags = (uint16_t)flags;
    descriptor.rights_base &= listener->rights_inheriting;
    descriptor.rights_inheriting = 0;
    weir__wasi_add(wasi, fd, &descriptor);
    return WASI_E_SUCCESS;
}

int weir__wasi_sock_accept(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    struct weir__wasi_descriptor *descriptor;
    uint32_t flags = weir__wasi_u32(call, 1);
    uint32_t fd;
    int failed = find_socket(call, WASI_RIGHT_SOCK_ACCEPT, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if ((flags & ~WASI_FDFLAG_NONBLOCK) != 0)
        return WASI_E_INVAL;
    failed = weir__wasi_reserve(wasi, &fd);
    if (failed != WASI_E_SUCCESS)
        return failed;
    failed = accept_reserved(call, weir__wasi_u32(call, 0), flags, fd);
    if (failed != WASI_E_SUCCESS) {
        weir__wasi_unreserve(wasi, fd);
        return failed;
    }
    failed = weir__wasi_put_u32(call, weir__wasi_u32(call, 2), fd);
    if (failed != WASI_E_SUCCESS)
        weir__wasi_drop(wasi, fd);
    return failed;
}

/* WAITALL is left to the kernel only where the socket may block there; here it never does, so what
 * is there is what comes, unless it is gathered: a step per message, kept over a park. */
static int receive(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor,
                   struct weir__wasi_buffers *buffers, uint32_t flags, uint32_t *ret_flags)
{
    uint64_t *done = &call->wasi->park.done_bytes;
    bool wants_all = (flags & WASI_RECV_WAITALL) != 0 && (flags & WASI_RECV_PEEK) == 0 &&
                     descriptor->filetype == WASI_FILETYPE_SOCKET_STREAM;
    int host_flags = MSG_DONTWAIT | ((flags & WASI_RECV_PEEK) != 0 ? MSG_PEEK : 0);
    weir__wasi_buffers_skip(buffers, *done);
    for (;;) {
        struct msghdr message = {.msg_iov = buffers->vectors, .msg_iovlen = buffers->count};
        long result = weir_io_recvmsg(call->wasi->io, descriptor->host_fd, &message, host_flags);
        if (result >= 0) {
            *done += (uint64_t)result;
            weir__wasi_buffers_skip(buffers, (uint64_t)result);
            *ret_flags = (message.msg_flags & MSG_TRUNC) != 0 ? WASI_RECV_DATA_TRUNCATED : 0;
            if (result == 0 || !wants_all || buffers->total == 0)
                return WASI_E_SUCCESS;
            continue;
        }
        int waited = wait_socket(call, descriptor, result, POLLIN);
        if (waited == WASI_PARK)
            return waited;
        if (waited != WASI_E_SUCCESS)
            return *done > 0 ? WASI_E_SUCCESS : waited;
    }
}

int weir__wasi_sock_recv(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    struct weir__wasi_buffers buffers;
    uint32_t flags = weir__wasi_u32(call, 3);
    uint32_t received_flags = 0;
    int failed = find_socket(call, WASI_RIGHT_FD_READ, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if ((flags & ~(WASI_RECV_PEEK | WASI_RECV_WAITALL)) != 0)
        return WASI_E_INVAL;
    failed =
        weir__wasi_buffers_init(call, weir__wasi_u32(call, 1), weir__wasi_u32(call, 2), &buffers);
    if (failed == WASI_E_SUCCESS)
        failed = receive(call, descriptor, &buffers, flags, &received_flags);
    weir__wasi_buffers_done(call, &buffers);
    if (failed == WASI_E_SUCCESS)
        failed = weir__wasi_put_u32(call, weir__wasi_u32(call, 4),
                                    (uint32_t)call->wasi->park.done_bytes);
    uint16_t narrow = (uint16_t)received_flags;
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_put(call, weir__wasi_u32(call, 5), &narrow, sizeof narrow);
}

int weir__wasi_sock_send(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    struct weir__wasi_buffers buffers;
    uint64_t count = 0;
    int failed = find_socket(call, WASI_RIGHT_FD_WRITE, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (weir__wasi_u32(call, 3) != 0)
        return WASI_E_INVAL;
    failed =
        weir__wasi_buffers_init(call, weir__wasi_u32(call, 1), weir__wasi_u32(call, 2), &buffers);
    if (failed == WASI_E_SUCCESS)
        failed = weir__wasi_write(call, descriptor, &buffers, &count);
    weir__wasi_buffers_done(call, &buffers);
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_put_u32(call, weir__wasi_u32(call, 4), (uint32_t)count);
}

int weir__wasi_sock_shutdown(struct weir__wasi_call *call)
{
    static const int host_how[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};
    struct weir__wasi_descriptor *descriptor;
    uint32_t how = weir__wasi_u32(call, 1);
    int failed = find_socket(call, WASI_RIGHT_SOCK_SHUTDOWN, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (how == 0 || how > (WASI_SHUTDOWN_RD | WASI_SHUTDOWN_WR))
        return WASI_E_INVAL;
    return weir__wasi_errno_of(
        weir_io_shutdown(call->wasi->io, descriptor->host_fd, host_how[how]));
}
