/* Reading accounts: one, or a whole subtree, from any thread.
 *
 * Figures of a subtree are summed from the exact figures of its accounts, so idle credit is never
 * in them. A store's figures include its instances', so sums stop at stores.
 */
#include "ledger/cells.h"

#include <string.h>

static const struct {
    const char *name;
    const char *covers;
} kind_texts[WEIR_KIND_COUNT] = {
#define WEIR_KIND(id, name, unit, covers) {name, covers},
#include <weir/account_kinds.def>
#undef WEIR_KIND
};

const char *weir_kind_name(enum weir_kind kind)
{
    return (unsigned)kind < WEIR_KIND_COUNT ? kind_texts[kind].name : "unknown";
}

const char *weir_kind_covers(enum weir_kind kind)
{
    return (unsigned)kind < WEIR_KIND_COUNT ? kind_texts[kind].covers : "";
}

struct weir_account *weir__tree_next(const struct weir_account *root, struct weir_account *at,
                                     bool below)
{
    if (below && at->first_child != NULL)
        return at->first_child;
    while (at != root) {
        if (at->next != NULL)
            return at->next;
        at = at->parent;
    }
    return NULL;
}

void weir__tree_sum(const struct weir_account *root, uint64_t ret_kinds[WEIR_KIND_COUNT])
{
    memset(ret_kinds, 0, WEIR_KIND_COUNT * sizeof ret_kinds[0]);
    struct weir_account *at = (struct weir_account *)root;
    while (at != NULL) {
        for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
            ret_kinds[kind] += weir__get(&at->kinds[kind]);
        for (int kind = 0; at->holder == NULL && kind < (int)WEIR__BYTE_KINDS; kind++)
            ret_kinds[kind] += weir__cells_held(at, (enum weir_kind)kind);
        at = weir__tree_next(root, at, at->holder == NULL);
    }
}

static uint64_t sum_promised(const struct weir_account *root)
{
    uint64_t sum = 0;
    struct weir_account *at = (struct weir_account *)root;
    for (; at != NULL; at = weir__tree_next(root, at, at->holder == NULL))
        sum += at->holder == at ? weir__promised(at) : 0;
    return sum;
}

/* The parts of a shared account's sum are read one after another, while others move bytes between
 * them: it may come out higher than there ever was. No moment had more than was granted at most. */
static void clip_sums(struct weir_account *account, struct weir_account_reading *ret)
{
    if (ret->used_bytes > ret->peak_bytes)
        ret->used_bytes = ret->peak_bytes;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++) {
        uint64_t seen = ret->kinds[kind];
        if (weir_kind_is_bytes((enum weir_kind)kind) && seen > ret->peak_bytes)
            seen = ret->peak_bytes;
        /* A shared account sees its sums only when someone looks. */
        (void)weir__raise(&account->kind_peaks[kind], seen);
    }
}

/* Under the tree, unless the account is owned. */
static void read_account(const struct weir_account *account, struct weir_account_reading *ret)
{
    memcpy(ret->name, account->name, sizeof ret->name);
    ret->role = account->role;
    ret->limit_bytes = weir__get(&account->limit);
    ret->refused_count = weir__get(&account->refused);
    weir__tree_sum(account, ret->kinds);
    ret->reserved_bytes = sum_promised(account);
    ret->used_bytes = 0;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        if (weir_kind_is_bytes((enum weir_kind)kind))
            ret->used_bytes += ret->kinds[kind];
    atomic_thread_fence(memory_order_acquire);
    ret->peak_bytes = weir__get(&account->peak); /* not before what it is held against */
    if (account->holder == NULL)
        clip_sums((struct weir_account *)account, ret);
    else if (ret->peak_bytes < ret->used_bytes)
        ret->peak_bytes = ret->used_bytes;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        ret->kind_peaks[kind] = weir__get(&account->kind_peaks[kind]);
}

void weir_account_read(const struct weir_account *account, struct weir_account_reading *ret)
{
    if (account->holder != NULL) { /* its own figures are all it takes */
        read_account(account, ret);
        return;
    }
    weir__tree_lock();
    read_account(account, ret);
    weir__tree_unlock();
}

void weir_account_walk(struct weir_account *account,
                       bool (*visit)(void *context, unsigned depth,
                                     const struct weir_account_reading *reading),
                       void *context)
{
    struct weir_account_reading reading;
    bool more = true;
    weir__tree_lock();
    struct weir_account *at = account;
    at->pins++;
    while (at != NULL) {
        if (!at->dead) {
            read_account(at, &reading);
            unsigned depth = at->depth - account->depth;
            weir__tree_unlock();
            more = visit(context, depth, &reading);
            weir__tree_lock();
        }
        /* The pin keeps it linked, and with it all above it. */
        struct weir_account *next = more ? weir__tree_next(account, at, true) : NULL;
        if (next != NULL)
            next->pins++;
        weir__account_unpin(at);
        at = next;
    }
    weir__tree_unlock();
}

void weir_account_pending(const struct weir_account *account, struct weir_receipt *receipt)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    receipt->drained = true;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++) {
        receipt->pending[kind] = reading.kinds[kind];
        if (reading.kinds[kind] != 0)
            receipt->drained = false;
    }
}
