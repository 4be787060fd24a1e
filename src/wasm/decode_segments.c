/* Sections with content: element, data count, code, data. */
#include "wasm/decode_internal.h"

/* Element segments: bit 0 passive or declarative, bit 1 explicit table (or declarative), bit 2
 * expressions in the place of function indices (WebAssembly 2.0, section 5.5.12). */
enum elem_flag {
    ELEM_PASSIVE = 1,
    ELEM_EXPLICIT = 2,
    ELEM_EXPRESSIONS = 4
};

static void read_elem_head(struct weir_wasm_decoder *d, uint32_t flags, struct weir_wasm_elem *elem)
{
    elem->type = WEIR_TYPE_FUNCREF;
    if ((flags & ELEM_PASSIVE) == 0) {
        elem->mode = WEIR_SEGMENT_ACTIVE;
        elem->table_index = (flags & ELEM_EXPLICIT) != 0 ? weir__decode_u32(d, "a table index") : 0;
        elem->offset = weir__decode_expr(d);
    } else {
        elem->mode = (flags & ELEM_EXPLICIT) != 0 ? WEIR_SEGMENT_DECLARATIVE : WEIR_SEGMENT_PASSIVE;
    }
    if ((flags & (ELEM_PASSIVE | ELEM_EXPLICIT)) == 0)
        return;
    if ((flags & ELEM_EXPRESSIONS) != 0) {
        elem->type = weir__decode_reference_type(d);
        return;
    }
    uint32_t start = weir__decode_position(d);
    uint8_t kind = weir__decode_byte(d, "an element kind");
    if (kind != 0)
        weir__decode_fail(d, WEIR_MALFORMED, start, "malformed element kind: 0x%02x", kind);
}

static void read_elem_items(struct weir_wasm_decoder *d, uint32_t flags,
                            struct weir_wasm_elem *elem)
{
    uint64_t max = d->module->limits.elem_segment_entries_max;
    bool is_expr = (flags & ELEM_EXPRESSIONS) != 0;
    /* The shortest expression that is well formed is a lone end. */
    uint32_t count = weir__decode_count(d, max, 0, 1, "elements");
    uint32_t *indices = NULL;
    struct weir_wasm_expr *exprs = NULL;
    if (is_expr)
        exprs = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_expr, count);
    else
        indices = WEIR_ARENA_ARRAY(d->arena, uint32_t, count);
    if (exprs == NULL && indices == NULL)
        weir__decode_no_memory(d);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        if (exprs != NULL)
            exprs[i] = weir__decode_expr(d);
        else if (indices != NULL)
            indices[i] = weir__decode_u32(d, "a function index");
    }
    elem->count = count;
    elem->func_indices = indices;
    elem->exprs = exprs;
}

void weir__decode_elems(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t count =
        weir__decode_count(d, module->limits.elem_segments_max, 0, 3, "element segments");
    struct weir_wasm_elem *elems = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_elem, count);
    if (elems == NULL)
        weir__decode_no_memory(d);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        uint32_t start = weir__decode_position(d);
        uint32_t flags = weir__decode_u32(d, "an element segment");
        elems[i].record_offset = start;
        if (flags > 7)
            weir__decode_fail(d, WEIR_MALFORMED, start, "malformed elements segment kind: %u",
                              (unsigned)flags);
        if (flags != 0)
            weir__decode_need(d, start, WEIR_FEATURE_BULK_MEMORY, NULL,
                              "an element segment that is not plain");
        if ((flags & 3) == 3)
            weir__decode_need(d, start, WEIR_FEATURE_REFERENCE_TYPES, NULL,
                              "a declarative element segment");
        read_elem_head(d, flags, &elems[i]);
        read_elem_items(d, flags, &elems[i]);
    }
    module->elems = elems;
    module->elem_count = count;
}

void weir__decode_data_count(struct weir_wasm_decoder *d)
{
    uint32_t start = weir__decode_position(d);
    uint64_t max = d->module->limits.data_segments_max;
    weir__decode_need(d, start, WEIR_FEATURE_BULK_MEMORY, NULL, "the data count section");
    d->data_declared_count = weir__decode_u32(d, "the data count");
    if (d->data_declared_count > max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "%u data segments, the limit is %llu",
                          (unsigned)d->data_declared_count, (unsigned long long)max);
    d->module->has_data_count = true;
}

/* Groups stay as they are written: expanding them would let two bytes ask for megabytes. */
static void read_locals(struct weir_wasm_decoder *d, struct weir_wasm_func *func)
{
    const struct weir_wasm_module *module = d->module;
    uint32_t start = weir__decode_position(d);
    uint32_t count = weir__decode_count(d, UINT32_MAX, 0, 2, "groups of locals");
    struct weir_wasm_local_group *groups = NULL;
    if (count > 0) {
        groups = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_local_group, count);
        if (groups == NULL)
            weir__decode_no_memory(d);
    }
    /* An index that does not exist is the validator's to report. */
    uint64_t total =
        func->type_index < module->type_count ? module->types[func->type_index].param_count : 0;
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        groups[i].count = weir__decode_u32(d, "locals");
        groups[i].type = weir__decode_value_type(d);
        total += groups[i].count;
    }
    if (total > UINT32_MAX)
        weir__decode_fail(d, WEIR_MALFORMED, start, "too many locals: %llu",
                          (unsigned long long)total);
    if (total > module->limits.locals_max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start,
                          "too many locals: %llu with the parameters, the limit is %llu",
                          (unsigned long long)total, (unsigned long long)module->limits.locals_max);
    func->local_group_count = count;
    func->local_groups = groups;
    func->local_count = (uint32_t)total;
}

static void read_body(struct weir_wasm_decoder *d, struct weir_wasm_func *func)
{
    uint32_t start = weir__decode_position(d);
    struct weir_wasm_bytes body = weir__decode_bytes(d, "function body");
    uint64_t max = d->module->limits.body_bytes_max;
    if (d->status != WEIR_OK)
        return;
    func->body_offset = (uint32_t)(body.data - d->module->bytes.data);
    func->body_size = (uint32_t)body.size;
    if (body.size > max) {
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "function body of %zu bytes, the limit is %llu",
                          body.size, (unsigned long long)max);
        return;
    }
    const uint8_t *end = body.data + body.size;
    d->cursor.at = body.data;
    read_locals(d, func);
    if (d->status == WEIR_OK && d->cursor.at > end)
        weir__decode_fail(d, WEIR_MALFORMED, func->body_offset + func->body_size,
                          "section size mismatch: the locals go beyond the body");
    if (d->status != WEIR_OK)
        return;
    func->code_offset = weir__decode_position(d);
    d->cursor.at = end;
}

/* That there are as many bodies as functions is checked at the very end, as the tests expect;
 * those beyond are read and forgotten. */
void weir__decode_code(struct weir_wasm_decoder *d)
{
    uint32_t count = weir__decode_count(d, d->module->limits.functions_max, 0, 1, "bodies");
    d->body_count = d->last_count;
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        struct weir_wasm_func spare = {.type_index = WEIR_WASM_NONE};
        bool is_declared = i < d->func_declared_count;
        read_body(d, is_declared ? &d->funcs[d->module->func_import_count + i] : &spare);
    }
}

static void read_data(struct weir_wasm_decoder *d, struct weir_wasm_data *data)
{
    uint32_t start = weir__decode_position(d);
    uint32_t flags = weir__decode_u32(d, "a data segment");
    data->record_offset = start;
    if (flags > 2)
        weir__decode_fail(d, WEIR_MALFORMED, start, "malformed data segment kind: %u",
                          (unsigned)flags);
    if (flags != 0)
        weir__decode_need(d, start, WEIR_FEATURE_BULK_MEMORY, NULL,
                          "a data segment that is not plain");
    data->mode = flags == 1 ? WEIR_SEGMENT_PASSIVE : WEIR_SEGMENT_ACTIVE;
    if (flags == 2)
        data->memory_index = weir__decode_u32(d, "a memory index");
    if (data->mode == WEIR_SEGMENT_ACTIVE)
        data->offset = weir__decode_expr(d);
    data->bytes = weir__decode_bytes(d, "data segment");
}

void weir__decode_datas(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t count = weir__decode_count(d, module->limits.data_segments_max, 0, 2, "data segments");
    struct weir_wasm_data *datas = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_data, count);
    if (datas == NULL)
        weir__decode_no_memory(d);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++)
        read_data(d, &datas[i]);
    module->datas = datas;
    module->data_count = count;
}
