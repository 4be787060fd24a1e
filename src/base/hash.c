/* Hashing through OpenSSL's EVP and MAC interfaces. Nothing here can fail for any other reason than
 * memory, or an OpenSSL that was configured without SHA-256; both come back as NO_MEMORY with
 * OpenSSL's own words. */
#include "base/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <string.h>

struct weir_hash_state {
    EVP_MD_CTX *digest; /* one of the two */
    EVP_MAC_CTX *mac;
};

static enum weir_status failed(struct weir_error *error, const char *what)
{
    char text[120] = "no reason given";
    unsigned long code = ERR_get_error();
    if (code != 0)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    (void)weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "%s failed: %s", what, text);
    return WEIR_NO_MEMORY;
}

enum weir_status weir_hash_bytes(const void *bytes, size_t size, struct weir_hash *ret_hash,
                                 struct weir_error *error)
{
    struct weir_hash hash;
    if (EVP_Digest(bytes, size, hash.bytes, NULL, EVP_sha256(), NULL) != 1)
        return failed(error, "SHA-256");
    *ret_hash = hash;
    return WEIR_OK;
}

enum weir_status weir_hash_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                                struct weir_hash *ret_mac, struct weir_error *error)
{
    AUTO(weir_hash_state) *state = NULL;
    enum weir_status status = weir_hash_new(key, key_size, &state, error);
    if (status == WEIR_OK)
        status = weir_hash_add(state, bytes, size, error);
    if (status == WEIR_OK)
        status = weir_hash_end(state, ret_mac, error);
    return status;
}

static bool begin_mac(struct weir_hash_state *state, const void *key, size_t key_size)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac == NULL)
        return false;
    state->mac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    if (state->mac == NULL)
        return false;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    /* An empty key is a key, but not as a NULL pointer. */
    return EVP_MAC_init(state->mac, key_size != 0 ? key : "", key_size, params) == 1;
}

enum weir_status weir_hash_new(const void *key, size_t key_size, struct weir_hash_state **ret_state,
                               struct weir_error *error)
{
    AUTO(weir_hash_state) *state = calloc(1, sizeof *state);
    if (state == NULL)
        return failed(error, "taking memory for a hash");
    if (key != NULL) {
        if (!begin_mac(state, key, key_size))
            return failed(error, "HMAC-SHA-256");
    } else {
        state->digest = EVP_MD_CTX_new();
        if (state->digest == NULL || EVP_DigestInit_ex(state->digest, EVP_sha256(), NULL) != 1)
            return failed(error, "SHA-256");
    }
    *ret_state = TAKE(state);
    return WEIR_OK;
}

enum weir_status weir_hash_add(struct weir_hash_state *state, const void *bytes, size_t size,
                               struct weir_error *error)
{
    if (size == 0)
        return WEIR_OK;
    int done = state->mac != NULL ? EVP_MAC_update(state->mac, bytes, size)
                                  : EVP_DigestUpdate(state->digest, bytes, size);
    return done == 1 ? WEIR_OK : failed(error, "hashing");
}

enum weir_status weir_hash_end(struct weir_hash_state *state, struct weir_hash *ret_hash,
                               struct weir_error *error)
{
    struct weir_hash hash;
    size_t size = 0;
    int done = state->mac != NULL ? EVP_MAC_final(state->mac, hash.bytes, &size, sizeof hash.bytes)
                                  : EVP_DigestFinal_ex(state->digest, hash.bytes, NULL);
    if (done != 1)
        return failed(error, "hashing");
    *ret_hash = hash;
    return WEIR_OK;
}

void weir_hash_free(struct weir_hash_state *state)
{
    if (state == NULL)
        return;
    EVP_MD_CTX_free(state->digest);
    EVP_MAC_CTX_free(state->mac);
    free(state);
}

bool weir_hash_equal(const struct weir_hash *a, const struct weir_hash *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void weir_hash_hex(const struct weir_hash *hash, char ret_text[WEIR_HASH_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < WEIR_HASH_SIZE; i++) {
        ret_text[2 * i] = digits[hash->bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    ret_text[WEIR_HASH_HEX_SIZE - 1] = '\0';
}

int weir_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool weir_hex_read(const char *text, size_t length, uint8_t *ret_bytes, size_t size)
{
    if (length / 2 != size || length % 2 != 0)
        return false;
    for (size_t i = 0; i < length; i++)
        if (weir_hex_digit(text[i]) < 0)
            return false;
    for (size_t i = 0; i < size; i++) {
        unsigned high = (unsigned)weir_hex_digit(text[2 * i]);
        unsigned low = (unsigned)weir_hex_digit(text[2 * i + 1]);
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
