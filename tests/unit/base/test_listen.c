/* Addresses to listen on: the forms that are taken, the port that comes back, and refusals. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/listen.h"
#include "tests/run_suite.h"

static const struct {
    const char *text, *host; /* host NULL: refused */
    unsigned port;
} forms[] = {
    {"127.0.0.1:7070", "127.0.0.1", 7070},
    {"host.name:0", "host.name", 0},
    {"[::1]:80", "::1", 80},
    {":65535", "", 65535},
    {"::1:80", NULL, 0},
    {"127.0.0.1", NULL, 0},
    {"127.0.0.1:", NULL, 0},
    {"127.0.0.1:65536", NULL, 0},
    {"127.0.0.1:-1", NULL, 0},
    {"127.0.0.1:8x", NULL, 0},
    {"127.0.0.1: 8", NULL, 0},
    {"", NULL, 0},
    {"a123456789b123456789c123456789d123456789e123456789f123456789123:1",
     "a123456789b123456789c123456789d123456789e123456789f123456789123", 1},
    {"a123456789b123456789c123456789d123456789e123456789f1234567891234:1", NULL, 0},
};

START_TEST(forms_are_parsed)
{
    char host[WEIR_LISTEN_HOST_SIZE] = "untouched";
    uint16_t port = 4711;
    enum weir_status status = weir_listen_parse(forms[_i].text, host, &port, NULL);
    if (forms[_i].host == NULL) {
        ck_assert_int_eq(status, WEIR_INVALID_ARGUMENT);
        ck_assert_str_eq(host, "untouched");
        ck_assert_uint_eq(port, 4711);
        return;
    }
    ck_assert_int_eq(status, WEIR_OK);
    ck_assert_str_eq(host, forms[_i].host);
    ck_assert_uint_eq(port, forms[_i].port);
}
END_TEST

START_TEST(a_port_is_given_out_and_taken_once)
{
    struct weir_listen first, second;
    struct weir_error error = {0};
    char text[64];
    ck_assert_int_eq(weir_listen_open("127.0.0.1:0", &first, &error), WEIR_OK);
    ck_assert_uint_ne(first.port, 0);
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%u", first.port);
    ck_assert_str_eq(first.url, text);
    ck_assert_int_eq(weir_listen_open(text + strlen("http://"), &second, &error), WEIR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "another program listens there"));
    weir_error_done(&error);
    (void)close(first.fd);
    ck_assert_int_eq(weir_listen_open("no.such.host.invalid:1", &second, NULL),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_listen_open("192.0.2.1:1", &second, NULL), WEIR_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listen");
    TCase *tests = tcase_create("listen");
    tcase_add_loop_test(tests, forms_are_parsed, 0, (int)(sizeof forms / sizeof forms[0]));
    tcase_add_test(tests, a_port_is_given_out_and_taken_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
