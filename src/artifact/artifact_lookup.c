/* Functions and trap sites: their checks, and the searches that rest on them. */
#include "artifact/artifact_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"

#define CORRUPT(entry, ...) weir__artifact_corrupt(artifact, (entry), error, __VA_ARGS__)

static uint32_t site_code(const struct weir_trap_site *site)
{
    return site->site >> 24;
}

/* Sites of one function: sorted, inside its text (a return address may be just behind it). */
static enum weir_status check_sites(const struct weir_artifact *artifact,
                                    const struct weir_artifact_func *func, struct weir_error *error)
{
    uint32_t previous = func->text_offset;
    bool has_trap_calls = (artifact->head->options & WEIR_ARTIFACT_NO_SIGNALS) != 0;
    for (uint32_t i = 0; i < func->site_count; i++) {
        const struct weir_trap_site *site = &artifact->trap_sites[func->first_site + i];
        uint32_t code = site_code(site);
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

/* The function whose sites include the one at `index`: the last that starts at or before it and
 * has any. */
static uint32_t func_of_site(const struct weir_artifact *artifact, uint32_t index)
{
    uint32_t low = artifact->head->func_import_count, high = artifact->head->funcs.count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (artifact->funcs[middle].first_site <= index)
            low = middle;
        else
            high = middle;
    }
    WEIR_DASSERT(index - artifact->funcs[low].first_site < artifact->funcs[low].site_count);
    return low;
}

/* First site with text_offset at or behind the one asked for. */
static uint32_t lower_bound(const struct weir_artifact *artifact, uint32_t text_offset)
{
    uint32_t low = 0, high = artifact->head->trap_sites.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (artifact->trap_sites[middle].text_offset < text_offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct weir_trap_site *find_site(const struct weir_artifact *artifact,
                                              uint32_t text_offset, bool wants_call,
                                              uint32_t *ret_func)
{
    uint32_t count = artifact->head->trap_sites.count;
    uint32_t found = WEIR_ARTIFACT_NONE;
    for (uint32_t i = lower_bound(artifact, text_offset);
         i < count && artifact->trap_sites[i].text_offset == text_offset; i++) {
        bool is_call = site_code(&artifact->trap_sites[i]) == WEIR_SITE_CALL;
        if (found == WEIR_ARTIFACT_NONE || is_call == wants_call)
            found = i;
        if (is_call == wants_call)
            break;
    }
    if (found == WEIR_ARTIFACT_NONE)
        return NULL;
    *ret_func = func_of_site(artifact, found);
    return &artifact->trap_sites[found];
}

const struct weir_trap_site *weir_artifact_site(const struct weir_artifact *artifact,
                                                uint32_t text_offset, uint32_t *ret_func)
{
    return find_site(artifact, text_offset, false, ret_func);
}

const struct weir_trap_site *weir_artifact_call_site(const struct weir_artifact *artifact,
                                                     uint32_t text_offset, uint32_t *ret_func)
{
    return find_site(artifact, text_offset, true, ret_func);
}

const char *weir_artifact_func_name(const struct weir_artifact *artifact, uint32_t func_index,
                                    char *buffer, size_t buffer_size)
{
    WEIR_ASSERT(buffer_size > 0);
    const struct weir_artifact_string *name = NULL;
    if (artifact->func_names != NULL && func_index < artifact->head->funcs.count)
        name = &artifact->func_names[func_index];
    if (name == NULL || name->size == 0) {
        (void)snprintf(buffer, buffer_size, "func %" PRIu32, func_index);
        return buffer;
    }
    size_t size = name->size < buffer_size ? name->size : buffer_size - 1;
    for (size_t i = 0; i < size; i++) {
        char byte = artifact->strings[name->start + i];
        buffer[i] = (unsigned char)byte < 0x20 || byte == 0x7f ? '?' : byte;
    }
    buffer[size] = '\0';
    return buffer;
}
