/* Versions of an artifact directory: one folder per format and build, each locked (shared) by the
 * processes that use it, so that a collector knows which ones nobody uses.
 *
 * A collector takes the exclusive lock of a folder, renames it away and removes it. Who opens a
 * folder takes the shared lock and then looks whether the name still means that folder. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/bytes.h"
#include "runtime/artifact_dir_internal.h"

#define ENTER_TRIES (WEIR_ARTIFACT_LOCK_MS / WEIR_ARTIFACT_LOCK_PAUSE_MS)

/* The folder under its name, locked; NOT_FOUND when a collector was faster. */
static enum weir_status enter_once(struct weir_artifact_dir *dir, struct weir_error *error)
{
    int made = weir_io_mkdirat(dir->io, dir->root, dir->version.text, 0700);
    if (made < 0 && made != -EEXIST)
        return weir__dir_failed(error, made, "cannot create the version's folder");
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, dir->root, dir->version.text)};
    if (fd.fd == -ENOENT)
        return WEIR_NOT_FOUND;
    if (fd.fd < 0)
        return weir__dir_failed(error, fd.fd, "cannot open the version's folder");
    if (made == 0)
        made = weir_io_fsync(dir->io, dir->root);
    if (made < 0 && made != -EEXIST)
        return weir__dir_failed(error, made, "cannot sync");
    int locked = weir_io_flock(dir->io, fd.fd, LOCK_SH | LOCK_NB);
    struct stat here, there;
    int got = weir_io_fstat(dir->io, fd.fd, &here);
    if (got == 0)
        got = weir_io_fstatat(dir->io, dir->root, dir->version.text, &there, AT_SYMLINK_NOFOLLOW);
    if (locked == -EWOULDBLOCK || got == -ENOENT ||
        (got == 0 && (here.st_ino != there.st_ino || here.st_dev != there.st_dev)))
        return WEIR_NOT_FOUND;
    if (got < 0)
        return weir__dir_failed(error, got, "no information about the version's folder");
    /* Its time says when somebody came last; a system without locks still has that. */
    (void)weir_io_utimensat(dir->io, fd.fd, NULL, NULL, 0);
    dir->fd = fd.fd;
    fd.fd = -1;
    return WEIR_OK;
}

enum weir_status weir__dir_enter_version(struct weir_artifact_dir *dir, struct weir_error *error)
{
    dir->version = weir__dir_version_now();
    for (unsigned i = 0; i < ENTER_TRIES; i++) {
        enum weir_status status = enter_once(dir, error);
        if (status != WEIR_NOT_FOUND)
            return status;
        weir__dir_pause();
    }
    return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                          "another process holds the artifact directory's folder %s for more than "
                          "%u ms, as who removes it does",
                          dir->version.text, WEIR_ARTIFACT_LOCK_MS);
}

/* --- what there is ------------------------------------------------------------------------- */

static bool is_version_name(const char *name)
{
    unsigned number = 0;
    int used = 0;
    uint64_t build = 0;
    return sscanf(name, "v%u-%16" SCNx64 "%n", &number, &build, &used) == 2 && name[used] == 0;
}

/* A file of the layout before versions. */
static bool is_artifact_name(const char *name)
{
    struct weir_hash key;
    return weir__dir_read_name(name, &key);
}

struct sum {
    struct weir_io *io;
    uint64_t files, bytes;
};

static void add_file(void *context, int fd, const char *name)
{
    struct sum *sum = context;
    struct stat stat;
    if (weir_io_fstatat(sum->io, fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    sum->files++;
    sum->bytes += (uint64_t)stat.st_size;
}

struct versions {
    struct weir_artifact_dir *dir;
    bool (*visit)(void *context, const struct weir_artifact_version *version);
    void *context;
    struct weir_artifact_version flat;
    bool is_ended;
};

static bool is_used(struct weir_io *io, int fd)
{
    if (weir_io_flock(io, fd, LOCK_EX | LOCK_NB) == -EWOULDBLOCK)
        return true;
    (void)weir_io_flock(io, fd, LOCK_UN);
    return false;
}

static void visit_version(void *context, int root, const char *name)
{
    struct versions *versions = context;
    struct weir_artifact_dir *dir = versions->dir;
    struct stat stat;
    if (versions->is_ended)
        return;
    if (is_artifact_name(name)) {
        struct sum sum = {.io = dir->io};
        add_file(&sum, root, name);
        versions->flat.files += sum.files;
        versions->flat.bytes += sum.bytes;
        return;
    }
    if (!is_version_name(name))
        return;
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, root, name)};
    if (fd.fd < 0 || weir_io_fstat(dir->io, fd.fd, &stat) < 0)
        return;
    struct sum sum = {.io = dir->io};
    bool is_current = strcmp(name, dir->version.text) == 0;
    bool is_in_use = is_current || is_used(dir->io, fd.fd);
    (void)weir__dir_each(dir->io, fd.fd, add_file, &sum);
    struct weir_artifact_version version = {.files = sum.files,
                                            .bytes = sum.bytes,
                                            .used_s = stat.st_mtim.tv_sec,
                                            .is_current = is_current,
                                            .is_in_use = is_in_use};
    (void)snprintf(version.name, sizeof version.name, "%.40s", name);
    versions->is_ended = !versions->visit(versions->context, &version);
}

enum weir_status weir_artifact_dir_walk_versions(
    struct weir_artifact_dir *dir,
    bool (*visit)(void *context, const struct weir_artifact_version *version), void *context,
    struct weir_error *error)
{
    struct versions versions = {
        .dir = dir, .visit = visit, .context = context, .flat = {.name = "unversioned"}};
    AUTO_FD list = {dir->io, weir__dir_open_folder(dir->io, dir->root, ".")};
    if (list.fd < 0)
        return weir__dir_failed(error, list.fd, "cannot be read");
    long got = weir__dir_each(dir->io, list.fd, visit_version, &versions);
    if (got < 0)
        return weir__dir_failed(error, got, "cannot be read");
    if (!versions.is_ended && versions.flat.files > 0)
        (void)visit(context, &versions.flat);
    return WEIR_OK;
}

/* --- collecting ---------------------------------------------------------------------------- */

struct collection {
    struct weir_artifact_dir *dir;
    const struct weir_artifact_prune *prune;
    struct weir_artifact_pruned *pruned;
    int64_t now_s;
};

static bool is_stale(const struct collection *collection, const struct stat *stat)
{
    return collection->prune->stale_s >= 0 &&
           weir__dir_age_s(collection->now_s, stat->st_mtim.tv_sec) >= collection->prune->stale_s;
}

static void tell(const struct collection *collection, const char *name, uint64_t bytes)
{
    if (collection->prune->visit != NULL)
        collection->prune->visit(collection->prune->context, name, bytes);
}

static void remove_file(void *context, int fd, const char *name)
{
    (void)weir__dir_remove(context, fd, name);
}

/* The folder is locked and out of the way; what cannot be removed now goes with the next pass. */
static void remove_folder(struct weir_artifact_dir *dir, int fd, const char *name)
{
    (void)weir__dir_each(dir->io, fd, remove_file, dir->io);
    (void)weir_io_unlinkat(dir->io, dir->root, name, AT_REMOVEDIR);
}

/* Under the folder's lock. */
static void collect_locked(struct collection *collection, int fd, const char *name)
{
    struct weir_artifact_dir *dir = collection->dir;
    struct weir__dir_name old;
    struct sum sum = {.io = dir->io};
    AUTO_FD list = {dir->io, weir__dir_open_folder(dir->io, dir->root, name)};
    if (list.fd < 0 || weir__dir_each(dir->io, list.fd, add_file, &sum) < 0)
        return;
    if (!collection->prune->is_trial) {
        if (weir__dir_random_name(dir->io, WEIR__DIR_OLD, &old, NULL) != WEIR_OK ||
            weir_io_renameat(dir->io, dir->root, name, dir->root, old.text, 0) < 0)
            return;
        remove_folder(dir, fd, old.text);
    }
    tell(collection, name, sum.bytes);
    collection->pruned->versions++;
    collection->pruned->files += sum.files;
    collection->pruned->bytes += sum.bytes;
}

static void collect_version(struct collection *collection, const char *name)
{
    struct weir_artifact_dir *dir = collection->dir;
    struct stat stat;
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, dir->root, name)};
    if (fd.fd < 0 || weir_io_fstat(dir->io, fd.fd, &stat) < 0 || !is_stale(collection, &stat) ||
        weir_io_flock(dir->io, fd.fd, LOCK_EX | LOCK_NB) < 0)
        return;
    collect_locked(collection, fd.fd, name);
    (void)weir_io_flock(dir->io, fd.fd, LOCK_UN);
}

/* A collector died in the middle: nobody else can have the folder. */
static void collect_rest(struct collection *collection, const char *name)
{
    struct weir_artifact_dir *dir = collection->dir;
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, dir->root, name)};
    if (fd.fd >= 0 && !collection->prune->is_trial &&
        weir_io_flock(dir->io, fd.fd, LOCK_EX | LOCK_NB) == 0)
        remove_folder(dir, fd.fd, name);
}

static void collect_flat(struct collection *collection, int root, const char *name)
{
    struct weir_artifact_dir *dir = collection->dir;
    struct stat stat;
    if (weir_io_fstatat(dir->io, root, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(stat.st_mode) || !is_stale(collection, &stat))
        return;
    if (!collection->prune->is_trial && weir_io_unlinkat(dir->io, root, name, 0) < 0)
        return;
    tell(collection, name, (uint64_t)stat.st_size);
    collection->pruned->files++;
    collection->pruned->bytes += (uint64_t)stat.st_size;
}

static void collect_name(void *context, int root, const char *name)
{
    struct collection *collection = context;
    if (strncmp(name, WEIR__DIR_OLD, strlen(WEIR__DIR_OLD)) == 0)
        collect_rest(collection, name);
    else if (is_artifact_name(name))
        collect_flat(collection, root, name);
    else if (is_version_name(name) && strcmp(name, collection->dir->version.text) != 0)
        collect_version(collection, name);
}

void weir__dir_collect(struct weir_artifact_dir *dir, const struct weir_artifact_prune *prune,
                       struct weir_artifact_pruned *pruned)
{
    struct timespec now;
    AUTO_FD list = {dir->io, weir__dir_open_folder(dir->io, dir->root, ".")};
    if (list.fd < 0 || weir_io_clock_gettime(dir->io, CLOCK_REALTIME, &now) < 0)
        return;
    struct collection collection = {dir, prune, pruned, now.tv_sec};
    (void)weir__dir_each(dir->io, list.fd, collect_name, &collection);
}
