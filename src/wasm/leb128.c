/* The long way round of leb128_internal.h: numbers of more than one or two bytes, and every error.
 */
#include "wasm/leb128_internal.h"

const char *weir__leb_text(enum weir_leb fault)
{
    switch (fault) {
    case WEIR_LEB_END:
        return "unexpected end of section or function";
    case WEIR_LEB_TOO_LONG:
        return "integer representation too long";
    case WEIR_LEB_TOO_LARGE:
        return "integer too large";
    case WEIR_LEB_OK:
        break;
    }
    return NULL;
}

enum weir_leb weir__leb_unsigned_slow(struct weir_cursor *cursor, unsigned bits,
                                      uint64_t *ret_value)
{
    const uint8_t *at = cursor->at;
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (shift >= bits)
            return WEIR_LEB_TOO_LONG;
        if (at >= cursor->end)
            return WEIR_LEB_END;
        uint8_t byte = *at++;
        unsigned left = bits - shift;
        if (left < 7 && (byte & 0x7fu) >> left != 0)
            return WEIR_LEB_TOO_LARGE;
        value |= (uint64_t)(byte & 0x7fu) << shift;
        if (byte < 0x80)
            break;
    }
    cursor->at = at;
    *ret_value = value;
    return WEIR_LEB_OK;
}

enum weir_leb weir__leb_signed_slow(struct weir_cursor *cursor, unsigned bits, int64_t *ret_value)
{
    const uint8_t *at = cursor->at;
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (shift >= bits)
            return WEIR_LEB_TOO_LONG;
        if (at >= cursor->end)
            return WEIR_LEB_END;
        uint8_t byte = *at++;
        unsigned left = bits - shift;
        if (left < 7) {
            /* The sign bit and all bits above it must agree. */
            unsigned mask = (0x7fu << (left - 1)) & 0x7fu;
            if ((byte & mask) != 0 && (byte & mask) != mask)
                return WEIR_LEB_TOO_LARGE;
        }
        value |= (uint64_t)(byte & 0x7fu) << shift;
        if (byte < 0x80) {
            if (shift + 7 < 64 && (byte & 0x40) != 0)
                value |= UINT64_MAX << (shift + 7);
            break;
        }
    }
    cursor->at = at;
    *ret_value = (int64_t)value;
    return WEIR_LEB_OK;
}
