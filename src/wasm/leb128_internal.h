/* LEB128 integers of the binary format (WebAssembly 2.0, section 5.2.2).
 *
 * A cursor walks bytes that nobody trusts: it never leaves [at, end), and a failed read leaves it
 * where the field began, so that its position is the error's offset. Whether a number is too long
 * or too large is decided byte by byte as the reference interpreter does, because the official
 * tests tell the two apart.
 */
#ifndef WEIR_WASM_LEB128_H
#define WEIR_WASM_LEB128_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_leb {
    WEIR_LEB_OK,
    WEIR_LEB_END,       /* the bytes ended inside the number */
    WEIR_LEB_TOO_LONG,  /* more bytes than the type needs */
    WEIR_LEB_TOO_LARGE, /* bits set that the type does not have */
};

struct weir_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* The texts of the official tests; NULL for WEIR_LEB_OK. */
const char *weir__leb_text(enum weir_leb fault);

enum weir_leb weir__leb_unsigned_slow(struct weir_cursor *cursor, unsigned bits,
                                      uint64_t *ret_value);
enum weir_leb weir__leb_signed_slow(struct weir_cursor *cursor, unsigned bits, int64_t *ret_value);

static inline enum weir_leb weir__leb_u32(struct weir_cursor *cursor, uint32_t *ret_value)
{
    if (cursor->at < cursor->end && *cursor->at < 0x80) {
        *ret_value = *cursor->at++;
        return WEIR_LEB_OK;
    }
    if (cursor->end - cursor->at >= 2 && cursor->at[1] < 0x80) {
        *ret_value = (cursor->at[0] & 0x7fu) | (uint32_t)cursor->at[1] << 7;
        cursor->at += 2;
        return WEIR_LEB_OK;
    }
    uint64_t value;
    enum weir_leb fault = weir__leb_unsigned_slow(cursor, 32, &value);
    if (fault == WEIR_LEB_OK)
        *ret_value = (uint32_t)value;
    return fault;
}

static inline enum weir_leb weir__leb_u64(struct weir_cursor *cursor, uint64_t *ret_value)
{
    if (cursor->at < cursor->end && *cursor->at < 0x80) {
        *ret_value = *cursor->at++;
        return WEIR_LEB_OK;
    }
    return weir__leb_unsigned_slow(cursor, 64, ret_value);
}

/* bits: 32, 33 or 64. */
static inline enum weir_leb weir__leb_signed(struct weir_cursor *cursor, unsigned bits,
                                             int64_t *ret_value)
{
    if (cursor->at < cursor->end && *cursor->at < 0x80) {
        uint8_t byte = *cursor->at++;
        *ret_value = (int64_t)byte - ((byte & 0x40) != 0 ? 0x80 : 0);
        return WEIR_LEB_OK;
    }
    return weir__leb_signed_slow(cursor, bits, ret_value);
}

#endif
