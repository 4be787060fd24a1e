/* Reset: own memories, tables, globals and dropped segments go back to the state right after
 * instantiation (DESIGN 5.4).
 *
 * Privatised pages are found anew each time, since any store of the guest makes one. Up to the
 * store's keep_resident_bytes they are copied back from undo, image or zero and stay resident, so
 * that the next guest takes no fault for them; the rest is dropped. A guest that did not grow costs
 * one PAGEMAP_SCAN and its copies, and no call that changes mappings.
 */
#include <string.h>
#include <sys/mman.h>

#include "runtime/handle_internal.h"

#define SYSTEM_PAGE UINT64_C(4096)
#define RANGES 64

struct pass {
    struct weir_memory *memory;
    uint64_t keep_bytes; /* what may still stay resident */
    uint32_t next_undo;
};

/* The page's content at the reset point; addresses must come in ascending order. */
static const uint8_t *content_of(struct pass *pass, uint64_t page, bool *ret_is_undo)
{
    const struct weir__undo *undo = &pass->memory->undo;
    while (pass->next_undo < undo->page_count && undo->addresses[pass->next_undo] < page)
        pass->next_undo++;
    *ret_is_undo = pass->next_undo < undo->page_count && undo->addresses[pass->next_undo] == page;
    return *ret_is_undo ? undo->pages + pass->next_undo * SYSTEM_PAGE
                        : weir__memory_base_page(pass->memory, page);
}

static enum weir_status drop(uint64_t begin, uint64_t end, struct weir_error *error)
{
    if (begin == end || madvise((void *)begin, end - begin, MADV_DONTNEED) == 0)
        return WEIR_OK;
    return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "the system kept pages of a memory");
}

/* Pages of the undo copy are always restored: they differ from what a dropped page would show. */
static enum weir_status restore_range(struct pass *pass, const struct weir__page_range *range,
                                      struct weir_error *error)
{
    uint64_t dropped_from = range->begin; /* [dropped_from, page) is to be dropped */
    for (uint64_t page = range->begin; page < range->end; page += SYSTEM_PAGE) {
        bool is_undo;
        const uint8_t *content = content_of(pass, page, &is_undo);
        if (!is_undo && pass->keep_bytes < SYSTEM_PAGE)
            continue;
        enum weir_status status = drop(dropped_from, page, error);
        if (status != WEIR_OK)
            return status;
        dropped_from = page + SYSTEM_PAGE;
        pass->keep_bytes -= pass->keep_bytes < SYSTEM_PAGE ? pass->keep_bytes : SYSTEM_PAGE;
        if (weir__copy_guarded((void *)page, content, SYSTEM_PAGE) != 0)
            return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                                  "the artifact under the memory was cut");
    }
    return drop(dropped_from, range->end, error);
}

static enum weir_status shrink(struct weir_memory *memory, struct weir_error *error)
{
    uint64_t bytes = memory->reset_bytes;
    uint64_t excess = memory->vm.size_bytes - bytes;
    if (excess == 0)
        return WEIR_OK;
    uint64_t at = (uint64_t)memory->vm.base + bytes;
    enum weir_status status = drop(at, at + excess, error);
    if (status != WEIR_OK)
        return status;
    if (memory->is_guard) {
        /* A guest that sees a smaller memory must not reach the pages behind. */
        if (mprotect((void *)at, memory->accessible_bytes - bytes, PROT_NONE) != 0)
            return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                                  "the system did not close the pages that a memory had grown by");
        memory->accessible_bytes = bytes;
    }
    return weir__memory_resize(memory, bytes, error);
}

static enum weir_status restore_memory(struct weir_memory *memory, struct weir_error *error)
{
    enum weir_status status = shrink(memory, error);
    if (status != WEIR_OK)
        return status;
    struct pass pass = {.memory = memory, .keep_bytes = memory->store->keep_resident_bytes};
    uint64_t at = (uint64_t)memory->vm.base;
    uint64_t end = at + memory->vm.size_bytes;
    while (at < end) {
        struct weir__page_range ranges[RANGES];
        size_t found = 0;
        status = weir__privatised_scan(&at, end, ranges, RANGES, &found, error);
        if (status != WEIR_OK)
            return status;
        for (size_t i = 0; i < found; i++) {
            status = restore_range(&pass, &ranges[i], error);
            if (status != WEIR_OK)
                return status;
        }
    }
    return WEIR_OK;
}

/* Elements are written again where anybody may have written one. */
static enum weir_status clear_table(struct weir_table *table, bool *ret_is_refilled,
                                    struct weir_error *error)
{
    if (table->vm.is_dirty == 0)
        return WEIR_OK;
    /* What it had grown by is zero again for the next growth. */
    uint64_t size = table->vm.size;
    table->vm.size = table->min;
    enum weir_status status = weir__table_close(table, error);
    if (status != WEIR_OK)
        return status;
    uint64_t bytes = size * sizeof(void *);
    if (table->mapping.base != NULL && bytes > table->accessible_bytes)
        bytes = table->accessible_bytes;
    memset(table->vm.elements, 0, bytes);
    table->vm.is_dirty = 0;
    if (table->undo == NULL)
        *ret_is_refilled = true;
    else
        memcpy(table->vm.elements, table->undo, table->min * sizeof(void *));
    return WEIR_OK;
}

static enum weir_status restore_tables(struct weir_instance *instance, struct weir_error *error)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    bool is_refilled = false;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = head->table_import_count; status == WEIR_OK && i < head->tables.count; i++)
        status = clear_table(instance->tables[i], &is_refilled, error);
    if (status != WEIR_OK || !is_refilled)
        return status;
    status = weir__module_check_file(instance->module, error);
    if (status != WEIR_OK)
        return status;
    /* Segments write what they wrote before; tables with an undo copy get theirs afterwards. */
    enum weir_trap_code code = weir__instance_fill_tables(instance, true);
    WEIR_ASSERT(code == WEIR_TRAP_NONE);
    for (uint32_t i = head->table_import_count; i < head->tables.count; i++) {
        struct weir_table *table = instance->tables[i];
        if (table->undo != NULL)
            memcpy(table->vm.elements, table->undo, table->min * sizeof(void *));
    }
    return WEIR_OK;
}

static void restore_globals(struct weir_instance *instance)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    uint32_t saved = 0;
    for (uint32_t i = head->global_import_count; i < head->globals.count; i++)
        if (instance->globals[i].is_mutable)
            *instance->globals[i].value = instance->saved_globals[saved++];
    memcpy(instance->dropped_data, instance->saved_data,
           (head->datas.count + 63) / 64 * sizeof(uint64_t));
    memcpy(instance->dropped_elems, instance->saved_elems,
           (head->elems.count + 63) / 64 * sizeof(uint64_t));
}

enum weir_status weir_instance_reset(struct weir_instance *instance, struct weir_error *error)
{
    struct weir_store *store = instance->store;
    if (store->active != NULL || store->park != WEIR_PARK_NONE || !instance->is_whole)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "an instance cannot be reset while a call into its store is active "
                              "or parked");
    const struct weir_artifact_head *head = instance->module->artifact.head;
    for (uint32_t i = head->memory_import_count; i < head->memories.count; i++) {
        enum weir_status status = restore_memory(instance->memories[i], error);
        if (status != WEIR_OK)
            return status;
    }
    enum weir_status status = restore_tables(instance, error);
    if (status != WEIR_OK)
        return status;
    restore_globals(instance);
    weir__handles_destroy(instance->handles, NULL);
    weir__held_end(instance);
    weir__store_forget_refusal(store);
    weir__census_count(&store->resets);
    return WEIR_OK;
}
