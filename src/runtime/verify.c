/* Verification of a reset: the whole instance against the state that a reset goes back to.
 *
 * It does not ask which pages became private: every page is read, so that a page which a reset
 * overlooked is found. Only behind the end of a memory, where nothing can be read, the kernel is
 * asked for pages that stayed.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/handle_internal.h"
#include "runtime/references.h"

#define SYSTEM_PAGE UINT64_C(4096)

static enum weir_status differs(const struct weir_instance *instance, struct weir_error *error,
                                const char *format, ...) WEIR_PRINTF(3, 4);
static enum weir_status differs(const struct weir_instance *instance, struct weir_error *error,
                                const char *format, ...)
{
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                          "instance %u of \"%s\" is not as it was after instantiation: %s",
                          instance->number, instance->module->name, what);
}

static enum weir_status check_page(const struct weir_instance *instance, uint32_t index,
                                   uint64_t page, const uint8_t *content, struct weir_error *error)
{
    uint8_t have[SYSTEM_PAGE], wanted[SYSTEM_PAGE];
    if (weir__copy_guarded(have, (const void *)page, sizeof have) != 0 ||
        weir__copy_guarded(wanted, content, sizeof wanted) != 0)
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                              "the artifact under the memory was cut");
    if (memcmp(have, wanted, sizeof have) == 0)
        return WEIR_OK;
    uint32_t at = 0;
    while (have[at] == wanted[at])
        at++;
    uint64_t offset = page - (uint64_t)instance->memories[index]->vm.base + at;
    return differs(instance, error, "memory %u at offset 0x%" PRIx64 ": 0x%02x instead of 0x%02x",
                   index, offset, have[at], wanted[at]);
}

/* What it had grown by must come as zeros again, so no page of it may have stayed. */
static enum weir_status check_behind(const struct weir_instance *instance, uint32_t index,
                                     struct weir_error *error)
{
    const struct weir_memory *memory = instance->memories[index];
    uint64_t base = (uint64_t)memory->vm.base;
    uint64_t at = base + memory->vm.size_bytes;
    uint64_t end = base + memory->peak_bytes;
    while (at < end) {
        struct weir__page_range range;
        size_t found = 0;
        enum weir_status status = weir__privatised_scan(&at, end, &range, 1, &found, error);
        if (status != WEIR_OK)
            return status;
        if (found != 0)
            return differs(instance, error,
                           "memory %u keeps a page at offset 0x%" PRIx64 ", behind its end", index,
                           range.begin - base);
    }
    return WEIR_OK;
}

static enum weir_status check_memory(const struct weir_instance *instance, uint32_t index,
                                     struct weir_error *error)
{
    const struct weir_memory *memory = instance->memories[index];
    if (memory->vm.size_bytes != memory->reset_bytes)
        return differs(instance, error, "memory %u has %" PRIu64 " bytes instead of %" PRIu64,
                       index, memory->vm.size_bytes, memory->reset_bytes);
    uint64_t base = (uint64_t)memory->vm.base;
    uint32_t next_undo = 0;
    for (uint64_t page = base; page < base + memory->vm.size_bytes; page += SYSTEM_PAGE) {
        const uint8_t *content = weir__memory_base_page(memory, page);
        if (next_undo < memory->undo.page_count && memory->undo.addresses[next_undo] == page)
            content = memory->undo.pages + next_undo++ * SYSTEM_PAGE;
        enum weir_status status = check_page(instance, index, page, content, error);
        if (status != WEIR_OK)
            return status;
    }
    return check_behind(instance, index, error);
}

static enum weir_status compare_elements(const struct weir_instance *instance, uint32_t index,
                                         void *const *wanted, struct weir_error *error)
{
    const struct weir_table *table = instance->tables[index];
    uint64_t room = table->accessible_bytes / sizeof(void *);
    uint64_t count = room > table->vm.size ? room : table->vm.size;
    for (uint64_t i = 0; i < count; i++) {
        const void *have = table->vm.elements[i];
        if (have == (wanted != NULL && i < table->min ? wanted[i] : NULL))
            continue;
        return differs(instance, error, "table %u at element %" PRIu64 "%s: %s", index, i,
                       i < table->min ? "" : ", behind its end",
                       have == NULL ? "null instead of a reference" : "another reference");
    }
    return WEIR_OK;
}

/* Elements as they were: a copy, or what the segments wrote. */
static enum weir_status check_table(const struct weir_instance *instance, uint32_t index,
                                    struct weir_error *error)
{
    const struct weir_table *table = instance->tables[index];
    if (table->vm.size != table->min)
        return differs(instance, error, "table %u has %" PRIu64 " elements instead of %" PRIu64,
                       index, (uint64_t)table->vm.size, table->min);
    if (table->undo != NULL || table->min == 0)
        return compare_elements(instance, index, table->undo, error);
    struct weir_account *account = instance->store->account;
    size_t bytes = table->min * sizeof(void *);
    void **wanted = weir_account_alloc(account, WEIR_KIND_IMAGE, bytes, error);
    if (wanted == NULL)
        return weir_error_refused(error);
    weir__instance_expect_table(instance, index, wanted);
    enum weir_status status = compare_elements(instance, index, wanted, error);
    weir_account_free(account, WEIR_KIND_IMAGE, wanted, bytes);
    return status;
}

static enum weir_status check_globals(const struct weir_instance *instance,
                                      struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    uint32_t saved = 0;
    for (uint32_t i = artifact->head->global_import_count; i < artifact->head->globals.count; i++) {
        const struct weir_global *global = &instance->globals[i];
        union weir_value wanted = global->is_mutable
                                      ? instance->saved_globals[saved++]
                                      : weir__init_value(instance, &artifact->globals[i].init);
        if (memcmp(global->value->v128, wanted.v128, sizeof wanted.v128) != 0)
            return differs(instance, error, "global %u: 0x%" PRIx64 " instead of 0x%" PRIx64 "%s",
                           i, (uint64_t)global->value->i64, (uint64_t)wanted.i64,
                           global->type == WEIR_TYPE_V128 ? " (low half)" : "");
    }
    return WEIR_OK;
}

static enum weir_status check_segments(const struct weir_instance *instance,
                                       struct weir_error *error)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    for (uint32_t i = 0; i < head->datas.count; i++)
        if (weir__bit(instance->dropped_data, i) != weir__bit(instance->saved_data, i))
            return differs(instance, error, "data segment %u is dropped or back", i);
    for (uint32_t i = 0; i < head->elems.count; i++)
        if (weir__bit(instance->dropped_elems, i) != weir__bit(instance->saved_elems, i))
            return differs(instance, error, "element segment %u is dropped or back", i);
    return WEIR_OK;
}

enum weir_status weir_instance_verify(struct weir_instance *instance, struct weir_error *error)
{
    if (!weir_store_is_idle(instance->store) || !instance->is_whole)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "an instance cannot be verified while a call into its store is "
                              "active or parked");
    const struct weir_artifact_head *head = instance->module->artifact.head;
    enum weir_status status = weir__module_check_file(instance->module, error);
    for (uint32_t i = head->memory_import_count; status == WEIR_OK && i < head->memories.count; i++)
        status = check_memory(instance, i, error);
    for (uint32_t i = head->table_import_count; status == WEIR_OK && i < head->tables.count; i++)
        status = check_table(instance, i, error);
    if (status == WEIR_OK)
        status = check_globals(instance, error);
    if (status == WEIR_OK)
        status = check_segments(instance, error);
    if (status == WEIR_OK && instance->handles != NULL && instance->handles->count != 0)
        status =
            differs(instance, error, "handles are left in its table: %u", instance->handles->count);
    return status;
}
