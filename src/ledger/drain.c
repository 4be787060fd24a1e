/* Taking idle credit back from stores before a charge is refused.
 *
 * Under the tree: every holder below the full account that has credit gets DRAIN into its `slow`
 * word; one membarrier; whoever is not inside its section now will find the mark before it touches
 * its credit again and wait on the tree. A holder that stays inside (preempted there) is passed
 * over. Cells of shared accounts below are stopped with the same barrier, and waited for. If all
 * the credit below would not be enough, nothing is disturbed.
 */
#include "ledger/cells.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool weir_barrier_everywhere(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return true;
    /* Registration is per address space; a child that got a new one asks again. */
    return errno == EPERM &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static bool is_idle_soon(const struct weir_account *holder)
{
    for (int spin = 0; spin < WEIR__DRAIN_SPINS; spin++) {
        if (atomic_load_explicit(&holder->busy, memory_order_acquire) == 0)
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static bool is_marked(const struct weir_account *account)
{
    return (atomic_load_explicit(&account->slow, memory_order_relaxed) & WEIR__SLOW_DRAIN) != 0;
}

/* Marks holders and cells below `level` that have credit; returns the sum of what they seemed to
 * have. */
static uint64_t mark(struct weir_account *level, const struct weir_account *asker)
{
    uint64_t seen = 0;
    for (struct weir_account *at = level; at != NULL;
         at = weir__tree_next(level, at, at->holder == NULL)) {
        if (at->holder == NULL) {
            seen += weir__cells_mark(at);
            continue;
        }
        uint64_t credit = at->holder == at && at != asker ? weir__get(&at->credit) : 0;
        uint64_t promised = weir__promised(at);
        if (credit <= promised)
            continue;
        seen += credit - promised;
        atomic_fetch_or_explicit(&at->slow, WEIR__SLOW_DRAIN, memory_order_relaxed);
    }
    return seen;
}

/* Unmarks all, and takes the credit of those that are idle if `take`. */
static uint64_t collect(struct weir_account *level, bool take)
{
    uint64_t taken = 0;
    for (struct weir_account *at = level; at != NULL;
         at = weir__tree_next(level, at, at->holder == NULL)) {
        if (at->holder == NULL && take)
            taken += weir__cells_merge(at);
        if (at->holder == NULL && !take)
            weir__cells_unmark(at);
        if (at->holder != at || !is_marked(at))
            continue;
        if (take && is_idle_soon(at)) {
            uint64_t credit = weir__get(&at->credit), promised = weir__promised(at);
            uint64_t spare = credit > promised ? credit - promised : 0;
            weir__set(&at->credit, credit - spare);
            weir__ungrant(at->parent, spare);
            taken += spare;
        }
        atomic_fetch_and_explicit(&at->slow, ~(uint32_t)WEIR__SLOW_DRAIN, memory_order_release);
    }
    return taken;
}

bool weir__drain(struct weir_account *level, const struct weir_account *asker, uint64_t amount)
{
    uint64_t limit = weir__limit_of(level);
    weir__tree_lock();
    uint64_t granted = weir__get(&level->granted);
    uint64_t room = limit > granted ? limit - granted : 0;
    if (amount <= room) { /* freed meanwhile */
        weir__tree_unlock();
        return true;
    }
    uint64_t over = granted > limit ? granted - limit : 0;
    uint64_t seen = mark(level, asker);
    bool enough = amount <= WEIR__BYTES_MAX && seen >= over && seen - over >= amount - room;
    uint64_t taken = collect(level, enough && weir_barrier_everywhere());
    weir__tree_unlock();
    return taken != 0;
}
