/* The n-th charge fails, for every n, on each whole path: an error (or a cache that goes
 * without), and nothing else. Afterwards
 * accounts, heap, mappings and descriptors are as before, and the same path works. */
#include "tests/sweep/sweep_path.h"

#include <stdio.h>
#include <stdlib.h>

#define CHARGES_MAX 5000
/* Caches that are refused go without: a stack is unmapped instead of kept, a slot not kept warm. */
#define UNNOTICED_MAX 8

static bool (*const paths[])(const struct sweep_artifacts *) = {
    path_plain, path_pool, path_resident, path_wasi, path_compile};

START_TEST(fails_cleanly)
{
    bool (*path)(const struct sweep_artifacts *) = paths[_i];
    struct sweep_artifacts artifacts;
    sweep_artifacts_make(&artifacts);
    ck_assert(path(&artifacts));
    ck_assert(path(&artifacts));
    struct sweep_state before;
    sweep_state_read(&before);
    uint64_t n = 1;
    unsigned unnoticed = 0;
    for (; n < CHARGES_MAX; n++) {
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
        ck_assert_msg(path(&artifacts), "after %s nothing works", what); /* caches are full again */
        sweep_state_expect(&before, what);
    }
    ck_assert_uint_gt(n, 3);
    ck_assert_uint_le(unnoticed, UNNOTICED_MAX);
    ck_assert_uint_lt(n, CHARGES_MAX);
    ck_assert(path(&artifacts));
    sweep_state_expect(&before, "in the end");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation failures");
    TCase *tests = tcase_create("paths");
    tcase_add_loop_test(tests, fails_cleanly, 0, (int)(sizeof paths / sizeof paths[0]));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
