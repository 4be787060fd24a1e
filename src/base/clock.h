/* The monotonic clock, which tests may replace. Never goes back, does not count suspension. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

uint64_t weir_clock_ns(void);
uint64_t weir_clock_ms(void);

/* Tests: from now on the clock answers what `now_ns` does; NULL switches back. Process-wide; set
 * it while no other thread reads the clock. */
void weir_clock_replace(uint64_t (*now_ns)(void *context), void *context);

#endif
