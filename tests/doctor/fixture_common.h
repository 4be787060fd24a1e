/* What the fixtures share: memory of seeded sizes, malloc_info by heaps, waiting. */
#ifndef WEIR_TESTS_FIXTURE_COMMON_H
#define WEIR_TESTS_FIXTURE_COMMON_H

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Blocks of 16 to 60,000 bytes until `bytes` are reached; never freed, touched whole. Arguments as
 * of the program: SEED MIB. */
static inline void fixture_fill(int argc, char **argv, void *(*allocate)(size_t))
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 1;
    for (size_t total = 0; total < bytes;) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        size_t size = 16 + (seed >> 33) % 60000;
        memset(allocate(size), 1, size);
        total += size;
    }
}

/* malloc_info's system bytes: of heap 0, and of the others. */
static inline void fixture_heaps(unsigned long long *ret_main, unsigned long long *ret_arenas)
{
    static char text[1 << 20];
    FILE *file = fmemopen(text, sizeof text - 1, "w");
    int heap = -1;
    *ret_main = *ret_arenas = 0;
    if (file == NULL)
        return;
    malloc_info(0, file);
    (void)fclose(file);
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        unsigned long long bytes = 0;
        line += *line == '\n';
        if (strncmp(line, "</heap>", 7) == 0)
            heap = -1;
        (void)sscanf(line, "<heap nr=\"%d\">", &heap);
        if (heap >= 0 && sscanf(line, "<system type=\"current\" size=\"%llu\"/>", &bytes) == 1)
            *(heap == 0 ? ret_main : ret_arenas) += bytes;
    }
}

/* Until stdin ends. The exit code. */
static inline int fixture_wait(void)
{
    char byte;
    (void)fflush(stdout);
    return read(0, &byte, 1) < 0;
}

#endif
