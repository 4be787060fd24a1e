/* Arenas: zeroed, aligned, exact in what they take and give, refusing without a change. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/poison.h"
#include "tests/run_suite.h"

struct counter {
    size_t held;
    size_t chunks;
    size_t limit;
};

static void *take(void *context, size_t bytes, struct weir_error *error)
{
    struct counter *counter = context;
    if (counter->held + bytes > counter->limit) {
        (void)weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET, "full");
        return NULL;
    }
    counter->held += bytes;
    counter->chunks++;
    return calloc(1, bytes);
}

static void give(void *context, void *memory, size_t bytes)
{
    struct counter *counter = context;
    counter->held -= bytes;
    counter->chunks--;
    free(memory);
}

static struct weir_arena *new_arena(struct counter *counter, size_t chunk_bytes)
{
    struct weir_arena_source source = {take, give, counter};
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(&source, chunk_bytes, &arena, NULL), WEIR_OK);
    return arena;
}

START_TEST(memory_is_zeroed_aligned_and_apart)
{
    struct counter counter = {0, 0, SIZE_MAX};
    struct weir_arena *arena = new_arena(&counter, 1000);
    uint8_t *blocks[200];
    for (size_t i = 0; i < 200; i++) {
        size_t align = (size_t)1 << (i % 7);
        blocks[i] = weir_arena_alloc(arena, i, align);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % align, 0);
        for (size_t at = 0; at < i; at++)
            ck_assert_uint_eq(blocks[i][at], 0);
        memset(blocks[i], (int)i, i);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t at = 0; at < i; at++)
            ck_assert_uint_eq(blocks[i][at], (uint8_t)i);
    ck_assert_uint_eq(weir_arena_bytes(arena), counter.held);
    weir_arena_free(arena);
    ck_assert_uint_eq(counter.held, 0);
    ck_assert_uint_eq(counter.chunks, 0);
}
END_TEST

START_TEST(large_and_empty_requests)
{
    struct counter counter = {0, 0, SIZE_MAX};
    struct weir_arena *arena = new_arena(&counter, 0);
    ck_assert_ptr_nonnull(weir_arena_alloc(arena, 0, 1));
    char *large = weir_arena_alloc(arena, 1000000, 64);
    ck_assert_ptr_nonnull(large);
    memset(large, 1, 1000000);
    ck_assert_ptr_null(weir_arena_alloc(arena, SIZE_MAX - 10, 8));
    ck_assert_ptr_null(weir_arena_alloc_array(arena, SIZE_MAX / 2, 3, 8));
    ck_assert_ptr_nonnull(weir_arena_alloc_array(arena, 5, 3, 8));
    ck_assert_str_eq(weir_arena_strndup(arena, "abcdef", 3), "abc");
    ck_assert_str_eq(weir_arena_strndup(arena, NULL, 0), "");
    weir_arena_free(arena);
    weir_arena_free(NULL);
}
END_TEST

START_TEST(a_refusal_changes_nothing)
{
    struct counter counter = {0, 0, 3000};
    struct weir_arena_source source = {take, give, &counter};
    struct weir_arena *arena = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_arena_new(&source, 4000, &arena, &error), WEIR_LIMIT);
    ck_assert_str_eq(error.message, "full");
    ck_assert_ptr_null(arena);
    ck_assert_int_eq(weir_arena_new(&source, 4000, &arena, NULL), WEIR_LIMIT);
    ck_assert_int_eq(weir_arena_new(&source, 2000, &arena, NULL), WEIR_OK);
    ck_assert_ptr_null(weir_arena_alloc(arena, 5000, 8));
    ck_assert_uint_eq(weir_arena_bytes(arena), 2000);
    ck_assert_ptr_nonnull(weir_arena_alloc(arena, 500, 8));
    weir_arena_free(arena);
    ck_assert_uint_eq(counter.held, 0);
}
END_TEST

START_TEST(release_goes_back_to_the_mark)
{
    struct counter counter = {0, 0, SIZE_MAX};
    struct weir_arena *arena = new_arena(&counter, 1000);
    char *kept = weir_arena_strndup(arena, "kept", 4);
    size_t held = counter.held;
    for (int round = 0; round < 3; round++) {
        struct weir_arena_mark mark = weir_arena_mark(arena);
        for (int i = 0; i < 100; i++) {
            unsigned char *block = weir_arena_alloc(arena, 100, 8);
            for (int at = 0; at < 100; at++)
                ck_assert_uint_eq(block[at], 0);
            memset(block, 0xff, 100);
        }
        ck_assert_uint_gt(counter.held, held);
        weir_arena_release(arena, mark);
        ck_assert_uint_eq(counter.held, held);
    }
    ck_assert_str_eq(kept, "kept");
    weir_arena_free(arena);
}
END_TEST

#if WEIR_ASAN
START_TEST(running_over_a_block_is_seen)
{
    struct counter counter = {0, 0, SIZE_MAX};
    struct weir_arena *arena = new_arena(&counter, 0);
    char *first = weir_arena_alloc(arena, 24, 8);
    char *second = weir_arena_alloc(arena, 24, 8);
    ck_assert(__asan_address_is_poisoned(first + 24) == 1);
    ck_assert(__asan_address_is_poisoned(second + 24) == 1);
    ck_assert(__asan_address_is_poisoned(first + 23) == 0);
    struct weir_arena_mark mark = weir_arena_mark(arena);
    char *third = weir_arena_alloc(arena, 24, 8);
    weir_arena_release(arena, mark);
    ck_assert(__asan_address_is_poisoned(third) == 1);
    weir_arena_free(arena);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tests = tcase_create("arena");
    tcase_add_test(tests, memory_is_zeroed_aligned_and_apart);
    tcase_add_test(tests, large_and_empty_requests);
    tcase_add_test(tests, a_refusal_changes_nothing);
    tcase_add_test(tests, release_goes_back_to_the_mark);
#if WEIR_ASAN
    tcase_add_test(tests, running_over_a_block_is_seen);
#endif
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
