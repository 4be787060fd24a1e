/* Loads and stores, in guard form and in explicit form (docs/ABI.md, "Memory access"). */
#include "compiler/fast/fast_internal.h"

/* One access being put together. What it holds is released after the instruction. */
struct access {
    struct x64_mem mem;
    struct gen_value index;
    uint8_t temp; /* X64_NONE or a temporary */
};

static void done(struct gen *g, const struct access *access)
{
    weir__gen_release(g, access->index);
    if (access->temp != X64_NONE)
        weir__gen_free(g, access->temp);
}

static struct x64_mem memory_size(unsigned memory)
{
    return x64_at(memory, offsetof(struct weir_vm_memory, size_bytes));
}

/* A register with the address of memory `index`'s record; access->temp when it has none yet. */
static unsigned memory_record(struct gen *g, struct access *access, uint32_t index)
{
    const struct gen_local *pinned = &g->locals[g->local_count + GEN_MEMORY];
    if (index == 0 && pinned->reg != X64_NONE)
        return pinned->reg;
    unsigned temp = weir__gen_alloc(g, GEN_INT_REGS);
    access->temp = (uint8_t)temp;
    if (index == 0) {
        weir__gen_load_pseudo(g, GEN_MEMORY, temp);
        return temp;
    }
    weir__gen_load_pseudo(g, GEN_VMCTX, temp);
    x64_rm(&g->a, X64_MOV | X64_W, temp, x64_at(temp, offsetof(struct weir_vmctx, memories)));
    x64_rm(&g->a, X64_MOV | X64_W, temp, x64_at(temp, 8 * (int32_t)index));
    return temp;
}

/* The base of a memory whose record is in `record`. */
static unsigned base_of(struct gen *g, struct access *access, uint32_t index, unsigned record)
{
    const struct gen_local *pinned = &g->locals[g->local_count + GEN_BASE];
    if (index == 0 && pinned->reg != X64_NONE)
        return pinned->reg;
    if (access->temp == X64_NONE)
        access->temp = (uint8_t)weir__gen_alloc(g, GEN_INT_REGS);
    x64_rm(&g->a, X64_MOV | X64_W, access->temp,
           x64_at(record, offsetof(struct weir_vm_memory, base)));
    return access->temp;
}

/* r11 ← index + end, trapping when that wraps around. */
static void add_end(struct gen *g, unsigned index, uint64_t end, bool is_64)
{
    struct x64_asm *a = &g->a;
    if (!is_64 && end <= INT32_MAX) {
        x64_rm(a, X64_LEA | X64_W, GEN_SCRATCH, x64_at(index, (int32_t)end));
        return;
    }
    x64_mov_ri(a, GEN_SCRATCH, end);
    x64_rr(a, X64_ALU_RM | X64_ADD << 3 | X64_W, GEN_SCRATCH, index);
    if (is_64)
        weir__gen_trap(g, CC_B, WEIR_TRAP_MEMORY_BOUNDS);
}

void weir__gen_forget_checks(struct gen *g, uint32_t local)
{
    for (unsigned i = 0; i < GEN_CHECKED_MAX; i++) {
        if (local == GEN_NONE || g->checked[i].local == local)
            g->checked[i].local = GEN_NONE;
    }
}

/* True when the local, unchanged since, passed a check up to `end`: memories never shrink. If not,
 * it is about to. */
static bool is_checked(struct gen *g, uint32_t local, uint32_t end)
{
    for (unsigned i = 0; i < GEN_CHECKED_MAX; i++) {
        if (g->checked[i].local != local)
            continue;
        if (g->checked[i].end >= end)
            return true;
        g->checked[i].end = end;
        return false;
    }
    g->checked[g->checked_next].local = local;
    g->checked[g->checked_next].end = end;
    g->checked_next = (g->checked_next + 1) % GEN_CHECKED_MAX;
    return false;
}

static void explicit_address(struct gen *g, struct access *access, uint32_t width)
{
    uint32_t memory = g->insn.memory;
    uint64_t offset = g->insn.mem_offset;
    bool is_64 = g->module->memories[memory].is_64;
    uint64_t end;
    if (!weir_add_u64(offset, width, &end)) {
        weir__gen_trap_always(g, WEIR_TRAP_MEMORY_BOUNDS); /* the offset alone is beyond any */
        end = width;
        offset = 0;
    }
    uint64_t whole = access->index.bits + end;
    bool is_const = access->index.kind == VALUE_CONST && access->index.bits <= UINT32_MAX &&
                    end <= INT32_MAX && whole <= INT32_MAX;
    bool is_known = memory == 0 && !is_64 && end <= INT32_MAX &&
                    access->index.kind == VALUE_LOCAL && access->index.type == WEIR_TYPE_I32 &&
                    is_checked(g, access->index.index, (uint32_t)end);
    unsigned index = is_const ? 0 : weir__gen_use(g, &access->index);
    if (is_known && g->locals[g->local_count + GEN_BASE].reg != X64_NONE) {
        unsigned base = g->locals[g->local_count + GEN_BASE].reg;
        access->mem = x64_at_index(base, index, 0, (int32_t)offset);
        return;
    }
    unsigned record = memory_record(g, access, memory);
    if (is_const) {
        x64_alu_mi(&g->a, X64_CMP, X64_W, memory_size(record), (int32_t)whole);
        weir__gen_trap(g, CC_B, WEIR_TRAP_MEMORY_BOUNDS);
        access->mem = x64_at(base_of(g, access, memory, record), (int32_t)(whole - width));
        return;
    }
    add_end(g, index, end, is_64);
    x64_rm(&g->a, X64_ALU_RM | X64_CMP << 3 | X64_W, GEN_SCRATCH, memory_size(record));
    weir__gen_trap(g, CC_A, WEIR_TRAP_MEMORY_BOUNDS);
    unsigned base = base_of(g, access, memory, record);
    if (offset <= INT32_MAX)
        access->mem = x64_at_index(base, index, 0, (int32_t)offset);
    else
        access->mem = x64_at_index(base, GEN_SCRATCH, 0, -(int32_t)width);
}

static void guard_address(struct gen *g, struct access *access)
{
    int32_t offset = (int32_t)g->insn.mem_offset;
    uint64_t whole = access->index.bits + (uint64_t)offset;
    bool is_const = access->index.kind == VALUE_CONST && whole <= INT32_MAX;
    unsigned index = is_const ? 0 : weir__gen_use(g, &access->index);
    unsigned base = weir__gen_pseudo(g, GEN_BASE);
    access->mem = is_const ? x64_at(base, (int32_t)whole) : x64_at_index(base, index, 0, offset);
}

/* True when the guard pages do the check. */
bool weir__gen_is_guarded(const struct gen *g, const struct weir_insn *insn)
{
    return insn->memory == 0 && !g->is_explicit && !g->module->memories[0].is_64 &&
           insn->mem_offset <= WEIR_ABI_GUARD_BYTES - 16u;
}

/* The operand of the current load or store. The scratch register may be part of it. */
static struct access address(struct gen *g, struct gen_value index, uint32_t width)
{
    struct access access = {.index = index, .temp = X64_NONE};
    if (weir__gen_is_guarded(g, &g->insn))
        guard_address(g, &access);
    else
        explicit_address(g, &access, width);
    return access;
}

/* True when the next instruction takes its last operand from memory (a comparison with a constant:
 * the one after that). */
static bool takes_memory(const struct gen *g)
{
    gen_emitter *next = weir__gen_ops[g->next.op].emit;
    return next == weir__gen_emit_alu || next == weir__gen_emit_mul ||
           next == weir__gen_emit_compare || next == weir__gen_emit_eqz ||
           next == weir__gen_emit_br_if || next == weir__gen_emit_if ||
           next == weir__gen_emit_float_binary || next == weir__gen_emit_float_compare ||
           g->next.op == WEIR_OP_I32_CONST || g->next.op == WEIR_OP_I64_CONST;
}

/* Leaves the load to the instruction that uses it, if that one can. Not under BEFORE_ACCOUNTING,
 * where a charge may come between. */
static bool leave_pending(struct gen *g, uint32_t arg, const struct access *access)
{
    const struct x64_mem *mem = &access->mem;
    uint32_t op = arg & 0xffff;
    bool is_plain = op == X64_MOV || op == (X64_MOV | X64_W) || (op & 0xfff & ~X64_F2) == X64_MOVS;
    if (!is_plain || arg >> 16 == (op == X64_MOV ? WEIR_TYPE_I64 : 0) || !takes_memory(g) ||
        mem->base == GEN_SCRATCH || mem->index == GEN_SCRATCH ||
        (g->costs != NULL && g->costs->points != WEIR_FUEL_AT_BLOCK_ENTRY))
        return false;
    if (access->temp != X64_NONE && access->temp != mem->base)
        weir__gen_free(g, access->temp);
    g->mem_regs = X64_BIT(mem->base) | (mem->index != X64_NONE ? X64_BIT(mem->index) : 0);
    g->mem_offset = gen_offset(g);
    weir__gen_push(
        g, (struct gen_value){.kind = VALUE_MEM, .type = (uint8_t)(arg >> 16), .mem = *mem});
    return true;
}

/* arg: opcode | type of the result << 16. */
void weir__gen_emit_load(struct gen *g, uint32_t arg)
{
    unsigned type = arg >> 16;
    struct access access = address(g, weir__gen_pop(g), weir_op_infos[g->insn.op].width);
    if (leave_pending(g, arg, &access))
        return;
    done(g, &access); /* the result may take the index's register */
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    weir__gen_access_site(g, gen_offset(g));
    x64_rm(&g->a, arg & 0xffff, dest, access.mem);
    weir__gen_push_reg(g, type, dest);
}

static void store_imm(struct gen *g, const struct access *access, uint32_t width, uint64_t bits)
{
    static const uint32_t opcodes[9] = {
        [1] = X64_MOV_IMM8, [2] = X64_MOV_IMM16, [4] = X64_MOV_IMM32, [8] = X64_MOV_IMM32 | X64_W};
    weir__gen_access_site(g, gen_offset(g));
    x64_rm(&g->a, opcodes[width], 0, access->mem);
    x64_u8(&g->a, (unsigned)bits & 0xff);
    if (width > 1)
        x64_u8(&g->a, (unsigned)(bits >> 8) & 0xff);
    if (width > 2) {
        x64_u8(&g->a, (unsigned)(bits >> 16) & 0xff);
        x64_u8(&g->a, (unsigned)(bits >> 24) & 0xff);
    }
}

/* arg: opcode of the store from a register. */
void weir__gen_emit_store(struct gen *g, uint32_t arg)
{
    uint32_t width = weir_op_infos[g->insn.op].width;
    struct gen_value value = weir__gen_pop(g);
    struct gen_value index = weir__gen_pop(g);
    bool is_imm = value.kind == VALUE_CONST && (width < 8 || x64_is_i32((int64_t)value.bits));
    unsigned reg = is_imm ? 0 : weir__gen_use(g, &value);
    struct access access = address(g, index, width);
    if (is_imm) {
        store_imm(g, &access, width, value.bits);
    } else {
        weir__gen_access_site(g, gen_offset(g));
        x64_rm(&g->a, arg, reg, access.mem);
    }
    done(g, &access);
    weir__gen_release(g, value);
}

void weir__gen_emit_memory_size(struct gen *g, uint32_t arg)
{
    (void)arg;
    struct access access = {.temp = X64_NONE};
    uint32_t index = g->insn.index;
    unsigned type = g->module->memories[index].is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
    unsigned record = memory_record(g, &access, index);
    if (access.temp != X64_NONE)
        weir__gen_free(g, access.temp);
    unsigned dest = weir__gen_dest(g, type, X64_NONE);
    x64_rm(&g->a, X64_MOV | X64_W, dest, memory_size(record));
    x64_rr(&g->a, X64_SHIFT_IMM | X64_W, X64_SHR, dest);
    x64_u8(&g->a, 16);
    weir__gen_push_reg(g, type, dest);
}

void weir__gen_emit_memory_grow(struct gen *g, uint32_t arg)
{
    (void)arg;
    bool is_64 = g->module->memories[g->insn.index].is_64;
    uint64_t fixed[1] = {g->insn.index};
    weir__gen_builtin(g, WEIR_BUILTIN_MEMORY_GROW, fixed, 1);
    weir__gen_push_rax(g, is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32);
}

void weir__gen_emit_memory_fill(struct gen *g, uint32_t arg)
{
    (void)arg;
    uint64_t fixed[1] = {g->insn.index};
    weir__gen_builtin(g, WEIR_BUILTIN_MEMORY_FILL, fixed, 3);
    weir__gen_free(g, RAX);
}

/* memory.copy, memory.init, table.copy, table.init, whose immediates stand in the builtin's order.
 * arg: the builtin. */
void weir__gen_emit_bulk(struct gen *g, uint32_t arg)
{
    uint64_t fixed[1] = {(uint64_t)g->insn.index | (uint64_t)g->insn.index2 << 32};
    weir__gen_builtin(g, (enum weir_builtin)arg, fixed, 3);
    weir__gen_free(g, RAX);
}

/* data.drop and elem.drop; arg: the builtin. */
void weir__gen_emit_segment_drop(struct gen *g, uint32_t arg)
{
    uint64_t fixed[1] = {g->insn.index};
    weir__gen_builtin(g, (enum weir_builtin)arg, fixed, 0);
    weir__gen_free(g, RAX);
}
