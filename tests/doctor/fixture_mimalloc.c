/* A process of mimalloc that knows what it holds: the committed bytes of its heap's areas.
 * usage: fixture_mimalloc SEED MIB */
#include "fixture_common.h"

#include <mimalloc.h>

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
    fixture_fill(argc, argv, mi_malloc);
    size_t committed = 0;
    (void)mi_heap_visit_blocks(mi_heap_get_default(), false, add_area, &committed);
    printf("{\"classes\": {\"mimalloc\": %zu}}\n", committed);
    return fixture_wait();
}
