/* The rules of verdict.h over the shapes of the series. */
#include "doctor/verdict_internal.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "doctor/verdict_limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One judgement in hand. */
struct judgement {
    const struct weir_verdict_terms *terms;
    size_t count;
    double *seconds, *resident, *peak, *live, *system, *operations, *cache; /* NULL: unknown */
    double *rest;       /* live (or resident) less what the cache explains */
    double cache_limit; /* at the end; 0: unknown */
    bool is_entries;
    const double *x; /* operations or seconds */
    double rate;     /* of x, per hour */
    double slope_min;
    struct weir__shape R, L, S, C, rest_shape;
    double cache_explains; /* share of the subject's growth */
    double cache_unit;     /* bytes per unit of the cache */
    struct weir__scratch scratch;
    struct weir_verdict *verdict;
};

/* --- input --------------------------------------------------------------------------------- */

static bool is_usable(const double *values, size_t count)
{
    size_t gaps = 0;
    for (size_t i = 0; values != NULL && i < count; i++)
        gaps += isfinite(values[i]) ? 0 : 1;
    return values != NULL && (double)gaps <= WEIR_VERDICT_GAPS_MAX * (double)count;
}

/* Copies the samples in which everything usable is there. `room` has 7 columns and one more. */
static void take_samples(const struct weir_series *series, struct judgement *judgement,
                         double *room)
{
    const double *from[7] = {series->seconds, series->resident,   series->peak, series->live,
                             series->system,  series->operations, series->cache};
    double **to[7] = {&judgement->seconds, &judgement->resident, &judgement->peak,
                      &judgement->live,    &judgement->system,   &judgement->operations,
                      &judgement->cache};
    for (size_t c = 0; c < 7; c++)
        if (is_usable(from[c], series->count))
            *to[c] = room + c * series->count;
    for (size_t i = 0; i < series->count; i++) {
        bool is_whole = true;
        for (size_t c = 0; c < 7; c++)
            is_whole = is_whole && (*to[c] == NULL || isfinite(from[c][i]));
        for (size_t c = 0; is_whole && c < 7; c++)
            if (*to[c] != NULL)
                (*to[c])[judgement->count] = from[c][i];
        judgement->count += is_whole;
        if (is_whole && series->cache_limit != NULL && isfinite(series->cache_limit[i]))
            judgement->cache_limit = series->cache_limit[i];
    }
    judgement->rest = room + 7 * series->count;
    judgement->is_entries = series->is_cache_entries;
}

static bool grows_only(const double *values, size_t count)
{
    for (size_t i = 1; values != NULL && i < count; i++)
        if (values[i] < values[i - 1])
            return false;
    return values != NULL && values[count - 1] > values[0];
}

/* Operations where they count upwards; else seconds. */
static void choose_time_base(struct judgement *judgement)
{
    size_t last = judgement->count - 1;
    bool has_operations = grows_only(judgement->operations, judgement->count);
    double hours = (judgement->seconds[last] - judgement->seconds[0]) / 3600;
    judgement->x = has_operations ? judgement->operations : judgement->seconds;
    judgement->rate = hours > 0 ? (judgement->x[last] - judgement->x[0]) / hours : 0;
    double budget = judgement->terms->budget_bytes > 0 ? judgement->terms->budget_bytes
                                                       : judgement->resident[last];
    double per_hour = WEIR_VERDICT_BUDGET_PER_HOUR * budget;
    judgement->slope_min = judgement->rate > 0 ? per_hour / judgement->rate : 0;
    if (has_operations)
        judgement->slope_min = fmax(judgement->slope_min, WEIR_VERDICT_BYTES_PER_OPERATION);
    judgement->verdict->evidence.time_base = has_operations ? "operations" : "seconds";
}

/* --- what a cache explains ------------------------------------------------------------------- */

static double variance_of(const double *values, size_t count)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < count; i++)
        mean += values[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        square += (values[i] - mean) * (values[i] - mean);
    return square;
}

/* Takes from the subject what the cache makes of it: bytes as they are, entries by the bytes that
 * one of them seems to cost. */
static void explain_by_cache(struct judgement *judgement, const double *subject,
                             const struct weir__shape *shape)
{
    size_t count = judgement->count;
    memcpy(judgement->rest, subject, count * sizeof *subject);
    judgement->cache_unit = judgement->is_entries ? 0 : 1;
    if (judgement->cache == NULL)
        return;
    if (judgement->is_entries && weir__has_grown(shape))
        judgement->cache_unit =
            fmax(0, weir_theil_sen(judgement->cache, subject, count, judgement->scratch.pairs));
    for (size_t i = 0; i < count; i++)
        judgement->rest[i] -= judgement->cache_unit * judgement->cache[i];
    double cache_grown = judgement->cache_unit * judgement->C.grown;
    if (!weir__has_grown(shape) || cache_grown <= 0)
        return;
    judgement->cache_explains = cache_grown / shape->grown;
    double total = variance_of(subject, count);
    if (judgement->is_entries && total > 0)
        judgement->cache_explains = 1 - variance_of(judgement->rest, count) / total;
}

/* --- evidence ------------------------------------------------------------------------------ */

static void tell_shape(struct judgement *judgement, const char *basis,
                       const struct weir__shape *shape)
{
    struct weir_verdict_evidence *evidence = &judgement->verdict->evidence;
    const struct weir__trend *trend = &shape->trend;
    evidence->basis = basis;
    evidence->level = shape->end;
    evidence->grown = shape->grown;
    evidence->slope = trend->slope;
    evidence->slope_low = weir__slope_low(trend);
    evidence->slope_high = weir__slope_high(trend);
    evidence->per_hour = trend->slope * judgement->rate;
    evidence->z = trend->z;
    evidence->critical = trend->critical;
    evidence->lasting = trend->lasting;
    evidence->phi = trend->noise.phi;
    evidence->troughs = trend->count;
    evidence->window = trend->window;
    evidence->amplitude = shape->amplitude;
}

static enum weir_verdict_confidence confidence_of(int points)
{
    return points >= 2   ? WEIR_CONFIDENCE_HIGH
           : points == 1 ? WEIR_CONFIDENCE_MEDIUM
                         : WEIR_CONFIDENCE_LOW;
}

static bool decide(struct judgement *judgement, enum weir_verdict_kind kind, int points)
{
    judgement->verdict->kind = kind;
    judgement->verdict->confidence = confidence_of(points);
    return true;
}

static bool doubt(struct judgement *judgement, enum weir_verdict_doubt why,
                  const struct weir__trend *trend)
{
    struct weir_verdict *verdict = judgement->verdict;
    verdict->kind = WEIR_VERDICT_UNDECIDED;
    verdict->confidence = WEIR_CONFIDENCE_LOW;
    verdict->doubt = why;
    /* The error of a slope falls with the 3/2 power of the samples. */
    double factor = 2;
    if (why == WEIR_DOUBT_SCATTER && trend->slope > 0)
        factor = pow(1.2 * trend->critical * trend->error / trend->slope, 2.0 / 3);
    factor = fmin(fmax(factor, 1.25), 4);
    verdict->samples_needed = (size_t)ceil((factor - 1) * (double)verdict->samples);
    return true;
}

/* --- rules --------------------------------------------------------------------------------- */

static bool is_live_known(const struct judgement *judgement)
{
    return judgement->live != NULL;
}

static bool judge_leak(struct judgement *judgement)
{
    struct weir__shape *rest = &judgement->rest_shape;
    if (!weir__is_rising(rest, judgement->slope_min))
        return false;
    bool has_live = is_live_known(judgement);
    if (!has_live && judgement->system != NULL &&
        !weir__is_trending(&judgement->S, judgement->slope_min))
        return false; /* touched within what the allocator holds already */
    tell_shape(judgement, has_live ? "live" : "resident", rest);
    int points = 2;
    points -= judgement->x != judgement->operations;
    points -= judgement->count < 2 * WEIR_VERDICT_SAMPLES_MIN;
    points -= weir__slope_low(&rest->trend) < WEIR_VERDICT_SURE_SHARE * rest->trend.slope;
    if (!has_live)
        points = 0;
    struct weir_verdict_evidence *evidence = &judgement->verdict->evidence;
    double room = judgement->terms->limit_bytes - judgement->terms->used_bytes;
    if (judgement->terms->limit_bytes > 0 && judgement->rate > 0 && room >= 0) {
        evidence->limit_hours = room / (rest->trend.slope * judgement->rate);
        evidence->limit_hours_low = room / (evidence->slope_high * judgement->rate);
        evidence->limit_hours_high = room / (evidence->slope_low * judgement->rate);
    }
    return decide(judgement, WEIR_VERDICT_LEAK, points > 0 || !has_live ? points : 1);
}

static bool judge_cache(struct judgement *judgement)
{
    const struct weir__shape *subject = is_live_known(judgement) ? &judgement->L : &judgement->R;
    if (judgement->cache == NULL || judgement->cache_explains < WEIR_VERDICT_EXPLAINED ||
        weir__is_rising(&judgement->rest_shape, judgement->slope_min))
        return false;
    struct weir_verdict_evidence *evidence = &judgement->verdict->evidence;
    tell_shape(judgement, is_live_known(judgement) ? "live" : "resident", subject);
    evidence->explained = judgement->cache_explains;
    if (judgement->cache_limit <= 0)
        return doubt(judgement, WEIR_DOUBT_NO_LIMIT, &subject->trend);
    double left = fmax(0, judgement->cache_limit - judgement->C.end);
    evidence->plateau = judgement->R.end + judgement->cache_unit * left;
    return decide(judgement, WEIR_VERDICT_CACHE_FILL,
                  judgement->is_entries      ? 1
                  : is_live_known(judgement) ? 2
                                             : 1);
}

/* By how much the most that the program had held so far went up over the watch: an allocator that
 * grew by that much only did what it was asked for. */
static double peak_growth(const struct judgement *judgement)
{
    size_t count = judgement->count, part = count / WEIR_VERDICT_LEVEL_PARTS;
    double *peaks = judgement->scratch.x;
    peaks[0] = judgement->live[0];
    for (size_t i = 1; i < count; i++)
        peaks[i] = fmax(peaks[i - 1], judgement->live[i]);
    return weir_median_of(peaks, count - part, count, judgement->scratch.values) -
           weir_median_of(peaks, 0, part, judgement->scratch.values);
}

static bool judge_retention(struct judgement *judgement)
{
    if (!is_live_known(judgement))
        return false;
    bool by_system = weir__has_grown(&judgement->S);
    const struct weir__shape *held = by_system ? &judgement->S : &judgement->R;
    if (!weir__has_grown(held) || weir__is_rising(&judgement->rest_shape, judgement->slope_min) ||
        judgement->L.grown > WEIR_VERDICT_LIVE_SHARE * held->grown)
        return false;
    double explained = fmin(1, 1 - judgement->L.grown / held->grown);
    double beyond = held->grown - peak_growth(judgement);
    if (explained < WEIR_VERDICT_EXPLAINED || beyond < WEIR_VERDICT_JUMP_SHARE * held->grown)
        return false;
    struct weir_verdict_evidence *evidence = &judgement->verdict->evidence;
    tell_shape(judgement, by_system ? "system" : "resident", held);
    evidence->explained = explained;
    evidence->held = held->end - judgement->L.end;
    int points = by_system && judgement->R.grown > WEIR_VERDICT_JUMP_SHARE * held->grown ? 2 : 1;
    if (judgement->terms->has_probe) {
        evidence->released = judgement->terms->probe_released;
        points = evidence->released >= WEIR_VERDICT_PROBE_SHARE * evidence->held ? 2 : 0;
    }
    return decide(judgement, WEIR_VERDICT_RETENTION, points);
}

static bool judge_step(struct judgement *judgement, const char *basis,
                       const struct weir__shape *shape)
{
    const struct weir_change *change = &shape->change;
    double height = fabs(change->jump);
    if (change->at == 0 || change->explained < WEIR_VERDICT_STEP_EXPLAINS ||
        change->explained <= change->of_line || height <= WEIR_VERDICT_FLOOR_BYTES ||
        height < 4 * shape->neighbours || height < WEIR_VERDICT_JUMP_SHARE * fabs(shape->grown) ||
        !shape->is_flat_beside)
        return false;
    tell_shape(judgement, basis, shape);
    struct weir_verdict_evidence *evidence = &judgement->verdict->evidence;
    evidence->jump = change->jump;
    evidence->jump_seconds = judgement->seconds[change->at] - judgement->seconds[0];
    evidence->explained = change->explained;
    return decide(judgement, WEIR_VERDICT_STEP,
                  (change->explained >= WEIR_VERDICT_EXPLAINED) + is_live_known(judgement));
}

static bool judge_churn(struct judgement *judgement, const char *basis,
                        const struct weir__shape *shape)
{
    double beyond = shape->amplitude - shape->range;
    double span = judgement->x[judgement->count - 1] - judgement->x[judgement->count / 3];
    double could_grow = weir__slope_high(&shape->trend) * span;
    if (weir__is_trending(shape, 0) || beyond < WEIR_VERDICT_CHURN_RATIO * shape->neighbours ||
        beyond <= WEIR_VERDICT_FLOOR_BYTES || fabs(shape->grown) > shape->amplitude ||
        could_grow > WEIR_VERDICT_CHURN_HIDES * shape->amplitude)
        return false;
    tell_shape(judgement, basis, shape);
    return decide(judgement, WEIR_VERDICT_CHURN,
                  (could_grow <= WEIR_VERDICT_FLAT_SHARE * shape->end) + is_live_known(judgement));
}

static bool judge_high_water(struct judgement *judgement, const char *basis,
                             const struct weir__shape *shape)
{
    const double *thirds = shape->thirds;
    const struct weir__trend *last = &shape->last;
    double span = judgement->x[judgement->count - 1] - judgement->x[judgement->count * 2 / 3];
    double could_grow = weir__slope_high(last) * span;
    double flat = fmax(WEIR_VERDICT_FLOOR_BYTES, WEIR_VERDICT_FLAT_SHARE * shape->end);
    bool has_grown = weir__has_grown(shape);
    if (weir__slope_low(last) > 0 && thirds[2] > WEIR_VERDICT_FLOOR_BYTES)
        return false;
    double before = WEIR_VERDICT_PLATEAU_SHARE * fmax(thirds[0], thirds[1]);
    if (has_grown ? thirds[2] >= before || could_grow > fmax(flat, before) : could_grow > flat)
        return false;
    tell_shape(judgement, basis, shape);
    return decide(judgement, WEIR_VERDICT_HIGH_WATER,
                  (could_grow <= flat) + (could_grow <= flat / 5 && !last->noise.is_wandering));
}

/* Step, churn, high-water or undecided, by one series. */
static bool judge_shape(struct judgement *judgement, const char *basis,
                        const struct weir__shape *shape)
{
    if (judge_step(judgement, basis, shape) || judge_churn(judgement, basis, shape) ||
        judge_high_water(judgement, basis, shape))
        return true;
    tell_shape(judgement, basis, shape);
    bool is_slowing = weir__is_trending(shape, judgement->slope_min) &&
                      shape->trend.lasting < WEIR_VERDICT_LASTING_MIN;
    (void)doubt(judgement, is_slowing ? WEIR_DOUBT_SLOWING : WEIR_DOUBT_SCATTER, &shape->trend);
    return false;
}

/* What the program holds makes what is resident grow. */
static bool is_explained_by_live(const struct judgement *judgement)
{
    return weir__has_grown(&judgement->L) && judgement->R.grown * WEIR_VERDICT_EXPLAINED <=
                                                 judgement->L.grown + WEIR_VERDICT_FLOOR_BYTES;
}

/* What the program holds decides, unless resident memory grows without it. */
static void judge_rest(struct judgement *judgement)
{
    bool has_live = is_live_known(judgement);
    if (has_live &&
        (!judge_shape(judgement, "live", &judgement->L) || is_explained_by_live(judgement)))
        return;
    bool is_decided = judge_shape(judgement, "resident", &judgement->R);
    if (has_live && !is_decided && weir__is_trending(&judgement->R, judgement->slope_min))
        judgement->verdict->doubt = WEIR_DOUBT_UNEXPLAINED;
}

/* --- one judgement --------------------------------------------------------------------------- */

static void shape_known(struct judgement *judgement, const double *y, const double *peak,
                        struct weir__shape *ret_shape)
{
    if (y != NULL)
        weir__shape_of(judgement->x, y, peak, judgement->count, &judgement->scratch, ret_shape);
}

static void tell_growth(struct judgement *judgement)
{
    struct weir_verdict_evidence *evidence = &judgement->verdict->evidence;
    memcpy(evidence->thirds, judgement->R.thirds, sizeof evidence->thirds);
    evidence->resident_grown = judgement->R.grown;
    if (judgement->L.is_known)
        evidence->live_grown = judgement->L.grown;
    if (judgement->S.is_known)
        evidence->system_grown = judgement->S.grown;
    if (judgement->C.is_known)
        evidence->cache_grown = judgement->C.grown;
    if (judgement->L.is_known && judgement->S.is_known)
        evidence->held = judgement->S.end - judgement->L.end;
}

static void judge(struct judgement *judgement)
{
    choose_time_base(judgement);
    shape_known(judgement, judgement->resident, judgement->peak, &judgement->R);
    shape_known(judgement, judgement->live, NULL, &judgement->L);
    shape_known(judgement, judgement->system, NULL, &judgement->S);
    shape_known(judgement, judgement->cache, NULL, &judgement->C);
    bool has_live = is_live_known(judgement);
    explain_by_cache(judgement, has_live ? judgement->live : judgement->resident,
                     has_live ? &judgement->L : &judgement->R);
    shape_known(judgement, judgement->rest, NULL, &judgement->rest_shape);
    tell_growth(judgement);
    if (!judge_cache(judgement) && !judge_leak(judgement) && !judge_retention(judgement))
        judge_rest(judgement);
}

static void forget(struct weir_verdict *verdict)
{
    *verdict = (struct weir_verdict){.kind = WEIR_VERDICT_UNDECIDED};
    struct weir_verdict_evidence *evidence = &verdict->evidence;
    double *const figures[] = {&evidence->level,
                               &evidence->grown,
                               &evidence->slope,
                               &evidence->slope_low,
                               &evidence->slope_high,
                               &evidence->per_hour,
                               &evidence->z,
                               &evidence->critical,
                               &evidence->lasting,
                               &evidence->phi,
                               &evidence->live_grown,
                               &evidence->system_grown,
                               &evidence->resident_grown,
                               &evidence->cache_grown,
                               &evidence->held,
                               &evidence->released,
                               &evidence->explained,
                               &evidence->plateau,
                               &evidence->jump,
                               &evidence->jump_seconds,
                               &evidence->amplitude,
                               &evidence->limit_hours,
                               &evidence->limit_hours_low,
                               &evidence->limit_hours_high,
                               &evidence->thirds[0],
                               &evidence->thirds[1],
                               &evidence->thirds[2]};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        *figures[i] = NAN;
}

static bool is_enough(const struct judgement *judgement)
{
    /* Resident bytes that are missing in most samples are missing. */
    size_t count = judgement->resident != NULL ? judgement->count : 0;
    judgement->verdict->samples = count;
    if (count >= WEIR_VERDICT_SAMPLES_MIN && judgement->seconds[count - 1] > judgement->seconds[0])
        return true;
    judgement->verdict->doubt = WEIR_DOUBT_FEW_SAMPLES;
    judgement->verdict->samples_needed =
        count < WEIR_VERDICT_SAMPLES_MIN ? WEIR_VERDICT_SAMPLES_MIN - count : 1;
    return false;
}

enum weir_status weir_verdict_judge(const struct weir_series *series,
                                    const struct weir_verdict_terms *terms,
                                    struct weir_verdict *ret_verdict, struct weir_error *error)
{
    if (series->seconds == NULL || series->resident == NULL ||
        series->count > WEIR_VERDICT_SAMPLES_MAX)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a series of %zu samples, at most %u and with time and resident "
                              "bytes are judged",
                              series->count, WEIR_VERDICT_SAMPLES_MAX);
    size_t n = series->count + 1;
    AUTO_FREE double *room = malloc((n * (n - 1) / 2 + 14 * n) * sizeof *room);
    if (room == NULL)
        return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for a verdict");
    struct weir_verdict verdict;
    forget(&verdict);
    struct judgement judgement = {.terms = terms, .verdict = &verdict};
    take_samples(series, &judgement, room);
    double *scratch = room + 8 * n;
    judgement.scratch = (struct weir__scratch){.x = scratch,
                                               .y = scratch + n,
                                               .residuals = scratch + 2 * n,
                                               .values = scratch + 3 * n,
                                               .pairs = scratch + 6 * n};
    size_t classes = terms->class_count > 1 ? terms->class_count : 1;
    judgement.scratch.critical = weir_normal_quantile(WEIR_VERDICT_ALPHA / (double)classes);
    if (is_enough(&judgement))
        judge(&judgement);
    *ret_verdict = verdict;
    return WEIR_OK;
}

size_t weir_verdict_overall(const struct weir_verdict *verdicts, size_t count)
{
    size_t found = 0;
    for (size_t i = 1; i < count; i++) {
        bool is_leak = verdicts[i].kind == WEIR_VERDICT_LEAK;
        bool was_leak = verdicts[found].kind == WEIR_VERDICT_LEAK;
        double grown = verdicts[i].evidence.resident_grown;
        double most = verdicts[found].evidence.resident_grown;
        if (is_leak != was_leak ? is_leak : grown > most || (isnan(most) && !isnan(grown)))
            found = i;
    }
    return found;
}
