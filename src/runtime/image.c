/* The state that a reset goes back to: that right after instantiation and start, or the version
 * that was committed last (DESIGN 5.4).
 *
 * Where an instance begins as its module's initial image and nothing else, there is nothing to
 * remember but mutable globals. Where segments were applied at run time or a start function ran,
 * the pages that differ from the base are copied here (kind IMAGE), and tables that start changed.
 * From the first commit on the base is a file of its own (kept.c). A commit takes everything that
 * can be refused before it changes anything.
 */
#include <string.h>

#include "base/cleanup.h"
#include "runtime/kept.h"
#include "runtime/references.h"

#define SYSTEM_PAGE UINT64_C(4096)
#define RANGES 64

static const uint8_t zero_page[SYSTEM_PAGE];

/* The base content of the page at `address` (in the process). */
const uint8_t *weir__memory_base_page(const struct weir_memory *memory, uint64_t address)
{
    uint64_t at = address - (uint64_t)memory->vm.base;
    if (at < memory->kept.bytes)
        return weir__kept_bytes(memory) + at;
    if (memory->image_module == NULL || at < memory->image_begin || at >= memory->image_end)
        return zero_page;
    const struct weir_artifact *artifact = &memory->image_module->artifact;
    return artifact->bytes + artifact->head->image.offset + (at - memory->image_begin);
}

void weir__memory_forget_undo(struct weir_memory *memory)
{
    struct weir__undo *undo = &memory->undo;
    if (undo->bytes != 0)
        weir_mapping_free(&undo->mapping);
    *undo = (struct weir__undo){0};
}

static bool is_as_base(const struct weir_memory *memory, uint64_t address)
{
    return memcmp((const void *)address, weir__memory_base_page(memory, address), SYSTEM_PAGE) == 0;
}

/* Runs through the privatised pages that differ from the base; with `undo` filled in, else only
 * counted. */
static enum weir_status visit_different(const struct weir_memory *memory, struct weir__undo *undo,
                                        uint64_t *ret_count, struct weir_error *error)
{
    uint64_t at = (uint64_t)memory->vm.base;
    uint64_t end = at + memory->vm.size_bytes;
    uint64_t count = 0;
    while (at < end) {
        struct weir__page_range ranges[RANGES];
        size_t found = 0;
        enum weir_status status = weir__privatised_scan(&at, end, ranges, RANGES, &found, error);
        if (status != WEIR_OK)
            return status;
        for (size_t i = 0; i < found; i++) {
            for (uint64_t page = ranges[i].begin; page < ranges[i].end; page += SYSTEM_PAGE) {
                if (is_as_base(memory, page))
                    continue;
                if (undo != NULL) {
                    undo->addresses[count] = page;
                    memcpy(undo->pages + count * SYSTEM_PAGE, (const void *)page, SYSTEM_PAGE);
                }
                count++;
            }
        }
    }
    *ret_count = count;
    return WEIR_OK;
}

static enum weir_status remember_memory(struct weir_memory *memory, struct weir_error *error)
{
    uint64_t count = 0;
    weir__memory_forget_undo(memory);
    enum weir_status status = visit_different(memory, NULL, &count, error);
    if (status != WEIR_OK || count == 0)
        return status;
    struct weir__undo undo = {.bytes = count * (SYSTEM_PAGE + sizeof(uint64_t)),
                              .page_count = (uint32_t)count};
    status = weir_mapping_new_charged(memory->store->account, WEIR_KIND_IMAGE, undo.bytes,
                                      &undo.mapping, error);
    if (status != WEIR_OK)
        return status;
    undo.pages = undo.mapping.base;
    undo.addresses = (uint64_t *)(void *)(undo.mapping.base + count * SYSTEM_PAGE);
    memory->undo = undo;
    return visit_different(memory, &memory->undo, &count, error);
}

static enum weir_status remember_table(struct weir_table *table, struct weir_error *error)
{
    if (table->vm.is_dirty == 0)
        return WEIR_OK; /* growth leaves the mark, too */
    weir__table_forget_undo(table);
    table->min = table->vm.size;
    table->vm.is_dirty = 0;
    if (table->min == 0)
        return WEIR_OK;
    size_t bytes = table->min * sizeof(void *);
    table->undo = weir_account_alloc(table->store->account, WEIR_KIND_IMAGE, bytes, error);
    if (table->undo == NULL)
        return weir_error_refused(error);
    memcpy(table->undo, table->vm.elements, bytes);
    table->vm.is_dirty = 0;
    return WEIR_OK;
}

static void remember_globals(struct weir_instance *instance)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    uint32_t saved = 0;
    for (uint32_t i = head->global_import_count; i < head->globals.count; i++)
        if (instance->globals[i].is_mutable)
            instance->saved_globals[saved++] = *instance->globals[i].value;
    memcpy(instance->saved_data, instance->dropped_data,
           (head->datas.count + 63) / 64 * sizeof(uint64_t));
    memcpy(instance->saved_elems, instance->dropped_elems,
           (head->elems.count + 63) / 64 * sizeof(uint64_t));
}

enum weir_status weir__instance_remember(struct weir_instance *instance, struct weir_error *error)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    remember_globals(instance);
    for (uint32_t i = head->table_import_count; i < head->tables.count; i++) {
        enum weir_status status = remember_table(instance->tables[i], error);
        if (status != WEIR_OK)
            return status;
    }
    for (uint32_t i = head->memory_import_count; i < head->memories.count; i++) {
        struct weir_memory *memory = instance->memories[i];
        memory->reset_bytes = memory->vm.size_bytes;
        if (!instance->module->needs_undo && !instance->is_whole)
            continue;
        enum weir_status status = remember_memory(memory, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* --- commit -------------------------------------------------------------------------------- */

static enum weir_status prepare_table(struct weir_table *table, struct weir_error *error)
{
    struct weir_account *account = table->store->account;
    uint64_t count = table->vm.size;
    if (table->vm.is_dirty == 0 || count == 0 ||
        (table->spare != NULL && table->spare_count == count))
        return WEIR_OK;
    if (table->spare != NULL)
        weir_account_free(account, WEIR_KIND_IMAGE, table->spare,
                          table->spare_count * sizeof(void *));
    table->spare = weir_account_alloc(account, WEIR_KIND_IMAGE, count * sizeof(void *), error);
    table->spare_count = count;
    return table->spare != NULL ? WEIR_OK : weir_error_refused(error);
}

static void commit_table(struct weir_table *table)
{
    if (table->vm.is_dirty != 0 && table->vm.size != 0) {
        memcpy(table->spare, table->vm.elements, table->vm.size * sizeof(void *));
        weir__table_forget_undo(table);
        table->undo = TAKE(table->spare);
    }
    table->min = table->vm.size;
    table->vm.is_dirty = 0;
}

enum weir_status weir__instance_commit(struct weir_instance *instance, struct weir_commit *commit,
                                       struct weir_error *error)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = head->memory_import_count; status == WEIR_OK && i < head->memories.count; i++)
        status = weir__kept_prepare(instance->memories[i], error);
    for (uint32_t i = head->table_import_count; status == WEIR_OK && i < head->tables.count; i++)
        status = prepare_table(instance->tables[i], error);
    if (status != WEIR_OK)
        return status;
    instance->is_whole = false;
    for (uint32_t i = head->memory_import_count; status == WEIR_OK && i < head->memories.count; i++)
        status = weir__kept_commit(instance->memories[i], commit, error);
    if (status != WEIR_OK) {
        if (error != NULL) /* half of it is done: not what a caller may try again */
            error->status = WEIR_IO;
        return WEIR_IO;
    }
    for (uint32_t i = head->table_import_count; i < head->tables.count; i++)
        commit_table(instance->tables[i]);
    remember_globals(instance);
    instance->is_whole = true;
    instance->is_committed = true;
    return WEIR_OK;
}

enum weir_status weir_instance_commit(struct weir_instance *instance, struct weir_commit *ret,
                                      struct weir_error *error)
{
    const struct weir_store *store = instance->store;
    if (!weir_store_is_idle(store) || !instance->is_whole || store->is_slot)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "an instance cannot be committed while a call into its store is "
                              "active or parked, nor when it is a pool's");
    struct weir_commit commit = {0};
    enum weir_status status = weir__module_check_file(instance->module, error);
    if (status == WEIR_OK)
        status = weir__instance_commit(instance, &commit, error);
    if (status == WEIR_OK && ret != NULL)
        *ret = commit;
    return status;
}
