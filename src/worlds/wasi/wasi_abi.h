/* What wasi_snapshot_preview1 fixes: flag bits, tags and the layout of every structure that crosses
 * guest memory. Names follow the specification. */
#ifndef WEIR_WASI_ABI_H
#define WEIR_WASI_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum wasi_errno {
#define WASI_ERRNO(value, name, host, text) WASI_E_##name = (value),
#include "worlds/wasi/wasi_errno.def"
#undef WASI_ERRNO
    WASI_ERRNO_COUNT
};

enum wasi_clock_id {
    WASI_CLOCK_REALTIME = 0,
    WASI_CLOCK_MONOTONIC = 1,
    WASI_CLOCK_PROCESS_CPUTIME = 2,
    WASI_CLOCK_THREAD_CPUTIME = 3
};

enum wasi_filetype {
    WASI_FILETYPE_UNKNOWN = 0,
    WASI_FILETYPE_BLOCK_DEVICE = 1,
    WASI_FILETYPE_CHARACTER_DEVICE = 2,
    WASI_FILETYPE_DIRECTORY = 3,
    WASI_FILETYPE_REGULAR_FILE = 4,
    WASI_FILETYPE_SOCKET_DGRAM = 5,
    WASI_FILETYPE_SOCKET_STREAM = 6,
    WASI_FILETYPE_SYMBOLIC_LINK = 7
};

#define WASI_FDFLAG_APPEND 0x1u
#define WASI_FDFLAG_DSYNC 0x2u
#define WASI_FDFLAG_NONBLOCK 0x4u
#define WASI_FDFLAG_RSYNC 0x8u
#define WASI_FDFLAG_SYNC 0x10u
#define WASI_FDFLAG_ALL 0x1fu

#define WASI_LOOKUP_SYMLINK_FOLLOW 0x1u

#define WASI_OFLAG_CREAT 0x1u
#define WASI_OFLAG_DIRECTORY 0x2u
#define WASI_OFLAG_EXCL 0x4u
#define WASI_OFLAG_TRUNC 0x8u
#define WASI_OFLAG_ALL 0xfu

#define WASI_FST_ATIM 0x1u
#define WASI_FST_ATIM_NOW 0x2u
#define WASI_FST_MTIM 0x4u
#define WASI_FST_MTIM_NOW 0x8u
#define WASI_FST_ALL 0xfu

#define WASI_RIGHT_FD_DATASYNC (UINT64_C(1) << 0)
#define WASI_RIGHT_FD_READ (UINT64_C(1) << 1)
#define WASI_RIGHT_FD_SEEK (UINT64_C(1) << 2)
#define WASI_RIGHT_FD_FDSTAT_SET_FLAGS (UINT64_C(1) << 3)
#define WASI_RIGHT_FD_SYNC (UINT64_C(1) << 4)
#define WASI_RIGHT_FD_TELL (UINT64_C(1) << 5)
#define WASI_RIGHT_FD_WRITE (UINT64_C(1) << 6)
#define WASI_RIGHT_FD_ADVISE (UINT64_C(1) << 7)
#define WASI_RIGHT_FD_ALLOCATE (UINT64_C(1) << 8)
#define WASI_RIGHT_PATH_CREATE_DIRECTORY (UINT64_C(1) << 9)
#define WASI_RIGHT_PATH_CREATE_FILE (UINT64_C(1) << 10)
#define WASI_RIGHT_PATH_LINK_SOURCE (UINT64_C(1) << 11)
#define WASI_RIGHT_PATH_LINK_TARGET (UINT64_C(1) << 12)
#define WASI_RIGHT_PATH_OPEN (UINT64_C(1) << 13)
#define WASI_RIGHT_FD_READDIR (UINT64_C(1) << 14)
#define WASI_RIGHT_PATH_READLINK (UINT64_C(1) << 15)
#define WASI_RIGHT_PATH_RENAME_SOURCE (UINT64_C(1) << 16)
#define WASI_RIGHT_PATH_RENAME_TARGET (UINT64_C(1) << 17)
#define WASI_RIGHT_PATH_FILESTAT_GET (UINT64_C(1) << 18)
#define WASI_RIGHT_PATH_FILESTAT_SET_SIZE (UINT64_C(1) << 19)
#define WASI_RIGHT_PATH_FILESTAT_SET_TIMES (UINT64_C(1) << 20)
#define WASI_RIGHT_FD_FILESTAT_GET (UINT64_C(1) << 21)
#define WASI_RIGHT_FD_FILESTAT_SET_SIZE (UINT64_C(1) << 22)
#define WASI_RIGHT_FD_FILESTAT_SET_TIMES (UINT64_C(1) << 23)
#define WASI_RIGHT_PATH_SYMLINK (UINT64_C(1) << 24)
#define WASI_RIGHT_PATH_REMOVE_DIRECTORY (UINT64_C(1) << 25)
#define WASI_RIGHT_PATH_UNLINK_FILE (UINT64_C(1) << 26)
#define WASI_RIGHT_POLL_FD_READWRITE (UINT64_C(1) << 27)
#define WASI_RIGHT_SOCK_SHUTDOWN (UINT64_C(1) << 28)
#define WASI_RIGHT_SOCK_ACCEPT (UINT64_C(1) << 29)
#define WASI_RIGHTS_ALL ((UINT64_C(1) << 30) - 1)

#define WASI_WHENCE_SET 0u
#define WASI_WHENCE_CUR 1u
#define WASI_WHENCE_END 2u

#define WASI_EVENT_CLOCK 0u
#define WASI_EVENT_FD_READ 1u
#define WASI_EVENT_FD_WRITE 2u
#define WASI_EVENT_HANGUP 0x1u
#define WASI_SUBCLOCK_ABSTIME 0x1u

#define WASI_PREOPEN_DIR 0u

#define WASI_RECV_PEEK 0x1u
#define WASI_RECV_WAITALL 0x2u
#define WASI_RECV_DATA_TRUNCATED 0x1u
#define WASI_SHUTDOWN_RD 0x1u
#define WASI_SHUTDOWN_WR 0x2u

struct wasi_iovec {
    uint32_t address;
    uint32_t size;
};
static_assert(sizeof(struct wasi_iovec) == 8, "ABI");

struct wasi_dirent {
    uint64_t next;
    uint64_t ino;
    uint32_t name_size;
    uint8_t type;
    uint8_t reserved[3];
};
static_assert(sizeof(struct wasi_dirent) == 24, "ABI");
static_assert(offsetof(struct wasi_dirent, name_size) == 16, "ABI");
static_assert(offsetof(struct wasi_dirent, type) == 20, "ABI");

struct wasi_fdstat {
    uint8_t filetype;
    uint8_t reserved0;
    uint16_t flags;
    uint32_t reserved1;
    uint64_t rights_base;
    uint64_t rights_inheriting;
};
static_assert(sizeof(struct wasi_fdstat) == 24, "ABI");
static_assert(offsetof(struct wasi_fdstat, flags) == 2, "ABI");
static_assert(offsetof(struct wasi_fdstat, rights_base) == 8, "ABI");

struct wasi_filestat {
    uint64_t dev;
    uint64_t ino;
    uint8_t filetype;
    uint8_t reserved[7];
    uint64_t link_count;
    uint64_t size;
    uint64_t accessed_ns;
    uint64_t modified_ns;
    uint64_t changed_ns;
};
static_assert(sizeof(struct wasi_filestat) == 64, "ABI");
static_assert(offsetof(struct wasi_filestat, link_count) == 24, "ABI");
static_assert(offsetof(struct wasi_filestat, changed_ns) == 56, "ABI");

struct wasi_prestat {
    uint8_t tag;
    uint8_t reserved[3];
    uint32_t name_size;
};
static_assert(sizeof(struct wasi_prestat) == 8, "ABI");
static_assert(offsetof(struct wasi_prestat, name_size) == 4, "ABI");

struct wasi_subscription_clock {
    uint32_t id;
    uint32_t reserved0;
    uint64_t timeout_ns;
    uint64_t precision_ns;
    uint16_t flags;
    uint8_t reserved1[6];
};
struct wasi_subscription {
    uint64_t userdata;
    uint8_t tag;
    uint8_t reserved[7];
    union {
        struct wasi_subscription_clock clock;
        uint32_t fd;
    };
};
static_assert(sizeof(struct wasi_subscription) == 48, "ABI");
static_assert(offsetof(struct wasi_subscription, tag) == 8, "ABI");
static_assert(offsetof(struct wasi_subscription, clock) == 16, "ABI");
static_assert(offsetof(struct wasi_subscription, clock.timeout_ns) == 24, "ABI");
static_assert(offsetof(struct wasi_subscription, clock.flags) == 40, "ABI");

struct wasi_event {
    uint64_t userdata;
    uint16_t error;
    uint8_t type;
    uint8_t reserved0[5];
    uint64_t byte_count;
    uint16_t flags;
    uint8_t reserved1[6];
};
static_assert(sizeof(struct wasi_event) == 32, "ABI");
static_assert(offsetof(struct wasi_event, type) == 10, "ABI");
static_assert(offsetof(struct wasi_event, byte_count) == 16, "ABI");
static_assert(offsetof(struct wasi_event, flags) == 24, "ABI");

#endif
