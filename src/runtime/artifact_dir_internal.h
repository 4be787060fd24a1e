/* What the files of the artifact directory share: its record, its names, its helpers. */
#ifndef WEIR_RUNTIME_ARTIFACT_DIR_INTERNAL_H
#define WEIR_RUNTIME_ARTIFACT_DIR_INTERNAL_H

#include <dirent.h>
#include <pthread.h>
#include <string.h>

#include "runtime/artifact_name.h"
#include "runtime/artifact_store.h"
#include "runtime/compile_internal.h"

#define WEIR__DIR_KEY "seal.key"
#define WEIR__DIR_LOCK "write.lock"
#define WEIR__DIR_NEW ".new-"
#define WEIR__DIR_OLD ".old-"
#define WEIR__DIR_PINS "pins"
#define WEIR__DIR_QUARANTINE "quarantine"
#define WEIR__DIR_FDS 2u

struct weir_artifact_dir {
    struct weir_io *io;
    int root;
    int fd; /* of this build's version */
    struct weir__dir_version version;
    struct weir_hash key;
    pthread_mutex_t lock; /* for what follows */
    struct weir_artifact_dir_counts counts;
    uint64_t quarantine_files;
    struct weir__artifact_seen seen;
    pthread_mutex_t writing; /* this process's writers; then comes the file's lock */
    _Atomic uint64_t quota;
    /* Under the write lock: what the version held when its folder last changed by our hand. */
    uint64_t total_bytes;
    struct timespec total_at;
};

/* Closes through the layer that opened. */
struct weir__dir_fd {
    struct weir_io *io;
    int fd;
};
static inline void weir__dir_fd_close(struct weir__dir_fd *fd)
{
    if (fd->fd >= 0)
        (void)weir_io_close(fd->io, fd->fd);
}
#define AUTO_FD __attribute__((cleanup(weir__dir_fd_close))) struct weir__dir_fd

enum weir_status weir__dir_failed(struct weir_error *error, long result, const char *what);

/* Room for ".new-" or ".old-" and 16 digits. */
struct weir__dir_name {
    char text[24];
};
enum weir_status weir__dir_random_name(struct weir_io *io, const char *prefix,
                                       struct weir__dir_name *ret_name, struct weir_error *error)
    WEIR_MUST_USE;

/* Calls visit for every name in `fd` (which is read from where it stands) but "." and "..".
 * Negative errno when reading fails. */
long weir__dir_each(struct weir_io *io, int fd,
                    void (*visit)(void *context, int fd, const char *name), void *context);

/* What lies there need not be a file: no link is followed, and no pipe's other end waited for. */
#define WEIR__DIR_READ (O_RDONLY | O_NOFOLLOW | O_NONBLOCK)

/* The folder `name` under `at`, for reading. A descriptor or -errno. */
int weir__dir_open_folder(struct weir_io *io, int at, const char *name);

/* Removes what lies there: a file, or a folder with what is in it. 0 or -errno. */
int weir__dir_remove(struct weir_io *io, int at, const char *name);

/* How long ago `then` was, in seconds; a file may claim any second there is. */
static inline int64_t weir__dir_age_s(int64_t now, int64_t then)
{
    int64_t age;
    return !__builtin_sub_overflow(now, then, &age) ? age : then < 0 ? INT64_MAX : INT64_MIN;
}

/* The hash that a file is called by, in the one way in which we write it. */
static inline bool weir__dir_read_name(const char *name, struct weir_hash *ret_hash)
{
    char hex[WEIR_HASH_HEX_SIZE];
    if (!weir_hex_read(name, strlen(name), ret_hash->bytes, sizeof ret_hash->bytes))
        return false;
    weir_hash_hex(ret_hash, hex);
    return strcmp(hex, name) == 0;
}

/* Moves what is bad away, whatever it is; where that fails it is removed, and where that fails too
 * it stays and is refused again next time. */
void weir__dir_quarantine(struct weir_artifact_dir *dir, const char *name);

/* Sealed by us, but also what its name says? */
enum weir_status weir__dir_check_name(struct weir_artifact_dir *dir, int fd,
                                      const struct weir_hash *key, struct weir_error *error)
    WEIR_MUST_USE;
enum weir_status weir__dir_check_seal(struct weir_artifact_dir *dir, int fd, uint64_t size,
                                      struct weir_error *error) WEIR_MUST_USE;

/* --- artifact_prune.c --- */

/* Between two tries of a lock that another process holds. */
void weir__dir_pause(void);
/* The write lock: one writer of all processes. *ret_fd is to be closed; BUSY after a while. Locks
 * are let go by name and not only closed: a child that was forked meanwhile has a copy. */
enum weir_status weir__dir_lock(struct weir_artifact_dir *dir, int *ret_fd,
                                struct weir_error *error) WEIR_MUST_USE;
void weir__dir_unlock(struct weir_artifact_dir *dir, int fd);
/* Under the write lock: room for `bytes` more. LIMIT when there is none to be had. */
enum weir_status weir__dir_make_room(struct weir_artifact_dir *dir, uint64_t bytes,
                                     struct weir_error *error) WEIR_MUST_USE;
/* Under the write lock, after a file of `bytes` was published. */
void weir__dir_grew(struct weir_artifact_dir *dir, uint64_t bytes);

/* --- artifact_version.c --- */

/* Opens (making it when missing) this build's version and marks it as in use. */
enum weir_status weir__dir_enter_version(struct weir_artifact_dir *dir, struct weir_error *error)
    WEIR_MUST_USE;
/* Removes versions that nobody has used for `stale_s` seconds, and what a collector left that died.
 */
void weir__dir_collect(struct weir_artifact_dir *dir, const struct weir_artifact_prune *prune,
                       struct weir_artifact_pruned *pruned);

#endif
