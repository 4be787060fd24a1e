/* From a module to a plugin's linker: the functions of the ABI, WASI under both names, and an
 * answer by name for functions of WASI that nobody here knows. */
#include "worlds/filter/filter_internal.h"

#include <assert.h>
#include <string.h>

#define WASI_ENOSYS 52

struct function {
    const char *name;
    const char *params;
    bool is_free;
    int (*operation)(struct weir__filter_host_call *call);
    weir_host_func *entry;
};

static enum weir_status enter(struct weir_caller *caller, const union weir_value *args,
                              union weir_value *results, const struct function *function)
{
    struct weir_filter_vm *vm = weir_store_data(weir_caller_store(caller));
    struct weir__filter_host_call call = {.vm = vm, .caller = caller, .args = args};
    if (vm->memory == NULL) /* called by the start function */
        vm->memory = weir_caller_memory(caller);
    int answer = vm->memory == NULL                           ? FILTER_INVALID_MEMORY_ACCESS
                 : vm->is_allocating && !function->is_free ? FILTER_INTERNAL_FAILURE
                                                              : function->operation(&call);
    if (answer == FILTER_END)
        return call.status;
    results[0].i32 = answer;
    return WEIR_OK;
}

enum function_index {
#define FILTER_FUNCTION(name, params, is_free) FUNCTION_##name,
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION
    FUNCTION_COUNT
};
static const struct function functions[FUNCTION_COUNT];

#define FILTER_FUNCTION(name, params, is_free)                                                     \
    static_assert(sizeof(params) - 1 <= FILTER_ARGS_MAX, "room for the arguments");                \
    static enum weir_status enter_##name(struct weir_caller *caller, void *data,                   \
                                         const union weir_value *args, union weir_value *results)  \
    {                                                                                              \
        (void)data;                                                                                \
        return enter(caller, args, results, &functions[FUNCTION_##name]);                          \
    }
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION

static const struct function functions[FUNCTION_COUNT] = {
#define FILTER_FUNCTION(name, params, is_free)                                                     \
    {#name, params, is_free, weir__filter_##name, enter_##name},
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION
};

/* notify_memory_growth answers nothing; what its entry writes is not looked at. */
static enum weir_status define(struct weir_linker *linker, const struct function *function,
                               struct weir_error *error)
{
    static const enum weir_type result = WEIR_TYPE_I32;
    enum weir_type params[FILTER_ARGS_MAX];
    size_t count = strlen(function->params);
    for (size_t i = 0; i < count; i++)
        params[i] = function->params[i] == 'i' ? WEIR_TYPE_I32 : WEIR_TYPE_I64;
    bool has_result = function->entry != enter_emscripten_notify_memory_growth;
    struct weir_func_type type = {.params = params,
                                  .param_count = count,
                                  .results = &result,
                                  .result_count = has_result ? 1 : 0};
    return weir_linker_define_func(linker, "env", function->name,
                                   &(struct weir_host_definition){&type, function->entry, NULL},
                                   error);
}

static struct weir_wasi *find_wasi(struct weir_store *store)
{
    struct weir_filter_vm *vm = weir_store_data(store);
    return vm != NULL ? vm->wasi : NULL;
}

/* `data` is the name, which lives as long as the module. */
static enum weir_status no_such_function(struct weir_caller *caller, void *data,
                                         const union weir_value *args, union weir_value *results)
{
    (void)args;
    weir__filter_log(weir_store_data(weir_caller_store(caller)), WEIR_FILTER_WARN,
                     "%s of WASI is unknown here; it answers ENOSYS", (const char *)data);
    results[0].i32 = WASI_ENOSYS;
    return WEIR_OK;
}

/* Functions of WASI that are not among preview 1's: defined where they answer an i32. */
static enum weir_status define_unknown(struct weir_filter_plugin *plugin, struct weir_error *error)
{
    size_t count = weir_module_import_count(plugin->module);
    for (size_t i = 0; i < count; i++) {
        struct weir_import_info import;
        weir_module_import(plugin->module, i, &import);
        const struct weir_func_type *type = &import.type.func;
        if (import.type.kind != WEIR_EXTERN_FUNC || type->result_count != 1 ||
            type->results[0] != WEIR_TYPE_I32 ||
            (strcmp(import.module, "wasi_snapshot_preview1") != 0 &&
             strcmp(import.module, "wasi_unstable") != 0))
            continue;
        struct weir_error exists = {0};
        enum weir_status status = weir_linker_define_func(
            plugin->linker, import.module, import.name,
            &(struct weir_host_definition){type, no_such_function,
                                           (void *)(uintptr_t)import.name},
            &exists);
        if (status != WEIR_OK && status != WEIR_EXISTS) {
            weir_error_move(error, &exists);
            return status;
        }
        weir_error_done(&exists);
    }
    return WEIR_OK;
}

enum weir_status weir__filter_link(struct weir_filter_plugin *plugin, struct weir_error *error)
{
    struct weir_engine *engine = weir_module_engine(plugin->module);
    enum weir_status status = weir_linker_new(engine, &plugin->linker, error);
    for (size_t i = 0; i < FUNCTION_COUNT && status == WEIR_OK; i++)
        status = define(plugin->linker, &functions[i], error);
    if (status == WEIR_OK)
        status = weir_wasi_link(plugin->linker, find_wasi, error);
    if (status == WEIR_OK)
        status = define_unknown(plugin, error);
    return status;
}
