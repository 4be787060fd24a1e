/* A store without a runtime, and around it a folder with every sort of file: what the tests of the
 * WASI functions call them in. The memory and the stop sign are scripted, the account, the files
 * and the I/O layer are the real ones. */
#ifndef WEIR_TESTS_WASI_WORLD_H
#define WEIR_TESTS_WASI_WORLD_H

#include <check.h>

#include "worlds/wasi/wasi_internal.h"

#define WORLD_MEMORY_BYTES (4u << 20)
/* Where tests put what they pass; results go to RET, buffers to BUFFER. */
#define AT_STRINGS 0x1000u
#define RET 0x8000u
#define RET_2 0x8100u
#define IOVECS 0x9000u
#define BUFFER 0x20000u
#define FAR_OUT 0xfffffff0u

struct weir_memory {
    uint8_t *bytes;
    size_t size;
    int reads_left; /* ≥ 0: after so many accesses the page is lost */
};
struct weir_store {
    struct weir_account *account;
    _Atomic bool is_stopped;
    void *data;
};
struct weir_caller {
    struct weir_store *store;
    int exit_code;
};

/* A stream in memory. */
struct pipe_end {
    uint8_t bytes[200000];
    size_t at, end; /* read: from `at` to `end`, then PENDING or the end */
    bool is_closed;
    size_t room;            /* write: so much, then PENDING */
    enum weir_status fails; /* not OK: what the next call answers */
    unsigned calls;
};
struct weir_wasi_stream pipe_stream(struct pipe_end *end, bool reads, bool writes);

struct world {
    char root[64];    /* the preopened folder: fd 3 (all rights), fd 4 (read-only) */
    char outside[64]; /* beside it */
    struct weir_store store;
    struct weir_memory memory;
    struct weir_caller caller;
    struct weir_io_faulty faulty;
    struct weir_wasi_config config;
    struct weir_wasi_preopen preopens[2];
    int sockets[3]; /* fd 5 listens, fd 6 is connected, fd 7 gets datagrams */
    int far_ends[2];
    struct pipe_end in, out;
    struct weir_wasi *wasi;
    uint32_t next_string;
    enum weir_status end_status;
};

/* Makes folder, files, sockets and store, not the context. */
void world_prepare(struct world *world);
/* prepare, then the context over world->config. Streams 0 and 1 are descriptors of nothing. */
void world_open(struct world *world);
/* Streams 0 and 1 are world->in and world->out. */
void world_open_streams(struct world *world);
/* Checks that everything charged was discharged. */
void world_close(struct world *world);
void world_start(struct world *world);
/* A context of the world's configuration over its faulty system. */
enum weir_status world_wasi_new(struct world *world, struct weir_wasi **ret_wasi,
                                struct weir_error *error);

/* One call; the answer as the operation gives it. */
int world_call(struct world *world, int (*operation)(struct weir__wasi_call *call),
               const uint64_t *args, unsigned count);
/* The parked call again. */
int world_retry(struct world *world);
#define CALL(world, name, ...)                                                                     \
    world_call(world, weir__wasi_##name, (const uint64_t[]){__VA_ARGS__},                          \
               sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Into guest memory; the address. */
uint32_t put_string(struct world *world, const char *text);
#define PATH(world, text) put_string(world, text), (uint64_t)strlen(text)
/* One vector to BUFFER; the address of the vector. */
uint32_t put_iovec(struct world *world, uint32_t address, uint32_t size);
uint32_t get_u32(const struct world *world, uint32_t address);
uint64_t get_u64(const struct world *world, uint32_t address);
/* path_open beneath fd 3, links followed; the descriptor or minus the errno. */
int open_at(struct world *world, uint32_t dir, const char *path, uint32_t open_flags,
            uint64_t rights);
#define OPEN(world, path) open_at(world, 3, path, 0, WASI_RIGHTS_ALL)
#define RIGHTS_READ                                                                                \
    (WASI_RIGHTS_ALL &                                                                             \
     ~(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE))
#define OPEN_DIR(world, path) open_at(world, 3, path, WASI_OFLAG_DIRECTORY, WASI_RIGHTS_ALL)
/* The host's call fails with `error` from its first on, `count` times (0: always). */
void fail_io(struct world *world, enum weir_io_op op, int error, uint64_t count);
#define FAULT(world, op, error) fail_io(world, WEIR_IO_##op, error, 0)
int count_open_fds(void);

/* What the tables of cases say in one word. */
uint32_t opened(struct world *world, const char *path, uint64_t rights);
#define OPENED(world, path) opened(world, path, WASI_RIGHTS_ALL)
#define OPENED_AS(world, path, rights) opened(world, path, rights)
#define OPENED_PIPE(world) opened(world, "pipe", WASI_RIGHTS_ALL)
int clock_before_1970(struct world *world);
uint32_t overflowing_iovecs(struct world *world);
uint32_t many_iovecs(struct world *world);
uint32_t long_name(struct world *world);
/* No further byte for the store; no further descriptor (until weir_ledger_fail_nth(0)). */
void fill_account(struct world *world);
void fill_descriptors(struct world *world);
void stop(struct world *world);
void fill_socket(struct world *world);
void close_far_end(struct world *world);
void far_end_writes(struct world *world);
void connect_to_it(struct world *world);
void subscribe_hour(struct world *world);
/* Calls that undo on the host what they did when they went well. */
int made_directory(struct world *world);
int removed_directory(struct world *world);
int made_link(struct world *world);
int made_symlink(struct world *world);
int unlinked(struct world *world);
int opened_and_closed(struct world *world);
int accepted(struct world *world);
int polled(struct world *world);

#define ck_errno(answer, name)                                                                     \
    do {                                                                                           \
        int answer_ = (answer);                                                                    \
        ck_assert_msg(answer_ == WASI_E_##name, "%s: got %s (%d), expected " #name, #answer,       \
                      weir__wasi_errno_name(answer_), answer_);                                    \
    } while (0)
#define ck_ok(answer) ck_errno(answer, SUCCESS)

#endif
