/* What an engine's hook is told (weir/event.h). Callers come here only when there is one. */
#include <weir/event.h>

#include "runtime/event_internal.h"

const char *weir_event_name(enum weir_event_kind kind)
{
    static const char *const names[WEIR_EVENT_KIND_COUNT] = {
        "module created", "module released",  "store created",
        "store released", "instance created", "instance released", "instance recycled"};
    return (unsigned)kind < WEIR_EVENT_KIND_COUNT ? names[kind] : "unknown event";
}

static void tell(const struct weir_engine *engine, const struct weir_event *event)
{
    engine->event_hook(engine->event_context, event);
}

void weir__event_tell_module(const struct weir_module *module, enum weir_event_kind kind)
{
    struct weir_module_figures figures;
    weir_module_figures(module, &figures);
    tell(module->engine,
         &(struct weir_event){
             .kind = kind, .name = module->name, .bytes = figures.private_bytes, .module = module});
}

void weir__event_tell_store(const struct weir_store *store, enum weir_event_kind kind)
{
    struct weir_account_reading reading;
    weir_account_read(store->account, &reading);
    tell(store->engine,
         &(struct weir_event){
             .kind = kind, .name = reading.name, .bytes = reading.used_bytes, .store = store});
}

static uint64_t bytes_of(const struct weir_instance *instance)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    uint64_t bytes = instance->region_bytes;
    for (uint32_t i = head->memory_import_count; i < head->memories.count; i++)
        bytes += instance->memories[i]->vm.size_bytes;
    for (uint32_t i = head->table_import_count; i < head->tables.count; i++)
        bytes += instance->tables[i]->accessible_bytes;
    return bytes;
}

void weir__event_tell_instance(const struct weir_instance *instance, enum weir_event_kind kind,
                               enum weir_recycle_reason reason)
{
    tell(instance->store->engine, &(struct weir_event){.kind = kind,
                                                       .name = instance->module->name,
                                                       .bytes = bytes_of(instance),
                                                       .module = instance->module,
                                                       .store = instance->store,
                                                       .instance = instance,
                                                       .instance_number = instance->number,
                                                       .reason = reason});
}
