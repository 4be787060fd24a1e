/* WASI preview 1 (wasi_snapshot_preview1), and snapshot 0 before it (wasi_unstable): the world of
 * command-line programs. docs/WASI.md says what a guest may rely on, docs/WASI-ERRNO.md which error
 * it gets when.
 *
 * A context belongs to one store and holds its arguments, environment, descriptors and streams.
 * The functions are stateless and defined once per linker; they find the context of the calling
 * store through `find`. Files are reached only beneath pre-opened directories, by openat2 with
 * RESOLVE_BENEATH; sockets only when pre-opened. Host buffers, descriptors and the context itself
 * are charged to the store.
 *
 *     store = weir_store_new(...)          its data leads to where the context will be
 *     wasi = weir_wasi_new(store, ...)
 *     weir_wasi_link(linker, find, ...)    once, for all stores
 *     instance = weir_instance_new(store, linker, ...)
 *     weir_wasi_run(wasi, instance, ...)   while PENDING: weir_wasi_resume()
 *     weir_wasi_free(wasi)
 *     weir_store_close(store)
 *
 * A context is used by its store's thread. Callbacks run on it and must not call into the store.
 */
#ifndef WEIR_WASI_H
#define WEIR_WASI_H

#include <weir/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_wasi;

/* A stream that the host feeds or drains (bodies of requests). read and write answer OK with the
 * number of bytes moved (read: 0 is the end), PENDING when nothing can be moved now, or an error
 * (the guest sees EIO; write after close, told by STATE or CANCELLED: EPIPE). They must not block.
 * A write of 0 bytes asks whether there is room (poll_oneoff): OK or PENDING. */
struct weir_wasi_stream {
    enum weir_status (*read)(void *context, void *to, size_t size, size_t *ret_count);
    enum weir_status (*write)(void *context, const void *from, size_t size, size_t *ret_count);
    void *context; /* the embedder's; outlives the WASI context */
};

struct weir_wasi_preopen {
    const char *guest_path;
    const char *host_path; /* a directory */
    bool is_read_only;
};

/* Zero-initialise, but for stdio_fds; zero means the default named behind each field. Strings are
 * copied. Streams: a stream with a callback, else a descriptor of the host (fd ≥ 0 is duplicated);
 * with neither (fd -1), stdin is empty and the others are discarded.
 *
 * Where a context has a stream with a callback, a guest that has to wait (for it, a pipe, a socket,
 * a clock) is parked. Without, it blocks its thread, in slices that obey the store's deadline and
 * interruption. */
struct weir_wasi_config {
    const char *const *args; /* the first is the program's name */
    size_t arg_count;
    const char *const *env; /* "NAME=value"; nothing of the host's environment is in it otherwise */
    size_t env_count;
    const struct weir_wasi_preopen *preopens; /* numbered from 3 */
    size_t preopen_count;
    /* NULL, or a descriptor per preopen that the host has open for reading, of the directory, and
     * keeps so longer than the context: nothing is opened then, and host_path is not read. Contexts
     * on several threads may share them. */
    const int *preopen_fds;
    const int *sockets; /* listening or connected; duplicated; numbered after the preopens */
    size_t socket_count;
    int stdio_fds[3]; /* -1: see stdio_streams */
    struct weir_wasi_stream stdio_streams[3];
    /* The wall clock that guests see, in nanoseconds since 1970: the host's. The monotonic clock,
     * by which they wait, is always the host's. */
    uint64_t (*realtime_ns)(void *context);
    void *realtime_context;
    uint32_t descriptors_max;   /* open at once: 256 */
    uint64_t host_buffer_bytes; /* largest copy made for one call: 1 MiB */
    bool is_deterministic;      /* for tests: clocks at zero, random_get from a fixed seed */
};

/* NOT_FOUND or IO: a preopen or descriptor cannot be used, named in the message. TOO_LARGE: args
 * and env together over 16 MiB or 65,536 strings. LIMIT: the store's account refused, or
 * descriptors_max is less than what the configuration opens. Nothing is left behind then. */
enum weir_status weir_wasi_new(struct weir_store *store, const struct weir_wasi_config *config,
                               struct weir_wasi **ret_wasi, struct weir_error *error);
/* Closes every descriptor. Before its store is closed, and not from inside a call into it. NULL is
 * allowed. */
void weir_wasi_free(struct weir_wasi *wasi);

/* Defines every function of both snapshots in the linker. `find` gives the context of a store, on
 * that store's thread, for each call; NULL: weir_store_data() is the context itself. A guest whose
 * store has none traps. EXISTS when one of the names is defined and shadowing not allowed. */
enum weir_status weir_wasi_link(struct weir_linker *linker,
                                struct weir_wasi *(*find)(struct weir_store *store),
                                struct weir_error *error);

/* Runs `_start` of a command. OK: returned (0) or exited with *ret_exit_code; TRAP with *trap
 * filled (weir_trap_done() it); PENDING: parked, go on with weir_wasi_resume(); NOT_FOUND: no such
 * export. `trap` may be NULL. */
enum weir_status weir_wasi_run(struct weir_wasi *wasi, struct weir_instance *instance,
                               int *ret_exit_code, struct weir_trap *trap,
                               struct weir_error *error);
/* The same for an exported function of a reactor, `_initialize` or a handler: NOT_FOUND, LINK. It
 * takes no parameter and answers nothing or an i32, its exit code. A guest that exits is as one
 * that trapped: not to be called again. */
enum weir_status weir_wasi_call(struct weir_wasi *wasi, struct weir_instance *instance,
                                const char *name, int *ret_exit_code, struct weir_trap *trap,
                                struct weir_error *error);
/* Whether a function can be called so: OK or LINK. `may_answer` false: as `_start`. */
enum weir_status weir_wasi_check_entry(const struct weir_func_type *type, bool may_answer);
/* For the next use of a guest that is kept: environment and stdio become those of `config`, of
 * which nothing else is read. Descriptors 0 to 2 are the streams again, whatever was made of them,
 * what was read ahead is forgotten, other descriptors stay. Not while a call is active or parked.
 * TOO_LARGE, LIMIT, IO; the context can only be renewed again or freed then. */
enum weir_status weir_wasi_renew(struct weir_wasi *wasi, const struct weir_wasi_config *config,
                                 struct weir_error *error);
/* After PENDING: tries the waiting operation again (or just continues after a time slice). Answers
 * like weir_wasi_run(). Any thread, one at a time. To give up instead: weir_store_unpark(). */
enum weir_status weir_wasi_resume(struct weir_wasi *wasi, int *ret_exit_code,
                                  struct weir_trap *trap, struct weir_error *error);
/* What a parked guest waits for: a stream number 0 to 2, or -1 (time slice, clock, descriptor of
 * the host). Resume it when the stream moved or at *ret_wake_ns (CLOCK_MONOTONIC; 0: at once;
 * UINT64_MAX: only the stream can wake it), whatever comes first; too early does no harm. */
int weir_wasi_waits_for(const struct weir_wasi *wasi, uint64_t *ret_wake_ns);

#ifdef __cplusplus
}
#endif
#endif
