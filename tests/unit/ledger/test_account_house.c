/* Accounts that live in the memory they account for: made whole or refused, never in their own
 * figures after they moved out, and gone with the last charge or whoever still looks at them. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/mapping.h"

#define PAGE UINT64_C(4096)
#define SIZE (3 * PAGE - 100)
#define ROUNDED (3 * PAGE)
#define OFFSET 1024

static struct weir_account *tenant;

static struct weir_account_reading read_of(const struct weir_account *account)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    return reading;
}

static enum weir_status make(uint64_t limit, void **ret_memory, struct weir_account **ret_account,
                             struct weir_error *error)
{
    return weir_account_new_housed(tenant, "home",
                                   &(struct weir_house){WEIR_KIND_INSTANCE, SIZE, OFFSET, limit},
                                   ret_memory, ret_account, error);
}

static struct weir_account *make_one(void **ret_memory)
{
    struct weir_error error = {0};
    struct weir_account *account = NULL;
    enum weir_status status = make(WEIR_UNLIMITED, ret_memory, &account, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return account;
}

static void open_tenant(void)
{
    ck_assert_int_eq(
        weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", 64 * PAGE, &tenant, NULL),
        WEIR_OK);
}

static void close_tenant(void)
{
    weir_account_close(tenant);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
    ck_assert_uint_eq(read_of(weir_account_host()).kinds[WEIR_KIND_MAPPING], 0);
    ck_assert_uint_eq(weir_mapping_count(), 0);
}

START_TEST(it_pays_for_the_pages_it_lives_in)
{
    uint64_t heap = weir_ledger_heap_bytes();
    uint64_t before = read_of(weir_account_host()).used_bytes;
    void *memory = NULL;
    struct weir_account *account = make_one(&memory);
    ck_assert_ptr_eq((uint8_t *)memory + OFFSET, account);
    for (size_t i = 0; i < SIZE; i++)
        ck_assert(((uint8_t *)memory)[i] == 0 || (i >= OFFSET && i < OFFSET + WEIR_HOUSED_BYTES));
    memset(memory, 0xa5, OFFSET);
    memset((uint8_t *)memory + OFFSET + WEIR_HOUSED_BYTES, 0xa5, SIZE - OFFSET - WEIR_HOUSED_BYTES);

    struct weir_account_reading reading = read_of(account);
    ck_assert_str_eq(reading.name, "home");
    ck_assert_uint_eq(reading.used_bytes, ROUNDED);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_INSTANCE], ROUNDED);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_MAPPING], 1);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, before + ROUNDED);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), heap); /* nothing else was taken */
    ck_assert_uint_eq(weir_mapping_count(), 1);

    ck_assert_int_eq(weir_account_charge(account, WEIR_KIND_TABLE, 5000, NULL), WEIR_OK);
    weir_account_discharge(account, WEIR_KIND_TABLE, 5000);
    weir_account_vacate(account);
    ck_assert_uint_eq(read_of(account).used_bytes, 0);
    weir_account_close(account);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, before);
}
END_TEST

/* What is charged when it closes keeps the record, whose pages are the host's meanwhile. */
START_TEST(it_waits_for_its_last_charge)
{
    void *memory = NULL;
    struct weir_account *account = make_one(&memory);
    uint64_t metadata = read_of(weir_account_host()).kinds[WEIR_KIND_METADATA];
    ck_assert_int_eq(weir_account_charge(account, WEIR_KIND_HOST_BUFFER, 77, NULL), WEIR_OK);
    weir_account_vacate(account);
    struct weir_receipt receipt = {0};
    weir_account_pending(account, &receipt);
    ck_assert(!receipt.drained);
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        ck_assert_uint_eq(receipt.pending[kind], kind == WEIR_KIND_HOST_BUFFER ? 77 : 0);
    weir_receipt_done(&receipt);
    weir_account_close(account);
    ck_assert_uint_eq(read_of(tenant).used_bytes, 77);
    ck_assert_uint_eq(read_of(weir_account_host()).kinds[WEIR_KIND_METADATA], metadata + ROUNDED);
    ck_assert_uint_eq(weir_mapping_count(), 1);
    weir_account_discharge(account, WEIR_KIND_HOST_BUFFER, 77);
    ck_assert_uint_eq(read_of(weir_account_host()).kinds[WEIR_KIND_METADATA], metadata);
    ck_assert_uint_eq(weir_mapping_count(), 0);
}
END_TEST

static const struct {
    uint64_t own_limit, tenant_holds;
    const char *refuser;
} refusals[] = {
    {ROUNDED - 1, 0, "the limit of store \"home\""},
    {WEIR_UNLIMITED, 62 * PAGE, "the limit of tenant \"t\""},
};

START_TEST(a_refusal_names_who_refused)
{
    struct weir_error error = {0};
    struct weir_account *account = NULL;
    void *memory = NULL;
    ck_assert_int_eq(weir_account_charge(tenant, WEIR_KIND_CACHE, refusals[_i].tenant_holds, NULL),
                     WEIR_OK);
    uint64_t used = read_of(weir_account_host()).used_bytes;
    ck_assert_int_eq(make(refusals[_i].own_limit, &memory, &account, &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "store \"home\" wanted 12.0 KiB more instance"));
    ck_assert_ptr_nonnull(strstr(error.message, refusals[_i].refuser));
    weir_error_done(&error);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, used);
    weir_account_discharge(tenant, WEIR_KIND_CACHE, refusals[_i].tenant_holds);
}
END_TEST

START_TEST(every_charge_and_mapping_can_fail)
{
    uint64_t used = read_of(weir_account_host()).used_bytes;
    uint64_t n = 1;
    for (bool is_made = false; !is_made; n++) {
        struct weir_account *account = NULL;
        void *memory = NULL;
        (void)weir_ledger_fail_nth(n);
        is_made = make(WEIR_UNLIMITED, &memory, &account, NULL) == WEIR_OK;
        (void)weir_ledger_fail_nth(0);
        if (is_made) {
            weir_account_vacate(account);
            weir_account_close(account);
        }
        ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, used);
        ck_assert_uint_eq(weir_mapping_count(), 0);
    }
    ck_assert_uint_eq(n - 1, 4); /* bytes, the mapping's count, the mapping; then none */
}
END_TEST

static bool close_it(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    struct weir_account **account = context;
    if (depth == 0 || *account == NULL)
        return true;
    ck_assert_str_eq(reading->name, "home");
    weir_account_vacate(*account);
    weir_account_close(*account);
    *account = NULL;
    return true;
}

START_TEST(it_may_die_under_a_walker)
{
    void *memory = NULL;
    struct weir_account *account = make_one(&memory);
    weir_account_walk(tenant, close_it, &account);
    ck_assert_ptr_null(account);
    ck_assert_uint_eq(weir_mapping_count(), 0);
}
END_TEST

#define LIVES 3000
static _Atomic bool is_over;

static bool look(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    (void)context, (void)depth;
    ck_assert(reading->used_bytes <= 16 * PAGE);
    return true;
}

static void look_at_mapping(void *context, const struct weir_mapping *mapping)
{
    (void)context;
    (void)read_of(mapping->account);
}

static void *watch(void *context)
{
    (void)context;
    while (!atomic_load(&is_over)) {
        weir_account_walk(tenant, look, NULL);
        weir_mapping_walk(look_at_mapping, NULL);
    }
    return NULL;
}

static void *churn(void *context)
{
    for (int i = 0; i < LIVES; i++) {
        void *memory = NULL;
        struct weir_account *account = make_one(&memory);
        memset(memory, i & 0xff, OFFSET);
        weir_account_vacate(account);
        weir_account_close(account);
    }
    return context;
}

START_TEST(others_look_while_they_come_and_go)
{
    pthread_t threads[3];
    ck_assert_int_eq(pthread_create(&threads[0], NULL, watch, NULL), 0);
    for (int i = 1; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 1; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    atomic_store(&is_over, true);
    (void)pthread_join(threads[0], NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("account house");
    TCase *tests = tcase_create("house");
    tcase_add_checked_fixture(tests, open_tenant, close_tenant);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, it_pays_for_the_pages_it_lives_in);
    tcase_add_test(tests, it_waits_for_its_last_charge);
    tcase_add_loop_test(tests, a_refusal_names_who_refused, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(tests, every_charge_and_mapping_can_fail);
    tcase_add_test(tests, it_may_die_under_a_walker);
    tcase_add_test(tests, others_look_while_they_come_and_go);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
