/* Looking into an artifact directory: its files, its pins, its quarantine; one file checked whole.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "runtime/artifact_dir_internal.h"

/* Looking at a file is no use of it: what was used longest ago is known by the time of access. */
#define LOOK (WEIR__DIR_READ | O_NOATIME)

/* --- pins ---------------------------------------------------------------------------------- */

struct pin_path {
    char text[sizeof WEIR__DIR_PINS + WEIR_HASH_HEX_SIZE];
};

static struct pin_path pin_path(const struct weir_hash *module)
{
    struct pin_path path;
    char hex[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(module, hex);
    (void)snprintf(path.text, sizeof path.text, WEIR__DIR_PINS "/%s", hex);
    return path;
}

static enum weir_status open_pins(struct weir_artifact_dir *dir, int *ret_fd,
                                  struct weir_error *error)
{
    int made = weir_io_mkdirat(dir->io, dir->root, WEIR__DIR_PINS, 0700);
    if (made == 0)
        made = weir_io_fsync(dir->io, dir->root);
    int fd = made < 0 && made != -EEXIST
                 ? made
                 : weir__dir_open_folder(dir->io, dir->root, WEIR__DIR_PINS);
    if (fd < 0)
        return weir__dir_failed(error, fd, "cannot open the folder of pins");
    *ret_fd = fd;
    return WEIR_OK;
}

/* A pin is an empty file: there or not there, never half. */
enum weir_status weir_artifact_dir_pin(struct weir_artifact_dir *dir,
                                       const struct weir_hash *module, bool is_pinned,
                                       struct weir_error *error)
{
    AUTO_FD pins = {dir->io, -1};
    enum weir_status status = open_pins(dir, &pins.fd, error);
    if (status != WEIR_OK)
        return status;
    char name[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(module, name);
    int result;
    if (is_pinned) {
        AUTO_FD fd = {dir->io,
                      weir_io_open(dir->io, pins.fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600)};
        result = fd.fd < 0 && fd.fd != -EEXIST ? fd.fd : 0;
    } else {
        result = weir__dir_remove(dir->io, pins.fd, name);
        result = result == -ENOENT ? 0 : result;
    }
    if (result == 0)
        result = weir_io_fsync(dir->io, pins.fd);
    return result == 0 ? WEIR_OK : weir__dir_failed(error, result, "cannot change a pin");
}

bool weir_artifact_dir_is_pinned(struct weir_artifact_dir *dir, const struct weir_hash *module)
{
    struct stat stat;
    return weir_io_fstatat(dir->io, dir->root, pin_path(module).text, &stat, AT_SYMLINK_NOFOLLOW) ==
           0;
}

struct pin_walk {
    bool (*visit)(void *context, const struct weir_hash *module);
    void *context;
    bool is_ended;
};

static void visit_pin(void *context, int fd, const char *name)
{
    struct pin_walk *walk = context;
    struct weir_hash module;
    (void)fd;
    if (!walk->is_ended && weir__dir_read_name(name, &module))
        walk->is_ended = !walk->visit(walk->context, &module);
}

void weir_artifact_dir_walk_pins(struct weir_artifact_dir *dir,
                                 bool (*visit)(void *context, const struct weir_hash *module),
                                 void *context)
{
    struct pin_walk walk = {.visit = visit, .context = context};
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, dir->root, WEIR__DIR_PINS)};
    if (fd.fd >= 0)
        (void)weir__dir_each(dir->io, fd.fd, visit_pin, &walk);
}

/* --- files --------------------------------------------------------------------------------- */

struct file_walk {
    struct weir_artifact_dir *dir;
    bool (*visit)(void *context, const struct weir_artifact_file *file);
    void *context;
    bool is_ended;
};

/* A lock of another open file, of any process: asked for, not taken. */
static bool is_loaded(struct weir_io *io, int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    return weir_io_fcntl(io, fd, F_OFD_GETLK, (long)&lock) == 0 && lock.l_type != F_UNLCK;
}

static void read_head(struct weir_artifact_dir *dir, int fd, struct weir_artifact_file *file)
{
    struct weir_artifact_head head;
    long got = weir_io_pread(dir->io, fd, &head, sizeof head, WEIR_ARTIFACT_HEAD_OFFSET);
    file->is_foreign = got != (long)sizeof head ||
                       memcmp(head.magic, WEIR_ARTIFACT_MAGIC, sizeof head.magic) != 0 ||
                       memcmp(head.key, file->key.bytes, sizeof head.key) != 0;
    if (file->is_foreign)
        return;
    memcpy(file->module.bytes, head.module_sha256, sizeof file->module.bytes);
    file->module_bytes = head.module_bytes;
    file->options = head.options;
    memcpy(file->generator, head.generator, sizeof file->generator - 1);
    file->is_pinned = weir_artifact_dir_is_pinned(dir, &file->module);
}

static void visit_file(void *context, int at, const char *name)
{
    struct file_walk *walk = context;
    struct weir_io *io = walk->dir->io;
    struct weir_artifact_file file = {0};
    struct stat stat;
    if (walk->is_ended || !weir__dir_read_name(name, &file.key))
        return;
    AUTO_FD fd = {io, weir_io_open(io, at, name, LOOK, 0)};
    if (weir_io_fstatat(io, at, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    file.bytes = (uint64_t)stat.st_size;
    file.modified_s = stat.st_mtim.tv_sec;
    file.used_s =
        stat.st_atim.tv_sec > stat.st_mtim.tv_sec ? stat.st_atim.tv_sec : stat.st_mtim.tv_sec;
    file.is_foreign = fd.fd < 0;
    if (fd.fd >= 0) {
        file.is_loaded = is_loaded(io, fd.fd);
        read_head(walk->dir, fd.fd, &file);
    }
    walk->is_ended = !walk->visit(walk->context, &file);
}

enum weir_status weir_artifact_dir_walk(struct weir_artifact_dir *dir,
                                        bool (*visit)(void *context,
                                                      const struct weir_artifact_file *file),
                                        void *context, struct weir_error *error)
{
    struct file_walk walk = {.dir = dir, .visit = visit, .context = context};
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, dir->fd, ".")};
    long got = fd.fd < 0 ? fd.fd : weir__dir_each(dir->io, fd.fd, visit_file, &walk);
    return got < 0 ? weir__dir_failed(error, got, "cannot be read") : WEIR_OK;
}

struct quarantine_walk {
    struct weir_io *io;
    struct weir_artifact_quarantine *sum;
};

static void add_quarantined(void *context, int fd, const char *name)
{
    struct quarantine_walk *walk = context;
    struct stat stat;
    if (weir_io_fstatat(walk->io, fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    walk->sum->files++;
    walk->sum->bytes += (uint64_t)stat.st_size;
}

void weir_artifact_dir_quarantine_read(struct weir_artifact_dir *dir,
                                       struct weir_artifact_quarantine *ret)
{
    *ret = (struct weir_artifact_quarantine){0};
    struct quarantine_walk walk = {dir->io, ret};
    AUTO_FD fd = {dir->io, weir__dir_open_folder(dir->io, dir->root, WEIR__DIR_QUARANTINE)};
    if (fd.fd >= 0)
        (void)weir__dir_each(dir->io, fd.fd, add_quarantined, &walk);
}

/* --- one file, whole ----------------------------------------------------------------------- */

static enum weir_status check_entries(int fd, uint64_t size, struct weir_error *error)
{
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, errno,
                                    "cannot map an artifact of %llu bytes",
                                    (unsigned long long)size);
    struct weir_artifact artifact;
    enum weir_status status = weir_artifact_open(bytes, size, size, &artifact, error);
    (void)munmap(bytes, size);
    return status;
}

static enum weir_status check_open(struct weir_artifact_dir *dir, int fd,
                                   const struct weir_hash *key, struct weir_error *error)
{
    struct stat stat;
    int got = weir_io_fstat(dir->io, fd, &stat);
    if (got < 0)
        return weir__dir_failed(error, got, "no information about an artifact");
    if (!S_ISREG(stat.st_mode) || (uint64_t)stat.st_size <= WEIR_ARTIFACT_SEAL_BYTES)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET,
                              "an artifact that is no file, or has no room for its seal");
    uint64_t size = (uint64_t)stat.st_size - WEIR_ARTIFACT_SEAL_BYTES;
    enum weir_status status = weir__dir_check_seal(dir, fd, size, error);
    if (status == WEIR_OK)
        status = weir__dir_check_name(dir, fd, key, error);
    if (status == WEIR_OK)
        status = check_entries(fd, size, error);
    return status;
}

enum weir_status weir_artifact_dir_check(struct weir_artifact_dir *dir, const struct weir_hash *key,
                                         struct weir_error *error)
{
    char name[WEIR_HASH_HEX_SIZE];
    weir_hash_hex(key, name);
    AUTO_FD fd = {dir->io, weir_io_open(dir->io, dir->fd, name, LOOK, 0)};
    if (fd.fd == -ENOENT)
        return weir_error_set(error, WEIR_NOT_FOUND, WEIR_NO_OFFSET, "no artifact %s", name);
    enum weir_status status;
    if (fd.fd == -ELOOP || fd.fd == -ENXIO)
        status = weir_error_set(error, WEIR_FOREIGN, WEIR_NO_OFFSET, "an artifact that is no file");
    else if (fd.fd < 0)
        return weir__dir_failed(error, fd.fd, "cannot open an artifact");
    else
        status = check_open(dir, fd.fd, key, error);
    if (status == WEIR_CORRUPT || status == WEIR_FOREIGN)
        weir__dir_quarantine(dir, name);
    return status;
}
