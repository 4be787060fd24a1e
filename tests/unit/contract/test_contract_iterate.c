/* Iterators beside a model that copies its range when it is opened, as upstream's storage in tests
 * does and as on chains the store above the tree does: whatever is written meanwhile, each shows
 * the same pairs in the same order. What is kept for that is charged, bounded and given back. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/run_suite.h"
#include "worlds/contract/contract_internal.h"
#include "worlds/contract/contract_state.h"

#define KEYS 40u /* of one or two bytes */
#define OPEN_MAX 12u
#define RANGE_MAX KEYS

struct pair {
    uint8_t key, value; /* value 0: not there */
};

struct cursor {
    struct pair pairs[RANGE_MAX];
    size_t count, at;
};

static struct weir_contract_state *state;
static struct weir_contract_state_place place;
static struct weir_contract_storage storage;
static struct weir_account *account;
static struct weir_contract_run run;
static uint8_t model[KEYS];
static struct cursor cursors[OPEN_MAX];
static uint64_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static void begin(void)
{
    ck_assert_int_eq(weir_contract_state_open(NULL, &state, NULL), WEIR_OK);
    place = (struct weir_contract_state_place){state, 1};
    storage = weir_contract_state_storage(&place);
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_STORE, "iterators",
                                      WEIR_UNLIMITED, &account, NULL),
                     WEIR_OK);
    run = (struct weir_contract_run){.host = {.storage = &storage}, .account = account};
    memset(model, 0, sizeof model);
}

static void finish(void)
{
    weir__contract_iterators_close(&run);
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    weir_account_close(account);
    weir_contract_state_close(state);
}

/* In the order of the numbers: every fourth is the beginning of those behind it. */
static struct weir_contract_bytes key_of(uint32_t number)
{
    static uint8_t bytes[KEYS][2];
    bytes[number][0] = (uint8_t)(number / 4 * 28);
    bytes[number][1] = (uint8_t)(number % 4 * 85);
    return (struct weir_contract_bytes){bytes[number], number % 4 == 0 ? 1 : 2};
}

static void write_key(uint32_t number, uint8_t value)
{
    const struct weir_contract_bytes key = key_of(number), bytes = {&value, 1};
    ck_assert_int_eq(weir__contract_remember(&run, key), WEIR_OK);
    ck_assert_int_eq(value != 0 ? storage.set(storage.context, key, bytes, NULL)
                                : storage.remove(storage.context, key, NULL),
                     WEIR_OK);
    model[number] = value;
}

static void append(struct weir_contract_buffer *buffer, struct weir_contract_bytes bytes)
{
    ck_assert_int_eq(weir_contract_append(buffer, bytes.data, bytes.size, NULL), WEIR_OK);
}

/* From one key to before another; KEYS: to the end. */
static void open_range(uint32_t from, uint32_t to, bool is_descending)
{
    struct weir__contract_iterator iterator = {.start.account = account,
                                               .end.account = account,
                                               .has_end = to < KEYS,
                                               .is_descending = is_descending};
    if (from > 0)
        append(&iterator.start, key_of(from));
    if (to < KEYS)
        append(&iterator.end, key_of(to));
    struct cursor *cursor = &cursors[run.iterator_count];
    ck_assert_int_eq(weir__contract_iterator_add(&run, &iterator), WEIR_OK);
    cursor->at = cursor->count = 0;
    for (uint32_t i = 0; from + i < to && from + i < KEYS; i++) {
        uint32_t number = is_descending ? to - 1 - i : from + i;
        if (model[number] != 0)
            cursor->pairs[cursor->count++] = (struct pair){(uint8_t)number, model[number]};
    }
}

static void step(uint32_t id)
{
    struct weir_contract_buffer key = {.account = account}, value = key;
    struct cursor *cursor = &cursors[id];
    bool is_found;
    ck_assert_int_eq(weir__contract_iterator_next(&run, id, &is_found, &key, &value), WEIR_OK);
    ck_assert_int_eq(is_found, cursor->at < cursor->count);
    if (is_found) {
        const struct pair *pair = &cursor->pairs[cursor->at++];
        const struct weir_contract_bytes wanted = key_of(pair->key);
        ck_assert_uint_eq(key.size, wanted.size);
        ck_assert_int_eq(memcmp(key.data, wanted.data, wanted.size), 0);
        ck_assert_uint_eq(value.size, 1);
        ck_assert_uint_eq(value.data[0], pair->value);
    }
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
}

START_TEST(shows_what_was)
{
    size_t steps = 0;
    for (int round = 0; round < 200; round++) {
        seed = (uint64_t)round;
        begin();
        for (int i = 0; i < 200; i++) {
            unsigned what = any(10);
            if (what < 5) {
                write_key(any(KEYS), (uint8_t)(any(3) * any(85)));
            } else if (what == 5 && run.iterator_count < OPEN_MAX) {
                uint32_t from = any(KEYS);
                open_range(any(2) * from, any(3) > 0 ? from + any(KEYS + 1 - from) : KEYS,
                           any(2) == 0);
            } else if (run.iterator_count > 0) {
                step(any(run.iterator_count));
                steps++;
            }
        }
        for (uint32_t id = 0; id < run.iterator_count; id++)
            for (uint32_t i = 0; i <= KEYS; i++)
                step(id);
        finish();
    }
    ck_assert_uint_gt(steps, 5000);
}
END_TEST

/* One that is at its end stays there, and nothing is kept for it. */
START_TEST(the_end_is_final)
{
    begin();
    open_range(0, KEYS, false);
    step(0);
    ck_assert_uint_eq(run.iterators_going, 0);
    for (uint32_t i = 0; i < KEYS; i++)
        write_key(i, 1);
    ck_assert_ptr_null(run.before);
    step(0);
    open_range(0, KEYS, true);
    write_key(0, 0);
    ck_assert_ptr_nonnull(run.before);
    finish();
}
END_TEST

static struct weir_contract_bytes number_key(uint32_t number, uint8_t bytes[4])
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    return (struct weir_contract_bytes){bytes, 4};
}

static void write_numbers(uint32_t count, bool is_there)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[4];
        const struct weir_contract_bytes key = number_key(i, bytes);
        ck_assert_int_eq(weir__contract_remember(&run, key), WEIR_OK);
        ck_assert_int_eq(is_there ? storage.set(storage.context, key, key, NULL)
                                  : storage.remove(storage.context, key, NULL),
                         WEIR_OK);
    }
}

static enum weir_status first_of_many(uint32_t count, bool is_descending, bool *ret_is_found)
{
    enum weir_status status = WEIR_OK;
    const struct weir__contract_iterator all = {
        .start.account = account, .end.account = account, .is_descending = is_descending};
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(weir__contract_iterator_add(&run, &all), WEIR_OK);
    for (uint32_t i = run.iterator_count - count; i < run.iterator_count && status == WEIR_OK;
         i++) {
        struct weir_contract_buffer key = {.account = account}, value = key;
        if (weir__contract_iterator_next(&run, i, ret_is_found, &key, &value) != WEIR_OK)
            status = run.status;
        weir_contract_buffer_done(&key);
        weir_contract_buffer_done(&value);
    }
    return status;
}

/* 5,000 records too old for whom they are not: passed over whole. Without that these are
 * 20 million steps. */
START_TEST(old_records_cost_little)
{
    bool is_found = true;
    begin();
    write_numbers(5000, true);
    open_range(0, KEYS, false);
    write_numbers(5000, false);
    for (int direction = 0; direction < 2; direction++) {
        ck_assert_int_eq(first_of_many(2000, direction == 1, &is_found), WEIR_OK);
        ck_assert(!is_found);
    }
    ck_assert_uint_eq(run.passed_count, 0);
    finish();
}
END_TEST

/* Keys that came later are passed one by one: up to a limit for the whole call, with a reason. */
START_TEST(passing_has_a_limit)
{
    enum {
        KEYS_LATER = 256,
        enough = 8
    };
    bool is_found;
    begin();
    run.passed_count = CONTRACT_PASSED_MAX - enough * KEYS_LATER;
    const struct weir__contract_iterator all = {.start.account = account, .end.account = account};
    for (uint32_t i = 0; i <= enough; i++)
        ck_assert_int_eq(weir__contract_iterator_add(&run, &all), WEIR_OK);
    write_numbers(KEYS_LATER, true);
    struct weir_contract_buffer key = {.account = account}, value = key;
    for (uint32_t i = 0; i < enough; i++) {
        ck_assert_int_eq(weir__contract_iterator_next(&run, i, &is_found, &key, &value), WEIR_OK);
        ck_assert(!is_found);
    }
    ck_assert_int_eq(weir__contract_iterator_next(&run, enough, &is_found, &key, &value),
                     WEIR_TRAP);
    ck_assert_int_eq(run.status, WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(run.error.message, "more than 262144 keys"));
    weir_error_done(&run.error);
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
    finish();
}
END_TEST

/* An allocation that fails is a status; what was there before stays right. */
START_TEST(allocations_may_fail)
{
    unsigned failures = 0;
    begin();
    write_key(1, 7);
    open_range(0, KEYS, false);
    for (uint64_t n = 1; n < 50; n++) {
        (void)weir_ledger_fail_nth(n);
        enum weir_status status = weir__contract_remember(&run, key_of(1));
        (void)weir_ledger_fail_nth(0);
        if (status == WEIR_OK)
            break;
        failures++;
        ck_assert_int_eq(run.status, WEIR_NO_MEMORY);
        ck_assert_ptr_null(run.before);
    }
    ck_assert_uint_gt(failures, 1);
    write_key(1, 8);
    step(0);
    step(0);
    weir_error_done(&run.error);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iterators of contracts");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, shows_what_was);
    tcase_add_test(tests, the_end_is_final);
    tcase_add_test(tests, old_records_cost_little);
    tcase_add_test(tests, passing_has_a_limit);
    tcase_add_test(tests, allocations_may_fail);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
