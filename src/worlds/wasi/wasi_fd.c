/* What a descriptor is and may: fd_fdstat_*, fd_prestat_*, fd_close, fd_renumber. */
#include "worlds/wasi/wasi_internal.h"

int weir__wasi_fd_close(struct weir__wasi_call *call)
{
    uint32_t fd = weir__wasi_u32(call, 0);
    struct weir__wasi_descriptor *descriptor;
    int failed = weir__wasi_find(call, fd, 0, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    weir__wasi_drop(call->wasi, fd);
    return WASI_E_SUCCESS;
}

/* Both numbers must be in use, so a guest cannot hide a descriptor under a number of its choice. */
int weir__wasi_fd_renumber(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    uint32_t from = weir__wasi_u32(call, 0);
    uint32_t to = weir__wasi_u32(call, 1);
    struct weir__wasi_descriptor *source, *target;
    int failed = weir__wasi_find(call, from, 0, &source);
    if (failed == WASI_E_SUCCESS)
        failed = weir__wasi_find(call, to, 0, &target);
    if (failed != WASI_E_SUCCESS || from == to)
        return failed;
    weir__wasi_drop(wasi, to);
    *target = *source;
    *source = (struct weir__wasi_descriptor){0};
    wasi->first_free = from < wasi->first_free ? from : wasi->first_free;
    return WASI_E_SUCCESS;
}

int weir__wasi_fd_fdstat_get(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    struct wasi_fdstat stat = {.filetype = descriptor->filetype,
                               .flags = descriptor->flags,
                               .rights_base = descriptor->rights_base,
                               .rights_inheriting = descriptor->rights_inheriting};
    return weir__wasi_put(call, weir__wasi_u32(call, 1), &stat, sizeof stat);
}

/* NONBLOCK is ours alone. APPEND is the open file's: not for one that the host shares with us.
 * Linux changes no synchronisation flag after open. */
int weir__wasi_fd_fdstat_set_flags(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    uint32_t flags = weir__wasi_u32(call, 1);
    int failed =
        weir__wasi_find(call, weir__wasi_u32(call, 0), WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if ((flags & ~WASI_FDFLAG_ALL) != 0)
        return WASI_E_INVAL;
    uint32_t changed = flags ^ descriptor->flags;
    if ((changed & (WASI_FDFLAG_DSYNC | WASI_FDFLAG_RSYNC | WASI_FDFLAG_SYNC)) != 0)
        return WASI_E_NOTSUP;
    if ((changed & WASI_FDFLAG_APPEND) != 0) {
        if (descriptor->backing != WASI_HOST || descriptor->is_inherited)
            return WASI_E_NOTSUP;
        int now = weir_io_fcntl(call->wasi->io, descriptor->host_fd, F_GETFL, 0);
        if (now < 0)
            return weir__wasi_errno_of(now);
        long wanted = (flags & WASI_FDFLAG_APPEND) != 0 ? now | O_APPEND : now & ~O_APPEND;
        int result = weir_io_fcntl(call->wasi->io, descriptor->host_fd, F_SETFL, wanted);
        if (result < 0)
            return weir__wasi_errno_of(result);
    }
    descriptor->flags = (uint16_t)flags;
    return WASI_E_SUCCESS;
}

/* Rights only ever shrink. */
int weir__wasi_fd_fdstat_set_rights(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    uint64_t base = weir__wasi_u64(call, 1);
    uint64_t inheriting = weir__wasi_u64(call, 2);
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if ((base & ~descriptor->rights_base) != 0 ||
        (inheriting & ~descriptor->rights_inheriting) != 0)
        return WASI_E_NOTCAPABLE;
    descriptor->rights_base = base;
    descriptor->rights_inheriting = inheriting;
    return WASI_E_SUCCESS;
}

static int find_preopen(struct weir__wasi_call *call, struct weir__wasi_descriptor **ret_descriptor)
{
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, ret_descriptor);
    if (failed == WASI_E_SUCCESS && (*ret_descriptor)->name == NULL)
        return WASI_E_BADF; /* C libraries look for preopens until this answer */
    return failed;
}

int weir__wasi_fd_prestat_get(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = find_preopen(call, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    struct wasi_prestat prestat = {.tag = WASI_PREOPEN_DIR, .name_size = descriptor->name_size};
    return weir__wasi_put(call, weir__wasi_u32(call, 1), &prestat, sizeof prestat);
}

int weir__wasi_fd_prestat_dir_name(struct weir__wasi_call *call)
{
    struct weir__wasi_descriptor *descriptor;
    int failed = find_preopen(call, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (weir__wasi_u32(call, 2) < descriptor->name_size)
        return WASI_E_NAMETOOLONG;
    return weir__wasi_put(call, weir__wasi_u32(call, 1), descriptor->name, descriptor->name_size);
}
