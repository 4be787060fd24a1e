/* Trends and the noise around them: Theil-Sen, Mann-Kendall, and what autocorrelation costs.
 *
 * Memory wanders: neighbours depend on each other, and a test that takes them for independent calls
 * a third of all quiet processes leaking. So the noise is modelled as first-order autoregressive,
 * with the estimate corrected for the bias that detrending gives it, and where that model comes
 * near a unit root, as a random walk, whose slope is known least. */
#include "doctor/series.h"

#include "base/check.h"
#include "doctor/verdict_limits.h"

#include <math.h>
#include <stdlib.h>

double weir_theil_sen(const double *x, const double *y, size_t count, double *scratch)
{
    size_t pairs = 0;
    for (size_t i = 0; i + 1 < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if (x[j] > x[i])
                scratch[pairs++] = (y[j] - y[i]) / (x[j] - x[i]);
    return pairs > 0 ? weir_median(scratch, pairs) : 0;
}

/* --- noise --------------------------------------------------------------------------------- */

/* Autocorrelation at `lag`. */
static double correlation_at(const double *residuals, size_t count, double mean, double square,
                             size_t lag)
{
    double product = 0;
    for (size_t i = lag; i < count; i++)
        product += (residuals[i] - mean) * (residuals[i - lag] - mean);
    return square > 0 ? product / square : 0;
}

/* The first autocorrelation, and how fast the next ones fall: the latter sees through noise that
 * lies on top, which lowers the former. It is asked only where there is something to see. */
static double persistence(const double *residuals, size_t count, double mean, double square)
{
    double correlations[WEIR_VERDICT_LONG_RUN_LAGS + 1];
    for (size_t lag = 1; lag <= WEIR_VERDICT_LONG_RUN_LAGS; lag++)
        correlations[lag] = correlation_at(residuals, count, mean, square, lag);
    double phi = correlations[1], near = 0, far = 0;
    if (count <= 2 * WEIR_VERDICT_TROUGHS_MIN ||
        phi < WEIR_VERDICT_PERSISTENCE_Z / sqrt((double)count))
        return phi;
    for (size_t lag = 1; lag < WEIR_VERDICT_LONG_RUN_LAGS; lag++) {
        near += correlations[lag];
        far += correlations[lag + 1];
    }
    return near > 0 ? fmax(phi, fmin(1, far / near)) : phi;
}

/* The bias of the estimate around a fitted line is about -(2 + 4 phi) / n (Kendall; Marriott and
 * Pope), and a root nearer to 1 than n^-1/2 is taken for 1 (Perron and Yabu's rule). */
struct weir_noise weir_noise_of(const double *residuals, size_t count)
{
    WEIR_ASSERT(count > WEIR_VERDICT_LONG_RUN_LAGS);
    double n = (double)count, mean = 0, square = 0;
    for (size_t i = 0; i < count; i++)
        mean += residuals[i] / n;
    for (size_t i = 0; i < count; i++)
        square += (residuals[i] - mean) * (residuals[i] - mean);
    double phi = persistence(residuals, count, mean, square);
    phi = fmax(0, phi + (2 + 4 * phi) / n);
    struct weir_noise noise = {.phi = phi, .is_wandering = phi > 1 - 1 / sqrt(n)};
    double step = fmin(phi, 1 - 1 / sqrt(n)), innovation = 0;
    for (size_t i = 1; i < count; i++) {
        double new = residuals[i] - mean - step *(residuals[i - 1] - mean);
        innovation += new *new / (n - 3);
    }
    noise.deviation = fmax(sqrt(innovation / (1 - step * step)), sqrt(square / (n - 2)));
    return noise;
}

/* Var(sum of w y) for y with independent increments: every increment moves all that follow. The
 * variance of increments is taken over a long run, but never below their own. */
static double wandering_error(const double *weights, const double *residuals, size_t count)
{
    double n = (double)count, mean = (residuals[count - 1] - residuals[0]) / (n - 1);
    double variance = 0, run = 0;
    for (size_t lag = 0; lag <= WEIR_VERDICT_LONG_RUN_LAGS; lag++) {
        double sum = 0;
        for (size_t i = lag + 1; i < count; i++)
            sum += (residuals[i] - residuals[i - 1] - mean) *
                   (residuals[i - lag] - residuals[i - lag - 1] - mean) / (n - 2);
        if (lag == 0)
            variance = sum;
        double share = 1 - (double)lag / (WEIR_VERDICT_LONG_RUN_LAGS + 1);
        run += (lag == 0 ? 1 : 2) * share * sum;
    }
    double tail = 0, total = 0;
    for (size_t i = count - 1; i > 0; i--) {
        tail += weights[i];
        total += tail * tail;
    }
    return sqrt(fmax(variance, run) * total);
}

double weir_slope_error(const double *x, const double *residuals, size_t count,
                        const struct weir_noise *noise, double *scratch)
{
    double n = (double)count, mean = 0, square = 0;
    for (size_t i = 0; i < count; i++)
        mean += x[i] / n;
    for (size_t i = 0; i < count; i++)
        square += (x[i] - mean) * (x[i] - mean);
    if (square <= 0)
        return INFINITY;
    for (size_t i = 0; i < count; i++)
        scratch[i] = (x[i] - mean) / square;
    if (noise->is_wandering)
        return wandering_error(scratch, residuals, count);
    double later = 0, total = 0;
    for (size_t i = count; i-- > 0;) {
        total += scratch[i] * (scratch[i] + 2 * later);
        later = noise->phi * (scratch[i] + later);
    }
    return noise->deviation * sqrt(fmax(0, total));
}

/* --- Mann-Kendall --------------------------------------------------------------------------- */

static int compare_values(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Sum of t(t-1)(2t+5) over groups of equal values. */
static double tie_term(const double *y, size_t count, double *scratch)
{
    for (size_t i = 0; i < count; i++)
        scratch[i] = y[i];
    qsort(scratch, count, sizeof *scratch, compare_values);
    double term = 0;
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && scratch[end] <= scratch[begin]; end++)
            continue;
        double t = (double)(end - begin);
        term += t * (t - 1) * (2 * t + 5);
    }
    return term;
}

/* Mid-ranks, centred. O(n^2), as Theil-Sen is. */
static void rank_values(const double *y, size_t count, double *ret_ranks)
{
    for (size_t i = 0; i < count; i++) {
        double rank = 0;
        for (size_t j = 0; j < count; j++)
            rank += (y[j] < y[i]) - (y[j] > y[i]);
        ret_ranks[i] = rank / 2;
    }
}

/* Hamed and Rao (1998): n / n* from the autocorrelations of ranks that are significant at 5 %. */
static double hamed_rao(const double *ranks, size_t count)
{
    double n = (double)count, square = 0, sum = 0;
    for (size_t i = 0; i < count; i++)
        square += ranks[i] * ranks[i];
    if (square <= 0)
        return 1;
    for (size_t lag = 1; lag + 2 < count; lag++) {
        double product = 0, left = (double)(count - lag);
        for (size_t i = lag; i < count; i++)
            product += ranks[i] * ranks[i - lag];
        double correlation = product / square;
        if (fabs(correlation) > WEIR_VERDICT_Z_95 / sqrt(n))
            sum += left * (left - 1) * (left - 2) * correlation;
    }
    return fmax(1, 1 + 2 * sum / (n * (n - 1) * (n - 2)));
}

double weir_mann_kendall(const double *y, const double *residuals, size_t count, double *scratch)
{
    double n = (double)count, score = 0;
    for (size_t i = 0; i + 1 < count; i++)
        for (size_t j = i + 1; j < count; j++)
            score += (y[j] > y[i]) - (y[j] < y[i]);
    double variance = (n * (n - 1) * (2 * n + 5) - tie_term(y, count, scratch)) / 18;
    if (variance <= 0)
        return 0;
    rank_values(residuals, count, scratch);
    variance *= hamed_rao(scratch, count);
    return (score - (score > 0) + (score < 0)) / sqrt(variance);
}
