/* Compiling in another process (DESIGN law 5): the parent's side.
 *
 * One `weir-compile --spawner` per process, started on first use; it forks one limited child per
 * job. The module travels as a sealed memfd, the artifact comes back in one. The parent checks the
 * result, files it in the artifact directory under its key and seals it; a file there is used
 * without compiling when its seal verifies, and moved to quarantine when it does not.
 */
#ifndef WEIR_RUNTIME_COMPILE_JOB_H
#define WEIR_RUNTIME_COMPILE_JOB_H

#include "artifact/artifact.h"
#include "ledger/ledger.h"

struct weir_artifact_dir; /* an open artifact directory, 0700, with its key */

struct weir_compile_limits {
    uint64_t memory_bytes; /* RLIMIT_AS of the child; 0: 64 MiB + 32 x module */
    uint64_t output_bytes; /* 0: 32 MiB + 64 x module */
    uint32_t cpu_ms;       /* 0: 10 s + 1 s per 100 KB */
};

struct weir_compile_job {
    const uint8_t *module; /* NULL: only what the directory holds, else NOT_FOUND */
    size_t module_bytes;
    const struct weir_hash *module_hash; /* NULL: computed from the bytes */
    struct weir_artifact_options options;
    struct weir_compile_limits limits;
    /* WEIR_KIND_COMPILER (module and memory limit) and WEIR_KIND_DESCRIPTOR are charged while the
     * job runs; NULL: the host's account. */
    struct weir_account *account;
    int cancel_fd; /* the job is given up (CANCELLED) once this is readable; 0: none */
    void (*progress)(void *context, uint32_t done, uint32_t total);
    void *progress_context;
    struct weir_error *file_error; /* why the result could not be filed; may be NULL */
};

/* Why the directory could not serve. */
enum weir_artifact_miss {
    WEIR_ARTIFACT_MISS_NONE,
    WEIR_ARTIFACT_MISS_ABSENT,
    WEIR_ARTIFACT_MISS_BAD,       /* damaged, foreign or misnamed: moved to quarantine */
    WEIR_ARTIFACT_MISS_UNREADABLE /* the system refused */
};

struct weir_compile_result {
    int fd;          /* read-only, the sealed file or a sealed memfd; the caller closes it */
    bool was_cached; /* found on disk, not compiled */
    bool is_filed;   /* `fd` is a file of the directory; otherwise a memfd, which nobody changes */
    enum weir_artifact_miss miss;
    double compile_ms;   /* from the request to the result; 0 when cached */
    double child_up_ms;  /* from the request to the first word of the child */
    uint64_t peak_bytes; /* of the child, its output included */
};

/* Creates the directory (0700) and its key when missing; refuses one that others can write. */
enum weir_status weir_artifact_dir_open(const char *path, struct weir_artifact_dir **ret_dir,
                                        struct weir_error *error) WEIR_MUST_USE;
void weir_artifact_dir_close(struct weir_artifact_dir *dir);

struct weir_artifact_dir_counts {
    uint64_t hits;
    uint64_t misses;
    uint64_t filed;
    uint64_t file_failures; /* the artifact was used, but could not be kept: disk full ... */
    uint64_t quarantined;   /* damaged, foreign or misnamed files that were moved away */
    uint64_t removed, removed_bytes; /* to keep the quota */
    uint64_t bytes;                  /* under a quota: of all files, as last counted */
    uint64_t verified; /* seals computed; less than hits, as identities are remembered */
};
void weir_artifact_dir_read(struct weir_artifact_dir *dir, struct weir_artifact_dir_counts *ret);

/* Looks the artifact up in `dir`, or compiles and files it. `dir` NULL: nothing is kept, the result
 * is a sealed memfd (sealed by the kernel; no HMAC follows its bytes). The same where filing fails,
 * which is counted and is no error. Blocks; any thread; as many jobs as there are processors run at
 * a time, the others wait. Errors of the compiler (MALFORMED, INVALID, UNSUPPORTED,
 * with offset and message) arrive unchanged; COMPILE when the child died or hit a limit. */
enum weir_status weir_compile_job_run(struct weir_artifact_dir *dir,
                                      const struct weir_compile_job *job,
                                      struct weir_compile_result *ret_result,
                                      struct weir_error *error) WEIR_MUST_USE;

/* Verifies the seal of an open artifact file; remembered per file identity (dev, ino, size, mtime,
 * ctime). CORRUPT or FOREIGN otherwise. */
enum weir_status weir_artifact_dir_verify(struct weir_artifact_dir *dir, int fd,
                                          struct weir_error *error) WEIR_MUST_USE;

/* The compiler program; NULL restores the default (WEIR_COMPILE environment variable, else beside
 * the running program, else the installed libexec directory). */
void weir_compile_set_program(const char *path);
/* Ends the spawner; it is started again when needed. */
void weir_compile_stop(void);

#endif
