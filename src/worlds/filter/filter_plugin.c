/* A plugin: what is the same for all of its VMs, read and checked once. */
#include "base/check.h"
#include "worlds/filter/filter_internal.h"

#include <string.h>

const char *weir_filter_level_name(enum weir_filter_level level)
{
    static const char *const NAMES[] = {"trace", "debug", "info", "warn", "error", "critical"};
    return level < sizeof NAMES / sizeof NAMES[0] ? NAMES[level] : "unknown";
}

static const char *const abi_names[FILTER_ABI_COUNT] = {"0.1.0", "0.2.0", "0.2.1"};

const char *weir_filter_plugin_abi(const struct weir_filter_plugin *plugin)
{
    return abi_names[plugin->abi];
}

static const struct {
    const char *name;
    uint8_t params, results;
} callbacks[FILTER_CALLBACK_COUNT] = {
#define FILTER_CALLBACK(id, name, params, results) {name, params, results},
#include "worlds/filter/filter_callbacks.def"
#undef FILTER_CALLBACK
};

static bool all_i32(const enum weir_type *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (types[i] != WEIR_TYPE_I32)
            return false;
    return true;
}

/* A headers' callback may leave end_of_stream out, as 0.1.0 has it. */
static bool fits(size_t callback, const struct weir_func_type *type)
{
    size_t params = callbacks[callback].params;
    bool is_headers =
        callback == FILTER_ON_REQUEST_HEADERS || callback == FILTER_ON_RESPONSE_HEADERS;
    return (type->param_count == params || (is_headers && type->param_count == params - 1)) &&
           type->result_count == callbacks[callback].results &&
           all_i32(type->params, type->param_count) && all_i32(type->results, type->result_count);
}

static enum weir_status read_export(struct weir_filter_plugin *plugin,
                                    const struct weir_export_info *export, bool *has_abi,
                                    struct weir_error *error)
{
    static const char marker[] = "proxy_abi_version_";
    static const char *const versions[FILTER_ABI_COUNT] = {"0_1_0", "0_2_0", "0_2_1"};
    if (strncmp(export->name, marker, sizeof marker - 1) == 0)
        for (size_t i = 0; i < FILTER_ABI_COUNT; i++)
            if (strcmp(export->name + sizeof marker - 1, versions[i]) == 0) {
                has_abi[i] = true;
                return WEIR_OK;
            }
    for (size_t i = 0; i < FILTER_CALLBACK_COUNT; i++) {
        if (strcmp(export->name, callbacks[i].name) != 0 ||
            export->type.kind != WEIR_EXTERN_FUNC)
            continue;
        if (!fits(i, &export->type.func))
            return weir_error_set(error, WEIR_LINK, WEIR_NO_OFFSET,
                                  "the export %s has another type than the ABI's: %zu parameters "
                                  "and %zu results where %u and %u are meant, all i32",
                                  export->name, export->type.func.param_count,
                                  export->type.func.result_count, callbacks[i].params,
                                  callbacks[i].results);
        plugin->has_callback[i] = true;
        plugin->params[i] = (uint8_t)export->type.func.param_count;
    }
    return WEIR_OK;
}

static enum weir_status read_exports(struct weir_filter_plugin *plugin, struct weir_error *error)
{
    bool has_abi[FILTER_ABI_COUNT] = {false};
    size_t count = weir_module_export_count(plugin->module);
    enum weir_status status = weir_module_describe(plugin->module, error);
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        struct weir_export_info export;
        weir_module_export(plugin->module, i, &export);
        status = read_export(plugin, &export, has_abi, error);
    }
    if (status != WEIR_OK)
        return status;
    for (int i = FILTER_ABI_COUNT - 1; i >= 0; i--)
        if (has_abi[i]) {
            plugin->abi = (enum weir__filter_abi)i;
            return WEIR_OK;
        }
    return weir_error_set(error, WEIR_INVALID, WEIR_NO_OFFSET,
                          "the module is no proxy-wasm plugin: it exports none of "
                          "proxy_abi_version_0_1_0, proxy_abi_version_0_2_0, "
                          "proxy_abi_version_0_2_1");
}

static void set_defaults(struct weir_filter_config *config)
{
    if (config->name == NULL)
        config->name = "filter";
    if (config->root_id == NULL)
        config->root_id = "";
    if (config->vm_id == NULL)
        config->vm_id = "";
    if (config->memory_bytes_max == 0)
        config->memory_bytes_max = WEIR_FILTER_MEMORY_DEFAULT;
    if (config->memory_bytes_soft == 0)
        config->memory_bytes_soft = config->memory_bytes_max / 4 * 3;
    if (config->buffer_bytes_max == 0)
        config->buffer_bytes_max = WEIR_FILTER_BUFFER_DEFAULT;
    if (config->time_ns == 0)
        config->time_ns = WEIR_FILTER_TIME_DEFAULT_NS;
    if (config->streams_max == 0)
        config->streams_max = WEIR_FILTER_STREAMS_DEFAULT;
}

enum weir_status weir_filter_plugin_new(struct weir_filter_registry *registry,
                                        struct weir_module *module,
                                        const struct weir_filter_config *config,
                                        struct weir_filter_plugin **ret_plugin,
                                        struct weir_error *error)
{
    struct weir_account *parent = config->account != NULL ? config->account : weir_account_host();
    struct weir_account *account = NULL;
    enum weir_status status = weir_account_new(
        parent, WEIR_ACCOUNT_TENANT, config->name != NULL ? config->name : "filter",
        config->plugin_bytes_max != 0 ? config->plugin_bytes_max : WEIR_UNLIMITED, &account, error);
    if (status != WEIR_OK)
        return status;
    struct weir_filter_plugin *plugin =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *plugin, error);
    if (plugin == NULL) {
        weir_account_close(account);
        return WEIR_LIMIT;
    }
    plugin->config = *config;
    set_defaults(&plugin->config);
    plugin->account = account;
    plugin->registry = registry;
    plugin->module = weir_module_ref(module);
    status = read_exports(plugin, error);
    if (status == WEIR_OK)
        status = weir__filter_link(plugin, error);
    if (status != WEIR_OK) {
        weir_filter_plugin_free(plugin);
        return status;
    }
    *ret_plugin = plugin;
    return WEIR_OK;
}

void weir_filter_plugin_free(struct weir_filter_plugin *plugin)
{
    if (plugin == NULL)
        return;
    WEIR_ASSERT(atomic_load(&plugin->vm_count) == 0);
    weir__filter_registry_leave(plugin->registry, plugin);
    weir_linker_free(plugin->linker);
    weir_module_unref(plugin->module);
    struct weir_account *account = plugin->account;
    weir_account_free(account, WEIR_KIND_METADATA, plugin, sizeof *plugin);
    weir_account_close(account);
}

const struct weir_filter_config *weir_filter_plugin_config(const struct weir_filter_plugin *plugin)
{
    return &plugin->config;
}

struct weir_account *weir_filter_plugin_account(const struct weir_filter_plugin *plugin)
{
    return plugin->account;
}

void weir_filter_plugin_figures(const struct weir_filter_plugin *plugin,
                                struct weir_filter_figures *ret)
{
    *ret = (struct weir_filter_figures){
        .streams = atomic_load_explicit(&plugin->figures.streams, memory_order_relaxed),
        .callbacks = atomic_load_explicit(&plugin->figures.callbacks, memory_order_relaxed),
        .traps = atomic_load_explicit(&plugin->figures.traps, memory_order_relaxed),
        .calls = atomic_load_explicit(&plugin->figures.calls, memory_order_relaxed),
        .call_answers = atomic_load_explicit(&plugin->figures.call_answers, memory_order_relaxed),
        .calls_left = atomic_load_explicit(&plugin->figures.calls_left, memory_order_relaxed),
        .stream_host_bytes =
            atomic_load_explicit(&plugin->figures.stream_host_bytes, memory_order_relaxed),
        .stream_growth_bytes =
            atomic_load_explicit(&plugin->figures.stream_growth_bytes, memory_order_relaxed),
        .linear_bytes_peak =
            atomic_load_explicit(&plugin->figures.linear_bytes_peak, memory_order_relaxed),
    };
}
