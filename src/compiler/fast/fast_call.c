/* Calls: arguments to registers and state->args, results back, locals in caller-saved registers
 * kept in their homes meanwhile. Tail calls, builtins. */
#include "compiler/fast/fast_internal.h"

/* True when an entry below `depth` means the local: it must survive although its web has ended. */
static bool is_pending_below(const struct gen *g, const struct gen_local *local, uint32_t depth)
{
    uint32_t entry = local->newest;
    while (entry != GEN_NONE && entry >= depth)
        entry = g->values[entry].below;
    return entry != GEN_NONE;
}

/* Locals in registers that calls destroy, and that are needed afterwards, go home unless their home
 * is up to date. Entries from `depth` up are the call's arguments. */
static void save_locals(struct gen *g, uint32_t depth)
{
    g->kept = 0;
    for (uint32_t rest = g->local_regs & ~GEN_INT_CALLEE_SAVED; rest != 0; rest &= rest - 1) {
        unsigned reg = (unsigned)__builtin_ctz(rest);
        uint32_t index = g->resident[reg];
        if (index == GEN_NONE || g->locals[index].reg != reg)
            continue;
        const struct gen_local *local = &g->locals[index];
        if (g->resident_end[reg] <= g->position && !is_pending_below(g, local, depth))
            continue;
        g->kept |= X64_BIT(reg);
        if (index >= g->local_count || !(g->dirty & X64_BIT(reg)))
            continue;
        weir__gen_store(
            g, x64_at(RBP, local->home),
            (struct gen_value){.kind = VALUE_REG, .type = local->type, .reg = local->reg});
        g->dirty &= ~X64_BIT(reg);
    }
}

/* vmctx first, as the others may come through it. */
static void reload_locals(struct gen *g)
{
    uint32_t kept = g->kept;
    unsigned vmctx = g->locals[g->local_count + GEN_VMCTX].reg;
    if (vmctx < 32 && kept & X64_BIT(vmctx)) {
        weir__gen_load_pseudo(g, GEN_VMCTX, vmctx);
        kept &= ~X64_BIT(vmctx);
    }
    for (; kept != 0; kept &= kept - 1) {
        unsigned reg = (unsigned)__builtin_ctz(kept);
        uint32_t index = g->resident[reg];
        const struct gen_local *local = &g->locals[index];
        if (index >= g->local_count)
            weir__gen_load_pseudo(g, (enum gen_pseudo)(index - g->local_count), reg);
        else if (gen_is_float(local->type))
            x64_rm(&g->a, X64_MOVS | (local->type == WEIR_TYPE_F32 ? X64_F3 : X64_F2), reg,
                   x64_at(RBP, local->home));
        else
            x64_rm(&g->a, X64_MOV | gen_wide(local->type), reg, x64_at(RBP, local->home));
    }
}

/* Stores an argument to state->args[i], all eight bytes. Clobbers both scratch registers. */
static void pass_in_memory(struct gen *g, uint32_t i, struct gen_value value)
{
    struct x64_asm *a = &g->a;
    x64_reserve(a, X64_INSN_ROOM);
    bool is_narrow = value.type == WEIR_TYPE_I32 || value.type == WEIR_TYPE_F32;
    unsigned from = weir__gen_reg_of(g, &value);
    struct x64_mem source;
    if (from == X64_NONE && weir__gen_in_memory(g, &value, &source)) {
        from = GEN_FLOAT_SCRATCH; /* movss and movsd zero the rest of the register */
        x64_rm(a, X64_MOVS | (is_narrow ? X64_F3 : X64_F2), from, source);
    }
    unsigned state = weir__gen_pseudo(g, GEN_STATE);
    struct x64_mem to = x64_at(state, (int32_t)(offsetof(struct weir_vm_state, args) + 16 * i));
    if (from == X64_NONE) { /* constant; an f32 is small, a float here is 0 */
        value.type = WEIR_TYPE_I64;
        weir__gen_store(g, to, value);
    } else if (from < XMM0) {
        x64_rm(a, X64_MOV_STORE | X64_W, from, to);
    } else {
        x64_rm(a, X64_MOVS_STORE | X64_F2, from, to);
    }
}

/* Pops the arguments of a function of `type` and puts them in place, with vmctx in rdi. Whatever
 * the caller still needs afterwards has left the caller-saved registers. */
static void pass_arguments(struct gen *g, const struct weir_wasm_func_type *type, bool is_tail)
{
    struct gen_move moves[GEN_MOVES_MAX];
    unsigned move_count = 0;
    unsigned ints = 0;
    unsigned floats = 0;
    uint32_t first = g->depth - type->param_count;
    if (!is_tail) {
        weir__gen_spill_temps(g, first);
        save_locals(g, first);
    }
    for (uint32_t i = 0; i < type->param_count; i++) {
        struct gen_value value = g->values[first + i];
        bool is_float = gen_is_float(type->params[i]);
        unsigned nth = is_float ? floats++ : ints++;
        if (nth >= (is_float ? WEIR_ABI_FLOAT_ARGS : WEIR_ABI_INT_ARGS)) {
            pass_in_memory(g, i, value);
            continue;
        }
        moves[move_count++] =
            (struct gen_move){(uint8_t)(is_float ? XMM0 + nth : weir__gen_int_args[nth]), value};
    }
    x64_reserve(&g->a, X64_INSN_ROOM);
    moves[move_count++] = (struct gen_move){
        RDI, {.kind = VALUE_LOCAL, .type = WEIR_TYPE_I64, .index = g->local_count + GEN_VMCTX}};
    weir__gen_moves(g, moves, move_count);
    weir__gen_set_depth(g, first);
    x64_reserve(&g->a, X64_INSN_ROOM);
}

/* After the call: locals back, results on the stack. */
static void take_results(struct gen *g, const struct weir_wasm_func_type *type)
{
    weir__gen_site(g, WEIR_SITE_CALL, gen_offset(g));
    reload_locals(g);
    if (type->result_count == 0)
        return;
    unsigned reg = gen_is_float(type->results[0]) ? XMM0 : RAX;
    weir__gen_claim(g, reg);
    weir__gen_push_reg(g, type->results[0], reg);
    for (uint32_t i = 1; i < type->result_count; i++) {
        x64_reserve(&g->a, X64_INSN_ROOM);
        unsigned state = weir__gen_pseudo(g, GEN_STATE);
        x64_rm(&g->a, X64_MOVS | X64_F2, GEN_FLOAT_SCRATCH,
               x64_at(state, (int32_t)(offsetof(struct weir_vm_state, results) + 16 * i)));
        x64_rm(&g->a, X64_MOVS_STORE | X64_F2, GEN_FLOAT_SCRATCH, weir__gen_slot(g, g->depth));
        weir__gen_push_slot(g, type->results[i]);
    }
}

static void call_through(struct gen *g, bool is_tail, struct x64_mem code)
{
    if (!is_tail) {
        x64_rm(&g->a, X64_GROUP5, 2, code);
        return;
    }
    x64_rm(&g->a, X64_MOV | X64_W, RAX, code);
    weir__gen_restore_frame(g);
    x64_rr(&g->a, X64_GROUP5, 4, RAX);
}

static void call_direct(struct gen *g, uint32_t function, bool is_tail)
{
    if (is_tail)
        weir__gen_restore_frame(g);
    x64_u8(&g->a, is_tail ? 0xe9 : 0xe8);
    struct gen_jump *call = weir__gen_append(g, &g->calls, sizeof *call);
    if (call != NULL)
        *call = (struct gen_jump){.at = x64_here(&g->a),
                                  .label = function - g->module->func_import_count};
    x64_u32(&g->a, 0);
}

/* arg: 1 for return_call. */
void weir__gen_emit_call(struct gen *g, uint32_t arg)
{
    uint32_t function = g->insn.index;
    const struct weir_wasm_func_type *type =
        &g->module->types[g->module->funcs[function].type_index];
    pass_arguments(g, type, arg != 0);
    if (function >= g->module->func_import_count) {
        call_direct(g, function, arg != 0);
    } else {
        int32_t import = (int32_t)WEIR_ABI_VMCTX_IMPORT(function);
        x64_rm(&g->a, X64_MOV | X64_W, RAX,
               x64_at(RDI, import + (int32_t)offsetof(struct weir_vm_import, code)));
        x64_rm(&g->a, X64_MOV | X64_W, RDI,
               x64_at(RDI, import + (int32_t)offsetof(struct weir_vm_import, vmctx)));
        if (arg != 0)
            weir__gen_restore_frame(g);
        x64_rr(&g->a, X64_GROUP5, arg != 0 ? 4 : 2, RAX);
    }
    if (arg != 0)
        weir__gen_set_dead(g);
    else
        take_results(g, type);
}

/* rax ← the function record that `index` names in a table, after the three checks. */
static void look_up(struct gen *g, struct gen_value index, uint32_t table, uint32_t type_index)
{
    struct x64_asm *a = &g->a;
    if (weir__gen_reg_of(g, &index) == RAX)
        weir__gen_own(g, &index, RAX);
    weir__gen_claim(g, RAX);
    unsigned at = weir__gen_use(g, &index);
    unsigned vmctx = weir__gen_pseudo(g, GEN_VMCTX);
    x64_rm(a, X64_MOV | X64_W, GEN_SCRATCH, x64_at(vmctx, offsetof(struct weir_vmctx, tables)));
    x64_rm(a, X64_MOV | X64_W, GEN_SCRATCH, x64_at(GEN_SCRATCH, 8 * (int32_t)table));
    x64_rm(a, X64_ALU_RM | X64_CMP << 3 | X64_W, at,
           x64_at(GEN_SCRATCH, offsetof(struct weir_vm_table, size)));
    weir__gen_trap(g, CC_AE, WEIR_TRAP_UNDEFINED_ELEMENT);
    x64_rm(a, X64_MOV | X64_W, GEN_SCRATCH,
           x64_at(GEN_SCRATCH, offsetof(struct weir_vm_table, elements)));
    x64_rm(a, X64_MOV | X64_W, RAX, x64_at_index(GEN_SCRATCH, at, 3, 0));
    x64_rr(a, X64_TEST | X64_W, RAX, RAX);
    weir__gen_trap(g, CC_E, WEIR_TRAP_UNINITIALIZED_ELEMENT);
    vmctx = weir__gen_pseudo(g, GEN_VMCTX);
    x64_rm(a, X64_MOV | X64_W, GEN_SCRATCH, x64_at(vmctx, offsetof(struct weir_vmctx, type_ids)));
    x64_rm(a, X64_MOV, GEN_SCRATCH, x64_at(GEN_SCRATCH, 4 * (int32_t)type_index));
    x64_rm(a, X64_ALU_RM | X64_CMP << 3, GEN_SCRATCH,
           x64_at(RAX, offsetof(struct weir_funcref, type_id)));
    weir__gen_trap(g, CC_NE, WEIR_TRAP_INDIRECT_TYPE);
    weir__gen_release(g, index);
}

/* arg: 1 for return_call_indirect. */
void weir__gen_emit_call_indirect(struct gen *g, uint32_t arg)
{
    const struct weir_wasm_func_type *type = &g->module->types[g->insn.index];
    look_up(g, weir__gen_pop(g), g->insn.index2, g->insn.index);
    pass_arguments(g, type, arg != 0);
    x64_rm(&g->a, X64_MOV | X64_W, RDI, x64_at(RAX, offsetof(struct weir_funcref, vmctx)));
    weir__gen_free(g, RAX);
    call_through(g, arg != 0, x64_at(RAX, offsetof(struct weir_funcref, code)));
    if (arg != 0)
        weir__gen_set_dead(g);
    else
        take_results(g, type);
}

/* A builtin's result. An address in the making: its upper half is cleared here, whatever came. */
void weir__gen_push_rax(struct gen *g, unsigned type)
{
    if (type == WEIR_TYPE_I32)
        x64_rr(&g->a, X64_MOV, RAX, RAX);
    weir__gen_push_reg(g, type, RAX);
}

/* Calls a builtin with one fixed argument and the top `operand_count` entries; rax is the caller's
 * to push or to free. */
void weir__gen_builtin(struct gen *g, enum weir_builtin builtin, const uint64_t *fixed,
                       unsigned operand_count)
{
    struct gen_move moves[GEN_MOVES_MAX];
    uint32_t first = g->depth - operand_count;
    weir__gen_spill_temps(g, first);
    save_locals(g, first);
    moves[0] = (struct gen_move){
        RDI, {.kind = VALUE_LOCAL, .type = WEIR_TYPE_I64, .index = g->local_count + GEN_VMCTX}};
    moves[1] = (struct gen_move){RSI, {.kind = VALUE_CONST, .type = WEIR_TYPE_I64, .bits = *fixed}};
    for (unsigned i = 0; i < operand_count; i++)
        moves[2 + i] = (struct gen_move){weir__gen_int_args[1 + i], g->values[first + i]};
    weir__gen_moves(g, moves, 2 + operand_count);
    weir__gen_set_depth(g, first);
    x64_rm(&g->a, X64_MOV | X64_W, RAX, x64_at(RDI, offsetof(struct weir_vmctx, builtins)));
    x64_rm(&g->a, X64_GROUP5, 2, x64_at(RAX, 8 * (int32_t)builtin));
    weir__gen_site(g, WEIR_SITE_CALL, gen_offset(g));
    reload_locals(g);
    weir__gen_claim(g, RAX);
}
