/* What the host was made of when it held the most.
 *
 * A new peak only sets a mark. The composition is taken when the host is about to leave the peak,
 * that is before the first discharge that reaches it, so a steady climb costs nothing. What stores
 * give back into their own credit (at most WEIR__KEEP_BYTES each) does not count as leaving.
 */
#include "ledger/ledger_internal.h"

#include <string.h>

#include "base/clock.h"

static bool is_new_peak(uint64_t used)
{
    uint64_t known = weir__ledger.peak.used_bytes;
    if (weir__ledger.account_count <= WEIR__PEAK_ACCOUNTS)
        return used > known;
    return used > known && used - known >= known / WEIR__PEAK_SHARE;
}

/* Under the tree. */
static void take_composition(void)
{
    struct weir_account *host = &weir__ledger.host;
    uint64_t kinds[WEIR_KIND_COUNT];
    weir__tree_sum(host, kinds);
    uint64_t used = 0;
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++) {
        (void)weir__raise(&host->kind_peaks[kind], kinds[kind]);
        if (weir_kind_is_bytes((enum weir_kind)kind))
            used += kinds[kind];
    }
    if (used <= weir__ledger.peak.used_bytes)
        return;
    weir__ledger.peak.used_bytes = used;
    weir__ledger.peak.at_ms = weir_clock_ms();
    memcpy(weir__ledger.peak.kinds, kinds, sizeof kinds);
}

void weir__peak_capture(void)
{
    weir__tree_lock();
    if (atomic_exchange_explicit(&weir__ledger.at_peak, 0, memory_order_relaxed) != 0 &&
        is_new_peak(weir__get(&weir__ledger.host.granted)))
        take_composition();
    weir__tree_unlock();
}

void weir_account_host_peak(struct weir_account_peak *ret)
{
    (void)weir_account_host();
    weir__tree_lock();
    if (atomic_load_explicit(&weir__ledger.at_peak, memory_order_relaxed) != 0)
        take_composition();
    *ret = weir__ledger.peak;
    weir__tree_unlock();
}
