/* Names of the states of a figure. */
#include "base/proc_figure.h"

const char *weir_figure_state_name(enum weir_figure_state state)
{
    static const char *const NAMES[] = {[WEIR_FIGURE_VALUE] = "given",
                                        [WEIR_FIGURE_MAX] = "max",
                                        [WEIR_FIGURE_MISSING] = "missing",
                                        [WEIR_FIGURE_MALFORMED] = "malformed",
                                        [WEIR_FIGURE_UNREADABLE] = "unreadable"};
    return NAMES[state];
}
