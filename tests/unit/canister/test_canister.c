/* The canister world over a module by hand: what a message leaves and what it does not, calls and
 * callbacks, installs that fail, limits, hostile methods, states saved and damaged. */
#include "tests/unit/canister/canister_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "ledger/ledger.h"
#include "old_wasm.h"
#include "plain_wasm.h"
#include "tests/run_suite.h"

static struct weir_engine *engine;
static struct weir_canister *canister;
static uint64_t now_ns = 500;

static uint64_t tell_now(void *context)
{
    (void)context;
    return now_ns;
}

static char printed[64];
static void keep_printed(void *context, const char *text, size_t size)
{
    (void)context;
    ck_assert_uint_lt(size, sizeof printed);
    memcpy(printed, text, size);
}

static const struct weir_canister_config config = {
    .name = "plain", .now_ns = tell_now, .debug_print = keep_printed, .instructions_max = 20000000};

static void begin(void)
{
    engine = canister_engine();
    canister = canister_make(engine, &config);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_INSTALL, plain_wasm, sizeof plain_wasm, 5));
}

static void end(void)
{
    weir_canister_free(canister);
    weir_engine_unref(engine);
}

static uint64_t charged(void)
{
    struct weir_canister_status status;
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    return status.charged_bytes;
}

/* --- traces -------------------------------------------------------------------------------- */

START_TEST(updates_are_kept)
{
    begin();
    canister_expect(canister, (struct plain_state){5, 0, 0, 0, 0});
    for (uint32_t i = 1; i <= 3; i++)
        canister_replied(canister_update(canister, "inc", NULL, 0));
    canister_expect(canister, (struct plain_state){8, 3, 1, 1, 8});
    /* An explicit reject is an answer: what was done stays. No answer at all is one, too. */
    canister_rejected(canister_update(canister, "refuse", NULL, 0), WEIR_CANISTER_REJECTED,
                      "a text");
    canister_expect(canister, (struct plain_state){9, 4, 1, 1, 9});
    canister_rejected(canister_update(canister, "silent", NULL, 0), WEIR_CANISTER_ERROR,
                      "did not reply");
    canister_expect(canister, (struct plain_state){10, 5, 1, 1, 10});
    end();
}
END_TEST

/* Each of them changed memory, a private global, the table, stable memory and the timer first. */
START_TEST(failures_and_queries_leave_no_trace)
{
    static const struct {
        const char *method;
        const char *text; /* NULL: it replies */
        bool is_query;
    } cases[] = {
        {"boom", "Canister called `ic0.trap` with message: 'a text of its own'", false},
        {"boom_query", "Canister trapped: unreachable", true},
        {"inc_query", NULL, true},
        {"inc_query", NULL, false}, /* a query that is called as an update */
        {"twice", "msg_reply after the call was answered", false},
        {"wild", "heap out of bounds", false},
        {"stable_wild", "stable memory is accessed at 65500", false},
        {"forever", "exceeded the limit of 20000000 instructions", false},
        {"deep", "stack overflow", false},
        {"flood", "application payload size", true},
        {"certify", "ic0.certified_data_set cannot be executed in query mode", true},
        {"certify_long", "certified data of 33 bytes", false},
        {"call_then_trap", "unreachable", false},
        {"nowhere", "Canister has no update method 'nowhere'.", false},
        {"inc", "Canister has no query method 'inc'.", true},
    };
    begin();
    canister_replied(canister_update(canister, "inc", NULL, 0));
    struct canister_stream before = {0};
    struct weir_image_writer writer = canister_writer(&before);
    ck_assert_int_eq(weir_canister_save(canister, NULL, &writer, NULL), WEIR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_canister_response response =
            cases[i].is_query ? canister_query(canister, cases[i].method, NULL, 0)
                              : canister_update(canister, cases[i].method, NULL, 0);
        if (cases[i].text == NULL)
            canister_replied(response);
        else
            canister_rejected(response, WEIR_CANISTER_ERROR, cases[i].text);
        canister_expect(canister, (struct plain_state){6, 1, 1, 1, 6});
        /* All of it, byte for byte: version, timer, globals, table, memories. */
        struct canister_stream after = {0};
        writer = canister_writer(&after);
        ck_assert_int_eq(weir_canister_save(canister, NULL, &writer, NULL), WEIR_OK);
        ck_assert_uint_eq(before.size, after.size);
        ck_assert_msg(memcmp(before.bytes, after.bytes, before.size) == 0, "%s", cases[i].method);
        free(after.bytes);
    }
    free(before.bytes);
    end();
}
END_TEST

START_TEST(a_thousand_queries)
{
    begin();
    canister_replied(canister_update(canister, "inc", NULL, 0));
    uint64_t bytes = charged();
    for (int i = 0; i < 1000; i++)
        canister_replied(canister_query(canister, "inc_query", NULL, 0));
    canister_expect(canister, (struct plain_state){6, 1, 1, 1, 6});
    ck_assert_uint_eq(charged(), bytes);
    end();
}
END_TEST

START_TEST(arguments_and_answers)
{
    begin();
    static uint8_t large[1 << 20];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7);
    struct weir_canister_response response = canister_update(canister, "echo", large, sizeof large);
    ck_assert_int_eq(response.code, WEIR_CANISTER_REPLIED);
    ck_assert_uint_eq(response.size, sizeof large);
    ck_assert(memcmp(response.bytes, large, sizeof large) == 0);
    weir_canister_response_done(&response);
    response = canister_update(canister, "who", NULL, 0);
    ck_assert_uint_eq(response.size, 1);
    ck_assert_uint_eq(response.bytes[0], 4);
    weir_canister_response_done(&response);
    canister_replied(canister_update(canister, "print", NULL, 0));
    ck_assert_str_eq(printed, "a text of its own");
    response = canister_update(canister, "count", NULL, 0);
    uint64_t count = 0;
    memcpy(&count, response.bytes, sizeof count);
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_ge(response.instructions, count);
    weir_canister_response_done(&response);
    struct weir_error error = {0};
    const struct weir_canister_call call = {
        .method = "echo", .arg = large, .arg_size = CANISTER_ARGUMENT_BYTES_MAX + 1};
    ck_assert_int_eq(weir_canister_update(canister, &call, &response, &error), WEIR_TOO_LARGE);
    weir_error_done(&error);
    end();
}
END_TEST

/* --- calls --------------------------------------------------------------------------------- */

static uint32_t word(struct weir_canister_response response, size_t index)
{
    uint32_t value;
    ck_assert_int_eq(response.code, WEIR_CANISTER_REPLIED);
    ck_assert_uint_ge(response.size, (index + 1) * sizeof value);
    memcpy(&value, response.bytes + index * sizeof value, sizeof value);
    weir_canister_response_done(&response);
    return value;
}

START_TEST(calls_come_back)
{
    begin();
    /* inc ran as a message of its own, then the reply callback with its environment. */
    ck_assert_uint_eq(word(canister_update(canister, "call_self", NULL, 0), 5), 77);
    canister_expect(canister, (struct plain_state){7, 2, 1, 1, 7});
    /* A callback that traps is taken back alone; cleanup runs then. */
    canister_rejected(canister_update(canister, "call_self_trap", NULL, 0), WEIR_CANISTER_ERROR,
                      "unreachable");
    canister_expect(canister, (struct plain_state){1008, 3, 1, 1, 8});
    canister_rejected(canister_update(canister, "call_self_wrong", NULL, 0), WEIR_CANISTER_ERROR,
                      "no function of its table");
    canister_expect(canister, (struct plain_state){2009, 4, 1, 1, 1009});
    /* Nobody else lives here, and no such method: the reject callback sees the code. */
    ck_assert_uint_eq(word(canister_update(canister, "call_other", NULL, 0), 0),
                      WEIR_CANISTER_DESTINATION_INVALID);
    ck_assert_uint_eq(word(canister_update(canister, "call_self_none", NULL, 0), 0),
                      WEIR_CANISTER_ERROR);
    end();
}
END_TEST

/* A loop of calls ends, at a full queue; 500 at once, no more. */
START_TEST(calls_are_bounded)
{
    begin();
    struct weir_canister_response response = canister_update(canister, "call_loop", NULL, 0);
    ck_assert_int_eq(response.code, WEIR_CANISTER_REPLIED);
    weir_canister_response_done(&response);
    uint64_t bytes = charged();
    ck_assert_uint_eq(word(canister_update(canister, "call_many", NULL, 0), 0), CANISTER_CALLS_MAX);
    ck_assert_uint_eq(charged(), bytes);
    end();
}
END_TEST

START_TEST(heartbeat_and_timer)
{
    begin();
    unsigned count = 0;
    struct weir_canister_response response = {0};
    now_ns = 500;
    ck_assert_int_eq(weir_canister_tick(canister, &count, &response, NULL), WEIR_OK);
    weir_canister_response_done(&response);
    ck_assert_uint_eq(count, 1); /* the timer was off */
    canister_expect(canister, (struct plain_state){6, 1, 1, 1, 6});
    now_ns = 3000; /* the heartbeat had set it to 1000 */
    ck_assert_int_eq(weir_canister_tick(canister, &count, &response, NULL), WEIR_OK);
    weir_canister_response_done(&response);
    ck_assert_uint_eq(count, 2);
    canister_expect(canister, (struct plain_state){8, 3, 1, 1, 8});
    end();
}
END_TEST

/* --- limits -------------------------------------------------------------------------------- */

START_TEST(heap_limit)
{
    begin();
    struct weir_canister_response response;
    uint32_t pages = 10;
    ck_assert_int_eq(weir_canister_set_heap_limit(canister, 14 * 65536, NULL), WEIR_OK);
    canister_replied(canister_update(canister, "grow", &pages, sizeof pages));
    response = canister_update(canister, "grow", &pages, sizeof pages);
    ck_assert_str_eq(response.error_code, "IC0539");
    /* Whole, as the platform says it. */
    static const char text[] =
        ": Canister exceeded its current Wasm memory limit of 917504 bytes. The peak Wasm memory "
        "usage was 1441792 bytes. If the canister reaches 4GiB, then it may stop functioning and "
        "may become unrecoverable. Please reach out to the canister owner to investigate the "
        "reason for the increased memory usage. It might be necessary to move data from the Wasm "
        "memory to the stable memory. If such high Wasm memory usage is expected and safe, then "
        "the developer can increase the Wasm memory limit in the canister settings..";
    ck_assert_ptr_nonnull(strstr((const char *)response.bytes, text));
    ck_assert_int_eq(strncmp((const char *)response.bytes, "Error from Canister ", 20), 0);
    /* And what it lacks: the method, the function, who grew before. */
    ck_assert_ptr_nonnull(strstr(response.note, "in grow, which wanted 1.4 MiB"));
    ck_assert_ptr_nonnull(strstr(response.note, "grown by canister_update grow"));
    ck_assert_ptr_nonnull(strstr(response.note, "640 KiB by canister_update grow in 1 steps"));
    weir_canister_response_done(&response);
    /* Queries may grow beyond it, and are taken back. */
    canister_replied(canister_query(canister, "grow_query", &pages, sizeof pages));
    struct weir_canister_status status;
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.heap_pages, 12);
    ck_assert_uint_eq(status.growth_count, 1);
    ck_assert_str_eq(status.growths[0].method, "grow");
    ck_assert_uint_eq(status.growths[0].pages, 10);
    ck_assert_int_eq(weir_canister_set_heap_limit(canister, 65536, NULL), WEIR_STATE);
    /* What memory.grow refuses for other reasons is no growth. */
    ck_assert_int_eq(weir_canister_set_heap_limit(canister, 0, NULL), WEIR_OK);
    pages = 70000;
    ck_assert_uint_eq(word(canister_update(canister, "grow", &pages, sizeof pages), 0), UINT32_MAX);
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.growths[0].pages, 10);
    end();
}
END_TEST

START_TEST(stable_limit)
{
    begin();
    uint32_t pages = (500u << 14) - 2; /* 500 GiB less the heap's two pages */
    struct weir_canister_response response =
        canister_update(canister, "stable", &pages, sizeof pages);
    uint64_t old = 0;
    memcpy(&old, response.bytes, sizeof old);
    ck_assert_uint_eq(old, 0);
    weir_canister_response_done(&response);
    ck_assert_uint_lt(charged(), 8 << 20);
    pages = 1;
    response = canister_update(canister, "stable", &pages, sizeof pages);
    memcpy(&old, response.bytes, sizeof old);
    ck_assert_uint_eq(old, UINT64_MAX);
    weir_canister_response_done(&response);
    end();
}
END_TEST

/* All that it may hold: an update that would hold more fails, and nothing else does. */
START_TEST(account_limit)
{
    engine = canister_engine();
    const struct weir_canister_config small = {
        .name = "small", .memory_bytes_max = 4 << 20, .instructions_max = 20000000};
    canister = canister_make(engine, &small);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_INSTALL, plain_wasm, sizeof plain_wasm, 5));
    uint32_t pages = 1;
    unsigned grown = 0;
    for (unsigned i = 0; i < 100; i++) {
        struct weir_canister_response response =
            canister_update(canister, "grow", &pages, sizeof pages);
        uint32_t old = UINT32_MAX;
        if (response.code == WEIR_CANISTER_REPLIED)
            memcpy(&old, response.bytes, sizeof old);
        grown += old != UINT32_MAX;
        weir_canister_response_done(&response);
    }
    ck_assert_uint_gt(grown, 3);
    ck_assert_uint_lt(grown, 64);
    canister_replied(canister_update(canister, "inc", NULL, 0));
    canister_expect(canister, (struct plain_state){6, 1, 1, 1, 6});
    end();
}
END_TEST

/* --- code ---------------------------------------------------------------------------------- */

START_TEST(code_comes_and_goes)
{
    begin();
    canister_replied(canister_update(canister, "inc", NULL, 0));
    canister_replied(
        canister_code(canister, WEIR_CANISTER_UPGRADE, plain_wasm, sizeof plain_wasm, 0));
    canister_expect(canister, (struct plain_state){6, 0, 0, 1, 6}); /* by way of stable memory */
    /* post_upgrade traps, after it changed things: the old instance goes on as it was. */
    canister_replied(canister_update(canister, "inc", NULL, 0));
    canister_rejected(
        canister_code(canister, WEIR_CANISTER_UPGRADE, plain_wasm, sizeof plain_wasm, 666),
        WEIR_CANISTER_ERROR, "unreachable");
    canister_expect(canister, (struct plain_state){7, 1, 1, 1, 7});
    canister_rejected(
        canister_code(canister, WEIR_CANISTER_REINSTALL, plain_wasm, sizeof plain_wasm, 666),
        WEIR_CANISTER_ERROR, "unreachable");
    canister_expect(canister, (struct plain_state){7, 1, 1, 1, 7});
    /* So does a heap that is too large right from the start. */
    ck_assert_int_eq(weir_canister_set_heap_limit(canister, 500 * 65536, NULL), WEIR_OK);
    canister_rejected(
        canister_code(canister, WEIR_CANISTER_REINSTALL, plain_wasm, sizeof plain_wasm, 667),
        WEIR_CANISTER_ERROR, "exceeded its current Wasm memory limit of 32768000");
    canister_expect(canister, (struct plain_state){7, 1, 1, 1, 7});
    for (int i = 7; i < 13; i++)
        canister_replied(canister_update(canister, "inc", NULL, 0));
    canister_rejected(
        canister_code(canister, WEIR_CANISTER_UPGRADE, plain_wasm, sizeof plain_wasm, 0),
        WEIR_CANISTER_ERROR, "unreachable"); /* pre_upgrade of 13 */
    canister_expect(canister, (struct plain_state){13, 7, 1, 1, 13});
    const struct weir_canister_code skip = {.mode = WEIR_CANISTER_UPGRADE,
                                            .skip_pre_upgrade = true,
                                            .module = plain_wasm,
                                            .module_size = sizeof plain_wasm};
    struct weir_canister_response response = {0};
    ck_assert_int_eq(weir_canister_install(canister, &skip, &response, NULL), WEIR_OK);
    canister_replied(response);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_REINSTALL, plain_wasm, sizeof plain_wasm, 3));
    canister_expect(canister, (struct plain_state){3, 0, 0, 0, 0});
    struct weir_canister_status status;
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.change_total, 4);
    ck_assert_int_eq(status.changes[3].mode, WEIR_CANISTER_REINSTALL);
    end();
}
END_TEST

START_TEST(refused_modules)
{
    struct weir_error error = {0};
    struct weir_canister_response response = {0};
    begin();
    struct weir_canister_code code = {
        .mode = WEIR_CANISTER_INSTALL, .module = plain_wasm, .module_size = sizeof plain_wasm};
    ck_assert_int_eq(weir_canister_install(canister, &code, &response, &error), WEIR_EXISTS);
    weir_error_done(&error);
    code.mode = WEIR_CANISTER_UPGRADE;
    code.heap = WEIR_CANISTER_HEAP_KEEP;
    ck_assert_int_eq(weir_canister_install(canister, &code, &response, &error),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "Invalid upgrade option"));
    weir_error_done(&error);
    code.heap = WEIR_CANISTER_HEAP_UNSAID;
    code.module = old_wasm;
    code.module_size = sizeof old_wasm;
    ck_assert_int_eq(weir_canister_install(canister, &code, &response, &error), WEIR_LINK);
    ck_assert_ptr_nonnull(strstr(error.message, "is no canister, for 6 reasons"));
    ck_assert_ptr_nonnull(strstr(error.details->text, "import env.memcpy: only ic0"));
    unsigned details = 0;
    for (const struct weir_error_detail *at = error.details; at != NULL; at = at->next)
        details++;
    ck_assert_uint_eq(details, 6); /* all of them at once */
    weir_error_done(&error);
    code.module = (const uint8_t *)"\0asm";
    code.module_size = 4;
    ck_assert_int_eq(weir_canister_install(canister, &code, &response, &error), WEIR_MALFORMED);
    weir_error_done(&error);
    canister_replied(canister_update(canister, "inc", NULL, 0));
    end();
}
END_TEST

static size_t pack(const uint8_t *bytes, size_t size, uint8_t *to, size_t room)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes,
                       .avail_in = (uInt)size,
                       .next_out = to,
                       .avail_out = (uInt)room};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t packed = room - stream.avail_out;
    (void)deflateEnd(&stream);
    return packed;
}

START_TEST(packed_modules)
{
    static uint8_t packed[1 << 20];
    engine = canister_engine();
    canister = canister_make(engine, &config);
    size_t size = pack(plain_wasm, sizeof plain_wasm, packed, sizeof packed);
    ck_assert_uint_lt(size, sizeof plain_wasm);
    canister_replied(canister_code(canister, WEIR_CANISTER_INSTALL, packed, size, 5));
    canister_expect(canister, (struct plain_state){5, 0, 0, 0, 0});
    struct weir_canister_status status;
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.metrics.wasm_binary_size, size); /* as uploaded */
    struct weir_error error = {0};
    struct weir_canister_response response = {0};
    struct weir_canister_code code = {.mode = WEIR_CANISTER_REINSTALL, .module = packed};
    for (code.module_size = 3; code.module_size < size; code.module_size += 97) {
        ck_assert_int_eq(weir_canister_install(canister, &code, &response, &error), WEIR_MALFORMED);
        weir_error_done(&error);
    }
    /* A bomb: zeros pack a thousand times. */
    uint8_t *zeros = calloc(1, 64 << 20);
    ck_assert_ptr_nonnull(zeros);
    code.module_size = pack(zeros, 64 << 20, packed, sizeof packed);
    free(zeros);
    ck_assert_int_eq(weir_canister_install(canister, &code, &response, &error), WEIR_TOO_LARGE);
    weir_error_done(&error);
    canister_expect(canister, (struct plain_state){5, 0, 0, 0, 0});
    end();
}
END_TEST

/* --- saved states -------------------------------------------------------------------------- */

START_TEST(states_come_back)
{
    begin();
    uint32_t pages = 3;
    canister_replied(canister_update(canister, "inc", NULL, 0));
    canister_replied(canister_update(canister, "grow", &pages, sizeof pages));
    struct canister_stream first = {0};
    struct canister_stream second = {0};
    struct weir_image_writer writer = canister_writer(&first);
    ck_assert_int_eq(weir_canister_save(canister, NULL, &writer, NULL), WEIR_OK);
    struct weir_canister *other = canister_make(engine, &config);
    struct weir_image_reader reader = canister_reader(&first);
    struct weir_error error = {0};
    enum weir_status status =
        weir_canister_load(other, plain_wasm, sizeof plain_wasm, &reader, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    canister_expect(other, (struct plain_state){6, 1, 1, 1, 6});
    writer = canister_writer(&second);
    ck_assert_int_eq(weir_canister_save(other, NULL, &writer, NULL), WEIR_OK);
    ck_assert_uint_eq(first.size, second.size);
    ck_assert(memcmp(first.bytes, second.bytes, first.size) == 0);
    canister_replied(canister_update(other, "inc", NULL, 0));
    canister_expect(other, (struct plain_state){7, 2, 1, 1, 7});
    weir_canister_free(other);
    free(first.bytes);
    free(second.bytes);
    end();
}
END_TEST

START_TEST(damaged_states_are_refused)
{
    begin();
    canister_replied(canister_update(canister, "inc", NULL, 0));
    struct canister_stream state = {0};
    struct weir_image_writer writer = canister_writer(&state);
    ck_assert_int_eq(weir_canister_save(canister, NULL, &writer, NULL), WEIR_OK);
    size_t full = state.size;
    for (size_t at = 0; at < full; at += at < 700 ? 13 : 1999) {
        for (int is_cut = 0; is_cut < 2; is_cut++) {
            struct weir_canister *other = canister_make(engine, &config);
            struct weir_error error = {0};
            state.at = 0;
            state.size = is_cut != 0 ? at : full;
            state.bytes[at] ^= is_cut != 0 ? 0 : 0x40;
            struct weir_image_reader reader = canister_reader(&state);
            enum weir_status status =
                weir_canister_load(other, plain_wasm, sizeof plain_wasm, &reader, &error);
            ck_assert_msg(status == WEIR_CORRUPT || status == WEIR_LIMIT, "%zu: %s", at,
                          error.message);
            state.bytes[at] ^= is_cut != 0 ? 0 : 0x40;
            weir_error_done(&error);
            weir_canister_free(other);
        }
    }
    free(state.bytes);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("canister");
    TCase *tests = tcase_create("canister");
    tcase_add_test(tests, updates_are_kept);
    tcase_add_test(tests, failures_and_queries_leave_no_trace);
    tcase_add_test(tests, a_thousand_queries);
    tcase_add_test(tests, arguments_and_answers);
    tcase_add_test(tests, calls_come_back);
    tcase_add_test(tests, calls_are_bounded);
    tcase_add_test(tests, heartbeat_and_timer);
    tcase_add_test(tests, heap_limit);
    tcase_add_test(tests, stable_limit);
    tcase_add_test(tests, account_limit);
    tcase_add_test(tests, code_comes_and_goes);
    tcase_add_test(tests, refused_modules);
    tcase_add_test(tests, packed_modules);
    tcase_add_test(tests, states_come_back);
    tcase_add_test(tests, damaged_states_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
