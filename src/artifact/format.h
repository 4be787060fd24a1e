/* The artifact: what a module is compiled to (DESIGN 5.2).
 *
 * An ELF64 file (ET_DYN, no dynamic section, no relocations) so that objdump, perf and gdb read
 * it. Layout, in file order: one read-only segment (ELF header, .weir.head, .weir.meta,
 * .weir.data, .rodata), one read-execute segment (.text), the initial image of memory 0
 * (.weir.image, page-aligned, mapped copy-on-write by each instance), then what the loader does not
 * map: .symtab/.strtab for tools and the seal. Used in place; nothing is copied or patched.
 * Every offset in the head counts from the first byte of the file. All numbers little-endian.
 */
#ifndef WEIR_ARTIFACT_FORMAT_H
#define WEIR_ARTIFACT_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include <weir/fuel.h>

#define WEIR_ARTIFACT_MAGIC "WEIRART"
#define WEIR_ARTIFACT_VERSION 1u
#define WEIR_ARTIFACT_NONE UINT32_MAX
#define WEIR_ARTIFACT_PAGE 4096u
/* Where struct weir_artifact_head starts: after the ELF header and its four program headers. */
#define WEIR_ARTIFACT_HEAD_OFFSET 288u
/* Deepest stack that a constant expression may need when it is evaluated. */
#define WEIR_ARTIFACT_INIT_STACK 64u

/* Options of a compilation that change the code. */
#define WEIR_ARTIFACT_EXPLICIT_BOUNDS 1u /* memory 0 too */
#define WEIR_ARTIFACT_FUEL 2u
#define WEIR_ARTIFACT_POLL 4u
#define WEIR_ARTIFACT_CANONICAL_NANS 8u
#define WEIR_ARTIFACT_NO_SIGNALS 16u /* traps are calls; only with explicit bounds */

struct weir_artifact_range {
    uint32_t offset; /* bytes, from the start of the file */
    uint32_t count;  /* entries, or bytes for strings, data, text and image */
};

struct weir_artifact_type {
    uint32_t params; /* first entry in the pool `value_types` */
    uint32_t param_count;
    uint32_t results;
    uint32_t result_count;
};

struct weir_artifact_string {
    uint32_t start; /* in the pool `strings` */
    uint32_t size;
};

/* Imports and exports. `type` by kind: type index; index into tables, memories, globals. */
struct weir_artifact_import {
    struct weir_artifact_string module;
    struct weir_artifact_string name;
    uint32_t kind; /* enum weir_extern_kind */
    uint32_t type; /* function: type index; others: index in their own index space */
};
struct weir_artifact_export {
    struct weir_artifact_string name;
    uint32_t kind;
    uint32_t index;
};

/* One per function of the index space, imports first; defined ones in the order of .text. */
struct weir_artifact_func {
    uint32_t type_index;
    uint32_t text_offset; /* in .text; WEIR_ARTIFACT_NONE for imports */
    uint32_t text_size;
    uint32_t body_offset; /* in the module's bytes, for backtraces */
    /* Of its funcref record, counted upwards in index order; WEIR_ARTIFACT_NONE when it never
     * escapes. */
    uint32_t escape_index;
    uint32_t first_site; /* in trap_sites */
    uint32_t site_count;
    uint32_t reserved;
};

struct weir_artifact_limits {
    uint64_t min;
    uint64_t max;   /* UINT64_MAX: none */
    uint32_t flags; /* 1: index type i64 */
    uint32_t type;  /* tables: element type */
};

/* One step of a constant expression, evaluated on a small stack. */
enum weir_artifact_init_op {
    WEIR_INIT_CONST,      /* bits, bits_high */
    WEIR_INIT_GLOBAL_GET, /* index */
    WEIR_INIT_REF_FUNC,   /* index */
    WEIR_INIT_REF_NULL,
    WEIR_INIT_I32_ADD,
    WEIR_INIT_I32_SUB,
    WEIR_INIT_I32_MUL,
    WEIR_INIT_I64_ADD,
    WEIR_INIT_I64_SUB,
    WEIR_INIT_I64_MUL
};
struct weir_artifact_init {
    uint32_t op;
    uint32_t index;
    uint64_t bits;
    uint64_t bits_high;
};
struct weir_artifact_expr { /* steps in the pool `inits` */
    uint32_t first;
    uint32_t count;
};

struct weir_artifact_global {
    uint32_t type;
    uint32_t is_mutable;
    struct weir_artifact_expr init; /* count 0 for imports */
};

struct weir_artifact_elem {
    uint32_t mode; /* enum weir_wasm_segment_mode */
    uint32_t type;
    uint32_t table_index;
    struct weir_artifact_expr offset;
    uint32_t first; /* items in the pool `elem_items` */
    uint32_t count;
};
/* Items of element segments: the one-step expressions REF_FUNC, REF_NULL, GLOBAL_GET. */
struct weir_artifact_elem_item {
    uint32_t op;
    uint32_t index;
};

struct weir_artifact_data {
    uint32_t mode;
    uint32_t memory_index;
    struct weir_artifact_expr offset;
    uint32_t bytes; /* in the pool `data` */
    uint32_t size;
    uint32_t in_image; /* 1: already part of the initial image, nothing to copy; size is 0 then */
    uint32_t reserved;
};

/* Sorted by text_offset, and grouped by function in the order of the functions. A return address
 * and the instruction after the call may both be sites with one text_offset; with
 * WEIR_ARTIFACT_NO_SIGNALS all are return addresses. `site` = code << 24 | offset of the
 * instruction from its function's body_offset (bodies are at most 7,654,321 bytes). Code: enum
 * weir_trap_code or WEIR_SITE_CALL. */
struct weir_trap_site {
    uint32_t text_offset;
    uint32_t site;
};

struct weir_artifact_head {
    char magic[8];
    uint32_t version;
    uint32_t abi_version;
    uint64_t file_bytes; /* the whole file without the seal */
    uint8_t key[32];     /* what it is filed under */
    uint8_t module_sha256[32];
    char generator[16]; /* "fast" */
    uint8_t build_id[32];
    uint64_t cpu_features; /* required of the machine */
    uint64_t module_bytes;
    uint32_t features;        /* switched on when compiled */
    uint32_t features_needed; /* really used */
    uint32_t options;
    uint32_t func_import_count;
    uint32_t table_import_count;
    uint32_t memory_import_count;
    uint32_t global_import_count;
    uint32_t start_func; /* WEIR_ARTIFACT_NONE without */
    uint32_t escape_count;
    uint32_t has_fuel_costs; /* 0: the plain table, or no fuel */
    struct weir_fuel_costs fuel_costs;
    uint32_t reserved;
    uint64_t image_memory_offset; /* where the image starts in memory 0; page-aligned */
    struct weir_artifact_range types;
    struct weir_artifact_range value_types; /* uint32_t */
    struct weir_artifact_range imports;
    struct weir_artifact_range exports;
    struct weir_artifact_range funcs;
    struct weir_artifact_range tables;   /* weir_artifact_limits */
    struct weir_artifact_range memories; /* weir_artifact_limits */
    struct weir_artifact_range globals;
    struct weir_artifact_range inits;
    struct weir_artifact_range elems;
    struct weir_artifact_range elem_items;
    struct weir_artifact_range datas;
    struct weir_artifact_range trap_sites;
    struct weir_artifact_range func_names; /* weir_artifact_string per function, may be absent */
    struct weir_artifact_range strings;
    struct weir_artifact_range data; /* bytes of segments that are not only in the image */
    struct weir_artifact_range rodata;
    struct weir_artifact_range text;  /* page-aligned */
    struct weir_artifact_range image; /* page-aligned; count is a multiple of the page */
};

static_assert(sizeof(struct weir_artifact_head) ==
                  8 + 8 + 8 + 32 + 32 + 16 + 32 + 16 + 88 + 8 + 19 * 8,
              "on-disk layout");
static_assert(sizeof(struct weir_artifact_func) == 32, "on-disk layout");
static_assert(sizeof(struct weir_artifact_init) == 24, "on-disk layout");
static_assert(sizeof(struct weir_trap_site) == 8, "on-disk layout");

#endif
