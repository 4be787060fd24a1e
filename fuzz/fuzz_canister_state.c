/* Saved states of a canister and changes of one: whatever the bytes, they are loaded or refused,
 * and what was loaded works. The hash at the end is put right first, so that what is behind it is
 * reached; so is the hash of what changes are changes of. */
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

/* What a canister begins as: a state that is good. */
static struct state {
    uint8_t bytes[1 << 20];
    size_t size, at;
} good;

static enum weir_status write_good(void *context, const void *bytes, size_t size,
                                   struct weir_error *error)
{
    (void)context, (void)error;
    WEIR_ASSERT(size <= sizeof good.bytes - good.size);
    memcpy(good.bytes + good.size, bytes, size);
    good.size += size;
    return WEIR_OK;
}

static enum weir_status read_good(void *context, void *to, size_t size, struct weir_error *error)
{
    (void)context;
    if (size > good.size - good.at)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET, "it ends early");
    memcpy(to, good.bytes + good.at, size);
    good.at += size;
    return WEIR_OK;
}

static const struct weir_canister_config config = {
    .name = "plain", .memory_bytes_max = 64 << 20, .instructions_max = 100000};

static void prepare(void)
{
    struct weir_engine_config engine_config = {.artifact_dir = "/tmp/weir-fuzz-canister"};
    const struct weir_canister_code code = {
        .mode = WEIR_CANISTER_INSTALL, .module = plain_wasm, .module_size = sizeof plain_wasm};
    const struct weir_image_writer writer = {write_good, NULL};
    struct weir_canister *canister = NULL;
    struct weir_canister_response response = {0};
    weir_canister_engine_config(&engine_config);
    enum weir_status status = weir_engine_new(&engine_config, &engine, NULL);
    if (status == WEIR_OK)
        status = weir_canister_new(engine, &config, &canister, NULL);
    if (status == WEIR_OK)
        status = weir_canister_install(canister, &code, &response, NULL);
    if (status == WEIR_OK)
        status = weir_canister_save(canister, NULL, &writer, NULL);
    WEIR_ASSERT(status == WEIR_OK);
    weir_canister_response_done(&response);
    weir_canister_free(canister);
}

/* As a state of its own, or as changes of the good one. */
static enum weir_status load(struct weir_canister *canister, bool is_changes, struct input *input,
                             struct weir_error *error)
{
    const struct weir_image_reader reader = {read_input, input};
    const struct weir_image_reader first = {read_good, NULL};
    uint8_t previous[WEIR_CANISTER_SUM_SIZE] = {0};
    if (!is_changes)
        return weir_canister_load(canister, plain_wasm, sizeof plain_wasm, &reader, error);
    good.at = 0;
    enum weir_status status =
        weir_canister_load(canister, plain_wasm, sizeof plain_wasm, &first, error);
    WEIR_ASSERT(status == WEIR_OK);
    if (input->size >= 8 + sizeof previous)
        memcpy(previous, input->bytes + 8, sizeof previous);
    return weir_canister_load_changes(canister, previous, &reader, error);
}

static void try(const uint8_t *data, size_t size, bool is_changes)
{
    struct weir_canister *canister = NULL;
    struct weir_error error = {0};
    struct input input = {.bytes = data, .size = size};
    if (weir_canister_new(engine, &config, &canister, NULL) != WEIR_OK ||
        weir_hash_bytes(data, size, &input.sum, NULL) != WEIR_OK)
        return;
    if (load(canister, is_changes, &input, &error) == WEIR_OK)
        use(canister);
    else
        WEIR_ASSERT(error.message[0] != 0);
    weir_error_done(&error);
    weir_canister_free(canister);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (engine == NULL)
        prepare();
    try(data, size, size >= 8 && memcmp(data, "weirchg1", 8) == 0);
    return 0;
}
