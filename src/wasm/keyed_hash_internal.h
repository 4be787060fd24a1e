/* Keyed hash for tables over names and types of a hostile module.
 *
 * The key is the process's AT_RANDOM bytes, so nobody can prepare collisions; nothing that leaves
 * the process depends on the value. Multiply-and-fold over 8-byte words.
 */
#ifndef WEIR_WASM_KEYED_HASH_INTERNAL_H
#define WEIR_WASM_KEYED_HASH_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

struct weir_hash_key {
    uint64_t words[2];
};

struct weir_hash_key weir__hash_key(void);
uint64_t weir__hash_bytes(const struct weir_hash_key *key, const void *bytes, size_t size);

/* A power of two at which `count` entries fill a table to one half at most. */
static inline size_t weir__hash_slots(size_t count)
{
    size_t slots = 8;
    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

#endif
