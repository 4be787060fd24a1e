/* The monotonic clock, which tests may replace: it never goes back and does not count suspension.
 * The system's clock, and times as the system has them. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define WEIR_MS_NS UINT64_C(1000000)
#define WEIR_SECOND_NS UINT64_C(1000000000)

uint64_t weir_clock_ns(void);
uint64_t weir_clock_ms(void);

/* Since 1970, by the system's clock: it may be set, and so go back. */
uint64_t weir_clock_unix_ns(void);

static inline struct timespec weir_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / WEIR_SECOND_NS),
                             .tv_nsec = (long)(ns % WEIR_SECOND_NS)};
}

/* Of a time that is not before the clock's beginning. */
static inline uint64_t weir_timespec_ns(struct timespec time)
{
    return (uint64_t)time.tv_sec * WEIR_SECOND_NS + (uint64_t)time.tv_nsec;
}

/* Tests: from now on the clock answers what `now_ns` does; NULL switches back. Process-wide; set
 * it while no other thread reads the clock. */
void weir_clock_replace(uint64_t (*now_ns)(void *context), void *context);

#endif
