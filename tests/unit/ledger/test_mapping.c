/* Mappings: charged, registered in address order, given back to the byte. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ledger/mapping.h"

#define MANY 3000

static uint64_t used(enum weir_kind kind)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    return reading.kinds[kind];
}

START_TEST(plain_memory_is_charged_in_pages)
{
    struct weir_mapping mapping;
    ck_assert_int_eq(
        weir_mapping_new_charged(weir_account_host(), WEIR_KIND_STACK, 5000, &mapping, NULL),
        WEIR_OK);
    ck_assert_uint_eq(mapping.size, 8192);
    ck_assert_uint_eq(used(WEIR_KIND_STACK), 8192);
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 1);
    memset(mapping.base, 1, mapping.size);
    weir_mapping_free(&mapping);
    ck_assert_ptr_null(mapping.base);
    weir_mapping_free(&mapping); /* zeroed: allowed */
    ck_assert_uint_eq(used(WEIR_KIND_STACK), 0);
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 0);
}
END_TEST

START_TEST(a_reservation_costs_no_bytes)
{
    struct weir_mapping mapping;
    size_t size = (size_t)4 << 30;
    ck_assert_int_eq(
        weir_mapping_reserve(weir_account_host(), WEIR_KIND_LINEAR_MEMORY, size, 4, &mapping, NULL),
        WEIR_OK);
    ck_assert_uint_eq(used(WEIR_KIND_LINEAR_MEMORY), 0);
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 4);
    ck_assert_int_eq(mprotect(mapping.base, 65536, PROT_READ | PROT_WRITE), 0);
    mapping.base[65535] = 1;
    weir_mapping_free(&mapping);
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 0);
}
END_TEST

START_TEST(foreign_ranges_are_adopted)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, 8192), 0);
    void *base = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(base, MAP_FAILED);
    struct weir_mapping mapping = {.base = base,
                                   .size = 8192,
                                   .account = weir_account_host(),
                                   .kind = WEIR_KIND_CODE_MAPPED,
                                   .charged_mappings = 3};
    ck_assert_int_eq(weir_mapping_adopt(&mapping, NULL), WEIR_OK);
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 3);
    weir_mapping_free(&mapping);
    ck_assert_int_eq(msync(base, 8192, MS_ASYNC), -1); /* not mapped any more */
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 0);
    (void)close(fd);
}
END_TEST

START_TEST(refused_by_size_and_by_limit)
{
    struct weir_account *store = NULL;
    struct weir_mapping mapping;
    struct weir_error error = {0};
    ck_assert_int_eq(
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_STORE, "s", 8192, &store, NULL),
        WEIR_OK);
    ck_assert_int_eq(weir_mapping_reserve(store, WEIR_KIND_STACK, 0, 1, &mapping, NULL),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_mapping_reserve(store, WEIR_KIND_STACK, SIZE_MAX, 1, &mapping, NULL),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(
        weir_mapping_reserve(store, WEIR_KIND_STACK, (size_t)1 << 60, 1, &mapping, &error),
        WEIR_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(error.message, "refused to map"));
    weir_error_done(&error);
    ck_assert_int_eq(weir_mapping_new_charged(store, WEIR_KIND_STACK, 8193, &mapping, NULL),
                     WEIR_LIMIT);
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 0);
    ck_assert_uint_eq(weir_mapping_count(), 0);
    weir_account_close(store);
}
END_TEST

struct order {
    const uint8_t *last;
    size_t count;
    bool good;
};

static void check_order(void *context, const struct weir_mapping *mapping)
{
    struct order *order = context;
    order->good = order->good && mapping->base > order->last;
    order->last = mapping->base;
    order->count++;
}

START_TEST(the_registry_is_in_address_order)
{
    static struct weir_mapping mappings[MANY];
    unsigned seed = 7;
    size_t live = 0;
    for (int step = 0; step < 4 * MANY; step++) {
        seed = seed * 1664525u + 1013904223u;
        size_t i = (seed >> 8) % MANY;
        if (mappings[i].base != NULL) {
            weir_mapping_free(&mappings[i]);
            live--;
        } else {
            ck_assert_int_eq(weir_mapping_new_charged(weir_account_host(), WEIR_KIND_CACHE,
                                                      4096 * (1 + i % 3), &mappings[i], NULL),
                             WEIR_OK);
            live++;
        }
    }
    struct order order = {NULL, 0, true};
    weir_mapping_walk(check_order, &order);
    ck_assert(order.good);
    ck_assert_uint_gt(live, MANY / 4);
    ck_assert_uint_eq(order.count, live);
    ck_assert_uint_eq(weir_mapping_count(), live);
    for (size_t i = 0; i < MANY; i++)
        weir_mapping_free(&mappings[i]);
    ck_assert_uint_eq(weir_mapping_count(), 0);
    ck_assert_uint_eq(used(WEIR_KIND_METADATA), 0);
}
END_TEST

#define LENT 64

/* Wherever the entries of the registry lie, it finds them; nobody looks at where they lay. */
START_TEST(a_lent_entry_may_move)
{
    static struct weir_mapping mappings[LENT];
    static struct weir_mapping_entry first[LENT], second[LENT];
    for (size_t i = 0; i < LENT; i++) {
        mappings[i] = (struct weir_mapping){.size = 4096 * (1 + i % 3),
                                            .account = weir_account_host(),
                                            .kind = WEIR_KIND_LINEAR_MEMORY,
                                            .charged_mappings = 1};
        ck_assert_int_eq(weir_mapping_reserve_at(&mappings[i], &first[i], NULL), WEIR_OK);
    }
    ck_assert_uint_eq(used(WEIR_KIND_METADATA), 0);
    for (size_t i = 0; i < LENT; i++) {
        weir_mapping_move_entry(&mappings[i], &second[i]);
        memset(&first[i], 0xff, sizeof first[i]);
    }
    struct order order = {NULL, 0, true};
    weir_mapping_walk(check_order, &order);
    ck_assert(order.good);
    ck_assert_uint_eq(order.count, LENT);
    for (size_t i = 0; i < LENT; i++)
        weir_mapping_free(&mappings[i]);
    ck_assert_uint_eq(weir_mapping_count(), 0);
    ck_assert_uint_eq(used(WEIR_KIND_MAPPING), 0);
}
END_TEST

START_TEST(an_arena_takes_and_gives_mappings)
{
    struct weir_account_source context = {weir_account_host(), WEIR_KIND_METADATA};
    struct weir_arena_source source = weir_account_arena_source(&context);
    struct weir_arena *arena = NULL;
    ck_assert_int_eq(weir_arena_new(&source, 5000, &arena, NULL), WEIR_OK);
    for (int i = 0; i < 100; i++)
        ck_assert_ptr_nonnull(weir_arena_alloc(arena, 300, 8));
    ck_assert_uint_ge(used(WEIR_KIND_METADATA), 30000);
    weir_arena_free(arena);
    ck_assert_uint_eq(used(WEIR_KIND_METADATA), 0);
    ck_assert_uint_eq(weir_mapping_count(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mapping");
    TCase *tests = tcase_create("mapping");
    tcase_add_test(tests, plain_memory_is_charged_in_pages);
    tcase_add_test(tests, a_reservation_costs_no_bytes);
    tcase_add_test(tests, foreign_ranges_are_adopted);
    tcase_add_test(tests, refused_by_size_and_by_limit);
    tcase_add_test(tests, the_registry_is_in_address_order);
    tcase_add_test(tests, a_lent_entry_may_move);
    tcase_add_test(tests, an_arena_takes_and_gives_mappings);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
