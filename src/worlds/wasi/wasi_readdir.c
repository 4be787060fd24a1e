/* fd_readdir. Cookies are the file system's own positions, so nothing is kept between calls: a
 * listing may be continued, rewound or given up at any cookie. The copy made per call is bounded
 * and charged. */
#include "base/bytes.h"
#include "worlds/wasi/wasi_internal.h"

#include <dirent.h>
#include <stddef.h>
#include <string.h>

/* The guest's buffer and how much of it is used. */
struct listing {
    uint32_t address, size, used;
};

static uint8_t dirent_filetype(unsigned char type)
{
    switch (type) {
    case DT_BLK:
        return WASI_FILETYPE_BLOCK_DEVICE;
    case DT_CHR:
        return WASI_FILETYPE_CHARACTER_DEVICE;
    case DT_DIR:
        return WASI_FILETYPE_DIRECTORY;
    case DT_REG:
        return WASI_FILETYPE_REGULAR_FILE;
    case DT_LNK:
        return WASI_FILETYPE_SYMBOLIC_LINK;
    case DT_SOCK:
        return WASI_FILETYPE_SOCKET_STREAM;
    default:
        return WASI_FILETYPE_UNKNOWN;
    }
}

/* As much of it as still fits: an entry that is cut tells the guest to go on at its predecessor. */
static int append(struct weir__wasi_call *call, struct listing *listing, const void *bytes,
                  size_t size)
{
    uint32_t left = listing->size - listing->used;
    uint32_t part = size < left ? (uint32_t)size : left;
    if (part == 0)
        return WASI_E_SUCCESS;
    int failed = weir__wasi_put(call, listing->address + listing->used, bytes, part);
    listing->used += part;
    return failed;
}

static int append_entries(struct weir__wasi_call *call, struct listing *listing,
                          const uint8_t *entries, size_t size)
{
    int failed = WASI_E_SUCCESS;
    for (size_t at = 0; failed == WASI_E_SUCCESS && at < size && listing->used < listing->size;) {
        const uint8_t *entry = entries + at;
        const char *name = (const char *)entry + offsetof(struct dirent64, d_name);
        struct wasi_dirent dirent = {
            .next = weir_load_u64(entry + offsetof(struct dirent64, d_off)),
            .ino = weir_load_u64(entry + offsetof(struct dirent64, d_ino)),
            .name_size = (uint32_t)strlen(name),
            .type = dirent_filetype(entry[offsetof(struct dirent64, d_type)])};
        at += weir_load_u16(entry + offsetof(struct dirent64, d_reclen));
        failed = append(call, listing, &dirent, sizeof dirent);
        if (failed == WASI_E_SUCCESS)
            failed = append(call, listing, name, dirent.name_size);
    }
    return failed;
}

static int list(struct weir__wasi_call *call, int host_fd, struct listing *listing, uint8_t *copy,
                size_t copy_size)
{
    while (listing->used < listing->size) {
        long result = WASI_RETRY(weir_io_getdents(call->wasi->io, host_fd, copy, copy_size));
        if (result < 0) /* not even what is listed already: a short answer means the end */
            return weir__wasi_errno_of(result);
        if (result == 0)
            break;
        int failed = append_entries(call, listing, copy, (size_t)result);
        if (failed != WASI_E_SUCCESS)
            return failed;
    }
    return WASI_E_SUCCESS;
}

int weir__wasi_fd_readdir(struct weir__wasi_call *call)
{
    struct weir_wasi *wasi = call->wasi;
    struct weir__wasi_descriptor *descriptor;
    uint64_t cookie = weir__wasi_u64(call, 3);
    int failed = weir__wasi_find(call, weir__wasi_u32(call, 0), 0, &descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    if (descriptor->filetype != WASI_FILETYPE_DIRECTORY)
        return WASI_E_NOTDIR;
    if ((descriptor->rights_base & WASI_RIGHT_FD_READDIR) == 0)
        return WASI_E_NOTCAPABLE;
    if (cookie > INT64_MAX)
        return WASI_E_INVAL;
    if ((uint64_t)weir__wasi_u32(call, 1) + weir__wasi_u32(call, 2) > UINT64_C(1) << 32)
        return WASI_E_FAULT;
    failed = weir__wasi_own(wasi, descriptor);
    if (failed != WASI_E_SUCCESS)
        return failed;
    int64_t sought = weir_io_lseek(wasi->io, descriptor->host_fd, (int64_t)cookie, SEEK_SET);
    if (sought < 0)
        return weir__wasi_errno_of((long)sought);
    struct listing listing = {.address = weir__wasi_u32(call, 1), .size = weir__wasi_u32(call, 2)};
    /* The guest's entries are 5 bytes larger than the kernel's at most: twice its buffer is never
     * needed. */
    size_t copy_size =
        listing.size < WASI_READDIR_BYTES_MIN ? WASI_READDIR_BYTES_MIN : listing.size;
    if (copy_size > WASI_READDIR_BYTES_MAX)
        copy_size = WASI_READDIR_BYTES_MAX;
    if (copy_size > wasi->host_buffer_bytes && wasi->host_buffer_bytes >= WASI_READDIR_BYTES_MIN)
        copy_size = (size_t)wasi->host_buffer_bytes;
    uint8_t *copy = weir_account_alloc(wasi->account, WEIR_KIND_HOST_BUFFER, copy_size, NULL);
    if (copy == NULL)
        return WASI_E_NOMEM;
    failed = list(call, descriptor->host_fd, &listing, copy, copy_size);
    weir_account_free(wasi->account, WEIR_KIND_HOST_BUFFER, copy, copy_size);
    return failed != WASI_E_SUCCESS
               ? failed
               : weir__wasi_put_u32(call, weir__wasi_u32(call, 4), listing.used);
}
