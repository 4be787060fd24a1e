/* The locals of a function, before anything is known about them.
 *
 * A body of ten bytes may declare 50,000 locals, and a module have a million of them. Where a body
 * declares more locals than it has bytes, only those that it mentions are given a number, in order
 * of mention, and its instructions are read with these numbers: the work stays linear in the
 * module.
 */
#include "compiler/fast/fast_internal.h"

#include <stdlib.h>

static bool is_local(const struct weir_insn *insn)
{
    return (weir__gen_ops[insn->op].needs & GEN_NEEDS_LOCAL) != 0;
}

void weir__gen_number_local(const struct gen *g, struct weir_insn *insn)
{
    if (g->is_numbered && is_local(insn) && insn->index >= g->type->param_count)
        insn->index = g->numbers[insn->index].number;
}

/* One past the last local of each group, so that a local's type is found by a search. */
static bool add_group_ends(struct gen *g)
{
    uint32_t end = g->type->param_count;
    g->group_ends.count = 0;
    for (uint32_t i = 0; i < g->func->local_group_count; i++) {
        uint32_t *group_end = weir__gen_append(g, &g->group_ends, sizeof *group_end);
        if (group_end == NULL)
            return false;
        *group_end = end += g->func->local_groups[i].count;
    }
    return true;
}

static weir_wasm_type declared_type(const struct gen *g, uint32_t index)
{
    const uint32_t *ends = g->group_ends.items;
    size_t low = 0;
    size_t high = g->group_ends.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ends[middle] > index)
            high = middle;
        else
            low = middle + 1;
    }
    return g->func->local_groups[low].type;
}

static bool has_room(struct gen *g, uint32_t count)
{
    if (count <= g->local_capacity)
        return true;
    uint32_t capacity = count + count / 2 + 64;
    void *grown = realloc(g->locals, capacity * sizeof *g->locals);
    if (grown == NULL) {
        weir__gen_fail(g, WEIR_NO_MEMORY);
        return false;
    }
    g->locals = grown;
    g->local_capacity = capacity;
    return true;
}

static bool add_local(struct gen *g, weir_wasm_type type)
{
    if (!has_room(g, g->local_count + 1 + GEN_PSEUDO_COUNT))
        return false;
    g->locals[g->local_count++].type = (uint8_t)type;
    return true;
}

/* The table is as long as a function may have locals; a number is good in its function only. */
static bool begin_numbers(struct gen *g)
{
    size_t count = (size_t)g->module->limits.locals_max;
    if (g->numbers == NULL)
        g->numbers = calloc(count, sizeof *g->numbers);
    if (g->numbers == NULL)
        weir__gen_fail(g, WEIR_NO_MEMORY);
    return g->numbers != NULL && add_group_ends(g);
}

static bool number_mentioned(struct gen *g)
{
    uint32_t function = (uint32_t)(g->func - g->module->funcs) + 1;
    struct weir_insn_reader reader = g->reader;
    struct weir_insn insn;
    if (!begin_numbers(g))
        return false;
    while (reader.position < reader.end) {
        enum weir_status status = weir_insn_read(&reader, &insn, g->error);
        if (status != WEIR_OK) {
            weir__gen_fail(g, status);
            return false;
        }
        if (!is_local(&insn) || insn.index < g->type->param_count ||
            g->numbers[insn.index].function == function)
            continue;
        g->numbers[insn.index] = (struct gen_number){function, g->local_count};
        if (!add_local(g, declared_type(g, insn.index)))
            return false;
    }
    return true;
}

static bool add_declared(struct gen *g)
{
    if (!has_room(g, g->func->local_count + GEN_PSEUDO_COUNT))
        return false;
    for (uint32_t i = 0; i < g->func->local_group_count; i++) {
        const struct weir_wasm_local_group *group = &g->func->local_groups[i];
        for (uint32_t k = 0; k < group->count; k++)
            g->locals[g->local_count++].type = (uint8_t)group->type;
    }
    return true;
}

bool weir__gen_list_locals(struct gen *g)
{
    g->local_count = 0;
    g->is_numbered = g->func->local_count > g->func->body_size;
    if (!has_room(g, g->type->param_count + GEN_PSEUDO_COUNT))
        return false;
    for (uint32_t i = 0; i < g->type->param_count; i++)
        g->locals[g->local_count++].type = (uint8_t)g->type->params[i];
    return g->is_numbered ? number_mentioned(g) : add_declared(g);
}
