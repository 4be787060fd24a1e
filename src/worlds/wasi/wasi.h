/* WASI preview 1 (wasi_snapshot_preview1), and snapshot 0 before it (wasi_unstable): the world of
 * command-line programs.
 *
 * A context belongs to one store and holds its arguments, environment, descriptors and streams.
 * The functions are stateless and defined once per linker; they find the context of the calling
 * store through `find`. Files are reached only beneath pre-opened directories, by openat2 with
 * RESOLVE_BENEATH; sockets only when pre-opened. Host buffers are charged to the store.
 */
#ifndef WEIR_WASI_H
#define WEIR_WASI_H

#include <weir/linker.h>

#include "base/error.h"

struct weir_io;
struct weir_wasi;

/* A stream that the host feeds or drains (bodies of requests). read and write answer OK with the
 * number of bytes moved (read: 0 is the end), PENDING when nothing can be moved now, or an error
 * (the guest sees EIO; write after close, told by STATE or CANCELLED: EPIPE). They must not block.
 * A write of 0 bytes asks whether there is room (poll_oneoff): OK or PENDING. */
struct weir_wasi_stream {
    enum weir_status (*read)(void *context, void *to, size_t size, size_t *ret_count);
    enum weir_status (*write)(void *context, const void *from, size_t size, size_t *ret_count);
    void *context;
};

struct weir_wasi_preopen {
    const char *guest_path;
    const char *host_path; /* a directory */
    bool is_read_only;
};

/* Zero-initialise. Strings are copied. Streams: a stream with a callback, else a descriptor of the
 * host (fd ≥ 0 is duplicated); with neither, stdin is empty and the others are discarded.
 *
 * Where a context has a stream with a callback, a guest that has to wait (for it, a pipe, a socket,
 * a clock) is parked. Without, it blocks its thread, in slices that obey the store's deadline and
 * interruption. */
struct weir_wasi_config {
    const char *const *args;
    size_t arg_count;
    const char *const *env; /* "NAME=value" */
    size_t env_count;
    const struct weir_wasi_preopen *preopens;
    size_t preopen_count;
    /* NULL, or a descriptor per preopen that the host has open for reading, of the directory, and
     * keeps so longer than the context: nothing is opened then, and host_path is not read. Contexts
     * on several threads may share them. */
    const int *preopen_fds;
    const int *sockets; /* listening or connected; numbered after the preopens */
    size_t socket_count;
    int stdio_fds[3]; /* -1: see stdio_streams */
    struct weir_wasi_stream stdio_streams[3];
    uint32_t descriptors_max;   /* 256 */
    uint64_t host_buffer_bytes; /* largest copy made for one call: 1 MiB */
    bool is_deterministic;      /* tests: clocks at zero, random_get from a fixed seed */
    struct weir_io *io;         /* NULL: the system */
};

enum weir_status weir_wasi_new(struct weir_store *store, const struct weir_wasi_config *config,
                               struct weir_wasi **ret_wasi, struct weir_error *error) WEIR_MUST_USE;
/* Closes every descriptor. Before its store is closed. NULL is allowed. */
void weir_wasi_free(struct weir_wasi *wasi);

/* Defines every function of both snapshots. `find` NULL: weir_store_data() is the context. */
enum weir_status weir_wasi_link(struct weir_linker *linker,
                                struct weir_wasi *(*find)(struct weir_store *store),
                                struct weir_error *error) WEIR_MUST_USE;

/* Runs `_start` of a command. OK: returned or exited with *ret_exit_code; TRAP; PENDING: parked, go
 * on with weir_wasi_resume(). */
enum weir_status weir_wasi_run(struct weir_wasi *wasi, struct weir_instance *instance,
                               int *ret_exit_code, struct weir_trap *trap, struct weir_error *error)
    WEIR_MUST_USE;
/* After PENDING: tries the waiting operation again (or just continues after a time slice). Answers
 * like weir_wasi_run(). */
enum weir_status weir_wasi_resume(struct weir_wasi *wasi, int *ret_exit_code,
                                  struct weir_trap *trap, struct weir_error *error) WEIR_MUST_USE;
/* What a parked guest waits for: a stream number 0 to 2, or -1 (time slice, clock, descriptor of
 * the host). Resume it when the stream moved or at *ret_wake_ns (CLOCK_MONOTONIC; 0: at once;
 * UINT64_MAX: only the stream can wake it), whatever comes first; too early does no harm. */
int weir_wasi_waits_for(const struct weir_wasi *wasi, uint64_t *ret_wake_ns);

#endif
