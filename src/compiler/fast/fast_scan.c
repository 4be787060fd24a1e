/* The look ahead over a function: how often each local is used, and so which ones get registers.
 *
 * Uses count eightfold per loop around them. Callee-saved registers cost one save and restore per
 * call of the function, caller-saved ones a store and a load around each call in it; a local gets
 * a register when its uses outweigh that. Linear: the few candidates are picked by insertion.
 */
#include "compiler/fast/fast_internal.h"

#include <stdlib.h>

#define LOOP_SHIFT 3u
#define LOOP_DEPTH_MAX 6u
#define WEIGHT_MAX (UINT32_C(1) << 30)
#define CANDIDATES 9u

/* Where a function's parameters arrive; the rest is in state->args. */
const uint8_t weir__gen_int_args[WEIR_ABI_INT_ARGS] = {RSI, RDX, RCX, R8, R9};

/* Caller-saved registers that locals may have, and the callee-saved ones, in order of choice. */
static const uint8_t int_caller_saved[] = {RSI, R8, R9, R10};
static const uint8_t int_callee_saved[] = {RBX, R12, R13, R14, R15};

static bool prepare_locals(struct gen *g)
{
    uint32_t count = g->func->local_count;
    if (count + GEN_PSEUDO_COUNT > g->local_capacity) {
        uint32_t capacity = count + GEN_PSEUDO_COUNT + 64;
        void *grown = realloc(g->locals, capacity * sizeof *g->locals);
        if (grown == NULL) {
            weir__gen_fail(g, WEIR_NO_MEMORY);
            return false;
        }
        g->locals = grown;
        g->local_capacity = capacity;
    }
    g->local_count = count;
    const struct gen_local fresh = {
        .type = WEIR_TYPE_I64, .reg = X64_NONE, .is_dirty = true, .newest = GEN_NONE};
    for (uint32_t i = 0; i < count + GEN_PSEUDO_COUNT; i++)
        g->locals[i] = fresh;
    uint32_t index = 0;
    for (uint32_t i = 0; i < g->type->param_count; i++)
        g->locals[index++].type = (uint8_t)g->type->params[i];
    for (uint32_t i = 0; i < g->func->local_group_count; i++) {
        const struct weir_wasm_local_group *group = &g->func->local_groups[i];
        for (uint32_t k = 0; k < group->count; k++)
            g->locals[index++].type = (uint8_t)group->type;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (g->locals[i].type == WEIR_TYPE_V128) {
            weir__gen_unsupported(g, "a local of type v128");
            return false;
        }
    }
    return true;
}

static void add_weight(struct gen *g, uint32_t index, uint32_t weight)
{
    struct gen_local *local = &g->locals[index];
    local->weight = local->weight + weight > WEIGHT_MAX ? WEIGHT_MAX : local->weight + weight;
}

static void weigh(struct gen *g, const struct weir_insn *insn, uint32_t weight)
{
    unsigned needs = weir__gen_ops[insn->op].needs;
    if (insn->op == WEIR_OP_LOCAL_GET || insn->op == WEIR_OP_LOCAL_SET ||
        insn->op == WEIR_OP_LOCAL_TEE) {
        add_weight(g, insn->index, weight);
        return;
    }
    if (needs == 0)
        return;
    g->needs_vmctx = true;
    if (needs & GEN_NEEDS_MEMORY && insn->memory == 0) {
        add_weight(g, g->local_count + GEN_BASE, weight);
        if (g->is_explicit)
            add_weight(g, g->local_count + GEN_MEMORY, weight);
    } else {
        add_weight(g, g->local_count + GEN_VMCTX, weight);
    }
    if (needs & GEN_NEEDS_CALL) {
        g->has_calls = true;
        g->call_weight =
            g->call_weight + weight > WEIGHT_MAX ? WEIGHT_MAX : g->call_weight + weight;
    }
}

static void weigh_state(struct gen *g, const struct weir_insn *insn, uint32_t weight)
{
    bool polls = g->has_poll && insn->op == WEIR_OP_LOOP;
    bool charges = g->costs != NULL && weir_fuel_is_accounting(insn->op);
    if (polls || charges) {
        add_weight(g, g->local_count + GEN_STATE, weight);
        g->needs_vmctx = true;
    }
}

/* Weights of all locals. False when the body cannot be read, which validation excludes. */
static bool weigh_body(struct gen *g)
{
    struct weir_insn_reader reader = g->reader;
    uint32_t depth = 0;
    g->loops.count = 0;
    while (reader.position < reader.end) {
        struct weir_insn insn;
        enum weir_status status = weir_insn_read(&reader, &insn, g->error);
        if (status != WEIR_OK) {
            weir__gen_fail(g, status);
            return false;
        }
        g->insn_count++;
        if (insn.op == WEIR_OP_BLOCK || insn.op == WEIR_OP_LOOP || insn.op == WEIR_OP_IF) {
            uint8_t *is_loop = weir__gen_append(g, &g->loops, 1);
            if (is_loop == NULL)
                return false;
            *is_loop = insn.op == WEIR_OP_LOOP;
            depth += *is_loop;
        } else if (insn.op == WEIR_OP_END && g->loops.count > 0) {
            depth -= ((const uint8_t *)g->loops.items)[--g->loops.count];
        }
        uint32_t weight = UINT32_C(1)
                          << LOOP_SHIFT * (depth < LOOP_DEPTH_MAX ? depth : LOOP_DEPTH_MAX);
        weigh(g, &insn, weight);
        weigh_state(g, &insn, weight);
    }
    return true;
}

struct candidates {
    uint32_t local[CANDIDATES];
    unsigned count;
};

/* Keeps the heaviest locals in falling order; among equals the lower index. */
static void insert_candidate(const struct gen *g, struct candidates *c, uint32_t index)
{
    uint32_t weight = g->locals[index].weight;
    unsigned at = c->count;
    while (at > 0 && g->locals[c->local[at - 1]].weight < weight)
        at--;
    if (at == CANDIDATES)
        return;
    if (c->count < CANDIDATES)
        c->count++;
    for (unsigned i = c->count - 1; i > at; i--)
        c->local[i] = c->local[i - 1];
    c->local[at] = index;
}

/* The register in which parameter `index` arrives, or X64_NONE. */
unsigned weir__gen_param_reg(const struct gen *g, uint32_t index)
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

static bool give(struct gen *g, uint32_t index, uint32_t *available, unsigned reg)
{
    if (reg >= 32 || !(*available & X64_BIT(reg)))
        return false;
    *available &= ~X64_BIT(reg);
    g->locals[index].reg = (uint8_t)reg;
    if (X64_BIT(reg) & GEN_INT_CALLEE_SAVED)
        g->saved_regs |= X64_BIT(reg);
    return true;
}

static bool give_any(struct gen *g, uint32_t index, uint32_t *available, const uint8_t *regs,
                     unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (give(g, index, available, regs[i]))
            return true;
    }
    return false;
}

static void assign_ints(struct gen *g, const struct candidates *c)
{
    uint32_t available = GEN_INT_CALLEE_SAVED;
    for (unsigned i = 0; i < sizeof int_caller_saved; i++)
        available |= X64_BIT(int_caller_saved[i]);
    uint32_t call_cost = 2 * g->call_weight + 1;
    if (!g->has_calls) { /* a parameter may stay where it is */
        for (unsigned i = 0; i < c->count; i++) {
            if (c->local[i] < g->type->param_count)
                give(g, c->local[i], &available, weir__gen_param_reg(g, c->local[i]));
        }
    }
    for (unsigned i = 0; i < c->count; i++) {
        uint32_t index = c->local[i];
        uint32_t weight = g->locals[index].weight;
        if (g->locals[index].reg != X64_NONE)
            continue;
        bool is_given = false;
        if (!g->has_calls)
            is_given = give_any(g, index, &available, int_caller_saved, sizeof int_caller_saved);
        if (!is_given && weight > 2)
            is_given = give_any(g, index, &available, int_callee_saved, sizeof int_callee_saved);
        if (!is_given && g->has_calls && weight > call_cost)
            give_any(g, index, &available, int_caller_saved, sizeof int_caller_saved);
    }
    for (unsigned i = 0; i < sizeof int_caller_saved; i++)
        g->temps |= available & X64_BIT(int_caller_saved[i]);
}

static void assign_floats(struct gen *g, const struct candidates *c)
{
    uint32_t available = GEN_FLOAT_REGS & ~GEN_FLOAT_TEMPS & ~X64_BIT(GEN_FLOAT_SCRATCH);
    uint32_t call_cost = g->has_calls ? 2 * g->call_weight + 1 : 0;
    for (unsigned i = 0; i < c->count; i++) {
        uint32_t index = c->local[i];
        if (g->locals[index].weight <= call_cost)
            continue;
        if (index < g->type->param_count &&
            give(g, index, &available, weir__gen_param_reg(g, index)))
            continue;
        give(g, index, &available, (unsigned)__builtin_ctz(available));
    }
    g->temps |= available;
}

static void give_home(struct gen *g, struct gen_local *local)
{
    local->home = -8 * (int32_t)(g->home_count + 1);
    g->home_count++;
}

/* Words of the frame: saved registers, vmctx, parameters, other locals (together, so that they can
 * be zeroed in one go), then operands. */
static void assign_homes(struct gen *g)
{
    uint32_t total = g->local_count + GEN_PSEUDO_COUNT;
    uint32_t caller_saved = ~GEN_INT_CALLEE_SAVED;
    struct gen_local *vmctx = &g->locals[g->local_count + GEN_VMCTX];
    g->home_count = (uint32_t)__builtin_popcount(g->saved_regs);
    for (uint32_t i = 0; i < total; i++) {
        struct gen_local *local = &g->locals[i];
        bool is_saved =
            g->has_calls && local->reg != X64_NONE && (X64_BIT(local->reg) & caller_saved) != 0;
        if (is_saved)
            g->call_saved[g->call_saved_count++] = i;
        if (is_saved && i < g->local_count)
            give_home(g, local);
    }
    if (g->needs_vmctx &&
        (vmctx->reg == X64_NONE || (g->has_calls && X64_BIT(vmctx->reg) & caller_saved)))
        give_home(g, vmctx);
    for (uint32_t i = 0; i < g->local_count; i++) {
        struct gen_local *local = &g->locals[i];
        if (i == g->type->param_count)
            g->zero_first = g->home_count;
        if (local->reg == X64_NONE && local->weight > 0)
            give_home(g, local);
    }
    if (g->local_count == g->type->param_count)
        g->zero_first = g->home_count;
    g->zero_end = g->home_count;
}

/* Weights, registers and homes of all locals; the set of temporaries. */
void weir__gen_scan(struct gen *g)
{
    struct candidates ints = {.count = 0};
    struct candidates floats = {.count = 0};
    g->call_weight = 0;
    g->insn_count = 0;
    g->has_calls = false;
    g->needs_vmctx = g->type->result_count > 1; /* state->results */
    g->saved_regs = 0;
    g->call_saved_count = 0;
    g->temps = GEN_INT_TEMPS | GEN_FLOAT_TEMPS;
    if (!prepare_locals(g) || !weigh_body(g))
        return;
    for (uint32_t i = 0; i < g->local_count + GEN_PSEUDO_COUNT; i++) {
        if (g->locals[i].weight > 0)
            insert_candidate(g, gen_is_float(g->locals[i].type) ? &floats : &ints, i);
    }
    assign_ints(g, &ints);
    assign_floats(g, &floats);
    assign_homes(g);
    g->free = g->temps;
    for (unsigned i = 0; i < 32; i++)
        g->owner[i] = GEN_NONE;
}
