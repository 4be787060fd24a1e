/* A process whose main thread has ended: its files in /proc are those of a zombie, another thread
 * goes on with the memory. usage: fixture_leader SEED MIB */
#include "fixture_common.h"

#include <pthread.h>

static pthread_t leader;

/* It is over for the kernel a moment after it is for pthread_join. */
static int is_zombie(void)
{
    char text[256] = "";
    FILE *file = fopen("/proc/self/stat", "r");
    if (file == NULL)
        return -1;
    size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = 0;
    const char *close = strrchr(text, ')');
    return close != NULL && close[1] == ' ' && close[2] == 'Z';
}

static void *go_on(void *context)
{
    (void)context;
    (void)pthread_join(leader, NULL);
    while (is_zombie() == 0)
        (void)usleep(1000);
    unsigned long long heap_main = 0;
    unsigned long long heap_arenas = 0;
    fixture_heaps(&heap_main, &heap_arenas);
    struct mallinfo2 info = mallinfo2();
    printf("{\"classes\": {\"malloc_main\": %llu, \"malloc_mapped\": %zu}, \"thread\": %d,"
           " \"at_most\": {\"malloc_arena\": %llu, \"stack_thread\": 131072}}\n",
           heap_main, info.hblkhd, (int)gettid(), heap_arenas);
    exit(fixture_wait());
}

int main(int argc, char **argv)
{
    pthread_t thread;
    leader = pthread_self();
    fixture_fill(argc, argv, malloc);
    if (argc < 3 || pthread_create(&thread, NULL, go_on, NULL) != 0)
        return 2;
    pthread_exit(NULL);
}
