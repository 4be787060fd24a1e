/* Buffers that grow by doubling. */
#include "worlds/contract/contract_storage.h"

#include "base/bytes.h"

#define FIRST_BYTES 64u

enum weir_status weir_contract_reserve(struct weir_contract_buffer *buffer, size_t size,
                                       struct weir_error *error)
{
    if (size <= buffer->capacity)
        return WEIR_OK;
    size_t capacity = buffer->capacity != 0 ? buffer->capacity : FIRST_BYTES;
    while (capacity < size)
        if (!weir_mul_size(capacity, 2, &capacity))
            capacity = size;
    struct weir_error local = {0};
    struct weir_error *report = error != NULL ? error : &local;
    uint8_t *data = weir_account_alloc(buffer->account, WEIR_KIND_HOST_BUFFER, capacity, report);
    if (data == NULL) {
        enum weir_status status = report->status;
        weir_error_done(&local);
        return status;
    }
    if (buffer->size > 0)
        memcpy(data, buffer->data, buffer->size);
    weir_account_free(buffer->account, WEIR_KIND_HOST_BUFFER, buffer->data, buffer->capacity);
    buffer->data = data;
    buffer->capacity = capacity;
    return WEIR_OK;
}

enum weir_status weir_contract_append(struct weir_contract_buffer *buffer, const void *bytes,
                                      size_t size, struct weir_error *error)
{
    size_t whole;
    if (!weir_add_size(buffer->size, size, &whole))
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "a buffer of %zu + %zu bytes",
                              buffer->size, size);
    enum weir_status status = weir_contract_reserve(buffer, whole, error);
    if (status == WEIR_OK && size > 0)
        memcpy(buffer->data + buffer->size, bytes, size);
    if (status == WEIR_OK)
        buffer->size = whole;
    return status;
}

void weir_contract_buffer_done(struct weir_contract_buffer *buffer)
{
    if (buffer->data != NULL)
        weir_account_free(buffer->account, WEIR_KIND_HOST_BUFFER, buffer->data, buffer->capacity);
    buffer->data = NULL;
    buffer->size = 0;
    buffer->capacity = 0;
}
