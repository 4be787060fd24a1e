/* What both directions of Candid share: codes of types, numbers of any size. */
#ifndef WEIR_CANDID_INTERNAL_H
#define WEIR_CANDID_INTERNAL_H

#include <stdint.h>

#include "worlds/canister/candid.h"

/* Codes of the binary format. */
enum {
    CANDID_NULL = -1,
    CANDID_BOOL = -2,
    CANDID_NAT = -3,
    CANDID_INT = -4,
    CANDID_NAT8 = -5,
    CANDID_NAT64 = -8,
    CANDID_INT8 = -9,
    CANDID_INT64 = -12,
    CANDID_FLOAT32 = -13,
    CANDID_FLOAT64 = -14,
    CANDID_TEXT = -15,
    CANDID_RESERVED = -16,
    CANDID_EMPTY = -17,
    CANDID_OPT = -18,
    CANDID_VEC = -19,
    CANDID_RECORD = -20,
    CANDID_VARIANT = -21,
    CANDID_FUNC = -22,
    CANDID_SERVICE = -23,
    CANDID_PRINCIPAL = -24
};
/* May stand in a name that is not quoted. */
static inline bool weir__candid_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
/* "nat8"; NULL: no primitive type. */
const char *weir__candid_type_name(int64_t code);
/* 0: none. */
int64_t weir__candid_type_code(const char *name, size_t size);
/* Bytes of nat8 to int64 by code; 0: another type. */
unsigned weir__candid_width(int64_t code);
static inline bool weir__candid_is_signed(int64_t code)
{
    return code == CANDID_INT || (code <= CANDID_INT8 && code >= CANDID_INT64);
}

/* A whole number: sign and magnitude, words of 32 bits, lowest first, no zero on top. */
struct weir__number {
    bool is_negative;
    uint32_t count;
    uint32_t *words;
};
/* Digits of base 10 or 16, '_' allowed between them. */
enum weir_status weir__number_read(const char *digits, size_t size, bool is_hex,
                                   struct weir_arena *arena, struct weir__number *ret_number,
                                   struct weir_error *error) WEIR_MUST_USE;
/* LEB128, signed or not, from *at on, which is moved behind it. */
struct weir__bytes {
    const uint8_t *data;
    size_t size;
};
enum weir_status weir__number_decode(struct weir__bytes bytes, size_t *at, bool is_signed,
                                     struct weir_arena *arena, struct weir__number *ret_number,
                                     struct weir_error *error) WEIR_MUST_USE;
/* Decimal text, zero-terminated, in the arena. */
const char *weir__number_text(const struct weir__number *number, struct weir_arena *arena);
/* Bytes of the LEB128 form into `to`, which has room for count * 5 + 2. */
size_t weir__number_encode(const struct weir__number *number, bool is_signed, uint8_t *to);
/* Whether it fits so many bytes; then *ret has its bits. */
bool weir__number_fits(const struct weir__number *number, unsigned bytes, bool is_signed,
                       uint64_t *ret);

static inline enum weir_status weir__candid_no_memory(struct weir_error *error)
{
    return error != NULL && error->status != WEIR_OK
               ? error->status
               : weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for Candid");
}

#endif
