/* Signatures, as CosmWasm's functions check them. Every function answers upstream's code: 0 valid,
 * 1 not valid, 3 and above what is wrong with the input. docs/CONTRACT.md has the rules.
 */
#ifndef WEIR_CONTRACT_CRYPTO_H
#define WEIR_CONTRACT_CRYPTO_H

#include "worlds/contract/contract_storage.h"

enum weir_crypto_code {
    WEIR_CRYPTO_VALID = 0,
    WEIR_CRYPTO_NOT_VALID = 1,
    WEIR_CRYPTO_HASH_FORMAT = 3,
    WEIR_CRYPTO_SIGNATURE_FORMAT = 4,
    WEIR_CRYPTO_KEY_FORMAT = 5,
    WEIR_CRYPTO_RECOVERY_PARAM = 6,
    WEIR_CRYPTO_BATCH = 7,
    WEIR_CRYPTO_GENERIC = 10
};

#define WEIR_ECDSA_HASH_BYTES 32u
#define WEIR_ECDSA_SIGNATURE_BYTES 64u
#define WEIR_ECDSA_KEY_BYTES 65u /* uncompressed; 33 compressed */
#define WEIR_ED25519_SIGNATURE_BYTES 64u
#define WEIR_ED25519_KEY_BYTES 32u

enum weir_ecdsa_curve {
    WEIR_SECP256K1,
    WEIR_SECP256R1
};

/* Signatures with a high S are taken, keys compressed or not. */
enum weir_crypto_code weir_ecdsa_verify(enum weir_ecdsa_curve curve,
                                        struct weir_contract_bytes hash,
                                        struct weir_contract_bytes signature,
                                        struct weir_contract_bytes key);
/* The key, uncompressed. `param` is 0 or 1, for secp256r1 up to 3. */
enum weir_crypto_code weir_ecdsa_recover(enum weir_ecdsa_curve curve,
                                         struct weir_contract_bytes hash,
                                         struct weir_contract_bytes signature, uint8_t param,
                                         uint8_t ret_key[WEIR_ECDSA_KEY_BYTES]);

/* ZIP-215: S below the group's order; any encoding of points on the curve, of small order too; the
 * equation times the cofactor, [8][S]B = [8]R + [8][k]A. */
enum weir_crypto_code weir_ed25519_verify(struct weir_contract_bytes message,
                                          struct weir_contract_bytes signature,
                                          struct weir_contract_bytes key);
/* True when all are valid. As many of each; or one message or one key for all signatures: those are
 * given once and `is_one_…` says so. */
struct weir_ed25519_batch {
    const struct weir_contract_bytes *messages, *signatures, *keys;
    uint32_t count; /* of signatures */
    bool has_one_message, has_one_key;
};
enum weir_crypto_code weir_ed25519_verify_batch(const struct weir_ed25519_batch *batch);

#endif
