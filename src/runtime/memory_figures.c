/* The four figures of a memory, never mixed (DESIGN 5.1): reserved, accessible, resident, private.
 *
 * Resident and private come from /proc/self/pagemap: present pages, and those that are this
 * process's own, swap included. Reading costs about 1 µs per 512 pages, so it is for reports. */
#include <weir/extern.h>

#include "runtime/store_internal.h"

enum weir_status weir_memory_figures(const struct weir_memory *memory,
                                     struct weir_memory_figures *ret, struct weir_error *error)
{
    struct weir_memory_figures figures = {.reserved_bytes = memory->mapping.size,
                                          .accessible_bytes = memory->vm.size_bytes,
                                          .peak_bytes = memory->peak_bytes,
                                          .limit_bytes = memory->limit_bytes};
    uint64_t begin = (uint64_t)memory->vm.base;
    uint64_t end = begin + memory->vm.size_bytes;
    enum weir_status status =
        weir__resident_count(begin, end, &figures.resident_bytes, &figures.private_bytes, error);
    if (status != WEIR_OK)
        return status;
    *ret = figures;
    return WEIR_OK;
}
