/* What wasi_unstable, snapshot 0 of WASI, lays out or numbers in its own way: the link count of a
 * file has 32 bits, `whence` counts from the current position, and the subscription of a clock has
 * an identifier in front. */
#include "worlds/wasi/wasi_internal.h"

#include <string.h>

struct filestat0 {
    uint64_t dev;
    uint64_t ino;
    uint8_t filetype;
    uint8_t reserved[3];
    uint32_t link_count;
    uint64_t size;
    uint64_t accessed_ns;
    uint64_t modified_ns;
    uint64_t changed_ns;
};
static_assert(sizeof(struct filestat0) == 56, "ABI");
static_assert(offsetof(struct filestat0, link_count) == 20, "ABI");

struct subscription0 {
    uint64_t userdata;
    uint8_t tag;
    uint8_t reserved[7];
    union {
        struct {
            uint64_t identifier;
            struct wasi_subscription_clock clock;
        };
        uint32_t fd;
    };
};
static_assert(sizeof(struct subscription0) == 56, "ABI");
static_assert(offsetof(struct subscription0, clock) == 24, "ABI");
static_assert(offsetof(struct subscription0, clock.flags) == 48, "ABI");

static int put_filestat(const struct weir__wasi_call *call, uint32_t address,
                        const struct wasi_filestat *from)
{
    struct filestat0 filestat = {
        .dev = from->dev,
        .ino = from->ino,
        .filetype = from->filetype,
        .link_count = from->link_count < UINT32_MAX ? (uint32_t)from->link_count : UINT32_MAX,
        .size = from->size,
        .accessed_ns = from->accessed_ns,
        .modified_ns = from->modified_ns,
        .changed_ns = from->changed_ns};
    return weir__wasi_put(call, address, &filestat, sizeof filestat);
}

int weir__wasi_0_fd_filestat_get(struct weir__wasi_call *call)
{
    struct wasi_filestat filestat;
    int failed = weir__wasi_descriptor_stat(call, &filestat);
    return failed != WASI_E_SUCCESS ? failed
                                    : put_filestat(call, weir__wasi_u32(call, 1), &filestat);
}

int weir__wasi_0_path_filestat_get(struct weir__wasi_call *call)
{
    struct wasi_filestat filestat;
    int failed = weir__wasi_path_stat(call, &filestat);
    return failed != WASI_E_SUCCESS ? failed
                                    : put_filestat(call, weir__wasi_u32(call, 4), &filestat);
}

int weir__wasi_0_fd_seek(struct weir__wasi_call *call)
{
    static const uint32_t whences[] = {WASI_WHENCE_CUR, WASI_WHENCE_END, WASI_WHENCE_SET};
    uint32_t whence = weir__wasi_u32(call, 2);
    if (whence >= sizeof whences / sizeof whences[0])
        return WASI_E_INVAL;
    return weir__wasi_seek(call, whences[whence]);
}

static int get_subscriptions(struct weir__wasi_call *call, uint32_t address, uint32_t count,
                             struct wasi_subscription *ret_subscriptions)
{
    for (uint32_t i = 0; i < count; i++) {
        struct subscription0 from;
        uint64_t at = address + (uint64_t)i * sizeof from;
        int failed =
            at > UINT32_MAX ? WASI_E_FAULT : weir__wasi_get(call, (uint32_t)at, &from, sizeof from);
        if (failed != WASI_E_SUCCESS)
            return failed;
        struct wasi_subscription *to = &ret_subscriptions[i];
        *to = (struct wasi_subscription){.userdata = from.userdata, .tag = from.tag};
        if (from.tag == WASI_EVENT_CLOCK)
            to->clock = from.clock;
        else
            to->fd = from.fd;
    }
    return WASI_E_SUCCESS;
}

int weir__wasi_0_poll_oneoff(struct weir__wasi_call *call)
{
    return weir__wasi_poll(call, get_subscriptions);
}
