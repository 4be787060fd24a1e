/* Imports that a linker does not have, told so that a person sees what the module was made for. */
#ifndef WEIR_SERVER_IMPORT_HINTS_H
#define WEIR_SERVER_IMPORT_HINTS_H

#include "base/error.h"

/* Rewrites a LINK report: its details (one per import) become one line per module and world, with
 * all names; the message counts them. Reports of other kinds stay as they are. */
void weir_import_hints(struct weir_error *error);

#endif
