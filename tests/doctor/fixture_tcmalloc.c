/* A process of gperftools' tcmalloc (preloaded) that knows what it holds: heap size less what went
 * back to the kernel. usage: fixture_tcmalloc SEED MIB */
#include "fixture_common.h"

#include <dlfcn.h>

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
    fixture_fill(argc, argv, malloc);
    printf("{\"classes\": {\"tcmalloc\": %zu}}\n",
           statistic("generic.heap_size") - statistic("tcmalloc.pageheap_unmapped_bytes"));
    return fixture_wait();
}
