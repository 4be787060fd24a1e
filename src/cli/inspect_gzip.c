/* Gzipped modules, as the canister world takes them. Unpacked twice: once to know the size, which a
 * gzip does not tell in a way to rely on, and once into memory of that size. */
#include "cli/inspect_internal.h"

#include <string.h>

#include "worlds/canister/canister_unpack.h"

struct unpacked {
    uint8_t *bytes; /* NULL: only counted */
    size_t size;
};

static enum weir_status put(void *context, const uint8_t *bytes, size_t size,
                            struct weir_error *error)
{
    (void)error;
    struct unpacked *to = context;
    if (to->bytes != NULL && size != 0)
        memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
    return WEIR_OK;
}

enum weir_status weir__inspect_unpack(struct weir_wasm_bytes *bytes, struct weir_arena *arena,
                                      struct weir_error *error)
{
    if (!weir_canister_is_packed(bytes->data, bytes->size))
        return WEIR_OK;
    struct unpacked to = {0};
    const struct weir_canister_unpack unpack = {put, &to};
    enum weir_status status = weir_canister_unpack(bytes->data, bytes->size, &unpack, error);
    if (status != WEIR_OK)
        return status;
    to.bytes = weir_arena_alloc(arena, to.size + 1, 1);
    if (to.bytes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to unpack %zu bytes", to.size);
    to.size = 0;
    status = weir_canister_unpack(bytes->data, bytes->size, &unpack, error);
    if (status == WEIR_OK)
        *bytes = (struct weir_wasm_bytes){to.bytes, to.size};
    return status;
}
