/* The names of the forms in which guests are kept in bounds, for options and configuration keys. */
#include <weir/engine.h>

#include <string.h>

#include "base/error.h"

static const char *const names[] = {
    [WEIR_BOUNDS_GUARD] = "guard",
    [WEIR_BOUNDS_EXPLICIT] = "explicit",
    [WEIR_BOUNDS_NO_SIGNALS] = "no-signals",
};
#define NAME_COUNT (sizeof names / sizeof names[0])

const char *weir_bounds_name(enum weir_bounds bounds)
{
    return (size_t)bounds < NAME_COUNT ? names[bounds] : NULL;
}

enum weir_status weir_bounds_parse(const char *name, enum weir_bounds *ret_bounds,
                                   struct weir_error *error)
{
    for (size_t i = 0; name != NULL && i < NAME_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_bounds = (enum weir_bounds)i;
            return WEIR_OK;
        }
    }
    return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                          "guard, explicit or no-signals is needed");
}
