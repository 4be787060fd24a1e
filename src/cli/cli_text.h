/* Text for people and files from people: what several subcommands need. */
#ifndef WEIR_CLI_TEXT_H
#define WEIR_CLI_TEXT_H

#include "base/error.h"

#include <stddef.h>

/* A file that the operator names, whole, with a zero byte behind it; free() it. */
enum weir_status weir_cli_read_file(const char *path, uint64_t bytes_max, char **ret_bytes,
                                    size_t *ret_size, struct weir_error *error) WEIR_MUST_USE;

/* Prints `text` wrapped at 80 columns and a newline; `first` and `next` stand before its lines. */
void weir_cli_wrap(const char *first, const char *next, const char *text);

#endif
