/* What the running kernel can do, probed once; for choosing a path and for telling why. */
#ifndef WEIR_BASE_KERNEL_H
#define WEIR_BASE_KERNEL_H

#include <stdbool.h>

struct weir_kernel {
    unsigned major, minor;
    bool has_pagemap_scan;   /* 6.7 */
    bool has_userfaultfd;    /* may be opened by this process (user mode only is enough) */
    bool has_userfaultfd_wp; /* and write-protects anonymous memory */
    bool has_membarrier;     /* private expedited */
    bool has_anon_names;     /* PR_SET_VMA_ANON_NAME */
};

/* Static; probed at the first call, from any thread. */
const struct weir_kernel *weir_kernel(void);
/* uname says at least this version. */
bool weir_kernel_at_least(unsigned major, unsigned minor);

#endif
