/* The memory of this process as one JSON object: `GET /v1/memory` and `weir run --json`. */
#ifndef WEIR_OBSERVE_MEMORY_JSON_H
#define WEIR_OBSERVE_MEMORY_JSON_H

#include <jansson.h>

#include "ledger/cgroup_equation.h"
#include "ledger/equation.h"

/* rss_bytes, classes {owner: bytes}, unclassified_bytes, holds, heap {...}, accounts (tree),
 * peak {used_bytes, at_ms, composition}. NULL when memory for it is refused. */
json_t *weir_memory_json(struct weir_account *root, const struct weir_equation *equation);

/* Equation (b): state, and the terms where they are known. */
json_t *weir_memory_json_cgroup(const struct weir_cgroup_equation *equation);

/* Four figures of one linear memory. */
struct weir_memory_json_entry {
    const char *name; /* "store \"thumbs\" memory 0" */
    uint64_t reserved_bytes, accessible_bytes, resident_bytes, private_bytes;
    uint64_t peak_bytes, limit_bytes; /* 0: not known */
};
json_t *weir_memory_json_figures(const struct weir_memory_json_entry *entry);

/* Every linear memory of the process from the registry of mappings and one pass over smaps:
 * reserved, accessible, resident, private of each. At most `max` are listed. */
json_t *weir_memory_json_memories(size_t max);

/* Of the linear memories of some accounts: `sums` sorted by weir_memory_sum_order(), the rest is
 * filled in. As above; pages that are swapped out are private. What is needed meanwhile is charged
 * to `payer`. */
struct weir_memory_sum {
    const struct weir_account *account;
    uint64_t resident_bytes, private_bytes;
};
int weir_memory_sum_order(const void *left, const void *right); /* for qsort() */
enum weir_status weir_memory_sums(struct weir_account *payer, struct weir_memory_sum *sums,
                                  size_t count, struct weir_error *error) WEIR_MUST_USE;

#endif
