/* See filter_buffer.h. A piece is freed when its last byte is taken; splicing copies only what lies
 * in the pieces that are cut. */
#include "worlds/filter/filter_buffer.h"

#include <string.h>

#include "base/check.h"
#include "worlds/filter/filter_limits.h"

static size_t chunk_bytes(const struct weir_filter_chunk *chunk)
{
    return sizeof *chunk + chunk->room;
}

static void free_chunk(const struct weir_filter_buffer *buffer, struct weir_filter_chunk *chunk)
{
    weir_account_free(buffer->account, WEIR_KIND_HOST_BUFFER, chunk, chunk_bytes(chunk));
}

static void link_last(struct weir_filter_buffer *buffer, struct weir_filter_chunk *chunk)
{
    if (buffer->last != NULL)
        buffer->last->next = chunk;
    else
        buffer->first = chunk;
    buffer->last = chunk;
    buffer->size += chunk->end - chunk->begin;
}

static struct weir_filter_chunk *new_chunk(const struct weir_filter_buffer *buffer, size_t size,
                                           struct weir_error *error)
{
    size_t room = size > WEIR_FILTER_CHUNK_BYTES       ? WEIR_FILTER_CHUNK_BYTES
                  : size < WEIR_FILTER_CHUNK_BYTES_MIN ? WEIR_FILTER_CHUNK_BYTES_MIN
                                                       : size;
    struct weir_filter_chunk *chunk =
        weir_account_alloc(buffer->account, WEIR_KIND_HOST_BUFFER, sizeof *chunk + room, error);
    if (chunk != NULL)
        chunk->room = (uint32_t)room;
    return chunk;
}

/* Fills the last piece first. */
enum weir_status weir_filter_buffer_append(struct weir_filter_buffer *buffer, const void *bytes,
                                           size_t size, struct weir_error *error)
{
    const uint8_t *from = bytes;
    struct weir_filter_chunk *last = buffer->last;
    size_t room = last != NULL ? last->room - last->end : 0;
    size_t first = room < size ? room : size;
    struct weir_filter_buffer more = {.account = buffer->account};
    for (size_t done = first; done < size;) {
        struct weir_filter_chunk *chunk = new_chunk(buffer, size - done, error);
        if (chunk == NULL) {
            weir_filter_buffer_clear(&more);
            return WEIR_LIMIT;
        }
        size_t part = chunk->room < size - done ? chunk->room : size - done;
        memcpy(chunk->bytes, from + done, part);
        chunk->end = (uint32_t)part;
        link_last(&more, chunk);
        done += part;
    }
    if (first > 0) {
        memcpy(last->bytes + last->end, from, first);
        last->end += (uint32_t)first;
        buffer->size += first;
    }
    while (more.first != NULL) {
        struct weir_filter_chunk *chunk = more.first;
        more.first = chunk->next;
        chunk->next = NULL;
        link_last(buffer, chunk);
    }
    return WEIR_OK;
}

void weir_filter_buffer_clear(struct weir_filter_buffer *buffer)
{
    while (buffer->first != NULL) {
        struct weir_filter_chunk *chunk = buffer->first;
        buffer->first = chunk->next;
        free_chunk(buffer, chunk);
    }
    buffer->last = NULL;
    buffer->size = 0;
}

size_t weir_filter_buffer_take(struct weir_filter_buffer *buffer, void *to, size_t size)
{
    uint8_t *at = to;
    size_t done = 0;
    while (done < size && buffer->first != NULL) {
        struct weir_filter_chunk *chunk = buffer->first;
        size_t have = chunk->end - chunk->begin;
        size_t part = have < size - done ? have : size - done;
        memcpy(at + done, chunk->bytes + chunk->begin, part);
        chunk->begin += (uint32_t)part;
        done += part;
        if (chunk->begin < chunk->end)
            break;
        buffer->first = chunk->next;
        if (buffer->first == NULL)
            buffer->last = NULL;
        free_chunk(buffer, chunk);
    }
    buffer->size -= done;
    return done;
}

const struct weir_filter_chunk *weir_filter_buffer_at(const struct weir_filter_buffer *buffer,
                                                      uint64_t offset, uint32_t *ret_begin)
{
    for (const struct weir_filter_chunk *chunk = buffer->first; chunk != NULL;
         chunk = chunk->next) {
        uint64_t have = chunk->end - chunk->begin;
        if (offset < have) {
            *ret_begin = chunk->begin + (uint32_t)offset;
            return chunk;
        }
        offset -= have;
    }
    return NULL;
}

enum weir_status weir_filter_buffer_move(struct weir_filter_buffer *to,
                                         struct weir_filter_buffer *from, struct weir_error *error)
{
    if (from->first == NULL)
        return WEIR_OK;
    if (to->account != from->account) {
        uint64_t bytes = 0;
        for (const struct weir_filter_chunk *chunk = from->first; chunk != NULL;
             chunk = chunk->next)
            bytes += chunk_bytes(chunk);
        enum weir_status status =
            weir_account_charge(to->account, WEIR_KIND_HOST_BUFFER, bytes, error);
        if (status != WEIR_OK)
            return status;
        weir_account_discharge(from->account, WEIR_KIND_HOST_BUFFER, bytes);
    }
    if (to->last != NULL)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    to->size += from->size;
    from->first = from->last = NULL;
    from->size = 0;
    return WEIR_OK;
}

/* Cuts the buffer behind `size` bytes; what follows is in *ret_rest. */
static enum weir_status cut(struct weir_filter_buffer *buffer, uint64_t size,
                            struct weir_filter_buffer *ret_rest, struct weir_error *error)
{
    *ret_rest = (struct weir_filter_buffer){.account = buffer->account};
    struct weir_filter_chunk *previous = NULL, *chunk = buffer->first;
    uint64_t before = 0;
    while (chunk != NULL && before + (chunk->end - chunk->begin) <= size) {
        before += chunk->end - chunk->begin;
        previous = chunk;
        chunk = chunk->next;
    }
    if (chunk == NULL)
        return WEIR_OK;
    if (before < size) { /* in the midst of a piece */
        uint32_t kept = (uint32_t)(size - before);
        uint32_t from = chunk->begin + kept;
        enum weir_status status =
            weir_filter_buffer_append(ret_rest, chunk->bytes + from, chunk->end - from, error);
        if (status != WEIR_OK)
            return status;
        chunk->end = from;
        previous = chunk;
        chunk = chunk->next;
    }
    if (chunk != NULL) {
        if (ret_rest->last != NULL)
            ret_rest->last->next = chunk;
        else
            ret_rest->first = chunk;
        ret_rest->last = buffer->last;
    }
    if (previous != NULL)
        previous->next = NULL;
    else
        buffer->first = NULL;
    buffer->last = previous;
    ret_rest->size = buffer->size - size;
    buffer->size = size;
    return WEIR_OK;
}

enum weir_status weir_filter_buffer_splice(struct weir_filter_buffer *buffer, uint64_t start,
                                           uint64_t size, struct weir_filter_text text,
                                           struct weir_error *error)
{
    if (start > buffer->size)
        start = buffer->size;
    if (size > buffer->size - start)
        size = buffer->size - start;
    struct weir_filter_buffer fresh = {.account = buffer->account};
    enum weir_status status = weir_filter_buffer_append(&fresh, text.bytes, text.size, error);
    struct weir_filter_buffer rest, tail;
    if (status == WEIR_OK)
        status = cut(buffer, start, &rest, error);
    if (status != WEIR_OK) {
        weir_filter_buffer_clear(&fresh);
        return status;
    }
    status = cut(&rest, size, &tail, error);
    if (status == WEIR_OK)
        weir_filter_buffer_clear(&rest);
    else
        weir_filter_buffer_clear(&fresh);
    struct weir_filter_buffer *const parts[] = {status == WEIR_OK ? &fresh : &rest,
                                                status == WEIR_OK ? &tail : &fresh};
    for (size_t i = 0; i < 2; i++) { /* of one account: nothing is charged */
        enum weir_status moved = weir_filter_buffer_move(buffer, parts[i], NULL);
        WEIR_ASSERT(moved == WEIR_OK);
    }
    return status;
}
