/* A process of mimalloc that knows what it holds: the committed bytes of its heap's areas.
 * usage: fixture_mimalloc SEED MIB */
#include <mimalloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool add_area(const mi_heap_t *heap, const mi_heap_area_t *area, void *block, size_t size,
                     void *sum)
{
    (void)heap, (void)size;
    if (block == NULL)
        *(size_t *)sum += area->committed;
    return true;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 1;
    for (size_t total = 0; total < bytes;) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        size_t size = 16 + (seed >> 33) % 60000;
        memset(mi_malloc(size), 1, size);
        total += size;
    }
    size_t committed = 0;
    (void)mi_heap_visit_blocks(mi_heap_get_default(), false, add_area, &committed);
    printf("{\"classes\": {\"mimalloc\": %zu}}\n", committed);
    (void)fflush(stdout);
    char byte;
    return read(0, &byte, 1) < 0;
}
