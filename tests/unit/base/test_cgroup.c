/* Cgroups from fake trees: v1, v2, hybrid, nested, containers, and every state a file can be in. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/proc_cgroup.h"
#include "tests/fake_root.h"
#include "tests/run_suite.h"

static struct weir_cgroup found;

static void find(void)
{
    struct weir_error error = {0};
    enum weir_status status = weir_cgroup_find(root, "self", &found, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static struct weir_cgroup_level level_of(size_t level)
{
    struct weir_cgroup_level figures;
    weir_cgroup_read(root, &found, level, &figures);
    return figures;
}

#define V2_MOUNT "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define OTHER_MOUNTS                                                                               \
    "23 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/root rw\n"                           \
    "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"

START_TEST(v2_with_ancestors)
{
    put("/proc/self/cgroup", "0::/a.slice/b.service\n");
    put("/proc/self/mountinfo", OTHER_MOUNTS V2_MOUNT);
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.current", "1000\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.high", "900\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.stat",
        "anon 100\nfile 600\nkernel 50\nactive_file 200\ninactive_file 300\nfile_dirty 7\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.events",
        "low 0\nhigh 11\nmax 12\noom 13\noom_kill 14\n");
    put("/sys/fs/cgroup/a.slice/memory.max", "5000\n");
    put("/sys/fs/cgroup/a.slice/memory.current", "4500\n");
    put("/sys/fs/cgroup/a.slice/memory.stat", "active_file 1000\ninactive_file 500\n");
    find();
    ck_assert_int_eq(found.version, WEIR_CGROUP_V2);
    ck_assert(!found.approximate);
    ck_assert_str_eq(found.path, "/a.slice/b.service");
    ck_assert_str_eq(found.folder, "/sys/fs/cgroup/a.slice/b.service");
    ck_assert_uint_eq(found.level_count, 3);
    struct weir_cgroup_level level = level_of(0);
    ck_assert_int_eq(level.limit.state, WEIR_FIGURE_MAX);
    ck_assert_uint_eq(level.high.value, 900);
    ck_assert_uint_eq(level.usage.value, 1000);
    ck_assert_uint_eq(level.anon.value, 100);
    ck_assert_uint_eq(level.file.value, 600);
    ck_assert_uint_eq(level.kernel_usage.value, 50);
    ck_assert_uint_eq(level.inactive_file.value, 300);
    ck_assert_uint_eq(level.dirty.value, 7);
    ck_assert_int_eq(level.unevictable.state, WEIR_FIGURE_MISSING);
    ck_assert_uint_eq(level.events_oom_kill.value, 14);
    ck_assert_uint_eq(level.events_oom.value, 13);
    ck_assert_int_eq(level.swap_limit.state, WEIR_FIGURE_MISSING);
    level = level_of(2); /* the root cgroup has no limit file */
    ck_assert_int_eq(level.limit.state, WEIR_FIGURE_MISSING);
    struct weir_cgroup_binding binding;
    ck_assert(weir_cgroup_binding(root, &found, &binding));
    ck_assert_uint_eq(binding.level, 1);
    ck_assert_uint_eq(binding.limit_bytes, 5000);
    ck_assert_uint_eq(binding.usage_bytes, 4500);
    ck_assert_uint_eq(binding.reclaimable_bytes, 1500);
    ck_assert_uint_eq(binding.headroom_bytes, 2000);
    /* Resized while running: read afresh. */
    put("/sys/fs/cgroup/a.slice/memory.max", "2000\n");
    ck_assert(weir_cgroup_binding(root, &found, &binding));
    ck_assert_uint_eq(binding.headroom_bytes, 0);
    put("/sys/fs/cgroup/a.slice/memory.max", "max\n");
    ck_assert(!weir_cgroup_binding(root, &found, &binding));
}
END_TEST

START_TEST(v1_with_and_without_hierarchy)
{
    put("/proc/self/cgroup", "4:cpu,cpuacct:/x\n3:blkio,memory:/a/b c:d\n");
    put("/proc/self/mountinfo", OTHER_MOUNTS V1_MOUNT);
    put("/sys/fs/cgroup/memory/a/b c:d/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/a/b c:d/memory.usage_in_bytes", "100\n");
    put("/sys/fs/cgroup/memory/a/b c:d/memory.stat", "rss 1\ntotal_rss 60\ntotal_cache 30\n");
    put("/sys/fs/cgroup/memory/a/b c:d/memory.failcnt", "5\n");
    put("/sys/fs/cgroup/memory/a/b c:d/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n");
    put("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "400\n");
    put("/sys/fs/cgroup/memory/a/memory.use_hierarchy", "1\n");
    find();
    ck_assert_int_eq(found.version, WEIR_CGROUP_V1);
    ck_assert_str_eq(found.folder, "/sys/fs/cgroup/memory/a/b c:d");
    ck_assert_uint_eq(found.level_count, 3);
    struct weir_cgroup_level level = level_of(0);
    ck_assert_int_eq(level.limit.state, WEIR_FIGURE_MAX);
    ck_assert_uint_eq(level.anon.value, 60);
    ck_assert_uint_eq(level.events_max.value, 5);
    ck_assert_uint_eq(level.events_oom_kill.value, 2);
    ck_assert_int_eq(level.high.state, WEIR_FIGURE_MISSING);
    struct weir_cgroup_binding binding;
    ck_assert(weir_cgroup_binding(root, &found, &binding));
    ck_assert_uint_eq(binding.level, 1);
    ck_assert_uint_eq(binding.headroom_bytes, 600);
    put("/sys/fs/cgroup/memory/a/memory.use_hierarchy", "0\n");
    ck_assert(!weir_cgroup_binding(root, &found, &binding));
}
END_TEST

START_TEST(hybrid_takes_memory_from_v1)
{
    put("/proc/self/cgroup", "4:memory:/m\n0::/other\n");
    put("/proc/self/mountinfo",
        V1_MOUNT "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    find();
    ck_assert_int_eq(found.version, WEIR_CGROUP_HYBRID);
    ck_assert_str_eq(found.folder, "/sys/fs/cgroup/memory/m");
    ck_assert_uint_eq(found.level_count, 2);
}
END_TEST

/* How the own path and the mount's root come together. */
static const struct {
    const char *path, *mounts, *folder;
    size_t levels;
    bool approximate;
} places[] = {
    {"/", "1 0 0:1 / /cg rw - cgroup2 c rw\n", "/cg", 1, false},
    {"/a", "1 0 0:1 / /cg rw - cgroup2 c rw\n", "/cg/a", 2, false},
    {"/docker/x", "1 0 0:1 /docker/x /cg rw - cgroup2 c rw\n", "/cg", 1, false},
    {"/docker/x/y", "1 0 0:1 /docker/x /cg rw - cgroup2 c rw\n", "/cg/y", 2, false},
    {"/docker/xy", "1 0 0:1 /docker/x /cg rw - cgroup2 c rw\n", "/cg", 1, true},
    {"/../sibling", "1 0 0:1 / /cg rw - cgroup2 c rw\n", "/cg", 1, true},
    {"/a", "1 0 0:1 / /c\\040g rw - cgroup2 c rw\n", "/c g/a", 2, false},
    /* Two mounts of the same hierarchy: the one nearest above. */
    {"/a/b", "1 0 0:1 / /cg rw - cgroup2 c rw\n2 0 0:1 /a /in rw - cgroup2 c rw\n", "/in/b", 2,
     false},
    {"/a/b", "2 0 0:1 /a /in rw - cgroup2 c rw\n1 0 0:1 / /cg rw - cgroup2 c rw\n", "/in/b", 2,
     false},
    {"/z/b", "2 0 0:1 /a /in rw - cgroup2 c rw\n1 0 0:1 / /cg rw - cgroup2 c rw\n", "/cg/z/b", 3,
     false},
};

START_TEST(the_path_is_placed_in_its_mount)
{
    char text[256];
    (void)snprintf(text, sizeof text, "0::%s\n", places[_i].path);
    put("/proc/self/cgroup", text);
    put("/proc/self/mountinfo", places[_i].mounts);
    find();
    ck_assert_str_eq(found.folder, places[_i].folder);
    ck_assert_uint_eq(found.level_count, places[_i].levels);
    ck_assert_int_eq(found.approximate, places[_i].approximate);
    ck_assert_uint_eq(found.folder_lengths[0], strlen(places[_i].folder));
}
END_TEST

START_TEST(no_cgroup_is_an_answer)
{
    put("/proc/self/cgroup", "");
    put("/proc/self/mountinfo", OTHER_MOUNTS);
    find();
    ck_assert_int_eq(found.version, WEIR_CGROUP_NONE);
    put("/proc/self/cgroup", "0::/x\n"); /* mounted nowhere */
    find();
    ck_assert_int_eq(found.version, WEIR_CGROUP_NONE);
    ck_assert_uint_eq(found.level_count, 0);
    struct weir_cgroup_binding binding;
    ck_assert(!weir_cgroup_binding(root, &found, &binding));
    ck_assert_int_eq(weir_cgroup_find(root, "77", &found, NULL), WEIR_NOT_FOUND);
}
END_TEST

START_TEST(malformed_is_told)
{
    struct weir_error error = {0};
    put("/proc/self/mountinfo", V2_MOUNT);
    static const char *const bad[] = {"x\n", "0::\n", "a:memory:/\n", "0::/ok\n1:cpu\n",
                                      "0::relative\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put("/proc/self/cgroup", bad[i]);
        error = (struct weir_error){0};
        ck_assert_int_eq(weir_cgroup_find(root, "self", &found, &error), WEIR_MALFORMED);
    }
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", "1 2 3\n");
    ck_assert_int_eq(weir_cgroup_find(root, "self", &found, NULL), WEIR_MALFORMED);
    put("/proc/self/mountinfo", "1 0 0:1 / /cg rw shared:1\n");
    ck_assert_int_eq(weir_cgroup_find(root, "self", &found, NULL), WEIR_MALFORMED);
}
END_TEST

START_TEST(a_folder_can_be_opened)
{
    put("/proc/self/mountinfo", OTHER_MOUNTS V2_MOUNT);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_cgroup_open(root, "/sys/fs/cgroup/a/b/", &found, &error), WEIR_OK);
    ck_assert_str_eq(found.path, "/a/b");
    ck_assert_str_eq(found.folder, "/sys/fs/cgroup/a/b");
    ck_assert_uint_eq(found.level_count, 3);
    ck_assert_int_eq(weir_cgroup_open(root, "/sys/fs/cgroup", &found, &error), WEIR_OK);
    ck_assert_uint_eq(found.level_count, 1);
    ck_assert_int_eq(weir_cgroup_open(root, "/sys/fs/cgroups", &found, &error), WEIR_NOT_FOUND);
    ck_assert_int_eq(weir_cgroup_open(root, "a/b", &found, NULL), WEIR_NOT_FOUND);
    /* The kernel's own name. */
    ck_assert_int_eq(weir_cgroup_open(root, "/a.slice/b/", &found, NULL), WEIR_OK);
    ck_assert_str_eq(found.path, "/a.slice/b");
    ck_assert_str_eq(found.folder, "/sys/fs/cgroup/a.slice/b");
    ck_assert_uint_eq(found.level_count, 3);
    ck_assert(level_of(0).is_gone);
    ck_assert_int_eq(
        weir_cgroup_room(&found, 0, &(struct weir_cgroup_level){.is_gone = true}).state,
        WEIR_ROOM_UNKNOWN);
    put("/proc/self/mountinfo", "1 0 0:1 /docker/x /cg rw - cgroup2 c rw\n");
    ck_assert_int_eq(weir_cgroup_open(root, "/docker/x/y", &found, NULL), WEIR_OK);
    ck_assert_str_eq(found.folder, "/cg/y");
    ck_assert_int_eq(weir_cgroup_open(root, "/docker/z", &found, NULL), WEIR_NOT_FOUND);
    put("/proc/self/mountinfo", OTHER_MOUNTS);
    ck_assert_int_eq(weir_cgroup_open(root, "/a", &found, NULL), WEIR_NOT_FOUND);
}
END_TEST

static const struct {
    const char *text;
    enum weir_figure_state state;
    uint64_t value;
} figures[] = {
    {"12\n", WEIR_FIGURE_VALUE, 12},         {"12", WEIR_FIGURE_VALUE, 12},
    {"max\n", WEIR_FIGURE_MAX, 0},           {"", WEIR_FIGURE_MALFORMED, 0},
    {"\n", WEIR_FIGURE_MALFORMED, 0},        {"-1\n", WEIR_FIGURE_MALFORMED, 0},
    {"12 kB\n", WEIR_FIGURE_MALFORMED, 0},   {"12\n13\n", WEIR_FIGURE_MALFORMED, 0},
    {"maximum\n", WEIR_FIGURE_MALFORMED, 0}, {"18446744073709551616\n", WEIR_FIGURE_MALFORMED, 0},
};

START_TEST(figures_have_states)
{
    struct weir_figure figure =
        weir_cgroup_parse_figure(figures[_i].text, strlen(figures[_i].text));
    ck_assert_int_eq(figure.state, figures[_i].state);
    ck_assert_uint_eq(figure.value, figures[_i].value);
}
END_TEST

START_TEST(keys_are_whole_words)
{
    static const char text[] = "oom_kill 3\noom 2\noom_group_kill x\n";
    ck_assert_uint_eq(weir_cgroup_parse_key(text, sizeof text - 1, "oom").value, 2);
    ck_assert_uint_eq(weir_cgroup_parse_key(text, sizeof text - 1, "oom_kill").value, 3);
    ck_assert_int_eq(weir_cgroup_parse_key(text, sizeof text - 1, "max").state,
                     WEIR_FIGURE_MISSING);
    ck_assert_int_eq(weir_cgroup_parse_key(text, sizeof text - 1, "oom_group_kill").state,
                     WEIR_FIGURE_MALFORMED);
}
END_TEST

START_TEST(unreadable_is_not_missing)
{
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", V2_MOUNT);
    put("/sys/fs/cgroup/a/memory.max/x", ""); /* a folder where a file should be */
    put("/sys/fs/cgroup/a/memory.current", "twelve\n");
    find();
    struct weir_cgroup_level level = level_of(0);
    ck_assert_int_eq(level.limit.state, WEIR_FIGURE_UNREADABLE);
    ck_assert_int_eq(level.usage.state, WEIR_FIGURE_MALFORMED);
}
END_TEST

/* Whatever this machine has, it is read without an error. */
START_TEST(the_own_cgroup)
{
    struct weir_error error = {0};
    enum weir_status status = weir_cgroup_find("", "self", &found, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    if (found.version != WEIR_CGROUP_NONE) {
        struct weir_cgroup_level level;
        weir_cgroup_read("", &found, 0, &level);
        ck_assert_int_ne(level.usage.state, WEIR_FIGURE_MALFORMED);
        ck_assert_int_ne(level.limit.state, WEIR_FIGURE_MALFORMED);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cgroup");
    TCase *tests = tcase_create("cgroup");
    tcase_add_checked_fixture(tests, make_root, remove_root);
    tcase_add_test(tests, v2_with_ancestors);
    tcase_add_test(tests, v1_with_and_without_hierarchy);
    tcase_add_test(tests, hybrid_takes_memory_from_v1);
    tcase_add_loop_test(tests, the_path_is_placed_in_its_mount, 0,
                        (int)(sizeof places / sizeof places[0]));
    tcase_add_test(tests, no_cgroup_is_an_answer);
    tcase_add_test(tests, malformed_is_told);
    tcase_add_test(tests, a_folder_can_be_opened);
    tcase_add_loop_test(tests, figures_have_states, 0, (int)(sizeof figures / sizeof figures[0]));
    tcase_add_test(tests, keys_are_whole_words);
    tcase_add_test(tests, unreadable_is_not_missing);
    tcase_add_test(tests, the_own_cgroup);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
