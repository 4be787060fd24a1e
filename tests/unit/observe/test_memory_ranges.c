/* Figures of linear memories from smaps while their areas change: they stay what they are. */
#include "../ledger/area_splitter.h"

#include "observe/memory_json.h"

#include <check.h>
#include <stdlib.h>

#define SIZE ((size_t)1 << 20)
#define LOOKS 400

static uint64_t figure(const json_t *memory, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(memory, name));
}

START_TEST(a_memory_whose_areas_change_keeps_its_figures)
{
    struct weir_mapping mapping;
    struct area_splitter splitter;
    ck_assert_int_eq(weir_mapping_new_charged(weir_account_host(), WEIR_KIND_LINEAR_MEMORY, SIZE,
                                              &mapping, NULL),
                     WEIR_OK);
    ck_assert(area_splitter_begin(&splitter, mapping.base, SIZE));
    for (int look = 0; look < LOOKS || atomic_load(&splitter.changes) < LOOKS; look++) {
        json_t *memories = weir_memory_json_memories(4);
        ck_assert_uint_eq(json_array_size(memories), 1);
        const json_t *memory = json_array_get(memories, 0);
        ck_assert_uint_eq(figure(memory, "reserved_bytes"), SIZE);
        ck_assert_uint_eq(figure(memory, "accessible_bytes"), SIZE);
        ck_assert_uint_eq(figure(memory, "resident_bytes"), SIZE);
        ck_assert_uint_eq(figure(memory, "private_bytes"), SIZE);
        json_decref(memories);
        struct weir_memory_sum sum = {.account = weir_account_host()};
        ck_assert_int_eq(weir_memory_sums(weir_account_host(), &sum, 1, NULL), WEIR_OK);
        ck_assert_uint_eq(sum.resident_bytes, SIZE);
        ck_assert_uint_eq(sum.private_bytes, SIZE);
    }
    area_splitter_end(&splitter);
    weir_mapping_free(&mapping);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory_ranges");
    TCase *tests = tcase_create("memory_ranges");
    tcase_add_test(tests, a_memory_whose_areas_change_keeps_its_figures);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
