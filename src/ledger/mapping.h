/* Every mmap of Weir: charged as a mapping, registered by address so that the kernel's view can be
 * attributed to its owner (equation (a), DESIGN law 1).
 *
 * Address space is reserved free of charge in bytes; who makes pages accessible charges them first
 * with weir_account_charge(). weir_mapping_new_charged() does both for plain private memory.
 * Registration is process-wide and safe from any thread.
 */
#ifndef WEIR_LEDGER_MAPPING_H
#define WEIR_LEDGER_MAPPING_H

#include "ledger/ledger.h"

struct weir_mapping {
    uint8_t *base; /* NULL when not mapped */
    size_t size;
    struct weir_account *account;
    enum weir_kind kind;       /* what the bytes inside are for */
    uint64_t charged_bytes;    /* of `kind`, by weir_mapping_new_charged() */
    uint32_t charged_mappings; /* units of WEIR_KIND_MAPPING */
    bool is_entry_lent;        /* by weir_mapping_reserve_at() */
};

/* What the registry keeps of one; its own to read and write. */
struct weir_mapping_entry {
    struct weir_mapping_entry *left, *right;
    uint64_t priority;
    struct weir_mapping mapping;
};

/* PROT_NONE, private, no reserve, no huge pages. `map_count` is how many VMAs it may become
 * (DESIGN law 2: an artifact at most 3, a memory at most 4). Alignment: page. */
enum weir_status weir_mapping_reserve(struct weir_account *account, enum weir_kind kind,
                                      size_t size, uint32_t map_count,
                                      struct weir_mapping *ret_mapping, struct weir_error *error)
    WEIR_MUST_USE;
/* The same for what `mapping` describes: size, account, kind and charged_mappings; zeroed when it
 * fails. The registry's entry is lent by the caller, whose memory outlives the mapping: no
 * allocation for what is mapped and unmapped all day. NULL: one is allocated. */
enum weir_status weir_mapping_reserve_at(struct weir_mapping *mapping,
                                         struct weir_mapping_entry *entry, struct weir_error *error)
    WEIR_MUST_USE;
/* What was lent is needed elsewhere: from here on `to` is the entry, and nobody reads the other. */
void weir_mapping_move_entry(const struct weir_mapping *mapping, struct weir_mapping_entry *to);
/* Read-write private memory; charges size (rounded up to pages) to kind. */
enum weir_status weir_mapping_new_charged(struct weir_account *account, enum weir_kind kind,
                                          size_t size, struct weir_mapping *ret_mapping,
                                          struct weir_error *error) WEIR_MUST_USE;
/* Takes over a range that the caller mapped itself (a file, a shared memory) and described in
 * `mapping`: base, size, account, kind and charged_mappings, which are charged here. On failure the
 * range stays the caller's. */
enum weir_status weir_mapping_adopt(struct weir_mapping *mapping, struct weir_error *error)
    WEIR_MUST_USE;
/* Unmaps, discharges what it charged, forgets. A zeroed mapping is allowed; leaves it zeroed. */
void weir_mapping_free(struct weir_mapping *mapping);

/* Calls visit for each registered range in address order, under the registry's lock. */
size_t weir_mapping_count(void);
void weir_mapping_walk(void (*visit)(void *context, const struct weir_mapping *mapping),
                       void *context);

#endif
