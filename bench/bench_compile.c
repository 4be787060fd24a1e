/* What compiling costs: bench_compile FILE.wasm [REPEATS]
 *
 * The same module in this process and in a compiler child; time until a child is up, for the whole
 * job of a tiny module, and the peak memory of the child beside its target (DESIGN 7: 16 MiB + 8
 * bytes per byte of module). One thread, medians with the fastest and the slowest. Prints one JSON
 * object.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compiler/compiler.h"
#include "runtime/compile_job.h"

#define REPEATS_DEFAULT 15
#define REPEATS_MAX 1000

static const uint8_t tiny[] = {0, 'a', 's', 'm', 1, 0, 0, 0};

struct series {
    double values[REPEATS_MAX];
    size_t count;
};

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "bench_compile: %s\n", what);
    exit(1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add(struct series *series, double value)
{
    series->values[series->count++] = value;
}

static void print_series(const char *name, struct series *series)
{
    qsort(series->values, series->count, sizeof series->values[0], compare);
    printf("  \"%s\": {\"median\": %.3f, \"min\": %.3f, \"max\": %.3f},\n", name,
           series->values[series->count / 2], series->values[0], series->values[series->count - 1]);
}

static uint8_t *read_module(const char *path, size_t *ret_size)
{
    AUTO_CLOSE fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0 || stat.st_size <= 0)
        fail("cannot read the module");
    uint8_t *bytes = malloc((size_t)stat.st_size);
    if (bytes == NULL || read(fd, bytes, (size_t)stat.st_size) != stat.st_size)
        fail("cannot read the module");
    *ret_size = (size_t)stat.st_size;
    return bytes;
}

static const struct weir_artifact_options options = {
    .features = WEIR_FEATURES_DEFAULT,
    .flags = WEIR_ARTIFACT_POLL,
    .generator = "fast",
};

static double run_here(const uint8_t *module, size_t size, size_t *ret_artifact_bytes)
{
    const struct weir_compile_request request = {
        .module = module, .module_bytes = size, .options = options};
    struct weir_error error = {0};
    uint8_t *bytes = NULL;
    uint64_t start = weir_clock_ns();
    if (weir_compile(&request, &bytes, ret_artifact_bytes, &error) != WEIR_OK)
        fail(error.message);
    double ms = (double)(weir_clock_ns() - start) / 1e6;
    free(bytes);
    return ms;
}

static struct weir_compile_result run_child(const uint8_t *module, size_t size)
{
    const struct weir_compile_job job = {
        .module = module, .module_bytes = size, .options = options};
    struct weir_error error = {0};
    struct weir_compile_result result;
    if (weir_compile_job_run(NULL, &job, &result, &error) != WEIR_OK)
        fail(error.message);
    (void)close(result.fd);
    return result;
}

int main(int argc, char **argv)
{
    static struct series here_ms, child_ms, tiny_ms, up_ms;
    long repeats = argc > 2 ? strtol(argv[2], NULL, 10) : REPEATS_DEFAULT;
    if (argc < 2 || argc > 3 || repeats < 1 || repeats > REPEATS_MAX)
        fail("usage: bench_compile FILE.wasm [REPEATS up to 1000]");
    size_t size = 0, artifact_bytes = 0;
    AUTO_FREE uint8_t *module = read_module(argv[1], &size);
    uint64_t peak_bytes = 0;
    (void)run_child(tiny, sizeof tiny); /* starts the spawner */
    for (long i = 0; i < repeats; i++) {
        add(&here_ms, run_here(module, size, &artifact_bytes));
        struct weir_compile_result result = run_child(module, size);
        add(&child_ms, result.compile_ms);
        peak_bytes = result.peak_bytes > peak_bytes ? result.peak_bytes : peak_bytes;
        result = run_child(tiny, sizeof tiny);
        add(&tiny_ms, result.compile_ms);
        add(&up_ms, result.child_up_ms);
    }
    weir_compile_stop();
    printf("{\"bench\": \"compile\", \"unit\": \"ms\",\n");
    print_series("in_process", &here_ms);
    print_series("in_child", &child_ms);
    print_series("tiny_module_in_child", &tiny_ms);
    print_series("child_up", &up_ms);
    double megabytes = (double)size / 1e6;
    printf("  \"module_bytes\": %zu, \"artifact_bytes\": %zu,\n", size, artifact_bytes);
    printf("  \"in_process_mb_per_s\": %.1f, \"in_child_mb_per_s\": %.1f,\n",
           megabytes / here_ms.values[here_ms.count / 2] * 1e3,
           megabytes / child_ms.values[child_ms.count / 2] * 1e3);
    printf("  \"child_peak_bytes\": %llu, \"child_peak_target_bytes\": %zu}\n",
           (unsigned long long)peak_bytes, ((size_t)16 << 20) + 8 * size);
    return 0;
}
