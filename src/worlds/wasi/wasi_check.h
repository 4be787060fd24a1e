/* Whether this host's WASI would take a module, from its bytes alone: no engine. */
#ifndef WEIR_WASI_CHECK_H
#define WEIR_WASI_CHECK_H

#include <weir/engine.h>

#include "wasm/findings.h"

/* Initial memory from which a guest is called large: 16 MiB in every instance. */
#define WEIR_WASI_PAGES_MANY 256u

/* What `weir run` has under this name; NULL: nothing. */
const struct weir_wasm_signature *weir_wasi_function(struct weir_wasm_bytes module,
                                                     struct weir_wasm_bytes name);
/* One of the two names of WASI's modules. */
bool weir_wasi_is_module(struct weir_wasm_bytes module);

/* `module` was decoded and validated with WEIR_FEATURES_DEFAULT. Fails only without memory. */
enum weir_status weir_wasi_check(const struct weir_wasm_module *module, struct weir_arena *arena,
                                 struct weir_wasm_findings *ret_findings, struct weir_error *error)
    WEIR_MUST_USE;

#endif
