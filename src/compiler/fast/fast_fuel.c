/* Fuel charges (compiler/common/fuel.h) in generated code: `sub [state.fuel], cost` and a jump to a
 * trap when the result is negative. */
#include "compiler/fast/fast_internal.h"

/* A pending cost above this is charged at once, so that it always fits the immediate. */
#define PENDING_MAX (UINT32_C(1) << 29)

/* Returns the immediate's place in the text. */
static uint32_t charge(struct gen *g, uint32_t cost)
{
    unsigned state = weir__gen_pseudo(g, GEN_STATE);
    x64_rm(&g->a, X64_ALU_IMM32 | X64_W, X64_SUB,
           x64_at(state, offsetof(struct weir_vm_state, fuel)));
    x64_u32(&g->a, cost);
    uint32_t field = x64_here(&g->a) - 4;
    weir__gen_trap(g, CC_S, WEIR_TRAP_FUEL);
    return field;
}

/* The cost of the block that ends here goes to its charge. */
static void close_block(struct gen *g)
{
    if (g->fuel_field != GEN_NONE)
        weir_store_u32(g->a.text + g->fuel_field, g->fuel_pending);
    g->fuel_field = GEN_NONE;
    g->fuel_pending = 0;
}

/* A basic block begins here. */
void weir__gen_charge_block(struct gen *g)
{
    if (g->costs == NULL || g->costs->points != WEIR_FUEL_AT_BLOCK_ENTRY)
        return;
    close_block(g);
    g->fuel_field = charge(g, 0);
}

/* Charges what is pending and `extra`. */
static void charge_point(struct gen *g, uint32_t extra)
{
    if (g->fuel_pending + extra > 0)
        charge(g, g->fuel_pending + extra);
    g->fuel_pending = 0;
}

/* Accounts for g->insn, before it is emitted. */
void weir__gen_charge_insn(struct gen *g)
{
    g->fuel_pending += g->costs->class_costs[weir_fuel_classes[g->insn.op]];
    bool is_full = g->fuel_pending > PENDING_MAX && !g->has_live_flags;
    if (g->costs->points == WEIR_FUEL_AT_BLOCK_ENTRY) {
        if (is_full)
            weir__gen_charge_block(g);
        return;
    }
    if (g->is_prepaid) {
        g->is_prepaid = false;
        g->fuel_pending = 0;
    } else if (is_full || weir_fuel_is_accounting(g->insn.op)) {
        charge_point(g, 0);
    }
}

/* Dead code ends here. What came before it and was not charged is paid by nobody; a block's cost
 * still belongs to the block. */
void weir__gen_charge_dead(struct gen *g)
{
    if (g->costs != NULL && g->costs->points == WEIR_FUEL_BEFORE_ACCOUNTING)
        g->fuel_pending = 0;
}

/* True when eqz may find its operand in the flags. */
bool weir__gen_fuses_eqz(const struct gen *g)
{
    return g->costs == NULL || g->costs->points == WEIR_FUEL_AT_BLOCK_ENTRY;
}

/* True when the comparison about to be emitted may leave its result in the flags. Under
 * BEFORE_ACCOUNTING the next instruction's charge must come first: it is emitted now. */
bool weir__gen_fuses(struct gen *g)
{
    unsigned op = g->next.op;
    if (op == WEIR_OP_SELECT || op == WEIR_OP_SELECT_T)
        return true;
    bool is_branch = op == WEIR_OP_BR_IF || op == WEIR_OP_IF;
    if (weir__gen_fuses_eqz(g))
        return is_branch || op == WEIR_OP_I32_EQZ;
    if (is_branch) {
        charge_point(g, g->costs->class_costs[weir_fuel_classes[op]]);
        g->is_prepaid = true;
    }
    return is_branch;
}

/* On entry of a function; `locals` without parameters. */
void weir__gen_charge_entry(struct gen *g, uint32_t locals)
{
    const struct weir_fuel_costs *costs = g->costs;
    g->fuel_field = GEN_NONE;
    g->fuel_pending = 0;
    g->is_prepaid = false;
    uint64_t cost = 0;
    if (locals > costs->free_locals)
        cost = (uint64_t)(locals - costs->free_locals) * costs->per_more_local;
    while (cost > PENDING_MAX) {
        charge(g, PENDING_MAX);
        cost -= PENDING_MAX;
    }
    weir__gen_charge_block(g);
    g->fuel_pending = (uint32_t)cost;
    if (costs->points == WEIR_FUEL_BEFORE_ACCOUNTING)
        charge_point(g, 0);
}

void weir__gen_charge_end(struct gen *g)
{
    if (g->costs->points == WEIR_FUEL_AT_BLOCK_ENTRY)
        close_block(g);
}
