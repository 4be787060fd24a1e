/* What leaves an artifact directory: by quota when something new comes, or by command.
 *
 * The oldest use goes first. Pinned modules and files that some process has loaded stay. A file may
 * be removed under a process that is just opening it: whoever has it open keeps it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/artifact_dir_internal.h"

/* --- the write lock ------------------------------------------------------------------------ */

void weir__dir_pause(void)
{
    const struct timespec pause = {.tv_nsec = WEIR_ARTIFACT_LOCK_PAUSE_MS * 1000000};
    (void)nanosleep(&pause, NULL);
}

static bool has_no_locks(int answer)
{
    return answer == -ENOLCK || answer == -EOPNOTSUPP || answer == -ENOSYS;
}

/* Without locks, as on some network file systems, processes may pass the quota together for a
 * moment, and remove what others have open: neither harms, and nothing kept at all would. */
static int lock_file(struct weir_artifact_dir *dir, int fd)
{
    for (unsigned waited_ms = 0;; waited_ms += WEIR_ARTIFACT_LOCK_PAUSE_MS) {
        int locked = weir_io_flock(dir->io, fd, LOCK_EX | LOCK_NB);
        if (has_no_locks(locked))
            return 0;
        if ((locked != -EWOULDBLOCK && locked != -EINTR) || waited_ms >= WEIR_ARTIFACT_LOCK_MS)
            return locked;
        weir__dir_pause();
    }
}

enum weir_status weir__dir_lock(struct weir_artifact_dir *dir, int *ret_fd,
                                struct weir_error *error)
{
    (void)pthread_mutex_lock(&dir->writing);
    AUTO_FD fd = {dir->io, weir_io_open(dir->io, dir->root, WEIR__DIR_LOCK,
                                        O_RDWR | O_CREAT | O_NOFOLLOW, 0600)};
    int locked = fd.fd < 0 ? fd.fd : lock_file(dir, fd.fd);
    if (locked < 0) {
        (void)pthread_mutex_unlock(&dir->writing);
        if (locked == -EWOULDBLOCK)
            return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                                  "another process holds " WEIR__DIR_LOCK
                                  " of the artifact directory for more than %u ms",
                                  WEIR_ARTIFACT_LOCK_MS);
        return weir__dir_failed(error, locked, "cannot lock " WEIR__DIR_LOCK);
    }
    *ret_fd = fd.fd;
    fd.fd = -1;
    return WEIR_OK;
}

void weir__dir_unlock(struct weir_artifact_dir *dir, int fd)
{
    (void)weir_io_flock(dir->io, fd, LOCK_UN);
    (void)weir_io_close(dir->io, fd);
    (void)pthread_mutex_unlock(&dir->writing);
}

/* --- candidates ---------------------------------------------------------------------------- */

struct candidate {
    struct weir_hash key;
    uint64_t bytes;
    int64_t used_s;
};

struct candidates {
    struct candidate *list; /* charged to the host */
    size_t count, capacity;
    uint64_t files, bytes; /* of all there are */
    bool is_short;         /* memory was refused */
};

static void candidates_done(struct candidates *candidates)
{
    weir_account_free(weir_account_host(), WEIR_KIND_CACHE, candidates->list,
                      candidates->capacity * sizeof *candidates->list);
}

static bool has_room(struct candidates *candidates)
{
    if (candidates->count < candidates->capacity)
        return true;
    size_t larger = candidates->capacity * 2 + 64;
    struct candidate *list =
        weir_account_alloc(weir_account_host(), WEIR_KIND_CACHE, larger * sizeof *list, NULL);
    if (list == NULL)
        return false;
    if (candidates->count > 0)
        memcpy(list, candidates->list, candidates->count * sizeof *list);
    candidates_done(candidates);
    candidates->list = list;
    candidates->capacity = larger;
    return true;
}

static bool add_candidate(void *context, const struct weir_artifact_file *file)
{
    struct candidates *candidates = context;
    candidates->files++;
    candidates->bytes += file->bytes;
    if (file->is_pinned || file->is_loaded)
        return true;
    candidates->is_short = !has_room(candidates);
    if (!candidates->is_short)
        candidates->list[candidates->count++] =
            (struct candidate){file->key, file->bytes, file->used_s};
    return !candidates->is_short;
}

/* Ties, which a file system's coarse times make, are broken by name so that runs repeat. */
static int older_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->used_s != y->used_s)
        return x->used_s < y->used_s ? -1 : 1;
    return memcmp(x->key.bytes, y->key.bytes, sizeof x->key.bytes);
}

static enum weir_status find_candidates(struct weir_artifact_dir *dir,
                                        struct candidates *candidates, struct weir_error *error)
{
    enum weir_status status = weir_artifact_dir_walk(dir, add_candidate, candidates, error);
    if (status == WEIR_OK && candidates->is_short)
        status = weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET,
                                "no memory to list %llu artifacts",
                                (unsigned long long)candidates->files);
    if (status == WEIR_OK && candidates->count > 0)
        qsort(candidates->list, candidates->count, sizeof *candidates->list, older_first);
    return status;
}

static bool remove_candidate(struct weir_artifact_dir *dir, const struct candidate *candidate,
                             const struct weir_artifact_prune *prune)
{
    char name[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(&candidate->key, name);
    if (!prune->is_trial && weir__dir_remove(dir->io, dir->fd, name) < 0)
        return false;
    if (prune->visit != NULL)
        prune->visit(prune->context, name, candidate->bytes);
    return true;
}

/* --- by quota ------------------------------------------------------------------------------ */

static struct timespec change_time(struct weir_artifact_dir *dir)
{
    struct stat stat = {0};
    (void)weir_io_fstat(dir->io, dir->fd, &stat);
    return stat.st_mtim;
}

/* The folder's time becomes one of ours, to the nanosecond: whatever anybody else adds or removes
 * moves it to the kernel's, which is much coarser. Where that is refused we count each time. */
static void mark_counted(struct weir_artifact_dir *dir)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, {0, 0}};
    dir->total_at = (struct timespec){0};
    if (weir_io_clock_gettime(dir->io, CLOCK_REALTIME, &times[1]) == 0 &&
        weir_io_utimensat(dir->io, dir->fd, NULL, times, 0) == 0)
        dir->total_at = change_time(dir);
}

static bool is_counted(struct weir_artifact_dir *dir)
{
    struct timespec now = change_time(dir);
    return dir->total_at.tv_sec != 0 && now.tv_sec == dir->total_at.tv_sec &&
           now.tv_nsec == dir->total_at.tv_nsec;
}

/* Under the write lock. */
static void set_total(struct weir_artifact_dir *dir, uint64_t bytes, uint64_t removed,
                      uint64_t removed_bytes)
{
    dir->total_bytes = bytes;
    mark_counted(dir);
    (void)pthread_mutex_lock(&dir->lock);
    dir->counts.bytes = bytes;
    dir->counts.removed += removed;
    dir->counts.removed_bytes += removed_bytes;
    (void)pthread_mutex_unlock(&dir->lock);
}

void weir__dir_grew(struct weir_artifact_dir *dir, uint64_t bytes)
{
    set_total(dir, dir->total_bytes + bytes, 0, 0);
}

enum weir_status weir__dir_make_room(struct weir_artifact_dir *dir, uint64_t bytes,
                                     struct weir_error *error)
{
    uint64_t quota = atomic_load(&dir->quota);
    uint64_t wanted;
    if (bytes > quota)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "an artifact of %llu bytes; the directory may hold %llu",
                              (unsigned long long)bytes, (unsigned long long)quota);
    if (is_counted(dir) && weir_add_u64(dir->total_bytes, bytes, &wanted) && wanted <= quota)
        return WEIR_OK;
    const struct weir_artifact_prune prune = {0};
    struct candidates candidates = {0};
    uint64_t removed = 0, removed_bytes = 0;
    enum weir_status status = find_candidates(dir, &candidates, error);
    if (status != WEIR_OK) {
        candidates_done(&candidates);
        return status;
    }
    for (size_t i = 0; i < candidates.count; i++) {
        if (candidates.bytes <= quota - bytes)
            break;
        if (!remove_candidate(dir, &candidates.list[i], &prune))
            continue;
        candidates.bytes -= candidates.list[i].bytes;
        removed_bytes += candidates.list[i].bytes;
        removed++;
    }
    candidates_done(&candidates);
    if (candidates.bytes > quota - bytes)
        status = weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                                "the artifact directory holds %llu of %llu bytes, all pinned or "
                                "loaded; %llu more do not fit",
                                (unsigned long long)candidates.bytes, (unsigned long long)quota,
                                (unsigned long long)bytes);
    set_total(dir, candidates.bytes, removed, removed_bytes);
    return status;
}

void weir_artifact_dir_set_quota(struct weir_artifact_dir *dir, uint64_t bytes_max)
{
    atomic_store(&dir->quota, bytes_max);
}

/* --- by command ---------------------------------------------------------------------------- */

struct emptying {
    struct weir_artifact_dir *dir;
    const struct weir_artifact_prune *prune;
    struct weir_artifact_pruned *pruned;
};

static void empty_quarantine(void *context, int fd, const char *name)
{
    struct emptying *emptying = context;
    struct weir_artifact_dir *dir = emptying->dir;
    struct stat stat;
    if (weir_io_fstatat(dir->io, fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
        (!emptying->prune->is_trial && weir__dir_remove(dir->io, fd, name) < 0))
        return;
    if (emptying->prune->visit != NULL)
        emptying->prune->visit(emptying->prune->context, name, (uint64_t)stat.st_size);
    emptying->pruned->files++;
    emptying->pruned->bytes += (uint64_t)stat.st_size;
    (void)pthread_mutex_lock(&dir->lock);
    if (!emptying->prune->is_trial && dir->quarantine_files > 0)
        dir->quarantine_files--;
    (void)pthread_mutex_unlock(&dir->lock);
}

static void prune_files(struct weir_artifact_dir *dir, const struct weir_artifact_prune *prune,
                        const struct candidates *candidates, struct weir_artifact_pruned *pruned)
{
    struct timespec now = {0};
    (void)weir_io_clock_gettime(dir->io, CLOCK_REALTIME, &now);
    pruned->left_files = candidates->files;
    pruned->left_bytes = candidates->bytes;
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *candidate = &candidates->list[i];
        bool is_unused = prune->unused_s > 0 &&
                         weir__dir_age_s(now.tv_sec, candidate->used_s) >= prune->unused_s;
        if (!is_unused && pruned->left_bytes <= prune->bytes_max)
            break;
        if (!remove_candidate(dir, candidate, prune))
            continue;
        pruned->files++;
        pruned->bytes += candidate->bytes;
        pruned->left_files--;
        pruned->left_bytes -= candidate->bytes;
    }
}

enum weir_status weir_artifact_dir_prune(struct weir_artifact_dir *dir,
                                         const struct weir_artifact_prune *prune,
                                         struct weir_artifact_pruned *ret_pruned,
                                         struct weir_error *error)
{
    int lock = -1;
    enum weir_status status = weir__dir_lock(dir, &lock, error);
    if (status != WEIR_OK)
        return status;
    struct weir_artifact_pruned pruned = {0};
    struct candidates candidates = {0};
    status = find_candidates(dir, &candidates, error);
    if (status == WEIR_OK) {
        prune_files(dir, prune, &candidates, &pruned);
        weir__dir_collect(dir, prune, &pruned);
        AUTO_FD fd = {dir->io, prune->quarantine
                                   ? weir__dir_open_folder(dir->io, dir->root, WEIR__DIR_QUARANTINE)
                                   : -1};
        struct emptying emptying = {dir, prune, &pruned};
        if (fd.fd >= 0)
            (void)weir__dir_each(dir->io, fd.fd, empty_quarantine, &emptying);
        *ret_pruned = pruned;
    }
    candidates_done(&candidates);
    weir__dir_unlock(dir, lock);
    return status;
}
