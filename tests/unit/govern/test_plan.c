/* Plans: sums that saturate, limits from a cgroup, and the knobs that would make them fit. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "govern/plan.h"
#include "tests/run_suite.h"

static struct weir_plan *plan;

static void begin(void)
{
    struct weir_error error = {0};
    ck_assert_msg(weir_plan_new("test", &plan, &error) == WEIR_OK, "%s", error.message);
}

static void end(void)
{
    weir_plan_free(plan);
}

static void add(const char *name, unsigned section, uint64_t bytes)
{
    const struct weir_plan_line line = {
        .name = name, .what = name, .why = "test", .section = section, .bytes = bytes};
    ck_assert_int_eq(weir_plan_add(plan, &line, NULL), WEIR_OK);
}

static void add_knob(const char *name, uint64_t value, uint64_t minimum, uint64_t unit_bytes)
{
    const struct weir_plan_knob knob = {name, "units", value, minimum, unit_bytes};
    ck_assert_int_eq(weir_plan_add_knob(plan, &knob, NULL), WEIR_OK);
}

START_TEST(sums_follow_the_lines)
{
    ck_assert_uint_eq(weir_plan_total(plan), 0);
    ck_assert(weir_plan_fits(plan)); /* no limit */
    add("a", 0, 100);
    add("b", 1, 20);
    const struct weir_plan_line open = {
        .name = "c", .what = "c", .why = "x", .is_unbounded = true, .bytes = 7};
    ck_assert_int_eq(weir_plan_add(plan, &open, NULL), WEIR_OK);
    ck_assert_uint_eq(weir_plan_total(plan), 120);
    ck_assert_uint_eq(weir_plan_section_total(plan, 1), 20);
    ck_assert_uint_eq(weir_plan_line_at(plan, 2)->bytes, 0);
    ck_assert_int_eq(weir_plan_set_limit(plan, 120, "here", NULL), WEIR_OK);
    ck_assert(weir_plan_fits(plan));
    ck_assert_uint_eq(weir_plan_headroom(plan), 0);
    add("d", 0, 1);
    ck_assert(!weir_plan_fits(plan));
    ck_assert_uint_eq(weir_plan_missing(plan), 1);
    ck_assert_str_eq(weir_plan_limit_source(plan), "here");
}
END_TEST

START_TEST(what_cannot_be_counted_does_not_fit)
{
    add("a", 0, UINT64_MAX - 1);
    add("b", 0, UINT64_MAX - 1);
    ck_assert_uint_eq(weir_plan_total(plan), UINT64_MAX);
    ck_assert_int_eq(weir_plan_set_limit(plan, UINT64_MAX, "x", NULL), WEIR_OK);
    ck_assert(!weir_plan_fits(plan));
}
END_TEST

START_TEST(texts_are_copied)
{
    char name[] = "first", why[] = "because";
    const struct weir_plan_line line = {.name = name, .what = name, .why = why, .bytes = 1};
    ck_assert_int_eq(weir_plan_add(plan, &line, NULL), WEIR_OK);
    memset(name, 'x', sizeof name - 1);
    memset(why, 'x', sizeof why - 1);
    ck_assert_str_eq(weir_plan_line_at(plan, 0)->name, "first");
    ck_assert_str_eq(weir_plan_line_at(plan, 0)->why, "because");
}
END_TEST

START_TEST(many_lines_keep_their_order)
{
    char name[16];
    for (unsigned i = 0; i < WEIR_PLAN_LINES_MAX; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        add(name, 0, 1);
    }
    ck_assert_uint_eq(weir_plan_total(plan), WEIR_PLAN_LINES_MAX);
    ck_assert_str_eq(weir_plan_line_at(plan, 1000)->name, "1000");
    const struct weir_plan_line more = {.name = "x", .what = "x", .why = "x"};
    ck_assert_int_eq(weir_plan_add(plan, &more, NULL), WEIR_LIMIT);
    const struct weir_bound bound = {.what = "x", .source = "y", .bytes = 1};
    weir_plan_bound(plan, &bound); /* lost: the plan must not pretend */
    ck_assert_uint_eq(weir_plan_total(plan), UINT64_MAX);
}
END_TEST

START_TEST(bounds_of_the_ledger_are_lines)
{
    const struct weir_bound bound = {
        .what = "guest stacks", .source = "12 slots x 1 MiB", .bytes = 12 << 20, .mappings = 24};
    weir_plan_bound(plan, &bound);
    ck_assert_uint_eq(weir_plan_line_count(plan), 1);
    ck_assert_str_eq(weir_plan_line_at(plan, 0)->what, "guest stacks");
    ck_assert_str_eq(weir_plan_line_at(plan, 0)->name, "guest_stacks");
    ck_assert_uint_eq(weir_plan_line_at(plan, 0)->section, WEIR_PLAN_CHARGED);
    ck_assert_uint_eq(weir_plan_total(plan), 12 << 20);
    ck_assert_uint_eq(weir_plan_count(plan, WEIR_PLAN_MAPPINGS).count, 24);
}
END_TEST

START_TEST(a_cap_cuts_its_section_only)
{
    const struct weir_bound charged = {.what = "charged", .source = "x", .bytes = 100};
    const struct weir_bound beside = {
        .what = "beside", .source = "x", .bytes = 7, .is_beside = true};
    weir_plan_bound(plan, &charged);
    weir_plan_bound(plan, &beside);
    ck_assert_int_eq(weir_plan_cap(plan, WEIR_PLAN_CHARGED, 60, "memory_max", NULL), WEIR_OK);
    weir_plan_bound(plan, &charged);
    ck_assert_uint_eq(weir_plan_section_total(plan, WEIR_PLAN_CHARGED), 200);
    ck_assert_uint_eq(weir_plan_cut(plan), 140);
    ck_assert_uint_eq(weir_plan_total(plan), 67);
    ck_assert_str_eq(weir_plan_cap_source(plan), "memory_max");
}
END_TEST

START_TEST(counts_fit_or_not)
{
    const struct weir_bound bound = {.what = "a", .source = "x", .mappings = 11, .descriptors = 3};
    weir_plan_bound(plan, &bound);
    ck_assert(weir_plan_fits(plan)); /* no limit */
    weir_plan_set_count_limit(plan, WEIR_PLAN_MAPPINGS, 11, "a limit");
    weir_plan_set_count_limit(plan, WEIR_PLAN_DESCRIPTORS, 3, "a limit");
    ck_assert(weir_plan_fits(plan));
    weir_plan_bound(plan, &bound);
    ck_assert(!weir_plan_fits(plan));
    ck_assert_uint_eq(weir_plan_missing(plan), 0); /* of bytes */
    struct weir_plan_move moves[WEIR_PLAN_MOVES];
    ck_assert_uint_eq(weir_plan_moves(plan, moves), 0);
}
END_TEST

START_TEST(the_largest_knobs_are_named)
{
    struct weir_plan_move moves[WEIR_PLAN_MOVES];
    add("a", 0, 1000);
    add_knob("small", 5, 0, 10);                        /* gives 50 */
    add_knob("none", 4, 4, 100);                        /* at its minimum */
    add_knob("large", 50, 2, 10);                       /* gives 480 */
    add_knob("medium", 30, 10, 7);                      /* gives 140 */
    add_knob("below", 1, 3, 1000);                      /* below its minimum */
    add_knob("second", 400, 200, 2);                    /* gives 400 */
    ck_assert_uint_eq(weir_plan_moves(plan, moves), 0); /* it fits */
    ck_assert_int_eq(weir_plan_set_limit(plan, 595, "x", NULL), WEIR_OK);
    ck_assert_uint_eq(weir_plan_moves(plan, moves), 3);
    ck_assert_str_eq(moves[0].knob->name, "large");
    ck_assert(moves[0].is_enough);
    ck_assert_uint_eq(moves[0].to, 50 - 41); /* 405 missing, 10 each, rounded up */
    ck_assert_uint_eq(moves[0].gives, 410);
    ck_assert_str_eq(moves[1].knob->name, "second");
    ck_assert(!moves[1].is_enough);
    ck_assert_uint_eq(moves[1].to, 200);
    ck_assert_uint_eq(moves[1].gives, 400);
    ck_assert_str_eq(moves[2].knob->name, "medium");
}
END_TEST

/* --- cgroups ------------------------------------------------------------------------------- */

static char root[64];

static void put(const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; *at != '\0'; at++)
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(full, 0700);
            *at = '/';
        }
    FILE *file = fopen(full, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void put_cgroup(const char *parent_max, const char *own_max)
{
    strncpy(root, "/tmp/weir-test-plan-XXXXXX", sizeof root - 1);
    ck_assert_ptr_nonnull(mkdtemp(root));
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/proc/self/mountinfo",
        "30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    put("/sys/fs/cgroup/a/memory.max", parent_max);
    put("/sys/fs/cgroup/a/memory.current", "1048576\n");
    put("/sys/fs/cgroup/a/memory.stat", "active_file 0\ninactive_file 0\n");
    put("/sys/fs/cgroup/a/b/memory.max", own_max);
    put("/sys/fs/cgroup/a/b/memory.current", "1048576\n");
    put("/sys/fs/cgroup/a/b/memory.stat", "active_file 0\ninactive_file 0\n");
}

static void remove_root(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(the_binding_cgroup_is_the_limit)
{
    put_cgroup("536870912\n", "1073741824\n");
    struct weir_error error = {0};
    ck_assert_msg(weir_plan_set_cgroup(plan, root, "self", &error) == WEIR_OK, "%s", error.message);
    ck_assert_uint_eq(weir_plan_limit(plan), 536870912);
    ck_assert_str_eq(weir_plan_limit_source(plan), "memory.max of /sys/fs/cgroup/a");
    remove_root();
}
END_TEST

START_TEST(a_broken_limit_is_not_no_limit)
{
    put_cgroup("max\n", "12x\n");
    struct weir_error error = {0};
    ck_assert_int_eq(weir_plan_set_cgroup(plan, root, "self", &error), WEIR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(error.message, "/sys/fs/cgroup/a/b"));
    remove_root();
}
END_TEST

START_TEST(no_limit_is_said)
{
    put_cgroup("max\n", "max\n");
    struct weir_error error = {0};
    ck_assert_int_eq(weir_plan_set_cgroup(plan, root, "self", &error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, "--memory"));
    ck_assert(!weir_plan_has_limit(plan));
    remove_root();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("plan");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, sums_follow_the_lines);
    tcase_add_test(tests, what_cannot_be_counted_does_not_fit);
    tcase_add_test(tests, texts_are_copied);
    tcase_add_test(tests, many_lines_keep_their_order);
    tcase_add_test(tests, bounds_of_the_ledger_are_lines);
    tcase_add_test(tests, a_cap_cuts_its_section_only);
    tcase_add_test(tests, counts_fit_or_not);
    tcase_add_test(tests, the_largest_knobs_are_named);
    tcase_add_test(tests, the_binding_cgroup_is_the_limit);
    tcase_add_test(tests, a_broken_limit_is_not_no_limit);
    tcase_add_test(tests, no_limit_is_said);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
