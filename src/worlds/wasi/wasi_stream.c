/* Streams of the host: bytes go through a bounded copy that is charged to the store, because a
 * callback must not touch guest memory itself. */
#include "base/check.h"
#include "worlds/wasi/wasi_internal.h"

#include <string.h>

/* A copy on the C stack while it is small. */
struct bounce {
    uint8_t *bytes;
    size_t size;
    size_t charged;
    uint8_t few[WASI_STACK_COPY_BYTES];
};

static int bounce_init(struct weir_wasi *wasi, uint64_t wanted, struct bounce *ret_bounce)
{
    uint64_t size = wanted;
    if (size > WASI_STREAM_STEP_BYTES)
        size = WASI_STREAM_STEP_BYTES;
    if (size > wasi->host_buffer_bytes)
        size = wasi->host_buffer_bytes;
    ret_bounce->charged = 0;
    ret_bounce->bytes = ret_bounce->few;
    ret_bounce->size = (size_t)size;
    if (size <= sizeof ret_bounce->few)
        return WASI_E_SUCCESS;
    ret_bounce->bytes =
        weir_account_alloc(wasi->account, WEIR_KIND_HOST_BUFFER, (size_t)size, NULL);
    if (ret_bounce->bytes == NULL)
        return WASI_E_NOMEM;
    ret_bounce->charged = (size_t)size;
    return WASI_E_SUCCESS;
}

static void bounce_done(struct weir_wasi *wasi, struct bounce *bounce)
{
    if (bounce->charged > 0)
        weir_account_free(wasi->account, WEIR_KIND_HOST_BUFFER, bounce->bytes, bounce->charged);
}

void weir__wasi_stream_done(struct weir_wasi *wasi, struct weir__wasi_stream *stream)
{
    if (stream->lookahead != NULL)
        weir_account_free(wasi->account, WEIR_KIND_HOST_BUFFER, stream->lookahead,
                          WASI_LOOKAHEAD_BYTES);
    stream->lookahead = NULL;
}

/* PENDING, or OK with 0 at the end. The lookahead comes first. */
static enum weir_status stream_take(struct weir__wasi_stream *stream, void *to, size_t size,
                                    size_t *ret_count)
{
    uint32_t ahead = stream->lookahead_end - stream->lookahead_at;
    if (ahead > 0) {
        size_t part = ahead < size ? ahead : size;
        memcpy(to, stream->lookahead + stream->lookahead_at, part);
        stream->lookahead_at += (uint32_t)part;
        *ret_count = part;
        return WEIR_OK;
    }
    *ret_count = 0;
    if (stream->is_ended)
        return WEIR_OK;
    enum weir_status status = stream->calls.read(stream->calls.context, to, size, ret_count);
    WEIR_ASSERT(status != WEIR_OK || *ret_count <= size);
    if (status == WEIR_OK && *ret_count == 0)
        stream->is_ended = true;
    return status;
}

/* What the guest sees when nothing came or went. */
static int stream_wait(struct weir__wasi_call *call, const struct weir__wasi_descriptor *descriptor)
{
    if ((descriptor->flags & WASI_FDFLAG_NONBLOCK) != 0)
        return WASI_E_AGAIN;
    return weir__wasi_wait(call, NULL, 0, UINT64_MAX, descriptor->stream);
}

int weir__wasi_stream_read(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                           struct weir__wasi_buffers *buffers, uint64_t *ret_count)
{
    struct weir__wasi_stream *stream = &call->wasi->streams[descriptor->stream];
    *ret_count = 0;
    if (buffers->total == 0)
        return WASI_E_SUCCESS;
    struct bounce bounce;
    int failed = bounce_init(call->wasi, buffers->total, &bounce);
    while (failed == WASI_E_SUCCESS && buffers->total > 0) {
        size_t size = buffers->total < bounce.size ? (size_t)buffers->total : bounce.size;
        size_t count = 0;
        enum weir_status status = stream_take(stream, bounce.bytes, size, &count);
        if (status != WEIR_OK || count == 0) {
            if (*ret_count == 0 && status != WEIR_OK)
                failed = status == WEIR_PENDING ? stream_wait(call, descriptor) : WASI_E_IO;
            if (failed != WASI_E_SUCCESS || status == WEIR_OK || *ret_count > 0)
                break;
            continue; /* the wait did not park: look again */
        }
        failed = weir__wasi_buffers_put(call, buffers, bounce.bytes, count);
        weir__wasi_buffers_skip(buffers, count);
        *ret_count += count;
    }
    bounce_done(call->wasi, &bounce);
    return failed;
}

int weir__wasi_stream_write(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                            struct weir__wasi_buffers *buffers, uint64_t *ret_count)
{
    const struct weir_wasi_stream *calls = &call->wasi->streams[descriptor->stream].calls;
    uint64_t *done = &call->wasi->park.done_bytes;
    weir__wasi_buffers_skip(buffers, *done);
    struct bounce bounce;
    int failed = bounce_init(call->wasi, buffers->total, &bounce);
    while (failed == WASI_E_SUCCESS && buffers->total > 0) {
        size_t size = buffers->total < bounce.size ? (size_t)buffers->total : bounce.size;
        failed = weir__wasi_buffers_get(call, buffers, bounce.bytes, size);
        if (failed != WASI_E_SUCCESS)
            break;
        size_t count = 0;
        enum weir_status status = calls->write(calls->context, bounce.bytes, size, &count);
        WEIR_ASSERT(status != WEIR_OK || count <= size);
        if (status == WEIR_OK && count > 0) {
            *done += count;
            weir__wasi_buffers_skip(buffers, count);
        } else if (status == WEIR_OK || status == WEIR_PENDING) {
            failed = stream_wait(call, descriptor);
        } else {
            failed = status == WEIR_STATE || status == WEIR_CANCELLED ? WASI_E_PIPE : WASI_E_IO;
        }
    }
    bounce_done(call->wasi, &bounce);
    *ret_count = *done;
    return failed != WASI_PARK && *done > 0 ? WASI_E_SUCCESS : failed;
}

int weir__wasi_stream_poll(struct weir_wasi *wasi, struct weir__wasi_descriptor *descriptor,
                           bool is_write, bool *ret_is_ready, struct wasi_event *event)
{
    struct weir__wasi_stream *stream = &wasi->streams[descriptor->stream];
    if (is_write) {
        size_t count = 0;
        *ret_is_ready = stream->calls.write(stream->calls.context, "", 0, &count) != WEIR_PENDING;
        return WASI_E_SUCCESS;
    }
    if (stream->lookahead == NULL) {
        stream->lookahead =
            weir_account_alloc(wasi->account, WEIR_KIND_HOST_BUFFER, WASI_LOOKAHEAD_BYTES, NULL);
        if (stream->lookahead == NULL)
            return WASI_E_NOMEM;
    }
    if (stream->lookahead_at == stream->lookahead_end && !stream->is_ended) {
        size_t count = 0;
        enum weir_status status = stream->calls.read(stream->calls.context, stream->lookahead,
                                                     WASI_LOOKAHEAD_BYTES, &count);
        *ret_is_ready = status != WEIR_PENDING;
        if (status != WEIR_OK)
            return status == WEIR_PENDING ? WASI_E_SUCCESS : WASI_E_IO;
        WEIR_ASSERT(count <= WASI_LOOKAHEAD_BYTES);
        stream->lookahead_at = 0;
        stream->lookahead_end = (uint32_t)count;
        stream->is_ended = count == 0;
    }
    *ret_is_ready = true;
    event->byte_count = stream->lookahead_end - stream->lookahead_at;
    if (event->byte_count == 0)
        event->flags = WASI_EVENT_HANGUP;
    return WASI_E_SUCCESS;
}
