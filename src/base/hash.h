/* SHA-256, HMAC-SHA-256 and hexadecimal, through OpenSSL. The only place that knows OpenSSL,
 * but for the signatures of contracts. */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define WEIR_HASH_SIZE 32
#define WEIR_HASH_HEX_SIZE 65 /* with its terminating zero */

struct weir_hash {
    uint8_t bytes[WEIR_HASH_SIZE];
};

/* One call over bytes in memory. NO_MEMORY when OpenSSL gets none. */
enum weir_status weir_hash_bytes(const void *bytes, size_t size, struct weir_hash *ret_hash,
                                 struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_hash_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                                struct weir_hash *ret_mac, struct weir_error *error) WEIR_MUST_USE;

/* In pieces: new, add …, end. The state can be ended once. A key makes it an HMAC; NULL does not.
 */
struct weir_hash_state;
enum weir_status weir_hash_new(const void *key, size_t key_size, struct weir_hash_state **ret_state,
                               struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_hash_add(struct weir_hash_state *state, const void *bytes, size_t size,
                               struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_hash_end(struct weir_hash_state *state, struct weir_hash *ret_hash,
                               struct weir_error *error) WEIR_MUST_USE;
void weir_hash_free(struct weir_hash_state *state);
WEIR_AUTO_DEFINE(weir_hash_state, weir_hash_free)

/* In time that does not depend on where they differ. */
bool weir_hash_equal(const struct weir_hash *a, const struct weir_hash *b);

/* The value of a hexadecimal digit of either case, or -1. */
int weir_hex_digit(char c);
/* Lower case. weir_hex_read: false unless text is exactly 2 × size hexadecimal digits. */
void weir_hash_hex(const struct weir_hash *hash, char ret_text[WEIR_HASH_HEX_SIZE]);
bool weir_hex_read(const char *text, size_t length, uint8_t *ret_bytes, size_t size);

#endif
