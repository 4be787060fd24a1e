/* Integer instructions but division: arithmetic, comparisons, shifts, bit counting, extensions. */
#include "compiler/fast/fast_internal.h"

#include "artifact/cpu.h"

#define ALU(alu) (X64_ALU_RM | (uint32_t)(alu) << 3)

static unsigned width_type(uint32_t wide)
{
    return wide ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
}

static bool is_imm(const struct gen_value *value)
{
    return value->kind == VALUE_CONST &&
           (value->type == WEIR_TYPE_I32 || x64_is_i32((int64_t)value->bits));
}

static void swap(struct gen_value *a, struct gen_value *b)
{
    struct gen_value t = *a;
    *a = *b;
    *b = t;
}

/* dest ← dest op value, the value being anything. */
static void alu_value(struct gen *g, unsigned alu, uint32_t wide, unsigned dest,
                      const struct gen_value *value)
{
    struct x64_asm *a = &g->a;
    struct x64_mem mem;
    unsigned reg = weir__gen_reg_of(g, value);
    if (reg != X64_NONE) {
        x64_rr(a, ALU(alu) | wide, dest, reg);
    } else if (is_imm(value)) {
        x64_alu_ri(a, alu, wide, dest, (int32_t)value->bits);
    } else if (weir__gen_in_memory(g, value, &mem)) {
        x64_rm(a, ALU(alu) | wide, dest, mem);
    } else {
        x64_mov_ri(a, GEN_SCRATCH, value->bits);
        x64_rr(a, ALU(alu) | wide, dest, GEN_SCRATCH);
    }
}

/* `local.get x; value; op; local.set x` on a local that lives in the frame. */
static bool alu_in_frame(struct gen *g, unsigned alu, uint32_t wide, const struct gen_value *lhs,
                         struct gen_value *rhs)
{
    bool is_tee = g->next.op == WEIR_OP_LOCAL_TEE;
    if (lhs->kind != VALUE_LOCAL || (g->next.op != WEIR_OP_LOCAL_SET && !is_tee) ||
        g->next.index != lhs->index || g->costs != NULL)
        return false;
    struct gen_local *local = &g->locals[lhs->index];
    const struct gen_web *web = weir__gen_web_at(g, lhs->index, g->position + 1);
    if (local->reg != X64_NONE || local->newest != GEN_NONE || is_tee ||
        (web != NULL && web->reg != X64_NONE))
        return false;
    struct x64_mem mem = x64_at(RBP, local->home);
    if (is_imm(rhs)) {
        x64_alu_mi(&g->a, alu, wide, mem, (int32_t)rhs->bits);
    } else {
        unsigned reg = weir__gen_use(g, rhs);
        x64_rm(&g->a, (X64_ALU_MR | alu << 3) | wide, reg, mem);
    }
    weir__gen_release(g, *rhs);
    weir__gen_forget_checks(g, lhs->index);
    weir__gen_advance(g); /* the local.set is done */
    return true;
}

/* Sums with a new destination cost one lea. */
static bool add_by_lea(struct gen *g, uint32_t wide, unsigned alu, const struct gen_value *lhs,
                       const struct gen_value *rhs)
{
    unsigned left = weir__gen_reg_of(g, lhs);
    unsigned right = weir__gen_reg_of(g, rhs);
    bool by_imm = is_imm(rhs) && (alu == X64_ADD || (int32_t)rhs->bits != INT32_MIN);
    if (left == X64_NONE || !(by_imm || (alu == X64_ADD && right != X64_NONE)))
        return false;
    unsigned type = width_type(wide);
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    struct x64_mem sum;
    if (!by_imm)
        sum = x64_at_index(left, right, 0, 0);
    else
        sum = x64_at(left, alu == X64_ADD ? (int32_t)rhs->bits : -(int32_t)rhs->bits);
    if (dest == left && by_imm)
        x64_alu_ri(&g->a, alu, wide, dest, (int32_t)rhs->bits);
    else if (dest == left)
        x64_rr(&g->a, ALU(X64_ADD) | wide, dest, right);
    else if (dest == right)
        x64_rr(&g->a, ALU(X64_ADD) | wide, dest, left);
    else
        x64_rm(&g->a, X64_LEA | wide, dest, sum);
    weir__gen_release(g, *rhs);
    weir__gen_push_reg(g, type, dest);
    return true;
}

/* An `and` of which only zero or not matters. */
static void test(struct gen *g, uint32_t wide, struct gen_value *lhs, struct gen_value *rhs)
{
    struct x64_asm *a = &g->a;
    struct x64_mem mem;
    unsigned left = weir__gen_use(g, lhs);
    unsigned right = weir__gen_reg_of(g, rhs);
    if (right != X64_NONE) {
        x64_rr(a, X64_TEST | wide, right, left);
    } else if (is_imm(rhs)) {
        x64_rr(a, X64_GROUP3 | wide, 0, left);
        x64_u32(a, (uint32_t)rhs->bits);
    } else if (weir__gen_in_memory(g, rhs, &mem)) {
        x64_rm(a, X64_TEST | wide, left, mem);
    } else {
        x64_mov_ri(a, GEN_SCRATCH, rhs->bits);
        x64_rr(a, X64_TEST | wide, GEN_SCRATCH, left);
    }
    weir__gen_release(g, *lhs);
    weir__gen_release(g, *rhs);
    weir__gen_push_flags(g, CC_NE, true);
}

/* arg: enum x64_alu | X64_W. */
void weir__gen_emit_alu(struct gen *g, uint32_t arg)
{
    uint32_t wide = arg & X64_W;
    unsigned alu = arg & 7;
    bool commutes = alu != X64_SUB;
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    if (commutes && (lhs.kind == VALUE_CONST || (gen_is_temp(g, &rhs) && !gen_is_temp(g, &lhs))))
        swap(&lhs, &rhs);
    bool sets = g->next.op == WEIR_OP_LOCAL_SET || g->next.op == WEIR_OP_LOCAL_TEE;
    if (commutes && sets && rhs.kind == VALUE_LOCAL && rhs.index == g->next.index)
        swap(&lhs, &rhs);
    bool is_tested = wide && g->next.op == WEIR_OP_I64_EQZ && weir__gen_fuses_eqz(g);
    if (alu == X64_AND && (is_tested || weir__gen_fuses(g))) {
        test(g, wide, &lhs, &rhs);
        return;
    }
    if (alu_in_frame(g, alu, wide, &lhs, &rhs))
        return;
    if ((alu == X64_ADD || alu == X64_SUB) && !gen_is_temp(g, &lhs) &&
        add_by_lea(g, wide, alu, &lhs, &rhs))
        return;
    unsigned dest;
    if (gen_is_temp(g, &lhs)) {
        dest = lhs.reg;
    } else {
        dest = weir__gen_dest(g, width_type(wide), weir__gen_reg_of(g, &rhs));
        weir__gen_load(g, dest, lhs);
        weir__gen_release(g, lhs);
    }
    alu_value(g, alu, wide, dest, &rhs);
    weir__gen_release(g, rhs);
    weir__gen_push_reg(g, width_type(wide), dest);
}

/* x * k for the constants that lea and shl do better; false for others. */
static bool multiply_by(struct gen *g, uint32_t wide, unsigned dest, unsigned from, uint64_t k)
{
    struct x64_asm *a = &g->a;
    if (!wide)
        k = (uint32_t)k;
    if (weir_is_power_of_two(k)) {
        if (dest != from)
            x64_rr(a, X64_MOV | wide, dest, from);
        x64_rr(a, X64_SHIFT_IMM | wide, X64_SHL, dest);
        x64_u8(a, (unsigned)__builtin_ctzll(k));
        return true;
    }
    if (k == 3 || k == 5 || k == 9) {
        x64_rm(a, X64_LEA | wide, dest, x64_at_index(from, from, k == 3 ? 1 : k == 5 ? 2 : 3, 0));
        return true;
    }
    if (!x64_is_i32((int64_t)(wide ? k : (uint64_t)(int32_t)k)))
        return false;
    bool is_small = x64_is_i8((int32_t)k);
    x64_rr(a, (is_small ? X64_IMUL_IMM8 : X64_IMUL_IMM32) | wide, dest, from);
    if (is_small)
        x64_u8(a, (unsigned)k);
    else
        x64_u32(a, (uint32_t)k);
    return true;
}

/* arg: X64_W or 0. */
void weir__gen_emit_mul(struct gen *g, uint32_t arg)
{
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    unsigned type = width_type(arg);
    if (lhs.kind == VALUE_CONST || (gen_is_temp(g, &rhs) && !gen_is_temp(g, &lhs)))
        swap(&lhs, &rhs);
    if (rhs.kind == VALUE_CONST) {
        unsigned from = weir__gen_use(g, &lhs);
        unsigned dest = gen_is_temp(g, &lhs) ? from : weir__gen_dest(g, type, X64_NONE);
        if (!multiply_by(g, arg, dest, from, rhs.bits)) {
            x64_mov_ri(&g->a, GEN_SCRATCH, rhs.bits);
            if (dest != from)
                x64_rr(&g->a, X64_MOV | arg, dest, from);
            x64_rr(&g->a, X64_IMUL | arg, dest, GEN_SCRATCH);
        }
        weir__gen_push_reg(g, type, dest);
        return;
    }
    unsigned dest = lhs.reg;
    if (!gen_is_temp(g, &lhs)) {
        dest = weir__gen_dest(g, type, weir__gen_reg_of(g, &rhs));
        weir__gen_load(g, dest, lhs);
    }
    struct x64_mem mem;
    if (weir__gen_in_memory(g, &rhs, &mem))
        x64_rm(&g->a, X64_IMUL | arg, dest, mem);
    else
        x64_rr(&g->a, X64_IMUL | arg, dest, weir__gen_reg_of(g, &rhs));
    weir__gen_release(g, rhs);
    weir__gen_push_reg(g, type, dest);
}

/* The flags hold the answer under `cc`: they stay there for the next instruction when it fuses,
 * or become 0 or 1. */
void weir__gen_push_flags(struct gen *g, unsigned cc, bool is_fused)
{
    if (is_fused) {
        g->has_live_flags = true;
        weir__gen_push(
            g, (struct gen_value){.kind = VALUE_FLAGS, .type = WEIR_TYPE_I32, .reg = (uint8_t)cc});
        return;
    }
    struct x64_asm *a = &g->a;
    unsigned dest = weir__gen_dest(g, WEIR_TYPE_I32, X64_NONE);
    bool is_pair = cc >= CC_FEQ;
    x64_rr(a, X64_SETCC | (is_pair ? (cc == CC_FEQ ? CC_E : CC_NE) : cc), 0, dest);
    if (is_pair) {
        x64_rr(a, X64_SETCC | (cc == CC_FEQ ? CC_NP : CC_P), 0, GEN_SCRATCH);
        x64_rr(a, ALU(cc == CC_FEQ ? X64_AND : X64_OR), dest, GEN_SCRATCH);
    }
    x64_rr(a, X64_MOVZX8, dest, dest);
    weir__gen_push_reg(g, WEIR_TYPE_I32, dest);
}

static unsigned swap_sides(unsigned cc)
{
    static const uint8_t swapped[16] = {
        [CC_E] = CC_E,   [CC_NE] = CC_NE, [CC_B] = CC_A, [CC_A] = CC_B,   [CC_AE] = CC_BE,
        [CC_BE] = CC_AE, [CC_L] = CC_G,   [CC_G] = CC_L, [CC_GE] = CC_LE, [CC_LE] = CC_GE,
    };
    return swapped[cc];
}

static void compare(struct gen *g, uint32_t wide, struct gen_value *lhs, struct gen_value *rhs)
{
    struct x64_asm *a = &g->a;
    struct x64_mem mem;
    unsigned left = weir__gen_reg_of(g, lhs);
    if (left != X64_NONE && rhs->kind == VALUE_CONST && rhs->bits == 0) {
        x64_rr(a, X64_TEST | wide, left, left);
    } else if (left == X64_NONE && is_imm(rhs) && weir__gen_in_memory(g, lhs, &mem)) {
        x64_alu_mi(a, X64_CMP, wide, mem, (int32_t)rhs->bits);
    } else if (left == X64_NONE && weir__gen_reg_of(g, rhs) != X64_NONE &&
               weir__gen_in_memory(g, lhs, &mem)) {
        x64_rm(a, X64_ALU_MR | X64_CMP << 3 | wide, weir__gen_reg_of(g, rhs), mem);
    } else {
        left = weir__gen_use(g, lhs);
        alu_value(g, X64_CMP, wide, left, rhs);
    }
    weir__gen_release(g, *lhs);
    weir__gen_release(g, *rhs);
}

/* arg: enum x64_cc | X64_W. */
void weir__gen_emit_compare(struct gen *g, uint32_t arg)
{
    unsigned cc = arg & 0xf;
    bool is_fused = weir__gen_fuses(g);
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    if (lhs.kind == VALUE_CONST && rhs.kind != VALUE_CONST) {
        swap(&lhs, &rhs);
        cc = swap_sides(cc);
    }
    compare(g, arg & X64_W, &lhs, &rhs);
    weir__gen_push_flags(g, cc, is_fused);
}

/* i32.eqz, i64.eqz, ref.is_null. */
void weir__gen_emit_eqz(struct gen *g, uint32_t arg)
{
    bool is_fused = weir__gen_fuses(g);
    struct gen_value value = weir__gen_pop(g);
    if (value.kind == VALUE_FLAGS) {
        weir__gen_push_flags(g, value.reg ^ 1u, is_fused);
        return;
    }
    struct gen_value zero = {.kind = VALUE_CONST, .type = (uint8_t)width_type(arg), .bits = 0};
    compare(g, arg & X64_W, &value, &zero);
    weir__gen_push_flags(g, CC_E, is_fused);
}

static void shift_by_cl(struct gen *g, uint32_t arg, struct gen_value *lhs, struct gen_value *rhs)
{
    uint32_t wide = arg & X64_W;
    if (lhs->kind == VALUE_REG && lhs->reg == RCX)
        weir__gen_own(g, lhs, RCX);
    if (rhs->kind != VALUE_REG || rhs->reg != RCX) {
        weir__gen_claim(g, RCX);
        weir__gen_load(g, RCX, *rhs);
        weir__gen_release(g, *rhs);
    }
    unsigned dest;
    if (gen_is_temp(g, lhs)) {
        dest = lhs->reg;
    } else {
        dest = weir__gen_dest(g, width_type(wide), weir__gen_reg_of(g, rhs));
        weir__gen_load(g, dest, *lhs);
    }
    x64_rr(&g->a, X64_SHIFT_CL | wide, arg & 7, dest);
    weir__gen_free(g, RCX);
    weir__gen_push_reg(g, width_type(wide), dest);
}

/* arg: enum x64_shift | X64_W. The processor masks the count as WebAssembly does. */
void weir__gen_emit_shift(struct gen *g, uint32_t arg)
{
    uint32_t wide = arg & X64_W;
    struct gen_value rhs = weir__gen_pop(g);
    struct gen_value lhs = weir__gen_pop(g);
    if (rhs.kind != VALUE_CONST) {
        shift_by_cl(g, arg, &lhs, &rhs);
        return;
    }
    unsigned dest = lhs.reg;
    if (!gen_is_temp(g, &lhs)) {
        dest = weir__gen_dest(g, width_type(wide), X64_NONE);
        weir__gen_load(g, dest, lhs);
    }
    unsigned count = (unsigned)rhs.bits & (wide ? 63 : 31);
    if (count != 0) {
        x64_rr(&g->a, X64_SHIFT_IMM | wide, arg & 7, dest);
        x64_u8(&g->a, count);
    }
    weir__gen_push_reg(g, width_type(wide), dest);
}

/* dest ← op value, the operand in a register or the frame. */
static unsigned unary(struct gen *g, uint32_t op, unsigned type, struct gen_value *value)
{
    struct x64_mem mem;
    if (weir__gen_in_memory(g, value, &mem)) {
        unsigned dest = weir__gen_dest(g, type, X64_NONE);
        x64_rm(&g->a, op, dest, mem);
        return dest;
    }
    unsigned from = weir__gen_use(g, value);
    unsigned dest = gen_is_temp(g, value) ? from : weir__gen_dest(g, type, X64_NONE);
    x64_rr(&g->a, op, dest, from);
    return dest;
}

/* arg: the opcode; result and operand of the width that X64_W says. Extensions from 8 and 16 bits,
 * popcnt. */
void weir__gen_emit_unary(struct gen *g, uint32_t arg)
{
    struct gen_value value = weir__gen_pop(g);
    unsigned type = width_type(arg & X64_W);
    weir__gen_push_reg(g, type, unary(g, arg, type, &value));
}

/* arg: X64_BSR (clz) or X64_BSF (ctz), | X64_W. bsr and bsf leave zero undefined, so that case is
 * moved in; with lzcnt and tzcnt allowed it is one instruction. */
void weir__gen_emit_count_zeros(struct gen *g, uint32_t arg)
{
    struct x64_asm *a = &g->a;
    uint32_t wide = arg & X64_W;
    bool is_clz = (arg & ~X64_W) == X64_BSR;
    unsigned type = width_type(wide);
    struct gen_value value = weir__gen_pop(g);
    uint64_t needed = is_clz ? WEIR_CPU_LZCNT : WEIR_CPU_BMI1;
    if (g->options->cpu_features & needed) {
        weir__gen_push_reg(g, type,
                           unary(g, (is_clz ? X64_LZCNT : X64_TZCNT) | wide, type, &value));
        return;
    }
    uint32_t bits = wide ? 64 : 32;
    unsigned dest = unary(g, arg, type, &value);
    x64_mov_ri(a, GEN_SCRATCH, is_clz ? 2 * bits - 1 : bits);
    x64_rr(a, X64_CMOV | CC_E | wide, dest, GEN_SCRATCH);
    if (is_clz)
        x64_alu_ri(a, X64_XOR, wide, dest, (int32_t)bits - 1);
    weir__gen_push_reg(g, type, dest);
}

/* An i32 is zero-extended in registers already; in the frame it has only four bytes. */
void weir__gen_emit_extend_u(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_value value = weir__gen_pop(g);
    if (value.kind == VALUE_CONST) {
        value.type = WEIR_TYPE_I64;
        value.bits = (uint32_t)value.bits;
        weir__gen_push(g, value);
        return;
    }
    if (value.kind == VALUE_LOCAL && g->locals[value.index].reg != X64_NONE) {
        value.type = WEIR_TYPE_I64;
        weir__gen_push(g, value);
        return;
    }
    unsigned dest;
    if (gen_is_temp(g, &value)) {
        dest = value.reg;
    } else {
        dest = weir__gen_dest(g, WEIR_TYPE_I64, X64_NONE);
        weir__gen_load(g, dest, value);
    }
    weir__gen_push_reg(g, WEIR_TYPE_I64, dest);
}

void weir__gen_emit_extend_s(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_value value = weir__gen_pop(g);
    weir__gen_push_reg(g, WEIR_TYPE_I64, unary(g, X64_MOVSXD, WEIR_TYPE_I64, &value));
}

void weir__gen_emit_wrap(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_value value = weir__gen_pop(g);
    if (value.kind == VALUE_CONST) {
        value.type = WEIR_TYPE_I32;
        value.bits = (uint32_t)value.bits;
        weir__gen_push(g, value);
        return;
    }
    weir__gen_push_reg(g, WEIR_TYPE_I32, unary(g, X64_MOV, WEIR_TYPE_I32, &value));
}
