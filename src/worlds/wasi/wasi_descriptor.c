/* The table of descriptors: numbers of the guest → what is behind them, with rights.
 *
 * Every number in use is charged: its host descriptor as DESCRIPTOR, the table as HANDLE. The
 * lowest free number is taken, as POSIX programs expect. */
#include "base/check.h"
#include "worlds/wasi/wasi_internal.h"

#include <string.h>
#include <unistd.h>

int weir__wasi_find(const struct weir__wasi_call *call, uint32_t fd, uint64_t rights,
                    struct weir__wasi_descriptor **ret_descriptor)
{
    const struct weir_wasi *wasi = call->wasi;
    if (fd >= wasi->descriptor_count || wasi->descriptors[fd].backing == WASI_FREE)
        return WASI_E_BADF;
    if ((wasi->descriptors[fd].rights_base & rights) != rights)
        return WASI_E_NOTCAPABLE;
    *ret_descriptor = &wasi->descriptors[fd];
    return WASI_E_SUCCESS;
}

void weir__wasi_free_table(struct weir_wasi *wasi)
{
    if (wasi->descriptors != wasi->first)
        weir_account_free(wasi->account, WEIR_KIND_HANDLE, wasi->descriptors,
                          wasi->descriptor_count * sizeof wasi->descriptors[0]);
}

static int grow(struct weir_wasi *wasi)
{
    uint32_t count = 2 * wasi->descriptor_count;
    if (count > wasi->descriptors_max)
        count = wasi->descriptors_max;
    struct weir__wasi_descriptor *descriptors =
        weir_account_alloc(wasi->account, WEIR_KIND_HANDLE, count * sizeof descriptors[0], NULL);
    if (descriptors == NULL)
        return WASI_E_NOMEM;
    memcpy(descriptors, wasi->descriptors, wasi->descriptor_count * sizeof descriptors[0]);
    weir__wasi_free_table(wasi);
    wasi->descriptors = descriptors;
    wasi->descriptor_count = count;
    return WASI_E_SUCCESS;
}

int weir__wasi_number(struct weir_wasi *wasi, uint32_t *ret_fd)
{
    uint32_t fd = wasi->first_free;
    while (fd < wasi->descriptor_count && wasi->descriptors[fd].backing != WASI_FREE)
        fd++;
    wasi->first_free = fd;
    if (fd >= wasi->descriptors_max)
        return WASI_E_MFILE;
    if (fd >= wasi->descriptor_count) {
        int refused = grow(wasi);
        if (refused != WASI_E_SUCCESS)
            return refused;
    }
    *ret_fd = fd;
    return WASI_E_SUCCESS;
}

int weir__wasi_reserve(struct weir_wasi *wasi, uint32_t *ret_fd)
{
    int refused = weir__wasi_number(wasi, ret_fd);
    if (refused == WASI_E_SUCCESS &&
        weir_account_charge(wasi->account, WEIR_KIND_DESCRIPTOR, 1, NULL) != WEIR_OK)
        refused = WASI_E_NFILE;
    return refused;
}

void weir__wasi_unreserve(struct weir_wasi *wasi, uint32_t fd)
{
    WEIR_ASSERT(wasi->descriptors[fd].backing == WASI_FREE);
    weir_account_discharge(wasi->account, WEIR_KIND_DESCRIPTOR, 1);
}

void weir__wasi_add(struct weir_wasi *wasi, uint32_t fd,
                    const struct weir__wasi_descriptor *descriptor)
{
    WEIR_ASSERT(fd < wasi->descriptor_count && wasi->descriptors[fd].backing == WASI_FREE);
    WEIR_ASSERT(descriptor->backing != WASI_FREE);
    wasi->descriptors[fd] = *descriptor;
}

void weir__wasi_drop(struct weir_wasi *wasi, uint32_t fd)
{
    struct weir__wasi_descriptor *descriptor = &wasi->descriptors[fd];
    if (descriptor->backing == WASI_HOST && !descriptor->is_borrowed) {
        (void)weir_io_close(wasi->io, descriptor->host_fd);
        weir_account_discharge(wasi->account, WEIR_KIND_DESCRIPTOR, 1);
    }
    memset(descriptor, 0, sizeof *descriptor);
    if (fd < wasi->first_free)
        wasi->first_free = fd;
}

int weir__wasi_own(struct weir_wasi *wasi, struct weir__wasi_descriptor *descriptor)
{
    int own;
    if (!descriptor->is_borrowed)
        return WASI_E_SUCCESS;
    if (weir_account_charge(wasi->account, WEIR_KIND_DESCRIPTOR, 1, NULL) != WEIR_OK)
        return WASI_E_NFILE;
    int failed =
        weir__wasi_open_beneath(wasi, descriptor->host_fd, ".", O_RDONLY | O_DIRECTORY, &own);
    if (failed != WASI_E_SUCCESS) {
        weir_account_discharge(wasi->account, WEIR_KIND_DESCRIPTOR, 1);
        return failed;
    }
    descriptor->host_fd = own;
    descriptor->is_borrowed = false;
    return WASI_E_SUCCESS;
}

uint8_t weir__wasi_filetype(const struct stat *stat)
{
    switch (stat->st_mode & S_IFMT) {
    case S_IFBLK:
        return WASI_FILETYPE_BLOCK_DEVICE;
    case S_IFCHR:
        return WASI_FILETYPE_CHARACTER_DEVICE;
    case S_IFDIR:
        return WASI_FILETYPE_DIRECTORY;
    case S_IFREG:
        return WASI_FILETYPE_REGULAR_FILE;
    case S_IFLNK:
        return WASI_FILETYPE_SYMBOLIC_LINK;
    case S_IFSOCK:
        return WASI_FILETYPE_SOCKET_STREAM;
    default: /* pipes: the snapshot has no type for them */
        return WASI_FILETYPE_UNKNOWN;
    }
}

static uint64_t possible_rights(int host_fd, uint8_t filetype)
{
    switch (filetype) {
    case WASI_FILETYPE_DIRECTORY:
        return WASI_RIGHTS_DIRECTORY;
    case WASI_FILETYPE_SOCKET_DGRAM:
    case WASI_FILETYPE_SOCKET_STREAM:
        return WASI_RIGHTS_SOCKET;
    case WASI_FILETYPE_CHARACTER_DEVICE:
        /* C libraries take a character device without SEEK for a terminal. */
        if (isatty(host_fd))
            return WASI_RIGHTS_FILE & ~(WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL);
        return WASI_RIGHTS_FILE;
    default:
        return WASI_RIGHTS_FILE;
    }
}

int weir__wasi_describe(struct weir_wasi *wasi, int host_fd,
                        struct weir__wasi_descriptor *ret_descriptor)
{
    struct stat stat;
    long result = weir_io_fstat(wasi->io, host_fd, &stat);
    if (result < 0)
        return weir__wasi_errno_of(result);
    uint8_t filetype = weir__wasi_filetype(&stat);
    if (filetype == WASI_FILETYPE_SOCKET_STREAM) {
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(host_fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM)
            filetype = WASI_FILETYPE_SOCKET_DGRAM;
    }
    *ret_descriptor = (struct weir__wasi_descriptor){
        .backing = WASI_HOST,
        .filetype = filetype,
        .may_wait = filetype != WASI_FILETYPE_REGULAR_FILE && filetype != WASI_FILETYPE_DIRECTORY &&
                    filetype != WASI_FILETYPE_BLOCK_DEVICE,
        .host_fd = host_fd,
        .rights_base = possible_rights(host_fd, filetype),
        .rights_inheriting = filetype == WASI_FILETYPE_DIRECTORY ? WASI_RIGHTS_ALL : 0,
    };
    if (filetype == WASI_FILETYPE_SOCKET_STREAM || filetype == WASI_FILETYPE_SOCKET_DGRAM)
        ret_descriptor->rights_inheriting = WASI_RIGHTS_SOCKET & ~WASI_RIGHT_SOCK_ACCEPT;
    return WASI_E_SUCCESS;
}
