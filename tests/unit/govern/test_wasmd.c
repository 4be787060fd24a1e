/* wasmd's cache: versions, wrapping, and traces against a replay that knows nothing of distances.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "govern/wasmd_plan.h"
#include "tests/run_suite.h"

static const struct {
    const char *version;
    enum weir_wasmd_growth growth;
    unsigned resident_percent;
    bool wraps;
} versions[] = {
    {"1.3.0", WEIR_WASMD_BEFORE, 128, false},     {"0.16.7", WEIR_WASMD_BEFORE, 128, false},
    {"1.4.0", WEIR_WASMD_GROWS, 219, false},      {"1.4.2", WEIR_WASMD_GROWS, 219, false},
    {"1.4.3", WEIR_WASMD_FIXED, 219, false},      {"1.5.0", WEIR_WASMD_GROWS, 108, false},
    {"v1.5.1", WEIR_WASMD_GROWS, 108, false},     {"1.5.2", WEIR_WASMD_FIXED, 108, false},
    {"2.0.0", WEIR_WASMD_FIXED, 108, false},      {"2.1.5", WEIR_WASMD_FIXED, 65, false},
    {"2.2.0", WEIR_WASMD_FIXED, 65, true},        {"3.0.2", WEIR_WASMD_FIXED, 65, true},
    {"1.5.2-rc.1", WEIR_WASMD_MAYBE, 108, false}, {"2.0.0-rc.2", WEIR_WASMD_UNKNOWN, 108, false},
};

START_TEST(versions_are_told_apart)
{
    struct weir_wasmd_release release;
    ck_assert_int_eq(weir_wasmd_release_of_version(versions[_i].version, &release, NULL), WEIR_OK);
    ck_assert_int_eq(release.growth, versions[_i].growth);
    ck_assert_uint_eq(release.resident_percent, versions[_i].resident_percent);
    ck_assert_int_eq(release.wraps, versions[_i].wraps);
}
END_TEST

START_TEST(other_texts_are_no_versions)
{
    static const char *const TEXTS[] = {"", "1", "1.5", "1.5.x", "1.5.1x", "one", "v", "1..2"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct weir_wasmd_release release;
        ck_assert_int_eq(weir_wasmd_release_of_version(TEXTS[i], &release, NULL),
                         WEIR_INVALID_ARGUMENT);
    }
}
END_TEST

START_TEST(folders_name_their_series)
{
    static const struct {
        const char *folder;
        struct weir_wasmd_release release;
    } CASES[] = {
        {"v6-wasmer1", {WEIR_WASMD_BEFORE, 128, false}},
        {"v7-wasmer1", {WEIR_WASMD_MAYBE, 219, false}},
        {"v8-wasmer5", {WEIR_WASMD_MAYBE, 108, false}},
        {"v9-wasmer7", {WEIR_WASMD_UNKNOWN, 219, true}},
        {"db9eb9f9ba-wasmer8", {WEIR_WASMD_FIXED, 65, true}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct weir_wasmd_release release = weir_wasmd_release_of_folder(CASES[i].folder);
        ck_assert_int_eq(release.growth, CASES[i].release.growth);
        ck_assert_uint_eq(release.resident_percent, CASES[i].release.resident_percent);
        ck_assert_int_eq(release.wraps, CASES[i].release.wraps);
    }
    ck_assert_str_eq(weir_wasmd_folder_series("v8-wasmer5"), "CosmWasm 1.5");
}
END_TEST

START_TEST(sizes_wrap_like_wasmvm)
{
    const struct weir_wasmd_release wraps = {.wraps = true}, counts = {.wraps = false};
    ck_assert_uint_eq(weir_wasmd_cache_bytes(&wraps, 100), 100 * WEIR_MIB);
    ck_assert_uint_eq(weir_wasmd_cache_bytes(&wraps, 4095), 4095 * WEIR_MIB);
    ck_assert_uint_eq(weir_wasmd_cache_bytes(&wraps, 4096), 0);
    ck_assert_uint_eq(weir_wasmd_cache_bytes(&wraps, 5000), 904 * WEIR_MIB);
    ck_assert_uint_eq(weir_wasmd_cache_bytes(&counts, 5000), 5000 * WEIR_MIB);
}
END_TEST

START_TEST(keys_are_found_as_viper_finds_them)
{
    static const struct {
        const char *toml;
        uint64_t mib;
    } CASES[] = {
        {"", 100},
        {"[wasm]\nmemory_cache_size = 300\n", 300},
        {"wasm.memory_cache_size = 301\n", 301},
        {"wasm = {memory_cache_size = 302}\n", 302},
        {"[WASM]\nMemory_Cache_Size = 303\n", 303},
        {"[wasm]\nmemory_cache_size = \"304\"\n", 304},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct weir_wasmd_config config;
        struct weir_error error = {0};
        ck_assert_msg(weir_wasmd_config_parse("a", CASES[i].toml, strlen(CASES[i].toml), &config,
                                              &error) == WEIR_OK,
                      "%s", error.message);
        ck_assert_uint_eq(config.cache_mib, CASES[i].mib);
        ck_assert(config.is_set == (i > 0));
    }
}
END_TEST

/* --- traces -------------------------------------------------------------------------------- */

#define MODULES 12
#define USES 600

static struct weir_wasmd_module modules[MODULES];
static struct weir_wasmd_folder folder;

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

static struct weir_wasmd_modules make_modules(uint32_t *state)
{
    folder = (struct weir_wasmd_folder){.count = MODULES};
    for (unsigned i = 0; i < MODULES; i++) {
        modules[i] = (struct weir_wasmd_module){.weight = 1 + next_random(state) % 100};
        modules[i].bytes = modules[i].weight;
        modules[i].checksum[31] = (uint8_t)i;
    }
    return (struct weir_wasmd_modules){
        .folders = &folder, .folder_count = 1, .modules = modules, .module_count = MODULES};
}

static struct weir_wasmd_trace make_trace(uint32_t *state, const struct weir_wasmd_modules *all)
{
    static char text[USES * 66 + 1];
    size_t used = 0;
    for (unsigned i = 0; i < USES; i++) {
        /* Few are used much, the rest seldom. */
        uint32_t range = next_random(state) % 4 == 0 ? MODULES : 4;
        used += (size_t)snprintf(text + used, sizeof text - used, "%064x\n",
                                 next_random(state) % range);
    }
    struct weir_wasmd_trace trace;
    struct weir_error error = {0};
    ck_assert_msg(weir_wasmd_trace_parse("t", text, used, all, &trace, &error) == WEIR_OK, "%s",
                  error.message);
    ck_assert_uint_eq(trace.use_count, USES);
    return trace;
}

/* The rule, played on a plain list: newest first. */
static uint64_t plain_hits(const struct weir_wasmd_trace *trace, uint64_t capacity)
{
    uint32_t list[MODULES];
    size_t count = 0;
    uint64_t weight = 0, hits = 0;
    for (size_t i = 0; i < trace->use_count; i++) {
        uint32_t module = trace->uses[i];
        size_t place = 0;
        while (place < count && list[place] != module)
            place++;
        if (place < count) {
            hits++;
        } else if (modules[module].weight > capacity) {
            continue;
        } else {
            while (weight + modules[module].weight > capacity)
                weight -= modules[list[--count]].weight;
            weight += modules[module].weight;
            place = count++;
        }
        memmove(list + 1, list, place * sizeof list[0]);
        list[0] = module;
    }
    return hits;
}

static struct weir_wasmd_replay replay(const struct weir_wasmd_trace *trace,
                                       const struct weir_wasmd_modules *all, uint64_t capacity)
{
    struct weir_wasmd_replay result;
    ck_assert_int_eq(weir_wasmd_replay(trace, all, capacity, &result, NULL), WEIR_OK);
    return result;
}

START_TEST(replays_follow_the_rule)
{
    uint32_t state = (uint32_t)_i;
    struct weir_wasmd_modules all = make_modules(&state);
    struct weir_wasmd_trace trace = make_trace(&state, &all);
    for (uint64_t capacity = 0; capacity <= 1200; capacity += 7) {
        struct weir_wasmd_replay result = replay(&trace, &all, capacity);
        ck_assert_uint_eq(result.hits, plain_hits(&trace, capacity));
        ck_assert_uint_eq(result.hits + result.loads, USES);
    }
    weir_wasmd_trace_done(&trace);
}
END_TEST

START_TEST(the_full_weight_is_the_least_without_reloads)
{
    uint32_t state = (uint32_t)_i;
    struct weir_wasmd_modules all = make_modules(&state);
    struct weir_wasmd_trace trace = make_trace(&state, &all);
    uint64_t repeated = USES - trace.module_count;
    ck_assert_uint_eq(replay(&trace, &all, trace.full_weight).hits, repeated);
    ck_assert_uint_eq(replay(&trace, &all, trace.full_weight).reloads, 0);
    ck_assert_uint_lt(replay(&trace, &all, trace.full_weight - 1).hits, repeated);
    ck_assert_uint_ge(replay(&trace, &all, trace.hot_weight).hits * 100, repeated * 99);
    ck_assert_uint_le(trace.hot_weight, trace.full_weight);
    ck_assert_uint_le(trace.full_weight, trace.weight);
    weir_wasmd_trace_done(&trace);
}
END_TEST

START_TEST(a_module_too_heavy_fails)
{
    uint32_t state = 5;
    struct weir_wasmd_modules all = make_modules(&state);
    static const char TEXT[] = "0000000000000000000000000000000000000000000000000000000000000003\n"
                               "x 0000000000000000000000000000000000000000000000000000000000000003";
    struct weir_wasmd_trace trace;
    ck_assert_int_eq(weir_wasmd_trace_parse("t", TEXT, sizeof TEXT - 1, &all, &trace, NULL),
                     WEIR_OK);
    ck_assert_uint_eq(replay(&trace, &all, modules[3].weight - 1).failures, 2);
    ck_assert_uint_eq(replay(&trace, &all, modules[3].weight).hits, 1);
    ck_assert_uint_eq(replay(&trace, &all, 0).failures, 0); /* off: nothing is cached */
    weir_wasmd_trace_done(&trace);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasmd");
    TCase *tests = tcase_create("wasmd");
    tcase_add_loop_test(tests, versions_are_told_apart, 0,
                        (int)(sizeof versions / sizeof versions[0]));
    tcase_add_test(tests, other_texts_are_no_versions);
    tcase_add_test(tests, folders_name_their_series);
    tcase_add_test(tests, sizes_wrap_like_wasmvm);
    tcase_add_test(tests, keys_are_found_as_viper_finds_them);
    tcase_add_loop_test(tests, replays_follow_the_rule, 0, 8);
    tcase_add_loop_test(tests, the_full_weight_is_the_least_without_reloads, 0, 8);
    tcase_add_test(tests, a_module_too_heavy_fails);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
