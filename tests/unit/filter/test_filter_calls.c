/* What every function of the ABI answers: to good arguments, to addresses that reach out of memory,
 * to numbers and names that there are not, and when it is not the time for it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter_script_wasm.h"
#include "tests/run_suite.h"
#include "tests/unit/filter/filter_case.h"
#include "tests/unit/filter/filter_script.h"
#include "worlds/filter/filter_internal.h"

static struct filter_case c;

/* Texts that the calls name, and where answers go to. */
#define TEXT(name, at, text) name = SCRIPT_DATA + (at), name##_SIZE = sizeof(text) - 1
enum {
    TEXT(KEY, 0, "name"),
    TEXT(OLD, 32, "x-old"),
    TEXT(UP, 64, "up"),
    TEXT(PLUGIN, 96, "plugin_name"),
    TEXT(ENDED, 128, "a\r\nb"),
    TEXT(LONG, 2048, ""),
    PAIRS = SCRIPT_DATA + 256,
    OUT = SCRIPT_DATA + 8192,
    FAR = -16, /* reaches out of memory */
    END = SCRIPT_MEMORY
};
static const uint8_t pairs[] = {
    3, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0,
    ':', 'm', 'e', 't', 'h', 'o', 'd', 0, 'G', 'E', 'T', 0, ':', 'p', 'a', 't', 'h', 0, '/', 0,
    ':', 'a', 'u', 't', 'h', 'o', 'r', 'i', 't', 'y', 0, 'x', 0};

struct row {
    enum script_function function;
    int32_t args[12];
    int32_t answer;
};
#define ROW(name, answer, ...) {SCRIPT_proxy_##name, {__VA_ARGS__}, FILTER_##answer}

/* In proxy_on_request_headers; later rows see what earlier ones did. */
static const struct row in_headers[] = {
    ROW(log, OK, 2, KEY, KEY_SIZE),
    ROW(log, OK, 2, END, 0),
    ROW(log, BAD_ARGUMENT, 6, KEY, KEY_SIZE),
    ROW(log, INVALID_MEMORY_ACCESS, 2, END - 3, 4),
    ROW(log, INVALID_MEMORY_ACCESS, 2, END + 1, 0),
    ROW(log, INVALID_MEMORY_ACCESS, 2, FAR, 64),
    ROW(get_log_level, OK, END - 4),
    ROW(get_log_level, INVALID_MEMORY_ACCESS, END - 3),
    ROW(get_current_time_nanoseconds, OK, END - 8),
    ROW(get_current_time_nanoseconds, INVALID_MEMORY_ACCESS, END - 7),
    ROW(set_tick_period_milliseconds, OK, 0),
    ROW(done, NOT_FOUND, 0),
    ROW(set_effective_context, BAD_ARGUMENT, 99),
    ROW(set_effective_context, OK, 2),
    /* buffers */
    ROW(get_buffer_bytes, OK, 7, 0, 99, OUT, OUT + 4),
    ROW(get_buffer_bytes, OK, 7, 99, -1, OUT, OUT + 4),
    ROW(get_buffer_bytes, OK, 6, 0, 99, OUT, OUT + 4), /* empty, but there */
    ROW(get_buffer_bytes, BAD_ARGUMENT, 9, 0, 99, OUT, OUT + 4),
    ROW(get_buffer_bytes, BAD_ARGUMENT, -1, 0, 99, OUT, OUT + 4),
    ROW(get_buffer_bytes, NOT_FOUND, 0, 0, 99, OUT, OUT + 4),
    ROW(get_buffer_bytes, NOT_FOUND, 2, 0, 99, OUT, OUT + 4),
    ROW(get_buffer_bytes, NOT_FOUND, 4, 0, 99, OUT, OUT + 4),
    ROW(get_buffer_bytes, INVALID_MEMORY_ACCESS, 7, 0, 99, FAR, OUT),
    ROW(get_buffer_bytes, INVALID_MEMORY_ACCESS, 7, 0, 99, OUT, END - 3),
    ROW(get_buffer_status, OK, 7, OUT, OUT + 4),
    ROW(get_buffer_status, BAD_ARGUMENT, 9, OUT, OUT + 4),
    ROW(get_buffer_status, NOT_FOUND, 1, OUT, OUT + 4),
    ROW(get_buffer_status, INVALID_MEMORY_ACCESS, 7, OUT, FAR),
    ROW(set_buffer_bytes, NOT_FOUND, 0, 0, 0, KEY, KEY_SIZE),
    ROW(set_buffer_bytes, BAD_ARGUMENT, 7, 0, 0, KEY, KEY_SIZE),
    ROW(set_buffer_bytes, BAD_ARGUMENT, 9, 0, 0, KEY, KEY_SIZE),
    ROW(set_buffer_bytes, INVALID_MEMORY_ACCESS, 0, 0, 0, FAR, 64),
    /* maps */
    ROW(get_header_map_size, OK, 0, OUT),
    ROW(get_header_map_size, BAD_ARGUMENT, 8, OUT),
    ROW(get_header_map_size, BAD_ARGUMENT, 2, OUT),
    ROW(get_header_map_size, INVALID_MEMORY_ACCESS, 0, FAR),
    ROW(get_header_map_pairs, OK, 0, OUT, OUT + 4),
    ROW(get_header_map_pairs, BAD_ARGUMENT, 8, OUT, OUT + 4),
    ROW(get_header_map_pairs, INVALID_MEMORY_ACCESS, 0, OUT, FAR),
    ROW(get_header_map_value, OK, 0, OLD, OLD_SIZE, OUT, OUT + 4),
    ROW(get_header_map_value, NOT_FOUND, 0, KEY, KEY_SIZE, OUT, OUT + 4),
    ROW(get_header_map_value, NOT_FOUND, 0, KEY, 0, OUT, OUT + 4),
    ROW(get_header_map_value, BAD_ARGUMENT, 8, KEY, KEY_SIZE, OUT, OUT + 4),
    ROW(get_header_map_value, INVALID_MEMORY_ACCESS, 0, FAR, 64, OUT, OUT + 4),
    ROW(get_header_map_value, INVALID_MEMORY_ACCESS, 0, OLD, OLD_SIZE, FAR, OUT),
    ROW(add_header_map_value, OK, 0, KEY, KEY_SIZE, KEY, KEY_SIZE),
    ROW(add_header_map_value, OK, 0, KEY, KEY_SIZE, KEY, 0),
    ROW(add_header_map_value, BAD_ARGUMENT, 0, KEY, 0, KEY, KEY_SIZE),
    ROW(add_header_map_value, BAD_ARGUMENT, 0, KEY, KEY_SIZE, ENDED, ENDED_SIZE),
    ROW(add_header_map_value, BAD_ARGUMENT, 2, KEY, KEY_SIZE, KEY, KEY_SIZE),
    ROW(add_header_map_value, INVALID_MEMORY_ACCESS, 0, KEY, KEY_SIZE, KEY, -1),
    ROW(replace_header_map_value, OK, 0, KEY, KEY_SIZE, KEY, KEY_SIZE),
    ROW(replace_header_map_value, OK, 0, UP, UP_SIZE, UP, UP_SIZE),
    ROW(replace_header_map_value, BAD_ARGUMENT, 6, KEY, KEY_SIZE, KEY, KEY_SIZE),
    ROW(replace_header_map_value, INVALID_MEMORY_ACCESS, 0, FAR, 64, KEY, KEY_SIZE),
    ROW(remove_header_map_value, OK, 0, KEY, KEY_SIZE),
    ROW(remove_header_map_value, OK, 0, KEY, KEY_SIZE),
    ROW(remove_header_map_value, BAD_ARGUMENT, 8, KEY, KEY_SIZE),
    ROW(remove_header_map_value, INVALID_MEMORY_ACCESS, 0, FAR, 64),
    ROW(set_header_map_pairs, OK, 0, PAIRS, sizeof pairs),
    ROW(set_header_map_pairs, PARSE_FAILURE, 0, PAIRS, sizeof pairs - 1),
    ROW(set_header_map_pairs, PARSE_FAILURE, 0, PAIRS, 3),
    ROW(set_header_map_pairs, BAD_ARGUMENT, 8, PAIRS, sizeof pairs),
    ROW(set_header_map_pairs, INVALID_MEMORY_ACCESS, 0, FAR, 64),
    /* flow */
    ROW(continue_stream, OK, 0),
    ROW(continue_stream, UNIMPLEMENTED, 3),
    ROW(continue_stream, BAD_ARGUMENT, 4),
    ROW(close_stream, BAD_ARGUMENT, 4),
    ROW(send_local_response, BAD_ARGUMENT, 99),
    ROW(send_local_response, INVALID_MEMORY_ACCESS, 403, FAR, 64),
    ROW(send_local_response, INVALID_MEMORY_ACCESS, 403, 0, 0, FAR, 64),
    ROW(send_local_response, INVALID_MEMORY_ACCESS, 403, 0, 0, 0, 0, FAR, 64),
    ROW(send_local_response, PARSE_FAILURE, 403, 0, 0, 0, 0, PAIRS, 9),
    ROW(send_local_response, OK, 403, KEY, KEY_SIZE, KEY, KEY_SIZE, PAIRS, sizeof pairs, -1),
    ROW(send_local_response, BAD_ARGUMENT, 403), /* once */
    /* calls */
    ROW(http_call, OK, UP, UP_SIZE, PAIRS, sizeof pairs, 0, 0, 0, 0, 0, OUT),
    ROW(http_call, OK, UP, UP_SIZE, PAIRS, sizeof pairs, KEY, 4, PAIRS, sizeof pairs, -1, OUT),
    ROW(http_call, BAD_ARGUMENT, KEY, KEY_SIZE, PAIRS, sizeof pairs, 0, 0, 0, 0, 0, OUT),
    ROW(http_call, BAD_ARGUMENT, UP, 0, PAIRS, sizeof pairs, 0, 0, 0, 0, 0, OUT),
    ROW(http_call, BAD_ARGUMENT, UP, UP_SIZE, 0, 0, 0, 0, 0, 0, 0, OUT),
    ROW(http_call, INVALID_MEMORY_ACCESS, FAR, 64, PAIRS, sizeof pairs, 0, 0, 0, 0, 0, OUT),
    ROW(http_call, INVALID_MEMORY_ACCESS, UP, UP_SIZE, FAR, 64, 0, 0, 0, 0, 0, OUT),
    ROW(http_call, INVALID_MEMORY_ACCESS, UP, UP_SIZE, PAIRS, sizeof pairs, FAR, 64, 0, 0, 0, OUT),
    ROW(http_call, INVALID_MEMORY_ACCESS, UP, UP_SIZE, PAIRS, sizeof pairs, 0, 0, FAR, 64, 0, OUT),
    ROW(http_call, INVALID_MEMORY_ACCESS, UP, UP_SIZE, PAIRS, sizeof pairs, 0, 0, 0, 0, 0, FAR),
    ROW(grpc_call, UNIMPLEMENTED, FAR, 64),
    ROW(grpc_stream, UNIMPLEMENTED, 0),
    ROW(grpc_send, UNIMPLEMENTED, 1),
    ROW(grpc_cancel, UNIMPLEMENTED, 1),
    ROW(grpc_close, UNIMPLEMENTED, 1),
    ROW(get_status, OK, OUT, OUT + 4, OUT + 8),
    ROW(get_status, INVALID_MEMORY_ACCESS, FAR, OUT, OUT + 4),
    ROW(get_status, INVALID_MEMORY_ACCESS, OUT, OUT + 4, END - 3),
    /* what is shared */
    ROW(get_shared_data, NOT_FOUND, KEY, KEY_SIZE, OUT, OUT + 4, OUT + 8),
    ROW(set_shared_data, CAS_MISMATCH, KEY, KEY_SIZE, OLD, OLD_SIZE, 7),
    ROW(set_shared_data, OK, KEY, KEY_SIZE, OLD, OLD_SIZE, 0),
    ROW(set_shared_data, CAS_MISMATCH, KEY, KEY_SIZE, OLD, OLD_SIZE, 77),
    ROW(set_shared_data, OK, KEY, KEY_SIZE, OLD, 0, 1),
    ROW(set_shared_data, INVALID_MEMORY_ACCESS, FAR, 64, OLD, OLD_SIZE, 0),
    ROW(set_shared_data, INVALID_MEMORY_ACCESS, KEY, KEY_SIZE, FAR, 64, 0),
    ROW(get_shared_data, OK, KEY, KEY_SIZE, OUT, OUT + 4, OUT + 8),
    ROW(get_shared_data, INVALID_MEMORY_ACCESS, FAR, 64, OUT, OUT + 4, OUT + 8),
    ROW(get_shared_data, INVALID_MEMORY_ACCESS, KEY, KEY_SIZE, OUT, FAR, OUT + 8),
    ROW(get_shared_data, INVALID_MEMORY_ACCESS, KEY, KEY_SIZE, OUT, OUT + 4, FAR),
    ROW(resolve_shared_queue, NOT_FOUND, KEY, KEY_SIZE, KEY, KEY_SIZE, OUT),
    ROW(resolve_shared_queue, INVALID_MEMORY_ACCESS, KEY, KEY_SIZE, FAR, 64, OUT),
    ROW(register_shared_queue, OK, KEY, KEY_SIZE, OUT),
    ROW(register_shared_queue, OK, KEY, KEY_SIZE, OUT),
    ROW(register_shared_queue, INVALID_MEMORY_ACCESS, KEY, KEY_SIZE, FAR),
    ROW(enqueue_shared_queue, NOT_FOUND, 77, KEY, KEY_SIZE),
    ROW(enqueue_shared_queue, INVALID_MEMORY_ACCESS, 1, FAR, 64),
    ROW(dequeue_shared_queue, EMPTY, 1, OUT, OUT + 4),
    ROW(dequeue_shared_queue, NOT_FOUND, 0, OUT, OUT + 4),
    ROW(enqueue_shared_queue, OK, 1, KEY, KEY_SIZE),
    ROW(dequeue_shared_queue, INVALID_MEMORY_ACCESS, 1, OUT, FAR),
    ROW(dequeue_shared_queue, OK, 1, OUT, OUT + 4), /* it was not lost */
    ROW(dequeue_shared_queue, EMPTY, 1, OUT, OUT + 4),
    ROW(define_metric, BAD_ARGUMENT, 3, KEY, KEY_SIZE, OUT),
    ROW(define_metric, OK, 0, KEY, KEY_SIZE, OUT),
    ROW(define_metric, OK, 0, KEY, KEY_SIZE, OUT),
    ROW(define_metric, BAD_ARGUMENT, 1, KEY, KEY_SIZE, OUT), /* a counter already */
    ROW(define_metric, INVALID_MEMORY_ACCESS, 0, FAR, 64, OUT),
    ROW(define_metric, INVALID_MEMORY_ACCESS, 0, KEY, KEY_SIZE, FAR),
    ROW(record_metric, OK, 1, 5),
    ROW(record_metric, NOT_FOUND, 77, 5),
    ROW(increment_metric, OK, 1, 5),
    ROW(increment_metric, BAD_ARGUMENT, 1, -1, -1),
    ROW(increment_metric, NOT_FOUND, 0, 1),
    ROW(get_metric, OK, 1, OUT),
    ROW(get_metric, NOT_FOUND, 4097, OUT),
    ROW(get_metric, INVALID_MEMORY_ACCESS, 1, END - 7),
    /* properties, and what there is none of */
    ROW(get_property, OK, PLUGIN, PLUGIN_SIZE, OUT, OUT + 4),
    ROW(get_property, NOT_FOUND, KEY, KEY_SIZE, OUT, OUT + 4),
    ROW(get_property, NOT_FOUND, KEY, 0, OUT, OUT + 4),
    ROW(get_property, INVALID_MEMORY_ACCESS, FAR, 64, OUT, OUT + 4),
    ROW(get_property, INVALID_MEMORY_ACCESS, PLUGIN, PLUGIN_SIZE, OUT, FAR),
    ROW(get_property, BAD_ARGUMENT, LONG, 4097, OUT, OUT + 4),
    ROW(get_property, INVALID_MEMORY_ACCESS, LONG, -1, OUT, OUT + 4),
    ROW(set_property, OK, KEY, KEY_SIZE, KEY, KEY_SIZE),
    ROW(get_property, OK, KEY, KEY_SIZE, OUT, OUT + 4),
    ROW(set_property, OK, KEY, KEY_SIZE, KEY, 0),
    ROW(set_property, BAD_ARGUMENT, KEY, 0, KEY, KEY_SIZE),
    ROW(set_property, INVALID_MEMORY_ACCESS, KEY, KEY_SIZE, FAR, 64),
    ROW(call_foreign_function, NOT_FOUND, KEY, KEY_SIZE, KEY, KEY_SIZE, OUT, OUT + 4),
    ROW(call_foreign_function, INVALID_MEMORY_ACCESS, FAR, 64),
    ROW(call_foreign_function, INVALID_MEMORY_ACCESS, KEY, KEY_SIZE, FAR, 64),
};

/* In proxy_on_request_body, with a body of four bytes. */
static const struct row in_body[] = {
    ROW(get_buffer_bytes, OK, 0, 0, -1, OUT, OUT + 4),
    ROW(get_buffer_bytes, OK, 0, 4, 1, OUT, OUT + 4),
    ROW(get_buffer_bytes, INVALID_MEMORY_ACCESS, 0, 0, 4, OUT, FAR),
    ROW(get_buffer_status, OK, 0, OUT, OUT + 4),
    ROW(get_buffer_bytes, NOT_FOUND, 1, 0, 99, OUT, OUT + 4),
    ROW(set_buffer_bytes, OK, 0, 0, 0, KEY, KEY_SIZE),   /* before */
    ROW(set_buffer_bytes, OK, 0, -1, -1, KEY, KEY_SIZE), /* behind */
    ROW(set_buffer_bytes, OK, 0, 2, 8, KEY, 0),          /* cut out */
    ROW(set_buffer_bytes, INVALID_MEMORY_ACCESS, 0, 0, 4, END - 3, 4),
};

/* In the plugin's own context. */
static const struct row in_root[] = {
    ROW(get_buffer_bytes, NOT_FOUND, 0, 0, 99, OUT, OUT + 4),
    ROW(set_buffer_bytes, NOT_FOUND, 0, 0, 0, KEY, KEY_SIZE),
    ROW(get_header_map_pairs, BAD_ARGUMENT, 0, OUT, OUT + 4),
    ROW(get_header_map_value, BAD_ARGUMENT, 0, KEY, KEY_SIZE, OUT, OUT + 4),
    ROW(continue_stream, BAD_ARGUMENT, 0),
    ROW(close_stream, BAD_ARGUMENT, 0),
    ROW(send_local_response, BAD_ARGUMENT, 403),
    ROW(done, NOT_FOUND, 0),
    ROW(set_property, BAD_ARGUMENT, KEY, KEY_SIZE, KEY, KEY_SIZE),
    ROW(get_property, OK, PLUGIN, PLUGIN_SIZE, OUT, OUT + 4),
    ROW(set_tick_period_milliseconds, OK, 0),
};

static const char *const names[] = {
#define FILTER_FUNCTION(name, params, is_free) #name,
#include "worlds/filter/filter_functions.def"
#undef FILTER_FUNCTION
};

static void put(uint32_t at, const void *from, size_t size)
{
    ck_assert_int_eq(weir_memory_write(c.vm->memory, at, from, size), WEIR_OK);
}

static void put_script(const struct row *rows, size_t count, uint32_t action)
{
    const struct script_head head = {
        .count = (uint32_t)count, .action = action, .heap = SCRIPT_HEAP};
    ck_assert_uint_le(count, SCRIPT_RECORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct script_record record = {.function = rows[i].function,
                                       .kind = script_kinds[rows[i].function],
                                       .answer = 99};
        memcpy(record.args, rows[i].args, sizeof record.args);
        put((uint32_t)(SCRIPT_RECORDS + i * sizeof record), &record, sizeof record);
    }
    put(SCRIPT_HEAD, &head, sizeof head);
}

static void check_answers(const struct row *rows, size_t count, const char *where)
{
    for (size_t i = 0; i < count; i++) {
        struct script_record record;
        ck_assert_int_eq(weir_memory_read(c.vm->memory, SCRIPT_RECORDS + i * sizeof record, &record,
                                          sizeof record),
                         WEIR_OK);
        ck_assert_msg(record.answer == (uint32_t)rows[i].answer,
                      "%s, row %zu: %s(%d, %d, ...) answers %d instead of %d\n%s", where, i,
                      names[rows[i].function], rows[i].args[0], rows[i].args[1],
                      (int)record.answer, rows[i].answer, c.log);
    }
}

static void good(enum weir_status status, struct weir_error *error)
{
    ck_assert_msg(status == WEIR_OK, "%s: %s\n%s", weir_status_name(status), error->message, c.log);
}

static void set_up(void)
{
    static const struct {
        uint32_t at;
        const char *text;
    } texts[] = {{KEY, "name"}, {OLD, "x-old"}, {UP, "up"}, {PLUGIN, "plugin_name"},
                 {ENDED, "a\r\nb"}};
    struct weir_error error = {0};
    good(weir_engine_new(NULL, &c.engine, &error), &error);
    good(weir_module_new(c.engine, filter_script_wasm, sizeof filter_script_wasm, NULL, &c.module,
                         &error), &error);
    struct weir_filter_config config = filter_case_config(&c, "configuration");
    config.time_ns = 1000000000; /* an allocator loops */
    good(filter_case_open(&c, &config, &error), &error);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        put(texts[i].at, texts[i].text, strlen(texts[i].text));
    put(PAIRS, pairs, sizeof pairs);
    put_script(NULL, 0, 0);
    good(filter_case_begin(&c, NULL, &error), &error);
}

static void tear_down(void)
{
    put_script(NULL, 0, 1);
    filter_case_close(&c);
    weir_module_unref(c.module);
    weir_engine_unref(c.engine);
}

/* As many rows at a time as there is room for. */
static void run_rows(const struct row *rows, size_t count, enum weir_filter_event event)
{
    struct weir_error error = {0};
    for (size_t done = 0; done < count;) {
        size_t part = count - done < SCRIPT_RECORDS_MAX ? count - done : SCRIPT_RECORDS_MAX;
        put_script(rows + done, part, 1);
        good(filter_case_event(&c, event, false, &error), &error);
        check_answers(rows + done, part, "in a stream");
        done += part;
    }
}

START_TEST(answers_in_headers)
{
    struct weir_error error = {0};
    good(filter_case_event(&c, WEIR_FILTER_ON_REQUEST_HEADERS, false, &error), &error);
    run_rows(in_headers, sizeof in_headers / sizeof in_headers[0], WEIR_FILTER_ON_REQUEST_HEADERS);
}
END_TEST

START_TEST(answers_in_bodies)
{
    struct weir_error error = {0};
    struct weir_filter_buffer *body = weir_filter_stream_buffer(c.stream, WEIR_FILTER_REQUEST);
    good(weir_filter_buffer_append(body, "body", 4, &error), &error);
    run_rows(in_body, sizeof in_body / sizeof in_body[0], WEIR_FILTER_ON_REQUEST_BODY);
    char text[16] = "";
    ck_assert_uint_eq(weir_filter_buffer_take(body, text, sizeof text - 1), 4);
    ck_assert_str_eq(text, "name"); /* "namebodyname" without eight from the third */
}
END_TEST

START_TEST(answers_in_the_root)
{
    static const struct row tick[] = {ROW(set_tick_period_milliseconds, OK, 1)};
    struct weir_error error = {0};
    run_rows(tick, 1, WEIR_FILTER_ON_REQUEST_HEADERS);
    size_t count = sizeof in_root / sizeof in_root[0];
    put_script(in_root, count, 1);
    bool did = false;
    while (!did)
        good(weir_filter_vm_work(c.vm, &did, &error), &error);
    check_answers(in_root, count, "in the root");
}
END_TEST

/* A body may be read while it is held back, in any callback, and not when it was passed on. */
START_TEST(bodies_have_their_time)
{
    static const struct row held[] = {ROW(get_buffer_bytes, OK, 0, 0, 9, OUT, OUT + 4)};
    static const struct row passed[] = {ROW(get_buffer_bytes, NOT_FOUND, 0, 0, 9, OUT, OUT + 4)};
    struct weir_error error = {0};
    run_rows(held, 1, WEIR_FILTER_ON_REQUEST_BODY);
    run_rows(held, 1, WEIR_FILTER_ON_REQUEST_TRAILERS);
    put_script(NULL, 0, 0);
    good(filter_case_event(&c, WEIR_FILTER_ON_REQUEST_BODY, true, &error), &error);
    run_rows(passed, 1, WEIR_FILTER_ON_REQUEST_TRAILERS);
}
END_TEST

/* What an allocator does wrong ends in a status or in the plugin's end, named. */
static const struct allocator_case {
    enum script_allocator allocator;
    int32_t answer; /* -1: it ends the plugin */
    const char *words;
} allocators[] = {
    {SCRIPT_ALLOCATES, FILTER_OK, ""},
    {SCRIPT_REFUSES, FILTER_INTERNAL_FAILURE, "the plugin's allocator refused 5 bytes"},
    {SCRIPT_LIES, FILTER_INVALID_MEMORY_ACCESS, ""},
    {SCRIPT_GROWS, FILTER_OK, ""},
    {SCRIPT_OVERLAPS, FILTER_OK, ""},
    {SCRIPT_CALLS_BACK, FILTER_OK, ""},
    {SCRIPT_TRAPS, -1, "allocating 5 bytes for the host: unreachable"},
    {SCRIPT_HANGS, -1, "ran longer than 1"},
};

START_TEST(allocators_that_misbehave)
{
    static const struct row get[] = {ROW(get_property, OK, PLUGIN, PLUGIN_SIZE, OUT, OUT + 4)};
    const struct allocator_case *one = &allocators[_i];
    struct weir_error error = {0};
    put_script(get, 1, 0);
    const uint32_t mode = one->allocator;
    put(SCRIPT_HEAD + 8, &mode, sizeof mode);
    enum weir_status status =
        filter_case_event(&c, WEIR_FILTER_ON_REQUEST_HEADERS, false, &error);
    ck_assert_int_eq(status, one->answer < 0 ? WEIR_TRAP : WEIR_OK);
    if (one->answer >= 0 && one->allocator != SCRIPT_OVERLAPS) {
        const struct row expected = {get[0].function, {0}, one->answer};
        check_answers(&expected, 1, "an allocator");
    }
    ck_assert_msg(strstr(one->answer < 0 ? error.message : c.log, one->words) != NULL, "%s\n%s",
                  error.message, c.log);
    weir_error_done(&error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter calls");
    TCase *tests = tcase_create("calls");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, answers_in_headers);
    tcase_add_test(tests, answers_in_bodies);
    tcase_add_test(tests, answers_in_the_root);
    tcase_add_test(tests, bodies_have_their_time);
    tcase_add_loop_test(tests, allocators_that_misbehave, 0,
                         sizeof allocators / sizeof allocators[0]);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
