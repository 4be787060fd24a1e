/* The verdict on how a class of memory grows: leak, retention, cache fill, high-water, step, churn,
 * or undecided. docs/DOCTOR.md tells the rules to people and publishes their error rates.
 *
 * What is judged. The first third of the samples is warm-up: it counts for how much has grown,
 * never for whether it still grows. The rest is reduced to troughs (the lowest of 1, 2, 4 or 8
 * samples, or of each stretch between collapses, whichever leave the slope least uncertain),
 * because what a program cannot give back shows at the bottom. The time base is operations where
 * they are known.
 *
 * A series RISES when all of this holds over its troughs:
 *   trend    Mann-Kendall's z, corrected for ties and autocorrelation, beats the quantile of
 *            alpha/k
 *   slope    the lower bound of Theil-Sen's slope at the same level is at least half of it, and
 *            over the least slope that matters: 1 byte per operation and 0.1 % of the budget per
 *            hour, whichever is more
 *   thirds   the median of each third is above that of the one before
 *   lasting  on a parabola through all troughs the second rise is at least 0.65 of the first; the
 *            last third goes up at 0.4 of the slope and makes a quarter of what the first made
 *   no jumps increments that stand out of the scatter make at most half of it
 *   size     it grew by more than 256 KiB over the whole watch
 *
 * Rules, in this order; the first that applies decides:
 *   too few      fewer than 90 samples: undecided
 *   cache fill   L (or R) grew, C grew, C explains 0.8 of it, C has a limit. A part that C does not
 *                explain and that rises by itself is a leak all the same
 *   leak         L, less what C explains, rises. Without L: R rises, and S, where it is known; then
 *                the confidence is low, because slow fragmentation looks the same
 *   retention    S (or R) grew while L did not (at most 0.2 of it), and S - L, which no peak of L
 *                explains, makes 0.8 of it
 *   step         one change of level explains half of the variance, more than a line does, and
 *                makes half of the growth; on neither side anything rises by a tenth of it
 *   churn        no trend, and peaks stand above troughs by 3 times what the scatter between
 *                neighbours explains
 *   high-water   the last third's slope cannot be told from 0 and its growth is under 0.6 of what
 *                came before; or nothing grew at all: a high-water mark that was there already
 *   undecided    the rest, with the number of samples that would decide at the present scatter
 *
 * Kinds are stable names; `high-water` is also the answer for a process that does not grow. */
#ifndef WEIR_DOCTOR_VERDICT_H
#define WEIR_DOCTOR_VERDICT_H

#include "base/error.h"
#include "doctor/series.h"

enum weir_verdict_kind {
    WEIR_VERDICT_LEAK,
    WEIR_VERDICT_RETENTION,
    WEIR_VERDICT_CACHE_FILL,
    WEIR_VERDICT_STEP,
    WEIR_VERDICT_HIGH_WATER,
    WEIR_VERDICT_CHURN,
    WEIR_VERDICT_UNDECIDED
};
#define WEIR_VERDICT_KIND_COUNT 7
const char *weir_verdict_kind_name(enum weir_verdict_kind kind); /* "leak", "cache fill" ... */

enum weir_verdict_confidence {
    WEIR_CONFIDENCE_LOW,
    WEIR_CONFIDENCE_MEDIUM,
    WEIR_CONFIDENCE_HIGH
};
const char *weir_verdict_confidence_name(enum weir_verdict_confidence confidence);

/* Why a verdict is undecided. */
enum weir_verdict_doubt {
    WEIR_DOUBT_NONE,
    WEIR_DOUBT_FEW_SAMPLES,
    WEIR_DOUBT_SCATTER,    /* a trend that the scatter may have made */
    WEIR_DOUBT_SLOWING,    /* it grows, ever slower, and has not stopped */
    WEIR_DOUBT_NO_LIMIT,   /* a cache explains it and its limit is unknown */
    WEIR_DOUBT_UNEXPLAINED /* R grows and neither L nor S does */
};
const char *weir_verdict_doubt_text(enum weir_verdict_doubt doubt);

/* What is known beside the series. 0 means unknown. */
struct weir_verdict_terms {
    size_t class_count;    /* how many are judged together: k */
    double budget_bytes;   /* what growth is measured against; unknown: the level itself */
    double limit_bytes;    /* at which resident memory the process ends */
    double used_bytes;     /* what counts against that limit now */
    bool has_probe;        /* free memory was trimmed after the last sample ... */
    double probe_released; /* ... and R fell by this much */
};

/* The figures behind a verdict, in bytes. What was not computed is NAN. */
struct weir_verdict_evidence {
    const char *basis;                   /* the series that decided: "live", "resident" ... */
    const char *time_base;               /* "operations" or "seconds" */
    double level;                        /* of the basis at the end */
    double grown;                        /* over the whole watch */
    double thirds[3];                    /* growth of resident memory in each third of the watch */
    double slope, slope_low, slope_high; /* bytes per unit of the time base, of the troughs */
    double per_hour;                     /* the slope in bytes an hour */
    double z;                            /* Mann-Kendall's */
    double critical;                     /* what z had to beat */
    double lasting;                      /* second rise over first */
    double phi;                          /* autocorrelation of the troughs */
    size_t troughs;                      /* how many, */
    size_t window;                       /* of this many samples each; 0: between collapses */
    double live_grown, system_grown, resident_grown, cache_grown;
    double held;         /* S - L at the end: free, and kept by the allocator */
    double released;     /* of that, by the trim; NAN: not tried */
    double explained;    /* share of the growth that the verdict's cause explains */
    double plateau;      /* cache fill: resident memory when the cache is full */
    double jump;         /* step: its height ... */
    double jump_seconds; /* ... and when */
    double amplitude;    /* churn: peak above trough */
    double limit_hours, limit_hours_low, limit_hours_high; /* leak: time until limit_bytes */
};

struct weir_verdict {
    enum weir_verdict_kind kind;
    enum weir_verdict_confidence confidence;
    enum weir_verdict_doubt doubt;
    size_t samples;
    size_t samples_needed; /* undecided: so many more */
    struct weir_verdict_evidence evidence;
};

/* Judges one class. NO_MEMORY when scratch is refused, INVALID_ARGUMENT for more than
 * WEIR_VERDICT_SAMPLES_MAX samples or a series without seconds or resident. */
enum weir_status weir_verdict_judge(const struct weir_series *series,
                                    const struct weir_verdict_terms *terms,
                                    struct weir_verdict *ret_verdict, struct weir_error *error)
    WEIR_MUST_USE;

/* Which of `count` verdicts speaks for the process: a leak before anything else, then the class
 * that grew most. */
size_t weir_verdict_overall(const struct weir_verdict *verdicts, size_t count);

/* "Verdict: not a leak. Allocator retention (high confidence)." */
void weir_verdict_headline(const struct weir_verdict *verdict, char *text, size_t size);
/* The index-th sentence of the evidence; false, and no text, when there are
 * no more. `name` is what the class is
 * called ("malloc arenas"); `text` should have room for WEIR_VERDICT_TEXT_SIZE. */
#define WEIR_VERDICT_TEXT_SIZE 320
bool weir_verdict_sentence(const struct weir_verdict *verdict, const char *name, size_t index,
                           char *text, size_t size);

#endif
