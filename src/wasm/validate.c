/* Rules of a module as a whole (WebAssembly 2.0, section 3.4), in the order of its sections. */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "wasm/decode_internal.h"
#include "wasm/keyed_hash_internal.h"
#include "wasm/types_text.h"
#include "wasm/validate_internal.h"

/* Pages an index type can address: 2**32 or 2**64 bytes. */
#define PAGES_MAX_32 UINT64_C(65536)
#define PAGES_MAX_64 (UINT64_C(1) << 48)

static uint32_t offset_of(const struct weir_wasm_module *module, const uint8_t *at)
{
    return (uint32_t)(at - module->bytes.data);
}

static const struct weir_wasm_section *find_section(const struct weir_wasm_module *module,
                                                    uint8_t id)
{
    for (uint32_t i = 0; i < module->section_count; i++) {
        if (module->sections[i].id == id)
            return &module->sections[i];
    }
    return NULL;
}

/* Where the type index of a declared function stands; walked only to report it. */
static uint32_t type_index_offset(const struct weir_wasm_module *module, uint32_t declared)
{
    const struct weir_wasm_section *section = find_section(module, 3);
    WEIR_ASSERT(section != NULL);
    uint32_t position = section->offset;
    for (uint32_t i = 0; i <= declared; i++)
        (void)weir_insn_br_target(module, &position); /* the count, then the indices before */
    return position;
}

static uint32_t import_offset(const struct weir_wasm_module *module, uint32_t kind, uint32_t index)
{
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct weir_wasm_import *import = &module->imports[i];
        if (import->kind == kind && import->index == index)
            return offset_of(module, import->name.data + import->name.size) + 1;
    }
    return 0;
}

static enum weir_status check_func_types(const struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    for (uint32_t i = 0; i < module->func_count; i++) {
        if (module->funcs[i].type_index < module->type_count)
            continue;
        uint32_t offset = i < module->func_import_count
                              ? import_offset(module, WEIR_EXTERN_FUNC, i)
                              : type_index_offset(module, i - module->func_import_count);
        return weir__wasm_report(module, v->error, WEIR_INVALID, offset,
                                 "unknown type %u of function %u, the module has %u",
                                 (unsigned)module->funcs[i].type_index, (unsigned)i,
                                 (unsigned)module->type_count);
    }
    return WEIR_OK;
}

static enum weir_status check_limits(const struct weir_validator *v,
                                     const struct weir_limits *limits, uint32_t offset,
                                     const char *what)
{
    if (!limits->has_max || limits->min <= limits->max)
        return WEIR_OK;
    return weir__wasm_report(v->module, v->error, WEIR_INVALID, offset,
                             "size minimum must not be greater than maximum: %s %" PRIu64
                             "..%" PRIu64,
                             what, limits->min, limits->max);
}

static enum weir_status check_memory_type(const struct weir_validator *v, uint32_t index)
{
    const struct weir_limits *limits = &v->module->memories[index];
    uint32_t offset = v->module->memory_offsets[index];
    uint64_t largest = limits->has_max && limits->max > limits->min ? limits->max : limits->min;
    if (!limits->is_64 && largest > PAGES_MAX_32)
        return weir__wasm_report(v->module, v->error, WEIR_INVALID, offset,
                                 "memory size must be at most 65536 pages (4GiB): %" PRIu64,
                                 largest);
    if (largest > PAGES_MAX_64)
        return weir__wasm_report(v->module, v->error, WEIR_INVALID, offset,
                                 "memory size must be at most 2**48 pages: %" PRIu64, largest);
    return check_limits(v, limits, offset, "memory");
}

static enum weir_status check_declarations(const struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    enum weir_status status = check_func_types(v);
    for (uint32_t i = 0; i < module->table_count && status == WEIR_OK; i++)
        status = check_limits(v, &module->tables[i].limits, module->table_offsets[i], "table");
    for (uint32_t i = 0; i < module->memory_count && status == WEIR_OK; i++)
        status = check_memory_type(v, i);
    return status;
}

static void declare(uint64_t *refs, const struct weir_wasm_module *module, uint32_t index)
{
    if (index < module->func_count)
        refs[index / 64] |= UINT64_C(1) << (index % 64);
}

/* The functions that an expression mentions; unknown ones are reported when it is validated. */
static void declare_expr(uint64_t *refs, const struct weir_wasm_module *module,
                         const struct weir_wasm_expr *expr)
{
    struct weir_insn_reader reader = {module, expr->offset, expr->offset + expr->size};
    struct weir_insn insn;
    while (reader.position < reader.end) {
        if (weir_insn_read(&reader, &insn, NULL) != WEIR_OK)
            return;
        if (insn.op == WEIR_OP_REF_FUNC)
            declare(refs, module, insn.index);
    }
}

/* C.refs: the functions that occur outside of bodies and of the start section. */
static enum weir_status collect_refs(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    uint64_t *refs = WEIR_ARENA_ARRAY(v->scratch, uint64_t, (size_t)module->func_count / 64 + 1);
    if (refs == NULL)
        return weir_error_set(v->error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for the set of declared references");
    for (uint32_t i = module->global_import_count; i < module->global_count; i++)
        declare_expr(refs, module, &module->globals[i].init);
    for (uint32_t i = 0; i < module->export_count; i++) {
        if (module->exports[i].kind == WEIR_EXTERN_FUNC)
            declare(refs, module, module->exports[i].index);
    }
    for (uint32_t i = 0; i < module->elem_count; i++) {
        const struct weir_wasm_elem *elem = &module->elems[i];
        for (uint32_t k = 0; k < elem->count; k++) {
            if (elem->func_indices != NULL)
                declare(refs, module, elem->func_indices[k]);
            else
                declare_expr(refs, module, &elem->exprs[k]);
        }
    }
    v->declared_refs = refs;
    return WEIR_OK;
}

/* Globals see those before them: only imported ones in WebAssembly 2.0. */
static enum weir_status check_globals(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    bool is_extended = (module->features & WEIR_FEATURE_EXTENDED_CONST) != 0;
    v->constant_globals = module->global_import_count;
    for (uint32_t i = module->global_import_count; i < module->global_count; i++) {
        const struct weir_wasm_global *global = &module->globals[i];
        enum weir_status status = weir__validate_expr(v, &global->init, global->type.type);
        if (status != WEIR_OK)
            return status;
        if (is_extended)
            v->constant_globals = i + 1;
    }
    return WEIR_OK;
}

static uint32_t index_space(const struct weir_wasm_module *module, enum weir_extern_kind kind,
                            const char **ret_name)
{
    switch (kind) {
    case WEIR_EXTERN_FUNC:
        *ret_name = "function";
        return module->func_count;
    case WEIR_EXTERN_TABLE:
        *ret_name = "table";
        return module->table_count;
    case WEIR_EXTERN_MEMORY:
        *ret_name = "memory";
        return module->memory_count;
    case WEIR_EXTERN_GLOBAL:
        *ret_name = "global";
        return module->global_count;
    }
    *ret_name = "thing";
    return 0;
}

/* Slots hold index + 1; the first of two equal names stays. */
static enum weir_status check_export_names(const struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    struct weir_hash_key key = weir__hash_key();
    size_t slot_count = weir__hash_slots(module->export_count);
    uint32_t *slots = WEIR_ARENA_ARRAY(v->scratch, uint32_t, slot_count);
    if (slots == NULL)
        return weir_error_set(v->error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to compare %u export names",
                              (unsigned)module->export_count);
    for (uint32_t i = 0; i < module->export_count; i++) {
        struct weir_wasm_bytes name = module->exports[i].name;
        size_t slot = weir__hash_bytes(&key, name.data, name.size) & (slot_count - 1);
        for (; slots[slot] != 0; slot = (slot + 1) & (slot_count - 1)) {
            struct weir_wasm_bytes seen = module->exports[slots[slot] - 1].name;
            if (seen.size != name.size || memcmp(seen.data, name.data, name.size) != 0)
                continue;
            return weir__wasm_report(module, v->error, WEIR_INVALID, offset_of(module, name.data),
                                     "duplicate export name: \"%.*s\" is export %u and %u",
                                     (int)(name.size < 80 ? name.size : 80),
                                     (const char *)name.data, (unsigned)slots[slot] - 1,
                                     (unsigned)i);
        }
        slots[slot] = i + 1;
    }
    return WEIR_OK;
}

static enum weir_status check_exports(const struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    for (uint32_t i = 0; i < module->export_count; i++) {
        const struct weir_wasm_export *export = &module->exports[i];
        const char *what;
        uint32_t count = index_space(module, export->kind, &what);
        if (export->index >= count)
            return weir__wasm_report(module, v->error, WEIR_INVALID,
                                     offset_of(module, export->name.data + export->name.size) + 1,
                                     "unknown %s %u in export %u, the module has %u", what,
                                     (unsigned)export->index, (unsigned)i, (unsigned)count);
    }
    return check_export_names(v);
}

static enum weir_status check_start(const struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    uint32_t index = module->start_func;
    const struct weir_wasm_section *section = find_section(module, 8);
    if (section == NULL)
        return WEIR_OK;
    uint32_t offset = section->offset;
    if (index >= module->func_count)
        return weir__wasm_report(module, v->error, WEIR_INVALID, offset,
                                 "unknown function %u to start, the module has %u", (unsigned)index,
                                 (unsigned)module->func_count);
    const struct weir_wasm_func_type *type = &module->types[module->funcs[index].type_index];
    if (type->param_count != 0 || type->result_count != 0)
        return weir__wasm_report(module, v->error, WEIR_INVALID, offset,
                                 "start function %u must have neither parameters nor results",
                                 (unsigned)index);
    return WEIR_OK;
}

static enum weir_status check_elem_target(struct weir_validator *v,
                                          const struct weir_wasm_elem *elem)
{
    const struct weir_wasm_module *module = v->module;
    if (elem->table_index >= module->table_count)
        return weir__wasm_report(module, v->error, WEIR_INVALID, elem->record_offset,
                                 "unknown table %u of an element segment, the module has %u",
                                 (unsigned)elem->table_index, (unsigned)module->table_count);
    const struct weir_wasm_table_type *table = &module->tables[elem->table_index];
    if (table->element != elem->type)
        return weir__wasm_report(module, v->error, WEIR_INVALID, elem->record_offset,
                                 "type mismatch: an element segment of %s for a table of %s",
                                 weir_wasm_type_name(elem->type),
                                 weir_wasm_type_name(table->element));
    return weir__validate_expr(v, &elem->offset,
                               table->limits.is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32);
}

static enum weir_status check_elems(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    for (uint32_t i = 0; i < module->elem_count; i++) {
        const struct weir_wasm_elem *elem = &module->elems[i];
        enum weir_status status = WEIR_OK;
        if (elem->mode == WEIR_SEGMENT_ACTIVE)
            status = check_elem_target(v, elem);
        for (uint32_t k = 0; k < elem->count && status == WEIR_OK; k++) {
            if (elem->exprs != NULL)
                status = weir__validate_expr(v, &elem->exprs[k], elem->type);
            else if (elem->func_indices[k] >= module->func_count)
                status = weir__wasm_report(module, v->error, WEIR_INVALID, elem->record_offset,
                                           "unknown function %u as element %u of segment %u, the "
                                           "module has %u",
                                           (unsigned)elem->func_indices[k], (unsigned)k,
                                           (unsigned)i, (unsigned)module->func_count);
        }
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status check_datas(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    for (uint32_t i = 0; i < module->data_count; i++) {
        const struct weir_wasm_data *data = &module->datas[i];
        if (data->mode != WEIR_SEGMENT_ACTIVE)
            continue;
        if (data->memory_index >= module->memory_count)
            return weir__wasm_report(module, v->error, WEIR_INVALID, data->record_offset,
                                     "unknown memory %u of a data segment, the module has %u",
                                     (unsigned)data->memory_index, (unsigned)module->memory_count);
        bool is_64 = module->memories[data->memory_index].is_64;
        enum weir_status status =
            weir__validate_expr(v, &data->offset, is_64 ? WEIR_TYPE_I64 : WEIR_TYPE_I32);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status check_bodies(struct weir_validator *v)
{
    const struct weir_wasm_module *module = v->module;
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        enum weir_status status = weir__validate_body(v, &module->funcs[i]);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* A module that is malformed anywhere is malformed, whatever rule it breaks before. Bodies are read
 * while they are validated, so after a broken rule the rest is only read. */
static enum weir_status prefer_malformed(const struct weir_wasm_module *module,
                                         struct weir_error *error)
{
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        const struct weir_wasm_func *func = &module->funcs[i];
        uint32_t end = func->body_offset + func->body_size;
        struct weir_error other = {0};
        if (weir__scan_body(module, func, end, &other) == WEIR_MALFORMED) {
            *error = other;
            return WEIR_MALFORMED;
        }
    }
    return WEIR_INVALID;
}

static enum weir_status check_module(struct weir_validator *v)
{
    enum weir_status status = check_declarations(v);
    if (status == WEIR_OK)
        status = collect_refs(v);
    if (status == WEIR_OK)
        status = check_globals(v);
    if (status == WEIR_OK)
        status = check_exports(v);
    if (status == WEIR_OK)
        status = check_start(v);
    if (status == WEIR_OK)
        status = check_elems(v);
    if (status == WEIR_OK)
        status = check_bodies(v);
    if (status == WEIR_OK)
        status = check_datas(v);
    return status;
}

enum weir_status weir_wasm_validate(struct weir_wasm_module *module, struct weir_arena *scratch,
                                    struct weir_error *error)
{
    struct weir_error found = {0};
    struct weir_validator v = {.module = module, .scratch = scratch, .error = &found};
    enum weir_status status = check_module(&v);
    if (status == WEIR_INVALID)
        status = prefer_malformed(module, &found);
    if (error != NULL && error->status == WEIR_OK)
        *error = found;
    return status;
}
