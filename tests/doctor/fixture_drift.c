/* Arena drift: pool threads take turns, one burst of blocks each, all freed but one small block.
 * Prints what malloc says it uses and waits; on a line of input it trims and prints again.
 *
 * usage: fixture_drift THREADS BURST_MIB BURSTS */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static long turn; /* the burst that is next; burst i belongs to thread i modulo their number */
static long bursts;
static long threads;
static long burst_bytes;

static void burst(void)
{
    long count = burst_bytes / BLOCK;
    char **blocks = malloc((size_t)count * sizeof *blocks);
    for (long i = 0; i < count; i++) {
        blocks[i] = malloc(BLOCK);
        memset(blocks[i], 1, BLOCK);
    }
    for (long i = 0; i < count; i++)
        if (i != count - 2) /* near the top, so that the heap cannot shrink below it */
            free(blocks[i]);
    free(blocks);
}

static void *run(void *context)
{
    long own = (long)(intptr_t)context;
    (void)pthread_mutex_lock(&lock);
    for (;;) {
        while (turn < bursts && turn % threads != own)
            (void)pthread_cond_wait(&turned, &lock);
        if (turn >= bursts)
            break;
        burst();
        turn++;
        (void)pthread_cond_broadcast(&turned);
    }
    (void)pthread_cond_wait(&turned, &lock); /* for ever: nobody turns any more */
    return NULL;
}

static void report(void)
{
    struct mallinfo2 info = mallinfo2();
    printf("{\"classes\": {}, \"live\": %zu, \"free\": %zu}\n", info.uordblks, info.fordblks);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    threads = strtol(argv[1], NULL, 10);
    burst_bytes = strtol(argv[2], NULL, 10) << 20;
    bursts = strtol(argv[3], NULL, 10);
    for (long i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run, (void *)(intptr_t)i) != 0)
            return 1;
    }
    (void)pthread_mutex_lock(&lock);
    while (turn < bursts)
        (void)pthread_cond_wait(&turned, &lock);
    (void)pthread_mutex_unlock(&lock);
    report();
    char line[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        (void)malloc_trim(0);
        report();
    }
    _exit(0);
}
