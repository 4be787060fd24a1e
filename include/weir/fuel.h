/* Fuel: what instructions cost and where the cost is taken. One definition for every generator.
 *
 * Costs of a class accumulate along straight-line code and are subtracted from the store's fuel at
 * charge points; a result below zero traps. The same table gives the same consumption with every
 * generator, on every machine. Bulk operations charge per byte or element by themselves.
 */
#ifndef WEIR_FUEL_H
#define WEIR_FUEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_fuel_class {
#define WEIR_FUEL_CLASS(id, cost, what) WEIR_FUEL_##id,
#include <weir/fuel_costs.def>
#undef WEIR_FUEL_CLASS
    WEIR_FUEL_CLASS_COUNT
};

enum weir_fuel_points {
    /* On entry of each basic block, its whole cost: one charge per block, and none is left to run
     * on credit. A block begins at function entry, at a loop's header, after if, else, br_if and
     * after an end that is jumped to. */
    WEIR_FUEL_AT_BLOCK_ENTRY,
    /* Before each instruction of the classes LOOP, END, BRANCH and CALL: what has accumulated since
     * the last such point, the instruction itself included (CosmWasm). */
    WEIR_FUEL_BEFORE_ACCOUNTING
};

/* Largest prices: a charge, 50,000 locals included, fits a signed 32-bit immediate. */
#define WEIR_FUEL_COST_MAX (1u << 24)
#define WEIR_FUEL_LOCAL_COST_MAX (1u << 14)

struct weir_fuel_costs {
    uint32_t class_costs[WEIR_FUEL_CLASS_COUNT]; /* at most WEIR_FUEL_COST_MAX each */
    uint32_t points;                             /* enum weir_fuel_points */
    uint32_t free_locals;    /* declared locals (without parameters) that cost nothing */
    uint32_t per_more_local; /* each further one, charged on entry of the function; at most
                              * WEIR_FUEL_LOCAL_COST_MAX */
};

#ifdef __cplusplus
}
#endif
#endif
