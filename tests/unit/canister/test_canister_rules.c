/* Rules of the interface specification: which function may be called in which kind of message, and
 * what each kind does with what it was given. */
#include "tests/unit/canister/canister_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "rules_wasm.h"
#include "tests/run_suite.h"
#include "worlds/canister/canister_check.h"

/* --- the table of imports -------------------------------------------------------------------- */

/* Copied by hand from the specification's "Overview of imports", in its letters; * is all of them
 * but s. Modes that this host does not have: TQ (outcalls), CC (a composite query ends when a
 * callback traps). */
static const struct {
    const char *name, *modes;
} specified[] = {
    {"msg_arg_data_size", "I U RQ NRQ TQ CQ Ry CRy F"},
    {"msg_arg_data_copy", "I U RQ NRQ TQ CQ Ry CRy F"},
    {"msg_caller_size", "*"},
    {"msg_caller_copy", "*"},
    {"msg_reject_code", "Ry Rt CRy CRt C"},
    {"msg_reject_msg_size", "Rt CRt"},
    {"msg_reject_msg_copy", "Rt CRt"},
    {"msg_reply_data_append", "U RQ NRQ TQ CQ Ry Rt CRy CRt"},
    {"msg_reply", "U RQ NRQ TQ CQ Ry Rt CRy CRt"},
    {"msg_reject", "U RQ NRQ TQ CQ Ry Rt CRy CRt"},
    {"msg_cycles_available128", "U RQ Rt Ry"},
    {"msg_cycles_refunded128", "Rt Ry"},
    {"msg_cycles_accept128", "U RQ Rt Ry"},
    {"cycles_burn128", "I G U RQ Ry Rt C T"},
    {"canister_self_size", "*"},
    {"canister_self_copy", "*"},
    {"canister_cycle_balance128", "*"},
    {"canister_liquid_cycle_balance128", "*"},
    {"canister_status", "*"},
    {"canister_version", "*"},
    {"msg_method_name_size", "F"},
    {"msg_method_name_copy", "F"},
    {"accept_message", "F"},
    {"call_new", "U CQ Ry Rt CRy CRt T"},
    {"call_on_cleanup", "U CQ Ry Rt CRy CRt T"},
    {"call_data_append", "U CQ Ry Rt CRy CRt T"},
    {"call_with_best_effort_response", "U CQ Ry Rt CRy CRt T"},
    {"call_cycles_add128", "U Ry Rt T"},
    {"call_perform", "U CQ Ry Rt CRy CRt T"},
    {"stable64_size", "* s"},
    {"stable64_grow", "* s"},
    {"stable64_write", "* s"},
    {"stable64_read", "* s"},
    {"certified_data_set", "I G U Ry Rt T"},
    {"data_certificate_present", "*"},
    {"data_certificate_size", "NRQ CQ"},
    {"data_certificate_copy", "NRQ CQ"},
    {"time", "*"},
    {"global_timer_set", "I G U Ry Rt C T"},
    {"performance_counter", "* s"},
    {"is_controller", "* s"},
    {"in_replicated_execution", "* s"},
    {"cost_call", "* s"},
    {"debug_print", "* s"},
    {"trap", "* s"},
};

static unsigned modes_of(const char *letters)
{
    static const struct {
        const char *letter;
        unsigned mode;
    } known[] = {
        {"I", IC0_INIT},
        {"G", IC0_PRE_UPGRADE},
        {"U", IC0_UPDATE},
        {"RQ", IC0_REPLICATED_QUERY},
        {"NRQ", IC0_QUERY},
        {"TQ", 0},
        {"CQ", IC0_COMPOSITE},
        {"Ry", IC0_REPLY},
        {"Rt", IC0_REJECT},
        {"CRy", IC0_COMPOSITE_REPLY},
        {"CRt", IC0_COMPOSITE_REJECT},
        {"C", IC0_CLEANUP},
        {"s", IC0_START},
        {"F", IC0_INSPECT},
        {"T", IC0_TASK},
        {"*", IC0_ANY},
    };
    unsigned modes = 0;
    for (const char *at = letters; *at != 0;) {
        size_t size = strcspn(at, " ");
        size_t i = 0;
        while (strlen(known[i].letter) != size || memcmp(known[i].letter, at, size) != 0)
            ck_assert_uint_lt(++i, sizeof known / sizeof known[0]);
        modes |= known[i].mode;
        at += size + strspn(at + size, " ");
    }
    return modes;
}

START_TEST(functions_in_their_modes)
{
    ck_assert_uint_eq(sizeof specified / sizeof specified[0], WEIR_IC0_COUNT);
    ck_assert_uint_eq(WEIR_IC0_COUNT, 45);
    ck_assert_uint_eq(modes_of("I G U RQ NRQ CQ Ry Rt CRy CRt C F T"), IC0_ANY);
    for (size_t i = 0; i < WEIR_IC0_COUNT; i++) {
        size_t at = 0;
        while (strcmp(specified[i].name, weir_ic0_functions[at].name) != 0)
            ck_assert_uint_lt(++at, WEIR_IC0_COUNT);
        ck_assert_msg(weir_ic0_functions[at].modes == modes_of(specified[i].modes),
                      "%s: %#x instead of %s", specified[i].name, weir_ic0_functions[at].modes,
                      specified[i].modes);
    }
}
END_TEST

/* --- messages -------------------------------------------------------------------------------- */

static struct weir_engine *engine;
static struct weir_canister *canister;

static void begin(void)
{
    engine = canister_engine();
    canister = canister_make(engine, NULL);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_INSTALL, rules_wasm, sizeof rules_wasm, 0));
}

static void end(void)
{
    weir_canister_free(canister);
    weir_engine_unref(engine);
}

static struct weir_canister_response send_to(const char *method, bool is_query)
{
    return is_query ? canister_query(canister, method, NULL, 0)
                    : canister_update(canister, method, NULL, 0);
}

static uint32_t word(struct weir_canister_response response)
{
    uint32_t value = 0;
    ck_assert_msg(response.code == WEIR_CANISTER_REPLIED, "%s", (const char *)response.bytes);
    ck_assert_uint_eq(response.size, sizeof value);
    memcpy(&value, response.bytes, sizeof value);
    weir_canister_response_done(&response);
    return value;
}

START_TEST(what_is_answered)
{
    static const struct {
        const char *method;
        bool is_query;
        uint32_t value;
    } cases[] = {
        {"replicated", true, 0},       {"replicated", false, 1}, {"plain", true, 1},
        {"other", true, 3002}, /* the reject callback goes on over what the query did */
        {"chain", true, 3003},         {"both", true, 0}, /* answered before its call matters */
        {"send_much", false, 5000000}, /* a call to itself takes more than one from outside */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t found = word(send_to(cases[i].method, cases[i].is_query));
        ck_assert_msg(found == cases[i].value, "%s: %u", cases[i].method, found);
    }
    ck_assert_uint_eq(word(send_to("get", true)), 0); /* nothing of it was kept */
    struct weir_canister_response response = send_to("long", true);
    ck_assert_uint_eq(response.size, 40 * 65536);
    canister_replied(response);
    canister_replied(send_to("burn", false));
}
END_TEST

START_TEST(what_is_refused)
{
    static const struct {
        const char *method;
        bool is_query;
        enum weir_canister_reject code;
        const char *error_code, *text;
    } cases[] = {
        {"Xfile", false, 4, "IC0406", "Canister rejected the message"},
        {"Yfile", false, 5, "IC0504", "accept_message twice"},
        {"burn", true, 5, "IC0504", "cycles_burn128 cannot be executed in query mode"},
        {"long", false, 5, "IC0504", "payload size"},
        {"not_text", false, 5, "IC0504", "not UTF-8"},
        {"twice_best_effort", false, 5, "IC0504", "call_with_best_effort_response twice"},
        {"pay_nobody", false, 5, "IC0504", "call_cycles_add128 without call_new"},
        {"plain", false, 5, "IC0527", "Composite query cannot be called in replicated mode"},
        {"silent", true, 5, "IC0506", "did not reply"},
        {"self", true, 5, "IC0517", "re-entering the same canister"},
        {"trap", true, 5, "IC0502", "unreachable"},
        {"trap_first", true, 5, "IC0502", "unreachable"},
        {"pay", true, 5, "IC0504", "call_cycles_add128 cannot be executed in composite query mode"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_canister_response response = send_to(cases[i].method, cases[i].is_query);
        ck_assert_msg(response.error_code != NULL &&
                          strcmp(response.error_code, cases[i].error_code) == 0,
                      "%s: %s", cases[i].method, (const char *)response.bytes);
        canister_rejected(response, cases[i].code, cases[i].text);
        ck_assert_uint_eq(word(send_to("get", true)), 0);
    }
}
END_TEST

/* pre_upgrade sees the version before, post_upgrade the one after; a failed one counts for nothing.
 */
START_TEST(versions)
{
    uint32_t before = word(send_to("version", true));
    ck_assert_uint_eq(before, 1);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_UPGRADE, rules_wasm, sizeof rules_wasm, 0));
    ck_assert_uint_eq(word(send_to("version_seen", true)), before + 1);
    ck_assert_uint_eq(word(send_to("version", true)), before + 1);
    struct weir_canister_status status;
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.timer_ns, 0); /* set by pre_upgrade, off with the code */
}
END_TEST

/* What init certifies stays, and so does what pre_upgrade does. */
START_TEST(certified_data)
{
    struct weir_canister_status status;
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.certified_bytes, 4);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_UPGRADE, rules_wasm, sizeof rules_wasm, 0));
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.certified_bytes, 8);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_REINSTALL, rules_wasm, sizeof rules_wasm, 0));
    ck_assert_int_eq(weir_canister_status(canister, &status, NULL), WEIR_OK);
    ck_assert_uint_eq(status.certified_bytes, 4);
}
END_TEST

/* The hook runs once when little is left, and again after there was more. */
START_TEST(low_memory)
{
    struct weir_canister_response response;
    ck_assert_int_eq(weir_canister_set_heap_limit(canister, 100 * 65536, NULL), WEIR_OK);
    weir_canister_set_low_memory(canister, 10 * 65536);
    ck_assert_uint_eq(word(send_to("add", false)), 1);
    ck_assert_uint_eq(word(send_to("low", true)), 0);
    for (int i = 0; i < 2; i++) {
        response = send_to("grow", false);
        ck_assert_ptr_nonnull(response.note);
        ck_assert_ptr_nonnull(
            strstr(response.note, "canister_on_low_wasm_memory ran, 320 KiB of heap were left"));
        ck_assert_uint_eq(word(response), 80);
        response = send_to("add", false);
        ck_assert_ptr_null(response.note);
        canister_replied(response);
        ck_assert_uint_eq(word(send_to("low", true)), 1);
        /* The new code has 80 pages again, and its own counter. */
        canister_replied(
            canister_code(canister, WEIR_CANISTER_UPGRADE, rules_wasm, sizeof rules_wasm, 0));
        ck_assert_uint_eq(word(send_to("low", true)), 0);
    }
}
END_TEST

/* What a run was given for stable memory is for that alone. */
START_TEST(stable_of_a_run)
{
    weir_canister_free(canister);
    const struct weir_canister_config small = {.name = "plain", .stable_bytes_max = 1 << 20};
    canister = canister_make(engine, &small);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_INSTALL, rules_wasm, sizeof rules_wasm, 0));
    ck_assert_uint_eq(word(send_to("stable", false)), 1); /* 0 and -1 */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("canister rules");
    TCase *tests = tcase_create("rules");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, functions_in_their_modes);
    tcase_add_test(tests, what_is_answered);
    tcase_add_test(tests, what_is_refused);
    tcase_add_test(tests, versions);
    tcase_add_test(tests, certified_data);
    tcase_add_test(tests, low_memory);
    tcase_add_test(tests, stable_of_a_run);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
