/* A host of plugins on parallel threads, as it should be and with one mistake at a time, and what
 * is measured of it: for the test, the demonstration and the bench.
 *
 * It works in rounds: all threads run the same number of plugins, then all wait, and the process is
 * looked at. So what is counted between rounds is what nobody needs any more.
 */
#ifndef WEIR_TESTS_PARALLEL_HOST_H
#define WEIR_TESTS_PARALLEL_HOST_H

#include <weir/weir.h>

#include "doctor/verdict.h"

enum parallel_policy {
    PARALLEL_RIGHT,   /* a store for each plugin, closed when it is done */
    PARALLEL_STORES,  /* ... and kept in a list of the host */
    PARALLEL_HANDLES, /* plugins in turn in one store per thread, handles never closed */
    PARALLEL_ENGINES, /* an engine, a linker and a module for each plugin, kept */
    PARALLEL_ARENAS,  /* right, and beside it values of the host in bursts, all given back */
    PARALLEL_POLICY_COUNT
};
const char *parallel_policy_name(enum parallel_policy policy); /* "stores" */

#define PARALLEL_THREADS_MAX 64
#define PARALLEL_ROUNDS_MAX 1000

struct parallel_options {
    enum parallel_policy policy;
    unsigned threads;   /* each runs one plugin at a time */
    unsigned rounds;    /* at most, and 90 at least; from 100 on no longer than they should take */
    uint64_t round_ns;  /* about as long as a round takes: its number of plugins follows */
    unsigned lives_max; /* plugins of one thread in one round; 0: no limit */
};

struct parallel_figures {
    uint64_t growth_bytes;         /* DESIGN 7: memory, swap and page tables */
    uint64_t mappings, descriptors;
    uint64_t live_bytes;           /* what malloc says is in use, and resident mappings of ours */
    uint64_t slack_bytes;          /* free for malloc, resident for the kernel */
};

struct parallel_result {
    uint64_t completed;                    /* plugins, after warm-up */
    struct parallel_figures before, after; /* the end of warm-up, and of all */
    struct weir_verdict verdict;
    char headline[WEIR_VERDICT_TEXT_SIZE];
    struct weir_census_growth_reading charged, live; /* per plugin: by the ledger, by live_bytes */
    struct weir_retention_finding findings[WEIR_RETENTION_COUNT];
    struct weir_census_change top;         /* the largest change; its groups are copies below */
    struct weir_census_group top_group;    /* zero when nothing changed */
};

/* Ends the program where Weir fails it. One run per process: mistakes leave what they leave. */
void parallel_run(const struct parallel_options *options, struct parallel_result *ret_result);

/* The first pattern that is present; WEIR_RETENTION_COUNT: none. */
enum weir_retention_pattern parallel_pattern(const struct parallel_result *result);

#endif
