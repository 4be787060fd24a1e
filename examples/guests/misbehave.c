/* Everything a handler should not do, on request: the query says what. For trying out limits.
 *
 *   curl -i 'http://127.0.0.1:7070/misbehave?loop'      never ends
 *   ...?trap      executes unreachable code             ...?recurse   runs out of stack
 *   ...?bomb      takes memory until none is left       ...?flood     writes without end
 *   ...?exit=3    ends with that exit code              ...?silent    answers nothing
 *   ...?garbage   answers what is no header             ...?sleep     sleeps for an hour
 *   ...?late      traps after half of its answer        ...?short     says more than it sends
 *   ...?hoard     takes memory, keeps it, answers       ...?wild      reads beyond its memory
 *   ...?drip      answers in drops, asleep between them
 *   ...?stall     answers a drop, sleeps for an hour
 *   ...?hold      takes memory, keeps it, sleeps for an hour
 *   ...?deep      fills its stack halfway, sleeps there for an hour
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile uint32_t counter;
static char *volatile kept; /* or the compiler sees that nobody needs the memory */

static void loop(const char *argument)
{
    (void)argument;
    for (;;)
        counter++;
}

static void trap(const char *argument)
{
    (void)argument;
    __builtin_trap();
}

/* Nothing of a frame lives in memory, so the call stack ends before the memory does. */
static uint32_t __attribute__((noinline)) deeper(uint32_t depth)
{
    counter = depth;
    return depth == UINT32_MAX ? depth : deeper(depth + 1) + counter;
}

static void recurse(const char *argument)
{
    (void)argument;
    counter = deeper(0);
}

static size_t take_memory(void)
{
    size_t taken = 0;
    for (;;) {
        char *block = malloc(1 << 20);
        if (block == NULL)
            return taken;
        memset(block, 1, 1 << 20);
        kept = block;
        taken += 1 << 20;
    }
}

static void bomb(const char *argument)
{
    (void)argument;
    counter = (uint32_t)take_memory();
    fprintf(stderr, "no more memory after %u bytes\n", counter);
    abort();
}

static void hoard(const char *argument)
{
    (void)argument;
    printf("Content-Type: text/plain\n\n%zu MiB\n", take_memory() >> 20);
    exit(0);
}

static void flood(const char *argument)
{
    static char block[4096];
    (void)argument;
    memset(block, 'x', sizeof block);
    printf("Content-Type: text/plain\n\n");
    fflush(stdout);
    for (;;)
        counter += (uint32_t)write(1, block, sizeof block);
}

static void end(const char *argument)
{
    fprintf(stderr, "ending as asked\n");
    exit(atol(argument) & 0xff);
}

static void silent(const char *argument)
{
    (void)argument;
    exit(0);
}

static void garbage(const char *argument)
{
    (void)argument;
    printf("this is not a header\n\nand this no body\n");
    exit(0);
}

static void sleep_long(const char *argument)
{
    (void)argument;
    sleep(3600);
    exit(0);
}

static void hold(const char *argument)
{
    (void)take_memory();
    sleep_long(argument);
}

static uint32_t __attribute__((noinline)) sink(uint32_t depth)
{
    counter = depth;
    if (depth == 0)
        sleep_long("");
    return depth == 0 ? 0 : sink(depth - 1) + counter;
}

static void deep(const char *argument)
{
    (void)argument;
    counter = sink(10000);
}

static void drip(const char *argument)
{
    (void)argument;
    printf("Content-Type: text/plain\n\n");
    for (int i = 0; i < 4; i++) {
        printf("drop %d\n", i);
        fflush(stdout);
        usleep(50000);
    }
    exit(0);
}

static void stall(const char *argument)
{
    printf("Content-Type: text/plain\n\ndrop\n");
    fflush(stdout);
    sleep_long(argument);
}

static void late(const char *argument)
{
    static char block[4096];
    (void)argument;
    memset(block, 'x', sizeof block);
    printf("Content-Type: text/plain\n\n");
    for (int i = 0; i < 64; i++)
        fwrite(block, 1, sizeof block, stdout);
    fflush(stdout);
    __builtin_trap();
}

static void shorter(const char *argument)
{
    (void)argument;
    printf("Content-Type: text/plain\nContent-Length: 1000\n\nfar less\n");
    exit(0);
}

static void wild(const char *argument)
{
    (void)argument;
    volatile char *pointer = (volatile char *)(uintptr_t)0xfffffff0u;
    counter = (uint32_t)*pointer;
}

static const struct {
    const char *name;
    void (*act)(const char *argument);
} ACTS[] = {
    {"loop", loop},        {"trap", trap}, {"recurse", recurse}, {"bomb", bomb},
    {"flood", flood},      {"exit", end},  {"silent", silent},   {"garbage", garbage},
    {"sleep", sleep_long}, {"late", late}, {"short", shorter},   {"hoard", hoard},
    {"wild", wild},        {"drip", drip}, {"hold", hold},       {"deep", deep},
    {"stall", stall},
};

int main(void)
{
    const char *query = getenv("QUERY_STRING");
    const char *name = query != NULL ? query : "";
    size_t size = strcspn(name, "=&");
    const char *argument = name[size] == '=' ? name + size + 1 : "1";
    for (size_t i = 0; i < sizeof ACTS / sizeof ACTS[0]; i++)
        if (strlen(ACTS[i].name) == size && strncmp(ACTS[i].name, name, size) == 0)
            ACTS[i].act(argument);
    printf("Content-Type: text/plain\n\nbehaving; ask for one of:");
    for (size_t i = 0; i < sizeof ACTS / sizeof ACTS[0]; i++)
        printf(" %s", ACTS[i].name);
    printf("\n");
    return 0;
}
