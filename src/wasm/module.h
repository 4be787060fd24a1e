/* A decoded module: the one in-memory form that validator, generators and inspector share.
 *
 * All arrays live in the arena given to weir_wasm_decode(); byte ranges point into the caller's
 * module bytes, which must outlive the record. Index spaces list imports first, as the
 * specification does. Offsets are from the first byte of the module.
 */
#ifndef WEIR_WASM_MODULE_H
#define WEIR_WASM_MODULE_H

#include <weir/value.h>

#include "base/arena.h"
#include "base/error.h"

#define WEIR_WASM_PAGE_BYTES 65536u
#define WEIR_WASM_NONE UINT32_MAX

struct weir_wasm_bytes {
    const uint8_t *data;
    size_t size;
};

/* Value types are 32-bit codes: enum weir_type today; bits above 0xff will hold nullability and a
 * canonical type index for typed references. */
typedef uint32_t weir_wasm_type;
#define WEIR_WASM_TYPE_EMPTY 0x40u /* block type without result */

static inline bool weir_wasm_type_is_reference(weir_wasm_type type)
{
    return type == WEIR_TYPE_FUNCREF || type == WEIR_TYPE_EXTERNREF;
}

/* What a value can have: a number, a vector or a reference. */
static inline bool weir_wasm_type_is_value(weir_wasm_type type)
{
    return (type >= WEIR_TYPE_V128 && type <= WEIR_TYPE_I32) || weir_wasm_type_is_reference(type);
}

/* Equal vectors of one module are one pointer (an empty one is not NULL), so that two types are
 * equal if and only if both pointers and both counts are. */
struct weir_wasm_func_type {
    const weir_wasm_type *params;
    const weir_wasm_type *results;
    uint32_t param_count;
    uint32_t result_count;
    uint32_t canonical; /* lowest index of a structurally equal type of this module */
};

struct weir_wasm_table_type {
    weir_wasm_type element;
    struct weir_limits limits;
};

struct weir_wasm_global_type {
    weir_wasm_type type;
    bool is_mutable;
};

struct weir_wasm_import {
    struct weir_wasm_bytes module;
    struct weir_wasm_bytes name;
    enum weir_extern_kind kind;
    uint32_t index; /* in the index space of its kind */
};

struct weir_wasm_export {
    struct weir_wasm_bytes name;
    enum weir_extern_kind kind;
    uint32_t index;
};

/* Body of a constant expression, without its final `end`; validated together with the module. */
struct weir_wasm_expr {
    uint32_t offset;
    uint32_t size;
};

struct weir_wasm_local_group {
    uint32_t count;
    weir_wasm_type type;
};

struct weir_wasm_func {
    uint32_t type_index;
    /* Zero/NULL for imports. */
    uint32_t body_offset; /* first byte of the body entry, after its size */
    uint32_t body_size;
    uint32_t code_offset; /* first instruction */
    uint32_t local_group_count;
    const struct weir_wasm_local_group *local_groups;
    uint32_t local_count; /* parameters included */
};

struct weir_wasm_global {
    struct weir_wasm_global_type type;
    struct weir_wasm_expr init; /* size 0 for imports */
};

enum weir_wasm_segment_mode {
    WEIR_SEGMENT_ACTIVE,
    WEIR_SEGMENT_PASSIVE,
    WEIR_SEGMENT_DECLARATIVE
};

struct weir_wasm_elem {
    uint32_t record_offset; /* first byte of the entry */
    enum weir_wasm_segment_mode mode;
    weir_wasm_type type;
    uint32_t table_index;
    struct weir_wasm_expr offset; /* active only */
    uint32_t count;
    /* Exactly one is set: plain function indices, or expressions. */
    const uint32_t *func_indices;
    const struct weir_wasm_expr *exprs;
};

struct weir_wasm_data {
    uint32_t record_offset; /* first byte of the entry */
    enum weir_wasm_segment_mode mode;
    uint32_t memory_index;
    struct weir_wasm_expr offset; /* active only */
    struct weir_wasm_bytes bytes;
};

struct weir_wasm_section {
    uint8_t id;
    uint32_t offset; /* of the payload */
    uint32_t size;
    struct weir_wasm_bytes name; /* custom sections only */
};

/* Implementation limits (WebAssembly JavaScript API, "implementation-defined limits"), each
 * configurable downwards. The table is wasm/limits.def. */
struct weir_wasm_limits {
#define WEIR_WASM_LIMIT(id, value, reason) uint64_t id;
#include "wasm/limits.def"
#undef WEIR_WASM_LIMIT
};

struct weir_wasm_module {
    struct weir_wasm_bytes bytes;
    uint32_t features;              /* the set it was decoded under */
    uint32_t features_needed;       /* filled by decoder and validator: what it really uses */
    struct weir_wasm_limits limits; /* those it was decoded under */

    const struct weir_wasm_section *sections;
    const struct weir_wasm_func_type *types;
    const struct weir_wasm_import *imports;
    const struct weir_wasm_func *funcs;
    const struct weir_wasm_table_type *tables;
    const uint32_t *table_offsets; /* of each table type, for messages */
    const struct weir_limits *memories;
    const uint32_t *memory_offsets; /* of each memory type, for messages */
    const struct weir_wasm_global *globals;
    const struct weir_wasm_export *exports;
    const struct weir_wasm_elem *elems;
    const struct weir_wasm_data *datas;
    uint32_t section_count;
    uint32_t type_count;
    uint32_t import_count;
    uint32_t func_count, func_import_count;
    uint32_t table_count, table_import_count;
    uint32_t memory_count, memory_import_count;
    uint32_t global_count, global_import_count;
    uint32_t export_count;
    uint32_t elem_count;
    uint32_t data_count;
    uint32_t start_func; /* WEIR_WASM_NONE without start section */
    bool has_data_count;
};

extern const struct weir_wasm_limits weir_wasm_limits_default;

/* Decodes every section but function bodies (those are split, their locals read). `limits` NULL
 * means the defaults; a limit above its default counts as the default. The arena holds at most
 * about 32 bytes per byte of the module (0.3 for code that compilers make). Errors: MALFORMED,
 * TOO_LARGE, UNSUPPORTED with the offset, the section and the reason; NO_MEMORY when the arena
 * refuses. */
enum weir_status weir_wasm_decode(struct weir_wasm_bytes bytes, uint32_t features,
                                  const struct weir_wasm_limits *limits, struct weir_arena *arena,
                                  struct weir_wasm_module **ret_module, struct weir_error *error)
    WEIR_MUST_USE;

/* Validates the whole module, bodies included (WebAssembly 2.0, section 3, and the features).
 * Malformed instructions answer MALFORMED, rule violations INVALID, a feature that is off
 * UNSUPPORTED, all with the offset. EXTENDED_CONST also admits global.get of any earlier immutable
 * global, as WebAssembly 3.0 does. What is taken from `scratch` may be released afterwards. */
enum weir_status weir_wasm_validate(struct weir_wasm_module *module, struct weir_arena *scratch,
                                    struct weir_error *error) WEIR_MUST_USE;

#endif
