/* See canister_dir.h. */
#include "worlds/canister/canister_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/hash.h"
#include "ledger/ledger.h"

#define WRITE_BYTES (32u << 10)
#define MODULE_NAME_SIZE (WEIR_HASH_HEX_SIZE + 5) /* ".wasm" */

static enum weir_status failed(const struct weir_canister_dir *dir, long answer, const char *what,
                               struct weir_error *error)
{
    int number = (int)-answer;
    enum weir_status status = number == ENOENT                      ? WEIR_NOT_FOUND
                              : number == EACCES || number == EPERM ? WEIR_PERMISSION
                                                                    : WEIR_IO;
    return weir_error_set_errno(error, status, number, "canister %s: %s", dir->name, what);
}

/* --- opening ------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > CANISTER_NAME_BYTES_MAX || name[0] == '.' || name[0] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
           size;
}

static int make_folder(struct weir_io *io, int at, const char *name)
{
    int answer = weir_io_mkdirat(io, at, name, 0700);
    if (answer < 0)
        return answer == -EEXIST ? 0 : answer;
    return 1;
}

/* *ret_is_gone: another process removed the folder after it was made or found. */
static enum weir_status open_folder(struct weir_canister_dir *dir, const char *path, bool is_made,
                                    bool *ret_is_gone, struct weir_error *error)
{
    struct weir_io *io = dir->io;
    if (is_made) {
        int made = make_folder(io, AT_FDCWD, path);
        if (made < 0)
            return failed(dir, made, path, error);
    }
    int top = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (top == -ENOENT)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "there is no folder %.160s; a state begins with `weir canister "
                              "--state DIR install NAME FILE`",
                              path);
    if (top < 0)
        return failed(dir, top, path, error);
    int answer = is_made ? make_folder(io, top, dir->name) : 0;
    dir->is_new = answer == 1;
    if (answer == 1)
        answer = weir_io_fsync(io, top);
    if (answer >= 0)
        answer = dir->dir = weir_io_open(io, top, dir->name, O_RDONLY | O_DIRECTORY, 0);
    (void)weir_io_close(io, top);
    *ret_is_gone = answer == -ENOENT && is_made;
    if (*ret_is_gone)
        return WEIR_OK;
    if (answer == -ENOENT)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "there is no canister %s in %s; install one", dir->name, path);
    return answer < 0 ? failed(dir, answer, "its folder", error) : WEIR_OK;
}

/* Whether the lock that was taken is that of a folder which is there. */
static bool is_lock_named(const struct weir_canister_dir *dir)
{
    struct stat taken;
    struct stat named;
    return weir_io_fstat(dir->io, dir->lock, &taken) == 0 &&
           weir_io_fstatat(dir->io, dir->dir, "lock", &named, 0) == 0 &&
           taken.st_ino == named.st_ino && taken.st_dev == named.st_dev;
}

/* Where nothing may be written, reading goes on. *ret_is_gone as above. */
static enum weir_status take_lock(struct weir_canister_dir *dir, unsigned access, bool *ret_is_gone,
                                  struct weir_error *error)
{
    bool is_read = (access & WEIR_CANISTER_WRITE) == 0;
    int how = (is_read ? LOCK_SH : LOCK_EX) | ((access & WEIR_CANISTER_NOW) != 0 ? LOCK_NB : 0);
    int answer = dir->lock = weir_io_open(dir->io, dir->dir, "lock", O_RDWR | O_CREAT, 0600);
    if (is_read && (answer == -EROFS || answer == -EACCES))
        answer = dir->lock = weir_io_open(dir->io, dir->dir, "lock", O_RDONLY, 0);
    *ret_is_gone = answer == -ENOENT;
    if (*ret_is_gone)
        return WEIR_OK;
    if (answer >= 0)
        do
            answer = weir_io_flock(dir->io, dir->lock, how);
        while (answer == -EINTR);
    if (answer == -EWOULDBLOCK)
        return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                              "another command works on canister %s", dir->name);
    if (answer < 0)
        return failed(dir, answer, "its lock", error);
    *ret_is_gone = !is_lock_named(dir);
    return WEIR_OK;
}

static void close_files(struct weir_canister_dir *dir)
{
    if (dir->lock >= 0)
        (void)weir_io_close(dir->io, dir->lock);
    if (dir->dir >= 0)
        (void)weir_io_close(dir->io, dir->dir);
    dir->lock = dir->dir = -1;
}

enum weir_status weir_canister_dir_open(struct weir_canister_dir *dir, struct weir_io *io,
                                        const char *path, const char *name, unsigned access,
                                        struct weir_error *error)
{
    *dir = (struct weir_canister_dir){
        .io = io != NULL ? io : weir_io_system(), .dir = -1, .lock = -1, .name = name};
    if (!is_name(name))
        return weir_error_set(
            error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
            "a canister's name has letters, digits, '_', '-' and '.', at most %u, "
            "and begins with one of the first three: %.80s",
            CANISTER_NAME_BYTES_MAX, name);
    bool is_made = (access & WEIR_CANISTER_CREATE) == WEIR_CANISTER_CREATE;
    for (unsigned tries = 0; tries < CANISTER_OPEN_TRIES; tries++) {
        bool is_gone = false;
        enum weir_status status = open_folder(dir, path, is_made, &is_gone, error);
        if (status == WEIR_OK && !is_gone)
            status = take_lock(dir, access, &is_gone, error);
        if (status == WEIR_OK && !is_gone)
            return WEIR_OK;
        close_files(dir);
        if (status != WEIR_OK)
            return status;
    }
    return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                          "the folder or lock of canister %s in %s goes while it is opened; "
                          "try again when nobody else works on it",
                          dir->name, path);
}

/* --- loading ------------------------------------------------------------------------------- */

struct source {
    const struct weir_canister_dir *dir;
    int fd;
    size_t head_at; /* bytes of the head that were handed out again */
    uint8_t head[WEIR_CANISTER_STATE_HEAD];
    uint8_t sum[WEIR_CANISTER_SUM_SIZE]; /* the end of what was read */
    uint64_t bytes;
};

static enum weir_status read_state(void *context, void *to, size_t size, struct weir_error *error)
{
    struct source *source = context;
    uint8_t *at = to;
    size_t again = sizeof source->head - source->head_at;
    again = again < size ? again : size;
    memcpy(at, source->head + source->head_at, again);
    source->head_at += again;
    if (again == size)
        return WEIR_OK;
    long got = weir_io_read_full(source->dir->io, source->fd, at + again, size - again);
    if (got < 0)
        return failed(source->dir, got, "reading its state", error);
    if ((size_t)got != size - again)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "the state of canister %s ends early", source->dir->name);
    source->bytes += size - again;
    if (size == sizeof source->sum) /* as the last thing that is read has */
        memcpy(source->sum, to, sizeof source->sum);
    return WEIR_OK;
}

static void module_name(const uint8_t sha256[32], char name[MODULE_NAME_SIZE])
{
    struct weir_hash hash;
    memcpy(hash.bytes, sha256, sizeof hash.bytes);
    weir_hash_hex(&hash, name);
    memcpy(name + WEIR_HASH_HEX_SIZE - 1, ".wasm", 6);
}

#define CHANGE_PREFIX "change-"
/* With 8 bytes of the state's hash and a number. */
#define CHANGE_NAME_SIZE (sizeof CHANGE_PREFIX + 16 + 1 + 10)

static void change_name(const struct weir_canister_dir *dir, uint32_t number,
                        char name[CHANGE_NAME_SIZE])
{
    uint64_t begin;
    memcpy(&begin, dir->state_sum, sizeof begin);
    (void)snprintf(name, CHANGE_NAME_SIZE, CHANGE_PREFIX "%016llx-%u", (unsigned long long)begin,
                   number);
}

struct visit {
    const struct weir_canister_dir *dir;
    const char *text;
    bool is_found;
};

static void each_entry(struct visit *visit, void see(struct visit *visit, const char *name))
{
    const struct weir_canister_dir *dir = visit->dir;
    char entries[4096];
    long got;
    if (weir_io_lseek(dir->io, dir->dir, 0, SEEK_SET) < 0)
        return;
    while ((got = weir_io_getdents(dir->io, dir->dir, entries, sizeof entries)) > 0) {
        for (long at = 0; at < got;) {
            struct dirent64 entry;
            memcpy(&entry, entries + at, offsetof(struct dirent64, d_name));
            see(visit, entries + at + offsetof(struct dirent64, d_name));
            at += entry.d_reclen;
        }
    }
}

struct upload {
    struct weir_account *account;
    uint8_t *bytes;
    size_t size;
};

static enum weir_status read_module(const struct weir_canister_dir *dir, const char *name,
                                    struct upload *upload, struct weir_error *error)
{
    struct stat stat;
    int fd = weir_io_open(dir->io, dir->dir, name, O_RDONLY, 0);
    if (fd < 0)
        return failed(dir, fd, name, error);
    enum weir_status status = WEIR_OK;
    int answer = weir_io_fstat(dir->io, fd, &stat);
    if (answer < 0)
        status = failed(dir, answer, name, error);
    else if ((uint64_t)stat.st_size > CANISTER_MODULE_BYTES_MAX)
        status = weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                                "canister %s: the module's file is too large", dir->name);
    if (status == WEIR_OK) {
        upload->size = (size_t)stat.st_size;
        upload->bytes =
            weir_account_alloc(upload->account, WEIR_KIND_COMPILER, upload->size + 1, error);
        if (upload->bytes == NULL)
            status = weir_error_refused(error);
    }
    if (status == WEIR_OK &&
        weir_io_read_full(dir->io, fd, upload->bytes, upload->size) != (long)upload->size)
        status = weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                                "canister %s: the module's file cannot be read", dir->name);
    (void)weir_io_close(dir->io, fd);
    return status;
}

static enum weir_status load_whole(struct weir_canister_dir *dir, struct weir_canister *canister,
                                   struct weir_account *account, struct weir_error *error)
{
    struct source source = {.dir = dir, .head_at = WEIR_CANISTER_STATE_HEAD};
    struct upload upload = {.account = account};
    uint8_t sha256[32];
    char name[MODULE_NAME_SIZE];
    source.fd = weir_io_open(dir->io, dir->dir, "state", O_RDONLY, 0);
    if (source.fd == -ENOENT)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "canister %s has no code; install some", dir->name);
    if (source.fd < 0)
        return failed(dir, source.fd, "its state", error);
    enum weir_status status = read_state(&source, source.head, sizeof source.head, error);
    if (status == WEIR_OK)
        status = weir_canister_state_module(source.head, dir->name, sha256, error);
    if (status == WEIR_OK) {
        module_name(sha256, name);
        status = read_module(dir, name, &upload, error);
    }
    source.head_at = 0;
    const struct weir_image_reader reader = {read_state, &source};
    if (status == WEIR_OK)
        status = weir_canister_load(canister, upload.bytes, upload.size, &reader, error);
    if (upload.bytes != NULL)
        weir_account_free(account, WEIR_KIND_COMPILER, upload.bytes, upload.size + 1);
    (void)weir_io_close(dir->io, source.fd);
    memcpy(dir->state_sum, source.sum, sizeof source.sum);
    memcpy(dir->last_sum, source.sum, sizeof source.sum);
    dir->state_bytes = source.bytes;
    dir->change_bytes = 0;
    dir->changes = 0;
    return status;
}

/* *ret_found: whether there was one of this number. */
static enum weir_status load_change(struct weir_canister_dir *dir, struct weir_canister *canister,
                                    bool *ret_found, struct weir_error *error)
{
    char name[CHANGE_NAME_SIZE];
    struct source source = {.dir = dir, .head_at = WEIR_CANISTER_STATE_HEAD};
    change_name(dir, dir->changes + 1, name);
    source.fd = weir_io_open(dir->io, dir->dir, name, O_RDONLY, 0);
    *ret_found = source.fd >= 0;
    if (source.fd < 0)
        return source.fd == -ENOENT ? WEIR_OK : failed(dir, source.fd, name, error);
    const struct weir_image_reader reader = {read_state, &source};
    enum weir_status status = weir_canister_load_changes(canister, dir->last_sum, &reader, error);
    (void)weir_io_close(dir->io, source.fd);
    memcpy(dir->last_sum, source.sum, sizeof source.sum);
    dir->change_bytes += source.bytes;
    dir->changes++;
    return status;
}

/* A change behind the first one that was not there. */
static void see_later(struct visit *visit, const char *name)
{
    size_t size = strlen(visit->text);
    if (strncmp(name, visit->text, size) == 0 &&
        strtoul(name + size, NULL, 10) > visit->dir->changes)
        visit->is_found = true;
}

static enum weir_status check_none_is_missing(const struct weir_canister_dir *dir,
                                              struct weir_error *error)
{
    char prefix[CHANGE_NAME_SIZE];
    change_name(dir, 0, prefix);
    prefix[strlen(prefix) - 1] = 0; /* the number */
    struct visit visit = {.dir = dir, .text = prefix};
    each_entry(&visit, see_later);
    if (!visit.is_found)
        return WEIR_OK;
    return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                          "the state of canister %s: %s%u is missing, and a later one is there",
                          dir->name, prefix, dir->changes + 1);
}

enum weir_status weir_canister_dir_load(struct weir_canister_dir *dir,
                                        struct weir_canister *canister,
                                        struct weir_account *account, struct weir_error *error)
{
    dir->is_known = false;
    enum weir_status status = load_whole(dir, canister, account, error);
    bool is_found = true;
    while (status == WEIR_OK && is_found)
        status = load_change(dir, canister, &is_found, error);
    if (status == WEIR_OK)
        status = check_none_is_missing(dir, error);
    dir->is_known = status == WEIR_OK;
    return status;
}

/* --- saving -------------------------------------------------------------------------------- */

struct sink {
    const struct weir_canister_dir *dir;
    int fd;
    size_t size;
    uint8_t sum[WEIR_CANISTER_SUM_SIZE]; /* the end of what was written */
    uint64_t total;
    uint8_t bytes[WRITE_BYTES];
};

static enum weir_status flush(struct sink *sink, struct weir_error *error)
{
    int answer = weir_io_write_all(sink->dir->io, sink->fd, sink->bytes, sink->size);
    sink->size = 0;
    return answer < 0 ? failed(sink->dir, answer, "writing", error) : WEIR_OK;
}

static enum weir_status write_sink(void *context, const void *bytes, size_t size,
                                   struct weir_error *error)
{
    struct sink *sink = context;
    if (size == sizeof sink->sum)
        memcpy(sink->sum, bytes, size);
    if (size <= sizeof sink->bytes - sink->size) {
        if (size != 0)
            memcpy(sink->bytes + sink->size, bytes, size);
        sink->size += size;
        sink->total += size;
        return WEIR_OK;
    }
    enum weir_status status = flush(sink, error);
    if (status != WEIR_OK || size <= sizeof sink->bytes)
        return status == WEIR_OK ? write_sink(sink, bytes, size, error) : status;
    sink->total += size;
    int answer = weir_io_write_all(sink->dir->io, sink->fd, bytes, size);
    return answer < 0 ? failed(sink->dir, answer, "writing", error) : WEIR_OK;
}

typedef enum weir_status fill_file(struct sink *sink, const void *what, struct weir_error *error);

/* A file that is on disk whole before it has its name. The name is durable with the next fsync of
 * the folder. */
static enum weir_status publish(struct sink *sink, const char *name, fill_file *fill,
                                const void *what, struct weir_error *error)
{
    const struct weir_canister_dir *dir = sink->dir;
    struct weir_io *io = dir->io;
    sink->size = 0;
    sink->total = 0;
    (void)weir_io_unlinkat(io, dir->dir, "new", 0); /* of one that did not end */
    sink->fd = weir_io_open(io, dir->dir, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (sink->fd < 0)
        return failed(dir, sink->fd, "a new file", error);
    enum weir_status status = fill(sink, what, error);
    if (status == WEIR_OK)
        status = flush(sink, error);
    int answer = status == WEIR_OK ? weir_io_fsync(io, sink->fd) : 0;
    int closed = weir_io_close(io, sink->fd);
    if (answer >= 0)
        answer = closed;
    if (status == WEIR_OK && answer >= 0)
        answer = weir_io_renameat(io, dir->dir, "new", dir->dir, name, 0);
    if (status == WEIR_OK && answer < 0)
        status = failed(dir, answer, name, error);
    if (status != WEIR_OK)
        (void)weir_io_unlinkat(io, dir->dir, "new", 0);
    return status;
}

static enum weir_status fill_state(struct sink *sink, const void *what, struct weir_error *error)
{
    const struct weir_image_writer writer = {write_sink, sink};
    return weir_canister_save(what, NULL, &writer, error);
}

static enum weir_status fill_change(struct sink *sink, const void *what, struct weir_error *error)
{
    const struct weir_image_writer writer = {write_sink, sink};
    return weir_canister_save(what, sink->dir->last_sum, &writer, error);
}

static enum weir_status fill_module(struct sink *sink, const void *what, struct weir_error *error)
{
    const struct upload *upload = what;
    return write_sink(sink, upload->bytes, upload->size, error);
}

/* Modules of states before, and changes of them. What cannot be removed now is tried again with the
 * next whole state. */
static void see_others(struct visit *visit, const char *name)
{
    size_t size = strlen(name);
    bool is_module = size == MODULE_NAME_SIZE - 1 && strcmp(name + size - 5, ".wasm") == 0;
    bool is_change = strncmp(name, CHANGE_PREFIX, sizeof CHANGE_PREFIX - 1) == 0;
    if (is_change || (is_module && strcmp(name, visit->text) != 0))
        (void)weir_io_unlinkat(visit->dir->io, visit->dir->dir, name, 0);
}

static enum weir_status sync_names(const struct weir_canister_dir *dir, struct weir_error *error)
{
    int answer = weir_io_fsync(dir->io, dir->dir);
    return answer < 0 ? failed(dir, answer, "its folder", error) : WEIR_OK;
}

static enum weir_status save_whole(struct weir_canister_dir *dir,
                                   const struct weir_canister *canister,
                                   const struct upload *upload, struct weir_error *error)
{
    char name[MODULE_NAME_SIZE];
    struct sink sink;
    enum weir_status status = WEIR_OK;
    sink.dir = dir;
    module_name(weir_canister_module_hash(canister)->bytes, name);
    if (upload->bytes != NULL)
        status = publish(&sink, name, fill_module, upload, error);
    if (status == WEIR_OK)
        status = publish(&sink, "state", fill_state, canister, error);
    if (status == WEIR_OK)
        status = sync_names(dir, error);
    if (status != WEIR_OK)
        return status;
    struct visit visit = {.dir = dir, .text = name};
    each_entry(&visit, see_others);
    memcpy(dir->state_sum, sink.sum, sizeof sink.sum);
    memcpy(dir->last_sum, sink.sum, sizeof sink.sum);
    dir->state_bytes = sink.total;
    dir->change_bytes = 0;
    dir->changes = 0;
    return WEIR_OK;
}

/* The names before are durable first: a change whose predecessor is lost would be of no state. */
static enum weir_status save_change(struct weir_canister_dir *dir,
                                    const struct weir_canister *canister, struct weir_error *error)
{
    char name[CHANGE_NAME_SIZE];
    struct sink sink;
    sink.dir = dir;
    change_name(dir, dir->changes + 1, name);
    enum weir_status status = sync_names(dir, error);
    if (status == WEIR_OK)
        status = publish(&sink, name, fill_change, canister, error);
    if (status == WEIR_OK)
        status = sync_names(dir, error);
    if (status != WEIR_OK)
        return status;
    memcpy(dir->last_sum, sink.sum, sizeof sink.sum);
    dir->change_bytes += sink.total;
    dir->changes++;
    return WEIR_OK;
}

enum weir_status weir_canister_dir_save(struct weir_canister_dir *dir,
                                        struct weir_canister *canister, const uint8_t *module,
                                        size_t module_size, struct weir_error *error)
{
    const struct upload upload = {.bytes = (uint8_t *)(uintptr_t)module, .size = module_size};
    if (weir_canister_module_hash(canister) == NULL)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "canister %s has no code",
                              dir->name);
    uint64_t change_bytes_max = dir->state_bytes / 2 > CANISTER_CHANGES_BYTES
                                    ? dir->state_bytes / 2
                                    : CANISTER_CHANGES_BYTES;
    bool is_whole = module != NULL || !dir->is_known || dir->changes >= CANISTER_CHANGES_MAX ||
                    dir->change_bytes > change_bytes_max;
    if (!is_whole && !weir_canister_is_changed(canister))
        return WEIR_OK;
    dir->is_known = false; /* after a failure it may be either */
    enum weir_status status =
        is_whole ? save_whole(dir, canister, &upload, error) : save_change(dir, canister, error);
    if (status != WEIR_OK)
        return status;
    weir_canister_saved(canister);
    dir->is_known = true;
    return WEIR_OK;
}

/* --- closing ------------------------------------------------------------------------------- */

/* The lock is held: who waits for it finds that it has no name any more, and opens again. A file
 * that is not ours keeps the folder. */
static void remove_unused(const struct weir_canister_dir *dir)
{
    struct stat stat;
    char folder[sizeof "../" + CANISTER_NAME_BYTES_MAX];
    if (weir_io_fstatat(dir->io, dir->dir, "state", &stat, AT_SYMLINK_NOFOLLOW) != -ENOENT)
        return;
    struct visit visit = {.dir = dir, .text = ""};
    each_entry(&visit, see_others);
    (void)weir_io_unlinkat(dir->io, dir->dir, "lock", 0);
    (void)snprintf(folder, sizeof folder, "../%s", dir->name);
    (void)weir_io_unlinkat(dir->io, dir->dir, folder, AT_REMOVEDIR);
}

void weir_canister_dir_close(struct weir_canister_dir *dir)
{
    if (dir->is_new && dir->lock >= 0)
        remove_unused(dir);
    close_files(dir);
}
