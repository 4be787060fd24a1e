/* Arenas: a list of chunks, filled from the front; the newest chunk is first.
 *
 * Invariants: chunk->used ≤ chunk->size; bytes above `used` are zero (chunks come zeroed and
 * release clears what it takes back) and poisoned under ASan. A request that does not fit the
 * newest chunk opens another one of at least chunk_bytes; the rest of the old one is given up, so
 * a chunk is never searched. The record of the arena itself lies at the front of its first chunk:
 * an arena costs nothing beside its source.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/poison.h"

#define CHUNK_BYTES_DEFAULT 16384
#define ALIGN_MAX 64
/* Between two allocations under ASan, so that running over one is seen. */
#define RED_ZONE_BYTES (WEIR_ASAN ? 16 : 0)

struct chunk {
    struct chunk *next; /* older */
    size_t size;        /* of the whole chunk, this header included */
    size_t used;        /* this header included */
};

struct weir_arena {
    struct weir_arena_source source;
    size_t chunk_bytes;
    size_t total_bytes;
    struct chunk *newest;
};

static void *take_malloc(void *context, size_t bytes, struct weir_error *error)
{
    (void)context;
    void *memory = calloc(1, bytes);
    if (memory == NULL)
        (void)weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                             "the system refused %zu bytes for an arena", bytes);
    return memory;
}

static void give_malloc(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(memory);
}

static uint8_t *chunk_at(struct chunk *chunk, size_t offset)
{
    return (uint8_t *)chunk + offset;
}

static struct chunk *take_chunk(const struct weir_arena_source *source, size_t size,
                                struct weir_error *error)
{
    struct chunk *chunk = source->take(source->context, size, error);
    if (chunk == NULL)
        return NULL;
    WEIR_ASSERT((uintptr_t)chunk % 16 == 0);
    chunk->size = size;
    chunk->used = sizeof *chunk;
    WEIR_POISON(chunk_at(chunk, sizeof *chunk), size - sizeof *chunk);
    return chunk;
}

static void give_chunk(const struct weir_arena_source *source, struct chunk *chunk)
{
    size_t size = chunk->size;
    WEIR_UNPOISON(chunk, size);
    source->give(source->context, chunk, size);
}

enum weir_status weir_arena_new(const struct weir_arena_source *source, size_t chunk_bytes,
                                struct weir_arena **ret_arena, struct weir_error *error)
{
    static const struct weir_arena_source malloc_source = {take_malloc, give_malloc, NULL};
    if (source == NULL)
        source = &malloc_source;
    if (chunk_bytes == 0)
        chunk_bytes = CHUNK_BYTES_DEFAULT;
    size_t least = sizeof(struct chunk) + sizeof(struct weir_arena) + ALIGN_MAX;
    if (chunk_bytes < least)
        chunk_bytes = least;
    /* A record of its own, so that the source's status comes back whatever `error` is. */
    struct weir_error refusal = {0};
    struct chunk *chunk = take_chunk(source, chunk_bytes, &refusal);
    if (chunk == NULL) {
        enum weir_status status =
            weir_error_set(&refusal, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                           "no memory for an arena of %zu bytes", chunk_bytes);
        status = refusal.status != WEIR_OK ? refusal.status : status;
        weir_error_move(error, &refusal);
        return status;
    }
    struct weir_arena *arena = (struct weir_arena *)(void *)chunk_at(chunk, chunk->used);
    WEIR_UNPOISON(arena, sizeof *arena);
    chunk->used += sizeof *arena + RED_ZONE_BYTES;
    arena->source = *source;
    arena->chunk_bytes = chunk_bytes;
    arena->total_bytes = chunk_bytes;
    arena->newest = chunk;
    *ret_arena = arena;
    return WEIR_OK;
}

void weir_arena_free(struct weir_arena *arena)
{
    if (arena == NULL)
        return;
    struct weir_arena_source source = arena->source;
    struct chunk *chunk = arena->newest;
    while (chunk != NULL) {
        struct chunk *next = chunk->next; /* the arena itself is in the last one */
        give_chunk(&source, chunk);
        chunk = next;
    }
}

/* Where an allocation of this alignment would start in the chunk. */
static size_t place(struct chunk *chunk, size_t align)
{
    uint64_t at = (uint64_t)(uintptr_t)chunk + chunk->used;
    return (size_t)(weir_align_up(at, align) - (uint64_t)(uintptr_t)chunk);
}

static struct chunk *open_chunk(struct weir_arena *arena, size_t size)
{
    size_t need;
    if (!weir_add_size(size, sizeof(struct chunk) + ALIGN_MAX + RED_ZONE_BYTES, &need))
        return NULL;
    if (need < arena->chunk_bytes)
        need = arena->chunk_bytes;
    struct chunk *chunk = take_chunk(&arena->source, need, NULL);
    if (chunk == NULL)
        return NULL;
    chunk->next = arena->newest;
    arena->newest = chunk;
    arena->total_bytes += need;
    return chunk;
}

void *weir_arena_alloc(struct weir_arena *arena, size_t size, size_t align)
{
    WEIR_DASSERT(weir_is_power_of_two(align) && align <= ALIGN_MAX);
    struct chunk *chunk = arena->newest;
    size_t at = place(chunk, align);
    if (!weir_range_fits(at, size, chunk->size)) {
        chunk = open_chunk(arena, size);
        if (chunk == NULL)
            return NULL;
        at = place(chunk, align);
    }
    void *memory = chunk_at(chunk, at);
    size_t end = at + size + RED_ZONE_BYTES;
    chunk->used = end < chunk->size ? end : chunk->size;
    WEIR_UNPOISON(memory, size);
    return memory;
}

void *weir_arena_alloc_array(struct weir_arena *arena, size_t count, size_t size, size_t align)
{
    size_t bytes;
    if (!weir_mul_size(count, size, &bytes))
        return NULL;
    return weir_arena_alloc(arena, bytes, align);
}

char *weir_arena_strndup(struct weir_arena *arena, const char *bytes, size_t len)
{
    size_t size;
    if (!weir_add_size(len, 1, &size))
        return NULL;
    char *copy = weir_arena_alloc(arena, size, 1);
    if (copy != NULL && len != 0)
        memcpy(copy, bytes, len);
    return copy;
}

struct weir_arena_mark weir_arena_mark(const struct weir_arena *arena)
{
    return (struct weir_arena_mark){arena->newest, arena->newest->used};
}

void weir_arena_release(struct weir_arena *arena, struct weir_arena_mark mark)
{
    while (arena->newest != mark.chunk) {
        struct chunk *chunk = arena->newest;
        WEIR_ASSERT(chunk->next != NULL); /* else the mark is of another arena, or stale */
        arena->newest = chunk->next;
        arena->total_bytes -= chunk->size;
        give_chunk(&arena->source, chunk);
    }
    struct chunk *chunk = arena->newest;
    WEIR_ASSERT(mark.used <= chunk->used);
    uint8_t *from = chunk_at(chunk, mark.used);
    size_t length = chunk->used - mark.used;
    WEIR_UNPOISON(from, length);
    memset(from, 0, length);
    WEIR_POISON(from, length);
    chunk->used = mark.used;
}

size_t weir_arena_bytes(const struct weir_arena *arena)
{
    return arena->total_bytes;
}
