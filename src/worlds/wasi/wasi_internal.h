/* What the files of the WASI world share: the context, its descriptors, and a call in flight.
 *
 * An operation is `int weir__wasi_NAME(struct weir__wasi_call *call)`. It answers an errno of WASI
 * (≥ 0), or WASI_PARK when the guest has to wait (it is then run again from the start, with the
 * same arguments; what it has done so far is in wasi->park), or WASI_END (call->status says how).
 * Guest memory is reached by the helpers of wasi_memory.c only.
 */
#ifndef WEIR_WASI_INTERNAL_H
#define WEIR_WASI_INTERNAL_H

#include <errno.h>

#include <weir/wasi.h>

#include "base/io.h"
#include "ledger/ledger.h"
#include "worlds/wasi/wasi_abi.h"
#include "worlds/wasi/wasi_limits.h"

#define WASI_PARK (-1)
#define WASI_END (-2)
#define WASI_ARGS_MAX 9

struct weir__wasi_call;

enum weir__wasi_backing {
    WASI_FREE,   /* the number is not in use */
    WASI_HOST,   /* a host descriptor */
    WASI_STREAM, /* callbacks */
    WASI_NONE    /* reads: the end; writes: discarded */
};

struct weir__wasi_descriptor {
    uint8_t backing; /* enum weir__wasi_backing */
    uint8_t filetype;
    uint8_t stream;    /* WASI_STREAM: 0 to 2 */
    bool is_inherited; /* the host's own open file: its flags are not the guest's to change */
    bool is_borrowed;  /* the host's own descriptor: not ours to close, nor its position to use */
    bool may_wait;     /* not a file or directory: reads and writes can block */
    uint16_t flags;    /* WASI_FDFLAG_ */
    int host_fd;       /* WASI_HOST */
    uint32_t name_size;
    char *name; /* of a preopened directory; lies in the context's strings */
    uint64_t rights_base;
    uint64_t rights_inheriting;
};

struct weir__wasi_stream {
    struct weir_wasi_stream calls;
    uint8_t *lookahead; /* WASI_LOOKAHEAD_BYTES, charged; NULL until poll_oneoff looks */
    uint32_t lookahead_at, lookahead_end;
    bool is_ended;
};

/* A waiting operation, and what it has done already. */
struct weir__wasi_park {
    int (*operation)(struct weir__wasi_call *call); /* NULL: nothing waits */
    struct weir_memory *memory;
    union weir_value args[WASI_ARGS_MAX];
    uint64_t done_bytes;
    uint64_t started_ns; /* monotonic; 0: the first try */
    int waits_for;
    uint64_t wake_ns;
};

struct weir_wasi {
    struct weir_store *store;
    struct weir_account *account;
    struct weir_io *io;
    struct weir__wasi_descriptor *descriptors; /* `first`, until they are more */
    uint32_t descriptor_count;                 /* there is room for */
    uint32_t descriptors_max;
    uint32_t first_free; /* no lower number is free */
    uint64_t host_buffer_bytes;
    struct weir__wasi_stream streams[3];
    bool parks; /* some stream has callbacks: waiting parks the guest instead of the thread */
    uint64_t (*realtime_ns)(void *context);
    void *realtime_context;
    bool is_deterministic;
    uint64_t random_state;
    size_t strings_size;
    uint32_t arg_count, arg_bytes;
    uint32_t env_count, env_bytes;
    const char *env; /* follow the args, or `renewed` */
    char *renewed;   /* room for environments that came later; charged */
    size_t renewed_size;
    bool has_result; /* the entry that runs answers its exit code */
    struct weir__wasi_park park;
    struct weir__wasi_descriptor first[WASI_DESCRIPTORS_FIRST];
    char strings[]; /* args, environment, names of preopens; each with its terminator */
};

struct weir__wasi_call {
    struct weir_wasi *wasi;
    struct weir_memory *memory; /* NULL: the guest has none */
    struct weir_caller *caller; /* NULL when an operation is tried again */
    const union weir_value *args;
    enum weir_status status; /* WASI_END */
};

/* weir_wasi_new() on another system: tests make calls of this one fail. */
enum weir_status weir__wasi_new_on(struct weir_store *store, const struct weir_wasi_config *config,
                                   struct weir_io *io, struct weir_wasi **ret_wasi,
                                   struct weir_error *error) WEIR_MUST_USE;

/* One per function of the snapshot: weir__wasi_fd_read() and so on. */
#define WASI_FUNCTION(name, parameters) int weir__wasi_##name(struct weir__wasi_call *call);
#include "worlds/wasi/wasi_functions.def"
#undef WASI_FUNCTION

static inline uint32_t weir__wasi_u32(const struct weir__wasi_call *call, unsigned index)
{
    return (uint32_t)call->args[index].i32;
}

static inline uint64_t weir__wasi_u64(const struct weir__wasi_call *call, unsigned index)
{
    return (uint64_t)call->args[index].i64;
}

/* --- errors (wasi_errno.c) --- */

/* What a call of the I/O layer answered: SUCCESS for ≥ 0. */
int weir__wasi_errno_of(long result);
/* Calls that do not wait are repeated when a signal interrupts them. */
#define WASI_RETRY(expression)                                                                     \
    __extension__({                                                                                \
        long result_;                                                                              \
        do                                                                                         \
            result_ = (expression);                                                                \
        while (result_ == -EINTR);                                                                 \
        result_;                                                                                   \
    })
int weir__wasi_errno_of_status(enum weir_status status);
const char *weir__wasi_errno_name(int wasi_errno);

/* --- guest memory (wasi_memory.c) --- */

/* FAULT out of bounds, IO when the page is lost. */
int weir__wasi_get(const struct weir__wasi_call *call, uint32_t address, void *to, size_t size);
int weir__wasi_put(const struct weir__wasi_call *call, uint32_t address, const void *from,
                   size_t size);
int weir__wasi_put_u32(const struct weir__wasi_call *call, uint32_t address, uint32_t value);
int weir__wasi_put_u64(const struct weir__wasi_call *call, uint32_t address, uint64_t value);

/* A guest's vectors as ones of the host, for system calls. */
struct weir__wasi_buffers {
    struct iovec *vectors; /* the rest that is not skipped */
    size_t count;
    uint64_t total; /* bytes left */
    struct iovec *owned;
    size_t owned_bytes; /* charged; 0: `few` */
    struct iovec few[WASI_IOVECS_INLINE];
};
/* Release with weir__wasi_buffers_done(), after a failure too. INVAL: too many, or the sum does
 * not fit 32 bits. FAULT: a vector is out of bounds. NOMEM. */
int weir__wasi_buffers_init(struct weir__wasi_call *call, uint32_t address, uint32_t count,
                            struct weir__wasi_buffers *ret_buffers);
void weir__wasi_buffers_done(struct weir__wasi_call *call, struct weir__wasi_buffers *buffers);
void weir__wasi_buffers_skip(struct weir__wasi_buffers *buffers, uint64_t bytes);
/* Vectors for the first `bytes_max` bytes at most; returns how many of `head` were filled. */
int weir__wasi_buffers_head(const struct weir__wasi_buffers *buffers, uint64_t bytes_max,
                            struct iovec head[WASI_IOVECS_INLINE]);
/* Copies between `copy` and the first `size` bytes of the buffers (size ≤ total). */
int weir__wasi_buffers_put(const struct weir__wasi_call *call,
                           const struct weir__wasi_buffers *buffers, const void *copy_bytes,
                           size_t size);
int weir__wasi_buffers_get(const struct weir__wasi_call *call,
                           const struct weir__wasi_buffers *buffers, void *copy_bytes, size_t size);

/* --- descriptors (wasi_descriptor.c) --- */

/* BADF: no such descriptor. NOTCAPABLE: it lacks one of `rights`. */
int weir__wasi_find(const struct weir__wasi_call *call, uint32_t fd, uint64_t rights,
                    struct weir__wasi_descriptor **ret_descriptor);
/* The lowest number with nothing behind it, for what is no host descriptor of our own: MFILE (the
 * table is full), NOMEM. Then weir__wasi_add(). */
int weir__wasi_number(struct weir_wasi *wasi, uint32_t *ret_fd);
/* The same with a host descriptor charged: NFILE too (the account's descriptors are all taken).
 * Then weir__wasi_add() or weir__wasi_unreserve(). */
int weir__wasi_reserve(struct weir_wasi *wasi, uint32_t *ret_fd);
void weir__wasi_unreserve(struct weir_wasi *wasi, uint32_t fd);
/* Takes over a host descriptor that was reserved, or a thing that was only numbered. */
void weir__wasi_add(struct weir_wasi *wasi, uint32_t fd,
                    const struct weir__wasi_descriptor *descriptor);
void weir__wasi_drop(struct weir_wasi *wasi, uint32_t fd);
void weir__wasi_free_table(struct weir_wasi *wasi);
/* Makes a borrowed directory the guest's own: NFILE, and what opening it may answer. */
int weir__wasi_own(struct weir_wasi *wasi, struct weir__wasi_descriptor *descriptor);
/* What the host's descriptor is, and the rights that make sense for it. */
int weir__wasi_describe(struct weir_wasi *wasi, int host_fd,
                        struct weir__wasi_descriptor *ret_descriptor);
uint8_t weir__wasi_filetype(const struct stat *stat);
/* Rights that a directory's files may have. */
#define WASI_RIGHTS_DIRECTORY                                                                      \
    (WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_DATASYNC |                \
     WASI_RIGHT_FD_ADVISE | WASI_RIGHT_PATH_CREATE_DIRECTORY | WASI_RIGHT_PATH_CREATE_FILE |       \
     WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_OPEN |            \
     WASI_RIGHT_FD_READDIR | WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_RENAME_SOURCE |            \
     WASI_RIGHT_PATH_RENAME_TARGET | WASI_RIGHT_PATH_FILESTAT_GET |                                \
     WASI_RIGHT_PATH_FILESTAT_SET_SIZE | WASI_RIGHT_PATH_FILESTAT_SET_TIMES |                      \
     WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_PATH_SYMLINK |     \
     WASI_RIGHT_PATH_REMOVE_DIRECTORY | WASI_RIGHT_PATH_UNLINK_FILE |                              \
     WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_FILE                                                                           \
    (WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK |                            \
     WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_TELL |                    \
     WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_ALLOCATE |                         \
     WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_SIZE |                                \
     WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_SOCKET                                                                         \
    (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |                   \
     WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_POLL_FD_READWRITE | WASI_RIGHT_SOCK_SHUTDOWN |        \
     WASI_RIGHT_SOCK_ACCEPT)
/* What a preopen that is read-only keeps. */
#define WASI_RIGHTS_READ_ONLY                                                                      \
    (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL |                                \
     WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_DATASYNC |                \
     WASI_RIGHT_FD_ADVISE | WASI_RIGHT_PATH_OPEN | WASI_RIGHT_FD_READDIR |                         \
     WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_GET |        \
     WASI_RIGHT_POLL_FD_READWRITE)

/* --- waiting (wasi_wait.c) --- */

uint64_t weir__wasi_now_ns(const struct weir_wasi *wasi);
/* A clock of the snapshot: NOTSUP, INVAL, OVERFLOW (wasi_clock.c). */
int weir__wasi_clock_ns(const struct weir_wasi *wasi, uint32_t id, uint64_t *ret_ns);
/* The store was stopped (deadline, interrupt): a blocking operation comes back with INTR, and the
 * guest traps at its next poll. */
bool weir__wasi_is_stopped(const struct weir_wasi *wasi);
/* Waits a bounded while for one of the host descriptors or until `until_ns`, or parks. SUCCESS:
 * look again. INTR: the store is stopped. PARK. `stream` is the one that is waited for, or -1. */
int weir__wasi_wait(struct weir__wasi_call *call, struct pollfd *fds, size_t count,
                    uint64_t until_ns, int stream);
/* Between two steps of something long: SUCCESS (go on), INTR, PARK. */
int weir__wasi_breathe(struct weir__wasi_call *call);

/* Runs an operation, keeping what a retry needs. */
int weir__wasi_begin(struct weir__wasi_call *call, int (*operation)(struct weir__wasi_call *call),
                     unsigned arg_count);

/* --- moving bytes (wasi_transfer.c) --- */

/* Reads or writes through a descriptor at its position, as long as it takes. */
int weir__wasi_read(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                    struct weir__wasi_buffers *buffers, uint64_t *ret_count);
int weir__wasi_write(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                     struct weir__wasi_buffers *buffers, uint64_t *ret_count);
/* --- streams (wasi_stream.c) --- */
int weir__wasi_stream_read(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                           struct weir__wasi_buffers *buffers, uint64_t *ret_count);
int weir__wasi_stream_write(struct weir__wasi_call *call, struct weir__wasi_descriptor *descriptor,
                            struct weir__wasi_buffers *buffers, uint64_t *ret_count);
/* Whether a read (or write) would not wait; how much can be read; whether it has ended. */
int weir__wasi_stream_poll(struct weir_wasi *wasi, struct weir__wasi_descriptor *descriptor,
                           bool is_write, bool *ret_is_ready, struct wasi_event *event);
void weir__wasi_stream_done(struct weir_wasi *wasi, struct weir__wasi_stream *stream);

/* --- paths (wasi_resolve.c) --- */

struct weir__wasi_path {
    uint32_t size;
    char text[WASI_PATH_BYTES_MAX];
};
/* Copies a path in: NAMETOOLONG, FAULT, INVAL (a zero byte), ILSEQ (not UTF-8), NOENT (empty). */
int weir__wasi_path_get(const struct weir__wasi_call *call, uint32_t address, uint32_t size,
                        struct weir__wasi_path *ret_path);
/* Opens beneath a directory: no step leads out of it, not `..`, not a link, not a rename under way.
 * PERM when one would. *ret_fd belongs to the caller. */
int weir__wasi_open_beneath(struct weir_wasi *wasi, int dir, const char *path, uint64_t flags,
                            int *ret_fd);

/* The directory that holds the last component of a path, and that component (with a trailing slash
 * where the path has one). Operations on it are those of the kernel that never follow it. */
struct weir__wasi_place {
    int dir;
    bool is_owned;
    const char *name; /* into the path */
};
int weir__wasi_place_open(struct weir_wasi *wasi, int dir, struct weir__wasi_path *path,
                          struct weir__wasi_place *ret_place);
void weir__wasi_place_close(struct weir_wasi *wasi, struct weir__wasi_place *place);

/* --- files (wasi_file.c) --- */

struct wasi_filestat weir__wasi_filestat(const struct stat *stat);

/* --- operations that snapshot 0 has in another form (wasi_snapshot0.c) --- */

/* fd_seek with a whence of this snapshot, fd_filestat_get and path_filestat_get without the last
 * step, poll_oneoff with subscriptions from `get`. */
int weir__wasi_seek(struct weir__wasi_call *call, uint32_t whence);
int weir__wasi_descriptor_stat(struct weir__wasi_call *call, struct wasi_filestat *ret_filestat);
int weir__wasi_path_stat(struct weir__wasi_call *call, struct wasi_filestat *ret_filestat);
typedef int weir__wasi_get_subscriptions(struct weir__wasi_call *call, uint32_t address,
                                         uint32_t count,
                                         struct wasi_subscription *ret_subscriptions);
int weir__wasi_poll(struct weir__wasi_call *call, weir__wasi_get_subscriptions *get);
#define WASI_SNAPSHOT0(name, parameters) int weir__wasi_0_##name(struct weir__wasi_call *call);
#include "worlds/wasi/wasi_snapshot0.def"
#undef WASI_SNAPSHOT0

/* --- other parts of files --- */

/* The times of an fst_flags argument: INVAL when they contradict each other. */
int weir__wasi_times(uint64_t accessed_ns, uint64_t modified_ns, uint32_t flags,
                     struct timespec ret_times[2]);

#endif
