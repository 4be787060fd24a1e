/* Modules that are loaded: references, figures, imports and exports for people and embedders. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "runtime/event_internal.h"

struct weir_module *weir_module_ref(struct weir_module *module)
{
    atomic_fetch_add_explicit(&module->refs, 1, memory_order_relaxed);
    return module;
}

bool weir_module_try_ref(struct weir_module *module)
{
    uint32_t refs = atomic_load_explicit(&module->refs, memory_order_relaxed);
    while (refs != 0)
        if (atomic_compare_exchange_weak_explicit(&module->refs, &refs, refs + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

bool weir_module_unref_shared(struct weir_module *module)
{
    uint32_t refs = atomic_load_explicit(&module->refs, memory_order_relaxed);
    while (refs > 1)
        if (atomic_compare_exchange_weak_explicit(&module->refs, &refs, refs - 1,
                                                  memory_order_release, memory_order_relaxed))
            return true;
    return false;
}

uint32_t weir_module_use_count(const struct weir_module *module)
{
    return atomic_load_explicit(&module->refs, memory_order_acquire);
}

struct weir_module_owner *weir_module_owner_of(struct weir_module *module)
{
    return &module->owner;
}

static void free_info(struct weir_engine *engine, struct weir__module_info *info)
{
    if (info == NULL)
        return;
    weir_arena_free(info->arena);
    weir_account_free(engine->account, WEIR_KIND_CODE, info, sizeof *info);
}

void weir_module_unref(struct weir_module *module)
{
    if (module == NULL || atomic_fetch_sub_explicit(&module->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (module->owner.unused != NULL)
        module->owner.unused(module->owner.context, module);
    if (module->is_whole)
        weir__event_module(module, WEIR_EVENT_MODULE_RELEASED);
    weir__census_delist(&module->census);
    struct weir_engine *engine = module->engine;
    struct weir_account *account = engine->account;
    if (module->code.end != 0)
        weir__code_remove(&module->code);
    free_info(engine, atomic_load(&module->info));
    for (uint32_t i = 0; i < module->type_count; i++)
        weir__type_release(weir__type_at(module->type_ids[i]));
    weir_account_free(account, WEIR_KIND_CODE, module->type_ids, module->tables_bytes);
    weir_mapping_free(&module->mapping);
    if (module->fd >= 0) {
        (void)close(module->fd);
        weir_account_discharge(account, WEIR_KIND_DESCRIPTOR, 1);
    }
    (void)pthread_mutex_destroy(&module->info_lock);
    weir_account_free(account, WEIR_KIND_CODE, module, sizeof *module);
    weir_engine_unref(engine);
}

enum weir_status weir__module_check_file(const struct weir_module *module, struct weir_error *error)
{
    struct stat file;
    if (fstat(module->fd, &file) != 0 || (uint64_t)file.st_size < module->file_bytes)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "the artifact of \"%s\" was cut after it was loaded", module->name);
    return WEIR_OK;
}

struct weir_engine *weir_module_engine(const struct weir_module *module)
{
    return module->engine;
}

const char *weir_module_name(const struct weir_module *module)
{
    return module->name;
}

void weir_module_figures(const struct weir_module *module, struct weir_module_figures *ret)
{
    const struct weir_artifact_head *head = module->artifact.head;
    const struct weir__module_info *info = atomic_load(&module->info);
    *ret = (struct weir_module_figures){
        .module_bytes = head->module_bytes,
        .text_bytes = head->text.count,
        .artifact_bytes = module->file_bytes,
        .private_bytes = sizeof *module + module->tables_bytes +
                         (info != NULL ? sizeof *info + weir_arena_bytes(info->arena) : 0),
        .compile_ms = module->compile_ms,
        .was_cached = module->was_cached,
        .is_kept = module->is_kept};
}

enum weir_status weir_module_residency(const struct weir_module *module,
                                       struct weir_module_residency *ret, struct weir_error *error)
{
    struct weir_module_residency residency = {.mapped_bytes = module->mapping.size};
    uint64_t begin = (uint64_t)module->mapping.base;
    uint64_t end = begin + weir_align_up(module->mapping.size, WEIR_ARTIFACT_PAGE);
    enum weir_status status =
        weir__resident_count(begin, end, &residency.resident_bytes, &residency.copied_bytes, error);
    if (status == WEIR_OK)
        *ret = residency;
    return status;
}

/* --- imports and exports ------------------------------------------------------------------- */

static void describe_func(const struct weir_module *module, uint32_t type_index,
                          struct weir_extern_type *ret)
{
    const struct weir__type *type = weir__type_at(module->type_ids[type_index]);
    ret->func = (struct weir_func_type){.params = type->params,
                                        .param_count = type->param_count,
                                        .results = type->results,
                                        .result_count = type->result_count};
}

static void describe_limits(const struct weir_artifact_limits *limits, struct weir_extern_type *ret)
{
    ret->limits = (struct weir_limits){.min = limits->min,
                                       .max = limits->max,
                                       .has_max = limits->max != UINT64_MAX,
                                       .is_64 = (limits->flags & 1) != 0};
}

/* `index` is a type index for functions of the import section, else one of the index space. */
static void describe(const struct weir_module *module, uint32_t kind, uint32_t index,
                     struct weir_extern_type *ret)
{
    const struct weir_artifact *artifact = &module->artifact;
    *ret = (struct weir_extern_type){.kind = (enum weir_extern_kind)kind};
    switch (ret->kind) {
    case WEIR_EXTERN_FUNC:
        describe_func(module, index, ret);
        break;
    case WEIR_EXTERN_TABLE:
        describe_limits(&artifact->tables[index], ret);
        ret->type = (enum weir_type)artifact->tables[index].type;
        break;
    case WEIR_EXTERN_MEMORY:
        describe_limits(&artifact->memories[index], ret);
        break;
    case WEIR_EXTERN_GLOBAL:
        ret->type = (enum weir_type)artifact->globals[index].type;
        ret->is_mutable = artifact->globals[index].is_mutable != 0;
        break;
    }
}

static bool fill_info(const struct weir_module *module, struct weir__module_info *info)
{
    const struct weir_artifact *artifact = &module->artifact;
    const struct weir_artifact_head *head = artifact->head;
    info->imports = WEIR_ARENA_ARRAY(info->arena, struct weir_import_info, head->imports.count);
    info->exports = WEIR_ARENA_ARRAY(info->arena, struct weir_export_info, head->exports.count);
    if (info->imports == NULL || info->exports == NULL)
        return false;
    for (uint32_t i = 0; i < head->imports.count; i++) {
        const struct weir_artifact_import *from = &artifact->imports[i];
        struct weir_import_info *to = &info->imports[i];
        to->module = weir_arena_strndup(info->arena, artifact->strings + from->module.start,
                                        from->module.size);
        to->module_size = from->module.size;
        to->name =
            weir_arena_strndup(info->arena, artifact->strings + from->name.start, from->name.size);
        to->name_size = from->name.size;
        if (to->module == NULL || to->name == NULL)
            return false;
        describe(module, from->kind, from->type, &to->type);
    }
    for (uint32_t i = 0; i < head->exports.count; i++) {
        const struct weir_artifact_export *from = &artifact->exports[i];
        struct weir_export_info *to = &info->exports[i];
        to->name =
            weir_arena_strndup(info->arena, artifact->strings + from->name.start, from->name.size);
        to->name_size = from->name.size;
        if (to->name == NULL)
            return false;
        uint32_t index =
            from->kind == WEIR_EXTERN_FUNC ? artifact->funcs[from->index].type_index : from->index;
        describe(module, from->kind, index, &to->type);
    }
    return true;
}

/* NULL when memory for it was refused or the artifact was cut. */
static const struct weir__module_info *info_of(const struct weir_module *shared)
{
    struct weir_module *module = (struct weir_module *)(uintptr_t)shared;
    struct weir__module_info *info = atomic_load_explicit(&module->info, memory_order_acquire);
    if (info != NULL)
        return info;
    (void)pthread_mutex_lock(&module->info_lock);
    info = atomic_load(&module->info);
    if (info == NULL && weir__module_check_file(module, NULL) == WEIR_OK) {
        struct weir_account *account = module->engine->account;
        info = weir_account_alloc(account, WEIR_KIND_CODE, sizeof *info, NULL);
        if (info != NULL) {
            info->source = (struct weir_account_source){.account = account, .kind = WEIR_KIND_CODE};
            struct weir_arena_source source = weir_account_arena_source(&info->source);
            if (weir_arena_new(&source, 0, &info->arena, NULL) != WEIR_OK ||
                !fill_info(module, info)) {
                free_info(module->engine, info);
                info = NULL;
            }
        }
        atomic_store_explicit(&module->info, info, memory_order_release);
    }
    (void)pthread_mutex_unlock(&module->info_lock);
    return info;
}

enum weir_status weir_module_describe(const struct weir_module *module, struct weir_error *error)
{
    if (info_of(module) != NULL)
        return WEIR_OK;
    enum weir_status status = weir__module_check_file(module, error);
    if (status != WEIR_OK)
        return status;
    return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                          "no memory for the names of \"%s\"", module->name);
}

size_t weir_module_import_count(const struct weir_module *module)
{
    return module->artifact.head->imports.count;
}

void weir_module_import(const struct weir_module *module, size_t index,
                        struct weir_import_info *ret)
{
    bool is_there = index < module->artifact.head->imports.count;
    const struct weir__module_info *info = is_there ? info_of(module) : NULL;
    *ret =
        info != NULL ? info->imports[index] : (struct weir_import_info){.module = "", .name = ""};
}

size_t weir_module_export_count(const struct weir_module *module)
{
    return module->artifact.head->exports.count;
}

void weir_module_export(const struct weir_module *module, size_t index,
                        struct weir_export_info *ret)
{
    bool is_there = index < module->artifact.head->exports.count;
    const struct weir__module_info *info = is_there ? info_of(module) : NULL;
    *ret = info != NULL ? info->exports[index] : (struct weir_export_info){.name = ""};
}
