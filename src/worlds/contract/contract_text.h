/* Texts that contracts and chains exchange: base64, coins, addresses by name. */
#ifndef WEIR_CONTRACT_TEXT_H
#define WEIR_CONTRACT_TEXT_H

#include "worlds/contract/contract_address.h"
#include "worlds/contract/contract_storage.h"

/* RFC 4648, section 4, padded. */
enum weir_status weir_base64_append(struct weir_contract_buffer *buffer,
                                    struct weir_contract_bytes bytes, struct weir_error *error)
    WEIR_MUST_USE;
/* Appends what `text` stands for; INVALID_ARGUMENT when it is no base64: padding missing, bits left
 * over, other characters. */
enum weir_status weir_base64_read(const char *text, size_t length,
                                  struct weir_contract_buffer *buffer, struct weir_error *error)
    WEIR_MUST_USE;

#define WEIR_COIN_DENOM_MAX 128u
#define WEIR_COIN_DIGITS_MAX 39u /* 2^128 - 1 */
struct weir_coin {
    char amount[WEIR_COIN_DIGITS_MAX + 1];
    char denom[WEIR_COIN_DENOM_MAX + 1];
};
/* The next coin of "1000earth,5token"; *text moves behind it. NOT_FOUND at the end,
 * INVALID_ARGUMENT. */
enum weir_status weir_coin_read(const char **text, struct weir_coin *ret_coin,
                                struct weir_error *error) WEIR_MUST_USE;

/* An address as it is, checked, or "name:NAME": that of the name (contract_address.h). */
enum weir_status weir_address_resolve(const char *prefix, const char *text,
                                      struct weir_address_text *ret_address,
                                      struct weir_error *error) WEIR_MUST_USE;

#endif
