/* What the bulk builtins share. */
#ifndef WEIR_RUNTIME_BUILTINS_INTERNAL_H
#define WEIR_RUNTIME_BUILTINS_INTERNAL_H

#include <weir/extern.h>

#include "runtime/store_internal.h"

/* Before each slice of a bulk operation: looks up unless it is the last one, then pays for it.
 * WEIR__BACK_*; anything but OK means that the slice is not to be begun. */
int weir__bulk_step(struct weir_store *store, uint64_t cost, bool is_last);

#endif
