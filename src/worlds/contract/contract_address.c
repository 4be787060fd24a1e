/* Bech32: five-bit groups and a checksum over prefix and groups (BIP 173), without its limit of 90
 * characters, which the Cosmos SDK does not know either. */
#include "worlds/contract/contract_address.h"

#include "base/hash.h"

#include <string.h>

#define PREFIX_MAX 83u
#define CHECK_GROUPS 6u

static const char ALPHABET[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t step(uint32_t sum, unsigned value)
{
    static const uint32_t GENERATOR[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                         0x2a1462b3};
    uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (unsigned i = 0; i < 5; i++)
        sum ^= (top >> i & 1) != 0 ? GENERATOR[i] : 0;
    return sum;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static uint32_t begin(const char *prefix, size_t length)
{
    uint32_t sum = 1;
    for (size_t i = 0; i < length; i++)
        sum = step(sum, (unsigned)lower(prefix[i]) >> 5);
    sum = step(sum, 0);
    for (size_t i = 0; i < length; i++)
        sum = step(sum, (unsigned)lower(prefix[i]) & 31);
    return sum;
}

static bool is_prefix(const char *prefix, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (prefix[i] < 33 || prefix[i] > 126)
            return false;
    return length > 0 && length <= PREFIX_MAX;
}

bool weir_address_write(const char *prefix, const uint8_t *bytes, size_t size,
                        struct weir_address_text *ret_text)
{
    size_t length = strlen(prefix);
    if (!is_prefix(prefix, length) || size == 0 || size > WEIR_ADDRESS_BYTES_MAX)
        return false;
    char *out = ret_text->text;
    for (size_t i = 0; i < length; i++)
        *out++ = lower(prefix[i]);
    *out++ = '1';
    uint32_t sum = begin(prefix, length);
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < size; i++) {
        held = (held << 8 | bytes[i]) & 0xfff;
        for (bits += 8; bits >= 5;) {
            bits -= 5;
            unsigned group = held >> bits & 31;
            sum = step(sum, group);
            *out++ = ALPHABET[group];
        }
    }
    if (bits > 0) {
        unsigned group = held << (5 - bits) & 31;
        sum = step(sum, group);
        *out++ = ALPHABET[group];
    }
    for (unsigned i = 0; i < CHECK_GROUPS; i++)
        sum = step(sum, 0);
    sum ^= 1;
    for (unsigned i = 0; i < CHECK_GROUPS; i++)
        *out++ = ALPHABET[sum >> (5 * (CHECK_GROUPS - 1 - i)) & 31];
    *out = 0;
    return true;
}

static bool has_one_case(const char *text, size_t length)
{
    bool has_upper = false, has_lower = false;
    for (size_t i = 0; i < length; i++) {
        has_upper |= text[i] >= 'A' && text[i] <= 'Z';
        has_lower |= text[i] >= 'a' && text[i] <= 'z';
    }
    return !has_upper || !has_lower;
}

/* The groups behind the separator, checksum included, go to `groups`; false: not bech32. */
static bool read_groups(const char *text, size_t length, size_t separator, uint8_t *groups)
{
    uint32_t sum = begin(text, separator);
    for (size_t i = separator + 1; i < length; i++) {
        const char *at = text[i] != 0 ? strchr(ALPHABET, lower(text[i])) : NULL;
        if (at == NULL)
            return false;
        groups[i - separator - 1] = (uint8_t)(at - ALPHABET);
        sum = step(sum, groups[i - separator - 1]);
    }
    return sum == 1;
}

static bool is_same_prefix(const char *prefix, const char *text, size_t length)
{
    if (strlen(prefix) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (lower(prefix[i]) != lower(text[i]))
            return false;
    return true;
}

const char *weir_address_read(const char *prefix, const char *text, size_t length,
                              uint8_t ret_bytes[WEIR_ADDRESS_BYTES_MAX], size_t *ret_size)
{
    static const char BROKEN[] = "Error decoding bech32";
    uint8_t groups[WEIR_ADDRESS_TEXT_MAX];
    const char *last = length < WEIR_ADDRESS_TEXT_MAX ? memrchr(text, '1', length) : NULL;
    size_t separator = last != NULL ? (size_t)(last - text) : 0;
    if (last == NULL || !is_prefix(text, separator) || length - separator - 1 < CHECK_GROUPS ||
        !has_one_case(text, length) || !read_groups(text, length, separator, groups))
        return BROKEN;
    size_t count = length - separator - 1 - CHECK_GROUPS;
    size_t size = count * 5 / 8;
    unsigned padding = (unsigned)(count * 5 % 8);
    if (padding > 4 || (padding > 0 && (groups[count - 1] & ((1u << padding) - 1)) != 0))
        return BROKEN;
    if (!is_same_prefix(prefix, text, separator))
        return "Wrong bech32 prefix";
    if (size == 0 || size > WEIR_ADDRESS_BYTES_MAX)
        return "Invalid canonical address length";
    uint32_t held = 0;
    unsigned bits = 0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        held = (held << 5 | groups[i]) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            ret_bytes[used++] = (uint8_t)(held >> bits);
        }
    }
    *ret_size = size;
    return NULL;
}

bool weir_address_of_name(const char *prefix, const char *name, struct weir_address_text *ret_text)
{
    struct weir_hash hash;
    return weir_hash_bytes(name, strlen(name), &hash, NULL) == WEIR_OK &&
           weir_address_write(prefix, hash.bytes, sizeof hash.bytes, ret_text);
}
