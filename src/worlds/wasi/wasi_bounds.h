/* What WASI contexts may take beside their stores' accounts, for a plan: descriptors. A library of
 * its own: no engine in it. */
#ifndef WEIR_WASI_BOUNDS_H
#define WEIR_WASI_BOUNDS_H

#include "ledger/ledger.h"

struct weir_wasi_demand {
    uint64_t guests; /* that run at once and have directories; others cannot open anything */
};
void weir_wasi_bounds(const struct weir_wasi_demand *demand, weir_bound_report *report,
                      void *context);

#endif
