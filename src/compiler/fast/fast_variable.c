/* Constants, locals, globals, drop and select. */
#include "compiler/fast/fast_internal.h"

/* Makes the pending load on top. */
static void settle_top(struct gen *g)
{
    struct gen_value value = weir__gen_pop(g);
    unsigned reg = weir__gen_use(g, &value);
    weir__gen_push_reg(g, value.type, reg);
}

/* arg: the type. */
void weir__gen_emit_const(struct gen *g, uint32_t arg)
{
    uint64_t bits = g->insn.bits;
    if (g->depth > 0 && g->values[g->depth - 1].kind == VALUE_MEM &&
        weir__gen_ops[g->next.op].emit != weir__gen_emit_compare)
        settle_top(g);
    if (arg == WEIR_TYPE_I32 || arg == WEIR_TYPE_F32)
        bits = (uint32_t)bits;
    weir__gen_push(g, (struct gen_value){.kind = VALUE_CONST, .type = (uint8_t)arg, .bits = bits});
}

void weir__gen_emit_ref_null(struct gen *g, uint32_t arg)
{
    (void)arg;
    weir__gen_push(
        g, (struct gen_value){.kind = VALUE_CONST, .type = (uint8_t)g->insn.type, .bits = 0});
}

void weir__gen_emit_nop(struct gen *g, uint32_t arg)
{
    (void)g;
    (void)arg;
}

void weir__gen_emit_local_get(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint32_t index = g->insn.index;
    weir__gen_push(
        g, (struct gen_value){.kind = VALUE_LOCAL, .type = g->locals[index].type, .index = index});
}

/* The web that instruction `position`, a local.set or tee of `index`, begins; NULL when it writes
 * the present one. */
const struct gen_web *weir__gen_web_at(const struct gen *g, uint32_t index, uint32_t position)
{
    const struct gen_web *webs = g->webs.items;
    uint32_t i = g->next_web;
    while (i < g->webs.count && webs[i].first < position)
        i++; /* sets in dead code */
    if (i == g->webs.count || webs[i].first != position || webs[i].is_joined)
        return NULL;
    WEIR_DASSERT(webs[i].local == index);
    (void)index;
    return &webs[i];
}

/* The local's home from here on is its new web's register; what was there has ended, but entries
 * not yet consumed may still mean it. */
static void move_in(struct gen *g, uint32_t index, const struct gen_web *web)
{
    struct gen_local *local = &g->locals[index];
    unsigned reg = web->reg;
    local->reg = (uint8_t)reg;
    if (reg == X64_NONE)
        return;
    uint32_t before = g->resident[reg];
    if (before != GEN_NONE && before != index && g->locals[before].reg == reg)
        weir__gen_flush_local(g, before);
    g->resident[reg] = index;
    g->resident_end[reg] = web->end;
}

static void store_local(struct gen *g, const struct gen_local *local, struct gen_value *value)
{
    if (value->kind == VALUE_LOCAL || value->kind == VALUE_SLOT ||
        (value->kind == VALUE_CONST && gen_is_float(value->type)))
        weir__gen_use(g, value);
    weir__gen_store(g, x64_at(RBP, local->home), *value);
}

/* arg: 1 for local.tee. A value that nobody reads is not written. */
void weir__gen_emit_local_set(struct gen *g, uint32_t arg)
{
    uint32_t index = g->insn.index;
    struct gen_local *local = &g->locals[index];
    const struct gen_web *web = weir__gen_web_at(g, index, g->position);
    while (g->next_web < g->webs.count &&
           ((const struct gen_web *)g->webs.items)[g->next_web].first <= g->position)
        g->next_web++;
    struct gen_value value = weir__gen_pop(g);
    weir__gen_forget_checks(g, index);
    if (web != NULL && web->end == g->position) {
        if (arg != 0)
            weir__gen_push(g, value);
        else
            weir__gen_release(g, value);
        return;
    }
    unsigned from = weir__gen_reg_of(g, &value);
    if (value.kind == VALUE_LOCAL && from != X64_NONE) { /* its local may be moving */
        value.kind = VALUE_REG;
        value.reg = (uint8_t)from;
    } else if (value.kind == VALUE_LOCAL && value.index == index) {
        weir__gen_use(g, &value);
    }
    weir__gen_flush_local(g, index);
    if (web != NULL)
        move_in(g, index, web);
    if (local->reg != X64_NONE) {
        weir__gen_load(g, local->reg, value);
        g->dirty |= X64_BIT(local->reg);
        weir__gen_release(g, value);
    } else {
        store_local(g, local, &value);
        if (arg != 0 && value.kind == VALUE_REG && g->temps & X64_BIT(value.reg)) {
            weir__gen_push(g, value); /* nearer than the frame */
            return;
        }
        weir__gen_release(g, value);
    }
    if (arg != 0)
        weir__gen_push(g, (struct gen_value){.kind = VALUE_LOCAL,
                                             .type = local->type,
                                             .is_made = value.is_made,
                                             .index = index});
}

/* Where a global lies; an imported one's address goes to the scratch register. */
static struct x64_mem global_at(struct gen *g, uint32_t index)
{
    unsigned vmctx = weir__gen_pseudo(g, GEN_VMCTX);
    struct x64_mem mem =
        x64_at(vmctx, (int32_t)WEIR_ABI_VMCTX_GLOBAL(g->module->func_import_count, index));
    if (index >= g->module->global_import_count)
        return mem;
    x64_rm(&g->a, X64_MOV | X64_W, GEN_SCRATCH, mem);
    return x64_at(GEN_SCRATCH, 0);
}

static bool is_vector(struct gen *g, uint32_t index)
{
    if (g->module->globals[index].type.type != WEIR_TYPE_V128)
        return false;
    weir__gen_unsupported(g, "a global of type v128");
    return true;
}

void weir__gen_emit_global_get(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint32_t index = g->insn.index;
    unsigned type = g->module->globals[index].type.type;
    if (is_vector(g, index))
        return;
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    struct x64_mem mem = global_at(g, index);
    if (gen_is_float(type))
        x64_rm(&g->a, X64_MOVS | (type == WEIR_TYPE_F32 ? X64_F3 : X64_F2), dest, mem);
    else
        x64_rm(&g->a, X64_MOV | gen_wide(type), dest, mem);
    weir__gen_push_reg(g, type, dest);
}

void weir__gen_emit_global_set(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint32_t index = g->insn.index;
    if (is_vector(g, index))
        return;
    struct gen_value value = weir__gen_pop(g);
    if (value.kind != VALUE_CONST)
        weir__gen_use(g, &value);
    weir__gen_store(g, global_at(g, index), value);
    weir__gen_release(g, value);
}

void weir__gen_emit_drop(struct gen *g, uint32_t arg)
{
    (void)arg;
    weir__gen_release(g, weir__gen_pop(g));
}

static void select_float(struct gen *g, unsigned cc, struct gen_value *first,
                         struct gen_value *second)
{
    unsigned dest = weir__gen_own(g, first, X64_NONE);
    uint32_t keep = weir__gen_new_label(g);
    weir__gen_jump_if(g, cc, keep);
    weir__gen_load(g, dest, *second);
    weir__gen_bind(g, keep);
    weir__gen_release(g, *second);
    weir__gen_push_reg(g, first->type, dest);
}

/* dest ← value when cc. */
static void move_if(struct gen *g, unsigned cc, unsigned dest, struct gen_value *value)
{
    struct x64_mem mem;
    uint32_t op = X64_CMOV | gen_wide(value->type);
    if (weir__gen_in_memory(g, value, &mem))
        x64_rm(&g->a, op | cc, dest, mem);
    else
        x64_rr(&g->a, op | cc, dest, weir__gen_use(g, value));
}

/* The first when the condition holds, else the second. */
void weir__gen_emit_select(struct gen *g, uint32_t arg)
{
    (void)arg;
    unsigned cc = weir__gen_condition(g);
    struct gen_value second = weir__gen_pop(g);
    struct gen_value first = weir__gen_pop(g);
    g->has_live_flags = true; /* nothing below may touch the flags */
    if (gen_is_float(first.type)) {
        select_float(g, cc, &first, &second);
    } else if (cc == CC_FEQ) { /* both flags must hold: either one takes the second */
        unsigned dest = weir__gen_own(g, &first, weir__gen_reg_of(g, &second));
        move_if(g, CC_NE, dest, &second);
        move_if(g, CC_P, dest, &second);
        weir__gen_release(g, second);
        weir__gen_push_reg(g, first.type, dest);
    } else {
        unsigned dest = weir__gen_own(g, &second, weir__gen_reg_of(g, &first));
        move_if(g, cc == CC_FNE ? CC_NE : cc, dest, &first);
        if (cc == CC_FNE)
            move_if(g, CC_P, dest, &first);
        weir__gen_release(g, first);
        weir__gen_push_reg(g, second.type, dest);
    }
    g->has_live_flags = false;
}
