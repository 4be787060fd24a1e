/* The module cache towards Weir's own folders: what it may take, for the plan. */
#ifndef WEIR_CACHE_CACHE_H
#define WEIR_CACHE_CACHE_H

#include <weir/cache.h>

#include "ledger/ledger.h"

/* Its bookkeeping, and what the tiers in memory keep. Of a library of its own, which needs no
 * engine. */
void weir_cache_config_bounds(const struct weir_cache_config *config, weir_bound_report *report,
                              void *context);

#endif
