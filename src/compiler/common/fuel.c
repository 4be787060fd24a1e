/* The plain cost table, and the class of every opcode. */
#include "compiler/common/fuel.h"

const struct weir_fuel_costs weir_fuel_costs_plain = {
    .class_costs =
        {
#define WEIR_FUEL_CLASS(id, cost, what) [WEIR_FUEL_##id] = (cost),
#include <weir/fuel_costs.def>
#undef WEIR_FUEL_CLASS
        },
    .points = WEIR_FUEL_AT_BLOCK_ENTRY,
    .free_locals = UINT32_MAX,
    .per_more_local = 0,
};

/* OPERATOR is 1 and must be spelled for the many: the table is filled with it, then amended. */
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

const uint8_t weir_fuel_classes[WEIR_OP_COUNT] = {
#define WEIR_OPCODE(id, prefix, code, name, imm, signature, width, feature)                        \
    [WEIR_OP_##id] = WEIR_FUEL_OPERATOR,
#include "wasm/opcodes.def"
#undef WEIR_OPCODE
    [WEIR_OP_NOP] = WEIR_FUEL_STRUCTURE,    [WEIR_OP_BLOCK] = WEIR_FUEL_STRUCTURE,
    [WEIR_OP_LOOP] = WEIR_FUEL_LOOP,        [WEIR_OP_END] = WEIR_FUEL_END,
    [WEIR_OP_IF] = WEIR_FUEL_BRANCH,        [WEIR_OP_ELSE] = WEIR_FUEL_BRANCH,
    [WEIR_OP_BR] = WEIR_FUEL_BRANCH,        [WEIR_OP_BR_IF] = WEIR_FUEL_BRANCH,
    [WEIR_OP_BR_TABLE] = WEIR_FUEL_BRANCH,  [WEIR_OP_RETURN] = WEIR_FUEL_BRANCH,
    [WEIR_OP_CALL] = WEIR_FUEL_CALL,        [WEIR_OP_CALL_INDIRECT] = WEIR_FUEL_CALL,
    [WEIR_OP_RETURN_CALL] = WEIR_FUEL_CALL, [WEIR_OP_RETURN_CALL_INDIRECT] = WEIR_FUEL_CALL,
    [WEIR_OP_I32_DIV_S] = WEIR_FUEL_DIVIDE, [WEIR_OP_I32_DIV_U] = WEIR_FUEL_DIVIDE,
    [WEIR_OP_I32_REM_S] = WEIR_FUEL_DIVIDE, [WEIR_OP_I32_REM_U] = WEIR_FUEL_DIVIDE,
    [WEIR_OP_I64_DIV_S] = WEIR_FUEL_DIVIDE, [WEIR_OP_I64_DIV_U] = WEIR_FUEL_DIVIDE,
    [WEIR_OP_I64_REM_S] = WEIR_FUEL_DIVIDE, [WEIR_OP_I64_REM_U] = WEIR_FUEL_DIVIDE,
    [WEIR_OP_MEMORY_GROW] = WEIR_FUEL_GROW, [WEIR_OP_TABLE_GROW] = WEIR_FUEL_GROW,
};
