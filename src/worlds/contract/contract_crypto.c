/* ECDSA: secp256k1 by libsecp256k1, secp256r1 by OpenSSL. Formats are checked in upstream's order,
 * because the code that a contract sees depends on it. */
#include "worlds/contract/contract_crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <string.h>

#define SCALAR_BYTES 32u

static enum weir_crypto_code check_formats(struct weir_contract_bytes hash,
                                           struct weir_contract_bytes signature)
{
    if (hash.size != WEIR_ECDSA_HASH_BYTES)
        return WEIR_CRYPTO_HASH_FORMAT;
    if (signature.size != WEIR_ECDSA_SIGNATURE_BYTES)
        return WEIR_CRYPTO_SIGNATURE_FORMAT;
    return WEIR_CRYPTO_VALID;
}

static bool is_key_format(struct weir_contract_bytes key)
{
    if (key.size == WEIR_ECDSA_KEY_BYTES)
        return key.data[0] == 4;
    return key.size == 33 && (key.data[0] == 2 || key.data[0] == 3);
}

/* r and s: above zero, below the group's order. */
static bool are_scalars(enum weir_ecdsa_curve curve, const uint8_t *signature)
{
    static const uint8_t ORDERS[][SCALAR_BYTES] = {
        [WEIR_SECP256K1] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                            0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                            0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41},
        [WEIR_SECP256R1] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                            0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                            0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51},
    };
    static const uint8_t ZERO[SCALAR_BYTES];
    for (int i = 0; i < 2; i++, signature += SCALAR_BYTES)
        if (memcmp(signature, ZERO, SCALAR_BYTES) == 0 ||
            memcmp(signature, ORDERS[curve], SCALAR_BYTES) >= 0)
            return false;
    return true;
}

/* --- secp256k1 ------------------------------------------------------------------------------- */

static enum weir_crypto_code verify_k1(const uint8_t *hash, const uint8_t *signature,
                                       struct weir_contract_bytes key)
{
    const secp256k1_context *context = secp256k1_context_static;
    secp256k1_ecdsa_signature parsed;
    secp256k1_pubkey point;
    if (secp256k1_ecdsa_signature_parse_compact(context, &parsed, signature) != 1 ||
        secp256k1_ec_pubkey_parse(context, &point, key.data, key.size) != 1)
        return WEIR_CRYPTO_GENERIC;
    (void)secp256k1_ecdsa_signature_normalize(context, &parsed, &parsed);
    return secp256k1_ecdsa_verify(context, &parsed, hash, &point) == 1 ? WEIR_CRYPTO_VALID
                                                                       : WEIR_CRYPTO_NOT_VALID;
}

static enum weir_crypto_code recover_k1(const uint8_t *hash, const uint8_t *signature,
                                        uint8_t param, uint8_t *ret_key)
{
    const secp256k1_context *context = secp256k1_context_static;
    secp256k1_ecdsa_recoverable_signature parsed;
    secp256k1_pubkey point;
    size_t size = WEIR_ECDSA_KEY_BYTES;
    if (secp256k1_ecdsa_recoverable_signature_parse_compact(context, &parsed, signature, param) !=
            1 ||
        secp256k1_ecdsa_recover(context, &point, &parsed, hash) != 1)
        return WEIR_CRYPTO_GENERIC;
    (void)secp256k1_ec_pubkey_serialize(context, ret_key, &size, &point, SECP256K1_EC_UNCOMPRESSED);
    return WEIR_CRYPTO_VALID;
}

/* --- secp256r1 ------------------------------------------------------------------------------- */

/* NULL: not a point of the curve. */
static EVP_PKEY *key_r1(struct weir_contract_bytes key)
{
    char group[] = "P-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)key.data,
                                          key.size),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *made = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &made, EVP_PKEY_PUBLIC_KEY, params) != 1)
        made = NULL;
    EVP_PKEY_CTX_free(context);
    return made;
}

static ECDSA_SIG *signature_r1(const uint8_t *signature)
{
    ECDSA_SIG *made = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, SCALAR_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(signature + SCALAR_BYTES, SCALAR_BYTES, NULL);
    if (made != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(made, r, s) == 1)
        return made;
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(made);
    return NULL;
}

static enum weir_crypto_code verify_r1(const uint8_t *hash, const uint8_t *signature,
                                       struct weir_contract_bytes key)
{
    enum weir_crypto_code code = WEIR_CRYPTO_GENERIC;
    EVP_PKEY *point = key_r1(key);
    EVP_PKEY_CTX *context = point != NULL ? EVP_PKEY_CTX_new(point, NULL) : NULL;
    ECDSA_SIG *parsed = signature_r1(signature);
    unsigned char *der = NULL;
    int der_size = parsed != NULL ? i2d_ECDSA_SIG(parsed, &der) : 0;
    if (context != NULL && der_size > 0 && EVP_PKEY_verify_init(context) == 1)
        code = EVP_PKEY_verify(context, der, (size_t)der_size, hash, WEIR_ECDSA_HASH_BYTES) == 1
                   ? WEIR_CRYPTO_VALID
                   : WEIR_CRYPTO_NOT_VALID;
    OPENSSL_free(der);
    ECDSA_SIG_free(parsed);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(point);
    return code;
}

struct recovery {
    EC_GROUP *group;
    BN_CTX *context;
    EC_POINT *nonce, *key;
};

/* Q = r⁻¹(sR − zG), where R has the x coordinate r, or r + n. */
static bool recover_point(struct recovery *at, const uint8_t *hash, const uint8_t *signature,
                          uint8_t param)
{
    BN_CTX *context = at->context;
    const BIGNUM *order = EC_GROUP_get0_order(at->group);
    BIGNUM *r = BN_CTX_get(context), *s = BN_CTX_get(context), *z = BN_CTX_get(context);
    BIGNUM *x = BN_CTX_get(context), *inverse = BN_CTX_get(context), *prime = BN_CTX_get(context);
    if (prime == NULL || BN_bin2bn(signature, SCALAR_BYTES, r) == NULL ||
        BN_bin2bn(signature + SCALAR_BYTES, SCALAR_BYTES, s) == NULL ||
        BN_bin2bn(hash, WEIR_ECDSA_HASH_BYTES, z) == NULL || BN_copy(x, r) == NULL ||
        EC_GROUP_get_curve(at->group, prime, NULL, NULL, context) != 1)
        return false;
    if ((param & 2) != 0 && BN_add(x, x, order) != 1)
        return false;
    if (BN_cmp(x, prime) >= 0 ||
        EC_POINT_set_compressed_coordinates(at->group, at->nonce, x, param & 1, context) != 1)
        return false;
    /* u1 = −z/r, u2 = s/r */
    return BN_mod_inverse(inverse, r, order, context) != NULL &&
           BN_mod_mul(s, s, inverse, order, context) == 1 &&
           BN_mod_mul(z, z, inverse, order, context) == 1 &&
           BN_mod_sub(z, BN_value_one(), z, order, context) == 1 &&
           BN_mod_sub(z, z, BN_value_one(), order, context) == 1 &&
           EC_POINT_mul(at->group, at->key, z, at->nonce, s, context) == 1 &&
           EC_POINT_is_at_infinity(at->group, at->key) == 0;
}

static enum weir_crypto_code recover_r1(const uint8_t *hash, const uint8_t *signature,
                                        uint8_t param, uint8_t *ret_key)
{
    struct recovery at = {.group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1),
                          .context = BN_CTX_new()};
    at.nonce = at.group != NULL ? EC_POINT_new(at.group) : NULL;
    at.key = at.group != NULL ? EC_POINT_new(at.group) : NULL;
    enum weir_crypto_code code = WEIR_CRYPTO_GENERIC;
    if (at.context != NULL && at.nonce != NULL && at.key != NULL) {
        BN_CTX_start(at.context);
        if (recover_point(&at, hash, signature, param) &&
            EC_POINT_point2oct(at.group, at.key, POINT_CONVERSION_UNCOMPRESSED, ret_key,
                               WEIR_ECDSA_KEY_BYTES, at.context) == WEIR_ECDSA_KEY_BYTES)
            code = WEIR_CRYPTO_VALID;
        BN_CTX_end(at.context);
    }
    EC_POINT_free(at.nonce);
    EC_POINT_free(at.key);
    EC_GROUP_free(at.group);
    BN_CTX_free(at.context);
    return code;
}

/* --- both ------------------------------------------------------------------------------------ */

enum weir_crypto_code weir_ecdsa_verify(enum weir_ecdsa_curve curve,
                                        struct weir_contract_bytes hash,
                                        struct weir_contract_bytes signature,
                                        struct weir_contract_bytes key)
{
    enum weir_crypto_code code = check_formats(hash, signature);
    if (code != WEIR_CRYPTO_VALID)
        return code;
    if (!is_key_format(key))
        return WEIR_CRYPTO_KEY_FORMAT;
    if (!are_scalars(curve, signature.data))
        return WEIR_CRYPTO_GENERIC;
    return curve == WEIR_SECP256K1 ? verify_k1(hash.data, signature.data, key)
                                   : verify_r1(hash.data, signature.data, key);
}

enum weir_crypto_code weir_ecdsa_recover(enum weir_ecdsa_curve curve,
                                         struct weir_contract_bytes hash,
                                         struct weir_contract_bytes signature, uint8_t param,
                                         uint8_t ret_key[WEIR_ECDSA_KEY_BYTES])
{
    enum weir_crypto_code code = check_formats(hash, signature);
    if (code != WEIR_CRYPTO_VALID)
        return code;
    if (param > (curve == WEIR_SECP256K1 ? 1 : 3))
        return WEIR_CRYPTO_RECOVERY_PARAM;
    if (!are_scalars(curve, signature.data))
        return WEIR_CRYPTO_GENERIC;
    return curve == WEIR_SECP256K1 ? recover_k1(hash.data, signature.data, param, ret_key)
                                   : recover_r1(hash.data, signature.data, param, ret_key);
}
