/* A process whose main heap cannot grow in place: somebody's memory lies behind [heap], so malloc
 * maps pieces of it elsewhere. usage: fixture_brk SEED MIB MIB_ELSEWHERE */
#include "fixture_common.h"

#include <sys/mman.h>

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    fixture_fill(argc, argv, malloc);
    void *end = sbrk(0);
    if (mmap(end, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != end)
        return 1;
    char *more[] = {argv[0], argv[1], argv[3]};
    fixture_fill(3, more, malloc);
    unsigned long long heap_main = 0;
    unsigned long long heap_arenas = 0;
    fixture_heaps(&heap_main, &heap_arenas);
    struct mallinfo2 info = mallinfo2();
    printf("{\"classes\": {\"malloc_main\": %llu, \"malloc_mapped\": %zu}, \"live\": %zu}\n",
           heap_main, info.hblkhd, info.uordblks);
    return fixture_wait();
}
