/* State of the validator: the two stacks of the specification's algorithm (WebAssembly 2.0,
 * appendix 7.3) over scratch arrays that all bodies of a module share.
 *
 * Work per instruction is bounded by the arities it names; targets of a br_table that demand the
 * same vector are checked once. Memory is bounded by operands_max, block_depth_max and locals.
 */
#ifndef WEIR_WASM_VALIDATE_INTERNAL_H
#define WEIR_WASM_VALIDATE_INTERNAL_H

#include "wasm/insn.h"
#include "wasm/report_internal.h"

/* The type of operands that unreachable code invents; matches everything. */
#define WEIR_WASM_TYPE_UNKNOWN 0u

struct weir_validate_vector {
    const weir_wasm_type *types;
    uint32_t count;
};

struct weir_validate_frame {
    struct weir_validate_vector params;
    struct weir_validate_vector results;
    uint32_t height; /* of the operand stack below the parameters */
    uint8_t op;      /* enum weir_op; WEIR_OP_END stands for the body itself */
    bool is_unreachable;
};

struct weir_validator {
    struct weir_wasm_module *module;
    struct weir_arena *scratch;
    struct weir_error *error;
    const uint64_t *declared_refs; /* a bit per function: C.refs */
    const struct weir_insn *insn;  /* the current one, for messages */

    weir_wasm_type *operands;
    uint32_t operand_count;
    uint32_t operand_capacity;
    uint32_t base; /* height of the innermost frame */
    struct weir_validate_frame *frames;
    uint32_t frame_count;
    uint32_t frame_capacity;

    /* Of the current body. Locals below `expanded_count` are looked up in `locals`, the rest in
     * the groups: a body of ten bytes may declare 50,000 of them. */
    const struct weir_wasm_func *func;
    weir_wasm_type *locals;
    uint32_t local_capacity;
    uint32_t expanded_count;
    uint32_t *group_ends; /* only where the groups are needed */
    uint32_t group_capacity;
    bool is_constant;          /* a constant expression, not a body */
    uint32_t constant_globals; /* globals a constant expression may read */
};

/* Formats "REASON" at the current instruction. */
enum weir_status weir__validate_fail(const struct weir_validator *v, enum weir_status status,
                                     const char *format, ...) WEIR_PRINTF(3, 4);

/* Of the current instruction. */
static inline const char *weir__validate_op_name(const struct weir_validator *v)
{
    return weir_op_infos[v->insn->op].name;
}

static inline struct weir_validate_frame *weir__validate_frame(const struct weir_validator *v)
{
    return &v->frames[v->frame_count - 1];
}

/* Operand stack. A failed pop reports "type mismatch: ...". */
enum weir_status weir__validate_push(struct weir_validator *v, weir_wasm_type type) WEIR_MUST_USE;
enum weir_status weir__validate_pop(struct weir_validator *v, weir_wasm_type type) WEIR_MUST_USE;
enum weir_status weir__validate_pop_any(struct weir_validator *v, weir_wasm_type *ret_type)
    WEIR_MUST_USE;
enum weir_status weir__validate_push_vector(struct weir_validator *v,
                                            struct weir_validate_vector vector) WEIR_MUST_USE;
enum weir_status weir__validate_pop_vector(struct weir_validator *v,
                                           struct weir_validate_vector vector) WEIR_MUST_USE;
/* The top of the stack is the vector; nothing is popped. */
enum weir_status weir__validate_peek_vector(struct weir_validator *v,
                                            struct weir_validate_vector vector) WEIR_MUST_USE;
/* What follows is unreachable: drops the frame's operands. */
void weir__validate_set_unreachable(struct weir_validator *v);

enum weir_status weir__validate_push_frame(struct weir_validator *v, enum weir_op op,
                                           struct weir_validate_vector params,
                                           struct weir_validate_vector results) WEIR_MUST_USE;
/* The frame's results are on the stack and nothing else; drops both. */
enum weir_status weir__validate_pop_frame(struct weir_validator *v,
                                          struct weir_validate_frame *ret_frame) WEIR_MUST_USE;

/* The instructions without a signature: control (calls included) and everything else. */
enum weir_status weir__validate_control(struct weir_validator *v) WEIR_MUST_USE;
enum weir_status weir__validate_other(struct weir_validator *v) WEIR_MUST_USE;
/* Loads, stores and other users of a memory: index, alignment, offset, lane. Answers the
 * memory's index type. */
enum weir_status weir__validate_memory(struct weir_validator *v, uint32_t index,
                                       weir_wasm_type *ret_type) WEIR_MUST_USE;
enum weir_status weir__validate_memarg(struct weir_validator *v, weir_wasm_type *ret_type)
    WEIR_MUST_USE;

/* One constant expression of the given type. */
enum weir_status weir__validate_expr(struct weir_validator *v, const struct weir_wasm_expr *expr,
                                     weir_wasm_type type) WEIR_MUST_USE;
enum weir_status weir__validate_body(struct weir_validator *v, const struct weir_wasm_func *func)
    WEIR_MUST_USE;

#endif
