/* Floating point: arithmetic, comparisons, rounding, signs. SSE scalars do what IEEE 754 and
 * WebAssembly ask, but for min and max, and NaN comparisons need care with the parity flag. */
#include "compiler/fast/fast_internal.h"

/* arg of every emitter here: FLOAT_64 says f64. */
#define FLOAT_64 X64_F2

static unsigned float_type(uint32_t arg)
{
    return (arg & X64_F2) == X64_F2 ? WEIR_TYPE_F64 : WEIR_TYPE_F32;
}

/* A NaN in the register takes the one form it has where NaNs are canonical. */
static void canonicalise(struct gen *g, unsigned type, unsigned reg)
{
    bool is_f64 = type == WEIR_TYPE_F64;
    uint64_t nan = is_f64 ? UINT64_C(0x7ff8000000000000) : UINT64_C(0x7fc00000);
    x64_rr(&g->a, X64_UCOMI | (is_f64 ? X64_66 : 0), reg, reg);
    uint32_t number = x64_jcc8(&g->a, CC_NP);
    x64_rm(&g->a, X64_MOVS | (is_f64 ? X64_F2 : X64_F3), reg,
           x64_at(X64_RIP, (int32_t)weir__gen_const(g, nan)));
    x64_land8(&g->a, number);
}

static void push_made(struct gen *g, unsigned type, unsigned reg)
{
    if (g->has_canonical_nans)
        canonicalise(g, type, reg);
    weir__gen_push(g, (struct gen_value){.kind = VALUE_REG,
                                         .type = (uint8_t)type,
                                         .reg = (uint8_t)reg,
                                         .is_made = g->has_canonical_nans});
}

/* dest ← dest op value. */
static void apply(struct gen *g, uint32_t op, unsigned dest, struct gen_value *value)
{
    struct x64_mem mem;
    if (weir__gen_in_memory(g, value, &mem))
        x64_rm(&g->a, op, dest, mem);
    else
        x64_rr(&g->a, op, dest, weir__gen_use(g, value));
}

/* arg: the opcode with its precision. */
void weir__gen_emit_float_binary(struct gen *g, uint32_t arg)
{
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    unsigned type = float_type(arg);
    unsigned op = arg & 0xff;
    bool commutes = op == (X64_ADDS & 0xff) || op == (X64_MULS & 0xff);
    const struct gen_value *first = &lhs;
    if (commutes && ((gen_is_temp(g, &rhs) && !gen_is_temp(g, &lhs)) || lhs.kind == VALUE_CONST)) {
        struct gen_value t = lhs;
        lhs = rhs;
        rhs = t;
    }
    unsigned dest = first->reg;
    if (!gen_is_temp(g, &lhs)) {
        dest = weir__gen_dest(g, type, weir__gen_reg_of(g, &rhs));
        weir__gen_load(g, dest, lhs);
        weir__gen_release(g, lhs);
    }
    apply(g, arg, dest, &rhs);
    weir__gen_release(g, rhs);
    push_made(g, type, dest);
}

/* sqrt, promote and demote; arg: the opcode with the operand's precision. */
void weir__gen_emit_float_unary(struct gen *g, uint32_t arg)
{
    struct gen_value value = weir__gen_pop(g);
    unsigned type = float_type(arg);
    bool is_conversion = (arg & 0xff) == (X64_CVTS2S & 0xff);
    if (is_conversion)
        type = type == WEIR_TYPE_F32 ? WEIR_TYPE_F64 : WEIR_TYPE_F32;
    struct x64_mem mem;
    unsigned dest;
    if (weir__gen_in_memory(g, &value, &mem)) {
        dest = weir__gen_dest(g, type, X64_NONE);
        x64_rr(&g->a, X64_XORPS, dest, dest); /* no wait for the old value */
        x64_rm(&g->a, arg, dest, mem);
    } else {
        unsigned from = weir__gen_use(g, &value);
        dest = gen_is_temp(g, &value) ? from : weir__gen_dest(g, type, X64_NONE);
        x64_rr(&g->a, arg, dest, from);
    }
    if (is_conversion) /* quiets a NaN and keeps its payload */
        weir__gen_push(g, (struct gen_value){.kind = VALUE_REG,
                                             .type = (uint8_t)type,
                                             .reg = (uint8_t)dest,
                                             .is_made = value.is_made});
    else
        push_made(g, type, dest);
}

/* arg: rounding mode of roundss/roundsd in bits 0-7 | FLOAT_64. */
void weir__gen_emit_round(struct gen *g, uint32_t arg)
{
    struct gen_value value = weir__gen_pop(g);
    unsigned type = float_type(arg);
    unsigned from = weir__gen_use(g, &value);
    unsigned dest = gen_is_temp(g, &value) ? from : weir__gen_dest(g, type, X64_NONE);
    x64_rr(&g->a, type == WEIR_TYPE_F64 ? X64_ROUNDSD : X64_ROUNDSS, dest, from);
    x64_u8(&g->a, arg & 0xff);
    push_made(g, type, dest);
}

static struct x64_mem mask(unsigned type, unsigned f32_mask)
{
    return x64_at(X64_RIP, 16 * (int32_t)(f32_mask + (type == WEIR_TYPE_F64 ? 1 : 0)));
}

/* abs and neg change the sign bit and nothing else; arg: X64_ANDPS or X64_XORPS | FLOAT_64. */
void weir__gen_emit_sign(struct gen *g, uint32_t arg)
{
    struct gen_value value = weir__gen_pop(g);
    unsigned type = float_type(arg);
    bool is_abs = (arg & 0xff) == (X64_ANDPS & 0xff);
    unsigned dest = value.reg;
    if (!gen_is_temp(g, &value)) {
        dest = weir__gen_dest(g, type, X64_NONE);
        weir__gen_load(g, dest, value);
    }
    x64_rm(&g->a, is_abs ? X64_ANDPS : X64_XORPS, dest,
           mask(type, is_abs ? MASK_F32_ABS : MASK_F32_SIGN));
    if (value.is_made)
        push_made(g, type, dest);
    else
        weir__gen_push_reg(g, type, dest);
}

void weir__gen_emit_copysign(struct gen *g, uint32_t arg)
{
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    unsigned type = float_type(arg);
    unsigned dest = weir__gen_own(g, &lhs, X64_NONE);
    weir__gen_load(g, GEN_FLOAT_SCRATCH, rhs);
    x64_rm(&g->a, X64_ANDPS, dest, mask(type, MASK_F32_ABS));
    x64_rm(&g->a, X64_ANDPS, GEN_FLOAT_SCRATCH, mask(type, MASK_F32_SIGN));
    x64_rr(&g->a, X64_ORPS, dest, GEN_FLOAT_SCRATCH);
    weir__gen_release(g, rhs);
    weir__gen_push_reg(g, type, dest);
}

/* Unordered: the sum, which is a NaN. Equal: both zeros must be told apart, by or (min) and and
 * (max) of the bits. Otherwise the instruction is right. arg: X64_MINS or X64_MAXS | FLOAT_64. */
void weir__gen_emit_min_max(struct gen *g, uint32_t arg)
{
    struct x64_asm *a = &g->a;
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    unsigned type = float_type(arg);
    bool is_min = (arg & 0xff) == (X64_MINS & 0xff);
    unsigned right = weir__gen_use(g, &rhs);
    unsigned dest = weir__gen_own(g, &lhs, right);
    x64_rr(a, X64_UCOMI | (type == WEIR_TYPE_F64 ? X64_66 : 0), dest, right);
    uint32_t nan = x64_jcc8(a, CC_P);
    uint32_t equal = x64_jcc8(a, CC_E);
    x64_rr(a, arg, dest, right);
    uint32_t done = x64_jmp8(a);
    x64_land8(a, equal);
    x64_rr(a, is_min ? X64_ORPS : X64_ANDPS, dest, right);
    uint32_t done_equal = x64_jmp8(a);
    x64_land8(a, nan);
    x64_rr(a, X64_ADDS | (arg & (3u << 10)), dest, right);
    x64_land8(a, done);
    x64_land8(a, done_equal);
    if (g->has_canonical_nans)
        canonicalise(g, type, dest);
    weir__gen_release(g, rhs);
    weir__gen_push_reg(g, type, dest);
}

/* arg: enum x64_cc of an unsigned comparison | FLOAT_64. Less-than is asked as greater-than with
 * the sides exchanged, because "above" is false when unordered. */
void weir__gen_emit_float_compare(struct gen *g, uint32_t arg)
{
    bool is_fused = weir__gen_fuses(g);
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    unsigned cc = arg & 0xff;
    if (cc == CC_B || cc == CC_BE) {
        struct gen_value t = lhs;
        lhs = rhs;
        rhs = t;
        cc = cc == CC_B ? CC_A : CC_AE;
    }
    uint32_t op = X64_UCOMI | (float_type(arg) == WEIR_TYPE_F64 ? X64_66 : 0);
    unsigned left = weir__gen_use(g, &lhs);
    apply(g, op, left, &rhs);
    weir__gen_release(g, lhs);
    weir__gen_release(g, rhs);
    weir__gen_push_flags(g, cc, is_fused);
}
