/* CLOCK_MONOTONIC, or what a test put in its place; CLOCK_REALTIME as it is. */
#include "base/clock.h"

#include <stddef.h>

static uint64_t (*replacement)(void *context);
static void *replacement_context;

uint64_t weir_clock_ns(void)
{
    if (replacement != NULL)
        return replacement(replacement_context);
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail on Linux */
    return weir_timespec_ns(now);
}

uint64_t weir_clock_ms(void)
{
    return weir_clock_ns() / WEIR_MS_NS;
}

uint64_t weir_clock_unix_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return weir_timespec_ns(now);
}

void weir_clock_replace(uint64_t (*now_ns)(void *context), void *context)
{
    replacement_context = context;
    replacement = now_ns;
}
