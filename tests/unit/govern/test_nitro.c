/* Nitro's budget: the four figures of its document and code, every key's share of both sums, and
 * what its configuration may not say. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "govern/nitro_plan.h"
#include "tests/run_suite.h"

static struct weir_nitro_run run_in(uint64_t memory_mb)
{
    return (struct weir_nitro_run){.memory_bytes = memory_mb * WEIR_MIB,
                                   .memory_source = "--memory",
                                   .margin_bytes = WEIR_NITRO_MARGIN_DEFAULT,
                                   .arena_count = WEIR_NITRO_ARENAS_DEFAULT,
                                   .cpus = 32,
                                   .threads = WEIR_NITRO_THREADS_DEFAULT,
                                   .gogc = 100};
}

static struct weir_nitro_plan make(const struct weir_nitro_config *config,
                                   const struct weir_nitro_run *run)
{
    struct weir_nitro_plan plan;
    struct weir_error error = {0};
    ck_assert_msg(weir_nitro_plan_make(config, run, &plan, &error) == WEIR_OK, "%s", error.message);
    return plan;
}

START_TEST(the_four_figures)
{
    struct weir_nitro_config config = weir_nitro_config_default();
    struct weir_nitro_run run = run_in(16384);
    struct weir_nitro_plan plan = make(&config, &run);
    ck_assert_uint_eq(weir_nitro_outside_mb(plan.documented), 4756);
    ck_assert_uint_eq(weir_nitro_gomemlimit_mb(plan.documented), 11228);
    ck_assert_uint_eq(weir_nitro_outside_mb(plan.code), 7852);
    ck_assert_uint_eq(weir_nitro_gomemlimit_mb(plan.code), 8132);
    weir_nitro_plan_done(&plan);
    run.has_classic = true;
    plan = make(&config, &run);
    ck_assert_uint_eq(weir_nitro_outside_mb(plan.documented), 4756);
    ck_assert_uint_eq(weir_nitro_outside_mb(plan.code), 7876);
    weir_nitro_plan_done(&plan);
    run = run_in(16384);
    run.arena_count = 0;
    plan = make(&config, &run);
    ck_assert_uint_eq(weir_nitro_outside_mb(plan.documented), 4756 - 128 + 16384);
    ck_assert_uint_eq(weir_nitro_gomemlimit_mb(plan.documented), 0);
    ck_assert(!weir_plan_fits(plan.documented));
    weir_nitro_plan_done(&plan);
}
END_TEST

/* fastcache takes whole chunks; what that is comes out of the margin, or takes its place. */
START_TEST(the_margin_holds_whole_chunks)
{
    static const struct {
        uint64_t clean_mb, snapshot_mb, margin_mb, rounding_mb, total_mb;
    } CASES[] = {{600, 400, 400, 24, 400}, {64, 32, 400, 0, 400}, {0, 0, 400, 0, 400},
                 {1, 33, 400, 62, 400},    {1, 33, 300, 62, 300}, {1, 1, 62, 62, 62},
                 {1, 1, 10, 62, 62},       {96, 95, 500, 1, 500}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct weir_nitro_config config = weir_nitro_config_default();
        config.trie_clean_cache_mb = CASES[i].clean_mb;
        config.snapshot_cache_mb = CASES[i].snapshot_mb;
        struct weir_nitro_run run = run_in(16384);
        run.margin_bytes = CASES[i].margin_mb * WEIR_MIB;
        struct weir_nitro_plan plan = make(&config, &run);
        uint64_t rounding = 0;
        for (size_t j = 0; j < weir_plan_line_count(plan.code); j++)
            if (strcmp(weir_plan_line_at(plan.code, j)->name, "fastcache_rounding") == 0)
                rounding = weir_plan_line_at(plan.code, j)->bytes;
        ck_assert_uint_eq(rounding, CASES[i].rounding_mb * WEIR_MIB);
        ck_assert_uint_eq(weir_plan_section_total(plan.code, WEIR_NITRO_MARGIN),
                          CASES[i].total_mb * WEIR_MIB);
        ck_assert_uint_eq(weir_plan_section_total(plan.documented, WEIR_NITRO_MARGIN),
                          CASES[i].margin_mb * WEIR_MIB);
        weir_nitro_plan_done(&plan);
    }
}
END_TEST

/* What one more of each setting adds to the sums outside Go and to the floor. */
static const struct {
    const char *json;
    int64_t documented_mb, code_mb, floor_mb;
} shares[] = {
    {"{}", 0, 0, 0},
    {"{\"execution\":{\"caching\":{\"database-cache\":2148}}}", 150, 300, 0},
    {"{\"execution\":{\"caching\":{\"trie-clean-cache\":700}}}", 100, 100, 63},
    {"{\"execution\":{\"caching\":{\"snapshot-cache\":500}}}", 100, 100, 63},
    {"{\"execution\":{\"caching\":{\"stylus-lru-cache-capacity\":356}}}", 100, 100, 0},
    {"{\"execution\":{\"caching\":{\"stylus-lru-cache-capacity\":0}}}", 0, 0, 0},
    {"{\"execution\":{\"caching\":{\"trie-dirty-cache\":1124}}}", 0, 0, 100},
    {"{\"execution\":{\"caching\":{\"database-cache\":0}}}", -3072, -6096, 0},
    {"{\"execution\":{\"caching\":{\"archive\":true,\"state-scheme\":\"path\"}}}", 0, 0, 0},
    {"{\"persistent\":{\"db-engine\":\"pebble\",\"pebble\":{\"experimental\":"
     "{\"mem-table-stop-writes-threshold\":2}}}}",
     0, 0, 0},
};

START_TEST(every_key_has_its_share)
{
    struct weir_error error = {0};
    struct weir_nitro_config config;
    const char *json = shares[_i].json;
    ck_assert_msg(weir_nitro_config_parse("n", json, strlen(json), &config, &error) == WEIR_OK,
                  "%s", error.message);
    struct weir_nitro_run run = run_in(65536);
    struct weir_nitro_plan plan = make(&config, &run);
    ck_assert_int_eq((int64_t)weir_nitro_outside_mb(plan.documented),
                     4756 + shares[_i].documented_mb);
    ck_assert_int_eq((int64_t)weir_nitro_outside_mb(plan.code), 7852 + shares[_i].code_mb);
    int64_t floor = (int64_t)weir_nitro_floor_mb(plan.documented) - 2016;
    ck_assert_int_eq(floor, shares[_i].floor_mb);
    weir_nitro_plan_done(&plan);
}
END_TEST

START_TEST(gomemlimit_is_judged)
{
    struct weir_nitro_config config = weir_nitro_config_default();
    struct weir_nitro_run run = run_in(16384);
    struct weir_nitro_plan plan = make(&config, &run);
    static const struct {
        bool is_set;
        uint64_t mb;
        enum weir_nitro_verdict documented, code;
    } CASES[] = {
        {false, 0, WEIR_NITRO_GOMEMLIMIT_UNSET, WEIR_NITRO_GOMEMLIMIT_UNSET},
        {true, 11229, WEIR_NITRO_GOMEMLIMIT_HIGH, WEIR_NITRO_GOMEMLIMIT_HIGH},
        {true, 11228, WEIR_NITRO_GOMEMLIMIT_GOOD, WEIR_NITRO_GOMEMLIMIT_HIGH},
        {true, 8133, WEIR_NITRO_GOMEMLIMIT_GOOD, WEIR_NITRO_GOMEMLIMIT_HIGH},
        {true, 8132, WEIR_NITRO_GOMEMLIMIT_GOOD, WEIR_NITRO_GOMEMLIMIT_GOOD},
        {true, 2016, WEIR_NITRO_GOMEMLIMIT_GOOD, WEIR_NITRO_GOMEMLIMIT_GOOD},
        {true, 2015, WEIR_NITRO_GOMEMLIMIT_LOW, WEIR_NITRO_GOMEMLIMIT_LOW},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        run.has_gomemlimit = CASES[i].is_set;
        run.gomemlimit_bytes = CASES[i].mb * WEIR_MIB;
        ck_assert_int_eq(weir_nitro_judge(plan.documented, &run), CASES[i].documented);
        ck_assert_int_eq(weir_nitro_judge(plan.code, &run), CASES[i].code);
    }
    run.gomemlimit_bytes = UINT64_MAX; /* off */
    ck_assert_int_eq(weir_nitro_judge(plan.code, &run), WEIR_NITRO_GOMEMLIMIT_UNSET);
    weir_nitro_plan_done(&plan);
}
END_TEST

/* A plan that does not fit, fits after any knob that is said to be enough was moved so far. */
START_TEST(moved_knobs_make_it_fit)
{
    struct weir_nitro_config config = weir_nitro_config_default();
    struct weir_nitro_run run = run_in(6000);
    struct weir_nitro_plan plan = make(&config, &run);
    struct weir_plan_move moves[WEIR_PLAN_MOVES];
    ck_assert_uint_eq(weir_plan_moves(plan.documented, moves), 3);
    ck_assert_str_eq(moves[0].knob->name, "execution.caching.database-cache");
    ck_assert(moves[0].is_enough);
    config.database_cache_mb = moves[0].to;
    weir_nitro_plan_done(&plan);
    plan = make(&config, &run);
    ck_assert(weir_plan_fits(plan.documented));
    weir_nitro_plan_done(&plan);
    config.database_cache_mb++;
    plan = make(&config, &run);
    ck_assert(!weir_plan_fits(plan.documented)); /* and no further than needed */
    weir_nitro_plan_done(&plan);
}
END_TEST

START_TEST(a_memtable_has_a_cap)
{
    struct weir_nitro_config config = weir_nitro_config_default();
    config.database_cache_mb = 65536; /* half of it in 4 memtables is beyond 4 x (2^32 - 2) */
    config.memtable_count = 2;
    struct weir_nitro_run run = run_in(1 << 20);
    struct weir_nitro_plan plan = make(&config, &run);
    for (size_t i = 0; i < weir_plan_line_count(plan.code); i++) {
        const struct weir_plan_line *line = weir_plan_line_at(plan.code, i);
        if (strcmp(line->name, "wasm_memtables") == 0)
            ck_assert_uint_eq(line->bytes, 2 * UINT64_C(4294967294));
    }
    weir_nitro_plan_done(&plan);
}
END_TEST

/* --- sizes --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int64_t bytes; /* -1: refused */
} sizes[] = {
    {"1GB", 1 << 30},
    {"1 GB", 1 << 30},
    {"1gb", 1 << 30},
    {"010MB", 10 << 20},
    {"0B", 0},
    {"3k", 3 << 10},
    {"7T", INT64_C(7) << 40},
    {"+1GB", -1},
    {"-1GB", -1},
    {"1GB junk", -1},
    {"1 G B", -1},
    {"8388608TB", -1},  /* Nitro: -2^63 */
    {"16777216TB", -1}, /* Nitro: 0 */
    {"10", -1},
    {"GB", -1},
    {"1GiB", -1},
    {"1.5GB", -1},
    {"0x10MB", -1},
    {"1e3MB", -1},
};

START_TEST(sizes_are_nitros)
{
    uint64_t bytes = 77;
    struct weir_error error = {0};
    enum weir_status status = weir_nitro_size_parse("key", sizes[_i].text, &bytes, &error);
    ck_assert_int_eq(status, sizes[_i].bytes < 0 ? WEIR_CONFIG : WEIR_OK);
    ck_assert_uint_eq(bytes, sizes[_i].bytes < 0 ? 77 : (uint64_t)sizes[_i].bytes);
}
END_TEST

static const struct {
    const char *text;
    uint64_t bytes; /* 1: refused */
} limits[] = {
    {"11228MiB", UINT64_C(11228) << 20},
    {"1GiB", 1 << 30},
    {"0", 0},
    {"4096B", 4096},
    {"off", UINT64_MAX},
    {"2TiB", UINT64_C(2) << 40},
    {"11GB", 1},
    {"1.5GiB", 1},
    {"1gib", 1},
    {"", 1},
    {"-1", 1},
    {"9223372036854775808", 1},
};

START_TEST(gomemlimits_are_gos)
{
    uint64_t bytes = 1;
    struct weir_error error = {0};
    enum weir_status status = weir_gomemlimit_parse(limits[_i].text, &bytes, &error);
    ck_assert_int_eq(status, limits[_i].bytes == 1 ? WEIR_INVALID_ARGUMENT : WEIR_OK);
    ck_assert_uint_eq(bytes, limits[_i].bytes);
}
END_TEST

START_TEST(a_refused_file_changes_nothing)
{
    static const char JSON[] = "{\"execution\":{\"caching\":{\"database-cache\":1,\"x\":2}}}";
    struct weir_nitro_config config = {.database_cache_mb = 42};
    struct weir_error error = {0};
    ck_assert_int_eq(weir_nitro_config_parse("n", JSON, sizeof JSON - 1, &config, &error),
                     WEIR_CONFIG);
    ck_assert_uint_eq(config.database_cache_mb, 42);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nitro");
    TCase *tests = tcase_create("nitro");
    tcase_add_test(tests, the_four_figures);
    tcase_add_test(tests, the_margin_holds_whole_chunks);
    tcase_add_loop_test(tests, every_key_has_its_share, 0, (int)(sizeof shares / sizeof shares[0]));
    tcase_add_test(tests, gomemlimit_is_judged);
    tcase_add_test(tests, moved_knobs_make_it_fit);
    tcase_add_test(tests, a_memtable_has_a_cap);
    tcase_add_loop_test(tests, sizes_are_nitros, 0, (int)(sizeof sizes / sizeof sizes[0]));
    tcase_add_loop_test(tests, gomemlimits_are_gos, 0, (int)(sizeof limits / sizeof limits[0]));
    tcase_add_test(tests, a_refused_file_changes_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
