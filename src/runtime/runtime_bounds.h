/* What the runtime may take, for a plan: slots and what waits for the next one, code of modules,
 * the compiler's processes. From the limits of this folder alone, so that a program can plan
 * without an engine; a library of its own.
 */
#ifndef WEIR_RUNTIME_RUNTIME_BOUNDS_H
#define WEIR_RUNTIME_RUNTIME_BOUNDS_H

#include "ledger/ledger.h"

struct weir_runtime_demand {
    uint64_t slots;        /* guests that run at once */
    uint64_t warm;         /* of these, kept ready while idle */
    uint64_t memory_bytes; /* that all slots together may hold */
    uint64_t threads;      /* that enter guests */
};
/* Idle guests and their stacks, signal stacks, records of slots and engines, page tables. */
void weir_runtime_bounds(const struct weir_runtime_demand *demand, weir_bound_report *report,
                         void *context);

/* What a module's code takes. From the artifact in `cache_dir` (NULL: none) when there is one for
 * an engine of default features with or without fuel; otherwise by the largest ratio ever measured.
 * Errors of reading the file. */
struct weir_module_weight {
    uint64_t module_bytes;
    uint64_t code_bytes; /* file-backed: page cache */
    bool is_compiled;
};
enum weir_status weir_module_weigh(const char *path, bool has_fuel, const char *cache_dir,
                                   struct weir_module_weight *ret_weight, struct weir_error *error)
    WEIR_MUST_USE;

struct weir_code_demand {
    uint64_t modules, compiled; /* how many, and how many of them are compiled already */
    uint64_t code_bytes;        /* of all */
    uint64_t largest_bytes;     /* the largest module that is not compiled yet; 0: none */
};
/* Module code, and one compile job at a time. */
void weir_code_bounds(const struct weir_code_demand *demand, weir_bound_report *report,
                      void *context);

#endif
