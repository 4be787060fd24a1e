/* Modules from anywhere through the whole compiler: whatever it accepts becomes an artifact that
 * the reader accepts too, and a second run makes the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/artifact/artifact_walk.h"
#include "compiler/compiler.h"

#define MODULE_BYTES_MAX 65536u
#define ARENA_BYTES_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *compile(const uint8_t *module, size_t module_bytes, uint32_t flags,
                        size_t *ret_size)
{
    const struct weir_compile_request request = {
        .module = module,
        .module_bytes = module_bytes,
        .options = {.features = WEIR_FEATURES_DEFAULT | WEIR_FEATURE_MULTI_MEMORY |
                                WEIR_FEATURE_MEMORY64 | WEIR_FEATURE_TABLE64,
                    .flags = flags,
                    .generator = "fast"},
        .arena_bytes_max = ARENA_BYTES_MAX,
    };
    uint8_t *bytes = NULL;
    struct weir_error error = {0};
    enum weir_status status = weir_compile(&request, &bytes, ret_size, &error);
    WEIR_ASSERT((status == WEIR_OK) == (bytes != NULL));
    WEIR_ASSERT(status == WEIR_OK || error.message[0] != '\0');
    weir_error_done(&error);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > MODULE_BYTES_MAX)
        return 0;
    uint32_t flags = data[size - 1] & 31u;
    size_t first_size = 0, second_size = 0;
    uint8_t *first = compile(data, size, flags, &first_size);
    if (first == NULL)
        return 0;
    struct weir_artifact artifact;
    WEIR_ASSERT(weir_artifact_open(first, first_size, first_size, &artifact, NULL) == WEIR_OK);
    (void)walk_artifact(&artifact, first);
    uint8_t *second = compile(data, size, flags, &second_size);
    WEIR_ASSERT(second != NULL && second_size == first_size &&
                memcmp(first, second, first_size) == 0);
    free(first);
    free(second);
    return 0;
}
