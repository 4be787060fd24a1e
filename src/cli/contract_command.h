/* What the files of `weir contract` share: options, and what each command is called with. */
#ifndef WEIR_CLI_CONTRACT_COMMAND_H
#define WEIR_CLI_CONTRACT_COMMAND_H

#include "cli/cli_options.h"
#include "worlds/contract/contract_chain.h"

struct contract_options {
    const char *folder;
    struct weir_contract_message message;
    const struct weir_contract_costs *costs;
    const char *prefix;
    const char *text;      /* --msg */
    const char *text_file; /* --msg-file */
    uint64_t memory_bytes_max;
    bool has_free_locals;
};

struct contract_words {
    char **texts;
    int count;
};

/* An open chain, and what the command was given. */
struct contract_session {
    const struct contract_options *options;
    struct weir_contract_chain *chain;
    const char *const *arguments;
};
/* Each prints one JSON object; *ret_exit_code is of the outcome. */
typedef enum weir_status contract_command(struct contract_session *session, int *ret_exit_code,
                                          struct weir_error *error);
contract_command contract_store, contract_instantiate, contract_execute, contract_query,
    contract_migrate, contract_sudo, contract_call, contract_info, contract_list, contract_address;

#endif
