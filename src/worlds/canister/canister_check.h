/* What a module is to this world, from its bytes alone: no engine. Everything that would be refused
 * is listed at once, and what will hurt later. Used by installing and by inspection.
 */
#ifndef WEIR_CANISTER_CHECK_H
#define WEIR_CANISTER_CHECK_H

#include "wasm/module.h"

/* What code of canisters may use. */
#define WEIR_CANISTER_FEATURES                                                                     \
    (WEIR_FEATURES_DEFAULT | (uint32_t)WEIR_FEATURE_MEMORY64 | (uint32_t)WEIR_FEATURE_TABLE64)

struct weir_canister_finding {
    const char *text;
    bool is_fatal; /* the module is refused; otherwise it is what will hurt */
};

struct weir_canister_facts {
    bool is_64; /* pointers of ic0 have 64 bits */
    bool has_memory;
    bool has_keep; /* enhanced orthogonal persistence: upgrades must say what becomes of the heap */
    const char *language; /* "Motoko, enhanced orthogonal persistence", "Rust", "unknown" */
    uint64_t initial_pages;
    uint64_t custom_bytes; /* all custom sections, names included */
    uint64_t global_bytes;
    uint32_t update_count, query_count;
    struct weir_wasm_bytes candid; /* interface text; size 0: none */
    const struct weir_canister_finding *findings;
    size_t finding_count;
    bool is_good; /* no fatal finding */
};

/* `module` is decoded (and may be invalid); all that is returned lies in the arena or in its bytes.
 * Fails only when memory is refused. */
enum weir_status weir_canister_check(const struct weir_wasm_module *module,
                                     struct weir_arena *arena,
                                     struct weir_canister_facts *ret_facts,
                                     struct weir_error *error) WEIR_MUST_USE;

/* --- shared with the linker ---------------------------------------------------------------- */

/* Kinds of message, as bits: where a function of ic0.def may be called. */
enum {
    IC0_START = 1u << 0,
    IC0_INIT = 1u << 1, /* canister_init, canister_post_upgrade */
    IC0_PRE_UPGRADE = 1u << 2,
    IC0_UPDATE = 1u << 3,
    IC0_QUERY = 1u << 4, /* not replicated: asked for as a query */
    IC0_REPLY = 1u << 5,
    IC0_REJECT = 1u << 6,
    IC0_CLEANUP = 1u << 7,
    IC0_TASK = 1u << 8, /* heartbeat, timer, low memory */
    IC0_INSPECT = 1u << 9,
    IC0_REPLICATED_QUERY = 1u << 10, /* a query that was called as an update */
    IC0_COMPOSITE = 1u << 11,
    IC0_COMPOSITE_REPLY = 1u << 12,
    IC0_COMPOSITE_REJECT = 1u << 13
};
#define IC0_CALLBACK (IC0_REPLY | IC0_REJECT)
#define IC0_COMPOSITES (IC0_COMPOSITE | IC0_COMPOSITE_REPLY | IC0_COMPOSITE_REJECT)
/* Where there may be cycles of a caller's; where the canister may spend its own. */
#define IC0_ACCEPTS (IC0_UPDATE | IC0_REPLICATED_QUERY | IC0_CALLBACK)
#define IC0_PAYS (IC0_UPDATE | IC0_CALLBACK | IC0_TASK)
#define IC0_ANSWERS (IC0_UPDATE | IC0_QUERY | IC0_REPLICATED_QUERY | IC0_CALLBACK | IC0_COMPOSITES)
#define IC0_CALLS (IC0_PAYS | IC0_COMPOSITES)
#define IC0_CHANGES (IC0_INIT | IC0_PRE_UPGRADE | IC0_UPDATE | IC0_CALLBACK | IC0_TASK)
#define IC0_NOT_REPLICATED (IC0_QUERY | IC0_INSPECT | IC0_COMPOSITES)
#define IC0_ANY (IC0_CHANGES | IC0_CLEANUP | IC0_REPLICATED_QUERY | IC0_NOT_REPLICATED)
#define IC0_ARGS                                                                                   \
    (IC0_INIT | IC0_UPDATE | IC0_QUERY | IC0_REPLICATED_QUERY | IC0_REPLY | IC0_INSPECT |          \
     IC0_COMPOSITE | IC0_COMPOSITE_REPLY)

struct weir_ic0_function {
    const char *name;
    const char *params;
    char result;
    unsigned modes;
};
enum weir_ic0_index {
#define IC0(name, params, result, modes) WEIR_IC0_##name,
#include "worlds/canister/ic0.def"
#undef IC0
    WEIR_IC0_COUNT
};
extern const struct weir_ic0_function weir_ic0_functions[WEIR_IC0_COUNT];
/* A letter of ic0.def as a type, for a module with pointers of this width. */
enum weir_type weir_ic0_type(char letter, bool is_64);

#endif
