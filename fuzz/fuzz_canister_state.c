/* Saved states of a canister: whatever the bytes, they are loaded or refused, and what was loaded
 * works. The hash at the end is put right first, so that what is behind it is reached. */
#include "base/check.h"
#include "base/hash.h"
#include "plain_wasm.h"
#include "worlds/canister/canister.h"

#include <string.h>

static struct weir_engine *engine;

struct input {
    const uint8_t *bytes;
    size_t size, at;
    struct weir_hash sum;
};

/* The bytes, then their right hash. */
static enum weir_status read_input(void *context, void *to, size_t size, struct weir_error *error)
{
    struct input *input = context;
    uint8_t *out = to;
    for (size_t i = 0; i < size; i++, input->at++) {
        if (input->at < input->size)
            out[i] = input->bytes[input->at];
        else if (input->at - input->size < sizeof input->sum.bytes)
            out[i] = input->sum.bytes[input->at - input->size];
        else
            return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET, "it ends early");
    }
    return WEIR_OK;
}

static void use(struct weir_canister *canister)
{
    static const char *const methods[] = {"look", "inc_query", "boom_query"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const struct weir_canister_call call = {.method = methods[i]};
        struct weir_canister_response response = {0};
        struct weir_error error = {0};
        enum weir_status status = weir_canister_query(canister, &call, &response, &error);
        WEIR_ASSERT(status == WEIR_OK || error.status == status);
        weir_canister_response_done(&response);
        weir_error_done(&error);
    }
    struct weir_canister_status status;
    enum weir_status looked = weir_canister_status(canister, &status, NULL);
    WEIR_ASSERT(looked == WEIR_OK || looked == WEIR_STATE || looked == WEIR_LIMIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (engine == NULL) {
        struct weir_engine_config config = {.artifact_dir = "/tmp/weir-fuzz-canister"};
        weir_canister_engine_config(&config);
        enum weir_status made = weir_engine_new(&config, &engine, NULL);
        WEIR_ASSERT(made == WEIR_OK);
    }
    const struct weir_canister_config config = {
        .name = "plain", .memory_bytes_max = 64 << 20, .instructions_max = 100000};
    struct weir_canister *canister = NULL;
    struct weir_error error = {0};
    struct input input = {.bytes = data, .size = size};
    if (weir_canister_new(engine, &config, &canister, NULL) != WEIR_OK ||
        weir_hash_bytes(data, size, &input.sum, NULL) != WEIR_OK)
        return 0;
    const struct weir_image_reader reader = {read_input, &input};
    if (weir_canister_load(canister, plain_wasm, sizeof plain_wasm, &reader, &error) == WEIR_OK)
        use(canister);
    else
        WEIR_ASSERT(error.message[0] != 0);
    weir_error_done(&error);
    weir_canister_free(canister);
    return 0;
}
