/* poll_oneoff: waits for the first of many things. Subscriptions are copied in once (charged), each
 * round asks all of them, and what is ready is handed out together. A retry starts over with the
 * same start time, so a relative timeout does not grow. */
#include "worlds/wasi/wasi_internal.h"

#include <sys/ioctl.h>

/* What a poll keeps on the host while it waits: one allocation. */
struct waiting {
    struct wasi_subscription *subscriptions;
    struct pollfd *fds; /* host descriptors that are not ready by nature */
    uint32_t *fd_owner; /* the subscription of fds[i] */
    uint32_t count;
    uint32_t fd_count;
    uint32_t event_count;
    uint32_t events_at; /* in guest memory */
    uint64_t wake_ns;   /* of the next clock; UINT64_MAX without */
    int stream;         /* a stream that is waited for, or -1 */
};

#define BYTES_EACH (sizeof(struct wasi_subscription) + sizeof(struct pollfd) + sizeof(uint32_t))

static int put_event(struct weir__wasi_call *call, struct waiting *waiting, uint32_t index,
                     struct wasi_event *event)
{
    event->userdata = waiting->subscriptions[index].userdata;
    event->type = waiting->subscriptions[index].tag;
    int failed =
        weir__wasi_put(call, waiting->events_at + waiting->event_count * (uint32_t)sizeof *event,
                       event, sizeof *event);
    waiting->event_count++;
    return failed;
}

static int put_error(struct weir__wasi_call *call, struct waiting *waiting, uint32_t index,
                     int wasi_errno)
{
    struct wasi_event event = {.error = (uint16_t)wasi_errno};
    return put_event(call, waiting, index, &event);
}

/* The monotonic instant at which a clock's subscription is due. */
static int due_ns(struct weir__wasi_call *call, const struct wasi_subscription_clock *clock,
                  uint64_t *ret_due_ns)
{
    const struct weir_wasi *wasi = call->wasi;
    uint64_t clock_now;
    if ((clock->flags & ~WASI_SUBCLOCK_ABSTIME) != 0)
        return WASI_E_INVAL;
    int failed = weir__wasi_clock_ns(wasi, clock->id, &clock_now);
    if (failed != WASI_E_SUCCESS)
        return failed;
    uint64_t from = wasi->park.started_ns;
    uint64_t left = clock->timeout_ns;
    if ((clock->flags & WASI_SUBCLOCK_ABSTIME) != 0) {
        from = weir__wasi_now_ns(wasi);
        left = clock->timeout_ns > clock_now ? clock->timeout_ns - clock_now : 0;
    }
    if (__builtin_add_overflow(from, left, ret_due_ns))
        *ret_due_ns = UINT64_MAX;
    return WASI_E_SUCCESS;
}

/* Where time stands still, every clock is due at once. */
static int look_at_clock(struct weir__wasi_call *call, struct waiting *waiting, uint32_t index)
{
    uint64_t due;
    int failed = due_ns(call, &waiting->subscriptions[index].clock, &due);
    if (failed != WASI_E_SUCCESS)
        return put_error(call, waiting, index, failed);
    if (due <= weir__wasi_now_ns(call->wasi) || call->wasi->is_deterministic) {
        struct wasi_event event = {0};
        return put_event(call, waiting, index, &event);
    }
    waiting->wake_ns = due < waiting->wake_ns ? due : waiting->wake_ns;
    return WASI_E_SUCCESS;
}

/* Files never wait: what is left to read. */
static int put_file_event(struct weir__wasi_call *call, struct waiting *waiting, uint32_t index,
                          const struct weir__wasi_descriptor *descriptor)
{
    struct wasi_event event = {0};
    struct stat stat;
    if (descriptor->backing == WASI_HOST && descriptor->filetype == WASI_FILETYPE_REGULAR_FILE &&
        waiting->subscriptions[index].tag == WASI_EVENT_FD_READ) {
        struct weir_io *io = call->wasi->io;
        int64_t position = weir_io_lseek(io, descriptor->host_fd, 0, SEEK_CUR);
        if (position >= 0 && weir_io_fstat(io, descriptor->host_fd, &stat) == 0 &&
            stat.st_size > position)
            event.byte_count = (uint64_t)(stat.st_size - position);
    } else if (descriptor->backing == WASI_NONE &&
               waiting->subscriptions[index].tag == WASI_EVENT_FD_READ) {
        event.flags = WASI_EVENT_HANGUP;
    }
    return put_event(call, waiting, index, &event);
}

static int look_at_stream(struct weir__wasi_call *call, struct waiting *waiting, uint32_t index,
                          struct weir__wasi_descriptor *descriptor)
{
    struct wasi_event event = {0};
    bool is_ready = false;
    int failed = weir__wasi_stream_poll(call->wasi, descriptor,
                                        waiting->subscriptions[index].tag == WASI_EVENT_FD_WRITE,
                                        &is_ready, &event);
    if (failed != WASI_E_SUCCESS)
        return put_error(call, waiting, index, failed);
    if (is_ready)
        return put_event(call, waiting, index, &event);
    waiting->stream = descriptor->stream;
    return WASI_E_SUCCESS;
}

static int look_at_fd(struct weir__wasi_call *call, struct waiting *waiting, uint32_t index)
{
    const struct wasi_subscription *subscription = &waiting->subscriptions[index];
    bool is_write = subscription->tag == WASI_EVENT_FD_WRITE;
    struct weir__wasi_descriptor *descriptor;
    int failed = weir__wasi_find(call, subscription->fd, WASI_RIGHT_POLL_FD_READWRITE, &descriptor);
    if (failed == WASI_E_SUCCESS && descriptor->backing == WASI_STREAM &&
        (descriptor->rights_base & (is_write ? WASI_RIGHT_FD_WRITE : WASI_RIGHT_FD_READ)) == 0)
        failed = WASI_E_NOTCAPABLE;
    if (failed != WASI_E_SUCCESS)
        return put_error(call, waiting, index, failed);
    if (!descriptor->may_wait)
        return put_file_event(call, waiting, index, descriptor);
    if (descriptor->backing == WASI_STREAM)
        return look_at_stream(call, waiting, index, descriptor);
    waiting->fds[waiting->fd_count] =
        (struct pollfd){.fd = descriptor->host_fd, .events = is_write ? POLLOUT : POLLIN};
    waiting->fd_owner[waiting->fd_count++] = index;
    return WASI_E_SUCCESS;
}

static int put_polled(struct weir__wasi_call *call, struct waiting *waiting)
{
    int failed = WASI_E_SUCCESS;
    for (uint32_t i = 0; failed == WASI_E_SUCCESS && i < waiting->fd_count; i++) {
        const struct pollfd *fd = &waiting->fds[i];
        struct wasi_event event = {0};
        int bytes = 0;
        if (fd->revents == 0)
            continue;
        if ((fd->revents & POLLNVAL) != 0)
            event.error = WASI_E_BADF;
        if ((fd->revents & POLLHUP) != 0)
            event.flags = WASI_EVENT_HANGUP;
        if ((fd->revents & POLLIN) != 0 && ioctl(fd->fd, FIONREAD, &bytes) == 0 && bytes > 0)
            event.byte_count = (uint64_t)bytes;
        failed = put_event(call, waiting, waiting->fd_owner[i], &event);
    }
    return failed;
}

/* Asks every subscription once. */
static int look(struct weir__wasi_call *call, struct waiting *waiting)
{
    int failed = WASI_E_SUCCESS;
    waiting->fd_count = 0;
    waiting->wake_ns = UINT64_MAX;
    waiting->stream = -1;
    for (uint32_t i = 0; failed == WASI_E_SUCCESS && i < waiting->count; i++) {
        switch (waiting->subscriptions[i].tag) {
        case WASI_EVENT_CLOCK:
            failed = look_at_clock(call, waiting, i);
            break;
        case WASI_EVENT_FD_READ:
        case WASI_EVENT_FD_WRITE:
            failed = look_at_fd(call, waiting, i);
            break;
        default:
            failed = WASI_E_INVAL;
            break;
        }
    }
    if (failed != WASI_E_SUCCESS || waiting->fd_count == 0)
        return failed;
    long result = WASI_RETRY(weir_io_poll(call->wasi->io, waiting->fds, waiting->fd_count, 0));
    return result < 0 ? weir__wasi_errno_of(result) : put_polled(call, waiting);
}

static int wait_for_first(struct weir__wasi_call *call, struct waiting *waiting)
{
    if (call->wasi->park.started_ns == 0)
        call->wasi->park.started_ns = weir__wasi_now_ns(call->wasi);
    for (;;) {
        int failed = look(call, waiting);
        if (failed != WASI_E_SUCCESS || waiting->event_count > 0)
            return failed;
        failed = weir__wasi_wait(call, waiting->fds, waiting->fd_count, waiting->wake_ns,
                                 waiting->stream);
        if (failed != WASI_E_SUCCESS)
            return failed;
    }
}

static int get_subscriptions(struct weir__wasi_call *call, uint32_t address, uint32_t count,
                             struct wasi_subscription *ret_subscriptions)
{
    return weir__wasi_get(call, address, ret_subscriptions, count * sizeof *ret_subscriptions);
}

int weir__wasi_poll_oneoff(struct weir__wasi_call *call)
{
    return weir__wasi_poll(call, get_subscriptions);
}

int weir__wasi_poll(struct weir__wasi_call *call, weir__wasi_get_subscriptions *get)
{
    struct weir_wasi *wasi = call->wasi;
    uint32_t count = weir__wasi_u32(call, 2);
    if (count == 0 || count > WASI_SUBSCRIPTIONS_MAX)
        return WASI_E_INVAL;
    struct waiting waiting = {.count = count, .events_at = weir__wasi_u32(call, 1)};
    if (waiting.events_at > UINT32_MAX - count * sizeof(struct wasi_event))
        return WASI_E_FAULT;
    size_t bytes = count * BYTES_EACH;
    uint8_t *block = weir_account_alloc(wasi->account, WEIR_KIND_HOST_BUFFER, bytes, NULL);
    if (block == NULL)
        return WASI_E_NOMEM;
    waiting.subscriptions = (struct wasi_subscription *)(void *)block;
    waiting.fds = (struct pollfd *)(void *)(waiting.subscriptions + count);
    waiting.fd_owner = (uint32_t *)(void *)(waiting.fds + count);
    int failed = get(call, weir__wasi_u32(call, 0), count, waiting.subscriptions);
    if (failed == WASI_E_SUCCESS)
        failed = wait_for_first(call, &waiting);
    weir_account_free(wasi->account, WEIR_KIND_HOST_BUFFER, block, bytes);
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_put_u32(call, weir__wasi_u32(call, 3), waiting.event_count);
}
