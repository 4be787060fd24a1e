/* Charging and discharging: the hot path of the ledger and what stands behind it.
 *
 * A charge of a store that fits its credit and its limits is a handful of plain loads and stores
 * on lines of its own (ledger_internal.h tells how others may still take the credit). So is one of
 * a shared account that the thread's cell serves (cells.h). Everything else goes to shared
 * accounts, by compare-and-swap from the asker up to the host, all or nothing.
 * A charge that is refused leaves no trace but a count.
 */
#include "ledger/cells.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define B true
#define N false
#define WEIR_KIND(id, name, unit, covers)                                                          \
    static_assert((unit) == (WEIR_KIND_##id < WEIR__BYTE_KINDS), "bytes before counts");
#include <weir/account_kinds.def>
#undef WEIR_KIND
#undef B
#undef N

static inline bool is_bytes(enum weir_kind kind)
{
    return (unsigned)kind < WEIR__BYTE_KINDS;
}

bool weir_kind_is_bytes(enum weir_kind kind)
{
    return is_bytes(kind);
}

/* --- the owner's section ------------------------------------------------------------------- */

static inline bool enter(struct weir_account *holder, uint32_t slow_mask)
{
    return weir__section_enter(&holder->busy, &holder->slow, slow_mask);
}

static inline void leave(struct weir_account *holder)
{
    weir__section_leave(&holder->busy);
}

static void enter_wait(struct weir_account *holder)
{
    while (!enter(holder, WEIR__SLOW_DRAIN)) {
        weir__tree_lock(); /* the drainer holds it until it is done */
        weir__tree_unlock();
    }
}

static inline void bump(_Atomic uint64_t *figure, _Atomic uint64_t *peak, uint64_t amount)
{
    uint64_t now = weir__get(figure) + amount;
    weir__set(figure, now);
    if (now > weir__get(peak))
        weir__set(peak, now);
}

static inline void drop(_Atomic uint64_t *figure, uint64_t amount)
{
    uint64_t had = weir__get(figure);
    WEIR_ASSERT(amount <= had);
    weir__set(figure, had - amount);
}

/* Inside the owner's section. */
static inline void note_charge(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    bump(&account->kinds[kind], &account->kind_peaks[kind], amount);
    bump(&account->used, &account->peak, amount);
}

static inline bool fits(const struct weir_account *account, uint64_t amount)
{
    uint64_t limit = weir__get(&account->limit);
    uint64_t used = weir__get(&account->used);
    return used <= limit && amount <= limit - used;
}

/* --- shared accounts ----------------------------------------------------------------------- */

bool weir__grant(struct weir_account *account, uint64_t amount, struct weir_account **ret_level)
{
    uint64_t now[WEIR__DEPTH_MAX] = {0};
    unsigned level = 0;
    if (UNLIKELY(amount > WEIR__BYTES_MAX)) {
        *ret_level = &weir__ledger.host;
        return false;
    }
    for (struct weir_account *at = account; at != NULL; at = at->parent, level++) {
        uint64_t limit = weir__limit_of(at);
        uint64_t seen = weir__get(&at->granted);
        do {
            if (UNLIKELY(seen > limit || amount > limit - seen)) {
                for (struct weir_account *under = account; under != at; under = under->parent)
                    atomic_fetch_sub_explicit(&under->granted, amount, memory_order_relaxed);
                *ret_level = at;
                return false;
            }
            now[level] = seen + amount;
        } while (!atomic_compare_exchange_weak_explicit(
            &at->granted, &seen, now[level], memory_order_relaxed, memory_order_relaxed));
    }
    level = 0;
    for (struct weir_account *at = account; at != NULL; at = at->parent, level++)
        if (weir__raise(&at->peak, now[level]) && at->parent == NULL)
            atomic_store_explicit(&weir__ledger.at_peak, 1, memory_order_relaxed);
    return true;
}

void weir__ungrant(struct weir_account *account, uint64_t amount)
{
    for (struct weir_account *at = account; at != NULL; at = at->parent) {
        uint64_t had = atomic_fetch_sub_explicit(&at->granted, amount, memory_order_relaxed);
        WEIR_ASSERT(amount <= had);
    }
}

/* grant with what is idle elsewhere taken back first. */
static bool grant_hard(struct weir_account *account, const struct weir_account *asker,
                       uint64_t amount, struct weir_account **ret_level)
{
    /* Each round frees one level of the chain; a level can fill up again meanwhile. */
    for (unsigned round = 0; round < WEIR__DEPTH_MAX; round++) {
        if (weir__grant(account, amount, ret_level))
            return true;
        if (!weir__drain(*ret_level, asker, amount))
            return false;
    }
    return false;
}

/* What a shared account itself holds. */
static void hold(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    atomic_fetch_add_explicit(&account->holds, amount, memory_order_relaxed);
    uint64_t had = atomic_fetch_add_explicit(&account->kinds[kind], amount, memory_order_relaxed);
    if (is_bytes(kind))
        weir__kind_peak_note(account, kind, had + amount);
    else
        (void)weir__raise(&account->kind_peaks[kind], had + amount);
}

static enum weir_status charge_shared(struct weir_account *account, enum weir_kind kind,
                                      uint64_t amount, struct weir_error *error)
{
    struct weir_account *level;
    if (!grant_hard(account, NULL, amount, &level))
        return weir__refuse(account, kind, amount, level, error);
    hold(account, kind, amount);
    weir__cells_consider(account);
    return WEIR_OK;
}

void weir__unhold(struct weir_account *account, uint64_t amount)
{
    uint64_t had = atomic_fetch_sub_explicit(&account->holds, amount, memory_order_acq_rel);
    if (had == (WEIR__HOLDS_CLOSED | amount))
        weir__account_gone(account);
}

/* Some of it was charged from cells of other threads: with them stopped it is all here. */
static void drop_stopped(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    weir__tree_lock();
    weir__cells_stop(account);
    uint64_t had = atomic_fetch_sub_explicit(&account->kinds[kind], amount, memory_order_relaxed);
    WEIR_ASSERT(amount <= had);
    weir__tree_unlock();
}

static void discharge_shared(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    weir__peak_leave();
    uint64_t had = weir__get(&account->kinds[kind]);
    while (amount <= had &&
           !atomic_compare_exchange_weak_explicit(&account->kinds[kind], &had, had - amount,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
    if (UNLIKELY(amount > had))
        drop_stopped(account, kind, amount);
    weir__ungrant(account, amount);
    weir__unhold(account, amount);
}

/* --- stores and instances ------------------------------------------------------------------ */

static inline bool is_closed(const struct weir_account *account)
{
    return (atomic_load_explicit(&account->slow, memory_order_relaxed) & WEIR__SLOW_CLOSED) != 0;
}

uint64_t weir__slab(const struct weir_account *account, uint64_t need)
{
    uint64_t slab = weir__ledger.slab_bytes;
    for (const struct weir_account *at = account; at != NULL; at = at->parent) {
        uint64_t limit = weir__limit_of(at);
        uint64_t granted = weir__get(&at->granted);
        uint64_t room = limit > granted ? limit - granted : 0;
        room = room > need ? (room - need) / WEIR__SLAB_SHARE : 0;
        slab = room < slab ? room : slab;
    }
    return slab;
}

void weir__credit_return(struct weir_account *holder)
{
    enter_wait(holder);
    uint64_t credit = weir__get(&holder->credit);
    weir__set(&holder->credit, 0);
    weir__set(&holder->reserved, 0);
    leave(holder);
    if (credit != 0)
        weir__ungrant(holder->parent, credit);
}

/* Settles what the hot path left: more credit, limits, draining, closed accounts. */
static __attribute__((noinline)) enum weir_status charge_slow(struct weir_account *account,
                                                              enum weir_kind kind, uint64_t amount,
                                                              struct weir_error *error)
{
    struct weir_account *holder = account->holder;
    struct weir_account *level = NULL;
    uint64_t got = 0;
    for (;;) {
        enter_wait(holder);
        uint64_t credit = weir__get(&holder->credit) + got;
        weir__set(&holder->credit, credit);
        level = !fits(account, amount) ? account : !fits(holder, amount) ? holder : NULL;
        if (level == NULL && amount <= credit) {
            weir__set(&holder->credit, credit - amount);
            note_charge(holder, kind, amount);
            if (account != holder)
                note_charge(account, kind, amount);
            leave(holder);
            return WEIR_OK;
        }
        leave(holder);
        if (level != NULL) {
            if (is_closed(holder))
                weir__credit_return(holder);
            return weir__refuse(account, kind, amount, level, error);
        }
        uint64_t need = amount - credit;
        uint64_t slab = is_closed(holder) ? 0 : weir__slab(holder->parent, need);
        if (slab != 0 && weir__grant(holder->parent, need + slab, &level))
            got = need + slab;
        else if (grant_hard(holder->parent, holder, need, &level))
            got = need;
        else
            return weir__refuse(account, kind, amount, level, error);
    }
}

static __attribute__((noinline)) void discharge_slow(struct weir_account *account,
                                                     enum weir_kind kind, uint64_t amount)
{
    struct weir_account *holder = account->holder;
    weir__peak_leave();
    enter_wait(holder);
    bool closed = is_closed(holder);
    drop(&holder->kinds[kind], amount);
    drop(&holder->used, amount);
    if (account != holder) {
        drop(&account->kinds[kind], amount);
        drop(&account->used, amount);
    }
    uint64_t credit = weir__get(&holder->credit) + amount;
    uint64_t promised = weir__promised(holder);
    uint64_t keep = closed                               ? 0
                    : promised > weir__ledger.slab_bytes ? promised
                                                         : weir__ledger.slab_bytes;
    uint64_t excess = credit > keep ? credit - keep : 0;
    weir__set(&holder->credit, credit - excess);
    leave(holder);
    if (excess != 0)
        weir__ungrant(holder->parent, excess);
    if (is_closed(account))
        weir__account_settle(account);
}

void weir__move_to_host(struct weir_account *holder, enum weir_kind kind, uint64_t amount,
                        enum weir_kind host_kind)
{
    struct weir_account *host = weir_account_host();
    weir__peak_leave();
    enter_wait(holder);
    drop(&holder->kinds[kind], amount);
    if (is_bytes(kind))
        drop(&holder->used, amount);
    leave(holder);
    hold(host, host_kind, amount);
    for (struct weir_account *at = holder->parent; is_bytes(kind) && at != host; at = at->parent) {
        uint64_t granted = atomic_fetch_sub_explicit(&at->granted, amount, memory_order_relaxed);
        WEIR_ASSERT(amount <= granted);
    }
}

/* --- reservations -------------------------------------------------------------------------- */

void weir_account_unreserve(struct weir_account *account)
{
    WEIR_ASSERT(account->holder == account);
    enter_wait(account);
    weir__set(&account->reserved, 0);
    uint64_t credit = weir__get(&account->credit);
    uint64_t keep = is_closed(account) ? 0 : weir__ledger.slab_bytes;
    uint64_t excess = credit > keep ? credit - keep : 0;
    weir__set(&account->credit, credit - excess);
    leave(account);
    if (excess != 0)
        weir__ungrant(account->parent, excess);
}

enum weir_status weir_account_reserve(struct weir_account *account, uint64_t bytes,
                                      struct weir_error *error)
{
    WEIR_ASSERT(account->holder == account);
    struct weir_account *level = account;
    bool is_failing = atomic_load_explicit(&weir__ledger.failing, memory_order_relaxed) != 0;
    if (is_failing && weir__fail_now())
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "this reservation was made to fail");
    enter_wait(account);
    /* First the promise, so that no drainer takes what is granted next. */
    weir__set(&account->reserved, bytes);
    uint64_t have = weir__get(&account->used) + weir__get(&account->credit);
    leave(account);
    uint64_t need = bytes > have ? bytes - have : 0;
    if (bytes > weir__limit_of(account) ||
        (need != 0 && !grant_hard(account->parent, account, need, &level))) {
        weir_account_unreserve(account);
        return weir__refuse(account, WEIR_KIND_LINEAR_MEMORY, need != 0 ? need : bytes, level,
                            error);
    }
    enter_wait(account);
    weir__set(&account->credit, weir__get(&account->credit) + need);
    leave(account);
    return WEIR_OK;
}

/* --- things that are counted --------------------------------------------------------------- */

static enum weir_status charge_count(struct weir_account *account, enum weir_kind kind,
                                     uint64_t amount, struct weir_error *error)
{
    struct weir__count *count = &weir__ledger.counts[kind];
    uint64_t limit = weir__get(&count->limit);
    uint64_t seen = weir__get(&count->used);
    do {
        if (seen > limit || amount > limit - seen)
            return weir__refuse_count(account, kind, amount, error);
    } while (!atomic_compare_exchange_weak_explicit(&count->used, &seen, seen + amount,
                                                    memory_order_relaxed, memory_order_relaxed));
    struct weir_account *holder = account->holder;
    if (holder == NULL) {
        hold(account, kind, amount);
        return WEIR_OK;
    }
    bump(&holder->kinds[kind], &holder->kind_peaks[kind], amount);
    if (account != holder)
        bump(&account->kinds[kind], &account->kind_peaks[kind], amount);
    return WEIR_OK;
}

static void discharge_count(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    atomic_fetch_sub_explicit(&weir__ledger.counts[kind].used, amount, memory_order_relaxed);
    struct weir_account *holder = account->holder;
    if (holder == NULL) {
        uint64_t had =
            atomic_fetch_sub_explicit(&account->kinds[kind], amount, memory_order_relaxed);
        WEIR_ASSERT(amount <= had);
        weir__unhold(account, amount);
        return;
    }
    drop(&holder->kinds[kind], amount);
    if (account != holder)
        drop(&account->kinds[kind], amount);
    if (is_closed(account))
        weir__account_settle(account);
}

/* --- the two calls ------------------------------------------------------------------------- */

__attribute__((noinline)) enum weir_status weir__charge_whole(struct weir_account *account,
                                                              enum weir_kind kind, uint64_t amount,
                                                              struct weir_error *error)
{
    WEIR_ASSERT((unsigned)kind < WEIR_KIND_COUNT);
    if (atomic_load_explicit(&weir__ledger.failing, memory_order_relaxed) != 0 && weir__fail_now())
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                              "this charge of %s was made to fail", weir_kind_name(kind));
    if (amount == 0)
        return WEIR_OK;
    if (!is_bytes(kind))
        return charge_count(account, kind, amount, error);
    if (account->holder != NULL)
        return charge_slow(account, kind, amount, error);
    return charge_shared(account, kind, amount, error);
}

enum weir_status weir_account_charge(struct weir_account *account, enum weir_kind kind,
                                     uint64_t amount, struct weir_error *error)
{
    struct weir_account *holder = account->holder;
    if (UNLIKELY(!is_bytes(kind) ||
                 atomic_load_explicit(&weir__ledger.failing, memory_order_relaxed) != 0))
        return weir__charge_whole(account, kind, amount, error);
    if (holder == NULL)
        return weir__cell_charge(account, kind, amount, error);
    if (LIKELY(enter(holder, WEIR__SLOW_DRAIN))) {
        uint64_t credit = weir__get(&holder->credit);
        if (LIKELY(amount <= credit && fits(holder, amount)) &&
            (account == holder || LIKELY(fits(account, amount)))) {
            weir__set(&holder->credit, credit - amount);
            note_charge(holder, kind, amount);
            if (account != holder)
                note_charge(account, kind, amount);
            leave(holder);
            return WEIR_OK;
        }
        leave(holder);
    }
    return weir__charge_whole(account, kind, amount, error);
}

__attribute__((noinline)) void weir__discharge_whole(struct weir_account *account,
                                                     enum weir_kind kind, uint64_t amount)
{
    WEIR_ASSERT((unsigned)kind < WEIR_KIND_COUNT);
    if (amount == 0)
        return;
    if (!is_bytes(kind))
        discharge_count(account, kind, amount);
    else if (account->holder != NULL)
        discharge_slow(account, kind, amount);
    else
        discharge_shared(account, kind, amount);
}

void weir_account_discharge(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    struct weir_account *holder = account->holder;
    if (UNLIKELY(!is_bytes(kind))) {
        weir__discharge_whole(account, kind, amount);
        return;
    }
    if (holder == NULL) {
        weir__cell_discharge(account, kind, amount);
        return;
    }
    if (LIKELY(enter(holder, WEIR__SLOW_DRAIN | WEIR__SLOW_CLOSED))) {
        uint64_t credit = weir__get(&holder->credit);
        /* An instance can be closed while its store is not. */
        bool closed =
            account != holder && atomic_load_explicit(&account->slow, memory_order_relaxed) != 0;
        if (LIKELY(amount <= weir__ledger.keep_bytes &&
                   credit + amount <= weir__ledger.keep_bytes) &&
            LIKELY(!closed)) {
            drop(&holder->kinds[kind], amount);
            drop(&holder->used, amount);
            if (account != holder) {
                drop(&account->kinds[kind], amount);
                drop(&account->used, amount);
            }
            weir__set(&holder->credit, credit + amount);
            leave(holder);
            return;
        }
        leave(holder);
    }
    weir__discharge_whole(account, kind, amount);
}
