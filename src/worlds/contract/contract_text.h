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
/* Coins as chains' command lines read them: "5token,1000earth" in the order of their names, those
 * of nothing left out. INVALID_ARGUMENT: not written so, one twice, more than 2^128 - 1 or than
 * WEIR_COINS_MAX. */
#define WEIR_COINS_MAX 64u
struct weir_coins {
    struct weir_coin items[WEIR_COINS_MAX];
    size_t count;
};
enum weir_status weir_coins_read(const char *text, struct weir_coins *ret_coins,
                                 struct weir_error *error) WEIR_MUST_USE;

/* An address as it is, checked, or "name:NAME": that of the name (contract_address.h). */
enum weir_status weir_address_resolve(const char *prefix, const char *text,
                                      struct weir_address_text *ret_address,
                                      struct weir_error *error) WEIR_MUST_USE;

#endif
