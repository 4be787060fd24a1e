/* The directory of artifacts (DESIGN law 6): ours alone, every file under its key and sealed.
 *
 *   seal.key             32 random bytes, 0600, made once
 *   write.lock           locked by who publishes under a quota, or removes
 *   .new-*               files in the making; old ones are removed when the directory is opened
 *   vN-BUILD/KEY         an artifact and its seal; appears by rename, so it is whole or not there.
 *                        One folder per format and build; those that nobody uses are collected
 *   pins/MODULE          a module that stays, by the hash of its bytes
 *   quarantine/KEY       what carried a wrong seal or a wrong name; never served
 *
 * Several processes may use one directory: whoever renames last wins, and all files of one key are
 * the same bytes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/artifact.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "runtime/artifact_dir_internal.h"

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
#define OTHERS_ANY (S_IRWXG | S_IRWXO)
#define KEY_NAME WEIR__DIR_KEY

enum weir_status weir__dir_failed(struct weir_error *error, long result, const char *what)
{
    return weir_error_set_errno(error, WEIR_IO, (int)-result, "artifact directory: %s", what);
}

static void count(struct weir_artifact_dir *dir, uint64_t *counter)
{
    (void)pthread_mutex_lock(&dir->lock);
    (*counter)++;
    (void)pthread_mutex_unlock(&dir->lock);
}

/* --- names --- */

enum weir_status weir__dir_random_name(struct weir_io *io, const char *prefix,
                                       struct weir__dir_name *ret_name, struct weir_error *error)
{
    uint64_t number = 0;
    long got = weir_io_getrandom(io, &number, sizeof number, 0);
    if (got != (long)sizeof number)
        return weir__dir_failed(error, got < 0 ? got : -EIO, "no random name");
    (void)snprintf(ret_name->text, sizeof ret_name->text, "%s%016" PRIx64, prefix, number);
    return WEIR_OK;
}

long weir__dir_each(struct weir_io *io, int fd,
                    void (*visit)(void *context, int fd, const char *name), void *context)
{
    _Alignas(struct dirent64) char buffer[4096];
    for (;;) {
        long size = weir_io_getdents(io, fd, buffer, sizeof buffer);
        if (size <= 0)
            return size;
        for (long at = 0; at < size;) {
            const struct dirent64 *entry = (const void *)(buffer + at);
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                visit(context, fd, entry->d_name);
            at += entry->d_reclen;
        }
    }
}

int weir__dir_open_folder(struct weir_io *io, int at, const char *name)
{
    return weir_io_open(io, at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* --- removing --- */

struct removal {
    struct weir_io *io;
    unsigned depth;
};

static int remove_at(struct removal *removal, int at, const char *name);

static void remove_inside(void *context, int fd, const char *name)
{
    (void)remove_at(context, fd, name);
}

static int remove_at(struct removal *removal, int at, const char *name)
{
    struct weir_io *io = removal->io;
    int result = weir_io_unlinkat(io, at, name, 0);
    if (result != -EISDIR || removal->depth == WEIR_ARTIFACT_TREE_DEPTH)
        return result;
    AUTO_FD fd = {io, weir__dir_open_folder(io, at, name)};
    removal->depth++;
    if (fd.fd >= 0)
        (void)weir__dir_each(io, fd.fd, remove_inside, removal);
    removal->depth--;
    return weir_io_unlinkat(io, at, name, AT_REMOVEDIR);
}

int weir__dir_remove(struct weir_io *io, int at, const char *name)
{
    struct removal removal = {.io = io};
    return remove_at(&removal, at, name);
}

/* --- opening --- */

static enum weir_status open_folder(const char *path, struct weir_io *io, int *ret_fd,
                                    struct weir_error *error)
{
    int made = weir_io_mkdirat(io, AT_FDCWD, path, 0700);
    if (made < 0 && made != -EEXIST)
        return weir_error_set_errno(error, WEIR_IO, -made,
                                    "cannot create the artifact directory %s", path);
    AUTO_FD fd = {io, weir__dir_open_folder(io, AT_FDCWD, path)};
    struct stat stat;
    if ((fd.fd == -ENOTDIR || fd.fd == -ELOOP) &&
        weir_io_fstatat(io, AT_FDCWD, path, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(stat.st_mode))
        return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                              "the artifact directory %s is a symbolic link; name the directory "
                              "itself",
                              path);
    if (fd.fd < 0)
        return weir_error_set_errno(error, WEIR_IO, -fd.fd, "cannot open the artifact directory %s",
                                    path);
    int got = weir_io_fstat(io, fd.fd, &stat);
    if (got < 0)
        return weir__dir_failed(error, got, "no information about it");
    if (stat.st_uid != geteuid())
        return weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                              "the artifact directory %s belongs to user %u, we are %u; give us "
                              "one of our own",
                              path, stat.st_uid, geteuid());
    if ((stat.st_mode & OTHERS_WRITE) != 0)
        return weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                              "others may write to the artifact directory %s (mode %04o); empty "
                              "it and chmod 700",
                              path, stat.st_mode & 07777u);
    *ret_fd = fd.fd;
    fd.fd = -1;
    return WEIR_OK;
}

#define REMOVE_KEY "remove it, all modules will be compiled again"

static enum weir_status key_failed(struct weir_error *error, long result, const char *path,
                                   const char *what)
{
    return weir_error_set_errno(error, WEIR_IO, (int)-result, "cannot %s %s/" KEY_NAME, what, path);
}

static enum weir_status check_key(const struct stat *stat, const char *path,
                                  struct weir_error *error)
{
    if (!S_ISREG(stat->st_mode))
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "%s/" KEY_NAME " is no file; " REMOVE_KEY, path);
    if (stat->st_uid != geteuid())
        return weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                              "%s/" KEY_NAME " belongs to user %u, we are %u; " REMOVE_KEY, path,
                              stat->st_uid, geteuid());
    if ((stat->st_mode & OTHERS_ANY) != 0)
        return weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                              "others may read %s/" KEY_NAME " (mode %04o); " REMOVE_KEY, path,
                              stat->st_mode & 07777u);
    return WEIR_OK;
}

static enum weir_status read_key(struct weir_artifact_dir *dir, const char *path,
                                 struct weir_error *error)
{
    AUTO_FD fd = {dir->io, weir_io_open(dir->io, dir->root, KEY_NAME, WEIR__DIR_READ, 0)};
    if (fd.fd == -ENOENT)
        return WEIR_NOT_FOUND;
    if (fd.fd == -EACCES)
        return weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                              "we may not read %s/" KEY_NAME "; " REMOVE_KEY, path);
    if (fd.fd == -ELOOP)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "%s/" KEY_NAME " is a symbolic link; " REMOVE_KEY, path);
    if (fd.fd < 0)
        return key_failed(error, fd.fd, path, "open");
    struct stat stat;
    int got = weir_io_fstat(dir->io, fd.fd, &stat);
    if (got < 0)
        return key_failed(error, got, path, "look at");
    enum weir_status status = check_key(&stat, path, error);
    if (status != WEIR_OK)
        return status;
    long size = weir_io_read_full(dir->io, fd.fd, dir->key.bytes, sizeof dir->key.bytes);
    if (size < 0)
        return key_failed(error, size, path, "read");
    if (size != (long)sizeof dir->key.bytes || stat.st_size != size)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "%s/" KEY_NAME " has %lld bytes instead of 32; " REMOVE_KEY, path,
                              (long long)stat.st_size);
    return WEIR_OK;
}

/* Writes a key under a new name and links it in place: of several processes one wins, whole. */
static enum weir_status write_key(struct weir_artifact_dir *dir, const char *path,
                                  const char *name, struct weir_error *error)
{
    struct weir_hash key;
    long got = weir_io_getrandom(dir->io, key.bytes, sizeof key.bytes, 0);
    if (got != (long)sizeof key.bytes)
        return key_failed(error, got < 0 ? got : -EIO, path, "get random bytes for");
    AUTO_FD fd = {dir->io,
                  weir_io_open(dir->io, dir->root, name, O_WRONLY | O_CREAT | O_EXCL, 0600)};
    if (fd.fd < 0)
        return key_failed(error, fd.fd, path, "create");
    int result = weir_io_write_all(dir->io, fd.fd, key.bytes, sizeof key.bytes);
    if (result == 0)
        result = weir_io_fsync(dir->io, fd.fd);
    if (result == 0)
        result = weir_io_linkat(dir->io, dir->root, name, dir->root, KEY_NAME, 0);
    if (result == 0)
        result = weir_io_fsync(dir->io, dir->root);
    (void)weir_io_unlinkat(dir->io, dir->root, name, 0);
    if (result < 0 && result != -EEXIST)
        return key_failed(error, result, path, "write");
    return WEIR_OK;
}

static enum weir_status have_key(struct weir_artifact_dir *dir, const char *path,
                                 struct weir_error *error)
{
    enum weir_status status = read_key(dir, path, error);
    if (status != WEIR_NOT_FOUND)
        return status;
    struct weir__dir_name name;
    if ((status = weir__dir_random_name(dir->io, WEIR__DIR_NEW, &name, error)) != WEIR_OK ||
        (status = write_key(dir, path, name.text, error)) != WEIR_OK)
        return status;
    status = read_key(dir, path, error);
    if (status == WEIR_NOT_FOUND)
        return key_failed(error, -ENOENT, path, "read back");
    return status;
}

/* Its writer holds a lock while it lives. */
static bool is_orphan(struct weir_io *io, int at, const char *name)
{
    AUTO_FD fd = {io, weir_io_open(io, at, name, WEIR__DIR_READ, 0)};
    return fd.fd >= 0 && weir_io_flock(io, fd.fd, LOCK_EX | LOCK_NB) == 0;
}

static void remove_stale(void *context, int fd, const char *name)
{
    struct weir_artifact_dir *dir = context;
    struct stat stat;
    struct timespec now;
    if (strncmp(name, WEIR__DIR_NEW, strlen(WEIR__DIR_NEW)) != 0 ||
        weir_io_fstatat(dir->io, fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
        weir_io_clock_gettime(dir->io, CLOCK_REALTIME, &now) < 0)
        return;
    int64_t age_s = weir__dir_age_s(now.tv_sec, stat.st_mtim.tv_sec);
    if (age_s > WEIR_ARTIFACT_STALE_S ||
        (age_s > WEIR_ARTIFACT_ORPHAN_S && is_orphan(dir->io, fd, name)))
        (void)weir_io_unlinkat(dir->io, fd, name, 0);
}

static void count_quarantined(void *context, int fd, const char *name)
{
    (void)fd;
    (void)name;
    ((struct weir_artifact_dir *)context)->quarantine_files++;
}

/* A folder that cannot be read has no names. */
static void visit_folder(struct weir_artifact_dir *dir, int at, const char *name,
                         void (*visit)(void *context, int fd, const char *name))
{
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, at, name)};
    if (fd.fd >= 0)
        (void)weir__dir_each(dir->io, fd.fd, visit, dir);
}

static enum weir_status prepare(struct weir_artifact_dir *dir, const char *path,
                                struct weir_error *error)
{
    enum weir_status status = have_key(dir, path, error);
    if (status != WEIR_OK)
        return status;
    struct weir_error why = {0};
    if ((status = weir__dir_enter_version(dir, &why)) != WEIR_OK) {
        (void)weir_error_set(error, status, why.offset, "%s (in %s)", why.message, path);
        weir_error_done(&why);
        return status;
    }
    visit_folder(dir, dir->root, ".", remove_stale);
    visit_folder(dir, dir->root, WEIR__DIR_QUARANTINE, count_quarantined);
    const struct weir_artifact_prune prune = {.stale_s = WEIR_ARTIFACT_VERSION_STALE_S};
    struct weir_artifact_pruned pruned = {0};
    weir__dir_collect(dir, &prune, &pruned);
    return WEIR_OK;
}

enum weir_status weir__artifact_dir_open(const char *path, struct weir_io *io,
                                         struct weir_artifact_dir **ret_dir,
                                         struct weir_error *error)
{
    struct weir_account *host = weir_account_host();
    int fd = -1;
    enum weir_status status = weir_account_charge(host, WEIR_KIND_DESCRIPTOR, WEIR__DIR_FDS, error);
    if (status != WEIR_OK)
        return status;
    if ((status = open_folder(path, io, &fd, error)) != WEIR_OK) {
        weir_account_discharge(host, WEIR_KIND_DESCRIPTOR, WEIR__DIR_FDS);
        return status;
    }
    struct weir_artifact_dir *dir =
        weir_account_alloc(host, WEIR_KIND_METADATA, sizeof *dir, error);
    if (dir == NULL) {
        (void)weir_io_close(io, fd);
        weir_account_discharge(host, WEIR_KIND_DESCRIPTOR, WEIR__DIR_FDS);
        return error != NULL && error->status != WEIR_OK ? error->status : WEIR_NO_MEMORY;
    }
    dir->io = io;
    dir->root = fd;
    dir->fd = -1;
    dir->quota = WEIR_ARTIFACT_DIR_BYTES_DEFAULT;
    (void)pthread_mutex_init(&dir->lock, NULL);
    (void)pthread_mutex_init(&dir->writing, NULL);
    if ((status = prepare(dir, path, error)) != WEIR_OK) {
        weir_artifact_dir_close(dir);
        return status;
    }
    *ret_dir = dir;
    return WEIR_OK;
}

enum weir_status weir_artifact_dir_open(const char *path, struct weir_artifact_dir **ret_dir,
                                        struct weir_error *error)
{
    return weir__artifact_dir_open(path, weir_io_system(), ret_dir, error);
}

void weir_artifact_dir_close(struct weir_artifact_dir *dir)
{
    if (dir == NULL)
        return;
    struct weir_account *host = weir_account_host();
    if (dir->fd >= 0)
        (void)weir_io_close(dir->io, dir->fd);
    (void)weir_io_close(dir->io, dir->root);
    (void)pthread_mutex_destroy(&dir->lock);
    (void)pthread_mutex_destroy(&dir->writing);
    explicit_bzero(&dir->key, sizeof dir->key);
    weir_account_free(host, WEIR_KIND_METADATA, dir, sizeof *dir);
    weir_account_discharge(host, WEIR_KIND_DESCRIPTOR, WEIR__DIR_FDS);
}

void weir_artifact_dir_read(struct weir_artifact_dir *dir, struct weir_artifact_dir_counts *ret)
{
    (void)pthread_mutex_lock(&dir->lock);
    *ret = dir->counts;
    (void)pthread_mutex_unlock(&dir->lock);
}

/* --- verifying --- */

static bool is_seen(struct weir_artifact_dir *dir, const struct weir__artifact_identity *identity)
{
    (void)pthread_mutex_lock(&dir->lock);
    bool found = weir__artifact_seen_has(&dir->seen, identity);
    (void)pthread_mutex_unlock(&dir->lock);
    return found;
}

static void remember(struct weir_artifact_dir *dir, const struct weir__artifact_identity *identity)
{
    (void)pthread_mutex_lock(&dir->lock);
    weir__artifact_seen_add(&dir->seen, identity);
    (void)pthread_mutex_unlock(&dir->lock);
}

enum weir_status weir__dir_check_seal(struct weir_artifact_dir *dir, int fd, uint64_t size,
                                      struct weir_error *error)
{
    struct weir_hash expected, found;
    enum weir_status status =
        weir__artifact_mac_file(dir->io, fd, size, &dir->key, &expected, error);
    if (status != WEIR_OK)
        return status;
    long got = weir_io_pread(dir->io, fd, found.bytes, sizeof found.bytes, size);
    if (got != (long)sizeof found.bytes || !weir_hash_equal(&expected, &found))
        return weir_error_set(error, WEIR_CORRUPT, size,
                              "the seal of an artifact does not fit its bytes: damaged, or made "
                              "by somebody else");
    return WEIR_OK;
}

enum weir_status weir_artifact_dir_verify(struct weir_artifact_dir *dir, int fd,
                                          struct weir_error *error)
{
    struct stat stat, after;
    int got = weir_io_fstat(dir->io, fd, &stat);
    if (got < 0)
        return weir__dir_failed(error, got, "no information about an artifact");
    if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid())
        return weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET,
                              "an artifact that is not a file of ours");
    if ((uint64_t)stat.st_size <= WEIR_ARTIFACT_SEAL_BYTES)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "an artifact of %lld bytes has no room for its seal",
                              (long long)stat.st_size);
    struct weir__artifact_identity identity = weir__artifact_identify(&stat);
    if (is_seen(dir, &identity))
        return WEIR_OK;
    count(dir, &dir->counts.verified);
    enum weir_status status =
        weir__dir_check_seal(dir, fd, (uint64_t)stat.st_size - WEIR_ARTIFACT_SEAL_BYTES, error);
    if (status != WEIR_OK)
        return status;
    /* What was hashed is what will be used, unless the file changed meanwhile. */
    got = weir_io_fstat(dir->io, fd, &after);
    if (got < 0)
        return weir__dir_failed(error, got, "no information about an artifact");
    struct weir__artifact_identity now = weir__artifact_identify(&after);
    if (memcmp(&identity, &now, sizeof now) != 0)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "an artifact changed while it was read");
    remember(dir, &identity);
    return WEIR_OK;
}

/* --- finding --- */

void weir__dir_quarantine(struct weir_artifact_dir *dir, const char *name)
{
    char target[sizeof WEIR__DIR_QUARANTINE + WEIR_HASH_HEX_SIZE];
    (void)snprintf(target, sizeof target, WEIR__DIR_QUARANTINE "/%s", name);
    /* What lies there from the last time; a file and a folder cannot take each other's name. */
    bool was_there = weir__dir_remove(dir->io, dir->root, target) == 0;
    (void)pthread_mutex_lock(&dir->lock);
    dir->quarantine_files -= was_there && dir->quarantine_files > 0;
    bool has_room = dir->quarantine_files < WEIR_ARTIFACT_QUARANTINE_MAX;
    dir->quarantine_files += has_room;
    dir->counts.quarantined++;
    (void)pthread_mutex_unlock(&dir->lock);
    if (has_room) {
        (void)weir_io_mkdirat(dir->io, dir->root, WEIR__DIR_QUARANTINE, 0700);
        if (weir_io_renameat(dir->io, dir->fd, name, dir->root, target, 0) == 0)
            return;
    }
    (void)weir__dir_remove(dir->io, dir->fd, name);
}

enum weir_status weir__dir_check_name(struct weir_artifact_dir *dir, int fd,
                                      const struct weir_hash *key, struct weir_error *error)
{
    struct weir_artifact_head head;
    struct stat stat;
    long got = weir_io_pread(dir->io, fd, &head, sizeof head, WEIR_ARTIFACT_HEAD_OFFSET);
    int stated = weir_io_fstat(dir->io, fd, &stat);
    if (got < 0 || stated < 0)
        return weir__dir_failed(error, got < 0 ? got : stated, "cannot read an artifact");
    if (got != (long)sizeof head ||
        memcmp(head.magic, WEIR_ARTIFACT_MAGIC, sizeof head.magic) != 0 ||
        head.file_bytes + WEIR_ARTIFACT_SEAL_BYTES != (uint64_t)stat.st_size ||
        memcmp(head.key, key->bytes, sizeof head.key) != 0)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "an artifact is not what its name says");
    return WEIR_OK;
}

/* Who uses the file says so for as long as it holds it: artifact_prune.c. Where locks are refused
 * it may be removed while it is used, which harms nobody who has it open. */
static void mark_loaded(struct weir_artifact_dir *dir, int fd)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
    (void)weir_io_fcntl(dir->io, fd, F_OFD_SETLK, (long)&lock);
}

enum weir_status weir__artifact_dir_find(struct weir_artifact_dir *dir, const struct weir_hash *key,
                                         int *ret_fd, enum weir_artifact_miss *ret_miss,
                                         struct weir_error *error)
{
    char name[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(key, name);
    AUTO_FD fd = {dir->io, weir_io_open(dir->io, dir->fd, name, WEIR__DIR_READ, 0)};
    *ret_miss = fd.fd == -ENOENT ? WEIR_ARTIFACT_MISS_ABSENT : WEIR_ARTIFACT_MISS_UNREADABLE;
    if (fd.fd >= 0) {
        struct weir_error why = {0};
        enum weir_status status = weir_artifact_dir_verify(dir, fd.fd, &why);
        if (status == WEIR_OK)
            status = weir__dir_check_name(dir, fd.fd, key, &why);
        if (status == WEIR_OK) {
            mark_loaded(dir, fd.fd);
            count(dir, &dir->counts.hits);
            *ret_miss = WEIR_ARTIFACT_MISS_NONE;
            *ret_fd = fd.fd;
            fd.fd = -1;
            return WEIR_OK;
        }
        if (status == WEIR_NO_MEMORY)
            (void)weir_error_set(error, status, WEIR_NO_OFFSET, "%s", why.message);
        weir_error_done(&why);
        if (status == WEIR_NO_MEMORY)
            return status;
        if (status != WEIR_IO)
            *ret_miss = WEIR_ARTIFACT_MISS_BAD;
    } else if (fd.fd == -ELOOP || fd.fd == -ENXIO) {
        *ret_miss = WEIR_ARTIFACT_MISS_BAD;
    }
    if (*ret_miss == WEIR_ARTIFACT_MISS_BAD)
        weir__dir_quarantine(dir, name);
    count(dir, &dir->counts.misses);
    return WEIR_NOT_FOUND;
}

/* --- filing --- */

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Writes what is not zero; whole pages of zeros stay holes. 0 or -errno. */
static long write_sparse(struct weir_io *io, int fd, const uint8_t *bytes, size_t size)
{
    const size_t page = WEIR_ARTIFACT_PAGE;
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && !is_zero(bytes + end, page < size - end ? page : size - end))
            end += page < size - end ? page : size - end;
        while (at < end) {
            long count = weir_io_pwrite(io, fd, bytes + at, end - at, at);
            if (count == -EINTR)
                continue;
            if (count <= 0)
                return count < 0 ? count : -EIO;
            at += (size_t)count;
        }
        if (at < size)
            at += page < size - at ? page : size - at;
    }
    return 0;
}

static enum weir_status write_sealed(struct weir_artifact_dir *dir, int fd, const uint8_t *bytes,
                                     size_t size, struct weir_error *error)
{
    struct weir_hash seal;
    enum weir_status status =
        weir_hash_hmac(dir->key.bytes, sizeof dir->key.bytes, bytes, size, &seal, error);
    if (status != WEIR_OK)
        return status;
    long result = weir_io_ftruncate(dir->io, fd, size + sizeof seal.bytes);
    if (result == 0)
        result = write_sparse(dir->io, fd, bytes, size);
    if (result == 0) {
        result = weir_io_pwrite(dir->io, fd, seal.bytes, sizeof seal.bytes, size);
        result = result == (long)sizeof seal.bytes ? 0 : result < 0 ? result : -ENOSPC;
    }
    if (result == 0)
        result = weir_io_fsync(dir->io, fd);
    return result == 0 ? WEIR_OK : weir__dir_failed(error, result, "cannot write an artifact");
}

/* The file is renamed while it is open; its change time moves, so it is identified afterwards. */
static enum weir_status publish(struct weir_artifact_dir *dir, const char *from, const char *to,
                                int *ret_fd, struct weir_error *error)
{
    AUTO_FD fd = {dir->io, weir_io_open(dir->io, dir->root, from, WEIR__DIR_READ, 0)};
    if (fd.fd < 0)
        return weir__dir_failed(error, fd.fd, "cannot open an artifact");
    long result = weir_io_renameat(dir->io, dir->root, from, dir->fd, to, 0);
    if (result == 0)
        result = weir_io_fsync(dir->io, dir->fd);
    struct stat stat;
    if (result == 0)
        result = weir_io_fstat(dir->io, fd.fd, &stat);
    if (result != 0)
        return weir__dir_failed(error, result, "cannot publish an artifact");
    struct weir__artifact_identity identity = weir__artifact_identify(&stat);
    remember(dir, &identity);
    mark_loaded(dir, fd.fd);
    *ret_fd = fd.fd;
    fd.fd = -1;
    return WEIR_OK;
}

/* Room is made and the file published as one step for all processes that keep the quota. */
static enum weir_status publish_within(struct weir_artifact_dir *dir, const char *from,
                                       const char *to, uint64_t bytes, int *ret_fd,
                                       struct weir_error *error)
{
    if (atomic_load(&dir->quota) == WEIR_UNLIMITED)
        return publish(dir, from, to, ret_fd, error);
    int lock = -1;
    enum weir_status status = weir__dir_lock(dir, &lock, error);
    if (status != WEIR_OK)
        return status;
    status = weir__dir_make_room(dir, bytes, error);
    if (status == WEIR_OK)
        status = publish(dir, from, to, ret_fd, error);
    if (status == WEIR_OK)
        weir__dir_grew(dir, bytes);
    weir__dir_unlock(dir, lock);
    return status;
}

enum weir_status weir__artifact_dir_file(struct weir_artifact_dir *dir, const struct weir_hash *key,
                                         const uint8_t *bytes, size_t size, int *ret_fd,
                                         struct weir_error *error)
{
    char name[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(key, name);
    struct weir__dir_name temporary;
    enum weir_status status = weir__dir_random_name(dir->io, WEIR__DIR_NEW, &temporary, error);
    if (status == WEIR_OK) {
        AUTO_FD fd = {dir->io, weir_io_open(dir->io, dir->root, temporary.text,
                                            O_WRONLY | O_CREAT | O_EXCL, 0600)};
        if (fd.fd >= 0) /* where locks are refused its age alone tells who left it */
            (void)weir_io_flock(dir->io, fd.fd, LOCK_EX | LOCK_NB);
        if (fd.fd < 0)
            status = weir__dir_failed(error, fd.fd, "cannot create a file");
        else if ((status = write_sealed(dir, fd.fd, bytes, size, error)) == WEIR_OK) {
            (void)weir_io_flock(dir->io, fd.fd, LOCK_UN); /* a network file system knows one kind */
            status = publish_within(dir, temporary.text, name, size + WEIR_ARTIFACT_SEAL_BYTES,
                                    ret_fd, error);
        }
        if (fd.fd >= 0 && status != WEIR_OK)
            (void)weir_io_unlinkat(dir->io, dir->root, temporary.text, 0);
    }
    count(dir, status == WEIR_OK ? &dir->counts.filed : &dir->counts.file_failures);
    return status;
}
