/* Which pages of the own process are resident, swapped, private: by PAGEMAP_SCAN where the kernel
 * has it (6.7), else by reading /proc/self/pagemap. Both are probed once; both need no privilege.
 */
#ifndef WEIR_BASE_PROC_PAGEMAP_H
#define WEIR_BASE_PROC_PAGEMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Categories of PAGEMAP_SCAN (linux/fs.h of 6.7; Debian 12's headers are older). */
enum weir_page {
    WEIR_PAGE_WPALLOWED = 1u << 0,
    WEIR_PAGE_WRITTEN = 1u << 1,
    WEIR_PAGE_FILE = 1u << 2, /* file or shared memory: not private */
    WEIR_PAGE_PRESENT = 1u << 3,
    WEIR_PAGE_SWAPPED = 1u << 4,
    WEIR_PAGE_PFNZERO = 1u << 5, /* the zero page: present, but nobody's memory */
    WEIR_PAGE_HUGE = 1u << 6,
    WEIR_PAGE_SOFT_DIRTY = 1u << 7
};

struct weir_page_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

/* The ioctl's own argument. */
struct weir_page_scan {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

struct weir_pagemap {
    int fd;
    bool has_scan;
};

/* IO when /proc is not there. `allow_scan` false takes the old path on any kernel (tests). */
enum weir_status weir_pagemap_open(bool allow_scan, struct weir_pagemap *ret_pagemap,
                                   struct weir_error *error) WEIR_MUST_USE;
void weir_pagemap_close(struct weir_pagemap *pagemap);

struct weir_page_sums {
    uint64_t resident_bytes; /* without zero pages, where they can be told (PAGEMAP_SCAN) */
    uint64_t file_bytes;     /* of those: file-backed or shared */
    uint64_t swapped_bytes;
};

/* Sums over [start, end), both multiples of the page size. */
enum weir_status weir_pagemap_sum(const struct weir_pagemap *pagemap, uint64_t start, uint64_t end,
                                  struct weir_page_sums *ret_sums, struct weir_error *error)
    WEIR_MUST_USE;

/* The raw ioctl over a descriptor of a pagemap: the number of regions filled, or -errno. -ENOTTY
 * where the kernel does not have it. */
long weir_pagemap_scan(int fd, struct weir_page_scan *scan);

#endif
