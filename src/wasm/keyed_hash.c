/* Keyed hash; see keyed_hash_internal.h. */
#include <sys/auxv.h>

#include "base/bytes.h"
#include "wasm/keyed_hash_internal.h"

struct weir_hash_key weir__hash_key(void)
{
    struct weir_hash_key key = {{0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u}};
    const uint8_t *random = (const uint8_t *)getauxval(AT_RANDOM);
    if (random != NULL) {
        key.words[0] ^= weir_load_u64(random);
        key.words[1] ^= weir_load_u64(random + 8);
    }
    return key;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t weir__hash_bytes(const struct weir_hash_key *key, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t state = fold(key->words[0] ^ size, key->words[1] | 1);
    size_t left = size;
    for (; left >= 8; at += 8, left -= 8)
        state = fold(state ^ weir_load_u64(at) ^ key->words[1], key->words[0] | 1) + left;
    uint64_t tail = 0;
    memcpy(&tail, at, left);
    return fold(state ^ tail ^ key->words[1], 0x9fb21c651e98df25u ^ key->words[0]);
}
