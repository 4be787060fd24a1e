/* Contracts of CosmWasm's own test data (folder WEIR_CONTRACTS, see contracts.py): what they
 * answer, byte for byte; what that costs, to the unit, where upstream asserts it; what is left in
 * the storage after each way to end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/contract/contract_host.h"
#include "tests/run_suite.h"

static struct contract_host h;

static void open_host(void)
{
    contract_host_open(&h, NULL);
}

static void close_host(void)
{
    contract_host_close(&h);
}

static void init_hackatom(const char *file)
{
    char message[2048];
    contract_host_load_file(&h, file);
    (void)snprintf(message, sizeof message, "{\"verifier\": \"%s\", \"beneficiary\": \"%s\"}",
                   h.verifier.text, h.beneficiary.text);
    (void)contract_host_call(&h, WEIR_CONTRACT_instantiate, h.creator.text,
                             "{\"denom\":\"earth\",\"amount\":\"1000\"}", message);
}

#define RELEASE "{\"release\":{\"denom\":\"earth\"}}"
#define EARTH_15 "{\"denom\":\"earth\",\"amount\":\"15\"}"

/* Rows 1 to 3: gas as upstream's own tests assert it. */
START_TEST(costs_to_the_unit)
{
    char text[4096];
    init_hackatom("hackatom.wasm");
    contract_host_expect(&h, "{\"ok\":{\"messages\":[],\"attributes\":[{\"key\":\"Let the\","
                             "\"value\":\"hacking begin\"}],\"events\":[],\"data\":null}}");
    ck_assert_uint_eq(h.result.gas_used, 18034576);
    ck_assert_uint_eq(h.result.gas_external, 251);
    ck_assert_str_eq((const char *)h.result.debug.data, "here we go \xf0\x9f\x9a\x80");
    (void)snprintf(text, sizeof text,
                   "{\"verifier\":\"%s\",\"beneficiary\":\"%s\",\"funder\":\"%s\"}",
                   h.verifier.text, h.beneficiary.text, h.creator.text);
    ck_assert_str_eq(contract_host_stored(&h, "config"), text);
    ck_assert_uint_eq(contract_host_pairs(&h), 1);
    ck_assert_uint_eq(h.result.peak_pages, 18);

    (void)contract_host_call(&h, WEIR_CONTRACT_query, "", "", "{\"verifier\":{}}");
    ck_assert_uint_eq(h.result.gas_used, 11105566);
    contract_host_expect(
        &h,
        "{\"ok\":\"eyJ2ZXJpZmllciI6ImNvc213YXNtMXB1NnFuenR3bjh3OTVqOTAzNzg2YXFzdGozc21oeHlzZW5hc"
        "3AzcmtoZGZ3MDZlOXZyanMycmx4OHcifQ==\"}");
}
END_TEST

START_TEST(execute_costs_to_the_unit)
{
    char text[4096];
    init_hackatom("hackatom.wasm");
    (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.verifier.text, EARTH_15, RELEASE);
    ck_assert_uint_eq(h.result.gas_used, 24624366);
    (void)snprintf(
        text, sizeof text,
        "{\"ok\":{\"messages\":[{\"id\":0,\"payload\":\"\",\"msg\":{\"bank\":{\"send\":{"
        "\"to_address\":\"%s\",\"amount\":[{\"denom\":\"earth\",\"amount\":\"0\"}]}}},"
        "\"gas_limit\":null,\"reply_on\":\"never\"}],\"attributes\":[{\"key\":\"action\","
        "\"value\":\"release\"},{\"key\":\"destination\",\"value\":\"%s\"}],\"events\":[{"
        "\"type\":\"hackatom\",\"attributes\":[{\"key\":\"action\",\"value\":\"release\"}]}],"
        "\"data\":\"8Auq\"}}",
        h.beneficiary.text, h.beneficiary.text);
    contract_host_expect(&h, text);
}
END_TEST

/* Rows 4 to 10. */
START_TEST(answers_byte_for_byte)
{
    char text[4096], message[2048];
    init_hackatom("hackatom.wasm");
    (void)contract_host_call(&h, WEIR_CONTRACT_query, "", "", "{\"get_int\":{}}");
    contract_host_expect(&h, "{\"ok\":\"eyJpbnQiOjE1NzMxNjI2fQ==\"}");

    (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.beneficiary.text, "", RELEASE);
    ck_assert_int_eq(h.result.outcome, WEIR_CONTRACT_REFUSED);
    contract_host_expect(&h, "{\"error\":\"Unauthorized\"}");

    ck_assert_uint_eq(h.result.peak_pages, 18);
    (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.creator.text, "",
                             "{\"allocate_large_memory\":{\"pages\":48}}");
    contract_host_expect(&h, "{\"ok\":{\"messages\":[],\"attributes\":[],\"events\":[],\"data\":"
                             "\"AAAAEg==\"}}");
    ck_assert_uint_eq(h.result.peak_pages, 66);

    (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.creator.text, "", "{\"panic\":{}}");
    ck_assert_int_eq(h.result.outcome, WEIR_CONTRACT_FAILED);
    contract_host_expect(&h, "Error executing Wasm: Wasmer runtime error: RuntimeError: Aborted: "
                             "panicked at src/contract.rs:187:5:\nThis page intentionally faulted");

    contract_host_renew(&h); /* an abort leaves the contract's own stack where it was */
    (void)contract_host_call(&h, WEIR_CONTRACT_migrate, h.creator.text, "420",
                             "{\"verifier\":\"x\"}");
    contract_host_expect(&h, "{\"error\":\"Downgrade is not supported\"}");
    (void)snprintf(message, sizeof message, "{\"verifier\":\"%s\"}", h.beneficiary.text);
    ck_assert_int_eq(contract_host_call(&h, WEIR_CONTRACT_migrate, h.creator.text, "null", message),
                     WEIR_CONTRACT_ANSWERED);
    (void)snprintf(text, sizeof text,
                   "{\"verifier\":\"%s\",\"beneficiary\":\"%s\",\"funder\":\"%s\"}",
                   h.beneficiary.text, h.beneficiary.text, h.creator.text);
    ck_assert_str_eq(contract_host_stored(&h, "config"), text);

    (void)contract_host_call(&h, WEIR_CONTRACT_sudo, "", "",
                             "{\"steal_funds\":{\"recipient\":\"r\",\"amount\":[{\"denom\":"
                             "\"gold\",\"amount\":\"700\"}]}}");
    contract_host_expect(
        &h, "{\"ok\":{\"messages\":[{\"id\":0,\"payload\":\"\",\"msg\":{\"bank\":{\"send\":{"
            "\"to_address\":\"r\",\"amount\":[{\"denom\":\"gold\",\"amount\":\"700\"}]}}},"
            "\"gas_limit\":null,\"reply_on\":\"never\"}],\"attributes\":[],\"events\":[],"
            "\"data\":null}}");
}
END_TEST

/* Row 7: a memory of 16 MiB. */
START_TEST(memory_is_limited)
{
    contract_host_close(&h);
    contract_host_open(&h, &(struct weir_contract_vm_config){.memory_bytes_max = 16 << 20});
    init_hackatom("hackatom.wasm");
    (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.creator.text, "",
                             "{\"allocate_large_memory\":{\"pages\":1600}}");
    contract_host_expect(&h, "{\"error\":\"Generic error: memory.grow failed\"}");
    ck_assert_uint_eq(h.result.peak_pages, 18);
}
END_TEST

/* Row 11, and what is left after each way to end. */
START_TEST(loops_end_and_leave_no_trace)
{
    static const char *const LOOPS[] = {"{\"cpu_loop\":{}}", "{\"storage_loop\":{}}",
                                        "{\"memory_loop\":{}}"};
    init_hackatom("hackatom.wasm");
    char before[2048];
    (void)snprintf(before, sizeof before, "%s", contract_host_stored(&h, "config"));
    h.gas_limit = 2000000000;
    for (size_t i = 0; i < sizeof LOOPS / sizeof LOOPS[0]; i++) {
        contract_host_renew(&h);
        (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.creator.text, "", LOOPS[i]);
        ck_assert_int_eq(h.result.outcome, WEIR_CONTRACT_FAILED);
        ck_assert(h.result.is_out_of_gas);
        contract_host_expect(&h, "Ran out of gas during contract execution");
        ck_assert_uint_eq(h.result.gas_used, h.gas_limit);
        ck_assert_uint_lt(h.result.peak_pages, 200);
        ck_assert_uint_eq(contract_host_pairs(&h), 1);
        ck_assert_str_eq(contract_host_stored(&h, "config"), before);
    }
    ck_assert_uint_gt(h.result.peak_pages, 50); /* of the memory loop */
}
END_TEST

/* Older ones: two arguments for migrate, no capabilities. */
START_TEST(older_interfaces_run)
{
    static const char *const FILES[] = {"hackatom_1.0.wasm", "hackatom_1.2.wasm",
                                        "hackatom_1.3.wasm"};
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char message[2048];
        init_hackatom(FILES[i]);
        ck_assert_msg(h.result.outcome == WEIR_CONTRACT_ANSWERED, "%s: %s", FILES[i],
                      contract_host_said(&h));
        (void)snprintf(message, sizeof message, "{\"verifier\":\"%s\"}", h.beneficiary.text);
        (void)contract_host_call(&h, WEIR_CONTRACT_migrate, h.creator.text, "null", message);
        ck_assert_msg(h.result.outcome == WEIR_CONTRACT_ANSWERED, "%s: %s", FILES[i],
                      contract_host_said(&h));
        (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.beneficiary.text, EARTH_15,
                                 i < 2 ? "{\"release\":{}}" : RELEASE);
        ck_assert_msg(h.result.outcome == WEIR_CONTRACT_ANSWERED, "%s: %s", FILES[i],
                      contract_host_said(&h));
    }
}
END_TEST

static const struct {
    const char *file, *reason; /* the beginning of the first refusal */
} REFUSED[] = {
    {"hackatom_0.7.wasm", "missing a required marker export: interface_version_*"},
    {"hackatom_0.8.wasm", "missing a required marker export: interface_version_*"},
    {"hackatom_0.9.wasm", "missing a required marker export: interface_version_*"},
    {"hackatom_0.10.wasm", "missing a required marker export: interface_version_*"},
    {"hackatom_0.11.wasm", "missing a required marker export: interface_version_*"},
    {"hackatom_0.12.wasm", "missing a required marker export: interface_version_*"},
    {"hackatom_0.14.wasm", "has unknown interface_version_* marker export (see "},
    {"hackatom_0.15.wasm", "has unknown interface_version_* marker export (see "},
    {"hackatom_0.16.wasm", "has unknown interface_version_* marker export (see "},
    {"floaty_0.16.wasm", "has unknown interface_version_* marker export (see "},
    {"ibc_reflect_0.14.wasm", "has unknown interface_version_* marker export (see "},
    {"ibc_reflect_0.15.wasm", "has unknown interface_version_* marker export (see "},
    {"ibc_reflect_0.16.wasm", "has unknown interface_version_* marker export (see "},
    {"corrupted.wasm", "missing a required marker export: interface_version_*"},
};

START_TEST(others_are_refused)
{
    static const char CONTRACT[] = "Error during static Wasm validation: Wasm contract ";
    size_t size;
    struct weir_contract_code *code = NULL;
    struct weir_error error = {0};
    uint8_t *bytes = contract_host_read(REFUSED[_i].file, &size);
    ck_assert_int_eq(
        weir_contract_code_new(h.vm, (struct weir_contract_bytes){bytes, size}, &code, &error),
        WEIR_INVALID);
    ck_assert_int_eq(strncmp(error.message, CONTRACT, sizeof CONTRACT - 1), 0);
    ck_assert_msg(strncmp(error.message + sizeof CONTRACT - 1, REFUSED[_i].reason,
                          strlen(REFUSED[_i].reason)) == 0,
                  "%s: %s", REFUSED[_i].file, error.message);
    if (strcmp(REFUSED[_i].file, "corrupted.wasm") == 0) {
        bool is_told = false;
        for (const struct weir_error_detail *d = error.details; d != NULL; d = d->next)
            is_told |= strstr(d->text, "Wasm bytecode could not be deserialized. ") != NULL;
        ck_assert_msg(is_told, "the broken code is not told");
    }
    weir_error_done(&error);
    free(bytes);
}
END_TEST

/* Contracts of other kinds are taken, and answer. */
START_TEST(others_run)
{
    static const char *const FILES[] = {
        "empty.wasm",           "ibc2.wasm",      "ibc_callbacks.wasm",    "ibc_reflect.wasm",
        "ibc_reflect_1.0.wasm", "floaty.wasm",    "ibc_reflect_1.2.wasm",  "floaty_1.0.wasm",
        "floaty_1.2.wasm",      "cyberpunk.wasm", "cyberpunk_rust170.wasm"};
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++)
        contract_host_load_file(&h, FILES[i]);

    contract_host_load_file(&h, "empty.wasm");
    (void)contract_host_call(&h, WEIR_CONTRACT_instantiate, h.creator.text, "", "{}");
    contract_host_expect(&h, "Error resolving Wasm function: Could not get export: Missing export "
                             "instantiate");

    contract_host_load_file(&h, "ibc_reflect.wasm");
    (void)contract_host_call(&h, WEIR_CONTRACT_instantiate, h.creator.text, "",
                             "{\"reflect_code_id\":17}");
    ck_assert_int_eq(h.result.outcome, WEIR_CONTRACT_ANSWERED);
    (void)contract_host_call(
        &h, WEIR_CONTRACT_ibc_channel_open, "", "",
        "{\"open_init\":{\"channel\":{\"endpoint\":{\"port_id\":\"p\",\"channel_id\":\"c\"},"
        "\"counterparty_endpoint\":{\"port_id\":\"q\",\"channel_id\":\"d\"},\"order\":"
        "\"ORDER_UNORDERED\",\"version\":\"ibc-reflect-v1\",\"connection_id\":\"k\"}}}");
    contract_host_expect(&h, "{\"error\":\"Generic error: Only supports ordered channels\"}");
}
END_TEST

START_TEST(argon2_is_right)
{
    contract_host_load_file(&h, "cyberpunk.wasm");
    (void)contract_host_call(&h, WEIR_CONTRACT_instantiate, h.creator.text, "", "{}");
    (void)contract_host_call(&h, WEIR_CONTRACT_execute, h.creator.text, "",
                             "{\"argon2\":{\"mem_cost\":256,\"time_cost\":3}}");
    /* $argon2i$v=19$m=256,t=3,p=4$b3RoZXJzYWx0$CZuw3fkEI2uVEBvsxKjtR5Wi9SlI1QOmUZ66fPK6Vo4 */
    contract_host_expect(&h,
                         "{\"ok\":{\"messages\":[],\"attributes\":[],\"events\":[],\"data\":"
                         "\"JGFyZ29uMmkkdj0xOSRtPTI1Nix0PTMscD00JGIzUm9aWEp6WVd4MCRDWnV3M2ZrRUky"
                         "dVZFQnZzeEtqdFI1V2k5U2xJMVFPbVVaNjZmUEs2Vm80\"}}");
    ck_assert_uint_gt(h.result.gas_used, UINT64_C(6100000000));
    ck_assert_uint_lt(h.result.gas_used, UINT64_C(6300000000));
    ck_assert_uint_eq(h.result.peak_pages, 23);
}
END_TEST

/* A queue: iterators in both directions over keys that come and go. */
START_TEST(queue_iterates)
{
    contract_host_load_file(&h, "queue.wasm");
    (void)contract_host_call(&h, WEIR_CONTRACT_instantiate, h.creator.text, "", "{}");
    ck_assert_int_eq(h.result.outcome, WEIR_CONTRACT_ANSWERED);
    static const char *const STEPS[] = {"{\"enqueue\":{\"value\":25}}",
                                        "{\"enqueue\":{\"value\":17}}", "{\"dequeue\":{}}",
                                        "{\"enqueue\":{\"value\":42}}"};
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++)
        ck_assert_int_eq(
            contract_host_call(&h, WEIR_CONTRACT_execute, h.creator.text, "", STEPS[i]),
            WEIR_CONTRACT_ANSWERED);
    (void)contract_host_call(&h, WEIR_CONTRACT_query, "", "", "{\"count\":{}}");
    contract_host_expect(&h, "{\"ok\":\"eyJjb3VudCI6Mn0=\"}"); /* {"count":2} */
    (void)contract_host_call(&h, WEIR_CONTRACT_query, "", "", "{\"sum\":{}}");
    contract_host_expect(&h, "{\"ok\":\"eyJzdW0iOjU5fQ==\"}"); /* {"sum":59} */
    (void)contract_host_call(&h, WEIR_CONTRACT_query, "", "", "{\"reducer\":{}}");
    /* {"counters":[[17,42],[42,0]]} */
    contract_host_expect(&h, "{\"ok\":\"eyJjb3VudGVycyI6W1sxNyw0Ml0sWzQyLDBdXX0=\"}");
    (void)contract_host_call(&h, WEIR_CONTRACT_query, "", "",
                             "{\"open_iterators\":{\"count\":20}}");
    contract_host_expect(&h, "{\"ok\":\"e30=\"}"); /* {} */
    ck_assert_uint_gt(h.result.gas_external, 20 * 11 - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real contracts");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, open_host, close_host);
    tcase_add_test(tests, costs_to_the_unit);
    tcase_add_test(tests, execute_costs_to_the_unit);
    tcase_add_test(tests, answers_byte_for_byte);
    tcase_add_test(tests, memory_is_limited);
    tcase_add_test(tests, loops_end_and_leave_no_trace);
    tcase_add_test(tests, older_interfaces_run);
    tcase_add_loop_test(tests, others_are_refused, 0, sizeof REFUSED / sizeof REFUSED[0]);
    tcase_add_test(tests, others_run);
    tcase_add_test(tests, argon2_is_right);
    tcase_add_test(tests, queue_iterates);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
