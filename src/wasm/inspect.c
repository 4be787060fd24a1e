/* Facts about a module; see inspect.h. */
#include "wasm/inspect.h"

#include "wasm/names_internal.h"
#include "wasm/types_text.h"

#define FEATURES_ALL UINT32_MAX

static enum weir_status no_memory(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                          "no memory for the facts about a module");
}

static uint32_t section_entries(const struct weir_wasm_module *module, uint8_t id)
{
    switch (id) {
    case 1:
        return module->type_count;
    case 2:
        return module->import_count;
    case 3:
    case 10:
        return module->func_count - module->func_import_count;
    case 4:
        return module->table_count - module->table_import_count;
    case 5:
        return module->memory_count - module->memory_import_count;
    case 6:
        return module->global_count - module->global_import_count;
    case 7:
        return module->export_count;
    case 9:
        return module->elem_count;
    case 11:
        return module->data_count;
    default:
        return 0;
    }
}

static enum weir_status collect_sections(const struct weir_wasm_module *module,
                                         struct weir_arena *arena, struct weir_wasm_facts *facts,
                                         struct weir_error *error)
{
    struct weir_wasm_section_fact *sections =
        WEIR_ARENA_ARRAY(arena, struct weir_wasm_section_fact, module->section_count);
    if (sections == NULL)
        return no_memory(error);
    for (uint32_t i = 0; i < module->section_count; i++) {
        const struct weir_wasm_section *section = &module->sections[i];
        sections[i] = (struct weir_wasm_section_fact){
            .name = weir_wasm_section_name(section->id),
            .custom_name = section->name,
            .payload = {module->bytes.data + section->offset, section->size},
            .offset = section->offset,
            .entries = section_entries(module, section->id),
            .id = section->id,
        };
    }
    facts->sections = sections;
    facts->section_count = module->section_count;
    return WEIR_OK;
}

/* Texts of function types are shared by canonical type: a million imports may have one long type.
 */
struct text_maker {
    const struct weir_wasm_module *module;
    struct weir_arena *arena;
    const char **func_texts;
};

/* Length of the text, as snprintf. */
static size_t put_other(const struct weir_wasm_module *module, enum weir_extern_kind kind,
                        uint32_t index, char *buffer, size_t size)
{
    switch (kind) {
    case WEIR_EXTERN_TABLE:
        return weir_wasm_table_type_text(&module->tables[index], buffer, size);
    case WEIR_EXTERN_MEMORY:
        return weir_wasm_memory_type_text(&module->memories[index], buffer, size);
    default:
        return weir_wasm_global_type_text(&module->globals[index].type, buffer, size);
    }
}

static const char *make_func_text(const struct text_maker *maker, uint32_t index)
{
    uint32_t type_index = maker->module->funcs[index].type_index;
    if (type_index >= maker->module->type_count)
        return "unknown";
    const struct weir_wasm_func_type *type = &maker->module->types[type_index];
    if (maker->func_texts[type->canonical] != NULL)
        return maker->func_texts[type->canonical];
    size_t size = weir_wasm_func_type_text(type, NULL, 0) + 1;
    char *text = weir_arena_alloc(maker->arena, size, 1);
    if (text != NULL)
        (void)weir_wasm_func_type_text(type, text, size);
    maker->func_texts[type->canonical] = text;
    return text;
}

/* "unknown" for an index that does not exist, NULL without memory. */
static const char *make_text(const struct text_maker *maker, enum weir_extern_kind kind,
                             uint32_t index)
{
    const struct weir_wasm_module *module = maker->module;
    uint32_t count = kind == WEIR_EXTERN_FUNC     ? module->func_count
                     : kind == WEIR_EXTERN_TABLE  ? module->table_count
                     : kind == WEIR_EXTERN_MEMORY ? module->memory_count
                                                  : module->global_count;
    if (index >= count)
        return "unknown";
    if (kind == WEIR_EXTERN_FUNC)
        return make_func_text(maker, index);
    size_t size = put_other(module, kind, index, NULL, 0) + 1;
    char *text = weir_arena_alloc(maker->arena, size, 1);
    if (text != NULL)
        (void)put_other(module, kind, index, text, size);
    return text;
}

static enum weir_status collect_externs(const struct weir_wasm_module *module,
                                        struct weir_arena *arena, struct weir_wasm_facts *facts,
                                        struct weir_error *error)
{
    struct weir_wasm_extern_fact *imports =
        WEIR_ARENA_ARRAY(arena, struct weir_wasm_extern_fact, module->import_count);
    struct weir_wasm_extern_fact *exports =
        WEIR_ARENA_ARRAY(arena, struct weir_wasm_extern_fact, module->export_count);
    struct text_maker maker = {module, arena, NULL};
    maker.func_texts = WEIR_ARENA_ARRAY(arena, const char *, module->type_count);
    if (imports == NULL || exports == NULL || maker.func_texts == NULL)
        return no_memory(error);
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct weir_wasm_import *import = &module->imports[i];
        imports[i] = (struct weir_wasm_extern_fact){import->module, import->name, import->kind,
                                                    import->index, NULL};
        imports[i].type = make_text(&maker, import->kind, import->index);
        if (imports[i].type == NULL)
            return no_memory(error);
    }
    for (uint32_t i = 0; i < module->export_count; i++) {
        const struct weir_wasm_export *export = &module->exports[i];
        exports[i] =
            (struct weir_wasm_extern_fact){{0}, export->name, export->kind, export->index, NULL};
        exports[i].type = make_text(&maker, export->kind, export->index);
        if (exports[i].type == NULL)
            return no_memory(error);
    }
    facts->imports = imports;
    facts->exports = exports;
    facts->import_count = module->import_count;
    facts->export_count = module->export_count;
    return WEIR_OK;
}

static enum weir_status collect_features(struct weir_arena *arena, struct weir_wasm_facts *facts,
                                         struct weir_error *error)
{
    const char **names = WEIR_ARENA_ARRAY(arena, const char *, 32);
    if (names == NULL)
        return no_memory(error);
    for (uint32_t bit = 0; bit < 32; bit++) {
        if ((facts->features_needed >> bit & 1) != 0)
            names[facts->feature_count++] = weir_wasm_feature_name(UINT32_C(1) << bit);
    }
    facts->features = names;
    return WEIR_OK;
}

static void collect_counts(const struct weir_wasm_module *module, struct weir_wasm_facts *facts)
{
    facts->func_count = module->func_count;
    facts->func_import_count = module->func_import_count;
    facts->has_start = module->start_func != WEIR_WASM_NONE;
    facts->memory_count = module->memory_count;
    for (uint32_t i = module->memory_import_count; i < module->memory_count; i++) {
        uint64_t pages = module->memories[i].min;
        facts->memory_pages_min = pages > UINT64_MAX - facts->memory_pages_min
                                      ? UINT64_MAX
                                      : facts->memory_pages_min + pages;
    }
    for (uint32_t i = module->func_import_count; i < module->func_count; i++)
        facts->code_bytes += module->funcs[i].body_size;
    for (uint32_t i = 0; i < module->data_count; i++)
        facts->data_bytes += module->datas[i].bytes.size;
}

/* The names themselves are not kept. */
static enum weir_status collect_names(const struct weir_wasm_module *module,
                                      struct weir_arena *arena, struct weir_wasm_facts *facts,
                                      struct weir_error *error)
{
    struct weir_arena_mark mark = weir_arena_mark(arena);
    struct weir_wasm_bytes *names =
        WEIR_ARENA_ARRAY(arena, struct weir_wasm_bytes, module->func_count);
    if (names == NULL)
        return no_memory(error);
    facts->has_names = weir__names_read(module, names);
    for (uint32_t i = 0; i < module->func_count && facts->has_names; i++)
        facts->named_func_count += names[i].data != NULL;
    weir_arena_release(arena, mark);
    return WEIR_OK;
}

/* Validation needs room only while it runs. */
static void validate(struct weir_wasm_module *module, struct weir_arena *arena,
                     struct weir_wasm_facts *facts)
{
    struct weir_arena_mark mark = weir_arena_mark(arena);
    (void)!weir_wasm_validate(module, arena, &facts->problem);
    weir_arena_release(arena, mark);
    facts->features_needed = module->features_needed;
}

enum weir_status weir_wasm_inspect(const uint8_t *bytes, size_t size,
                                   const struct weir_wasm_limits *limits, struct weir_arena *arena,
                                   struct weir_wasm_facts *ret_facts, struct weir_error *error)
{
    struct weir_wasm_facts facts = {0};
    struct weir_wasm_module *module = NULL;
    enum weir_status status = weir_wasm_decode((struct weir_wasm_bytes){bytes, size}, FEATURES_ALL,
                                               limits, arena, &module, error);
    if (status != WEIR_OK)
        return status;
    facts.module = module;
    validate(module, arena, &facts);
    collect_counts(module, &facts);
    status = collect_sections(module, arena, &facts, error);
    if (status == WEIR_OK)
        status = collect_externs(module, arena, &facts, error);
    if (status == WEIR_OK)
        status = collect_features(arena, &facts, error);
    if (status == WEIR_OK)
        status = collect_names(module, arena, &facts, error);
    if (status == WEIR_OK)
        *ret_facts = facts;
    return status;
}
