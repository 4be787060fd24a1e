/* See principal.h. The checksum is CRC-32 as zlib computes it, most significant byte first. */
#include "worlds/canister/principal.h"

#include <string.h>
#include <zlib.h>

static const char ALPHABET[] = "abcdefghijklmnopqrstuvwxyz234567";
#define GROUP 5

struct weir_principal weir_principal_anonymous(void)
{
    return (struct weir_principal){.size = 1, .bytes = {4}};
}

bool weir_principal_equal(const struct weir_principal *a, const struct weir_principal *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

void weir_principal_write(const struct weir_principal *principal,
                          char ret_text[WEIR_PRINCIPAL_TEXT_SIZE])
{
    uint8_t bytes[4 + CANISTER_PRINCIPAL_BYTES_MAX];
    uint32_t crc = (uint32_t)crc32(0, principal->bytes, principal->size);
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(crc >> (24 - 8 * i));
    memcpy(bytes + 4, principal->bytes, principal->size);
    unsigned bit_count = (4u + principal->size) * 8;
    size_t at = 0;
    for (unsigned bit = 0, group = 0; bit < bit_count; bit += 5) {
        if (group == GROUP) {
            ret_text[at++] = '-';
            group = 0;
        }
        unsigned pair = (unsigned)bytes[bit / 8] << 8;
        if (bit / 8 + 1 < bit_count / 8)
            pair |= bytes[bit / 8 + 1];
        ret_text[at++] = ALPHABET[(pair >> (11 - bit % 8)) & 31];
        group++;
    }
    ret_text[at] = 0;
}

bool weir_principal_read(const char *text, size_t length, struct weir_principal *ret_principal)
{
    if (length >= WEIR_PRINCIPAL_TEXT_SIZE)
        return false;
    uint8_t bytes[WEIR_PRINCIPAL_TEXT_SIZE] = {0};
    unsigned bit_count = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '-')
            continue;
        const char *found = text[i] != 0 ? strchr(ALPHABET, text[i]) : NULL;
        if (found == NULL)
            return false;
        unsigned value = (unsigned)(found - ALPHABET) << (11 - bit_count % 8);
        bytes[bit_count / 8] |= (uint8_t)(value >> 8);
        bytes[bit_count / 8 + 1] |= (uint8_t)value;
        bit_count += 5;
    }
    size_t size = bit_count / 8;
    if (size < 4 || size > 4 + CANISTER_PRINCIPAL_BYTES_MAX)
        return false;
    struct weir_principal principal = {.size = (uint8_t)(size - 4)};
    memcpy(principal.bytes, bytes + 4, size - 4);
    char again[WEIR_PRINCIPAL_TEXT_SIZE];
    weir_principal_write(&principal, again); /* checks checksum, groups and trailing bits */
    if (strlen(again) != length || memcmp(again, text, length) != 0)
        return false;
    *ret_principal = principal;
    return true;
}
