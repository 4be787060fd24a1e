/* The I/O layer: every system call that Weir makes on a file, socket or directory goes through a
 * `struct weir_io`, so that a test can make any of them fail, come back short or wait.
 *
 * A call returns what the system call returns, or -errno; errno itself is not used. Nothing is
 * retried: EINTR, short reads and short writes come back as they are, except from the two helpers
 * that say so. An io is one function over numbered operations (io_ops.def) and typed wrappers; a
 * layer is another such function over one below it. mmap is not among them (ledger/mapping.h).
 */
#ifndef WEIR_BASE_IO_H
#define WEIR_BASE_IO_H

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

enum weir_io_op {
#define WEIR_IO_OP(id, name, transfers) WEIR_IO_##id,
#include "base/io_ops.def"
#undef WEIR_IO_OP
    WEIR_IO_OP_COUNT
};

struct weir_io {
    long (*call)(struct weir_io *io, enum weir_io_op op, const long args[6]);
};

/* The real one; static. */
struct weir_io *weir_io_system(void);
const char *weir_io_op_name(enum weir_io_op op);

/* --- faults for tests ---------------------------------------------------------------------- */

#define WEIR_IO_RULES_MAX 16
#define WEIR_IO_ANY WEIR_IO_OP_COUNT

/* What happens to the calls from the first-th (1-based, counted among those of `op`; 0 means 1)
 * on, for `count` of them (0: all). Without error, bytes_max and delay the call is only counted. */
struct weir_io_rule {
    enum weir_io_op op; /* or WEIR_IO_ANY */
    uint64_t first;
    uint64_t count;
    int error;        /* errno to fail with; the call is not made */
    size_t bytes_max; /* a transfer moves at most this much */
    unsigned delay_ms;
    void (*before)(void *context, enum weir_io_op op, const long args[6]); /* may block */
    void *context;
};

/* A layer that applies rules. Safe from any thread; rules are added while nothing runs. A layer
 * that loses what was not synced is base/io_crash.h. */
struct weir_io_faulty {
    struct weir_io io; /* pass &faulty.io */
    struct weir_io *below;
    pthread_mutex_t lock;
    struct weir_io_rule rules[WEIR_IO_RULES_MAX];
    size_t rule_count;
    uint64_t calls[WEIR_IO_OP_COUNT + 1]; /* the last counts all */
};

void weir_io_faulty_init(struct weir_io_faulty *faulty, struct weir_io *below);
void weir_io_faulty_done(struct weir_io_faulty *faulty);
/* False when there is no room for it. */
bool weir_io_faulty_add(struct weir_io_faulty *faulty, const struct weir_io_rule *rule);
/* Forgets rules and counts. */
void weir_io_faulty_reset(struct weir_io_faulty *faulty);

/* --- the calls ----------------------------------------------------------------------------- */

#define WEIR_IO_DO(io, op, ...) ((io)->call((io), (op), (const long[6]){__VA_ARGS__}))

static inline int weir_io_openat2(struct weir_io *io, int dir, const char *path,
                                  const struct open_how *how)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_OPENAT2, dir, (long)path, (long)how, (long)sizeof *how);
}

/* O_CLOEXEC is added. */
static inline int weir_io_open(struct weir_io *io, int dir, const char *path, int flags,
                               mode_t mode)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode : 0};
    return weir_io_openat2(io, dir, path, &how);
}

static inline int weir_io_close(struct weir_io *io, int fd)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_CLOSE, fd);
}

static inline long weir_io_read(struct weir_io *io, int fd, void *bytes, size_t size)
{
    return WEIR_IO_DO(io, WEIR_IO_READ, fd, (long)bytes, (long)size);
}

static inline long weir_io_write(struct weir_io *io, int fd, const void *bytes, size_t size)
{
    return WEIR_IO_DO(io, WEIR_IO_WRITE, fd, (long)bytes, (long)size);
}

static inline long weir_io_pread(struct weir_io *io, int fd, void *bytes, size_t size,
                                 uint64_t offset)
{
    return WEIR_IO_DO(io, WEIR_IO_PREAD, fd, (long)bytes, (long)size, (long)offset);
}

static inline long weir_io_pwrite(struct weir_io *io, int fd, const void *bytes, size_t size,
                                  uint64_t offset)
{
    return WEIR_IO_DO(io, WEIR_IO_PWRITE, fd, (long)bytes, (long)size, (long)offset);
}

static inline long weir_io_readv(struct weir_io *io, int fd, const struct iovec *vector, int count)
{
    return WEIR_IO_DO(io, WEIR_IO_READV, fd, (long)vector, count);
}

static inline long weir_io_writev(struct weir_io *io, int fd, const struct iovec *vector, int count)
{
    return WEIR_IO_DO(io, WEIR_IO_WRITEV, fd, (long)vector, count);
}

/* The kernel takes the offset in two halves; on x86-64 the low one is the whole. */
static inline long weir_io_preadv(struct weir_io *io, int fd, const struct iovec *vector, int count,
                                  uint64_t offset)
{
    return WEIR_IO_DO(io, WEIR_IO_PREADV, fd, (long)vector, count, (long)offset);
}

static inline long weir_io_pwritev(struct weir_io *io, int fd, const struct iovec *vector,
                                   int count, uint64_t offset)
{
    return WEIR_IO_DO(io, WEIR_IO_PWRITEV, fd, (long)vector, count, (long)offset);
}

static inline int64_t weir_io_lseek(struct weir_io *io, int fd, int64_t offset, int whence)
{
    return WEIR_IO_DO(io, WEIR_IO_LSEEK, fd, offset, whence);
}

static inline int weir_io_fstat(struct weir_io *io, int fd, struct stat *ret)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FSTAT, fd, (long)ret);
}

static inline int weir_io_fstatat(struct weir_io *io, int dir, const char *path, struct stat *ret,
                                  int flags)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FSTATAT, dir, (long)path, (long)ret, flags);
}

static inline int weir_io_fsync(struct weir_io *io, int fd)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FSYNC, fd);
}

static inline int weir_io_fdatasync(struct weir_io *io, int fd)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FDATASYNC, fd);
}

static inline int weir_io_ftruncate(struct weir_io *io, int fd, uint64_t size)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FTRUNCATE, fd, (long)size);
}

static inline int weir_io_fallocate(struct weir_io *io, int fd, int mode, uint64_t offset,
                                    uint64_t length)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FALLOCATE, fd, mode, (long)offset, (long)length);
}

static inline int weir_io_fadvise(struct weir_io *io, int fd, uint64_t offset, uint64_t length,
                                  int advice)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FADVISE, fd, (long)offset, (long)length, advice);
}

static inline int weir_io_fcntl(struct weir_io *io, int fd, int command, long argument)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FCNTL, fd, command, argument);
}

static inline int weir_io_flock(struct weir_io *io, int fd, int operation)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_FLOCK, fd, operation);
}

/* `path` NULL means the file `dir` itself. */
static inline int weir_io_utimensat(struct weir_io *io, int dir, const char *path,
                                    const struct timespec times[2], int flags)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_UTIMENSAT, dir, (long)path, (long)times, flags);
}

/* Fills records of struct linux_dirent64 (struct dirent64 of <dirent.h>). */
static inline long weir_io_getdents(struct weir_io *io, int fd, void *bytes, size_t size)
{
    return WEIR_IO_DO(io, WEIR_IO_GETDENTS, fd, (long)bytes, (long)size);
}

static inline int weir_io_mkdirat(struct weir_io *io, int dir, const char *path, mode_t mode)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_MKDIRAT, dir, (long)path, mode);
}

static inline int weir_io_unlinkat(struct weir_io *io, int dir, const char *path, int flags)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_UNLINKAT, dir, (long)path, flags);
}

static inline int weir_io_renameat(struct weir_io *io, int from_dir, const char *from, int to_dir,
                                   const char *to, unsigned flags)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_RENAMEAT2, from_dir, (long)from, to_dir, (long)to, flags);
}

static inline int weir_io_linkat(struct weir_io *io, int from_dir, const char *from, int to_dir,
                                 const char *to, int flags)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_LINKAT, from_dir, (long)from, to_dir, (long)to, flags);
}

static inline int weir_io_symlinkat(struct weir_io *io, const char *target, int dir,
                                    const char *path)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_SYMLINKAT, (long)target, dir, (long)path);
}

static inline long weir_io_readlinkat(struct weir_io *io, int dir, const char *path, char *bytes,
                                      size_t size)
{
    return WEIR_IO_DO(io, WEIR_IO_READLINKAT, dir, (long)path, (long)bytes, (long)size);
}

static inline int weir_io_memfd_create(struct weir_io *io, const char *name, unsigned flags)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_MEMFD_CREATE, (long)name, flags);
}

static inline int weir_io_poll(struct weir_io *io, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_POLL, (long)fds, (long)count, timeout_ms);
}

static inline int weir_io_accept(struct weir_io *io, int fd, int flags)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_ACCEPT4, fd, 0, 0, flags);
}

static inline int weir_io_shutdown(struct weir_io *io, int fd, int how)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_SHUTDOWN, fd, how);
}

static inline long weir_io_sendmsg(struct weir_io *io, int fd, const struct msghdr *message,
                                   int flags)
{
    return WEIR_IO_DO(io, WEIR_IO_SENDMSG, fd, (long)message, flags);
}

static inline long weir_io_recvmsg(struct weir_io *io, int fd, struct msghdr *message, int flags)
{
    return WEIR_IO_DO(io, WEIR_IO_RECVMSG, fd, (long)message, flags);
}

static inline long weir_io_getrandom(struct weir_io *io, void *bytes, size_t size, unsigned flags)
{
    return WEIR_IO_DO(io, WEIR_IO_GETRANDOM, (long)bytes, (long)size, flags);
}

static inline int weir_io_clock_gettime(struct weir_io *io, clockid_t clock, struct timespec *ret)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_CLOCK_GETTIME, clock, (long)ret);
}

static inline int weir_io_clock_getres(struct weir_io *io, clockid_t clock, struct timespec *ret)
{
    return (int)WEIR_IO_DO(io, WEIR_IO_CLOCK_GETRES, clock, (long)ret);
}

/* Until all is written, or an error that is not EINTR. 0 or -errno; -EIO when nothing moves. */
int weir_io_write_all(struct weir_io *io, int fd, const void *bytes, size_t size);
/* Until size bytes, the end, or an error that is not EINTR. The count or -errno. */
long weir_io_read_full(struct weir_io *io, int fd, void *bytes, size_t size);

#endif
