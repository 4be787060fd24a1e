/* Limits of the WASI world, each with its reason. */
#ifndef WEIR_WASI_LIMITS_H
#define WEIR_WASI_LIMITS_H

/* A path with its terminator; Linux takes no longer one. */
#define WASI_PATH_BYTES_MAX 4096u
/* Vectors of one read or write; Linux's IOV_MAX. */
#define WASI_IOVECS_MAX 1024u
/* So many vectors are kept on the C stack; programs rarely pass more than two. */
#define WASI_IOVECS_INLINE 16u
/* Bytes of one system call that moves data; between two the store may be stopped or the guest
 * parked. About a quarter of a millisecond from the page cache. */
#define WASI_STEP_BYTES (UINT64_C(1) << 20)
/* A pipe that polls writable takes this much without blocking (PIPE_BUF). */
#define WASI_PIPE_STEP_BYTES 4096u
/* Copies up to this size live on the C stack. */
#define WASI_STACK_COPY_BYTES 4096u
/* Copies for streams are made in pieces of this size; the stream's own buffers are no larger. */
#define WASI_STREAM_STEP_BYTES (UINT64_C(64) << 10)
/* What poll_oneoff reads ahead of a stream to know whether there is something. */
#define WASI_LOOKAHEAD_BYTES 4096u
/* Directory entries fetched at once; at least one entry with the longest name must fit. */
#define WASI_READDIR_BYTES_MIN 4096u
#define WASI_READDIR_BYTES_MAX (UINT64_C(64) << 10)
/* Subscriptions of one poll_oneoff: each takes 80 bytes of the host while it waits. */
#define WASI_SUBSCRIPTIONS_MAX 4096u
/* getrandom() is asked for so much at a time (about 0.1 ms). */
#define WASI_RANDOM_STEP_BYTES (UINT64_C(64) << 10)
/* How often a blocked guest looks whether its store was stopped. */
#define WASI_WAIT_SLICE_NS (UINT64_C(10) * 1000 * 1000)
/* How often a parked guest that waits for a host descriptor is retried. */
#define WASI_RETRY_NS (UINT64_C(5) * 1000 * 1000)
/* A resolution that lost a race against a rename is tried again so often (openat2: EAGAIN). */
#define WASI_RESOLVE_TRIES 64u
/* Strings of args and environment together; the guest's copy lies in its own memory. */
#define WASI_STRINGS_BYTES_MAX (UINT64_C(16) << 20)
#define WASI_STRINGS_COUNT_MAX 65536u

#define WASI_DESCRIPTORS_DEFAULT 256u
#define WASI_HOST_BUFFER_DEFAULT (UINT64_C(1) << 20)
/* Descriptors are allocated in steps that double from here. */
#define WASI_DESCRIPTORS_FIRST 8u

#endif
