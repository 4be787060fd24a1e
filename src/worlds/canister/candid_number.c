/* Whole numbers of any size, and the names of Candid's types. */
#include "worlds/canister/candid_internal.h"

#include "base/hash.h"

#include <string.h>

static const struct {
    int64_t code;
    const char *name;
    unsigned width;
} types[] = {
    {-1, "null", 0},     {-2, "bool", 0},       {-3, "nat", 0},    {-4, "int", 0},
    {-5, "nat8", 1},     {-6, "nat16", 2},      {-7, "nat32", 4},  {-8, "nat64", 8},
    {-9, "int8", 1},     {-10, "int16", 2},     {-11, "int32", 4}, {-12, "int64", 8},
    {-13, "float32", 0}, {-14, "float64", 0},   {-15, "text", 0},  {-16, "reserved", 0},
    {-17, "empty", 0},   {-24, "principal", 0},
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

const char *weir__candid_type_name(int64_t code)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].code == code)
            return types[i].name;
    return NULL;
}

int64_t weir__candid_type_code(const char *name, size_t size)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (strlen(types[i].name) == size && memcmp(types[i].name, name, size) == 0)
            return types[i].code;
    return 0;
}

unsigned weir__candid_width(int64_t code)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].code == code)
            return types[i].width;
    return 0;
}

static void trim(struct weir__number *number)
{
    while (number->count > 0 && number->words[number->count - 1] == 0)
        number->count--;
    if (number->count == 0)
        number->is_negative = false;
}

/* number = number * factor + digit; there is room for it. */
static void multiply_add(struct weir__number *number, uint32_t factor, uint32_t digit)
{
    uint64_t carry = digit;
    for (uint32_t i = 0; i < number->count; i++) {
        carry += (uint64_t)number->words[i] * factor;
        number->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0)
        number->words[number->count++] = (uint32_t)carry;
}

enum weir_status weir__number_read(const char *digits, size_t size, bool is_hex,
                                   struct weir_arena *arena, struct weir__number *ret_number,
                                   struct weir_error *error)
{
    if (size > WEIR_CANDID_NUMBER_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "a number of %zu digits, at most %u are read", size,
                              WEIR_CANDID_NUMBER_BYTES_MAX);
    /* A digit has at most 4 bits. */
    struct weir__number number = {.words = WEIR_ARENA_ARRAY(arena, uint32_t, size / 8 + 2)};
    if (number.words == NULL)
        return weir__candid_no_memory(error);
    bool has_digit = false;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] == '_' && has_digit)
            continue;
        int value = weir_hex_digit(digits[i]);
        if (value < 0 || (value > 9 && !is_hex))
            return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET, "not a number");
        multiply_add(&number, is_hex ? 16 : 10, (uint32_t)value);
        has_digit = true;
    }
    if (!has_digit)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET, "a number without digits");
    trim(&number);
    *ret_number = number;
    return WEIR_OK;
}

static void negate_bits(struct weir__number *number)
{
    uint64_t carry = 1;
    for (uint32_t i = 0; i < number->count; i++) {
        carry += (uint32_t)~number->words[i];
        number->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

enum weir_status weir__number_decode(struct weir__bytes from, size_t *at, bool is_signed,
                                     struct weir_arena *arena, struct weir__number *ret_number,
                                     struct weir_error *error)
{
    const uint8_t *bytes = from.data;
    size_t size = from.size;
    size_t begin = *at;
    size_t end = begin;
    while (end < size && (bytes[end] & 0x80) != 0 && end - begin < WEIR_CANDID_NUMBER_BYTES_MAX)
        end++;
    if (end == size || (bytes[end] & 0x80) != 0)
        return weir_error_set(error, WEIR_MALFORMED, begin,
                              end == size ? "a number that does not end"
                                          : "a number of too many "
                                            "bytes");
    size_t length = end - begin + 1;
    uint32_t count = (uint32_t)(length * 7 / 32 + 1);
    struct weir__number number = {.words = WEIR_ARENA_ARRAY(arena, uint32_t, count)};
    if (number.words == NULL)
        return weir__candid_no_memory(error);
    number.count = count;
    for (size_t i = 0; i < length; i++) {
        uint64_t part = (uint64_t)(bytes[begin + i] & 0x7f) << (i * 7 % 32);
        number.words[i * 7 / 32] |= (uint32_t)part;
        if (part >> 32 != 0)
            number.words[i * 7 / 32 + 1] |= (uint32_t)(part >> 32);
    }
    if (is_signed && (bytes[end] & 0x40) != 0) {
        for (size_t bit = length * 7; bit < (size_t)count * 32; bit++)
            number.words[bit / 32] |= UINT32_C(1) << (bit % 32);
        negate_bits(&number);
        number.is_negative = true;
    }
    trim(&number);
    *at = end + 1;
    *ret_number = number;
    return WEIR_OK;
}

const char *weir__number_text(const struct weir__number *number, struct weir_arena *arena)
{
    size_t room = (size_t)number->count * 10 + 12;
    char *text = WEIR_ARENA_ARRAY(arena, char, room);
    uint32_t *words = WEIR_ARENA_ARRAY(arena, uint32_t, number->count + 1);
    if (text == NULL || words == NULL)
        return NULL;
    if (number->count != 0)
        memcpy(words, number->words, number->count * sizeof words[0]);
    uint32_t count = number->count;
    size_t at = room - 1;
    do {
        uint64_t rest = 0; /* of dividing by 10^9 */
        for (uint32_t i = count; i > 0; i--) {
            rest = rest << 32 | words[i - 1];
            words[i - 1] = (uint32_t)(rest / 1000000000u);
            rest %= 1000000000u;
        }
        while (count > 0 && words[count - 1] == 0)
            count--;
        for (int digit = 0; digit < 9 && (count > 0 || rest != 0 || digit == 0); digit++) {
            text[--at] = (char)('0' + rest % 10);
            rest /= 10;
        }
    } while (count > 0);
    if (number->is_negative)
        text[--at] = '-';
    return text + at;
}

static unsigned bit_at(const struct weir__number *number, size_t bit)
{
    return bit / 32 < number->count ? number->words[bit / 32] >> (bit % 32) & 1 : 0;
}

/* Two's complement, bit by bit: -x is ~x + 1, so bits above the lowest set one are inverted. */
size_t weir__number_encode(const struct weir__number *number, bool is_signed, uint8_t *to)
{
    size_t bits = (size_t)number->count * 32;
    while (bits > 0 && bit_at(number, bits - 1) == 0)
        bits--;
    size_t lowest = 0;
    while (lowest < bits && bit_at(number, lowest) == 0)
        lowest++;
    bool is_power = lowest + 1 == bits; /* -2^n needs no further bit for the sign */
    size_t needed = is_signed ? bits + (number->is_negative && is_power ? 0 : 1) : bits;
    size_t count = needed == 0 ? 1 : (needed + 6) / 7;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = i + 1 < count ? 0x80 : 0;
        for (unsigned bit = 0; bit < 7; bit++) {
            size_t at = i * 7 + bit;
            unsigned value = bit_at(number, at);
            if (number->is_negative && at > lowest)
                value = !value;
            byte |= (uint8_t)(value << bit);
        }
        to[i] = byte;
    }
    return count;
}

bool weir__number_fits(const struct weir__number *number, unsigned bytes, bool is_signed,
                       uint64_t *ret)
{
    if (number->count > 2 || (number->is_negative && !is_signed))
        return false;
    uint64_t value = number->count > 0 ? number->words[0] : 0;
    if (number->count > 1)
        value |= (uint64_t)number->words[1] << 32;
    unsigned bits = bytes * 8;
    uint64_t max = is_signed ? UINT64_MAX >> (65 - bits) : UINT64_MAX >> (64 - bits);
    if (value > max + (number->is_negative ? 1 : 0))
        return false;
    *ret = number->is_negative ? 0 - value : value;
    return true;
}
