/* What the folder of the present format and build is called in an artifact directory: for whoever
 * opens the directory, and for whoever only looks how large an artifact is. */
#ifndef WEIR_RUNTIME_ARTIFACT_NAME_H
#define WEIR_RUNTIME_ARTIFACT_NAME_H

#include <inttypes.h>
#include <stdio.h>

#include "artifact/build_id.h"
#include "artifact/format.h"

struct weir__dir_version {
    char text[40];
};

static inline struct weir__dir_version weir__dir_version_now(void)
{
    struct weir__dir_version version;
    uint64_t build = 0;
    for (unsigned i = 0; i < 8; i++)
        build = build << 8 | weir_build_id[i];
    (void)snprintf(version.text, sizeof version.text, "v%u-%016" PRIx64, WEIR_ARTIFACT_VERSION,
                   build);
    return version;
}

#endif
