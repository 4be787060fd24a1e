/* From texts to checked values: grammar, ranges, defaults, paths. Everything the caller keeps is
 * copied into its arena; libcyaml's own memory is given back before return. */
#include "cache/cache_limits.h"
#include "server/server_config.h"

#include "base/clock.h"
#include "base/listen.h"
#include "base/sizes.h"
#include "govern/govern_limits.h"
#include "server/config_internal.h"
#include "server/host_file.h"
#include "server/server_limits.h"

#include <ctype.h>
#include <stdarg.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct loader {
    const char *name;
    const uint8_t *bytes;
    size_t size;
    struct weir_arena *arena;
    char folder[PATH_MAX]; /* of the file; "" for the working directory */
    char modules[PATH_MAX];
    bool is_modules_given; /* by the caller */
    struct weir_error *error;
};

static enum weir_status refuse(struct loader *loader, const char *path, const char *format, ...)
    WEIR_PRINTF(3, 4);

/* "weir.yaml:12: routes[0].limits.memory: what" */
static enum weir_status refuse(struct loader *loader, const char *path, const char *format, ...)
{
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return weir_error_set(loader->error, WEIR_CONFIG, WEIR_NO_OFFSET, "%s:%u: %s: %s", loader->name,
                          weir__config_line(loader->bytes, loader->size, path), path, what);
}

static enum weir_status no_memory(struct loader *loader)
{
    return weir_error_set(loader->error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                          "%s: no memory for the configuration", loader->name);
}

/* "prefix.key" in a buffer of its own for the length of one statement. */
struct key_path {
    char text[128];
};

static struct key_path key_path(const char *prefix, const char *key)
{
    struct key_path path;
    (void)snprintf(path.text, sizeof path.text, "%s%s%s", prefix, prefix[0] != 0 ? "." : "", key);
    return path;
}

static enum weir_status read_size(struct loader *loader, const char *path, const char *text,
                                  struct range range, uint64_t *value)
{
    if (text == NULL)
        return WEIR_OK;
    uint64_t bytes = 0;
    if (weir_size_parse(text, strlen(text), &bytes, NULL) != WEIR_OK)
        return refuse(loader, path, "\"%.40s\" is no size: %s", text, WEIR_SIZE_GRAMMAR);
    if (bytes < range.min || bytes > range.max)
        return refuse(loader, path, "%s is out of range: %s to %s", weir_size_format(bytes).text,
                      weir_size_format(range.min).text, weir_size_format(range.max).text);
    *value = bytes;
    return WEIR_OK;
}

static enum weir_status read_time(struct loader *loader, const char *path, const char *text,
                                  struct range range, uint64_t *value)
{
    if (text == NULL)
        return WEIR_OK;
    uint64_t ns = 0;
    if (weir_duration_parse(text, strlen(text), &ns, NULL) != WEIR_OK)
        return refuse(loader, path, "\"%.40s\" is no duration: %s", text, WEIR_DURATION_GRAMMAR);
    if (ns < range.min || ns > range.max)
        return refuse(loader, path, "%s is out of range: %s to %s", weir_duration_format(ns).text,
                      weir_duration_format(range.min).text, weir_duration_format(range.max).text);
    *value = ns;
    return WEIR_OK;
}

static enum weir_status read_count(struct loader *loader, const char *path, const char *text,
                                   struct range range, uint64_t *value)
{
    if (text == NULL)
        return WEIR_OK;
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != 0 || errno != 0)
        return refuse(loader, path, "\"%.40s\" is no whole number", text);
    if (number < range.min || number > range.max)
        return refuse(loader, path, "%llu is out of range: %llu to %llu", number,
                      (unsigned long long)range.min, (unsigned long long)range.max);
    *value = number;
    return WEIR_OK;
}

/* Counts end up in 32-bit fields. */
static enum weir_status read_count32(struct loader *loader, const char *path, const char *text,
                                     struct range range, uint32_t *value)
{
    uint64_t number = *value;
    enum weir_status status = read_count(loader, path, text, range, &number);
    *value = (uint32_t)number;
    return status;
}

static enum weir_status read_word(struct loader *loader, const char *key, const char *text,
                                  const struct word *words, int *value)
{
    char known[80] = "";
    size_t used = 0;
    if (text == NULL)
        return WEIR_OK;
    for (const struct word *word = words; word->text != NULL; word++) {
        if (strcmp(text, word->text) == 0) {
            *value = word->value;
            return WEIR_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "",
                                 word->text);
    }
    return refuse(loader, key, "\"%.40s\" is none of %s", text, known);
}

static char *copy(struct loader *loader, const char *text)
{
    return weir_arena_strndup(loader->arena, text, strlen(text));
}

/* A path as it stands when absolute, else under `folder`. */
static enum weir_status resolve(struct loader *loader, const char *key, const char *folder,
                                const char *text, const char **ret_path)
{
    char path[PATH_MAX];
    bool is_absolute = text[0] == '/' || folder[0] == 0;
    int size = snprintf(path, sizeof path, "%s%s%s", is_absolute ? "" : folder,
                        is_absolute ? "" : "/", text);
    if (size < 0 || size >= (int)sizeof path)
        return refuse(loader, key, "the path is too long");
    *ret_path = copy(loader, path);
    return *ret_path != NULL ? WEIR_OK : no_memory(loader);
}

static enum weir_status copy_list(struct loader *loader, char **texts, unsigned count,
                                  const char *const **ret_list, size_t *ret_count)
{
    const char **list = WEIR_ARENA_ARRAY(loader->arena, const char *, count);
    if (list == NULL)
        return no_memory(loader);
    for (unsigned i = 0; i < count; i++) {
        list[i] = copy(loader, texts[i] != NULL ? texts[i] : "");
        if (list[i] == NULL)
            return no_memory(loader);
    }
    *ret_list = list;
    *ret_count = count;
    return WEIR_OK;
}

/* HOST[::GUEST][:ro], as --dir of `weir run`. */
static enum weir_status read_dir(struct loader *loader, const char *key, const char *text,
                                 struct weir_wasi_preopen *preopen)
{
    char *value = copy(loader, text);
    if (value == NULL)
        return no_memory(loader);
    size_t size = strlen(value);
    if (size > 3 && strcmp(value + size - 3, ":ro") == 0) {
        preopen->is_read_only = true;
        value[size - 3] = 0;
    }
    char *separator = strstr(value, "::");
    preopen->guest_path = separator != NULL ? separator + 2 : value;
    if (separator != NULL)
        *separator = 0;
    if (value[0] == 0 || preopen->guest_path[0] == 0)
        return refuse(loader, key, "HOST[::GUEST][:ro] is needed");
    return resolve(loader, key, loader->folder, value, &preopen->host_path);
}

static enum weir_status read_lists(struct loader *loader, const char *prefix,
                                   const struct weir__raw_route *raw,
                                   struct weir_route_config *route)
{
    enum weir_status status =
        copy_list(loader, raw->args, raw->args_count, &route->args, &route->arg_count);
    if (status == WEIR_OK)
        status = copy_list(loader, raw->env, raw->env_count, &route->env, &route->env_count);
    for (unsigned i = 0; status == WEIR_OK && i < raw->env_count; i++)
        if (route->env[i][0] == '=' || strchr(route->env[i], '=') == NULL)
            return refuse(loader, key_path(prefix, "env").text, "\"%.40s\": NAME=value is needed",
                          route->env[i]);
    struct weir_wasi_preopen *dirs =
        WEIR_ARENA_ARRAY(loader->arena, struct weir_wasi_preopen, raw->dirs_count);
    if (dirs == NULL)
        return no_memory(loader);
    for (unsigned i = 0; status == WEIR_OK && i < raw->dirs_count; i++)
        status = read_dir(loader, key_path(prefix, "dirs").text, raw->dirs[i], &dirs[i]);
    route->dirs = dirs;
    route->dir_count = raw->dirs_count;
    return status;
}

static enum weir_status read_limits(struct loader *loader, const char *prefix,
                                    const struct weir__raw_route *raw,
                                    struct weir_route_config *route)
{
    char limits[96];
    (void)snprintf(limits, sizeof limits, "%s.limits", prefix);
    route->memory_bytes_max = 64 * WEIR_MIB;
    route->time_ns = 10 * WEIR_SECOND_NS;
    route->body_bytes_max = 1 * WEIR_MIB;
    route->output_bytes_max = 64 * WEIR_MIB;
    route->concurrency = 16;
    route->tenant_bytes_max = WEIR_UNLIMITED;
    const struct weir__raw_limits *given = &raw->limits;
    enum weir_status status =
        read_size(loader, key_path(limits, "memory").text, given->memory,
                  (struct range){2 * WEIR_MIB, UINT64_C(1) << 40}, &route->memory_bytes_max);
    route->guaranteed_bytes = route->memory_bytes_max / 4;
    if (status == WEIR_OK)
        status = read_size(loader, key_path(limits, "guaranteed").text, given->guaranteed,
                           (struct range){0, route->memory_bytes_max}, &route->guaranteed_bytes);
    if (status == WEIR_OK)
        status = read_count(loader, key_path(limits, "fuel").text, given->fuel,
                            (struct range){1, INT64_MAX}, &route->fuel);
    if (status == WEIR_OK)
        status = read_time(loader, key_path(limits, "time").text, given->time,
                           (struct range){WEIR_MS_NS, 3600 * WEIR_SECOND_NS}, &route->time_ns);
    if (status == WEIR_OK)
        status = read_count32(loader, key_path(limits, "concurrency").text, given->concurrency,
                              (struct range){1, 10000}, &route->concurrency);
    if (status == WEIR_OK)
        status = read_size(loader, key_path(limits, "body").text, given->body,
                           (struct range){0, UINT64_C(1) << 40}, &route->body_bytes_max);
    if (status == WEIR_OK)
        status = read_size(loader, key_path(limits, "output").text, given->output,
                           (struct range){1024, UINT64_C(1) << 40}, &route->output_bytes_max);
    if (status == WEIR_OK)
        status =
            read_size(loader, key_path(prefix, "memory_max").text, raw->memory_max,
                      (struct range){1 * WEIR_MIB, UINT64_C(1) << 50}, &route->tenant_bytes_max);
    if (status == WEIR_OK && route->tenant_bytes_max < route->memory_bytes_max + WEIR_MIB)
        return refuse(loader, key_path(prefix, "memory_max").text,
                      "%s holds no request: limits.memory and 1 MiB is the least",
                      weir_size_format(route->tenant_bytes_max).text);
    return status;
}

static enum weir_status check_path(struct loader *loader, const char *key, const char *path)
{
    if (path == NULL)
        return refuse(loader, key, "every route needs a path");
    size_t size = strlen(path);
    if (path[0] != '/' || size > 256)
        return refuse(loader, key, "\"%.40s\": a path begins with / and has at most 256 bytes",
                      path);
    if (size > 1 && path[size - 1] == '/')
        return refuse(loader, key, "\"%.40s\": leave the / at the end out", path);
    static const char *const OURS[] = {"/v1", "/metrics", "/healthz", "/readyz"};
    for (size_t i = 0; i < sizeof OURS / sizeof OURS[0]; i++) {
        size_t length = strlen(OURS[i]);
        if (strncmp(path, OURS[i], length) == 0 && (path[length] == 0 || path[length] == '/'))
            return refuse(loader, key, "%s belongs to Weir itself", OURS[i]);
    }
    return WEIR_OK;
}

static enum weir_status read_route(struct loader *loader, unsigned index,
                                   const struct weir__raw_route *raw,
                                   const struct weir_server_config *config,
                                   struct weir_route_config *route)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof prefix, "routes[%u]", index);
    enum weir_status status = check_path(loader, key_path(prefix, "path").text, raw->path);
    if (status != WEIR_OK)
        return status;
    bool has_module = raw->module != NULL && raw->module[0] != 0;
    if (has_module == (raw->upstream != NULL))
        return refuse(loader, key_path(prefix, "module").text,
                      "every route needs a module or an upstream, not both");
    route->path = copy(loader, raw->path);
    if (route->path == NULL)
        return no_memory(loader);
    route->module = "";
    if (has_module)
        status = resolve(loader, key_path(prefix, "module").text, loader->modules, raw->module,
                         &route->module);
    if (status == WEIR_OK)
        status = weir__config_filters(loader, prefix, raw, config, route);
    if (status == WEIR_OK)
        status = read_limits(loader, prefix, raw, route);
    if (status == WEIR_OK)
        status = weir__config_mode(loader, prefix, raw, route);
    route->warm = route->slots < 8 ? route->slots : 8;
    if (status == WEIR_OK)
        status = read_count32(loader, key_path(prefix, "warm").text, raw->warm,
                              (struct range){0, route->slots}, &route->warm);
    if (status == WEIR_OK)
        status = weir__config_route_tenant(loader, prefix, raw->tenant, config, route);
    if (status == WEIR_OK)
        status = read_lists(loader, prefix, raw, route);
    return status;
}

static enum weir_status read_routes(struct loader *loader, const struct weir__raw_config *raw,
                                    struct weir_server_config *config)
{
    if (raw->routes_count == 0)
        return refuse(loader, "routes", "at least one route is needed");
    struct weir_route_config *routes =
        WEIR_ARENA_ARRAY(loader->arena, struct weir_route_config, raw->routes_count);
    if (routes == NULL)
        return no_memory(loader);
    for (unsigned i = 0; i < raw->routes_count; i++) {
        enum weir_status status = read_route(loader, i, &raw->routes[i], config, &routes[i]);
        if (status != WEIR_OK)
            return status;
        for (unsigned j = 0; j < i; j++) {
            char key[32];
            (void)snprintf(key, sizeof key, "routes[%u].path", i);
            if (strcmp(routes[j].path, routes[i].path) == 0)
                return refuse(loader, key, "%s is route %u already", routes[i].path, j + 1);
        }
    }
    config->routes = routes;
    config->route_count = raw->routes_count;
    bool is_filtered = false;
    for (size_t i = 0; i < config->route_count; i++)
        is_filtered = is_filtered || weir_route_is_filtered(&routes[i]);
    if (!is_filtered)
        config->filter_threads = 0;
    return WEIR_OK;
}

static enum weir_status read_server(struct loader *loader, const struct weir__raw_server *raw,
                                    struct weir_server_config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = processors < 1 ? 1 : processors > 8 ? 8 : (uint32_t)processors;
    config->loops = threads;
    config->workers = threads;
    config->filter_threads = 1;
    config->connections_max = 512;
    config->connections_per_client_max = 0;
    config->idle_ns = 30 * WEIR_SECOND_NS;
    config->body_ns = 10 * WEIR_SECOND_NS;
    config->write_ns = 10 * WEIR_SECOND_NS;
    config->drain_ns = 10 * WEIR_SECOND_NS;
    config->census_ns = 60 * WEIR_SECOND_NS;
    const struct {
        const char *key, *text;
        struct range range;
        uint32_t *value;
    } counts[] = {
        {"server.loops", raw->loops, {1, 64}, &config->loops},
        {"server.workers", raw->workers, {1, 256}, &config->workers},
        {"server.filter_threads", raw->filter_threads, {1, 64}, &config->filter_threads},
        {"server.connections_max", raw->connections_max, {1, 60000}, &config->connections_max},
        {"server.connections_per_client_max",
         raw->connections_per_client_max,
         {0, 60000},
         &config->connections_per_client_max},
    };
    const struct {
        const char *key, *text;
        uint64_t *value;
    } times[] = {
        {"server.idle_timeout", raw->idle_timeout, &config->idle_ns},
        {"server.body_timeout", raw->body_timeout, &config->body_ns},
        {"server.write_timeout", raw->write_timeout, &config->write_ns},
        {"server.drain_timeout", raw->drain_timeout, &config->drain_ns},
        {"server.census_interval", raw->census_interval, &config->census_ns},
    };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < sizeof counts / sizeof counts[0]; i++)
        status =
            read_count32(loader, counts[i].key, counts[i].text, counts[i].range, counts[i].value);
    for (size_t i = 0; status == WEIR_OK && i < sizeof times / sizeof times[0]; i++)
        status =
            read_time(loader, times[i].key, times[i].text,
                      (struct range){WEIR_SECOND_NS / 10, 3600 * WEIR_SECOND_NS}, times[i].value);
    if (status == WEIR_OK)
        status = resolve(loader, "server.spool", loader->folder,
                         raw->spool != NULL ? raw->spool : "/var/tmp", &config->spool_dir);
    return status;
}

static enum weir_status read_governor(struct loader *loader, const struct weir__raw_governor *raw,
                                      struct weir_server_config *config)
{
    struct weir_governor_config_keys *keys = &config->governor;
    *keys = (struct weir_governor_config_keys){.free_bytes = WEIR_SERVER_FREE_LIMIT_DEFAULT,
                                               .dwell_ns = WEIR_SERVER_DWELL_NS,
                                               .interval_ns = WEIR_SERVER_POLL_NS};
    enum weir_status status = read_size(loader, "governor.mem_free_limit", raw->mem_free_limit,
                                        (struct range){0, UINT64_C(1) << 50}, &keys->free_bytes);
    if (status == WEIR_OK)
        status = read_size(loader, "governor.mem_free_leave", raw->mem_free_leave,
                           (struct range){keys->free_bytes, UINT64_C(1) << 50}, &keys->leave_bytes);
    if (status == WEIR_OK)
        status = read_time(loader, "governor.dwell", raw->dwell,
                           (struct range){0, 3600 * WEIR_SECOND_NS}, &keys->dwell_ns);
    if (status == WEIR_OK)
        status = read_time(loader, "governor.interval", raw->interval,
                           (struct range){WEIR_SECOND_NS / 100, 10 * WEIR_SECOND_NS},
                           &keys->interval_ns);
    if (status == WEIR_OK)
        status =
            read_count32(loader, "governor.transitions_max", raw->transitions_max,
                         (struct range){WEIR_TRIGGER_TRANSITIONS_MIN, WEIR_TRIGGER_TRANSITIONS_MAX},
                         &keys->transitions_max);
    if (status != WEIR_OK)
        return status;
    if (raw->on_unknown != NULL) {
        keys->is_closed_on_unknown = strcmp(raw->on_unknown, "closed") == 0;
        if (!keys->is_closed_on_unknown && strcmp(raw->on_unknown, "open") != 0)
            return refuse(loader, "governor.on_unknown", "\"%.40s\": open or closed is needed",
                          raw->on_unknown);
    }
    if (raw->pressure_file == NULL)
        return WEIR_OK;
    return resolve(loader, "governor.pressure_file", loader->folder, raw->pressure_file,
                   &keys->pressure_file);
}

static enum weir_status read_module_cache(struct loader *loader,
                                          const struct weir__raw_module_cache *raw,
                                          struct weir_server_config *config)
{
    static const struct range TIER = {WEIR_CACHE_BYTES_MIN, WEIR_CACHE_BYTES_MAX};
    struct weir_cache_config_keys *keys = &config->module_cache;
    *keys = (struct weir_cache_config_keys){.memory_bytes = WEIR_SERVER_CACHE_MEMORY_DEFAULT,
                                            .pinned_bytes = WEIR_SERVER_CACHE_PINNED_DEFAULT};
    enum weir_status status =
        read_size(loader, "module_cache.memory_max", raw->memory_max, TIER, &keys->memory_bytes);
    if (status == WEIR_OK)
        status = read_size(loader, "module_cache.pinned_max", raw->pinned_max, TIER,
                           &keys->pinned_bytes);
    if (status == WEIR_OK)
        status =
            read_size(loader, "module_cache.disk_max", raw->disk_max,
                      (struct range){WEIR_CACHE_BYTES_MIN, WEIR_CACHE_DISK_MAX}, &keys->disk_bytes);
    if (status != WEIR_OK || raw->trace == NULL)
        return status;
    return resolve(loader, "module_cache.trace", loader->folder, raw->trace, &keys->trace);
}

static enum weir_status read_log(struct loader *loader, const struct weir__raw_log *raw,
                                 struct weir_server_config *config)
{
    static const struct word ACCESS[] = {
        {"combined", WEIR_LOG_TEXT}, {"json", WEIR_LOG_JSON}, {NULL, 0}};
    static const struct word EVENTS[] = {{"text", WEIR_LOG_TEXT},
                                         {"logfmt", WEIR_LOG_LOGFMT},
                                         {"json", WEIR_LOG_JSON},
                                         {NULL, 0}};
    static const struct word LEVELS[] = {{"debug", WEIR_LOG_DEBUG},
                                         {"info", WEIR_LOG_INFO},
                                         {"warning", WEIR_LOG_WARNING},
                                         {"error", WEIR_LOG_ERROR},
                                         {NULL, 0}};
    struct weir_log_keys *keys = &config->log;
    int access_form = WEIR_LOG_TEXT, events_form = WEIR_LOG_TEXT, level = WEIR_LOG_INFO;
    keys->queue_bytes = WEIR_SERVER_LOG_QUEUE_DEFAULT;
    enum weir_status status =
        read_word(loader, "log.access_format", raw->access_format, ACCESS, &access_form);
    if (status == WEIR_OK)
        status = read_word(loader, "log.events_format", raw->events_format, EVENTS, &events_form);
    if (status == WEIR_OK)
        status = read_word(loader, "log.level", raw->level, LEVELS, &level);
    if (status == WEIR_OK)
        status = read_size(loader, "log.queue", raw->queue,
                           (struct range){WEIR_SERVER_LOG_QUEUE_MIN, WEIR_SERVER_LOG_QUEUE_MAX},
                           &keys->queue_bytes);
    keys->access_form = (enum weir_log_form)access_form;
    keys->events_form = (enum weir_log_form)events_form;
    keys->level = (enum weir_log_level)level;
    if (status == WEIR_OK && raw->access != NULL && strcmp(raw->access, WEIR_LOG_STDOUT) == 0)
        keys->access = WEIR_LOG_STDOUT;
    else if (status == WEIR_OK && raw->access != NULL && strcmp(raw->access, "none") != 0)
        status = resolve(loader, "log.access", loader->folder, raw->access, &keys->access);
    if (status == WEIR_OK && raw->events != NULL && strcmp(raw->events, "stderr") != 0)
        status = resolve(loader, "log.events", loader->folder, raw->events, &keys->events);
    return status;
}

/* systemd's LoadCredential=weir-token:FILE */
static enum weir_status find_credential(struct loader *loader, const char **ret_path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];
    if (folder == NULL || snprintf(path, sizeof path, "%s/weir-token", folder) >= PATH_MAX ||
        access(path, F_OK) != 0)
        return WEIR_OK;
    *ret_path = copy(loader, path);
    return *ret_path != NULL ? WEIR_OK : no_memory(loader);
}

static enum weir_status read_control(struct loader *loader, const struct weir__raw_config *top,
                                     struct weir_server_config *config)
{
    static const struct word READS[] = {{"open", 0}, {"token", 1}, {NULL, 0}};
    const struct weir__raw_control *raw = &top->control;
    struct weir_control_keys *keys = &config->control;
    int are_reads_guarded = 0;
    enum weir_status status =
        read_size(loader, "control.upload_max", raw->upload_max,
                  (struct range){0, WEIR_SERVER_UPLOAD_MAX}, &keys->upload_bytes_max);
    if (status == WEIR_OK)
        status = read_word(loader, "control.reads", raw->reads, READS, &are_reads_guarded);
    keys->are_reads_guarded = are_reads_guarded != 0;
    if (status == WEIR_OK && raw->token != NULL)
        status = resolve(loader, "control.token", loader->folder, raw->token, &keys->token);
    else if (status == WEIR_OK)
        status = find_credential(loader, &keys->token);
    if (status == WEIR_OK && raw->socket != NULL)
        status = resolve(loader, "control.socket", loader->folder, raw->socket, &keys->socket);
    if (status != WEIR_OK)
        return status;
    if (keys->socket != NULL && strlen(keys->socket) >= WEIR_SERVER_SOCKET_PATH_MAX)
        return refuse(loader, "control.socket", "a path of at most %u bytes is needed",
                      WEIR_SERVER_SOCKET_PATH_MAX - 1);
    if (keys->are_reads_guarded && keys->token == NULL)
        return refuse(loader, "control.reads", "token needs control.token");
    if (keys->upload_bytes_max > 0 && keys->token == NULL && keys->socket == NULL)
        return refuse(loader, "control.upload_max",
                      "nobody could upload: set control.token or control.socket");
    if (keys->upload_bytes_max > 0 && top->modules == NULL && !loader->is_modules_given)
        return refuse(loader, "control.upload_max",
                      "set modules to the folder that uploads go to");
    return WEIR_OK;
}

static enum weir_status read_top(struct loader *loader, const char *modules_dir,
                                 const struct weir__raw_config *raw,
                                 struct weir_server_config *config)
{
    char host[WEIR_LISTEN_HOST_SIZE];
    uint16_t port;
    struct weir_error inner = {0};
    (void)snprintf(config->listen, sizeof config->listen, "%.200s",
                   raw->listen != NULL ? raw->listen : "127.0.0.1:7070");
    if (weir_listen_parse(config->listen, host, &port, &inner) != WEIR_OK) {
        enum weir_status refused = refuse(loader, "listen", "%s", inner.message);
        weir_error_done(&inner);
        return refused;
    }
    config->memory_bytes_max = WEIR_UNLIMITED;
    enum weir_status status = read_size(loader, "memory_max", raw->memory_max,
                                        (struct range){WEIR_SERVER_MEMORY_MIN, UINT64_C(1) << 50},
                                        &config->memory_bytes_max);
    if (status == WEIR_OK && raw->bounds != NULL &&
        weir_bounds_parse(raw->bounds, &config->bounds, &inner) != WEIR_OK) {
        status = refuse(loader, "bounds", "%.40s: %s", raw->bounds, inner.message);
        weir_error_done(&inner);
    }
    const char *modules = loader->folder;
    if (status == WEIR_OK && modules_dir != NULL)
        modules = modules_dir;
    else if (status == WEIR_OK && raw->modules != NULL)
        status = resolve(loader, "modules", loader->folder, raw->modules, &modules);
    (void)snprintf(loader->modules, sizeof loader->modules, "%s", modules);
    config->modules_dir = copy(loader, modules);
    if (status == WEIR_OK && config->modules_dir == NULL)
        status = no_memory(loader);
    char cache[PATH_MAX];
    if (status != WEIR_OK || (raw->cache != NULL && strcmp(raw->cache, "none") == 0))
        return status;
    if (raw->cache != NULL)
        return resolve(loader, "cache", loader->folder, raw->cache, &config->cache_dir);
    if (weir_host_cache_dir(cache, sizeof cache)) {
        config->cache_dir = copy(loader, cache);
        return config->cache_dir != NULL ? WEIR_OK : no_memory(loader);
    }
    return WEIR_OK;
}

enum weir_status weir_server_config_parse(const struct weir_config_text *text,
                                          const char *modules_dir, struct weir_arena *arena,
                                          struct weir_server_config *ret_config,
                                          struct weir_error *error)
{
    const char *name = text->name;
    struct loader loader = {
        .name = name, .bytes = text->bytes, .size = text->size, .arena = arena, .error = error,
        .is_modules_given = modules_dir != NULL};
    const char *slash = strrchr(name, '/');
    if (slash != NULL && slash - name < PATH_MAX)
        (void)snprintf(loader.folder, sizeof loader.folder, "%.*s",
                       slash == name ? 1 : (int)(slash - name), name);
    struct weir__raw_config *raw = NULL;
    enum weir_status status = weir__config_load_raw(name, text->bytes, text->size, &raw, error);
    if (status != WEIR_OK)
        return status;
    struct weir_server_config config = {.file = weir_arena_strndup(arena, name, strlen(name))};
    if (config.file == NULL)
        status = no_memory(&loader);
    if (status == WEIR_OK)
        status = read_top(&loader, modules_dir, raw, &config);
    if (status == WEIR_OK)
        status = read_server(&loader, &raw->server, &config);
    if (status == WEIR_OK)
        status = read_governor(&loader, &raw->governor, &config);
    if (status == WEIR_OK)
        status = read_module_cache(&loader, &raw->module_cache, &config);
    if (status == WEIR_OK)
        status = read_log(&loader, &raw->log, &config);
    if (status == WEIR_OK)
        status = read_control(&loader, raw, &config);
    if (status == WEIR_OK)
        status = weir__config_upstreams(&loader, raw, &config);
    if (status == WEIR_OK)
        status = weir__config_tenants(&loader, raw, &config);
    if (status == WEIR_OK)
        status = read_routes(&loader, raw, &config);
    if (status == WEIR_OK)
        status = weir__config_tenants_used(&loader, &config);
    weir__config_free_raw(raw);
    if (status == WEIR_OK)
        *ret_config = config;
    return status;
}

enum weir_status weir_server_config_load(const char *path, const char *modules_dir,
                                         struct weir_arena *arena,
                                         struct weir_server_config *ret_config,
                                         struct weir_error *error)
{
    struct weir_host_file file = {0};
    enum weir_status status =
        weir_host_file_read(path, WEIR_SERVER_CONFIG_BYTES_MAX, weir_account_host(), &file, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_config_text text = {path, file.bytes, file.size};
    status = weir_server_config_parse(&text, modules_dir, arena, ret_config, error);
    weir_host_file_done(&file);
    return status;
}

/* --- for files that read parts of a route ---------------------------------------------------- */

static enum weir_status refuse_text(struct loader *loader, const char *key, const char *what)
{
    return refuse(loader, key, "%s", what);
}

static enum weir_status copy_text(struct loader *loader, const char *text, const char **ret_copy)
{
    *ret_copy = copy(loader, text != NULL ? text : "");
    return *ret_copy != NULL ? WEIR_OK : no_memory(loader);
}

static enum weir_status module_path(struct loader *loader, const char *key, const char *text,
                                    const char **ret_path)
{
    return resolve(loader, key, loader->modules, text, ret_path);
}

static enum weir_status new_array(struct loader *loader, size_t count, size_t size,
                                  void **ret_array)
{
    *ret_array = weir_arena_alloc_array(loader->arena, count, size, _Alignof(max_align_t));
    return *ret_array != NULL ? WEIR_OK : no_memory(loader);
}

const struct weir__config_reader weir__config_read = {
    refuse_text, read_size, read_time, read_count, read_word, copy_text, module_path, new_array};
