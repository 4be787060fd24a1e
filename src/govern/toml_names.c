/* The paths of a file, in an open hash table over an arena. */
#include "govern/toml_internal.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256u

struct weir__toml_names {
    struct weir_arena *arena;
    struct weir__toml_entry **slots; /* a power of two of them, at most half used */
    size_t slot_count;
    size_t used;
};

enum weir_status weir__toml_names_new(struct weir__toml_names **ret_names, struct weir_error *error)
{
    struct weir__toml_names *names = calloc(1, sizeof *names);
    struct weir__toml_entry **slots = calloc(SLOTS_MIN, sizeof(struct weir__toml_entry *));
    if (names == NULL || slots == NULL) {
        free(names);
        free(slots);
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the keys");
    }
    names->slots = slots;
    names->slot_count = SLOTS_MIN;
    enum weir_status status = weir_arena_new(NULL, 0, &names->arena, error);
    if (status != WEIR_OK) {
        weir__toml_names_free(names);
        return status;
    }
    *ret_names = names;
    return WEIR_OK;
}

void weir__toml_names_free(struct weir__toml_names *names)
{
    if (names == NULL)
        return;
    weir_arena_free(names->arena);
    free(names->slots);
    free(names);
}

/* FNV-1a: a file that makes it collide costs its owner time, bounded by the number of keys. */
static uint64_t hash(const char *bytes, size_t size)
{
    uint64_t value = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        value = (value ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    return value ^ value >> 32;
}

static size_t find_slot(const struct weir__toml_names *names, const char *path, size_t size)
{
    size_t mask = names->slot_count - 1;
    size_t slot = (size_t)hash(path, size) & mask;
    while (names->slots[slot] != NULL && (strncmp(names->slots[slot]->path, path, size) != 0 ||
                                          names->slots[slot]->path[size] != 0))
        slot = (slot + 1) & mask;
    return slot;
}

static bool grow(struct weir__toml_names *names)
{
    struct weir__toml_names bigger = *names;
    bigger.slot_count *= 2;
    bigger.slots = calloc(bigger.slot_count, sizeof(struct weir__toml_entry *));
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < names->slot_count; i++)
        if (names->slots[i] != NULL)
            bigger.slots[find_slot(&bigger, names->slots[i]->path, strlen(names->slots[i]->path))] =
                names->slots[i];
    free(names->slots);
    *names = bigger;
    return true;
}

struct weir__toml_entry *weir__toml_entry(struct weir__toml_names *names, const char *path,
                                          size_t size)
{
    size_t slot = find_slot(names, path, size);
    if (names->slots[slot] != NULL)
        return names->slots[slot];
    if (names->used == WEIR_TOML_KEYS_MAX)
        return NULL;
    if (names->used * 2 >= names->slot_count) {
        if (!grow(names))
            return NULL;
        slot = find_slot(names, path, size);
    }
    struct weir__toml_entry *entry = WEIR_ARENA_NEW(names->arena, struct weir__toml_entry);
    if (entry == NULL || (entry->path = weir_arena_strndup(names->arena, path, size)) == NULL)
        return NULL;
    names->slots[slot] = entry;
    names->used++;
    return entry;
}
