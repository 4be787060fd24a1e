/* A process that never stands still: threads free and allocate blocks all the time, each slot
 * always with the same size, so that what lives is known while where it lives changes.
 *
 * usage: fixture_churn SEED THREADS SLOTS */
#include "fixture_common.h"

#include <pthread.h>

static long slots;

struct churn {
    uint64_t seed;
    pthread_barrier_t *barrier;
    size_t live; /* usable bytes and headers of all slots */
};

static uint64_t next_number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void *run(void *context)
{
    struct churn *churn = context;
    void **blocks = calloc((size_t)slots, sizeof *blocks);
    size_t *sizes = calloc((size_t)slots, sizeof *sizes);
    churn->live = malloc_usable_size(blocks) + malloc_usable_size(sizes);
    for (long i = 0; i < slots; i++) {
        sizes[i] = 24 + next_number(&churn->seed) % 2000;
        blocks[i] = malloc(sizes[i]);
        memset(blocks[i], 1, sizes[i]);
        churn->live += malloc_usable_size(blocks[i]) + sizeof(size_t);
    }
    (void)pthread_barrier_wait(churn->barrier);
    for (;;) {
        long i = (long)(next_number(&churn->seed) % (uint64_t)slots);
        void *block = malloc(sizes[i]); /* before the free, or it would get the same place */
        memset(block, 2, sizes[i]);
        free(blocks[i]);
        blocks[i] = block;
        if (next_number(&churn->seed) % 512 == 0)
            (void)usleep(200); /* a machine with few processors goes on */
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    long threads = strtol(argv[2], NULL, 10);
    slots = strtol(argv[3], NULL, 10);
    pthread_barrier_t barrier;
    struct churn *churns = calloc((size_t)threads, sizeof *churns);
    (void)pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++) {
        pthread_t thread;
        churns[i] = (struct churn){strtoull(argv[1], NULL, 10) + (uint64_t)i, &barrier, 0};
        if (pthread_create(&thread, NULL, run, &churns[i]) != 0)
            return 1;
    }
    (void)pthread_barrier_wait(&barrier);
    size_t live = 0;
    for (long i = 0; i < threads; i++)
        live += churns[i].live;
    printf("{\"classes\": {}, \"live\": %zu}\n", live);
    return fixture_wait();
}
