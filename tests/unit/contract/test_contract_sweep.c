/* Every charge fails once on the way of a chain: opened, a code stored, a contract made, called,
 * asked, closed. An error with a reason or the right result, and nothing else; afterwards the
 * ledger holds what it held, and the same way works. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/run_suite.h"
#include "tests/unit/contract/contract_life.h"

#define CHARGES_MAX 6000
/* So many charges in a row that nobody misses: there are no more. */
#define DONE_IN_A_ROW 200

static char folder[] = "/tmp/weir-sweep-XXXXXX";
static struct script plain;

/* False when some step was refused. A call that answered must have left what it wrote. */
static bool live(void)
{
    struct weir_contract_chain *chain = NULL;
    struct weir_error error = {0};
    enum weir_contract_outcome outcome = WEIR_CONTRACT_FAILED;
    enum weir_status status = life_open(folder, &chain, &error);
    if (status == WEIR_OK)
        status = life_begin(chain, &error);
    if (status == WEIR_OK)
        status = life_call(chain, WEIR_CONTRACT_execute, &plain, &outcome, &error);
    bool is_answered = status == WEIR_OK && outcome == WEIR_CONTRACT_ANSWERED;
    if (is_answered) {
        struct weir_contract_state_place place = {weir_contract_chain_state(chain), 1};
        struct weir_contract_storage storage = weir_contract_state_storage(&place);
        struct weir_contract_buffer value = {.account = weir_account_host()};
        bool is_found = false;
        (void)weir_ledger_fail_nth(0); /* what comes is the test's own */
        ck_assert_int_eq(storage.get(storage.context,
                                     (struct weir_contract_bytes){(const uint8_t *)"key", 3},
                                     &is_found, &value, NULL),
                         WEIR_OK);
        ck_assert(is_found && value.size == 5);
        weir_contract_buffer_done(&value);
    } else if (status != WEIR_OK) {
        ck_assert_msg(error.message[0] != 0 || error.status != WEIR_OK, "no reason");
        weir_error_done(&error);
    }
    weir_contract_chain_close(chain);
    return is_answered;
}

static uint64_t used_bytes(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    return reading.used_bytes;
}

START_TEST(fails_cleanly)
{
    life_script(&plain);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(live());
    ck_assert(live());
    uint64_t before = used_bytes(), failures = 0, n = 1, in_a_row = 0;
    for (; n < CHARGES_MAX; n++) {
        /* `live` ends the counting when all went well. */
        (void)weir_ledger_fail_nth(n);
        bool is_done = live();
        (void)weir_ledger_fail_nth(0);
        failures += !is_done;
        in_a_row = is_done ? in_a_row + 1 : 0;
        ck_assert_msg(used_bytes() == before, "charge %u: %lld bytes", (unsigned)n,
                      (long long)(used_bytes() - before));
        if (in_a_row == DONE_IN_A_ROW)
            break;
    }
    ck_assert_uint_gt(failures, 100);
    ck_assert_uint_lt(n, CHARGES_MAX);
    ck_assert(live());
    (void)printf("%u of %u charges refused\n", (unsigned)failures, (unsigned)n);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation failures of contracts");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, fails_cleanly);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
