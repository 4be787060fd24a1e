/* Uses everything that an opened artifact promises, as the runtime would: follows every index,
 * reads every byte of every range. A promise that does not hold is a read out
 * of bounds (ASan) or a failed assertion. For tests and the fuzz driver. */
#ifndef WEIR_TESTS_ARTIFACT_WALK_H
#define WEIR_TESTS_ARTIFACT_WALK_H

#include "artifact/artifact.h"
#include "base/check.h"

struct artifact_walk {
    const struct weir_artifact *artifact;
    uint64_t sum; /* so that no read is optimised away */
};

static inline void walk_bytes(struct artifact_walk *walk, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        walk->sum = walk->sum * 31 + at[i];
}

static inline void walk_string(struct artifact_walk *walk, struct weir_artifact_string string)
{
    walk_bytes(walk, walk->artifact->strings + string.start, string.size);
}

/* Evaluates with a stack of the promised depth. */
static inline void walk_expr(struct artifact_walk *walk, const struct weir_artifact_expr *expr)
{
    const struct weir_artifact *artifact = walk->artifact;
    uint64_t stack[WEIR_ARTIFACT_INIT_STACK];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < expr->count; i++) {
        const struct weir_artifact_init *step = &artifact->inits[expr->first + i];
        if (step->op >= WEIR_INIT_I32_ADD) {
            WEIR_ASSERT(depth >= 2);
            depth--;
            stack[depth - 1] += stack[depth];
            continue;
        }
        WEIR_ASSERT(depth < WEIR_ARTIFACT_INIT_STACK);
        uint64_t value = step->bits;
        if (step->op == WEIR_INIT_GLOBAL_GET)
            value = artifact->globals[step->index].type;
        else if (step->op == WEIR_INIT_REF_FUNC)
            value = artifact->funcs[step->index].escape_index;
        stack[depth++] = value;
    }
    WEIR_ASSERT(depth == 1);
    walk->sum += stack[0];
}

static inline void walk_externs(struct artifact_walk *walk)
{
    const struct weir_artifact *artifact = walk->artifact;
    const struct weir_artifact_head *head = artifact->head;
    for (uint32_t i = 0; i < head->imports.count; i++) {
        walk_string(walk, artifact->imports[i].module);
        walk_string(walk, artifact->imports[i].name);
        if (artifact->imports[i].kind == WEIR_EXTERN_FUNC)
            walk->sum += artifact->types[artifact->imports[i].type].param_count;
    }
    for (uint32_t i = 0; i < head->exports.count; i++) {
        uint32_t index = artifact->exports[i].index;
        walk_string(walk, artifact->exports[i].name);
        switch (artifact->exports[i].kind) {
        case WEIR_EXTERN_FUNC:
            WEIR_ASSERT(artifact->funcs[index].escape_index < head->escape_count);
            break;
        case WEIR_EXTERN_TABLE:
            walk->sum += artifact->tables[index].min;
            break;
        case WEIR_EXTERN_MEMORY:
            walk->sum += artifact->memories[index].min;
            break;
        default:
            walk->sum += artifact->globals[index].type;
        }
    }
}

static inline void walk_funcs(struct artifact_walk *walk)
{
    const struct weir_artifact *artifact = walk->artifact;
    const struct weir_artifact_head *head = artifact->head;
    for (uint32_t i = 0; i < head->funcs.count; i++) {
        const struct weir_artifact_func *func = &artifact->funcs[i];
        const struct weir_artifact_type *type = &artifact->types[func->type_index];
        walk_bytes(walk, artifact->value_types + type->params, 4 * (size_t)type->param_count);
        walk_bytes(walk, artifact->value_types + type->results, 4 * (size_t)type->result_count);
        if (artifact->func_names != NULL)
            walk_string(walk, artifact->func_names[i]);
        if (i >= head->func_import_count)
            walk_bytes(walk, artifact->text + func->text_offset, func->text_size);
        walk_bytes(walk, artifact->trap_sites + func->first_site,
                   func->site_count * sizeof *artifact->trap_sites);
    }
}

static inline void walk_segments(struct artifact_walk *walk)
{
    const struct weir_artifact *artifact = walk->artifact;
    const struct weir_artifact_head *head = artifact->head;
    for (uint32_t i = head->global_import_count; i < head->globals.count; i++)
        walk_expr(walk, &artifact->globals[i].init);
    for (uint32_t i = 0; i < head->elems.count; i++) {
        const struct weir_artifact_elem *elem = &artifact->elems[i];
        for (uint32_t k = 0; k < elem->count; k++) {
            const struct weir_artifact_elem_item *item = &artifact->elem_items[elem->first + k];
            if (item->op == WEIR_INIT_REF_FUNC)
                WEIR_ASSERT(artifact->funcs[item->index].escape_index < head->escape_count);
            else if (item->op == WEIR_INIT_GLOBAL_GET)
                walk->sum += artifact->globals[item->index].type;
        }
        if (elem->mode != WEIR_SEGMENT_ACTIVE)
            continue;
        walk->sum += artifact->tables[elem->table_index].min;
        walk_expr(walk, &elem->offset);
    }
    for (uint32_t i = 0; i < head->datas.count; i++) {
        const struct weir_artifact_data *data = &artifact->datas[i];
        walk_bytes(walk, artifact->data + data->bytes, data->size);
        if (data->mode != WEIR_SEGMENT_ACTIVE)
            continue;
        walk->sum += artifact->memories[data->memory_index].min;
        walk_expr(walk, &data->offset);
    }
}

/* `file` is the whole file, for the image. */
static inline uint64_t walk_artifact(const struct weir_artifact *artifact, const uint8_t *file)
{
    struct artifact_walk walk = {artifact, 0};
    const struct weir_artifact_head *head = artifact->head;
    walk_externs(&walk);
    walk_funcs(&walk);
    walk_segments(&walk);
    walk_bytes(&walk, artifact->rodata, head->rodata.count);
    walk_bytes(&walk, artifact->text, head->text.count);
    walk_bytes(&walk, file + head->image.offset, head->image.count);
    if (head->start_func != WEIR_ARTIFACT_NONE)
        walk.sum += artifact->funcs[head->start_func].type_index;
    return walk.sum;
}

#endif
