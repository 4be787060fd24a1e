/* What an artifact is filed under: everything that decides its bytes, hashed. */
#include "artifact/artifact.h"

#include "artifact/build_id.h"
#include "artifact/digest.h"
#include "base/bytes.h"

static void add_u32(struct weir_sha256 *state, uint32_t value)
{
    uint8_t bytes[4];
    weir_store_u32(bytes, value);
    weir_sha256_add(state, bytes, sizeof bytes);
}

static void add_u64(struct weir_sha256 *state, uint64_t value)
{
    uint8_t bytes[8];
    weir_store_u64(bytes, value);
    weir_sha256_add(state, bytes, sizeof bytes);
}

void weir_artifact_key(const uint8_t module_sha256[32], const struct weir_artifact_options *options,
                       uint8_t ret_key[32])
{
    struct weir_sha256 state;
    weir_sha256_begin(&state);
    static const char domain[16] = "weir artifact";
    weir_sha256_add(&state, domain, sizeof domain);
    weir_sha256_add(&state, module_sha256, 32);
    add_u32(&state, WEIR_ARTIFACT_VERSION);
    add_u32(&state, WEIR_ABI_VERSION);
    weir_sha256_add(&state, weir_build_id, sizeof weir_build_id);
    add_u32(&state, options->features);
    add_u32(&state, options->flags);
    add_u64(&state, options->cpu_features);
    weir_sha256_add(&state, options->generator, sizeof options->generator);
    weir_sha256_add(&state, options->fuel_costs, sizeof options->fuel_costs);
    weir_sha256_end(&state, ret_key);
}
