/* The writer of metrics pages, byte by byte in both forms; what labels may hold; accounts of one
 * name, of long names, and more of them than a page takes; memory that is refused. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "observe/metrics.h"
#include "observe/observe_limits.h"
#include "tests/run_suite.h"

static uint64_t stand_still(void *context)
{
    (void)context;
    return 1000000000u;
}

static void begin(struct weir_metrics *metrics, enum weir_metrics_form form)
{
    weir_clock_replace(stand_still, NULL);
    weir_metrics_init(metrics, weir_account_host(), form);
}

/* Closes the page and compares it, all but its last lines, which are the same for every page. */
static void expect(struct weir_metrics *metrics, const char *wanted)
{
    static const char *const ENDS[] = {
        "# HELP weir_page_seconds Time taken to read and write this page.\n"
        "# TYPE weir_page_seconds gauge\nweir_page_seconds 0\n",
        "# HELP weir_page_seconds Time taken to read and write this page.\n"
        "# TYPE weir_page_seconds gauge\n# UNIT weir_page_seconds seconds\n"
        "weir_page_seconds 0\n# EOF\n"};
    weir_metrics_end(metrics);
    ck_assert_int_eq(metrics->status, WEIR_OK);
    char *text = strndup(metrics->text, metrics->size);
    size_t size = strlen(wanted);
    ck_assert_msg(strncmp(text, wanted, size) == 0, "got\n%s\nwanted\n%s", text, wanted);
    ck_assert_str_eq(text + size, ENDS[metrics->form]);
    free(text);
    weir_metrics_done(metrics);
}

static void write_one_of_each(struct weir_metrics *metrics)
{
    static const double bounds[] = {2.5e-05, 0.001, 1, 5};
    static const uint64_t counts[] = {1, 0, 2, 0, 4};
    static const double quantiles[] = {0.5, 1}, values[] = {1500, 2e9};
    const struct weir_metrics_label route[] = {{"route", "/a"}, {NULL, NULL}};
    const struct weir_metrics_label two[] = {{"route", "/a"}, {"direction", "in"}, {NULL, NULL}};
    const struct weir_metrics_label version[] = {{"version", "1"}, {NULL, NULL}};
    weir_metrics_single(metrics, WEIR_METRIC_CONNECTIONS, 3);
    weir_metrics_family(metrics, WEIR_METRIC_BODY_BYTES);
    weir_metrics_value(metrics, WEIR_METRIC_BODY_BYTES, two, UINT64_MAX);
    weir_metrics_family(metrics, WEIR_METRIC_BUILD);
    weir_metrics_value(metrics, WEIR_METRIC_BUILD, version, 1);
    weir_metrics_family(metrics, WEIR_METRIC_REQUEST_SECONDS);
    weir_metrics_histogram(metrics, WEIR_METRIC_REQUEST_SECONDS, route,
                           &(struct weir_metrics_buckets){bounds, counts, 5, 12.25});
    weir_metrics_family(metrics, WEIR_METRIC_ARB_CHECK_DURATION);
    weir_metrics_summary(metrics, WEIR_METRIC_ARB_CHECK_DURATION, NULL,
                         &(struct weir_metrics_quantiles){quantiles, values, 2, 2.5e9, 7});
    weir_metrics_family(metrics, WEIR_METRIC_REFUSALS); /* none */
}

#define HISTOGRAM                                                                                  \
    "weir_request_seconds_bucket{route=\"/a\",le=\"2.5e-05\"} 1\n"                                 \
    "weir_request_seconds_bucket{route=\"/a\",le=\"0.001\"} 1\n"                                   \
    "weir_request_seconds_bucket{route=\"/a\",le=\"1.0\"} 3\n"                                     \
    "weir_request_seconds_bucket{route=\"/a\",le=\"5.0\"} 3\n"                                     \
    "weir_request_seconds_bucket{route=\"/a\",le=\"+Inf\"} 7\n"                                    \
    "weir_request_seconds_sum{route=\"/a\"} 12.25\n"                                               \
    "weir_request_seconds_count{route=\"/a\"} 7\n"
#define SUMMARY                                                                                    \
    "# HELP arb_rpc_limitcheck_duration Alias: nanoseconds that a check took; here without "       \
    "reading files.\n"                                                                             \
    "# TYPE arb_rpc_limitcheck_duration summary\n"                                                 \
    "arb_rpc_limitcheck_duration{quantile=\"0.5\"} 1500\n"                                         \
    "arb_rpc_limitcheck_duration{quantile=\"1.0\"} 2000000000\n"                                   \
    "arb_rpc_limitcheck_duration_sum 2500000000\n"                                                 \
    "arb_rpc_limitcheck_duration_count 7\n"

START_TEST(prometheus_text)
{
    struct weir_metrics metrics;
    begin(&metrics, WEIR_METRICS_TEXT);
    write_one_of_each(&metrics);
    expect(&metrics, "# HELP weir_connections_open Connections open.\n"
                     "# TYPE weir_connections_open gauge\n"
                     "weir_connections_open 3\n"
                     "# HELP weir_body_bytes_total Body bytes to and output bytes from guests.\n"
                     "# TYPE weir_body_bytes_total counter\n"
                     "weir_body_bytes_total{route=\"/a\",direction=\"in\"} 18446744073709551615\n"
                     "# HELP weir_build_info 1; which build this is.\n"
                     "# TYPE weir_build_info gauge\n"
                     "weir_build_info{version=\"1\"} 1\n"
                     "# HELP weir_request_seconds From the request's head to its end.\n"
                     "# TYPE weir_request_seconds histogram\n" HISTOGRAM SUMMARY
                     "# HELP weir_refusals_total Requests that got no guest's answer, by reason.\n"
                     "# TYPE weir_refusals_total counter\n");
}
END_TEST

START_TEST(openmetrics)
{
    struct weir_metrics metrics;
    begin(&metrics, WEIR_METRICS_OPENMETRICS);
    write_one_of_each(&metrics);
    expect(&metrics, "# HELP weir_connections_open Connections open.\n"
                     "# TYPE weir_connections_open gauge\n"
                     "weir_connections_open 3\n"
                     "# HELP weir_body_bytes Body bytes to and output bytes from guests.\n"
                     "# TYPE weir_body_bytes counter\n"
                     "# UNIT weir_body_bytes bytes\n"
                     "weir_body_bytes_total{route=\"/a\",direction=\"in\"} 18446744073709551615\n"
                     "# HELP weir_build 1; which build this is.\n"
                     "# TYPE weir_build info\n"
                     "weir_build_info{version=\"1\"} 1\n"
                     "# HELP weir_request_seconds From the request's head to its end.\n"
                     "# TYPE weir_request_seconds histogram\n"
                     "# UNIT weir_request_seconds seconds\n" HISTOGRAM SUMMARY
                     "# HELP weir_refusals Requests that got no guest's answer, by reason.\n"
                     "# TYPE weir_refusals counter\n");
}
END_TEST

static const struct {
    const char *value, *written;
} label_cases[] = {
    {"", ""},
    {"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
    {"{}=,# \t", "{}=,# \t"},
    {"caf\xc3\xa9 \xf0\x9f\xa6\x80", "caf\xc3\xa9 \xf0\x9f\xa6\x80"},
    {"cut \xf0\x9f\xa6", "cut \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xff", "\xef\xbf\xbd"},
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"},
};

START_TEST(label_values_are_escaped)
{
    struct weir_metrics metrics;
    char wanted[400];
    const struct weir_metrics_label labels[] = {{"route", label_cases[_i].value}, {NULL, NULL}};
    begin(&metrics, WEIR_METRICS_TEXT);
    weir_metrics_family(&metrics, WEIR_METRIC_POOL_WARM);
    weir_metrics_value(&metrics, WEIR_METRIC_POOL_WARM, labels, 1);
    (void)snprintf(wanted, sizeof wanted,
                   "# HELP weir_pool_warm Slots kept ready.\n# TYPE weir_pool_warm gauge\n"
                   "weir_pool_warm{route=\"%s\"} 1\n",
                   label_cases[_i].written);
    expect(&metrics, wanted);
}
END_TEST

static const struct {
    double value;
    const char *written;
} real_cases[] = {
    {0, "0"},
    {-1.5, "-1.5"},
    {0.1, "0.1"},
    {1795826161.34, "1795826161.34"},
    {1e300, "1e+300"},
    {2.5e-9, "2.5e-09"},
    {NAN, "NaN"},
    {INFINITY, "+Inf"},
    {-INFINITY, "-Inf"},
};

START_TEST(reals_are_written)
{
    struct weir_metrics metrics;
    char wanted[400];
    begin(&metrics, WEIR_METRICS_TEXT);
    weir_metrics_family(&metrics, WEIR_METRIC_PROCESS_START);
    weir_metrics_real(&metrics, WEIR_METRIC_PROCESS_START, NULL, real_cases[_i].value);
    (void)snprintf(wanted, sizeof wanted,
                   "# HELP process_start_time_seconds Start, in seconds since the epoch.\n"
                   "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %s\n",
                   real_cases[_i].written);
    expect(&metrics, wanted);
}
END_TEST

/* --- mistakes of the caller ---------------------------------------------------------------- */

#ifndef NDEBUG
static const struct weir_metrics_label no_labels[] = {{NULL, NULL}};
static const struct weir_metrics_label route_only[] = {{"route", "/"}, {NULL, NULL}};
static const struct weir_metrics_label turned[] = {{"status", "2xx"}, {"route", "/"}, {NULL, NULL}};
static const struct weir_metrics_label prefix[] = {{"rout", "/"}, {"status", "2xx"}, {NULL, NULL}};
static const struct weir_metrics_label more[] = {
    {"route", "/"}, {"status", "2xx"}, {"x", "y"}, {NULL, NULL}};

static const struct {
    enum weir_metric begun, written;
    const struct weir_metrics_label *labels;
} mistakes[] = {
    {WEIR_METRIC_SWAP, WEIR_METRIC_RSS, NULL},
    {WEIR_METRIC_REQUESTS, WEIR_METRIC_REQUESTS, NULL},
    {WEIR_METRIC_REQUESTS, WEIR_METRIC_REQUESTS, no_labels},
    {WEIR_METRIC_REQUESTS, WEIR_METRIC_REQUESTS, route_only},
    {WEIR_METRIC_REQUESTS, WEIR_METRIC_REQUESTS, turned},
    {WEIR_METRIC_REQUESTS, WEIR_METRIC_REQUESTS, prefix},
    {WEIR_METRIC_REQUESTS, WEIR_METRIC_REQUESTS, more},
    {WEIR_METRIC_RSS, WEIR_METRIC_RSS, route_only},
    {WEIR_METRIC_REQUEST_SECONDS, WEIR_METRIC_REQUEST_SECONDS, route_only},
};

START_TEST(mistakes_are_found_in_debug_builds)
{
    struct weir_metrics metrics;
    begin(&metrics, WEIR_METRICS_TEXT);
    weir_metrics_family(&metrics, mistakes[_i].begun);
    weir_metrics_value(&metrics, mistakes[_i].written, mistakes[_i].labels, 1);
}
END_TEST
#endif

/* --- accounts ------------------------------------------------------------------------------ */

static char *read_accounts(struct weir_account *root)
{
    struct weir_metrics metrics;
    begin(&metrics, WEIR_METRICS_TEXT);
    weir_metrics_accounts(&metrics, root);
    ck_assert_int_eq(metrics.status, WEIR_OK);
    char *text = strndup(metrics.text, metrics.size);
    weir_metrics_done(&metrics);
    return text;
}

static struct weir_account *child(struct weir_account *parent, const char *name)
{
    struct weir_account *account;
    ck_assert_int_eq(
        weir_account_new(parent, WEIR_ACCOUNT_TENANT, name, WEIR_UNLIMITED, &account, NULL),
        WEIR_OK);
    return account;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
        count++;
    return count;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two samples have one name and the same labels. */
static void check_unique(char *text)
{
    size_t count = 0;
    char **lines = calloc(strlen(text), sizeof *lines);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '#' || line[0] == 0)
            continue;
        *strrchr(line, ' ') = 0;
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 1; i < count; i++)
        ck_assert_str_ne(lines[i - 1], lines[i]);
    free(lines);
}

START_TEST(accounts_of_one_name_are_told_apart)
{
    struct weir_account *host = weir_account_host();
    static const char LONG[] = "a-name-of-63-bytes-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    struct weir_account *at = host;
    for (int i = 0; i < 3; i++)
        (void)child(host, "engine");
    (void)child(host, "engine#2"); /* is taken already */
    for (int i = 0; i < 7; i++) {  /* deeper and longer than a path */
        struct weir_account *first = child(at, LONG);
        (void)child(at, LONG);
        at = first;
    }
    char *text = read_accounts(host);
    ck_assert_uint_eq(count_of(text, "weir_account_used_bytes{account=\"host/engine\"}"), 1);
    ck_assert_uint_eq(count_of(text, "weir_account_used_bytes{account=\"host/engine#2\"}"), 1);
    ck_assert_uint_eq(count_of(text, "weir_account_used_bytes{account=\"host/engine#3\"}"), 1);
    ck_assert_uint_eq(count_of(text, "weir_account_used_bytes{"), 19);
    ck_assert_uint_eq(count_of(text, "\nweir_accounts_left_out 0\n"), 1);
    check_unique(text);
    free(text);
}
END_TEST

START_TEST(more_accounts_than_a_page_takes)
{
    struct weir_account *host = weir_account_host();
    for (unsigned i = 0; i < WEIR_METRICS_ACCOUNTS_MAX + 9; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "t%u", i % 2000);
        (void)child(host, name);
    }
    char *text = read_accounts(host);
    ck_assert_uint_eq(count_of(text, "weir_account_used_bytes{"), WEIR_METRICS_ACCOUNTS_MAX);
    ck_assert_uint_eq(count_of(text, "\nweir_accounts_left_out 10\n"), 1);
    check_unique(text);
    free(text);
}
END_TEST

START_TEST(refused_memory_is_told)
{
    struct weir_account *host = weir_account_host();
    for (int i = 0; i < 200; i++)
        (void)child(host, "tenant");
    struct weir_account *server;
    bool was_whole = false;
    for (uint64_t limit = 0; !was_whole; limit += 8192) {
        ck_assert_int_eq(
            weir_account_new(host, WEIR_ACCOUNT_SERVICE, "server", limit, &server, NULL), WEIR_OK);
        struct weir_metrics metrics;
        weir_metrics_init(&metrics, server, WEIR_METRICS_TEXT);
        weir_metrics_process(&metrics);
        weir_metrics_accounts(&metrics, host);
        was_whole = metrics.status == WEIR_OK;
        weir_metrics_done(&metrics);
        struct weir_account_reading reading;
        weir_account_read(server, &reading);
        ck_assert_uint_eq(reading.used_bytes, 0);
        ck_assert_uint_lt(limit, 4u << 20);
        weir_account_close(server);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_test(tests, prometheus_text);
    tcase_add_test(tests, openmetrics);
    tcase_add_loop_test(tests, label_values_are_escaped, 0,
                        (int)(sizeof label_cases / sizeof label_cases[0]));
    tcase_add_loop_test(tests, reals_are_written, 0,
                        (int)(sizeof real_cases / sizeof real_cases[0]));
#ifndef NDEBUG
    tcase_add_loop_test_raise_signal(tests, mistakes_are_found_in_debug_builds, SIGABRT, 0,
                                     (int)(sizeof mistakes / sizeof mistakes[0]));
#endif
    tcase_add_test(tests, accounts_of_one_name_are_told_apart);
    tcase_add_test(tests, more_accounts_than_a_page_takes);
    tcase_add_test(tests, refused_memory_is_told);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
