/* The policy against a naive model of it, and the curve of reuse against caches that are replayed:
 * an LRU, which it describes, and SIEVE, which the cache uses. Seeded; errors are printed. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "cache/cache_sieve.h"
#include "cache/curve.h"

static uint64_t state;

static uint64_t next_random(void)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double uniform(void)
{
    return (double)(next_random() >> 11) * 0x1p-53;
}

/* --- SIEVE against a model ----------------------------------------------------------------- */

#define ENTRIES 40

struct entry {
    struct weir__sieve_node node; /* first */
    bool is_in, is_busy;
};

static struct entry entries[ENTRIES];

static bool is_busy(const struct weir__sieve_node *node)
{
    return ((const struct entry *)node)->is_busy;
}

/* A list of numbers, oldest first; the hand is a place in it. */
struct model {
    int list[ENTRIES];
    bool marks[ENTRIES]; /* by number */
    int count, hand;
};

static void model_remove(struct model *model, int number)
{
    int at = 0;
    while (model->list[at] != number)
        at++;
    memmove(&model->list[at], &model->list[at + 1],
            (size_t)(model->count - at - 1) * sizeof model->list[0]);
    model->count--;
    if (at < model->hand)
        model->hand--;
    if (model->hand == model->count) /* past the newest is at the oldest, also of those to come */
        model->hand = 0;
}

static int model_victim(struct model *model)
{
    for (int steps = 2 * model->count; steps > 0; steps--) {
        int number = model->list[model->hand];
        if (!entries[number].is_busy) {
            if (!model->marks[number])
                return number;
            model->marks[number] = false;
        }
        model->hand = (model->hand + 1) % model->count;
    }
    return -1;
}

static void take_out(struct weir__sieve *sieve, struct model *model, int number)
{
    weir__sieve_remove(sieve, &entries[number].node);
    model_remove(model, number);
    entries[number].is_in = false;
}

static void one_step(struct weir__sieve *sieve, struct model *model)
{
    int number = (int)(next_random() % ENTRIES);
    struct entry *entry = &entries[number];
    switch (next_random() % 8) {
    case 0:
        entry->is_busy = !entry->is_busy;
        return;
    case 1:
        if (entry->is_in)
            take_out(sieve, model, number);
        return;
    case 2: {
        struct weir__sieve_node *victim = weir__sieve_victim(sieve, is_busy);
        int expected = model_victim(model);
        ck_assert_int_eq(victim != NULL ? (int)((struct entry *)victim - entries) : -1, expected);
        if (expected >= 0)
            take_out(sieve, model, expected);
        return;
    }
    default:
        if (entry->is_in) {
            entry->node.is_marked = model->marks[number] = true;
            return;
        }
        entry->node.bytes = 1 + next_random() % 1000;
        weir__sieve_insert(sieve, &entry->node);
        model->list[model->count++] = number;
        model->marks[number] = false;
        entry->is_in = true;
    }
}

START_TEST(sieve_is_its_model)
{
    struct weir__sieve sieve = {0};
    struct model model = {.count = 0};
    memset(entries, 0, sizeof entries);
    state = 1000 + (uint64_t)_i;
    for (int i = 0; i < 20000; i++) {
        one_step(&sieve, &model);
        weir__sieve_check(&sieve);
        ck_assert_int_eq((int)sieve.count, model.count);
        uint64_t idle = 0;
        for (int j = 0; j < ENTRIES; j++)
            idle += entries[j].is_in && !entries[j].is_busy ? entries[j].node.bytes : 0;
        ck_assert(weir__sieve_can_give(&sieve, idle, is_busy));
        ck_assert(!weir__sieve_can_give(&sieve, idle + 1, is_busy));
    }
}
END_TEST

/* --- traces and replays -------------------------------------------------------------------- */

#define KEYS 3000u
#define USES 60000u

struct trace {
    uint64_t sizes[KEYS];
    uint32_t uses[USES];
};

enum shape {
    SKEWED,  /* Zipf 0.9 */
    CHANGED, /* the same, with the ranks shifted every 10,000 uses */
    LOOPED,  /* round and round through 400, and one in ten from all */
    SHAPE_COUNT
};
static const char *const shape_names[] = {"skewed", "changed", "looped"};

static struct trace trace;

static void make_trace(enum shape shape)
{
    static double sums[KEYS];
    double sum = 0;
    state = 77 + (uint64_t)shape;
    for (uint32_t i = 0; i < KEYS; i++) {
        sums[i] = sum += 1 / pow(i + 1, 0.9);
        double normal = sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307 * uniform());
        double size = 1e6 * exp(normal);
        trace.sizes[i] = (uint64_t)fmin(fmax(size, 1e5), 1e7);
    }
    for (uint32_t i = 0; i < USES; i++) {
        double wanted = uniform() * sum;
        uint32_t low = 0, high = KEYS - 1;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (sums[middle] < wanted)
                low = middle + 1;
            else
                high = middle;
        }
        if (shape == CHANGED)
            low = (low + i / 10000 * 50) % KEYS;
        if (shape == LOOPED && i % 10 != 0)
            low = i % 400;
        trace.uses[i] = low;
    }
}

static uint64_t hash_of(uint32_t key)
{
    uint64_t saved = state;
    state = 12345 + key;
    uint64_t hash = next_random();
    state = saved;
    return hash;
}

struct slot {
    struct weir__sieve_node node;
    bool is_in, was_in;
};
static struct slot slots[KEYS];

static bool never_busy(const struct weir__sieve_node *node)
{
    (void)node;
    return false;
}

/* Bytes that are loaded again by a cache of `capacity` bytes, as a share of the bytes used. */
static double replay(uint64_t capacity, bool is_lru)
{
    struct weir__sieve cache = {0};
    double reloaded = 0, used = 0;
    memset(slots, 0, sizeof slots);
    for (uint32_t i = 0; i < USES; i++) {
        struct slot *slot = &slots[trace.uses[i]];
        uint64_t bytes = slot->node.bytes = trace.sizes[trace.uses[i]];
        used += (double)bytes;
        if (slot->is_in && !is_lru) {
            slot->node.is_marked = true;
            continue;
        }
        if (slot->is_in)
            weir__sieve_remove(&cache, &slot->node);
        else if (slot->was_in)
            reloaded += (double)bytes;
        slot->was_in = true;
        slot->is_in = bytes <= capacity;
        if (!slot->is_in)
            continue;
        while (cache.bytes + bytes > capacity) {
            struct weir__sieve_node *victim =
                is_lru ? cache.oldest : weir__sieve_victim(&cache, never_busy);
            weir__sieve_remove(&cache, victim);
            ((struct slot *)victim)->is_in = false;
        }
        weir__sieve_insert(&cache, &slot->node);
    }
    return reloaded / used;
}

static struct weir__curve *follow(uint32_t keys_max)
{
    struct weir__curve *curve = NULL;
    ck_assert_int_eq(weir__curve_new(weir_account_host(), &curve, NULL), WEIR_OK);
    weir__curve_set_keys(curve, keys_max);
    for (uint32_t i = 0; i < USES; i++)
        weir__curve_use(curve, hash_of(trace.uses[i]), trace.sizes[trace.uses[i]]);
    return curve;
}

/* At the edges of its steps the curve is the LRU's own figure; between them it is that of the step
 * before, which a replay at 2.2 % less bounds. */
START_TEST(curve_is_the_lru)
{
    make_trace((enum shape)_i);
    struct weir__curve *curve = follow(WEIR_CURVE_KEYS);
    struct weir__curve_figures figures;
    weir__curve_figures(curve, &figures);
    ck_assert_double_eq(figures.rate, 1);
    ck_assert_double_eq(figures.uses, USES);
    ck_assert_double_eq_tol(replay(figures.enough_bytes, true), 0, 1e-12);
    double worst = 0, gain = 0;
    unsigned count = 0;
    for (double ratio = 0.6; ratio > 0.01; ratio *= 0.7) {
        uint64_t size = weir__curve_size_for(curve, ratio);
        if (size == 0)
            continue;
        struct weir__curve_point point = weir__curve_at(curve, size);
        ck_assert_double_eq_tol(point.reload_byte_ratio, replay(size, true), 1e-9);
        ck_assert_double_eq(point.error, 0);
        uint64_t odd = size + size / 100;
        double there = weir__curve_at(curve, odd).reload_byte_ratio;
        ck_assert_double_ge(there + 1e-9, replay(odd, true));
        ck_assert_double_le(there - 1e-9, replay(odd - odd / 32, true));
        worst = fmax(worst, there - replay(odd, true));
        gain += point.reload_byte_ratio - replay(size, false);
        count++;
    }
    (void)printf("%s: exact at its steps, %.4f too high between them at most; SIEVE reloads %.3f "
                 "less in the mean of %u sizes\n",
                 shape_names[_i], worst, gain / count, count);
    ck_assert_uint_gt(count, 2);
    weir__curve_free(weir_account_host(), curve);
}
END_TEST

/* With 512 of 3,000 keys, the mean error over the sizes of use, and what it says of itself. */
START_TEST(curve_is_near_when_sampled)
{
    make_trace((enum shape)_i);
    struct weir__curve *exact = follow(WEIR_CURVE_KEYS);
    struct weir__curve *sampled = follow(512);
    struct weir__curve_figures figures;
    weir__curve_figures(sampled, &figures);
    ck_assert_uint_eq(figures.keys, 512);
    ck_assert_double_lt(figures.rate, 0.5);
    double sum = 0, worst = 0;
    unsigned count = 0;
    for (uint64_t size = 16 << 20; size < (uint64_t)4 << 30; size += size / 4) {
        struct weir__curve_point a = weir__curve_at(exact, size);
        struct weir__curve_point b = weir__curve_at(sampled, size);
        double error = fabs(a.reload_byte_ratio - b.reload_byte_ratio);
        sum += error;
        worst = fmax(worst, error);
        ck_assert(isfinite(b.error) && b.error >= 0);
        count++;
    }
    (void)printf("%s: 512 of %u keys: mean error %.4f, worst %.4f\n", shape_names[_i], KEYS,
                 sum / count, worst);
    ck_assert_double_lt(sum / count, 0.05);
    weir__curve_free(weir_account_host(), exact);
    weir__curve_free(weir_account_host(), sampled);
}
END_TEST

START_TEST(curve_forgets)
{
    struct weir__curve *curve = NULL;
    struct weir__curve_figures figures;
    ck_assert_int_eq(weir__curve_new(weir_account_host(), &curve, NULL), WEIR_OK);
    weir__curve_age(curve, 5);
    for (int i = 0; i < 8; i++)
        weir__curve_use(curve, 1, 1 << 20);
    weir__curve_age(curve, 5 + 2 * WEIR_CURVE_HALF_LIFE_MS);
    weir__curve_figures(curve, &figures);
    ck_assert_double_eq_tol(figures.uses, 2, 1e-12);
    weir__curve_age(curve, UINT64_C(1) << 62); /* years: in bounded time */
    weir__curve_figures(curve, &figures);
    ck_assert_double_lt(figures.uses, 1e-12);
    weir__curve_use(curve, 1, 0);
    weir__curve_use(curve, 1, UINT64_MAX);
    weir__curve_use(curve, 2, UINT64_C(1) << 50);
    weir__curve_use(curve, 2, UINT64_C(1) << 50);
    struct weir__curve_point point = weir__curve_at(curve, UINT64_MAX);
    ck_assert(point.reload_byte_ratio >= 0 && point.reload_byte_ratio <= 1);
    weir__curve_free(weir_account_host(), curve);
}
END_TEST

/* Places run out and are numbered afresh, in whatever state. */
START_TEST(curve_renumbers)
{
    struct weir__curve *curve = NULL;
    ck_assert_int_eq(weir__curve_new(weir_account_host(), &curve, NULL), WEIR_OK);
    weir__curve_set_keys(curve, 64);
    state = 5;
    for (int i = 0; i < 100000; i++)
        weir__curve_use(curve, hash_of((uint32_t)(next_random() % 60)), UINT64_C(1) << 20);
    /* 60 keys of a MiB, drawn evenly: 30 MiB hold every second. */
    ck_assert_double_eq_tol(weir__curve_at(curve, 30 << 20).reload_byte_ratio, 0.5, 0.03);
    ck_assert_double_eq_tol(weir__curve_at(curve, 61 << 20).reload_byte_ratio, 0, 1e-12);
    weir__curve_free(weir_account_host(), curve);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache policy");
    TCase *tests = tcase_create("policy");
    tcase_add_loop_test(tests, sieve_is_its_model, 0, 10);
    tcase_add_loop_test(tests, curve_is_the_lru, 0, SHAPE_COUNT);
    tcase_add_loop_test(tests, curve_is_near_when_sampled, 0, SHAPE_COUNT);
    tcase_add_test(tests, curve_forgets);
    tcase_add_test(tests, curve_renumbers);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
