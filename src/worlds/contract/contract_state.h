/* State of contracts on disk, in one SQLite file: codes, contracts, and what each has stored.
 *
 * One connection, one thread. What is between begin and end becomes durable whole or not at all;
 * another process that wants to write waits meanwhile (CONTRACT_BUSY_MS, then BUSY).
 */
#ifndef WEIR_CONTRACT_STATE_H
#define WEIR_CONTRACT_STATE_H

#include "base/hash.h"
#include "worlds/contract/contract_storage.h"

struct weir_contract_state;

/* The file is made when it is missing; NULL: in memory. CORRUPT, PERMISSION, IO, FOREIGN (a file of
 * something else, or of a newer version). */
enum weir_status weir_contract_state_open(const char *path, struct weir_contract_state **ret_state,
                                          struct weir_error *error) WEIR_MUST_USE;
void weir_contract_state_close(struct weir_contract_state *state);

/* Nests. The outermost begin takes the right to write. */
enum weir_status weir_contract_state_begin(struct weir_contract_state *state,
                                           struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_contract_state_end(struct weir_contract_state *state, bool is_kept,
                                         struct weir_error *error) WEIR_MUST_USE;

/* --- codes --- */

/* OK also when it is there already. */
enum weir_status weir_contract_state_put_code(struct weir_contract_state *state,
                                              const struct weir_hash *checksum,
                                              struct weir_contract_bytes wasm,
                                              struct weir_error *error) WEIR_MUST_USE;
/* NOT_FOUND; CORRUPT when the bytes are not those of the checksum. */
enum weir_status weir_contract_state_get_code(struct weir_contract_state *state,
                                              const struct weir_hash *checksum,
                                              struct weir_contract_buffer *wasm,
                                              struct weir_error *error) WEIR_MUST_USE;

/* --- contracts --- */

#define WEIR_CONTRACT_NAME_MAX 256u
struct weir_contract_record {
    int64_t id; /* of the file; not 0 */
    char address[WEIR_CONTRACT_NAME_MAX];
    char creator[WEIR_CONTRACT_NAME_MAX];
    char label[WEIR_CONTRACT_NAME_MAX];
    struct weir_hash checksum; /* of its present code */
};
/* EXISTS. Sets record->id. */
enum weir_status weir_contract_state_put(struct weir_contract_state *state,
                                         struct weir_contract_record *record,
                                         struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_contract_state_find(struct weir_contract_state *state, const char *address,
                                          struct weir_contract_record *ret_record,
                                          struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_contract_state_set_code(struct weir_contract_state *state, int64_t id,
                                              const struct weir_hash *checksum,
                                              struct weir_error *error) WEIR_MUST_USE;

/* --- lists; `visit` must not use the state; false ends the walk --- */

struct weir_contract_code_line {
    struct weir_hash checksum;
    uint64_t bytes;
    uint64_t contracts;
};
enum weir_status
weir_contract_state_codes(struct weir_contract_state *state,
                          bool (*visit)(void *context, const struct weir_contract_code_line *line),
                          void *context, struct weir_error *error) WEIR_MUST_USE;
struct weir_contract_line {
    struct weir_contract_record record;
    uint64_t keys, bytes; /* of keys and values */
};
enum weir_status
weir_contract_state_contracts(struct weir_contract_state *state,
                              bool (*visit)(void *context, const struct weir_contract_line *line),
                              void *context, struct weir_error *error) WEIR_MUST_USE;

/* --- storage of one contract --- */

struct weir_contract_state_place {
    struct weir_contract_state *state;
    int64_t id;
};
/* Points to `place`, which must stay. */
struct weir_contract_storage weir_contract_state_storage(struct weir_contract_state_place *place);

#endif
