/* Formats the errors of decoder, reader and validator; see report_internal.h. */
#include "wasm/report_internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "wasm/types_text.h"

/* The section whose payload holds the offset; its end counts, as that is where bytes are missed. */
static const struct weir_wasm_section *find_section(const struct weir_wasm_module *module,
                                                    uint64_t offset)
{
    for (uint32_t i = 0; i < module->section_count; i++) {
        const struct weir_wasm_section *section = &module->sections[i];
        if (offset >= section->offset && offset <= (uint64_t)section->offset + section->size)
            return section;
    }
    return NULL;
}

/* Bodies lie in the order of their indices. */
static uint32_t find_function(const struct weir_wasm_module *module, uint64_t offset)
{
    uint32_t low = module->func_import_count;
    uint32_t high = module->func_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct weir_wasm_func *func = &module->funcs[middle];
        if (func->body_offset == 0 || offset < func->body_offset)
            high = middle;
        else if (offset > (uint64_t)func->body_offset + func->body_size)
            low = middle + 1;
        else
            return middle;
    }
    return WEIR_WASM_NONE;
}

enum weir_status weir__wasm_report(const struct weir_wasm_module *module, struct weir_error *error,
                                   enum weir_status status, uint64_t offset, const char *format,
                                   ...)
{
    if (error == NULL || error->status != WEIR_OK)
        return status;
    char text[WEIR_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct weir_wasm_section *section = find_section(module, offset);
    if (section == NULL)
        return weir_error_set(error, status, offset, "%s", text);
    const char *name = weir_wasm_section_name(section->id);
    uint32_t func = section->id == 10 ? find_function(module, offset) : WEIR_WASM_NONE;
    if (func != WEIR_WASM_NONE)
        return weir_error_set(error, status, offset, "%.200s (%s section, function %u)", text, name,
                              (unsigned)func);
    return weir_error_set(error, status, offset, "%.200s (%s section)", text, name);
}

enum weir_status weir__wasm_feature_off(const struct weir_wasm_module *module,
                                        struct weir_error *error, uint64_t offset, uint32_t feature,
                                        const char *reason, const char *what)
{
    const char *name = weir_wasm_feature_name(feature);
    return weir__wasm_report(module, error, WEIR_UNSUPPORTED, offset,
                             "%s%s%s needs the feature %s, which is off",
                             reason != NULL ? reason : "", reason != NULL ? ": " : "", what, name);
}
