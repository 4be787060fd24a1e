/* Paths of a guest, and how they are walked: by the kernel, beneath a directory, in one call.
 *
 * openat2 with RESOLVE_BENEATH refuses every step that would leave the directory, whatever it is
 * made of and whoever renames meanwhile; there is no check here that a race could come between.
 * Operations on a name open the directory that holds it the same way, and then use calls that
 * never follow the last component (unlinkat, mkdirat, renameat, symlinkat, linkat without
 * AT_SYMLINK_FOLLOW). */
#include "base/check.h"
#include "base/utf8.h"
#include "worlds/wasi/wasi_internal.h"

#include <string.h>

int weir__wasi_path_get(const struct weir__wasi_call *call, uint32_t address, uint32_t size,
                        struct weir__wasi_path *ret_path)
{
    if (size >= sizeof ret_path->text)
        return WASI_E_NAMETOOLONG;
    int failed = weir__wasi_get(call, address, ret_path->text, size);
    if (failed != WASI_E_SUCCESS)
        return failed;
    ret_path->text[size] = '\0';
    ret_path->size = size;
    if (size == 0)
        return WASI_E_NOENT;
    if (memchr(ret_path->text, '\0', size) != NULL)
        return WASI_E_INVAL;
    bool is_utf8 = weir_utf8_valid_prefix((const uint8_t *)ret_path->text, size) == size;
    return is_utf8 ? WASI_E_SUCCESS : WASI_E_ILSEQ;
}

int weir__wasi_open_beneath(struct weir_wasi *wasi, int dir, const char *path, uint64_t flags,
                            int *ret_fd)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .mode = (flags & O_CREAT) != 0 ? 0666 : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long result = -EAGAIN;
    /* AGAIN: a rename elsewhere made the kernel unsure about a `..`; it must be asked again. */
    for (unsigned i = 0; i < WASI_RESOLVE_TRIES && (result == -EAGAIN || result == -EINTR); i++)
        result = weir_io_openat2(wasi->io, dir, path, &how);
    if (result == -EXDEV)
        return WASI_E_PERM; /* out of the sandbox */
    if (result < 0)
        return weir__wasi_errno_of(result);
    *ret_fd = (int)result;
    return WASI_E_SUCCESS;
}

int weir__wasi_place_open(struct weir_wasi *wasi, int dir, struct weir__wasi_path *path,
                          struct weir__wasi_place *ret_place)
{
    size_t end = path->size;
    while (end > 0 && path->text[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path->text[start - 1] != '/')
        start--;
    if (path->text[0] == '/')
        return WASI_E_PERM;
    WEIR_DASSERT(end > 0);
    *ret_place = (struct weir__wasi_place){.dir = dir, .name = path->text + start};
    if (start == 0)
        return WASI_E_SUCCESS;
    if (weir_account_charge(wasi->account, WEIR_KIND_DESCRIPTOR, 1, NULL) != WEIR_OK)
        return WASI_E_NFILE;
    path->text[start - 1] = '\0';
    int failed =
        weir__wasi_open_beneath(wasi, dir, path->text, O_PATH | O_DIRECTORY, &ret_place->dir);
    if (failed != WASI_E_SUCCESS) {
        weir_account_discharge(wasi->account, WEIR_KIND_DESCRIPTOR, 1);
        return failed;
    }
    ret_place->is_owned = true;
    return WASI_E_SUCCESS;
}

void weir__wasi_place_close(struct weir_wasi *wasi, struct weir__wasi_place *place)
{
    if (!place->is_owned)
        return;
    (void)weir_io_close(wasi->io, place->dir);
    weir_account_discharge(wasi->account, WEIR_KIND_DESCRIPTOR, 1);
    place->is_owned = false;
}
