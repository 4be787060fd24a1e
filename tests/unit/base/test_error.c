/* Error records: first report wins, cuts at characters, details, the status table. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/run_suite.h"

START_TEST(the_first_report_wins)
{
    struct weir_error error = {0};
    ck_assert_int_eq(weir_error_set(&error, WEIR_LIMIT, 12, "first %d", 1), WEIR_LIMIT);
    ck_assert_int_eq(weir_error_set(&error, WEIR_IO, 13, "second"), WEIR_IO);
    ck_assert_int_eq(weir_error_set_errno(&error, WEIR_IO, ENOENT, "third"), WEIR_IO);
    ck_assert_int_eq(error.status, WEIR_LIMIT);
    ck_assert_uint_eq(error.offset, 12);
    ck_assert_str_eq(error.message, "first 1");
    ck_assert_int_eq(weir_error_set(NULL, WEIR_TRAP, 0, "nobody"), WEIR_TRAP);
    weir_error_add(NULL, "nobody");
    weir_error_done(NULL);
}
END_TEST

START_TEST(errno_is_appended)
{
    struct weir_error error = {0};
    (void)weir_error_set_errno(&error, WEIR_IO, ENOENT, "cannot open %s", "x");
    ck_assert_str_eq(error.message, "cannot open x: No such file or directory");
    ck_assert_uint_eq(error.offset, WEIR_NO_OFFSET);
    char text[300];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error = (struct weir_error){0};
    (void)weir_error_set_errno(&error, WEIR_IO, ENOENT, "%s", text);
    ck_assert_uint_eq(strlen(error.message), WEIR_ERROR_MESSAGE_SIZE - 1);
}
END_TEST

/* A character of `width` bytes at each distance from the end of the record. */
START_TEST(a_long_message_is_cut_between_characters)
{
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t width = 1; width <= 4; width++) {
        for (size_t lead = 240; lead < 256; lead++) {
            char text[600] = "";
            memset(text, 'x', lead);
            for (int i = 0; i < 60; i++)
                memcpy(text + lead + (size_t)i * width, characters[width - 1], width);
            struct weir_error error = {0};
            (void)weir_error_set(&error, WEIR_IO, 0, "%s", text);
            size_t length = strlen(error.message);
            ck_assert_uint_le(length, WEIR_ERROR_MESSAGE_SIZE - 1);
            ck_assert_uint_gt(length + width, WEIR_ERROR_MESSAGE_SIZE - 1);
            if (length > lead)
                ck_assert_uint_eq((length - lead) % width, 0);
        }
    }
}
END_TEST

START_TEST(details_keep_their_order)
{
    struct weir_error error = {0};
    for (int i = 0; i < 5; i++)
        weir_error_add(&error, "line %d", i);
    char wanted[8] = "line 0";
    for (struct weir_error_detail *at = error.details; at != NULL; at = at->next) {
        ck_assert_str_eq(at->text, wanted);
        wanted[5]++;
    }
    ck_assert_int_eq(wanted[5], '5');
    struct weir_error taken = {0};
    (void)weir_error_set(&error, WEIR_LINK, 0, "m");
    weir_error_move(&taken, &error);
    ck_assert_ptr_null(error.details);
    ck_assert_int_eq(error.status, WEIR_OK);
    ck_assert_str_eq(taken.details->text, "line 0");
    (void)weir_error_set(&error, WEIR_IO, 0, "later");
    weir_error_add(&error, "dropped");
    weir_error_move(&taken, &error);
    ck_assert_int_eq(taken.status, WEIR_LINK);
    weir_error_done(&taken);
    ck_assert_ptr_null(taken.details);
}
END_TEST

START_TEST(the_table_is_whole)
{
    for (int i = 0; i < WEIR_STATUS_COUNT; i++) {
        enum weir_status status = (enum weir_status)i;
        ck_assert_uint_gt(strlen(weir_status_name(status)), 0);
        ck_assert_uint_gt(strlen(weir_status_text(status)), 0);
        ck_assert_int_ge(weir_status_http(status), 200);
        ck_assert_int_lt(weir_status_exit_code(status), 64);
        for (int other = 0; other < i; other++) {
            ck_assert_str_ne(weir_status_name(status), weir_status_name((enum weir_status)other));
            ck_assert_int_ne(weir_status_exit_code(status),
                             weir_status_exit_code((enum weir_status)other));
        }
    }
    ck_assert_str_eq(weir_status_name((enum weir_status)1000), "invalid argument");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *tests = tcase_create("error");
    tcase_add_test(tests, the_first_report_wins);
    tcase_add_test(tests, errno_is_appended);
    tcase_add_test(tests, a_long_message_is_cut_between_characters);
    tcase_add_test(tests, details_keep_their_order);
    tcase_add_test(tests, the_table_is_whole);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
