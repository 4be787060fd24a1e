/* The charging side of the ledger. Everything that takes memory in Weir goes through here first.
 *
 * Hot path: a store's account holds credit taken in slabs from its parent, so a charge that fits
 * the credit is an unshared add. Shared accounts (host, tenant, service) are atomic; one that is
 * charged often keeps credit per thread (cells.h). A store's or instance's account may be charged
 * by one thread at a time (the store's); any other by any thread.
 */
#ifndef WEIR_LEDGER_H
#define WEIR_LEDGER_H

#include <weir/account.h>
#include <weir/receipt.h>

#include "base/arena.h"
#include "base/error.h"

/* Charges before the bytes are taken. LIMIT: some account of the chain refused; the message names
 * who asked, how much and which limit, the details the whole chain (formatted only when `error` is
 * given). Nothing is charged then, anywhere. Idle credit elsewhere is drained before refusing. */
enum weir_status weir_account_charge(struct weir_account *account, enum weir_kind kind,
                                     uint64_t amount, struct weir_error *error) WEIR_MUST_USE;
/* Exactly what was charged; more is a programmer's error (asserted). */
void weir_account_discharge(struct weir_account *account, enum weir_kind kind, uint64_t amount);

/* malloc'ed memory with a charge around it. Zeroed. Sized free. */
void *weir_account_alloc(struct weir_account *account, enum weir_kind kind, size_t bytes,
                         struct weir_error *error) WEIR_MUST_USE;
void weir_account_free(struct weir_account *account, enum weir_kind kind, void *memory,
                       size_t bytes);

/* A store's account: from now on `bytes` in all are its own, used or not: what it charges below
 * that cannot be refused above it, and what it discharges stays reserved. LIMIT as for a charge,
 * then the reservation before is gone too. For one that runs; an idle one holds what it uses. By
 * its owner. */
enum weir_status weir_account_reserve(struct weir_account *account, uint64_t bytes,
                                      struct weir_error *error) WEIR_MUST_USE;
void weir_account_unreserve(struct weir_account *account);

/* Reads the system's limits for counted kinds again (vm.max_map_count, RLIMIT_NOFILE), for programs
 * that raise them after the first account. */
void weir_ledger_refresh_limits(void);
/* What may be held of a counted kind, the reserve for libraries taken off. */
uint64_t weir_ledger_count_limit(enum weir_kind kind);

/* A store's account that lives in the store's own memory: `size` bytes of private pages are mapped,
 * charged to the account as `kind`, and its record lies in the first of them, `offset` bytes in;
 * WEIR_HOUSED_BYTES from there are taken, the rest is the caller's, zeroed. */
#define WEIR_HOUSED_BYTES 648
struct weir_house {
    enum weir_kind kind;
    size_t size;
    size_t offset; /* a multiple of 64 */
    uint64_t limit_bytes;
};
enum weir_status weir_account_new_housed(struct weir_account *parent, const char *name,
                                         const struct weir_house *house,
                                         void **ret_memory, struct weir_account **ret_account,
                                         struct weir_error *error) WEIR_MUST_USE;
/* The caller is done with the memory: the account no longer holds it (the host does, until the
 * account goes, which unmaps it). Right before weir_account_close(). */
void weir_account_vacate(struct weir_account *account);

/* Two-phase close. What an account still holds, as `pending` of a receipt; `drained` when that is
 * nothing. Ask before weir_account_close(): afterwards the account may be gone. */
void weir_account_pending(const struct weir_account *account, struct weir_receipt *receipt);
/* `drained` is called once, when the closed account's last charge and child are gone: by the
 * thread that discharged last, with no lock held, the account no longer valid. */
void weir_account_set_drained(struct weir_account *account, void (*drained)(void *context),
                              void *context);

/* The name of the account above; "" for the host's. Lives as long as the account. */
const char *weir_account_parent_name(const struct weir_account *account);

/* An arena source that charges (account, kind) and takes page-aligned mappings of its own.
 * The context lives in the caller and must outlive the arena. */
struct weir_account_source {
    struct weir_account *account;
    enum weir_kind kind;
};
struct weir_arena_source weir_account_arena_source(struct weir_account_source *context);

/* Every other thread of the process runs a full memory barrier before this returns (membarrier);
 * false where the kernel cannot. */
bool weir_barrier_everywhere(void);

/* Charged heap of the whole process: what weir_account_alloc() holds now. */
uint64_t weir_ledger_heap_bytes(void);

/* Tests: the n-th charge or mapping from now (1 = the next) fails with NO_MEMORY; 0 switches off.
 * Returns how many were counted since the last call. Process-wide. */
uint64_t weir_ledger_fail_nth(uint64_t n);

/* Registries that folders fill at start-up. A reclaimer gives bytes back when asked; a bound says
 * what a configuration allows at most, for the plan. Names are static strings. */
struct weir_reclaimer {
    const char *name;
    uint64_t (*reclaim)(void *context, uint64_t wanted_bytes); /* returns bytes given back */
    void *context;
};
enum weir_status weir_ledger_add_reclaimer(const struct weir_reclaimer *reclaimer,
                                           struct weir_error *error) WEIR_MUST_USE;
void weir_ledger_remove_reclaimer(const char *name, void *context);
/* Asks one after the other, in order of registration, until enough is given back. */
uint64_t weir_ledger_reclaim(uint64_t wanted_bytes);
/* Only those of that name. */
uint64_t weir_ledger_reclaim_from(const char *name, uint64_t wanted_bytes);

/* Where the figure of a bound is from. */
enum weir_bound_basis {
    WEIR_BOUND_CONFIGURED, /* follows from limits and keys */
    WEIR_BOUND_MEASURED,   /* a reserve that was measured, or a file's size */
    WEIR_BOUND_ESTIMATED   /* reckoned; the source says how */
};
struct weir_bound {
    const char *what;   /* "guest stacks" */
    const char *source; /* "12 slots x 1 MiB" or the key it comes from */
    uint64_t bytes;
    enum weir_bound_basis basis;
    bool is_beside;       /* not charged: the host's own limit does not refuse it */
    uint64_t mappings;    /* of vm.max_map_count */
    uint64_t descriptors; /* of RLIMIT_NOFILE */
};
/* Appends to the plan of `context` (opaque to the registry). */
typedef void weir_bound_report(void *context, const struct weir_bound *bound);

/* Receipt helpers for those who release. */
void weir_receipt_add(struct weir_receipt *receipt, enum weir_kind kind, uint64_t amount);
void weir_receipt_pin(struct weir_receipt *receipt, enum weir_kind kind, uint64_t amount,
                      const char *format, ...) WEIR_PRINTF(4, 5);
/* A one-time event that a receipt may wait for, held by the receipt and by who ends it. NULL when
 * `receipt` is, or memory is refused; ending NULL does nothing. */
struct weir_drain *weir_drain_new(struct weir_receipt *receipt);
void weir_drain_end(struct weir_drain *drain);
/* One handle more that was never dropped. */
void weir_receipt_undropped(struct weir_receipt *receipt, const char *format, ...)
    WEIR_PRINTF(2, 3);

#endif
