/* Conversions between integers and floating point. The processor answers the lowest integer (the
 * "indefinite" value) for whatever does not fit; what that means is sorted out in cold code. */
#include "compiler/fast/fast_internal.h"

#define ALU(alu) (X64_ALU_RM | (uint32_t)(alu) << 3)

/* Bits of arg. The source's precision is X64_F2 or X64_F3, as in opcodes. */
#define CONVERT_SIGNED 1u
#define CONVERT_SATURATE 2u

static void add_cold(struct gen *g, uint32_t arg, unsigned reg, unsigned xmm, uint32_t jump)
{
    bool is_wide = (arg & X64_W) != 0;
    bool is_signed = (arg & CONVERT_SIGNED) != 0;
    unsigned kind = COLD_TRUNC;
    if (arg & CONVERT_SATURATE)
        kind = COLD_SAT;
    else if (is_wide && is_signed)
        kind = COLD_TRUNC_EDGE;
    struct gen_cold *cold = weir__gen_cold(g, kind, jump);
    if (cold == NULL)
        return;
    cold->reg = (uint8_t)reg;
    cold->xmm = (uint8_t)xmm;
    cold->is_f64 = (arg & X64_F2) == X64_F2;
    uint64_t all = is_wide ? UINT64_MAX : UINT32_MAX;
    cold->high = is_signed ? all >> 1 : all;
    cold->low = is_signed ? (all >> 1) + 1 : 0;
}

/* i64 from below 2^63 as it is, from above less 2^63; the rest is negative and goes to cold code.
 */
static void truncate_u64(struct gen *g, uint32_t arg, unsigned reg, unsigned xmm)
{
    struct x64_asm *a = &g->a;
    bool is_f64 = (arg & X64_F2) == X64_F2;
    uint32_t precision = arg & (3u << 10);
    uint64_t limit = is_f64 ? UINT64_C(0x43e0000000000000) : UINT64_C(0x5f000000);
    struct x64_mem mem = x64_at(X64_RIP, (int32_t)weir__gen_const(g, limit));
    x64_rm(a, X64_UCOMI | (is_f64 ? X64_66 : 0), xmm, mem);
    uint32_t big = x64_jcc8(a, CC_AE);
    x64_rr(a, X64_CVTTS2SI | precision | X64_W, reg, xmm);
    x64_rr(a, X64_TEST | X64_W, reg, reg);
    uint32_t small_cold = x64_jcc(a, CC_S);
    uint32_t done = x64_jmp8(a);
    x64_land8(a, big);
    x64_rr(a, X64_MOVAPS, GEN_FLOAT_SCRATCH, xmm);
    x64_rm(a, X64_SUBS | precision, GEN_FLOAT_SCRATCH, mem);
    x64_rr(a, X64_CVTTS2SI | precision | X64_W, reg, GEN_FLOAT_SCRATCH);
    x64_rr(a, X64_TEST | X64_W, reg, reg);
    uint32_t big_cold = x64_jcc(a, CC_S);
    x64_rr(a, X64_BIT_IMM | X64_W, 7, reg); /* btc reg, 63 */
    x64_u8(a, 63);
    x64_land8(a, done);
    add_cold(g, arg, reg, xmm, small_cold);
    add_cold(g, arg, reg, xmm, big_cold);
}

/* Truncation, trapping or saturating. arg: CONVERT_* | X64_W for i64 | source precision. */
void weir__gen_emit_truncate(struct gen *g, uint32_t arg)
{
    struct x64_asm *a = &g->a;
    uint32_t precision = arg & (3u << 10);
    struct gen_value value = weir__gen_pop(g);
    unsigned xmm = weir__gen_use(g, &value);
    unsigned type = arg & X64_W ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
    unsigned reg = weir__gen_alloc(g, GEN_INT_REGS);
    bool is_signed = (arg & CONVERT_SIGNED) != 0;
    if (arg & X64_W && !is_signed) {
        truncate_u64(g, arg, reg, xmm);
    } else if (arg & X64_W) {
        x64_rr(a, X64_CVTTS2SI | precision | X64_W, reg, xmm);
        x64_alu_ri(a, X64_CMP, X64_W, reg, 1); /* overflows for the lowest integer only */
        add_cold(g, arg, reg, xmm, x64_jcc(a, CC_O));
    } else {
        /* Through 64 bits: in range when extending the lower half gives the same number. */
        x64_rr(a, X64_CVTTS2SI | precision | X64_W, reg, xmm);
        x64_rr(a, is_signed ? X64_MOVSXD : X64_MOV, GEN_SCRATCH, reg);
        x64_rr(a, ALU(X64_CMP) | X64_W, GEN_SCRATCH, reg);
        uint32_t jump = x64_jcc(a, CC_NE);
        if (is_signed)
            x64_rr(a, X64_MOV, reg, reg);
        add_cold(g, arg, reg, xmm, jump);
    }
    weir__gen_release(g, value);
    weir__gen_push_reg(g, type, reg);
}

/* Above 2^63: half of it, with the lost bit kept sticky so that rounding is right, doubled. */
static void convert_u64(struct gen *g, uint32_t op, unsigned dest, struct gen_value *value)
{
    struct x64_asm *a = &g->a;
    unsigned reg = weir__gen_own(g, value, X64_NONE);
    x64_rr(a, X64_TEST | X64_W, reg, reg);
    uint32_t big = x64_jcc8(a, CC_S);
    x64_rr(a, op | X64_W, dest, reg);
    uint32_t done = x64_jmp8(a);
    x64_land8(a, big);
    x64_rr(a, X64_MOV | X64_W, GEN_SCRATCH, reg);
    x64_rr(a, X64_SHIFT_IMM | X64_W, X64_SHR, GEN_SCRATCH);
    x64_u8(a, 1);
    x64_alu_ri(a, X64_AND, 0, reg, 1);
    x64_rr(a, ALU(X64_OR) | X64_W, reg, GEN_SCRATCH);
    x64_rr(a, op | X64_W, dest, reg);
    x64_rr(a, X64_ADDS | (op & (3u << 10)), dest, dest);
    x64_land8(a, done);
}

/* Integer to float. arg: CONVERT_SIGNED | X64_W for i64 | result precision. */
void weir__gen_emit_convert(struct gen *g, uint32_t arg)
{
    struct x64_asm *a = &g->a;
    uint32_t op = X64_CVTSI2S | (arg & (3u << 10));
    struct gen_value value = weir__gen_pop(g);
    unsigned type = (arg & X64_F2) == X64_F2 ? WEIR_TYPE_F64 : WEIR_TYPE_F32;
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    struct x64_mem mem;
    x64_rr(a, X64_XORPS, dest, dest); /* cvtsi2sd keeps the upper bits: no false dependency */
    if (arg & X64_W && !(arg & CONVERT_SIGNED)) {
        convert_u64(g, op, dest, &value);
    } else if (arg & CONVERT_SIGNED && weir__gen_in_memory(g, &value, &mem)) {
        x64_rm(a, op | (arg & X64_W), dest, mem);
    } else {
        unsigned from = weir__gen_use(g, &value);
        x64_rr(a, op | (arg & CONVERT_SIGNED ? arg & X64_W : X64_W), dest, from);
    }
    weir__gen_release(g, value);
    weir__gen_push_reg(g, type, dest);
}

/* arg: X64_W for 64 bits; CONVERT_SIGNED marks the direction integer to float. */
void weir__gen_emit_reinterpret(struct gen *g, uint32_t arg)
{
    struct x64_asm *a = &g->a;
    uint32_t wide = arg & X64_W;
    bool to_float = (arg & CONVERT_SIGNED) != 0;
    struct gen_value value = weir__gen_pop(g);
    unsigned type = wide ? (to_float ? WEIR_TYPE_F64 : WEIR_TYPE_I64)
                         : (to_float ? WEIR_TYPE_F32 : WEIR_TYPE_I32);
    if (value.kind == VALUE_CONST) {
        value.type = (uint8_t)type;
        weir__gen_push(g, value);
        return;
    }
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    struct x64_mem mem;
    if (weir__gen_in_memory(g, &value, &mem)) {
        if (to_float)
            x64_rm(a, X64_MOVS | (wide ? X64_F2 : X64_F3), dest, mem);
        else
            x64_rm(a, X64_MOV | wide, dest, mem);
    } else if (to_float) {
        x64_rr(a, X64_MOVD_TO_XMM | wide, dest, weir__gen_reg_of(g, &value));
    } else {
        x64_rr(a, X64_MOVD_FROM_XMM | wide, weir__gen_reg_of(g, &value), dest);
    }
    weir__gen_release(g, value);
    weir__gen_push_reg(g, type, dest);
}
