/* Tables and references. An element is 8 bytes: a function record or an external reference. */
#include "compiler/fast/fast_internal.h"

static unsigned index_type(const struct gen *g, uint32_t table)
{
    return g->module->tables[table].limits.is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
}

/* reg ← address of the table's record. */
static void load_table(struct gen *g, uint32_t table, unsigned reg)
{
    weir__gen_load_pseudo(g, GEN_VMCTX, reg);
    x64_rm(&g->a, X64_MOV | X64_W, reg, x64_at(reg, offsetof(struct weir_vmctx, tables)));
    x64_rm(&g->a, X64_MOV | X64_W, reg, x64_at(reg, 8 * (int32_t)table));
}

/* r11 ← the table's record, checked that `index` is inside. */
static void check_index(struct gen *g, uint32_t table, unsigned index)
{
    load_table(g, table, GEN_SCRATCH);
    x64_rm(&g->a, X64_ALU_RM | X64_CMP << 3 | X64_W, index,
           x64_at(GEN_SCRATCH, offsetof(struct weir_vm_table, size)));
    weir__gen_trap(g, CC_AE, WEIR_TRAP_TABLE_BOUNDS);
}

void weir__gen_emit_table_get(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint32_t table = g->insn.index;
    unsigned type = g->module->tables[table].element;
    struct gen_value value = weir__gen_pop(g);
    unsigned index = weir__gen_use(g, &value);
    check_index(g, table, index);
    weir__gen_release(g, value);
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    x64_rm(&g->a, X64_MOV | X64_W, GEN_SCRATCH,
           x64_at(GEN_SCRATCH, offsetof(struct weir_vm_table, elements)));
    x64_rm(&g->a, X64_MOV | X64_W, dest, x64_at_index(GEN_SCRATCH, index, 3, 0));
    weir__gen_push_reg(g, type, dest);
}

void weir__gen_emit_table_set(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint32_t table = g->insn.index;
    struct gen_value element = weir__gen_pop(g);
    struct gen_value value = weir__gen_pop(g);
    unsigned from = weir__gen_use(g, &element);
    unsigned index = weir__gen_use(g, &value);
    check_index(g, table, index);
    x64_rm(&g->a, X64_MOV_IMM32, 0, x64_at(GEN_SCRATCH, offsetof(struct weir_vm_table, is_dirty)));
    x64_u32(&g->a, 1);
    x64_rm(&g->a, X64_MOV | X64_W, GEN_SCRATCH,
           x64_at(GEN_SCRATCH, offsetof(struct weir_vm_table, elements)));
    x64_rm(&g->a, X64_MOV_STORE | X64_W, from, x64_at_index(GEN_SCRATCH, index, 3, 0));
    weir__gen_release(g, value);
    weir__gen_release(g, element);
}

void weir__gen_emit_table_size(struct gen *g, uint32_t arg)
{
    (void)arg;
    unsigned type = index_type(g, g->insn.index);
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    load_table(g, g->insn.index, GEN_SCRATCH);
    x64_rm(&g->a, X64_MOV | gen_wide(type), dest,
           x64_at(GEN_SCRATCH, offsetof(struct weir_vm_table, size)));
    weir__gen_push_reg(g, type, dest);
}

void weir__gen_emit_table_grow(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint64_t fixed[1] = {g->insn.index};
    weir__gen_builtin(g, WEIR_BUILTIN_TABLE_GROW, fixed, 2);
    weir__gen_push_rax(g, index_type(g, g->insn.index));
}

void weir__gen_emit_table_fill(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint64_t fixed[1] = {g->insn.index};
    weir__gen_builtin(g, WEIR_BUILTIN_TABLE_FILL, fixed, 3);
    weir__gen_free(g, RAX);
}

/* The address of the function's record. */
void weir__gen_emit_ref_func(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint32_t escape = g->escape_index[g->insn.index];
    WEIR_ASSERT(escape != WEIR_WASM_NONE);
    unsigned dest = weir__gen_dest(g, WEIR_TYPE_FUNCREF, X64_NONE);
    unsigned vmctx = weir__gen_pseudo(g, GEN_VMCTX);
    x64_rm(&g->a, X64_MOV | X64_W, dest, x64_at(vmctx, offsetof(struct weir_vmctx, funcrefs)));
    x64_rm(&g->a, X64_LEA | X64_W, dest,
           x64_at(dest, (int32_t)(escape * sizeof(struct weir_funcref))));
    weir__gen_push_reg(g, WEIR_TYPE_FUNCREF, dest);
}
