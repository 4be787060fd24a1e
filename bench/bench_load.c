/* What loading a module from its artifact costs, in microseconds, with few and with 10,000 others
 * loaded, and the private bytes of a loaded one. The artifact is compiled from the file that is
 * named on the command line, or from a small built-in one. Prints one JSON object. */
#include <fcntl.h>
#include <sys/stat.h>

#include "bench_guest.h"

#include "bench_call_wasm.h"

#define CYCLES 500
#define MANY 10000

static struct weir_engine *engine;
static int artifact;

static double load(void *context)
{
    (void)context;
    struct weir_error error = {0};
    double begin = bench_now_ns();
    for (int i = 0; i < CYCLES; i++) {
        struct weir_module *module = NULL;
        bench_must(weir_module_load(engine, artifact, NULL, &module, &error), &error);
        weir_module_unref(module);
    }
    return (bench_now_ns() - begin) / CYCLES / 1e3;
}

static void read_file(const char *path, uint8_t **ret_bytes, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat file;
    if (fd < 0 || fstat(fd, &file) != 0) {
        perror(path);
        exit(1);
    }
    *ret_size = (size_t)file.st_size;
    *ret_bytes = malloc(*ret_size);
    if (*ret_bytes == NULL || read(fd, *ret_bytes, *ret_size) != file.st_size)
        exit(1);
    (void)close(fd);
}

int main(int argc, char **argv)
{
    struct weir_error error = {0};
    bench_must(weir_engine_new(NULL, &engine, &error), &error);
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (argc > 1)
        read_file(argv[1], &bytes, &size);
    artifact = bytes != NULL ? bench_artifact(bytes, size)
                             : bench_artifact(bench_call_wasm, sizeof bench_call_wasm);
    free(bytes);
    (void)usleep(100000); /* an artifact of this very moment is checked at each load */
    struct weir_module *module = NULL;
    bench_must(weir_module_load(engine, artifact, NULL, &module, &error), &error);
    struct weir_module_figures figures;
    weir_module_figures(module, &figures);
    printf("{\"bench\": \"load\", \"unit\": \"us\",\n  \"artifact_bytes\": %llu,\n"
           "  \"private_bytes\": %llu,\n",
           (unsigned long long)figures.artifact_bytes, (unsigned long long)figures.private_bytes);
    weir_module_unref(module);
    bench_print("load_and_unload", bench_measure(load, NULL), ",");
    static struct weir_module *many[MANY];
    int made = 0;
    while (made < MANY && weir_module_load(engine, artifact, NULL, &many[made], NULL) == WEIR_OK)
        made++;
    printf("  \"others_loaded\": %d,\n", made);
    bench_print("load_and_unload_beside_others", bench_measure(load, NULL), "");
    printf("}\n");
    for (int i = 0; i < made; i++)
        weir_module_unref(many[i]);
    weir_engine_unref(engine);
    (void)close(artifact);
    return 0;
}
