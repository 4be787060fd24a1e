/* What a module is, as plain data: the facts behind `weir inspect`, `plan` and error reports.
 *
 * Everything is in the arena or points into the module's bytes. Texts are zero-terminated; names
 * from the module are bytes (they may hold any character).
 */
#ifndef WEIR_WASM_INSPECT_H
#define WEIR_WASM_INSPECT_H

#include "wasm/module.h"

struct weir_wasm_section_fact {
    const char *name;                   /* "type", "custom" ... */
    struct weir_wasm_bytes custom_name; /* custom sections only */
    struct weir_wasm_bytes payload;     /* for sizes, gzipped ones too */
    uint32_t offset;                    /* of the payload */
    uint32_t entries;                   /* of vectors: types, imports, functions ...; otherwise 0 */
    uint8_t id;
};

struct weir_wasm_extern_fact {
    struct weir_wasm_bytes module; /* imports only */
    struct weir_wasm_bytes name;
    enum weir_extern_kind kind;
    uint32_t index;
    const char *type; /* "(i32, i64) -> f32", "funcref 10..20", "1..16 pages", "mut i32" */
};

struct weir_wasm_facts {
    const struct weir_wasm_module *module;
    const struct weir_wasm_section_fact *sections;
    const struct weir_wasm_extern_fact *imports;
    const struct weir_wasm_extern_fact *exports;
    const char *const *features; /* names of the bits of features_needed, in their order */
    uint32_t section_count;
    uint32_t import_count;
    uint32_t export_count;
    uint32_t feature_count;
    uint32_t features_needed; /* complete if the module is valid */

    uint32_t func_count; /* imports included, as in all counts below */
    uint32_t func_import_count;
    uint32_t named_func_count; /* by the name section */
    bool has_names;            /* there is a name section and it is well formed */
    bool has_start;
    uint64_t code_bytes; /* of all bodies */
    uint64_t data_bytes; /* of all data segments */
    /* Sums over the memories that the module defines; each memory is in `module`. */
    uint64_t memory_pages_min;
    uint32_t memory_count;

    /* WEIR_OK, or what validation said: the facts of a module that decodes are shown anyway. */
    struct weir_error problem;
};

/* Decodes with every feature on, validates, collects. Fails only if the module does not decode or
 * memory is refused. */
enum weir_status weir_wasm_inspect(const uint8_t *bytes, size_t size,
                                   const struct weir_wasm_limits *limits, struct weir_arena *arena,
                                   struct weir_wasm_facts *ret_facts, struct weir_error *error)
    WEIR_MUST_USE;

#endif
