/* path_open: rights asked for become the kernel's access mode, and never exceed what the directory
 * hands down. */
#include "worlds/wasi/wasi_internal.h"

#define READ_RIGHTS (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_READDIR)
#define WRITE_RIGHTS                                                                               \
    (WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE)

struct request {
    uint32_t lookup_flags, open_flags, fd_flags;
    uint64_t rights_base, rights_inheriting;
};

/* The rights the directory must have for what is asked. */
static int check_rights(const struct request *request,
                        const struct weir__wasi_descriptor *directory)
{
    uint64_t base = WASI_RIGHT_PATH_OPEN;
    uint64_t inheriting = request->rights_base | request->rights_inheriting;
    if ((request->open_flags & WASI_OFLAG_CREAT) != 0)
        base |= WASI_RIGHT_PATH_CREATE_FILE;
    if ((request->open_flags & WASI_OFLAG_TRUNC) != 0)
        base |= WASI_RIGHT_PATH_FILESTAT_SET_SIZE;
    if ((request->fd_flags & WASI_FDFLAG_DSYNC) != 0)
        inheriting |= WASI_RIGHT_FD_DATASYNC;
    if ((request->fd_flags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC)) != 0)
        inheriting |= WASI_RIGHT_FD_SYNC;
    if ((directory->rights_base & base) != base ||
        (directory->rights_inheriting & inheriting) != inheriting)
        return WASI_E_NOTCAPABLE;
    return WASI_E_SUCCESS;
}

/* O_NONBLOCK: opening a pipe must not wait, nor must reading it, which is for wasi_wait.c. */
static int host_flags(const struct request *request, uint64_t *ret_flags)
{
    uint64_t flags = O_NOCTTY | O_NONBLOCK;
    bool is_directory = (request->open_flags & WASI_OFLAG_DIRECTORY) != 0;
    if ((request->lookup_flags & ~WASI_LOOKUP_SYMLINK_FOLLOW) != 0 ||
        (request->open_flags & ~WASI_OFLAG_ALL) != 0 || (request->fd_flags & ~WASI_FDFLAG_ALL) != 0)
        return WASI_E_INVAL;
    if (is_directory && (request->open_flags & (WASI_OFLAG_CREAT | WASI_OFLAG_TRUNC)) != 0)
        return WASI_E_INVAL;
    if ((request->lookup_flags & WASI_LOOKUP_SYMLINK_FOLLOW) == 0)
        flags |= O_NOFOLLOW;
    if (is_directory)
        flags |= O_DIRECTORY;
    if ((request->open_flags & WASI_OFLAG_CREAT) != 0)
        flags |= O_CREAT;
    if ((request->open_flags & WASI_OFLAG_EXCL) != 0)
        flags |= O_EXCL;
    if ((request->open_flags & WASI_OFLAG_TRUNC) != 0)
        flags |= O_TRUNC;
    if ((request->fd_flags & WASI_FDFLAG_APPEND) != 0)
        flags |= O_APPEND;
    if ((request->fd_flags & WASI_FDFLAG_DSYNC) != 0)
        flags |= O_DSYNC;
    if ((request->fd_flags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC)) != 0)
        flags |= O_SYNC;
    bool writes = (request->rights_base & WRITE_RIGHTS) != 0 && !is_directory;
    if (writes)
        flags |= (request->rights_base & READ_RIGHTS) != 0 ? O_RDWR : O_WRONLY;
    *ret_flags = flags;
    return WASI_E_SUCCESS;
}

/* Opens the file and enters it under the reserved number. */
static int open_reserved(struct weir_wasi *wasi, int dir, const char *path,
                         const struct request *request, uint32_t fd)
{
    uint64_t flags;
    int host_fd;
    int failed = host_flags(request, &flags);
    if (failed == WASI_E_SUCCESS)
        failed = weir__wasi_open_beneath(wasi, dir, path, flags, &host_fd);
    if (failed != WASI_E_SUCCESS)
        return failed;
    struct weir__wasi_descriptor descriptor;
    failed = weir__wasi_describe(wasi, host_fd, &descriptor);
    if (failed != WASI_E_SUCCESS) {
        (void)weir_io_close(wasi->io, host_fd);
        return failed;
    }
    descriptor.flags = (uint16_t)request->fd_flags;
    descriptor.rights_base &= request->rights_base;
    descriptor.rights_inheriting &= request->rights_inheriting;
    weir__wasi_add(wasi, fd, &descriptor);
    return WASI_E_SUCCESS;
}

int weir__wasi_path_open(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    struct request request = {.lookup_flags = weir__wasi_u32(call, 1),
                              .open_flags = weir__wasi_u32(call, 4),
                              .rights_base = weir__wasi_u64(call, 5),
                              .rights_inheriting = weir__wasi_u64(call, 6),
                              .fd_flags = weir__wasi_u32(call, 7)};
    struct weir__wasi_descriptor *directory;
    struct weir__wasi_path path;
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, &directory);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (directory->filetype != WASI_FILETYPE_DIRECTORY)
        return WASI_E_NOTDIR;
    failed = check_rights(&request, directory);
    if (failed == WASI_E_SUCCESS)
        failed = weir__wasi_path_get(call, weir__wasi_u32(call, 2), weir__wasi_u32(call, 3), &path);
    if (failed != WASI_E_SUCCESS)
        return failed;
    int dir = directory->host_fd; /* the table may move */
    uint32_t fd;
    failed = weir__wasi_reserve(wasi, &fd);
    if (failed != WASI_E_SUCCESS)
        return failed;
    failed = open_reserved(wasi, dir, path.text, &request, fd);
    if (failed != WASI_E_SUCCESS) {
        weir__wasi_unreserve(wasi, fd);
        return failed;
    }
    failed = weir__wasi_put_u32(call, weir__wasi_u32(call, 8), fd);
    if (failed != WASI_E_SUCCESS)
        weir__wasi_drop(wasi, fd); /* the guest never heard of it */
    return failed;
}
