/* The filters' lines of a plan. No engine, no HTTP server. */
#ifndef WEIR_SERVER_FILTER_PLAN_H
#define WEIR_SERVER_FILTER_PLAN_H

#include "ledger/ledger.h"
#include "server/server_config.h"

/* How many VMs there are at most, and all that plugins may hold. */
uint64_t weir_filter_plan_vms(const struct weir_server_config *config, uint64_t *ret_bytes);
/* Nothing where no route is filtered. */
void weir_filter_plan_report(const struct weir_server_config *config, weir_bound_report *report,
                             void *context);

#endif
