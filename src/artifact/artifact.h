/* Reading, keying and sealing artifacts. The writer is artifact/writer.h.
 *
 * An artifact file is untrusted until its seal is verified, and even then every offset is checked
 * once when it is opened: after weir_artifact_open() the accessors are in bounds by construction.
 */
#ifndef WEIR_ARTIFACT_H
#define WEIR_ARTIFACT_H

#include <weir/engine.h>

#include "artifact/abi.h"
#include "artifact/format.h"
#include "base/error.h"
#include "base/hash.h"
#include "wasm/module.h"

/* Everything that changes the code, and so the key. */
struct weir_artifact_options {
    uint32_t features; /* enum weir_feature */
    uint32_t flags;    /* WEIR_ARTIFACT_* */
    uint64_t cpu_features;
    char generator[16];      /* "fast" */
    uint32_t has_fuel_costs; /* 0: the plain table, and fuel_costs is all zero */
    struct weir_fuel_costs fuel_costs;
};

/* The flags of a form. */
static inline uint32_t weir_artifact_bounds_flags(enum weir_bounds bounds)
{
    static const uint32_t flags[] = {
        [WEIR_BOUNDS_EXPLICIT] = WEIR_ARTIFACT_EXPLICIT_BOUNDS,
        [WEIR_BOUNDS_NO_SIGNALS] = WEIR_ARTIFACT_EXPLICIT_BOUNDS | WEIR_ARTIFACT_NO_SIGNALS,
    };
    return flags[bounds];
}

/* The form that flags say. */
static inline enum weir_bounds weir_artifact_bounds(uint32_t flags)
{
    if ((flags & WEIR_ARTIFACT_NO_SIGNALS) != 0)
        return WEIR_BOUNDS_NO_SIGNALS;
    return (flags & WEIR_ARTIFACT_EXPLICIT_BOUNDS) != 0 ? WEIR_BOUNDS_EXPLICIT : WEIR_BOUNDS_GUARD;
}

/* SHA-256 over module hash, format and ABI version, build id, options. NO_MEMORY is the only
 * failure. */
enum weir_status weir_artifact_key(const struct weir_hash *module_hash,
                                   const struct weir_artifact_options *options,
                                   struct weir_hash *ret_key, struct weir_error *error)
    WEIR_MUST_USE;

/* Views into mapped or in-memory bytes; valid as long as those. */
struct weir_artifact {
    const uint8_t *bytes;
    size_t size;
    const struct weir_artifact_head *head;
    const struct weir_artifact_type *types;
    const uint32_t *value_types;
    const struct weir_artifact_import *imports;
    const struct weir_artifact_export *exports;
    const struct weir_artifact_func *funcs;
    const struct weir_artifact_limits *tables;
    const struct weir_artifact_limits *memories;
    const struct weir_artifact_global *globals;
    const struct weir_artifact_init *inits;
    const struct weir_artifact_elem *elems;
    const struct weir_artifact_elem_item *elem_items;
    const struct weir_artifact_data *datas;
    const struct weir_trap_site *trap_sites;
    const struct weir_artifact_string *func_names; /* NULL when absent */
    const char *strings;
    const uint8_t *data;
    const uint8_t *rodata;
    const uint8_t *text;
};

/* Checks every range, index and cross reference of the bytes (CORRUPT, with the offset) and that
 * this build and machine can run it (FOREIGN). `bytes` need only hold the part up to the end of
 * .text when `file_bytes` says how long the file is; the image's range is checked against that. */
enum weir_status weir_artifact_open(const uint8_t *bytes, size_t size, uint64_t file_bytes,
                                    struct weir_artifact *ret_artifact, struct weir_error *error)
    WEIR_MUST_USE;

/* The same views without going through the entries, in a microsecond whatever the size: for bytes
 * that weir_artifact_open() accepted once and that cannot have changed since, because the seal of
 * our directory holds (weir_artifact_dir_verify) or because they lie in a sealed memory file made
 * by weir_compile_job_run(). Head, origin and ranges are checked all the same. */
enum weir_status weir_artifact_open_known(const uint8_t *bytes, size_t size, uint64_t file_bytes,
                                          struct weir_artifact *ret_artifact,
                                          struct weir_error *error) WEIR_MUST_USE;

/* Seal: HMAC-SHA-256 over the file's bytes with the directory's key, appended after file_bytes. */
#define WEIR_ARTIFACT_SEAL_BYTES 32u

#endif
