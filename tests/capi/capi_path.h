/* The whole way of an embedder through the standard C API, each step of which may fail. */
#ifndef WEIR_TEST_CAPI_PATH_H
#define WEIR_TEST_CAPI_PATH_H

#include <weir/capi.h>

struct capi_path {
    const char *artifact_dir; /* NULL: every module is compiled */
    wasm_engine_t *engine;    /* NULL: one of its own each time */
};

/* Store, module, callbacks, instance, calls, a trap, references, types, serialised form. False when
 * a step failed; then with NULL, an empty vector or a trap, and all is released either way. Ends
 * the process when something else is wrong. */
bool capi_path_run(const struct capi_path *path);

#endif
