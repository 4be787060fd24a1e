/* Guest memory: small values by the copy primitive, vectors as addresses for system calls.
 * Nothing here dereferences a guest's pointer. */
#include "worlds/wasi/wasi_internal.h"

int weir__wasi_get(const struct weir__wasi_call *call, uint32_t address, void *to, size_t size)
{
    if (call->memory == NULL)
        return WASI_E_FAULT;
    return weir__wasi_errno_of_status(weir_memory_read(call->memory, address, to, size));
}

int weir__wasi_put(const struct weir__wasi_call *call, uint32_t address, const void *from,
                   size_t size)
{
    if (call->memory == NULL)
        return WASI_E_FAULT;
    return weir__wasi_errno_of_status(weir_memory_write(call->memory, address, from, size));
}

int weir__wasi_put_u32(const struct weir__wasi_call *call, uint32_t address, uint32_t value)
{
    return weir__wasi_put(call, address, &value, sizeof value);
}

int weir__wasi_put_u64(const struct weir__wasi_call *call, uint32_t address, uint64_t value)
{
    return weir__wasi_put(call, address, &value, sizeof value);
}

/* Guest vectors are read in pieces into `piece`; each becomes one of the host's. */
static int translate(struct weir__wasi_call *call, uint32_t address, uint32_t count,
                     struct weir__wasi_buffers *buffers)
{
    struct wasi_iovec piece[WASI_IOVECS_INLINE];
    for (uint32_t at = 0; at < count;) {
        uint32_t size = count - at < WASI_IOVECS_INLINE ? count - at : WASI_IOVECS_INLINE;
        uint64_t from = (uint64_t)address + (uint64_t)at * sizeof piece[0];
        if (from > UINT32_MAX)
            return WASI_E_FAULT;
        int fault = weir__wasi_get(call, (uint32_t)from, piece, size * sizeof piece[0]);
        if (fault != WASI_E_SUCCESS)
            return fault;
        for (uint32_t i = 0; i < size; i++) {
            if (piece[i].size == 0)
                continue;
            uint8_t *bytes = weir_memory_at(call->memory, piece[i].address, piece[i].size);
            if (bytes == NULL)
                return WASI_E_FAULT;
            buffers->total += piece[i].size;
            if (buffers->total > UINT32_MAX)
                return WASI_E_INVAL;
            buffers->vectors[buffers->count++] =
                (struct iovec){.iov_base = bytes, .iov_len = piece[i].size};
        }
        at += size;
    }
    return WASI_E_SUCCESS;
}

int weir__wasi_buffers_init(struct weir__wasi_call *call, uint32_t address, uint32_t count,
                            struct weir__wasi_buffers *ret_buffers)
{
    ret_buffers->vectors = ret_buffers->few;
    ret_buffers->count = 0;
    ret_buffers->total = 0;
    ret_buffers->owned = NULL;
    ret_buffers->owned_bytes = 0;
    if (count > WASI_IOVECS_MAX)
        return WASI_E_INVAL;
    if (count > WASI_IOVECS_INLINE) {
        size_t bytes = count * sizeof(struct iovec);
        ret_buffers->owned =
            weir_account_alloc(call->wasi->account, WEIR_KIND_HOST_BUFFER, bytes, NULL);
        if (ret_buffers->owned == NULL)
            return WASI_E_NOMEM;
        ret_buffers->owned_bytes = bytes;
        ret_buffers->vectors = ret_buffers->owned;
    }
    return translate(call, address, count, ret_buffers);
}

void weir__wasi_buffers_done(struct weir__wasi_call *call, struct weir__wasi_buffers *buffers)
{
    if (buffers->owned != NULL)
        weir_account_free(call->wasi->account, WEIR_KIND_HOST_BUFFER, buffers->owned,
                          buffers->owned_bytes);
    buffers->owned = NULL;
}

void weir__wasi_buffers_skip(struct weir__wasi_buffers *buffers, uint64_t bytes)
{
    buffers->total -= bytes;
    while (bytes > 0) {
        struct iovec *first = &buffers->vectors[0];
        if (bytes < first->iov_len) {
            first->iov_base = (uint8_t *)first->iov_base + bytes;
            first->iov_len -= (size_t)bytes;
            return;
        }
        bytes -= first->iov_len;
        buffers->vectors++;
        buffers->count--;
    }
}

int weir__wasi_buffers_head(const struct weir__wasi_buffers *buffers, uint64_t bytes_max,
                            struct iovec head[WASI_IOVECS_INLINE])
{
    int count = 0;
    for (size_t i = 0; i < buffers->count && count < (int)WASI_IOVECS_INLINE; i++) {
        struct iovec vector = buffers->vectors[i];
        if (vector.iov_len > bytes_max)
            vector.iov_len = (size_t)bytes_max;
        if (vector.iov_len == 0)
            break;
        head[count++] = vector;
        bytes_max -= vector.iov_len;
    }
    return count;
}

/* Copies through the copy primitive, which takes addresses; a vector's follows from the base. */
static int copy(const struct weir__wasi_call *call, const struct weir__wasi_buffers *buffers,
                void *bytes, size_t size, bool is_put)
{
    const uint8_t *base = weir_memory_at(call->memory, 0, 0);
    uint8_t *at = bytes;
    for (size_t i = 0; i < buffers->count && size > 0; i++) {
        const struct iovec *vector = &buffers->vectors[i];
        size_t part = vector->iov_len < size ? vector->iov_len : size;
        uint64_t address = (uint64_t)((const uint8_t *)vector->iov_base - base);
        enum weir_status status = is_put ? weir_memory_write(call->memory, address, at, part)
                                         : weir_memory_read(call->memory, address, at, part);
        if (status != WEIR_OK)
            return weir__wasi_errno_of_status(status);
        at += part;
        size -= part;
    }
    return WASI_E_SUCCESS;
}

int weir__wasi_buffers_put(const struct weir__wasi_call *call,
                           const struct weir__wasi_buffers *buffers, const void *copy_bytes,
                           size_t size)
{
    return copy(call, buffers, (void *)(uintptr_t)copy_bytes, size, true);
}

int weir__wasi_buffers_get(const struct weir__wasi_call *call,
                           const struct weir__wasi_buffers *buffers, void *copy_bytes, size_t size)
{
    return copy(call, buffers, copy_bytes, size, false);
}
