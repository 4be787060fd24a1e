/* Order statistics, troughs and the best split; trends and their noise are in trend.c. */
#include "doctor/series.h"

#include "base/check.h"
#include "doctor/verdict_limits.h"

#include <math.h>
#include <string.h>

/* The k-th smallest, by Hoare's FIND; values are reordered. */
static double select_kth(double *values, size_t count, size_t k)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)count - 1, at = (ptrdiff_t)k;
    while (low < high) {
        double pivot = values[at];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (pivot < values[j])
                j--;
            if (i <= j) {
                double swapped = values[i];
                values[i++] = values[j];
                values[j--] = swapped;
            }
        }
        if (j < at)
            low = i;
        if (at < i)
            high = j;
    }
    return values[k];
}

double weir_median(double *values, size_t count)
{
    if (count == 0)
        return NAN;
    double upper = select_kth(values, count, count / 2);
    if (count % 2 == 1)
        return upper;
    double lower = values[0];
    for (size_t i = 1; i < count / 2; i++)
        if (values[i] > lower)
            lower = values[i];
    return lower + (upper - lower) / 2;
}

double weir_median_of(const double *values, size_t begin, size_t end, double *scratch)
{
    WEIR_DASSERT(begin <= end);
    memcpy(scratch, values + begin, (end - begin) * sizeof *scratch);
    return weir_median(scratch, end - begin);
}

/* Abramowitz and Stegun 26.2.23: within 4.5e-4. */
double weir_normal_quantile(double share)
{
    double t = sqrt(-2 * log(share));
    return t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                   (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

/* --- troughs ------------------------------------------------------------------------------- */

static size_t lowest(const double *y, size_t begin, size_t end)
{
    size_t found = begin;
    for (size_t i = begin + 1; i < end; i++)
        if (y[i] < y[found])
            found = i;
    return found;
}

size_t weir_troughs(const double *x, const double *y, size_t count, size_t window, double *ret_x,
                    double *ret_y)
{
    size_t troughs = 0;
    for (size_t begin = 0; begin + window <= count; begin += window) {
        size_t at = lowest(y, begin, begin + window);
        ret_x[troughs] = x[at];
        ret_y[troughs++] = y[at];
    }
    return troughs;
}

size_t weir_troughs_between(const double *x, const double *y, size_t count, double fall,
                            double *ret_x, double *ret_y)
{
    size_t troughs = 0, begin = 0;
    for (size_t i = 1; i < count; i++) {
        if (y[i - 1] - y[i] <= fall)
            continue;
        if (begin > 0) {
            size_t at = lowest(y, begin, i);
            ret_x[troughs] = x[at];
            ret_y[troughs++] = y[at];
        }
        begin = i;
    }
    return troughs;
}

double weir_neighbour_noise(const double *y, size_t count, double *scratch)
{
    if (count < 3)
        return 0;
    for (size_t i = 1; i < count; i++)
        scratch[i - 1] = y[i] - y[i - 1];
    double middle = weir_median(scratch, count - 1);
    for (size_t i = 1; i < count; i++)
        scratch[i - 1] = fabs(y[i] - y[i - 1] - middle);
    return WEIR_VERDICT_MAD_TO_DEVIATION * weir_median(scratch, count - 1) / sqrt(2);
}

/* --- change of level ------------------------------------------------------------------------ */

/* Exact for values that are all the same. */
static double mean_of(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] - values[0];
    return values[0] + sum / (double)count;
}

static double line_explains(const double *x, const double *y, size_t count, double *ret_total)
{
    double mean_x = mean_of(x, count), mean_y = mean_of(y, count), xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < count; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
    }
    *ret_total = yy;
    return xx > 0 && yy > 0 ? xy * xy / (xx * yy) : 0;
}

struct weir_change weir_change_find(const double *x, const double *y, size_t count, double *scratch)
{
    struct weir_change change = {0};
    if (count < 2 * WEIR_VERDICT_JUMP_SAMPLES)
        return change;
    double total = 0, mean = mean_of(y, count), left = 0, best = 0;
    change.of_line = line_explains(x, y, count, &total);
    for (size_t i = 1; i < count; i++) {
        left += y[i - 1] - mean;
        double between = left * left * (double)count / ((double)i * (double)(count - i));
        if (i >= WEIR_VERDICT_JUMP_SAMPLES && i + WEIR_VERDICT_JUMP_SAMPLES <= count &&
            between > best) {
            best = between;
            change.at = i;
        }
    }
    if (change.at == 0 || total <= 0)
        return (struct weir_change){0};
    change.explained = best / total;
    change.jump = weir_median_of(y, change.at, change.at + WEIR_VERDICT_JUMP_SAMPLES, scratch) -
                  weir_median_of(y, change.at - WEIR_VERDICT_JUMP_SAMPLES, change.at, scratch);
    return change;
}
