/* A reactor that does as its query says; for tests of instance modes. It counts in its own memory,
 * and `_initialize` begins the count at 100. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../../examples/guests/reactor.h"

static volatile unsigned count;
static volatile unsigned set_ups;
static char *volatile kept;
static FILE *file;

__attribute__((constructor)) static void set_up(void)
{
    set_ups++;
    count = 100;
    printf("nobody hears this\n");
}

static long number(const char *name)
{
    const char *query = reactor_env("QUERY_STRING");
    size_t size = strlen(name);
    return strncmp(query, name, size) == 0 && query[size] == '=' ? atol(query + size + 1) : -1;
}

static int is(const char *name)
{
    return strcmp(reactor_env("QUERY_STRING"), name) == 0;
}

static unsigned __attribute__((noinline)) deeper(unsigned depth)
{
    return depth == 0xffffffffu ? depth : deeper(depth + 1) + count;
}

static void leak(long bytes)
{
    char *block = malloc((size_t)bytes);
    if (block == NULL)
        __builtin_trap();
    memset(block, 1, (size_t)bytes);
    kept = block;
}

static unsigned long read_body(void)
{
    static char buffer[4096];
    unsigned long total = 0;
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        total += got;
    return total;
}

static void misbehave(void)
{
    if (is("trap"))
        __builtin_trap();
    if (is("loop"))
        for (;;)
            count++;
    if (is("recurse"))
        count = deeper(0);
    if (is("sleep"))
        sleep(3600);
    if (is("bomb"))
        for (;;)
            leak(1 << 20);
    if (number("exit") >= 0)
        exit((int)number("exit"));
    if (number("leak") > 0)
        leak(number("leak"));
    if (number("nap") > 0)
        usleep((useconds_t)number("nap") * 1000);
    if (is("close")) {
        close(0);
        close(1);
        close(2);
    }
}

static int handle_as(const char *name)
{
    reactor_begin();
    count++;
    misbehave();
    if (is("flood"))
        for (;;)
            printf("%s\n", name);
    if (is("garbage")) {
        printf("no header\n\n");
        return reactor_end();
    }
    unsigned long body = is("ignore") ? 0 : read_body();
    if (number("after") > 0)
        usleep((useconds_t)number("after") * 1000);
    if (is("file"))
        file = fopen("/data/kept.txt", "r"); /* stays open */
    printf("Content-Type: text/plain\nX-Count: %u\n\n", count);
    printf("count=%u set_ups=%u body=%lu handler=%s query=%s route=%s file=%d\n", count, set_ups,
           body, name, reactor_env("QUERY_STRING"), reactor_env("ROUTE"), file != NULL);
    if (number("fill") > 0)
        for (long i = 0; i < number("fill"); i++)
            putchar('x');
    int answer = reactor_end();
    return number("answer") >= 0 ? (int)number("answer") : answer;
}

__attribute__((export_name("handle"))) int handle(void)
{
    return handle_as("handle");
}

__attribute__((export_name("other"))) void other(void)
{
    (void)handle_as("other");
}

__attribute__((export_name("wrong"))) int wrong(int x)
{
    return x;
}
