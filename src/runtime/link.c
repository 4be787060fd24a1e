/* Linking: every import resolved and matched by the specification's rules (4.5.4), all that fail
 * reported together, grouped by what is wrong with them.
 */
#include <string.h>

#include "runtime/store_internal.h"

struct linking {
    struct weir_instance *instance;
    const char *first; /* what is wrong with the first import that failed */
    struct weir_error *error;
    uint32_t funcs, tables, memories, globals, host_funcs;
};

/* The first one makes the message, all of them details. */
static void complain(struct linking *linking, const struct weir_artifact_import *import,
                     const char *what)
{
    const char *strings = linking->instance->module->artifact.strings;
    int module_size = (int)import->module.size;
    int name_size = (int)import->name.size;
    const char *module = strings + import->module.start;
    const char *name = strings + import->name.start;
    if (linking->first == NULL) {
        linking->first = what;
        (void)weir_error_set(linking->error, WEIR_LINK, WEIR_NO_OFFSET, "%s: \"%.*s\" \"%.*s\"",
                             what, module_size, module, name_size, name);
    }
    weir_error_add(linking->error, "%s: \"%.*s\" \"%.*s\"", what, module_size, module, name_size,
                   name);
}

/* What is there has at least what is wanted and at most what is allowed. */
static bool limits_match(uint64_t size, bool has_max, uint64_t max, bool is_64,
                         const struct weir_artifact_limits *wanted)
{
    if (is_64 != ((wanted->flags & 1) != 0) || size < wanted->min)
        return false;
    return wanted->max == UINT64_MAX || (has_max && max <= wanted->max);
}

/* A host function gets a binding per import: its vmctx. */
static void bind_host(struct linking *linking, const struct weir__definition *definition,
                      uint32_t index)
{
    struct weir_instance *instance = linking->instance;
    struct weir__binding *binding = &instance->bindings[linking->host_funcs++];
    /* The module's own hold on the type: the linker may be freed before the store. */
    const struct weir__type *type = weir__type_at(definition->type->id);
    *binding = (struct weir__binding){.state = instance->store->state,
                                      .has_floats = type->float_count != 0,
                                      .type = type,
                                      .func = definition->func,
                                      .data = definition->data,
                                      .store = instance->store,
                                      .instance = instance};
    struct weir_vm_import *slot = (struct weir_vm_import *)(instance->vmctx + 1) + index;
    *slot = (struct weir_vm_import){.code = weir__host_stub,
                                    .vmctx = (struct weir_vmctx *)(void *)binding};
}

static bool link_func(struct linking *linking, const struct weir_artifact_import *import,
                      const struct weir__definition *definition)
{
    struct weir_instance *instance = linking->instance;
    uint32_t wanted = instance->module->type_ids[import->type];
    uint32_t index = linking->funcs;
    if (definition->store == NULL) {
        if (definition->type->id != wanted)
            return false;
        bind_host(linking, definition, index);
        return true;
    }
    const struct weir_funcref *func = definition->item.func;
    if (func->type_id != wanted)
        return false;
    struct weir_vm_import *slot = (struct weir_vm_import *)(instance->vmctx + 1) + index;
    *slot = (struct weir_vm_import){.code = func->code, .vmctx = func->vmctx};
    return true;
}

static bool link_table(struct linking *linking, const struct weir__definition *definition)
{
    const struct weir_artifact_limits *wanted =
        &linking->instance->module->artifact.tables[linking->tables];
    struct weir_table *table = definition->item.table;
    if ((uint32_t)table->element != wanted->type ||
        !limits_match(table->vm.size, table->has_max, table->max, table->is_64, wanted))
        return false;
    linking->instance->tables[linking->tables] = table;
    return true;
}

static bool link_memory(struct linking *linking, const struct weir__definition *definition)
{
    const struct weir_artifact_limits *wanted =
        &linking->instance->module->artifact.memories[linking->memories];
    struct weir_memory *memory = definition->item.memory;
    struct weir_limits limits;
    weir_memory_limits(memory, &limits);
    if (!limits_match(limits.min, limits.has_max, limits.max, limits.is_64, wanted))
        return false;
    linking->instance->memories[linking->memories] = memory;
    return true;
}

static bool link_global(struct linking *linking, const struct weir__definition *definition)
{
    const struct weir_artifact_global *wanted =
        &linking->instance->module->artifact.globals[linking->globals];
    struct weir_global *global = definition->item.global;
    if ((uint32_t)global->type != wanted->type || global->is_mutable != (wanted->is_mutable != 0))
        return false;
    linking->instance->globals[linking->globals] = *global;
    return true;
}

bool weir__extern_is_of(const struct weir_extern *item, const struct weir_store *store)
{
    if (item->func == NULL) /* nor any other member of the union */
        return false;
    switch (item->kind) {
    case WEIR_EXTERN_FUNC:
        return item->func->vmctx->state == store->state;
    case WEIR_EXTERN_TABLE:
        return item->table->store == store;
    case WEIR_EXTERN_MEMORY:
        return item->memory->store == store;
    case WEIR_EXTERN_GLOBAL:
        return item->global->store == store;
    }
    return false;
}

static bool link_one(struct linking *linking, const struct weir_artifact_import *import,
                     const struct weir__definition *definition)
{
    if ((uint32_t)definition->item.kind != import->kind ||
        (definition->store != NULL && definition->store != linking->instance->store))
        return false;
    switch (definition->item.kind) {
    case WEIR_EXTERN_FUNC:
        return link_func(linking, import, definition);
    case WEIR_EXTERN_TABLE:
        return link_table(linking, definition);
    case WEIR_EXTERN_MEMORY:
        return link_memory(linking, definition);
    case WEIR_EXTERN_GLOBAL:
        return link_global(linking, definition);
    }
    return false;
}

static void link_by_name(struct linking *linking, const struct weir_linker *linker,
                         const struct weir_artifact_import *import)
{
    const char *strings = linking->instance->module->artifact.strings;
    const struct weir__definition *definition =
        linker == NULL
            ? NULL
            : weir__linker_find(linker, strings + import->module.start, import->module.size,
                                strings + import->name.start, import->name.size);
    if (definition == NULL)
        complain(linking, import, "unknown import");
    else if (definition->is_gone)
        complain(linking, import, "import from a store that is closed");
    else if (!link_one(linking, import, definition))
        complain(linking, import, "incompatible import type");
}

static void link_by_position(struct linking *linking, const struct weir_extern *item,
                             const struct weir_artifact_import *import)
{
    struct weir_store *store = linking->instance->store;
    struct weir__definition definition = {.store = store, .item = *item};
    if (!weir__extern_is_of(item, store))
        complain(linking, import, item->func == NULL ? "null import" : "import of another store");
    else if (!link_one(linking, import, &definition))
        complain(linking, import, "incompatible import type");
}

enum weir_status weir__instance_link(struct weir_instance *instance,
                                     const struct weir__import_source *source,
                                     struct weir_error *error)
{
    const struct weir_artifact *artifact = &instance->module->artifact;
    const struct weir_imports *list = source->list;
    struct linking linking = {.instance = instance, .error = error};
    uint32_t count = artifact->head->imports.count;
    if (list != NULL && list->count != count)
        return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                              "%zu imports are given, the module has %u", list->count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_artifact_import *import = &artifact->imports[i];
        if (list != NULL)
            link_by_position(&linking, &list->items[i], import);
        else
            link_by_name(&linking, source->linker, import);
        linking.funcs += import->kind == WEIR_EXTERN_FUNC;
        linking.tables += import->kind == WEIR_EXTERN_TABLE;
        linking.memories += import->kind == WEIR_EXTERN_MEMORY;
        linking.globals += import->kind == WEIR_EXTERN_GLOBAL;
    }
    return linking.first == NULL ? WEIR_OK : WEIR_LINK;
}
