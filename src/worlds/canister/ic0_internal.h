/* One call of an ic0 function, with its arguments as 64-bit numbers whatever the width. */
#ifndef WEIR_IC0_INTERNAL_H
#define WEIR_IC0_INTERNAL_H

#include "worlds/canister/canister_internal.h"

#define IC0_PARAMS_MAX 8

struct weir__ic0 {
    struct weir__body *body;
    struct weir_canister *canister;
    struct weir__message *message;
    struct weir_caller *caller;
    struct weir_memory *memory;
    uint64_t args[IC0_PARAMS_MAX];
    uint64_t result;
};

/* Each answers OK, or what weir__ic0_fail() does. */
#define IC0(name, params, result, modes) enum weir_status weir__ic0_##name(struct weir__ic0 *call);
#include "worlds/canister/ic0.def"
#undef IC0

/* The guest traps with this text. */
enum weir_status weir__ic0_fail(struct weir__ic0 *call, const char *format, ...) WEIR_PRINTF(2, 3);
/* Guest memory; traps when out of bounds. */
enum weir_status weir__ic0_get(struct weir__ic0 *call, uint64_t address, void *to, uint64_t size)
    WEIR_MUST_USE;
enum weir_status weir__ic0_put(struct weir__ic0 *call, uint64_t address, const void *from,
                               uint64_t size) WEIR_MUST_USE;
/* Appends `size` bytes of the guest's at `address`. */
enum weir_status weir__ic0_append(struct weir__ic0 *call, struct weir__buffer *buffer,
                                  uint64_t address, uint64_t size, size_t size_max) WEIR_MUST_USE;
/* X_copy(dst, offset, size) of these bytes. */
enum weir_status weir__ic0_copy(struct weir__ic0 *call, const void *bytes, size_t bytes_size)
    WEIR_MUST_USE;

#endif
