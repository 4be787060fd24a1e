/* Results for people: a file that appears under its name whole or not at all, and harms nothing
 * else in a folder where others may write. */
#ifndef WEIR_BASE_COPY_OUT_H
#define WEIR_BASE_COPY_OUT_H

#include "base/error.h"
#include "base/io.h"

/* Copies the file `from`, from its beginning, to `path`. It is written under a name of its own in
 * the same folder, synced, and renamed: a regular file of that name is replaced, no link followed.
 * What is no file is kept and written to, if it is a pipe or a character device that `path` names
 * itself, or a pipe behind a link (/dev/stdout); a folder, another link, another device are
 * refused. IO with the path and the reason. */
enum weir_status weir_copy_out(struct weir_io *io, int from, const char *path, uint64_t *ret_bytes,
                               struct weir_error *error) WEIR_MUST_USE;

#endif
