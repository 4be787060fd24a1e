/* Whether a module is a proxy-wasm plugin that this host would take, from its bytes alone: no
 * engine. Beside it, what Envoy itself says when it refuses (proxy-wasm-cpp-host on V8).
 */
#ifndef WEIR_FILTER_CHECK_H
#define WEIR_FILTER_CHECK_H

#include "wasm/findings.h"

struct weir_filter_facts {
    struct weir_wasm_findings findings;
    const char *abi; /* "0.2.1", "0.2.0", "0.1.0"; NULL without a marker */
    /* Lines of Envoy's log, at most WEIR_WASM_FINDINGS_MAX; it stops at the first. */
    const char **envoy;
    uint32_t envoy_count;
};

/* What plugins may import from `env`; NULL: nothing of this name. */
const struct weir_wasm_signature *weir_filter_function(struct weir_wasm_bytes name);

/* `module` was decoded and validated with WEIR_FEATURES_DEFAULT. Fails only without memory. */
enum weir_status weir_filter_check(const struct weir_wasm_module *module, struct weir_arena *arena,
                                   struct weir_filter_facts *ret_facts, struct weir_error *error)
    WEIR_MUST_USE;

#endif
