/* The validator over any bytes that decode.
 *
 * Beyond not crashing: an error has a status and an offset within the input; scratch memory is
 * bounded; the answer does not depend on whether somebody wants the message; what a set of features
 * accepts, a larger one accepts; and a valid module's bodies are readable and well nested to their
 * last byte, so that no generator ever meets an error there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "wasm/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

WEIR_AUTO_DEFINE(weir_arena, weir_arena_free)

/* With these, numbers may be written longer than before: a zero byte becomes an index, 32 bits
 * become 64. A module may use the form and not the feature. */
#define FEATURES_OF_FORM                                                                           \
    (WEIR_FEATURE_REFERENCE_TYPES | WEIR_FEATURE_MULTI_MEMORY | WEIR_FEATURE_MEMORY64 |            \
     WEIR_FEATURE_TABLE64)
#define SCRATCH_FACTOR 256
#define SCRATCH_CONSTANT 65536

static void check_bodies(const struct weir_wasm_module *module)
{
    for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
        const struct weir_wasm_func *func = &module->funcs[i];
        struct weir_insn_reader reader = {module, func->code_offset,
                                          func->body_offset + func->body_size};
        struct weir_insn insn;
        uint32_t depth = 1;
        while (depth > 0) {
            WEIR_ASSERT(weir_insn_read(&reader, &insn, NULL) == WEIR_OK);
            depth += insn.op == WEIR_OP_BLOCK || insn.op == WEIR_OP_LOOP || insn.op == WEIR_OP_IF;
            depth -= insn.op == WEIR_OP_END;
        }
        WEIR_ASSERT(reader.position == reader.end);
    }
}

static enum weir_status validate(const uint8_t *data, size_t size, uint32_t features,
                                 struct weir_error *error, uint32_t *ret_needed)
{
    AUTO(weir_arena) *arena = NULL;
    AUTO(weir_arena) *scratch = NULL;
    struct weir_wasm_module *module = NULL;
    if (weir_arena_new(NULL, 0, &arena, NULL) != WEIR_OK ||
        weir_arena_new(NULL, 0, &scratch, NULL) != WEIR_OK)
        return WEIR_NO_MEMORY;
    enum weir_status status = weir_wasm_decode((struct weir_wasm_bytes){data, size}, features, NULL,
                                               arena, &module, error);
    if (status == WEIR_OK)
        status = weir_wasm_validate(module, scratch, error);
    WEIR_ASSERT(weir_arena_bytes(scratch) <= SCRATCH_FACTOR * size + SCRATCH_CONSTANT);
    if (status == WEIR_OK) {
        check_bodies(module);
        WEIR_ASSERT((module->features_needed & ~features) == 0);
        *ret_needed = module->features_needed;
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_error error = {0};
    uint32_t needed = 0;
    uint32_t ignored = 0;
    enum weir_status all = validate(data, size, UINT32_MAX, &error, &needed);
    WEIR_ASSERT(all == error.status);
    if (all != WEIR_OK)
        WEIR_ASSERT(error.message[0] != '\0' && error.offset <= size);
    weir_error_done(&error);
    WEIR_ASSERT(validate(data, size, UINT32_MAX, NULL, &ignored) == all);
    enum weir_status core = validate(data, size, WEIR_FEATURES_WASM_2_0, NULL, &ignored);
    if (core == WEIR_OK)
        WEIR_ASSERT(all == WEIR_OK);
    /* What a module is said to need is enough for it, long forms of numbers aside. */
    if (all == WEIR_OK)
        WEIR_ASSERT(validate(data, size, needed | FEATURES_OF_FORM, NULL, &ignored) == WEIR_OK);
    return 0;
}
