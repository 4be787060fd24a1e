/* Globals, element and data segments. Constant expressions become steps for the evaluator of the
 * run time; what can be computed here is, so almost every one is a single constant. */
#include <string.h>

#include "base/check.h"
#include "compiler/compiler_internal.h"
#include "wasm/insn.h"

struct step_pool {
    struct weir_compilation *compilation;
    struct weir_artifact_init *steps;
    size_t used;
    size_t room;
};

/* --- expressions --- */

static enum weir_status count_steps(const struct weir_compilation *compilation,
                                    const struct weir_wasm_expr *expr, size_t *count,
                                    struct weir_error *error)
{
    struct weir_insn_reader reader = {compilation->module, expr->offset, expr->offset + expr->size};
    while (reader.position < reader.end) {
        struct weir_insn insn;
        enum weir_status status = weir_insn_read(&reader, &insn, error);
        if (status != WEIR_OK)
            return status;
        (*count)++;
    }
    return WEIR_OK;
}

/* An upper bound of the steps of all expressions that go to the table. */
static enum weir_status count_all_steps(const struct weir_compilation *compilation, size_t *count,
                                        struct weir_error *error)
{
    const struct weir_wasm_module *module = compilation->module;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < module->global_count && status == WEIR_OK; i++)
        status = count_steps(compilation, &module->globals[i].init, count, error);
    for (uint32_t i = 0; i < module->elem_count && status == WEIR_OK; i++)
        if (module->elems[i].mode == WEIR_SEGMENT_ACTIVE)
            status = count_steps(compilation, &module->elems[i].offset, count, error);
    for (uint32_t i = 0; i < module->data_count && status == WEIR_OK; i++)
        if (module->datas[i].mode == WEIR_SEGMENT_ACTIVE)
            status = count_steps(compilation, &module->datas[i].offset, count, error);
    return status;
}

static uint64_t compute(uint32_t op, uint64_t a, uint64_t b)
{
    switch (op) {
    case WEIR_INIT_I32_ADD:
        return (uint32_t)(a + b);
    case WEIR_INIT_I32_SUB:
        return (uint32_t)(a - b);
    case WEIR_INIT_I32_MUL:
        return (uint32_t)(a * b);
    case WEIR_INIT_I64_ADD:
        return a + b;
    case WEIR_INIT_I64_SUB:
        return a - b;
    default:
        WEIR_ASSERT(op == WEIR_INIT_I64_MUL);
        return a * b;
    }
}

static bool to_step(const struct weir_insn *insn, struct weir_artifact_init *step)
{
    switch (insn->op) {
    case WEIR_OP_I32_CONST:
    case WEIR_OP_F32_CONST:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_CONST, .bits = (uint32_t)insn->bits};
        return true;
    case WEIR_OP_I64_CONST:
    case WEIR_OP_F64_CONST:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_CONST, .bits = insn->bits};
        return true;
    case WEIR_OP_V128_CONST:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_CONST};
        memcpy(&step->bits, insn->v128, 8);
        memcpy(&step->bits_high, insn->v128 + 8, 8);
        return true;
    case WEIR_OP_GLOBAL_GET:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_GLOBAL_GET, .index = insn->index};
        return true;
    case WEIR_OP_REF_FUNC:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_REF_FUNC, .index = insn->index};
        return true;
    case WEIR_OP_REF_NULL:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_REF_NULL};
        return true;
    case WEIR_OP_I32_ADD:
    case WEIR_OP_I32_SUB:
    case WEIR_OP_I32_MUL:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_I32_ADD +
                                                  (uint32_t)(insn->op - WEIR_OP_I32_ADD)};
        return true;
    case WEIR_OP_I64_ADD:
    case WEIR_OP_I64_SUB:
    case WEIR_OP_I64_MUL:
        *step = (struct weir_artifact_init){.op = WEIR_INIT_I64_ADD +
                                                  (uint32_t)(insn->op - WEIR_OP_I64_ADD)};
        return true;
    default:
        return false;
    }
}

static_assert(WEIR_OP_I32_SUB == WEIR_OP_I32_ADD + 1 && WEIR_OP_I32_MUL == WEIR_OP_I32_ADD + 2 &&
                  WEIR_OP_I64_SUB == WEIR_OP_I64_ADD + 1 && WEIR_OP_I64_MUL == WEIR_OP_I64_ADD + 2,
              "add, sub and mul follow each other, as their steps do");

/* Adds a step, or computes it when its two operands are the constants just before it. */
static void add_step(struct step_pool *pool, struct weir_artifact_expr *expr,
                     const struct weir_artifact_init *step)
{
    struct weir_artifact_init *top = pool->steps + pool->used;
    if (step->op >= WEIR_INIT_I32_ADD && expr->count >= 2 && top[-1].op == WEIR_INIT_CONST &&
        top[-2].op == WEIR_INIT_CONST) {
        top[-2].bits = compute(step->op, top[-2].bits, top[-1].bits);
        pool->used--;
        expr->count--;
        return;
    }
    WEIR_ASSERT(pool->used < pool->room);
    *top = *step;
    pool->used++;
    expr->count++;
}

static enum weir_status lower_expr(struct step_pool *pool, const struct weir_wasm_expr *source,
                                   struct weir_artifact_expr *ret_expr, struct weir_error *error)
{
    struct weir_insn_reader reader = {pool->compilation->module, source->offset,
                                      source->offset + source->size};
    struct weir_artifact_expr expr = {(uint32_t)pool->used, 0};
    while (reader.position < reader.end) {
        struct weir_insn insn;
        struct weir_artifact_init step;
        enum weir_status status = weir_insn_read(&reader, &insn, error);
        if (status != WEIR_OK)
            return status;
        if (!to_step(&insn, &step))
            return weir_error_set(error, WEIR_UNSUPPORTED, insn.offset,
                                  "%s in a constant expression", weir_op_infos[insn.op].name);
        add_step(pool, &expr, &step);
    }
    uint32_t depth = 0;
    for (uint32_t i = 0; i < expr.count; i++) {
        depth += pool->steps[expr.first + i].op >= WEIR_INIT_I32_ADD ? UINT32_MAX : 1;
        if (depth > WEIR_ARTIFACT_INIT_STACK)
            return weir_error_set(error, WEIR_TOO_LARGE, source->offset,
                                  "a constant expression needs a stack of more than %u values",
                                  WEIR_ARTIFACT_INIT_STACK);
    }
    *ret_expr = expr;
    return WEIR_OK;
}

bool weir__compile_constant(const struct weir_artifact_content *content,
                            const struct weir_artifact_expr *expr, uint64_t *ret_bits)
{
    const struct weir_artifact_init *steps = content->inits.entries;
    if (expr->count != 1 || steps[expr->first].op != WEIR_INIT_CONST)
        return false;
    *ret_bits = steps[expr->first].bits;
    return true;
}

/* --- globals --- */

static enum weir_status fill_globals(struct step_pool *pool, struct weir_error *error)
{
    struct weir_compilation *compilation = pool->compilation;
    const struct weir_wasm_module *module = compilation->module;
    struct weir_artifact_global *globals =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_global, module->global_count);
    if (globals == NULL)
        return weir__compile_no_memory(compilation, error);
    for (uint32_t i = 0; i < module->global_count; i++) {
        globals[i].type = module->globals[i].type.type;
        globals[i].is_mutable = module->globals[i].type.is_mutable;
        if (i < module->global_import_count)
            continue;
        enum weir_status status =
            lower_expr(pool, &module->globals[i].init, &globals[i].init, error);
        if (status != WEIR_OK)
            return status;
    }
    compilation->content.globals = (struct weir_artifact_pool){globals, module->global_count};
    return WEIR_OK;
}

/* --- element segments --- */

static enum weir_status lower_item(const struct weir_compilation *compilation,
                                   const struct weir_wasm_expr *source,
                                   struct weir_artifact_elem_item *item, struct weir_error *error)
{
    struct weir_insn_reader reader = {compilation->module, source->offset,
                                      source->offset + source->size};
    struct weir_insn insn;
    struct weir_artifact_init step;
    enum weir_status status = weir_insn_read(&reader, &insn, error);
    if (status != WEIR_OK)
        return status;
    if (!to_step(&insn, &step) || reader.position != reader.end ||
        (step.op != WEIR_INIT_REF_FUNC && step.op != WEIR_INIT_REF_NULL &&
         step.op != WEIR_INIT_GLOBAL_GET))
        return weir_error_set(error, WEIR_UNSUPPORTED, insn.offset,
                              "an element that is no single reference");
    *item = (struct weir_artifact_elem_item){step.op, step.index};
    return WEIR_OK;
}

static enum weir_status fill_items(const struct weir_compilation *compilation,
                                   const struct weir_wasm_elem *source,
                                   struct weir_artifact_elem_item *items, struct weir_error *error)
{
    for (uint32_t i = 0; i < source->count; i++) {
        if (source->func_indices != NULL) {
            items[i] =
                (struct weir_artifact_elem_item){WEIR_INIT_REF_FUNC, source->func_indices[i]};
            continue;
        }
        enum weir_status status = lower_item(compilation, &source->exprs[i], &items[i], error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status fill_elems(struct step_pool *pool, struct weir_error *error)
{
    struct weir_compilation *compilation = pool->compilation;
    const struct weir_wasm_module *module = compilation->module;
    size_t item_count = 0;
    for (uint32_t i = 0; i < module->elem_count; i++)
        item_count += module->elems[i].count;
    struct weir_artifact_elem *elems =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_elem, module->elem_count);
    struct weir_artifact_elem_item *items =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_elem_item, item_count);
    if (elems == NULL || items == NULL)
        return weir__compile_no_memory(compilation, error);
    uint32_t used = 0;
    for (uint32_t i = 0; i < module->elem_count; i++) {
        const struct weir_wasm_elem *source = &module->elems[i];
        elems[i] = (struct weir_artifact_elem){
            .mode = source->mode,
            .type = source->type,
            .first = used,
            .count = source->count,
        };
        enum weir_status status = fill_items(compilation, source, items + used, error);
        if (status == WEIR_OK && source->mode == WEIR_SEGMENT_ACTIVE) {
            elems[i].table_index = source->table_index;
            status = lower_expr(pool, &source->offset, &elems[i].offset, error);
        }
        if (status != WEIR_OK)
            return status;
        used += source->count;
    }
    compilation->content.elems = (struct weir_artifact_pool){elems, module->elem_count};
    compilation->content.elem_items = (struct weir_artifact_pool){items, used};
    return WEIR_OK;
}

/* --- data segments --- */

/* What the image does not hold goes to .weir.data, in order and without copying. */
static enum weir_status place_data(struct weir_compilation *compilation,
                                   struct weir_artifact_data *datas, struct weir_error *error)
{
    const struct weir_wasm_module *module = compilation->module;
    struct weir_artifact_pool *parts =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_pool, module->data_count);
    if (parts == NULL)
        return weir__compile_no_memory(compilation, error);
    uint32_t used = 0;
    for (uint32_t i = 0; i < module->data_count; i++) {
        if (datas[i].in_image == 1)
            continue;
        const struct weir_wasm_bytes *bytes = &module->datas[i].bytes;
        datas[i].bytes = used;
        datas[i].size = (uint32_t)bytes->size;
        parts[i] = (struct weir_artifact_pool){bytes->data, bytes->size};
        used += datas[i].size;
    }
    compilation->content.data_parts = parts;
    compilation->content.data_part_count = module->data_count;
    return WEIR_OK;
}

static enum weir_status fill_datas(struct step_pool *pool, struct weir_error *error)
{
    struct weir_compilation *compilation = pool->compilation;
    const struct weir_wasm_module *module = compilation->module;
    struct weir_artifact_data *datas =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_data, module->data_count);
    if (datas == NULL)
        return weir__compile_no_memory(compilation, error);
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < module->data_count && status == WEIR_OK; i++) {
        datas[i].mode = module->datas[i].mode;
        if (module->datas[i].mode != WEIR_SEGMENT_ACTIVE)
            continue;
        datas[i].memory_index = module->datas[i].memory_index;
        status = lower_expr(pool, &module->datas[i].offset, &datas[i].offset, error);
    }
    if (status != WEIR_OK)
        return status;
    compilation->content.inits = (struct weir_artifact_pool){pool->steps, pool->used};
    compilation->content.datas = (struct weir_artifact_pool){datas, module->data_count};
    if ((status = weir__compile_image(compilation, datas, error)) != WEIR_OK)
        return status;
    return place_data(compilation, datas, error);
}

enum weir_status weir__compile_segments(struct weir_compilation *compilation,
                                        struct weir_error *error)
{
    struct step_pool pool = {.compilation = compilation};
    enum weir_status status = count_all_steps(compilation, &pool.room, error);
    if (status != WEIR_OK)
        return status;
    pool.steps = WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_init, pool.room);
    if (pool.steps == NULL)
        return weir__compile_no_memory(compilation, error);
    if ((status = fill_globals(&pool, error)) != WEIR_OK ||
        (status = fill_elems(&pool, error)) != WEIR_OK)
        return status;
    return fill_datas(&pool, error);
}
