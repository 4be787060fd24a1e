/* The artifact directory as the disk tier of the module cache: what is in it, what is pinned, how
 * much it may hold, what goes.
 *
 * Any thread, and several processes at a time. A file that some process has loaded carries a lock
 * of that process (gone with it, however it ends) and is not removed; a version that some process
 * uses likewise. Whoever publishes under a quota, or removes, holds the directory's write lock.
 */
#ifndef WEIR_RUNTIME_ARTIFACT_STORE_H
#define WEIR_RUNTIME_ARTIFACT_STORE_H

#include "runtime/compile_job.h"

/* --- pins: modules, by the hash of their bytes, whatever options or build compiled them ---------
 */

/* Durable when it returns: a pin survives a restart, and a crash. Idempotent. */
enum weir_status weir_artifact_dir_pin(struct weir_artifact_dir *dir,
                                       const struct weir_hash *module, bool is_pinned,
                                       struct weir_error *error) WEIR_MUST_USE;
bool weir_artifact_dir_is_pinned(struct weir_artifact_dir *dir, const struct weir_hash *module);
/* A visitor that returns false ends the walk. Names that are no hash are passed over. */
void weir_artifact_dir_walk_pins(struct weir_artifact_dir *dir,
                                 bool (*visit)(void *context, const struct weir_hash *module),
                                 void *context);

/* --- what is there --------------------------------------------------------------------------- */

struct weir_artifact_file {
    struct weir_hash key;
    uint64_t bytes;
    int64_t modified_s; /* CLOCK_REALTIME */
    int64_t used_s;     /* last load as the file system tells it: to the day with relatime */
    bool is_pinned;
    bool is_loaded;  /* by some process that runs now */
    bool is_foreign; /* not an artifact of this build; what follows is zero */
    struct weir_hash module;
    uint64_t module_bytes;
    uint32_t options; /* WEIR_ARTIFACT_* */
    char generator[16];
};
/* The present version's files, in no order; NOT verified. IO when the directory cannot be read. */
enum weir_status weir_artifact_dir_walk(struct weir_artifact_dir *dir,
                                        bool (*visit)(void *context,
                                                      const struct weir_artifact_file *file),
                                        void *context, struct weir_error *error) WEIR_MUST_USE;

struct weir_artifact_version {
    char name[64];
    uint64_t files;
    uint64_t bytes;
    int64_t used_s;  /* when a process last opened or changed it */
    bool is_current; /* this build's */
    bool is_in_use;  /* by some process that runs now */
};
enum weir_status weir_artifact_dir_walk_versions(
    struct weir_artifact_dir *dir,
    bool (*visit)(void *context, const struct weir_artifact_version *version), void *context,
    struct weir_error *error) WEIR_MUST_USE;

struct weir_artifact_quarantine {
    uint64_t files;
    uint64_t bytes;
};
void weir_artifact_dir_quarantine_read(struct weir_artifact_dir *dir,
                                       struct weir_artifact_quarantine *ret);

/* --- what goes ------------------------------------------------------------------------------- */

/* From now on filing makes room first: what was used longest ago goes, but never what is pinned or
 * loaded. What does not fit all the same is used, but not kept (counted as file_failures).
 * WEIR_UNLIMITED: no quota; until this is called it is WEIR_ARTIFACT_DIR_BYTES_DEFAULT. */
void weir_artifact_dir_set_quota(struct weir_artifact_dir *dir, uint64_t bytes_max);

struct weir_artifact_prune {
    uint64_t bytes_max; /* of the present version; WEIR_UNLIMITED: as many as there are */
    int64_t unused_s;   /* files not used for so long go; 0: no such rule */
    int64_t stale_s;    /* other versions not used for so long go; -1: none */
    bool quarantine;    /* empty it */
    bool is_trial;      /* only say what would go */
    void (*visit)(void *context, const char *name, uint64_t bytes); /* what goes; may be NULL */
    void *context;
};
struct weir_artifact_pruned {
    uint64_t files, bytes;
    uint64_t left_files, left_bytes; /* of the present version */
    uint64_t versions;
};
/* BUSY when another process holds the write lock for too long. */
enum weir_status weir_artifact_dir_prune(struct weir_artifact_dir *dir,
                                         const struct weir_artifact_prune *prune,
                                         struct weir_artifact_pruned *ret_pruned,
                                         struct weir_error *error) WEIR_MUST_USE;

/* Verifies seal, name and every entry of one file, whatever is remembered about it. A bad one is
 * moved to quarantine (CORRUPT or FOREIGN). */
enum weir_status weir_artifact_dir_check(struct weir_artifact_dir *dir, const struct weir_hash *key,
                                         struct weir_error *error) WEIR_MUST_USE;

#endif
