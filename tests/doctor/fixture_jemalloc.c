/* A process of jemalloc that knows what it holds (stats.resident of mallctl).
 * usage: fixture_jemalloc SEED MIB */
#include "fixture_common.h"

#include <jemalloc/jemalloc.h>

static size_t statistic(const char *name)
{
    size_t value = 0;
    size_t size = sizeof value;
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

/* With what the size class adds, which the statistics count. */
static void *allocate(size_t size)
{
    void *block = malloc(size);
    memset(block, 1, malloc_usable_size(block));
    return block;
}

int main(int argc, char **argv)
{
    fixture_fill(argc, argv, allocate);
    uint64_t epoch = 1;
    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    printf("{\"classes\": {\"jemalloc\": %zu}}\n", statistic("stats.resident"));
    return fixture_wait();
}
