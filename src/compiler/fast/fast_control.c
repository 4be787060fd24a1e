/* Blocks, branches, labels. Labels are numbers; jumps to them are noted and filled in when the
 * function is complete, so any nesting and any number of targets costs linear time. */
#include "compiler/fast/fast_internal.h"

#define COMPARE_TARGETS_MAX 4u /* br_table with more targets than this uses a jump table */

uint32_t weir__gen_new_label(struct gen *g)
{
    uint32_t *position = weir__gen_append(g, &g->labels, sizeof *position);
    if (position == NULL)
        return 0;
    *position = GEN_NONE;
    return (uint32_t)g->labels.count - 1;
}

void weir__gen_bind(struct gen *g, uint32_t label)
{
    if (label < g->labels.count)
        ((uint32_t *)g->labels.items)[label] = x64_here(&g->a);
}

static void note_jump(struct gen *g, uint32_t field, uint32_t label)
{
    struct gen_jump *jump = weir__gen_append(g, &g->jumps, sizeof *jump);
    if (jump != NULL)
        *jump = (struct gen_jump){.at = field, .label = label};
}

static void jump_to(struct gen *g, uint32_t label)
{
    note_jump(g, x64_jmp(&g->a), label);
}

void weir__gen_jump_if(struct gen *g, unsigned cc, uint32_t label)
{
    if (cc == CC_FEQ) {
        uint32_t skip = x64_jcc8(&g->a, CC_P);
        note_jump(g, x64_jcc(&g->a, CC_E), label);
        x64_land8(&g->a, skip);
    } else if (cc == CC_FNE) {
        note_jump(g, x64_jcc(&g->a, CC_P), label);
        note_jump(g, x64_jcc(&g->a, CC_NE), label);
    } else {
        note_jump(g, x64_jcc(&g->a, cc), label);
    }
}

/* Fills in every jump of the function. */
void weir__gen_resolve(struct gen *g)
{
    const uint32_t *positions = g->labels.items;
    const struct gen_jump *jumps = g->jumps.items;
    for (size_t i = 0; i < g->jumps.count; i++) {
        uint32_t target = positions[jumps[i].label];
        if (jumps[i].is_table)
            weir_store_u32((uint8_t *)g->rodata.items + jumps[i].at, target - jumps[i].anchor);
        else
            x64_patch32(&g->a, jumps[i].at, target);
    }
    g->labels.count = 0;
    g->jumps.count = 0;
}

void weir__gen_set_dead(struct gen *g)
{
    g->is_dead = true;
    g->dead_depth = 0;
    const struct gen_control *top = &g->controls[g->control_count - 1];
    weir__gen_set_depth(g, top->height);
}

static unsigned invert(unsigned cc)
{
    return cc ^ 1u; /* FEQ and FNE are a pair too */
}

/* Pops an i32 and sets the flags by it; returns the condition under which it is not zero. */
unsigned weir__gen_condition(struct gen *g)
{
    struct gen_value value = weir__gen_pop(g);
    struct x64_mem mem;
    if (value.kind == VALUE_FLAGS)
        return value.reg;
    if (weir__gen_in_memory(g, &value, &mem)) {
        x64_alu_mi(&g->a, X64_CMP, 0, mem, 0);
        weir__gen_release(g, value);
    } else {
        unsigned reg = weir__gen_use(g, &value);
        x64_rr(&g->a, X64_TEST, reg, reg);
        weir__gen_release(g, value);
    }
    g->has_live_flags = true;
    return CC_NE;
}

static void set_block_type(const struct gen *g, struct gen_control *control, int64_t block_type)
{
    static const weir_wasm_type singles[] = {WEIR_TYPE_I32, WEIR_TYPE_I64,     WEIR_TYPE_F32,
                                             WEIR_TYPE_F64, WEIR_TYPE_FUNCREF, WEIR_TYPE_EXTERNREF,
                                             WEIR_TYPE_V128};
    if (block_type >= 0) {
        const struct weir_wasm_func_type *type = &g->module->types[block_type];
        control->params = type->params;
        control->results = type->results;
        control->param_count = type->param_count;
        control->result_count = type->result_count;
        return;
    }
    for (unsigned i = 0; i < sizeof singles / sizeof *singles; i++) {
        if (-block_type == (int64_t)singles[i]) {
            control->results = &singles[i];
            control->result_count = 1;
        }
    }
}

void weir__gen_push_control(struct gen *g, unsigned kind, int64_t block_type)
{
    struct gen_vector v = {g->controls, g->control_count, g->control_capacity};
    struct gen_control *control = weir__gen_append(g, &v, sizeof *control);
    if (control == NULL)
        return;
    g->controls = v.items;
    g->control_count = (uint32_t)v.count;
    g->control_capacity = (uint32_t)v.capacity;
    *control = (struct gen_control){.kind = (uint8_t)kind, .label = weir__gen_new_label(g)};
    if (kind == CONTROL_FUNC) {
        control->results = g->type->results;
        control->result_count = g->type->result_count;
        return;
    }
    set_block_type(g, control, block_type);
    control->height = g->depth - control->param_count;
}

/* The register of a block's only result. */
static unsigned result_reg(unsigned type)
{
    return gen_is_float(type) ? XMM0 : RAX;
}

static void store_slot(struct gen *g, uint32_t depth, struct gen_value value)
{
    x64_reserve(&g->a, X64_INSN_ROOM);
    if (value.kind != VALUE_SLOT || value.index != depth)
        weir__gen_store(g, weir__gen_slot(g, depth), value);
}

/* The function's results: the first in its register, the others in state->results. */
static void move_to_return(struct gen *g, uint32_t first)
{
    uint32_t count = g->type->result_count;
    for (uint32_t i = 1; i < count; i++) {
        x64_reserve(&g->a, X64_INSN_ROOM);
        struct gen_value value = g->values[first + i];
        bool is_wide = value.type != WEIR_TYPE_I32 && value.type != WEIR_TYPE_F32;
        unsigned from = weir__gen_reg_of(g, &value);
        struct x64_mem memory;
        if (from == X64_NONE && weir__gen_in_memory(g, &value, &memory))
            x64_rm(&g->a, is_wide ? X64_MOVS | X64_F2 : X64_MOVS | X64_F3, GEN_FLOAT_SCRATCH,
                   memory);
        else if (from == X64_NONE && gen_is_float(value.type))
            x64_rr(&g->a, X64_XORPS, GEN_FLOAT_SCRATCH, GEN_FLOAT_SCRATCH);
        unsigned state = weir__gen_pseudo(g, GEN_STATE);
        struct x64_mem to =
            x64_at(state, (int32_t)(offsetof(struct weir_vm_state, results) + 16 * i));
        if (from == X64_NONE && value.kind == VALUE_CONST && !gen_is_float(value.type)) {
            value.type = WEIR_TYPE_I64;
            weir__gen_store(g, to, value);
        } else if (from != X64_NONE && from < XMM0) {
            x64_rm(&g->a, X64_MOV_STORE | X64_W, from, to);
        } else {
            x64_rm(&g->a, X64_MOVS_STORE | X64_F2, from == X64_NONE ? GEN_FLOAT_SCRATCH : from, to);
        }
    }
    if (count > 0)
        weir__gen_load(g, result_reg(g->type->results[0]), g->values[first]);
}

static uint32_t label_arity(const struct gen_control *c)
{
    return c->kind == CONTROL_LOOP ? c->param_count : c->result_count;
}

/* Emits the moves of a branch to `c`: the top entries to where its label expects them. Nothing is
 * popped; registers of entries that the branch drops may be overwritten. */
static void move_to_label(struct gen *g, const struct gen_control *c)
{
    uint32_t arity = label_arity(c);
    uint32_t first = g->depth - arity;
    if (c->kind == CONTROL_FUNC) {
        move_to_return(g, first);
        return;
    }
    if (arity == 1 && c->kind != CONTROL_LOOP) {
        weir__gen_load(g, result_reg(c->results[0]), g->values[first]);
        return;
    }
    for (uint32_t i = 0; i < arity; i++)
        store_slot(g, c->height + i, g->values[first + i]);
}

/* True when a branch to `c` needs no moves. */
static bool is_in_place(const struct gen *g, const struct gen_control *c)
{
    uint32_t arity = label_arity(c);
    if (arity == 0)
        return true;
    const struct gen_value *top = &g->values[g->depth - 1];
    bool by_register = arity == 1 && c->kind != CONTROL_LOOP;
    if (by_register)
        return top->kind == VALUE_REG && top->reg == result_reg(c->results[0]);
    return false;
}

/* What the stack holds at a label of `c`. */
static void expect_results(struct gen *g, const struct gen_control *c)
{
    weir__gen_set_depth(g, c->height);
    if (c->result_count == 1) {
        unsigned reg = result_reg(c->results[0]);
        weir__gen_claim(g, reg);
        weir__gen_push_reg(g, c->results[0], reg);
        return;
    }
    for (uint32_t i = 0; i < c->result_count; i++)
        weir__gen_push_slot(g, c->results[i]);
}

static void expect_params(struct gen *g, const struct gen_control *c)
{
    weir__gen_set_depth(g, c->height);
    for (uint32_t i = 0; i < c->param_count; i++)
        weir__gen_push_slot(g, c->params[i]);
}

/* After a label that several paths reach, nothing is known about homes and addresses. */
static void forget_homes(struct gen *g)
{
    g->dirty = UINT32_MAX;
    weir__gen_forget_checks(g, GEN_NONE);
}

void weir__gen_emit_block(struct gen *g, uint32_t arg)
{
    (void)arg;
    weir__gen_flush(g);
    weir__gen_push_control(g, CONTROL_BLOCK, g->insn.block_type);
}

/* Constants among a loop's parameters must be in slots too: the back edge puts values there. */
static void settle_params(struct gen *g, const struct gen_control *c)
{
    for (uint32_t i = 0; i < c->param_count; i++) {
        struct gen_value *value = &g->values[c->height + i];
        if (value->kind == VALUE_CONST) {
            store_slot(g, c->height + i, *value);
            value->kind = VALUE_SLOT;
            value->index = c->height + i;
        }
    }
}

void weir__gen_emit_loop(struct gen *g, uint32_t arg)
{
    (void)arg;
    weir__gen_flush(g);
    weir__gen_push_control(g, CONTROL_LOOP, g->insn.block_type);
    struct gen_control *c = &g->controls[g->control_count - 1];
    settle_params(g, c);
    forget_homes(g);
    x64_reserve(&g->a, X64_INSN_ROOM);
    weir__x64_align(&g->a, 16);
    weir__gen_bind(g, c->label);
    if (g->has_poll)
        weir__gen_poll(g);
    weir__gen_charge_block(g);
}

void weir__gen_emit_if(struct gen *g, uint32_t arg)
{
    (void)arg;
    unsigned cc = weir__gen_condition(g);
    weir__gen_flush(g);
    weir__gen_push_control(g, CONTROL_IF, g->insn.block_type);
    struct gen_control *c = &g->controls[g->control_count - 1];
    settle_params(g, c);
    c->else_label = weir__gen_new_label(g);
    weir__gen_jump_if(g, invert(cc), c->else_label);
    g->has_live_flags = false;
    weir__gen_charge_block(g);
}

void weir__gen_emit_else(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_control *c = &g->controls[g->control_count - 1];
    if (!g->is_dead) {
        move_to_label(g, c);
        x64_reserve(&g->a, X64_INSN_ROOM);
        jump_to(g, c->label);
        c->is_targeted = true;
    }
    weir__gen_bind(g, c->else_label);
    forget_homes(g);
    c->kind = CONTROL_ELSE;
    g->is_dead = false;
    expect_params(g, c);
    weir__gen_charge_block(g);
}

/* `if` without `else`: the parameters are the results. */
static void end_if(struct gen *g, struct gen_control *c)
{
    if (c->param_count > 0 && !g->is_dead) {
        jump_to(g, c->label);
        c->is_targeted = true;
    }
    weir__gen_bind(g, c->else_label);
    if (c->param_count > 0) {
        g->is_dead = false;
        expect_params(g, c);
        move_to_label(g, c);
    }
}

static void end_function(struct gen *g, struct gen_control *c)
{
    if (!g->is_dead)
        move_to_label(g, c);
    x64_reserve(&g->a, X64_INSN_ROOM);
    weir__gen_bind(g, c->label);
    if (!g->is_dead || c->is_targeted) {
        weir__gen_restore_frame(g);
        x64_u8(&g->a, 0xc3);
    }
    weir__gen_set_depth(g, 0);
    g->control_count--;
}

void weir__gen_emit_end(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_control *c = &g->controls[g->control_count - 1];
    if (c->kind == CONTROL_FUNC) {
        end_function(g, c);
        return;
    }
    bool has_join = c->kind == CONTROL_IF || (c->is_targeted && c->kind != CONTROL_LOOP);
    if (!has_join) { /* one path at most: everything stays as it is */
        g->control_count--;
        if (g->is_dead)
            weir__gen_set_depth(g, c->height);
        return;
    }
    if (!g->is_dead)
        move_to_label(g, c);
    x64_reserve(&g->a, X64_INSN_ROOM);
    if (c->kind == CONTROL_IF)
        end_if(g, c);
    weir__gen_bind(g, c->label);
    forget_homes(g);
    g->is_dead = false;
    expect_results(g, c);
    g->control_count--;
    weir__gen_charge_block(g);
}

static struct gen_control *target(struct gen *g, uint32_t depth)
{
    struct gen_control *c = &g->controls[g->control_count - 1 - depth];
    c->is_targeted = true;
    return c;
}

void weir__gen_emit_br(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_control *c = target(g, g->insn.index);
    move_to_label(g, c);
    x64_reserve(&g->a, X64_INSN_ROOM);
    jump_to(g, c->label);
    weir__gen_set_dead(g);
}

void weir__gen_emit_return(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_control *c = target(g, g->control_count - 1);
    move_to_label(g, c);
    x64_reserve(&g->a, X64_INSN_ROOM);
    jump_to(g, c->label);
    weir__gen_set_dead(g);
}

void weir__gen_emit_br_if(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_control *c = target(g, g->insn.index);
    unsigned cc = weir__gen_condition(g);
    if (is_in_place(g, c)) {
        weir__gen_jump_if(g, cc, c->label);
    } else {
        uint32_t skip = weir__gen_new_label(g);
        weir__gen_jump_if(g, invert(cc), skip);
        g->has_live_flags = false;
        move_to_label(g, c);
        x64_reserve(&g->a, X64_INSN_ROOM);
        jump_to(g, c->label);
        weir__gen_bind(g, skip);
    }
    g->has_live_flags = false;
    weir__gen_charge_block(g);
}

void weir__gen_emit_unreachable(struct gen *g, uint32_t arg)
{
    (void)arg;
    weir__gen_trap_always(g, WEIR_TRAP_UNREACHABLE);
    weir__gen_set_dead(g);
}

/* True when every target takes the values where the first one does. */
static bool is_uniform(struct gen *g, uint32_t arity)
{
    uint32_t offset = g->insn.targets_offset;
    for (uint32_t i = 0; i < g->insn.target_count; i++) {
        uint32_t depth = weir_insn_br_target(g->module, &offset);
        const struct gen_control *c = &g->controls[g->control_count - 1 - depth];
        if (c->kind == CONTROL_LOOP)
            return false;
    }
    return arity == 1;
}

/* The label of code that moves the values and goes on to `c`; one per br_table and target. */
static uint32_t stub_of(struct gen *g, struct gen_control *c, uint32_t anchor)
{
    if (c->stub_anchor == anchor)
        return c->stub_label;
    x64_reserve(&g->a, X64_INSN_ROOM);
    c->stub_anchor = anchor;
    c->stub_label = weir__gen_new_label(g);
    weir__gen_bind(g, c->stub_label);
    move_to_label(g, c);
    x64_reserve(&g->a, X64_INSN_ROOM);
    jump_to(g, c->label);
    return c->stub_label;
}

/* Writes the jump table's entries: the labels themselves, or stubs. */
static void fill_table(struct gen *g, bool by_stub, uint32_t table, uint32_t anchor)
{
    uint32_t offset = g->insn.targets_offset;
    for (uint32_t i = 0; i < g->insn.target_count; i++) {
        struct gen_control *c = target(g, weir_insn_br_target(g->module, &offset));
        uint32_t label = by_stub ? stub_of(g, c, anchor) : c->label;
        struct gen_jump *jump = weir__gen_append(g, &g->jumps, sizeof *jump);
        if (jump == NULL)
            return;
        *jump = (struct gen_jump){
            .at = table + 4 * i, .label = label, .anchor = anchor, .is_table = true};
    }
}

static void compare_targets(struct gen *g, unsigned index)
{
    uint32_t offset = g->insn.targets_offset;
    uint32_t last = g->insn.target_count - 1;
    for (uint32_t i = 0; i < last; i++) {
        struct gen_control *c = target(g, weir_insn_br_target(g->module, &offset));
        if (i == 0)
            x64_rr(&g->a, X64_TEST, index, index);
        else
            x64_alu_ri(&g->a, X64_CMP, 0, index, (int32_t)i);
        weir__gen_jump_if(g, CC_E, c->label);
    }
    struct gen_control *c = target(g, weir_insn_br_target(g->module, &offset));
    jump_to(g, c->label);
}

/* An index beyond the table takes its last entry, the default. */
static void jump_by_table(struct gen *g, unsigned index, bool by_stub)
{
    struct x64_asm *a = &g->a;
    uint32_t last = g->insn.target_count - 1;
    uint32_t table = (uint32_t)weir_align_up(g->rodata.count, 4);
    if (!weir__gen_reserve_rodata(g, table + 4 * (size_t)g->insn.target_count))
        return;
    x64_mov_ri(a, GEN_SCRATCH, last);
    x64_rr(a, X64_ALU_RM | X64_CMP << 3, index, GEN_SCRATCH);
    x64_rr(a, X64_CMOV | CC_A, index, GEN_SCRATCH);
    x64_rm(a, X64_LEA | X64_W, GEN_SCRATCH, x64_at(X64_RIP, (int32_t)table));
    x64_rm(a, X64_MOVSXD, index, x64_at_index(GEN_SCRATCH, index, 2, 0));
    x64_rr(a, X64_LEA | X64_W, GEN_SCRATCH, 0); /* lea r11, [rip + 0]: patched below */
    a->next[-1] = (uint8_t)((GEN_SCRATCH & 7) << 3 | 5);
    x64_u32(a, 0);
    uint32_t anchor = x64_here(a);
    x64_rr(a, X64_ALU_RM | X64_ADD << 3 | X64_W, index, GEN_SCRATCH);
    x64_rr(a, X64_GROUP5, 4, index);
    fill_table(g, by_stub, table, anchor);
}

void weir__gen_emit_br_table(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct gen_value value = weir__gen_pop(g);
    uint32_t offset = g->insn.targets_offset;
    const struct gen_control *first =
        &g->controls[g->control_count - 1 - weir_insn_br_target(g->module, &offset)];
    uint32_t arity = label_arity(first);
    bool by_stub = false;
    if (arity > 0 && is_uniform(g, arity)) {
        unsigned reg = result_reg(first->results[0]);
        if (weir__gen_reg_of(g, &value) == reg || reg == RAX)
            weir__gen_own(g, &value, reg);
        weir__gen_load(g, reg, g->values[g->depth - 1]);
    } else {
        by_stub = arity > 0;
    }
    unsigned index = weir__gen_own(g, &value, X64_NONE);
    if (g->insn.target_count <= COMPARE_TARGETS_MAX && !by_stub)
        compare_targets(g, index);
    else
        jump_by_table(g, index, by_stub);
    weir__gen_release(g, value);
    weir__gen_set_dead(g);
}
