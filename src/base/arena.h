/* Arenas by lifetime: many small allocations, one release.
 *
 * An arena takes chunks from a source: the ledger supplies one that charges an account and maps
 * pages of its own; NULL means plain malloc (compiler jobs, tests). Allocation can fail, and then
 * returns NULL with nothing changed. Freed means unmapped. Under ASan unused bytes are poisoned
 * and allocations are separated by red zones. One thread at a time.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct weir_arena;

struct weir_arena_source {
    /* Returns zeroed, 16-byte aligned memory of exactly `bytes`, or NULL (reported in error). */
    void *(*take)(void *context, size_t bytes, struct weir_error *error);
    void (*give)(void *context, void *memory, size_t bytes);
    void *context;
};

struct weir_arena_mark {
    void *chunk;
    size_t used;
};

/* `source` is copied; NULL uses malloc. `chunk_bytes` 0 means the default (16 KiB). */
enum weir_status weir_arena_new(const struct weir_arena_source *source, size_t chunk_bytes,
                                struct weir_arena **ret_arena, struct weir_error *error)
    WEIR_MUST_USE;
void weir_arena_free(struct weir_arena *arena);

/* Zeroed; `align` a power of two ≤ 64. NULL when the source refuses. size 0 gives a valid pointer.
 */
void *weir_arena_alloc(struct weir_arena *arena, size_t size, size_t align) WEIR_MUST_USE;
/* count × size with the multiplication checked. */
void *weir_arena_alloc_array(struct weir_arena *arena, size_t count, size_t size, size_t align)
    WEIR_MUST_USE;
#define WEIR_ARENA_NEW(arena, type) ((type *)weir_arena_alloc(arena, sizeof(type), _Alignof(type)))
#define WEIR_ARENA_ARRAY(arena, type, count)                                                       \
    ((type *)weir_arena_alloc_array(arena, count, sizeof(type), _Alignof(type)))
/* Copy of len bytes plus a terminating zero. */
char *weir_arena_strndup(struct weir_arena *arena, const char *bytes, size_t len) WEIR_MUST_USE;

/* Everything allocated after the mark is released. */
struct weir_arena_mark weir_arena_mark(const struct weir_arena *arena);
void weir_arena_release(struct weir_arena *arena, struct weir_arena_mark mark);

/* Bytes taken from the source, headers included. */
size_t weir_arena_bytes(const struct weir_arena *arena);

#endif
