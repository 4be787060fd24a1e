/* The whole way of a guest, from engine to close, each step of which may fail; and what must be as
 * it was before, whatever happened on the way. */
#ifndef WEIR_TEST_SWEEP_PATH_H
#define WEIR_TEST_SWEEP_PATH_H

#include "ledger/ledger.h"
#include "tests/unit/runtime/runtime_fixture.h"

struct sweep_artifacts {
    int guest;
    int guest_explicit; /* the same with explicit bounds */
    int wasi;
};

/* What a path was about to do, of the names that the paths give, and where it failed first; NULL:
 * nowhere yet. Cleared by whoever starts a path. */
extern const char *sweep_step;
extern const char *sweep_failed;

/* Each releases everything it made. False when some step answered with an error, or a guest was
 * refused something; fails the test when an error has no message or a result is wrong. */
bool path_plain(const struct sweep_artifacts *artifacts);
bool path_pool(const struct sweep_artifacts *artifacts);
bool path_resident(const struct sweep_artifacts *artifacts);
bool path_wasi(const struct sweep_artifacts *artifacts);
/* A guest that asks for more than its store may have, and one that never ends. */
bool path_limited(const struct sweep_artifacts *artifacts);
bool path_cancelled(const struct sweep_artifacts *artifacts);
bool path_compile(const struct sweep_artifacts *artifacts);
bool path_explicit(const struct sweep_artifacts *artifacts);
/* What a host makes in a store by itself, handles, and an instance that ends before its store. */
bool path_host_made(const struct sweep_artifacts *artifacts);
/* Closes a store that did everything, while what it asks for is refused: it asks for no more than a
 * place in the cache of stacks, and goes without. */
void sweep_close_needs_nothing(const struct sweep_artifacts *artifacts);

struct sweep_state {
    uint64_t kinds[WEIR_KIND_COUNT];
    uint64_t heap_bytes;
    size_t mapping_count;
    unsigned descriptor_count;
};
void sweep_state_read(struct sweep_state *ret);
void sweep_state_expect(const struct sweep_state *before, const char *what);

void sweep_artifacts_make(struct sweep_artifacts *ret);

#endif
