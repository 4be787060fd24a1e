/* What keys held before they were written while iterators were open: what an iterator sees in the
 * place of what is there now, because it shows the storage as it was when it was opened.
 *
 * A balanced tree of records, ordered by key and age; nothing is taken out of it before the call
 * ends. Each node knows the youngest record below it, so that those which are too old for an
 * iterator are passed over whole: a step costs the logarithm of the records, however many there
 * are.
 */
#ifndef WEIR_CONTRACT_BEFORE_H
#define WEIR_CONTRACT_BEFORE_H

#include "worlds/contract/contract_storage.h"

struct weir__before {
    struct weir__before *left, *right;
    uint32_t level;    /* of an AA tree */
    uint32_t opened;   /* iterators that were open when the key was written */
    uint32_t youngest; /* most of `opened`, here and below */
    uint32_t key_size;
    size_t value_size;
    bool is_there;   /* there was a value */
    uint8_t bytes[]; /* key, then value */
};

static inline struct weir_contract_bytes weir__before_key(const struct weir__before *record)
{
    return (struct weir_contract_bytes){record->bytes, record->key_size};
}
static inline struct weir_contract_bytes weir__before_value(const struct weir__before *record)
{
    return (struct weir_contract_bytes){record->bytes + record->key_size, record->value_size};
}
int weir__contract_compare(struct weir_contract_bytes a, struct weir_contract_bytes b);

/* The first key of the range, in its order, that was written when more than `opened` iterators were
 * open, and of its records the oldest such: what the iterator of that number sees. NULL: none. */
const struct weir__before *weir__before_first(const struct weir__before *root,
                                              const struct weir_contract_range *range,
                                              uint32_t opened);
/* As above, of one key. */
const struct weir__before *weir__before_find(const struct weir__before *root,
                                             struct weir_contract_bytes key, uint32_t opened);
/* Keeps what `key` holds; `value` NULL: nothing. There is no record of so many open iterators yet.
 * Charged to the account as HOST_BUFFER; LIMIT or NO_MEMORY. */
enum weir_status weir__before_keep(struct weir__before **root, struct weir_account *account,
                                   struct weir_contract_bytes key,
                                   const struct weir_contract_bytes *value, uint32_t opened,
                                   struct weir_error *error) WEIR_MUST_USE;
void weir__before_drop(struct weir__before *root, struct weir_account *account);

#endif
