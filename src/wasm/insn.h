/* Instructions: one table (opcodes.def), one reader.
 *
 * Validator, generators and inspector all read code through weir_insn_read(); none of them decodes
 * an immediate by hand.
 */
#ifndef WEIR_WASM_INSN_H
#define WEIR_WASM_INSN_H

#include "wasm/module.h"

/* How the immediates of an opcode are laid out, and so which fields of struct weir_insn are set. */
enum weir_imm {
    WEIR_IMM_NONE,
    WEIR_IMM_BLOCK, /* block: block_type */
    WEIR_IMM_INDEX, /* index: label, local, global, function, table, data, elem ... */
    /* index, index2 in binary order: call_indirect (type, table), table.init (elem, table),
     * memory.init (data, memory), copies (destination, source) */
    WEIR_IMM_INDEX2,
    WEIR_IMM_BR_TABLE,    /* targets (position and count); default is read as the last one */
    WEIR_IMM_MEMARG,      /* memory, align, offset */
    WEIR_IMM_MEMARG_LANE, /* and lane */
    WEIR_IMM_LANE,        /* lane; in its own place, as for MEMARG_LANE */
    WEIR_IMM_I32,         /* bits, sign-extended */
    WEIR_IMM_I64,
    WEIR_IMM_F32, /* bits */
    WEIR_IMM_F64,
    WEIR_IMM_V128,         /* v128 */
    WEIR_IMM_SHUFFLE,      /* v128: sixteen lane indices */
    WEIR_IMM_TYPE,         /* type: ref.null */
    WEIR_IMM_SELECT_TYPES, /* type (the first), type_count (exactly one is valid) */
    WEIR_IMM_MEMORY,       /* index: memory.size, memory.grow, memory.fill */
};

#define WEIR_FEATURE_NONE 0u /* opcodes of the MVP */

/* Dense enumeration in table order: WEIR_OP_I32_ADD, ... */
enum weir_op {
#define WEIR_OPCODE(id, prefix, code, name, imm, signature, width, feature) WEIR_OP_##id,
#include "wasm/opcodes.def"
#undef WEIR_OPCODE
    WEIR_OP_COUNT
};

struct weir_op_info {
    const char *name; /* as the text format spells it */
    /* Operand and result types, "ii:i" (i I f F v, a = the memory's index type); NULL when the
     * rule is written by hand. */
    const char *signature;
    uint32_t code;
    uint32_t feature; /* bit of enum weir_feature, 0 for the MVP */
    uint8_t prefix;   /* 0, 0xfc, 0xfd */
    uint8_t imm;      /* enum weir_imm */
    uint8_t width;    /* bytes accessed (MEMARG*) or bytes of a lane (LANE); otherwise 0 */
};
extern const struct weir_op_info weir_op_infos[WEIR_OP_COUNT];

struct weir_insn {
    enum weir_op op;
    uint32_t offset; /* of the opcode, from the module's first byte */
    union {
        uint64_t bits;
        struct {
            uint32_t index;
            uint32_t index2;
        };
        struct {
            uint64_t mem_offset;
            uint32_t memory;
            uint8_t align; /* log2 */
            uint8_t lane;
        };
        struct {
            uint32_t target_count; /* default included, so at least 1 */
            uint32_t targets_offset;
        };
        struct {
            weir_wasm_type type;
            uint32_t type_count;
        };
        int64_t block_type; /* ≥ 0: type index; otherwise -(code) of a value type or of EMPTY */
        uint8_t v128[16];
    };
};

/* Reads from module->bytes; [position, end) is one body or expression. */
struct weir_insn_reader {
    const struct weir_wasm_module *module;
    uint32_t position;
    uint32_t end;
};

/* Reads one instruction and advances. The only errors are MALFORMED (and UNSUPPORTED for a feature
 * that is off); after weir_wasm_validate() succeeded it cannot fail on the same bytes. */
enum weir_status weir_insn_read(struct weir_insn_reader *reader, struct weir_insn *ret_insn,
                                struct weir_error *error) WEIR_MUST_USE;

/* Steps through the targets of a br_table: call target_count times. */
uint32_t weir_insn_br_target(const struct weir_wasm_module *module, uint32_t *targets_offset);

#endif
