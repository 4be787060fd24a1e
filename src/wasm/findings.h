/* What a world's check finds in a module: whole sentences, and the imports that the world lacks.
 *
 * Everything is in the arena. A check goes on when memory is refused and looks at
 * `is_out_of_memory` once, at its end.
 */
#ifndef WEIR_WASM_FINDINGS_H
#define WEIR_WASM_FINDINGS_H

#include "wasm/module.h"

/* Sentences; a hostile module has a million faults, and nobody reads more. */
#define WEIR_WASM_FINDINGS_MAX 100u

struct weir_wasm_finding {
    const char *text;
    bool is_fatal; /* the world refuses the module; otherwise it is what will hurt */
};

/* An import that the world lacks. */
struct weir_wasm_missing {
    uint32_t import;    /* index in the module's list */
    const char *wanted; /* the type that the world has under this name; NULL: no such name */
};

struct weir_wasm_findings {
    struct weir_arena *arena;
    struct weir_wasm_finding *items;
    struct weir_wasm_missing *missing;
    uint32_t count, missing_count;
    uint32_t left_out; /* sentences beyond the limit */
    uint32_t fatal_count;
    bool is_out_of_memory;
};

/* A function that a host offers: i is i32, I is i64; `result` 0: none. */
struct weir_wasm_signature {
    const char *name;
    const char *params;
    char result;
};

/* `room` holds the types. */
#define WEIR_WASM_SIGNATURE_PARAMS_MAX 16u
struct weir_wasm_func_type
weir_wasm_signature_type(const struct weir_wasm_signature *signature,
                         weir_wasm_type room[WEIR_WASM_SIGNATURE_PARAMS_MAX + 1]);

/* Room for every import of `module`. */
void weir_wasm_findings_init(struct weir_wasm_findings *findings,
                             const struct weir_wasm_module *module, struct weir_arena *arena);
void weir_wasm_find(struct weir_wasm_findings *findings, bool is_fatal, const char *format, ...)
    WEIR_PRINTF(3, 4);
/* At most once for an import, in their order. */
void weir_wasm_find_missing(struct weir_wasm_findings *findings, uint32_t import,
                            const char *wanted);
/* Nothing is missing and no sentence is fatal. */
bool weir_wasm_is_taken(const struct weir_wasm_findings *findings);

/* Missing unless `offer` (NULL: no such name) is a function of the import's type. */
void weir_wasm_check_import(struct weir_wasm_findings *findings,
                            const struct weir_wasm_module *module, uint32_t import,
                            const struct weir_wasm_signature *offer);

bool weir_wasm_bytes_is(struct weir_wasm_bytes bytes, const char *text);
bool weir_wasm_bytes_start_with(struct weir_wasm_bytes bytes, const char *text);
/* NULL unless a function of this name is exported; the type's index was checked. */
const struct weir_wasm_func_type *weir_wasm_exported_func(const struct weir_wasm_module *module,
                                                          const char *name);
bool weir_wasm_exports(const struct weir_wasm_module *module, enum weir_extern_kind kind,
                       const char *name);
/* A name for a message: what is not printable becomes '?'. */
struct weir_wasm_shown {
    char text[81];
};
struct weir_wasm_shown weir_wasm_show(struct weir_wasm_bytes name);

#endif
