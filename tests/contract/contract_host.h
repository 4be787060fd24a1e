/* What tests of contracts share: a VM with a state in memory, files of contracts, a bank, and one
 * instance for a row of calls, as upstream's tests have it. Every helper fails the test with the
 * error's own words. */
#ifndef WEIR_TEST_CONTRACT_HOST_H
#define WEIR_TEST_CONTRACT_HOST_H

#include <check.h>

#include "worlds/contract/contract.h"
#include "worlds/contract/contract_address.h"
#include "worlds/contract/contract_state.h"

#define HOST_GAS UINT64_C(1000000000000)

struct contract_host {
    struct weir_contract_vm *vm;
    struct weir_contract_state *state;
    struct weir_contract_state_place place;
    struct weir_contract_storage storage;
    struct weir_contract_querier querier;
    struct weir_contract_host host;
    struct weir_contract_code *code;
    struct weir_contract_run *run;
    struct weir_contract_result result; /* of the last call */
    uint64_t gas_limit;                 /* of a call */
    struct weir_address_text creator, verifier, beneficiary, contract;
};

/* `config` may be NULL. */
void contract_host_open(struct contract_host *h, const struct weir_contract_vm_config *config);
void contract_host_close(struct contract_host *h);
/* Replaces the code and opens a run. */
void contract_host_load(struct contract_host *h, const void *wasm, size_t size);
/* Another run of the same code: a fresh state, as every call has outside of tests. */
void contract_host_renew(struct contract_host *h);
/* A file of the folder WEIR_CONTRACTS. */
void contract_host_load_file(struct contract_host *h, const char *name);
/* Bytes of such a file; free() them. */
uint8_t *contract_host_read(const char *name, size_t *ret_size);

/* One call; `sender` and `funds` ("" or a JSON list's inside) for entries that have them. */
enum weir_contract_outcome contract_host_call(struct contract_host *h,
                                              enum weir_contract_entry entry, const char *sender,
                                              const char *funds, const char *message);
/* As above, with a message that is no text. */
enum weir_contract_outcome contract_host_message(struct contract_host *h,
                                                 enum weir_contract_entry entry, const char *sender,
                                                 const char *funds,
                                                 struct weir_contract_bytes message);
/* As above, of no sender. */
enum weir_contract_outcome contract_host_send(struct contract_host *h,
                                              enum weir_contract_entry entry, const void *message,
                                              size_t size);
/* The answer, or the reason. */
const char *contract_host_said(struct contract_host *h);
void contract_host_expect(struct contract_host *h, const char *text);
/* The value under a key; NULL: none. Valid until the next call of it. */
const char *contract_host_stored(struct contract_host *h, const char *key);
uint64_t contract_host_pairs(struct contract_host *h);

#endif
