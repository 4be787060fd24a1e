/* What is watched of one class of memory, as arrays of doubles in the order of time, and the small
 * arithmetic every rule is made of: medians, troughs, Theil-Sen, Mann-Kendall, noise.
 *
 * Pure: no clock, no file, no allocation but scratch that is freed before the call returns. */
#ifndef WEIR_DOCTOR_SERIES_H
#define WEIR_DOCTOR_SERIES_H

#include <stdbool.h>
#include <stddef.h>

/* One class of memory over `count` samples. Arrays that were not observed are NULL; a value that
 * one sample lacks is NAN. Bytes, but for seconds, operations and a cache counted in entries. */
struct weir_series {
    size_t count;
    const double *seconds;     /* when; never goes back */
    const double *resident;    /* R, with what of it is swapped out */
    const double *peak;        /* the largest R that a thinned sample stands for; NULL: R */
    const double *live;        /* L: what the program holds */
    const double *system;      /* S: what the allocator holds */
    const double *operations;  /* N: what the program has done so far */
    const double *cache;       /* C: fill of its cache */
    const double *cache_limit; /* and what it may be filled to */
    bool is_cache_entries;     /* cache and cache_limit count entries, not bytes */
};

/* NAN when there is none. `values` is reordered. */
double weir_median(double *values, size_t count);
/* Median of values[begin .. end). `scratch` has room for them. */
double weir_median_of(const double *values, size_t begin, size_t end, double *scratch);
/* The z that a normal variable exceeds with probability `share` (0 < share < 0.5). */
double weir_normal_quantile(double share);

/* --- troughs ------------------------------------------------------------------------------- */

/* The lowest of each `window` samples, with its x: writes at most count / window + 1 of them. A
 * window at the end that is not full is left out. Returns how many. */
size_t weir_troughs(const double *x, const double *y, size_t count, size_t window, double *ret_x,
                    double *ret_y);
/* The lowest between two collapses: a collapse is a fall of more than `fall` between neighbours.
 * The parts before the first and after the last are left out. */
size_t weir_troughs_between(const double *x, const double *y, size_t count, double fall,
                            double *ret_x, double *ret_y);
/* Scatter between neighbours: the standard deviation that independent noise with these differences
 * would have, from their median deviation. `scratch` has room for count values. */
double weir_neighbour_noise(const double *y, size_t count, double *scratch);

/* --- the noise around a line ---------------------------------------------------------------- */

struct weir_noise {
    double phi;        /* first-order autocorrelation, corrected for its bias */
    double deviation;  /* standard deviation of one value around the line */
    bool is_wandering; /* cannot be told from a random walk */
};

/* How `residuals` depend on their neighbours. At least 5 values. */
struct weir_noise weir_noise_of(const double *residuals, size_t count);
/* Standard error of the slope over `x` under that noise; `scratch` has room for count values. */
double weir_slope_error(const double *x, const double *residuals, size_t count,
                        const struct weir_noise *noise, double *scratch);

/* --- trends -------------------------------------------------------------------------------- */

/* Median of the slopes between all pairs. `scratch` has room for count * (count - 1) / 2. */
double weir_theil_sen(const double *x, const double *y, size_t count, double *scratch);
/* Mann-Kendall's z with variance for ties, and with Hamed and Rao's for autocorrelation of the
 * ranks of `residuals` (from a trend line), which is never allowed to shrink it. `scratch` has room
 * for 3 * count values. */
double weir_mann_kendall(const double *y, const double *residuals, size_t count, double *scratch);

/* --- change of level ------------------------------------------------------------------------ */

struct weir_change {
    size_t at;        /* the first sample of the new level; 0: none */
    double jump;      /* between the medians of some samples on either side */
    double explained; /* share of the variance that two levels explain */
    double of_line;   /* share that a straight line explains */
};

/* The best split of y in two levels. `scratch` has room for count values. */
struct weir_change weir_change_find(const double *x, const double *y, size_t count,
                                    double *scratch);

#endif
