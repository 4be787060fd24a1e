/* The virtual operand stack and the temporaries it owns. Every operation is constant time, or
 * pays for itself: an entry is written to its slot at most once, and `newest`/`below` chain the
 * entries that refer to one local, so that writing a local finds them without a search. */
#include "compiler/fast/fast_internal.h"

struct x64_mem weir__gen_slot(struct gen *g, uint32_t depth)
{
    if (depth >= g->slot_count)
        g->slot_count = depth + 1;
    return x64_at(RBP, -8 * (int32_t)(g->home_count + depth + 1));
}

static uint32_t class_of(unsigned type)
{
    return gen_is_float(type) ? GEN_FLOAT_REGS : GEN_INT_REGS;
}

void weir__gen_push(struct gen *g, struct gen_value value)
{
    if (g->depth == g->value_capacity) {
        struct gen_vector v = {g->values, g->depth, g->value_capacity};
        if (weir__gen_append(g, &v, sizeof *g->values) == NULL) {
            g->depth = 0; /* the pass goes on blindly to its end; the status is reported */
            return;
        }
        g->values = v.items;
        g->value_capacity = (uint32_t)v.capacity;
    }
    if (value.kind == VALUE_LOCAL) {
        value.below = g->locals[value.index].newest;
        g->locals[value.index].newest = g->depth;
    } else if (value.kind == VALUE_REG) {
        g->owner[value.reg] = g->depth;
    }
    g->values[g->depth++] = value;
}

void weir__gen_push_reg(struct gen *g, unsigned type, unsigned reg)
{
    weir__gen_push(
        g, (struct gen_value){.kind = VALUE_REG, .type = (uint8_t)type, .reg = (uint8_t)reg});
}

void weir__gen_push_slot(struct gen *g, unsigned type)
{
    weir__gen_push(
        g, (struct gen_value){.kind = VALUE_SLOT, .type = (uint8_t)type, .index = g->depth});
}

struct gen_value weir__gen_pop(struct gen *g)
{
    WEIR_ASSERT(g->depth > 0);
    struct gen_value value = g->values[--g->depth];
    if (g->flushed > g->depth)
        g->flushed = g->depth;
    if (value.kind == VALUE_LOCAL)
        g->locals[value.index].newest = value.below;
    else if (value.kind == VALUE_REG)
        g->owner[value.reg] = GEN_NONE;
    return value;
}

void weir__gen_free(struct gen *g, unsigned reg)
{
    g->free |= X64_BIT(reg) & g->temps;
}

void weir__gen_release(struct gen *g, struct gen_value value)
{
    if (value.kind == VALUE_REG)
        weir__gen_free(g, value.reg);
    if (value.kind == VALUE_MEM) {
        g->free |= g->mem_regs & g->temps;
        g->mem_regs = 0;
    }
}

void weir__gen_set_depth(struct gen *g, uint32_t depth)
{
    while (g->depth > depth)
        weir__gen_release(g, weir__gen_pop(g));
}

/* Writes the register entry at `depth` to its slot. */
static void spill(struct gen *g, uint32_t depth)
{
    struct gen_value *value = &g->values[depth];
    weir__gen_store(g, weir__gen_slot(g, depth), *value);
    weir__gen_free(g, value->reg);
    g->owner[value->reg] = GEN_NONE;
    value->kind = VALUE_SLOT;
    value->index = depth;
}

/* A free temporary of `set`; if there is none, the deepest entry gives up its own. */
unsigned weir__gen_alloc(struct gen *g, uint32_t set)
{
    uint32_t usable = g->free & set;
    if (usable == 0) {
        uint32_t victim = GEN_NONE;
        for (uint32_t rest = g->temps & set; rest != 0; rest &= rest - 1) {
            uint32_t owner = g->owner[__builtin_ctz(rest)];
            if (owner < victim)
                victim = owner;
        }
        WEIR_ASSERT(victim != GEN_NONE);
        spill(g, victim);
        usable = g->free & set;
    }
    /* rax, rcx and rdx are wanted by calls, shifts and divisions. */
    const uint32_t plain = X64_BIT(RSI) | X64_BIT(RDI);
    unsigned reg = (unsigned)__builtin_ctz(usable & plain ? usable & plain : usable);
    g->free &= ~X64_BIT(reg);
    return reg;
}

/* Takes exactly `reg`, a temporary that is free or owned by a stack entry. */
void weir__gen_claim(struct gen *g, unsigned reg)
{
    if (!(g->free & X64_BIT(reg))) {
        uint32_t depth = g->owner[reg];
        WEIR_ASSERT(depth != GEN_NONE);
        struct gen_value *value = &g->values[depth];
        uint32_t usable = g->free & class_of(value->type);
        if (usable != 0) {
            unsigned other = (unsigned)__builtin_ctz(usable);
            g->free &= ~X64_BIT(other);
            weir__gen_load(g, other, *value);
            value->reg = (uint8_t)other;
            g->owner[other] = depth;
            g->owner[reg] = GEN_NONE;
        } else {
            spill(g, depth);
        }
    }
    g->free &= ~X64_BIT(reg);
}

/* True while a stack entry still means what the local in `reg` holds. */
static bool is_pending(const struct gen *g, unsigned reg)
{
    uint32_t resident = g->resident[reg];
    return resident != GEN_NONE && g->locals[resident].reg == reg &&
           g->locals[resident].newest != GEN_NONE;
}

/* Where to compute a result: the register of the local that the next instruction sets, or a
 * temporary; never `avoid`. */
unsigned weir__gen_dest(struct gen *g, unsigned type, unsigned avoid)
{
    if (g->next.op == WEIR_OP_LOCAL_SET || g->next.op == WEIR_OP_LOCAL_TEE) {
        const struct gen_web *web = weir__gen_web_at(g, g->next.index, g->position + 1);
        unsigned reg = web != NULL ? web->reg : g->locals[g->next.index].reg;
        if (web != NULL && web->end == web->first) /* nobody reads it: it will not be set */
            reg = X64_NONE;
        if (reg != X64_NONE && reg != avoid && !(g->mem_regs & X64_BIT(reg)) && !is_pending(g, reg))
            return reg;
    }
    uint32_t set = class_of(type);
    return weir__gen_alloc(g, avoid < 32 ? set & ~X64_BIT(avoid) : set);
}

/* True when the value can be an operand in memory, of the very next instruction: that one is noted
 * as a site if it makes a pending load. */
bool weir__gen_in_memory(struct gen *g, const struct gen_value *value, struct x64_mem *ret_mem)
{
    if (value->kind == VALUE_MEM) {
        weir__gen_access_site(g, g->mem_offset);
        *ret_mem = value->mem;
        return true;
    }
    if (value->kind == VALUE_SLOT) {
        *ret_mem = weir__gen_slot(g, value->index);
        return true;
    }
    if (value->kind == VALUE_LOCAL && g->locals[value->index].reg == X64_NONE) {
        *ret_mem = x64_at(RBP, g->locals[value->index].home);
        return true;
    }
    if (value->kind == VALUE_CONST && gen_is_float(value->type) && value->bits != 0) {
        *ret_mem = x64_at(X64_RIP, (int32_t)weir__gen_const(g, value->bits));
        return true;
    }
    return false;
}

unsigned weir__gen_reg_of(const struct gen *g, const struct gen_value *value)
{
    if (value->kind == VALUE_REG)
        return value->reg;
    if (value->kind == VALUE_LOCAL)
        return g->locals[value->index].reg;
    return X64_NONE;
}

static uint32_t float_prefix(unsigned type)
{
    return type == WEIR_TYPE_F32 ? X64_F3 : X64_F2;
}

void weir__gen_load(struct gen *g, unsigned reg, struct gen_value value)
{
    struct x64_asm *a = &g->a;
    bool is_float = gen_is_float(value.type);
    unsigned from = weir__gen_reg_of(g, &value);
    struct x64_mem mem;
    if (from == reg)
        return;
    if (from != X64_NONE)
        x64_rr(a, is_float ? X64_MOVAPS : X64_MOV | gen_wide(value.type), reg, from);
    else if (weir__gen_in_memory(g, &value, &mem))
        x64_rm(a, is_float ? X64_MOVS | float_prefix(value.type) : X64_MOV | gen_wide(value.type),
               reg, mem);
    else if (is_float)
        x64_rr(a, X64_XORPS, reg, reg);
    else if (value.bits == 0 && !g->has_live_flags)
        x64_rr(a, X64_ALU_RM | X64_XOR << 3, reg, reg);
    else
        x64_mov_ri(a, reg, value.bits);
}

/* Stores a constant as integers, without a register. */
static void store_const(struct gen *g, struct x64_mem mem, struct gen_value value)
{
    struct x64_asm *a = &g->a;
    bool is_wide = value.type != WEIR_TYPE_I32 && value.type != WEIR_TYPE_F32;
    if (!is_wide || x64_is_i32((int64_t)value.bits)) {
        x64_rm(a, X64_MOV_IMM32 | (is_wide ? X64_W : 0), 0, mem);
        x64_u32(a, (uint32_t)value.bits);
        return;
    }
    x64_rm(a, X64_MOV_IMM32, 0, mem);
    x64_u32(a, (uint32_t)value.bits);
    mem.disp += 4;
    x64_rm(a, X64_MOV_IMM32, 0, mem);
    x64_u32(a, (uint32_t)(value.bits >> 32));
}

/* Stores to the frame; another place in memory goes through the scratch register. */
void weir__gen_store(struct gen *g, struct x64_mem mem, struct gen_value value)
{
    struct x64_asm *a = &g->a;
    bool is_narrow = value.type == WEIR_TYPE_I32 || value.type == WEIR_TYPE_F32;
    unsigned from = weir__gen_reg_of(g, &value);
    struct x64_mem source;
    if (value.kind == VALUE_CONST) {
        store_const(g, mem, value);
    } else if (from != X64_NONE && gen_is_float(value.type)) {
        x64_rm(a, X64_MOVS_STORE | float_prefix(value.type), from, mem);
    } else if (from != X64_NONE) {
        x64_rm(a, X64_MOV_STORE | gen_wide(value.type), from, mem);
    } else if (weir__gen_in_memory(g, &value, &source) &&
               (source.base != mem.base || source.disp != mem.disp)) {
        uint32_t wide = is_narrow ? 0 : X64_W;
        x64_rm(a, X64_MOV | wide, GEN_SCRATCH, source);
        x64_rm(a, X64_MOV_STORE | wide, GEN_SCRATCH, mem);
    }
}

/* A register that holds the value, to be read only; a temporary is taken if it has none yet. */
unsigned weir__gen_use(struct gen *g, struct gen_value *value)
{
    unsigned reg = weir__gen_reg_of(g, value);
    if (reg != X64_NONE)
        return reg;
    reg = weir__gen_alloc(g, class_of(value->type));
    weir__gen_load(g, reg, *value);
    weir__gen_release(g, *value);
    value->kind = VALUE_REG;
    value->reg = (uint8_t)reg;
    return reg;
}

/* A temporary other than `avoid` that holds the value and may be changed. */
unsigned weir__gen_own(struct gen *g, struct gen_value *value, unsigned avoid)
{
    if (value->kind == VALUE_REG && value->reg != avoid && g->temps & X64_BIT(value->reg))
        return value->reg;
    uint32_t set = class_of(value->type);
    unsigned reg = weir__gen_alloc(g, avoid < 32 ? set & ~X64_BIT(avoid) : set);
    weir__gen_load(g, reg, *value);
    weir__gen_release(g, *value);
    value->kind = VALUE_REG;
    value->reg = (uint8_t)reg;
    return reg;
}

/* Every entry becomes CONST or SLOT: what lies on the stack while a block is entered. */
void weir__gen_flush(struct gen *g)
{
    for (uint32_t i = g->flushed; i < g->depth; i++) {
        x64_reserve(&g->a, X64_INSN_ROOM);
        struct gen_value *value = &g->values[i];
        if (value->kind == VALUE_REG) {
            spill(g, i);
        } else if (value->kind == VALUE_LOCAL) {
            weir__gen_store(g, weir__gen_slot(g, i), *value);
            g->locals[value->index].newest = GEN_NONE;
            value->kind = VALUE_SLOT;
            value->index = i;
        }
    }
    g->flushed = g->depth;
}

/* Entries in temporaries below `depth` go to their slots: a call is coming. */
void weir__gen_spill_temps(struct gen *g, uint32_t depth)
{
    for (uint32_t rest = g->temps & ~g->free; rest != 0; rest &= rest - 1) {
        uint32_t owner = g->owner[__builtin_ctz(rest)];
        if (owner < depth)
            spill(g, owner);
    }
}

/* The local is about to be written: entries that still mean its old value get a copy. */
void weir__gen_flush_local(struct gen *g, uint32_t index)
{
    struct gen_local *local = &g->locals[index];
    for (uint32_t i = local->newest; i != GEN_NONE;) {
        x64_reserve(&g->a, X64_INSN_ROOM);
        struct gen_value *value = &g->values[i];
        uint32_t below = value->below;
        uint32_t usable = g->free & class_of(local->type);
        if (usable != 0) {
            unsigned reg = weir__gen_alloc(g, usable);
            weir__gen_load(g, reg, *value);
            value->kind = VALUE_REG;
            value->reg = (uint8_t)reg;
            g->owner[reg] = i;
        } else {
            weir__gen_store(g, weir__gen_slot(g, i), *value);
            value->kind = VALUE_SLOT;
            value->index = i;
        }
        i = below;
    }
    local->newest = GEN_NONE;
}

/* Loads vmctx, state, memory base ... into `reg`. */
void weir__gen_load_pseudo(struct gen *g, enum gen_pseudo which, unsigned reg)
{
    static const int32_t offsets[GEN_PSEUDO_COUNT] = {
        [GEN_STATE] = offsetof(struct weir_vmctx, state),
        [GEN_BASE] = offsetof(struct weir_vmctx, memory0_base),
        [GEN_MEMORY] = offsetof(struct weir_vmctx, memory0),
    };
    const struct gen_local *vmctx = &g->locals[g->local_count + GEN_VMCTX];
    unsigned from = vmctx->reg;
    if (from == X64_NONE || (which == GEN_VMCTX && from == reg)) {
        WEIR_ASSERT(vmctx->home != 0);
        x64_rm(&g->a, X64_MOV | X64_W, reg, x64_at(RBP, vmctx->home));
        from = reg;
    }
    if (which != GEN_VMCTX)
        x64_rm(&g->a, X64_MOV | X64_W, reg, x64_at(from, offsets[which]));
    else if (from != reg)
        x64_rr(&g->a, X64_MOV | X64_W, reg, from);
}

/* The register of vmctx, state, memory base ...: its own, or the scratch register just loaded. */
unsigned weir__gen_pseudo(struct gen *g, enum gen_pseudo which)
{
    const struct gen_local *local = &g->locals[g->local_count + which];
    if (local->reg != X64_NONE)
        return local->reg;
    weir__gen_load_pseudo(g, which, GEN_SCRATCH);
    return GEN_SCRATCH;
}
