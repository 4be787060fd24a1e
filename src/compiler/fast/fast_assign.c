/* Registers for webs: a linear scan over them in order of their beginning. When all registers are
 * taken the lightest of the competing webs lives in the frame. Webs that no call crosses take
 * caller-saved registers for nothing; those that calls cross take callee-saved ones, or pay a store
 * and a load around each call.
 */
#include "compiler/fast/fast_internal.h"

/* Where parameters arrive; the rest is in state->args. */
const uint8_t weir__gen_int_args[WEIR_ABI_INT_ARGS] = {RSI, RDX, RCX, R8, R9};

#define INT_CALLER_SAVED (X64_BIT(RSI) | X64_BIT(R8) | X64_BIT(R9) | X64_BIT(R10))
#define FLOAT_LOCAL_REGS (GEN_FLOAT_REGS & ~GEN_FLOAT_TEMPS & ~X64_BIT(GEN_FLOAT_SCRATCH))
/* What saving a callee-saved register in the prologue costs, in uses. */
#define SAVE_COST 2u

/* Parameters may stay where they arrive, rcx and rdx too when nothing else needs them; with at most
 * this many caller-saved registers for locals, four temporaries are left. */
#define CALLER_SAVED_MAX 4

struct assignment {
    struct gen *g;
    uint32_t int_caller; /* caller-saved registers for locals of this function */
    struct gen_web *active[32];
    uint32_t used; /* every register given to some web */
};

/* Weights of the calls strictly inside the web. */
static uint64_t calls_crossed(const struct gen *g, const struct gen_web *web)
{
    const struct gen_call_weight *calls = g->call_weights.items;
    uint64_t sums[2] = {0, 0};
    const uint32_t bounds[2] = {web->first + 1, web->end};
    for (unsigned i = 0; i < 2; i++) { /* sum of the calls before bounds[i] */
        size_t low = 0;
        size_t high = g->call_weights.count;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (calls[middle].position < bounds[i])
                low = middle + 1;
            else
                high = middle;
        }
        sums[i] = low == 0 ? 0 : calls[low - 1].sum;
    }
    return sums[1] > sums[0] ? sums[1] - sums[0] : 0;
}

/* The register in which parameter `index` arrives, or X64_NONE. */
static unsigned param_reg(const struct gen *g, uint32_t index)
{
    unsigned ints = 0;
    unsigned floats = 0;
    for (uint32_t i = 0; i < g->type->param_count; i++) {
        bool is_float = gen_is_float(g->type->params[i]);
        unsigned nth = is_float ? floats++ : ints++;
        if (i == index && is_float)
            return nth < WEIR_ABI_FLOAT_ARGS ? XMM0 + nth : X64_NONE;
        if (i == index)
            return nth < WEIR_ABI_INT_ARGS ? weir__gen_int_args[nth] : X64_NONE;
        if (floats >= WEIR_ABI_FLOAT_ARGS && ints >= WEIR_ABI_INT_ARGS)
            break;
    }
    return X64_NONE;
}

static uint32_t free_of(struct assignment *s, uint32_t set, uint32_t position)
{
    uint32_t usable = 0;
    for (uint32_t rest = set; rest != 0; rest &= rest - 1) {
        unsigned reg = (unsigned)__builtin_ctz(rest);
        if (s->active[reg] != NULL && s->active[reg]->end < position)
            s->active[reg] = NULL;
        if (s->active[reg] == NULL)
            usable |= X64_BIT(reg);
    }
    return usable;
}

static void give(struct assignment *s, struct gen_web *web, unsigned reg)
{
    if (s->active[reg] != NULL)
        s->active[reg]->reg = X64_NONE;
    s->active[reg] = web;
    s->used |= X64_BIT(reg);
    web->reg = (uint8_t)reg;
}

/* The register of `set` whose web is worth least, if that is less than `web`; else X64_NONE. */
static unsigned cheapest(const struct assignment *s, uint32_t set, const struct gen_web *web)
{
    unsigned best = X64_NONE;
    uint32_t weight = web->weight;
    for (uint32_t rest = set; rest != 0; rest &= rest - 1) {
        unsigned reg = (unsigned)__builtin_ctz(rest);
        if (s->active[reg]->weight < weight) {
            weight = s->active[reg]->weight;
            best = reg;
        }
    }
    return best;
}

static void assign(struct assignment *s, struct gen_web *web)
{
    struct gen *g = s->g;
    bool is_float = gen_is_float(g->locals[web->local].type);
    uint64_t crossed = g->has_calls ? calls_crossed(g, web) : 0;
    uint32_t caller = is_float ? FLOAT_LOCAL_REGS : s->int_caller;
    uint32_t callee = is_float ? 0 : GEN_INT_CALLEE_SAVED;
    uint32_t saved = callee & s->used;
    if (crossed * 2 >= web->weight)
        caller = 0;
    if (web->weight <= SAVE_COST)
        callee = saved;
    uint32_t usable = free_of(s, caller | callee, web->first);
    uint32_t choices[3] = {usable & caller, usable & saved, usable & callee};
    if (crossed > 0) {
        choices[0] = usable & saved;
        choices[1] = usable & callee;
        choices[2] = usable & caller;
    }
    unsigned reg = X64_NONE;
    for (unsigned i = 0; i < 3 && reg == X64_NONE; i++) {
        if (choices[i] != 0) /* from the top: parameters want the others */
            reg = 31u - (unsigned)__builtin_clz(choices[i]);
    }
    if (reg == X64_NONE)
        reg = cheapest(s, caller | callee, web);
    if (reg != X64_NONE)
        give(s, web, reg);
}

static void give_home(struct gen *g, struct gen_local *local)
{
    local->home = -8 * (int32_t)(g->home_count + 1);
    g->home_count++;
}

/* vmctx goes to the frame unless it has a register that lasts, or its parts have all registers. */
static bool needs_vmctx_home(const struct gen *g)
{
    const struct gen_web *webs = (const struct gen_web *)g->webs.items + g->local_count;
    unsigned reg = webs[GEN_VMCTX].reg;
    if (!g->needs_vmctx)
        return false;
    if (reg != X64_NONE)
        return g->has_calls && !(X64_BIT(reg) & GEN_INT_CALLEE_SAVED);
    if (webs[GEN_VMCTX].weight > 0 || g->type->result_count > 1 || g->has_calls || g->calls_traps)
        return true;
    for (unsigned which = GEN_STATE; which < GEN_PSEUDO_COUNT; which++) {
        if (webs[which].weight > 0 && webs[which].reg == X64_NONE)
            return true;
    }
    return g->has_poll && g->loop_ends.count > 0; /* cold code */
}

/* Words of the frame: saved registers, vmctx, locals that begin as zero in the frame (together, so
 * that they can be zeroed in one go), other locals, then operands. */
static void assign_homes(struct gen *g)
{
    const struct gen_web *webs = g->webs.items;
    uint32_t caller_saved = ~GEN_INT_CALLEE_SAVED;
    for (size_t i = 0; i < g->webs.count; i++) {
        const struct gen_web *web = &webs[i];
        if (web->is_joined || web->weight == 0)
            continue;
        if (web->reg == X64_NONE || (g->has_calls && X64_BIT(web->reg) & caller_saved))
            g->locals[web->local].needs_home = true;
    }
    g->home_count = (uint32_t)__builtin_popcount(g->saved_regs);
    if (needs_vmctx_home(g))
        give_home(g, &g->locals[g->local_count + GEN_VMCTX]);
    g->zero_first = g->home_count;
    for (uint32_t i = g->type->param_count; i < g->local_count; i++) {
        if (webs[i].weight > 0 && webs[i].reg == X64_NONE)
            give_home(g, &g->locals[i]);
    }
    g->zero_end = g->home_count;
    for (uint32_t i = 0; i < g->local_count; i++) {
        if (g->locals[i].needs_home && g->locals[i].home == 0)
            give_home(g, &g->locals[i]);
    }
}

/* In functions without calls parameters stay in their registers, the heaviest first. */
static void keep_params(struct assignment *s)
{
    struct gen *g = s->g;
    struct gen_web *webs = g->webs.items;
    for (unsigned given = 0; given < CALLER_SAVED_MAX; given++) {
        struct gen_web *best = NULL;
        for (uint32_t i = 0; i < g->type->param_count && i < WEIR_ABI_INT_ARGS; i++) {
            unsigned reg = param_reg(g, i);
            bool is_fitting = reg < XMM0 && webs[i].reg == X64_NONE && webs[i].weight > 0 &&
                              !(g->special & X64_BIT(reg)) && !webs[i].is_joined;
            if (is_fitting && (best == NULL || webs[i].weight > best->weight))
                best = &webs[i];
        }
        if (best == NULL)
            break;
        give(s, best, param_reg(g, best->local));
    }
    /* The rest of what may be used, so that no more than CALLER_SAVED_MAX are. */
    uint32_t rest = INT_CALLER_SAVED & ~s->used;
    s->int_caller = s->used;
    while (rest != 0 && __builtin_popcount(s->int_caller) < CALLER_SAVED_MAX) {
        unsigned reg = 31u - (unsigned)__builtin_clz(rest);
        s->int_caller |= X64_BIT(reg);
        rest &= ~X64_BIT(reg);
    }
}

/* Registers and homes of all locals; the set of temporaries. */
void weir__gen_assign(struct gen *g)
{
    struct assignment s = {.g = g, .int_caller = INT_CALLER_SAVED};
    struct gen_web *webs = g->webs.items;
    uint32_t first = g->local_count + GEN_PSEUDO_COUNT;
    if (!g->has_calls)
        keep_params(&s);
    for (uint32_t i = g->local_count; i < first; i++) {
        if (webs[i].weight > 0)
            assign(&s, &webs[i]);
    }
    for (uint32_t i = 0; i < g->webs.count; i++) {
        bool is_pseudo = i >= g->local_count && i < first;
        if (!is_pseudo && !webs[i].is_joined && webs[i].weight > 0 && webs[i].reg == X64_NONE)
            assign(&s, &webs[i]);
    }
    g->saved_regs = s.used & GEN_INT_CALLEE_SAVED;
    g->local_regs = s.used;
    g->temps = (GEN_INT_TEMPS | GEN_FLOAT_TEMPS | INT_CALLER_SAVED | FLOAT_LOCAL_REGS) & ~s.used;
    g->free = g->temps;
    g->dirty = UINT32_MAX;
    g->next_web = first;
    for (unsigned i = 0; i < 32; i++) {
        g->owner[i] = GEN_NONE;
        g->resident[i] = GEN_NONE;
    }
    for (uint32_t i = 0; i < first; i++) {
        g->locals[i].reg = webs[i].reg;
        g->locals[i].is_used = webs[i].weight > 0;
        if (webs[i].reg != X64_NONE) {
            g->resident[webs[i].reg] = i;
            g->resident_end[webs[i].reg] = webs[i].end;
        }
    }
    assign_homes(g);
}
