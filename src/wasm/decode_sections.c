/* Sections that declare things: type, import, function, table, memory, global, export, start. */
#include <string.h>

#include "wasm/decode_internal.h"

static const weir_wasm_type *read_vector(struct weir_wasm_decoder *d, uint64_t max,
                                         const char *what, uint32_t *ret_count)
{
    uint32_t count = weir__decode_count(d, max, 0, 1, what);
    weir_wasm_type *types = WEIR_ARENA_ARRAY(d->arena, weir_wasm_type, count);
    if (types == NULL)
        weir__decode_no_memory(d);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++)
        types[i] = weir__decode_value_type(d);
    *ret_count = count;
    return types;
}

void weir__decode_types(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t count = weir__decode_count(d, module->limits.types_max, 0, 3, "types");
    d->types = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_func_type, count);
    if (d->types == NULL)
        weir__decode_no_memory(d);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        struct weir_wasm_func_type *type = &d->types[i];
        uint32_t start = weir__decode_position(d);
        /* A signed number of seven bits, so 0xe0 0x7f is a long form of the same. */
        uint8_t form = weir__decode_byte(d, "a type");
        if (d->status == WEIR_OK && form != 0x60)
            weir__decode_fail(d, WEIR_MALFORMED, start,
                              "%s: type form 0x%02x, only functions "
                              "(0x60) are known",
                              form >= 0x80 ? "integer representation too long"
                                           : "malformed definition type",
                              form);
        type->params = read_vector(d, module->limits.params_max, "parameters", &type->param_count);
        start = weir__decode_position(d);
        type->results = read_vector(d, module->limits.results_max, "results", &type->result_count);
        if (type->result_count > 1)
            weir__decode_need(d, start, WEIR_FEATURE_MULTI_VALUE, NULL, "more than one result");
    }
    if (d->status == WEIR_OK && weir__types_canonicalise(d->types, count, d->arena) != WEIR_OK)
        weir__decode_no_memory(d);
    module->types = d->types;
    module->type_count = d->status == WEIR_OK ? count : 0;
}

/* Flags of a limit: bit 0 a maximum, bit 1 shared (threads, unknown here), bit 2 index type i64. */
static struct weir_limits read_limits(struct weir_wasm_decoder *d, uint32_t feature_64,
                                      const char *what)
{
    struct weir_limits limits = {0};
    uint32_t start = weir__decode_position(d);
    uint32_t flags = weir__decode_byte(d, "limits");
    /* WebAssembly 2.0 reads a number of one bit here; a third bit came with the i64 index types. */
    bool is_old = (d->module->features & feature_64) == 0;
    const char *reason = !is_old         ? "malformed limits flags"
                         : flags >= 0x80 ? "integer representation too long"
                                         : "integer too large";
    if (flags > 7 || (flags & 2) != 0)
        weir__decode_fail(d, WEIR_MALFORMED, start, "%s: 0x%02x as flags of a %s%s", reason,
                          (unsigned)flags, what,
                          flags == 2 || flags == 3 ? " (shared is not supported)" : "");
    limits.has_max = (flags & 1) != 0;
    limits.is_64 = (flags & 4) != 0;
    if (limits.is_64)
        weir__decode_need(d, start, feature_64, reason, "an i64 index type");
    if (is_old) {
        limits.min = weir__decode_u32(d, "limits");
        limits.max = limits.has_max ? weir__decode_u32(d, "limits") : 0;
    } else {
        limits.min = weir__decode_u64(d, "limits");
        limits.max = limits.has_max ? weir__decode_u64(d, "limits") : 0;
    }
    return limits;
}

static void read_table(struct weir_wasm_decoder *d, uint32_t index)
{
    uint64_t max = d->module->limits.table_entries_max;
    uint32_t start = weir__decode_position(d);
    d->table_offsets[index] = start;
    d->tables[index].element = weir__decode_reference_type(d);
    d->tables[index].limits = read_limits(d, WEIR_FEATURE_TABLE64, "table");
    if (index > 0)
        weir__decode_need(d, start, WEIR_FEATURE_REFERENCE_TYPES, "multiple tables",
                          "a second table");
    /* A minimum above its own maximum is for the validator to report. */
    const struct weir_limits *limits = &d->tables[index].limits;
    if (limits->min > max && (!limits->has_max || limits->min <= limits->max))
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "table of %llu entries, the limit is %llu",
                          (unsigned long long)limits->min, (unsigned long long)max);
}

static void read_memory(struct weir_wasm_decoder *d, uint32_t index)
{
    uint64_t max = d->module->limits.memory_pages_max;
    uint32_t start = weir__decode_position(d);
    struct weir_limits limits = read_limits(d, WEIR_FEATURE_MEMORY64, "memory");
    d->memory_offsets[index] = start;
    d->memories[index] = limits;
    if (index > 0)
        weir__decode_need(d, start, WEIR_FEATURE_MULTI_MEMORY, "multiple memories",
                          "a second memory");
    /* What the specification itself forbids is for the validator to say. */
    if (limits.min > max && limits.min <= (limits.is_64 ? UINT64_C(1) << 48 : 65536))
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "memory size of %llu pages, the limit is %llu",
                          (unsigned long long)limits.min, (unsigned long long)max);
}

static struct weir_wasm_global_type read_global_type(struct weir_wasm_decoder *d)
{
    struct weir_wasm_global_type type = {.type = weir__decode_value_type(d)};
    uint32_t start = weir__decode_position(d);
    uint8_t mutability = weir__decode_byte(d, "a global type");
    if (mutability > 1)
        weir__decode_fail(d, WEIR_MALFORMED, start, "malformed mutability: 0x%02x", mutability);
    type.is_mutable = mutability == 1;
    return type;
}

static void read_import_type(struct weir_wasm_decoder *d, struct weir_wasm_import *import)
{
    struct weir_wasm_module *module = d->module;
    uint32_t start = weir__decode_position(d);
    switch (import->kind) {
    case WEIR_EXTERN_FUNC:
        import->index = module->func_count++;
        d->funcs[import->index].type_index = weir__decode_u32(d, "an import");
        break;
    case WEIR_EXTERN_TABLE:
        import->index = module->table_count++;
        read_table(d, import->index);
        break;
    case WEIR_EXTERN_MEMORY:
        import->index = module->memory_count++;
        read_memory(d, import->index);
        break;
    case WEIR_EXTERN_GLOBAL:
        import->index = module->global_count++;
        d->globals[import->index].type = read_global_type(d);
        if (d->globals[import->index].type.is_mutable)
            weir__decode_need(d, start, WEIR_FEATURE_MUTABLE_GLOBALS, NULL,
                              "an imported mutable global");
        break;
    }
}

static struct weir_wasm_import read_import_name(struct weir_wasm_decoder *d)
{
    struct weir_wasm_import import = {0};
    import.module = weir__decode_name(d, "import module name");
    import.name = weir__decode_name(d, "import name");
    uint32_t start = weir__decode_position(d);
    uint8_t kind = weir__decode_byte(d, "an import");
    if (kind > WEIR_EXTERN_GLOBAL)
        weir__decode_fail(d, WEIR_MALFORMED, start, "malformed import kind: 0x%02x", kind);
    else
        import.kind = (enum weir_extern_kind)kind;
    return import;
}

/* Limits per kind of the import section alone; the declaring sections count both. */
static void check_import_counts(struct weir_wasm_decoder *d, uint32_t start)
{
    const struct weir_wasm_module *module = d->module;
    if (module->table_count > module->limits.tables_max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "%u tables, the limit is %llu",
                          (unsigned)module->table_count,
                          (unsigned long long)module->limits.tables_max);
    if (module->memory_count > module->limits.memories_max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "%u memories, the limit is %llu",
                          (unsigned)module->memory_count,
                          (unsigned long long)module->limits.memories_max);
    if (module->global_count > module->limits.globals_max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "%u globals, the limit is %llu",
                          (unsigned)module->global_count,
                          (unsigned long long)module->limits.globals_max);
    if (module->func_count > module->limits.functions_max)
        weir__decode_fail(d, WEIR_TOO_LARGE, start, "%u functions, the limit is %llu",
                          (unsigned)module->func_count,
                          (unsigned long long)module->limits.functions_max);
}

/* The index spaces grow by at most `count` entries each, so room is made once; the sections that
 * declare more of a kind copy into an array of the right size. */
static bool make_room(struct weir_wasm_decoder *d, uint32_t count)
{
    uint64_t tables =
        count < d->module->limits.tables_max + 1 ? count : d->module->limits.tables_max + 1;
    uint64_t memories =
        count < d->module->limits.memories_max + 1 ? count : d->module->limits.memories_max + 1;
    d->funcs = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_func, count);
    d->globals = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_global, count);
    d->tables = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_table_type, tables);
    d->table_offsets = WEIR_ARENA_ARRAY(d->arena, uint32_t, tables);
    d->memories = WEIR_ARENA_ARRAY(d->arena, struct weir_limits, memories);
    d->memory_offsets = WEIR_ARENA_ARRAY(d->arena, uint32_t, memories);
    return d->funcs != NULL && d->globals != NULL && d->tables != NULL &&
           d->table_offsets != NULL && d->memories != NULL && d->memory_offsets != NULL;
}

static void publish(struct weir_wasm_decoder *d)
{
    d->module->funcs = d->funcs;
    d->module->globals = d->globals;
    d->module->tables = d->tables;
    d->module->table_offsets = d->table_offsets;
    d->module->memories = d->memories;
    d->module->memory_offsets = d->memory_offsets;
}

void weir__decode_imports(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t count = weir__decode_count(d, module->limits.imports_max, 0, 4, "imports");
    struct weir_wasm_import *imports = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_import, count);
    if (imports == NULL || !make_room(d, count))
        weir__decode_no_memory(d);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        uint32_t start = weir__decode_position(d);
        imports[i] = read_import_name(d);
        if (d->status != WEIR_OK)
            break;
        read_import_type(d, &imports[i]);
        check_import_counts(d, start);
        module->import_count = i + 1;
    }
    module->imports = imports;
    module->func_import_count = module->func_count;
    module->table_import_count = module->table_count;
    module->memory_import_count = module->memory_count;
    module->global_import_count = module->global_count;
    publish(d);
}

/* An array of `present` + `count` entries that begins with the present ones. */
static void *grow(struct weir_wasm_decoder *d, const void *old, uint32_t present, uint32_t count,
                  size_t size)
{
    void *grown = weir_arena_alloc_array(d->arena, (size_t)present + count, size, 16);
    if (grown == NULL)
        weir__decode_no_memory(d);
    else if (present > 0)
        memcpy(grown, old, present * size);
    return grown;
}

void weir__decode_functions(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t present = module->func_count;
    uint32_t count = weir__decode_count(d, module->limits.functions_max, present, 1, "functions");
    struct weir_wasm_func *funcs = grow(d, d->funcs, present, count, sizeof *funcs);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++)
        funcs[present + i].type_index = weir__decode_u32(d, "a type index");
    if (d->status != WEIR_OK)
        return;
    d->funcs = funcs;
    d->func_declared_count = count;
    module->func_count = present + count;
    publish(d);
}

void weir__decode_tables(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t present = module->table_count;
    uint32_t count = weir__decode_count(d, module->limits.tables_max, present, 3, "tables");
    d->tables = grow(d, d->tables, present, count, sizeof *d->tables);
    d->table_offsets = grow(d, d->table_offsets, present, count, sizeof *d->table_offsets);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++)
        read_table(d, present + i);
    if (d->status != WEIR_OK)
        return;
    module->table_count = present + count;
    publish(d);
}

void weir__decode_memories(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t present = module->memory_count;
    uint32_t count = weir__decode_count(d, module->limits.memories_max, present, 2, "memories");
    d->memories = grow(d, d->memories, present, count, sizeof *d->memories);
    d->memory_offsets = grow(d, d->memory_offsets, present, count, sizeof *d->memory_offsets);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++)
        read_memory(d, present + i);
    if (d->status != WEIR_OK)
        return;
    module->memory_count = present + count;
    publish(d);
}

void weir__decode_globals(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t present = module->global_count;
    uint32_t count = weir__decode_count(d, module->limits.globals_max, present, 3, "globals");
    d->globals = grow(d, d->globals, present, count, sizeof *d->globals);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        struct weir_wasm_global *global = &d->globals[present + i];
        global->type = read_global_type(d);
        global->init = weir__decode_expr(d);
    }
    if (d->status != WEIR_OK)
        return;
    module->global_count = present + count;
    publish(d);
}

void weir__decode_exports(struct weir_wasm_decoder *d)
{
    struct weir_wasm_module *module = d->module;
    uint32_t count = weir__decode_count(d, module->limits.exports_max, 0, 3, "exports");
    struct weir_wasm_export *exports = WEIR_ARENA_ARRAY(d->arena, struct weir_wasm_export, count);
    if (exports == NULL)
        weir__decode_no_memory(d);
    for (uint32_t i = 0; i < count && d->status == WEIR_OK; i++) {
        exports[i].name = weir__decode_name(d, "export name");
        uint32_t start = weir__decode_position(d);
        uint8_t kind = weir__decode_byte(d, "an export");
        if (kind > WEIR_EXTERN_GLOBAL)
            weir__decode_fail(d, WEIR_MALFORMED, start, "malformed export kind: 0x%02x", kind);
        exports[i].kind = (enum weir_extern_kind)(kind & 3);
        exports[i].index = weir__decode_u32(d, "an export");
        if (kind == WEIR_EXTERN_GLOBAL && exports[i].index < module->global_count &&
            module->globals[exports[i].index].type.is_mutable)
            weir__decode_need(d, start, WEIR_FEATURE_MUTABLE_GLOBALS, NULL,
                              "an exported mutable global");
    }
    module->exports = exports;
    module->export_count = count;
}

void weir__decode_start(struct weir_wasm_decoder *d)
{
    d->module->start_func = weir__decode_u32(d, "the start function");
}
