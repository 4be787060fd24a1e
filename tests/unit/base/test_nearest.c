/* The nearest name: what a mistyped word is taken for, and what it is not. */
#include <check.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "tests/run_suite.h"

static const char *const NAMES[] = {"memory-max", "timeout", "fuel", "env", "dir", "report"};
#define NAME_COUNT (sizeof NAMES / sizeof NAMES[0])

static const struct {
    const char *word;
    const char *nearest; /* NULL: none */
} CASES[] = {
    {"memory-max", "memory-max"},
    {"memroy-max", "memory-max"},
    {"memorymax", "memory-max"},
    {"Memory-Max", "memory-max"},
    {"timeot", "timeout"},
    {"tiemout", "timeout"},
    {"fule", "fuel"},
    {"evn", "env"},
    {"report-", "report"},
    {"r", NULL},
    {"xyzzy", NULL},
    {"", NULL},
};

START_TEST(finds_the_nearest)
{
    const char *nearest = weir_nearest_name(CASES[_i].word, NAMES, NAME_COUNT);
    if (CASES[_i].nearest == NULL)
        ck_assert_ptr_null(nearest);
    else
        ck_assert_str_eq(nearest, CASES[_i].nearest);
}
END_TEST

START_TEST(long_words_have_none)
{
    char word[200];
    for (size_t i = 0; i < sizeof word - 1; i++)
        word[i] = 'a';
    word[sizeof word - 1] = 0;
    const char *const names[] = {word};
    ck_assert_ptr_null(weir_nearest_name(word, NAMES, NAME_COUNT));
    ck_assert_ptr_null(weir_nearest_name("aaaa", names, 1));
    ck_assert_ptr_null(weir_nearest_name("aaaa", names, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nearest");
    TCase *tcase = tcase_create("nearest");
    tcase_add_loop_test(tcase, finds_the_nearest, 0, sizeof CASES / sizeof CASES[0]);
    tcase_add_test(tcase, long_words_have_none);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
