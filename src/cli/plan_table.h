/* A plan as people read it: what may be taken, of what limit, and what to turn when it does not
 * fit. For `weir plan` and `weir serve`. */
#ifndef WEIR_CLI_PLAN_TABLE_H
#define WEIR_CLI_PLAN_TABLE_H

#include <stdio.h>

#include "govern/plan.h"

struct plan_number {
    char text[32];
};
/* "16,384" */
struct plan_number weir__plan_number(uint64_t number);

/* "5.1 MiB", "231 MiB": one unit for a whole table. */
struct plan_number weir_plan_mib(uint64_t bytes);

/* The verdict, every line, sums, counts. */
void weir_plan_table_print(const struct weir_plan *plan, FILE *to);
/* The knobs that could make it fit; `unit` is what a mebibyte is called here. */
void weir_plan_table_moves(const struct weir_plan *plan, const char *unit, FILE *to);
/* Lines that differ: old, new, difference; and the totals. Returns how many lines differ. */
size_t weir_plan_table_diff(const struct weir_plan *before, const struct weir_plan *after,
                            FILE *to);

#endif
