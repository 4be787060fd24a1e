/* Pairs are single allocations in a list: maps are short, order matters, and names may repeat. */
#include "worlds/filter/filter_map.h"

#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/check.h"
#include "worlds/filter/filter_limits.h"

/* Two lengths and two terminators. */
#define PAIR_EXTRA 10u

static size_t pair_bytes(const struct weir_filter_pair *pair)
{
    return sizeof *pair + pair->name_size + pair->value_size + 2;
}

static uint64_t written_bytes(size_t name_size, size_t value_size)
{
    return PAIR_EXTRA + (uint64_t)name_size + value_size;
}

static bool has_name(const struct weir_filter_pair *pair, struct weir_filter_text name)
{
    return pair->name_size == name.size &&
           strncasecmp((const char *)pair->bytes, name.bytes, name.size) == 0;
}

/* What would end a line or a string on its way through HTTP. */
static bool is_clean(struct weir_filter_text text)
{
    const uint8_t *bytes = text.bytes;
    for (size_t i = 0; i < text.size; i++)
        if (bytes[i] == 0 || bytes[i] == '\r' || bytes[i] == '\n')
            return false;
    return true;
}

static enum weir_status check(const struct weir_filter_map *map, struct weir_filter_text name,
                              struct weir_filter_text value, struct weir_error *error)
{
    if (name.size == 0 || !is_clean(name) || !is_clean(value))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a header field is empty, or holds a line's end or a zero byte");
    if (map->count >= WEIR_FILTER_MAP_PAIRS_MAX ||
        name.size > WEIR_FILTER_MAP_BYTES_MAX || value.size > WEIR_FILTER_MAP_BYTES_MAX ||
        map->bytes + written_bytes(name.size, value.size) > WEIR_FILTER_MAP_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "a header map holds at most %u pairs and %u bytes",
                              WEIR_FILTER_MAP_PAIRS_MAX, (unsigned)WEIR_FILTER_MAP_BYTES_MAX);
    return WEIR_OK;
}

static struct weir_filter_pair *new_pair(struct weir_account *account, struct weir_filter_text name,
                                         struct weir_filter_text value, struct weir_error *error)
{
    struct weir_filter_pair *pair = weir_account_alloc(
        account, WEIR_KIND_HEADER_MAP, sizeof *pair + name.size + value.size + 2, error);
    if (pair == NULL)
        return NULL;
    pair->account = account;
    pair->name_size = (uint32_t)name.size;
    pair->value_size = (uint32_t)value.size;
    const uint8_t *from = name.bytes;
    for (size_t i = 0; i < name.size; i++)
        pair->bytes[i] = from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 0x20 : from[i];
    if (value.size > 0)
        memcpy(pair->bytes + name.size + 1, value.bytes, value.size);
    return pair;
}

static void free_pair(struct weir_filter_pair *pair)
{
    weir_account_free(pair->account, WEIR_KIND_HEADER_MAP, pair, pair_bytes(pair));
}

static void link_last(struct weir_filter_map *map, struct weir_filter_pair *pair)
{
    if (map->last != NULL)
        map->last->next = pair;
    else
        map->first = pair;
    map->last = pair;
    if (map->count++ == 0)
        map->bytes = 4;
    map->bytes += written_bytes(pair->name_size, pair->value_size);
}

/* Takes `pair`, which follows `previous` (NULL: the first), out and frees it. */
static void unlink_pair(struct weir_filter_map *map, struct weir_filter_pair *previous,
                        struct weir_filter_pair *pair)
{
    if (previous != NULL)
        previous->next = pair->next;
    else
        map->first = pair->next;
    if (map->last == pair)
        map->last = previous;
    map->bytes -= written_bytes(pair->name_size, pair->value_size);
    if (--map->count == 0)
        map->bytes = 0;
    free_pair(pair);
}

enum weir_status weir_filter_map_add(struct weir_filter_map *map, struct weir_account *account,
                                     struct weir_filter_text name, struct weir_filter_text value,
                                     struct weir_error *error)
{
    enum weir_status status = check(map, name, value, error);
    if (status != WEIR_OK)
        return status;
    struct weir_filter_pair *pair = new_pair(account, name, value, error);
    if (pair == NULL)
        return WEIR_LIMIT;
    link_last(map, pair);
    return WEIR_OK;
}

/* Removes all of that name but `kept`. */
static void remove_others(struct weir_filter_map *map, struct weir_filter_text name,
                          const struct weir_filter_pair *kept)
{
    struct weir_filter_pair *previous = NULL;
    for (struct weir_filter_pair *pair = map->first; pair != NULL;) {
        struct weir_filter_pair *next = pair->next;
        if (pair != kept && has_name(pair, name))
            unlink_pair(map, previous, pair);
        else
            previous = pair;
        pair = next;
    }
}

enum weir_status weir_filter_map_replace(struct weir_filter_map *map, struct weir_account *account,
                                         struct weir_filter_text name,
                                         struct weir_filter_text value, struct weir_error *error)
{
    struct weir_filter_pair *previous = NULL, *old = map->first;
    while (old != NULL && !has_name(old, name)) {
        previous = old;
        old = old->next;
    }
    if (old == NULL)
        return weir_filter_map_add(map, account, name, value, error);
    struct weir_filter_map without = *map;
    without.count--;
    without.bytes -= written_bytes(old->name_size, old->value_size);
    enum weir_status status = check(&without, name, value, error);
    if (status != WEIR_OK)
        return status;
    struct weir_filter_pair *pair = new_pair(account, name, value, error);
    if (pair == NULL)
        return WEIR_LIMIT;
    pair->next = old->next;
    if (previous != NULL)
        previous->next = pair;
    else
        map->first = pair;
    if (map->last == old)
        map->last = pair;
    map->bytes += written_bytes(name.size, value.size);
    map->bytes -= written_bytes(old->name_size, old->value_size);
    free_pair(old);
    remove_others(map, name, pair);
    return WEIR_OK;
}

void weir_filter_map_remove(struct weir_filter_map *map, struct weir_filter_text name)
{
    remove_others(map, name, NULL);
}

const struct weir_filter_pair *weir_filter_map_find(const struct weir_filter_map *map,
                                                    struct weir_filter_text name)
{
    for (const struct weir_filter_pair *pair = map->first; pair != NULL; pair = pair->next)
        if (has_name(pair, name))
            return pair;
    return NULL;
}

void weir_filter_map_clear(struct weir_filter_map *map)
{
    while (map->first != NULL)
        unlink_pair(map, NULL, map->first);
    WEIR_DASSERT(map->count == 0 && map->bytes == 0 && map->last == NULL);
}

/* --- the written form ---------------------------------------------------------------------- */

void weir_filter_map_write(const struct weir_filter_map *map, uint8_t *to)
{
    if (map->count == 0)
        return;
    weir_store_u32(to, map->count);
    uint8_t *sizes = to + 4;
    uint8_t *at = sizes + (size_t)map->count * 8;
    for (const struct weir_filter_pair *pair = map->first; pair != NULL; pair = pair->next) {
        weir_store_u32(sizes, pair->name_size);
        weir_store_u32(sizes + 4, pair->value_size);
        sizes += 8;
        size_t size = (size_t)pair->name_size + pair->value_size + 2;
        memcpy(at, pair->bytes, size);
        at += size;
    }
    WEIR_DASSERT((uint64_t)(at - to) == map->bytes);
}

static enum weir_status malformed(struct weir_error *error, size_t offset, const char *what)
{
    return weir_error_set(error, WEIR_MALFORMED, offset, "header map: %s", what);
}

enum weir_status weir_filter_pairs_read(const uint8_t *bytes, size_t size,
                                        struct weir_account *account, struct weir_filter_map *map,
                                        struct weir_error *error)
{
    if (size == 0 || (size == 1 && bytes[0] == 0))
        return WEIR_OK;
    if (size > WEIR_FILTER_MAP_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "a header map of %zu bytes; %u is the most", size,
                              (unsigned)WEIR_FILTER_MAP_BYTES_MAX);
    if (size < 4)
        return malformed(error, 0, "no room for the number of pairs");
    uint32_t count = weir_load_u32(bytes);
    if (count > WEIR_FILTER_MAP_PAIRS_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, 0, "a header map of %u pairs; %u is the most",
                              count, WEIR_FILTER_MAP_PAIRS_MAX);
    size_t at = 4 + (size_t)count * 8;
    if (at > size)
        return malformed(error, 4, "no room for the sizes of its pairs");
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *sizes = bytes + 4 + (size_t)i * 8;
        uint64_t name_size = weir_load_u32(sizes), value_size = weir_load_u32(sizes + 4);
        if (!weir_range_fits(at, name_size + value_size + 2, size))
            return malformed(error, (size_t)(sizes - bytes), "a pair reaches beyond the end");
        const uint8_t *name = bytes + at, *value = name + name_size + 1;
        if (name[name_size] != 0 || value[value_size] != 0)
            return malformed(error, at, "a name or value without its zero byte");
        enum weir_status status = weir_filter_map_add(
            map, account, (struct weir_filter_text){name, (size_t)name_size},
            (struct weir_filter_text){value, (size_t)value_size}, error);
        if (status != WEIR_OK)
            return status;
        at += (size_t)(name_size + value_size + 2);
    }
    return at == size ? WEIR_OK : malformed(error, at, "bytes are left over");
}
