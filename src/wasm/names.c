/* Function names; see names.h. The name section is a custom section: nothing in it can make a
 * module invalid, so whatever is odd there makes us forget all of it. */
#include <string.h>

#include "base/utf8.h"
#include "wasm/leb128_internal.h"
#include "wasm/names_internal.h"

#define SUBSECTION_FUNCTIONS 1

static const struct weir_wasm_section *find_name_section(const struct weir_wasm_module *module)
{
    for (uint32_t i = 0; i < module->section_count; i++) {
        const struct weir_wasm_section *section = &module->sections[i];
        if (section->id == 0 && section->name.size == 4 &&
            memcmp(section->name.data, "name", 4) == 0)
            return section;
    }
    return NULL;
}

static bool read_bytes(struct weir_cursor *cursor, struct weir_wasm_bytes *ret_bytes)
{
    uint32_t size;
    if (weir__leb_u32(cursor, &size) != WEIR_LEB_OK || size > (size_t)(cursor->end - cursor->at))
        return false;
    *ret_bytes = (struct weir_wasm_bytes){cursor->at, size};
    cursor->at += size;
    return true;
}

/* Indices must ascend, which also rules out doubles. */
static bool read_functions(struct weir_cursor cursor, uint32_t func_count,
                           struct weir_wasm_bytes *names)
{
    uint32_t count;
    uint32_t index;
    uint64_t next = 0;
    if (weir__leb_u32(&cursor, &count) != WEIR_LEB_OK)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_wasm_bytes name;
        if (weir__leb_u32(&cursor, &index) != WEIR_LEB_OK || index < next || index >= func_count ||
            !read_bytes(&cursor, &name) ||
            weir_utf8_valid_prefix(name.data, name.size) != name.size)
            return false;
        names[index] = name;
        next = (uint64_t)index + 1;
    }
    return cursor.at == cursor.end;
}

static bool read_name_section(const struct weir_wasm_module *module,
                              const struct weir_wasm_section *section,
                              struct weir_wasm_bytes *names)
{
    struct weir_cursor cursor = {section->name.data + section->name.size,
                                 module->bytes.data + section->offset + section->size};
    int last_id = -1;
    while (cursor.at < cursor.end) {
        int id = *cursor.at++;
        struct weir_wasm_bytes content;
        if (id <= last_id || !read_bytes(&cursor, &content))
            return false;
        last_id = id;
        struct weir_cursor inner = {content.data, content.data + content.size};
        if (id == SUBSECTION_FUNCTIONS && !read_functions(inner, module->func_count, names))
            return false;
    }
    return true;
}

bool weir__names_read(const struct weir_wasm_module *module, struct weir_wasm_bytes *names)
{
    const struct weir_wasm_section *section = find_name_section(module);
    if (section == NULL)
        return false;
    bool is_good = read_name_section(module, section, names);
    if (!is_good && module->func_count > 0)
        memset(names, 0, module->func_count * sizeof *names);
    return is_good;
}

enum weir_status weir_wasm_func_names(const struct weir_wasm_module *module,
                                      struct weir_arena *arena,
                                      const struct weir_wasm_bytes **ret_names,
                                      struct weir_error *error)
{
    size_t count = module->func_count;
    struct weir_wasm_bytes *names = WEIR_ARENA_ARRAY(arena, struct weir_wasm_bytes, count);
    if (names == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory for the names of %zu functions", count);
    (void)weir__names_read(module, names);
    for (uint32_t i = 0; i < module->export_count; i++) {
        const struct weir_wasm_export *export = &module->exports[i];
        if (export->kind == WEIR_EXTERN_FUNC && export->index < count &&
            names[export->index].size == 0)
            names[export->index] = export->name;
    }
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct weir_wasm_import *import = &module->imports[i];
        if (import->kind == WEIR_EXTERN_FUNC && names[import->index].size == 0)
            names[import->index] = import->name;
    }
    *ret_names = names;
    return WEIR_OK;
}
