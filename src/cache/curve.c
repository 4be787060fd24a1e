/* See curve.h. Places are numbered by use; a Fenwick tree over them holds each key's bytes at its
 * last one, so a distance is a difference of two sums. When the places run out they are numbered
 * afresh, which happens once in WEIR_CURVE_KEYS uses at most. */
#include "cache/curve.h"

#include "base/check.h"
#include "cache/cache_limits.h"

#include <math.h>
#include <string.h>

#define PLACES (2 * WEIR_CURVE_KEYS)
#define CHAINS (2 * WEIR_CURVE_KEYS)
#define NONE UINT32_MAX
#define DISTANCES ((WEIR_CURVE_HIGH_BITS - WEIR_CURVE_LOW_BITS) * WEIR_CURVE_STEPS + 1)

struct key {
    uint64_t hash;
    uint64_t bytes;
    uint32_t place;
    uint32_t next;    /* in its chain, or in the list of free ones */
    uint32_t heap_at; /* where it stands in the heap */
};

struct sums {
    double uses, bytes;
};

struct weir__curve {
    uint32_t keys_max, key_count, free_key;
    uint32_t next_place;
    uint64_t threshold; /* keys with a hash below are followed */
    bool is_sampled;
    uint64_t aged_ms;
    struct sums all, first;
    struct sums distances[WEIR_CURVE_GROUPS][DISTANCES];
    struct sums firsts[WEIR_CURVE_GROUPS];
    struct key keys[WEIR_CURVE_KEYS];
    uint32_t heap[WEIR_CURVE_KEYS]; /* greatest hash on top */
    uint32_t chains[CHAINS];
    uint32_t at_place[PLACES];
    uint64_t tree[PLACES + 1];
};

enum weir_status weir__curve_new(struct weir_account *account, struct weir__curve **ret_curve,
                                 struct weir_error *error)
{
    struct weir__curve *curve = weir_account_alloc(account, WEIR_KIND_CACHE, sizeof *curve, error);
    if (curve == NULL)
        return error != NULL && error->status != WEIR_OK ? error->status : WEIR_LIMIT;
    memset(curve->chains, 0xff, sizeof curve->chains);
    curve->threshold = UINT64_MAX;
    weir__curve_set_keys(curve, WEIR_CURVE_KEYS);
    *ret_curve = curve;
    return WEIR_OK;
}

size_t weir__curve_bytes(void)
{
    return sizeof(struct weir__curve);
}

void weir__curve_free(struct weir_account *account, struct weir__curve *curve)
{
    weir_account_free(account, WEIR_KIND_CACHE, curve, sizeof *curve);
}

void weir__curve_set_keys(struct weir__curve *curve, uint32_t keys_max)
{
    WEIR_ASSERT(keys_max >= 1 && keys_max <= WEIR_CURVE_KEYS && curve->key_count == 0);
    curve->keys_max = keys_max;
    for (uint32_t i = 0; i < keys_max; i++)
        curve->keys[i].next = i + 1 < keys_max ? i + 1 : NONE;
    curve->free_key = 0;
}

/* --- places -------------------------------------------------------------------------------- */

static void tree_add(struct weir__curve *curve, uint32_t place, uint64_t delta)
{
    for (uint32_t i = place + 1; i <= PLACES; i += i & (~i + 1))
        curve->tree[i] += delta;
}

/* Bytes of the places before `place`. */
static uint64_t tree_sum(const struct weir__curve *curve, uint32_t place)
{
    uint64_t sum = 0;
    for (uint32_t i = place; i > 0; i &= i - 1)
        sum += curve->tree[i];
    return sum;
}

/* Numbers the places afresh, in their order. The tree is built in one pass. */
static void renumber(struct weir__curve *curve)
{
    uint32_t next = 0;
    memset(curve->tree, 0, sizeof curve->tree);
    for (uint32_t place = 0; place < curve->next_place; place++) {
        uint32_t index = curve->at_place[place];
        if (index == NONE)
            continue;
        curve->keys[index].place = next;
        curve->at_place[next] = index;
        curve->tree[next + 1] = curve->keys[index].bytes;
        next++;
    }
    for (uint32_t i = 1; i <= PLACES; i++) {
        uint32_t parent = i + (i & (~i + 1));
        if (parent <= PLACES)
            curve->tree[parent] += curve->tree[i];
    }
    curve->next_place = next;
}

static void take_place(struct weir__curve *curve, uint32_t index)
{
    if (curve->next_place == PLACES)
        renumber(curve);
    struct key *key = &curve->keys[index];
    key->place = curve->next_place++;
    curve->at_place[key->place] = index;
    tree_add(curve, key->place, key->bytes);
}

static void leave_place(struct weir__curve *curve, uint32_t index)
{
    const struct key *key = &curve->keys[index];
    tree_add(curve, key->place, 0 - key->bytes);
    curve->at_place[key->place] = NONE;
}

/* --- keys ---------------------------------------------------------------------------------- */

static void heap_set(struct weir__curve *curve, uint32_t at, uint32_t index)
{
    curve->heap[at] = index;
    curve->keys[index].heap_at = at;
}

static uint64_t heap_hash(const struct weir__curve *curve, uint32_t at)
{
    return curve->keys[curve->heap[at]].hash;
}

static void heap_push(struct weir__curve *curve, uint32_t index)
{
    uint32_t at = curve->key_count;
    for (; at > 0 && heap_hash(curve, (at - 1) / 2) < curve->keys[index].hash; at = (at - 1) / 2)
        heap_set(curve, at, curve->heap[(at - 1) / 2]);
    heap_set(curve, at, index);
}

/* Takes the top away; key_count is that of the rest. */
static void heap_pop(struct weir__curve *curve)
{
    uint32_t last = curve->heap[curve->key_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < curve->key_count && heap_hash(curve, child + 1) > heap_hash(curve, child))
            child++;
        if (child >= curve->key_count || heap_hash(curve, child) <= curve->keys[last].hash)
            break;
        heap_set(curve, at, curve->heap[child]);
        at = child;
    }
    if (curve->key_count > 0)
        heap_set(curve, at, last);
}

static uint32_t *chain_of(struct weir__curve *curve, uint64_t hash)
{
    return &curve->chains[hash % CHAINS];
}

static uint32_t find_key(struct weir__curve *curve, uint64_t hash)
{
    uint32_t index = *chain_of(curve, hash);
    while (index != NONE && curve->keys[index].hash != hash)
        index = curve->keys[index].next;
    return index;
}

/* The key with the greatest hash goes; from now on only smaller ones are followed. */
static void drop_greatest(struct weir__curve *curve)
{
    uint32_t index = curve->heap[0];
    struct key *key = &curve->keys[index];
    curve->threshold = key->hash;
    curve->is_sampled = true;
    leave_place(curve, index);
    uint32_t *link = chain_of(curve, key->hash);
    while (*link != index)
        link = &curve->keys[*link].next;
    *link = key->next;
    curve->key_count--;
    heap_pop(curve);
    key->next = curve->free_key;
    curve->free_key = index;
}

static void add_key(struct weir__curve *curve, uint64_t hash, uint64_t bytes)
{
    uint32_t index = curve->free_key;
    struct key *key = &curve->keys[index];
    curve->free_key = key->next;
    *key = (struct key){.hash = hash, .bytes = bytes, .next = *chain_of(curve, hash)};
    *chain_of(curve, hash) = index;
    heap_push(curve, index);
    curve->key_count++;
    take_place(curve, index);
}

/* --- distances ----------------------------------------------------------------------------- */

static uint32_t step_of(uint64_t distance)
{
    if (distance >> WEIR_CURVE_LOW_BITS == 0)
        return 0;
    uint32_t bits = 63u - (uint32_t)__builtin_clzll(distance);
    if (bits >= WEIR_CURVE_HIGH_BITS)
        return DISTANCES - 1;
    uint32_t within = (uint32_t)(distance >> (bits - 5)) % WEIR_CURVE_STEPS;
    return (bits - WEIR_CURVE_LOW_BITS) * WEIR_CURVE_STEPS + within + 1;
}
_Static_assert(WEIR_CURVE_STEPS == 1u << 5, "step_of() takes five bits");

/* The first distance behind the step: a cache of so many bytes hits all of it. */
static uint64_t step_end(uint32_t step)
{
    if (step == 0)
        return UINT64_C(1) << WEIR_CURVE_LOW_BITS;
    uint32_t bits = WEIR_CURVE_LOW_BITS + (step - 1) / WEIR_CURVE_STEPS;
    uint64_t within = (step - 1) % WEIR_CURVE_STEPS;
    return (UINT64_C(1) << bits) + ((within + 1) << (bits - 5));
}

static double rate_of(const struct weir__curve *curve)
{
    return curve->is_sampled ? ldexp((double)curve->threshold, -64) : 1.0;
}

static void add(struct sums *sums, double weight, uint64_t bytes)
{
    sums->uses += weight;
    sums->bytes += weight * (double)bytes;
}

void weir__curve_use(struct weir__curve *curve, uint64_t hash, uint64_t bytes)
{
    add(&curve->all, 1, bytes);
    if (curve->is_sampled && hash >= curve->threshold)
        return;
    uint32_t group = (uint32_t)(hash % WEIR_CURVE_GROUPS);
    uint32_t index = find_key(curve, hash);
    if (index == NONE) {
        if (curve->key_count == curve->keys_max) {
            if (hash > heap_hash(curve, 0)) {
                curve->threshold = hash;
                curve->is_sampled = true;
                return;
            }
            drop_greatest(curve);
        }
        add(&curve->firsts[group], 1 / rate_of(curve), bytes);
        add_key(curve, hash, bytes);
        return;
    }
    struct key *key = &curve->keys[index];
    double rate = rate_of(curve);
    uint64_t between = 0;
    if (key->place + 1 != curve->next_place || key->bytes != bytes) {
        between = tree_sum(curve, PLACES) - tree_sum(curve, key->place + 1);
        leave_place(curve, index);
        key->bytes = bytes;
        take_place(curve, index);
    }
    double distance = (double)between / rate + (double)bytes;
    uint64_t whole = distance < 0x1p62 ? (uint64_t)distance : UINT64_C(1) << 62;
    add(&curve->distances[group][step_of(whole)], 1 / rate, bytes);
}

void weir__curve_age(struct weir__curve *curve, uint64_t now_ms)
{
    if (curve->aged_ms == 0)
        curve->aged_ms = now_ms;
    for (unsigned i = 0; i < 64 && now_ms - curve->aged_ms >= WEIR_CURVE_HALF_LIFE_MS; i++) {
        curve->aged_ms += WEIR_CURVE_HALF_LIFE_MS;
        struct sums *const first = &curve->distances[0][0];
        for (size_t j = 0; j < (size_t)WEIR_CURVE_GROUPS * DISTANCES; j++) {
            first[j].uses /= 2;
            first[j].bytes /= 2;
        }
        for (size_t j = 0; j < WEIR_CURVE_GROUPS; j++) {
            curve->firsts[j].uses /= 2;
            curve->firsts[j].bytes /= 2;
        }
        curve->all.uses /= 2;
        curve->all.bytes /= 2;
    }
    if (now_ms - curve->aged_ms >= WEIR_CURVE_HALF_LIFE_MS)
        curve->aged_ms = now_ms;
}

/* --- reading ------------------------------------------------------------------------------- */

/* Of the groups but `left_out`: uses beyond `first_step`, and all that were counted. */
struct totals {
    struct sums beyond, counted;
};

static struct totals sum_up(const struct weir__curve *curve, uint32_t first_step, uint32_t left_out)
{
    struct totals totals = {0};
    for (uint32_t group = 0; group < WEIR_CURVE_GROUPS; group++) {
        if (group == left_out)
            continue;
        totals.counted.uses += curve->firsts[group].uses;
        totals.counted.bytes += curve->firsts[group].bytes;
        for (uint32_t step = 0; step < DISTANCES; step++) {
            const struct sums *sums = &curve->distances[group][step];
            totals.counted.uses += sums->uses;
            totals.counted.bytes += sums->bytes;
            totals.beyond.uses += step >= first_step ? sums->uses : 0;
            totals.beyond.bytes += step >= first_step ? sums->bytes : 0;
        }
    }
    return totals;
}

/* The first step that a cache of so many bytes does not hit whole. */
static uint32_t first_missed(uint64_t cache_bytes)
{
    uint32_t step = step_of(cache_bytes);
    return step == DISTANCES - 1 || step_end(step) - 1 > cache_bytes ? step : step + 1;
}

/* Of all uses; what the sample lacks of them counts as hits (SHARDS-adj). */
static double ratio_of(double beyond, double counted, double all, bool is_adjusted)
{
    double whole = is_adjusted ? all : counted;
    return whole > 0 ? fmin(beyond / whole, 1) : 0;
}

static double jackknife(const struct weir__curve *curve, uint32_t step)
{
    double ratios[WEIR_CURVE_GROUPS], mean = 0, sum = 0;
    for (uint32_t i = 0; i < WEIR_CURVE_GROUPS; i++) {
        struct totals totals = sum_up(curve, step, i);
        ratios[i] = ratio_of(totals.beyond.bytes, totals.counted.bytes, 0, false);
        mean += ratios[i] / WEIR_CURVE_GROUPS;
    }
    for (uint32_t i = 0; i < WEIR_CURVE_GROUPS; i++)
        sum += (ratios[i] - mean) * (ratios[i] - mean);
    return sqrt(sum * (WEIR_CURVE_GROUPS - 1) / WEIR_CURVE_GROUPS);
}

struct weir__curve_point weir__curve_at(const struct weir__curve *curve, uint64_t cache_bytes)
{
    uint32_t step = first_missed(cache_bytes);
    struct totals totals = sum_up(curve, step, NONE);
    return (struct weir__curve_point){
        .reload_ratio = ratio_of(totals.beyond.uses, totals.counted.uses, curve->all.uses, true),
        .reload_byte_ratio =
            ratio_of(totals.beyond.bytes, totals.counted.bytes, curve->all.bytes, true),
        .error = curve->is_sampled ? jackknife(curve, step) : 0};
}

uint64_t weir__curve_size_for(const struct weir__curve *curve, double ratio)
{
    double beyond = 0;
    for (uint32_t step = DISTANCES; step > 0; step--) {
        for (uint32_t group = 0; group < WEIR_CURVE_GROUPS; group++)
            beyond += curve->distances[group][step - 1].bytes;
        if (curve->all.bytes > 0 && beyond / curve->all.bytes > ratio)
            return step_end(step - 1);
    }
    return 0;
}

void weir__curve_figures(const struct weir__curve *curve, struct weir__curve_figures *ret)
{
    *ret = (struct weir__curve_figures){.uses = curve->all.uses,
                                        .bytes = curve->all.bytes,
                                        .rate = rate_of(curve),
                                        .keys = curve->key_count,
                                        .enough_bytes = weir__curve_size_for(curve, 0)};
    for (uint32_t i = 0; i < WEIR_CURVE_GROUPS; i++) {
        ret->first_uses += curve->firsts[i].uses;
        ret->first_bytes += curve->firsts[i].bytes;
    }
}
