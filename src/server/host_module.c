/* A file as a module: apart from reading files, which programs without an engine do too. */
#include "server/host_file.h"

#define MODULE_BYTES_MAX (UINT64_C(1) << 30) /* the engine's own limit: weir/engine.h */

enum weir_status weir_host_file_module(struct weir_engine *engine, struct weir_cache *cache,
                                       const char *path, const struct weir_module_config *config,
                                       struct weir_module **ret_module, struct weir_error *error)
{
    struct weir_host_file file = {0};
    enum weir_status status =
        weir_host_file_read(path, MODULE_BYTES_MAX, weir_engine_account(engine), &file, error);
    if (status != WEIR_OK)
        return status;
    struct weir_module_config named = config != NULL ? *config : (struct weir_module_config){0};
    if (named.name == NULL)
        named.name = weir_host_file_name(path);
    struct weir_error inner = {0};
    const struct weir_cache_request request = {
        .engine = engine, .bytes = file.bytes, .size = file.size, .module = named};
    status = cache != NULL
                 ? weir_cache_get(cache, &request, ret_module, &inner)
                 : weir_module_new(engine, file.bytes, file.size, &named, ret_module, &inner);
    weir_host_file_done(&file);
    if (status != WEIR_OK) {
        bool is_named = config != NULL && config->name != NULL;
        (void)weir_error_set(error, status, inner.offset, "%s: %s", is_named ? config->name : path,
                             inner.message);
        for (struct weir_error_detail *d = inner.details; d != NULL; d = d->next)
            weir_error_add(error, "%s", d->text);
        weir_error_done(&inner);
    }
    return status;
}
