/* The C side of the stand-in node; see native.h. Linked into the Go program by cgo. */
#define _GNU_SOURCE
#include "native.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define PIECE_BYTES 65536u /* below malloc's mmap threshold: it comes from an arena */

/* --- modules -------------------------------------------------------------------------------- */

struct native_module {
    void *code;
    size_t code_size;
    char tables[];
};

struct native_module *native_module_new(size_t size)
{
    size_t code_size = size / 2 / PAGE * PAGE + PAGE;
    size_t table_size = size > code_size ? size - code_size : 0;
    struct native_module *module = malloc(sizeof *module + table_size);
    if (module == NULL)
        return NULL;
    module->code =
        mmap(NULL, code_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    module->code_size = code_size;
    if (module->code == MAP_FAILED) {
        free(module);
        return NULL;
    }
    memset(module->code, 0xc3, code_size);
    memset(module->tables, 1, table_size);
    (void)mprotect(module->code, code_size, PROT_READ | PROT_EXEC);
    return module;
}

void native_module_free(struct native_module *module)
{
    (void)munmap(module->code, module->code_size);
    free(module);
}

/* --- threads -------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned waiting_count;

/* Deep calls, as a native program that runs contracts makes them. */
static __attribute__((noinline)) unsigned use_stack(size_t bytes)
{
    volatile char frame[PAGE];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)i;
    return bytes > 2 * PAGE ? use_stack(bytes - PAGE) + (unsigned char)frame[1] : 0;
}

static void *wait_for_ever(void *argument)
{
    (void)use_stack((size_t)(uintptr_t)argument);
    (void)pthread_mutex_lock(&lock);
    waiting_count++;
    (void)pthread_cond_broadcast(&changed);
    for (;;)
        (void)pthread_cond_wait(&changed, &lock);
    return NULL;
}

unsigned native_threads_start(unsigned count, size_t stack_bytes)
{
    unsigned started = 0;
    (void)pthread_mutex_lock(&lock);
    unsigned before = waiting_count;
    (void)pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, wait_for_ever, (void *)(uintptr_t)stack_bytes) != 0)
            break;
        (void)pthread_detach(thread);
        started++;
    }
    (void)pthread_mutex_lock(&lock);
    while (waiting_count < before + started)
        (void)pthread_cond_wait(&changed, &lock);
    unsigned now = waiting_count;
    (void)pthread_mutex_unlock(&lock);
    return now;
}

/* --- bursts --------------------------------------------------------------------------------- */

struct bursts {
    pthread_barrier_t begin, end;
    pthread_mutex_t turn;
    size_t bytes;
};

static void *burst(void *argument)
{
    struct bursts *bursts = argument;
    size_t count = bursts->bytes / PIECE_BYTES;
    /* The first piece attaches this thread to its arena, before the others begin. */
    void *first = malloc(64);
    (void)pthread_barrier_wait(&bursts->begin);
    (void)pthread_mutex_lock(&bursts->turn);
    void **pieces = calloc(count, sizeof *pieces);
    for (size_t i = 0; pieces != NULL && i < count; i++) {
        pieces[i] = malloc(PIECE_BYTES - 16);
        if (pieces[i] != NULL)
            memset(pieces[i], 1, PIECE_BYTES - 16);
    }
    void *survivor = malloc(64);
    for (size_t i = 0; pieces != NULL && i < count; i++)
        free(pieces[i]);
    free(pieces);
    (void)pthread_mutex_unlock(&bursts->turn);
    (void)pthread_barrier_wait(&bursts->end);
    free(first);
    return survivor; /* never freed: it holds the arena's top where it is */
}

void native_bursts(unsigned threads, size_t bytes)
{
    struct bursts bursts = {.turn = PTHREAD_MUTEX_INITIALIZER, .bytes = bytes};
    pthread_t *ids = calloc(threads, sizeof *ids);
    if (ids == NULL || threads == 0)
        return;
    (void)pthread_barrier_init(&bursts.begin, NULL, threads);
    (void)pthread_barrier_init(&bursts.end, NULL, threads);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, burst, &bursts) != 0)
            abort(); /* the others wait at the barrier: there is no way back */
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(ids[i], NULL);
    (void)pthread_barrier_destroy(&bursts.begin);
    (void)pthread_barrier_destroy(&bursts.end);
    free(ids);
}

/* --- the rest ------------------------------------------------------------------------------- */

/* What wasmer reserves for a memory of 32 bits: 4 GiB and a guard of 2. */
#define WASM_RESERVATION ((size_t)6 << 30)

void *native_hold(size_t bytes)
{
    void *memory =
        mmap(NULL, WASM_RESERVATION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (mprotect(memory, bytes, PROT_READ | PROT_WRITE) != 0) {
        native_release(memory);
        return NULL;
    }
    memset(memory, 1, bytes);
    return memory;
}

void native_release(void *memory)
{
    if (memory != NULL)
        (void)munmap(memory, WASM_RESERVATION);
}

struct native_heap native_heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return (struct native_heap){info.arena, info.uordblks, info.fordblks, info.hblkhd};
}
