/* Integer division and remainder: their traps, and constant divisors without a division. */
#include "compiler/fast/fast_internal.h"

#define ALU(alu) (X64_ALU_RM | (uint32_t)(alu) << 3)

struct division {
    uint32_t wide;
    bool is_signed;
    bool is_remainder;
    uint8_t type;
};

/* x / 2^k and x % 2^k; `reg` holds x and is changed into the result. */
static void by_power_of_two(struct gen *g, const struct division *d, unsigned reg, unsigned k)
{
    struct x64_asm *a = &g->a;
    unsigned bits = d->wide ? 64 : 32;
    uint32_t wide = d->wide;
    if (!d->is_signed && !d->is_remainder) {
        x64_rr(a, X64_SHIFT_IMM | wide, X64_SHR, reg);
        x64_u8(a, k);
        return;
    }
    if (!d->is_signed) { /* x & (2^k - 1) */
        uint64_t mask = (UINT64_C(1) << k) - 1;
        if (!wide || mask <= INT32_MAX) {
            x64_alu_ri(a, X64_AND, 0, reg, (int32_t)(uint32_t)mask);
        } else {
            x64_mov_ri(a, GEN_SCRATCH, mask);
            x64_rr(a, ALU(X64_AND) | X64_W, reg, GEN_SCRATCH);
        }
        return;
    }
    /* Signed: negative numbers get 2^k - 1 added first, so that the shift rounds to zero. */
    x64_rr(a, X64_MOV | wide, GEN_SCRATCH, reg);
    if (k > 1) {
        x64_rr(a, X64_SHIFT_IMM | wide, X64_SAR, GEN_SCRATCH);
        x64_u8(a, bits - 1);
    }
    x64_rr(a, X64_SHIFT_IMM | wide, X64_SHR, GEN_SCRATCH);
    x64_u8(a, bits - k);
    x64_rr(a, ALU(X64_ADD) | wide, GEN_SCRATCH, reg); /* biased x */
    if (!d->is_remainder) {
        x64_rr(a, X64_MOV | wide, reg, GEN_SCRATCH);
        x64_rr(a, X64_SHIFT_IMM | wide, X64_SAR, reg);
        x64_u8(a, k);
        return;
    }
    x64_rr(a, X64_SHIFT_IMM | wide, X64_SHR, GEN_SCRATCH);
    x64_u8(a, k);
    x64_rr(a, X64_SHIFT_IMM | wide, X64_SHL, GEN_SCRATCH);
    x64_u8(a, k);
    x64_rr(a, ALU(X64_SUB) | wide, reg, GEN_SCRATCH);
}

/* The smallest factor and shift with x / d = x * factor >> 32 + shift for all x below 2^bits: the
 * factor is rounded up, and its error must not reach the next integer (Granlund, Montgomery 1994).
 * It may need 33 bits. */
static uint64_t reciprocal(uint32_t d, unsigned bits, unsigned *ret_shift)
{
    for (unsigned shift = 0;; shift++) {
        uint64_t power = UINT64_C(1) << (32 + shift);
        uint64_t factor = power / d + 1;
        if (factor * d - power <= UINT64_C(1) << (32 + shift - bits)) {
            *ret_shift = shift;
            return factor;
        }
    }
}

/* r11 ← x / d, x in `reg`; unsigned. */
static void quotient_u32(struct gen *g, unsigned reg, uint32_t d)
{
    struct x64_asm *a = &g->a;
    unsigned shift;
    uint64_t factor = reciprocal(d, 32, &shift);
    x64_mov_ri(a, GEN_SCRATCH, (uint32_t)factor);
    x64_rr(a, X64_IMUL | X64_W, GEN_SCRATCH, reg);
    x64_rr(a, X64_SHIFT_IMM | X64_W, X64_SHR, GEN_SCRATCH);
    if (factor <= UINT32_MAX) {
        x64_u8(a, 32 + shift);
        return;
    }
    /* t = x * (factor - 2^32) >> 32; the sum x + t would need 33 bits */
    x64_u8(a, 32);
    unsigned half = weir__gen_alloc(g, GEN_INT_REGS);
    x64_rr(a, X64_MOV, half, reg);
    x64_rr(a, ALU(X64_SUB), half, GEN_SCRATCH);
    x64_rr(a, X64_SHIFT_IMM, X64_SHR, half);
    x64_u8(a, 1);
    x64_rr(a, ALU(X64_ADD), GEN_SCRATCH, half);
    x64_rr(a, X64_SHIFT_IMM, X64_SHR, GEN_SCRATCH);
    x64_u8(a, shift - 1);
    weir__gen_free(g, half);
}

/* r11 ← x / d, x in `reg`; signed. The product is rounded down, so negative numbers get 1 added. */
static void quotient_s32(struct gen *g, unsigned reg, int32_t d)
{
    struct x64_asm *a = &g->a;
    unsigned shift;
    uint64_t factor = reciprocal(d < 0 ? 0u - (uint32_t)d : (uint32_t)d, 31, &shift);
    unsigned temp = weir__gen_alloc(g, GEN_INT_REGS);
    x64_mov_ri(a, temp, factor);
    x64_rr(a, X64_MOVSXD, GEN_SCRATCH, reg);
    x64_rr(a, X64_IMUL | X64_W, GEN_SCRATCH, temp);
    x64_rr(a, X64_SHIFT_IMM | X64_W, X64_SAR, GEN_SCRATCH);
    x64_u8(a, 32 + shift);
    x64_rr(a, X64_MOV, temp, reg);
    x64_rr(a, X64_SHIFT_IMM, X64_SHR, temp);
    x64_u8(a, 31);
    x64_rr(a, ALU(X64_ADD), GEN_SCRATCH, temp);
    if (d < 0)
        x64_rr(a, X64_GROUP3, 3, GEN_SCRATCH); /* neg */
    weir__gen_free(g, temp);
}

/* i32 by a constant that is not 0, 1, -1 or the lowest integer, and no power of two. */
static void by_reciprocal(struct gen *g, const struct division *d, struct gen_value *lhs,
                          uint32_t divisor)
{
    struct x64_asm *a = &g->a;
    unsigned reg = weir__gen_use(g, lhs);
    if (d->is_signed)
        quotient_s32(g, reg, (int32_t)divisor);
    else
        quotient_u32(g, reg, divisor);
    if (d->is_remainder) {
        x64_rr(a, X64_IMUL_IMM32, GEN_SCRATCH, GEN_SCRATCH);
        x64_u32(a, divisor);
    }
    unsigned dest = weir__gen_dest(g, d->type, X64_NONE);
    if (d->is_remainder) {
        weir__gen_load(g, dest, *lhs);
        x64_rr(a, ALU(X64_SUB), dest, GEN_SCRATCH);
    } else {
        x64_rr(a, X64_MOV, dest, GEN_SCRATCH);
    }
    weir__gen_release(g, *lhs);
    weir__gen_push_reg(g, d->type, dest);
}

/* Constant divisors that need no division; false for the others. */
static bool by_constant(struct gen *g, const struct division *d, struct gen_value *lhs,
                        uint64_t divisor)
{
    if (!d->wide)
        divisor = (uint32_t)divisor;
    uint64_t sign = d->wide ? UINT64_C(1) << 63 : UINT64_C(1) << 31;
    if (!weir_is_power_of_two(divisor) || (d->is_signed && divisor == sign)) {
        bool is_minus_one = d->is_signed && divisor == UINT32_MAX;
        bool is_large = !d->is_signed && divisor > sign; /* reciprocal() would overflow */
        if (d->wide || divisor == sign || is_minus_one || is_large)
            return false;
        by_reciprocal(g, d, lhs, (uint32_t)divisor);
        return true;
    }
    if (divisor == 1 && d->is_remainder) {
        weir__gen_release(g, *lhs);
        weir__gen_push(g, (struct gen_value){.kind = VALUE_CONST, .type = d->type, .bits = 0});
        return true;
    }
    unsigned reg = weir__gen_own(g, lhs, X64_NONE);
    if (divisor != 1)
        by_power_of_two(g, d, reg, (unsigned)__builtin_ctzll(divisor));
    weir__gen_push_reg(g, d->type, reg);
    return true;
}

/* The division itself: rdx:rax by `divisor`. By -1 only the sign changes, or it traps. */
static void divide(struct gen *g, const struct division *d, unsigned divisor, bool may_be_minus_one)
{
    struct x64_asm *a = &g->a;
    if (!d->is_signed) {
        x64_rr(a, ALU(X64_XOR), RDX, RDX);
        x64_rr(a, X64_GROUP3 | d->wide, 6, divisor);
        return;
    }
    uint32_t normal = 0;
    uint32_t done = 0;
    if (may_be_minus_one) {
        x64_alu_ri(a, X64_CMP, d->wide, divisor, -1);
        normal = x64_jcc8(a, CC_NE);
        if (d->is_remainder) {
            x64_rr(a, ALU(X64_XOR), RDX, RDX);
        } else {
            x64_rr(a, X64_GROUP3 | d->wide, 3, RAX); /* neg */
            weir__gen_trap(g, CC_O, WEIR_TRAP_INTEGER_OVERFLOW);
        }
        done = x64_jmp8(a);
        x64_land8(a, normal);
    }
    if (d->wide)
        x64_u8(a, 0x48);
    x64_u8(a, 0x99); /* cdq, cqo */
    x64_rr(a, X64_GROUP3 | d->wide, 7, divisor);
    if (may_be_minus_one)
        x64_land8(a, done);
}

#define DIVIDE_SIGNED 1u
#define DIVIDE_REMAINDER 2u

/* arg: DIVIDE_SIGNED | DIVIDE_REMAINDER | X64_W. */
void weir__gen_emit_divide(struct gen *g, uint32_t arg)
{
    struct division d = {
        .wide = arg & X64_W,
        .is_signed = (arg & DIVIDE_SIGNED) != 0,
        .is_remainder = (arg & DIVIDE_REMAINDER) != 0,
        .type = arg & X64_W ? WEIR_TYPE_I64 : WEIR_TYPE_I32,
    };
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    bool is_const = rhs.kind == VALUE_CONST && rhs.bits != 0;
    if (is_const && by_constant(g, &d, &lhs, rhs.bits))
        return;
    uint64_t minus_one = d.wide ? UINT64_MAX : UINT32_MAX;
    bool may_be_minus_one = !is_const || rhs.bits == minus_one;
    const uint32_t reserved = X64_BIT(RAX) | X64_BIT(RDX);
    unsigned divisor = weir__gen_reg_of(g, &rhs);
    if (divisor == X64_NONE || X64_BIT(divisor) & reserved) {
        divisor = weir__gen_alloc(g, GEN_INT_REGS & ~reserved);
        weir__gen_load(g, divisor, rhs);
        weir__gen_release(g, rhs);
        rhs = (struct gen_value){.kind = VALUE_REG, .type = d.type, .reg = (uint8_t)divisor};
    }
    if (lhs.kind != VALUE_REG || lhs.reg != RAX) {
        weir__gen_claim(g, RAX);
        weir__gen_load(g, RAX, lhs);
        weir__gen_release(g, lhs);
    }
    weir__gen_claim(g, RDX);
    if (!is_const) {
        x64_rr(&g->a, X64_TEST | d.wide, divisor, divisor);
        weir__gen_trap(g, CC_E, WEIR_TRAP_DIVIDE_BY_ZERO);
    }
    divide(g, &d, divisor, may_be_minus_one);
    weir__gen_release(g, rhs);
    weir__gen_free(g, d.is_remainder ? RAX : RDX);
    weir__gen_push_reg(g, d.type, d.is_remainder ? RDX : RAX);
}
