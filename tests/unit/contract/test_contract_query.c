/* Requests to the chain that are made to be expensive: what jansson holds for them is never more
 * than what the contract that asks is charged, and where that is too much, it is refused before. */
#include <check.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/run_suite.h"
#include "worlds/contract/contract_chain_internal.h"

static size_t held, peak;
static uint64_t charged_peak;
static struct weir_account *account;
static struct weir_contract_chain *chain;

/* With the word before each block. */
static size_t size_of(void *block)
{
    return malloc_usable_size(block) + sizeof(size_t);
}

static void *take(size_t size)
{
    void *block = malloc(size);
    if (block != NULL)
        held += size_of(block);
    if (held > peak) {
        struct weir_account_reading reading;
        peak = held;
        weir_account_read(account, &reading);
        charged_peak = reading.used_bytes;
    }
    return block;
}

static void give(void *block)
{
    if (block != NULL)
        held -= size_of(block);
    free(block);
}

static const struct {
    const char *first, *again, *last, *then; /* `then` closes what `again` opens, around `first` */
} TEXTS[] = {
    {"[{}", ",{}", "]", ""},
    {"{\"a\":[{}", ",{}", "]}", ""},
    {"[[]", ",[]", "]", ""},
    {"[1", ",1", "]", ""},
    {"[1.5", ",0.5", "]", ""},
    {"[\"\"", ",\"\"", "]", ""},
    {"[{\"a\":1}", ",{\"a\":1}", "]", ""},
    {"[{\"\":{}}", ",{\"\":{}}", "]", ""},
    {"", "[", "", "]"},
    {"1", "{\"\":", "", "}"},
    {"{\"", "x", "\":{\"a\":1}}", ""},
    {"{\"", "\\u0001", "\":{\"a\":1}}", ""},
    {"{\"wasm\":{\"smart\":{\"contract_addr\":\"", "a", "\",\"msg\":\"\"}}}", ""},
    {"{\"bank\":{\"balance\":{\"address\":\"a\",\"denom\":\"", "\\u0001", "\"}}}", ""},
};

static size_t put(char *text, size_t at, const char *part)
{
    size_t size = strlen(part);
    memcpy(text + at, part, size);
    return at + size;
}

/* As many repetitions as fit, at most `count_max`. */
static size_t fill(size_t which, char *text, size_t count_max)
{
    bool is_nested = TEXTS[which].then[0] != 0;
    size_t fixed = strlen(TEXTS[which].first) + strlen(TEXTS[which].last), size = 0;
    size_t count =
        (CONTRACT_QUERY_MAX - fixed) / (strlen(TEXTS[which].again) + strlen(TEXTS[which].then));
    count = count < count_max ? count : count_max;
    size = is_nested ? 0 : put(text, 0, TEXTS[which].first);
    for (size_t i = 0; i < count; i++)
        size = put(text, size, TEXTS[which].again);
    size = is_nested ? put(text, size, TEXTS[which].first) : size;
    for (size_t i = 0; i < count; i++)
        size = put(text, size, TEXTS[which].then);
    return put(text, size, TEXTS[which].last);
}

static enum weir_status ask(const char *text, size_t size, struct weir_error *error)
{
    static const struct weir_contract_message message;
    struct chain_asker asker = {chain, "a"};
    struct weir_contract_buffer answer = {.account = account};
    uint64_t gas = 0;
    chain->message = &message;
    enum weir_status status =
        weir__chain_query(&asker, (struct weir_contract_bytes){(const uint8_t *)text, size}, 1000,
                          &gas, &answer, error);
    if (status == WEIR_OK)
        ck_assert_uint_gt(answer.size, 2);
    weir_contract_buffer_done(&answer);
    return status;
}

static void begin(uint64_t limit)
{
    const struct weir_contract_chain_config config = {0};
    json_set_alloc_funcs(take, give);
    ck_assert_int_eq(
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_STORE, "asks", limit, &account, NULL),
        WEIR_OK);
    ck_assert_int_eq(weir_contract_chain_open(&config, &chain, NULL), WEIR_OK);
}

static void finish(void)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    ck_assert_uint_eq(held, 0);
    weir_contract_chain_close(chain);
    weir_account_close(account);
}

START_TEST(what_is_held_is_charged)
{
    static char text[CONTRACT_QUERY_MAX + 64];
    static const size_t COUNTS[] = {0, 1, 10, 2000, SIZE_MAX};
    begin(WEIR_UNLIMITED);
    for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
        size_t size = fill((size_t)_i, text, COUNTS[i]);
        ck_assert_uint_le(size, CONTRACT_QUERY_MAX);
        peak = 0;
        ck_assert_int_eq(ask(text, size, NULL), WEIR_OK);
        ck_assert_msg(peak <= charged_peak + 1024, "%zu bytes: %zu held, %llu charged", size, peak,
                      (unsigned long long)charged_peak);
    }
    printf("%-50.50s %5.1f bytes for each\n", TEXTS[_i].again, (double)peak / sizeof text);
    finish();
}
END_TEST

/* An account that has no room for the worst refuses it, and takes the next. */
START_TEST(too_much_is_refused)
{
    static char text[CONTRACT_QUERY_MAX + 64];
    struct weir_error error = {0};
    begin(1 << 20);
    size_t size = fill(0, text, SIZE_MAX);
    peak = 0;
    ck_assert_int_eq(ask(text, size, &error), WEIR_LIMIT);
    ck_assert_uint_eq(peak, 0);
    ck_assert_msg(error.message[0] != 0, "no reason");
    weir_error_done(&error);
    ck_assert_int_eq(ask(text, fill(0, text, 100), NULL), WEIR_OK);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("queries of contracts");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, what_is_held_is_charged, 0, sizeof TEXTS / sizeof TEXTS[0]);
    tcase_add_test(tests, too_much_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
