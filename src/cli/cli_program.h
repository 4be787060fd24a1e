/* Where the programs of the subcommands are. */
#ifndef WEIR_CLI_PROGRAM_H
#define WEIR_CLI_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

/* In WEIR_LIBEXEC, else in ../libexec/weir beside the folder of this program, else in that folder.
 * False when it is in none of them. */
bool weir_cli_find_program(const char *program, char path[PATH_MAX]);

#endif
