/* A process of gperftools' tcmalloc (preloaded) that knows what it holds: heap size less what went
 * back to the kernel. usage: fixture_tcmalloc SEED MIB */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t statistic(const char *name)
{
    int (*get)(const char *, size_t *) = NULL;
    void *symbol = dlsym(RTLD_DEFAULT, "MallocExtension_GetNumericProperty");
    memcpy(&get, &symbol, sizeof get);
    size_t value = 0;
    return get != NULL && get(name, &value) != 0 ? value : 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 1;
    for (size_t total = 0; total < bytes;) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        size_t size = 16 + (seed >> 33) % 60000;
        memset(malloc(size), 1, size);
        total += size;
    }
    printf("{\"classes\": {\"tcmalloc\": %zu}}\n",
           statistic("generic.heap_size") - statistic("tcmalloc.pageheap_unmapped_bytes"));
    (void)fflush(stdout);
    char byte;
    return read(0, &byte, 1) < 0;
}
