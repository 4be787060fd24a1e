/* Opening an artifact, second half: every entry of every table. Afterwards no accessor and no user
 * of a view needs to check an index again. Linear in the size of the tables. */
#include "artifact/artifact_internal.h"

#include <inttypes.h>

#include "base/bytes.h"

#define CORRUPT(entry, ...) weir__artifact_corrupt(artifact, (entry), error, __VA_ARGS__)
#define PAGES_MAX_32 UINT64_C(65536)
#define PAGES_MAX_64 (UINT64_C(1) << 32) /* 2^48 bytes: what an address space has */

static bool string_fits(const struct weir_artifact *artifact,
                        const struct weir_artifact_string *string)
{
    return weir_range_fits(string->start, string->size, artifact->head->strings.count);
}

/* Functions that can be referred to have a record. */
static bool has_record(const struct weir_artifact *artifact, uint32_t func)
{
    return func < artifact->head->funcs.count &&
           artifact->funcs[func].escape_index != WEIR_ARTIFACT_NONE;
}

static enum weir_status check_types(const struct weir_artifact *artifact, struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    for (uint32_t i = 0; i < head->value_types.count; i++)
        if (!weir_wasm_type_is_value(artifact->value_types[i]))
            return CORRUPT(&artifact->value_types[i], "0x%x is no value type",
                           artifact->value_types[i]);
    for (uint32_t i = 0; i < head->types.count; i++) {
        const struct weir_artifact_type *type = &artifact->types[i];
        if (type->param_count > WEIR_ABI_SLOTS || type->result_count > WEIR_ABI_SLOTS ||
            !weir_range_fits(type->params, type->param_count, head->value_types.count) ||
            !weir_range_fits(type->results, type->result_count, head->value_types.count))
            return CORRUPT(type, "type %u has parameters or results outside the table", i);
    }
    return WEIR_OK;
}

static enum weir_status check_imports(const struct weir_artifact *artifact,
                                      struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    const uint32_t expected[4] = {head->func_import_count, head->table_import_count,
                                  head->memory_import_count, head->global_import_count};
    const uint32_t spaces[4] = {head->funcs.count, head->tables.count, head->memories.count,
                                head->globals.count};
    uint32_t seen[4] = {0};
    for (int kind = 0; kind < 4; kind++)
        if (expected[kind] > spaces[kind])
            return CORRUPT(&head->func_import_count, "more imports than entries");
    for (uint32_t i = 0; i < head->imports.count; i++) {
        const struct weir_artifact_import *import = &artifact->imports[i];
        if (import->kind > WEIR_EXTERN_GLOBAL || !string_fits(artifact, &import->module) ||
            !string_fits(artifact, &import->name))
            return CORRUPT(import, "import %u has an unknown kind or a name outside the pool", i);
        uint32_t index = seen[import->kind]++;
        if (index >= expected[import->kind])
            return CORRUPT(import, "import %u is one more than the head says", i);
        uint32_t type =
            import->kind == WEIR_EXTERN_FUNC ? artifact->funcs[index].type_index : index;
        if (import->type != type)
            return CORRUPT(import, "import %u disagrees with its index space", i);
    }
    for (int kind = 0; kind < 4; kind++)
        if (seen[kind] != expected[kind])
            return CORRUPT(&head->func_import_count, "imports of kind %d: %u, the head says %u",
                           kind, seen[kind], expected[kind]);
    return WEIR_OK;
}

static enum weir_status check_exports(const struct weir_artifact *artifact,
                                      struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    const uint32_t spaces[4] = {head->funcs.count, head->tables.count, head->memories.count,
                                head->globals.count};
    for (uint32_t i = 0; i < head->exports.count; i++) {
        const struct weir_artifact_export *export = &artifact->exports[i];
        if (export->kind > WEIR_EXTERN_GLOBAL || !string_fits(artifact, &export->name) ||
            export->index >= spaces[export->kind])
            return CORRUPT(export, "export %u names nothing of this module", i);
        if (export->kind == WEIR_EXTERN_FUNC && !has_record(artifact, export->index))
            return CORRUPT(export, "export %u is a function without a record", i);
    }
    return WEIR_OK;
}

static enum weir_status check_limits(const struct weir_artifact *artifact, struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    for (uint32_t i = 0; i < head->memories.count; i++) {
        const struct weir_artifact_limits *memory = &artifact->memories[i];
        uint64_t most = (memory->flags & 1u) != 0 ? PAGES_MAX_64 : PAGES_MAX_32;
        if (memory->flags > 1 || memory->min > memory->max || memory->min > most)
            return CORRUPT(memory, "memory %u has impossible limits", i);
    }
    for (uint32_t i = 0; i < head->tables.count; i++) {
        const struct weir_artifact_limits *table = &artifact->tables[i];
        uint64_t most = (table->flags & 1u) != 0 ? UINT64_MAX : UINT32_MAX;
        if (table->flags > 1 || table->min > table->max || table->min > most ||
            !weir_wasm_type_is_reference(table->type))
            return CORRUPT(table, "table %u has impossible limits or an unknown type", i);
    }
    return WEIR_OK;
}

/* Needs of one step: how many operands it takes, 0 or 2. */
static int step_operands(const struct weir_artifact *artifact,
                         const struct weir_artifact_init *step, uint32_t global_limit)
{
    switch (step->op) {
    case WEIR_INIT_CONST:
    case WEIR_INIT_REF_NULL:
        return 0;
    case WEIR_INIT_GLOBAL_GET:
        return step->index < global_limit ? 0 : -1;
    case WEIR_INIT_REF_FUNC:
        return has_record(artifact, step->index) ? 0 : -1;
    case WEIR_INIT_I32_ADD:
    case WEIR_INIT_I32_SUB:
    case WEIR_INIT_I32_MUL:
    case WEIR_INIT_I64_ADD:
    case WEIR_INIT_I64_SUB:
    case WEIR_INIT_I64_MUL:
        return 2;
    default:
        return -1;
    }
}

/* The steps leave exactly one value and never need more than the evaluator's stack. */
static enum weir_status check_expr(const struct weir_artifact *artifact,
                                   const struct weir_artifact_expr *expr, uint32_t global_limit,
                                   struct weir_error *error)
{
    if (!weir_range_fits(expr->first, expr->count, artifact->head->inits.count))
        return CORRUPT(expr, "an expression lies outside its table");
    int depth = 0;
    for (uint32_t i = 0; i < expr->count; i++) {
        const struct weir_artifact_init *step = &artifact->inits[expr->first + i];
        int operands = step_operands(artifact, step, global_limit);
        if (operands < 0 || depth < operands)
            return CORRUPT(step, "a step of an expression is unknown or lacks operands");
        depth += 1 - operands;
        if (depth > (int)WEIR_ARTIFACT_INIT_STACK)
            return CORRUPT(step, "an expression needs too deep a stack");
    }
    if (depth != 1)
        return CORRUPT(expr, "an expression leaves %d values", depth);
    return WEIR_OK;
}

static enum weir_status check_globals(const struct weir_artifact *artifact,
                                      struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    for (uint32_t i = 0; i < head->globals.count; i++) {
        const struct weir_artifact_global *global = &artifact->globals[i];
        if (!weir_wasm_type_is_value(global->type) || global->is_mutable > 1)
            return CORRUPT(global, "global %u has an unknown type", i);
        if (i < head->global_import_count) {
            if (global->init.count != 0)
                return CORRUPT(global, "the imported global %u has a value", i);
            continue;
        }
        enum weir_status status = check_expr(artifact, &global->init, i, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status check_elem(const struct weir_artifact *artifact,
                                   const struct weir_artifact_elem *elem, struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    if (elem->mode > WEIR_SEGMENT_DECLARATIVE || !weir_wasm_type_is_reference(elem->type) ||
        !weir_range_fits(elem->first, elem->count, head->elem_items.count))
        return CORRUPT(elem, "an element segment is of no known form");
    for (uint32_t i = 0; i < elem->count; i++) {
        const struct weir_artifact_elem_item *item = &artifact->elem_items[elem->first + i];
        bool good = item->op == WEIR_INIT_REF_NULL ||
                    (item->op == WEIR_INIT_REF_FUNC && has_record(artifact, item->index)) ||
                    (item->op == WEIR_INIT_GLOBAL_GET && item->index < head->globals.count);
        if (!good)
            return CORRUPT(item, "an element is no reference");
    }
    if (elem->mode != WEIR_SEGMENT_ACTIVE)
        return WEIR_OK;
    if (elem->table_index >= head->tables.count)
        return CORRUPT(elem, "an element segment goes to table %u of %u", elem->table_index,
                       head->tables.count);
    return check_expr(artifact, &elem->offset, head->globals.count, error);
}

static enum weir_status check_data(const struct weir_artifact *artifact,
                                   const struct weir_artifact_data *data, struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    if (data->mode > WEIR_SEGMENT_PASSIVE || data->in_image > 1 ||
        !weir_range_fits(data->bytes, data->size, head->data.count))
        return CORRUPT(data, "a data segment is of no known form");
    if (data->in_image == 1 &&
        (data->size != 0 || data->mode != WEIR_SEGMENT_ACTIVE || data->memory_index != 0))
        return CORRUPT(data, "a data segment of the image is not one of memory 0");
    if (data->mode != WEIR_SEGMENT_ACTIVE)
        return WEIR_OK;
    if (data->memory_index >= head->memories.count)
        return CORRUPT(data, "a data segment goes to memory %u of %u", data->memory_index,
                       head->memories.count);
    return check_expr(artifact, &data->offset, head->globals.count, error);
}

/* The image lies inside the pages that memory 0 starts with. */
static enum weir_status check_image(const struct weir_artifact *artifact, struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    if (head->image.count == 0)
        return WEIR_OK;
    if (head->memories.count == 0 || head->memory_import_count != 0)
        return CORRUPT(&head->image, "an image without a memory of its own");
    uint64_t memory_bytes = artifact->memories[0].min * WEIR_WASM_PAGE_BYTES;
    if (head->image_memory_offset % WEIR_ARTIFACT_PAGE != 0 ||
        !weir_range_fits(head->image_memory_offset, head->image.count, memory_bytes))
        return CORRUPT(&head->image_memory_offset,
                       "the image is not inside the %" PRIu64 " bytes of memory 0", memory_bytes);
    return WEIR_OK;
}

enum weir_status weir__artifact_check(const struct weir_artifact *artifact,
                                      struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    enum weir_status status;
    if ((status = check_types(artifact, error)) != WEIR_OK ||
        (status = check_imports(artifact, error)) != WEIR_OK ||
        (status = check_exports(artifact, error)) != WEIR_OK ||
        (status = check_limits(artifact, error)) != WEIR_OK ||
        (status = check_globals(artifact, error)) != WEIR_OK ||
        (status = check_image(artifact, error)) != WEIR_OK)
        return status;
    for (uint32_t i = 0; i < head->elems.count; i++)
        if ((status = check_elem(artifact, &artifact->elems[i], error)) != WEIR_OK)
            return status;
    for (uint32_t i = 0; i < head->datas.count; i++)
        if ((status = check_data(artifact, &artifact->datas[i], error)) != WEIR_OK)
            return status;
    if (head->start_func != WEIR_ARTIFACT_NONE && head->start_func >= head->funcs.count)
        return CORRUPT(&head->start_func, "the start function %u does not exist", head->start_func);
    if (artifact->func_names != NULL && head->func_names.count != head->funcs.count)
        return CORRUPT(&head->func_names, "%u names for %u functions", head->func_names.count,
                       head->funcs.count);
    for (uint32_t i = 0; i < head->func_names.count; i++)
        if (!string_fits(artifact, &artifact->func_names[i]))
            return CORRUPT(&artifact->func_names[i], "the name of function %u is outside the pool",
                           i);
    return WEIR_OK;
}
