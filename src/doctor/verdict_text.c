/* Verdicts as sentences: the answer first, then the figures it stands on, then what would help. */
#include "doctor/verdict.h"

#include "base/sizes.h"
#include "doctor/verdict_limits.h"

#include <math.h>
#include <stdio.h>

static const char *const KINDS[WEIR_VERDICT_KIND_COUNT] = {
    "leak", "retention", "cache fill", "step", "high-water", "churn", "undecided"};

const char *weir_verdict_kind_name(enum weir_verdict_kind kind)
{
    return KINDS[kind];
}

const char *weir_verdict_confidence_name(enum weir_verdict_confidence confidence)
{
    static const char *const NAMES[] = {"low", "medium", "high"};
    return NAMES[confidence];
}

const char *weir_verdict_doubt_text(enum weir_verdict_doubt doubt)
{
    static const char *const TEXTS[] = {
        [WEIR_DOUBT_NONE] = "none",
        [WEIR_DOUBT_FEW_SAMPLES] = "too few samples",
        [WEIR_DOUBT_SCATTER] = "the scatter hides whether there is a trend",
        [WEIR_DOUBT_SLOWING] = "it grows, ever slower, and has not stopped",
        [WEIR_DOUBT_NO_LIMIT] = "a cache explains the growth, and its limit is not known",
        [WEIR_DOUBT_UNEXPLAINED] =
            "resident memory grows, and neither live bytes nor the allocator's do"};
    return TEXTS[doubt];
}

/* --- pieces -------------------------------------------------------------------------------- */

static struct weir_size_text size_text(double bytes)
{
    struct weir_size_text plain = weir_size_format((uint64_t)fmin(fabs(bytes), 1e18)), text;
    (void)snprintf(text.text, sizeof text.text, "%s%.22s", bytes <= -0.5 ? "-" : "", plain.text);
    return text;
}

/* Of slopes, which may be fractions of a byte. */
static struct weir_size_text rate_text(double bytes)
{
    struct weir_size_text text;
    if (fabs(bytes) >= 100)
        return size_text(bytes);
    (void)snprintf(text.text, sizeof text.text, "%.2g B", fabs(bytes) < 0.005 ? 0 : bytes);
    return text;
}

static struct weir_size_text hours_text(double hours)
{
    struct weir_size_text text;
    if (hours < 1000)
        return weir_duration_format((uint64_t)(hours * 3600e9));
    (void)snprintf(text.text, sizeof text.text, "%.0f days", fmin(hours / 24, 1e9));
    return text;
}

static bool has_grown(const struct weir_verdict_evidence *evidence)
{
    return evidence->grown > WEIR_VERDICT_FLOOR_BYTES;
}

/* Each writes one sentence, or nothing when it has nothing to say. */

static int tell_growth(const struct weir_verdict *verdict, const char *name, char *text,
                       size_t size)
{
    const struct weir_verdict_evidence *evidence = &verdict->evidence;
    double grown = evidence->resident_grown;
    if (isnan(grown))
        return 0;
    if (fabs(grown) <= WEIR_VERDICT_FLOOR_BYTES)
        return snprintf(text, size, "%s stayed where it was, at %s resident (%s%s).", name,
                        size_text(isnan(evidence->level) ? 0 : evidence->level).text,
                        grown > 0 ? "+" : "", size_text(grown).text);
    const double *thirds = evidence->thirds;
    return snprintf(text, size,
                    "%s %s %s over the watch (resident, by thirds: %+.1f, %+.1f, %+.1f MiB).", name,
                    grown > 0 ? "grew" : "shrank", size_text(fabs(grown)).text, thirds[0] / 1048576,
                    thirds[1] / 1048576, thirds[2] / 1048576);
}

static int tell_others(const struct weir_verdict *verdict, char *text, size_t size)
{
    const struct weir_verdict_evidence *evidence = &verdict->evidence;
    if (isnan(evidence->live_grown))
        return 0;
    int used = snprintf(text, size, "Live bytes grew %s", size_text(evidence->live_grown).text);
    if (!isnan(evidence->system_grown))
        used += snprintf(text + used, size - (size_t)used, ", the allocator's %s",
                         size_text(evidence->system_grown).text);
    if (!isnan(evidence->cache_grown))
        used += snprintf(text + used, size - (size_t)used, "; the cache grew as well");
    return used + snprintf(text + used, size - (size_t)used, ".");
}

static int tell_trend(const struct weir_verdict *verdict, char *text, size_t size)
{
    const struct weir_verdict_evidence *evidence = &verdict->evidence;
    if (isnan(evidence->slope) || verdict->kind == WEIR_VERDICT_STEP)
        return 0;
    char troughs[48];
    if (evidence->window > 1)
        (void)snprintf(troughs, sizeof troughs, "troughs of %zu samples each", evidence->window);
    else
        (void)snprintf(troughs, sizeof troughs, "%s",
                       evidence->window == 1 ? "samples" : "cycles, at the bottom of each");
    const char *unit = evidence->time_base[0] == 'o' ? "operation" : "second";
    return snprintf(text, size,
                    "Slope of %s bytes: %s a%s %s (99 %%: %s to %s), %s an hour, over %zu %s; "
                    "Mann-Kendall z = %.1f, %.1f would be a trend.",
                    evidence->basis, rate_text(evidence->slope).text, unit[0] == 'o' ? "n" : "",
                    unit, rate_text(evidence->slope_low).text, rate_text(evidence->slope_high).text,
                    rate_text(evidence->per_hour).text, evidence->troughs, troughs, evidence->z,
                    evidence->critical);
}

static int tell_leak(const struct weir_verdict_evidence *evidence, char *text, size_t size)
{
    if (isnan(evidence->limit_hours))
        return 0;
    return snprintf(text, size, "At this rate the limit is reached in %s (99 %%: %s to %s).",
                    hours_text(evidence->limit_hours).text,
                    hours_text(evidence->limit_hours_low).text,
                    hours_text(evidence->limit_hours_high).text);
}

static int tell_retention(const struct weir_verdict_evidence *evidence, char *text, size_t size)
{
    int used = snprintf(text, size,
                        "The allocator holds %s that the program does not use; that "
                        "explains %.0f %% of the growth.",
                        size_text(evidence->held).text, 100 * evidence->explained);
    if (isnan(evidence->released))
        return used;
    bool agrees = evidence->released >= WEIR_VERDICT_PROBE_SHARE * evidence->held;
    return used + snprintf(text + used, size - (size_t)used, " A trim gave back %s: %s.",
                           size_text(evidence->released).text,
                           agrees ? "that confirms it" : "most of it is fragmented");
}

static int tell_cause(const struct weir_verdict *verdict, char *text, size_t size)
{
    const struct weir_verdict_evidence *evidence = &verdict->evidence;
    switch (verdict->kind) {
    case WEIR_VERDICT_LEAK:
        return tell_leak(evidence, text, size);
    case WEIR_VERDICT_RETENTION:
        return tell_retention(evidence, text, size);
    case WEIR_VERDICT_CACHE_FILL:
        return snprintf(text, size,
                        "The cache explains %.0f %% of it; when it is full, %s will be resident.",
                        fmin(100, 100 * evidence->explained), size_text(evidence->plateau).text);
    case WEIR_VERDICT_STEP:
        return snprintf(
            text, size,
            "One change of %s, %.0f s into the watch, explains %.0f %% of the variance; "
            "nothing rises before or after it.",
            size_text(evidence->jump).text, evidence->jump_seconds, 100 * evidence->explained);
    case WEIR_VERDICT_CHURN:
        return snprintf(text, size, "Peaks stand %s above troughs, and the troughs do not rise.",
                        size_text(evidence->amplitude).text);
    case WEIR_VERDICT_UNDECIDED:
        return snprintf(text, size, "Why: %s.", weir_verdict_doubt_text(verdict->doubt));
    default:
        return has_grown(evidence) ? snprintf(text, size, "The last third is flat.") : 0;
    }
}

static int tell_remedy(const struct weir_verdict *verdict, char *text, size_t size)
{
    if (verdict->kind == WEIR_VERDICT_LEAK && isnan(verdict->evidence.live_grown))
        return snprintf(text, size,
                        "Resident memory alone cannot tell slow fragmentation from a leak; live "
                        "bytes could.");
    if (verdict->doubt == WEIR_DOUBT_NO_LIMIT)
        return snprintf(text, size,
                        "Give the cache's limit beside its fill: --cache "
                        "URL#used,limit.");
    return 0;
}

/* --- the page ------------------------------------------------------------------------------- */

void weir_verdict_headline(const struct weir_verdict *verdict, char *text, size_t size)
{
    static const char *const HEADLINES[WEIR_VERDICT_KIND_COUNT] = {
        [WEIR_VERDICT_LEAK] = "Verdict: leak",
        [WEIR_VERDICT_RETENTION] = "Verdict: not a leak. Allocator retention",
        [WEIR_VERDICT_CACHE_FILL] = "Verdict: not a leak. A cache fills",
        [WEIR_VERDICT_STEP] = "Verdict: not a leak. One step",
        [WEIR_VERDICT_HIGH_WATER] = "Verdict: not a leak. High-water mark reached",
        [WEIR_VERDICT_CHURN] = "Verdict: not a leak. Churn"};
    if (verdict->kind == WEIR_VERDICT_UNDECIDED) {
        (void)snprintf(text, size, "Verdict: undecided; %zu more samples needed, %zu seen.",
                       verdict->samples_needed, verdict->samples);
        return;
    }
    bool is_flat = verdict->kind == WEIR_VERDICT_HIGH_WATER && !has_grown(&verdict->evidence);
    (void)snprintf(text, size, "%s (%s confidence).",
                   is_flat ? "Verdict: no growth" : HEADLINES[verdict->kind],
                   weir_verdict_confidence_name(verdict->confidence));
}

bool weir_verdict_sentence(const struct weir_verdict *verdict, const char *name, size_t index,
                           char *text, size_t size)
{
    for (size_t piece = 0; piece < 5; piece++) {
        int length = piece == 0   ? tell_growth(verdict, name, text, size)
                     : piece == 1 ? tell_cause(verdict, text, size)
                     : piece == 2 ? tell_others(verdict, text, size)
                     : piece == 3 ? tell_trend(verdict, text, size)
                                  : tell_remedy(verdict, text, size);
        if (length > 0 && index-- == 0)
            return true;
    }
    text[0] = 0;
    return false;
}
