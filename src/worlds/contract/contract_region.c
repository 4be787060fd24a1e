/* Regions: twelve bytes in the contract's memory that say where data is. The contract makes them
 * and may lie; each is checked before it is followed, and nothing is followed without the copy
 * primitive's own bounds check. */
#include "base/bytes.h"
#include "worlds/contract/contract_internal.h"

#include <stdio.h>

#define REGION_BYTES 12u
/* Reading this much or less costs a base and little per byte; more only per byte, but more. */
#define SMALL_READ_MAX 8000000u

static const struct weir__contract_price read_small = {200000, 115};
static const struct weir__contract_price read_large = {0, 520};

#define COMMUNICATION "Error in guest/host communication: "

const char *weir__contract_region_check(const struct weir__contract_region *region, char *text,
                                        size_t size)
{
    if (region->offset == 0)
        return "Got a zero Wasm address in the offset";
    if (region->length > region->capacity)
        (void)snprintf(text, size, "Region length exceeds capacity. Length %u, capacity %u",
                       region->length, region->capacity);
    else if (region->capacity > UINT32_MAX - region->offset)
        (void)snprintf(text, size, "Region exceeds address space. Offset %u, capacity %u",
                       region->offset, region->capacity);
    else
        return NULL;
    return text;
}

static enum weir_status get_region(struct weir_contract_run *run, uint32_t pointer,
                                   struct weir__contract_region *ret_region)
{
    uint8_t bytes[REGION_BYTES];
    if (weir_memory_read(run->memory, pointer, bytes, sizeof bytes) != WEIR_OK)
        return weir__contract_fail(run,
                                   COMMUNICATION "The Wasm memory address %u provided by the "
                                                 "contract could not be dereferenced: Could not "
                                                 "dereference this pointer to a Region",
                                   pointer);
    struct weir__contract_region region = {weir_load_u32(bytes), weir_load_u32(bytes + 4),
                                           weir_load_u32(bytes + 8)};
    char text[96];
    const char *problem = weir__contract_region_check(&region, text, sizeof text);
    if (problem != NULL)
        return weir__contract_fail(run, COMMUNICATION "Got an invalid region: %s", problem);
    *ret_region = region;
    return WEIR_OK;
}

static enum weir_status fail_access(struct weir_contract_run *run,
                                    const struct weir__contract_region *region)
{
    return weir__contract_fail(
        run,
        COMMUNICATION "Tried to access memory of region Region { offset: %u, capacity: %u, "
                      "length: %u } in Wasm memory of size %llu bytes. This typically happens when "
                      "the given Region pointer does not point to a proper Region struct.",
        region->offset, region->capacity, region->length,
        (unsigned long long)weir_memory_bytes(run->memory));
}

/* `stored`: what is about to be written to the storage, of which upstream speaks in other words. */
static enum weir_status read_region(struct weir_contract_run *run, uint32_t pointer,
                                    uint32_t length_max, const char *stored,
                                    struct weir_contract_buffer *buffer)
{
    struct weir__contract_region region;
    enum weir_status status = get_region(run, pointer, &region);
    if (status == WEIR_OK)
        status = weir__contract_charge_items(
            run, region.length <= SMALL_READ_MAX ? read_small : read_large, region.length);
    if (status != WEIR_OK)
        return status;
    if (region.length > length_max && stored != NULL)
        return weir__contract_fail(run,
                                   "Generic error: %s too big. Tried to write %u bytes to "
                                   "storage, limit is %u.",
                                   stored, region.length, length_max);
    if (region.length > length_max)
        return weir__contract_fail(run, COMMUNICATION "Region length too big. Got %u, limit %u",
                                   region.length, length_max);
    if (!weir_range_fits(region.offset, region.length, weir_memory_bytes(run->memory)))
        return fail_access(run, &region); /* before room is made for it */
    status = weir_contract_reserve(buffer, region.length, &run->error);
    if (status != WEIR_OK)
        return weir__contract_host_failed(run, status);
    if (weir_memory_read(run->memory, region.offset, buffer->data, region.length) != WEIR_OK)
        return fail_access(run, &region);
    buffer->size = region.length;
    return WEIR_OK;
}

enum weir_status weir__contract_read(struct weir_contract_run *run, uint32_t pointer,
                                     uint32_t length_max, struct weir_contract_buffer *buffer)
{
    return read_region(run, pointer, length_max, NULL, buffer);
}

enum weir_status weir__contract_read_stored(struct weir_contract_run *run, uint32_t pointer,
                                            uint32_t length_max, const char *what,
                                            struct weir_contract_buffer *buffer)
{
    return read_region(run, pointer, length_max, what, buffer);
}

enum weir_status weir__contract_write(struct weir_contract_run *run, uint32_t pointer,
                                      struct weir_contract_bytes bytes)
{
    struct weir__contract_region region;
    enum weir_status status = get_region(run, pointer, &region);
    if (status == WEIR_OK)
        status = weir__contract_charge_items(run, weir__contract_write_price, bytes.size);
    if (status != WEIR_OK)
        return status;
    if (bytes.size > region.capacity)
        return weir__contract_fail(run, COMMUNICATION "Region too small. Got %u, required %zu",
                                   region.capacity, bytes.size);
    if (weir_memory_write(run->memory, region.offset, bytes.data, bytes.size) != WEIR_OK)
        return fail_access(run, &region);
    /* Written whole, as upstream does: the data may have been written over the Region itself. */
    uint8_t record[REGION_BYTES];
    weir_store_u32(record, region.offset);
    weir_store_u32(record + 4, region.capacity);
    weir_store_u32(record + 8, (uint32_t)bytes.size);
    if (weir_memory_write(run->memory, pointer, record, sizeof record) != WEIR_OK)
        return fail_access(run, &region);
    return WEIR_OK;
}

enum weir_status weir__contract_give(struct weir_contract_run *run,
                                     struct weir_contract_bytes bytes, uint32_t *ret_pointer)
{
    if (bytes.size > INT32_MAX)
        return weir__contract_fail(run, "Couldn't convert from usize to u32. Input: %zu",
                                   bytes.size);
    const union weir_value size = {.i32 = (int32_t)bytes.size};
    union weir_value pointer = {0};
    enum weir_status status = weir__contract_enter(run, run->allocate, &size, &pointer);
    if (status == WEIR_OK && pointer.i32 == 0)
        status = weir__contract_fail(run, COMMUNICATION "Got a zero Wasm address");
    if (status == WEIR_OK)
        status = weir__contract_write(run, (uint32_t)pointer.i32, bytes);
    if (status == WEIR_OK)
        *ret_pointer = (uint32_t)pointer.i32;
    return status;
}
