/* Canonical types: structural equality by hash consing, in time linear in the type section.
 *
 * Two passes. The first makes equal vectors of value types one pointer; the second makes equal
 * pairs of (parameters, results) one index. Typed references will put their recursion groups in
 * the place of the second pass; users compare `canonical` (or the pointers) and nothing else.
 */
#include <string.h>

#include "wasm/decode_internal.h"
#include "wasm/keyed_hash_internal.h"

struct vector {
    const weir_wasm_type *types;
    uint32_t count;
};

/* The parameters (even) and results (odd) of all types, counted through. */
static struct vector vector_of(const struct weir_wasm_func_type *types, uint32_t id)
{
    const struct weir_wasm_func_type *type = &types[id / 2];
    return id % 2 == 0 ? (struct vector){type->params, type->param_count}
                       : (struct vector){type->results, type->result_count};
}

/* Slots hold id + 1. Answers the vector that was seen first among the equal ones. */
static const weir_wasm_type *intern_vector(uint32_t *slots, size_t mask,
                                           const struct weir_hash_key *key,
                                           const struct weir_wasm_func_type *types, uint32_t id)
{
    struct vector vector = vector_of(types, id);
    size_t bytes = vector.count * sizeof *vector.types;
    size_t slot = weir__hash_bytes(key, vector.types, bytes) & mask;
    for (; slots[slot] != 0; slot = (slot + 1) & mask) {
        struct vector seen = vector_of(types, slots[slot] - 1);
        if (seen.count == vector.count && memcmp(seen.types, vector.types, bytes) == 0)
            return seen.types;
    }
    slots[slot] = id + 1;
    return vector.types;
}

static bool same_type(const struct weir_wasm_func_type *a, const struct weir_wasm_func_type *b)
{
    return a->params == b->params && a->results == b->results && a->param_count == b->param_count &&
           a->result_count == b->result_count;
}

/* Slots hold index + 1. Answers the lowest index of an equal type. */
static uint32_t intern_type(uint32_t *slots, size_t mask, const struct weir_hash_key *key,
                            const struct weir_wasm_func_type *types, uint32_t index)
{
    const struct weir_wasm_func_type *type = &types[index];
    const void *pair[2] = {type->params, type->results};
    size_t slot = weir__hash_bytes(key, pair, sizeof pair) & mask;
    for (; slots[slot] != 0; slot = (slot + 1) & mask) {
        if (same_type(&types[slots[slot] - 1], type))
            return slots[slot] - 1;
    }
    slots[slot] = index + 1;
    return index;
}

enum weir_status weir__types_canonicalise(struct weir_wasm_func_type *types, uint32_t count,
                                          struct weir_arena *scratch)
{
    struct weir_hash_key key = weir__hash_key();
    struct weir_arena_mark mark = weir_arena_mark(scratch);
    size_t vector_slots = weir__hash_slots(2 * (size_t)count);
    size_t type_slots = weir__hash_slots(count);
    uint32_t *vectors = WEIR_ARENA_ARRAY(scratch, uint32_t, vector_slots);
    uint32_t *indices = WEIR_ARENA_ARRAY(scratch, uint32_t, type_slots);
    if (vectors == NULL || indices == NULL) {
        weir_arena_release(scratch, mark);
        return WEIR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct weir_wasm_func_type *type = &types[i];
        type->params = intern_vector(vectors, vector_slots - 1, &key, types, 2 * i);
        type->results = intern_vector(vectors, vector_slots - 1, &key, types, 2 * i + 1);
        type->canonical = intern_type(indices, type_slots - 1, &key, types, i);
    }
    weir_arena_release(scratch, mark);
    return WEIR_OK;
}
