/* Metrics that somebody else wrote: selectors, samples, places, and a server that misbehaves. */
#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http_get.h"
#include "doctor/metric_source.h"
#include "doctor/metric_text.h"

static const char TEXT[] = "# HELP requests_total Requests.\n"
                           "# TYPE requests_total counter\n"
                           "requests_total{code=\"200\",path=\"/a\"} 10 1395066363000\n"
                           "requests_total{code=\"200\",path=\"/\\\"b,}\"} 5\r\n"
                           "requests_total{code=\"500\", path=\"/a\",} 1.5e1 # {id=\"x\"} 1\n"
                           "requests_total_created 7\n"
                           "plain 3\n"
                           "  indented 4\n"
                           "empty_labels{} 9\n"
                           "odd NaN\n"
                           "plain_bad\n"
                           "hex 0x10\n"
                           "open{a=\"b 1\n"
                           "infinite +Inf\n"
                           "# EOF";

static const struct {
    const char *selector;
    enum weir_status status;
    double value;
} SELECTORS[] = {
    {"requests_total", WEIR_OK, 30},
    {"requests_total{code=\"200\"}", WEIR_OK, 15},
    {"requests_total{path=\"/a\",code=\"500\"}", WEIR_OK, 15},
    {"requests_total{path=\"/\\\"b,}\"}", WEIR_OK, 5},
    {"requests_total{code=\"404\"}", WEIR_NOT_FOUND, 0},
    {"requests_total{host=\"x\"}", WEIR_NOT_FOUND, 0},
    {"requests", WEIR_NOT_FOUND, 0},
    {"plain", WEIR_OK, 3},
    {"empty_labels", WEIR_OK, 9},
    {"odd", WEIR_NOT_FOUND, 0},
    {"plain_bad", WEIR_MALFORMED, 0},
    {"hex", WEIR_MALFORMED, 0},
    {"open", WEIR_MALFORMED, 0},
    {"indented", WEIR_NOT_FOUND, 0},
    {"1x", WEIR_INVALID_ARGUMENT, 0},
    {"x{", WEIR_INVALID_ARGUMENT, 0},
};

START_TEST(samples_are_selected_and_summed)
{
    double value = -1;
    struct weir_error error = {0};
    ck_assert_msg(weir_metric_sum(TEXT, sizeof TEXT - 1, SELECTORS[_i].selector, &value, &error) ==
                      SELECTORS[_i].status,
                  "%s: %s", SELECTORS[_i].selector, error.message);
    ck_assert_double_eq(value, SELECTORS[_i].status == WEIR_OK ? SELECTORS[_i].value : -1);
    if (SELECTORS[_i].status == WEIR_MALFORMED)
        ck_assert_ptr_nonnull(strstr(error.message, "line 1"));
}
END_TEST

static const struct {
    const char *text;
    size_t max, count; /* 0: refused */
    const char *place, *first, *second;
} SOURCES[] = {
    {"http://localhost:9100/metrics#a", 1, 1, "http://localhost:9100/metrics", "a", NULL},
    {"/run/m.prom#a{b=\"c,d\"},e", 2, 2, "/run/m.prom", "a{b=\"c,d\"}", "e"},
    {"http://[::1]:80#x", 1, 1, "http://[::1]:80", "x", NULL},
    {"http://h#a,b", 1, 0, NULL, NULL, NULL},
    {"http://h#a,b,c", 2, 0, NULL, NULL, NULL},
    {"http://h#", 1, 0, NULL, NULL, NULL},
    {"http://h#a,", 2, 0, NULL, NULL, NULL},
    {"#a", 1, 0, NULL, NULL, NULL},
    {"http://h", 1, 0, NULL, NULL, NULL},
    {"https://h/#a", 1, 0, NULL, NULL, NULL},
    {"http:///x#a", 1, 0, NULL, NULL, NULL},
    {"http://h:/x#a", 1, 0, NULL, NULL, NULL},
    {"http://h:999999/x#a", 1, 0, NULL, NULL, NULL},
    {"http://h/a b#a", 1, 0, NULL, NULL, NULL},
    {"http://h/\r\nX: y#a", 1, 0, NULL, NULL, NULL},
    {"f#a b", 1, 0, NULL, NULL, NULL},
};

START_TEST(sources_are_parsed)
{
    struct weir_metric_source source;
    struct weir_error error = {0};
    enum weir_status status =
        weir_metric_source_parse("cache", SOURCES[_i].text, SOURCES[_i].max, &source, &error);
    if (SOURCES[_i].count == 0) {
        ck_assert_int_eq(status, WEIR_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(error.message, "--cache"));
        return;
    }
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    ck_assert_uint_eq(source.selector_count, SOURCES[_i].count);
    ck_assert_str_eq(source.place, SOURCES[_i].place);
    ck_assert_str_eq(source.selectors[0], SOURCES[_i].first);
    if (SOURCES[_i].second != NULL)
        ck_assert_str_eq(source.selectors[1], SOURCES[_i].second);
}
END_TEST

/* --- a server ------------------------------------------------------------------------------- */

static int listener;
static const char *answer;

static void *serve_once(void *argument)
{
    (void)argument;
    int fd = accept(listener, NULL, NULL);
    char request[2048];
    ssize_t got = read(fd, request, sizeof request);
    ck_assert_int_gt(got, 0);
    for (const char *at = answer; *at != 0;) { /* in small pieces */
        size_t size = strlen(at) < 7 ? strlen(at) : 7;
        ssize_t sent = write(fd, at, size);
        ck_assert_int_gt(sent, 0);
        at += sent;
    }
    (void)close(fd);
    return NULL;
}

static const struct {
    const char *answer;
    enum weir_status status;
} ANSWERS[] = {
    {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nx 1\na 41\na{b=\"c\"} 1\n", WEIR_OK},
    {"HTTP/1.0 200 OK\r\n\r\na 42", WEIR_OK},
    {"HTTP/1.0 404 Not Found\r\n\r\na 42\n", WEIR_STATE},
    {"HTTP/1.0 200 OK\r\n\r\n", WEIR_NOT_FOUND},
    {"HTTP/1.0 200 OK\r\n", WEIR_MALFORMED},
    {"hello\r\n\r\na 42\n", WEIR_MALFORMED},
    {"", WEIR_MALFORMED},
};

START_TEST(answers_are_read)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    answer = ANSWERS[_i].answer;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_once, NULL), 0);
    char text[64];
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d/m#a", ntohs(address.sin_port));
    struct weir_metric_source source;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_metric_source_parse("operations", text, 1, &source, &error), WEIR_OK);
    double values[WEIR_METRIC_SELECTORS_MAX] = {0};
    ck_assert_msg(weir_metric_source_read(&source, values, &error) == ANSWERS[_i].status, "%s",
                  error.message);
    if (ANSWERS[_i].status == WEIR_OK)
        ck_assert_double_eq(values[0], 42);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)close(listener);
    /* And now that nobody listens. */
    weir_error_done(&error);
    error = (struct weir_error){0};
    ck_assert_int_eq(weir_metric_source_read(&source, values, &error), WEIR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "127.0.0.1"));
}
END_TEST

START_TEST(files_are_read)
{
    char path[] = "/tmp/weir_metric_XXXXXX", text[64];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, TEXT, sizeof TEXT - 1), (ssize_t)sizeof TEXT - 1);
    (void)close(fd);
    (void)snprintf(text, sizeof text, "%s#plain,empty_labels", path);
    struct weir_metric_source source;
    struct weir_error error = {0};
    double values[WEIR_METRIC_SELECTORS_MAX];
    ck_assert_int_eq(weir_metric_source_parse("cache", text, 2, &source, &error), WEIR_OK);
    ck_assert_int_eq(weir_metric_source_read(&source, values, &error), WEIR_OK);
    ck_assert_double_eq(values[0], 3);
    ck_assert_double_eq(values[1], 9);
    (void)unlink(path);
    ck_assert_int_eq(weir_metric_source_read(&source, values, &error), WEIR_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metric");
    TCase *tests = tcase_create("metric");
    tcase_add_loop_test(tests, samples_are_selected_and_summed, 0,
                        sizeof SELECTORS / sizeof SELECTORS[0]);
    tcase_add_loop_test(tests, sources_are_parsed, 0, sizeof SOURCES / sizeof SOURCES[0]);
    tcase_add_loop_test(tests, answers_are_read, 0, sizeof ANSWERS / sizeof ANSWERS[0]);
    tcase_add_test(tests, files_are_read);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
