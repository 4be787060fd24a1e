/* Frames (docs/ABI.md): prologue, epilogue, and the cold code behind a function: traps, polls, the
 * rare cases of conversions. */
#include "compiler/fast/fast_internal.h"

/* Leaf functions of at most this many instructions can't need a larger frame than
 * WEIR_ABI_UNCHECKED_FRAME: saved registers, vmctx, and one slot per instruction at most. */
#define LEAF_INSNS_MAX (WEIR_ABI_UNCHECKED_FRAME / 8u - 16u)

static struct gen_value in_reg(unsigned type, unsigned reg)
{
    return (struct gen_value){.kind = VALUE_REG, .type = (uint8_t)type, .reg = (uint8_t)reg};
}

static struct x64_mem arg_mem(unsigned state, uint32_t index)
{
    return x64_at(
        state, (int32_t)(offsetof(struct weir_vm_state, args) + index * sizeof(union weir_value)));
}

/* Parameters from where the ABI puts them to where the function keeps them. */
static void place_params(struct gen *g)
{
    struct gen_move moves[GEN_MOVES_MAX];
    unsigned move_count = 0;
    uint32_t count = g->type->param_count;
    unsigned ints = 0;
    unsigned floats = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct gen_local *local = &g->locals[i];
        bool is_float = gen_is_float(local->type);
        unsigned nth = is_float ? floats++ : ints++;
        if (nth >= (is_float ? WEIR_ABI_FLOAT_ARGS : WEIR_ABI_INT_ARGS) || !local->is_used)
            continue;
        unsigned from = is_float ? XMM0 + nth : weir__gen_int_args[nth];
        if (local->reg != X64_NONE)
            moves[move_count++] = (struct gen_move){local->reg, in_reg(local->type, from)};
        else
            weir__gen_store(g, x64_at(RBP, local->home), in_reg(local->type, from));
    }
    weir__gen_moves(g, moves, move_count);
    if (ints <= WEIR_ABI_INT_ARGS && floats <= WEIR_ABI_FLOAT_ARGS)
        return;
    x64_rm(&g->a, X64_MOV | X64_W, RAX, x64_at(RDI, offsetof(struct weir_vmctx, state)));
    ints = 0;
    floats = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct gen_local *local = &g->locals[i];
        bool is_float = gen_is_float(local->type);
        unsigned nth = is_float ? floats++ : ints++;
        if (nth < (is_float ? WEIR_ABI_FLOAT_ARGS : WEIR_ABI_INT_ARGS) || !local->is_used)
            continue;
        x64_reserve(&g->a, X64_INSN_ROOM);
        struct x64_mem from = arg_mem(RAX, i);
        if (local->reg == X64_NONE) {
            x64_rm(&g->a, X64_MOV | X64_W, GEN_SCRATCH, from);
            x64_rm(&g->a,
                   X64_MOV_STORE |
                       gen_wide(local->type == WEIR_TYPE_F32 ? WEIR_TYPE_I32 : local->type),
                   GEN_SCRATCH, x64_at(RBP, local->home));
        } else if (is_float) {
            x64_rm(&g->a, X64_MOVS | (local->type == WEIR_TYPE_F32 ? X64_F3 : X64_F2), local->reg,
                   from);
        } else {
            x64_rm(&g->a, X64_MOV | gen_wide(local->type), local->reg, from);
        }
    }
}

static void zero_locals(struct gen *g)
{
    struct x64_asm *a = &g->a;
    uint32_t words = g->zero_end - g->zero_first;
    int32_t lowest = -8 * (int32_t)g->zero_end; /* address of the last word */
    if (words == 0)
        return;
    if (words <= 4) {
        for (uint32_t i = 0; i < words; i++) {
            x64_rm(a, X64_MOV_IMM32 | X64_W, 0, x64_at(RBP, lowest + 8 * (int32_t)i));
            x64_u32(a, 0);
        }
        return;
    }
    x64_rr(a, X64_XORPS, GEN_FLOAT_SCRATCH, GEN_FLOAT_SCRATCH);
    uint32_t pairs = words / 2;
    if (words & 1) {
        x64_rm(a, X64_MOV_IMM32 | X64_W, 0, x64_at(RBP, lowest + 16 * (int32_t)pairs));
        x64_u32(a, 0);
    }
    if (pairs <= 16) {
        for (uint32_t i = 0; i < pairs; i++)
            x64_rm(a, X64_MOVUPS_STORE, GEN_FLOAT_SCRATCH, x64_at(RBP, lowest + 16 * (int32_t)i));
        return;
    }
    x64_rm(a, X64_LEA | X64_W, GEN_SCRATCH, x64_at(RBP, lowest));
    x64_mov_ri(a, RAX, pairs);
    uint32_t again = x64_here(a);
    x64_rm(a, X64_MOVUPS_STORE, GEN_FLOAT_SCRATCH, x64_at(GEN_SCRATCH, 0));
    x64_alu_ri(a, X64_ADD, X64_W, GEN_SCRATCH, 16);
    x64_alu_ri(a, X64_SUB, 0, RAX, 1);
    uint32_t back = x64_jcc8(a, CC_NE);
    a->text[back - 1] = (uint8_t)(again - back);
}

/* Registers of locals that start as zero, and of the pseudo locals. rdi is still vmctx. */
static void fill_registers(struct gen *g)
{
    static const int32_t offsets[GEN_PSEUDO_COUNT] = {
        [GEN_STATE] = offsetof(struct weir_vmctx, state),
        [GEN_BASE] = offsetof(struct weir_vmctx, memory0_base),
        [GEN_MEMORY] = offsetof(struct weir_vmctx, memory0),
    };
    for (uint32_t i = g->type->param_count; i < g->local_count; i++) {
        struct gen_local *local = &g->locals[i];
        if (local->reg == X64_NONE || !local->is_used)
            continue;
        weir__gen_load(g, local->reg,
                       (struct gen_value){.kind = VALUE_CONST, .type = local->type, .bits = 0});
    }
    for (unsigned which = 0; which < GEN_PSEUDO_COUNT; which++) {
        unsigned reg = g->locals[g->local_count + which].reg;
        if (reg == X64_NONE)
            continue;
        if (which == GEN_VMCTX)
            x64_rr(&g->a, X64_MOV | X64_W, reg, RDI);
        else
            x64_rm(&g->a, X64_MOV | X64_W, reg, x64_at(RDI, offsets[which]));
    }
}

void weir__gen_prologue(struct gen *g)
{
    struct x64_asm *a = &g->a;
    x64_reserve(a, X64_INSN_ROOM);
    x64_u8(a, 0x55); /* push rbp */
    x64_rr(a, X64_MOV | X64_W, RBP, RSP);
    g->has_stack_check = g->has_calls || g->home_count + g->insn_count > LEAF_INSNS_MAX;
    if (g->has_stack_check) {
        uint32_t start = x64_here(a);
        x64_rm(a, X64_MOV | X64_W, RAX, x64_at(RDI, offsetof(struct weir_vmctx, state)));
        x64_rm(a, X64_LEA | X64_W, GEN_SCRATCH, x64_at(RSP, INT32_MIN));
        g->frame_fields[0] = x64_here(a) - 4;
        x64_rm(a, X64_ALU_RM | X64_CMP << 3 | X64_W, GEN_SCRATCH,
               x64_at(RAX, offsetof(struct weir_vm_state, stack_limit)));
        struct gen_cold *cold = weir__gen_cold(g, COLD_ENTRY_POLL, x64_jcc(a, CC_B));
        if (cold != NULL)
            cold->resume = start;
    }
    x64_rr(a, X64_ALU_IMM32 | X64_W, X64_SUB, RSP);
    x64_u32(a, 0);
    g->frame_fields[1] = x64_here(a) - 4;
    int32_t at = -8;
    for (uint32_t rest = g->saved_regs; rest != 0; rest &= rest - 1, at -= 8)
        x64_rm(a, X64_MOV_STORE | X64_W, (unsigned)__builtin_ctz(rest), x64_at(RBP, at));
    const struct gen_local *vmctx = &g->locals[g->local_count + GEN_VMCTX];
    if (vmctx->home != 0)
        x64_rm(a, X64_MOV_STORE | X64_W, RDI, x64_at(RBP, vmctx->home));
    place_params(g);
    x64_reserve(a, X64_INSN_ROOM);
    fill_registers(g);
    zero_locals(g);
}

void weir__gen_restore_frame(struct gen *g)
{
    int32_t at = -8;
    for (uint32_t rest = g->saved_regs; rest != 0; rest &= rest - 1, at -= 8)
        x64_rm(&g->a, X64_MOV | X64_W, (unsigned)__builtin_ctz(rest), x64_at(RBP, at));
    x64_u8(&g->a, 0xc9); /* leave */
}

/* The frame's size is known now. */
void weir__gen_finish_frame(struct gen *g)
{
    static const uint8_t nop7[7] = {0x0f, 0x1f, 0x80, 0, 0, 0, 0};
    uint32_t bytes = (uint32_t)weir_align_up(8 * (uint64_t)(g->home_count + g->slot_count), 16);
    if (g->has_stack_check)
        weir_store_u32(g->a.text + g->frame_fields[0], 0u - bytes);
    else
        WEIR_ASSERT(bytes <= WEIR_ABI_UNCHECKED_FRAME);
    if (bytes == 0)
        memcpy(g->a.text + g->frame_fields[1] - 3, nop7, sizeof nop7);
    else
        weir_store_u32(g->a.text + g->frame_fields[1], bytes);
}

/* NULL when out of memory, which has been noted. */
struct gen_cold *weir__gen_cold(struct gen *g, unsigned kind, uint32_t jump)
{
    struct gen_cold *cold = weir__gen_append(g, &g->colds, sizeof *cold);
    if (cold != NULL)
        *cold = (struct gen_cold){.kind = (uint8_t)kind,
                                  .jump = jump,
                                  .resume = x64_here(&g->a),
                                  .offset = gen_offset(g)};
    g->has_trap |= kind == COLD_TRAP || kind == COLD_TRUNC || kind == COLD_TRUNC_EDGE;
    return cold;
}

static void add_trap(struct gen *g, unsigned code, uint32_t jump)
{
    struct gen_cold *cold = weir__gen_cold(g, COLD_TRAP, jump);
    if (cold != NULL)
        cold->code = (uint8_t)code;
}

void weir__gen_trap(struct gen *g, unsigned cc, unsigned code)
{
    add_trap(g, code, x64_jcc(&g->a, cc));
}

/* What the function's traps call in no-signals form: on to the builtin, which finds the site by the
 * return address. */
static void trap_exit(struct gen *g)
{
    g->trap_exit = x64_here(&g->a);
    weir__gen_load_pseudo(g, GEN_VMCTX, RDI);
    x64_rm(&g->a, X64_MOV | X64_W, GEN_SCRATCH, x64_at(RDI, offsetof(struct weir_vmctx, builtins)));
    x64_rm(&g->a, X64_GROUP5, 4, x64_at(GEN_SCRATCH, 8 * WEIR_BUILTIN_TRAP));
}

static void trap(struct gen *g, unsigned code, uint32_t offset)
{
    if (g->calls_traps) {
        x64_u8(&g->a, 0xe8);
        x64_u32(&g->a, g->trap_exit - (x64_here(&g->a) + 4));
        weir__gen_site(g, code, offset);
        return;
    }
    weir__gen_site(g, code, offset);
    x64_u8(&g->a, 0x0f); /* ud2 */
    x64_u8(&g->a, 0x0b);
}

/* Without a condition; what follows is dead. */
void weir__gen_trap_always(struct gen *g, unsigned code)
{
    if (g->calls_traps)
        add_trap(g, code, x64_jmp(&g->a));
    else
        trap(g, code, gen_offset(g));
}

static void resume(struct gen *g, const struct gen_cold *cold)
{
    x64_patch32(&g->a, x64_jmp(&g->a), cold->resume);
}

static void resume_if(struct gen *g, unsigned cc, const struct gen_cold *cold)
{
    x64_patch32(&g->a, x64_jcc(&g->a, cc), cold->resume);
}

/* rsp is 16-byte aligned in both places, and POLL keeps every register but what is passed. */
static void cold_poll(struct gen *g, const struct gen_cold *cold)
{
    struct x64_asm *a = &g->a;
    bool is_entry = cold->kind == COLD_ENTRY_POLL; /* rdi is vmctx */
    if (!is_entry) {
        x64_u8(a, 0x57); /* push rdi */
        x64_u8(a, 0x57);
        weir__gen_load_pseudo(g, GEN_VMCTX, RDI);
    }
    x64_rm(a, X64_MOV | X64_W, GEN_SCRATCH, x64_at(RDI, offsetof(struct weir_vmctx, builtins)));
    x64_rm(a, X64_GROUP5, 2, x64_at(GEN_SCRATCH, 8 * WEIR_BUILTIN_POLL));
    weir__gen_site(g, WEIR_SITE_CALL, cold->offset);
    if (!is_entry) {
        x64_u8(a, 0x5f); /* pop rdi */
        x64_u8(a, 0x5f);
    }
    resume(g, cold);
}

/* A conversion gave the "indefinite" integer, or one out of range: NaN traps in its own way. */
static void cold_trunc(struct gen *g, const struct gen_cold *cold)
{
    struct x64_asm *a = &g->a;
    uint32_t ucomi = X64_UCOMI | (cold->is_f64 ? X64_66 : 0);
    if (cold->kind == COLD_TRUNC_EDGE) {
        uint64_t low = cold->is_f64 ? UINT64_C(0xc3e0000000000000) : UINT64_C(0xdf000000);
        x64_rm(a, ucomi, cold->xmm, x64_at(X64_RIP, (int32_t)weir__gen_const(g, low)));
    } else {
        x64_rr(a, ucomi, cold->xmm, cold->xmm);
    }
    uint32_t nan = x64_jcc8(a, CC_P);
    if (cold->kind == COLD_TRUNC_EDGE) /* exactly the lowest integer */
        resume_if(g, CC_E, cold);
    trap(g, WEIR_TRAP_INTEGER_OVERFLOW, cold->offset);
    x64_land8(a, nan);
    trap(g, WEIR_TRAP_INVALID_CONVERSION, cold->offset);
}

static void cold_saturate(struct gen *g, const struct gen_cold *cold)
{
    struct x64_asm *a = &g->a;
    x64_rr(a, X64_XORPS, GEN_FLOAT_SCRATCH, GEN_FLOAT_SCRATCH);
    x64_rr(a, X64_UCOMI | (cold->is_f64 ? X64_66 : 0), cold->xmm, GEN_FLOAT_SCRATCH);
    x64_mov_ri(a, cold->reg, 0);
    resume_if(g, CC_P, cold);
    x64_mov_ri(a, cold->reg, cold->high);
    resume_if(g, CC_A, cold);
    x64_mov_ri(a, cold->reg, cold->low);
    resume(g, cold);
}

void weir__gen_colds(struct gen *g)
{
    x64_reserve(&g->a, X64_INSN_ROOM);
    if (g->calls_traps && g->has_trap)
        trap_exit(g);
    for (size_t i = 0; i < g->colds.count; i++) {
        struct gen_cold cold = ((const struct gen_cold *)g->colds.items)[i];
        x64_reserve(&g->a, X64_INSN_ROOM);
        x64_patch32(&g->a, cold.jump, x64_here(&g->a));
        switch ((enum gen_cold_kind)cold.kind) {
        case COLD_TRAP:
            trap(g, cold.code, cold.offset);
            break;
        case COLD_POLL:
        case COLD_ENTRY_POLL:
            cold_poll(g, &cold);
            break;
        case COLD_TRUNC:
        case COLD_TRUNC_EDGE:
            cold_trunc(g, &cold);
            break;
        case COLD_SAT:
            cold_saturate(g, &cold);
            break;
        }
    }
    g->colds.count = 0;
}

/* At a loop's header. */
void weir__gen_poll(struct gen *g)
{
    unsigned state = weir__gen_pseudo(g, GEN_STATE);
    x64_alu_mi(&g->a, X64_CMP, 0, x64_at(state, offsetof(struct weir_vm_state, interrupt)), 0);
    struct gen_cold *cold = weir__gen_cold(g, COLD_POLL, x64_jcc(&g->a, CC_NE));
    if (cold != NULL)
        cold->resume = x64_here(&g->a);
}
