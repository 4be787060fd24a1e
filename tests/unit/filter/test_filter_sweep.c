/* The n-th charge fails, for every n, on the way of a plugin from its registry to its end: an error
 * or a guest that was refused something, nothing else; afterwards all is given back. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "tests/run_suite.h"
#include "tests/unit/filter/filter_case.h"

#define CHARGES_MAX 3000

static struct filter_case c;

static bool stream(const char *deed)
{
    static char body[70000];
    struct weir_error error = {0};
    enum weir_status status = filter_case_begin(&c, deed, &error);
    if (status == WEIR_OK)
        status = filter_case_event(&c, WEIR_FILTER_ON_REQUEST_HEADERS, false, &error);
    if (status == WEIR_OK)
        status = weir_filter_buffer_append(
            weir_filter_stream_buffer(c.stream, WEIR_FILTER_REQUEST), body, sizeof body, &error);
    if (status == WEIR_OK)
        status = filter_case_event(&c, WEIR_FILTER_ON_REQUEST_BODY, true, &error);
    ck_assert_msg(status == WEIR_OK || error.message[0] != 0, "%s", weir_status_name(status));
    weir_error_done(&error);
    if (c.call_count > 0)
        weir_filter_call_finish(c.calls[0]);
    c.call_count = 0;
    return filter_case_end(&c, NULL) == WEIR_OK && status == WEIR_OK;
}

static bool path(void)
{
    static const char *const deeds[] = {"add",   "local",    "call",   "shared",
                                        "queue", "property", "metric", "hostile"};
    struct weir_error error = {0};
    struct weir_filter_config config = filter_case_config(&c, "upper");
    bool is_done = filter_case_open(&c, &config, &error) == WEIR_OK;
    ck_assert(is_done || error.message[0] != 0);
    weir_error_done(&error);
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0] && c.vm != NULL; i++) {
        is_done = stream(deeds[i]) && is_done;
        is_done = weir_filter_vm_failure(c.vm) == NULL &&
                  filter_case_work(&c, NULL) == WEIR_OK && is_done;
    }
    c.log_size = 0;
    filter_case_close(&c);
    return is_done;
}

static void read_kinds(uint64_t kinds[WEIR_KIND_COUNT])
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    memcpy(kinds, reading.kinds, sizeof reading.kinds);
}

START_TEST(fails_cleanly)
{
    struct weir_error error = {0};
    ck_assert_msg(weir_engine_new(NULL, &c.engine, &error) == WEIR_OK, "%s", error.message);
    c.module = filter_case_load(c.engine, GUEST_DIR "/filter_probe.wasm");
    ck_assert_ptr_nonnull(c.module);
    ck_assert(path());
    ck_assert(path());
    uint64_t before[WEIR_KIND_COUNT], after[WEIR_KIND_COUNT];
    read_kinds(before);
    uint64_t n = 1;
    for (; n < CHARGES_MAX; n++) {
        (void)weir_ledger_fail_nth(n);
        (void)path();
        uint64_t counted = weir_ledger_fail_nth(0);
        if (counted < n)
            break;
        ck_assert_msg(path(), "after charge %u nothing works", (unsigned)n);
        read_kinds(after);
        for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
            ck_assert_msg(before[kind] == after[kind], "charge %u: %s: %llu, then %llu",
                          (unsigned)n, weir_kind_name((enum weir_kind)kind),
                          (unsigned long long)before[kind], (unsigned long long)after[kind]);
    }
    ck_assert_uint_gt(n, 50);
    ck_assert_uint_lt(n, CHARGES_MAX);
    weir_module_unref(c.module);
    weir_engine_unref(c.engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter sweep");
    TCase *tests = tcase_create("charges");
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, fails_cleanly);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
