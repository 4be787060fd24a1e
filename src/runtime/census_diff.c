/* Two censuses beside each other, and growth per completed instance over many rounds. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "runtime/census_internal.h"
#include "runtime/process_internal.h"

/* --- differences ---------------------------------------------------------------------------- */

static bool compare(const struct weir_census_group *before, const struct weir_census_group *after,
                    bool is_since, struct weir_census_change *ret)
{
    uint64_t count_before = before != NULL ? before->count : 0;
    uint64_t count_after = after != NULL ? after->count : 0;
    *ret = (struct weir_census_change){.before = before,
                                       .after = after,
                                       .count = (int64_t)(count_after - count_before),
                                       .bytes = (int64_t)((after != NULL ? after->bytes : 0) -
                                                          (before != NULL ? before->bytes : 0))};
    uint64_t stays = count_after < count_before ? count_after : count_before;
    if (is_since && after != NULL && count_after - after->fresh_count < stays)
        stays = count_after - after->fresh_count;
    ret->made = count_after - stays;
    ret->gone = count_before - stays;
    return ret->made != 0 || ret->gone != 0 || ret->bytes != 0;
}

static uint64_t size_of(int64_t value)
{
    return value < 0 ? (uint64_t)-value : (uint64_t)value;
}

static bool is_larger(const struct weir_census_change *a, const struct weir_census_change *b)
{
    if (size_of(a->bytes) != size_of(b->bytes))
        return size_of(a->bytes) > size_of(b->bytes);
    return size_of(a->count) > size_of(b->count);
}

/* Into a list of the largest so far. */
static void insert(struct weir_census_change *changes, size_t capacity, size_t count,
                   const struct weir_census_change *change)
{
    size_t at = count < capacity ? count : capacity;
    if (at == capacity && (capacity == 0 || !is_larger(change, &changes[capacity - 1])))
        return;
    for (at = at == capacity ? capacity - 1 : at; at > 0 && is_larger(change, &changes[at - 1]);
         at--)
        changes[at] = changes[at - 1];
    changes[at] = *change;
}

size_t weir_census_diff(const struct weir_census *before, const struct weir_census *after,
                        struct weir_census_change *changes, size_t capacity)
{
    size_t count = 0;
    bool is_since = after->since_ns == before->taken_ns;
    struct weir_census_change change;
    for (uint32_t i = 0; i < after->group_count; i++) {
        const struct weir_census_group *group = &after->groups[i];
        if (compare(weir__census_like(before, group), group, is_since, &change))
            insert(changes, capacity, count++, &change);
    }
    for (uint32_t i = 0; i < before->group_count; i++) {
        const struct weir_census_group *group = &before->groups[i];
        if (weir__census_like(after, group) == NULL && compare(group, NULL, is_since, &change))
            insert(changes, capacity, count++, &change);
    }
    return count;
}

uint64_t weir_engine_quiesce(struct weir_engine *engine)
{
    (void)engine;
    /* Slots first: their stacks become idle ones. */
    uint64_t bytes = weir__pools_reclaim(NULL, UINT64_MAX);
    return bytes + weir__stacks_reclaim(NULL, UINT64_MAX);
}

/* --- growth --------------------------------------------------------------------------------- */

#define ROUNDS_MIN 6u
#define PAIRS_MAX (WEIR_CENSUS_ROUNDS_MAX * (WEIR_CENSUS_ROUNDS_MAX - 1) / 2)
#define CONFIDENCE_95 1.96 /* of the normal distribution, both sides */

void weir_census_growth_add(struct weir_census_growth *growth, uint64_t completed, uint64_t bytes)
{
    if (growth->rounds == WEIR_CENSUS_ROUNDS_MAX) {
        for (uint32_t i = 1; i < WEIR_CENSUS_ROUNDS_MAX; i++) {
            growth->completed[i - 1] = growth->completed[i];
            growth->bytes[i - 1] = growth->bytes[i];
        }
        growth->rounds--;
    }
    growth->completed[growth->rounds] = (double)completed;
    growth->bytes[growth->rounds++] = (double)bytes;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Slopes of all pairs, in order; 0 where instances did not complete between two rounds. */
static size_t slopes_of(const struct weir_census_growth *growth, double slopes[PAIRS_MAX])
{
    size_t count = 0;
    for (uint32_t i = 0; i < growth->rounds; i++)
        for (uint32_t j = i + 1; j < growth->rounds; j++) {
            double completed = growth->completed[j] - growth->completed[i];
            if (completed > 0)
                slopes[count++] = (growth->bytes[j] - growth->bytes[i]) / completed;
        }
    qsort(slopes, count, sizeof slopes[0], by_value);
    return count;
}

enum weir_status weir_census_growth_read(const struct weir_census_growth *growth,
                                         struct weir_census_growth_reading *ret,
                                         struct weir_error *error)
{
    double slopes[PAIRS_MAX];
    size_t pairs = slopes_of(growth, slopes);
    if (pairs < ROUNDS_MIN * (ROUNDS_MIN - 1) / 2)
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "undecided: %u rounds; instances must complete in at least %u",
                              growth->rounds, ROUNDS_MIN);
    double n = growth->rounds;
    double spread = CONFIDENCE_95 * sqrt(n * (n - 1) * (2 * n + 5) / 18);
    double count = (double)pairs;
    double low = floor((count - spread) / 2) - 1, high = ceil((count + spread) / 2);
    ret->bytes_per_instance = (slopes[(pairs - 1) / 2] + slopes[pairs / 2]) / 2;
    ret->low = slopes[low > 0 ? (size_t)low : 0];
    ret->high = slopes[high < count ? (size_t)high : pairs - 1];
    ret->is_growing = ret->low > 0;
    return WEIR_OK;
}
