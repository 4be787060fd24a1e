/* The synthetic processes on which the doctor's verdicts are calibrated: what memory does when
 * nothing leaks, and what it does when something does. */
#ifndef WEIR_BENCH_CALIBRATE_SERIES_H
#define WEIR_BENCH_CALIBRATE_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "doctor/series.h"

#define CALIBRATE_SAMPLES 240

struct calibrate_row {
    const char *name;
    bool is_leak;
    double target; /* the rate of flags that has to be met: at most, of a leak at least */
    double phi;    /* noise: autocorrelation, 1 for a walk */
    double slope;  /* MiB per sample */
    int shape;     /* of calibrate_series.c */
    double shape_arg;
};

extern const struct calibrate_row calibrate_rows[];
extern const int calibrate_row_count;

/* One process: what is resident, and what else could be seen of it. */
struct calibrate_process {
    double seconds[CALIBRATE_SAMPLES], resident[CALIBRATE_SAMPLES], live[CALIBRATE_SAMPLES];
    double system[CALIBRATE_SAMPLES], operations[CALIBRATE_SAMPLES], cache[CALIBRATE_SAMPLES];
    double cache_limit[CALIBRATE_SAMPLES];
    struct weir_series alone;  /* resident only */
    struct weir_series beside; /* with live, system, operations and, where there is one, cache */
};

/* The same for the same row and seed on every machine: no randomness but of `seed`. */
void calibrate_make(const struct calibrate_row *row, uint64_t seed,
                    struct calibrate_process *ret_process);

#endif
