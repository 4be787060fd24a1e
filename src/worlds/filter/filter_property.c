/* Properties: facts of the plugin, of the exchange and its maps, and what plugins set themselves.
 * Paths are segments with a zero byte between them; numbers are eight bytes, as Envoy writes them.
 */
#include "worlds/filter/filter_internal.h"

#include <stdio.h>
#include <string.h>

struct answer {
    struct weir_filter_text text;
    uint64_t number; /* behind text when it is a number */
    char scratch[128];
};

/* --- of the plugin --------------------------------------------------------------------------- */

static void set_text(struct answer *answer, const char *text)
{
    answer->text = weir_filter_text(text != NULL ? text : "");
}

static void set_number(struct answer *answer, uint64_t number)
{
    answer->number = number;
    answer->text = (struct weir_filter_text){&answer->number, sizeof answer->number};
}

static void set_bytes(struct answer *answer, const void *bytes, size_t size)
{
    answer->text = (struct weir_filter_text){bytes, size};
}

static bool of_plugin(const struct weir_filter_vm *vm, const char *path, struct answer *answer)
{
    const struct weir_filter_config *config = &vm->plugin->config;
    const struct {
        const char *path, *text;
    } texts[] = {
        {"plugin_name", config->name},
        {"plugin_root_id", config->root_id},
        {"plugin_vm_id", config->vm_id},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(path, texts[i].path) == 0) {
            set_text(answer, texts[i].text);
            return true;
        }
    if (strcmp(path, "plugin_vm_memory") != 0)
        return false;
    set_number(answer, weir_filter_vm_linear_bytes(vm));
    return true;
}

/* --- of the exchange ------------------------------------------------------------------------- */

static const struct weir_filter_pair *find(const struct weir_filter_exchange *exchange,
                                           enum weir_filter_map_id map, const char *name)
{
    return exchange->has_map[map]
               ? weir_filter_map_find(&exchange->maps[map], weir_filter_text(name))
               : NULL;
}

static bool of_header(const struct weir_filter_exchange *exchange, enum weir_filter_map_id map,
                      const char *name, struct answer *answer)
{
    const struct weir_filter_pair *pair = find(exchange, map, name);
    if (pair != NULL)
        set_bytes(answer, weir_filter_pair_value(pair), pair->value_size);
    return pair != NULL;
}

/* request.url_path and request.query are the parts of :path. */
static bool of_path(const struct weir_filter_exchange *exchange, bool is_query,
                    struct answer *answer)
{
    const struct weir_filter_pair *pair = find(exchange, WEIR_FILTER_REQUEST_HEADERS, ":path");
    if (pair == NULL)
        return false;
    const uint8_t *path = weir_filter_pair_value(pair);
    const uint8_t *mark = memchr(path, '?', pair->value_size);
    size_t size = mark != NULL ? (size_t)(mark - path) : pair->value_size;
    if (!is_query)
        set_bytes(answer, path, size);
    else if (mark != NULL)
        set_bytes(answer, mark + 1, pair->value_size - size - 1);
    else
        set_text(answer, "");
    return true;
}

static bool of_code(const struct weir_filter_exchange *exchange, struct answer *answer)
{
    const struct weir_filter_pair *pair = find(exchange, WEIR_FILTER_RESPONSE_HEADERS, ":status");
    if (pair == NULL)
        return false;
    uint64_t code = 0;
    for (uint32_t i = 0; i < pair->value_size && i < 3; i++)
        code = code * 10 + (uint64_t)(weir_filter_pair_value(pair)[i] - '0');
    set_number(answer, code);
    return true;
}

static bool of_address(const char *address, uint64_t port, struct answer *answer)
{
    if (address == NULL)
        return false;
    const char *format = strchr(address, ':') != NULL ? "[%.100s]:%llu" : "%.100s:%llu";
    (void)snprintf(answer->scratch, sizeof answer->scratch, format, address,
                   (unsigned long long)port);
    set_text(answer, answer->scratch);
    return true;
}

static bool of_texts(const struct weir_filter_exchange *exchange, const char *path,
                     struct answer *answer)
{
    const struct {
        const char *path, *text;
    } texts[] = {
        {"request.protocol", exchange->protocol},
        {"route_name", exchange->route_name},
        {"cluster_name", exchange->upstream_name},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(path, texts[i].path) == 0 && texts[i].text != NULL) {
            set_text(answer, texts[i].text);
            return true;
        }
    return false;
}

static bool of_numbers(const struct weir_filter_exchange *exchange, const char *path,
                       struct answer *answer)
{
    const struct {
        const char *path;
        uint64_t number;
    } numbers[] = {
        {"source.port", exchange->source_port},
        {"destination.port", exchange->destination_port},
        {"connection.id", exchange->connection_id},
        {"connection_id", exchange->connection_id},
        {"request.time", exchange->begin_ns},
        {"request.size", exchange->request_bytes},
        {"response.size", exchange->response_bytes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(path, numbers[i].path) == 0) {
            set_number(answer, numbers[i].number);
            return true;
        }
    return false;
}

/* `path` with points for zero bytes. */
static bool of_exchange(const struct weir_filter_exchange *exchange, const char *path,
                        struct answer *answer)
{
    static const struct {
        const char *path, *header;
    } headers[] = {
        {"request.path", ":path"},         {"request.method", ":method"},
        {"request.host", ":authority"},    {"request.scheme", ":scheme"},
        {"request.referer", "referer"},    {"request.useragent", "user-agent"},
        {"request.id", "x-request-id"},
    };
    static const struct {
        const char *prefix;
        enum weir_filter_map_id map;
    } maps[] = {
        {"request.headers.", WEIR_FILTER_REQUEST_HEADERS},
        {"request.trailers.", WEIR_FILTER_REQUEST_TRAILERS},
        {"response.headers.", WEIR_FILTER_RESPONSE_HEADERS},
        {"response.trailers.", WEIR_FILTER_RESPONSE_TRAILERS},
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        if (strcmp(path, headers[i].path) == 0)
            return of_header(exchange, WEIR_FILTER_REQUEST_HEADERS, headers[i].header, answer);
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
        if (strncmp(path, maps[i].prefix, strlen(maps[i].prefix)) == 0)
            return of_header(exchange, maps[i].map, path + strlen(maps[i].prefix), answer);
    if (strcmp(path, "request.url_path") == 0 || strcmp(path, "request.query") == 0)
        return of_path(exchange, strcmp(path, "request.query") == 0, answer);
    if (strcmp(path, "response.code") == 0)
        return of_code(exchange, answer);
    if (strcmp(path, "source.address") == 0)
        return of_address(exchange->source_address, exchange->source_port, answer);
    if (strcmp(path, "destination.address") == 0)
        return of_address(exchange->destination_address, exchange->destination_port, answer);
    return of_texts(exchange, path, answer) || of_numbers(exchange, path, answer);
}

/* --- of plugins ------------------------------------------------------------------------------ */

static struct weir__filter_property **find_set(struct weir_filter_stream *stream,
                                               struct weir_filter_text path)
{
    struct weir__filter_property **at = &stream->properties;
    while (*at != NULL && ((*at)->path_size != path.size ||
                           memcmp((*at)->bytes, path.bytes, path.size) != 0))
        at = &(*at)->next;
    return at;
}

int weir__filter_proxy_get_property(struct weir__filter_host_call *call)
{
    FILTER_SLICE(raw);
    int status = weir__filter_get(call, 0, WEIR_FILTER_NAME_BYTES_MAX, &raw);
    if (status != FILTER_OK)
        return status;
    struct weir_filter_stream *stream = weir__filter_stream_now(call->vm);
    if (stream != NULL) {
        const struct weir__filter_property *set =
            *find_set(stream, weir__filter_slice_text(&raw));
        if (set != NULL)
            return weir__filter_give(
                call, 2, (struct weir_filter_text){set->bytes + set->path_size, set->value_size});
    }
    char path[WEIR_FILTER_NAME_BYTES_MAX + 1];
    size_t size = raw.size;
    while (size > 0 && raw.bytes[size - 1] == 0)
        size--;
    for (size_t i = 0; i < size; i++)
        path[i] = raw.bytes[i] == 0 ? '.' : (char)raw.bytes[i];
    path[size] = 0;
    struct answer answer;
    if (!of_plugin(call->vm, path, &answer) &&
        (stream == NULL || stream->exchange == NULL ||
         !of_exchange(stream->exchange, path, &answer)))
        return FILTER_NOT_FOUND;
    return weir__filter_give(call, 2, answer.text);
}

int weir__filter_proxy_set_property(struct weir__filter_host_call *call)
{
    FILTER_SLICE(path);
    FILTER_SLICE(value);
    int status = weir__filter_get(call, 0, WEIR_FILTER_NAME_BYTES_MAX, &path);
    if (status == FILTER_OK)
        status = weir__filter_get(call, 2, WEIR_FILTER_VALUE_BYTES_MAX, &value);
    struct weir_filter_stream *stream = weir__filter_stream_now(call->vm);
    if (status != FILTER_OK)
        return status;
    if (stream == NULL || path.size == 0)
        return FILTER_BAD_ARGUMENT;
    struct weir__filter_property **at = find_set(stream, weir__filter_slice_text(&path));
    struct weir__filter_property *old = *at;
    if (old == NULL && stream->property_count >= WEIR_FILTER_STREAM_PROPERTIES_MAX)
        return weir__filter_refuse(call, FILTER_INTERNAL_FAILURE,
                                   "a stream has at most %u properties that plugins set",
                                   WEIR_FILTER_STREAM_PROPERTIES_MAX);
    struct weir_error error = {0};
    struct weir__filter_property *property =
        weir_account_alloc(stream->account, WEIR_KIND_HOST_BUFFER,
                           sizeof *property + path.size + value.size, &error);
    if (property == NULL)
        return weir__filter_status_of(call, WEIR_LIMIT, &error);
    property->path_size = (uint32_t)path.size;
    property->value_size = (uint32_t)value.size;
    memcpy(property->bytes, path.bytes, path.size);
    if (value.size > 0)
        memcpy(property->bytes + path.size, value.bytes, value.size);
    property->next = old != NULL ? old->next : NULL;
    *at = property;
    stream->property_bytes += path.size + value.size;
    stream->property_count += old == NULL;
    if (old != NULL) {
        stream->property_bytes -= old->path_size + old->value_size;
        weir_account_free(stream->account, WEIR_KIND_HOST_BUFFER, old,
                          sizeof *old + old->path_size + old->value_size);
    }
    return FILTER_OK;
}
