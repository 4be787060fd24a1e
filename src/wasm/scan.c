/* Reads a body without typing it; see decode_internal.h. */
#include "wasm/decode_internal.h"
#include "wasm/insn.h"

enum weir_status weir__scan_body(const struct weir_wasm_module *module,
                                 const struct weir_wasm_func *func, uint32_t end,
                                 struct weir_error *error)
{
    struct weir_insn_reader reader = {module, func->code_offset, end};
    struct weir_insn insn;
    for (uint64_t depth = 1; depth > 0;) {
        enum weir_status status = weir_insn_read(&reader, &insn, error);
        if (status != WEIR_OK)
            return status;
        if (insn.op == WEIR_OP_BLOCK || insn.op == WEIR_OP_LOOP || insn.op == WEIR_OP_IF)
            depth++;
        else if (insn.op == WEIR_OP_END)
            depth--;
    }
    uint32_t body_end = func->body_offset + func->body_size;
    if (reader.position == body_end)
        return WEIR_OK;
    return weir__wasm_report(module, error, WEIR_MALFORMED, body_end,
                             "section size mismatch: the body ends here, its instructions at %u",
                             (unsigned)reader.position);
}
