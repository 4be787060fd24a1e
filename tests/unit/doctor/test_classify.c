/* Rules over saved areas: kernels that name areas, engines and allocators that are not here, stacks
 * without guards. Each line is what one area must be told as. */
#include "fake_memory.h"

#include <check.h>
#include <stdio.h>

/* An area of smaps. Figures in KiB. */
struct line {
    const char *head; /* "7f00-7f10 rw-p 00000000 00:00 0 name" */
    unsigned rss_kib;
    const char *flags;
    enum weir_doctor_rule rule; /* what it must be; RULE_COUNT: it holds nothing */
};

#define NOTHING WEIR_DOCTOR_RULE_COUNT
#define ANON " 00000000 00:00 0 "
#define LINES_MAX 10

static const struct {
    const char *name;
    uint64_t stack_bytes;
    bool is_go, has_jemalloc, has_mimalloc, has_v8;
    struct line lines[LINES_MAX];
} CASES[] = {
    {.name = "named by owners",
     .lines = {{"c000000000-c004000000 rw-p" ANON "[anon: Go: heap]", 60000, "ac",
                WEIR_DOCTOR_BY_NAME_GO_HEAP},
               {"c100000000-c104000000 rw-p" ANON "[anon: Go: page summary]", 40, "ac",
                WEIR_DOCTOR_BY_NAME_GO},
               {"7f0000000000-7f0000021000 rw-p" ANON "[anon: glibc: malloc arena]", 132, "nr",
                WEIR_DOCTOR_BY_NAME_ARENA},
               {"7f0010000000-7f0010801000 rw-p" ANON "[anon: glibc: malloc]", 8196, "ac",
                WEIR_DOCTOR_BY_NAME_CHUNK},
               {"7f0020000000-7f0020800000 rw-p" ANON "[anon: glibc: pthread stack: 4712]", 40,
                "ac nh", WEIR_DOCTOR_BY_NAME_PTHREAD},
               {"7f0040000000-7f0040010000 rw-p" ANON "[anon:mimalloc]", 64, "nr",
                WEIR_DOCTOR_BY_NAME_MIMALLOC},
               {"7f0050000000-7f0050010000 rw-p" ANON "[anon:tcmalloc_region_NORMAL]", 64, "",
                WEIR_DOCTOR_BY_NAME_TCMALLOC},
               {"7f0060000000-7f0060010000 rw-p" ANON "[anon:of somebody]", 64, "",
                WEIR_DOCTOR_BY_NAME_OTHER}}},
    {.name = "memory that looks like a file",
     .lines =
         {{"7f0000000000-7f0000010000 rw-s 00000000 00:01 7 /memfd:x (deleted)", 64, "",
           WEIR_DOCTOR_BY_MEMFD},
          {"7f0000020000-7f0000030000 rw-s 00000000 00:01 8 /SYSV00000000 (deleted)", 64, "",
           WEIR_DOCTOR_BY_SYSV},
          {"7f0000040000-7f0000050000 rw-s 00000000 00:01 9 /dev/zero (deleted)", 64, "",
           WEIR_DOCTOR_BY_SHARED_ANON},
          {"7f0000060000-7f0000070000 rw-p 00000000 00:01 9 /memfd:wasm-memory-image (deleted)", 64,
           "", WEIR_DOCTOR_BY_WASMTIME_IMAGE},
          {"7f0000080000-7f0000090000 r--p 00000000 fe:00 11 /var/lib/x.db", 64, "",
           WEIR_DOCTOR_BY_FILE},
          {"7f00000a0000-7f00000b0000 r-xp 00001000 fe:00 12 /usr/lib/libx.so", 64, "",
           WEIR_DOCTOR_BY_LIBRARY}}},
    {.name = "stacks with guards",
     .stack_bytes = 8 << 20,
     .lines = {{"7f0000000000-7f0000001000 ---p" ANON, 0, "nh", NOTHING},
               {"7f0000001000-7f0000801000 rw-p" ANON, 32, "ac nh", WEIR_DOCTOR_BY_STACK_SHAPE},
               {"7f0000801000-7f0000802000 ---p" ANON, 0, "", NOTHING},
               {"7f0000802000-7f0001002000 rw-p" ANON, 8, "ac", WEIR_DOCTOR_BY_STACK_SHAPE}}},
    {.name = "a stack guarded without an area (glibc 2.42)",
     .stack_bytes = 8 << 20,
     .lines = {{"7f0000001000-7f0000801000 rw-p" ANON, 32, "ac nh", WEIR_DOCTOR_BY_STACK_SHAPE}}},
    {.name = "arenas by their shape",
     .lines = {{"7f0004000000-7f0004221000 rw-p" ANON, 2180, "nr", WEIR_DOCTOR_BY_ARENA_SHAPE},
               {"7f0004221000-7f0008000000 ---p" ANON, 0, "nr", NOTHING},
               {"7f0008000000-7f000c000000 rw-p" ANON, 65536, "nr", WEIR_DOCTOR_BY_ARENA_SHAPE}}},
    {.name = "64 MiB that is accounted is no arena",
     .lines = {{"7f0004000000-7f0008000000 rw-p" ANON, 65536, "ac", WEIR_DOCTOR_BY_ANONYMOUS}}},
    {.name = "V8",
     .has_v8 = true,
     .lines = {{"2a6f040000-2a6f080000 rw-p" ANON, 256, "dc nr", WEIR_DOCTOR_BY_V8_SHAPE},
               {"100000000000-100080000000 ---p" ANON, 0, "dc nr", NOTHING},
               {"100080000000-100081000000 rw-p" ANON, 16384, "dc nr", WEIR_DOCTOR_BY_V8_WASM},
               {"100081000000-100280000000 ---p" ANON, 0, "dc nr", NOTHING},

               {"7f738a7c3000-7f738a7ff000 rwxp" ANON, 20, "ex dc nr", WEIR_DOCTOR_BY_V8_CODE}}},
    {.name = "Wasmtime",
     .lines = {{"7f0000000000-7f0002000000 ---p" ANON, 0, "nr", NOTHING},
               {"7f0002000000-7f0002110000 rw-p" ANON, 1088, "nr", WEIR_DOCTOR_BY_WASMTIME},
               {"7f0002110000-7f0104000000 ---p" ANON, 0, "nr", NOTHING}}},
    {.name = "Wasmtime's pool",
     .lines = {{"7e0000000000-7e0000110000 rw-p" ANON, 1088, "nr", WEIR_DOCTOR_BY_WASMTIME_POOL},
               {"7e0000110000-7e0102000000 ---p" ANON, 0, "nr", NOTHING},
               {"7e0102000000-7e0102110000 rw-p" ANON, 1088, "nr", WEIR_DOCTOR_BY_WASMTIME_POOL},
               {"7e0102110000-7e0204000000 ---p" ANON, 0, "nr", NOTHING},
               {"7e0204000000-7e0204110000 rw-p" ANON, 1088, "nr", WEIR_DOCTOR_BY_WASMTIME_POOL},
               {"7e0204110000-7e0306000000 ---p" ANON, 0, "nr", NOTHING}}},
    {.name = "Wasmer",
     .lines = {{"7f0000000000-7f0000110000 rw-p" ANON, 1088, "", WEIR_DOCTOR_BY_WASMER},
               {"7f0000110000-7f0180000000 ---p" ANON, 0, "", NOTHING}}},
    {.name = "WAMR",
     .lines = {{"7f0000000000-7f0000110000 rw-p" ANON, 1088, "hg", WEIR_DOCTOR_BY_WAMR},
               {"7f0000110000-7f0200000000 ---p" ANON, 0, "hg", NOTHING}}},
    {.name = "Weir, with an image in front and without",
     .lines = {{"7f0000000000-7f0000010000 rw-p 00001000 fe:00 9 /cache/x.weir", 64, "ac nh",
                WEIR_DOCTOR_BY_WEIR_MEMORY},
               {"7f0000010000-7f0000110000 rw-p" ANON, 1024, "nr nh", WEIR_DOCTOR_BY_WEIR_MEMORY},
               {"7f0000110000-7f0102000000 ---p" ANON, 0, "nr nh", NOTHING},
               {"7f0200000000-7f0200110000 rw-p" ANON, 1088, "nr nh", WEIR_DOCTOR_BY_WEIR_MEMORY},
               {"7f0200110000-7f0302000000 ---p" ANON, 0, "nr nh", NOTHING}}},
    {.name = "some engine",
     .lines = {{"7f0000000000-7f0000110000 rw-p" ANON, 1088, "", WEIR_DOCTOR_BY_RESERVATION},
               {"7f0000110000-7f0140000000 ---p" ANON, 0, "", NOTHING}}},
    {.name = "generated code",
     .lines = {{"7f0000000000-7f0000110000 r-xp" ANON, 1088, "ex", WEIR_DOCTOR_BY_JIT}}},
    {.name = "Go before names",
     .is_go = true,
     .lines = {{"c000000000-c000800000 rw-p" ANON, 8192, "ac", WEIR_DOCTOR_BY_GO_ARENA},
               {"c000800000-c004000000 ---p" ANON, 0, "", NOTHING},
               {"3a4640000000-3a4642800000 ---p" ANON, 0, "", NOTHING},
               {"3a4642800000-3a4644000000 rw-p" ANON, 20000, "ac", WEIR_DOCTOR_BY_GO_RANDOM},
               {"7f0000000000-7f0004000000 rw-p" ANON, 65536, "ac", WEIR_DOCTOR_BY_MMAP_64M},
               {"7f000a000000-7f000a040000 rw-p" ANON, 200, "ac", WEIR_DOCTOR_BY_GO_METADATA}}},
    {.name = "fastcache's chunks, merged",
     .is_go = true,
     .lines = {{"7f0000000000-7f000c000000 rw-p" ANON, 196608, "ac", WEIR_DOCTOR_BY_MMAP_64M}}},
    {.name = "jemalloc",
     .has_jemalloc = true,
     .lines = {{"7f0000200000-7f0000700000 rw-p" ANON, 4096, "nr", WEIR_DOCTOR_BY_JEMALLOC}}},
    {.name = "mimalloc, linked statically",
     .lines = {{"20000000000-20002000000 rw-p" ANON, 4096, "nr", WEIR_DOCTOR_BY_MIMALLOC}}},
    {.name = "nobody knows",
     .lines = {{"7f0000201000-7f0000702000 rw-p" ANON, 4096, "ac", WEIR_DOCTOR_BY_ANONYMOUS}}},
};

static char *write_smaps(const struct line *lines)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    for (size_t i = 0; i < LINES_MAX && lines[i].head != NULL; i++)
        (void)fprintf(file, "%s\nRss: %u kB\nAnonymous: %u kB\nVmFlags: rd wr mr mw me %s\n",
                      lines[i].head, lines[i].rss_kib,
                      strstr(lines[i].head, " 00:00 0") != NULL ? lines[i].rss_kib : 0,
                      lines[i].flags);
    (void)fclose(file);
    return text;
}

/* Each rule's bytes are looked for one by one: the class's sum and the rule that gave most. */
static uint64_t expected_bytes(const struct line *lines, enum weir_doctor_rule rule)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < LINES_MAX && lines[i].head != NULL; i++)
        bytes += lines[i].rule == rule ? (uint64_t)lines[i].rss_kib << 10 : 0;
    return bytes;
}

START_TEST(rules)
{
    static const enum weir_doctor_class CLASSES[] = {
#define WEIR_DOCTOR_RULE(id, name, class, confidence, match, argument, text) WEIR_DOCTOR_##class,
#include "doctor/doctor_rules.def"
#undef WEIR_DOCTOR_RULE
    };
    const struct line *lines = CASES[_i].lines;
    struct weir_doctor_snapshot snapshot = {.is_go = CASES[_i].is_go,
                                            .has_jemalloc = CASES[_i].has_jemalloc,
                                            .has_v8 = CASES[_i].has_v8};
    struct weir__patient patient = {
        .snapshot = &snapshot, .memory = weir__no_memory(), .stack_bytes = CASES[_i].stack_bytes};
    struct weir_error error = {0};
    char *text = write_smaps(lines);
    ck_assert_msg(fake_patient(&patient, text, strlen(text), &error), "%s: %s", CASES[_i].name,
                  error.message);
    ck_assert_int_eq(weir__objects_find(&patient, &error), WEIR_OK);
    weir__classify(&patient);
    uint64_t by_class[WEIR_DOCTOR_CLASS_COUNT] = {0};
    for (unsigned rule = 0; rule < WEIR_DOCTOR_RULE_COUNT; rule++)
        by_class[CLASSES[rule]] += expected_bytes(lines, (enum weir_doctor_rule)rule);
    for (unsigned c = 0; c < WEIR_DOCTOR_CLASS_COUNT; c++)
        ck_assert_msg(snapshot.sums[c].rss_bytes == by_class[c], "%s: %s has %llu KiB, not %llu",
                      CASES[_i].name, weir_doctor_class_name((enum weir_doctor_class)c),
                      (unsigned long long)snapshot.sums[c].rss_bytes >> 10,
                      (unsigned long long)by_class[c] >> 10);
    for (size_t i = 0; i < LINES_MAX && lines[i].head != NULL; i++) {
        if (lines[i].rule == NOTHING)
            continue;
        const struct weir_doctor_sum *sum = &snapshot.sums[CLASSES[lines[i].rule]];
        if (sum->rss_bytes == (uint64_t)lines[i].rss_kib << 10)
            ck_assert_str_eq(weir_doctor_rule_name(sum->rule),
                             weir_doctor_rule_name(lines[i].rule));
    }
    free(text);
    weir__patient_done(&patient);
}
END_TEST

START_TEST(refuses_what_is_no_smaps)
{
    static const char *const TEXTS[] = {
        "7f0000001000-7f0000002000 rw-p" ANON "\nRss: 8 kB\n",
        "7f0000001000-7f0000002000 rw-p" ANON "\nRss: 4 kB\nAnonymous: 8 kB\n",
        "7f0000003000-7f0000004000 rw-p" ANON "\n7f0000001000-7f0000002000 rw-p" ANON "\n",
        "what is this\n",
    };
    struct weir_doctor_snapshot snapshot = {0};
    struct weir__patient patient = {.snapshot = &snapshot, .memory = weir__no_memory()};
    struct weir_error error = {0};
    ck_assert(!fake_patient(&patient, TEXTS[_i], strlen(TEXTS[_i]), &error));
    ck_assert_int_eq(error.status, WEIR_MALFORMED);
    ck_assert_int_ne(error.message[0], 0);
    weir_error_done(&error);
    weir__patient_done(&patient);
}
END_TEST

/* A mapped chunk, memory of nobody, and another chunk in one area are told apart. */
START_TEST(splits_merged_areas)
{
    static uint8_t bytes[16 * 4096];
    memset(bytes, 0xee, sizeof bytes);
    uint64_t first[2] = {0, 4 * 4096 | 2};
    uint64_t second[2] = {0, 6 * 4096 | 2};
    memcpy(bytes, first, sizeof first);
    memcpy(bytes + 10 * 4096, second, sizeof second);
    struct fake_memory fake = {.blocks = {{0x7f0000001000, sizeof bytes, bytes, 0}}, .count = 1};
    struct weir_doctor_snapshot snapshot = {.can_read_memory = true, .can_read_pages = true};
    struct weir__patient patient = {.snapshot = &snapshot, .memory = fake_view(&fake)};
    static const char TEXT[] =
        "7f0000001000-7f0000011000 rw-p" ANON "\nRss: 64 kB\nAnonymous: 64 kB\n";
    ck_assert(fake_patient(&patient, TEXT, sizeof TEXT - 1, NULL));
    weir__classify(&patient);
    ck_assert_uint_eq(snapshot.sums[WEIR_DOCTOR_MALLOC_MAPPED].rss_bytes, 10 * 4096);
    ck_assert_uint_eq(snapshot.sums[WEIR_DOCTOR_MALLOC_MAPPED].count, 2);
    ck_assert_int_eq(snapshot.sums[WEIR_DOCTOR_MALLOC_MAPPED].confidence, WEIR_DOCTOR_CONFIRMED);
    ck_assert_uint_eq(snapshot.unknown_bytes, 6 * 4096);
    weir__patient_done(&patient);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("classify");
    TCase *tcase = tcase_create("rules");
    tcase_add_loop_test(tcase, rules, 0, sizeof CASES / sizeof CASES[0]);
    tcase_add_loop_test(tcase, refuses_what_is_no_smaps, 0, 4);
    tcase_add_test(tcase, splits_merged_areas);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
