/* 20,000 whole lives, engine and all, of five kinds: plain with a trap, pooled, WASI, refused by a
 * limit, cancelled. Nothing is left behind (DESIGN 7). Its own executable, as growth is measured on
 * a whole process; under sanitizers, which keep memory, fewer lives and only what is counted. */
#include "tests/sweep/sweep_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/poison.h"
#include "ledger/equation.h"

#define GROWTH_MAX ((int64_t)256 << 10)

static _Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "sweep_growth: %s\n", what);
    exit(1);
}

static void live(const struct sweep_artifacts *artifacts, int count)
{
    static bool (*const paths[])(const struct sweep_artifacts *) = {
        path_plain, path_pool, path_wasi, path_limited, path_cancelled};
    for (int i = 0; i < count; i++) {
        if (!paths[i % 5](artifacts))
            give_up("a path failed");
    }
}

int main(void)
{
    bool is_watched = WEIR_ASAN || WEIR_TSAN;
    int count = is_watched ? 500 : 20000;
    struct sweep_artifacts artifacts;
    sweep_artifacts_make(&artifacts);
    live(&artifacts, 400);
    struct sweep_state before;
    uint64_t small = 0;
    uint64_t large = 0;
    struct weir_error error = {0};
    sweep_state_read(&before);
    if (weir_growth_read(&small, &error) != WEIR_OK)
        give_up(error.message);
    live(&artifacts, count);
    if (weir_growth_read(&large, &error) != WEIR_OK)
        give_up(error.message);
    struct sweep_state after;
    sweep_state_read(&after);
    int64_t growth = (int64_t)(large - small);
    (void)printf("%d lives: %lld bytes, mappings %zu to %zu, descriptors %u to %u\n", count,
                 (long long)growth, before.mapping_count, after.mapping_count,
                 before.descriptor_count, after.descriptor_count);
    if (!is_watched && growth > GROWTH_MAX)
        give_up("memory grew");
    if (after.mapping_count != before.mapping_count ||
        after.descriptor_count != before.descriptor_count || after.heap_bytes != before.heap_bytes)
        give_up("something is left behind");
    for (unsigned i = 0; i < WEIR_KIND_COUNT; i++) {
        if (after.kinds[i] != before.kinds[i])
            give_up(weir_kind_name((enum weir_kind)i));
    }
    return 0;
}
