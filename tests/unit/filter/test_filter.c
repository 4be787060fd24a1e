/* The filter world over a guest in C that does what each test asks for. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/poison.h"
#include "tests/run_suite.h"
#include "tests/unit/filter/filter_case.h"
#include "worlds/filter/filter_limits.h"

static struct filter_case c;

static void set_up(void)
{
    struct weir_error error = {0};
    ck_assert_msg(weir_engine_new(NULL, &c.engine, &error) == WEIR_OK, "%s", error.message);
    c.module = filter_case_load(c.engine, GUEST_DIR "/filter_probe.wasm");
    ck_assert_ptr_nonnull(c.module);
}

static void tear_down(void)
{
    filter_case_close(&c);
    weir_module_unref(c.module);
    weir_engine_unref(c.engine);
}

static void good(enum weir_status status, struct weir_error *error)
{
    ck_assert_msg(status == WEIR_OK, "%s: %s\n%s", weir_status_name(status), error->message, c.log);
}

static void open_with(const char *configuration)
{
    struct weir_error error = {0};
    struct weir_filter_config config = filter_case_config(&c, configuration);
    good(filter_case_open(&c, &config, &error), &error);
}

/* One stream whose request headers ask for `deed`. */
static void begin(const char *deed)
{
    struct weir_error error = {0};
    good(filter_case_begin(&c, deed, &error), &error);
    good(filter_case_event(&c, WEIR_FILTER_ON_REQUEST_HEADERS, true, &error), &error);
}

static void end(void)
{
    struct weir_error error = {0};
    good(filter_case_end(&c, &error), &error);
}

#define HEADER(name, value) ck_assert_str_eq(filter_case_header(&c, name), value)

START_TEST(changes_headers)
{
    open_with("none");
    ck_assert_str_eq(weir_filter_plugin_abi(c.plugin), "0.2.1");
    begin("add");
    HEADER("x-probe", "one");
    HEADER("x-old", "new");
    HEADER("x-gone", "(none)");
    ck_assert(!weir_filter_stream_is_paused(c.stream, WEIR_FILTER_REQUEST));
    end();
    ck_assert_ptr_nonnull(strstr(c.log, "probe: info: add\n"));
    ck_assert(weir_filter_vm_is_idle(c.vm));
}
END_TEST

START_TEST(changes_bodies)
{
    struct weir_error error = {0};
    open_with("upper");
    begin(NULL);
    struct weir_filter_buffer *body = weir_filter_stream_buffer(c.stream, WEIR_FILTER_REQUEST);
    static char text[200000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    good(weir_filter_buffer_append(body, text, sizeof text, &error), &error);
    good(filter_case_event(&c, WEIR_FILTER_ON_REQUEST_BODY, true, &error), &error);
    static char taken[sizeof text];
    ck_assert_uint_eq(weir_filter_buffer_take(body, taken, sizeof taken), sizeof taken);
    for (size_t i = 0; i < sizeof text; i++)
        ck_assert_int_eq(taken[i], 'A' + (int)(i % 26));
    end();
}
END_TEST

START_TEST(holds_a_body)
{
    struct weir_error error = {0};
    open_with("hold");
    begin(NULL);
    struct weir_filter_buffer *body = weir_filter_stream_buffer(c.stream, WEIR_FILTER_REQUEST);
    for (int i = 0; i < 3; i++) {
        good(weir_filter_buffer_append(body, "12345", 5, &error), &error);
        good(filter_case_event(&c, WEIR_FILTER_ON_REQUEST_BODY, i == 2, &error), &error);
        ck_assert_int_eq(weir_filter_stream_is_paused(c.stream, WEIR_FILTER_REQUEST), i < 2);
    }
    ck_assert_uint_eq(body->size, 15);
    end();
}
END_TEST

START_TEST(answers_itself)
{
    open_with("none");
    begin("local");
    HEADER("x-result", "0");
    ck_assert_uint_eq(c.woken, 1);
    struct weir_filter_local *local = weir_filter_stream_local(c.stream);
    ck_assert_ptr_nonnull(local);
    ck_assert_uint_eq(local->status, 403);
    ck_assert_uint_eq(local->body.size, 10);
    ck_assert_ptr_nonnull(weir_filter_map_find(&local->headers, weir_filter_text("x-local")));
    ck_assert_ptr_null(weir_filter_stream_local(c.stream));
    end();
}
END_TEST

START_TEST(closes)
{
    open_with("none");
    begin("close");
    ck_assert(weir_filter_stream_is_closed(c.stream));
    end();
}
END_TEST

static void answer(struct weir_filter_call *call, const char *status, const char *body)
{
    struct weir_error error = {0};
    if (status != NULL) {
        good(weir_filter_map_add(&call->answer_headers, weir_filter_vm_account(c.vm),
                                 weir_filter_text(":status"), weir_filter_text(status), &error),
             &error);
        good(weir_filter_buffer_append(&call->answer_body, body, strlen(body), &error), &error);
    }
    weir_filter_call_finish(call);
}

START_TEST(calls_and_goes_on)
{
    struct weir_error error = {0};
    open_with("none");
    begin("call");
    ck_assert(weir_filter_stream_is_paused(c.stream, WEIR_FILTER_REQUEST));
    ck_assert_uint_eq(c.call_count, 1);
    struct weir_filter_call *call = c.calls[0];
    ck_assert_uint_eq(call->timeout_ns, UINT64_C(60000000000));
    ck_assert_uint_eq(call->body.size, 5);
    ck_assert_uint_eq(call->headers.count, 4);
    ck_assert(!weir_filter_vm_is_idle(c.vm));
    answer(call, "204", "payload");
    good(filter_case_work(&c, &error), &error);
    HEADER("x-call", "204");
    HEADER("x-call-body", "7");
    ck_assert(!weir_filter_stream_is_paused(c.stream, WEIR_FILTER_REQUEST));
    ck_assert_uint_eq(c.woken, 1);
    end();
    ck_assert(weir_filter_vm_is_idle(c.vm));
}
END_TEST

START_TEST(hears_of_failed_calls)
{
    struct weir_error error = {0};
    open_with("none");
    begin("call");
    answer(c.calls[0], NULL, NULL);
    good(filter_case_work(&c, &error), &error);
    HEADER("x-call", "");
    HEADER("x-call-body", "0");
    end();
}
END_TEST

START_TEST(hears_of_calls_after_the_stream)
{
    struct weir_error error = {0};
    struct weir_filter_figures figures;
    open_with("none");
    begin("call");
    end();
    answer(c.calls[0], "200", "late");
    good(filter_case_work(&c, &error), &error);
    weir_filter_plugin_figures(c.plugin, &figures);
    ck_assert_uint_eq(figures.calls, 1);
    ck_assert_uint_eq(figures.call_answers, 1);
    ck_assert_uint_eq(c.woken, 0);
}
END_TEST

START_TEST(cancels_calls_of_a_vm_that_goes)
{
    struct weir_filter_figures figures;
    open_with("none");
    begin("call");
    end();
    weir_filter_vm_free(c.vm);
    c.vm = NULL;
    weir_filter_plugin_figures(c.plugin, &figures);
    ck_assert_uint_eq(c.cancelled, 1);
    ck_assert_uint_eq(figures.calls_left, 1);
}
END_TEST

/* A stream outlives its VM: nothing of the guest is run. */
START_TEST(frees_a_vm_under_a_stream)
{
    struct weir_error error = {0};
    open_with("hold");
    begin(NULL);
    struct weir_filter_buffer *body = weir_filter_stream_buffer(c.stream, WEIR_FILTER_REQUEST);
    good(weir_filter_buffer_append(body, "12345", 5, &error), &error);
    weir_filter_vm_free(c.vm);
    c.vm = NULL;
    ck_assert(weir_filter_stream_event(c.stream, WEIR_FILTER_ON_REQUEST_BODY, true, &error) !=
              WEIR_OK);
    weir_error_done(&error);
    end();
}
END_TEST

START_TEST(shares_data)
{
    open_with("none");
    begin("shared");
    HEADER("x-first", "1");
    HEADER("x-set", "0");
    HEADER("x-right", "0");
    HEADER("x-stale", "8");
    HEADER("x-value", "two");
    end();
}
END_TEST

START_TEST(bounds_shared_data)
{
    struct weir_error error = {0};
    struct weir_filter_config config = filter_case_config(&c, "none");
    config.plugin_bytes_max = UINT64_C(16) << 20;
    config.memory_bytes_max = UINT64_C(8) << 20;
    good(filter_case_open(&c, &config, &error), &error);
    begin("fill");
    long count = strtol(filter_case_header(&c, "x-result"), NULL, 10);
    ck_assert_int_gt(count, 10);
    ck_assert_int_lt(count, 256);
    struct weir_account_reading reading;
    weir_account_read(weir_filter_plugin_account(c.plugin), &reading);
    ck_assert_uint_gt(reading.kinds[WEIR_KIND_SHARED_DATA], UINT64_C(65536) * 10);
    ck_assert_uint_le(reading.used_bytes, config.plugin_bytes_max);
    end();
}
END_TEST

START_TEST(queues_messages)
{
    struct weir_error error = {0};
    open_with("none");
    begin("queue");
    HEADER("x-put", "0");
    HEADER("x-got", "0");
    HEADER("x-message", "message");
    HEADER("x-empty", "7");
    ck_assert_uint_eq(weir_filter_vm_due_ns(c.vm), 0);
    good(filter_case_work(&c, &error), &error);
    ck_assert_ptr_nonnull(strstr(c.log, "info: later\n"));
    ck_assert_uint_eq(weir_filter_vm_due_ns(c.vm), UINT64_MAX);
    end();
}
END_TEST

static void visit_metric(void *context, const struct weir_filter_metric_reading *reading)
{
    unsigned *seen = context;
    ck_assert_str_eq(reading->plugin, "probe");
    if (strcmp(reading->name, "requests") == 0)
        *seen |= (unsigned)(reading->value == 4 && reading->type == WEIR_FILTER_COUNTER);
    else
        *seen |= (unsigned)(reading->value == 7) << 1;
}

START_TEST(counts)
{
    unsigned seen = 0;
    open_with("none");
    begin("metric");
    HEADER("x-recorded", "0");
    HEADER("x-bad", "2");
    HEADER("x-counter", "4");
    HEADER("x-gauge", "7");
    HEADER("x-forged", "1");
    weir_filter_registry_metrics(c.registry, visit_metric, &seen);
    ck_assert_uint_eq(seen, 3);
    end();
}
END_TEST

START_TEST(tells_properties)
{
    open_with("none");
    begin("property");
    HEADER("x-mine", "kept");
    HEADER("x-path", "/a/b");
    HEADER("x-root", "probe_root");
    HEADER("x-port", "4711");
    HEADER("x-none", "1");
    end();
}
END_TEST

START_TEST(refuses_what_is_hostile)
{
    open_with("none");
    begin("hostile");
    HEADER("x-asked", "22");
    HEADER("x-result", "4194303");
    end();
    begin("add"); /* and lives */
    HEADER("x-probe", "one");
    end();
}
END_TEST

START_TEST(lingers_until_done)
{
    struct weir_error error = {0};
    open_with("none");
    begin("linger");
    end();
    ck_assert(weir_filter_vm_is_idle(c.vm));
    ck_assert_ptr_null(strstr(c.log, "info: linger"));
    while (weir_filter_vm_due_ns(c.vm) > weir_clock_ns())
        ;
    good(filter_case_work(&c, &error), &error);
    ck_assert_ptr_nonnull(strstr(c.log, "info: tick"));
}
END_TEST

START_TEST(forgets_what_lingers_too_long)
{
    struct weir_error error = {0};
    struct weir_account_reading before, after;
    open_with("none");
    begin("linger");
    end();
    weir_account_read(weir_filter_vm_account(c.vm), &before);
    for (unsigned i = 0; i < 3 * WEIR_FILTER_LINGER_MAX; i++) {
        begin("linger");
        end();
        good(filter_case_work(&c, &error), &error);
    }
    weir_account_read(weir_filter_vm_account(c.vm), &after);
    ck_assert_uint_le(after.used_bytes - before.used_bytes,
                      (WEIR_FILTER_LINGER_MAX + 1) * UINT64_C(2048));
}
END_TEST

static const struct {
    const char *deed;
    uint64_t time_ns;
    const char *reason;
} traps[] = {
    {"trap", FILTER_CASE_HANG_NS, "proxy_on_request_headers trapped: unreachable"},
    {"loop", 100000000, "proxy_on_request_headers ran longer than"},
    {"recurse", FILTER_CASE_HANG_NS, "call stack exhausted"},
};

START_TEST(ends_a_vm_that_traps)
{
    struct weir_error error = {0};
    struct weir_filter_config config = filter_case_config(&c, "none");
    config.time_ns = traps[_i].time_ns;
    good(filter_case_open(&c, &config, &error), &error);
    weir_filter_vm_set_slice(c.vm, 1000000);
    good(filter_case_begin(&c, traps[_i].deed, &error), &error);
    enum weir_status status = filter_case_event(&c, WEIR_FILTER_ON_REQUEST_HEADERS, true, &error);
    ck_assert_int_eq(status, WEIR_TRAP);
    ck_assert_msg(strstr(error.message, traps[_i].reason) != NULL, "%s", error.message);
    ck_assert_ptr_nonnull(weir_filter_vm_failure(c.vm));
    weir_error_done(&error);
    status = filter_case_event(&c, WEIR_FILTER_ON_REQUEST_BODY, true, &error);
    ck_assert_int_eq(status, WEIR_TRAP);
    weir_error_done(&error);
    good(filter_case_end(&c, &error), &error);
    struct weir_filter_stream *other = NULL;
    ck_assert(weir_filter_stream_new(c.vm, &c.exchange, NULL, &other, &error) != WEIR_OK);
    weir_error_done(&error);
}
END_TEST

/* A callback that loops and may take so long, in slices. */
static enum weir_status begin_loop(uint64_t time_ns, struct weir_error *error)
{
    struct weir_filter_config config = filter_case_config(&c, "none");
    config.time_ns = time_ns;
    good(filter_case_open(&c, &config, error), error);
    weir_filter_vm_set_slice(c.vm, 1000000);
    good(filter_case_begin(&c, "loop", error), error);
    return weir_filter_stream_event(c.stream, WEIR_FILTER_ON_REQUEST_HEADERS, true, error);
}

/* ... and then is closed in the midst of its callback. */
START_TEST(runs_in_slices)
{
    struct weir_error error = {0};
    enum weir_status status = begin_loop(FILTER_CASE_HANG_NS, &error);
    for (unsigned slices = 0; slices < 3; slices++) {
        ck_assert_int_eq(status, WEIR_PENDING);
        ck_assert(weir_filter_vm_is_busy(c.vm));
        ck_assert_uint_eq(weir_filter_vm_due_ns(c.vm), 0);
        status = weir_filter_vm_resume(c.vm, &error);
    }
    ck_assert_int_eq(status, WEIR_PENDING);
    weir_filter_vm_free(c.vm);
    c.vm = NULL;
    end();
}
END_TEST

/* Its time goes on between slices; where nobody lets this process run there may be none. */
START_TEST(ends_at_its_time)
{
    struct weir_error error = {0};
    enum weir_status status = begin_loop(100000000, &error);
    while (status == WEIR_PENDING)
        status = weir_filter_vm_resume(c.vm, &error);
    ck_assert_int_eq(status, WEIR_TRAP);
    weir_error_done(&error);
}
END_TEST

START_TEST(names_refused_memory)
{
    struct weir_error error = {0};
    struct weir_filter_config config = filter_case_config(&c, "keep");
    config.memory_bytes_max = UINT64_C(8) << 20;
    good(filter_case_open(&c, &config, &error), &error);
    static char body[1 << 20];
    enum weir_status status = WEIR_OK;
    for (int i = 0; i < 10 && status == WEIR_OK; i++) {
        good(filter_case_begin(&c, NULL, &error), &error);
        good(filter_case_event(&c, WEIR_FILTER_ON_REQUEST_HEADERS, false, &error), &error);
        struct weir_filter_buffer *buffer =
            weir_filter_stream_buffer(c.stream, WEIR_FILTER_REQUEST);
        status = weir_filter_buffer_append(buffer, body, sizeof body, &error);
        if (status == WEIR_OK)
            status = filter_case_event(&c, WEIR_FILTER_ON_REQUEST_BODY, true, &error);
        if (status == WEIR_OK)
            end();
        ck_assert(status != WEIR_OK || weir_filter_vm_is_large(c.vm) == (i > 0));
    }
    ck_assert_msg(strstr(error.message, "memory was refused before") != NULL, "%s", error.message);
    weir_error_done(&error);
    struct weir_filter_figures figures;
    weir_filter_plugin_figures(c.plugin, &figures);
    ck_assert_uint_ge(figures.stream_growth_bytes, sizeof body);
    ck_assert_uint_ge(figures.stream_host_bytes, sizeof body);
}
END_TEST

static const struct {
    const char *configuration, *reason;
} refusals[] = {
    {"refuse", "proxy_on_configure said no to its configuration"},
    {"trap", "proxy_on_configure trapped: unreachable"},
};

START_TEST(says_why_it_does_not_start)
{
    struct weir_error error = {0};
    struct weir_filter_config config = filter_case_config(&c, refusals[_i].configuration);
    ck_assert(filter_case_open(&c, &config, &error) != WEIR_OK);
    ck_assert_msg(strstr(error.message, refusals[_i].reason) != NULL, "%s", error.message);
    weir_error_done(&error);
}
END_TEST

START_TEST(refuses_too_many_streams)
{
    struct weir_error error = {0};
    struct weir_filter_config config = filter_case_config(&c, "none");
    config.streams_max = 1;
    good(filter_case_open(&c, &config, &error), &error);
    begin(NULL);
    struct weir_filter_stream *other = NULL;
    ck_assert_int_eq(weir_filter_stream_new(c.vm, &c.exchange, NULL, &other, &error), WEIR_BUSY);
    weir_error_done(&error);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter");
    TCase *tests = tcase_create("probe");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, changes_headers);
    tcase_add_test(tests, changes_bodies);
    tcase_add_test(tests, holds_a_body);
    tcase_add_test(tests, answers_itself);
    tcase_add_test(tests, closes);
    tcase_add_test(tests, calls_and_goes_on);
    tcase_add_test(tests, hears_of_failed_calls);
    tcase_add_test(tests, hears_of_calls_after_the_stream);
    tcase_add_test(tests, cancels_calls_of_a_vm_that_goes);
    tcase_add_test(tests, frees_a_vm_under_a_stream);
    tcase_add_test(tests, shares_data);
    tcase_add_test(tests, bounds_shared_data);
    tcase_add_test(tests, queues_messages);
    tcase_add_test(tests, counts);
    tcase_add_test(tests, tells_properties);
    tcase_add_test(tests, refuses_what_is_hostile);
    tcase_add_test(tests, lingers_until_done);
    tcase_add_test(tests, forgets_what_lingers_too_long);
    tcase_add_loop_test(tests, ends_a_vm_that_traps, 0, (int)(sizeof traps / sizeof traps[0]));
    tcase_add_test(tests, runs_in_slices);
    tcase_add_test(tests, ends_at_its_time);
    tcase_add_test(tests, names_refused_memory);
    tcase_add_loop_test(tests, says_why_it_does_not_start, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(tests, refuses_too_many_streams);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
