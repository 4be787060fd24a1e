/* A process of glibc's malloc that knows what it holds: blocks of seeded sizes in the main heap and
 * in threads' arenas (a third of them freed again), mapped chunks, touched stacks. Prints one line
 * of JSON with its own statistics (malloc_info, mallinfo2) and waits for the end of stdin.
 *
 * usage: fixture_glibc SEED MAIN_MIB THREADS THREAD_MIB CHUNKS CHUNK_KIB STACK_KIB */
#include "fixture_common.h"

#include <pthread.h>

struct work {
    uint64_t seed;
    size_t bytes;
    size_t stack_bytes;
    pthread_barrier_t *barrier;
};

static uint64_t next_number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* Blocks of 16 to 4,000 bytes; every third is freed, in an order that leaves holes. */
static void fill(uint64_t seed, size_t bytes)
{
    size_t capacity = bytes / 500 + 16;
    void **blocks = malloc(capacity * sizeof *blocks);
    size_t count = 0;
    for (size_t total = 0; total < bytes && count < capacity;) {
        size_t size = 16 + next_number(&seed) % 4000 / (1 + next_number(&seed) % 4);
        blocks[count] = malloc(size);
        memset(blocks[count++], 1, size);
        total += size;
    }
    for (size_t i = 0; i < count; i++)
        if (i % 3 == 0)
            free(blocks[i]);
    free(blocks);
}

static void touch_stack(size_t bytes)
{
    volatile char *stack = __builtin_alloca(bytes + 1);
    for (size_t i = 0; i < bytes; i += 4096)
        stack[i] = 1;
}

static void *run(void *context)
{
    struct work *work = context;
    fill(work->seed, work->bytes);
    touch_stack(work->stack_bytes);
    (void)pthread_barrier_wait(work->barrier);
    (void)pause();
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned long values[7] = {0};
    for (int i = 1; i < argc && i < 8; i++)
        values[i - 1] = strtoul(argv[i], NULL, 10);
    size_t threads = values[2];
    pthread_barrier_t barrier;
    (void)pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    fill(values[0], values[1] << 20);
    for (size_t i = 0; i < values[4]; i++)
        memset(malloc(values[5] << 10), 1, values[5] << 10);
    struct work *works = calloc(threads + 1, sizeof *works);
    for (size_t i = 0; i < threads; i++) {
        pthread_t thread;
        works[i] = (struct work){values[0] + i, values[3] << 20, values[6] << 10, &barrier};
        if (pthread_create(&thread, NULL, run, &works[i]) != 0)
            return 1;
    }
    (void)pthread_barrier_wait(&barrier);
    unsigned long long heap_main = 0;
    unsigned long long heap_arenas = 0;
    fixture_heaps(&heap_main, &heap_arenas);
    struct mallinfo2 info = mallinfo2();
    printf("{\"classes\": {\"malloc_main\": %llu, \"malloc_arena\": %llu, \"malloc_mapped\": %zu, "
           "\"stack_thread\": %zu}, \"live\": %zu, \"free\": %zu, \"threads\": %zu}\n",
           heap_main, heap_arenas, info.hblkhd, threads * (values[6] << 10), info.uordblks,
           info.fordblks, threads);
    return fixture_wait();
}
