/* CLOCK_MONOTONIC, or what a test put in its place. */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t (*replacement)(void *context);
static void *replacement_context;

uint64_t weir_clock_ns(void)
{
    if (replacement != NULL)
        return replacement(replacement_context);
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail on Linux */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t weir_clock_ms(void)
{
    return weir_clock_ns() / 1000000u;
}

void weir_clock_replace(uint64_t (*now_ns)(void *context), void *context)
{
    replacement_context = context;
    replacement = now_ns;
}
