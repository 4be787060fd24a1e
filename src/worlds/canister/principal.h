/* Principals: who calls and who is called; up to 29 bytes, in text base32 in groups of five behind
 * a checksum ("aaaaa-aa", "2vxsx-fae"). */
#ifndef WEIR_CANISTER_PRINCIPAL_H
#define WEIR_CANISTER_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worlds/canister/canister_limits.h"

/* 4 bytes of checksum and 29 of its own are 53 characters in 11 groups. */
#define WEIR_PRINCIPAL_TEXT_SIZE 64

struct weir_principal {
    uint8_t size;
    uint8_t bytes[CANISTER_PRINCIPAL_BYTES_MAX];
};

/* Who did not sign. */
struct weir_principal weir_principal_anonymous(void);
bool weir_principal_equal(const struct weir_principal *a, const struct weir_principal *b);
void weir_principal_write(const struct weir_principal *principal,
                          char ret_text[WEIR_PRINCIPAL_TEXT_SIZE]);
/* False unless `text` is exactly what weir_principal_write() makes of some principal. */
bool weir_principal_read(const char *text, size_t length, struct weir_principal *ret_principal);

#endif
