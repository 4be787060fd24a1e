/* Accounts: limits along the chain, refusals told whole, peaks, closing in any order, reading. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/mapping.h"

#define MIB (UINT64_C(1) << 20)

static struct weir_account *new_account(struct weir_account *parent, enum weir_account_role role,
                                        const char *name, uint64_t limit)
{
    struct weir_account *account = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_account_new(parent, role, name, limit, &account, &error), WEIR_OK);
    return account;
}

static void charge(struct weir_account *account, enum weir_kind kind, uint64_t amount)
{
    struct weir_error error = {0};
    enum weir_status status = weir_account_charge(account, kind, amount, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static struct weir_account_reading read_of(const struct weir_account *account)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    return reading;
}

START_TEST(figures_are_exact_per_account_and_kind)
{
    struct weir_account *tenant =
        new_account(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", WEIR_UNLIMITED);
    struct weir_account *store = new_account(tenant, WEIR_ACCOUNT_STORE, "s", WEIR_UNLIMITED);
    struct weir_account *instance = new_account(store, WEIR_ACCOUNT_INSTANCE, "i", WEIR_UNLIMITED);
    charge(instance, WEIR_KIND_TABLE, 100);
    charge(store, WEIR_KIND_HANDLE, 11);
    charge(tenant, WEIR_KIND_CACHE, 1000);
    charge(instance, WEIR_KIND_LINEAR_MEMORY, 3 * MIB);
    weir_account_discharge(instance, WEIR_KIND_LINEAR_MEMORY, MIB);

    struct weir_account_reading reading = read_of(instance);
    ck_assert_uint_eq(reading.used_bytes, 2 * MIB + 100);
    ck_assert_uint_eq(reading.peak_bytes, 3 * MIB + 100);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_TABLE], 100);
    ck_assert_uint_eq(reading.kind_peaks[WEIR_KIND_LINEAR_MEMORY], 3 * MIB);
    reading = read_of(store);
    ck_assert_uint_eq(reading.used_bytes, 2 * MIB + 111);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_TABLE], 100);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_HANDLE], 11);
    ck_assert_uint_eq(reading.peak_bytes, 3 * MIB + 111);
    reading = read_of(tenant);
    ck_assert_uint_eq(reading.used_bytes, 2 * MIB + 1111);
    ck_assert_uint_ge(reading.peak_bytes, 3 * MIB + 1111);

    weir_account_discharge(instance, WEIR_KIND_LINEAR_MEMORY, 2 * MIB);
    weir_account_discharge(instance, WEIR_KIND_TABLE, 100);
    weir_account_discharge(store, WEIR_KIND_HANDLE, 11);
    weir_account_discharge(tenant, WEIR_KIND_CACHE, 1000);
    ck_assert_uint_eq(read_of(tenant).used_bytes, 0);
    weir_account_close(instance);
    weir_account_close(store);
    weir_account_close(tenant);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
}
END_TEST

/* Which account of host, tenant, store, instance refuses, by who has the limit. */
static const struct {
    uint64_t limits[4];
    uint64_t first, second;
    int refuser; /* -1: nobody */
} limit_cases[] = {
    {{WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED}, MIB, MIB, -1},
    {{WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED, MIB}, MIB, 1, 3},
    {{WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED, MIB}, MIB - 1, 1, -1},
    {{WEIR_UNLIMITED, WEIR_UNLIMITED, MIB, WEIR_UNLIMITED}, MIB, 1, 2},
    {{WEIR_UNLIMITED, WEIR_UNLIMITED, MIB, WEIR_UNLIMITED}, 1, MIB - 1, -1},
    {{WEIR_UNLIMITED, MIB, WEIR_UNLIMITED, WEIR_UNLIMITED}, MIB, 1, 1},
    {{WEIR_UNLIMITED, MIB, WEIR_UNLIMITED, WEIR_UNLIMITED}, 1, MIB - 1, -1},
    {{MIB, WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED}, 1, MIB, 0},
    {{MIB, WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED}, 1, UINT64_MAX - 1, 0},
    {{WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED}, 1, UINT64_MAX - 1, 0},
    {{WEIR_UNLIMITED, WEIR_UNLIMITED, WEIR_UNLIMITED, 0}, 0, 1, 3},
};

START_TEST(the_tightest_limit_refuses)
{
    const char *const names[] = {"the host", "tenant \"t\"", "store \"s\"", "instance \"i\""};
    struct weir_account *chain[4];
    chain[0] = weir_account_host();
    chain[1] = new_account(chain[0], WEIR_ACCOUNT_TENANT, "t", limit_cases[_i].limits[1]);
    chain[2] = new_account(chain[1], WEIR_ACCOUNT_STORE, "s", limit_cases[_i].limits[2]);
    chain[3] = new_account(chain[2], WEIR_ACCOUNT_INSTANCE, "i", limit_cases[_i].limits[3]);
    charge(chain[3], WEIR_KIND_TABLE, limit_cases[_i].first);
    weir_account_set_limit(chain[0], limit_cases[_i].limits[0]);

    struct weir_error error = {0};
    enum weir_status status =
        weir_account_charge(chain[3], WEIR_KIND_LINEAR_MEMORY, limit_cases[_i].second, &error);
    int refuser = limit_cases[_i].refuser;
    if (refuser < 0) {
        ck_assert_msg(status == WEIR_OK, "%s", error.message);
        weir_account_discharge(chain[3], WEIR_KIND_LINEAR_MEMORY, limit_cases[_i].second);
    } else {
        ck_assert_int_eq(status, WEIR_LIMIT);
        char wanted[64];
        (void)snprintf(wanted, sizeof wanted, "the limit of %s is", names[refuser]);
        ck_assert_msg(strstr(error.message, wanted) != NULL, "%s", error.message);
        ck_assert_ptr_nonnull(strstr(error.message, "instance \"i\" wanted "));
        ck_assert_ptr_nonnull(strstr(error.message, "more linear memory"));
        int levels = 0;
        for (struct weir_error_detail *at = error.details; at != NULL; at = at->next)
            levels += strstr(at->text, "used") != NULL;
        ck_assert_int_eq(levels, 4);
        for (int i = 0; i < 4; i++)
            ck_assert_uint_eq(read_of(chain[i]).refused_count, i == refuser);
        /* A refusal without a reader is as good. */
        ck_assert_int_eq(
            weir_account_charge(chain[3], WEIR_KIND_LINEAR_MEMORY, limit_cases[_i].second, NULL),
            WEIR_LIMIT);
    }
    weir_error_done(&error);
    ck_assert_uint_eq(read_of(chain[3]).used_bytes, limit_cases[_i].first);
    weir_account_discharge(chain[3], WEIR_KIND_TABLE, limit_cases[_i].first);
    for (int i = 3; i > 0; i--)
        weir_account_close(chain[i]);
    ck_assert_uint_eq(read_of(chain[0]).used_bytes, 0);
}
END_TEST

START_TEST(idle_credit_is_taken_back_before_refusing)
{
    struct weir_account *tenant = new_account(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", MIB);
    struct weir_account *idle[8];
    for (int i = 0; i < 8; i++) {
        idle[i] = new_account(tenant, WEIR_ACCOUNT_STORE, "idle", WEIR_UNLIMITED);
        charge(idle[i], WEIR_KIND_HANDLE, 60 << 10);
        weir_account_discharge(idle[i], WEIR_KIND_HANDLE, 60 << 10);
        charge(idle[i], WEIR_KIND_HANDLE, 1);
    }
    struct weir_account *store = new_account(tenant, WEIR_ACCOUNT_STORE, "s", WEIR_UNLIMITED);
    /* Everything that is not really used can be had, to the byte, and no more. */
    charge(store, WEIR_KIND_LINEAR_MEMORY, MIB - 8);
    ck_assert_int_eq(weir_account_charge(store, WEIR_KIND_LINEAR_MEMORY, 1, NULL), WEIR_LIMIT);
    ck_assert_int_eq(weir_account_charge(idle[3], WEIR_KIND_HANDLE, 1, NULL), WEIR_LIMIT);
    weir_account_discharge(idle[3], WEIR_KIND_HANDLE, 1);
    charge(store, WEIR_KIND_LINEAR_MEMORY, 1);
    ck_assert_uint_eq(read_of(tenant).used_bytes, MIB);
    weir_account_discharge(store, WEIR_KIND_LINEAR_MEMORY, MIB - 7);
    for (int i = 0; i < 8; i++) {
        if (i != 3)
            weir_account_discharge(idle[i], WEIR_KIND_HANDLE, 1);
        weir_account_close(idle[i]);
    }
    weir_account_close(store);
    weir_account_close(tenant);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
}
END_TEST

static void count_call(void *context)
{
    (*(int *)context)++;
}

/* Every order in which instance, store, tenant and the last charge can go. */
START_TEST(accounts_live_until_the_last_charge_and_child)
{
    static const char *const orders[] = {"tsic", "tsci", "tcsi", "ctsi", "istc", "ctis",
                                         "sict", "icst", "citc", "stic", "scit", "itsc"};
    const char *order = orders[_i];
    int drained = 0;
    int accounts = 3;
    struct weir_account *tenant =
        new_account(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", WEIR_UNLIMITED);
    struct weir_account *store = new_account(tenant, WEIR_ACCOUNT_STORE, "s", WEIR_UNLIMITED);
    struct weir_account *instance = new_account(store, WEIR_ACCOUNT_INSTANCE, "i", WEIR_UNLIMITED);
    weir_account_set_drained(tenant, count_call, &drained);
    weir_account_set_drained(store, count_call, &drained);
    weir_account_set_drained(instance, count_call, &drained);
    charge(instance, WEIR_KIND_STACK, 4096);
    charge(instance, WEIR_KIND_MAPPING, 2);
    struct weir_receipt receipt = {0};
    weir_account_pending(store, &receipt);
    ck_assert(!receipt.drained);
    ck_assert_uint_eq(receipt.pending[WEIR_KIND_STACK], 4096);
    ck_assert_uint_eq(receipt.pending[WEIR_KIND_MAPPING], 2);
    for (const char *step = order; *step != '\0' && accounts != 0; step++) {
        ck_assert_int_lt(drained, 3);
        if (*step == 't' && tenant != NULL)
            weir_account_close(tenant), tenant = NULL;
        if (*step == 's')
            weir_account_close(store);
        if (*step == 'i')
            weir_account_close(instance);
        if (*step == 'c' && receipt.pending[WEIR_KIND_STACK] != 0) {
            weir_account_discharge(instance, WEIR_KIND_STACK, 4096);
            weir_account_discharge(instance, WEIR_KIND_MAPPING, 2);
            receipt.pending[WEIR_KIND_STACK] = 0;
        }
    }
    if (strcmp(order, "citc") == 0) /* its store is still open */
        weir_account_close(store);
    ck_assert_int_eq(drained, 3);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
    weir_receipt_done(&receipt);
}
END_TEST

START_TEST(wrong_places_are_refused)
{
    struct weir_account *host = weir_account_host();
    struct weir_account *store = new_account(host, WEIR_ACCOUNT_STORE, "s", WEIR_UNLIMITED);
    struct weir_account *account = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_account_new(store, WEIR_ACCOUNT_STORE, "x", 1, &account, &error),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_account_new(store, WEIR_ACCOUNT_TENANT, "x", 1, &account, NULL),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_int_eq(weir_account_new(host, WEIR_ACCOUNT_HOST, "x", 1, &account, NULL),
                     WEIR_INVALID_ARGUMENT);
    ck_assert_ptr_null(account);
    weir_account_close(store);

    struct weir_account *deep[16];
    struct weir_account *parent = host;
    int depth = 0;
    enum weir_status status = WEIR_OK;
    while (depth < 16 && status == WEIR_OK) {
        status =
            weir_account_new(parent, WEIR_ACCOUNT_TENANT, "d", WEIR_UNLIMITED, &deep[depth], NULL);
        if (status == WEIR_OK)
            parent = deep[depth++];
    }
    ck_assert_int_eq(status, WEIR_LIMIT);
    charge(parent, WEIR_KIND_CACHE, 77);
    ck_assert_uint_ge(read_of(host).used_bytes, 77);
    weir_account_discharge(parent, WEIR_KIND_CACHE, 77);
    while (depth > 0)
        weir_account_close(deep[--depth]);
    ck_assert_uint_eq(read_of(host).used_bytes, 0);
}
END_TEST

static void discharge_too_much(void)
{
    struct weir_account *store =
        new_account(weir_account_host(), WEIR_ACCOUNT_STORE, "s", WEIR_UNLIMITED);
    charge(store, WEIR_KIND_HANDLE, 10);
    weir_account_discharge(store, WEIR_KIND_HANDLE, 11);
}

START_TEST(discharging_more_than_charged_is_caught)
{
    discharge_too_much();
}
END_TEST

struct seen {
    int count;
    unsigned depth_max;
    char names[256];
    int stop_after;
};

static bool see(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    struct seen *seen = context;
    seen->count++;
    seen->depth_max = depth > seen->depth_max ? depth : seen->depth_max;
    strncat(seen->names, reading->name, sizeof seen->names - strlen(seen->names) - 2);
    strncat(seen->names, " ", 2);
    return seen->count != seen->stop_after;
}

START_TEST(walk_lists_parents_first_and_only_the_living)
{
    struct weir_account *host = weir_account_host();
    struct weir_account *tenant = new_account(host, WEIR_ACCOUNT_TENANT, "t", WEIR_UNLIMITED);
    struct weir_account *a = new_account(tenant, WEIR_ACCOUNT_STORE, "a", WEIR_UNLIMITED);
    struct weir_account *b = new_account(tenant, WEIR_ACCOUNT_STORE, "b", WEIR_UNLIMITED);
    struct weir_account *i = new_account(a, WEIR_ACCOUNT_INSTANCE, "i", WEIR_UNLIMITED);
    struct seen seen = {.stop_after = -1};
    weir_account_walk(host, see, &seen);
    ck_assert_str_eq(seen.names, "host t b a i ");
    ck_assert_uint_eq(seen.depth_max, 3);
    weir_account_close(b);
    seen = (struct seen){.stop_after = -1};
    weir_account_walk(tenant, see, &seen);
    ck_assert_str_eq(seen.names, "t a i ");
    seen = (struct seen){.stop_after = 2};
    weir_account_walk(host, see, &seen);
    ck_assert_int_eq(seen.count, 2);
    /* Closed, but not empty: still listed. */
    charge(i, WEIR_KIND_TABLE, 8);
    weir_account_close(i);
    weir_account_close(a);
    seen = (struct seen){.stop_after = -1};
    weir_account_walk(tenant, see, &seen);
    ck_assert_str_eq(seen.names, "t a i ");
    weir_account_discharge(i, WEIR_KIND_TABLE, 8);
    seen = (struct seen){.stop_after = -1};
    weir_account_walk(tenant, see, &seen);
    ck_assert_str_eq(seen.names, "t ");
    weir_account_close(tenant);
}
END_TEST

/* A visitor that closes the account it stands on. */
static bool close_it(void *context, unsigned depth, const struct weir_account_reading *reading)
{
    struct weir_account **victims = context;
    (void)depth;
    if (strcmp(reading->name, "a") == 0) {
        weir_account_close(victims[1]);
        weir_account_close(victims[0]);
    }
    return true;
}

START_TEST(walk_survives_the_death_of_where_it_stands)
{
    struct weir_account *host = weir_account_host();
    struct weir_account *victims[2];
    victims[0] = new_account(host, WEIR_ACCOUNT_STORE, "a", WEIR_UNLIMITED);
    victims[1] = new_account(victims[0], WEIR_ACCOUNT_INSTANCE, "i", WEIR_UNLIMITED);
    weir_account_walk(host, close_it, victims);
    ck_assert_uint_eq(read_of(host).used_bytes, 0);
    ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
}
END_TEST

START_TEST(the_peak_keeps_its_composition)
{
    struct weir_account *host = weir_account_host();
    struct weir_account *store = new_account(host, WEIR_ACCOUNT_STORE, "s", WEIR_UNLIMITED);
    struct weir_account *server = new_account(host, WEIR_ACCOUNT_SERVICE, "x", WEIR_UNLIMITED);
    charge(store, WEIR_KIND_LINEAR_MEMORY, 6 * MIB);
    charge(server, WEIR_KIND_REQUEST, 2 * MIB);
    struct weir_account_peak peak;
    weir_account_discharge(store, WEIR_KIND_LINEAR_MEMORY, 5 * MIB);
    charge(server, WEIR_KIND_REQUEST, 3 * MIB);
    weir_account_host_peak(&peak);
    ck_assert_uint_eq(peak.kinds[WEIR_KIND_LINEAR_MEMORY], 6 * MIB);
    ck_assert_uint_eq(peak.kinds[WEIR_KIND_REQUEST], 2 * MIB);
    ck_assert_uint_ge(peak.used_bytes, 8 * MIB);
    ck_assert_uint_lt(peak.used_bytes, 8 * MIB + 65536);
    /* A later, higher one replaces it, also while it stands. */
    charge(server, WEIR_KIND_REQUEST, 9 * MIB);
    weir_account_host_peak(&peak);
    ck_assert_uint_eq(peak.kinds[WEIR_KIND_LINEAR_MEMORY], MIB);
    ck_assert_uint_eq(peak.kinds[WEIR_KIND_REQUEST], 14 * MIB);
    weir_account_discharge(server, WEIR_KIND_REQUEST, 14 * MIB);
    weir_account_discharge(store, WEIR_KIND_LINEAR_MEMORY, MIB);
    weir_account_close(store);
    weir_account_close(server);
}
END_TEST

START_TEST(counted_kinds_have_limits_of_their_own)
{
    struct weir_account *store = new_account(weir_account_host(), WEIR_ACCOUNT_STORE, "s", 1000);
    charge(store, WEIR_KIND_MAPPING, 5000); /* no bytes: the store's limit does not count */
    ck_assert_uint_eq(read_of(store).used_bytes, 0);
    ck_assert_uint_eq(read_of(weir_account_host()).kinds[WEIR_KIND_MAPPING], 5000);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_account_charge(store, WEIR_KIND_MAPPING, 10 * MIB, &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "vm.max_map_count"));
    weir_error_done(&error);
    ck_assert_int_eq(weir_account_charge(store, WEIR_KIND_DESCRIPTOR, 1 << 30, &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "open files"));
    weir_error_done(&error);
    weir_account_discharge(store, WEIR_KIND_MAPPING, 5000);
    ck_assert_uint_eq(read_of(weir_account_host()).kinds[WEIR_KIND_MAPPING], 0);
    weir_account_close(store);
}
END_TEST

static enum weir_status build_and_release(struct weir_error *error)
{
    struct weir_account *store = NULL;
    struct weir_account *instance = NULL;
    struct weir_mapping mapping = {0};
    struct weir_arena *arena = NULL;
    void *block = NULL;
    enum weir_status status = weir_account_new(weir_account_host(), WEIR_ACCOUNT_STORE, "s",
                                               WEIR_UNLIMITED, &store, error);
    if (status == WEIR_OK)
        status =
            weir_account_new(store, WEIR_ACCOUNT_INSTANCE, "i", WEIR_UNLIMITED, &instance, error);
    if (status == WEIR_OK)
        status =
            weir_mapping_reserve(instance, WEIR_KIND_LINEAR_MEMORY, 16 * MIB, 4, &mapping, error);
    struct weir_account_source context = {store, WEIR_KIND_METADATA};
    struct weir_arena_source source = weir_account_arena_source(&context);
    if (status == WEIR_OK)
        status = weir_arena_new(&source, 0, &arena, error);
    if (status == WEIR_OK && weir_arena_alloc(arena, 100000, 8) == NULL)
        status = WEIR_NO_MEMORY;
    if (status == WEIR_OK) {
        block = weir_account_alloc(instance, WEIR_KIND_HANDLE, 500, error);
        status = block != NULL ? WEIR_OK : WEIR_NO_MEMORY;
    }
    if (instance != NULL)
        weir_account_free(instance, WEIR_KIND_HANDLE, block, 500);
    weir_arena_free(arena);
    weir_mapping_free(&mapping);
    weir_account_close(instance);
    weir_account_close(store);
    return status;
}

START_TEST(every_nth_charge_can_fail)
{
    (void)weir_ledger_fail_nth(UINT64_MAX);
    ck_assert_int_eq(build_and_release(NULL), WEIR_OK);
    uint64_t count = weir_ledger_fail_nth(0);
    ck_assert_uint_ge(count, 12);
    for (uint64_t n = 1; n <= count; n++) {
        struct weir_error error = {0};
        (void)weir_ledger_fail_nth(n);
        ck_assert_int_eq(build_and_release(&error), WEIR_NO_MEMORY);
        (void)weir_ledger_fail_nth(0);
        weir_error_done(&error);
        ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
        ck_assert_uint_eq(read_of(weir_account_host()).kinds[WEIR_KIND_MAPPING], 0);
        ck_assert_uint_eq(weir_ledger_heap_bytes(), 0);
        ck_assert_uint_eq(weir_mapping_count(), 0);
    }
    ck_assert_int_eq(build_and_release(NULL), WEIR_OK);
}
END_TEST

static uint64_t give_ten(void *context, uint64_t wanted)
{
    *(uint64_t *)context += wanted;
    return 10;
}

START_TEST(reclaimers_are_asked_in_order_until_enough)
{
    uint64_t asked[3] = {0};
    for (int i = 0; i < 3; i++) {
        struct weir_reclaimer reclaimer = {"r", give_ten, &asked[i]};
        ck_assert_int_eq(weir_ledger_add_reclaimer(&reclaimer, NULL), WEIR_OK);
    }
    weir_ledger_remove_reclaimer("r", &asked[0]);
    ck_assert_uint_eq(weir_ledger_reclaim(5), 10);
    ck_assert_uint_eq(asked[1], 5);
    ck_assert_uint_eq(asked[2], 0);
    ck_assert_uint_eq(weir_ledger_reclaim(100), 20);
    ck_assert_uint_eq(asked[0], 0);
    ck_assert_uint_eq(asked[2], 90);
}
END_TEST

START_TEST(receipts_list_what_is_pinned)
{
    struct weir_receipt receipt = {0};
    weir_receipt_add(&receipt, WEIR_KIND_TABLE, 5);
    weir_receipt_add(&receipt, WEIR_KIND_TABLE, 6);
    weir_receipt_pin(&receipt, WEIR_KIND_CODE, 7, "instance %d of store \"%s\"", 3, "x");
    weir_receipt_pin(&receipt, WEIR_KIND_STACK, 8, "second");
    ck_assert_uint_eq(receipt.released[WEIR_KIND_TABLE], 11);
    ck_assert_str_eq(receipt.pins->holder, "instance 3 of store \"x\"");
    ck_assert_uint_eq(receipt.pins->next->amount, 8);
    weir_receipt_done(&receipt);
    ck_assert_ptr_null(receipt.pins);
}
END_TEST

/* --- reservations -------------------------------------------------------------------------- */

START_TEST(what_is_reserved_is_nobody_elses)
{
    struct weir_account *tenant =
        new_account(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", 10 * MIB);
    struct weir_account *a = new_account(tenant, WEIR_ACCOUNT_STORE, "a", 6 * MIB);
    struct weir_account *b = new_account(tenant, WEIR_ACCOUNT_STORE, "b", 6 * MIB);
    struct weir_error error = {0};
    charge(a, WEIR_KIND_LINEAR_MEMORY, MIB);
    ck_assert_int_eq(weir_account_reserve(a, 6 * MIB, &error), WEIR_OK);
    ck_assert_uint_eq(read_of(a).used_bytes, MIB);
    ck_assert_uint_eq(read_of(a).reserved_bytes, 5 * MIB);
    ck_assert_uint_eq(read_of(tenant).reserved_bytes, 5 * MIB);
    ck_assert_int_eq(weir_account_reserve(b, 5 * MIB, &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "tenant \"t\""));
    weir_error_done(&error);
    ck_assert_uint_eq(read_of(b).reserved_bytes, 0);
    ck_assert_int_eq(weir_account_reserve(b, 4 * MIB, &error), WEIR_OK);
    /* Neither a charge nor the drain before a refusal takes it. */
    ck_assert_int_eq(weir_account_charge(tenant, WEIR_KIND_REQUEST, 1, &error), WEIR_LIMIT);
    weir_error_done(&error);
    charge(a, WEIR_KIND_LINEAR_MEMORY, 5 * MIB);
    charge(b, WEIR_KIND_LINEAR_MEMORY, 4 * MIB);
    ck_assert_uint_eq(read_of(tenant).reserved_bytes, 0);
    /* Discharged, and still its own. */
    weir_account_discharge(a, WEIR_KIND_LINEAR_MEMORY, 6 * MIB);
    ck_assert_uint_eq(read_of(tenant).reserved_bytes, 6 * MIB);
    ck_assert_int_eq(weir_account_charge(b, WEIR_KIND_LINEAR_MEMORY, MIB, &error), WEIR_LIMIT);
    weir_error_done(&error);
    weir_account_unreserve(a);
    ck_assert_uint_eq(read_of(tenant).reserved_bytes, 0);
    charge(b, WEIR_KIND_LINEAR_MEMORY, 2 * MIB);
    weir_account_unreserve(b);
    weir_account_discharge(b, WEIR_KIND_LINEAR_MEMORY, 6 * MIB);
    weir_account_close(a);
    weir_account_close(b);
    weir_account_close(tenant);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
}
END_TEST

START_TEST(a_reservation_ends_with_its_store)
{
    struct weir_account *tenant =
        new_account(weir_account_host(), WEIR_ACCOUNT_TENANT, "t", 10 * MIB);
    struct weir_account *a = new_account(tenant, WEIR_ACCOUNT_STORE, "a", 8 * MIB);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_account_reserve(a, 9 * MIB, &error), WEIR_LIMIT); /* its own limit */
    weir_error_done(&error);
    ck_assert_int_eq(weir_account_reserve(a, 8 * MIB, &error), WEIR_OK);
    ck_assert_int_eq(weir_account_reserve(a, 3 * MIB, &error), WEIR_OK); /* less: also fine */
    charge(a, WEIR_KIND_STACK, 100);
    weir_account_close(a); /* with a charge left */
    ck_assert_uint_eq(read_of(tenant).reserved_bytes, 0);
    struct weir_account *b = new_account(tenant, WEIR_ACCOUNT_STORE, "b", WEIR_UNLIMITED);
    ck_assert_int_eq(weir_account_reserve(b, 10 * MIB - 100, &error), WEIR_OK);
    weir_account_discharge(a, WEIR_KIND_STACK, 100);
    weir_account_close(b);
    weir_account_close(tenant);
    struct weir_account *c = new_account(weir_account_host(), WEIR_ACCOUNT_STORE, "c", MIB);
    (void)weir_ledger_fail_nth(1);
    ck_assert_int_eq(weir_account_reserve(c, MIB, &error), WEIR_NO_MEMORY);
    (void)weir_ledger_fail_nth(0);
    weir_error_done(&error);
    weir_account_close(c);
    ck_assert_uint_eq(read_of(weir_account_host()).used_bytes, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("account");
    TCase *tests = tcase_create("account");
    tcase_add_test(tests, figures_are_exact_per_account_and_kind);
    tcase_add_loop_test(tests, the_tightest_limit_refuses, 0,
                        (int)(sizeof limit_cases / sizeof limit_cases[0]));
    tcase_add_test(tests, idle_credit_is_taken_back_before_refusing);
    tcase_add_loop_test(tests, accounts_live_until_the_last_charge_and_child, 0, 12);
    tcase_add_test(tests, wrong_places_are_refused);
    tcase_add_test_raise_signal(tests, discharging_more_than_charged_is_caught, 6);
    tcase_add_test(tests, walk_lists_parents_first_and_only_the_living);
    tcase_add_test(tests, walk_survives_the_death_of_where_it_stands);
    tcase_add_test(tests, the_peak_keeps_its_composition);
    tcase_add_test(tests, counted_kinds_have_limits_of_their_own);
    tcase_add_test(tests, every_nth_charge_can_fail);
    tcase_add_test(tests, reclaimers_are_asked_in_order_until_enough);
    tcase_add_test(tests, receipts_list_what_is_pinned);
    tcase_add_test(tests, what_is_reserved_is_nobody_elses);
    tcase_add_test(tests, a_reservation_ends_with_its_store);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
