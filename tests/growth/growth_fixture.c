/* Processes that grow, or do not, in every way that the doctor tells apart: an unmodified glibc
 * program that works when it is asked to, so that a test's time is counted in its operations.
 *
 * usage: growth_fixture KIND SEED STEPS, commands on stdin, reports on stdout (growth_fixture.h) */
#include "growth_fixture.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024.0 * 1024)

static uint64_t random_state;
static struct growth_report report = {.cache = -1, .cache_limit = -1};
static int steps;

static uint64_t draw(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

/* --- memory, with what it holds counted ------------------------------------------------------- */

static void *take(size_t size)
{
    char *memory = malloc(size);
    if (memory == NULL)
        abort();
    memset(memory, 0x5a, size);
    report.live += (double)malloc_usable_size(memory);
    return memory;
}

static void give(void *memory)
{
    if (memory == NULL)
        return;
    report.live -= (double)malloc_usable_size(memory);
    free(memory);
}

/* Requests as servers have them: a table of blocks of which some are replaced each time. */
#define TABLE 2000
static void *table[TABLE];

static void serve(int requests)
{
    for (int i = 0; i < requests; i++) {
        size_t at = draw(TABLE);
        give(table[at]);
        table[at] = take(64 + draw(1500));
        report.operations++;
    }
}

/* A list of blocks that is kept. */
struct block {
    struct block *next;
};
static struct block *kept;

static void keep(double bytes)
{
    for (double taken = 0; taken < bytes;) {
        size_t size = 512 + draw(3000);
        struct block *block = take(size);
        block->next = kept;
        kept = block;
        taken += (double)size;
    }
}

static void drop_all(void)
{
    while (kept != NULL) {
        struct block *next = kept->next;
        give(kept);
        kept = next;
    }
}

/* --- the kinds ------------------------------------------------------------------------------ */

static void step_quiet(int step)
{
    (void)step;
    serve(400);
}

static void step_leak(int step)
{
    (void)step;
    serve(400);
    for (int i = 0; i < 40; i++)
        (void)take(200 + draw(600)); /* one request in ten forgets its answer */
}

#define CACHE_LIMIT (16 * MIB)
static void fill_to(double bytes)
{
    double before = report.live;
    keep(bytes - report.cache);
    report.cache += report.live - before;
}

static void step_cache(int step)
{
    serve(400);
    if (step == 0)
        report.cache = 0;
    report.cache_limit = CACHE_LIMIT;
    /* Three quarters full at the end. */
    double target = 0.75 * CACHE_LIMIT * (step + 1) / steps;
    if (target > report.cache)
        fill_to(target);
}

/* Full before the watch begins. */
static void step_full_cache(int step)
{
    serve(400);
    report.cache_limit = CACHE_LIMIT;
    if (step == 0) {
        report.cache = 0;
        fill_to(CACHE_LIMIT);
    }
}

/* Everybody who will ever log in does so in the first quarter. */
static void step_high_water(int step)
{
    serve(400);
    if (step < steps / 4)
        keep(12 * MIB * 4 / steps);
}

static void step_step(int step)
{
    serve(400);
    if (step == steps * 3 / 5)
        keep(12 * MIB);
}

/* Garbage until it is collected. */
static int collect_in;
static void step_churn(int step)
{
    (void)step;
    serve(400);
    if (collect_in-- == 0) {
        drop_all();
        (void)malloc_trim(0);
        collect_in = 12 + (int)draw(4);
    }
    keep(0.5 * MIB);
}

static void step_churn_leak(int step)
{
    step_churn(step);
    for (int i = 0; i < 40; i++)
        (void)take(1000 + draw(1000));
}

/* --- arena drift ----------------------------------------------------------------------------- */

/* 32 pool threads take turns: a burst of 24 MiB each (2 MiB of the small kind), all of it freed but
 * one block of 64 bytes. As many arenas as glibc makes on two processors. */
#define POOL 32
#define ARENAS 16
#define BURST_BLOCK 8192
#define BURST_BLOCKS (24 * 1024 * 1024 / BURST_BLOCK)
#define BURST_BLOCKS_SMALL (2 * 1024 * 1024 / BURST_BLOCK)
#define BURST_EVERY 4

static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn = -1; /* the thread whose turn it is */
static bool has_survivors;
static int burst_blocks = BURST_BLOCKS;

static void burst(void)
{
    static void *blocks[BURST_BLOCKS];
    for (int i = 0; i < burst_blocks; i++)
        blocks[i] = take(BURST_BLOCK);
    if (has_survivors)
        (void)take(64);
    for (int i = 0; i < burst_blocks; i++)
        give(blocks[i]);
}

static void *pool_thread(void *argument)
{
    int self = (int)(intptr_t)argument;
    for (;;) {
        (void)pthread_mutex_lock(&turn_lock);
        while (turn != self)
            (void)pthread_cond_wait(&turn_changed, &turn_lock);
        burst();
        turn = -1;
        (void)pthread_cond_broadcast(&turn_changed);
        (void)pthread_mutex_unlock(&turn_lock);
    }
    return NULL;
}

static void give_turn(int thread)
{
    (void)pthread_mutex_lock(&turn_lock);
    turn = thread;
    (void)pthread_cond_broadcast(&turn_changed);
    while (turn != -1)
        (void)pthread_cond_wait(&turn_changed, &turn_lock);
    (void)pthread_mutex_unlock(&turn_lock);
}

static void start_pool(bool survivors)
{
    has_survivors = survivors;
    for (int i = 0; i < POOL; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, pool_thread, (void *)(intptr_t)i) != 0)
            abort();
    }
    /* Without survivors every arena is made before the watch: that is all that they keep. */
    for (int i = 0; i < POOL && !survivors; i++)
        give_turn(i);
}

static void step_drift(int step)
{
    serve(100);
    if (step % BURST_EVERY == 0)
        give_turn(step / BURST_EVERY % POOL);
}

/* --- commands ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*step)(int step);
    int pool; /* 1: threads, 2: whose bursts leave survivors */
} KINDS[] = {
    {"quiet", step_quiet, 0},           {"leak", step_leak, 0},
    {"cache", step_cache, 0},           {"full_cache", step_full_cache, 0},
    {"high_water", step_high_water, 0}, {"step", step_step, 0},
    {"churn", step_churn, 0},           {"churn_leak", step_churn_leak, 0},
    {"drift", step_drift, 2},           {"drift_small", step_drift, 2},
    {"drift_clean", step_drift, 1},
};

int main(int argc, char **argv)
{
    size_t kind = 0;
    while (argc == 4 && kind < sizeof KINDS / sizeof KINDS[0] &&
           strcmp(argv[1], KINDS[kind].name) != 0)
        kind++;
    if (argc != 4 || kind == sizeof KINDS / sizeof KINDS[0]) {
        (void)fprintf(stderr, "usage: growth_fixture KIND SEED STEPS\n");
        return 2;
    }
    random_state = strtoull(argv[2], NULL, 10) * 2654435761u + 1;
    steps = (int)strtol(argv[3], NULL, 10);
    (void)mallopt(M_ARENA_MAX, ARENAS);
    if (strcmp(argv[1], "drift_small") == 0)
        burst_blocks = BURST_BLOCKS_SMALL;
    if (KINDS[kind].pool > 0)
        start_pool(KINDS[kind].pool == 2);
    serve(4 * TABLE);
    /* Warm: the heap has got its holes, so that what grows later is not their making. */
    for (int i = 0; i < 100 && strcmp(argv[1], "churn") == 0; i++)
        step_churn(i);
    char command;
    for (int step = 0; read(STDIN_FILENO, &command, 1) == 1;) {
        if (command == GROWTH_TRIM)
            (void)malloc_trim(0);
        else
            KINDS[kind].step(step++);
        if (write(STDOUT_FILENO, &report, sizeof report) != (ssize_t)sizeof report)
            return 1;
    }
    return 0;
}
