/* 20,000 whole lives, engine and all, of five kinds: plain with a trap, pooled, WASI, refused by a
 * limit, cancelled. Nothing is left behind (DESIGN 7). Its own executable, as growth is measured on
 * a whole process; under sanitizers, which keep memory, fewer lives and only what is counted. */
#include "tests/sweep/sweep_path.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "tests/run_suite.h"

#define GROWTH_MAX ((int64_t)256 << 10)

static void live(const struct sweep_artifacts *artifacts, int count)
{
    static bool (*const paths[])(const struct sweep_artifacts *) = {
        path_plain, path_pool, path_wasi, path_limited, path_cancelled};
    for (int i = 0; i < count; i++)
        ck_assert(paths[i % 5](artifacts));
}

START_TEST(leaves_nothing)
{
    bool is_watched = WEIR_ASAN || WEIR_TSAN;
    int count = is_watched ? 500 : 20000;
    struct sweep_artifacts artifacts;
    sweep_artifacts_make(&artifacts);
    live(&artifacts, 400);
    struct sweep_state before;
    uint64_t small = 0;
    uint64_t large = 0;
    sweep_state_read(&before);
    ck_assert_int_eq(weir_growth_read(&small, NULL), WEIR_OK);
    live(&artifacts, count);
    ck_assert_int_eq(weir_growth_read(&large, NULL), WEIR_OK);
    sweep_state_expect(&before, "in the end");
    int64_t growth = (int64_t)(large - small);
    (void)printf("%d lives: %lld bytes\n", count, (long long)growth);
    if (!is_watched)
        ck_assert_int_le(growth, GROWTH_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("growth");
    TCase *tests = tcase_create("lives");
    tcase_add_test(tests, leaves_nothing);
    suite_add_tcase(suite, tests);
    return run_suite_unforked(suite);
}
