/* Types, sections and features as text, for messages and for `weir inspect`. */
#ifndef WEIR_WASM_TYPES_TEXT_H
#define WEIR_WASM_TYPES_TEXT_H

#include "wasm/module.h"

/* "i32", "funcref" ...; "any" for the unknown type of unreachable code. Static. */
const char *weir_wasm_type_name(weir_wasm_type type);

/* "custom", "type", "import" ... "data count"; "unknown" for an id that has no name. Static. */
const char *weir_wasm_section_name(uint8_t id);

/* Name of a single feature bit as the command line spells it. Static. */
const char *weir_wasm_feature_name(uint32_t feature);

/* "func", "table", "memory", "global". Static. */
const char *weir_wasm_extern_kind_name(enum weir_extern_kind kind);

/* As snprintf: writes at most `size` bytes with the terminating zero, always terminates when size
 * is not 0, and returns the length the whole text has. `buffer` may be NULL when size is 0.
 *   "(i32, i64) -> f32"   "() -> ()"   "(i32) -> (i64, f64)" */
size_t weir_wasm_func_type_text(const struct weir_wasm_func_type *type, char *buffer, size_t size);
/* "funcref 10..20", "externref 0.., i64 index" */
size_t weir_wasm_table_type_text(const struct weir_wasm_table_type *type, char *buffer,
                                 size_t size);
/* "1..16 pages", "2.. pages, i64 index" */
size_t weir_wasm_memory_type_text(const struct weir_limits *limits, char *buffer, size_t size);
/* "mut i32", "f64" */
size_t weir_wasm_global_type_text(const struct weir_wasm_global_type *type, char *buffer,
                                  size_t size);

#endif
