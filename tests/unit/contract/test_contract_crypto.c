/* Signatures by CosmWasm's rules: upstream's vectors, codes for each wrong format, and the edges
 * where rules differ: high S, keys and nonces of small order, encodings that are not canonical,
 * equations that hold only times the cofactor. */
#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/run_suite.h"
#include "worlds/contract/contract_crypto.h"

struct bytes {
    uint8_t data[256];
    size_t size;
};

static struct bytes hex(const char *text)
{
    struct bytes bytes = {.size = strlen(text) / 2};
    ck_assert(weir_hex_read(text, strlen(text), bytes.data, bytes.size));
    return bytes;
}

static struct weir_contract_bytes view(const struct bytes *bytes)
{
    return (struct weir_contract_bytes){bytes->data, bytes->size};
}

/* --- ECDSA ----------------------------------------------------------------------------------- */

static const struct {
    enum weir_ecdsa_curve curve;
    const char *hash, *signature, *high, *key, *compressed, *order;
} CURVES[] = {
    {WEIR_SECP256K1, "5ae8317d34d1e595e3fa7247db80c0af4320cce1116de187f8f7e2e099c0d8d0",
     "207082eb2c3dfa0b454e0906051270ba4074ac93760ba9e7110cd9471475111151eb0dbbc9920e72146fb564f99d"
     "039802bf6ef2561446eb126ef364d21ee9c4",
     "207082eb2c3dfa0b454e0906051270ba4074ac93760ba9e7110cd94714751111ae14f244366df18deb904a9b0662"
     "fc66b7ef6df459345950ad636b27fe17577d",
     "04051c1ee2190ecfb174bfe4f90763f2b4ff7517b70a2aec1876ebcfd644c4633fb03f3cfbd94b1f376e34592d9d"
     "41ccaf640bb751b00a1fadeb0c01157769eb73",
     "03051c1ee2190ecfb174bfe4f90763f2b4ff7517b70a2aec1876ebcfd644c4633f",
     "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"},
    {WEIR_SECP256R1, "b804cf88af0c2eff8bbbfb3660ebb3294138e9d3ebd458884e19818061dacff0",
     "35fb60f5ca0f3ca08542fb3cc641c8263a2cab7a90ee6a5e1583fac2bb6f6bd1ee59d81bc9db1055cc0ed97b159d"
     "8784af04e98511d0a9a407b99bb292572e96",
     "35fb60f5ca0f3ca08542fb3cc641c8263a2cab7a90ee6a5e1583fac2bb6f6bd111a627e33624efab33f12684ea62"
     "787b0de211289546f4e0ec002f106a0bf6bb",
     "0474ccd8a62fba0e667c50929a53f78c21b8ff0c3c737b0b40b1750b2302b0bde829074e21f3a0ef88b9efdf10d0"
     "6aa4c295cc1671f758ca0e4cd108803d0f2614",
     "0274ccd8a62fba0e667c50929a53f78c21b8ff0c3c737b0b40b1750b2302b0bde8",
     "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"},
};

START_TEST(ecdsa_takes_what_upstream_takes)
{
    enum weir_ecdsa_curve curve = CURVES[_i].curve;
    struct bytes hash = hex(CURVES[_i].hash), signature = hex(CURVES[_i].signature);
    struct bytes high = hex(CURVES[_i].high), key = hex(CURVES[_i].key);
    struct bytes compressed = hex(CURVES[_i].compressed);
    ck_assert_int_eq(weir_ecdsa_verify(curve, view(&hash), view(&signature), view(&key)), 0);
    ck_assert_int_eq(weir_ecdsa_verify(curve, view(&hash), view(&signature), view(&compressed)), 0);
    ck_assert_int_eq(weir_ecdsa_verify(curve, view(&hash), view(&high), view(&key)), 0);
    for (size_t i = 0; i < 64; i += 7) {
        struct bytes changed = signature;
        changed.data[i] ^= 1;
        ck_assert_int_eq(weir_ecdsa_verify(curve, view(&hash), view(&changed), view(&key)), 1);
    }
    hash.data[31] ^= 1;
    ck_assert_int_eq(weir_ecdsa_verify(curve, view(&hash), view(&signature), view(&key)), 1);
}
END_TEST

START_TEST(ecdsa_tells_formats_apart)
{
    enum weir_ecdsa_curve curve = CURVES[_i].curve;
    struct bytes hash = hex(CURVES[_i].hash), signature = hex(CURVES[_i].signature);
    struct bytes key = hex(CURVES[_i].key), order = hex(CURVES[_i].order);
    struct weir_contract_bytes h = view(&hash), s = view(&signature), k = view(&key);
    struct weir_contract_bytes empty = {NULL, 0};
    ck_assert_int_eq(weir_ecdsa_verify(curve, empty, s, k), 3);
    ck_assert_int_eq(weir_ecdsa_verify(curve, (struct weir_contract_bytes){h.data, 31}, s, k), 3);
    ck_assert_int_eq(weir_ecdsa_verify(curve, h, (struct weir_contract_bytes){s.data, 63}, k), 4);
    ck_assert_int_eq(weir_ecdsa_verify(curve, h, empty, k), 4);
    ck_assert_int_eq(weir_ecdsa_verify(curve, h, s, empty), 5);
    ck_assert_int_eq(weir_ecdsa_verify(curve, h, s, (struct weir_contract_bytes){k.data, 64}), 5);
    ck_assert_int_eq(weir_ecdsa_verify(curve, h, s, (struct weir_contract_bytes){k.data, 33}), 5);
    static const uint8_t TAGS[] = {0, 2, 3, 5, 6, 7}; /* 6 and 7: hybrid */
    for (size_t i = 0; i < sizeof TAGS; i++) {
        struct bytes other = key;
        other.data[0] = TAGS[i];
        ck_assert_int_eq(weir_ecdsa_verify(curve, h, s, view(&other)), 5);
    }
    struct bytes off = key; /* no point of the curve */
    off.data[64] ^= 1;
    ck_assert_int_eq(weir_ecdsa_verify(curve, h, s, view(&off)), 10);
    for (int half = 0; half < 2; half++) { /* r or s is zero, the order, or above */
        struct bytes bad = signature;
        memset(bad.data + 32 * half, 0, 32);
        ck_assert_int_eq(weir_ecdsa_verify(curve, h, view(&bad), k), 10);
        memcpy(bad.data + 32 * half, order.data, 32);
        ck_assert_int_eq(weir_ecdsa_verify(curve, h, view(&bad), k), 10);
        memset(bad.data + 32 * half, 0xff, 32);
        ck_assert_int_eq(weir_ecdsa_verify(curve, h, view(&bad), k), 10);
    }
}
END_TEST

/* Of the parameters one gives the key; with the other S, the other one does. */
START_TEST(ecdsa_recovers)
{
    enum weir_ecdsa_curve curve = CURVES[_i].curve;
    struct bytes hash = hex(CURVES[_i].hash), key = hex(CURVES[_i].key);
    struct bytes signatures[2] = {hex(CURVES[_i].signature), hex(CURVES[_i].high)};
    uint8_t found[WEIR_ECDSA_KEY_BYTES];
    int param_of[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        for (uint8_t param = 0; param < 2; param++) {
            ck_assert_int_eq(
                weir_ecdsa_recover(curve, view(&hash), view(&signatures[i]), param, found), 0);
            struct weir_contract_bytes other = {found, sizeof found};
            ck_assert_int_eq(weir_ecdsa_verify(curve, view(&hash), view(&signatures[i]), other), 0);
            if (memcmp(found, key.data, sizeof found) == 0)
                param_of[i] = param;
        }
    }
    ck_assert_int_ge(param_of[0], 0);
    ck_assert_int_eq(param_of[0] + param_of[1], 1);
    const struct weir_contract_bytes h = view(&hash), s = view(&signatures[0]);
    ck_assert_int_eq(weir_ecdsa_recover(curve, h, s, 4, found), 6);
    ck_assert_int_eq(weir_ecdsa_recover(curve, h, s, 255, found), 6);
    /* r + order is no coordinate: above the prime */
    ck_assert_int_eq(weir_ecdsa_recover(curve, h, s, 2, found), curve == WEIR_SECP256K1 ? 6 : 10);
    ck_assert_int_eq(weir_ecdsa_recover(curve, h, h, 0, found), 4);
    ck_assert_int_eq(weir_ecdsa_recover(curve, s, s, 0, found), 3);
    memset(signatures[0].data, 0, 32);
    ck_assert_int_eq(weir_ecdsa_recover(curve, h, view(&signatures[0]), 0, found), 10);
}
END_TEST

/* --- Ed25519 --------------------------------------------------------------------------------- */

/* RFC 8032, 7.1: tests 1 to 3. */
static const struct {
    const char *key, *message, *signature;
} RFC[] = {
    {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
};

static enum weir_crypto_code ed25519(const struct bytes *message, const struct bytes *signature,
                                     const struct bytes *key)
{
    return weir_ed25519_verify(view(message), view(signature), view(key));
}

START_TEST(ed25519_follows_the_rfc)
{
    struct bytes key = hex(RFC[_i].key), message = hex(RFC[_i].message);
    struct bytes signature = hex(RFC[_i].signature);
    ck_assert_int_eq(ed25519(&message, &signature, &key), 0);
    for (size_t i = 0; i < 64; i += 5) {
        struct bytes changed = signature;
        changed.data[i] ^= 4;
        ck_assert_int_eq(ed25519(&message, &changed, &key), 1);
    }
    struct bytes other = message;
    other.data[other.size++] = 0;
    ck_assert_int_eq(ed25519(&other, &signature, &key), 1);
    other = key;
    other.data[3] ^= 1;
    ck_assert_int_eq(ed25519(&message, &signature, &other), 1);
    other = key;
    other.size = 31;
    ck_assert_int_eq(ed25519(&message, &signature, &other), 5);
    other = signature;
    other.size = 63;
    ck_assert_int_eq(ed25519(&message, &other, &key), 4);
}
END_TEST

/* ZIP-215: every encoding of a point of small order, canonical or not, is a key and a nonce; S = 0
 * satisfies the equation times eight, whatever the message. */
static const char *const SMALL_ORDER[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    /* not canonical */
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};
#define SMALL_COUNT (sizeof SMALL_ORDER / sizeof SMALL_ORDER[0])

START_TEST(ed25519_takes_small_orders)
{
    struct bytes message = {.data = "Zcash", .size = 5};
    for (size_t i = 0; i < SMALL_COUNT; i++) {
        for (size_t k = 0; k < SMALL_COUNT; k++) {
            struct bytes key = hex(SMALL_ORDER[i]), signature = hex(SMALL_ORDER[k]);
            signature.size = 64;
            ck_assert_msg(ed25519(&message, &signature, &key) == 0, "key %zu, nonce %zu", i, k);
            signature.data[32] = 1; /* S = 1: B is not of small order */
            ck_assert_int_eq(ed25519(&message, &signature, &key), 1);
        }
    }
}
END_TEST

/* S must be below the order: S + L names the same scalar and is refused. */
START_TEST(ed25519_scalars_are_canonical)
{
    struct bytes order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    struct bytes key = hex(RFC[0].key), message = {.size = 0}, signature = hex(RFC[0].signature);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature.data[32 + i] + order.data[i];
        signature.data[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    ck_assert_int_eq(ed25519(&message, &signature, &key), 1);
    key = hex(SMALL_ORDER[0]);
    signature = hex(SMALL_ORDER[0]);
    signature.size = 64;
    memcpy(signature.data + 32, order.data, 32);
    ck_assert_int_eq(ed25519(&message, &signature, &key), 1);
    /* y = 2 is on no point. */
    memset(signature.data, 0, 64);
    signature.data[0] = 2;
    ck_assert_int_eq(ed25519(&message, &signature, &key), 1);
}
END_TEST

/* Valid only times the cofactor: a key, a nonce, or both with a part of order 8. */
static const struct {
    const char *key, *signature;
} COFACTOR[] = {
    {"e5a369e1f023bf3db449eaf229b077c8c283b7346a74980f56411efb8e0e3899",
     "7db0dc9222f3c183457ddde4c708de8e5ea6bf3d5c4404cca14b32729a05c32aeaeb9dee8d40a73b6679441afbe9"
     "4029b2a5573a07d247a041478458ed53a905"},
    {"6f6ca5462ae560235abfc4bf18f762edd72bc1a7de9e49eec0aeb5ecaa8d37ce",
     "8ea6b58beb2ecc0801fbd6c82c6dafee292cd29e8b6698bbb94c566b594d8ba9e05361d624bd1ff74a5bc25266c4"
     "aad254c696ccc00ae8c50d17939279f19a08"},
    {"085c961e0fdc40c24bb6150dd64f88373d7c48cb958b67f0a9bee10471f1c766",
     "595c67f33805792e947082f036bb90bd27209c928ee23606d62d17d0238662b241173183e7c9106e9fc4ebdd7fa3"
     "13992dd92fc56360e83fb8842554ab181104"},
};

/* By RFC 8032 without the cofactor. */
static bool openssl_takes(const struct bytes *message, const struct bytes *signature,
                          const struct bytes *key)
{
    EVP_PKEY *point = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->data, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_valid =
        point != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, point) == 1 &&
        EVP_DigestVerify(context, signature->data, 64, message->data, message->size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(point);
    return is_valid;
}

START_TEST(ed25519_counts_the_cofactor)
{
    struct bytes message = {.data = "cofactor", .size = 8};
    struct bytes key = hex(COFACTOR[_i].key), signature = hex(COFACTOR[_i].signature);
    ck_assert_int_eq(ed25519(&message, &signature, &key), 0);
    ck_assert(!openssl_takes(&message, &signature, &key));
    message.data[0] ^= 1;
    ck_assert_int_eq(ed25519(&message, &signature, &key), 1);
}
END_TEST

static struct bytes sign(EVP_PKEY *key, const struct bytes *message)
{
    struct bytes signature = {.size = 64};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ck_assert_int_eq(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    ck_assert_int_eq(
        EVP_DigestSign(context, signature.data, &signature.size, message->data, message->size), 1);
    EVP_MD_CTX_free(context);
    return signature;
}

/* Honest keys: what OpenSSL says, of good signatures and changed ones. */
START_TEST(ed25519_agrees_with_openssl)
{
    for (unsigned round = 0; round < 60; round++) {
        uint8_t secret[32];
        struct bytes key = {.size = 32}, message = {.size = round * 3};
        for (size_t i = 0; i < 32; i++)
            secret[i] = (uint8_t)(round * 31 + i * i * 7);
        for (size_t i = 0; i < message.size; i++)
            message.data[i] = (uint8_t)(round + i);
        EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
        ck_assert_int_eq(EVP_PKEY_get_raw_public_key(pair, key.data, &key.size), 1);
        struct bytes signature = sign(pair, &message);
        EVP_PKEY_free(pair);
        ck_assert_int_eq(ed25519(&message, &signature, &key), 0);
        for (unsigned bit = round % 11; bit < 512; bit += 97) {
            struct bytes changed = signature;
            changed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            bool is_valid = ed25519(&message, &changed, &key) == 0;
            ck_assert_int_eq(is_valid, openssl_takes(&message, &changed, &key));
        }
    }
}
END_TEST

START_TEST(batches_are_all_or_none)
{
    struct bytes data[3][3];
    struct weir_contract_bytes messages[3], signatures[3], keys[3];
    for (size_t i = 0; i < 3; i++) {
        data[i][0] = hex(RFC[i].message);
        data[i][1] = hex(RFC[i].signature);
        data[i][2] = hex(RFC[i].key);
        messages[i] = view(&data[i][0]);
        signatures[i] = view(&data[i][1]);
        keys[i] = view(&data[i][2]);
    }
    struct weir_ed25519_batch batch = {messages, signatures, keys, 3, false, false};
    ck_assert_int_eq(weir_ed25519_verify_batch(&batch), 0);
    batch.count = 0;
    ck_assert_int_eq(weir_ed25519_verify_batch(&batch), 0);
    batch.count = 3;
    data[1][1].data[5] ^= 1;
    ck_assert_int_eq(weir_ed25519_verify_batch(&batch), 1);
    keys[2].size = 33; /* a format counts before a signature that is not valid */
    ck_assert_int_eq(weir_ed25519_verify_batch(&batch), 5);
    signatures[2].size = 65;
    ck_assert_int_eq(weir_ed25519_verify_batch(&batch), 4);
    /* One key, one message. */
    struct weir_contract_bytes twice[2] = {signatures[0], signatures[0]};
    struct weir_contract_bytes same[2] = {messages[0], messages[0]};
    struct weir_ed25519_batch one_key = {same, twice, keys, 2, false, true};
    ck_assert_int_eq(weir_ed25519_verify_batch(&one_key), 0);
    struct weir_contract_bytes both[2] = {keys[0], keys[0]};
    struct weir_ed25519_batch one_message = {messages, twice, both, 2, true, false};
    ck_assert_int_eq(weir_ed25519_verify_batch(&one_message), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signatures");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, ecdsa_takes_what_upstream_takes, 0, 2);
    tcase_add_loop_test(tests, ecdsa_tells_formats_apart, 0, 2);
    tcase_add_loop_test(tests, ecdsa_recovers, 0, 2);
    tcase_add_loop_test(tests, ed25519_follows_the_rfc, 0, 3);
    tcase_add_test(tests, ed25519_takes_small_orders);
    tcase_add_test(tests, ed25519_scalars_are_canonical);
    tcase_add_loop_test(tests, ed25519_counts_the_cofactor, 0, 3);
    tcase_add_test(tests, ed25519_agrees_with_openssl);
    tcase_add_test(tests, batches_are_all_or_none);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
