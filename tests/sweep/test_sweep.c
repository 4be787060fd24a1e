/* The n-th charge fails, for every n, on each whole path: an error (or a cache that goes
 * without), and nothing else. Afterwards
 * accounts, heap, mappings and descriptors are as before, and the same path works. */
#include "tests/run_suite.h"
#include "tests/sweep/sweep_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHARGES_MAX 5000
/* Caches that are refused go without: a stack is unmapped instead of kept, a slot not kept warm. */
#define UNNOTICED_MAX 8

#define STEPS_MAX 12

/* Each step that takes something must have been refused it at least once. */
static const struct {
    bool (*run)(const struct sweep_artifacts *artifacts);
    const char *steps[STEPS_MAX];
} paths[] = {
    {path_plain,
     {"engine", "load", "linker", "store", "instantiate", "call", "grow memory", "grow table",
      "call after a rest"}},
    {path_explicit,
     {"engine", "load", "linker", "store", "instantiate", "call", "grow memory", "grow table"}},
    {path_host_made,
     {"func of the host", "memory of the host", "memory grown by the host", "table of the host",
      "table grown by the host", "global of the host", "table of handles", "handle", "pin"}},
    {path_pool, {"take", "call", "grow memory"}},
    {path_resident, {"engine"}},
    {path_wasi, {"engine", "store", "instantiate"}},
    {path_compile, {"compile"}},
};

static bool is_hit[STEPS_MAX];

static void note_failure(size_t path)
{
    for (size_t i = 0; sweep_failed != NULL && i < STEPS_MAX && paths[path].steps[i] != NULL; i++)
        is_hit[i] |= strcmp(sweep_failed, paths[path].steps[i]) == 0;
}

START_TEST(fails_cleanly)
{
    bool (*path)(const struct sweep_artifacts *) = paths[_i].run;
    struct sweep_artifacts artifacts;
    sweep_artifacts_make(&artifacts);
    ck_assert(path(&artifacts));
    ck_assert(path(&artifacts));
    struct sweep_state before;
    sweep_state_read(&before);
    uint64_t n = 1;
    unsigned unnoticed = 0;
    for (; n < CHARGES_MAX; n++) {
        sweep_failed = NULL;
        (void)weir_ledger_fail_nth(n);
        bool is_done = path(&artifacts);
        uint64_t counted = weir_ledger_fail_nth(0);
        if (counted < n) {
            ck_assert(is_done);
            break;
        }
        char what[64];
        (void)snprintf(what, sizeof what, "charge %u", (unsigned)n);
        unnoticed += is_done;
        note_failure((size_t)_i);
        ck_assert_msg(path(&artifacts), "after %s nothing works", what); /* caches are full again */
        sweep_state_expect(&before, what);
    }
    ck_assert_uint_gt(n, 3);
    for (size_t i = 0; i < STEPS_MAX && paths[_i].steps[i] != NULL; i++)
        ck_assert_msg(is_hit[i], "'%s' was never refused anything", paths[_i].steps[i]);
    ck_assert_uint_le(unnoticed, UNNOTICED_MAX);
    ck_assert_uint_lt(n, CHARGES_MAX);
    ck_assert(path(&artifacts));
    sweep_state_expect(&before, "in the end");
}
END_TEST

START_TEST(closing_needs_nothing)
{
    struct sweep_artifacts artifacts;
    struct sweep_state before;
    sweep_artifacts_make(&artifacts);
    sweep_close_needs_nothing(&artifacts);
    sweep_state_read(&before);
    sweep_close_needs_nothing(&artifacts);
    sweep_state_expect(&before, "after closing without memory");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation failures");
    TCase *tests = tcase_create("paths");
    tcase_add_loop_test(tests, fails_cleanly, 0, (int)(sizeof paths / sizeof paths[0]));
    tcase_add_test(tests, closing_needs_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
