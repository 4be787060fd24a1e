/* What the files of the chain share. */
#ifndef WEIR_CONTRACT_CHAIN_INTERNAL_H
#define WEIR_CONTRACT_CHAIN_INTERNAL_H

#include <jansson.h>

#include "base/bytes.h"
#include "worlds/contract/contract_chain.h"
#include "worlds/contract/contract_limits.h"
#include "worlds/contract/contract_text.h"

static_assert(CONTRACT_CODES_LOADED_MAX > CONTRACT_QUERY_DEPTH_MAX + 1, "a code in use must stay");

struct chain_code {
    struct weir_contract_code *code;
    struct weir_hash checksum;
    uint64_t used_at;
    uint32_t users;
};

struct weir_contract_chain {
    struct weir_account *account;
    struct weir_contract_vm *vm;
    struct weir_contract_state *state;
    const struct weir_contract_costs *costs;
    char prefix[84];
    struct chain_code codes[CONTRACT_CODES_LOADED_MAX];
    uint64_t clock;
    uint32_t query_depth;
    /* Of the message that is being handled. */
    const struct weir_contract_message *message;
    struct weir_coins funds, balance;
};

/* Loads the code of a contract and calls it. `record` is as it shall be seen. */
struct chain_call {
    const struct weir_contract_record *record;
    const struct weir_hash *checksum;
    const struct weir_contract_call *call;
};
enum weir_status weir__chain_run(struct weir_contract_chain *chain, const struct chain_call *call,
                                 struct weir_contract_result *ret_result, struct weir_error *error)
    WEIR_MUST_USE;
/* JSON without spaces, appended; NULL is what jansson makes without memory: NO_MEMORY. */
enum weir_status weir__chain_dump(struct weir_contract_buffer *buffer, const json_t *value,
                                  struct weir_error *error) WEIR_MUST_USE;
/* The environment of a contract as JSON, appended. */
enum weir_status weir__chain_env(const struct weir_contract_message *message, const char *address,
                                 struct weir_contract_buffer *env, struct weir_error *error)
    WEIR_MUST_USE;
/* {"sender":…,"funds":[…]}, appended. */
enum weir_status weir__chain_info(struct weir_contract_chain *chain,
                                  const struct weir_contract_message *message,
                                  struct weir_contract_buffer *info, struct weir_error *error)
    WEIR_MUST_USE;

/* The querier of one contract. The answer's account pays for the parsed request, too. */
struct chain_asker {
    struct weir_contract_chain *chain;
    const char *address;
};
enum weir_status weir__chain_query(void *context, struct weir_contract_bytes request,
                                   uint64_t gas_limit, uint64_t *ret_gas,
                                   struct weir_contract_buffer *answer, struct weir_error *error);

#endif
