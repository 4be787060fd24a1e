/* A whole life of a contract, on a chain in memory: what growth and sweep tests repeat. */
#ifndef WEIR_TEST_CONTRACT_LIFE_H
#define WEIR_TEST_CONTRACT_LIFE_H

#include "tests/unit/contract/contract_script.h"
#include "worlds/contract/contract_chain.h"

#include "contract_script_wasm.h"

#define LIFE_GAS UINT64_C(1000000000)

static inline enum weir_status life_open(const char *artifact_dir,
                                         struct weir_contract_chain **ret_chain,
                                         struct weir_error *error)
{
    const struct weir_contract_chain_config config = {.vm = {.artifact_dir = artifact_dir},
                                                      .costs = &weir_contract_costs_mock};
    return weir_contract_chain_open(&config, ret_chain, error);
}

/* Stores the script and makes the contract name:script of it. */
static inline enum weir_status life_begin(struct weir_contract_chain *chain,
                                          struct weir_error *error)
{
    struct weir_hash checksum;
    struct weir_address_text address;
    struct weir_contract_result result;
    const struct weir_contract_message message = {
        .sender = "name:creator", .funds = "1earth", .label = "script", .gas_limit = LIFE_GAS};
    enum weir_status status = weir_contract_chain_store(
        chain, (struct weir_contract_bytes){contract_script_wasm, sizeof contract_script_wasm},
        &checksum, error);
    if (status == WEIR_OK)
        status =
            weir_contract_chain_instantiate(chain, &checksum, &message, &address, &result, error);
    if (status == WEIR_OK) {
        bool is_answered = result.outcome == WEIR_CONTRACT_ANSWERED;
        weir_contract_result_done(&result);
        status = is_answered ? WEIR_OK : WEIR_TRAP;
    }
    return status;
}

/* *ret_outcome is of the call. */
static inline enum weir_status life_call(struct weir_contract_chain *chain,
                                         enum weir_contract_entry entry, const struct script *s,
                                         enum weir_contract_outcome *ret_outcome,
                                         struct weir_error *error)
{
    struct weir_contract_result result;
    const struct weir_contract_message message = {
        .sender = "name:creator", .message = {s->bytes, s->size}, .gas_limit = LIFE_GAS};
    enum weir_status status =
        weir_contract_chain_call(chain, entry, "name:script", &message, &result, error);
    if (status == WEIR_OK) {
        *ret_outcome = result.outcome;
        weir_contract_result_done(&result);
    }
    return status;
}

/* Writes, reads, removes, iterates, validates, asks and talks. */
static inline void life_script(struct script *s)
{
    s->size = 0;
    script_text(s, 1024, "key");
    script_text(s, 1040, "value");
    script_text(s, 1056, "other");
    script_text(s, 1072, "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp");
    script_text(s, 1200, "{\"bank\":{\"balance\":{\"address\":\"a\",\"denom\":\"earth\"}}}");
    script_call(s, CALL_db_write, 1024, 1040, 0);
    script_call(s, CALL_db_write, 1056, 1040, 0);
    script_call(s, CALL_db_read, 1024, 0, 0);
    script_call(s, CALL_db_scan, 0, 0, 1);
    script_call(s, CALL_db_scan, 1024, 0, 2);
    script_call(s, CALL_db_next, 0, 0, 0);
    script_call(s, CALL_db_next, 1, 0, 0);
    script_call(s, CALL_db_next_key, 0, 0, 0);
    script_call(s, CALL_db_remove, 1056, 0, 0);
    script_call(s, CALL_addr_validate, 1072, 0, 0);
    script_call(s, CALL_query_chain, 1200, 0, 0);
    script_call(s, CALL_debug, 1040, 0, 0);
}

#endif
