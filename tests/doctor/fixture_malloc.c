/* Preloaded into a server: on a real-time signal, while it waits for events, its own malloc's
 * statistics go to the file that DOCTOR_STATISTICS names, with the process number behind. */
#include "fixture_common.h"

#include <signal.h>

static void report(int number)
{
    char path[256];
    char part[264];
    unsigned long long heap_main = 0;
    unsigned long long heap_arenas = 0;
    (void)number;
    fixture_heaps(&heap_main, &heap_arenas);
    struct mallinfo2 info = mallinfo2();
    (void)snprintf(path, sizeof path, "%s.%d", getenv("DOCTOR_STATISTICS"), (int)getpid());
    (void)snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "w");
    if (file == NULL)
        return;
    (void)fprintf(file,
                  "{\"classes\": {\"malloc_main\": %llu, \"malloc_arena\": %llu, "
                  "\"malloc_mapped\": %zu}, \"live\": %zu, \"free\": %zu}\n",
                  heap_main, heap_arenas, info.hblkhd, info.uordblks, info.fordblks);
    (void)fclose(file);
    (void)rename(part, path);
}

__attribute__((constructor)) static void begin(void)
{
    (void)signal(SIGRTMIN + 5, report);
}
