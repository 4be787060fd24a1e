/* Several byte strings in one: each followed by its length as a big-endian u32, so that they are
 * found from the end. */
#include "worlds/contract/contract_internal.h"

#define LENGTH_BYTES 4u

static uint32_t length_before(const uint8_t *end)
{
    return (uint32_t)end[-4] << 24 | (uint32_t)end[-3] << 16 | (uint32_t)end[-2] << 8 | end[-1];
}

const char *weir__contract_sections(struct weir_contract_bytes bytes,
                                    struct weir_contract_bytes *ret_items, uint32_t count_max,
                                    uint32_t *ret_count)
{
    size_t left = bytes.size;
    uint32_t count = 0;
    while (left >= LENGTH_BYTES) {
        uint32_t length = length_before(bytes.data + left);
        left -= LENGTH_BYTES;
        if (length > left)
            return "section length overflow";
        left -= length;
        if (count < count_max)
            ret_items[count] = (struct weir_contract_bytes){bytes.data + left, length};
        count++;
    }
    if (left > 0)
        return "extra data outside of any section";
    *ret_count = count;
    for (uint32_t i = 0; count <= count_max && i < count / 2; i++) {
        struct weir_contract_bytes item = ret_items[i];
        ret_items[i] = ret_items[count - 1 - i];
        ret_items[count - 1 - i] = item;
    }
    return NULL;
}

enum weir_status weir__contract_section_append(struct weir_contract_buffer *buffer,
                                               struct weir_contract_bytes bytes,
                                               struct weir_error *error)
{
    uint32_t size = (uint32_t)bytes.size;
    const uint8_t length[LENGTH_BYTES] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16),
                                          (uint8_t)(size >> 8), (uint8_t)size};
    enum weir_status status = weir_contract_append(buffer, bytes.data, bytes.size, error);
    return status == WEIR_OK ? weir_contract_append(buffer, length, sizeof length, error) : status;
}
