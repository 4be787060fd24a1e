/* Module: validated and compiled; immutable; shared between stores and threads. */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_module;

struct weir_module_config {
    const char *name; /* for people: reports and backtraces; NULL: "module" */
    void (*progress)(void *context, uint32_t done, uint32_t total); /* functions compiled */
    void *progress_context;
};

/* What a module needs or offers. Strings and type arrays belong to the module and are
 * zero-terminated copies; names may contain zero bytes, so sizes are given too. */
struct weir_extern_type {
    enum weir_extern_kind kind;
    struct weir_func_type func;
    struct weir_limits limits;    /* tables and memories */
    enum weir_type type;          /* tables: element; globals: value */
    bool is_mutable;
};
struct weir_import_info {
    const char *module;
    size_t module_size;
    const char *name;
    size_t name_size;
    struct weir_extern_type type;
};
struct weir_export_info {
    const char *name;
    size_t name_size;
    struct weir_extern_type type;
};

/* Compiles in the compiler process, or takes the artifact from the engine's directory. The bytes
 * are not needed afterwards. `config` may be NULL. Errors: MALFORMED, INVALID, UNSUPPORTED,
 * TOO_LARGE (with the offset in the module), COMPILE, LIMIT, IO. */
enum weir_status weir_module_new(struct weir_engine *engine, const uint8_t *bytes, size_t size,
                                 const struct weir_module_config *config,
                                 struct weir_module **ret_module, struct weir_error *error);
/* Whether the bytes are a module that the engine's features admit, decoded and validated whole in
 * this process: OK, or MALFORMED, INVALID, UNSUPPORTED, TOO_LARGE with the offset. A valid module
 * may still use what the generator cannot compile. */
enum weir_status weir_module_validate(struct weir_engine *engine, const uint8_t *bytes, size_t size,
                                      struct weir_error *error);
/* An artifact that is already open (a descriptor on a file or sealed memfd that this process
 * made or verified); the descriptor is duplicated. */
enum weir_status weir_module_load(struct weir_engine *engine, int fd,
                                  const struct weir_module_config *config,
                                  struct weir_module **ret_module, struct weir_error *error);
struct weir_module *weir_module_ref(struct weir_module *module);
void weir_module_unref(struct weir_module *module);

/* Makes what follows ready, which is otherwise done on first use: LIMIT when memory for it was
 * refused, CORRUPT when the artifact was cut. weir_module_import() and weir_module_export() answer
 * empty names then. */
enum weir_status weir_module_describe(const struct weir_module *module, struct weir_error *error);
struct weir_engine *weir_module_engine(const struct weir_module *module);
const char *weir_module_name(const struct weir_module *module);
/* Beyond the count: empty names. */
size_t weir_module_import_count(const struct weir_module *module);
void weir_module_import(const struct weir_module *module, size_t index,
                        struct weir_import_info *ret);
size_t weir_module_export_count(const struct weir_module *module);
void weir_module_export(const struct weir_module *module, size_t index,
                        struct weir_export_info *ret);

struct weir_module_figures {
    uint64_t module_bytes;   /* of the Wasm file */
    uint64_t text_bytes;
    uint64_t artifact_bytes; /* mapped from the file */
    uint64_t private_bytes;  /* charged to the engine for this module */
    double compile_ms;       /* 0 when it came from the directory */
    bool was_cached;
    bool is_kept; /* in the directory: found or put there */
};
void weir_module_figures(const struct weir_module *module, struct weir_module_figures *ret);

#ifdef __cplusplus
}
#endif
#endif
