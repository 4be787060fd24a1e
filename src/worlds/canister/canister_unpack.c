/* See canister_unpack.h. */
#include "worlds/canister/canister_unpack.h"

#include <string.h>
#include <zlib.h>

#include "worlds/canister/canister_limits.h"

bool weir_canister_is_packed(const uint8_t *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\x1f\x8b\x08", 3) == 0;
}

static uint64_t unpacked_max(size_t packed)
{
    uint64_t by_ratio = (uint64_t)packed * CANISTER_GZIP_RATIO_MAX;
    return by_ratio < CANISTER_MODULE_BYTES_MAX ? by_ratio : CANISTER_MODULE_BYTES_MAX;
}

static enum weir_status inflate_all(z_stream *stream, uint64_t bytes_max,
                                    const struct weir_canister_unpack *to, struct weir_error *error)
{
    uint8_t piece[16384];
    uint64_t total = 0;
    for (int answer = Z_OK; answer != Z_STREAM_END;) {
        stream->next_out = piece;
        stream->avail_out = sizeof piece;
        answer = inflate(stream, Z_NO_FLUSH);
        size_t size = sizeof piece - stream->avail_out;
        total += size;
        if (total > bytes_max)
            return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                                  "the gzip unpacks to more than %llu bytes",
                                  (unsigned long long)bytes_max);
        if (answer != Z_OK && answer != Z_STREAM_END)
            return weir_error_set(error, WEIR_MALFORMED, stream->total_in,
                                  "the gzip is damaged or cut");
        enum weir_status status = to->put(to->context, piece, size, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir_canister_unpack(const uint8_t *bytes, size_t size,
                                      const struct weir_canister_unpack *to,
                                      struct weir_error *error)
{
    if (size > CANISTER_MODULE_BYTES_MAX)
        return weir_error_set(error, WEIR_TOO_LARGE, WEIR_NO_OFFSET,
                              "the module has %zu bytes, at most %llu are taken", size,
                              (unsigned long long)CANISTER_MODULE_BYTES_MAX);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)size};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) /* gzip only */
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for unpacking");
    enum weir_status status = inflate_all(&stream, unpacked_max(size), to, error);
    (void)inflateEnd(&stream);
    return status;
}
