/* Between a growth fixture and its test: one byte asks for a step, one report answers. */
#ifndef WEIR_TESTS_GROWTH_FIXTURE_H
#define WEIR_TESTS_GROWTH_FIXTURE_H

#define GROWTH_GO 'g'   /* do one step of work */
#define GROWTH_TRIM 't' /* malloc_trim(0) */

struct growth_report {
    double operations;
    double cache, cache_limit; /* bytes; negative: the fixture has none */
    double live;               /* what it knows that it holds, for the test's own check */
};

#endif
