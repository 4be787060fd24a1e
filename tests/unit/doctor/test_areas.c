/* Areas of a process that changes while its smaps is read: whatever was printed twice, at whichever
 * place the reading was interrupted, no byte is counted twice and none that stayed is missed. */
#include "fake_memory.h"

#include <check.h>
#include <stdio.h>

#define PAGES 24
#define BASE UINT64_C(0x7f0000000000)
#define TEXT_SIZE 8192

/* An address space at two moments: a letter per page, one area per run of equal ones, all of it
 * resident; '-' is unmapped. */
static const struct {
    const char *name, *before, *after;
} CHANGES[] = {
    {"nothing", "aabb--ccccdd------------", "aabb--ccccdd------------"},
    {"grows up", "aab-cc------------------", "aabbcc------------------"},
    {"the last one grows", "aabb--------------------", "aabbbbbbbb--------------"},
    {"grows down", "aa----bb----------------", "aa--bbbb----------------"},
    {"two join", "aabbccdd----------------", "aabbbbdd----------------"},
    {"all join", "abcdefghijklmnopqrstuvwx", "aaaaaaaaaaaaaaaaaaaaaaaa"},
    {"splits", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnopqrstuvwx"},
    {"the border moves down", "aaaaaaaabbbbbbbb--------", "aaaabbbbbbbbbbbb--------"},
    {"the border moves up", "aaaabbbbbbbbbbbb--------", "aaaaaaaaaaabbbbb--------"},
    {"cut and joined", "aaaabbbbccccddddeeeeffff", "aaccccccccccccccccccffff"},
    {"shrinks", "aaaaaaaabbbbbbbbcccc----", "aa------bb------cc------"},
    {"goes", "aabbccddeeff------------", "------------------------"},
    {"comes", "------------------------", "aabbccddeeff------------"},
    {"moves", "aaaabbbb----------------", "----bbbb--------aaaa----"},
};
#define CHANGE_COUNT ((int)(sizeof CHANGES / sizeof CHANGES[0]))

struct writer {
    char text[TEXT_SIZE];
    size_t length;
    size_t areas;
    uint64_t end; /* of the last area */
};

/* As the kernel goes on: the areas that end behind the last one, whole, at most `max`. */
static void write_areas(struct writer *w, const char *space, size_t max)
{
    for (size_t page = 0; page < PAGES;) {
        size_t first = page;
        while (page < PAGES && space[page] == space[first])
            page++;
        uint64_t end = BASE + page * WEIR__PAGE;
        if (space[first] == '-' || end <= w->end || max == 0)
            continue;
        size_t kib = (page - first) * 4;
        w->length += (size_t)snprintf(
            w->text + w->length, sizeof w->text - w->length,
            "%llx-%llx rw-p 00000000 00:00 0 %s\n"
            "Rss: %zu kB\nPss: %zu kB\nAnonymous: %zu kB\nSwap: %zu kB\nAnonHugePages: %zu kB\n",
            (unsigned long long)(BASE + first * WEIR__PAGE), (unsigned long long)end,
            space[first] == 'a' ? "[heap]" : "", kib, kib, kib, kib, kib);
        w->end = end;
        w->areas++;
        max--;
    }
}

static void check_areas(const struct weir__patient *patient, const char *before, const char *after)
{
    const struct weir_doctor_snapshot *snapshot = patient->snapshot;
    unsigned covered[PAGES] = {0};
    uint64_t sum = 0, end = 0;
    for (size_t i = 0; i < patient->area_count; i++) {
        const struct weir__area *area = &patient->areas[i];
        ck_assert_uint_ge(area->start, end);
        ck_assert_uint_gt(area->end, area->start);
        end = area->end;
        ck_assert_uint_eq(area->rss, area->end - area->start);
        ck_assert(area->anon == area->rss && area->swap == area->rss && area->huge == area->rss);
        for (uint64_t at = area->start; at < area->end; at += WEIR__PAGE)
            covered[(at - BASE) / WEIR__PAGE]++;
        sum += area->rss;
    }
    for (size_t page = 0; page < PAGES; page++) {
        bool is_always = before[page] != '-' && after[page] != '-';
        bool is_never = before[page] == '-' && after[page] == '-';
        ck_assert_uint_ge(covered[page], is_always);
        ck_assert_uint_le(covered[page], is_never ? 0 : 1);
    }
    ck_assert_uint_eq(snapshot->rss_bytes, sum);
    ck_assert_uint_eq(snapshot->pss_bytes, sum);
    ck_assert_uint_eq(snapshot->anon_bytes, sum);
    ck_assert_uint_eq(snapshot->swap_bytes, sum);
    ck_assert_uint_eq(snapshot->huge_bytes, sum);
    ck_assert_uint_eq(snapshot->area_count, patient->area_count);
}

/* Reads `first` areas of one moment, and the others of the other. */
static void check_change(const char *before, const char *after, size_t first)
{
    struct writer w = {.length = 0};
    write_areas(&w, before, first);
    write_areas(&w, after, PAGES);
    struct weir_doctor_snapshot snapshot = {.pid = 1};
    struct weir__patient patient = {.snapshot = &snapshot, .memory = weir__no_memory()};
    struct weir_error error = {0};
    ck_assert_msg(fake_patient(&patient, w.text, w.length, &error), "%s, then %s after %zu: %s",
                  before, after, first, error.message);
    check_areas(&patient, before, after);
    ck_assert_uint_ge(snapshot.area_count + snapshot.moved_count, w.areas);
    if (strcmp(before, after) == 0)
        ck_assert_uint_eq(snapshot.moved_count, 0);
    weir__classify(&patient);
    uint64_t classes = 0;
    for (unsigned i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++)
        classes += snapshot.sums[i].rss_bytes;
    ck_assert_uint_eq(classes, snapshot.rss_bytes);
    weir__patient_done(&patient);
}

START_TEST(no_byte_is_counted_twice)
{
    for (size_t first = 0; first <= PAGES; first++) {
        check_change(CHANGES[_i].before, CHANGES[_i].after, first);
        check_change(CHANGES[_i].after, CHANGES[_i].before, first);
    }
}
END_TEST

/* Two moments of nothing in particular. */
START_TEST(nor_in_any_other_change)
{
    uint64_t seed = 19;
    for (int turn = 0; turn < 60; turn++) {
        char spaces[2][PAGES + 1] = {{0}};
        for (int space = 0; space < 2; space++)
            for (size_t page = 0; page < PAGES; page++) {
                seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                bool is_new = page == 0 || seed >> 62 == 0;
                spaces[space][page] =
                    is_new ? "abcdef-"[(seed >> 33) % 7] : spaces[space][page - 1];
            }
        for (size_t first = 0; first <= PAGES; first++)
            check_change(spaces[0], spaces[1], first);
    }
}
END_TEST

/* What was taken out says nothing any more; what was cut keeps its share. */
START_TEST(the_newer_area_counts)
{
    static const char TEXT[] = "10000-20000 rw-p 00000000 00:00 0 [heap]\nRss: 32 kB\n"
                               "20000-30000 rw-p 00000000 00:00 0 [heap]\nRss: 64 kB\n"
                               "18000-40000 r--p 00000000 00:00 0 \nRss: 8 kB\n"
                               "50000-60000 rw-p 00000000 00:00 0 [stack]\nRss: 4 kB\n";
    struct weir_doctor_snapshot snapshot = {.pid = 1};
    struct weir__patient patient = {.snapshot = &snapshot, .memory = weir__no_memory()};
    ck_assert(fake_patient(&patient, TEXT, sizeof TEXT - 1, NULL));
    ck_assert_uint_eq(snapshot.area_count, 3);
    ck_assert_uint_eq(snapshot.moved_count, 2);
    ck_assert_uint_eq(snapshot.rss_bytes, (16 + 8 + 4) << 10);
    ck_assert_uint_eq(patient.areas[0].end, 0x18000);
    ck_assert_str_eq(weir__area_name(&patient, &patient.areas[0]), "[heap]");
    ck_assert_str_eq(weir__area_name(&patient, &patient.areas[1]), "");
    ck_assert_str_eq(weir__area_name(&patient, &patient.areas[2]), "[stack]");
    weir__patient_done(&patient);
}
END_TEST

/* What no kernel prints, whatever the process does meanwhile. */
static const char *const BAD[] = {
    "20000-30000 rw-p 0 0:0 0\n10000-20000 rw-p 0 0:0 0\n",
    "20000-30000 rw-p 0 0:0 0\n20000-30000 rw-p 0 0:0 0\n",
    "10000-30000 rw-p 0 0:0 0\n20000-28000 rw-p 0 0:0 0\n",
    "10000-20000 rw-p 0 0:0 0\nRss: 68 kB\n",
    "10000-20000 rw-p 0 0:0 0\nRss: 4 kB\nAnonymous: 8 kB\n",
};

START_TEST(what_is_out_of_order_is_refused)
{
    struct weir_doctor_snapshot snapshot = {.pid = 1};
    struct weir__patient patient = {.snapshot = &snapshot, .memory = weir__no_memory()};
    struct weir_error error = {0};
    ck_assert(!fake_patient(&patient, BAD[_i], strlen(BAD[_i]), &error));
    ck_assert_int_eq(error.status, WEIR_MALFORMED);
    weir__patient_done(&patient);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("areas");
    TCase *tests = tcase_create("areas");
    tcase_add_loop_test(tests, no_byte_is_counted_twice, 0, CHANGE_COUNT);
    tcase_add_test(tests, nor_in_any_other_change);
    tcase_add_test(tests, the_newer_area_counts);
    tcase_add_loop_test(tests, what_is_out_of_order_is_refused, 0,
                        (int)(sizeof BAD / sizeof BAD[0]));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
