/* A committed version as bytes, and an instance made from them (image.h).
 *
 *   head      struct saved_head
 *   memories  of the instance's own: size in bytes, then its pages (page_runs.h)
 *   tables    of its own: size, then function indices of 32 bits (NO_FUNC: null)
 *   globals   own mutable ones, 16 bytes each; references as function index + 1
 *   segments  bit sets of the dropped ones
 *
 * What is read is untrusted: every size is checked against the module before it is used.
 */
#include <string.h>

#include "runtime/kept.h"
#include "runtime/page_runs.h"
#include "runtime/references.h"

#define SYSTEM_PAGE UINT64_C(4096)
#define NO_FUNC UINT32_MAX
#define ITEMS_PER_WRITE 512

struct saved_head {
    char magic[8];
    uint8_t module_sha256[32];
    uint32_t memories, tables, globals, reserved;
};
static_assert(sizeof(struct saved_head) == 56, "on-disk layout");
static const char MAGIC[8] = {'w', 'e', 'i', 'r', 'i', 'm', 'g', '1'};

static void describe(const struct weir_module *module, struct saved_head *head)
{
    const struct weir_artifact_head *from = module->artifact.head;
    *head = (struct saved_head){.memories = from->memories.count - from->memory_import_count,
                                .tables = from->tables.count - from->table_import_count,
                                .globals = weir__own_mutable_globals(&module->artifact)};
    memcpy(head->magic, MAGIC, sizeof MAGIC);
    memcpy(head->module_sha256, from->module_sha256, sizeof head->module_sha256);
}

/* --- saving -------------------------------------------------------------------------------- */

static enum weir_status put(const struct weir_image_writer *writer, const void *bytes, size_t size,
                            struct weir_error *error)
{
    return writer->write(writer->context, bytes, size, error);
}

static enum weir_status save_changed_pages(const struct weir_memory *memory,
                                           struct weir__runs_out *out, struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    out->keeps_zeros = true;
    for (uint64_t page = 0; status == WEIR_OK && weir__kept_changed(memory, &page); page++)
        status = weir__runs_add(out, page, error);
    return status;
}

static enum weir_status save_memory(const struct weir_memory *memory, bool is_changes,
                                    const struct weir_image_writer *writer,
                                    struct weir_error *error)
{
    const uint64_t bytes = memory->reset_bytes;
    struct weir__runs_out out = {.writer = writer, .base = weir__kept_bytes(memory)};
    enum weir_status status = put(writer, &bytes, sizeof bytes, error);
    uint64_t begin = 0;
    uint64_t end = 0;
    if (status == WEIR_OK && is_changes)
        status = save_changed_pages(memory, &out, error);
    while (status == WEIR_OK && !is_changes && weir__kept_extent(memory, end, &begin, &end))
        for (uint64_t page = begin; status == WEIR_OK && page < end; page += SYSTEM_PAGE)
            status = weir__runs_add(&out, page / SYSTEM_PAGE, error);
    return status == WEIR_OK ? weir__runs_end(&out, error) : status;
}

static enum weir_status func_index(const struct weir_instance *instance, const void *ref,
                                   uint32_t *ret_index, struct weir_error *error)
{
    const struct weir_funcref *func = ref;
    if (func == NULL) {
        *ret_index = NO_FUNC;
        return WEIR_OK;
    }
    uint32_t count = instance->module->artifact.head->escape_count;
    if (func < instance->vmctx->funcrefs || func >= instance->vmctx->funcrefs + count)
        return weir_error_set(error, WEIR_UNSUPPORTED, WEIR_NO_OFFSET,
                              "the instance of %s refers to a function of another; that cannot be "
                              "saved",
                              instance->module->name);
    *ret_index = func->func_index;
    return WEIR_OK;
}

static bool is_saveable(enum weir_type type)
{
    return type != WEIR_TYPE_EXTERNREF;
}

static enum weir_status refuse_externref(const struct weir_instance *instance, const char *where,
                                         struct weir_error *error)
{
    return weir_error_set(error, WEIR_UNSUPPORTED, WEIR_NO_OFFSET,
                          "a %s of %s holds references of the host's; that cannot be saved", where,
                          instance->module->name);
}

/* The elements at the last commit: the undo copy, or, if nobody has touched the table since it was
 * filled, the table's own. */
static enum weir_status save_table(const struct weir_instance *instance, uint32_t index,
                                   const struct weir_image_writer *writer, struct weir_error *error)
{
    const struct weir_table *table = instance->tables[index];
    if (!is_saveable(table->element))
        return refuse_externref(instance, "table", error);
    void *const *elements = table->undo != NULL ? table->undo : table->vm.elements;
    if (table->undo == NULL && table->vm.is_dirty != 0)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "table %u of %s was changed since the last commit", index,
                              instance->module->name);
    const uint64_t size = table->min;
    enum weir_status status = put(writer, &size, sizeof size, error);
    for (uint64_t at = 0; status == WEIR_OK && at < size;) {
        uint32_t piece[ITEMS_PER_WRITE];
        uint64_t count = size - at < ITEMS_PER_WRITE ? size - at : ITEMS_PER_WRITE;
        for (uint64_t i = 0; status == WEIR_OK && i < count; i++)
            status = func_index(instance, elements[at + i], &piece[i], error);
        if (status == WEIR_OK)
            status = put(writer, piece, count * sizeof piece[0], error);
        at += count;
    }
    return status;
}

static enum weir_status save_globals(const struct weir_instance *instance,
                                     const struct weir_image_writer *writer,
                                     struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    uint32_t saved = 0;
    for (uint32_t i = artifact->head->global_import_count; i < artifact->head->globals.count; i++) {
        if (artifact->globals[i].is_mutable == 0)
            continue;
        union weir_value value = instance->saved_globals[saved++];
        enum weir_type type = instance->globals[i].type;
        if (!is_saveable(type))
            return refuse_externref(instance, "global", error);
        enum weir_status status = WEIR_OK;
        if (type == WEIR_TYPE_FUNCREF) {
            uint32_t func = NO_FUNC;
            status = func_index(instance, value.funcref, &func, error);
            value = (union weir_value){.i64 = func == NO_FUNC ? 0 : (int64_t)func + 1};
        }
        if (status == WEIR_OK)
            status = put(writer, &value, sizeof value, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static size_t bits_bytes(uint32_t count)
{
    return (count + 63) / 64 * sizeof(uint64_t);
}

static enum weir_status save(const struct weir_instance *instance, bool is_changes,
                             const struct weir_image_writer *writer, struct weir_error *error)
{
    if (!instance->is_committed || !instance->is_whole)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "the instance of %s has no committed state to save",
                              instance->module->name);
    const struct weir_artifact_head *from = instance->module->artifact.head;
    struct saved_head head;
    describe(instance->module, &head);
    enum weir_status status = put(writer, &head, sizeof head, error);
    for (uint32_t i = 0; status == WEIR_OK && i < head.memories; i++)
        status = save_memory(instance->memories[from->memory_import_count + i], is_changes, writer,
                             error);
    for (uint32_t i = 0; status == WEIR_OK && i < head.tables; i++)
        status = save_table(instance, from->table_import_count + i, writer, error);
    if (status == WEIR_OK)
        status = save_globals(instance, writer, error);
    if (status == WEIR_OK)
        status = put(writer, instance->saved_data, bits_bytes(from->datas.count), error);
    if (status == WEIR_OK)
        status = put(writer, instance->saved_elems, bits_bytes(from->elems.count), error);
    return status;
}

enum weir_status weir_instance_save(const struct weir_instance *instance,
                                    const struct weir_image_writer *writer,
                                    struct weir_error *error)
{
    return save(instance, false, writer, error);
}

enum weir_status weir_instance_save_changes(const struct weir_instance *instance,
                                            const struct weir_image_writer *writer,
                                            struct weir_error *error)
{
    if (!instance->is_saved)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "no version of the instance of %s was saved that this one could "
                              "differ from",
                              instance->module->name);
    return save(instance, true, writer, error);
}

void weir_instance_saved(struct weir_instance *instance)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    for (uint32_t i = head->memory_import_count; i < head->memories.count; i++)
        weir__kept_saved(instance->memories[i]);
    instance->is_saved = true;
}

/* --- making -------------------------------------------------------------------------------- */

static enum weir_status get(const struct weir_image_reader *reader, void *to, size_t size,
                            struct weir_error *error)
{
    return size == 0 ? WEIR_OK : reader->read(reader->context, to, size, error);
}

static enum weir_status corrupt(const struct weir_instance *instance, const char *what,
                                struct weir_error *error)
{
    return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET, "the saved state of %s: %s",
                          instance->module->name, what);
}

static uint8_t *place_pages(void *context, uint64_t page, uint64_t count, struct weir_error *error)
{
    (void)count, (void)error;
    return weir__kept_bytes(context) + page * SYSTEM_PAGE;
}

static enum weir_status load_memory(const struct weir_instance *instance,
                                    struct weir_memory *memory,
                                    const struct weir_image_reader *reader,
                                    struct weir_error *error)
{
    uint64_t bytes = 0;
    enum weir_status status = get(reader, &bytes, sizeof bytes, error);
    if (status != WEIR_OK)
        return status;
    if (bytes % WEIR_WASM_PAGE_BYTES != 0 || bytes < memory->vm.size_bytes)
        return corrupt(instance, "a memory of a size that it cannot have", error);
    if (bytes > memory->limit_bytes)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "the saved memory has %llu bytes, the limit for one is %llu",
                              (unsigned long long)bytes, (unsigned long long)memory->limit_bytes);
    status = weir__memory_resize(memory, bytes, error);
    if (status == WEIR_OK)
        status = weir__kept_prepare(memory, error);
    if (status == WEIR_OK)
        status = weir__runs_read(reader, bytes / SYSTEM_PAGE, place_pages, memory, error);
    return status == WEIR_OK ? weir__kept_adopt(memory, error) : status;
}

static enum weir_status func_at(const struct weir_instance *instance, uint32_t index, void **ret,
                                struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    if (index == NO_FUNC) {
        *ret = NULL;
        return WEIR_OK;
    }
    if (index >= artifact->head->funcs.count ||
        artifact->funcs[index].escape_index == WEIR_ARTIFACT_NONE)
        return corrupt(instance, "a reference to a function that has none", error);
    *ret = &instance->vmctx->funcrefs[artifact->funcs[index].escape_index];
    return WEIR_OK;
}

static enum weir_status load_table(struct weir_instance *instance, struct weir_table *table,
                                   const struct weir_image_reader *reader, struct weir_error *error)
{
    uint64_t size = 0;
    enum weir_status status = get(reader, &size, sizeof size, error);
    if (status != WEIR_OK)
        return status;
    if (!is_saveable(table->element) || size < table->vm.size)
        return corrupt(instance, "a table of a size or type that it cannot have", error);
    if (size > table->vm.size &&
        weir__table_grow(table, NULL, size - table->vm.size, error) == UINT64_MAX)
        return weir_error_refused(error);
    for (uint64_t at = 0; status == WEIR_OK && at < size;) {
        uint32_t piece[ITEMS_PER_WRITE];
        uint64_t count = size - at < ITEMS_PER_WRITE ? size - at : ITEMS_PER_WRITE;
        status = get(reader, piece, count * sizeof piece[0], error);
        for (uint64_t i = 0; status == WEIR_OK && i < count; i++)
            status = func_at(instance, piece[i], &table->vm.elements[at + i], error);
        at += count;
    }
    table->vm.is_dirty = 1;
    return status;
}

static enum weir_status load_globals(struct weir_instance *instance,
                                     const struct weir_image_reader *reader,
                                     struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    for (uint32_t i = artifact->head->global_import_count; i < artifact->head->globals.count; i++) {
        if (artifact->globals[i].is_mutable == 0)
            continue;
        union weir_value value = {0};
        enum weir_type type = instance->globals[i].type;
        enum weir_status status = get(reader, &value, sizeof value, error);
        if (status == WEIR_OK && !is_saveable(type))
            status = corrupt(instance, "a global of a type that it cannot have", error);
        if (status == WEIR_OK && type == WEIR_TYPE_FUNCREF) {
            void *ref = NULL;
            uint64_t index = (uint64_t)value.i64 - 1; /* null: NO_FUNC when cut to 32 bits */
            if (index != UINT64_MAX && index >= NO_FUNC)
                return corrupt(instance, "a global with a strange reference", error);
            status = func_at(instance, (uint32_t)index, &ref, error);
            value = (union weir_value){.funcref = ref};
        }
        if (status != WEIR_OK)
            return status;
        *instance->globals[i].value = value;
    }
    return WEIR_OK;
}

static enum weir_status load(struct weir_instance *instance, const struct weir_image_reader *reader,
                             struct weir_error *error)
{
    const struct weir_artifact_head *to = instance->module->artifact.head;
    struct saved_head head = {0};
    struct saved_head wanted;
    describe(instance->module, &wanted);
    enum weir_status status = get(reader, &head, sizeof head, error);
    if (status == WEIR_OK && memcmp(&head, &wanted, sizeof head) != 0)
        status = corrupt(instance, "it is of another module, or none", error);
    for (uint32_t i = 0; status == WEIR_OK && i < head.memories; i++)
        status =
            load_memory(instance, instance->memories[to->memory_import_count + i], reader, error);
    for (uint32_t i = 0; status == WEIR_OK && i < head.tables; i++)
        status = load_table(instance, instance->tables[to->table_import_count + i], reader, error);
    if (status == WEIR_OK)
        status = load_globals(instance, reader, error);
    if (status == WEIR_OK)
        status = get(reader, instance->dropped_data, bits_bytes(to->datas.count), error);
    if (status == WEIR_OK)
        status = get(reader, instance->dropped_elems, bits_bytes(to->elems.count), error);
    struct weir_commit commit = {0};
    return status == WEIR_OK ? weir__instance_commit(instance, &commit, error) : status;
}

enum weir_status weir_instance_new_saved(struct weir_store *store, const struct weir_linker *linker,
                                         struct weir_module *module,
                                         const struct weir_image_reader *reader,
                                         struct weir_instance **ret_instance,
                                         struct weir_error *error)
{
    const struct weir__import_source source = {.linker = linker};
    struct weir_instance *instance = NULL;
    enum weir_status status = weir__instance_make(store, module, &source, &instance, error);
    if (status != WEIR_OK)
        return status;
    status = load(instance, reader, error);
    if (status != WEIR_OK) {
        weir__instance_abandon(instance);
        return status;
    }
    weir_instance_saved(instance);
    *ret_instance = instance;
    return WEIR_OK;
}

enum weir_status weir_instance_load_changes(struct weir_instance *instance,
                                            const struct weir_image_reader *reader,
                                            struct weir_error *error)
{
    if (!weir_store_is_idle(instance->store) || !instance->is_saved || !instance->is_whole)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "the instance of %s is not one that changes could be loaded into",
                              instance->module->name);
    enum weir_status status = load(instance, reader, error);
    if (status == WEIR_OK)
        weir_instance_saved(instance);
    else
        instance->is_whole = false;
    return status;
}

/* --- a successor --------------------------------------------------------------------------- */

static enum weir_status check_pair(const struct weir_instance *from,
                                   const struct weir_instance *instance, struct weir_error *error)
{
    const struct weir_artifact_head *old = from->module->artifact.head;
    const struct weir_artifact_head *new = instance->module->artifact.head;
    if (old->memories.count != 1 || new->memories.count != 1 || old->memory_import_count != 0 ||
        new->memory_import_count != 0 || from->memories[0]->is_64 != instance->memories[0]->is_64)
        return weir_error_set(
            error, WEIR_LINK, WEIR_NO_OFFSET,
            "%s cannot take over the memory of %s: both need exactly one of their "
            "own, with the same index type",
            instance->module->name, from->module->name);
    return WEIR_OK;
}

static enum weir_status take_over(const struct weir_memory *from, struct weir_memory *memory,
                                  struct weir_error *error)
{
    uint64_t bytes = from->vm.size_bytes;
    if (bytes > memory->limit_bytes)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "the memory to be kept has %llu bytes, the limit for one is %llu",
                              (unsigned long long)bytes, (unsigned long long)memory->limit_bytes);
    enum weir_status status = WEIR_OK;
    if (bytes > memory->vm.size_bytes)
        status = weir__memory_resize(memory, bytes, error);
    if (status == WEIR_OK)
        status = weir__kept_prepare(memory, error);
    if (status == WEIR_OK)
        status = weir__kept_copy(from, memory, error);
    return status == WEIR_OK ? weir__kept_adopt(memory, error) : status;
}

static enum weir_status succeed(struct weir_instance *instance, const struct weir_instance *from,
                                struct weir_trap *trap, struct weir_error *error)
{
    enum weir_status status = check_pair(from, instance, error);
    if (status == WEIR_OK)
        status = take_over(from->memories[0], instance->memories[0], error);
    if (status != WEIR_OK)
        return status;
    enum weir_trap_code code = weir__instance_fill_tables(instance, false);
    if (code != WEIR_TRAP_NONE)
        return weir__instance_segment_trap(code, trap, error);
    weir__instance_drop_segments(instance);
    status = weir__instance_run_start(instance, trap, error);
    struct weir_commit commit = {0};
    return status == WEIR_OK ? weir__instance_commit(instance, &commit, error) : status;
}

enum weir_status weir_instance_new_successor(struct weir_store *store,
                                             const struct weir_successor *successor,
                                             struct weir_instance **ret_instance,
                                             struct weir_trap *trap, struct weir_error *error)
{
    const struct weir__import_source source = {.linker = successor->linker};
    struct weir_instance *instance = NULL;
    enum weir_status status =
        weir__instance_make(store, successor->module, &source, &instance, error);
    if (status != WEIR_OK)
        return status;
    status = succeed(instance, successor->predecessor, trap, error);
    if (status != WEIR_OK) {
        weir__instance_abandon(instance);
        return status;
    }
    *ret_instance = instance;
    return WEIR_OK;
}
