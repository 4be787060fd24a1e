/* Chains: the plugins of a route, loaded with it. A plugin that cannot be loaded takes neither the
 * server nor the route down: its requests are refused with the reason, or go on without it. */
#include "server/lane_internal.h"

#include "base/check.h"
#include "server/host_file.h"
#include "server/import_hints.h"
#include "server/server_log.h"

#include <stdio.h>
#include <string.h>

/* --- what plugins say ------------------------------------------------------------------------ */

static enum weir_log_level level_of(enum weir_filter_level level)
{
    static const enum weir_log_level LEVELS[] = {WEIR_LOG_DEBUG,   WEIR_LOG_DEBUG,
                                                 WEIR_LOG_INFO,    WEIR_LOG_WARNING,
                                                 WEIR_LOG_ERROR,   WEIR_LOG_ERROR};
    return LEVELS[level];
}

static void log_line(void *context, const struct weir_filter_plugin *plugin,
                     enum weir_filter_level level, struct weir_filter_text text)
{
    struct weir__chain *chain = context;
    const char *name = weir_filter_plugin_config(plugin)->name;
    char line[512];
    (void)snprintf(line, sizeof line, "%.*s", (int)text.size, (const char *)text.bytes);
    const struct weir_server_log_field fields[] = {{"route", chain->config->path, 0},
                                                   {"filter", name, 0},
                                                   {"said", line, 0},
                                                   {NULL, NULL, 0}};
    weir_server_log(chain->server,
                    &(struct weir_server_event){
                        .level = level_of(level), .name = "filter_said", .fields = fields},
                    "filter %s of %s: %s", name, chain->config->path, line);
}

void weir__plugin_log(struct weir_server *server, const struct weir__chain *chain,
                      const struct weir__plugin *plugin, const char *what, const char *reason)
{
    const struct weir_server_log_field fields[] = {{"route", chain->config->path, 0},
                                                   {"filter", plugin->keys->name, 0},
                                                   {"change", what, 0},
                                                   {"reason", reason, 0},
                                                   {NULL, NULL, 0}};
    weir_server_log(
        server,
        &(struct weir_server_event){.level = WEIR_LOG_WARNING, .name = "filter", .fields = fields},
        "filter %s of %s: %s: %s", plugin->keys->name, chain->config->path, what, reason);
}

static void wake_stream(void *context, struct weir_filter_stream *stream)
{
    (void)context;
    struct weir__filtered *filtered = weir_filter_stream_data(stream);
    filtered->is_dirty = true;
}

/* What filters of all routes log, count and hold: for pages. */
static const struct weir_filter_host HOST = {
    .log = log_line,
    .call = weir__transfer_call,
    .cancel = weir__transfer_cancel,
    .wake = wake_stream,
};

/* --- loading --------------------------------------------------------------------------------- */

static bool is_published(const struct weir__plugin *plugin,
                         const struct weir__publication *publication)
{
    return publication != NULL && strcmp(publication->path, plugin->keys->module) == 0;
}

static enum weir_status open_module(struct weir_server *server, struct weir__plugin *plugin,
                                    const struct weir__publication *publication,
                                    struct weir_error *error)
{
    const struct weir_filter_keys *keys = plugin->keys;
    const char *file = is_published(plugin, publication) ? publication->file : keys->module;
    enum weir_status status = weir__engine_open(server, keys->fuel != 0, error);
    (void)stat(file, &plugin->file);
    struct weir_module_config module = {.name = weir_host_file_name(keys->module)};
    if (status == WEIR_OK)
        status = weir_host_file_module(server->engines[keys->fuel != 0], server->cache, file,
                                       &module, &plugin->module, error);
    return status;
}

static enum weir_status open_plugin(struct weir__chain *chain, struct weir__plugin *plugin,
                                    const struct weir__publication *publication,
                                    struct weir_error *error)
{
    struct weir_server *server = chain->server;
    const struct weir_filter_keys *keys = plugin->keys;
    enum weir_status status = open_module(server, plugin, publication, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_filter_config config = {
        .name = keys->name,
        .root_id = keys->root_id,
        .vm_id = keys->vm_id,
        .configuration = weir_filter_text(keys->configuration),
        .vm_configuration = weir_filter_text(keys->vm_configuration),
        .account = weir_account_host(),
        .plugin_bytes_max = weir_filter_keys_bytes(keys, server->config->filter_threads),
        .memory_bytes_max = keys->memory_bytes,
        .memory_bytes_soft = keys->soft_bytes,
        .buffer_bytes_max = keys->buffer_bytes,
        .time_ns = keys->time_ns,
        .fuel = keys->fuel,
        .streams_max = keys->streams,
        .prefers_malloc = keys->prefers_malloc,
        .level = (enum weir_filter_level)keys->level,
        .host = &HOST,
        .host_context = chain,
    };
    status = weir_filter_plugin_new(server->filter_registry, plugin->module, &config,
                                    &plugin->plugin, error);
    /* A VM is made and thrown away: what is wrong shows now, not with the first request. */
    struct weir_filter_vm *vm = NULL;
    if (status == WEIR_OK)
        status = weir_filter_vm_new(plugin->plugin, NULL, &vm, error);
    if (status == WEIR_OK)
        status = weir_filter_vm_start(vm, error);
    weir_filter_vm_free(vm);
    return status;
}

/* Told in the log, with every missing import. */
static void fail_plugin(struct weir__chain *chain, struct weir__plugin *plugin,
                        struct weir_error *error)
{
    size_t used = 0;
    weir_import_hints(error);
    (void)snprintf(plugin->failure, sizeof plugin->failure, "cannot be loaded: %.200s",
                   error->message);
    for (const struct weir_error_detail *d = error->details; d != NULL; d = d->next) {
        used = strlen(plugin->failure);
        (void)snprintf(plugin->failure + used, sizeof plugin->failure - used, "; %s", d->text);
    }
    weir_error_done(error);
    weir_filter_plugin_free(plugin->plugin);
    plugin->plugin = NULL;
    weir__plugin_log(chain->server, chain, plugin,
                     plugin->keys->is_open ? "left out" : "its route is refused", plugin->failure);
}

static size_t chain_bytes(size_t count)
{
    return sizeof(struct weir__chain) + count * sizeof(struct weir__plugin);
}

static size_t slots_bytes(const struct weir_server *server)
{
    return server->config->filter_threads * sizeof(struct weir__vm_slot);
}

static size_t lanes_bytes(const struct weir_server *server)
{
    return server->config->filter_threads * sizeof(struct weir__chain_lane);
}

void weir__chain_free(struct weir__chain *chain)
{
    struct weir_server *server = chain->server;
    for (size_t i = 0; i < chain->plugin_count; i++) {
        struct weir__plugin *plugin = &chain->plugins[i];
        weir_filter_plugin_free(plugin->plugin);
        weir_module_unref(plugin->module);
        weir_account_free(server->account, WEIR_KIND_SERVER, plugin->slots, slots_bytes(server));
    }
    size_t bytes = chain_bytes(chain->config->filter_count); /* it may be half made */
    weir_account_free(server->account, WEIR_KIND_SERVER, chain->lanes, lanes_bytes(server));
    weir__generation_unref(chain->present);
    (void)pthread_mutex_destroy(&chain->lock);
    weir__generation_unref(chain->generation); /* the configuration goes with it */
    weir_account_free(server->account, WEIR_KIND_SERVER, chain, bytes);
}

/* What is wrong with a module that is being published is the answer to who sent it. */
static enum weir_status refuse_plugin(const struct weir__chain *chain,
                                      const struct weir__plugin *plugin, enum weir_status status,
                                      struct weir_error *inner, struct weir_error *error)
{
    (void)weir_error_set(error, status, inner->offset, "filter %s of %s: %s", plugin->keys->name,
                         chain->config->path, inner->message);
    for (struct weir_error_detail *d = inner->details; d != NULL; d = d->next)
        weir_error_add(error, "%s", d->text);
    weir_error_done(inner);
    weir_import_hints(error);
    return status;
}

static enum weir_status add_plugin(struct weir__chain *chain, const struct weir_filter_keys *keys,
                                   const struct weir__publication *publication,
                                   struct weir_error *error)
{
    struct weir_server *server = chain->server;
    struct weir__plugin *plugin = &chain->plugins[chain->plugin_count];
    struct weir_error inner = {0};
    plugin->keys = keys;
    plugin->slots =
        weir_account_alloc(server->account, WEIR_KIND_SERVER, slots_bytes(server), error);
    if (plugin->slots == NULL)
        return WEIR_LIMIT;
    chain->plugin_count++;
    enum weir_status status = open_plugin(chain, plugin, publication, &inner);
    if (status == WEIR_OK)
        return WEIR_OK;
    if (is_published(plugin, publication))
        return refuse_plugin(chain, plugin, status, &inner, error);
    fail_plugin(chain, plugin, &inner);
    return WEIR_OK;
}

enum weir_status weir__chain_new(struct weir_server *server, struct weir__generation *generation,
                                 const struct weir_route_config *config,
                                 const struct weir__publication *publication,
                                 struct weir__chain **ret_chain, struct weir_error *error)
{
    struct weir__chain *chain = weir_account_alloc(server->account, WEIR_KIND_SERVER,
                                                   chain_bytes(config->filter_count), error);
    if (chain == NULL)
        return WEIR_LIMIT;
    atomic_init(&chain->refs, 1);
    chain->server = server;
    chain->generation = chain->present = generation;
    (void)atomic_fetch_add_explicit(&generation->refs, 2, memory_order_relaxed);
    (void)pthread_mutex_init(&chain->lock, NULL);
    chain->config = config;
    chain->lanes =
        weir_account_alloc(server->account, WEIR_KIND_SERVER, lanes_bytes(server), error);
    enum weir_status status = chain->lanes != NULL ? WEIR_OK : WEIR_LIMIT;
    for (size_t i = 0; i < config->filter_count && status == WEIR_OK; i++)
        status = add_plugin(chain, &config->filters[i], publication, error);
    if (status != WEIR_OK) {
        weir__chain_free(chain);
        return status;
    }
    *ret_chain = chain;
    return WEIR_OK;
}

/* --- comparing ------------------------------------------------------------------------------- */

bool weir__upstream_is_same(const struct weir_upstream_keys *a, const struct weir_upstream_keys *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->url, b->url) == 0 &&
           a->connections == b->connections && a->connect_ns == b->connect_ns &&
           a->timeout_ns == b->timeout_ns;
}

static bool is_same_plugin(const struct weir__plugin *plugin, const struct weir_filter_keys *keys)
{
    const struct weir_filter_keys *a = plugin->keys;
    const struct {
        const char *a, *b;
    } texts[] = {{a->name, keys->name},
                 {a->module, keys->module},
                 {a->root_id, keys->root_id},
                 {a->vm_id, keys->vm_id},
                 {a->configuration, keys->configuration},
                 {a->vm_configuration, keys->vm_configuration}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].a, texts[i].b) != 0)
            return false;
    struct stat now = {0};
    (void)stat(keys->module, &now);
    return a->memory_bytes == keys->memory_bytes && a->soft_bytes == keys->soft_bytes &&
           a->buffer_bytes == keys->buffer_bytes && a->time_ns == keys->time_ns &&
           a->fuel == keys->fuel && a->streams == keys->streams && a->is_open == keys->is_open &&
           a->prefers_malloc == keys->prefers_malloc && a->level == keys->level &&
           now.st_ino == plugin->file.st_ino && now.st_size == plugin->file.st_size &&
           now.st_mtim.tv_sec == plugin->file.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == plugin->file.st_mtim.tv_nsec;
}

bool weir__chain_is_same(const struct weir__chain *chain, const struct weir_route_config *config)
{
    if (chain == NULL || !weir_route_is_filtered(config))
        return (chain != NULL) == weir_route_is_filtered(config);
    bool is_same = chain->plugin_count == config->filter_count;
    for (size_t i = 0; is_same && i < config->filter_count; i++)
        is_same = is_same_plugin(&chain->plugins[i], &config->filters[i]);
    return is_same;
}

struct weir__chain *weir__chain_keep(struct weir__chain *chain,
                                     const struct weir_route_config *config,
                                     const struct weir__publication *publication)
{
    if (chain == NULL || !weir__chain_is_same(chain, config))
        return NULL;
    for (size_t i = 0; i < chain->plugin_count; i++)
        if (chain->plugins[i].plugin == NULL || is_published(&chain->plugins[i], publication))
            return NULL; /* it is tried again, or there is another now */
    (void)atomic_fetch_add_explicit(&chain->refs, 1, memory_order_relaxed);
    return chain;
}

void weir__chain_adopt(struct weir__chain *chain, struct weir__generation *generation)
{
    (void)atomic_fetch_add_explicit(&generation->refs, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&chain->lock);
    struct weir__generation *before = chain->present;
    chain->present = generation;
    (void)pthread_mutex_unlock(&chain->lock);
    weir__generation_unref(before);
}

void weir__chain_unref(struct weir__chain *chain)
{
    if (chain == NULL || atomic_fetch_sub_explicit(&chain->refs, 1, memory_order_acq_rel) != 1)
        return;
    weir__lanes_let_go(chain);
}
