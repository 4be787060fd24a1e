/* Slots of a watch, their merging, and the verdicts on them. The loop is watch_loop.c. */
#include "doctor/watch.h"

#include "base/check.h"
#include "base/cleanup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS WEIR_VERDICT_SAMPLES_MAX
/* And one more row, for a sample on its way into the last slot. */
#define ROWS (SLOTS + 1)

/* The columns of a class. */
enum {
    RESIDENT,
    PEAK,
    LIVE,
    SYSTEM,
    CLASS_COLUMNS
};
/* The columns of the watch itself. */
enum {
    SECONDS,
    OPERATIONS,
    CACHE,
    CACHE_LIMIT,
    OWN_COLUMNS
};

struct watched_class {
    char name[WEIR_WATCH_NAME_SIZE];
    char text[WEIR_WATCH_NAME_SIZE];
    double *columns[CLASS_COLUMNS]; /* one allocation, ROWS values each */
};

struct weir_watch {
    double *columns[OWN_COLUMNS];
    struct watched_class classes[WEIR_VERDICT_CLASSES_MAX];
    size_t class_count;
    size_t count;  /* slots in use, the last one perhaps not yet full */
    size_t stride; /* samples that a slot takes */
    size_t filled; /* samples in the last slot */
    size_t seen;
    double limit_bytes, used_bytes;
    bool is_cache_entries;
};

struct weir_watch_sample weir_watch_sample_empty(double seconds)
{
    struct weir_watch_sample sample = {
        .seconds = seconds, .operations = NAN, .cache = NAN, .cache_limit = NAN};
    for (size_t i = 0; i < WEIR_VERDICT_CLASSES_MAX; i++)
        sample.classes[i] = (struct weir_watch_class){NAN, NAN, NAN};
    return sample;
}

static double *new_columns(size_t count, double **ret_columns)
{
    double *room = calloc(count * ROWS, sizeof *room);
    for (size_t i = 0; room != NULL && i < count; i++)
        ret_columns[i] = room + i * ROWS;
    return room;
}

static enum weir_status no_memory(struct weir_error *error)
{
    return weir_error_set(error, WEIR_NO_MEMORY, WEIR_NO_OFFSET, "no memory for a watch");
}

enum weir_status weir_watch_new(struct weir_watch **ret_watch, struct weir_error *error)
{
    struct weir_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL || new_columns(OWN_COLUMNS, watch->columns) == NULL) {
        free(watch);
        return no_memory(error);
    }
    watch->stride = 1;
    *ret_watch = watch;
    return WEIR_OK;
}

void weir_watch_free(struct weir_watch *watch)
{
    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->class_count; i++)
        free(watch->classes[i].columns[0]);
    free(watch->columns[0]);
    free(watch);
}

enum weir_status weir_watch_class_add(struct weir_watch *watch, const char *name, const char *text,
                                      struct weir_error *error)
{
    WEIR_ASSERT(watch->seen == 0);
    if (watch->class_count == WEIR_VERDICT_CLASSES_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "%.31s: at most %u classes are watched", name,
                              WEIR_VERDICT_CLASSES_MAX);
    struct watched_class *class = &watch->classes[watch->class_count];
    if (new_columns(CLASS_COLUMNS, class->columns) == NULL)
        return no_memory(error);
    (void)snprintf(class->name, sizeof class->name, "%s", name);
    (void)snprintf(class->text, sizeof class->text, "%s", text);
    watch->class_count++;
    return WEIR_OK;
}

void weir_watch_cache_entries(struct weir_watch *watch)
{
    watch->is_cache_entries = true;
}

bool weir_watch_is_cache_entries(const struct weir_watch *watch)
{
    return watch->is_cache_entries;
}

/* --- slots --------------------------------------------------------------------------------- */

/* Lets slot `into` stand for slot `from` too: the later time, and of each class the lower moment.
 */
static void merge_slots(struct weir_watch *watch, size_t into, size_t from)
{
    for (size_t c = 0; c < OWN_COLUMNS; c++)
        watch->columns[c][into] = watch->columns[c][from];
    for (size_t i = 0; i < watch->class_count; i++) {
        double **columns = watch->classes[i].columns;
        double peak = fmax(columns[PEAK][into], columns[PEAK][from]);
        if (isnan(columns[RESIDENT][into]) || columns[RESIDENT][from] < columns[RESIDENT][into])
            for (size_t c = 0; c < CLASS_COLUMNS; c++)
                columns[c][into] = columns[c][from];
        columns[PEAK][into] = peak;
    }
}

static void copy_slot(struct weir_watch *watch, size_t into, size_t from)
{
    for (size_t c = 0; c < OWN_COLUMNS; c++)
        watch->columns[c][into] = watch->columns[c][from];
    for (size_t i = 0; i < watch->class_count; i++)
        for (size_t c = 0; c < CLASS_COLUMNS; c++)
            watch->classes[i].columns[c][into] = watch->classes[i].columns[c][from];
}

static void halve(struct weir_watch *watch)
{
    for (size_t i = 0; i < SLOTS / 2; i++) {
        copy_slot(watch, i, 2 * i);
        merge_slots(watch, i, 2 * i + 1);
    }
    watch->count = SLOTS / 2;
    watch->stride *= 2;
    watch->filled = watch->stride;
}

static void put_slot(struct weir_watch *watch, size_t at, const struct weir_watch_sample *sample)
{
    watch->columns[SECONDS][at] = sample->seconds;
    watch->columns[OPERATIONS][at] = sample->operations;
    watch->columns[CACHE][at] = sample->cache;
    watch->columns[CACHE_LIMIT][at] = sample->cache_limit;
    for (size_t i = 0; i < watch->class_count; i++) {
        double **columns = watch->classes[i].columns;
        columns[RESIDENT][at] = columns[PEAK][at] = sample->classes[i].resident;
        columns[LIVE][at] = sample->classes[i].live;
        columns[SYSTEM][at] = sample->classes[i].system;
    }
}

enum weir_status weir_watch_add(struct weir_watch *watch, const struct weir_watch_sample *sample,
                                struct weir_error *error)
{
    if (!isfinite(sample->seconds) ||
        (watch->count > 0 && sample->seconds < watch->columns[SECONDS][watch->count - 1]))
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "a sample at %.3f s, earlier than the one before", sample->seconds);
    if (watch->count == SLOTS && watch->filled == watch->stride)
        halve(watch);
    put_slot(watch, watch->count, sample);
    if (watch->count == 0 || watch->filled == watch->stride) {
        watch->count++;
        watch->filled = 0;
    } else {
        merge_slots(watch, watch->count - 1, watch->count);
    }
    watch->filled++;
    watch->seen++;
    watch->limit_bytes = sample->limit_bytes;
    watch->used_bytes = sample->used_bytes;
    return WEIR_OK;
}

size_t weir_watch_class_count(const struct weir_watch *watch)
{
    return watch->class_count;
}

const char *weir_watch_class_name(const struct weir_watch *watch, size_t index)
{
    return watch->classes[index].name;
}

const char *weir_watch_class_text(const struct weir_watch *watch, size_t index)
{
    return watch->classes[index].text;
}

struct weir_watch_count weir_watch_count(const struct weir_watch *watch)
{
    const double *seconds = watch->columns[SECONDS];
    return (struct weir_watch_count){
        .seen = watch->seen,
        .kept = watch->count,
        .merged = watch->stride,
        .seconds = watch->count > 0 ? seconds[watch->count - 1] - seconds[0] : 0};
}

/* --- verdicts ------------------------------------------------------------------------------ */

static struct weir_series series_of(const struct weir_watch *watch, size_t index)
{
    double *const *columns = watch->classes[index].columns;
    return (struct weir_series){.count = watch->count,
                                .seconds = watch->columns[SECONDS],
                                .resident = columns[RESIDENT],
                                .peak = columns[PEAK],
                                .live = columns[LIVE],
                                .system = columns[SYSTEM],
                                .operations = watch->columns[OPERATIONS],
                                .cache = watch->columns[CACHE],
                                .cache_limit = watch->columns[CACHE_LIMIT],
                                .is_cache_entries = watch->is_cache_entries};
}

static bool has_moved(const struct weir_watch *watch, size_t index)
{
    double *const *columns = watch->classes[index].columns;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < watch->count; i++) {
        low = fmin(low, columns[RESIDENT][i]);
        high = fmax(high, columns[PEAK][i]);
    }
    return high - low > WEIR_VERDICT_FLOOR_BYTES;
}

/* The process's own verdict is the first; does it say more than those of its classes? */
static bool is_whole_needed(const struct weir_watch_verdicts *verdicts)
{
    const struct weir_verdict_evidence *whole = &verdicts->of[0].verdict.evidence;
    double most = 0;
    for (size_t i = 1; i < verdicts->count; i++)
        most = fmax(most, verdicts->of[i].verdict.evidence.resident_grown);
    return verdicts->count == 1 || !isnan(whole->live_grown) ||
           (whole->resident_grown > WEIR_VERDICT_FLOOR_BYTES && most < whole->resident_grown / 2);
}

static void choose_overall(struct weir_watch_verdicts *verdicts)
{
    struct weir_verdict all[WEIR_VERDICT_CLASSES_MAX];
    size_t first = is_whole_needed(verdicts) ? 0 : 1;
    for (size_t i = first; i < verdicts->count; i++)
        all[i - first] = verdicts->of[i].verdict;
    verdicts->overall = first + weir_verdict_overall(all, verdicts->count - first);
}

enum weir_status weir_watch_judge(const struct weir_watch *watch,
                                  const struct weir_watch_probe *probe,
                                  struct weir_watch_verdicts *ret_verdicts,
                                  struct weir_error *error)
{
    WEIR_ASSERT(watch->class_count > 0);
    struct weir_watch_verdicts verdicts = {0};
    for (size_t i = 0; i < watch->class_count; i++)
        if (i == 0 || has_moved(watch, i))
            verdicts.of[verdicts.count++].class = i;
    struct weir_verdict_terms terms = {.class_count = verdicts.count,
                                       .budget_bytes = watch->limit_bytes,
                                       .limit_bytes = watch->limit_bytes,
                                       .used_bytes = watch->used_bytes,
                                       .has_probe = probe != NULL && probe->is_done,
                                       .probe_released = probe != NULL ? probe->released : 0};
    for (size_t i = 0; i < verdicts.count; i++) {
        struct weir_series series = series_of(watch, verdicts.of[i].class);
        enum weir_status status =
            weir_verdict_judge(&series, &terms, &verdicts.of[i].verdict, error);
        if (status != WEIR_OK)
            return status;
    }
    choose_overall(&verdicts);
    *ret_verdicts = verdicts;
    return WEIR_OK;
}
