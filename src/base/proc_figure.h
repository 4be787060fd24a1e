/* A figure from a file of the kernel's, with the state that the file was in: what is missing, says
 * "max" or cannot be understood is told apart from a number. */
#ifndef WEIR_BASE_PROC_FIGURE_H
#define WEIR_BASE_PROC_FIGURE_H

#include <stdint.h>

enum weir_figure_state {
    WEIR_FIGURE_VALUE,
    WEIR_FIGURE_MAX,     /* "max", or v1's page-rounded 2^63 - 1: no limit here */
    WEIR_FIGURE_MISSING, /* no such file or line (the root cgroup has no memory.max) */
    WEIR_FIGURE_MALFORMED,
    WEIR_FIGURE_UNREADABLE /* permission, I/O error */
};

struct weir_figure {
    enum weir_figure_state state;
    uint64_t value; /* of VALUE only */
};

/* "missing", "malformed" …; static. */
const char *weir_figure_state_name(enum weir_figure_state state);

#endif
