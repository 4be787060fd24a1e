/* Rules of blocks, branches and calls. */
#include <string.h>

#include "wasm/types_text.h"
#include "wasm/validate_internal.h"

static const weir_wasm_type type_i32 = WEIR_TYPE_I32;

/* A vector of one value type, without allocation. */
static struct weir_validate_vector single(weir_wasm_type type)
{
    static const weir_wasm_type types[] = {
        WEIR_TYPE_I32,  WEIR_TYPE_I64,     WEIR_TYPE_F32,       WEIR_TYPE_F64,
        WEIR_TYPE_V128, WEIR_TYPE_FUNCREF, WEIR_TYPE_EXTERNREF,
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i] == type)
            return (struct weir_validate_vector){&types[i], 1};
    }
    return (struct weir_validate_vector){&type_i32, 0};
}

static struct weir_validate_vector params_of(const struct weir_wasm_func_type *type)
{
    return (struct weir_validate_vector){type->params, type->param_count};
}

static struct weir_validate_vector results_of(const struct weir_wasm_func_type *type)
{
    return (struct weir_validate_vector){type->results, type->result_count};
}

static bool same_vector(struct weir_validate_vector a, struct weir_validate_vector b)
{
    return a.count == b.count && (a.count == 0 || a.types == b.types ||
                                  memcmp(a.types, b.types, a.count * sizeof *a.types) == 0);
}

static enum weir_status get_type(const struct weir_validator *v, uint64_t index,
                                 const struct weir_wasm_func_type **ret_type)
{
    if (index >= v->module->type_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown type %llu, the module has %u",
                                   (unsigned long long)index, (unsigned)v->module->type_count);
    *ret_type = &v->module->types[index];
    return WEIR_OK;
}

static enum weir_status get_block_type(struct weir_validator *v, int64_t block_type,
                                       struct weir_validate_vector *ret_params,
                                       struct weir_validate_vector *ret_results)
{
    *ret_params = (struct weir_validate_vector){&type_i32, 0};
    if (block_type < 0) {
        weir_wasm_type type = (weir_wasm_type)-block_type;
        *ret_results = single(type);
        if (type == WEIR_TYPE_V128)
            v->module->features_needed |= WEIR_FEATURE_SIMD;
        else if (weir_wasm_type_is_reference(type))
            v->module->features_needed |= WEIR_FEATURE_REFERENCE_TYPES;
        return WEIR_OK;
    }
    const struct weir_wasm_func_type *type = NULL;
    enum weir_status status = get_type(v, (uint64_t)block_type, &type);
    if (type == NULL)
        return status;
    v->module->features_needed |= WEIR_FEATURE_MULTI_VALUE;
    *ret_params = params_of(type);
    *ret_results = results_of(type);
    return WEIR_OK;
}

static enum weir_status check_block(struct weir_validator *v)
{
    struct weir_validate_vector params;
    struct weir_validate_vector results;
    enum weir_status status = get_block_type(v, v->insn->block_type, &params, &results);
    if (status == WEIR_OK && v->insn->op == WEIR_OP_IF)
        status = weir__validate_pop(v, WEIR_TYPE_I32);
    if (status == WEIR_OK)
        status = weir__validate_pop_vector(v, params);
    if (status == WEIR_OK)
        status = weir__validate_push_frame(v, v->insn->op, params, results);
    return status;
}

static enum weir_status check_else(struct weir_validator *v)
{
    if (weir__validate_frame(v)->op != WEIR_OP_IF)
        return weir__validate_fail(v, WEIR_MALFORMED, "misplaced ELSE opcode: no if is open here");
    struct weir_validate_frame frame;
    enum weir_status status = weir__validate_pop_frame(v, &frame);
    if (status == WEIR_OK)
        status = weir__validate_push_frame(v, WEIR_OP_ELSE, frame.params, frame.results);
    return status;
}

static enum weir_status check_end(struct weir_validator *v)
{
    struct weir_validate_frame frame;
    enum weir_status status = weir__validate_pop_frame(v, &frame);
    if (status != WEIR_OK)
        return status;
    if (frame.op == WEIR_OP_IF && !same_vector(frame.params, frame.results))
        return weir__validate_fail(v, WEIR_INVALID,
                                   "type mismatch: an if without else must leave its parameters "
                                   "as they are (%u parameters, %u results)",
                                   (unsigned)frame.params.count, (unsigned)frame.results.count);
    return v->frame_count > 0 ? weir__validate_push_vector(v, frame.results) : WEIR_OK;
}

static enum weir_status get_label(const struct weir_validator *v, uint32_t label,
                                  struct weir_validate_vector *ret_vector)
{
    if (label >= v->frame_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown label %u, %u are open",
                                   (unsigned)label, (unsigned)v->frame_count);
    const struct weir_validate_frame *frame = &v->frames[v->frame_count - 1 - label];
    *ret_vector = frame->op == WEIR_OP_LOOP ? frame->params : frame->results;
    return WEIR_OK;
}

static enum weir_status check_branch(struct weir_validator *v)
{
    struct weir_validate_vector label;
    enum weir_status status = get_label(v, v->insn->index, &label);
    if (status != WEIR_OK)
        return status;
    if (v->insn->op == WEIR_OP_BR) {
        status = weir__validate_pop_vector(v, label);
        weir__validate_set_unreachable(v);
        return status;
    }
    status = weir__validate_pop(v, WEIR_TYPE_I32);
    if (status == WEIR_OK)
        status = weir__validate_pop_vector(v, label);
    if (status == WEIR_OK)
        status = weir__validate_push_vector(v, label);
    return status;
}

/* Every target must take what is on the stack. Targets are usually few distinct vectors, and equal
 * vectors are one pointer, so the last one that passed is remembered. */
static enum weir_status check_br_table(struct weir_validator *v)
{
    uint32_t count = v->insn->target_count;
    uint64_t max = v->module->limits.br_table_targets_max;
    if (count - 1 > max)
        return weir__validate_fail(v, WEIR_TOO_LARGE, "br_table with %u targets, the limit is %llu",
                                   (unsigned)count - 1, (unsigned long long)max);
    enum weir_status status = weir__validate_pop(v, WEIR_TYPE_I32);
    if (status != WEIR_OK)
        return status;
    struct weir_validate_vector passed = {NULL, 0};
    uint32_t position = v->insn->targets_offset;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_validate_vector label;
        uint32_t target = weir_insn_br_target(v->module, &position);
        status = get_label(v, target, &label);
        if (status != WEIR_OK)
            return status;
        if (i > 0 && label.count == passed.count && label.types == passed.types)
            continue;
        if (i > 0 && label.count != passed.count)
            return weir__validate_fail(v, WEIR_INVALID,
                                       "type mismatch: br_table has labels of %u and of %u values",
                                       (unsigned)passed.count, (unsigned)label.count);
        status = weir__validate_peek_vector(v, label);
        if (status != WEIR_OK)
            return status;
        passed = label;
    }
    weir__validate_set_unreachable(v);
    return WEIR_OK;
}

static enum weir_status check_call_type(struct weir_validator *v, bool is_tail,
                                        const struct weir_wasm_func_type *type)
{
    struct weir_validate_vector results = results_of(type);
    enum weir_status status = weir__validate_pop_vector(v, params_of(type));
    if (status != WEIR_OK)
        return status;
    if (!is_tail)
        return weir__validate_push_vector(v, results);
    if (!same_vector(results, v->frames[0].results))
        return weir__validate_fail(v, WEIR_INVALID,
                                   "type mismatch: %s of a function whose results are not those "
                                   "of the caller",
                                   weir_op_infos[v->insn->op].name);
    weir__validate_set_unreachable(v);
    return WEIR_OK;
}

static enum weir_status check_call(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    uint32_t index = v->insn->index;
    if (index >= module->func_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown function %u, the module has %u",
                                   (unsigned)index, (unsigned)module->func_count);
    const struct weir_wasm_func_type *type = &module->types[module->funcs[index].type_index];
    return check_call_type(v, v->insn->op == WEIR_OP_RETURN_CALL, type);
}

static enum weir_status check_call_indirect(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    uint32_t index = v->insn->index2;
    if (index >= module->table_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown table %u, the module has %u",
                                   (unsigned)index, (unsigned)module->table_count);
    const struct weir_wasm_table_type *table = &module->tables[index];
    if (table->element != WEIR_TYPE_FUNCREF)
        return weir__validate_fail(
            v, WEIR_INVALID, "type mismatch: %s through table %u of %s, funcref is wanted",
            weir_op_infos[v->insn->op].name, (unsigned)index, weir_wasm_type_name(table->element));
    if (index != 0)
        v->module->features_needed |= WEIR_FEATURE_REFERENCE_TYPES;
    const struct weir_wasm_func_type *type = NULL;
    enum weir_status status = get_type(v, v->insn->index, &type);
    if (status == WEIR_OK)
        status = weir__validate_pop(v, table->limits.is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32);
    if (status == WEIR_OK && type != NULL)
        status = check_call_type(v, v->insn->op == WEIR_OP_RETURN_CALL_INDIRECT, type);
    return status;
}

enum weir_status weir__validate_control(struct weir_validator *v)
{
    enum weir_status status = WEIR_OK;
    switch (v->insn->op) {
    case WEIR_OP_BLOCK:
    case WEIR_OP_LOOP:
    case WEIR_OP_IF:
        return check_block(v);
    case WEIR_OP_ELSE:
        return check_else(v);
    case WEIR_OP_END:
        return check_end(v);
    case WEIR_OP_BR:
    case WEIR_OP_BR_IF:
        return check_branch(v);
    case WEIR_OP_BR_TABLE:
        return check_br_table(v);
    case WEIR_OP_CALL:
    case WEIR_OP_RETURN_CALL:
        return check_call(v);
    case WEIR_OP_CALL_INDIRECT:
    case WEIR_OP_RETURN_CALL_INDIRECT:
        return check_call_indirect(v);
    case WEIR_OP_RETURN:
        status = weir__validate_pop_vector(v, v->frames[0].results);
        weir__validate_set_unreachable(v);
        return status;
    case WEIR_OP_UNREACHABLE:
        weir__validate_set_unreachable(v);
        return WEIR_OK;
    default:
        return weir__validate_other(v);
    }
}
