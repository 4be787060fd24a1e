/* What the module cache asks of the runtime: a module from bytes or from a directory by its hash,
 * with what it took; and to be told when the last user of a module has gone. */
#ifndef WEIR_RUNTIME_MODULE_SOURCE_H
#define WEIR_RUNTIME_MODULE_SOURCE_H

#include <weir/module.h>

#include "runtime/compile_job.h"

struct weir_module_source {
    struct weir_artifact_dir *dir; /* NULL: compiled each time, kept nowhere */
    const uint8_t *bytes;          /* NULL: only what the directory holds, else NOT_FOUND */
    size_t size;
    const struct weir_hash *hash; /* of the bytes; NULL: computed. INVALID_ARGUMENT when wrong */
    const struct weir_module_config *config; /* may be NULL */
};

struct weir_module_origin {
    bool was_compiled;
    bool is_filed; /* the artifact is in the directory */
    enum weir_artifact_miss miss;
};

/* Finds or compiles, then loads. */
enum weir_status weir_module_obtain(struct weir_engine *engine,
                                    const struct weir_module_source *source,
                                    struct weir_module **ret_module,
                                    struct weir_module_origin *ret_origin, struct weir_error *error)
    WEIR_MUST_USE;

/* What the module's artifact for this engine is filed under. */
enum weir_status weir_module_key(const struct weir_engine *engine, const struct weir_hash *hash,
                                 struct weir_hash *ret_key, struct weir_error *error) WEIR_MUST_USE;

/* One more reference, unless the last one has gone already. */
bool weir_module_try_ref(struct weir_module *module);
/* Drops a reference, unless it is the last one: false then. */
bool weir_module_unref_shared(struct weir_module *module);
/* References now held. 1 is lasting for who holds that one and does not hand it out meanwhile. */
uint32_t weir_module_use_count(const struct weir_module *module);

/* Of who keeps modules: set before the module is handed out. `unused` is called once, by the thread
 * that dropped the last reference, before anything of the module is released. */
struct weir_module_owner {
    void (*unused)(void *context, struct weir_module *module);
    void *context;
    struct weir_module *next; /* for lists of the owner's, who then holds the only reference */
};
struct weir_module_owner *weir_module_owner_of(struct weir_module *module);

struct weir_module_residency {
    uint64_t mapped_bytes;
    uint64_t resident_bytes; /* of the mapping, shared with the page cache */
    uint64_t copied_bytes;   /* of the mapping, the process's own; 0 unless somebody meddles */
};
/* From /proc/self/pagemap: for reports. */
enum weir_status weir_module_residency(const struct weir_module *module,
                                       struct weir_module_residency *ret, struct weir_error *error)
    WEIR_MUST_USE;

#endif
