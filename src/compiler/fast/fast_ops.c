/* The table from opcodes to emitters. */
#include "compiler/fast/fast_internal.h"

#define NEEDS_NONE 0
#define NEEDS_VMCTX GEN_NEEDS_VMCTX
#define NEEDS_MEMORY GEN_NEEDS_MEMORY
#define NEEDS_CALL GEN_NEEDS_CALL
#define NEEDS_LOCAL GEN_NEEDS_LOCAL
#define NEEDS_TRAP GEN_NEEDS_TRAP

const struct gen_op weir__gen_ops[WEIR_OP_COUNT] = {
#define FAST_OP(id, emitter, arg, needs)                                                           \
    [WEIR_OP_##id] = {weir__gen_emit_##emitter, (uint32_t)(arg), NEEDS_##needs},
#include "compiler/fast/fast_ops.def"
#undef FAST_OP
};
