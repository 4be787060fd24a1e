/* The C interface of libwasmvm 3.0 (its bindings.h), as far as the comparison calls it. */
#ifndef WEIR_TEST_WASMVM_ABI_H
#define WEIR_TEST_WASMVM_ABI_H

#include <stdbool.h>
#include <stdint.h>

struct vm_view { /* ByteSliceView, U8SliceView */
    bool is_nil;
    const uint8_t *data;
    uintptr_t size;
};

struct vm_vector { /* UnmanagedVector: made by the library, given back to it */
    bool is_none;
    uint8_t *data;
    uintptr_t size, capacity;
};

struct vm_iterator {
    uint64_t call_id, iterator_id;
};

struct vm_iterator_calls {
    int32_t (*next)(struct vm_iterator iterator, void *meter, uint64_t *gas, struct vm_vector *key,
                    struct vm_vector *value, struct vm_vector *error);
    int32_t (*next_key)(struct vm_iterator iterator, void *meter, uint64_t *gas,
                        struct vm_vector *key, struct vm_vector *error);
    int32_t (*next_value)(struct vm_iterator iterator, void *meter, uint64_t *gas,
                          struct vm_vector *value, struct vm_vector *error);
};

struct vm_iterator_out { /* GoIter */
    void *meter;
    struct vm_iterator reference;
    struct vm_iterator_calls calls;
};

struct vm_db {
    void *meter, *state;
    int32_t (*read)(void *db, void *meter, uint64_t *gas, struct vm_view key,
                    struct vm_vector *value, struct vm_vector *error);
    int32_t (*write)(void *db, void *meter, uint64_t *gas, struct vm_view key, struct vm_view value,
                     struct vm_vector *error);
    int32_t (*remove)(void *db, void *meter, uint64_t *gas, struct vm_view key,
                      struct vm_vector *error);
    int32_t (*scan)(void *db, void *meter, uint64_t *gas, struct vm_view start, struct vm_view end,
                    int32_t order, struct vm_iterator_out *iterator, struct vm_vector *error);
};

struct vm_api {
    const void *state;
    int32_t (*humanize)(const void *api, struct vm_view input, struct vm_vector *out,
                        struct vm_vector *error, uint64_t *gas);
    int32_t (*canonicalize)(const void *api, struct vm_view input, struct vm_vector *out,
                            struct vm_vector *error, uint64_t *gas);
    int32_t (*validate)(const void *api, struct vm_view input, struct vm_vector *error,
                        uint64_t *gas);
};

struct vm_querier {
    const void *state;
    int32_t (*query)(const void *querier, uint64_t gas_limit, uint64_t *gas, struct vm_view request,
                     struct vm_vector *result, struct vm_vector *error);
};

struct vm_gas {
    uint64_t limit, remaining, external, internal;
};

enum vm_error {
    VM_OK = 0,
    VM_USER_ERROR = 5
};

typedef void *vm_init(struct vm_view config, struct vm_vector *error);
typedef struct vm_vector vm_store(void *cache, struct vm_view wasm, bool is_checked, bool is_kept,
                                  struct vm_vector *error);
/* instantiate, execute: env, info, message */
typedef struct vm_vector vm_call_3(void *cache, struct vm_view checksum, struct vm_view env,
                                   struct vm_view info, struct vm_view message, struct vm_db db,
                                   struct vm_api api, struct vm_querier querier, uint64_t gas_limit,
                                   bool is_talking, struct vm_gas *gas, struct vm_vector *error);
/* query, sudo, migrate, …: env, message */
typedef struct vm_vector vm_call_2(void *cache, struct vm_view checksum, struct vm_view env,
                                   struct vm_view message, struct vm_db db, struct vm_api api,
                                   struct vm_querier querier, uint64_t gas_limit, bool is_talking,
                                   struct vm_gas *gas, struct vm_vector *error);
typedef struct vm_vector vm_new_vector(bool is_nil, const uint8_t *data, uintptr_t size);
typedef void vm_free_vector(struct vm_vector vector);

#endif
