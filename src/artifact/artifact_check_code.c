/* Opening an artifact, second half: functions and trap sites, on whose order searches rest. */
#include "artifact/artifact_internal.h"

#include "base/bytes.h"

#define CORRUPT(entry, ...) weir__artifact_corrupt(artifact, (entry), error, __VA_ARGS__)

/* Sites of one function: sorted, inside its text (a return address may be just behind it). */
static enum weir_status check_sites(const struct weir_artifact *artifact,
                                    const struct weir_artifact_func *func, struct weir_error *error)
{
    uint32_t previous = func->text_offset;
    bool has_trap_calls = (artifact->head->options & WEIR_ARTIFACT_NO_SIGNALS) != 0;
    for (uint32_t i = 0; i < func->site_count; i++) {
        const struct weir_trap_site *site = &artifact->trap_sites[func->first_site + i];
        uint32_t code = site->site >> 24;
        uint32_t end = func->text_size - (has_trap_calls || code == WEIR_SITE_CALL ? 0u : 1u);
        if (site->text_offset < previous || site->text_offset - func->text_offset > end)
            return CORRUPT(site, "a trap site at %u is out of order or outside its function",
                           site->text_offset);
        if (code != WEIR_SITE_CALL && (code == WEIR_TRAP_NONE || code >= WEIR_TRAP_COUNT))
            return CORRUPT(site, "a trap site has the unknown code %u", code);
        previous = site->text_offset;
    }
    return WEIR_OK;
}

/* Text ranges ascend without overlap, sites are divided among the functions without a rest,
 * records are numbered upwards. */
enum weir_status weir__artifact_check_code(const struct weir_artifact *artifact,
                                           struct weir_error *error)
{
    const struct weir_artifact_head *head = artifact->head;
    uint32_t next_text = 0, next_site = 0, next_escape = 0;
    for (uint32_t i = 0; i < head->funcs.count; i++) {
        const struct weir_artifact_func *func = &artifact->funcs[i];
        if (func->type_index >= head->types.count)
            return CORRUPT(func, "function %u has type %u of %u", i, func->type_index,
                           head->types.count);
        if (func->escape_index != WEIR_ARTIFACT_NONE && func->escape_index != next_escape++)
            return CORRUPT(func, "the record of function %u is out of order", i);
        if (i < head->func_import_count) {
            if (func->text_offset != WEIR_ARTIFACT_NONE || func->site_count != 0)
                return CORRUPT(func, "the imported function %u has code", i);
            continue;
        }
        if (func->text_size == 0 || func->text_offset < next_text ||
            !weir_range_fits(func->text_offset, func->text_size, head->text.count))
            return CORRUPT(func, "the code of function %u is empty, out of order or outside .text",
                           i);
        next_text = func->text_offset + func->text_size;
        if (func->first_site != next_site ||
            !weir_range_fits(func->first_site, func->site_count, head->trap_sites.count))
            return CORRUPT(func, "the trap sites of function %u are out of order", i);
        next_site += func->site_count;
        if (func->body_offset >= head->module_bytes)
            return CORRUPT(func, "the body of function %u is outside the module", i);
        enum weir_status status = check_sites(artifact, func, error);
        if (status != WEIR_OK)
            return status;
    }
    if (next_site != head->trap_sites.count)
        return CORRUPT(&head->trap_sites, "%u trap sites belong to no function",
                       head->trap_sites.count - next_site);
    if (next_escape != head->escape_count)
        return CORRUPT(&head->escape_count, "%u function records, the head says %u", next_escape,
                       head->escape_count);
    return WEIR_OK;
}
