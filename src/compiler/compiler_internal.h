/* What the files of this folder share: one compilation on its way from module to layout. */
#ifndef WEIR_COMPILER_INTERNAL_H
#define WEIR_COMPILER_INTERNAL_H

#include "artifact/writer.h"
#include "compiler/common/code.h"
#include "compiler/compiler.h"

struct weir_arena_budget {
    size_t left_bytes;
    size_t limit_bytes;
};

struct weir_compilation {
    const struct weir_compile_request *request;
    struct weir_arena_budget budget;
    struct weir_arena *arena; /* lives as long as the compilation */
    struct weir_wasm_module *module;
    uint32_t *escape_index; /* per function; WEIR_ARTIFACT_NONE when it never escapes */
    uint32_t escape_count;
    struct weir_code code;
    uint8_t *image_bytes; /* calloc'ed */
    struct weir_artifact_content content;
    struct weir_artifact_layout layout;
};

/* Each returns NO_MEMORY when the arena is used up. */

/* Numbers the functions that can be referred to: exported, in an element segment, named by
 * ref.func in a global's value. Bodies may only name those (the specification's C.refs). */
enum weir_status weir__compile_escapes(struct weir_compilation *compilation,
                                       struct weir_error *error);

/* Types, imports, exports, limits, names. */
enum weir_status weir__compile_tables(struct weir_compilation *compilation,
                                      struct weir_error *error);

/* Functions and trap sites; needs the code. */
enum weir_status weir__compile_funcs(struct weir_compilation *compilation,
                                     struct weir_error *error);

/* Globals, element and data segments with their expressions; then the image. */
enum weir_status weir__compile_segments(struct weir_compilation *compilation,
                                        struct weir_error *error);

/* Decides which data segments of memory 0 become its initial image, and builds it; sets in_image
 * of the entries in `datas`. */
enum weir_status weir__compile_image(struct weir_compilation *compilation,
                                     struct weir_artifact_data *datas, struct weir_error *error);

/* The value of an expression without global.get: true and *ret_bits. */
bool weir__compile_constant(const struct weir_artifact_content *content,
                            const struct weir_artifact_expr *expr, uint64_t *ret_bits);

enum weir_status weir__compile_no_memory(const struct weir_compilation *compilation,
                                         struct weir_error *error);

#endif
