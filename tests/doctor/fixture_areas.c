/* A process whose areas never stand still: threads split and join areas whose memory stays, map,
 * move and unmap others, begin and end threads. What it holds at least and at most is known all the
 * time.
 *
 * usage: fixture_areas SEED SPLITTERS MOVERS
 *        fixture_areas exec MILLISECONDS     begins itself again and again instead */
#include "fixture_common.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

#define PAGE 4096u
#define STILL_PAGES 4096u /* of each splitter; touched once, never given back */
#define MOVING_PAGES 16u  /* that a mover holds at most */

static pthread_barrier_t touched;

static uint64_t next_number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void *map(size_t pages)
{
    char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0);
    if (memory == MAP_FAILED)
        abort();
    (void)madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
    memset(memory, 1, pages * PAGE);
    return memory;
}

static void rest(uint64_t *seed)
{
    if (next_number(seed) % 256 == 0)
        (void)usleep(200); /* a machine with few processors goes on */
}

/* Rights of ranges change: areas split, and join again over what was behind them. */
static void *split(void *context)
{
    static const int rights[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
                                 PROT_NONE};
    uint64_t seed = (uint64_t)(uintptr_t)context;
    char *memory = map(STILL_PAGES);
    (void)pthread_barrier_wait(&touched);
    for (;;) {
        size_t first = next_number(&seed) % STILL_PAGES;
        size_t count = 1 + next_number(&seed) % (STILL_PAGES - first);
        if (mprotect(memory + first * PAGE, count * PAGE, rights[next_number(&seed) % 4]) != 0 &&
            errno != ENOMEM)
            abort();
        rest(&seed);
    }
    return NULL;
}

static void *idle(void *context)
{
    return context;
}

/* Areas come, grow, shrink and go; so do threads. */
static void *move(void *context)
{
    uint64_t seed = (uint64_t)(uintptr_t)context;
    for (;;) {
        size_t pages = 1 + next_number(&seed) % MOVING_PAGES;
        size_t others = 1 + next_number(&seed) % MOVING_PAGES;
        char *memory = map(pages);
        memory = mremap(memory, pages * PAGE, others * PAGE, MREMAP_MAYMOVE);
        if (memory == MAP_FAILED)
            abort();
        memset(memory, 2, others * PAGE);
        (void)munmap(memory, others * PAGE);
        pthread_t thread;
        if (next_number(&seed) % 16 == 0 && pthread_create(&thread, NULL, idle, NULL) == 0)
            (void)pthread_join(thread, NULL);
        rest(&seed);
    }
    return NULL;
}

static void begin(void *(*run)(void *), uint64_t seed)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, (void *)(uintptr_t)seed) != 0)
        abort();
}

/* Until stdin ends. */
static int begin_again(int argc, char **argv)
{
    static char seen[] = "again";
    char *again[] = {argv[0], argv[1], argv[2], seen, NULL};
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (argc == 3) {
        printf("{}\n");
        (void)fflush(stdout);
    }
    if (poll(&input, 1, (int)strtol(argv[2], NULL, 10)) == 0)
        (void)execv("/proc/self/exe", again);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    if (strcmp(argv[1], "exec") == 0)
        return begin_again(argc, argv);
    uint64_t seed = strtoull(argv[1], NULL, 10);
    long splitters = strtol(argv[2], NULL, 10);
    long movers = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    (void)pthread_barrier_init(&touched, NULL, (unsigned)splitters + 1);
    for (long i = 0; i < splitters; i++)
        begin(split, seed++);
    for (long i = 0; i < movers; i++)
        begin(move, seed++);
    (void)pthread_barrier_wait(&touched);
    printf("{\"still\": %ld, \"moving\": %ld}\n", splitters * (long)(STILL_PAGES * PAGE),
           movers * (long)(MOVING_PAGES * PAGE));
    return fixture_wait();
}
