/* What instantiation evaluates and applies: constant expressions, element and data segments
 * (specification 4.5.4). Everything here reads the mapped artifact; nothing allocates.
 */
#include <string.h>

#include "base/bytes.h"
#include "runtime/store_internal.h"

static struct weir_funcref *escaped(const struct weir_instance *instance, uint32_t func_index)
{
    uint32_t escape = instance->module->artifact.funcs[func_index].escape_index;
    WEIR_ASSERT(escape != WEIR_ARTIFACT_NONE);
    return &instance->vmctx->funcrefs[escape];
}

/* Applies a binary step; i32 results are kept zero-extended. */
static int64_t combine(uint32_t op, uint64_t a, uint64_t b)
{
    switch (op) {
    case WEIR_INIT_I32_ADD:
        return (int64_t)(uint32_t)(a + b);
    case WEIR_INIT_I32_SUB:
        return (int64_t)(uint32_t)(a - b);
    case WEIR_INIT_I32_MUL:
        return (int64_t)(uint32_t)(a * b);
    case WEIR_INIT_I64_ADD:
        return (int64_t)(a + b);
    case WEIR_INIT_I64_SUB:
        return (int64_t)(a - b);
    default:
        return (int64_t)(a * b);
    }
}

union weir_value weir__init_value(const struct weir_instance *instance,
                                  const struct weir_artifact_expr *expr)
{
    union weir_value stack[WEIR_ARTIFACT_INIT_STACK];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < expr->count; i++) {
        const struct weir_artifact_init *step = &instance->module->artifact.inits[expr->first + i];
        if (step->op >= WEIR_INIT_I32_ADD) {
            WEIR_ASSERT(depth >= 2);
            depth--;
            stack[depth - 1].i64 =
                combine(step->op, (uint64_t)stack[depth - 1].i64, (uint64_t)stack[depth].i64);
            continue;
        }
        WEIR_ASSERT(depth < WEIR_ARTIFACT_INIT_STACK);
        union weir_value *top = &stack[depth++];
        *top = (union weir_value){0};
        if (step->op == WEIR_INIT_CONST) {
            memcpy(&top->v128[0], &step->bits, sizeof step->bits);
            memcpy(&top->v128[8], &step->bits_high, sizeof step->bits_high);
        } else if (step->op == WEIR_INIT_GLOBAL_GET) {
            *top = *instance->globals[step->index].value;
        } else if (step->op == WEIR_INIT_REF_FUNC) {
            top->funcref = escaped(instance, step->index);
        }
    }
    WEIR_ASSERT(depth == 1);
    return stack[0];
}

void *weir__elem_item(const struct weir_instance *instance, uint32_t item)
{
    const struct weir_artifact_elem_item *from = &instance->module->artifact.elem_items[item];
    switch (from->op) {
    case WEIR_INIT_REF_FUNC:
        return escaped(instance, from->index);
    case WEIR_INIT_GLOBAL_GET:
        return instance->globals[from->index].value->externref;
    default:
        return NULL;
    }
}

static uint64_t segment_offset(const struct weir_instance *instance,
                               const struct weir_artifact_expr *expr, bool is_64)
{
    union weir_value value = weir__init_value(instance, expr);
    return is_64 ? (uint64_t)value.i64 : (uint32_t)value.i32;
}

static void write_elements(const struct weir_instance *instance,
                           const struct weir_artifact_elem *elem, void **to)
{
    for (uint32_t i = 0; i < elem->count; i++)
        to[i] = weir__elem_item(instance, elem->first + i);
}

void weir__instance_expect_table(const struct weir_instance *instance, uint32_t index,
                                 void **elements)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    bool is_64 = instance->tables[index]->is_64;
    for (uint32_t i = 0; i < artifact->head->elems.count; i++) {
        const struct weir_artifact_elem *elem = &artifact->elems[i];
        if (elem->mode == WEIR_SEGMENT_ACTIVE && elem->table_index == index)
            write_elements(instance, elem,
                           elements + segment_offset(instance, &elem->offset, is_64));
    }
}

enum weir_trap_code weir__instance_fill_tables(struct weir_instance *instance, bool own_only)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    for (uint32_t i = 0; i < artifact->head->elems.count; i++) {
        const struct weir_artifact_elem *elem = &artifact->elems[i];
        if (elem->mode != WEIR_SEGMENT_ACTIVE ||
            (own_only && elem->table_index < artifact->head->table_import_count))
            continue;
        struct weir_table *table = instance->tables[elem->table_index];
        uint64_t offset = segment_offset(instance, &elem->offset, table->is_64);
        if (!weir_range_fits(offset, elem->count, table->vm.size))
            return WEIR_TRAP_TABLE_BOUNDS;
        write_elements(instance, elem, table->vm.elements + offset);
        if (elem->table_index < artifact->head->table_import_count)
            table->vm.is_dirty = 1;
    }
    return WEIR_TRAP_NONE;
}

enum weir_trap_code weir__instance_fill_memories(struct weir_instance *instance)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    for (uint32_t i = 0; i < artifact->head->datas.count; i++) {
        const struct weir_artifact_data *data = &artifact->datas[i];
        if (data->mode != WEIR_SEGMENT_ACTIVE || data->in_image)
            continue;
        struct weir_memory *memory = instance->memories[data->memory_index];
        uint64_t offset = segment_offset(instance, &data->offset, memory->is_64);
        if (!weir_range_fits(offset, data->size, memory->vm.size_bytes))
            return WEIR_TRAP_MEMORY_BOUNDS;
        if (weir__copy_guarded(memory->vm.base + offset, artifact->data + data->bytes,
                               data->size) != 0)
            return WEIR_TRAP_CODE_LOST;
    }
    return WEIR_TRAP_NONE;
}

void weir__instance_drop_segments(struct weir_instance *instance)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    memset(instance->dropped_data, 0, (artifact->head->datas.count + 63) / 64 * sizeof(uint64_t));
    memset(instance->dropped_elems, 0, (artifact->head->elems.count + 63) / 64 * sizeof(uint64_t));
    for (uint32_t i = 0; i < artifact->head->datas.count; i++)
        if (artifact->datas[i].mode != WEIR_SEGMENT_PASSIVE)
            weir__bit_set(instance->dropped_data, i);
    for (uint32_t i = 0; i < artifact->head->elems.count; i++)
        if (artifact->elems[i].mode != WEIR_SEGMENT_PASSIVE)
            weir__bit_set(instance->dropped_elems, i);
}
