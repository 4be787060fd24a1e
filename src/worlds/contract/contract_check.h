/* Whether a module is a CosmWasm contract that a chain would take: facts and refusals, in the words
 * of upstream (cosmwasm-vm). Needs no engine; `weir inspect` and the contract world share it.
 *
 * Everything is in the arena. All that is wrong is found at once; the first refusal is the one that
 * upstream would give.
 */
#ifndef WEIR_CONTRACT_CHECK_H
#define WEIR_CONTRACT_CHECK_H

#include "base/arena.h"
#include "base/error.h"
#include "wasm/module.h"

/* What code that CosmWasm runs may use; REFERENCE_TYPES for its encodings, not its instructions. */
#define WEIR_CONTRACT_FEATURES                                                                     \
    (WEIR_FEATURE_MUTABLE_GLOBALS | WEIR_FEATURE_SIGN_EXTENSION | WEIR_FEATURE_SATURATING_FLOAT |  \
     WEIR_FEATURE_MULTI_VALUE | WEIR_FEATURE_REFERENCE_TYPES)

struct weir_contract_list {
    const char *const *items;
    uint32_t count;
};

struct weir_contract_facts {
    const char *interface_marker;           /* "interface_version_8"; NULL without one */
    struct weir_contract_list capabilities; /* that it requires, sorted */
    struct weir_contract_list unavailable;  /* of these */
    struct weir_contract_list imports;      /* "env.db_read", in its order */
    struct weir_contract_list unknown;      /* of these, functions that nobody offers */
    struct weir_contract_list entries;      /* entry points that it exports */
    struct weir_contract_list refusals;     /* whole sentences; none: a chain would take it */
    uint32_t refusals_left_out;
    bool is_wasm; /* it could be decoded, so that the facts above are there */
    bool has_migrate_version;
    uint64_t migrate_version;
    uint32_t memory_pages;
    uint32_t migrate_params; /* of export `migrate`; 0 without */
};

/* Only NO_MEMORY and LIMIT (the arena's source) are errors. */
enum weir_status weir_contract_check(struct weir_wasm_bytes wasm, struct weir_arena *arena,
                                     struct weir_contract_facts *ret_facts,
                                     struct weir_error *error) WEIR_MUST_USE;
/* OK, or INVALID with the first refusal as message and every one whole as a detail. */
enum weir_status weir_contract_verdict(const struct weir_contract_facts *facts,
                                       struct weir_error *error);

#endif
