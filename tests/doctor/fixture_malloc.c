/* Preloaded into a server: on a real-time signal, while it waits for events, its own malloc's
 * statistics go to the file that DOCTOR_STATISTICS names, with the process number behind. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sums of malloc_info: system bytes of heap 0 and of the others. */
static void read_heaps(unsigned long long *ret_main, unsigned long long *ret_arenas)
{
    static char text[1 << 20];
    FILE *file = fmemopen(text, sizeof text - 1, "w");
    if (file == NULL)
        return;
    malloc_info(0, file);
    (void)fclose(file);
    int heap = -1;
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

static void report(int number)
{
    char path[256];
    char part[264];
    unsigned long long heap_main = 0;
    unsigned long long heap_arenas = 0;
    (void)number;
    read_heaps(&heap_main, &heap_arenas);
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
