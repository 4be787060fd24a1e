/* What the files of the compile job share: the directory, the spawner's connection, the wait for
 * a child's words. */
#ifndef WEIR_RUNTIME_COMPILE_INTERNAL_H
#define WEIR_RUNTIME_COMPILE_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "artifact/compile_wire.h"
#include "base/io.h"
#include "runtime/compile_job.h"
#include "runtime/compile_limits.h"

/* --- artifact_dir.c --- */

/* As weir_artifact_dir_open(), with an I/O layer. */
enum weir_status weir__artifact_dir_open(const char *path, struct weir_io *io,
                                         struct weir_artifact_dir **ret_dir,
                                         struct weir_error *error) WEIR_MUST_USE;

/* NOT_FOUND on a miss; a file that is not what its name says is moved away and is a miss too. */
enum weir_status weir__artifact_dir_find(struct weir_artifact_dir *dir, const struct weir_hash *key,
                                         int *ret_fd, enum weir_artifact_miss *ret_miss,
                                         struct weir_error *error) WEIR_MUST_USE;

/* Writes, seals, syncs and publishes; gives a read-only descriptor of the file. */
enum weir_status weir__artifact_dir_file(struct weir_artifact_dir *dir, const struct weir_hash *key,
                                         const uint8_t *bytes, size_t size, int *ret_fd,
                                         struct weir_error *error) WEIR_MUST_USE;

/* --- artifact_seal.c --- */

struct weir__artifact_identity {
    uint64_t device; /* an overlay's files need not have that of their folder */
    uint64_t inode;
    uint64_t size;
    uint64_t modified_ns;
    uint64_t changed_ns;
};

/* Good seals by file identity. */
struct weir__artifact_seen {
    struct weir__artifact_identity sets[WEIR_ARTIFACT_SEEN_SETS][WEIR_ARTIFACT_SEEN_WAYS];
    uint8_t next[WEIR_ARTIFACT_SEEN_SETS];
};

struct weir__artifact_identity weir__artifact_identify(const struct stat *stat);
bool weir__artifact_seen_has(const struct weir__artifact_seen *seen,
                             const struct weir__artifact_identity *identity);
void weir__artifact_seen_add(struct weir__artifact_seen *seen,
                             const struct weir__artifact_identity *identity);
/* HMAC of the first `size` bytes of a file. */
enum weir_status weir__artifact_mac_file(struct weir_io *io, int fd, uint64_t size,
                                         const struct weir_hash *key, struct weir_hash *ret_mac,
                                         struct weir_error *error) WEIR_MUST_USE;

/* --- compile_spawner.c --- */

/* Sends a request with its descriptors, starting the spawner when there is none. */
enum weir_status weir__compile_send(const struct weir_compile_request_wire *request,
                                    const int fds[WEIR_COMPILE_FDS], struct weir_error *error)
    WEIR_MUST_USE;
/* The spawner went away in the middle of a job: forget it, so that the next send starts another. */
void weir__compile_lost(void);
/* Its process, for tests; 0 when none runs. */
pid_t weir__compile_pid(void);

/* --- compile_wait.c --- */

struct weir__compile_answer {
    struct weir_compile_reply_wire result; /* RESULT or REFUSED */
    struct weir_compile_reply_wire exit;
    bool has_result;
    bool has_exit; /* false: the spawner is gone */
    uint64_t started_ns;
};

/* Reads replies until the child has ended or the socket closes; hands progress on. CANCELLED when
 * cancel_fd became readable. */
enum weir_status weir__compile_wait(const struct weir_compile_job *job, int reply_fd,
                                    struct weir__compile_answer *ret_answer,
                                    struct weir_error *error) WEIR_MUST_USE;

/* What the next job's child does instead of compiling (enum weir_compile_trial); for tests. */
extern _Atomic uint32_t weir__compile_trial;

#endif
