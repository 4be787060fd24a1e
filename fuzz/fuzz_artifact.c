/* Artifacts from anywhere: opening one may fail, but never reads out of bounds, and what was opened
 * keeps every promise. The build's identity is written into the input first, or nothing would get
 * past it. */
#include <stdlib.h>
#include <string.h>

#include "../tests/unit/artifact/artifact_walk.h"
#include "artifact/build_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Exactly as large as the input, so that ASan sees the end. */
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    if (size >= WEIR_ARTIFACT_HEAD_OFFSET + sizeof(struct weir_artifact_head)) {
        struct weir_artifact_head *head = (void *)(bytes + WEIR_ARTIFACT_HEAD_OFFSET);
        head->version = WEIR_ARTIFACT_VERSION;
        head->abi_version = WEIR_ABI_VERSION;
        memcpy(head->build_id, weir_build_id, sizeof head->build_id);
    }
    struct weir_artifact artifact;
    struct weir_error error = {0};
    enum weir_status status = weir_artifact_open(bytes, size, size, &artifact, &error);
    if (status == WEIR_OK)
        (void)walk_artifact(&artifact, bytes);
    else
        WEIR_ASSERT((status == WEIR_CORRUPT || status == WEIR_FOREIGN) && error.message[0] != '\0');
    free(bytes);
    return 0;
}
