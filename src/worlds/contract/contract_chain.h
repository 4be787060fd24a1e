/* A chain of one node, as far as contracts see one: stored codes, contracts with their state, who
 * calls with what, queries from contract to contract. Messages that a contract sends are handed
 * out, not delivered.
 */
#ifndef WEIR_CONTRACT_CHAIN_H
#define WEIR_CONTRACT_CHAIN_H

#include "worlds/contract/contract.h"
#include "worlds/contract/contract_address.h"
#include "worlds/contract/contract_state.h"

struct weir_contract_chain;

/* Zero-initialise. */
struct weir_contract_chain_config {
    struct weir_contract_vm_config vm;
    const char *state_path;                  /* NULL: in memory */
    const char *address_prefix;              /* NULL: "cosmwasm" */
    const struct weir_contract_costs *costs; /* NULL: none */
};

/* One thread. */
enum weir_status weir_contract_chain_open(const struct weir_contract_chain_config *config,
                                          struct weir_contract_chain **ret_chain,
                                          struct weir_error *error) WEIR_MUST_USE;
void weir_contract_chain_close(struct weir_contract_chain *chain);
struct weir_contract_state *weir_contract_chain_state(struct weir_contract_chain *chain);

/* Checks, compiles, keeps. */
enum weir_status weir_contract_chain_store(struct weir_contract_chain *chain,
                                           struct weir_contract_bytes wasm,
                                           struct weir_hash *ret_checksum, struct weir_error *error)
    WEIR_MUST_USE;

/* Zero-initialise. Addresses as weir_address_resolve() takes them. */
struct weir_contract_message {
    const char *sender;  /* instantiate, execute, migrate */
    const char *funds;   /* "1000earth"; NULL: none; instantiate, execute */
    const char *balance; /* of the contract, answered to bank queries; NULL: none */
    const char *label;   /* instantiate: the address is that of this name */
    const char *env;     /* a JSON object whose members replace those of the test environment but
                          * for `contract`; NULL */
    struct weir_contract_bytes message; /* JSON */
    uint64_t gas_limit;
};

/* The contract exists afterwards only if it answered. */
enum weir_status weir_contract_chain_instantiate(struct weir_contract_chain *chain,
                                                 const struct weir_hash *checksum,
                                                 const struct weir_contract_message *message,
                                                 struct weir_address_text *ret_address,
                                                 struct weir_contract_result *ret_result,
                                                 struct weir_error *error) WEIR_MUST_USE;
/* Execute, query, sudo and the entries that take env and msg. */
enum weir_status weir_contract_chain_call(struct weir_contract_chain *chain,
                                          enum weir_contract_entry entry, const char *address,
                                          const struct weir_contract_message *message,
                                          struct weir_contract_result *ret_result,
                                          struct weir_error *error) WEIR_MUST_USE;
/* Its code is the new one afterwards only if it answered. */
enum weir_status weir_contract_chain_migrate(struct weir_contract_chain *chain, const char *address,
                                             const struct weir_hash *checksum,
                                             const struct weir_contract_message *message,
                                             struct weir_contract_result *ret_result,
                                             struct weir_error *error) WEIR_MUST_USE;

#endif
