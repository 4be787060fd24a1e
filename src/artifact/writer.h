/* Writing artifacts: tables and code in, an ELF file out (format.h has the layout).
 *
 * weir_artifact_layout() decides where everything goes, links the code for that place and answers a
 * list of pieces in file order; gaps between pieces are zeros. Nothing of the content is copied, so
 * it has to live until the pieces are written. Same content, same bytes.
 */
#ifndef WEIR_ARTIFACT_WRITER_H
#define WEIR_ARTIFACT_WRITER_H

#include "artifact/format.h"
#include "base/arena.h"

/* The mini-linker. A symbol is a place in .text or .rodata, or undefined (then its name is in the
 * error); a relocation is a 32-bit field in .text that becomes
 * symbol + addend − address of the field. */
enum weir_link_section {
    WEIR_LINK_TEXT,
    WEIR_LINK_RODATA,
    WEIR_LINK_UNDEFINED
};

struct weir_link_symbol {
    const char *name; /* for errors */
    enum weir_link_section section;
    uint32_t offset;
};

struct weir_link_reloc {
    uint32_t at; /* in .text */
    uint32_t symbol;
    int64_t addend;
};

struct weir_link_input {
    const struct weir_link_symbol *symbols;
    size_t symbol_count;
    const struct weir_link_reloc *relocs;
    size_t reloc_count;
};

/* Applies every relocation to text. `rodata_distance` is the address of .rodata minus that of
 * .text. LINK names an undefined symbol; INVALID_ARGUMENT a field or target outside its section,
 * TOO_LARGE a distance that 32 bits do not hold. */
enum weir_status weir_artifact_link(uint8_t *text, size_t text_size, size_t rodata_size,
                                    int64_t rodata_distance, const struct weir_link_input *input,
                                    struct weir_error *error) WEIR_MUST_USE;

struct weir_artifact_pool {
    const void *entries;
    size_t count;
};

/* Bytes at a place of the initial image; pieces in order, not overlapping. */
struct weir_artifact_run {
    uint64_t start; /* in the image */
    const uint8_t *bytes;
    size_t size;
};

struct weir_artifact_content {
    /* What the caller knows; magic, versions, file_bytes and ranges are filled in. */
    struct weir_artifact_head head;
    struct weir_artifact_pool types;
    struct weir_artifact_pool value_types;
    struct weir_artifact_pool imports;
    struct weir_artifact_pool exports;
    struct weir_artifact_pool funcs; /* sorted by text_offset once the imports are over */
    struct weir_artifact_pool tables;
    struct weir_artifact_pool memories;
    struct weir_artifact_pool globals;
    struct weir_artifact_pool inits;
    struct weir_artifact_pool elems;
    struct weir_artifact_pool elem_items;
    struct weir_artifact_pool datas;
    struct weir_artifact_pool trap_sites;
    struct weir_artifact_pool func_names;
    struct weir_artifact_pool strings;
    /* .weir.data is gathered from these, in order. */
    const struct weir_artifact_pool *data_parts;
    size_t data_part_count;
    uint8_t *text; /* the linker writes into it */
    size_t text_size;
    const uint8_t *rodata;
    size_t rodata_size;
    struct weir_link_input link;
    const struct weir_artifact_run *image_runs;
    size_t image_run_count;
    uint64_t image_bytes; /* multiple of the page; 0 without an image */
};

struct weir_artifact_piece {
    uint64_t offset; /* in the file */
    const uint8_t *bytes;
    size_t size;
};

struct weir_artifact_layout {
    struct weir_artifact_piece *pieces;
    size_t piece_count;
    uint64_t file_bytes;
};

/* TOO_LARGE when the file would not fit into 32-bit offsets; errors of the linker. Everything the
 * layout needs beside the content is taken from `arena`. */
enum weir_status weir_artifact_layout(const struct weir_artifact_content *content,
                                      struct weir_arena *arena,
                                      struct weir_artifact_layout *ret_layout,
                                      struct weir_error *error) WEIR_MUST_USE;

/* `bytes` holds file_bytes zeros. */
void weir_artifact_copy(const struct weir_artifact_layout *layout, uint8_t *bytes);

/* Writes the pieces into an empty file and sets its length; gaps stay holes. IO otherwise. */
enum weir_status weir_artifact_write(const struct weir_artifact_layout *layout, int fd,
                                     struct weir_error *error) WEIR_MUST_USE;

#endif
