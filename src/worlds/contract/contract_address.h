/* Addresses: bech32 (BIP 173) of 1 to 255 bytes, as the Cosmos SDK writes them. */
#ifndef WEIR_CONTRACT_ADDRESS_H
#define WEIR_CONTRACT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_ADDRESS_BYTES_MAX 255u
/* Prefix of at most 83 characters, separator, 255 bytes in groups of five bits, checksum, zero. */
#define WEIR_ADDRESS_TEXT_MAX (83 + 1 + (WEIR_ADDRESS_BYTES_MAX * 8 + 4) / 5 + 6 + 1)

struct weir_address_text {
    char text[WEIR_ADDRESS_TEXT_MAX];
};

/* False: no bytes, too many, or a prefix that is none. */
bool weir_address_write(const char *prefix, const uint8_t *bytes, size_t size,
                        struct weir_address_text *ret_text);

/* NULL, or what is wrong, in upstream's words. Either case, not mixed. */
const char *weir_address_read(const char *prefix, const char *text, size_t length,
                              uint8_t ret_bytes[WEIR_ADDRESS_BYTES_MAX], size_t *ret_size);

/* As upstream's tests make them: of the name's SHA-256. */
bool weir_address_of_name(const char *prefix, const char *name, struct weir_address_text *ret_text);

#endif
