/* The files of `weir inspect`: facts about a module, and what a world says of it. */
#ifndef WEIR_CLI_INSPECT_INTERNAL_H
#define WEIR_CLI_INSPECT_INTERNAL_H

#include <jansson.h>

#include "wasm/findings.h"

struct weir__inspect_world;

/* What a world says of a module; all of it in the arena or static. */
struct weir__inspect_verdict {
    const struct weir__inspect_world *world;
    const char *kind;                      /* "command", "CosmWasm contract" ... */
    const char *marker;                    /* how the module names its ABI; NULL: not at all */
    const struct weir_wasm_module *module; /* NULL: it could not be decoded */
    struct weir_wasm_findings findings;
    const char *const *envoy; /* what Envoy logs */
    uint32_t envoy_count;
};

/* NULL: `error` says which there are. */
const struct weir__inspect_world *weir__inspect_world_find(const char *name,
                                                           struct weir_error *error);
/* What is wrong with the module is a verdict; errors are LIMIT and NO_MEMORY. */
enum weir_status weir__inspect_judge(const struct weir__inspect_world *world,
                                     struct weir_wasm_bytes bytes, struct weir_arena *arena,
                                     struct weir__inspect_verdict *ret_verdict,
                                     struct weir_error *error) WEIR_MUST_USE;
const char *weir__inspect_world_name(const struct weir__inspect_world *world);

/* Replaces gzipped bytes by what they hold, within the bounds of the canister world; MALFORMED and
 * TOO_LARGE. Other bytes stay. */
enum weir_status weir__inspect_unpack(struct weir_wasm_bytes *bytes, struct weir_arena *arena,
                                      struct weir_error *error) WEIR_MUST_USE;

void weir__inspect_verdict_print(const struct weir__inspect_verdict *verdict, const char *file);
void weir__inspect_verdict_json(const struct weir__inspect_verdict *verdict, const char *file);

/* A name as the module has it; what is not UTF-8 loses its strange bytes. */
json_t *weir__inspect_name_json(struct weir_wasm_bytes name);

#endif
