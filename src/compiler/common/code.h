/* What a generator makes of one module, before it becomes an artifact. Everything lives in the
 * job's arena or in growable buffers that weir_code_done() frees. */
#ifndef WEIR_COMPILER_CODE_H
#define WEIR_COMPILER_CODE_H

#include "artifact/format.h"
#include "wasm/module.h"

enum weir_code_target { WEIR_CODE_TEXT, WEIR_CODE_RODATA };

/* A 32-bit PC-relative field in .text: value = target + addend − address of the field. Calls
 * between functions of the module are resolved by the generator or left here, as it likes. */
struct weir_code_fixup {
    uint32_t at; /* in .text */
    uint32_t target; /* enum weir_code_target */
    uint32_t target_offset;
    int32_t addend;
};

struct weir_code_func {
    uint32_t text_offset;
    uint32_t text_size;
    uint32_t first_site;
    uint32_t site_count;
};

struct weir_code {
    uint8_t *text;
    size_t text_size;
    uint8_t *rodata; /* 16-byte aligned when placed */
    size_t rodata_size;
    struct weir_code_fixup *fixups;
    size_t fixup_count;
    struct weir_code_func *funcs; /* defined functions only, in index order */
    struct weir_trap_site *sites; /* sorted by text_offset */
    size_t site_count;
};

void weir_code_done(struct weir_code *code);

struct weir_code_options {
    uint32_t flags;        /* WEIR_ARTIFACT_* */
    uint64_t cpu_features; /* enum weir_cpu_feature of artifact/cpu.h that code may use */
    const struct weir_fuel_costs *fuel_costs; /* NULL: the plain table */
    /* Called now and then with functions done; may be NULL. */
    void (*progress)(void *context, uint32_t done, uint32_t total);
    void *progress_context;
};

/* The fast generator (compiler/fast): linear time, one pass. `escape_index` per function as the
 * artifact will number it (ref.func needs it). UNSUPPORTED names the first instruction that this
 * generator cannot take (vector instructions), with its offset. */
enum weir_status weir_fast_generate(const struct weir_wasm_module *module,
                                    const uint32_t *escape_index,
                                    const struct weir_code_options *options,
                                    struct weir_code *ret_code, struct weir_error *error)
    WEIR_MUST_USE;

#endif
