/* OpenSSL's block functions behind a fixed-size state. The old interface is used on purpose: the
 * new one allocates and may load a provider, which a sandboxed process cannot do. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "artifact/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/check.h"

#define BLOCK_BYTES 64u

static_assert(sizeof(SHA256_CTX) <= sizeof(struct weir_sha256), "the state holds OpenSSL's");
static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct weir_sha256), "and is aligned for it");

static SHA256_CTX *context(struct weir_sha256 *state)
{
    return (SHA256_CTX *)(void *)state->opaque;
}

void weir_sha256_begin(struct weir_sha256 *state)
{
    memset(state, 0, sizeof *state);
    WEIR_ASSERT(SHA256_Init(context(state)) == 1);
}

void weir_sha256_add(struct weir_sha256 *state, const void *bytes, size_t size)
{
    if (size > 0)
        WEIR_ASSERT(SHA256_Update(context(state), bytes, size) == 1);
}

void weir_sha256_end(struct weir_sha256 *state, uint8_t ret_digest[WEIR_DIGEST_BYTES])
{
    WEIR_ASSERT(SHA256_Final(ret_digest, context(state)) == 1);
}

void weir_sha256(const void *bytes, size_t size, uint8_t ret_digest[WEIR_DIGEST_BYTES])
{
    struct weir_sha256 state;
    weir_sha256_begin(&state);
    weir_sha256_add(&state, bytes, size);
    weir_sha256_end(&state, ret_digest);
}

/* RFC 2104 with a key shorter than a block. */
void weir_hmac_begin(struct weir_hmac *state, const uint8_t key[WEIR_DIGEST_BYTES])
{
    uint8_t inner[BLOCK_BYTES], outer[BLOCK_BYTES];
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        uint8_t byte = i < WEIR_DIGEST_BYTES ? key[i] : 0;
        inner[i] = byte ^ 0x36u;
        outer[i] = byte ^ 0x5cu;
    }
    weir_sha256_begin(&state->inner);
    weir_sha256_add(&state->inner, inner, sizeof inner);
    weir_sha256_begin(&state->outer);
    weir_sha256_add(&state->outer, outer, sizeof outer);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
}

void weir_hmac_add(struct weir_hmac *state, const void *bytes, size_t size)
{
    weir_sha256_add(&state->inner, bytes, size);
}

void weir_hmac_end(struct weir_hmac *state, uint8_t ret_mac[WEIR_DIGEST_BYTES])
{
    uint8_t inner[WEIR_DIGEST_BYTES];
    weir_sha256_end(&state->inner, inner);
    weir_sha256_add(&state->outer, inner, sizeof inner);
    weir_sha256_end(&state->outer, ret_mac);
    OPENSSL_cleanse(state, sizeof *state);
}

bool weir_digest_equal(const uint8_t a[WEIR_DIGEST_BYTES], const uint8_t b[WEIR_DIGEST_BYTES])
{
    return CRYPTO_memcmp(a, b, WEIR_DIGEST_BYTES) == 0;
}
