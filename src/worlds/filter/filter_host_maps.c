/* Host functions over header maps and buffers. */
#include "base/check.h"
#include "worlds/filter/filter_internal.h"

#include <string.h>

/* --- which ----------------------------------------------------------------------------------- */

/* NULL: there is none now. */
static struct weir_filter_map *find_map(const struct weir_filter_vm *vm, uint32_t id)
{
    struct weir_filter_stream *stream = weir__filter_stream_now(vm);
    if (id < WEIR_FILTER_STREAM_MAPS)
        return stream != NULL && stream->exchange != NULL && stream->exchange->has_map[id]
                   ? &stream->exchange->maps[id]
                   : NULL;
    if (vm->answers != NULL && id == FILTER_MAP_CALL_HEADERS)
        return &vm->answers->answer_headers;
    if (vm->answers != NULL && id == FILTER_MAP_CALL_TRAILERS)
        return &vm->answers->answer_trailers;
    return NULL;
}

static bool is_writable(uint32_t id)
{
    return id < WEIR_FILTER_STREAM_MAPS;
}

/* What a buffer's number stands for now: a body, or (NULL) a text. */
struct found {
    struct weir_filter_buffer *buffer;
    struct weir_filter_text text;
};

/* BAD_ARGUMENT: there is no such number. NOT_FOUND: it is not there now. */
static int find_buffer(const struct weir_filter_vm *vm, uint32_t id, struct found *ret_found)
{
    struct weir_filter_stream *stream = weir__filter_stream_now(vm);
    *ret_found = (struct found){0};
    if (id > FILTER_BUFFER_MAX)
        return FILTER_BAD_ARGUMENT;
    if (id <= WEIR_FILTER_RESPONSE && stream != NULL && stream->has_body[id])
        ret_found->buffer = &stream->buffers[id];
    else if (id == FILTER_BUFFER_CALL && vm->answers != NULL)
        ret_found->buffer = &vm->answers->answer_body;
    else if (id == FILTER_BUFFER_VM_CONFIG)
        ret_found->text = vm->plugin->config.vm_configuration;
    else if (id == FILTER_BUFFER_PLUGIN_CONFIG)
        ret_found->text = vm->plugin->config.configuration;
    else
        return FILTER_NOT_FOUND;
    return FILTER_OK;
}

static uint64_t size_of(const struct found *found)
{
    return found->buffer != NULL ? found->buffer->size : found->text.size;
}

/* --- maps ------------------------------------------------------------------------------------ */

int weir__filter_proxy_get_header_map_size(struct weir__filter_host_call *call)
{
    const struct weir_filter_map *map = find_map(call->vm, weir__filter_u32(call, 0));
    if (map == NULL)
        return FILTER_BAD_ARGUMENT;
    return weir__filter_put_u32(call, 1, (uint32_t)map->bytes);
}

int weir__filter_proxy_get_header_map_pairs(struct weir__filter_host_call *call)
{
    const struct weir_filter_map *map = find_map(call->vm, weir__filter_u32(call, 0));
    if (map == NULL)
        return FILTER_BAD_ARGUMENT;
    FILTER_SLICE(copy);
    copy.account = call->vm->account;
    copy.bytes = copy.few;
    if (map->bytes > sizeof copy.few) {
        struct weir_error error = {0};
        uint8_t *bytes =
            weir_account_alloc(copy.account, WEIR_KIND_HOST_BUFFER, map->bytes, &error);
        if (bytes == NULL)
            return weir__filter_status_of(call, WEIR_LIMIT, &error);
        copy.bytes = bytes;
    }
    copy.size = map->bytes;
    weir_filter_map_write(map, copy.bytes);
    return weir__filter_give(call, 1, weir__filter_slice_text(&copy));
}

int weir__filter_proxy_get_header_map_value(struct weir__filter_host_call *call)
{
    const struct weir_filter_map *map = find_map(call->vm, weir__filter_u32(call, 0));
    FILTER_SLICE(name);
    int answer = weir__filter_get(call, 1, WEIR_FILTER_MAP_BYTES_MAX, &name);
    if (answer != FILTER_OK)
        return answer;
    if (map == NULL)
        return FILTER_BAD_ARGUMENT;
    const struct weir_filter_pair *pair =
        weir_filter_map_find(map, weir__filter_slice_text(&name));
    if (pair == NULL)
        return call->vm->plugin->abi == FILTER_ABI_0_1_0
                   ? weir__filter_give(call, 3, (struct weir_filter_text){0})
                   : FILTER_NOT_FOUND;
    return weir__filter_give(
        call, 3, (struct weir_filter_text){weir_filter_pair_value(pair), pair->value_size});
}

int weir__filter_proxy_set_header_map_pairs(struct weir__filter_host_call *call)
{
    uint32_t id = weir__filter_u32(call, 0);
    struct weir_filter_map *map = find_map(call->vm, id);
    FILTER_SLICE(bytes);
    int answer = weir__filter_get(call, 1, WEIR_FILTER_MAP_BYTES_MAX, &bytes);
    if (answer != FILTER_OK)
        return answer;
    if (map == NULL || !is_writable(id))
        return FILTER_BAD_ARGUMENT;
    struct weir_filter_map fresh = {0};
    struct weir_error error = {0};
    enum weir_status status =
        weir_filter_pairs_read(bytes.bytes, bytes.size, call->vm->account, &fresh, &error);
    if (status != WEIR_OK) {
        weir_filter_map_clear(&fresh);
        return weir__filter_status_of(call, status, &error);
    }
    weir_filter_map_clear(map);
    *map = fresh;
    return FILTER_OK;
}

typedef enum weir_status change_map(struct weir_filter_map *map, struct weir_account *account,
                                    struct weir_filter_text name, struct weir_filter_text value,
                                    struct weir_error *error);

static int change(struct weir__filter_host_call *call, change_map *apply)
{
    uint32_t id = weir__filter_u32(call, 0);
    struct weir_filter_map *map = find_map(call->vm, id);
    FILTER_SLICE(name);
    FILTER_SLICE(value);
    int answer = weir__filter_get(call, 1, WEIR_FILTER_MAP_BYTES_MAX, &name);
    if (answer == FILTER_OK)
        answer = weir__filter_get(call, 3, WEIR_FILTER_MAP_BYTES_MAX, &value);
    if (answer != FILTER_OK)
        return answer;
    if (map == NULL || !is_writable(id))
        return FILTER_BAD_ARGUMENT;
    struct weir_error error = {0};
    enum weir_status status = apply(map, call->vm->account, weir__filter_slice_text(&name),
                                     weir__filter_slice_text(&value), &error);
    return weir__filter_status_of(call, status, &error);
}

int weir__filter_proxy_add_header_map_value(struct weir__filter_host_call *call)
{
    return change(call, weir_filter_map_add);
}

int weir__filter_proxy_replace_header_map_value(struct weir__filter_host_call *call)
{
    return change(call, weir_filter_map_replace);
}

int weir__filter_proxy_remove_header_map_value(struct weir__filter_host_call *call)
{
    uint32_t id = weir__filter_u32(call, 0);
    struct weir_filter_map *map = find_map(call->vm, id);
    FILTER_SLICE(name);
    int answer = weir__filter_get(call, 1, WEIR_FILTER_MAP_BYTES_MAX, &name);
    if (answer != FILTER_OK)
        return answer;
    if (map == NULL || !is_writable(id))
        return FILTER_BAD_ARGUMENT;
    weir_filter_map_remove(map, weir__filter_slice_text(&name));
    return FILTER_OK;
}

/* --- buffers --------------------------------------------------------------------------------- */

/* A part of a body, piece by piece; the guest's allocator cannot change it meanwhile. */
static int give_body(struct weir__filter_host_call *call, const struct weir_filter_buffer *buffer,
                     uint32_t start, uint32_t size)
{
    uint32_t address = 0;
    int answer = weir__filter_can_give(call, 3);
    if (answer == FILTER_OK && size > 0)
        answer = weir__filter_allocate(call, size, &address);
    for (uint32_t done = 0; answer == FILTER_OK && done < size;) {
        uint32_t from = 0;
        const struct weir_filter_chunk *chunk =
            weir_filter_buffer_at(buffer, (uint64_t)start + done, &from);
        WEIR_ASSERT(chunk != NULL);
        while (answer == FILTER_OK && chunk != NULL && done < size) {
            uint32_t part = chunk->end - from;
            if (part > size - done)
                part = size - done;
            if (weir_memory_write(call->vm->memory, (uint64_t)address + done, chunk->bytes + from,
                                  part) != WEIR_OK)
                answer = FILTER_INVALID_MEMORY_ACCESS;
            done += part;
            chunk = chunk->next;
            from = chunk != NULL ? chunk->begin : 0;
        }
    }
    if (answer == FILTER_OK)
        answer = weir__filter_put_u32(call, 3, address);
    if (answer == FILTER_OK)
        answer = weir__filter_put_u32(call, 4, size);
    return answer;
}

int weir__filter_proxy_get_buffer_bytes(struct weir__filter_host_call *call)
{
    struct found found;
    uint64_t start = weir__filter_u32(call, 1), size = weir__filter_u32(call, 2);
    int answer = find_buffer(call->vm, weir__filter_u32(call, 0), &found);
    if (answer != FILTER_OK)
        return answer;
    uint64_t have = size_of(&found);
    if (start > have)
        start = have;
    if (size > have - start)
        size = have - start;
    if (size > INT32_MAX)
        return FILTER_BAD_ARGUMENT;
    if (found.buffer != NULL)
        return give_body(call, found.buffer, (uint32_t)start, (uint32_t)size);
    const uint8_t *bytes = found.text.bytes;
    return weir__filter_give(
        call, 3, (struct weir_filter_text){size > 0 ? bytes + start : NULL, (size_t)size});
}

int weir__filter_proxy_get_buffer_status(struct weir__filter_host_call *call)
{
    struct found found;
    int answer = find_buffer(call->vm, weir__filter_u32(call, 0), &found);
    uint64_t size = size_of(&found);
    if (answer == FILTER_OK)
        answer = weir__filter_put_u32(call, 1, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size);
    return answer == FILTER_OK ? weir__filter_put_u32(call, 2, 0) : answer;
}

int weir__filter_proxy_set_buffer_bytes(struct weir__filter_host_call *call)
{
    struct found found;
    uint32_t id = weir__filter_u32(call, 0);
    uint64_t start = weir__filter_u32(call, 1), size = weir__filter_u32(call, 2);
    uint64_t bytes_max = call->vm->plugin->config.buffer_bytes_max;
    FILTER_SLICE(bytes);
    int answer = weir__filter_get(call, 3, bytes_max, &bytes);
    if (answer == FILTER_OK)
        answer = find_buffer(call->vm, id, &found);
    if (answer != FILTER_OK)
        return answer;
    if (id > WEIR_FILTER_RESPONSE) /* to be read only */
        return FILTER_BAD_ARGUMENT;
    struct weir_filter_buffer *buffer = found.buffer;
    uint64_t cut = start < buffer->size ? buffer->size - start : 0;
    cut = size < cut ? size : cut;
    if (buffer->size - cut + bytes.size > bytes_max)
        return weir__filter_refuse(call, FILTER_BAD_ARGUMENT,
                                   "a body of more than %llu bytes (limits.buffer)",
                                   (unsigned long long)bytes_max);
    struct weir_error error = {0};
    enum weir_status status =
        weir_filter_buffer_splice(buffer, start, size, weir__filter_slice_text(&bytes), &error);
    return weir__filter_status_of(call, status, &error);
}

/* 0.1.0: the plugin's configuration without a buffer's number. */
int weir__filter_proxy_get_configuration(struct weir__filter_host_call *call)
{
    return weir__filter_give(call, 0, call->vm->plugin->config.configuration);
}
