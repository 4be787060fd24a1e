/* What the benches of the runtime share: clock, median, a module compiled in this process. */
#ifndef WEIR_BENCH_GUEST_H
#define WEIR_BENCH_GUEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <weir/weir.h>

#include "artifact/cpu.h"
#include "compiler/compiler.h"

#define BENCH_RUNS 9

struct bench_figure {
    double median, lowest, highest;
};

static inline double bench_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median and spread of `run`, which answers nanoseconds per operation. */
static inline struct bench_figure bench_measure(double (*run)(void *context), void *context)
{
    double results[BENCH_RUNS];
    (void)run(context); /* warm-up */
    for (int i = 0; i < BENCH_RUNS; i++)
        results[i] = run(context);
    qsort(results, BENCH_RUNS, sizeof results[0], bench_compare);
    return (struct bench_figure){results[BENCH_RUNS / 2], results[0], results[BENCH_RUNS - 1]};
}

static inline void bench_print(const char *name, struct bench_figure figure, const char *end)
{
    printf("  \"%s\": {\"median\": %.2f, \"lowest\": %.2f, \"highest\": %.2f}%s\n", name,
           figure.median, figure.lowest, figure.highest, end);
}

static inline void bench_must(enum weir_status status, const struct weir_error *error)
{
    if (status == WEIR_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", weir_status_name(status), error->message);
    exit(1);
}

/* An artifact in a memfd. */
static inline int bench_artifact(const uint8_t *wasm, size_t size)
{
    struct weir_compile_request request = {.module = wasm,
                                           .module_bytes = size,
                                           .options = {.features = WEIR_FEATURES_DEFAULT,
                                                       .flags = WEIR_ARTIFACT_POLL,
                                                       .cpu_features = weir_cpu_baseline,
                                                       .generator = "fast"}};
    uint8_t *bytes = NULL;
    size_t artifact_bytes = 0;
    struct weir_error error = {0};
    bench_must(weir_compile(&request, &bytes, &artifact_bytes, &error), &error);
    int fd = memfd_create("artifact", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, artifact_bytes) != (ssize_t)artifact_bytes)
        exit(1);
    free(bytes);
    return fd;
}

static inline struct weir_funcref *bench_func(struct weir_instance *instance, const char *name)
{
    struct weir_extern item;
    if (weir_instance_export(instance, name, strlen(name), &item) != WEIR_OK)
        exit(1);
    return item.func;
}

#endif
