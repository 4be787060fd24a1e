/* Starting what a process has once. Nothing here ends before the process does: handlers may be
 * needed as long as any code range is mapped, and others may have chained behind them. */
#include "runtime/process_internal.h"

#include <pthread.h>

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static bool has_reclaimers, has_signals;

static enum weir_status register_reclaimers(struct weir_error *error)
{
    static const struct weir_reclaimer reclaimers[] = {
        {.name = "warm slots", .reclaim = weir__pools_reclaim},
        {.name = "idle guest stacks", .reclaim = weir__stacks_reclaim}};
    for (size_t i = 0; i < sizeof reclaimers / sizeof reclaimers[0]; i++) {
        enum weir_status status = weir_ledger_add_reclaimer(&reclaimers[i], error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir__process_start(bool needs_signals, struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&start_lock);
    if (!has_reclaimers) {
        status = register_reclaimers(error);
        has_reclaimers = status == WEIR_OK;
    }
    if (needs_signals && !has_signals && status == WEIR_OK) {
        status = weir__signals_install(error);
        has_signals = status == WEIR_OK;
    }
    (void)pthread_mutex_unlock(&start_lock);
    return status;
}
