/* The decoder's cursor.
 *
 * Errors are sticky: the first one is reported and kept in `status`, the cursor jumps to its end,
 * and every later read answers zero. So the readers of sections are straight lines and check
 * `status` where they loop or allocate. No count from the module is trusted: a vector's entries
 * are bounded by the bytes that are left before anything is allocated for them.
 *
 * As in the reference interpreter, whose words the official tests expect, reads are bounded by the
 * module; that a section or a body is as long as it says is checked when it has been read.
 */
#ifndef WEIR_WASM_DECODE_INTERNAL_H
#define WEIR_WASM_DECODE_INTERNAL_H

#include "wasm/leb128_internal.h"
#include "wasm/module.h"
#include "wasm/report_internal.h"

struct weir_wasm_decoder {
    struct weir_wasm_module *module;
    struct weir_arena *arena;
    struct weir_error *error;
    struct weir_cursor cursor; /* end: of the module */
    enum weir_status status;
    /* Filled by the import section, so that the sections behind it can append. */
    uint32_t func_declared_count; /* by the function section */
    uint32_t data_declared_count; /* by the data count section */
    uint32_t last_count;
    uint32_t body_count; /* by the code section */
    const uint8_t *section_end;
    /* The module's arrays while they may still be written. */
    struct weir_wasm_section *sections;
    struct weir_wasm_func_type *types;
    struct weir_wasm_func *funcs;
    struct weir_wasm_table_type *tables;
    struct weir_limits *memories;
    struct weir_wasm_global *globals;
    uint32_t *table_offsets;
    uint32_t *memory_offsets;
};

uint32_t weir__decode_position(const struct weir_wasm_decoder *d);

/* Reports at `offset` and stops the decoder. */
void weir__decode_fail(struct weir_wasm_decoder *d, enum weir_status status, uint64_t offset,
                       const char *format, ...) WEIR_PRINTF(4, 5);
/* NULL from the arena. */
void weir__decode_no_memory(struct weir_wasm_decoder *d);
/* Notes that `what` at `offset` needs a feature; stops when it is off. `reason` as in report. */
void weir__decode_need(struct weir_wasm_decoder *d, uint64_t offset, uint32_t feature,
                       const char *reason, const char *what);

uint8_t weir__decode_byte(struct weir_wasm_decoder *d, const char *what);
uint32_t weir__decode_u32(struct weir_wasm_decoder *d, const char *what);
uint64_t weir__decode_u64(struct weir_wasm_decoder *d, const char *what);
/* Length and bytes. */
struct weir_wasm_bytes weir__decode_bytes(struct weir_wasm_decoder *d, const char *what);
/* As bytes, valid UTF-8, within name_bytes_max. */
struct weir_wasm_bytes weir__decode_name(struct weir_wasm_decoder *d, const char *what);
/* The count of a vector whose entries take at least `entry_bytes_min` bytes each; 0 on failure.
 * What cannot fit is cut off: reading the entries fails before the cut then. `present` entries of
 * the same kind count against the limit too. `last_count` has the number as it was written. */
uint32_t weir__decode_count(struct weir_wasm_decoder *d, uint64_t max, uint32_t present,
                            uint32_t entry_bytes_min, const char *what);
weir_wasm_type weir__decode_value_type(struct weir_wasm_decoder *d);
weir_wasm_type weir__decode_reference_type(struct weir_wasm_decoder *d);
/* Steps over a constant expression. */
struct weir_wasm_expr weir__decode_expr(struct weir_wasm_decoder *d);

void weir__decode_types(struct weir_wasm_decoder *d);
void weir__decode_imports(struct weir_wasm_decoder *d);
void weir__decode_functions(struct weir_wasm_decoder *d);
void weir__decode_tables(struct weir_wasm_decoder *d);
void weir__decode_memories(struct weir_wasm_decoder *d);
void weir__decode_globals(struct weir_wasm_decoder *d);
void weir__decode_exports(struct weir_wasm_decoder *d);
void weir__decode_start(struct weir_wasm_decoder *d);
void weir__decode_elems(struct weir_wasm_decoder *d);
void weir__decode_data_count(struct weir_wasm_decoder *d);
void weir__decode_code(struct weir_wasm_decoder *d);
void weir__decode_datas(struct weir_wasm_decoder *d);

/* Reads the instructions of a body without typing them; `end` bounds the reading. Malformed bytes
 * anywhere outrank a broken rule, and the first ones outrank later ones. */
enum weir_status weir__scan_body(const struct weir_wasm_module *module,
                                 const struct weir_wasm_func *func, uint32_t end,
                                 struct weir_error *error) WEIR_MUST_USE;

/* Makes equal vectors one pointer and fills `canonical`. O(bytes of the type section). */
enum weir_status weir__types_canonicalise(struct weir_wasm_func_type *types, uint32_t count,
                                          struct weir_arena *scratch) WEIR_MUST_USE;

#endif
