/* Bodies and constant expressions: the loop over instructions, and typing by signature. */
#include "base/check.h"
#include "wasm/validate_internal.h"

static const struct weir_validate_vector no_types = {NULL, 0};

static weir_wasm_type type_of_letter(char letter, weir_wasm_type index_type)
{
    switch (letter) {
    case 'i':
        return WEIR_TYPE_I32;
    case 'I':
        return WEIR_TYPE_I64;
    case 'f':
        return WEIR_TYPE_F32;
    case 'F':
        return WEIR_TYPE_F64;
    case 'v':
        return WEIR_TYPE_V128;
    default:
        WEIR_DASSERT(letter == 'a');
        return index_type;
    }
}

/* What an instruction with a signature demands of its immediates. */
static enum weir_status check_immediate(struct weir_validator *v, const struct weir_op_info *info,
                                        weir_wasm_type *ret_index_type)
{
    const struct weir_insn *insn = v->insn;
    switch (info->imm) {
    case WEIR_IMM_MEMARG:
    case WEIR_IMM_MEMARG_LANE:
        if (insn->memory != 0)
            v->module->features_needed |= WEIR_FEATURE_MULTI_MEMORY;
        return weir__validate_memarg(v, ret_index_type);
    case WEIR_IMM_MEMORY:
        return weir__validate_memory(v, insn->index, ret_index_type);
    case WEIR_IMM_LANE:
        if (insn->lane >= 16 / info->width)
            return weir__validate_fail(v, WEIR_INVALID, "invalid lane index %u: %s has %u lanes",
                                       (unsigned)insn->lane, info->name, 16u / info->width);
        return WEIR_OK;
    case WEIR_IMM_SHUFFLE:
        for (size_t i = 0; i < sizeof insn->v128; i++) {
            if (insn->v128[i] >= 32)
                return weir__validate_fail(v, WEIR_INVALID, "invalid lane index %u: %s of 32",
                                           (unsigned)insn->v128[i], info->name);
        }
        return WEIR_OK;
    default:
        return WEIR_OK;
    }
}

/* "ab:c": pops b, pops a, pushes c. */
static enum weir_status apply_signature(struct weir_validator *v, const struct weir_op_info *info)
{
    weir_wasm_type index_type = WEIR_TYPE_I32;
    if (info->imm != WEIR_IMM_NONE) {
        enum weir_status status = check_immediate(v, info, &index_type);
        if (status != WEIR_OK)
            return status;
    }
    const char *colon = info->signature;
    while (*colon != ':')
        colon++;
    for (const char *operand = colon; operand != info->signature;) {
        enum weir_status status = weir__validate_pop(v, type_of_letter(*--operand, index_type));
        if (status != WEIR_OK)
            return status;
    }
    if (colon[1] == '\0')
        return WEIR_OK;
    return weir__validate_push(v, type_of_letter(colon[1], index_type));
}

static bool is_extended_const(enum weir_op op)
{
    return op == WEIR_OP_I32_ADD || op == WEIR_OP_I32_SUB || op == WEIR_OP_I32_MUL ||
           op == WEIR_OP_I64_ADD || op == WEIR_OP_I64_SUB || op == WEIR_OP_I64_MUL;
}

static enum weir_status check_constant(struct weir_validator *v)
{
    enum weir_op op = v->insn->op;
    switch (op) {
    case WEIR_OP_I32_CONST:
    case WEIR_OP_I64_CONST:
    case WEIR_OP_F32_CONST:
    case WEIR_OP_F64_CONST:
    case WEIR_OP_V128_CONST:
    case WEIR_OP_GLOBAL_GET:
    case WEIR_OP_REF_NULL:
    case WEIR_OP_REF_FUNC:
    case WEIR_OP_END:
        return WEIR_OK;
    default:
        break;
    }
    if (!is_extended_const(op))
        return weir__validate_fail(v, WEIR_INVALID, "constant expression required: %s is not",
                                   weir_op_infos[op].name);
    v->module->features_needed |= WEIR_FEATURE_EXTENDED_CONST;
    if ((v->module->features & WEIR_FEATURE_EXTENDED_CONST) != 0)
        return WEIR_OK;
    return weir__wasm_feature_off(v->module, v->error, v->insn->offset, WEIR_FEATURE_EXTENDED_CONST,
                                  "constant expression required", weir_op_infos[op].name);
}

/* Reads and checks instructions until the frame on the bottom is closed. */
static enum weir_status check_sequence(struct weir_validator *v, struct weir_insn_reader *reader)
{
    struct weir_insn insn;
    v->insn = &insn;
    uint32_t needed = 0;
    while (v->frame_count > 0) {
        enum weir_status status = weir_insn_read(reader, &insn, v->error);
        if (status != WEIR_OK)
            return status;
        const struct weir_op_info *info = &weir_op_infos[insn.op];
        needed |= info->feature;
        if (v->is_constant) {
            status = check_constant(v);
            if (status != WEIR_OK)
                return status;
        }
        status = info->signature != NULL ? apply_signature(v, info) : weir__validate_control(v);
        if (status != WEIR_OK)
            return status;
    }
    v->module->features_needed |= needed;
    if (reader->position != reader->end)
        return weir__wasm_report(v->module, v->error, WEIR_MALFORMED, reader->position,
                                 "section size mismatch: %u bytes behind the end of the body",
                                 (unsigned)(reader->end - reader->position));
    return WEIR_OK;
}

static enum weir_status begin(struct weir_validator *v, uint32_t offset,
                              struct weir_validate_vector results)
{
    static const struct weir_insn nothing = {.op = WEIR_OP_END};
    struct weir_insn insn = nothing;
    insn.offset = offset;
    v->insn = &insn;
    v->operand_count = 0;
    v->frame_count = 0;
    enum weir_status status = weir__validate_push_frame(v, WEIR_OP_END, no_types, results);
    v->insn = NULL;
    return status;
}

/* An array of at least `count` entries of four bytes; the old one stays in the arena. */
static enum weir_status make_room(struct weir_validator *v, uint32_t count, uint32_t *capacity,
                                  uint32_t **array)
{
    if (count <= *capacity)
        return WEIR_OK;
    uint32_t wanted = *capacity < 512 ? 1024 : 2 * *capacity;
    wanted = wanted < count ? count : wanted;
    uint32_t *grown = WEIR_ARENA_ARRAY(v->scratch, uint32_t, wanted);
    if (grown == NULL)
        return weir_error_set(v->error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for the locals of a function");
    *array = grown;
    *capacity = wanted;
    return WEIR_OK;
}

/* Expands as many locals as the body has bytes, so that the work stays linear in the module. */
static enum weir_status expand_locals(struct weir_validator *v, const struct weir_wasm_func *func)
{
    const struct weir_wasm_func_type *type = &v->module->types[func->type_index];
    uint32_t room = func->local_count < func->body_size ? func->local_count : func->body_size;
    enum weir_status status = make_room(v, room, &v->local_capacity, &v->locals);
    if (status == WEIR_OK && room < func->local_count)
        status = make_room(v, func->local_group_count, &v->group_capacity, &v->group_ends);
    if (status != WEIR_OK)
        return status;
    uint32_t count = 0;
    for (; count < type->param_count && count < room; count++)
        v->locals[count] = type->params[count];
    uint32_t end = 0;
    for (uint32_t i = 0; i < func->local_group_count; i++) {
        const struct weir_wasm_local_group *group = &func->local_groups[i];
        for (uint32_t k = 0; k < group->count && count < room; k++)
            v->locals[count++] = group->type;
        end += group->count;
        if (room < func->local_count)
            v->group_ends[i] = end;
    }
    v->expanded_count = room;
    return WEIR_OK;
}

enum weir_status weir__validate_body(struct weir_validator *v, const struct weir_wasm_func *func)
{
    const struct weir_wasm_func_type *type = &v->module->types[func->type_index];
    v->func = func;
    v->is_constant = false;
    enum weir_status status = expand_locals(v, func);
    struct weir_validate_vector results = {type->results, type->result_count};
    if (status == WEIR_OK)
        status = begin(v, func->body_offset, results);
    if (status != WEIR_OK)
        return status;
    struct weir_insn_reader reader = {v->module, func->code_offset,
                                      func->body_offset + func->body_size};
    status = check_sequence(v, &reader);
    v->insn = NULL;
    return status;
}

enum weir_status weir__validate_expr(struct weir_validator *v, const struct weir_wasm_expr *expr,
                                     weir_wasm_type type)
{
    v->is_constant = true;
    enum weir_status status = begin(v, expr->offset, (struct weir_validate_vector){&type, 1});
    if (status != WEIR_OK)
        return status;
    /* The decoder has found the `end` behind the expression. */
    struct weir_insn_reader reader = {v->module, expr->offset, expr->offset + expr->size + 1};
    status = check_sequence(v, &reader);
    v->insn = NULL;
    return status;
}
