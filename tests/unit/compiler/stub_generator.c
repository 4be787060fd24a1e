/* A generator for tests of everything around generators: each function becomes a few instructions
 * that load the address of a constant and trap, so that layout, links, sites and names can be
 * checked. Never part of the product. */
#include <stdlib.h>
#include <string.h>

#include "artifact/abi.h"
#include "base/bytes.h"
#include "compiler/common/code.h"

static const uint8_t function_code[32] = {
    0x55,                         /* push rbp */
    0x48, 0x89, 0xe5,             /* mov rbp, rsp */
    0x48, 0x8d, 0x05, 0, 0, 0, 0, /* lea rax, [rip + constant] */
    0x0f, 0x0b,                   /* ud2 */
    0x5d,                         /* pop rbp */
    0xc3,                         /* ret */
};
#define FIELD_AT 7u
#define TRAP_AT 11u

enum weir_status weir_fast_generate(const struct weir_wasm_module *module,
                                    const uint32_t *escape_index,
                                    const struct weir_code_options *options,
                                    struct weir_code *ret_code, struct weir_error *error)
{
    (void)escape_index;
    (void)options;
    uint32_t count = module->func_count - module->func_import_count;
    size_t room = count > 0 ? count : 1;
    struct weir_code code = {
        .text = calloc(room, sizeof function_code),
        .text_size = count * sizeof function_code,
        .rodata = calloc(room, 8),
        .rodata_size = count * (size_t)8,
        .fixups = calloc(room, sizeof(struct weir_code_fixup)),
        .fixup_count = count,
        .funcs = calloc(room, sizeof(struct weir_code_func)),
        .sites = calloc(room, 2 * sizeof(struct weir_trap_site)),
        .site_count = count * (size_t)2,
    };
    if (code.text == NULL || code.rodata == NULL || code.fixups == NULL || code.funcs == NULL ||
        code.sites == NULL) {
        weir_code_done(&code);
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for the stub");
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i * (uint32_t)sizeof function_code;
        memcpy(code.text + at, function_code, sizeof function_code);
        weir_store_u64(code.rodata + 8 * (size_t)i, i + 1);
        code.fixups[i] = (struct weir_code_fixup){at + FIELD_AT, WEIR_CODE_RODATA, 8 * i, -4};
        code.funcs[i] = (struct weir_code_func){at, sizeof function_code, 2 * i, 2};
        uint32_t body = module->funcs[module->func_import_count + i].code_offset -
                        module->funcs[module->func_import_count + i].body_offset;
        code.sites[2 * i] = (struct weir_trap_site){at + TRAP_AT, WEIR_SITE_CALL << 24 | body};
        code.sites[2 * i + 1] = (struct weir_trap_site){
            at + TRAP_AT, (uint32_t)WEIR_TRAP_UNREACHABLE << 24 | (body + 1)};
    }
    *ret_code = code;
    return WEIR_OK;
}
