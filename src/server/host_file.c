/* Reading goes through the I/O layer; a file that grows while it is read is cut at its first size.
 */
#include "server/host_file.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/named_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum weir_status weir_host_file_read(const char *path, uint64_t bytes_max,
                                     struct weir_account *account, struct weir_host_file *ret_file,
                                     struct weir_error *error)
{
    AUTO_CLOSE fd = -1;
    uint64_t bytes = 0;
    enum weir_status status = weir_named_file_open(path, bytes_max, &fd, &bytes, error);
    if (status != WEIR_OK)
        return status;
    struct weir_host_file file = {.size = (size_t)bytes, .account = account};
    file.bytes = weir_account_alloc(account, WEIR_KIND_COMPILER, file.size + 1, error);
    if (file.bytes == NULL)
        return weir_error_refused(error);
    long got = weir_io_read_full(weir_io_system(), fd, file.bytes, file.size);
    if (got != (long)file.size) {
        weir_host_file_done(&file);
        if (got >= 0)
            return weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "%s shrank while it was read",
                                  path);
        return weir_named_file_error(path, (int)-got, error);
    }
    *ret_file = file;
    return WEIR_OK;
}

void weir_host_file_done(struct weir_host_file *file)
{
    if (file->bytes != NULL)
        weir_account_free(file->account, WEIR_KIND_COMPILER, file->bytes, file->size + 1);
    *file = (struct weir_host_file){0};
}

const char *weir_host_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

bool weir_host_cache_dir(char *ret_path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length;
    if (cache != NULL && cache[0] == '/')
        length = snprintf(ret_path, size, "%s", cache);
    else if (home != NULL && home[0] == '/')
        length = snprintf(ret_path, size, "%s/.cache", home);
    else
        return false;
    if (length < 0 || (size_t)length + sizeof "/weir" > size)
        return false;
    (void)mkdir(ret_path, 0700); /* there already, or the artifact directory will say why not */
    memcpy(ret_path + length, "/weir", sizeof "/weir");
    return true;
}
