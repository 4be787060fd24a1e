/* One function: scan, prologue, one pass over the instructions, cold code, jumps filled in. */
#include "compiler/fast/fast_internal.h"

/* Reads the instruction after the next into g->next and makes the next one current. */
void weir__gen_advance(struct gen *g)
{
    g->insn = g->next;
    g->position++;
    if (g->reader.position >= g->reader.end) {
        g->next.op = WEIR_OP_END;
        return;
    }
    enum weir_status status = weir_insn_read(&g->reader, &g->next, g->error);
    if (status != WEIR_OK) {
        weir__gen_fail(g, status);
        g->next.op = WEIR_OP_END;
    }
    weir__gen_number_local(g, &g->next);
}

/* In dead code only what ends it matters. True when g->insn is to be emitted after all. */
static bool ends_dead_code(struct gen *g)
{
    switch (g->insn.op) {
    case WEIR_OP_BLOCK:
    case WEIR_OP_LOOP:
    case WEIR_OP_IF:
        g->dead_depth++;
        return false;
    case WEIR_OP_ELSE:
    case WEIR_OP_END:
        if (g->dead_depth == 0) {
            weir__gen_charge_dead(g);
            return true;
        }
        g->dead_depth -= g->insn.op == WEIR_OP_END;
        return false;
    default:
        return false;
    }
}

static void emit_insn(struct gen *g)
{
    const struct gen_op *op = &weir__gen_ops[g->insn.op];
    if (op->emit == NULL) {
        weir__gen_unsupported(g, weir_op_infos[g->insn.op].name);
        return;
    }
    if (g->costs != NULL && !g->is_dead)
        weir__gen_charge_insn(g);
    op->emit(g, op->arg);
    if (g->has_live_flags && (g->depth == 0 || g->values[g->depth - 1].kind != VALUE_FLAGS))
        g->has_live_flags = false;
}

static void emit_body(struct gen *g)
{
    weir__gen_advance(g); /* fills next */
    do {
        weir__gen_advance(g);
        if (g->is_dead && !ends_dead_code(g))
            continue;
        x64_reserve(&g->a, X64_INSN_ROOM);
        emit_insn(g);
    } while (g->control_count > 0 && g->status == WEIR_OK);
}

static void begin(struct gen *g, uint32_t index)
{
    g->func = &g->module->funcs[g->module->func_import_count + index];
    g->type = &g->module->types[g->func->type_index];
    g->reader = (struct weir_insn_reader){
        .module = g->module,
        .position = g->func->code_offset,
        .end = g->func->body_offset + g->func->body_size,
    };
    g->insn = (struct weir_insn){.op = WEIR_OP_NOP, .offset = g->func->code_offset};
    g->next = g->insn;
    g->position = UINT32_MAX; /* 0 once `next` is filled */
    g->is_dead = false;
    g->has_live_flags = false;
    g->has_trap = false;
    g->mem_regs = 0;
    weir__gen_forget_checks(g, GEN_NONE);
    g->depth = 0;
    g->slot_count = 0;
    g->flushed = 0;
    g->control_count = 0;
}

/* `index` counts defined functions only. */
void weir__gen_function(struct gen *g, uint32_t index)
{
    struct weir_code_func *out = &g->funcs[index];
    begin(g, index);
    x64_reserve(&g->a, X64_INSN_ROOM);
    weir__x64_align(&g->a, 16);
    out->text_offset = x64_here(&g->a);
    out->first_site = (uint32_t)g->sites.count;
    weir__gen_scan(g);
    if (g->status != WEIR_OK)
        return;
    weir__gen_assign(g);
    weir__gen_prologue(g);
    if (g->costs != NULL)
        weir__gen_charge_entry(g, g->func->local_count - g->type->param_count);
    weir__gen_push_control(g, CONTROL_FUNC, 0);
    emit_body(g);
    if (g->status != WEIR_OK)
        return;
    if (g->costs != NULL)
        weir__gen_charge_end(g);
    weir__gen_finish_frame(g);
    weir__gen_colds(g);
    weir__gen_resolve(g);
    out->text_size = x64_here(&g->a) - out->text_offset;
    out->site_count = (uint32_t)g->sites.count - out->first_site;
}
