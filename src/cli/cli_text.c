/* Text for people and files from people: what several subcommands need. */
#include "cli/cli_text.h"

#include "base/check.h"
#include "base/io.h"
#include "base/sizes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 80

/* --- files --------------------------------------------------------------------------------- */

static enum weir_status file_error(const char *path, int number, struct weir_error *error)
{
    enum weir_status status = number == ENOENT || number == ENOTDIR ? WEIR_NOT_FOUND
                              : number == EACCES                    ? WEIR_PERMISSION
                                                                    : WEIR_IO;
    return weir_error_set_errno(error, status, number, "cannot read %.160s", path);
}

enum weir_status weir_cli_read_file(const char *path, uint64_t bytes_max, char **ret_bytes,
                                    size_t *ret_size, struct weir_error *error)
{
    struct weir_io *io = weir_io_system();
    int fd = weir_io_open(io, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return file_error(path, -fd, error);
    struct stat st;
    int failed = weir_io_fstat(io, fd, &st);
    enum weir_status status = failed < 0 ? file_error(path, -failed, error) : WEIR_OK;
    if (status == WEIR_OK && !S_ISREG(st.st_mode))
        status = weir_error_set(error, WEIR_IO, WEIR_NO_OFFSET, "cannot read %.160s: it is %s",
                                path, S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    if (status == WEIR_OK && (uint64_t)st.st_size > bytes_max)
        status = weir_error_set(
            error, WEIR_TOO_LARGE, WEIR_NO_OFFSET, "%.120s has %s, at most %s are read", path,
            weir_size_format((uint64_t)st.st_size).text, weir_size_format(bytes_max).text);
    char *bytes = status == WEIR_OK ? malloc((size_t)st.st_size + 1) : NULL;
    if (status == WEIR_OK && bytes == NULL)
        status =
            weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory to read %.160s", path);
    long got = status == WEIR_OK ? weir_io_read_full(io, fd, bytes, (size_t)st.st_size) : 0;
    (void)weir_io_close(io, fd);
    if (got < 0)
        status = file_error(path, (int)-got, error);
    if (status != WEIR_OK) {
        free(bytes);
        return status;
    }
    WEIR_ASSERT(bytes != NULL);
    bytes[got] = 0;
    *ret_bytes = bytes;
    *ret_size = (size_t)got;
    return WEIR_OK;
}

/* --- text ---------------------------------------------------------------------------------- */

void weir_cli_wrap(const char *first, const char *next, const char *text)
{
    size_t column = 0;
    while (*text != 0) {
        size_t size = strcspn(text, " ");
        if (column == 0 || column + 1 + size > COLUMNS) {
            const char *prefix = column == 0 ? first : next;
            printf("%s%s", column == 0 ? "" : "\n", prefix);
            column = strlen(prefix);
        } else {
            (void)putchar(' ');
            column++;
        }
        printf("%.*s", (int)size, text);
        column += size;
        text += size + (text[size] == ' ');
    }
    (void)putchar('\n');
}
