/* Text for people and files from people: what several subcommands need. */
#include "cli/cli_text.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/named_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 80

/* --- files --------------------------------------------------------------------------------- */

enum weir_status weir_cli_read_file(const char *path, uint64_t bytes_max, char **ret_bytes,
                                    size_t *ret_size, struct weir_error *error)
{
    AUTO_CLOSE fd = -1;
    uint64_t size = 0;
    enum weir_status status = weir_named_file_open(path, bytes_max, &fd, &size, error);
    if (status != WEIR_OK)
        return status;
    AUTO_FREE char *bytes = malloc((size_t)size + 1);
    if (bytes == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory to read %.160s",
                              path);
    long got = weir_io_read_full(weir_io_system(), fd, bytes, (size_t)size);
    if (got < 0)
        return weir_named_file_error(path, (int)-got, error);
    bytes[got] = 0;
    *ret_bytes = TAKE(bytes);
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
