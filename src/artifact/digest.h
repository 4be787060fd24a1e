/* SHA-256 and HMAC-SHA-256 that cannot fail: no allocation, no library initialisation, so they also
 * work inside the sandbox of the compiler. The arithmetic is OpenSSL's. */
#ifndef WEIR_ARTIFACT_DIGEST_H
#define WEIR_ARTIFACT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_DIGEST_BYTES 32u

struct weir_sha256 {
    uint64_t opaque[16];
};

void weir_sha256_begin(struct weir_sha256 *state);
void weir_sha256_add(struct weir_sha256 *state, const void *bytes, size_t size);
void weir_sha256_end(struct weir_sha256 *state, uint8_t ret_digest[WEIR_DIGEST_BYTES]);
void weir_sha256(const void *bytes, size_t size, uint8_t ret_digest[WEIR_DIGEST_BYTES]);

struct weir_hmac {
    struct weir_sha256 inner;
    struct weir_sha256 outer;
};

void weir_hmac_begin(struct weir_hmac *state, const uint8_t key[WEIR_DIGEST_BYTES]);
void weir_hmac_add(struct weir_hmac *state, const void *bytes, size_t size);
void weir_hmac_end(struct weir_hmac *state, uint8_t ret_mac[WEIR_DIGEST_BYTES]);

/* Takes the same time wherever the difference is. */
bool weir_digest_equal(const uint8_t a[WEIR_DIGEST_BYTES], const uint8_t b[WEIR_DIGEST_BYTES]);

#endif
