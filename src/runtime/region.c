/* Where records lie: an instance's in one region that ends with it, the store's own in another.
 *
 * The block beside the store's record serves both, so that a store with one small instance touches
 * one page: the instance's records grow from its front, the store's own from its end.
 */
#include <string.h>

#include "base/bytes.h"
#include "runtime/store_internal.h"

static uint8_t *block_front(const struct weir_store *store)
{
    return store->block_user != NULL ? store->block_user->piece_at : store->block;
}

static void *from_arena(struct weir_store *store, struct weir__region *region, size_t bytes,
                        struct weir_error *error)
{
    size_t chunk = region == &store->own ? WEIR_STORE_ARENA_CHUNK : WEIR_INSTANCE_ARENA_CHUNK;
    if (region->arena == NULL) {
        struct weir_arena_source source = weir_account_arena_source(&store->source);
        if (weir_arena_new(&source, chunk, &region->arena, error) != WEIR_OK)
            return NULL;
    }
    void *memory = weir_arena_alloc(region->arena, bytes, 16);
    if (memory == NULL)
        (void)weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                             "%zu bytes for records of the store were refused", bytes);
    return memory;
}

void *weir__store_alloc(struct weir_store *store, size_t bytes, struct weir_error *error)
{
    size_t size = weir_align_up(bytes, 16);
    struct weir__region *region = store->filling;
    if (region == NULL) {
        if (size > (size_t)(store->block_end - block_front(store)))
            return from_arena(store, &store->own, bytes, error);
        store->block_end -= size;
        return store->block_end;
    }
    if (region->piece == NULL || size > (size_t)(region->piece_end - region->piece_at))
        return from_arena(store, region, bytes, error);
    void *memory = region->piece_at;
    region->piece_at += size;
    return memory;
}

void weir__region_open(struct weir_store *store, struct weir__region *region)
{
    WEIR_ASSERT(store->filling == NULL);
    *region = (struct weir__region){0};
    if (store->block_user == NULL) {
        region->piece = store->block;
        region->piece_at = store->block;
        region->piece_end = store->block_end;
        store->block_user = region;
    }
    store->filling = region;
}

void weir__region_close(struct weir_store *store)
{
    store->filling = NULL;
}

void weir__region_move(struct weir_store *store, struct weir__region *to,
                       const struct weir__region *from)
{
    *to = *from;
    if (store->block_user == from)
        store->block_user = to;
}

void weir__region_free(struct weir_store *store, struct weir__region *region)
{
    struct weir__region gone = *region; /* its record may lie in it */
    if (store->block_user == region)
        store->block_user = NULL;
    weir_arena_free(gone.arena);
    if (gone.piece != NULL)
        memset(gone.piece, 0, (size_t)(gone.piece_at - gone.piece));
}
