/* What every bench program shares, Weir's own and the peers': clocks, the median with its spread,
 * and how a figure is printed. */
#ifndef WEIR_BENCH_MEASURE_H
#define WEIR_BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_RUNS 9

struct bench_figure {
    double median, lowest, highest;
};

static inline double bench_clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline double bench_now_ns(void)
{
    return bench_clock_ns(CLOCK_MONOTONIC);
}

/* The calling thread's own time: what else runs on the machine is not in it. */
static inline double bench_thread_ns(void)
{
    return bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
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

/* How a compute guest is driven: for every line on stdin one run of `run`, answered by a line with
 * its nanoseconds and its checksum. The driver says that it is ready by an empty line. */
static inline void bench_serve_lines(uint64_t (*run)(void *context), void *context)
{
    char line[16];
    printf("\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        double begin = bench_thread_ns();
        uint64_t checksum = run(context);
        double ns = bench_thread_ns() - begin;
        printf("%.0f %016llx\n", ns, (unsigned long long)checksum);
        (void)fflush(stdout);
    }
}

/* The whole file, malloc'ed. */
static inline uint8_t *bench_read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rbe");
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
    if (bytes == NULL || fseek(file, 0, SEEK_SET) != 0 ||
        fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    (void)fclose(file);
    *ret_size = (size_t)size;
    return bytes;
}

#endif
