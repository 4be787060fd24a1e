/* Bytes and sizes: little-endian access without alignment, arithmetic that says when it overflows
 * or stays at the end of its range, rounding to powers of two. Everything is inline and free of
 * side effects. */
#ifndef WEIR_BASE_BYTES_H
#define WEIR_BASE_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "readers copy bytes as they are");

static inline uint16_t weir_load_u16(const void *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t weir_load_u32(const void *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint64_t weir_load_u64(const void *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline void weir_store_u16(void *bytes, uint16_t value)
{
    memcpy(bytes, &value, sizeof value);
}

static inline void weir_store_u32(void *bytes, uint32_t value)
{
    memcpy(bytes, &value, sizeof value);
}

static inline void weir_store_u64(void *bytes, uint64_t value)
{
    memcpy(bytes, &value, sizeof value);
}

/* False on overflow; *ret_sum is untouched then. */
static inline bool weir_add_u64(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret_sum = sum;
    return true;
}

static inline bool weir_mul_u64(uint64_t a, uint64_t b, uint64_t *ret_product)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret_product = product;
    return true;
}

static inline bool weir_add_size(size_t a, size_t b, size_t *ret_sum)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret_sum = sum;
    return true;
}

static inline bool weir_mul_size(size_t a, size_t b, size_t *ret_product)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret_product = product;
    return true;
}

/* Saturating: what does not fit is UINT64_MAX, what would be negative is 0. */
static inline uint64_t weir_add_sat(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t weir_sub_sat(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static inline uint64_t weir_mul_sat(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static inline bool weir_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* `align` is a power of two. The caller knows that value + align does not overflow, or asks
 * weir_align_up_checked(). */
static inline uint64_t weir_align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

static inline uint64_t weir_align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

static inline bool weir_align_up_checked(uint64_t value, uint64_t align, uint64_t *ret_aligned)
{
    uint64_t sum;
    if (!weir_add_u64(value, align - 1, &sum))
        return false;
    *ret_aligned = sum & ~(align - 1);
    return true;
}

/* [offset, offset + length) lies inside `size` bytes. */
static inline bool weir_range_fits(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

#endif
