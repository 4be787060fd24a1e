/* From an address in guest code to function, offset and trap: searches in the mapped artifact that
 * survive its file being cut under us (every read goes through the copy primitive), so that the
 * signal handler and backtraces may use them at any moment.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/module_internal.h"

/* Last function whose text begins at or before `offset`; imports come first and have no text. */
static enum weir__lookup find_func(const struct weir_artifact *artifact, uint32_t offset,
                                   struct weir_artifact_func *ret_func, uint32_t *ret_index)
{
    const struct weir_artifact_head *head = artifact->head;
    uint32_t low = head->func_import_count;
    uint32_t high = head->funcs.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct weir_artifact_func func;
        if (weir__copy_guarded(&func, &artifact->funcs[middle], sizeof func) != 0)
            return WEIR__LOOKUP_LOST;
        if (func.text_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == head->func_import_count)
        return WEIR__LOOKUP_NONE;
    *ret_index = low - 1;
    if (weir__copy_guarded(ret_func, &artifact->funcs[low - 1], sizeof *ret_func) != 0)
        return WEIR__LOOKUP_LOST;
    return WEIR__LOOKUP_FOUND;
}

/* A return address may also be where a trapping instruction begins (a call, then unreachable); both
 * sites are there then, and the instruction is preferred: a trap must never look like a call. */
static enum weir__lookup find_site(const struct weir_artifact *artifact,
                                   const struct weir_artifact_func *func, uint32_t offset,
                                   uint32_t *ret_site)
{
    uint32_t low = func->first_site;
    uint32_t end = func->first_site + func->site_count;
    uint32_t high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct weir_trap_site site;
        if (weir__copy_guarded(&site, &artifact->trap_sites[middle], sizeof site) != 0)
            return WEIR__LOOKUP_LOST;
        if (site.text_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    enum weir__lookup found = WEIR__LOOKUP_NONE;
    for (uint32_t i = low; i < end; i++) {
        struct weir_trap_site site;
        if (weir__copy_guarded(&site, &artifact->trap_sites[i], sizeof site) != 0)
            return WEIR__LOOKUP_LOST;
        if (site.text_offset != offset)
            break;
        *ret_site = site.site;
        found = WEIR__LOOKUP_FOUND;
        if (site.site >> 24 != WEIR_SITE_CALL)
            break;
    }
    return found;
}

/* A return address may be the first byte after its function (a call that never comes back), hence
 * the second attempt one byte before. */
enum weir__lookup weir__code_place(const struct weir__code_range *range, uint64_t pc,
                                   struct weir__code_place *ret_place)
{
    const struct weir_artifact *artifact = &range->module->artifact;
    uint32_t offset = (uint32_t)(pc - range->begin);
    struct weir__code_place place = {0};
    struct weir_artifact_func func;
    uint32_t site = 0;
    enum weir__lookup found = WEIR__LOOKUP_NONE;
    for (uint32_t back = 0; back <= 1 && back <= offset && found == WEIR__LOOKUP_NONE; back++) {
        enum weir__lookup lookup = find_func(artifact, offset - back, &func, &place.func_index);
        if (lookup != WEIR__LOOKUP_FOUND)
            return lookup;
        found = find_site(artifact, &func, offset, &site);
    }
    if (found == WEIR__LOOKUP_LOST)
        return found;
    place.code = found == WEIR__LOOKUP_FOUND ? site >> 24 : (uint32_t)WEIR_TRAP_NONE;
    place.func_offset = site & 0xffffffu;
    place.module_offset = func.body_offset + place.func_offset;
    *ret_place = place;
    return WEIR__LOOKUP_FOUND;
}

/* Names are the guest's, and are shown on terminals: control characters become '?'. */
static bool copy_string(const struct weir_artifact *artifact,
                        const struct weir_artifact_string *string, char *name, size_t name_size)
{
    size_t size = string->size < name_size - 1 ? string->size : name_size - 1;
    if (size == 0 || weir__copy_guarded(name, artifact->strings + string->start, size) != 0)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            name[i] = '?';
    name[size] = '\0';
    return true;
}

static bool name_of_export(const struct weir_artifact *artifact, uint32_t func_index, char *name,
                           size_t name_size)
{
    for (uint32_t i = 0; i < artifact->head->exports.count; i++) {
        struct weir_artifact_export export;
        if (weir__copy_guarded(&export, &artifact->exports[i], sizeof export) != 0)
            return false;
        if (export.kind == WEIR_EXTERN_FUNC && export.index == func_index)
            return copy_string(artifact, &export.name, name, name_size);
    }
    return false;
}

void weir__code_name(const struct weir_module *module, uint32_t func_index, char *name,
                     size_t name_size)
{
    const struct weir_artifact *artifact = &module->artifact;
    struct weir_artifact_string string;
    if (artifact->func_names != NULL &&
        weir__copy_guarded(&string, &artifact->func_names[func_index], sizeof string) == 0 &&
        copy_string(artifact, &string, name, name_size))
        return;
    if (name_of_export(artifact, func_index, name, name_size))
        return;
    (void)snprintf(name, name_size, "func %u", func_index);
}
