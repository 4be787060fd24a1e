/* A process's memory and page states. process_vm_readv may be refused while pagemap is readable;
 * each is tried on its own. */
#include "doctor/doctor_internal.h"

#include "base/bytes.h"
#include "base/io.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define PAGES_AT_ONCE 512
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)

static bool live_read(void *context, const struct weir__span *spans, size_t count, void *bytes)
{
    const struct weir__live_memory *live = context;
    struct iovec there[WEIR__SPANS_MAX];
    size_t total = 0;
    if (count > WEIR__SPANS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        there[i] = (struct iovec){(void *)(uintptr_t)spans[i].address, (size_t)spans[i].size};
        total += (size_t)spans[i].size;
    }
    struct iovec here = {bytes, total};
    return process_vm_readv(live->pid, &here, 1, there, count, 0) == (ssize_t)total;
}

static bool live_pages(void *context, uint64_t start, size_t count, uint8_t *states)
{
    const struct weir__live_memory *live = context;
    struct weir_io *io = weir_io_system();
    uint64_t entries[PAGES_AT_ONCE];
    if (live->pagemap_fd < 0)
        return false;
    for (size_t done = 0; done < count;) {
        size_t now = count - done < PAGES_AT_ONCE ? count - done : PAGES_AT_ONCE;
        long length = weir_io_pread(io, live->pagemap_fd, entries, now * sizeof entries[0],
                                    (start / WEIR__PAGE + done) * sizeof entries[0]);
        if (length != (long)(now * sizeof entries[0]))
            return false;
        for (size_t i = 0; i < now; i++)
            states[done + i] =
                (uint8_t)(((entries[i] & ENTRY_PRESENT) != 0 ? WEIR__PAGE_PRESENT : 0) |
                          ((entries[i] & ENTRY_SWAPPED) != 0 ? WEIR__PAGE_SWAPPED : 0) |
                          ((entries[i] & ENTRY_FILE) != 0 ? WEIR__PAGE_FILE : 0));
        done += now;
    }
    return true;
}

static bool no_read(void *context, const struct weir__span *spans, size_t count, void *bytes)
{
    (void)context, (void)spans, (void)count, (void)bytes;
    return false;
}

static bool no_pages(void *context, uint64_t start, size_t count, uint8_t *states)
{
    (void)context, (void)start, (void)count, (void)states;
    return false;
}

struct weir__memory weir__no_memory(void)
{
    return (struct weir__memory){NULL, no_read, no_pages};
}

void weir__live_memory_open(int pid, struct weir__live_memory *live,
                            struct weir__memory *ret_memory)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
    live->pid = pid;
    live->pagemap_fd = weir_io_open(weir_io_system(), AT_FDCWD, path, O_RDONLY, 0);
    *ret_memory = (struct weir__memory){live, live_read, live_pages};
}

void weir__live_memory_close(struct weir__live_memory *live)
{
    if (live->pagemap_fd >= 0)
        (void)weir_io_close(weir_io_system(), live->pagemap_fd);
    live->pagemap_fd = -1;
}

bool weir__memory_read(const struct weir__memory *memory, uint64_t address, void *bytes,
                       size_t size)
{
    uint64_t end;
    if (size == 0 || !weir_add_u64(address, size, &end))
        return false;
    uint64_t first = weir_align_down(address, WEIR__PAGE);
    for (uint64_t at = first; at < end; at += WEIR__PAGE) {
        uint8_t state = 0;
        if (!memory->pages(memory->context, at, 1, &state) || (state & WEIR__PAGE_PRESENT) == 0)
            return false;
        if (at > UINT64_MAX - WEIR__PAGE)
            break;
    }
    struct weir__span span = {address, size};
    return memory->read(memory->context, &span, 1, bytes);
}

bool weir__memory_sum(const struct weir__memory *memory, uint64_t start, uint64_t end,
                      struct weir__page_sums *ret_sums)
{
    struct weir__page_sums sums = {0};
    uint8_t states[PAGES_AT_ONCE];
    if (end > start && end - start > WEIR__SUM_BYTES_MAX)
        return false;
    while (start < end) {
        uint64_t left = (end - start) / WEIR__PAGE;
        size_t now = left < PAGES_AT_ONCE ? (size_t)left : PAGES_AT_ONCE;
        if (now == 0)
            break;
        if (!memory->pages(memory->context, start, now, states))
            return false;
        for (size_t i = 0; i < now; i++) {
            sums.resident += (states[i] & WEIR__PAGE_PRESENT) != 0 ? WEIR__PAGE : 0;
            sums.file += (states[i] & 5) == (WEIR__PAGE_PRESENT | WEIR__PAGE_FILE) ? WEIR__PAGE : 0;
            sums.swapped += (states[i] & WEIR__PAGE_SWAPPED) != 0 ? WEIR__PAGE : 0;
        }
        start += now * WEIR__PAGE;
    }
    *ret_sums = sums;
    return true;
}
