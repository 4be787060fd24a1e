/* What the files of the ledger share: the account record and the tree.
 *
 * Two sorts of accounts. *Owned* ones (store, instance) belong to one thread at a time: only that
 * thread writes their figures, with relaxed stores, so that others may read them at any time. A
 * store (or an instance without one) is the *holder* of credit for itself and its instances; its
 * figures include theirs. *Shared* ones (host, tenant, service) are charged by any thread with
 * atomic additions; `granted` is what they and everything under them hold, credit included.
 *
 *   granted of a shared account = Σ own kinds (bytes) + Σ (used + credit) of holders under it
 *                                 + Σ credit of its cells and of those under it (cells.h)
 *
 * The tree (links, pins, closing, draining) is under one mutex, weir__tree. It is taken when
 * accounts come and go, when figures are summed and before a refusal; never by a charge that
 * succeeds at once.
 *
 * A record lies on the heap, or for a store in the store's own memory (account_house.c).
 *
 * Draining credit without making the owner pay for it: the owner writes busy = 1, then reads
 * `slow`; the drainer writes DRAIN into `slow`, makes every running thread of the process pass a
 * barrier (membarrier), then reads `busy`. One of the two sees the other. Where membarrier is
 * missing no credit is kept at all.
 */
#ifndef WEIR_LEDGER_INTERNAL_H
#define WEIR_LEDGER_INTERNAL_H

#include "ledger/ledger.h"
#include "ledger/ledger_limits.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "base/check.h"

enum {
    WEIR__SLOW_DRAIN = 1, /* another thread is taking the credit; wait on the tree */
    WEIR__SLOW_CLOSED = 2 /* keep no credit; look whether the account can go */
};

/* The kinds that are counted stand behind those that are bytes: one comparison tells them apart. */
#define WEIR__BYTE_KINDS WEIR_KIND_MAPPING

/* Top bit of `holds`. */
#define WEIR__HOLDS_CLOSED (UINT64_C(1) << 63)

struct weir__cells;

struct weir_account {
    /* Owned accounts: written by the owner only (slow: by drainers too). */
    alignas(64) _Atomic uint32_t busy;
    _Atomic uint32_t slow;
    _Atomic uint64_t credit;
    _Atomic uint64_t used;
    _Atomic uint64_t peak; /* shared: of granted */
    _Atomic uint64_t limit;
    struct weir_account *holder; /* NULL: shared */
    struct weir_account *parent; /* NULL: host */
    union {
        _Atomic uint64_t reserved; /* holders: used and credit together stay at least this */
        _Atomic(struct weir__cells *) cells; /* shared: NULL or cells.h */
    };
    _Atomic uint64_t kinds[WEIR_KIND_COUNT];
    _Atomic uint64_t kind_peaks[WEIR_KIND_COUNT];

    /* What fills the owner's last line: set once, or about the account's own subtree. */
    void (*drained)(void *context);
    void *drained_context;
    uint8_t role; /* enum weir_account_role */
    uint8_t depth;
    bool is_housed; /* the record lies in a mapping of its own (account_house.c) */
    _Atomic uint32_t charge_count; /* shared: since cells were last considered */
    struct weir_account *first_child; /* from here on under weir__tree */
    uint32_t child_count;
    uint32_t pins;
    bool closed; /* by its owner; owned accounts */
    bool dead;   /* closed and empty; goes with its last pin */

    /* Shared accounts: written by anyone. */
    alignas(64) _Atomic uint64_t granted;
    _Atomic uint64_t holds; /* own amounts of all kinds + children; and WEIR__HOLDS_CLOSED */
    _Atomic uint64_t refused;

    struct weir_account *next; /* under weir__tree: siblings write them */
    struct weir_account *previous;
    char name[WEIR_ACCOUNT_NAME_SIZE];
};
/* Every instance at rest pays for one: no line of padding. */
static_assert(sizeof(struct weir_account) <= 9 * 64, "an account is nine cache lines");

/* Things counted process-wide, each with a limit of its own. */
struct weir__count {
    _Atomic uint64_t used;
    _Atomic uint64_t limit;
    uint64_t system_limit; /* before the reserve */
};

struct weir__ledger {
    pthread_mutex_t tree;
    uint64_t account_count;        /* under tree */
    struct weir_account_peak peak; /* under tree */
    _Atomic uint32_t at_peak;      /* the host is at its highest; composition not taken yet */
    _Atomic uint32_t failing;      /* weir_ledger_fail_nth() is armed */
    uint32_t slab_bytes;           /* 0 where membarrier is missing */
    uint32_t keep_bytes;
    struct weir__count counts[WEIR_KIND_COUNT]; /* of the kinds of unit N */
    struct weir_account host;
};
extern struct weir__ledger weir__ledger;

static inline uint64_t weir__get(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static inline void weir__set(_Atomic uint64_t *figure, uint64_t value)
{
    atomic_store_explicit(figure, value, memory_order_relaxed);
}

/* *figure = max(*figure, value), from any thread. */
static inline bool weir__raise(_Atomic uint64_t *figure, uint64_t value)
{
    uint64_t seen = weir__get(figure);
    while (seen < value)
        if (atomic_compare_exchange_weak_explicit(figure, &seen, value, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static inline uint64_t weir__limit_of(const struct weir_account *account)
{
    uint64_t limit = weir__get(&account->limit);
    return limit < WEIR__BYTES_MAX ? limit : WEIR__BYTES_MAX;
}

/* The owner's section. False: something is to be done first; the section was not entered. */
static inline bool weir__section_enter(_Atomic uint32_t *busy, const _Atomic uint32_t *slow,
                                       uint32_t slow_mask)
{
    atomic_store_explicit(busy, 1, memory_order_relaxed);
    /* The compiler keeps the order here; the drainer's membarrier makes the processor keep it. */
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect((atomic_load_explicit(slow, memory_order_acquire) & slow_mask) == 0, 1))
        return true;
    atomic_store_explicit(busy, 0, memory_order_release);
    return false;
}

static inline void weir__section_leave(_Atomic uint32_t *busy)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(busy, 0, memory_order_release);
}

/* Of a holder's credit, what it was promised and nobody may take. */
static inline uint64_t weir__promised(const struct weir_account *holder)
{
    uint64_t reserved = weir__get(&holder->reserved);
    uint64_t used = weir__get(&holder->used);
    return reserved > used ? reserved - used : 0;
}

void weir__tree_lock(void);
void weir__tree_unlock(void);

/* The next account of the subtree of `root`, parents first; NULL at its end. Under the tree. */
struct weir_account *weir__tree_next(const struct weir_account *root, struct weir_account *at,
                                     bool below);
/* Sums kinds over the subtree. Under the tree. */
void weir__tree_sum(const struct weir_account *root, uint64_t ret_kinds[WEIR_KIND_COUNT]);

/* Bytes for a chain of shared accounts from `account` (which may be NULL) up to the host: all or
 * nothing. On refusal *ret_level is the account that had no room. */
bool weir__grant(struct weir_account *account, uint64_t amount, struct weir_account **ret_level);
void weir__ungrant(struct weir_account *account, uint64_t amount);
/* How much more than it needs a holder or cell may ask of the chain: less the nearer a limit is. */
uint64_t weir__slab(const struct weir_account *account, uint64_t need);

/* Takes idle credit under `level` back, if there is enough of it for `amount` to fit. `asker` is
 * the holder that asks and is passed over. Returns whether it is worth trying again. */
bool weir__drain(struct weir_account *level, const struct weir_account *asker, uint64_t amount);

/* A holder's idle credit goes back to its parent. By its owner. */
void weir__credit_return(struct weir_account *holder);

/* Takes `amount` off the holds of a shared account, which may be gone afterwards. */
void weir__unhold(struct weir_account *account, uint64_t amount);

/* An owned account's last byte or child went after it was closed: lets it go if it is empty. */
void weir__account_settle(struct weir_account *account);
/* As above for a shared account whose holds came down to WEIR__HOLDS_CLOSED. */
void weir__account_gone(struct weir_account *account);

/* A walker steps off. Under the tree, which it may let go for a moment. */
void weir__account_unpin(struct weir_account *account);

/* Takes the composition of the peak if the host is at it. Before anything is discharged. */
void weir__peak_capture(void);
static inline void weir__peak_leave(void)
{
    if (atomic_load_explicit(&weir__ledger.at_peak, memory_order_relaxed) != 0)
        weir__peak_capture();
}

/* The steps of weir_account_new(): the place, a zeroed record, the tree (account.c). */
enum weir_status weir__account_may_stand(const struct weir_account *parent,
                                         enum weir_account_role role, const char *name,
                                         struct weir_error *error);
void weir__account_fill(struct weir_account *account, struct weir_account *parent,
                        enum weir_account_role role, const char *name, uint64_t limit_bytes);
void weir__account_link(struct weir_account *account);
/* What a holder held is the host's from here on: granted below the host only shrinks, so nothing
 * can be refused. By its owner (charge.c). */
void weir__move_to_host(struct weir_account *holder, enum weir_kind kind, uint64_t amount,
                        enum weir_kind host_kind);

/* The registered mapping that `address` is in, or else the first behind it. */
struct weir_mapping;
bool weir__mapping_next(uint64_t address, struct weir_mapping *ret_mapping);

struct weir_mapping_entry;
void *weir__map_pages(size_t size, int protection, int flags, struct weir_error *error);
void weir__mapping_enter(struct weir_mapping_entry *entry, const struct weir_mapping *mapping);
/* From here on the host's metadata, by the registry; returns what it was. */
struct weir_mapping weir__mapping_give_to_host(struct weir_mapping_entry *entry);
/* The pages of a dead account, its record with them (account_house.c). */
void weir__house_free(struct weir_account *account);

/* weir_account_alloc() for those who want the status. */
enum weir_status weir__alloc(struct weir_account *account, enum weir_kind kind, size_t bytes,
                             void **ret_memory, struct weir_error *error) WEIR_MUST_USE;
/* Bytes as malloc holds them, for weir_ledger_heap_bytes(). */
void weir__heap_add(void *memory);
void weir__heap_remove(void *memory);

/* Counts one attempt; true when this is the one that must fail. Only while failing is armed. */
bool weir__fail_now(void);

/* Reports: who asked for how much, which limit refused, the chain. Counts the refusal. */
enum weir_status weir__refuse(struct weir_account *asker, enum weir_kind kind, uint64_t amount,
                              struct weir_account *level, struct weir_error *error);
enum weir_status weir__refuse_count(struct weir_account *asker, enum weir_kind kind,
                                    uint64_t amount, struct weir_error *error);

#endif
