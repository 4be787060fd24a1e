/* The end of one instance while its store lives: who holds it, and giving back what it had.
 *
 * Everything that can lead to an instance from outside points into its records (functions, their
 * bindings, globals) or at a memory or table that it defines. With no call active or parked such
 * pointers are only in the places that are looked through here.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/event_internal.h"
#include "runtime/handle_internal.h"
#include "runtime/linker_internal.h"
#include "runtime/references.h"
#include "runtime/task_internal.h"

/* --- pins of the embedder ------------------------------------------------------------------- */

enum weir_status weir_instance_pin(struct weir_instance *instance, const char *holder,
                                   struct weir_instance_pin **ret_pin, struct weir_error *error)
{
    if (holder == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a pin needs the name of its holder");
    struct weir_instance_pin *pin =
        weir_account_alloc(instance->store->account, WEIR_KIND_METADATA, sizeof *pin, error);
    if (pin == NULL)
        return weir_error_refused(error);
    pin->instance = instance;
    (void)snprintf(pin->holder, sizeof pin->holder, "%s", holder);
    pin->made_ns = weir_clock_ns();
    weir__census_begin(&instance->store->mark);
    pin->next = instance->pins;
    instance->pins = pin;
    weir__census_end(&instance->store->mark);
    *ret_pin = pin;
    return WEIR_OK;
}

void weir_instance_unpin(struct weir_instance_pin *pin)
{
    if (pin == NULL)
        return;
    struct weir_instance_pin **at = &pin->instance->pins;
    while (*at != pin)
        at = &(*at)->next;
    weir__census_begin(&pin->instance->store->mark);
    *at = pin->next;
    weir__census_end(&pin->instance->store->mark);
    weir_account_free(pin->instance->store->account, WEIR_KIND_METADATA, pin, sizeof *pin);
}

void weir__instance_unpin_all(struct weir_instance *instance)
{
    while (instance->pins != NULL)
        weir_instance_unpin(instance->pins);
}

/* --- who holds it --------------------------------------------------------------------------- */

struct search {
    struct weir_instance *instance;
    struct weir_receipt *receipt; /* may be NULL */
    uint32_t count;
    char first[160];
};

static void found(struct search *search, enum weir_kind kind, const char *format, ...)
    WEIR_PRINTF(3, 4);
static void found(struct search *search, enum weir_kind kind, const char *format, ...)
{
    char text[sizeof search->first];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (search->count++ == 0)
        memcpy(search->first, text, sizeof text);
    if (search->count <= WEIR_PINS_NAMED_MAX)
        weir_receipt_pin(search->receipt, kind, 1, "%s", text);
}

static bool is_inside(const struct weir_instance *instance, const void *pointer)
{
    uint64_t begin = (uint64_t)instance;
    return (uint64_t)pointer >= begin && (uint64_t)pointer < begin + instance->region_bytes;
}

static bool is_own_memory(const struct weir_instance *instance, const struct weir_memory *memory)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    for (uint32_t i = head->memory_import_count; i < head->memories.count; i++)
        if (instance->memories[i] == memory)
            return true;
    return false;
}

static bool is_own_table(const struct weir_instance *instance, const struct weir_table *table)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    for (uint32_t i = head->table_import_count; i < head->tables.count; i++)
        if (instance->tables[i] == table)
            return true;
    return false;
}

static bool is_of(const struct weir_instance *instance, const struct weir_extern *item)
{
    switch (item->kind) {
    case WEIR_EXTERN_FUNC:
        return is_inside(instance, item->func);
    case WEIR_EXTERN_TABLE:
        return is_own_table(instance, item->table);
    case WEIR_EXTERN_MEMORY:
        return is_own_memory(instance, item->memory);
    case WEIR_EXTERN_GLOBAL:
        return is_inside(instance, item->global);
    }
    return false;
}

struct weir_instance *weir_extern_owner(const struct weir_store *store,
                                        const struct weir_extern *item)
{
    struct weir_instance *at = store->instances;
    while (at != NULL && !is_of(at, item))
        at = at->next;
    return at;
}

static void search_imports(struct search *search, const struct weir_instance *other)
{
    const struct weir_instance *instance = search->instance;
    const struct weir_artifact *artifact = &other->module->artifact;
    const struct weir_vm_import *funcs = (const struct weir_vm_import *)(other->vmctx + 1);
    uint32_t counts[4] = {0};
    for (uint32_t i = 0; i < artifact->head->imports.count; i++) {
        const struct weir_artifact_import *import = &artifact->imports[i];
        static const char *const WHAT[] = {"function", "table", "memory", "global"};
        uint32_t at = counts[import->kind]++;
        bool holds = import->kind == WEIR_EXTERN_FUNC    ? is_inside(instance, funcs[at].vmctx)
                     : import->kind == WEIR_EXTERN_TABLE ? is_own_table(instance, other->tables[at])
                     : import->kind == WEIR_EXTERN_MEMORY
                         ? is_own_memory(instance, other->memories[at])
                         : is_inside(instance, other->globals[at].value);
        if (holds)
            found(search, WEIR_KIND_INSTANCE, "instance %u imports its %s as \"%.*s\" \"%.*s\"",
                  other->number, WHAT[import->kind], (int)import->module.size,
                  artifact->strings + import->module.start, (int)import->name.size,
                  artifact->strings + import->name.start);
    }
}

static void search_globals(struct search *search, const struct weir_instance *other)
{
    const struct weir_artifact_head *head = other->module->artifact.head;
    uint32_t saved = 0;
    for (uint32_t i = head->global_import_count; i < head->globals.count; i++) {
        const struct weir_global *global = &other->globals[i];
        const union weir_value *before =
            global->is_mutable && other->is_whole ? &other->saved_globals[saved] : NULL;
        saved += global->is_mutable;
        if (global->type != WEIR_TYPE_FUNCREF)
            continue;
        if (is_inside(search->instance, global->value->funcref))
            found(search, WEIR_KIND_INSTANCE, "global %u of instance %u holds its function %u", i,
                  other->number, global->value->funcref->func_index);
        else if (before != NULL && is_inside(search->instance, before->funcref))
            found(search, WEIR_KIND_IMAGE,
                  "a reset of instance %u would bring back its function "
                  "%u in global %u",
                  other->number, before->funcref->func_index, i);
    }
}

static const struct weir_instance *owner_of(const struct weir_store *store,
                                            const struct weir_table *table)
{
    const struct weir_instance *at = store->instances;
    while (at != NULL && !is_own_table(at, table))
        at = at->next;
    return at;
}

static void search_elements(struct search *search, const struct weir_table *table,
                            void *const *elements, uint64_t count)
{
    const struct weir_instance *owner = owner_of(table->store, table);
    for (uint64_t i = 0; elements != NULL && i < count; i++) {
        if (elements[i] == NULL || !is_inside(search->instance, elements[i]))
            continue;
        const struct weir_funcref *ref = elements[i];
        if (owner != NULL)
            found(search, WEIR_KIND_TABLE,
                  "entry %llu of a table of instance %u%s is its function "
                  "%u",
                  (unsigned long long)i, owner->number,
                  elements == table->undo ? ", after a reset," : "", ref->func_index);
        else
            found(search, WEIR_KIND_TABLE, "entry %llu of a table of the host is its function %u",
                  (unsigned long long)i, ref->func_index);
    }
}

static void search_tables(struct search *search)
{
    for (const struct weir_table *table = search->instance->store->tables; table != NULL;
         table = table->next) {
        if (table->element != WEIR_TYPE_FUNCREF || is_own_table(search->instance, table))
            continue;
        search_elements(search, table, table->vm.elements, table->vm.size);
        search_elements(search, table, table->undo, table->undo != NULL ? table->min : 0);
    }
}

static void search_host_globals(struct search *search)
{
    for (const struct weir__host_global *at = search->instance->store->host_globals; at != NULL;
         at = at->next)
        if (at->global.type == WEIR_TYPE_FUNCREF && is_inside(search->instance, at->home.funcref))
            found(search, WEIR_KIND_INSTANCE, "a global of the host holds its function %u",
                  at->home.funcref->func_index);
}

static void search_linkers(struct search *search)
{
    const struct weir_instance *instance = search->instance;
    for (const struct weir__definition *at = instance->store->definitions; at != NULL;
         at = at->store_next) {
        if (is_of(instance, &at->item))
            found(search, WEIR_KIND_METADATA, "a linker defines it as \"%.*s\" \"%.*s\"",
                  (int)at->module_size, at->names, (int)at->name_size, at->names + at->module_size);
    }
}

static void search_handles(struct search *search)
{
    const struct weir_handles *handles = search->instance->handles;
    if (handles == NULL)
        return;
    for (uint32_t i = handles->oldest; i != 0; i = handles->entries[i].newer)
        if (handles->entries[i].lend_count != 0)
            found(search, WEIR_KIND_HANDLE, "its handle %u, a \"%s\", is lent to a call", i,
                  handles->entries[i].use->type->name);
}

static void found_task(void *context, const char *label)
{
    found(context, WEIR_KIND_HOST_BUFFER, "task \"%s\" works for it", label);
}

static enum weir_status check_free(struct weir_instance *instance, struct weir_receipt *receipt,
                                   struct weir_error *error)
{
    struct search search = {.instance = instance, .receipt = receipt};
    for (const struct weir_instance_pin *pin = instance->pins; pin != NULL; pin = pin->next)
        found(&search, WEIR_KIND_INSTANCE, "pinned by %s", pin->holder);
    for (const struct weir_instance *other = instance->store->instances; other != NULL;
         other = other->next) {
        if (other == instance)
            continue;
        search_imports(&search, other);
        search_globals(&search, other);
    }
    search_tables(&search);
    search_host_globals(&search);
    search_linkers(&search);
    search_handles(&search);
    weir__tasks_visit(instance->store, instance, found_task, &search);
    if (search.count == 0)
        return WEIR_OK;
    return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                          "instance %u cannot be released, %u thing%s hold%s it: %s",
                          instance->number, search.count, search.count == 1 ? "" : "s",
                          search.count == 1 ? "s" : "", search.first);
}

/* --- the release ---------------------------------------------------------------------------- */

static void unlink_instance(struct weir_instance *instance)
{
    struct weir_instance **at = &instance->store->instances;
    while (*at != instance)
        at = &(*at)->next;
    weir__census_begin(&instance->store->mark);
    *at = instance->next;
    instance->store->instance_count--;
    weir__census_end(&instance->store->mark);
}

/* The store does not hold the module's code any more; its handles may tell of places in it. */
static void forget_code(const struct weir_store *store, const struct weir_module *module)
{
    const struct weir_instance *at = store->instances;
    while (at != NULL && at->module != module)
        at = at->next;
    if (at != NULL)
        return;
    weir__handles_forget_code(store->handles, &module->code);
    for (at = store->instances; at != NULL; at = at->next)
        weir__handles_forget_code(at->handles, &module->code);
}

static void release(struct weir_instance *instance, struct weir_receipt *receipt)
{
    struct weir_store *store = instance->store;
    struct weir_module *module = instance->module;
    weir__event_instance(instance, WEIR_EVENT_INSTANCE_RELEASED);
    weir__held_end(instance);
    store->abandoned_count -= instance->is_abandoned;
    unlink_instance(instance);
    weir__handles_free(instance->handles, receipt);
    weir__instance_free_parts(instance);
    weir__region_free(store, &instance->region);
    forget_code(store, module);
    weir_module_unref(module);
}

enum weir_status weir_instance_release(struct weir_instance *instance, struct weir_receipt *receipt,
                                       struct weir_error *error)
{
    if (instance == NULL)
        return WEIR_OK;
    struct weir_store *store = instance->store;
    if (!weir_store_is_idle(store))
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "an instance cannot be released while a call into its store is "
                              "active or parked; do it when the call has come back");
    if (store->pooled == instance)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "the instance belongs to a pool; give or drop its slot instead");
    (void)weir_store_reap(store);
    enum weir_status status = check_free(instance, receipt, error);
    if (status != WEIR_OK)
        return status;
    struct weir_account_reading before, after;
    weir_account_read(store->account, &before);
    release(instance, receipt);
    weir_account_read(store->account, &after);
    for (int kind = 0; receipt != NULL && kind < WEIR_KIND_COUNT; kind++)
        weir_receipt_add(receipt, (enum weir_kind)kind, before.kinds[kind] - after.kinds[kind]);
    if (receipt != NULL)
        receipt->drained = true;
    return WEIR_OK;
}

/* --- what could not be made ----------------------------------------------------------------- */

void weir__instance_abandon(struct weir_instance *instance)
{
    if (weir_instance_release(instance, NULL, NULL) == WEIR_OK)
        return;
    instance->is_abandoned = true;
    instance->store->abandoned_count++;
}

/* A look costs by what the store holds, so the next one waits until there are twice as many, or
 * until their places are wanted. */
void weir__store_release_abandoned(struct weir_store *store)
{
    bool is_full = store->instance_count >= store->instances_max;
    if (store->abandoned_count == 0 || (store->abandoned_count < store->abandoned_at && !is_full) ||
        !weir_store_is_idle(store))
        return;
    struct weir_instance *next = NULL;
    for (struct weir_instance *at = store->instances; at != NULL; at = next) {
        next = at->next;
        if (at->is_abandoned && check_free(at, NULL, NULL) == WEIR_OK)
            release(at, NULL);
    }
    store->abandoned_at = store->abandoned_count * 2;
}
