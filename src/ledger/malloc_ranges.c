/* The structures are glibc's (2.31 to 2.41 agree on what is read here): malloc/arena.c heap_info,
 * malloc/malloc.c malloc_chunk, nptl/descr.h struct pthread behind tcbhead_t. Each answer needs
 * several words to agree; a musl process simply finds nothing. */
#include "ledger/malloc_ranges.h"

#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define CHUNK_FLAGS 7u
#define CHUNK_IS_MMAPPED 2u
#define ARENA_HEADER_MAX 128 /* heap_info, and what may follow it before the arena's record */
#define STACK_WINDOW 8192
#define PTHREAD_RECORD_MIN 1024

static bool read_memory(uint64_t address, void *bytes, size_t size)
{
    struct iovec here = {bytes, size};
    struct iovec there = {(void *)(uintptr_t)address, size};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size;
}

bool weir__malloc_arena_at(uint64_t address, uint64_t *ret_end)
{
    struct {
        uint64_t arena;
        uint64_t previous;
        uint64_t size;
        uint64_t writable_size;
    } info;
    if (!read_memory(address, &info, sizeof info))
        return false;
    if (info.size == 0 || info.size > info.writable_size || info.writable_size % PAGE != 0 ||
        info.writable_size > WEIR__ARENA_ALIGN || info.arena % 16 != 0)
        return false;
    uint64_t first = info.arena & ~(WEIR__ARENA_ALIGN - 1);
    if (info.arena - first > ARENA_HEADER_MAX)
        return false;
    /* The first heap of an arena holds its record and has none before it; later ones point back. */
    uint64_t first_word = 0;
    if (first == address
            ? info.previous != 0
            : info.previous % WEIR__ARENA_ALIGN != 0 || info.previous == 0 ||
                  !read_memory(first, &first_word, sizeof first_word) || first_word != info.arena)
        return false;
    *ret_end = address + info.writable_size;
    return true;
}

bool weir__malloc_chunk_at(uint64_t address, uint64_t limit, uint64_t *ret_end)
{
    uint64_t words[2]; /* what was cut off at the front for alignment, size and flags */
    if (!read_memory(address, words, sizeof words))
        return false;
    uint64_t size = words[1] & ~(uint64_t)CHUNK_FLAGS;
    if ((words[1] & CHUNK_FLAGS) != CHUNK_IS_MMAPPED || words[0] != 0 || size % PAGE != 0 ||
        size == 0 || size > limit - address)
        return false;
    *ret_end = address + size;
    return true;
}

/* A thread's control block near the end of [start, end): its first and third word point to it. */
static bool has_thread_record(uint64_t start, uint64_t end)
{
    uint64_t words[STACK_WINDOW / sizeof(uint64_t)];
    if (end - start < sizeof words)
        return false;
    uint64_t window = end - sizeof words;
    if (!read_memory(window, words, sizeof words))
        return false;
    size_t last = (sizeof words - PTHREAD_RECORD_MIN) / sizeof words[0];
    for (size_t i = 0; i < last; i += 2) {
        uint64_t here = window + i * sizeof words[0];
        if (words[i] == here && words[i + 2] == here)
            return true;
    }
    return false;
}

bool weir__thread_stack_at(uint64_t start, uint64_t limit, uint64_t *ret_end)
{
    size_t size = 0;
    size_t guard = 0;
    pthread_attr_t attr;
    if (pthread_getattr_default_np(&attr) == 0) {
        (void)pthread_attr_getstacksize(&attr, &size);
        (void)pthread_attr_getguardsize(&attr, &guard);
        (void)pthread_attr_destroy(&attr);
    }
    /* The guard is part of the size, except where it was added on top. */
    const uint64_t ends[] = {limit, start + size - guard, start + size};
    for (int i = 0; i < 3; i++) {
        if (ends[i] <= limit && ends[i] > start && has_thread_record(start, ends[i])) {
            *ret_end = ends[i];
            return true;
        }
    }
    return false;
}
