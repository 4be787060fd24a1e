/* Modules packed with gzip, within the platform's limits. No engine. */
#ifndef WEIR_CANISTER_UNPACK_H
#define WEIR_CANISTER_UNPACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Where what was unpacked goes, piece by piece. */
struct weir_canister_unpack {
    enum weir_status (*put)(void *context, const uint8_t *bytes, size_t size,
                            struct weir_error *error);
    void *context;
};

/* By the first three bytes, as the platform tells it. */
bool weir_canister_is_packed(const uint8_t *bytes, size_t size);
/* TOO_LARGE for a module beyond the limit, packed or unpacked, and for a bomb; MALFORMED. */
enum weir_status weir_canister_unpack(const uint8_t *bytes, size_t size,
                                      const struct weir_canister_unpack *to,
                                      struct weir_error *error) WEIR_MUST_USE;

#endif
