/* Parallel moves: arguments of a call, parameters on entry. Moves whose target nobody still reads
 * go first; when only cycles are left, one value steps aside into the scratch register. */
#include "compiler/fast/fast_internal.h"

static bool is_read(const struct gen *g, const struct gen_move *moves, unsigned count, unsigned reg)
{
    for (unsigned i = 0; i < count; i++) {
        if (weir__gen_reg_of(g, &moves[i].from) == reg)
            return true;
    }
    return false;
}

void weir__gen_moves(struct gen *g, struct gen_move *moves, unsigned count)
{
    unsigned left = 0;
    for (unsigned i = 0; i < count; i++) { /* those already in place block nobody */
        if (weir__gen_reg_of(g, &moves[i].from) != moves[i].to)
            moves[left++] = moves[i];
    }
    while (left > 0) {
        bool has_moved = false;
        for (unsigned i = 0; i < left;) {
            struct gen_move move = moves[i];
            if (is_read(g, moves, left, move.to)) {
                i++;
                continue;
            }
            weir__gen_load(g, move.to, move.from);
            moves[i] = moves[--left];
            has_moved = true;
        }
        if (has_moved)
            continue;
        struct gen_value aside = moves[0].from;
        unsigned from = weir__gen_reg_of(g, &aside);
        unsigned scratch = gen_is_float(aside.type) ? GEN_FLOAT_SCRATCH : GEN_SCRATCH;
        weir__gen_load(g, scratch, aside);
        for (unsigned i = 0; i < left; i++) {
            if (weir__gen_reg_of(g, &moves[i].from) == from) {
                moves[i].from.kind = VALUE_REG;
                moves[i].from.reg = (uint8_t)scratch;
            }
        }
    }
}
