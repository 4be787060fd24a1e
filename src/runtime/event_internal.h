/* Where objects come and go: a load and a branch when the engine has no hook. */
#ifndef WEIR_RUNTIME_EVENT_INTERNAL_H
#define WEIR_RUNTIME_EVENT_INTERNAL_H

#include <weir/event.h>

#include "runtime/store_internal.h"

void weir__event_tell_module(const struct weir_module *module, enum weir_event_kind kind);
void weir__event_tell_store(const struct weir_store *store, enum weir_event_kind kind);
void weir__event_tell_instance(const struct weir_instance *instance, enum weir_event_kind kind,
                               enum weir_recycle_reason reason);

static inline bool weir__event_is_wanted(const struct weir_engine *engine)
{
    return __builtin_expect(engine->event_hook != NULL, 0);
}

static inline void weir__event_module(const struct weir_module *module, enum weir_event_kind kind)
{
    if (weir__event_is_wanted(module->engine))
        weir__event_tell_module(module, kind);
}

static inline void weir__event_store(const struct weir_store *store, enum weir_event_kind kind)
{
    if (weir__event_is_wanted(store->engine))
        weir__event_tell_store(store, kind);
}

static inline void weir__event_instance(const struct weir_instance *instance,
                                        enum weir_event_kind kind)
{
    if (weir__event_is_wanted(instance->store->engine))
        weir__event_tell_instance(instance, kind, WEIR_RECYCLE_NONE);
}

#endif
