/* A process of jemalloc that knows what it holds (stats.resident of mallctl).
 * usage: fixture_jemalloc SEED MIB */
#include <jemalloc/jemalloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t statistic(const char *name)
{
    size_t value = 0;
    size_t size = sizeof value;
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 1;
    for (size_t total = 0; total < bytes;) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        size_t size = 16 + (seed >> 33) % 60000;
        void *block = malloc(size);
        memset(block, 1, malloc_usable_size(block));
        total += size;
    }
    uint64_t epoch = 1;
    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    printf("{\"classes\": {\"jemalloc\": %zu}}\n", statistic("stats.resident"));
    (void)fflush(stdout);
    char byte;
    return read(0, &byte, 1) < 0;
}
