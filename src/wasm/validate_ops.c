/* Rules of the remaining instructions without a signature: parametric, variables, tables,
 * references, bulk memory; and the immediates of memory instructions. */
#include "base/check.h"
#include "wasm/types_text.h"
#include "wasm/validate_internal.h"

static enum weir_status pop3(struct weir_validator *v, weir_wasm_type first, weir_wasm_type second,
                             weir_wasm_type third)
{
    enum weir_status status = weir__validate_pop(v, third);
    if (status == WEIR_OK)
        status = weir__validate_pop(v, second);
    if (status == WEIR_OK)
        status = weir__validate_pop(v, first);
    return status;
}

static enum weir_status check_select(struct weir_validator *v)
{
    weir_wasm_type first = WEIR_WASM_TYPE_UNKNOWN;
    weir_wasm_type second = WEIR_WASM_TYPE_UNKNOWN;
    enum weir_status status = weir__validate_pop(v, WEIR_TYPE_I32);
    if (status == WEIR_OK)
        status = weir__validate_pop_any(v, &second);
    if (status == WEIR_OK)
        status = weir__validate_pop_any(v, &first);
    if (status != WEIR_OK)
        return status;
    if (weir_wasm_type_is_reference(first) || weir_wasm_type_is_reference(second))
        return weir__validate_fail(v, WEIR_INVALID,
                                   "type mismatch: select of references must name its type");
    if (first != second && first != WEIR_WASM_TYPE_UNKNOWN && second != WEIR_WASM_TYPE_UNKNOWN)
        return weir__validate_fail(v, WEIR_INVALID, "type mismatch: select between %s and %s",
                                   weir_wasm_type_name(first), weir_wasm_type_name(second));
    return weir__validate_push(v, first == WEIR_WASM_TYPE_UNKNOWN ? second : first);
}

static enum weir_status check_select_t(struct weir_validator *v)
{
    weir_wasm_type type = v->insn->type;
    if (v->insn->type_count != 1)
        return weir__validate_fail(v, WEIR_INVALID,
                                   "invalid result arity: select names %u types, 1 is wanted",
                                   (unsigned)v->insn->type_count);
    enum weir_status status = pop3(v, type, type, WEIR_TYPE_I32);
    return status == WEIR_OK ? weir__validate_push(v, type) : status;
}

/* Parameters first, then the groups in order; `group_ends` are their running sums. */
static weir_wasm_type find_local(const struct weir_validator *v, uint32_t index)
{
    const struct weir_wasm_func_type *type = &v->module->types[v->func->type_index];
    if (index < type->param_count)
        return type->params[index];
    uint32_t wanted = index - type->param_count;
    uint32_t low = 0;
    uint32_t high = v->func->local_group_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (wanted < v->group_ends[middle])
            high = middle;
        else
            low = middle + 1;
    }
    WEIR_DASSERT(low < v->func->local_group_count);
    return v->func->local_groups[low].type;
}

static enum weir_status check_local(struct weir_validator *v)
{
    uint32_t index = v->insn->index;
    if (index >= v->func->local_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown local %u, the function has %u",
                                   (unsigned)index, (unsigned)v->func->local_count);
    weir_wasm_type type = index < v->expanded_count ? v->locals[index] : find_local(v, index);
    if (v->insn->op == WEIR_OP_LOCAL_GET)
        return weir__validate_push(v, type);
    enum weir_status status = weir__validate_pop(v, type);
    if (status == WEIR_OK && v->insn->op == WEIR_OP_LOCAL_TEE)
        status = weir__validate_push(v, type);
    return status;
}

static enum weir_status check_global(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    uint32_t index = v->insn->index;
    uint32_t count = v->is_constant ? v->constant_globals : module->global_count;
    if (index >= count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown global %u, %u are known here",
                                   (unsigned)index, (unsigned)count);
    const struct weir_wasm_global_type *global = &module->globals[index].type;
    if (v->insn->op == WEIR_OP_GLOBAL_GET) {
        if (v->is_constant && global->is_mutable)
            return weir__validate_fail(v, WEIR_INVALID,
                                       "constant expression required: global %u is mutable",
                                       (unsigned)index);
        if (v->is_constant && index >= module->global_import_count)
            v->module->features_needed |= WEIR_FEATURE_EXTENDED_CONST;
        return weir__validate_push(v, global->type);
    }
    if (!global->is_mutable)
        return weir__validate_fail(v, WEIR_INVALID, "global is immutable: %u", (unsigned)index);
    return weir__validate_pop(v, global->type);
}

static enum weir_status get_table(struct weir_validator *v, uint32_t index,
                                  const struct weir_wasm_table_type **ret_table,
                                  weir_wasm_type *ret_index_type)
{
    if (index >= v->module->table_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown table %u, the module has %u",
                                   (unsigned)index, (unsigned)v->module->table_count);
    *ret_table = &v->module->tables[index];
    *ret_index_type = (*ret_table)->limits.is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
    return WEIR_OK;
}

static enum weir_status check_table(struct weir_validator *v)
{
    const struct weir_wasm_table_type *table = NULL;
    weir_wasm_type index = WEIR_TYPE_I32;
    enum weir_status status = get_table(v, v->insn->index, &table, &index);
    if (table == NULL)
        return status;
    switch (v->insn->op) {
    case WEIR_OP_TABLE_GET:
        status = weir__validate_pop(v, index);
        return status == WEIR_OK ? weir__validate_push(v, table->element) : status;
    case WEIR_OP_TABLE_SET:
        status = weir__validate_pop(v, table->element);
        return status == WEIR_OK ? weir__validate_pop(v, index) : status;
    case WEIR_OP_TABLE_SIZE:
        return weir__validate_push(v, index);
    case WEIR_OP_TABLE_GROW:
        status = weir__validate_pop(v, index);
        if (status == WEIR_OK)
            status = weir__validate_pop(v, table->element);
        return status == WEIR_OK ? weir__validate_push(v, index) : status;
    default: /* table.fill */
        return pop3(v, index, table->element, index);
    }
}

static enum weir_status check_table_copy(struct weir_validator *v)
{
    const struct weir_wasm_table_type *to = NULL;
    const struct weir_wasm_table_type *from = NULL;
    weir_wasm_type to_index = WEIR_TYPE_I32;
    weir_wasm_type from_index = WEIR_TYPE_I32;
    enum weir_status status = get_table(v, v->insn->index, &to, &to_index);
    if (status == WEIR_OK)
        status = get_table(v, v->insn->index2, &from, &from_index);
    if (to == NULL || from == NULL)
        return status;
    if (v->insn->index != 0 || v->insn->index2 != 0)
        v->module->features_needed |= WEIR_FEATURE_REFERENCE_TYPES;
    if (to->element != from->element)
        return weir__validate_fail(v, WEIR_INVALID, "type mismatch: table.copy of %s to %s",
                                   weir_wasm_type_name(from->element),
                                   weir_wasm_type_name(to->element));
    bool both_64 = to_index == WEIR_TYPE_I64 && from_index == WEIR_TYPE_I64;
    return pop3(v, to_index, from_index, both_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32);
}

static enum weir_status get_elem(struct weir_validator *v, uint32_t index,
                                 const struct weir_wasm_elem **ret_elem)
{
    if (index >= v->module->elem_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown elem segment %u, the module has %u",
                                   (unsigned)index, (unsigned)v->module->elem_count);
    *ret_elem = &v->module->elems[index];
    return WEIR_OK;
}

static enum weir_status check_table_init(struct weir_validator *v)
{
    const struct weir_wasm_table_type *table = NULL;
    const struct weir_wasm_elem *elem = NULL;
    weir_wasm_type index = WEIR_TYPE_I32;
    enum weir_status status = get_table(v, v->insn->index2, &table, &index);
    if (status == WEIR_OK)
        status = get_elem(v, v->insn->index, &elem);
    if (table == NULL || elem == NULL)
        return status;
    if (elem->type != table->element)
        return weir__validate_fail(v, WEIR_INVALID, "type mismatch: table.init of %s to %s",
                                   weir_wasm_type_name(elem->type),
                                   weir_wasm_type_name(table->element));
    return pop3(v, index, WEIR_TYPE_I32, WEIR_TYPE_I32);
}

static enum weir_status check_data_index(struct weir_validator *v)
{
    if (v->insn->index >= v->module->data_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown data segment %u, the module has %u",
                                   (unsigned)v->insn->index, (unsigned)v->module->data_count);
    return WEIR_OK;
}

static enum weir_status check_memory_init(struct weir_validator *v)
{
    weir_wasm_type index = WEIR_TYPE_I32;
    enum weir_status status = weir__validate_memory(v, v->insn->index2, &index);
    if (status == WEIR_OK)
        status = check_data_index(v);
    return status == WEIR_OK ? pop3(v, index, WEIR_TYPE_I32, WEIR_TYPE_I32) : status;
}

static enum weir_status check_memory_copy(struct weir_validator *v)
{
    weir_wasm_type to = WEIR_TYPE_I32;
    weir_wasm_type from = WEIR_TYPE_I32;
    enum weir_status status = weir__validate_memory(v, v->insn->index, &to);
    if (status == WEIR_OK)
        status = weir__validate_memory(v, v->insn->index2, &from);
    if (status != WEIR_OK)
        return status;
    bool both_64 = to == WEIR_TYPE_I64 && from == WEIR_TYPE_I64;
    return pop3(v, to, from, both_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32);
}

static enum weir_status check_ref_is_null(struct weir_validator *v)
{
    weir_wasm_type type = WEIR_WASM_TYPE_UNKNOWN;
    enum weir_status status = weir__validate_pop_any(v, &type);
    if (status != WEIR_OK)
        return status;
    if (type != WEIR_WASM_TYPE_UNKNOWN && !weir_wasm_type_is_reference(type))
        return weir__validate_fail(v, WEIR_INVALID, "type mismatch: ref.is_null of %s",
                                   weir_wasm_type_name(type));
    return weir__validate_push(v, WEIR_TYPE_I32);
}

static enum weir_status check_ref_func(struct weir_validator *v)
{
    uint32_t index = v->insn->index;
    if (index >= v->module->func_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown function %u, the module has %u",
                                   (unsigned)index, (unsigned)v->module->func_count);
    if (!v->is_constant && (v->declared_refs[index / 64] >> (index % 64) & 1) == 0)
        return weir__validate_fail(v, WEIR_INVALID,
                                   "undeclared function reference: function %u is in no element "
                                   "segment, export or global",
                                   (unsigned)index);
    return weir__validate_push(v, WEIR_TYPE_FUNCREF);
}

enum weir_status weir__validate_other(struct weir_validator *v)
{
    weir_wasm_type type = WEIR_WASM_TYPE_UNKNOWN;
    const struct weir_wasm_elem *elem = NULL;
    switch (v->insn->op) {
    case WEIR_OP_DROP:
        return weir__validate_pop_any(v, &type);
    case WEIR_OP_SELECT:
        return check_select(v);
    case WEIR_OP_SELECT_T:
        return check_select_t(v);
    case WEIR_OP_LOCAL_GET:
    case WEIR_OP_LOCAL_SET:
    case WEIR_OP_LOCAL_TEE:
        return check_local(v);
    case WEIR_OP_GLOBAL_GET:
    case WEIR_OP_GLOBAL_SET:
        return check_global(v);
    case WEIR_OP_TABLE_GET:
    case WEIR_OP_TABLE_SET:
    case WEIR_OP_TABLE_SIZE:
    case WEIR_OP_TABLE_GROW:
    case WEIR_OP_TABLE_FILL:
        return check_table(v);
    case WEIR_OP_TABLE_COPY:
        return check_table_copy(v);
    case WEIR_OP_TABLE_INIT:
        return check_table_init(v);
    case WEIR_OP_ELEM_DROP:
        return get_elem(v, v->insn->index, &elem);
    case WEIR_OP_MEMORY_INIT:
        return check_memory_init(v);
    case WEIR_OP_MEMORY_COPY:
        return check_memory_copy(v);
    case WEIR_OP_DATA_DROP:
        return check_data_index(v);
    case WEIR_OP_REF_NULL:
        return weir__validate_push(v, v->insn->type);
    case WEIR_OP_REF_IS_NULL:
        return check_ref_is_null(v);
    case WEIR_OP_REF_FUNC:
        return check_ref_func(v);
    default:
        break;
    }
    WEIR_ASSERT(weir_op_infos[v->insn->op].signature != NULL); /* a rule is missing above */
    return weir__validate_fail(v, WEIR_INVALID, "illegal opcode: %s", weir__validate_op_name(v));
}

enum weir_status weir__validate_memory(struct weir_validator *v, uint32_t index,
                                       weir_wasm_type *ret_type)
{
    if (index >= v->module->memory_count)
        return weir__validate_fail(v, WEIR_INVALID, "unknown memory %u: %s in a module with %u",
                                   (unsigned)index, weir__validate_op_name(v),
                                   (unsigned)v->module->memory_count);
    *ret_type = v->module->memories[index].is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32;
    return WEIR_OK;
}

enum weir_status weir__validate_memarg(struct weir_validator *v, weir_wasm_type *ret_type)
{
    const struct weir_insn *insn = v->insn;
    const struct weir_op_info *info = &weir_op_infos[insn->op];
    weir_wasm_type type = WEIR_TYPE_I32;
    enum weir_status status = weir__validate_memory(v, insn->memory, &type);
    if (status != WEIR_OK)
        return status;
    if (insn->align > 4 || 1u << insn->align > info->width)
        return weir__validate_fail(v, WEIR_INVALID,
                                   "alignment must not be larger than natural: %s of %u bytes, "
                                   "aligned to 2**%u",
                                   info->name, (unsigned)info->width, (unsigned)insn->align);
    if (type == WEIR_TYPE_I32 && insn->mem_offset > UINT32_MAX)
        return weir__validate_fail(v, WEIR_INVALID,
                                   "offset out of range: %llu in a memory with i32 indices",
                                   (unsigned long long)insn->mem_offset);
    if (info->imm == WEIR_IMM_MEMARG_LANE && insn->lane >= 16 / info->width)
        return weir__validate_fail(v, WEIR_INVALID, "invalid lane index %u: %s has %u lanes",
                                   (unsigned)insn->lane, info->name, 16u / info->width);
    *ret_type = type;
    return WEIR_OK;
}
