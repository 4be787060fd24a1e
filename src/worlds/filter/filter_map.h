/* Header maps, and the form in which plugins and hosts exchange them.
 *
 * A map keeps its pairs in order. Each pair is charged to whoever added it: what came from a client
 * to the exchange, what a plugin adds to the plugin. Names are kept in lower case. Nothing here
 * knows of a guest; weir_filter_pairs_read() takes hostile bytes and is fuzzed (fuzz_filter_pairs).
 */
#ifndef WEIR_FILTER_MAP_H
#define WEIR_FILTER_MAP_H

#include "ledger/ledger.h"

struct weir_filter_pair {
    struct weir_filter_pair *next;
    struct weir_account *account;
    uint32_t name_size, value_size;
    uint8_t bytes[]; /* name, 0, value, 0: as it is written, and both are strings */
};

struct weir_filter_map {
    struct weir_filter_pair *first, *last;
    uint32_t count;
    uint64_t bytes; /* serialised; 0 when empty */
};

static inline const uint8_t *weir_filter_pair_value(const struct weir_filter_pair *pair)
{
    return pair->bytes + pair->name_size + 1;
}

struct weir_filter_text {
    const void *bytes;
    size_t size;
};
static inline struct weir_filter_text weir_filter_text(const char *text)
{
    return (struct weir_filter_text){text, __builtin_strlen(text)};
}

/* Appends. TOO_LARGE: the map would be over its limits. INVALID_ARGUMENT: a line's end or a zero
 * byte in it. LIMIT: the account refused. */
enum weir_status weir_filter_map_add(struct weir_filter_map *map, struct weir_account *account,
                                     struct weir_filter_text name, struct weir_filter_text value,
                                     struct weir_error *error) WEIR_MUST_USE;
/* The first pair of that name replaced, further ones removed; added where there is none. */
enum weir_status weir_filter_map_replace(struct weir_filter_map *map, struct weir_account *account,
                                         struct weir_filter_text name,
                                         struct weir_filter_text value, struct weir_error *error)
    WEIR_MUST_USE;
void weir_filter_map_remove(struct weir_filter_map *map, struct weir_filter_text name);
/* The first pair of that name, in whatever case; NULL without. */
const struct weir_filter_pair *weir_filter_map_find(const struct weir_filter_map *map,
                                                    struct weir_filter_text name);
void weir_filter_map_clear(struct weir_filter_map *map);

/* Writes map->bytes bytes. */
void weir_filter_map_write(const struct weir_filter_map *map, uint8_t *to);
/* Appends what is written in `bytes` (u32 n; n x (u32 name, u32 value); n x (name 0 value 0), all
 * little-endian; nothing, or one zero byte, is an empty map). MALFORMED with the offset: cut,
 * bytes left over, a missing terminator; and as of weir_filter_map_add(). After a failure the map
 * holds what came before it. */
enum weir_status weir_filter_pairs_read(const uint8_t *bytes, size_t size,
                                        struct weir_account *account, struct weir_filter_map *map,
                                        struct weir_error *error) WEIR_MUST_USE;

#endif
