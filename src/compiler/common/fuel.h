/* The plain cost table, and which opcode is of which class (weir/fuel.h says what they are for). */
#ifndef WEIR_COMPILER_FUEL_H
#define WEIR_COMPILER_FUEL_H

#include <weir/fuel.h>

#include "wasm/insn.h"

extern const struct weir_fuel_costs weir_fuel_costs_plain;

extern const uint8_t weir_fuel_classes[WEIR_OP_COUNT]; /* enum weir_fuel_class */

static inline bool weir_fuel_is_accounting(enum weir_op op)
{
    unsigned class = weir_fuel_classes[op];
    return class >= WEIR_FUEL_LOOP && class <= WEIR_FUEL_CALL;
}

#endif
