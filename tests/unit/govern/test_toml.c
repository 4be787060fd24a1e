/* The TOML reader: what it reports, what it refuses and in which line. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "govern/govern_limits.h"
#include "govern/toml.h"
#include "tests/run_suite.h"

static char seen[4096];

static enum weir_status write_down(void *context, const char *path,
                                   const struct weir_toml_value *value, struct weir_error *error)
{
    (void)context;
    (void)error;
    size_t used = strlen(seen);
    (void)snprintf(seen + used, sizeof seen - used, "%u %s=%d:%s;", value->line, path,
                   (int)value->type, value->text);
    return WEIR_OK;
}

static enum weir_status read_text(const char *text, struct weir_error *error)
{
    seen[0] = '\0';
    return weir_toml_parse("f", text, strlen(text), write_down, NULL, error);
}

static const struct {
    const char *text;
    const char *seen;
} good[] = {
    {"", ""},
    {"# only\n\n", ""},
    {"a = 1", "1 a=1:1;"},
    {"a=1\r\nb = 0x_f\r\n", NULL},
    {"[wasm]\nmemory_cache_size = 2_000 # MiB\n", "2 wasm.memory_cache_size=1:2_000;"},
    {"a.b = true\n[c.d]\n'e f'.g = 1.5\n", "1 a.b=3:true;3 c.d.\"e f\".g=2:1.5;"},
    {"a = \"x\\ty\\u00e9\"\n", "1 a=0:x\ty\xc3\xa9;"},
    {"a = '''\n\\n\n'''\nb = 1\n", "1 a=0:\\n\n;4 b=1:1;"},
    {"a = \"\"\"x\\\n   y\"\"\"\"\"\nb=2", "1 a=0:xy\"\";3 b=1:2;"},
    {"a = [1, [2, 'x'],\n # c\n {b = 1},\n]\nc = 3", "1 a=5:;5 c=1:3;"},
    {"a = {b = 1, c.d = 'x'}\n", "1 a.b=1:1;1 a.c.d=0:x;"},
    {"[[a]]\nb=1\n[[a]]\nb=2\n[a.c]\nd=3\n", "2 a[0].b=1:1;4 a[1].b=1:2;6 a[1].c.d=1:3;"},
    {"a = 1979-05-27 07:32:00\nb = 07:32:00.25", "1 a=4:1979-05-27 07:32:00;2 b=4:07:32:00.25;"},
    {"a = -0b1\n", NULL},
    {"a = 9223372036854775807\n", "1 a=1:9223372036854775807;"},
    {"[a.b]\nc=1\n[a]\nd=1\n", "2 a.b.c=1:1;4 a.d=1:1;"},
};

START_TEST(values_are_reported)
{
    struct weir_error error = {0};
    enum weir_status status = read_text(good[_i].text, &error);
    if (good[_i].seen == NULL) {
        ck_assert_int_eq(status, WEIR_MALFORMED);
        weir_error_done(&error);
        return;
    }
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    ck_assert_str_eq(seen, good[_i].seen);
}
END_TEST

static const struct {
    const char *text;
    const char *message;
} bad[] = {
    {"a", "f, line 1: a needs = and a value"},
    {"a = 1 b = 2", "f, line 1: more text behind the end of a value or header"},
    {"\na = 1\na = 2", "f, line 3: a is there already"},
    {"[a]\n[a]", "f, line 2: a is there already"},
    {"a.b = 1\n[a]", "f, line 2: a is there already"},
    {"[a.b]\n[a]\nb.c = 1", "f, line 3: a.b is there already"},
    {"a = {b = 1}\n[a.c]", "f, line 2: a is there already"},
    {"[[a]]\n[a]", "f, line 2: a is there already"},
    {"a = [1\n", "f, line 2: a list needs , or ] here"},
    {"a = \"x\n\"", "f, line 1: a string does not end in its line"},
    {"a = 'x", "f, line 1: the file ends in a string"},
    {"a = 100 MiB", "f, line 1: more text behind the end of a value or header"},
    {"a = 2GiB", "f, line 1: \"2GiB\" is no value; strings need quotes"},
    {"a = 01", "f, line 1: \"01\" is no value; strings need quotes"},
    {"a = 1979-02-30", "f, line 1: \"1979-02-30\" is no value; strings need quotes"},
    {"a = 9223372036854775808",
     "f, line 1: \"9223372036854775808\" is no value; strings need quotes"},
    {"a = \"\\q\"", "f, line 1: unknown escape in a string; write \\\\ for a backslash"},
    {"# \x01", "f, line 1: control character 0x01 in a comment"},
    {"a = \"\xff\"", "f, line 1: the text is not UTF-8"},
    {"[a", "f, line 1: a table's header needs ] here"},
    {"= 1", "f, line 1: a key is missing"},
};

START_TEST(errors_name_the_line)
{
    struct weir_error error = {0};
    ck_assert_int_eq(read_text(bad[_i].text, &error), WEIR_MALFORMED);
    ck_assert_str_eq(error.message, bad[_i].message);
}
END_TEST

START_TEST(nesting_and_length_have_limits)
{
    char text[4096];
    struct weir_error error = {0};
    (void)snprintf(text, sizeof text, "a = ");
    memset(text + 4, '[', WEIR_TOML_DEPTH_MAX);
    memset(text + 4 + WEIR_TOML_DEPTH_MAX, ']', WEIR_TOML_DEPTH_MAX);
    text[4 + 2 * WEIR_TOML_DEPTH_MAX] = '\0';
    ck_assert_int_eq(read_text(text, &error), WEIR_OK);
    memset(text + 4, '[', WEIR_TOML_DEPTH_MAX + 1);
    ck_assert_int_eq(read_text(text, &error), WEIR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(error.message, "nested deeper than 64"));
    struct weir_error long_error = {0};
    memset(text, 'k', 2000);
    memcpy(text + 2000, "=1", 3);
    ck_assert_int_eq(read_text(text, &long_error), WEIR_MALFORMED);
}
END_TEST

static enum weir_status refuse(void *context, const char *path, const struct weir_toml_value *value,
                               struct weir_error *error)
{
    ++*(int *)context;
    (void)value;
    return weir_error_set(error, WEIR_CONFIG, WEIR_NO_OFFSET, "no %s", path);
}

START_TEST(the_handler_ends_the_reading)
{
    int calls = 0;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_toml_parse("f", "a=1\nb=2\n", 8, refuse, &calls, &error), WEIR_CONFIG);
    ck_assert_int_eq(calls, 1);
    ck_assert_str_eq(error.message, "no a");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("toml");
    TCase *tests = tcase_create("toml");
    tcase_add_loop_test(tests, values_are_reported, 0, (int)(sizeof good / sizeof good[0]));
    tcase_add_loop_test(tests, errors_name_the_line, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(tests, nesting_and_length_have_limits);
    tcase_add_test(tests, the_handler_ends_the_reading);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
