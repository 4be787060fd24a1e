/* Gzipped modules, as the canister world takes them. Unpacked twice: once to know the size, which a
 * gzip does not tell in a way to rely on, and once into memory of that size. */
#include "cli/inspect_internal.h"

#include <string.h>
#include <zlib.h>

#include "worlds/canister/canister_limits.h"

/* `to` NULL: only counts, up to one more than `size_max`. */
static enum weir_status unpack(struct weir_wasm_bytes from, uint8_t *to, uint64_t size_max,
                               uint64_t *ret_size, struct weir_error *error)
{
    uint8_t scratch[16384];
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)from.data, .avail_in = (uInt)from.size};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) /* gzip only */
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for unpacking");
    uint64_t size = 0;
    int answer = Z_OK;
    while (answer == Z_OK && size <= size_max) {
        uint64_t left =
            to != NULL && size_max - size < sizeof scratch ? size_max - size : sizeof scratch;
        stream.next_out = to != NULL ? to + size : scratch;
        stream.avail_out = (uInt)left;
        answer = inflate(&stream, Z_NO_FLUSH);
        size += left - stream.avail_out;
    }
    (void)inflateEnd(&stream);
    if (size > size_max)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the gzip unpacks to more than %llu bytes",
                              (unsigned long long)size_max);
    if (answer != Z_STREAM_END)
        return weir_error_set(error, WEIR_MALFORMED, WEIR_NO_OFFSET, "the gzip is damaged or cut");
    *ret_size = size;
    return WEIR_OK;
}

enum weir_status weir__inspect_unpack(struct weir_wasm_bytes *bytes, struct weir_arena *arena,
                                      struct weir_error *error)
{
    if (bytes->size > CANISTER_MODULE_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the module has %zu bytes, at most %llu are taken", bytes->size,
                              (unsigned long long)CANISTER_MODULE_BYTES_MAX);
    if (bytes->size < 3 || memcmp(bytes->data, "\x1f\x8b\x08", 3) != 0)
        return WEIR_OK;
    uint64_t size_max = (uint64_t)bytes->size * CANISTER_GZIP_RATIO_MAX;
    if (size_max > CANISTER_MODULE_BYTES_MAX)
        size_max = CANISTER_MODULE_BYTES_MAX;
    uint64_t size = 0;
    enum weir_status status = unpack(*bytes, NULL, size_max, &size, error);
    if (status != WEIR_OK)
        return status;
    uint8_t *to = weir_arena_alloc(arena, size + 1, 1);
    if (to == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "no memory to unpack %llu bytes", (unsigned long long)size);
    status = unpack(*bytes, to, size, &size, error);
    if (status == WEIR_OK)
        *bytes = (struct weir_wasm_bytes){to, size};
    return status;
}
