/* Buffers, paths and records of a context are charged to its store; only descriptors are the
 * process's. */
#include "worlds/wasi/wasi_bounds.h"

#include <stdio.h>

#include "worlds/wasi/wasi_limits.h"

void weir_wasi_bounds(const struct weir_wasi_demand *demand, weir_bound_report *report,
                      void *context)
{
    if (demand->guests == 0)
        return;
    char source[128];
    (void)snprintf(source, sizeof source, "%llu guests with directories x %u descriptors",
                   (unsigned long long)demand->guests, WASI_DESCRIPTORS_DEFAULT);
    report(context, &(struct weir_bound){.what = "files of guests",
                                         .source = source,
                                         .descriptors = demand->guests * WASI_DESCRIPTORS_DEFAULT});
}
