/* Files that the operator names, opened for reading: only regular files, only up to a size, and
 * every failure in the words of one who typed the path. */
#ifndef WEIR_BASE_NAMED_FILE_H
#define WEIR_BASE_NAMED_FILE_H

#include <stdint.h>

#include "base/error.h"

/* NOT_FOUND, PERMISSION or IO: what a failed open or read of a named file is. */
enum weir_status weir_named_file_status(int number);

/* "cannot read PATH: No such file or directory". */
enum weir_status weir_named_file_error(const char *path, int number, struct weir_error *error);

/* Close *ret_fd. The status is one of the above, IO for what is no regular file, or TOO_LARGE. */
enum weir_status weir_named_file_open(const char *path, uint64_t bytes_max, int *ret_fd,
                                      uint64_t *ret_bytes, struct weir_error *error) WEIR_MUST_USE;

#endif
