/* Addresses, base64, coins, sections, regions: tables of what is right and what is not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/run_suite.h"
#include "worlds/contract/contract_internal.h"
#include "worlds/contract/contract_text.h"

static struct weir_contract_bytes text_bytes(const char *text)
{
    return (struct weir_contract_bytes){(const uint8_t *)text, strlen(text)};
}

/* --- addresses ------------------------------------------------------------------------------- */

START_TEST(addresses_of_names)
{
    static const char *const NAMES[][2] = {
        {"creator", "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp"},
        {"cosmos2contract", "cosmwasm1jpev2csrppg792t22rn8z8uew8h3sjcpglcd0qv9g8gj8ky922tscp8avs"},
    };
    struct weir_address_text address;
    for (size_t i = 0; i < 2; i++) {
        ck_assert(weir_address_of_name("cosmwasm", NAMES[i][0], &address));
        ck_assert_str_eq(address.text, NAMES[i][1]);
    }
    ck_assert(weir_address_of_name("juno", "creator", &address));
    ck_assert_str_eq(address.text,
                     "juno1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqsksmtyp");
}
END_TEST

static const struct {
    const char *prefix, *text, *problem; /* NULL: right */
} ADDRESSES[] = {
    {"cosmwasm", "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp", NULL},
    {"cosmwasm", "COSMWASM1H34LMPYWH4UPNJDG90CJF4J70AEE6Z8QQFSPUGAMJP42E4Q28KQS8S7VCP", NULL},
    {"a", "a12uel5l", "Invalid canonical address length"}, /* BIP 173, without data */
    {"bc", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "Error decoding bech32"}, /* 1st group */
    {"cosmwasm", "cosmwasm1H34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp",
     "Error decoding bech32"}, /* both cases */
    {"cosmwasm", "cosmwasm1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcq",
     "Error decoding bech32"}, /* checksum */
    {"cosmwasm", "cosmwasm1b34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqs8s7vcp",
     "Error decoding bech32"}, /* no b in the alphabet */
    {"cosmwasm", "juno1h34lmpywh4upnjdg90cjf4j70aee6z8qqfspugamjp42e4q28kqsksmtyp",
     "Wrong bech32 prefix"},
    {"cosmwasm", "", "Error decoding bech32"},
    {"cosmwasm", "1", "Error decoding bech32"},
    {"cosmwasm", "1nwldj5", "Error decoding bech32"},
    {"cosmwasm", "cosmwasm1", "Error decoding bech32"},
    {"cosmwasm", "cosmwasm1short", "Error decoding bech32"},
    {"cosmwasm", "no separator", "Error decoding bech32"},
    {"cosmwasm", "cosm\x7fwasm1h34lmpywh4upn", "Error decoding bech32"},
};

START_TEST(addresses_are_read)
{
    uint8_t bytes[WEIR_ADDRESS_BYTES_MAX];
    size_t size = 0;
    const char *problem = weir_address_read(ADDRESSES[_i].prefix, ADDRESSES[_i].text,
                                            strlen(ADDRESSES[_i].text), bytes, &size);
    if (ADDRESSES[_i].problem == NULL) {
        ck_assert_msg(problem == NULL, "%s: %s", ADDRESSES[_i].text, problem);
        ck_assert_uint_eq(size, 32);
    } else {
        ck_assert_msg(problem != NULL && strcmp(problem, ADDRESSES[_i].problem) == 0, "%s: %s",
                      ADDRESSES[_i].text, problem != NULL ? problem : "taken");
    }
}
END_TEST

START_TEST(addresses_of_every_length)
{
    uint8_t bytes[WEIR_ADDRESS_BYTES_MAX + 1], found[WEIR_ADDRESS_BYTES_MAX];
    struct weir_address_text address;
    for (size_t size = 1; size <= WEIR_ADDRESS_BYTES_MAX; size++) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(i * 37 + size);
        ck_assert(weir_address_write("x", bytes, size, &address));
        size_t back = 0;
        ck_assert_ptr_null(
            weir_address_read("x", address.text, strlen(address.text), found, &back));
        ck_assert_uint_eq(back, size);
        ck_assert_mem_eq(found, bytes, size);
        /* One character changed anywhere behind the separator is noticed. */
        size_t at = 2 + size % (strlen(address.text) - 2);
        address.text[at] = address.text[at] == 'q' ? 'p' : 'q';
        ck_assert_ptr_nonnull(
            weir_address_read("x", address.text, strlen(address.text), found, &back));
    }
    ck_assert(!weir_address_write("x", bytes, 0, &address));
    ck_assert(!weir_address_write("x", bytes, WEIR_ADDRESS_BYTES_MAX + 1, &address));
    ck_assert(!weir_address_write("", bytes, 1, &address));
    ck_assert(!weir_address_write("a b", bytes, 1, &address));
}
END_TEST

/* --- base64 ---------------------------------------------------------------------------------- */

static const struct {
    const char *plain, *text; /* plain NULL: no base64 */
} BASE64[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {NULL, "Zg"},
    {NULL, "Zg="},
    {NULL, "Zg==="},
    {NULL, "="},
    {NULL, "===="},
    {NULL, "Zh=="},
    {NULL, "Zm9="},
    {NULL, "Z m8"},
    {NULL, "Zm8-"},
    {NULL, "Zg==Zg=="},
    {NULL, "Zm9vY"},
    {NULL, "\n"},
};

START_TEST(base64_is_strict)
{
    struct weir_contract_buffer buffer = {.account = weir_account_host()};
    const char *text = BASE64[_i].text;
    enum weir_status status = weir_base64_read(text, strlen(text), &buffer, NULL);
    ck_assert_int_eq(status, BASE64[_i].plain != NULL ? WEIR_OK : WEIR_INVALID_ARGUMENT);
    if (BASE64[_i].plain == NULL) {
        ck_assert_uint_eq(buffer.size, 0);
    } else {
        ck_assert_uint_eq(buffer.size, strlen(BASE64[_i].plain));
        ck_assert(buffer.size == 0 || memcmp(buffer.data, BASE64[_i].plain, buffer.size) == 0);
        buffer.size = 0;
        ck_assert_int_eq(weir_base64_append(&buffer, text_bytes(BASE64[_i].plain), NULL), WEIR_OK);
        ck_assert_uint_eq(buffer.size, strlen(text));
        ck_assert(buffer.size == 0 || memcmp(buffer.data, text, buffer.size) == 0);
    }
    weir_contract_buffer_done(&buffer);
}
END_TEST

/* --- coins ----------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *read; /* NULL: refused */
} COINS[] = {
    {"", ""},
    {"1000earth", "1000earth"},
    {"1earth,2token", "1earth,2token"},
    {"2token,1earth,3air", "3air,1earth,2token"},
    {"0abc", ""},
    {"0abc,1earth,000xyz", "1earth"},
    {"007earth", "7earth"},
    {"1ibc/27A6-x", "1ibc/27A6-x"},
    {"earth", NULL},
    {"1", NULL},
    {"1ab", NULL},
    {"1earth,", NULL},
    {",1earth", NULL},
    {",", NULL},
    {"1earth,,2token", NULL},
    {"1earth,2token,1earth", NULL},
    {" 1earth", NULL},
    {"1earth 2token", NULL},
    {"-1earth", NULL},
    {"1.5earth", NULL},
    {"340282366920938463463374607431768211455abc", "340282366920938463463374607431768211455abc"},
    {"0340282366920938463463374607431768211455abc", "340282366920938463463374607431768211455abc"},
    {"340282366920938463463374607431768211456abc", NULL},
    {"1000000000000000000000000000000000000000abc", NULL},
};

START_TEST(coins_are_read)
{
    struct weir_coins coins;
    struct weir_error error = {0};
    char back[512] = "";
    enum weir_status status = weir_coins_read(COINS[_i].text, &coins, &error);
    if (COINS[_i].read == NULL) {
        ck_assert_int_eq(status, WEIR_INVALID_ARGUMENT);
        ck_assert_int_eq(strncmp(error.message, "coins: ", 7), 0);
        return;
    }
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    for (size_t i = 0; i < coins.count; i++) {
        size_t used = strlen(back);
        (void)snprintf(back + used, sizeof back - used, "%s%s%s", i > 0 ? "," : "",
                       coins.items[i].amount, coins.items[i].denom);
    }
    ck_assert_str_eq(back, COINS[_i].read);
}
END_TEST

/* As many kinds as there is room for, and no more. */
START_TEST(coins_are_bounded)
{
    struct weir_coins coins;
    char text[1024] = "";
    for (unsigned i = 0; i <= WEIR_COINS_MAX; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s1coin%c%c", i > 0 ? "," : "",
                       'a' + (char)(i / 26), 'a' + (char)(i % 26));
        ck_assert_int_eq(weir_coins_read(text, &coins, NULL),
                         i < WEIR_COINS_MAX ? WEIR_OK : WEIR_INVALID_ARGUMENT);
    }
}
END_TEST

/* --- sections -------------------------------------------------------------------------------- */

static const struct {
    const char *bytes;
    size_t size;
    int count; /* -1: refused */
} SECTIONS[] = {
    {"", 0, 0},
    {"\0\0\0\0", 4, 1},
    {"\0\0\0\0\0\0\0\0", 8, 2},
    {"\xAA\0\0\0\x01", 5, 1},
    {"\xAA\0\0\0\x01\xBB\xCC\0\0\0\x02", 11, 2},
    {"\0\0\0\0\xDE\xEF\x62\0\0\0\x03", 11, 2},
    {"\xAA\0\0\0\x02", 5, -1},
    {"\xAA\0\0\0\x01\xBB\x03\0\0\0\x03", 11, -1},
    {"\x44\xAA\0\0\0\x01", 6, -1},
    {"\x44", 1, -1},
    {"\x44\x44\x44", 3, -1},
    {"\xff\xff\xff\xff", 4, -1},
    {"\0\0\0\0\xff\xff\xff\xfb", 8, -1},
};

START_TEST(sections_are_split)
{
    struct weir_contract_bytes items[4];
    const struct weir_contract_bytes bytes = {(const uint8_t *)SECTIONS[_i].bytes,
                                              SECTIONS[_i].size};
    uint32_t count = 99;
    const char *problem = weir__contract_sections(bytes, items, 4, &count);
    ck_assert_int_eq(problem == NULL ? (int)count : -1, SECTIONS[_i].count);
    if (problem != NULL)
        return;
    struct weir_contract_buffer back = {.account = weir_account_host()};
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(weir__contract_section_append(&back, items[i], NULL), WEIR_OK);
    ck_assert_uint_eq(back.size, bytes.size);
    ck_assert(back.size == 0 || memcmp(back.data, bytes.data, back.size) == 0);
    weir_contract_buffer_done(&back);
    count = 99; /* only counted */
    ck_assert_ptr_null(weir__contract_sections(bytes, NULL, 0, &count));
    ck_assert_int_eq((int)count, SECTIONS[_i].count);
}
END_TEST

#define COUNT(list) (int)(sizeof(list) / sizeof(list)[0])

int main(void)
{
    Suite *suite = suite_create("contract texts");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, addresses_of_names);
    tcase_add_loop_test(tests, addresses_are_read, 0, COUNT(ADDRESSES));
    tcase_add_test(tests, addresses_of_every_length);
    tcase_add_loop_test(tests, base64_is_strict, 0, COUNT(BASE64));
    tcase_add_loop_test(tests, coins_are_read, 0, COUNT(COINS));
    tcase_add_test(tests, coins_are_bounded);
    tcase_add_loop_test(tests, sections_are_split, 0, COUNT(SECTIONS));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
