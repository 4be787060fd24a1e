/* See canister_dir.h. */
#include "worlds/canister/canister_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
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

static enum weir_status open_folder(struct weir_canister_dir *dir, const char *path, bool is_made,
                                    struct weir_error *error)
{
    struct weir_io *io = dir->io;
    if (is_made) {
        int made = make_folder(io, AT_FDCWD, path);
        if (made < 0)
            return failed(dir, made, path, error);
    }
    int top = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (top < 0)
        return failed(dir, top, path, error);
    int answer = is_made ? make_folder(io, top, dir->name) : 0;
    if (answer == 1)
        answer = weir_io_fsync(io, top);
    if (answer >= 0)
        answer = dir->dir = weir_io_open(io, top, dir->name, O_RDONLY | O_DIRECTORY, 0);
    (void)weir_io_close(io, top);
    if (answer == -ENOENT)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET,
                              "there is no canister %s in %s; install one", dir->name, path);
    return answer < 0 ? failed(dir, answer, "its folder", error) : WEIR_OK;
}

enum weir_status weir_canister_dir_open(struct weir_canister_dir *dir, struct weir_io *io,
                                        const char *path, const char *name,
                                        enum weir_canister_access access, struct weir_error *error)
{
    *dir = (struct weir_canister_dir){
        .io = io != NULL ? io : weir_io_system(), .dir = -1, .lock = -1, .name = name};
    if (!is_name(name))
        return weir_error_set(
            error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
            "a canister's name has letters, digits, '_', '-' and '.', at most %u, "
            "and begins with one of the first three: %.80s",
            CANISTER_NAME_BYTES_MAX, name);
    enum weir_status status = open_folder(dir, path, access == WEIR_CANISTER_CREATE, error);
    if (status != WEIR_OK)
        return status;
    int answer = dir->lock = weir_io_open(dir->io, dir->dir, "lock", O_RDWR | O_CREAT, 0600);
    while (answer >= 0) {
        answer =
            weir_io_flock(dir->io, dir->lock, access == WEIR_CANISTER_READ ? LOCK_SH : LOCK_EX);
        if (answer != -EINTR)
            break;
        answer = 0;
    }
    if (answer >= 0)
        return WEIR_OK;
    status = failed(dir, answer, "its lock", error);
    weir_canister_dir_close(dir);
    return status;
}

void weir_canister_dir_close(struct weir_canister_dir *dir)
{
    if (dir->lock >= 0)
        (void)weir_io_close(dir->io, dir->lock);
    if (dir->dir >= 0)
        (void)weir_io_close(dir->io, dir->dir);
    dir->lock = dir->dir = -1;
}

/* --- loading ------------------------------------------------------------------------------- */

struct source {
    const struct weir_canister_dir *dir;
    int fd;
    size_t head_at; /* bytes of the head that were handed out again */
    uint8_t head[WEIR_CANISTER_STATE_HEAD];
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
    return WEIR_OK;
}

static void module_name(const uint8_t sha256[32], char name[MODULE_NAME_SIZE])
{
    struct weir_hash hash;
    memcpy(hash.bytes, sha256, sizeof hash.bytes);
    weir_hash_hex(&hash, name);
    memcpy(name + WEIR_HASH_HEX_SIZE - 1, ".wasm", 6);
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
        return failed(dir, fd, "its module", error);
    enum weir_status status = WEIR_OK;
    int answer = weir_io_fstat(dir->io, fd, &stat);
    if (answer < 0)
        status = failed(dir, answer, "its module", error);
    else if ((uint64_t)stat.st_size > CANISTER_MODULE_BYTES_MAX)
        status = weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                                "canister %s: the module's file is too large", dir->name);
    if (status == WEIR_OK) {
        upload->size = (size_t)stat.st_size;
        upload->bytes =
            weir_account_alloc(upload->account, WEIR_KIND_COMPILER, upload->size + 1, error);
        if (upload->bytes == NULL)
            status = error != NULL && error->status != WEIR_OK ? error->status : WEIR_LIMIT;
    }
    if (status == WEIR_OK &&
        weir_io_read_full(dir->io, fd, upload->bytes, upload->size) != (long)upload->size)
        status = weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET,
                                "canister %s: the module's file cannot be read", dir->name);
    (void)weir_io_close(dir->io, fd);
    return status;
}

enum weir_status weir_canister_dir_load(const struct weir_canister_dir *dir,
                                        struct weir_canister *canister,
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
        status = weir_canister_state_module(source.head, sha256, error);
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
    return status;
}

/* --- saving -------------------------------------------------------------------------------- */

struct sink {
    const struct weir_canister_dir *dir;
    int fd;
    size_t size;
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
    if (size <= sizeof sink->bytes - sink->size) {
        if (size != 0)
            memcpy(sink->bytes + sink->size, bytes, size);
        sink->size += size;
        return WEIR_OK;
    }
    enum weir_status status = flush(sink, error);
    if (status != WEIR_OK || size <= sizeof sink->bytes)
        return status == WEIR_OK ? write_sink(sink, bytes, size, error) : status;
    int answer = weir_io_write_all(sink->dir->io, sink->fd, bytes, size);
    return answer < 0 ? failed(sink->dir, answer, "writing", error) : WEIR_OK;
}

typedef enum weir_status fill_file(struct sink *sink, const void *what, struct weir_error *error);

/* A file that is on disk whole before it has its name. The name is durable with the next fsync of
 * the folder. */
static enum weir_status publish(const struct weir_canister_dir *dir, const char *name,
                                fill_file *fill, const void *what, struct weir_error *error)
{
    struct weir_io *io = dir->io;
    struct sink sink;
    sink.dir = dir;
    sink.size = 0;
    (void)weir_io_unlinkat(io, dir->dir, "new", 0); /* of one that did not end */
    sink.fd = weir_io_open(io, dir->dir, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (sink.fd < 0)
        return failed(dir, sink.fd, "a new file", error);
    enum weir_status status = fill(&sink, what, error);
    if (status == WEIR_OK)
        status = flush(&sink, error);
    int answer = status == WEIR_OK ? weir_io_fsync(io, sink.fd) : 0;
    int closed = weir_io_close(io, sink.fd);
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
    return weir_canister_save(what, &writer, error);
}

static enum weir_status fill_module(struct sink *sink, const void *what, struct weir_error *error)
{
    const struct upload *upload = what;
    return write_sink(sink, upload->bytes, upload->size, error);
}

/* Modules of states before. What cannot be removed now is tried again with the next install. */
static void remove_others(const struct weir_canister_dir *dir, const char *keep)
{
    char entries[4096];
    long got;
    if (weir_io_lseek(dir->io, dir->dir, 0, SEEK_SET) < 0)
        return;
    while ((got = weir_io_getdents(dir->io, dir->dir, entries, sizeof entries)) > 0) {
        for (long at = 0; at < got;) {
            struct dirent64 entry;
            memcpy(&entry, entries + at, offsetof(struct dirent64, d_name));
            const char *name = entries + at + offsetof(struct dirent64, d_name);
            size_t size = strlen(name);
            if (size == MODULE_NAME_SIZE - 1 && strcmp(name + size - 5, ".wasm") == 0 &&
                strcmp(name, keep) != 0)
                (void)weir_io_unlinkat(dir->io, dir->dir, name, 0);
            at += entry.d_reclen;
        }
    }
}

enum weir_status weir_canister_dir_save(const struct weir_canister_dir *dir,
                                        const struct weir_canister *canister, const uint8_t *module,
                                        size_t module_size, struct weir_error *error)
{
    char name[MODULE_NAME_SIZE];
    enum weir_status status = WEIR_OK;
    const struct weir_hash *hash = weir_canister_module_hash(canister);
    if (hash == NULL)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET, "canister %s has no code",
                              dir->name);
    module_name(hash->bytes, name);
    if (module != NULL) {
        struct upload upload = {.bytes = (uint8_t *)(uintptr_t)module, .size = module_size};
        status = publish(dir, name, fill_module, &upload, error);
    }
    if (status == WEIR_OK)
        status = publish(dir, "state", fill_state, canister, error);
    if (status != WEIR_OK)
        return status;
    int answer = weir_io_fsync(dir->io, dir->dir);
    if (answer < 0)
        return failed(dir, answer, "its folder", error);
    if (module != NULL)
        remove_others(dir, name);
    return WEIR_OK;
}
