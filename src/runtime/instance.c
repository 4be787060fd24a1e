/* Instances: allocation, instantiation in the specification's order (4.5.4), exports.
 *
 * Until the first segment is applied nobody can see the instance, and a failure gives back what it
 * took. From then on others may hold its functions; it stays until it is released (release.c) or
 * its store closed, reset or not.
 */
#include <string.h>

#include "base/clock.h"
#include "runtime/event_internal.h"

/* Arrays of an instance in one piece, so that it costs one allocation. */
struct layout {
    size_t vmctx, funcrefs, memories, tables, globals, bindings, dropped_data, dropped_elems, saved,
        saved_data, saved_elems;
    size_t bytes;
};

static size_t take(struct layout *layout, size_t count, size_t size)
{
    size_t at = layout->bytes;
    layout->bytes = (at + count * size + 15) & ~(size_t)15;
    return at;
}

/* Counts are 32 bits and bounded by the artifact's checks; the sums fit 64 bits. */
static void lay_out(const struct weir_artifact *artifact, struct layout *layout)
{
    const struct weir_artifact_head *head = artifact->head;
    *layout = (struct layout){0};
    (void)take(layout, 1, sizeof(struct weir_instance));
    layout->vmctx =
        take(layout, 1, WEIR_ABI_VMCTX_SIZE(head->func_import_count, head->globals.count));
    layout->funcrefs = take(layout, head->escape_count, sizeof(struct weir_funcref));
    layout->memories = take(layout, head->memories.count, sizeof(void *));
    layout->tables = take(layout, head->tables.count, sizeof(void *));
    layout->globals = take(layout, head->globals.count, sizeof(struct weir_global));
    layout->bindings = take(layout, head->func_import_count, sizeof(struct weir__binding));
    layout->dropped_data = take(layout, (head->datas.count + 63) / 64, sizeof(uint64_t));
    layout->dropped_elems = take(layout, (head->elems.count + 63) / 64, sizeof(uint64_t));
    layout->saved = take(layout, weir__own_mutable_globals(artifact), sizeof(union weir_value));
    layout->saved_data = take(layout, (head->datas.count + 63) / 64, sizeof(uint64_t));
    layout->saved_elems = take(layout, (head->elems.count + 63) / 64, sizeof(uint64_t));
}

static struct weir_instance *allocate(struct weir_store *store, struct weir_module *module,
                                      struct weir_error *error)
{
    struct layout layout;
    lay_out(&module->artifact, &layout);
    uint8_t *base = weir__store_alloc(store, layout.bytes, error);
    if (base == NULL)
        return NULL;
    struct weir_instance *instance = (struct weir_instance *)(void *)base;
    instance->store = store;
    instance->module = module;
    instance->region_bytes = layout.bytes;
    instance->vmctx = (struct weir_vmctx *)(void *)(base + layout.vmctx);
    instance->memories = (struct weir_memory **)(void *)(base + layout.memories);
    instance->tables = (struct weir_table **)(void *)(base + layout.tables);
    instance->globals = (struct weir_global *)(void *)(base + layout.globals);
    instance->bindings = (struct weir__binding *)(void *)(base + layout.bindings);
    instance->dropped_data = (uint64_t *)(void *)(base + layout.dropped_data);
    instance->dropped_elems = (uint64_t *)(void *)(base + layout.dropped_elems);
    instance->saved_globals = (union weir_value *)(void *)(base + layout.saved);
    instance->saved_data = (uint64_t *)(void *)(base + layout.saved_data);
    instance->saved_elems = (uint64_t *)(void *)(base + layout.saved_elems);
    struct weir_vmctx *vmctx = instance->vmctx;
    vmctx->state = store->state;
    vmctx->builtins = weir__builtin_thunks;
    vmctx->type_ids = module->type_ids;
    vmctx->memories = (struct weir_vm_memory **)(void *)instance->memories;
    vmctx->tables = (struct weir_vm_table **)(void *)instance->tables;
    vmctx->funcrefs = (struct weir_funcref *)(void *)(base + layout.funcrefs);
    vmctx->instance = instance;
    return instance;
}

static enum weir_status make_memories(struct weir_instance *instance, struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    for (uint32_t i = artifact->head->memory_import_count; i < artifact->head->memories.count;
         i++) {
        const struct weir_artifact_limits *from = &artifact->memories[i];
        struct weir_limits limits = {.min = from->min,
                                     .max = from->max,
                                     .has_max = from->max != UINT64_MAX,
                                     .is_64 = (from->flags & 1) != 0};
        enum weir_status status =
            weir__memory_new(instance->store, &limits, i == 0 ? instance->module : NULL,
                             &instance->memories[i], error);
        if (status != WEIR_OK)
            return status;
    }
    if (artifact->head->memories.count > 0) {
        instance->vmctx->memory0 = &instance->memories[0]->vm;
        instance->vmctx->memory0_base = instance->memories[0]->vm.base;
    }
    return WEIR_OK;
}

static enum weir_status make_tables(struct weir_instance *instance, struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    for (uint32_t i = artifact->head->table_import_count; i < artifact->head->tables.count; i++) {
        const struct weir_artifact_limits *from = &artifact->tables[i];
        struct weir_limits limits = {.min = from->min,
                                     .max = from->max,
                                     .has_max = from->max != UINT64_MAX,
                                     .is_64 = (from->flags & 1) != 0};
        enum weir_status status = weir__table_new(instance->store, (enum weir_type)from->type,
                                                  &limits, &instance->tables[i], error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static void make_funcrefs(struct weir_instance *instance)
{
    const struct weir_module *module = instance->module;
    const struct weir_artifact *artifact = &module->artifact;
    const struct weir_artifact_head *head = artifact->head;
    const struct weir_vm_import *imports = (const struct weir_vm_import *)(instance->vmctx + 1);
    for (uint32_t i = 0; i < head->escape_count; i++) {
        uint32_t index = module->escapes[i];
        struct weir_funcref *ref = &instance->vmctx->funcrefs[i];
        ref->type_id = weir__module_type_id(module, index);
        ref->func_index = index;
        ref->owner = instance;
        if (index < head->func_import_count) {
            ref->code = imports[index].code;
            ref->vmctx = imports[index].vmctx;
        } else {
            ref->code = artifact->text + artifact->funcs[index].text_offset;
            ref->vmctx = instance->vmctx;
        }
    }
}

static void make_globals(struct weir_instance *instance)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    const struct weir_artifact_head *head = artifact->head;
    uint8_t *slots = (uint8_t *)instance->vmctx + WEIR_ABI_VMCTX_GLOBAL(head->func_import_count, 0);
    for (uint32_t i = 0; i < head->globals.count; i++) {
        union weir_value *slot = (union weir_value *)(void *)(slots + 16u * (size_t)i);
        struct weir_global *global = &instance->globals[i];
        if (i < head->global_import_count) {
            slot->externref = global->value; /* the exporter's home */
            continue;
        }
        *global = (struct weir_global){.store = instance->store,
                                       .type = (enum weir_type)artifact->globals[i].type,
                                       .is_mutable = artifact->globals[i].is_mutable != 0,
                                       .value = slot};
        *slot = weir__init_value(instance, &artifact->globals[i].init);
    }
}

void weir__instance_extern(struct weir_instance *instance, uint32_t kind, uint32_t index,
                           struct weir_extern *ret_extern)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    *ret_extern = (struct weir_extern){.kind = (enum weir_extern_kind)kind};
    switch (ret_extern->kind) {
    case WEIR_EXTERN_FUNC:
        ret_extern->func = &instance->vmctx->funcrefs[artifact->funcs[index].escape_index];
        break;
    case WEIR_EXTERN_TABLE:
        ret_extern->table = instance->tables[index];
        break;
    case WEIR_EXTERN_MEMORY:
        ret_extern->memory = instance->memories[index];
        break;
    case WEIR_EXTERN_GLOBAL:
        ret_extern->global = &instance->globals[index];
        break;
    }
}

/* Names are compared in pieces that were read safely: embedders look exports up at any time, also
 * when the artifact's file has been cut under them. */
static bool is_named(const struct weir_artifact *artifact,
                     const struct weir_artifact_string *string, const char *name, size_t name_size)
{
    char piece[64];
    if (string->size != name_size)
        return false;
    for (size_t at = 0; at < name_size; at += sizeof piece) {
        size_t size = name_size - at < sizeof piece ? name_size - at : sizeof piece;
        if (weir__copy_guarded(piece, artifact->strings + string->start + at, size) != 0 ||
            memcmp(piece, name + at, size) != 0)
            return false;
    }
    return true;
}

static enum weir_status take_export(struct weir_instance *instance,
                                    const struct weir_artifact_export *export,
                                    struct weir_extern *ret_extern)
{
    struct weir_artifact_func func;
    if (export->kind == WEIR_EXTERN_FUNC &&
        weir__copy_guarded(&func, &instance->module->artifact.funcs[export->index], sizeof func) !=
            0)
        return WEIR_CORRUPT;
    weir__instance_extern(instance, export->kind, export->index, ret_extern);
    return WEIR_OK;
}

enum weir_status weir_instance_export(struct weir_instance *instance, const char *name,
                                      size_t name_size, struct weir_extern *ret_extern)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    for (uint32_t i = 0; i < artifact->head->exports.count; i++) {
        struct weir_artifact_export export;
        if (weir__copy_guarded(&export, &artifact->exports[i], sizeof export) != 0)
            return WEIR_CORRUPT;
        if (is_named(artifact, &export.name, name, name_size))
            return take_export(instance, &export, ret_extern);
    }
    return WEIR_NOT_FOUND;
}

enum weir_status weir_instance_export_at(struct weir_instance *instance, size_t index,
                                         struct weir_extern *ret_extern)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    if (index >= artifact->head->exports.count)
        return WEIR_NOT_FOUND;
    struct weir_artifact_export export;
    if (weir__copy_guarded(&export, &artifact->exports[index], sizeof export) != 0)
        return WEIR_CORRUPT;
    return take_export(instance, &export, ret_extern);
}

static void find_main_memory(struct weir_instance *instance)
{
    struct weir_extern item;
    if (weir_instance_export(instance, "memory", 6, &item) == WEIR_OK &&
        item.kind == WEIR_EXTERN_MEMORY)
        instance->main_memory = item.memory;
    else if (instance->module->artifact.head->memories.count > 0)
        instance->main_memory = instance->memories[0];
}

/* --- instantiation ------------------------------------------------------------------------- */

/* In lists, what the instance defines stands at the front while it is being made, anywhere later.
 */
static void unlink_memory(struct weir_store *store, struct weir_memory *memory)
{
    struct weir_memory **at = &store->memories;
    while (*at != memory)
        at = &(*at)->next;
    weir__census_begin(&store->mark);
    *at = memory->next;
    weir__census_end(&store->mark);
}

static void unlink_table(struct weir_store *store, struct weir_table *table)
{
    struct weir_table **at = &store->tables;
    while (*at != table)
        at = &(*at)->next;
    weir__census_begin(&store->mark);
    *at = table->next;
    weir__census_end(&store->mark);
}

void weir__instance_free_parts(struct weir_instance *instance)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    for (uint32_t i = head->memory_import_count; i < head->memories.count; i++) {
        if (instance->memories[i] == NULL)
            continue; /* not made any more */
        unlink_memory(instance->store, instance->memories[i]);
        weir__memory_free(instance->memories[i]);
    }
    for (uint32_t i = head->table_import_count; i < head->tables.count; i++) {
        if (instance->tables[i] == NULL)
            continue;
        unlink_table(instance->store, instance->tables[i]);
        weir__table_free(instance->tables[i]);
    }
}

static enum weir_status build(struct weir_instance *instance,
                              const struct weir__import_source *source, struct weir_error *error)
{
    enum weir_status status = weir__instance_link(instance, source, error);
    if (status == WEIR_OK)
        status = make_memories(instance, error);
    if (status == WEIR_OK)
        status = make_tables(instance, error);
    if (status != WEIR_OK)
        return status;
    make_funcrefs(instance);
    make_globals(instance);
    find_main_memory(instance);
    return WEIR_OK;
}

/* A segment out of bounds traps like an instruction would, but there is no frame to show. */
enum weir_status weir__instance_segment_trap(enum weir_trap_code code, struct weir_trap *trap,
                                     struct weir_error *error)
{
    if (trap != NULL) {
        memset(trap, 0, sizeof *trap);
        trap->code = (int)code;
    }
    return weir_error_set(error, WEIR_TRAP, WEIR_NO_OFFSET, "%s: an active segment does not fit",
                          weir_trap_text((int)code));
}

enum weir_status weir__instance_run_start(struct weir_instance *instance, struct weir_trap *trap,
                                  struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    uint32_t index = artifact->head->start_func;
    if (index == WEIR_ARTIFACT_NONE)
        return WEIR_OK;
    struct weir_funcref start = {.type_id = weir__module_type_id(instance->module, index),
                                 .func_index = index,
                                 .owner = instance,
                                 .vmctx = instance->vmctx};
    if (index < artifact->head->func_import_count) {
        const struct weir_vm_import *import =
            (const struct weir_vm_import *)(instance->vmctx + 1) + index;
        start.code = import->code;
        start.vmctx = import->vmctx;
    } else {
        start.code = artifact->text + artifact->funcs[index].text_offset;
    }
    enum weir_status status = weir_func_call(instance->store, &start, NULL, NULL, trap, error);
    if (status != WEIR_PENDING)
        return status;
    weir_store_unpark(instance->store);
    return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                          "the start function waits for the host, which it must not");
}

static enum weir_status initialise(struct weir_instance *instance, struct weir_trap *trap,
                                   struct weir_error *error)
{
    enum weir_trap_code code = weir__instance_fill_tables(instance, false);
    if (code == WEIR_TRAP_NONE)
        code = weir__instance_fill_memories(instance);
    if (code != WEIR_TRAP_NONE)
        return weir__instance_segment_trap(code, trap, error);
    weir__instance_drop_segments(instance);
    enum weir_status status = weir__instance_run_start(instance, trap, error);
    if (status != WEIR_OK)
        return status;
    return weir__instance_remember(instance, error);
}

static enum weir_status check_store(struct weir_store *store, const struct weir_module *module,
                                    struct weir_error *error)
{
    if (module->engine != store->engine)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "the module belongs to another engine than the store");
    if (store->park != WEIR_PARK_NONE)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "the store has a parked call");
    weir__store_release_abandoned(store);
    if (store->instance_count >= store->instances_max)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "the store has %u instances, which is its limit",
                              store->instance_count);
    return WEIR_OK;
}

enum weir_status weir__instance_make(struct weir_store *store, struct weir_module *module,
                             const struct weir__import_source *source,
                             struct weir_instance **ret_instance, struct weir_error *error)
{
    enum weir_status status = check_store(store, module, error);
    if (status == WEIR_OK)
        status = weir__module_check_file(module, error);
    if (status != WEIR_OK)
        return status;
    struct weir__region region;
    weir__region_open(store, &region);
    struct weir_instance *instance = allocate(store, module, error);
    status = instance != NULL ? build(instance, source, error) : weir_error_refused(error);
    weir__region_close(store);
    if (status != WEIR_OK) {
        if (instance != NULL)
            weir__instance_free_parts(instance);
        weir__region_free(store, &region);
        return status;
    }
    weir__region_move(store, &instance->region, &region);
    (void)weir_module_ref(module);
    instance->made_ns = weir_clock_ns();
    weir__census_begin(&store->mark);
    instance->next = store->instances;
    store->instances = instance;
    store->instance_count++;
    instance->number = ++store->instances_made;
    weir__census_end(&store->mark);
    weir__event_instance(instance, WEIR_EVENT_INSTANCE_CREATED);
    *ret_instance = instance;
    return WEIR_OK;
}

static enum weir_status start(struct weir_instance *instance, struct weir_instance **ret_instance,
                              struct weir_trap *trap, struct weir_error *error)
{
    enum weir_status status = initialise(instance, trap, error);
    if (status != WEIR_OK) {
        weir__instance_abandon(instance);
        return status;
    }
    instance->is_whole = true;
    *ret_instance = instance;
    return WEIR_OK;
}

enum weir_status weir_instance_new(struct weir_store *store, const struct weir_linker *linker,
                                   struct weir_module *module, struct weir_instance **ret_instance,
                                   struct weir_trap *trap, struct weir_error *error)
{
    struct weir__import_source source = {.linker = linker};
    struct weir_instance *instance = NULL;
    enum weir_status status = weir__instance_make(store, module, &source, &instance, error);
    return status == WEIR_OK ? start(instance, ret_instance, trap, error) : status;
}

enum weir_status weir_instance_new_with(struct weir_store *store, struct weir_module *module,
                                        const struct weir_imports *imports,
                                        struct weir_instance **ret_instance, struct weir_trap *trap,
                                        struct weir_error *error)
{
    struct weir__import_source source = {.list = imports};
    struct weir_instance *instance = NULL;
    enum weir_status status = weir__instance_make(store, module, &source, &instance, error);
    return status == WEIR_OK ? start(instance, ret_instance, trap, error) : status;
}

struct weir_module *weir_instance_module(struct weir_instance *instance)
{
    return instance->module;
}

struct weir_store *weir_instance_store(struct weir_instance *instance)
{
    return instance->store;
}

size_t weir_instance_global_count(const struct weir_instance *instance)
{
    return instance->module->artifact.head->globals.count;
}

struct weir_global *weir_instance_global(struct weir_instance *instance, size_t index)
{
    return index < weir_instance_global_count(instance) ? &instance->globals[index] : NULL;
}

size_t weir_instance_memory_count(const struct weir_instance *instance)
{
    return instance->module->artifact.head->memories.count;
}

struct weir_memory *weir_instance_memory(struct weir_instance *instance, size_t index)
{
    return index < weir_instance_memory_count(instance) ? instance->memories[index] : NULL;
}
