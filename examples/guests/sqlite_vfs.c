/* The smallest file system SQLite can live with: databases are opened read-only through POSIX
 * calls, everything else (journals, temporary files) is refused; the guest keeps those in memory.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct file {
    sqlite3_file base;
    int fd;
};

static int vfs_close(sqlite3_file *base)
{
    return close(((struct file *)base)->fd) == 0 ? SQLITE_OK : SQLITE_IOERR_CLOSE;
}

static int vfs_read(sqlite3_file *base, void *to, int size, sqlite3_int64 offset)
{
    ssize_t count = pread(((struct file *)base)->fd, to, (size_t)size, offset);
    if (count < 0)
        return SQLITE_IOERR_READ;
    if (count == size)
        return SQLITE_OK;
    memset((char *)to + count, 0, (size_t)(size - count));
    return SQLITE_IOERR_SHORT_READ;
}

static int vfs_write(sqlite3_file *base, const void *from, int size, sqlite3_int64 offset)
{
    (void)base;
    (void)from;
    (void)size;
    (void)offset;
    return SQLITE_READONLY;
}

static int vfs_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    (void)base;
    (void)size;
    return SQLITE_READONLY;
}

static int vfs_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct stat st;
    if (fstat(((struct file *)base)->fd, &st) != 0)
        return SQLITE_IOERR_FSTAT;
    *size = st.st_size;
    return SQLITE_OK;
}

static int vfs_flags(sqlite3_file *base, int flags)
{
    (void)base;
    (void)flags;
    return SQLITE_OK;
}

static int vfs_reserved(sqlite3_file *base, int *result)
{
    (void)base;
    *result = 0;
    return SQLITE_OK;
}

static int vfs_control(sqlite3_file *base, int operation, void *argument)
{
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int vfs_sector(sqlite3_file *base)
{
    (void)base;
    return 0;
}

static int vfs_device(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_IMMUTABLE;
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 1,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_flags,
    .xFileSize = vfs_size,
    .xLock = vfs_flags,
    .xUnlock = vfs_flags,
    .xCheckReservedLock = vfs_reserved,
    .xFileControl = vfs_control,
    .xSectorSize = vfs_sector,
    .xDeviceCharacteristics = vfs_device,
};

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags,
                    int *out_flags)
{
    struct file *file = (struct file *)base;
    (void)vfs;
    file->base.pMethods = NULL;
    if (name == NULL || (flags & SQLITE_OPEN_READONLY) == 0)
        return SQLITE_CANTOPEN;
    file->fd = open(name, O_RDONLY);
    if (file->fd < 0)
        return SQLITE_CANTOPEN;
    file->base.pMethods = &METHODS;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    (void)name;
    (void)sync;
    return SQLITE_IOERR_DELETE;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    (void)vfs;
    (void)flags;
    *result = access(name, F_OK) == 0;
    return SQLITE_OK;
}

static int vfs_path(sqlite3_vfs *vfs, const char *name, int size, char *to)
{
    (void)vfs;
    sqlite3_snprintf(size, to, "%s", name);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int size, char *to)
{
    (void)vfs;
    return getentropy(to, (size_t)size) == 0 ? size : 0;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    usleep((useconds_t)microseconds);
    return microseconds;
}

/* Milliseconds since noon of 24 November 4714 BC. */
static int vfs_now(sqlite3_vfs *vfs, sqlite3_int64 *ms)
{
    struct timespec now;
    (void)vfs;
    clock_gettime(CLOCK_REALTIME, &now);
    *ms = 210866760000000LL + now.tv_sec * 1000LL + now.tv_nsec / 1000000;
    return SQLITE_OK;
}

int sqlite3_os_init(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .szOsFile = sizeof(struct file),
        .mxPathname = 512,
        .zName = "readonly",
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTimeInt64 = vfs_now,
    };
    return sqlite3_vfs_register(&vfs, 1);
}

int sqlite3_os_end(void)
{
    return SQLITE_OK;
}
