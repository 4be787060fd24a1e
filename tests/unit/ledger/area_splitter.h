/* A thread that changes the rights of parts of a mapping without rest: areas split, and join again
 * over ones that a reader of smaps has had, while what is resident stays the same. */
#ifndef WEIR_TESTS_AREA_SPLITTER_H
#define WEIR_TESTS_AREA_SPLITTER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define AREA_SPLITTER_PARTS 8

struct area_splitter {
    char *base;
    size_t size; /* a multiple of as many pages as there are parts */
    atomic_bool is_over;
    atomic_ulong changes;
    pthread_t thread;
};

static inline void *area_splitter_run(void *context)
{
    struct area_splitter *splitter = context;
    size_t part = splitter->size / AREA_SPLITTER_PARTS;
    uint64_t seed = 7;
    while (!atomic_load(&splitter->is_over)) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t first = (seed >> 33) % AREA_SPLITTER_PARTS;
        size_t count = 1 + (seed >> 43) % (AREA_SPLITTER_PARTS - first);
        int rights = (seed >> 53) % 2 == 0 ? PROT_READ : PROT_READ | PROT_WRITE;
        (void)mprotect(splitter->base + first * part, count * part, rights);
        atomic_fetch_add(&splitter->changes, 1);
    }
    return NULL;
}

/* Touches all of it; false when there is no thread. */
static inline bool area_splitter_begin(struct area_splitter *splitter, void *base, size_t size)
{
    splitter->base = base;
    splitter->size = size;
    atomic_init(&splitter->is_over, false);
    atomic_init(&splitter->changes, 0);
    (void)madvise(base, size, MADV_NOHUGEPAGE);
    (void)madvise(base, size, MADV_DONTDUMP); /* so that it never joins what lies beside it */
    for (size_t at = 0; at < size; at += 4096)
        splitter->base[at] = 1;
    return pthread_create(&splitter->thread, NULL, area_splitter_run, splitter) == 0;
}

static inline void area_splitter_end(struct area_splitter *splitter)
{
    atomic_store(&splitter->is_over, true);
    (void)pthread_join(splitter->thread, NULL);
}

#endif
