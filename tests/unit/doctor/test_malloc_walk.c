/* The walk over chunks, on heaps made by hand: what a correct one says, and that a wrong word
 * anywhere means "lost", never a guess. */
#include "fake_memory.h"

#include "base/bytes.h"

#include <check.h>

#define BASE UINT64_C(0x7f0004000000) /* a multiple of 64 MiB */
#define SIZE (64 * 4096)
#define IN_USE 1u
#define ARENA_OFFSET 0x30u
#define FIRST_OF_ARENA (ARENA_OFFSET + 0x8a0u)

static uint8_t bytes[SIZE];
static uint64_t at;       /* where the next chunk goes */
static unsigned previous; /* PREV_INUSE of the next chunk */
static uint64_t extra;    /* NON_MAIN_ARENA in arenas */

static void put(uint64_t offset, uint64_t value)
{
    weir_store_u64(bytes + offset, value);
}

static void add_chunk(uint64_t size, bool is_used)
{
    put(at + 8, size | previous | (is_used ? extra : 0));
    if (!is_used)
        put(at + size, size);
    previous = is_used ? IN_USE : 0;
    at += size;
}

/* 3 in use (32 + 64 + 4,096), free 20,480, 48 in use, free 96, 128 in use, top. */
static void add_chunks(void)
{
    add_chunk(32, true);
    add_chunk(64, true);
    add_chunk(4096, true);
    add_chunk(20480, false);
    add_chunk(48, true);
    add_chunk(96, false);
    add_chunk(128, true);
    put(at + 8, (SIZE - at) | previous);
}
#define LIVE (32u + 64u + 4096u + 48u + 128u)

static void make_main(void)
{
    memset(bytes, 0, sizeof bytes);
    at = 0, previous = IN_USE, extra = 0;
    add_chunks();
}

static void make_arena(void)
{
    memset(bytes, 0, sizeof bytes);
    put(0, BASE + ARENA_OFFSET);
    put(16, SIZE);
    put(24, SIZE);
    at = FIRST_OF_ARENA, previous = IN_USE, extra = 4;
    add_chunks();
}

static bool walk(const struct weir__heap *heap, uint64_t absent, struct weir_doctor_malloc *sum)
{
    struct fake_memory fake = {.blocks = {{BASE, SIZE, bytes, absent}}, .count = 1};
    struct weir__memory view = fake_view(&fake);
    uint64_t budget = UINT64_C(1) << 30;
    return weir__heap_walk(&view, heap, &budget, sum);
}

static const struct weir__heap MAIN = {.start = BASE, .end = BASE + SIZE};
static const struct weir__heap ARENA = {
    .start = BASE, .end = BASE + SIZE, .arena = BASE + ARENA_OFFSET};

START_TEST(counts_a_main_heap)
{
    struct weir_doctor_malloc sum = {0};
    make_main();
    ck_assert(walk(&MAIN, 0, &sum));
    ck_assert_uint_eq(sum.live_bytes, LIVE);
    ck_assert_uint_eq(sum.free_bytes, SIZE - LIVE);
    ck_assert_uint_eq(sum.system_bytes, SIZE);
    ck_assert_uint_eq(sum.chunk_count, 5);
    ck_assert_uint_eq(sum.free_count, 3);
    /* The free chunk of 20,480 bytes from 4,192 on holds the four pages behind its header's; the
     * top chunk, which begins in the seventh page, all behind that. */
    ck_assert_uint_eq(sum.free_resident_bytes, 4 * 4096 + (SIZE - 7 * 4096));
}
END_TEST

START_TEST(counts_an_arena)
{
    struct weir_doctor_malloc sum = {0};
    make_arena();
    ck_assert(walk(&ARENA, 0, &sum));
    ck_assert_uint_eq(sum.live_bytes, LIVE);
    ck_assert_uint_eq(sum.system_bytes, SIZE - FIRST_OF_ARENA);
    ck_assert_uint_eq(sum.heap_count, 1);
}
END_TEST

/* [heap] that cannot grow: its last chunk is free, and two of 16 bytes stand at the end. */
static void make_fenced(void)
{
    memset(bytes, 0, sizeof bytes);
    at = 0, previous = IN_USE, extra = 0;
    add_chunk(32, true);
    add_chunk(4096, true);
    add_chunk(SIZE - 32 - 4096 - 32, false);
    put(SIZE - 24, 16);
    put(SIZE - 8, 16 | IN_USE);
}

START_TEST(counts_a_main_heap_that_goes_on_elsewhere)
{
    struct weir_doctor_malloc sum = {0};
    struct fake_memory fake = {.blocks = {{BASE, SIZE, bytes, 0}}, .count = 1};
    struct weir__memory view = fake_view(&fake);
    make_fenced();
    ck_assert(walk(&MAIN, 0, &sum));
    ck_assert_uint_eq(sum.live_bytes, 32 + 4096);
    ck_assert_uint_eq(sum.system_bytes, SIZE - 32);
    ck_assert(weir__main_is_fenced(&view, BASE + SIZE));
    ck_assert(!weir__main_is_fenced(&view, BASE + SIZE / 2));
    make_main();
    ck_assert(!weir__main_is_fenced(&view, BASE + SIZE));
}
END_TEST

/* A piece ends with the top chunk or with a fence, wherever its area ends. */
START_TEST(finds_where_a_piece_ends)
{
    const uint64_t end = BASE + SIZE;
    struct fake_memory fake = {.blocks = {{BASE, SIZE, bytes, 0}}, .count = 1};
    struct weir__memory view = fake_view(&fake);
    for (int is_fenced = 0; is_fenced < 2; is_fenced++) {
        if (is_fenced)
            make_fenced();
        else
            make_main();
        ck_assert_uint_eq(weir__main_piece_end(&view, BASE, end), end);
        ck_assert_uint_eq(weir__main_piece_end(&view, BASE, end + 8 * WEIR__PAGE), end);
        ck_assert_uint_eq(weir__main_piece_end(&view, BASE, end - WEIR__PAGE), 0);
        ck_assert_uint_eq(weir__main_piece_end(&view, BASE + WEIR__PAGE, end), 0);
        put(40, 100); /* the second chunk's size */
        ck_assert_uint_eq(weir__main_piece_end(&view, BASE, end), 0);
    }
}
END_TEST

/* Pages inside a free chunk need not be there, and do not count as resident. */
START_TEST(passes_over_holes)
{
    struct weir_doctor_malloc sum = {0};
    make_main();
    ck_assert(walk(&MAIN, BASE + 2 * 4096, &sum));
    ck_assert_uint_eq(sum.live_bytes, LIVE);
    ck_assert_uint_eq(sum.free_resident_bytes, 3 * 4096 + (SIZE - 7 * 4096));
}
END_TEST

START_TEST(finds_what_threads_keep_back)
{
    struct weir_doctor_malloc sum = {0};
    memset(bytes, 0, sizeof bytes);
    at = 0, previous = IN_USE, extra = 0;
    add_chunk(0x290, true);
    weir_store_u16(bytes + 16 + 2 * 2, 3); /* three chunks of 64 bytes */
    put(16 + 128 + 2 * 8, BASE + 0x400);
    weir_store_u16(bytes + 16 + 2 * 63, 7); /* seven of 1,040 */
    put(16 + 128 + 63 * 8, BASE + 0x800);
    add_chunks();
    ck_assert(walk(&MAIN, 0, &sum));
    ck_assert_uint_eq(sum.cached_bytes, 3 * 64 + 7 * 1040);
}
END_TEST

/* What a single wrong word does. */
START_TEST(loses_what_is_wrong)
{
    static const struct {
        uint64_t offset;
        uint64_t value;
    } WRONG[] = {
        {8, 33 | 2},           /* a mapped chunk inside a heap */
        {8, 40 | 1},           /* no multiple of 16 */
        {8, 16 | 1},           /* smaller than the smallest */
        {8, 0},                /* none */
        {8, 32},               /* the first has nobody in front */
        {8, UINT64_MAX - 6},   /* beyond everything */
        {32 + 8, 64 | 1 | 4},  /* of an arena, in the main heap */
        {4192 + 8, 20496 | 1}, /* its end says something else */
        {24672, 20464},        /* the free chunk's end says something else */
        {24672 + 8, 48 | 1},   /* a free chunk in use */
    };
    struct weir_doctor_malloc sum = {0};
    make_main();
    put(WRONG[_i].offset, WRONG[_i].value);
    bool is_changed = walk(&MAIN, 0, &sum);
    if (_i == 9) { /* cannot be told: then the chunk counts as live, and the rest still fits */
        ck_assert(is_changed);
        ck_assert_uint_eq(sum.live_bytes, LIVE + 20480);
        return;
    }
    ck_assert(!is_changed);
    ck_assert_uint_eq(sum.live_bytes + sum.free_bytes + sum.heap_count, 0);
}
END_TEST

START_TEST(loses_headers_that_are_not_present)
{
    struct weir_doctor_malloc sum = {0};
    make_main();
    ck_assert(!walk(&MAIN, BASE + 6 * 4096, &sum));
    ck_assert_uint_eq(sum.heap_count, 0);
}
END_TEST

START_TEST(stays_within_its_budget)
{
    struct weir_doctor_malloc sum = {0};
    struct fake_memory fake = {.count = 1};
    struct weir__memory view = fake_view(&fake);
    static uint8_t heap[2 * SIZE];
    struct weir__heap large = {.start = BASE, .end = BASE + sizeof heap, .rss = sizeof heap};
    uint64_t budget = SIZE + SIZE / 2;
    make_main();
    put(at + 8, (SIZE - at) | previous); /* a chunk in use up to the second half */
    memcpy(heap, bytes, SIZE);
    weir_store_u64(heap + SIZE + 8, 64 | IN_USE);
    weir_store_u64(heap + SIZE + 64 + 8, (SIZE - 64) | IN_USE);
    fake.blocks[0] = (struct fake_block){BASE, sizeof heap, heap, 0};
    ck_assert(weir__heap_walk(&view, &large, &budget, &sum));
    ck_assert_uint_le(budget, SIZE / 2);
    ck_assert_uint_eq(sum.live_bytes + sum.free_bytes, at); /* the chunk before it is not settled */
    ck_assert_uint_eq(sum.lost_bytes, sizeof heap - at);
}
END_TEST

/* An older heap of an arena ends with two fenceposts. */
START_TEST(ends_at_fences)
{
    struct weir_doctor_malloc sum = {0};
    struct weir__heap heap = ARENA;
    make_arena();
    put(at + 8, (SIZE - at - 32) | previous | 4);
    uint64_t fence = SIZE - 32;
    put(fence, SIZE - at - 32);
    put(fence + 8, 16); /* what is in front is free */
    put(fence + 16 + 8, 0 | IN_USE);
    ck_assert(walk(&heap, 0, &sum));
    ck_assert_uint_eq(sum.live_bytes, LIVE);
}
END_TEST

/* Heap areas in full: recognised by their words, walked, counted in their class. */
START_TEST(finds_arenas_by_their_words)
{
    struct fake_memory fake = {.blocks = {{BASE, SIZE, bytes, 0}}, .count = 1};
    struct weir_doctor_snapshot snapshot = {.can_read_memory = true, .can_read_pages = true};
    struct weir__patient patient = {.snapshot = &snapshot, .memory = fake_view(&fake)};
    static const char TEXT[] = "7f0004000000-7f0004040000 rw-p 00000000 00:00 0 \nRss: 256 kB\n"
                               "Anonymous: 256 kB\n";
    make_arena();
    ck_assert(fake_patient(&patient, TEXT, sizeof TEXT - 1, NULL));
    weir__classify(&patient);
    weir__malloc_walk(&patient);
    ck_assert_uint_eq(snapshot.sums[WEIR_DOCTOR_MALLOC_ARENA].rss_bytes, SIZE);
    ck_assert_int_eq(snapshot.sums[WEIR_DOCTOR_MALLOC_ARENA].confidence, WEIR_DOCTOR_CONFIRMED);
    ck_assert_int_eq(snapshot.arenas.state, WEIR_DOCTOR_WALK_WHOLE);
    ck_assert_uint_eq(snapshot.arenas.live_bytes, LIVE);
    ck_assert_uint_eq(snapshot.arena_count, 1);
    weir__patient_done(&patient);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("malloc_walk");
    TCase *tcase = tcase_create("walk");
    tcase_add_test(tcase, counts_a_main_heap);
    tcase_add_test(tcase, counts_an_arena);
    tcase_add_test(tcase, counts_a_main_heap_that_goes_on_elsewhere);
    tcase_add_test(tcase, finds_where_a_piece_ends);
    tcase_add_test(tcase, passes_over_holes);
    tcase_add_test(tcase, finds_what_threads_keep_back);
    tcase_add_loop_test(tcase, loses_what_is_wrong, 0, 10);
    tcase_add_test(tcase, loses_headers_that_are_not_present);
    tcase_add_test(tcase, stays_within_its_budget);
    tcase_add_test(tcase, ends_at_fences);
    tcase_add_test(tcase, finds_arenas_by_their_words);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
