/* The module cache towards Weir's own folders: what it may take, for the plan. */
#ifndef WEIR_CACHE_CACHE_H
#define WEIR_CACHE_CACHE_H

#include <weir/cache.h>

#include "ledger/ledger.h"

/* One line per tier that takes memory, and its bookkeeping. */
void weir_cache_bounds(const struct weir_cache *cache, weir_bound_report *report, void *context);
/* The same for a configuration that is not open. */
void weir_cache_config_bounds(const struct weir_cache_config *config, weir_bound_report *report,
                              void *context);

#endif
