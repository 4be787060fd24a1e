/* The mini-linker: PC-relative 32-bit fields between .text and .rodata, and nothing else. What
 * would need the dynamic loader cannot be expressed, so an artifact never has relocations. */
#include "artifact/writer.h"

#include "base/bytes.h"

static enum weir_status link_one(uint8_t *text, const int64_t starts[2], const size_t sizes[2],
                                 const struct weir_link_symbol *symbol,
                                 const struct weir_link_reloc *reloc, struct weir_error *error)
{
    if (symbol->section == WEIR_LINK_UNDEFINED)
        return weir_error_set(error, WEIR_LINK, reloc->at,
                              "the generated code needs the undefined symbol %s", symbol->name);
    if (!weir_range_fits(reloc->at, 4, sizes[WEIR_LINK_TEXT]))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, reloc->at,
                              "a fix-up lies outside the %zu bytes of text", sizes[WEIR_LINK_TEXT]);
    if (symbol->offset > sizes[symbol->section])
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, reloc->at,
                              "a fix-up points to offset %u of a section of %zu bytes",
                              symbol->offset, sizes[symbol->section]);
    int64_t value = starts[symbol->section] + (int64_t)symbol->offset - (int64_t)reloc->at;
    if (__builtin_add_overflow(value, reloc->addend, &value) || value < INT32_MIN ||
        value > INT32_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, reloc->at,
                              "a fix-up does not reach its target with 32 bits");
    weir_store_u32(text + reloc->at, (uint32_t)(int32_t)value);
    return WEIR_OK;
}

enum weir_status weir_artifact_link(uint8_t *text, size_t text_size, size_t rodata_size,
                                    int64_t rodata_distance, const struct weir_link_input *input,
                                    struct weir_error *error)
{
    const int64_t starts[2] = {0, rodata_distance};
    const size_t sizes[2] = {text_size, rodata_size};
    for (size_t i = 0; i < input->reloc_count; i++) {
        const struct weir_link_reloc *reloc = &input->relocs[i];
        if (reloc->symbol >= input->symbol_count)
            return weir_error_set(error, WEIR_INVALID_ARGUMENT, reloc->at,
                                  "a fix-up names symbol %u of %zu", reloc->symbol,
                                  input->symbol_count);
        enum weir_status status =
            link_one(text, starts, sizes, &input->symbols[reloc->symbol], reloc, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}
