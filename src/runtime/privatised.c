/* Which pages of a range are the process's own: (PRESENT or SWAPPED) and not FILE. A page in swap
 * is still the last guest's data.
 *
 * Two paths: PAGEMAP_SCAN (kernel 6.7 and later), which skips what was never touched and leaves
 * the shared zero page out; /proc/self/pagemap otherwise, eight bytes per page. The descriptor
 * belongs to the address space it was opened in, so a child of fork() opens its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/process_internal.h"

#define SYSTEM_PAGE UINT64_C(4096)

/* Debian 12's headers are older than the call (Linux 6.7, include/uapi/linux/fs.h). */
#ifndef PAGEMAP_SCAN
struct page_region {
    uint64_t start, end, categories;
};
struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_FILE (1u << 2)
#define PAGE_IS_PRESENT (1u << 3)
#define PAGE_IS_SWAPPED (1u << 4)
#define PAGE_IS_PFNZERO (1u << 5)
#endif

#define REGIONS_PER_CALL 64
#define ENTRIES_PER_READ 512

#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int pagemap_fd = -1;
static _Atomic int forced; /* enum weir__scan_path */
static _Atomic bool has_no_scan;

static void forget_descriptor(void)
{
    int fd = atomic_exchange(&pagemap_fd, -1);
    if (fd >= 0)
        (void)close(fd); /* the charge goes on for the child's own */
}

static enum weir_status open_pagemap(int *ret_fd, struct weir_error *error)
{
    static bool is_registered;
    static bool is_charged;
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&lock);
    int fd = atomic_load(&pagemap_fd);
    if (fd < 0) {
        if (!is_registered)
            is_registered = pthread_atfork(NULL, NULL, forget_descriptor) == 0;
        if (!is_charged)
            status = weir_account_charge(weir_account_host(), WEIR_KIND_DESCRIPTOR, 1, error);
        if (status == WEIR_OK) {
            is_charged = true;
            fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
            if (fd < 0)
                status = weir_error_set_errno(error, WEIR_IO, errno, "/proc/self/pagemap");
            else
                atomic_store(&pagemap_fd, fd);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    if (status == WEIR_OK)
        *ret_fd = fd;
    return status;
}

void weir__privatised_choose(enum weir__scan_path path)
{
    atomic_store(&forced, (int)path);
}

static size_t scan_by_ioctl(int fd, uint64_t *from, uint64_t to, struct weir__page_range *ranges,
                            size_t count)
{
    struct page_region regions[REGIONS_PER_CALL];
    struct pm_scan_arg scan = {
        .size = sizeof scan,
        .start = *from,
        .end = to,
        .vec = (uint64_t)regions,
        .vec_len = count < REGIONS_PER_CALL ? count : REGIONS_PER_CALL,
        .category_inverted = PAGE_IS_FILE | PAGE_IS_PFNZERO,
        .category_mask = PAGE_IS_FILE | PAGE_IS_PFNZERO,
        .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        .return_mask = PAGE_IS_PRESENT,
    };
    int found = ioctl(fd, PAGEMAP_SCAN, &scan);
    if (found < 0) {
        atomic_store(&has_no_scan, true);
        return SIZE_MAX;
    }
    for (int i = 0; i < found; i++)
        ranges[i] = (struct weir__page_range){regions[i].start, regions[i].end};
    *from = scan.walk_end;
    return (size_t)found;
}

/* Reads the entries of [from, to), at most a bufferful; *ret_count of them. */
static enum weir_status read_entries(int fd, uint64_t from, uint64_t to, uint64_t *entries,
                                     size_t *ret_count, struct weir_error *error)
{
    uint64_t pages = (to - from) / SYSTEM_PAGE;
    size_t bytes = (pages < ENTRIES_PER_READ ? pages : ENTRIES_PER_READ) * sizeof entries[0];
    ssize_t got = pread(fd, entries, bytes, (off_t)(from / SYSTEM_PAGE * sizeof entries[0]));
    if (got <= 0 || got % (ssize_t)sizeof entries[0] != 0)
        return weir_error_set_errno(error, WEIR_IO, errno, "reading /proc/self/pagemap");
    *ret_count = (size_t)got / sizeof entries[0];
    return WEIR_OK;
}

static bool is_private(uint64_t entry)
{
    return (entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) != 0 && (entry & ENTRY_FILE) == 0;
}

static enum weir_status scan_by_reading(int fd, uint64_t *from, uint64_t to,
                                        struct weir__page_range *ranges, size_t *ret_count,
                                        struct weir_error *error)
{
    uint64_t entries[ENTRIES_PER_READ];
    size_t room = *ret_count;
    size_t found = 0;
    while (*from < to) {
        size_t count = 0;
        enum weir_status status = read_entries(fd, *from, to, entries, &count, error);
        if (status != WEIR_OK)
            return status;
        for (size_t i = 0; i < count; i++, *from += SYSTEM_PAGE) {
            if (!is_private(entries[i]))
                continue;
            if (found > 0 && ranges[found - 1].end == *from) {
                ranges[found - 1].end += SYSTEM_PAGE;
                continue;
            }
            if (found == room) {
                *ret_count = found;
                return WEIR_OK;
            }
            ranges[found++] = (struct weir__page_range){*from, *from + SYSTEM_PAGE};
        }
    }
    *ret_count = found;
    return WEIR_OK;
}

enum weir_status weir__resident_count(uint64_t from, uint64_t to, uint64_t *ret_resident,
                                      uint64_t *ret_private, struct weir_error *error)
{
    uint64_t entries[ENTRIES_PER_READ];
    uint64_t resident = 0;
    uint64_t private = 0;
    int fd = -1;
    enum weir_status status = open_pagemap(&fd, error);
    while (status == WEIR_OK && from < to) {
        size_t count = 0;
        status = read_entries(fd, from, to, entries, &count, error);
        for (size_t i = 0; status == WEIR_OK && i < count; i++) {
            resident += (entries[i] & ENTRY_PRESENT) != 0 ? SYSTEM_PAGE : 0;
            private += is_private(entries[i]) ? SYSTEM_PAGE : 0;
        }
        from += count * SYSTEM_PAGE;
    }
    if (status != WEIR_OK)
        return status;
    *ret_resident = resident;
    *ret_private = private;
    return WEIR_OK;
}

enum weir_status weir__privatised_scan(uint64_t *from, uint64_t to, struct weir__page_range *ranges,
                                       size_t count, size_t *ret_count, struct weir_error *error)
{
    int fd = atomic_load_explicit(&pagemap_fd, memory_order_acquire);
    if (fd < 0) {
        enum weir_status status = open_pagemap(&fd, error);
        if (status != WEIR_OK)
            return status;
    }
    if (atomic_load_explicit(&forced, memory_order_relaxed) == WEIR__SCAN_BEST &&
        !atomic_load_explicit(&has_no_scan, memory_order_relaxed)) {
        size_t found = scan_by_ioctl(fd, from, to, ranges, count);
        if (found != SIZE_MAX) {
            *ret_count = found;
            return WEIR_OK;
        }
    }
    *ret_count = count;
    return scan_by_reading(fd, from, to, ranges, ret_count, error);
}
