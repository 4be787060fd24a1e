/* From the decoded module to the artifact's tables: escapes, types, imports, exports, limits,
 * functions, names. Nothing here looks at code. */
#include <string.h>

#include "compiler/compiler_internal.h"
#include "wasm/insn.h"
#include "wasm/names.h"

/* --- functions that escape --- */

static enum weir_status mark_expr(struct weir_compilation *compilation,
                                  const struct weir_wasm_expr *expr, struct weir_error *error)
{
    struct weir_insn_reader reader = {compilation->module, expr->offset, expr->offset + expr->size};
    while (reader.position < reader.end) {
        struct weir_insn insn;
        enum weir_status status = weir_insn_read(&reader, &insn, error);
        if (status != WEIR_OK)
            return status;
        if (insn.op == WEIR_OP_REF_FUNC)
            compilation->escape_index[insn.index] = 0;
    }
    return WEIR_OK;
}

static enum weir_status mark_elem(struct weir_compilation *compilation,
                                  const struct weir_wasm_elem *elem, struct weir_error *error)
{
    for (uint32_t i = 0; i < elem->count; i++) {
        if (elem->func_indices != NULL) {
            compilation->escape_index[elem->func_indices[i]] = 0;
            continue;
        }
        enum weir_status status = mark_expr(compilation, &elem->exprs[i], error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir__compile_escapes(struct weir_compilation *compilation,
                                       struct weir_error *error)
{
    const struct weir_wasm_module *module = compilation->module;
    uint32_t *escapes = WEIR_ARENA_ARRAY(compilation->arena, uint32_t, module->func_count);
    if (escapes == NULL)
        return weir__compile_no_memory(compilation, error);
    compilation->escape_index = escapes;
    for (uint32_t i = 0; i < module->func_count; i++)
        escapes[i] = WEIR_ARTIFACT_NONE;
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == WEIR_EXTERN_FUNC)
            escapes[module->exports[i].index] = 0;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < module->elem_count && status == WEIR_OK; i++)
        status = mark_elem(compilation, &module->elems[i], error);
    for (uint32_t i = 0; i < module->global_count && status == WEIR_OK; i++)
        status = mark_expr(compilation, &module->globals[i].init, error);
    uint32_t count = 0;
    for (uint32_t i = 0; i < module->func_count; i++)
        if (escapes[i] != WEIR_ARTIFACT_NONE)
            escapes[i] = count++;
    compilation->escape_count = count;
    return status;
}

/* --- types --- */

static bool fill_types(struct weir_compilation *compilation)
{
    const struct weir_wasm_module *module = compilation->module;
    size_t value_count = 0;
    for (uint32_t i = 0; i < module->type_count; i++)
        value_count += (size_t)module->types[i].param_count + module->types[i].result_count;
    struct weir_artifact_type *types =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_type, module->type_count);
    uint32_t *values = WEIR_ARENA_ARRAY(compilation->arena, uint32_t, value_count);
    if (types == NULL || values == NULL)
        return false;
    uint32_t used = 0;
    for (uint32_t i = 0; i < module->type_count; i++) {
        const struct weir_wasm_func_type *type = &module->types[i];
        types[i].params = used;
        types[i].param_count = type->param_count;
        for (uint32_t k = 0; k < type->param_count; k++)
            values[used++] = type->params[k];
        types[i].results = used;
        types[i].result_count = type->result_count;
        for (uint32_t k = 0; k < type->result_count; k++)
            values[used++] = type->results[k];
    }
    compilation->content.types = (struct weir_artifact_pool){types, module->type_count};
    compilation->content.value_types = (struct weir_artifact_pool){values, used};
    return true;
}

static bool fill_limits(struct weir_compilation *compilation)
{
    const struct weir_wasm_module *module = compilation->module;
    struct weir_artifact_limits *memories =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_limits, module->memory_count);
    struct weir_artifact_limits *tables =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_limits, module->table_count);
    if (memories == NULL || tables == NULL)
        return false;
    for (uint32_t i = 0; i < module->memory_count; i++) {
        const struct weir_limits *limits = &module->memories[i];
        memories[i] = (struct weir_artifact_limits){
            limits->min, limits->has_max ? limits->max : UINT64_MAX, limits->is_64, 0};
    }
    for (uint32_t i = 0; i < module->table_count; i++) {
        const struct weir_limits *limits = &module->tables[i].limits;
        tables[i] =
            (struct weir_artifact_limits){limits->min, limits->has_max ? limits->max : UINT64_MAX,
                                          limits->is_64, module->tables[i].element};
    }
    compilation->content.memories = (struct weir_artifact_pool){memories, module->memory_count};
    compilation->content.tables = (struct weir_artifact_pool){tables, module->table_count};
    return true;
}

/* --- names --- */

struct string_pool {
    char *bytes;
    size_t used;
    size_t room;
};

static struct weir_artifact_string add_string(struct string_pool *pool,
                                              const struct weir_wasm_bytes *bytes)
{
    struct weir_artifact_string string = {(uint32_t)pool->used, (uint32_t)bytes->size};
    if (bytes->size > 0)
        memcpy(pool->bytes + pool->used, bytes->data, bytes->size);
    pool->used += bytes->size;
    return string;
}

static bool fill_externs(struct weir_compilation *compilation, struct string_pool *pool)
{
    const struct weir_wasm_module *module = compilation->module;
    struct weir_artifact_import *imports =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_import, module->import_count);
    struct weir_artifact_export *exports =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_export, module->export_count);
    if (imports == NULL || exports == NULL)
        return false;
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct weir_wasm_import *import = &module->imports[i];
        bool is_func = import->kind == WEIR_EXTERN_FUNC;
        imports[i].module = add_string(pool, &import->module);
        imports[i].name = add_string(pool, &import->name);
        imports[i].kind = (uint32_t)import->kind;
        imports[i].type = is_func ? module->funcs[import->index].type_index : import->index;
    }
    for (uint32_t i = 0; i < module->export_count; i++) {
        exports[i].name = add_string(pool, &module->exports[i].name);
        exports[i].kind = (uint32_t)module->exports[i].kind;
        exports[i].index = module->exports[i].index;
    }
    compilation->content.imports = (struct weir_artifact_pool){imports, module->import_count};
    compilation->content.exports = (struct weir_artifact_pool){exports, module->export_count};
    return true;
}

static bool fill_func_names(struct weir_compilation *compilation,
                            const struct weir_wasm_bytes *names, struct string_pool *pool)
{
    uint32_t count = compilation->module->func_count;
    bool has_any = false;
    for (uint32_t i = 0; i < count; i++)
        has_any = has_any || names[i].size > 0;
    if (!has_any)
        return true;
    struct weir_artifact_string *strings =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_string, count);
    if (strings == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        strings[i] = add_string(pool, &names[i]);
    compilation->content.func_names = (struct weir_artifact_pool){strings, count};
    return true;
}

static size_t string_bytes(const struct weir_wasm_module *module,
                           const struct weir_wasm_bytes *names)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < module->import_count; i++)
        bytes += module->imports[i].module.size + module->imports[i].name.size;
    for (uint32_t i = 0; i < module->export_count; i++)
        bytes += module->exports[i].name.size;
    for (uint32_t i = 0; i < module->func_count; i++)
        bytes += names[i].size;
    return bytes;
}

enum weir_status weir__compile_tables(struct weir_compilation *compilation,
                                      struct weir_error *error)
{
    const struct weir_wasm_module *module = compilation->module;
    const struct weir_wasm_bytes *names = NULL;
    enum weir_status status = weir_wasm_func_names(module, compilation->arena, &names, error);
    if (status != WEIR_OK)
        return status;
    struct string_pool pool = {.room = string_bytes(module, names)};
    pool.bytes = weir_arena_alloc(compilation->arena, pool.room, 1);
    if (pool.bytes == NULL || !fill_types(compilation) || !fill_limits(compilation) ||
        !fill_externs(compilation, &pool) || !fill_func_names(compilation, names, &pool))
        return weir__compile_no_memory(compilation, error);
    compilation->content.strings = (struct weir_artifact_pool){pool.bytes, pool.used};
    return WEIR_OK;
}

/* --- functions --- */

enum weir_status weir__compile_funcs(struct weir_compilation *compilation, struct weir_error *error)
{
    const struct weir_wasm_module *module = compilation->module;
    const struct weir_code *code = &compilation->code;
    struct weir_artifact_func *funcs =
        WEIR_ARENA_ARRAY(compilation->arena, struct weir_artifact_func, module->func_count);
    if (funcs == NULL)
        return weir__compile_no_memory(compilation, error);
    for (uint32_t i = 0; i < module->func_count; i++) {
        funcs[i].type_index = module->funcs[i].type_index;
        funcs[i].escape_index = compilation->escape_index[i];
        funcs[i].text_offset = WEIR_ARTIFACT_NONE;
        if (i < module->func_import_count)
            continue;
        const struct weir_code_func *made = &code->funcs[i - module->func_import_count];
        funcs[i].body_offset = module->funcs[i].body_offset;
        funcs[i].text_offset = made->text_offset;
        funcs[i].text_size = made->text_size;
        funcs[i].first_site = made->first_site;
        funcs[i].site_count = made->site_count;
    }
    compilation->content.funcs = (struct weir_artifact_pool){funcs, module->func_count};
    compilation->content.trap_sites = (struct weir_artifact_pool){code->sites, code->site_count};
    return WEIR_OK;
}
