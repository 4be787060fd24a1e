/* What a contract's storage is to the world: a map from bytes to bytes in the order of its keys,
 * with snapshots. contract_state.h has the one on disk. */
#ifndef WEIR_CONTRACT_STORAGE_H
#define WEIR_CONTRACT_STORAGE_H

#include "ledger/ledger.h"

struct weir_contract_bytes {
    const uint8_t *data;
    size_t size;
};

/* Bytes that grow, charged to an account as HOST_BUFFER. Zero-initialise, then set `account`. */
struct weir_contract_buffer {
    struct weir_account *account;
    uint8_t *data;
    size_t size;
    size_t capacity;
};
/* At the end; LIMIT or NO_MEMORY, and nothing is changed then. */
enum weir_status weir_contract_append(struct weir_contract_buffer *buffer, const void *bytes,
                                      size_t size, struct weir_error *error) WEIR_MUST_USE;
/* Room for `size` bytes in all, which the caller fills. */
enum weir_status weir_contract_reserve(struct weir_contract_buffer *buffer, size_t size,
                                       struct weir_error *error) WEIR_MUST_USE;
void weir_contract_buffer_done(struct weir_contract_buffer *buffer);

static inline struct weir_contract_bytes
weir_contract_view(const struct weir_contract_buffer *buffer)
{
    return (struct weir_contract_bytes){buffer->data, buffer->size};
}

/* Keys from `start` on and before `end`; `has_end` false: without an end. */
struct weir_contract_range {
    struct weir_contract_bytes start;
    struct weir_contract_bytes end;
    bool has_end;
    bool is_descending;
};

/* Found things are appended to buffers. Errors are of the storage's own (IO, LIMIT, NO_MEMORY):
 * they end the contract's call. */
struct weir_contract_storage {
    enum weir_status (*get)(void *context, struct weir_contract_bytes key, bool *ret_is_found,
                            struct weir_contract_buffer *value, struct weir_error *error);
    enum weir_status (*set)(void *context, struct weir_contract_bytes key,
                            struct weir_contract_bytes value, struct weir_error *error);
    enum weir_status (*remove)(void *context, struct weir_contract_bytes key,
                               struct weir_error *error);
    /* The first pair of the range, in its order. */
    enum weir_status (*first)(void *context, const struct weir_contract_range *range,
                              bool *ret_is_found, struct weir_contract_buffer *key,
                              struct weir_contract_buffer *value, struct weir_error *error);
    /* Snapshots nest; each is ended once, kept or not. */
    enum weir_status (*begin)(void *context, struct weir_error *error);
    enum weir_status (*end)(void *context, bool is_kept, struct weir_error *error);
    void *context;
};

#endif
