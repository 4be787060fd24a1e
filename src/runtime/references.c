/* See references.h. */
#include "runtime/references.h"

#include "runtime/store_internal.h"

struct weir_identity weir_extern_identity(const struct weir_extern *item)
{
    switch (item->kind) {
    case WEIR_EXTERN_FUNC:
        return (struct weir_identity){.code = item->func->code, .home = item->func->vmctx};
    case WEIR_EXTERN_TABLE:
        return (struct weir_identity){.home = item->table};
    case WEIR_EXTERN_MEMORY:
        return (struct weir_identity){.home = item->memory};
    case WEIR_EXTERN_GLOBAL:
        return (struct weir_identity){.home = item->global->value};
    }
    return (struct weir_identity){0};
}

bool weir_store_is_idle(const struct weir_store *store)
{
    return store->active == NULL && store->park == WEIR_PARK_NONE;
}

struct visitor {
    void (*visit)(void *context, void *externref);
    void *context;
};

static void visit_elements(const struct visitor *visitor, void *const *elements, uint64_t count)
{
    for (uint64_t i = 0; elements != NULL && i < count; i++)
        if (elements[i] != NULL)
            visitor->visit(visitor->context, elements[i]);
}

static void visit_value(const struct visitor *visitor, const union weir_value *value)
{
    visit_elements(visitor, &value->externref, 1);
}

static void visit_globals(const struct visitor *visitor, const struct weir_instance *instance)
{
    const struct weir_artifact_head *head = instance->module->artifact.head;
    uint32_t saved = 0;
    for (uint32_t i = 0; i < head->globals.count; i++) {
        const struct weir_global *global = &instance->globals[i];
        bool is_saved = i >= head->global_import_count && global->is_mutable;
        if (global->type == WEIR_TYPE_EXTERNREF) {
            visit_value(visitor, global->value);
            if (is_saved && instance->is_whole)
                visit_value(visitor, &instance->saved_globals[saved]);
        }
        saved += is_saved;
    }
}

void weir_store_visit_externrefs(const struct weir_store *store,
                                 void (*visit)(void *context, void *externref), void *context)
{
    WEIR_ASSERT(weir_store_is_idle(store));
    const struct visitor visitor = {visit, context};
    for (const struct weir_table *table = store->tables; table != NULL; table = table->next) {
        if (table->element != WEIR_TYPE_EXTERNREF)
            continue;
        visit_elements(&visitor, table->vm.elements, table->vm.size);
        visit_elements(&visitor, table->undo, table->min);
    }
    for (const struct weir_instance *instance = store->instances; instance != NULL;
         instance = instance->next)
        visit_globals(&visitor, instance);
}

struct weir_instance *weir_store_instance_of(const struct weir_store *store,
                                             const struct weir_module *module)
{
    struct weir_instance *found = NULL;
    for (struct weir_instance *instance = store->instances; instance != NULL;
         instance = instance->next) {
        if (instance->module != module)
            continue;
        if (found != NULL)
            return NULL;
        found = instance;
    }
    return found;
}
