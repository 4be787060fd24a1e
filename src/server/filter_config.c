/* The keys of upstreams and of filters: read, checked, completed. */
#include "server/config_internal.h"

#include "base/clock.h"
#include "base/sizes.h"
#include "server/server_config.h"
#include "server/server_limits.h"
#include "worlds/filter/filter_limits.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct weir__config_reader *const read = &weir__config_read;

struct key {
    char text[96];
};

static struct key key_of(const char *list, size_t index, const char *name)
{
    struct key key;
    (void)snprintf(key.text, sizeof key.text, "%s[%zu].%s", list, index, name);
    return key;
}

uint32_t weir_server_connections(const struct weir_server_config *config)
{
    return config->connections_max + config->filter_threads * WEIR_SERVER_INNER_CONNECTIONS;
}

uint64_t weir_filter_keys_bytes(const struct weir_filter_keys *keys, uint32_t threads)
{
    /* One VM more: a route that is loaded again tries its plugins before the old ones go. */
    return (threads + 1) * keys->memory_bytes + WEIR_SERVER_FILTER_SHARED_BYTES;
}

/* --- upstreams ------------------------------------------------------------------------------- */

/* "http://host[:port]" or https, nothing behind it. */
static bool is_origin(const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : "";
    size_t size = strlen(host);
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)host[i]) && strchr(".-:[]_", host[i]) == NULL)
            return false;
    return size > 0 && size < 200;
}

static enum weir_status read_upstream(struct loader *loader, size_t index,
                                      const struct weir__raw_upstream *raw,
                                      struct weir_upstream_keys *keys)
{
    const char *const list = "upstreams";
    if (raw->name == NULL || raw->name[0] == 0)
        return read->refuse(loader, key_of(list, index, "name").text,
                                   "every upstream needs a name");
    if (raw->url == NULL || !is_origin(raw->url))
        return read->refuse(loader, key_of(list, index, "url").text,
                                   "http://HOST:PORT or https://HOST:PORT is needed, no path");
    *keys = (struct weir_upstream_keys){.connect_ns = 5 * WEIR_SECOND_NS,
                                        .timeout_ns = 30 * WEIR_SECOND_NS};
    uint64_t connections = 32;
    enum weir_status status = read->copy(loader, raw->name, &keys->name);
    if (status == WEIR_OK)
        status = read->copy(loader, raw->url, &keys->url);
    if (status == WEIR_OK)
        status = read->count(loader, key_of(list, index, "connections").text,
                                    raw->connections, (struct range){1, 10000}, &connections);
    if (status == WEIR_OK)
        status = read->time(
            loader, key_of(list, index, "connect_timeout").text, raw->connect_timeout,
            (struct range){WEIR_SECOND_NS / 100, 60 * WEIR_SECOND_NS}, &keys->connect_ns);
    if (status == WEIR_OK)
        status = read->time(loader, key_of(list, index, "timeout").text, raw->timeout,
                            (struct range){WEIR_SECOND_NS / 100, 3600 * WEIR_SECOND_NS},
                            &keys->timeout_ns);
    keys->connections = (uint32_t)connections;
    return status;
}

enum weir_status weir__config_upstreams(struct loader *loader, const struct weir__raw_config *raw,
                                        struct weir_server_config *config)
{
    struct weir_upstream_keys *all = NULL;
    enum weir_status status =
        read->array(loader, raw->upstreams_count, sizeof *all, (void **)&all);
    for (unsigned i = 0; i < raw->upstreams_count && status == WEIR_OK; i++) {
        status = read_upstream(loader, i, &raw->upstreams[i], &all[i]);
        for (unsigned j = 0; j < i && status == WEIR_OK; j++)
            if (strcmp(all[j].name, all[i].name) == 0)
                status = read->refuse(loader, key_of("upstreams", i, "name").text,
                                             "this name is taken by another upstream");
    }
    config->upstreams = all;
    config->upstream_count = raw->upstreams_count;
    return status;
}

/* --- filters --------------------------------------------------------------------------------- */

static enum weir_status read_words(struct loader *loader, const char *list, size_t index,
                                   const struct weir__raw_filter *raw,
                                   struct weir_filter_keys *keys)
{
    static const struct word FAILURES[] = {{"fail_closed", 0}, {"fail_open", 1}, {NULL, 0}};
    static const struct word ALLOCATORS[] = {{"abi", 0}, {"malloc", 1}, {NULL, 0}};
    static const struct word LEVELS[] = {{"trace", 0}, {"debug", 1}, {"info", 2},     {"warn", 3},
                                         {"error", 4}, {"critical", 5}, {NULL, 0}};
    int is_open = 0, prefers_malloc = 0;
    keys->level = 2;
    enum weir_status status = read->word(loader, key_of(list, index, "on_failure").text,
                                                raw->on_failure, FAILURES, &is_open);
    if (status == WEIR_OK)
        status = read->word(loader, key_of(list, index, "allocator").text, raw->allocator,
                                   ALLOCATORS, &prefers_malloc);
    if (status == WEIR_OK)
        status = read->word(loader, key_of(list, index, "log").text, raw->log, LEVELS,
                                   &keys->level);
    keys->is_open = is_open != 0;
    keys->prefers_malloc = prefers_malloc != 0;
    return status;
}

static enum weir_status read_filter_limits(struct loader *loader, const char *list, size_t index,
                                           const struct weir__raw_filter_limits *raw,
                                           struct weir_filter_keys *keys)
{
    uint64_t streams = WEIR_FILTER_STREAMS_DEFAULT;
    keys->memory_bytes = WEIR_FILTER_MEMORY_DEFAULT;
    keys->buffer_bytes = WEIR_FILTER_BUFFER_DEFAULT;
    keys->time_ns = WEIR_FILTER_TIME_DEFAULT_NS;
    enum weir_status status =
        read->size(loader, key_of(list, index, "limits.memory").text, raw->memory,
                   (struct range){2 * WEIR_MIB, UINT64_C(1) << 40}, &keys->memory_bytes);
    keys->soft_bytes = keys->memory_bytes / 4 * 3;
    if (status == WEIR_OK)
        status = read->size(loader, key_of(list, index, "limits.soft").text, raw->soft,
                            (struct range){1 * WEIR_MIB, keys->memory_bytes}, &keys->soft_bytes);
    if (status == WEIR_OK)
        status = read->size(loader, key_of(list, index, "limits.buffer").text, raw->buffer,
                                   (struct range){65536, UINT64_C(1) << 30}, &keys->buffer_bytes);
    if (status == WEIR_OK)
        status = read->time(loader, key_of(list, index, "limits.time").text, raw->time,
                            (struct range){WEIR_MS_NS, 60 * WEIR_SECOND_NS}, &keys->time_ns);
    if (status == WEIR_OK)
        status = read->count(loader, key_of(list, index, "limits.fuel").text, raw->fuel,
                                    (struct range){1, INT64_MAX}, &keys->fuel);
    if (status == WEIR_OK)
        status = read->count(loader, key_of(list, index, "limits.streams").text,
                                    raw->streams, (struct range){1, 100000}, &streams);
    keys->streams = (uint32_t)streams;
    return status;
}

static enum weir_status read_filter(struct loader *loader, const char *list, size_t index,
                                    const struct weir__raw_filter *raw,
                                    struct weir_filter_keys *keys)
{
    if (raw->name == NULL || raw->name[0] == 0)
        return read->refuse(loader, key_of(list, index, "name").text,
                                   "every filter needs a name");
    if (raw->module == NULL || raw->module[0] == 0)
        return read->refuse(loader, key_of(list, index, "module").text,
                                   "every filter needs a module");
    const struct {
        const char *text;
        const char **to;
    } texts[] = {
        {raw->name, &keys->name},
        {raw->root_id, &keys->root_id},
        {raw->vm_id, &keys->vm_id},
        {raw->configuration, &keys->configuration},
        {raw->vm_configuration, &keys->vm_configuration},
    };
    enum weir_status status = read->module(loader, key_of(list, index, "module").text,
                                                  raw->module, &keys->module);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == WEIR_OK; i++)
        status = read->copy(loader, texts[i].text, texts[i].to);
    if (status == WEIR_OK)
        status = read_words(loader, list, index, raw, keys);
    if (status == WEIR_OK)
        status = read_filter_limits(loader, list, index, &raw->limits, keys);
    return status;
}

static const struct weir_upstream_keys *find_upstream(const struct weir_server_config *config,
                                                      const char *name)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, name) == 0)
            return &config->upstreams[i];
    return NULL;
}

enum weir_status weir__config_filters(struct loader *loader, const char *prefix,
                                      const struct weir__raw_route *raw,
                                      const struct weir_server_config *config,
                                      struct weir_route_config *route)
{
    char list[64];
    (void)snprintf(list, sizeof list, "%s.upstream", prefix);
    if (raw->upstream != NULL) {
        route->upstream = find_upstream(config, raw->upstream);
        if (route->upstream == NULL)
            return read->refuse(loader, list, "there is no upstream of this name");
    }
    (void)snprintf(list, sizeof list, "%s.filters", prefix);
    struct weir_filter_keys *all = NULL;
    enum weir_status status =
        read->array(loader, raw->filters_count, sizeof *all, (void **)&all);
    for (unsigned i = 0; i < raw->filters_count && status == WEIR_OK; i++) {
        status = read_filter(loader, list, i, &raw->filters[i], &all[i]);
        for (unsigned j = 0; j < i && status == WEIR_OK; j++)
            if (strcmp(all[j].name, all[i].name) == 0)
                status = read->refuse(loader, key_of(list, i, "name").text,
                                             "this name is taken by another filter of the route");
    }
    route->filters = all;
    route->filter_count = raw->filters_count;
    return status;
}
