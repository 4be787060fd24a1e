/* What an artifact is filed under: everything that decides its bytes, hashed. */
#include "artifact/artifact.h"

#include <assert.h>
#include <string.h>

#include "artifact/build_id.h"

struct key_input {
    char domain[16];
    uint8_t module_sha256[32];
    uint32_t version;
    uint32_t abi_version;
    uint8_t build_id[32];
    struct weir_artifact_options options;
};
static_assert(sizeof(struct weir_artifact_options) == 4 + 4 + 8 + 16 + 4 + 44,
              "no padding is hashed");
static_assert(sizeof(struct key_input) == 16 + 32 + 8 + 32 + 80, "no padding is hashed");

enum weir_status weir_artifact_key(const struct weir_hash *module_hash,
                                   const struct weir_artifact_options *options,
                                   struct weir_hash *ret_key, struct weir_error *error)
{
    struct key_input input = {
        .domain = "weir artifact",
        .version = WEIR_ARTIFACT_VERSION,
        .abi_version = WEIR_ABI_VERSION,
        .options = *options,
    };
    memcpy(input.module_sha256, module_hash->bytes, sizeof input.module_sha256);
    memcpy(input.build_id, weir_build_id, sizeof input.build_id);
    return weir_hash_bytes(&input, sizeof input, ret_key, error);
}
