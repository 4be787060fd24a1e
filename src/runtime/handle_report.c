/* What is said of handles: places, walks, and the lines of a receipt. */
#include <stdio.h>

#include "base/clock.h"
#include "base/sizes.h"
#include "runtime/handle_internal.h"

void weir__handle_where(const struct weir_handles *handles, uint32_t index,
                        char text[WEIR__HANDLE_WHERE_SIZE])
{
    struct weir_account_reading reading;
    weir_account_read(handles->store->account, &reading);
    char handle[24] = "";
    char instance[32] = "";
    if (index != 0)
        (void)snprintf(handle, sizeof handle, "handle %u of ", index);
    if (handles->instance != NULL)
        (void)snprintf(instance, sizeof instance, "instance %u of ",
                       handles->instance->number);
    (void)snprintf(text, WEIR__HANDLE_WHERE_SIZE, "%s%sstore \"%s\"", handle, instance,
                   reading.name);
}

const char *weir__handle_maker(const struct weir__handle_entry *entry)
{
    return entry->site_pc == WEIR__SITE_GONE ? "an instance that was released" : "the host";
}

void weir__handles_forget_code(struct weir_handles *handles, const struct weir__code_range *code)
{
    if (handles == NULL)
        return;
    weir__census_begin(&handles->store->mark);
    for (uint32_t index = handles->oldest; index != 0; index = handles->entries[index].newer) {
        struct weir__handle_entry *entry = &handles->entries[index];
        /* A return address: behind the call, which may be the last instruction. */
        if (entry->site_pc > code->begin && entry->site_pc <= code->end)
            entry->site_pc = WEIR__SITE_GONE;
    }
    weir__census_end(&handles->store->mark);
}

void weir__handle_info(const struct weir_handles *handles, uint32_t index,
                       struct weir_handle_info *ret_info)
{
    const struct weir__handle_entry *entry = &handles->entries[index];
    uint64_t now = weir_clock_ns();
    *ret_info = (struct weir_handle_info){.handle = {index, entry->generation},
                                          .type = entry->use->type,
                                          .rep = entry->rep,
                                          .is_owner = entry->is_owner,
                                          .lend_count = entry->lend_count,
                                          .child_count = entry->child_count,
                                          .parent = entry->parent,
                                          .age_ns = now > entry->made_ns ? now - entry->made_ns : 0,
                                          .label = entry->label};
    ret_info->has_site = weir__code_frame(entry->site_pc, &ret_info->site);
}

void weir_handles_walk(const struct weir_handles *handles,
                       bool (*visit)(void *context, const struct weir_handle_info *info),
                       void *context)
{
    for (uint32_t index = handles->oldest; index != 0; index = handles->entries[index].newer) {
        struct weir_handle_info info;
        weir__handle_info(handles, index, &info);
        if (!visit(context, &info))
            return;
    }
}

void weir__handle_list(const struct weir_handles *handles, uint32_t index,
                       struct weir_receipt *receipt)
{
    struct weir_handle_info info;
    weir__handle_info(handles, index, &info);
    char where[WEIR__HANDLE_WHERE_SIZE];
    char site[2 * WEIR_TRAP_NAME_SIZE + 32];
    weir__handle_where(handles, index, where);
    if (info.has_site)
        (void)snprintf(site, sizeof site, "%s (+0x%x) in %s", info.site.function,
                       info.site.module_offset, info.site.module);
    else
        (void)snprintf(site, sizeof site, "%s", weir__handle_maker(&handles->entries[index]));
    weir_receipt_undropped(receipt, "%s: \"%s\", %s old, made by %s%s%s", where, info.type->name,
                           weir_duration_format(info.age_ns).text, site,
                           info.label != NULL ? ", " : "", info.label != NULL ? info.label : "");
}
