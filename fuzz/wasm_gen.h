/* Valid modules from random bytes, for differential runs of the code generator.
 *
 * A module exports "t0" ... (no parameters, one i64 result, a hash of what happened on the way) and
 * its memories "m" and, where it has two, "n". It imports the function "e" "h" (i32, i64 → i64),
 * see gen_host(). Everything it does is determined by the specification: NaNs are made canonical
 * before their bits are looked at, loops and calls are bounded by counters of the module's own,
 * growth by a maximum. Modules may trap; then memory and globals are as they were at that point. */
#ifndef WEIR_FUZZ_WASM_GEN_H
#define WEIR_FUZZ_WASM_GEN_H

#include <stddef.h>
#include <stdint.h>

#define GEN_TESTS 6u /* exports t0 to t5 */

#define GEN_FUNCS_MAX 12

struct gen_options {
    int has_tail_calls;
    /* What a module may have of each, by chance. */
    int has_memory64, has_table64, has_multi_memory;
    /* For making a module smaller: function i ends after this many steps; 0: as long as chance has
     * it; -1: at once. The steps before and the other functions stay as they are. */
    int steps[GEN_FUNCS_MAX];
};

/* The same bytes, seed and options make the same module, malloc'ed. */
uint8_t *gen_module(const uint8_t *data, size_t size, uint64_t seed,
                    const struct gen_options *options, size_t *ret_size);

/* What the imported function answers. */
static inline int64_t gen_host(int32_t a, int64_t b)
{
    return (int64_t)((uint64_t)(uint32_t)a * 2654435761u + (uint64_t)b * 3u);
}

#endif
