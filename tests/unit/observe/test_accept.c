/* Which form of the metrics page an Accept header gets. */
#include <check.h>
#include <stdlib.h>

#include "observe/metrics.h"
#include "tests/run_suite.h"

#define T WEIR_METRICS_TEXT
#define O WEIR_METRICS_OPENMETRICS

static const struct {
    const char *accept;
    enum weir_metrics_form form;
} cases[] = {
    {NULL, T},
    {"", T},
    {"*/*", T},
    {"text/plain", T},
    {"application/openmetrics-text", O},
    {"APPLICATION/OpenMetrics-Text;Version=1.0.0", O},
    {"application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", O},
    /* Prometheus 2.42, 2.26, 3.x; a browser; curl. */
    {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     O},
    {"application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", T},
    {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
     "application/openmetrics-text;version=0.0.1;q=0.4,"
     "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
     O},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", T},
    /* Quality. */
    {"text/plain;q=0.2, application/openmetrics-text;q=0.3", O},
    {"text/plain;q=0.3, application/openmetrics-text;q=0.2", T},
    {"text/plain;q=0.301 ,application/openmetrics-text ; q = 0.302", O},
    {"text/plain;q=0, application/openmetrics-text;q=0.001", O},
    {"application/openmetrics-text;q=0", T},
    {"application/openmetrics-text;q=0, */*", T},
    {"text/plain;q=0, */*;q=0.5", O},
    {"*/*;q=0", T},
    /* The more exact range decides, wherever it stands. */
    {"application/openmetrics-text;q=0.1, */*;q=0.9", T},
    {"*/*;q=0.9, application/openmetrics-text", O},
    {"application/*", O},
    {"application/*, text/*", T},
    {"application/openmetrics-text, text/*", O},
    {"application/openmetrics-text, text/plain", T},
    {"text/*;q=0.5, application/*;q=0.6", O},
    /* Another version is another form. */
    {"application/openmetrics-text;version=2.0.0", T},
    {"application/openmetrics-text;version=2.0.0, text/plain;version=1.0.0", T},
    {"application/openmetrics-text;version=2.0.0, application/openmetrics-text;q=0.5", O},
    /* Nonsense is passed over. */
    {",,;;==\"", T},
    {"application", T},
    {"application/", T},
    {"/openmetrics-text", T},
    {"*/openmetrics-text", T},
    {"application/openmetrics-textual", T},
    {"application/openmetrics-tex", T},
    {"application/openmetrics-text/x", O},
    {"x;y=\"a,application/openmetrics-text;\\\"\",text/plain", T},
    {"x;y=\"never closed, application/openmetrics-text", T},
    {"\"application/openmetrics-text\"", T},
    {"nonsense, application/openmetrics-text", O},
    {"application/openmetrics-text;q=banana, text/plain;q=0.9", O},
    {"application/openmetrics-text;q=7, text/plain;q=0.9", O},
    {"application/openmetrics-text;q=0.0001, text/plain;q=0.9", T},
    {"application/openmetrics-text;q=, text/plain;q=0.9", O},
    {"application/openmetrics-text;q", O},
    {"application/openmetrics-text;", O},
};

START_TEST(accept_gets_its_form)
{
    ck_assert_msg(weir_metrics_accepted(cases[_i].accept) == cases[_i].form, "%s",
                  cases[_i].accept != NULL ? cases[_i].accept : "no header");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accept");
    TCase *tests = tcase_create("accept");
    tcase_add_loop_test(tests, accept_gets_its_form, 0, (int)(sizeof cases / sizeof cases[0]));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
