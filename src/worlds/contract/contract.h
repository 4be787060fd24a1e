/* CosmWasm contracts: the world of modules with the marker interface_version_8.
 *
 * A VM is an engine with CosmWasm's prices and the 24 functions of module `env`; a code is a module
 * that passed the static checks; a run is one instance of it in a fresh state, good for one call or
 * (tests, as upstream's) for several. A VM and its codes may be used by several threads; a run by
 * one at a time. Gas is exact to the unit: docs/CONTRACT.md.
 */
#ifndef WEIR_CONTRACT_H
#define WEIR_CONTRACT_H

#include <weir/weir.h>

#include "worlds/contract/contract_storage.h"

struct weir_contract_vm;
struct weir_contract_code;
struct weir_contract_run;

/* Zero-initialise; zero and NULL mean the default named behind each field. */
struct weir_contract_vm_config {
    const char *artifact_dir;     /* compiled contracts: in memory only */
    struct weir_account *account; /* parent of the VM's own account: host */
    uint64_t memory_bytes_max;    /* a contract's linear memory: 32 MiB */
    /* Functions that declare many locals cost nothing more, as in older cosmwasm-vm
     * (docs/CONTRACT.md): no. */
    bool has_free_locals;
};

enum weir_status weir_contract_vm_new(const struct weir_contract_vm_config *config,
                                      struct weir_contract_vm **ret_vm, struct weir_error *error)
    WEIR_MUST_USE;
/* After its codes. NULL is allowed. */
void weir_contract_vm_free(struct weir_contract_vm *vm);
/* What buffers that outlive a run are charged to. */
struct weir_account *weir_contract_vm_account(struct weir_contract_vm *vm);

/* Checks and compiles. INVALID with every refusal as a detail (contract_check.h); other errors are
 * weir_module_new()'s. */
enum weir_status weir_contract_code_new(struct weir_contract_vm *vm,
                                        struct weir_contract_bytes wasm,
                                        struct weir_contract_code **ret_code,
                                        struct weir_error *error) WEIR_MUST_USE;
void weir_contract_code_free(struct weir_contract_code *code);
/* Of its section cw_migrate_version; false without one. */
bool weir_contract_code_migrate_version(const struct weir_contract_code *code,
                                        uint64_t *ret_version);

/* What things cost that the chain, not the machine, prices; in gas. "External" is used_externally
 * in upstream's reports. */
struct weir_contract_costs {
    const char *name;
    uint64_t get_key_byte, set_byte, remove_key_byte; /* external */
    uint64_t scan, next_end;                          /* external */
    uint64_t next_byte;
    uint64_t humanize, canonicalize;
    uint64_t query, query_answer_byte; /* external */
};
extern const struct weir_contract_costs weir_contract_costs_none; /* the machine's gas only */
extern const struct weir_contract_costs weir_contract_costs_mock; /* upstream's tests */

/* Answers query_chain. `answer`: the JSON text {"ok":{"ok":"<base64>"}} and its kin, appended. What
 * answering used besides the table's costs is in *ret_gas. Errors end the contract's call. */
struct weir_contract_querier {
    enum weir_status (*query)(void *context, struct weir_contract_bytes request, uint64_t gas_limit,
                              uint64_t *ret_gas, struct weir_contract_buffer *answer,
                              struct weir_error *error);
    void *context;
};

/* What the functions of `env` work on during a run. NULL querier: every query is answered
 * `unsupported_request`. */
struct weir_contract_host {
    const struct weir_contract_storage *storage;
    const struct weir_contract_querier *querier;
    const struct weir_contract_costs *costs; /* NULL: none */
    const char *address_prefix;              /* of bech32 addresses; NULL: "cosmwasm" */
};

enum weir_status weir_contract_run_open(struct weir_contract_code *code,
                                        const struct weir_contract_host *host,
                                        struct weir_contract_run **ret_run,
                                        struct weir_error *error) WEIR_MUST_USE;
void weir_contract_run_close(struct weir_contract_run *run);

enum weir_contract_entry {
#define CONTRACT_ENTRY(name, arguments, read_only) WEIR_CONTRACT_##name,
#include "worlds/contract/contract_entries.def"
#undef CONTRACT_ENTRY
    WEIR_CONTRACT_ENTRY_COUNT
};
/* By name; ENTRY_COUNT for another. */
enum weir_contract_entry weir_contract_entry_find(const char *name);
const char *weir_contract_entry_name(enum weir_contract_entry entry);

struct weir_contract_call {
    enum weir_contract_entry entry;
    struct weir_contract_bytes env, info, message, migrate_info; /* JSON; as the entry takes them */
    uint64_t gas_limit;                                          /* at most INT64_MAX counts */
};

enum weir_contract_outcome {
    WEIR_CONTRACT_ANSWERED, /* {"ok":...}: what it changed stays */
    WEIR_CONTRACT_REFUSED,  /* {"error":...}, or something else: no trace */
    WEIR_CONTRACT_FAILED    /* trap, out of gas, a rule broken; no answer, no trace */
};

/* Zero-initialise; release with weir_contract_result_done(). */
struct weir_contract_result {
    enum weir_contract_outcome outcome;
    struct weir_contract_buffer answer; /* as the contract gave it */
    struct weir_contract_buffer reason; /* FAILED: in upstream's words, no terminator */
    struct weir_contract_buffer debug;  /* messages of `debug`, each ended by a zero byte */
    uint64_t debug_left_out;
    uint64_t gas_used; /* external gas included; the whole limit when it ran out */
    uint64_t gas_external;
    uint64_t peak_pages; /* of 64 KiB: memory never shrinks, so the present ones */
    bool is_out_of_gas;
};
void weir_contract_result_done(struct weir_contract_result *result);

/* One call. OK when there is a result, of whatever outcome; errors are the host's own: LIMIT,
 * NO_MEMORY, IO of the storage. Changes of the storage stay when the contract answers, and leave no
 * trace otherwise. */
enum weir_status weir_contract_run_call(struct weir_contract_run *run,
                                        const struct weir_contract_call *call,
                                        struct weir_contract_result *ret_result,
                                        struct weir_error *error) WEIR_MUST_USE;

#endif
