/* What the files of the contract world share: the VM, its codes, a run, and how the functions of
 * `env` reach gas, regions and the guest.
 *
 * A function of `env` either goes on or ends the call: it returns OK, or what weir__contract_fail()
 * and its kin returned, after the reason was written down once. Gas is the store's fuel.
 */
#ifndef WEIR_CONTRACT_INTERNAL_H
#define WEIR_CONTRACT_INTERNAL_H

#include "base/bytes.h"
#include "base/hash.h"
#include "worlds/contract/contract.h"
#include "worlds/contract/contract_before.h"
#include "worlds/contract/contract_limits.h"

struct weir_contract_vm {
    struct weir_account *account;
    struct weir_engine *engine;
    struct weir_linker *linker;
    uint64_t memory_bytes_max;
};

struct weir_contract_code {
    struct weir_contract_vm *vm;
    struct weir_module *module;
    struct weir_pool *pool;
    uint64_t migrate_version;
    bool has_migrate_version;
    char name[WEIR_HASH_HEX_SIZE];
};

/* An iterator is where it goes on: the bound that moves is a copy of the last key. Its number is
 * how many were opened before it. */
struct weir__contract_iterator {
    struct weir_contract_buffer start, end;
    bool has_end;
    bool is_descending;
    bool is_over;
};

struct weir_contract_run {
    struct weir_contract_code *code;
    struct weir_contract_host host;
    struct weir_instance *instance; /* of the code's pool */
    struct weir_store *store;
    struct weir_account *account; /* the store's */
    struct weir_memory *memory;
    struct weir_funcref *allocate, *deallocate;

    /* Of the call that is under way. */
    struct weir_contract_result *result;
    enum weir_status status; /* not OK: the host failed, and why */
    struct weir_error error;
    uint32_t depth; /* calls into the contract, one inside another */
    bool is_read_only;
    bool is_failed; /* the reason is written down */
    struct weir__contract_iterator *iterators;
    uint32_t iterator_count, iterator_capacity;
    uint32_t iterators_going;    /* not at their end */
    uint32_t passed_count;       /* keys that iterators have passed over */
    struct weir__before *before; /* what was written while iterators were going */
};

/* --- reasons (contract_run.c) --- */

/* The call ends: what upstream would say, once. Returns TRAP. */
enum weir_status weir__contract_fail(struct weir_contract_run *run, const char *format, ...)
    WEIR_PRINTF(2, 3);
/* As above, of bytes behind a text. */
enum weir_status weir__contract_fail_bytes(struct weir_contract_run *run, const char *text,
                                           struct weir_contract_bytes bytes);
/* The host failed: storage, memory. Takes over run->error. */
enum weir_status weir__contract_host_failed(struct weir_contract_run *run, enum weir_status status);
/* Hands OK on; anything else is the host's failure, told in run->error. */
static inline enum weir_status weir__contract_host_ok(struct weir_contract_run *run,
                                                      enum weir_status status)
{
    return status == WEIR_OK ? WEIR_OK : weir__contract_host_failed(run, status);
}
/* Calls an export that takes i32s and answers at most one; the trap's reason is written down. */
enum weir_status weir__contract_enter(struct weir_contract_run *run, struct weir_funcref *func,
                                      const union weir_value *args, union weir_value *result);

/* --- gas (contract_gas.c) --- */

/* Upstream's GasConfig. */
struct weir__contract_price {
    uint64_t base, per_item;
};
#define CONTRACT_HOST_CALL_GAS 18000u
extern const struct weir__contract_price weir__contract_write_price, weir__contract_string_price;

static inline uint64_t weir__contract_cost(uint64_t price, size_t bytes)
{
    return weir_mul_sat(price, bytes);
}
/* TRAP when it is more than what is left, which is nothing then. */
enum weir_status weir__contract_charge(struct weir_contract_run *run, uint64_t internal,
                                       uint64_t external) WEIR_MUST_USE;
enum weir_status weir__contract_charge_items(struct weir_contract_run *run,
                                             struct weir__contract_price price, uint64_t items)
    WEIR_MUST_USE;
void weir__contract_costs_fill(struct weir_fuel_costs *costs, bool has_free_locals);

/* --- regions (contract_region.c) --- */

struct weir__contract_region {
    uint32_t offset, capacity, length;
};
/* NULL, or what is wrong with it ("Region length exceeds capacity. Length 2, capacity 1"), written
 * to `text`. */
const char *weir__contract_region_check(const struct weir__contract_region *region, char *text,
                                        size_t size);
/* Reads what a Region points at, charged; `buffer` is the run's account's. */
enum weir_status weir__contract_read(struct weir_contract_run *run, uint32_t pointer,
                                     uint32_t length_max, struct weir_contract_buffer *buffer)
    WEIR_MUST_USE;
/* As above; `what` ("Key") is about to be stored. */
enum weir_status weir__contract_read_stored(struct weir_contract_run *run, uint32_t pointer,
                                            uint32_t length_max, const char *what,
                                            struct weir_contract_buffer *buffer) WEIR_MUST_USE;
/* Into a Region that the contract has made. */
enum weir_status weir__contract_write(struct weir_contract_run *run, uint32_t pointer,
                                      struct weir_contract_bytes bytes) WEIR_MUST_USE;
/* A new Region in the contract, by its `allocate`. */
enum weir_status weir__contract_give(struct weir_contract_run *run,
                                     struct weir_contract_bytes bytes, uint32_t *ret_pointer)
    WEIR_MUST_USE;

/* --- sections (contract_sections.c) --- */

/* Splits `data || length` records from the end. NULL, or what is wrong. *ret_count is how many
 * there are; where that is more than `count_max` the items are not to be used, else they are in
 * order. */
const char *weir__contract_sections(struct weir_contract_bytes bytes,
                                    struct weir_contract_bytes *ret_items, uint32_t count_max,
                                    uint32_t *ret_count);
enum weir_status weir__contract_section_append(struct weir_contract_buffer *buffer,
                                               struct weir_contract_bytes bytes,
                                               struct weir_error *error) WEIR_MUST_USE;

/* --- functions of env (contract_env.c, contract_env_crypto.c) --- */

struct weir__contract_args {
    uint32_t at[4];
};
#define CONTRACT_IMPORT(name, params, result)                                                      \
    enum weir_status weir__contract_##name(struct weir_contract_run *run,                          \
                                           const struct weir__contract_args *args,                 \
                                           uint64_t *ret_result) WEIR_MUST_USE;
#include "worlds/contract/contract_imports.def"
#undef CONTRACT_IMPORT
enum weir_status weir__contract_link(struct weir_linker *linker, struct weir_error *error)
    WEIR_MUST_USE;

/* --- iterators (contract_iterate.c) --- */

/* Before a key is written or removed: what it holds is kept for iterators that are open. */
enum weir_status weir__contract_remember(struct weir_contract_run *run,
                                         struct weir_contract_bytes key) WEIR_MUST_USE;
/* Takes over the bounds. */
enum weir_status weir__contract_iterator_add(struct weir_contract_run *run,
                                             const struct weir__contract_iterator *iterator)
    WEIR_MUST_USE;
/* The next pair of an iterator that exists, in buffers of the run's account. */
enum weir_status weir__contract_iterator_next(struct weir_contract_run *run, uint32_t id,
                                              bool *ret_is_found, struct weir_contract_buffer *key,
                                              struct weir_contract_buffer *value) WEIR_MUST_USE;
void weir__contract_iterators_close(struct weir_contract_run *run);

#endif
