/* Header maps, their written form, and buffers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/run_suite.h"
#include "worlds/filter/filter_buffer.h"
#include "worlds/filter/filter_limits.h"

static struct weir_filter_map map;

static enum weir_status add(const char *name, const char *value)
{
    return weir_filter_map_add(&map, weir_account_host(), weir_filter_text(name),
                               weir_filter_text(value), NULL);
}

static void expect(const char *text)
{
    char all[512] = "";
    for (const struct weir_filter_pair *p = map.first; p != NULL; p = p->next) {
        size_t used = strlen(all);
        (void)snprintf(all + used, sizeof all - used, "%.*s=%.*s;", (int)p->name_size,
                       (const char *)p->bytes, (int)p->value_size,
                       (const char *)weir_filter_pair_value(p));
    }
    ck_assert_str_eq(all, text);
    ck_assert(map.last == NULL || map.last->next == NULL);
}

START_TEST(keeps_order_and_case)
{
    ck_assert_int_eq(add("Accept", "A"), WEIR_OK);
    ck_assert_int_eq(add("b", "1"), WEIR_OK);
    ck_assert_int_eq(add("ACCEPT", ""), WEIR_OK);
    expect("accept=A;b=1;accept=;");
    ck_assert_int_eq(weir_filter_map_replace(&map, weir_account_host(), weir_filter_text("aCCept"),
                                             weir_filter_text("new"), NULL),
                     WEIR_OK);
    expect("accept=new;b=1;");
    weir_filter_map_remove(&map, weir_filter_text("B"));
    expect("accept=new;");
    ck_assert_int_eq(weir_filter_map_replace(&map, weir_account_host(), weir_filter_text("c"),
                                             weir_filter_text("d"), NULL),
                     WEIR_OK);
    expect("accept=new;c=d;");
    weir_filter_map_clear(&map);
    ck_assert_uint_eq(map.bytes, 0);
}
END_TEST

START_TEST(refuses_what_does_not_fit_http)
{
    static const struct {
        const char *name, *value;
    } bad[] = {{"", "x"}, {"a\n", "x"}, {"a", "x\r"}, {"a", "x\ny: z"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(add(bad[i].name, bad[i].value), WEIR_INVALID_ARGUMENT);
    for (unsigned i = 0; i < WEIR_FILTER_MAP_PAIRS_MAX; i++)
        ck_assert_int_eq(add("n", "v"), WEIR_OK);
    ck_assert_int_eq(add("n", "v"), WEIR_TOO_LARGE);
    weir_filter_map_clear(&map);
    static char big[WEIR_FILTER_MAP_BYTES_MAX];
    memset(big, 'a', sizeof big - 1);
    ck_assert_int_eq(add("n", big), WEIR_TOO_LARGE);
}
END_TEST

START_TEST(writes_and_reads)
{
    ck_assert_int_eq(add("a", "bc"), WEIR_OK);
    ck_assert_int_eq(add("d", ""), WEIR_OK);
    static const uint8_t expected[] = {2, 0, 0, 0, 1, 0, 0, 0, 2,   0, 0,   0,   1, 0,
                                       0, 0, 0, 0, 0, 0, 'a', 0, 'b', 'c', 0, 'd', 0, 0};
    uint8_t bytes[sizeof expected];
    ck_assert_uint_eq(map.bytes, sizeof expected);
    weir_filter_map_write(&map, bytes);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
    weir_filter_map_clear(&map);
    ck_assert_int_eq(
        weir_filter_pairs_read(bytes, sizeof bytes, weir_account_host(), &map, NULL), WEIR_OK);
    expect("a=bc;d=;");
    weir_filter_map_clear(&map);
    for (size_t size = 1; size < sizeof bytes; size++) { /* cut anywhere */
        struct weir_error error = {0};
        enum weir_status status =
            weir_filter_pairs_read(bytes, size, weir_account_host(), &map, &error);
        ck_assert_msg(status == WEIR_MALFORMED, "%zu bytes", size);
        weir_error_done(&error);
        weir_filter_map_clear(&map);
    }
    uint8_t more[sizeof bytes + 1] = {0};
    memcpy(more, bytes, sizeof bytes);
    ck_assert_int_eq(weir_filter_pairs_read(more, sizeof more, weir_account_host(), &map, NULL),
                     WEIR_MALFORMED);
    weir_filter_map_clear(&map);
    ck_assert_int_eq(weir_filter_pairs_read(more, 0, weir_account_host(), &map, NULL), WEIR_OK);
}
END_TEST

/* --- buffers --------------------------------------------------------------------------------- */

static char model[300000];
static size_t model_size;
static struct weir_filter_buffer buffer;

static void splice(size_t start, size_t size, size_t fresh)
{
    static char text[100000];
    static char moved[sizeof model];
    for (size_t i = 0; i < fresh; i++)
        text[i] = (char)rand();
    start = start < model_size ? start : model_size;
    size = size < model_size - start ? size : model_size - start;
    size_t rest = model_size - start - size;
    memcpy(moved, model + start + size, rest);
    memcpy(model + start, text, fresh);
    memcpy(model + start + fresh, moved, rest);
    model_size = start + fresh + rest;
    ck_assert_int_eq(weir_filter_buffer_splice(&buffer, start, size,
                                               (struct weir_filter_text){text, fresh}, NULL),
                     WEIR_OK);
}

static void compare(void)
{
    size_t at = 0;
    for (const struct weir_filter_chunk *c = buffer.first; c != NULL; c = c->next) {
        ck_assert_mem_eq(model + at, c->bytes + c->begin, c->end - c->begin);
        at += c->end - c->begin;
        ck_assert(c->next != NULL || c == buffer.last);
    }
    ck_assert_uint_eq(at, model_size);
    ck_assert_uint_eq(buffer.size, model_size);
}

START_TEST(splices)
{
    struct weir_account *account = NULL;
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "a", WEIR_UNLIMITED,
                                      &account, NULL),
                     WEIR_OK);
    buffer.account = account;
    srand(1);
    for (unsigned i = 0; i < 3000; i++) {
        size_t fresh = (size_t)rand() % (i % 10 == 0 ? 90000 : 500);
        if (model_size + fresh > sizeof model)
            splice(0, model_size, 0);
        splice((size_t)rand() % 200000, (size_t)rand() % (i % 3 == 0 ? 100000 : 300), fresh);
        if (i % 5 == 0) {
            static char taken[1000];
            size_t size = weir_filter_buffer_take(&buffer, taken, (size_t)rand() % sizeof taken);
            ck_assert_mem_eq(taken, model, size);
            memmove(model, model + size, model_size - size);
            model_size -= size;
        }
        compare();
    }
    weir_filter_buffer_clear(&buffer);
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    weir_account_close(account);
}
END_TEST

/* What is refused changes nothing. */
START_TEST(stays_as_it_was_when_refused)
{
    struct weir_account *account = NULL;
    ck_assert_int_eq(
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "a", 300000, &account, NULL),
        WEIR_OK);
    buffer.account = account;
    model_size = 0;
    splice(0, 0, 90000);
    splice(0, 0, 90000);
    static char big[200000];
    for (size_t start = 0; start < 180000; start += 30000) {
        ck_assert_int_eq(weir_filter_buffer_splice(&buffer, start, 10,
                                                   (struct weir_filter_text){big, sizeof big},
                                                   NULL),
                         WEIR_LIMIT);
        compare();
    }
    weir_filter_buffer_clear(&buffer);
    weir_account_close(account);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter map");
    TCase *tests = tcase_create("maps and buffers");
    tcase_add_test(tests, keeps_order_and_case);
    tcase_add_test(tests, refuses_what_does_not_fit_http);
    tcase_add_test(tests, writes_and_reads);
    tcase_add_test(tests, splices);
    tcase_add_test(tests, stays_as_it_was_when_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
