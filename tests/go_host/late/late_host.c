/* A C program whose guests trap, and that then loads a Go library: Go's runtime puts its handlers
 * in front of the ones that are there.
 *
 *     go_late_host MODULE.wasm FORM PLUGIN.so ROUNDS
 */
#include "guest.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static guest_callback *take_nil;

static int32_t call_back(int32_t argument)
{
    return take_nil != NULL ? take_nil(argument) : argument + 1;
}

static void *live(void *argument)
{
    const int *rounds = argument;
    struct guest *guest = guest_new();
    for (int round = 0; round < *rounds; round++) {
        int64_t result = 0;
        for (size_t i = 0; i < guest_trap_count; i++) {
            const struct guest_trap *trap = &guest_traps[i];
            int code = guest_call(guest, trap->name, trap->argument, &result);
            if (code != trap->code) {
                (void)fprintf(stderr, "%s ended with %d, not %d\n", trap->name, code, trap->code);
                exit(1);
            }
        }
        if (guest_call(guest, "host", 41, &result) != 0 || result != 42)
            exit(1);
        if (call_back(1) != 2)
            exit(1);
    }
    guest_free(guest);
    return NULL;
}

/* The main thread and two that come and go. */
static void live_everywhere(int rounds)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, live, &rounds) != 0)
            exit(1);
    (void)live(&rounds);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    const char *why = guest_engine_open(argv[1], argv[2], call_back);
    if (why != NULL) {
        (void)fprintf(stderr, "%s\n", why);
        return 1;
    }
    int rounds = (int)strtol(argv[4], NULL, 10);
    live_everywhere(2);
    const void *before = guest_handler();
    void *plugin = dlopen(argv[3], RTLD_NOW);
    void *symbol = plugin != NULL ? dlsym(plugin, "goTakeNil") : NULL;
    if (symbol == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    take_nil = (guest_callback *)(uintptr_t)symbol;
    if (take_nil(1) != 2) /* Go's runtime is up now */
        return 1;
    const void *after = guest_handler();
    live_everywhere(rounds);
    printf("%s: Go's handler came %s\n", argv[2], before != after ? "in front" : "not");
    guest_engine_close();
    return before != after ? 0 : 1;
}
