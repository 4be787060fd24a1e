/* See module_store.h. The order that makes it safe: write, fsync the file, rename, fsync the
 * folder. A hidden file is locked (flock) while its upload lasts, so that another process that
 * opens the store leaves it alone. */
#include "server/module_store.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define HIDDEN ".upload-"
#define HIDDEN_SIZE 32
#define COPY_BYTES 16384
#define SUFFIX ".wasm"

struct weir_module_upload {
    struct weir_module_store *store;
    struct weir_module_upload *next;
    int fd;
    bool is_published, is_disk_full;
    uint64_t bytes;
    struct weir_hash_state *state;
    struct weir_hash hash;
    char name[WEIR_MODULE_NAME_MAX + 1];
    char hidden[HIDDEN_SIZE];
    char path[PATH_MAX];
};

struct weir_module_store {
    struct weir_account *account;
    struct weir_io *io;
    int fd;
    pthread_mutex_t lock;
    struct weir_module_upload *uploads; /* under the lock */
    uint32_t upload_count;
    char folder[PATH_MAX];
};

bool weir_module_name_is_good(const char *name)
{
    size_t size = strlen(name), end = strlen(SUFFIX);
    if (size <= end || size > WEIR_MODULE_NAME_MAX || name[0] == '.' ||
        strcmp(name + size - end, SUFFIX) != 0)
        return false;
    for (const char *c = name; *c != 0; c++)
        if (!isalnum((unsigned char)*c) && strchr("-_.", *c) == NULL)
            return false;
    return true;
}

static enum weir_status fail(const struct weir_module_store *store, const char *what,
                             const char *name, long result, struct weir_error *error)
{
    enum weir_status status = result == -ENOENT ? WEIR_NOT_FOUND : WEIR_IO;
    return weir_error_set_errno(error, status, (int)-result, "cannot %s %s/%s", what, store->folder,
                                name);
}

/* --- the folder ---------------------------------------------------------------------------- */

/* Calls visit for each name; false ends the walk. 0 or -errno. */
static long walk(struct weir_module_store *store, bool (*visit)(void *context, const char *name),
                 void *context)
{
    char entries[8192] __attribute__((aligned(8)));
    AUTO_CLOSE fd = weir_io_open(store->io, store->fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    for (;;) {
        long size = weir_io_getdents(store->io, fd, entries, sizeof entries);
        if (size <= 0)
            return size;
        for (long at = 0; at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(void *)(entries + at);
            at += entry->d_reclen;
            if (!visit(context, entry->d_name))
                return 0;
        }
    }
}

/* A hidden file that nobody holds. */
static bool sweep(void *context, const char *name)
{
    struct weir_module_store *store = context;
    if (strncmp(name, HIDDEN, strlen(HIDDEN)) != 0)
        return true;
    AUTO_CLOSE fd = weir_io_open(store->io, store->fd, name, O_RDONLY | O_NOFOLLOW, 0);
    if (fd >= 0 && weir_io_flock(store->io, fd, LOCK_EX | LOCK_NB) == 0)
        (void)weir_io_unlinkat(store->io, store->fd, name, 0);
    return true;
}

static enum weir_status check_folder(struct weir_module_store *store, struct weir_error *error)
{
    struct stat st;
    int failed = store->fd < 0 ? store->fd : weir_io_fstat(store->io, store->fd, &st);
    if (failed < 0)
        return weir_error_set_errno(error, WEIR_IO, -failed, "cannot keep modules in %s",
                                    store->folder);
    if ((st.st_mode & S_IWOTH) != 0)
        return weir_error_set(error, WEIR_PERMISSION, WEIR_NO_OFFSET,
                              "cannot keep modules in %s: everybody may write to it; chmod o-w",
                              store->folder);
    return WEIR_OK;
}

enum weir_status weir_module_store_open(const char *folder, struct weir_account *account,
                                        struct weir_io *io, struct weir_module_store **ret_store,
                                        struct weir_error *error)
{
    struct weir_module_store *store =
        weir_account_alloc(account, WEIR_KIND_SERVER, sizeof *store, error);
    if (store == NULL)
        return WEIR_LIMIT;
    store->account = account;
    store->io = io != NULL ? io : weir_io_system();
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)snprintf(store->folder, sizeof store->folder, "%s", folder);
    store->fd = weir_io_open(store->io, AT_FDCWD, folder[0] != 0 ? folder : ".",
                             O_RDONLY | O_DIRECTORY, 0);
    enum weir_status status = check_folder(store, error);
    if (status != WEIR_OK) {
        weir_module_store_close(store);
        return status;
    }
    (void)walk(store, sweep, store);
    *ret_store = store;
    return WEIR_OK;
}

void weir_module_store_close(struct weir_module_store *store)
{
    if (store == NULL)
        return;
    if (store->fd >= 0)
        (void)weir_io_close(store->io, store->fd);
    (void)pthread_mutex_destroy(&store->lock);
    weir_account_free(store->account, WEIR_KIND_SERVER, store, sizeof *store);
}

/* --- uploading ----------------------------------------------------------------------------- */

/* A new hidden file, locked. Another process that opens the store may remove it before it is. */
static long open_hidden(struct weir_module_store *store, struct weir_module_upload *upload)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        uint64_t number = 0;
        struct stat st;
        long result = weir_io_getrandom(store->io, &number, sizeof number, 0);
        if (result < 0)
            return result;
        (void)snprintf(upload->hidden, sizeof upload->hidden, HIDDEN "%016llx",
                       (unsigned long long)number);
        int fd = weir_io_open(store->io, store->fd, upload->hidden,
                              O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
        if (fd == -EEXIST)
            continue;
        if (fd < 0)
            return fd;
        if (weir_io_flock(store->io, fd, LOCK_EX | LOCK_NB) == 0 &&
            weir_io_fstat(store->io, fd, &st) == 0 && st.st_nlink > 0)
            return fd;
        (void)weir_io_close(store->io, fd);
    }
    return -EEXIST;
}

/* Takes a place for the name. */
static enum weir_status join(struct weir_module_store *store, struct weir_module_upload *upload,
                             struct weir_error *error)
{
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&store->lock);
    for (struct weir_module_upload *at = store->uploads; at != NULL; at = at->next)
        if (strcmp(at->name, upload->name) == 0)
            status = weir_error_set(error, WEIR_EXISTS, WEIR_NO_OFFSET,
                                    "%s is being uploaded by another request", upload->name);
    if (status == WEIR_OK && store->upload_count == WEIR_MODULE_UPLOADS_MAX)
        status = weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET, "%u uploads run at once",
                                WEIR_MODULE_UPLOADS_MAX);
    if (status == WEIR_OK) {
        upload->next = store->uploads;
        store->uploads = upload;
        store->upload_count++;
        upload->store = store;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

enum weir_status weir_module_upload_begin(struct weir_module_store *store, const char *name,
                                          struct weir_module_upload **ret_upload,
                                          struct weir_error *error)
{
    struct weir_module_upload *upload =
        weir_account_alloc(store->account, WEIR_KIND_SERVER, sizeof *upload, error);
    if (upload == NULL)
        return WEIR_LIMIT;
    upload->fd = -1;
    (void)snprintf(upload->name, sizeof upload->name, "%s", name);
    enum weir_status status = join(store, upload, error);
    if (status != WEIR_OK) {
        weir_account_free(store->account, WEIR_KIND_SERVER, upload, sizeof *upload);
        return status;
    }
    long fd = open_hidden(store, upload);
    upload->fd = (int)fd;
    upload->is_disk_full = fd == -ENOSPC || fd == -EDQUOT;
    int size = snprintf(upload->path, sizeof upload->path, "%s%s%s", store->folder,
                        store->folder[0] != 0 ? "/" : "", upload->hidden);
    if (fd < 0)
        status = fail(store, "create", upload->hidden, fd, error);
    else if (size < 0 || (size_t)size >= sizeof upload->path)
        status = weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "the folder's path is too long");
    else
        status = weir_hash_new(NULL, 0, &upload->state, error);
    *ret_upload = upload; /* also after an error: it says whether the disk is full */
    return status;
}

enum weir_status weir_module_upload_write(struct weir_module_upload *upload, const void *bytes,
                                          size_t size, struct weir_error *error)
{
    struct weir_module_store *store = upload->store;
    int failed = weir_io_write_all(store->io, upload->fd, bytes, size);
    upload->is_disk_full = failed == -ENOSPC || failed == -EDQUOT;
    if (failed < 0)
        return fail(store, "write", upload->name, failed, error);
    upload->bytes += size;
    return weir_hash_add(upload->state, bytes, size, error);
}

enum weir_status weir_module_upload_seal(struct weir_module_upload *upload,
                                         struct weir_error *error)
{
    int failed = weir_io_fsync(upload->store->io, upload->fd);
    upload->is_disk_full = failed == -ENOSPC || failed == -EDQUOT;
    if (failed < 0)
        return fail(upload->store, "sync", upload->name, failed, error);
    return weir_hash_end(upload->state, &upload->hash, error);
}

enum weir_status weir_module_upload_publish(struct weir_module_upload *upload,
                                            bool *ret_is_published, struct weir_error *error)
{
    struct weir_module_store *store = upload->store;
    *ret_is_published = false;
    int failed = weir_io_renameat(store->io, store->fd, upload->hidden, store->fd, upload->name, 0);
    upload->is_disk_full = failed == -ENOSPC || failed == -EDQUOT;
    if (failed < 0)
        return fail(store, "publish", upload->name, failed, error);
    *ret_is_published = upload->is_published = true;
    failed = weir_io_fsync(store->io, store->fd);
    return failed < 0 ? fail(store, "sync the folder of", upload->name, failed, error) : WEIR_OK;
}

void weir_module_upload_end(struct weir_module_upload *upload)
{
    if (upload == NULL)
        return;
    struct weir_module_store *store = upload->store;
    if (upload->fd >= 0 && !upload->is_published)
        (void)weir_io_unlinkat(store->io, store->fd, upload->hidden, 0);
    if (upload->fd >= 0)
        (void)weir_io_close(store->io, upload->fd);
    weir_hash_free(upload->state);
    (void)pthread_mutex_lock(&store->lock);
    struct weir_module_upload **at = &store->uploads;
    while (*at != upload)
        at = &(*at)->next;
    *at = upload->next;
    store->upload_count--;
    (void)pthread_mutex_unlock(&store->lock);
    weir_account_free(store->account, WEIR_KIND_SERVER, upload, sizeof *upload);
}

const char *weir_module_upload_path(const struct weir_module_upload *upload)
{
    return upload->path;
}

uint64_t weir_module_upload_bytes(const struct weir_module_upload *upload)
{
    return upload->bytes;
}

const struct weir_hash *weir_module_upload_hash(const struct weir_module_upload *upload)
{
    return &upload->hash;
}

bool weir_module_upload_is_disk_full(const struct weir_module_upload *upload)
{
    return upload->is_disk_full;
}

/* --- what is there ------------------------------------------------------------------------- */

static enum weir_status hash_file(struct weir_module_store *store, int fd, const char *name,
                                  struct weir_hash *ret_hash, struct weir_error *error)
{
    AUTO(weir_hash_state) *state = NULL;
    char bytes[COPY_BYTES];
    enum weir_status status = weir_hash_new(NULL, 0, &state, error);
    while (status == WEIR_OK) {
        long got = weir_io_read_full(store->io, fd, bytes, sizeof bytes);
        if (got < 0)
            return fail(store, "read", name, got, error);
        if (got == 0)
            return weir_hash_end(state, ret_hash, error);
        status = weir_hash_add(state, bytes, (size_t)got, error);
    }
    return status;
}

static void fill_entry(struct weir_module_entry *entry, const char *name, const struct stat *st)
{
    *entry = (struct weir_module_entry){.bytes = (uint64_t)st->st_size,
                                        .modified_s = st->st_mtim.tv_sec};
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
}

enum weir_status weir_module_store_find(struct weir_module_store *store, const char *name,
                                        struct weir_module_entry *ret_entry,
                                        struct weir_error *error)
{
    struct stat st;
    struct weir_module_entry entry;
    AUTO_CLOSE fd = weir_io_open(store->io, store->fd, name, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fail(store, "read", name, fd, error);
    int failed = weir_io_fstat(store->io, fd, &st);
    if (failed < 0 || !S_ISREG(st.st_mode))
        return fail(store, "read", name, failed < 0 ? failed : -EINVAL, error);
    fill_entry(&entry, name, &st);
    enum weir_status status = hash_file(store, fd, name, &entry.hash, error);
    if (status == WEIR_OK)
        *ret_entry = entry;
    return status;
}

struct listing {
    struct weir_module_store *store;
    bool (*visit)(void *context, const struct weir_module_entry *entry);
    void *context;
    unsigned count;
};

static bool list_name(void *context, const char *name)
{
    struct listing *listing = context;
    struct stat st;
    if (!weir_module_name_is_good(name) ||
        weir_io_fstatat(listing->store->io, listing->store->fd, name, &st, 0) < 0 ||
        !S_ISREG(st.st_mode))
        return true;
    struct weir_module_entry entry;
    fill_entry(&entry, name, &st);
    return listing->visit(listing->context, &entry) && ++listing->count < WEIR_MODULE_LIST_MAX;
}

enum weir_status weir_module_store_list(struct weir_module_store *store,
                                        bool (*visit)(void *context,
                                                      const struct weir_module_entry *entry),
                                        void *context, struct weir_error *error)
{
    struct listing listing = {.store = store, .visit = visit, .context = context};
    long result = walk(store, list_name, &listing);
    return result < 0 ? fail(store, "list", "", result, error) : WEIR_OK;
}

enum weir_status weir_module_store_remove(struct weir_module_store *store, const char *name,
                                          struct weir_error *error)
{
    (void)pthread_mutex_lock(&store->lock);
    bool is_uploaded = false;
    for (struct weir_module_upload *at = store->uploads; at != NULL; at = at->next)
        is_uploaded |= strcmp(at->name, name) == 0;
    int failed = is_uploaded ? 0 : weir_io_unlinkat(store->io, store->fd, name, 0);
    (void)pthread_mutex_unlock(&store->lock);
    if (is_uploaded)
        return weir_error_set(error, WEIR_EXISTS, WEIR_NO_OFFSET,
                              "%s is being uploaded by another request", name);
    if (failed == 0)
        failed = weir_io_fsync(store->io, store->fd);
    return failed < 0 ? fail(store, "remove", name, failed, error) : WEIR_OK;
}
