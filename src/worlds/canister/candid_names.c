/* Names of fields: hashes, and a table of every word of an interface's text. */
#include "worlds/canister/candid_internal.h"

#include <stdlib.h>
#include <string.h>

uint32_t weir_candid_hash(const char *name, size_t size)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < size; i++)
        hash = hash * 223 + (uint8_t)name[i];
    return hash;
}

static int compare(const void *a, const void *b)
{
    const struct weir_candid_name *x = a;
    const struct weir_candid_name *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* The next word from *at on; false at the end. */
static bool next_word(const char *text, size_t size, size_t *at, struct weir_candid_name *ret)
{
    while (*at < size && !weir__candid_is_word(text[*at]))
        (*at)++;
    size_t begin = *at;
    while (*at < size && weir__candid_is_word(text[*at]))
        (*at)++;
    if (*at == begin)
        return false;
    ret->text = text + begin;
    ret->size = (uint32_t)(*at - begin);
    ret->hash = weir_candid_hash(ret->text, ret->size);
    return true;
}

enum weir_status weir_candid_names_of(const char *interface, size_t size, struct weir_arena *arena,
                                      struct weir_candid_names *ret_names, struct weir_error *error)
{
    struct weir_candid_name word;
    size_t count = 0;
    if (size > UINT32_MAX)
        size = UINT32_MAX;
    for (size_t at = 0; next_word(interface, size, &at, &word);)
        count++;
    struct weir_candid_name *items = WEIR_ARENA_ARRAY(arena, struct weir_candid_name, count);
    if (items == NULL)
        return weir__candid_no_memory(error);
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        (void)next_word(interface, size, &at, &items[i]);
    if (count > 0)
        qsort(items, count, sizeof items[0], compare);
    *ret_names = (struct weir_candid_names){items, count};
    return WEIR_OK;
}
