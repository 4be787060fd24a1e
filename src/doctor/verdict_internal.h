/* Between the files of the verdict: the shape of one series, and what the rules share. */
#ifndef WEIR_DOCTOR_VERDICT_INTERNAL_H
#define WEIR_DOCTOR_VERDICT_INTERNAL_H

#include "doctor/verdict.h"

/* What every step of one judgement shares: the z that a trend has to beat, and room for the longest
 * series. */
struct weir__scratch {
    double critical;
    double *pairs; /* count * (count - 1) / 2 slopes */
    double *x, *y; /* troughs of the window in hand */
    double *residuals;
    double *values; /* 3 * count */
};

/* A trend over troughs. */
struct weir__trend {
    size_t count, window; /* window 0: between collapses */
    double slope, error;  /* per unit of x */
    double z;
    double critical; /* Student's for the slope, from z's */
    double rises[2]; /* between the medians of thirds */
    double lasting;
    struct weir_noise noise;
};

/* Everything that the rules ask of one series. */
struct weir__shape {
    bool is_known;
    double start, end, grown; /* levels over the whole watch */
    double thirds[3];         /* growth in each */
    struct weir__trend trend; /* of the judged part */
    struct weir__trend last;  /* of the last third */
    struct weir_change change;
    bool is_flat_beside;     /* nothing rises on either side of the change */
    double jumps;            /* share of the trend's growth that comes in jumps */
    double neighbours;       /* scatter between neighbours */
    double amplitude, range; /* peak above trough; what the scatter explains of it */
};

/* `peak` may be NULL. */
void weir__shape_of(const double *x, const double *y, const double *peak, size_t count,
                    struct weir__scratch *scratch, struct weir__shape *ret_shape);
/* The lower and upper bound of the trend's slope. */
static inline double weir__slope_low(const struct weir__trend *trend)
{
    return trend->slope - trend->critical * trend->error;
}
static inline double weir__slope_high(const struct weir__trend *trend)
{
    return trend->slope + trend->critical * trend->error;
}
/* The series grew over the watch, by more than nothing and more than its noise. */
bool weir__has_grown(const struct weir__shape *shape);
/* It goes up at all: trend and slope, whatever becomes of it. `slope_min` is the least slope that
 * matters. */
bool weir__is_trending(const struct weir__shape *shape, double slope_min);
/* RISES as verdict.h defines it. */
bool weir__is_rising(const struct weir__shape *shape, double slope_min);

#endif
