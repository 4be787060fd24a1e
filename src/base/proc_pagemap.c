/* See proc_pagemap.h. The old path reads 8 bytes per page in blocks of 512 pages. */
#include "base/proc_pagemap.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/check.h"
#include "base/io.h"

#define PAGE 4096u
#define PAGEMAP_SCAN _IOWR('f', 16, struct weir_page_scan)
#define REGIONS_PER_CALL 64
#define ENTRIES_PER_READ 512

/* Bits of an entry (Documentation/admin-guide/mm/pagemap.rst). */
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)

static_assert(sizeof(struct weir_page_scan) == 96, "the kernel's struct pm_scan_arg");
static_assert(sizeof(struct weir_page_region) == 24, "the kernel's struct page_region");

long weir_pagemap_scan(int fd, struct weir_page_scan *scan)
{
    scan->size = sizeof *scan;
    int filled = ioctl(fd, PAGEMAP_SCAN, scan);
    return filled < 0 ? -(long)errno : filled;
}

enum weir_status weir_pagemap_open(bool allow_scan, struct weir_pagemap *ret_pagemap,
                                   struct weir_error *error)
{
    int fd = weir_io_open(weir_io_system(), AT_FDCWD, "/proc/self/pagemap", O_RDONLY, 0);
    if (fd < 0)
        return weir_error_set_errno(error, WEIR_IO, -fd, "cannot open /proc/self/pagemap");
    struct weir_page_scan probe = {0}; /* an empty range is allowed where the call is known */
    ret_pagemap->fd = fd;
    ret_pagemap->has_scan = allow_scan && weir_pagemap_scan(fd, &probe) == 0;
    return WEIR_OK;
}

void weir_pagemap_close(struct weir_pagemap *pagemap)
{
    if (pagemap->fd >= 0)
        (void)weir_io_close(weir_io_system(), pagemap->fd);
    pagemap->fd = -1;
}

static void add_region(struct weir_page_sums *sums, const struct weir_page_region *region)
{
    uint64_t bytes = region->end - region->start;
    if ((region->categories & WEIR_PAGE_SWAPPED) != 0) {
        sums->swapped_bytes += bytes;
        return;
    }
    if ((region->categories & WEIR_PAGE_PFNZERO) != 0)
        return;
    sums->resident_bytes += bytes;
    if ((region->categories & WEIR_PAGE_FILE) != 0)
        sums->file_bytes += bytes;
}

static long sum_by_scan(int fd, uint64_t start, uint64_t end, struct weir_page_sums *sums)
{
    struct weir_page_region regions[REGIONS_PER_CALL];
    struct weir_page_scan scan = {
        .start = start,
        .end = end,
        .vec = (uint64_t)(uintptr_t)regions,
        .vec_len = REGIONS_PER_CALL,
        .category_anyof_mask = WEIR_PAGE_PRESENT | WEIR_PAGE_SWAPPED,
        .return_mask = WEIR_PAGE_PRESENT | WEIR_PAGE_SWAPPED | WEIR_PAGE_FILE | WEIR_PAGE_PFNZERO,
    };
    while (scan.start < end) {
        long count = weir_pagemap_scan(fd, &scan);
        if (count == -EINTR)
            continue;
        if (count < 0)
            return count;
        for (long i = 0; i < count; i++)
            add_region(sums, &regions[i]);
        if (scan.walk_end <= scan.start)
            break;
        scan.start = scan.walk_end;
    }
    return 0;
}

static long sum_by_entries(int fd, uint64_t start, uint64_t end, struct weir_page_sums *sums)
{
    uint64_t entries[ENTRIES_PER_READ];
    while (start < end) {
        uint64_t pages = (end - start) / PAGE;
        if (pages > ENTRIES_PER_READ)
            pages = ENTRIES_PER_READ;
        long length = weir_io_pread(weir_io_system(), fd, entries, pages * sizeof entries[0],
                                    start / PAGE * sizeof entries[0]);
        if (length == -EINTR)
            continue;
        if (length < 0)
            return length;
        size_t count = (size_t)length / sizeof entries[0];
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            if ((entries[i] & ENTRY_SWAPPED) != 0)
                sums->swapped_bytes += PAGE;
            if ((entries[i] & ENTRY_PRESENT) == 0)
                continue;
            sums->resident_bytes += PAGE;
            if ((entries[i] & ENTRY_FILE) != 0)
                sums->file_bytes += PAGE;
        }
        start += count * PAGE;
    }
    return 0;
}

enum weir_status weir_pagemap_sum(const struct weir_pagemap *pagemap, uint64_t start, uint64_t end,
                                  struct weir_page_sums *ret_sums, struct weir_error *error)
{
    WEIR_ASSERT(start % PAGE == 0 && end % PAGE == 0 && start <= end);
    struct weir_page_sums sums = {0};
    long result = pagemap->has_scan ? sum_by_scan(pagemap->fd, start, end, &sums)
                                    : sum_by_entries(pagemap->fd, start, end, &sums);
    if (result < 0)
        return weir_error_set_errno(error, WEIR_IO, (int)-result, "cannot read the pagemap");
    *ret_sums = sums;
    return WEIR_OK;
}
