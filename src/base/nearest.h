/* The nearest known name to a mistyped one: for options, subcommands and configuration keys. */
#ifndef WEIR_BASE_NEAREST_H
#define WEIR_BASE_NEAREST_H

#include <stddef.h>

/* The name of `names` with the least edits (insert, delete, replace, swap of neighbours, case
 * ignored) from `word`, or NULL when none is nearer than a third of the word's length plus one.
 * Names longer than 63 bytes are not considered. */
const char *weir_nearest_name(const char *word, const char *const *names, size_t count);

#endif
