/* The shape of one series: levels, trend over the quietest troughs, last third, change, amplitude.
 */
#include "doctor/verdict_internal.h"

#include "base/check.h"
#include "doctor/verdict_limits.h"

#include <math.h>
#include <string.h>

/* --- levels -------------------------------------------------------------------------------- */

/* The level around the part-th third's end, of whole samples at both ends of the watch. */
static double level_at(const double *y, size_t count, size_t part, double *scratch)
{
    size_t width = count / WEIR_VERDICT_LEVEL_PARTS, middle = count * part / 3;
    size_t begin = middle < width / 2 ? 0 : middle - width / 2;
    if (begin + width > count)
        begin = count - width;
    return weir_median_of(y, begin, begin + width, scratch);
}

/* --- trend --------------------------------------------------------------------------------- */

/* Student's quantile from the normal one (Cornish and Fisher's first term). */
static double student(double z, double freedom)
{
    return z + (z * z * z + z) / (4 * freedom);
}

/* A least-squares parabola y = a + b u + c u^2 over u in [-1, 1]: its rise over the second half of
 * the thirds' centres against that over the first. */
static double lasting_share(const double *x, const double *y, size_t count)
{
    double low = x[0], span = x[count - 1] - x[0], n = (double)count;
    double u1 = 0, u2 = 0, u3 = 0, u4 = 0, y0 = 0, y1 = 0, y2 = 0, mean = 0;
    for (size_t i = 0; i < count; i++)
        mean += y[i] / n;
    for (size_t i = 0; i < count; i++) {
        double u = 2 * (x[i] - low) / span - 1, v = y[i] - mean;
        u1 += u;
        u2 += u * u;
        u3 += u * u * u;
        u4 += u * u * u * u;
        y0 += v;
        y1 += v * u;
        y2 += v * u * u;
    }
    double determinant =
        n * (u2 * u4 - u3 * u3) - u1 * (u1 * u4 - u2 * u3) + u2 * (u1 * u3 - u2 * u2);
    if (!(fabs(determinant) > 0))
        return 1;
    double b = (n * (y1 * u4 - u3 * y2) - y0 * (u1 * u4 - u2 * u3) + u2 * (u1 * y2 - u2 * y1)) /
               determinant;
    double c = (n * (u2 * y2 - u3 * y1) - u1 * (u1 * y2 - u2 * y0) + y0 * (u1 * u3 - u2 * u2)) /
               determinant;
    /* Rises between u = -2/3, 0 and 2/3. */
    double first = b * 2 / 3 - c * 4 / 9, second = b * 2 / 3 + c * 4 / 9;
    return first > 0 ? second / first : second > 0 ? INFINITY : 0;
}

static void fit(const double *x, const double *y, size_t count, struct weir__scratch *scratch,
                struct weir__trend *ret_trend)
{
    double *residuals = scratch->residuals;
    ret_trend->count = count;
    ret_trend->slope = weir_theil_sen(x, y, count, scratch->pairs);
    for (size_t i = 0; i < count; i++)
        residuals[i] = y[i] - ret_trend->slope * x[i];
    double middle = weir_median_of(residuals, 0, count, scratch->values);
    for (size_t i = 0; i < count; i++)
        residuals[i] -= middle;
    ret_trend->noise = weir_noise_of(residuals, count);
    if (ret_trend->noise.deviation < WEIR_VERDICT_PAGE_BYTES)
        ret_trend->noise.deviation = WEIR_VERDICT_PAGE_BYTES;
    ret_trend->error = weir_slope_error(x, residuals, count, &ret_trend->noise, scratch->values);
}

/* The troughs of a candidate window in scratch->x and y; window 0: between collapses. */
static size_t take_troughs(const double *x, const double *y, size_t count, size_t window,
                           double fall, struct weir__scratch *scratch)
{
    return window > 0 ? weir_troughs(x, y, count, window, scratch->x, scratch->y)
                      : weir_troughs_between(x, y, count, fall, scratch->x, scratch->y);
}

/* The window whose troughs leave the slope least uncertain: chosen by the error, never by the
 * slope. Noise that wanders does so in every window, but shows it only in the finest. */
static struct weir__trend choose_window(const double *x, const double *y, size_t count, double fall,
                                        struct weir__scratch *scratch)
{
    static const size_t WINDOWS[] = {1, 2, 4, WEIR_VERDICT_WINDOW_MAX, 0};
    struct weir__trend best = {0};
    for (size_t i = 0; i < sizeof WINDOWS / sizeof WINDOWS[0]; i++) {
        struct weir__trend trend = {.window = WINDOWS[i]};
        size_t min = trend.window > 0 ? WEIR_VERDICT_TROUGHS_MIN : WEIR_VERDICT_CYCLES_MIN;
        size_t troughs = take_troughs(x, y, count, trend.window, fall, scratch);
        if (i > 0 && (troughs < min || scratch->x[troughs - 1] <= scratch->x[0]))
            continue;
        fit(scratch->x, scratch->y, troughs, scratch, &trend);
        trend.critical = student(scratch->critical, (double)troughs - 2);
        if (i == 0 || trend.critical * trend.error < best.critical * best.error)
            best = trend;
        if (i == 0 && trend.noise.is_wandering)
            break;
    }
    return best;
}

static struct weir__trend trend_of(const double *x, const double *y, size_t count, double fall,
                                   struct weir__scratch *scratch)
{
    struct weir__trend trend = choose_window(x, y, count, fall, scratch);
    size_t troughs = take_troughs(x, y, count, trend.window, fall, scratch);
    fit(scratch->x, scratch->y, troughs, scratch, &trend);
    trend.z = weir_mann_kendall(scratch->y, scratch->residuals, troughs, scratch->values);
    double parts[3];
    for (size_t i = 0; i < 3; i++)
        parts[i] =
            weir_median_of(scratch->y, troughs * i / 3, troughs * (i + 1) / 3, scratch->values);
    trend.rises[0] = parts[1] - parts[0];
    trend.rises[1] = parts[2] - parts[1];
    trend.lasting = lasting_share(scratch->x, scratch->y, troughs);
    return trend;
}

/* --- amplitude ------------------------------------------------------------------------------ */

static void measure_amplitude(const double *y, const double *peak, size_t count,
                              struct weir__scratch *scratch, struct weir__shape *shape)
{
    size_t window = count / 10 > 8 ? count / 10 : 8, windows = 0;
    for (size_t begin = 0; begin + window <= count; begin += window) {
        double low = y[begin], high = peak[begin];
        for (size_t i = begin + 1; i < begin + window; i++) {
            low = fmin(low, y[i]);
            high = fmax(high, peak[i]);
        }
        scratch->values[windows++] = high - low;
    }
    shape->amplitude = weir_median(scratch->values, windows);
    /* Blom's expected range of independent normal values. */
    double share = 0.625 / ((double)window + 0.25);
    shape->range = 2 * weir_normal_quantile(share) * shape->neighbours;
}

/* The share of the trend's growth that comes in jumps: increments that stand out of the scatter and
 * make a tenth of it each. */
static double jump_share(const double *y, size_t count, double growth, double neighbours)
{
    double least =
        fmax(WEIR_VERDICT_COLLAPSE * sqrt(2) * neighbours, WEIR_VERDICT_JUMP_LEAST * growth);
    double sum = 0;
    for (size_t i = 1; i < count; i++)
        if (y[i] - y[i - 1] > least)
            sum += y[i] - y[i - 1];
    return growth > 0 ? sum / growth : 0;
}

/* Nothing that matters goes up on either side of the change of level: by a tenth of it, and by more
 * than counts as none. */
static bool is_flat_beside(const double *x, const double *y, size_t count,
                           const struct weir_change *change, struct weir__scratch *scratch)
{
    const size_t begins[2] = {0, change->at}, ends[2] = {change->at, count};
    double matters = fmax(WEIR_VERDICT_FLOOR_BYTES, WEIR_VERDICT_JUMP_LEAST * fabs(change->jump));
    for (int side = 0; side < 2; side++) {
        size_t begin = begins[side], size = ends[side] - begin;
        if (size < WEIR_VERDICT_TROUGHS_MIN)
            continue;
        struct weir__trend trend = {0};
        fit(x + begin, y + begin, size, scratch, &trend);
        double low = trend.slope - student(scratch->critical, (double)size - 2) * trend.error;
        if (low > 0 && trend.slope * (x[ends[side] - 1] - x[begin]) > matters)
            return false;
    }
    return true;
}

void weir__shape_of(const double *x, const double *y, const double *peak, size_t count,
                    struct weir__scratch *scratch, struct weir__shape *ret_shape)
{
    WEIR_ASSERT(count >= WEIR_VERDICT_SAMPLES_MIN && count <= WEIR_VERDICT_SAMPLES_MAX);
    struct weir__shape shape = {.is_known = true};
    double levels[4];
    for (size_t i = 0; i < 4; i++)
        levels[i] = level_at(y, count, i, scratch->values);
    for (size_t i = 0; i < 3; i++)
        shape.thirds[i] = levels[i + 1] - levels[i];
    shape.start = levels[0];
    shape.end = levels[3];
    shape.grown = levels[3] - levels[0];
    size_t warm = count / 3, last = count - count / 3;
    shape.neighbours = weir_neighbour_noise(y + warm, count - warm, scratch->values);
    double fall =
        fmax(WEIR_VERDICT_COLLAPSE * sqrt(2) * shape.neighbours, WEIR_VERDICT_FLOOR_BYTES);
    shape.trend = trend_of(x + warm, y + warm, count - warm, fall, scratch);
    shape.last = trend_of(x + last, y + last, count - last, fall, scratch);
    shape.jumps = jump_share(y + warm, count - warm, shape.trend.slope * (x[count - 1] - x[warm]),
                             shape.neighbours);
    shape.change = weir_change_find(x, y, count, scratch->values);
    shape.is_flat_beside =
        shape.change.at > 0 && is_flat_beside(x, y, count, &shape.change, scratch);
    measure_amplitude(y + warm, (peak != NULL ? peak : y) + warm, count - warm, scratch, &shape);
    *ret_shape = shape;
}

/* --- what the rules ask ----------------------------------------------------------------------- */

bool weir__has_grown(const struct weir__shape *shape)
{
    return shape->is_known && shape->grown > WEIR_VERDICT_FLOOR_BYTES &&
           shape->grown > 3 * fmin(shape->trend.noise.deviation, shape->last.noise.deviation);
}

bool weir__is_trending(const struct weir__shape *shape, double slope_min)
{
    const struct weir__trend *trend = &shape->trend;
    return shape->is_known && trend->z > 0 && trend->z > trend->critical &&
           weir__slope_low(trend) > slope_min && shape->grown > WEIR_VERDICT_FLOOR_BYTES;
}

/* The end still goes up. Levels and slopes of a part follow the phase of a cycle, so where troughs
 * are those of cycles, the parabola through them has to do. */
static bool is_lasting(const struct weir__shape *shape)
{
    const struct weir__trend *trend = &shape->trend;
    if (trend->lasting < WEIR_VERDICT_LASTING_MIN)
        return false;
    return trend->window == 0 ||
           (shape->last.slope >= WEIR_VERDICT_LAST_SLOPE_SHARE * trend->slope &&
            shape->thirds[2] >= WEIR_VERDICT_FIRST_THIRD_SHARE * shape->thirds[0]);
}

bool weir__is_rising(const struct weir__shape *shape, double slope_min)
{
    const struct weir__trend *trend = &shape->trend;
    return weir__is_trending(shape, slope_min) && trend->rises[0] > 0 && trend->rises[1] > 0 &&
           weir__slope_low(trend) >= WEIR_VERDICT_CERTAIN_SHARE * trend->slope &&
           is_lasting(shape) && (trend->window == 0 || shape->jumps <= WEIR_VERDICT_JUMP_SHARE);
}
