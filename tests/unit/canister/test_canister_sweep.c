/* The n-th charge fails, for every n, on the whole way of a canister: an error or a rejected
 * message, and nothing else. Afterwards accounts, heap, mappings and descriptors are as before, and
 * the same way works. With a number as argument: that many calls of each kind instead, without
 * growth. */
#include "tests/unit/canister/canister_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/poison.h"
#include "ledger/equation.h"
#include "ledger/ledger.h"
#include "ledger/mapping.h"
#include "plain_wasm.h"

#define CHARGES_MAX 3000
#define HEAP_SLACK 256
#define GROWTH_MAX ((int64_t)256 << 10)

static struct weir_engine *engine;
static char folder[] = "/tmp/weir-canister-sweep-XXXXXX";

static const struct weir_canister_config config = {
    .name = "plain", .instructions_max = 20000000, .memory_bytes_max = 64 << 20};

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
    (void)stat, (void)kind, (void)walk;
    return remove(path);
}

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct weir_engine_config engine_config = {.artifact_dir = folder};
    weir_canister_engine_config(&engine_config);
    ck_assert_int_eq(weir_engine_new(&engine_config, &engine, NULL), WEIR_OK);
}

static void end(void)
{
    weir_engine_unref(engine);
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- the way ------------------------------------------------------------------------------- */

/* Whether it went well; an error must have a message. */
static bool check(enum weir_status status, struct weir_error *error)
{
    ck_assert(status == WEIR_OK || (error->message[0] != 0 && error->status != WEIR_OK));
    weir_error_done(error);
    return status == WEIR_OK;
}

static bool answer(struct weir_canister_response *response, bool is_reply_wanted)
{
    bool is_reply = response->code == WEIR_CANISTER_REPLIED;
    weir_canister_response_done(response);
    return is_reply == is_reply_wanted;
}

static bool code(struct weir_canister *canister, enum weir_canister_mode mode)
{
    const uint32_t arg = 5;
    const struct weir_canister_code from = {.mode = mode,
                                            .module = plain_wasm,
                                            .module_size = sizeof plain_wasm,
                                            .arg = (const uint8_t *)&arg,
                                            .arg_size = sizeof arg};
    struct weir_canister_response response = {0};
    struct weir_error error = {0};
    return check(weir_canister_install(canister, &from, &response, &error), &error) &&
           answer(&response, true);
}

static bool send_one(struct weir_canister *canister, const char *method, bool is_update,
                     bool is_reply_wanted)
{
    static const uint32_t arg = 2;
    const struct weir_canister_call call = {
        .method = method, .arg = (const uint8_t *)&arg, .arg_size = sizeof arg};
    struct weir_canister_response response = {0};
    struct weir_error error = {0};
    enum weir_status status = is_update ? weir_canister_update(canister, &call, &response, &error)
                                        : weir_canister_query(canister, &call, &response, &error);
    return check(status, &error) && answer(&response, is_reply_wanted);
}

static bool use(struct weir_canister *canister)
{
    struct weir_canister_status status;
    struct weir_error error = {0};
    return send_one(canister, "inc", true, true) && send_one(canister, "inc_query", false, true) &&
           send_one(canister, "boom", true, false) && send_one(canister, "call_self", true, true) &&
           send_one(canister, "call_other", true, true) && send_one(canister, "echo", true, true) &&
           check(weir_canister_status(canister, &status, &error), &error);
}

/* A change, saved and loaded again. */
static bool change(struct weir_canister *canister, const struct canister_stream *state)
{
    static const uint8_t lost[WEIR_CANISTER_SUM_SIZE];
    struct canister_stream made = {0};
    struct weir_image_writer writer = canister_writer(&made);
    struct weir_image_reader reader = canister_reader(&made);
    struct weir_error error = {0};
    const uint8_t *sum = state->bytes + state->size - WEIR_CANISTER_SUM_SIZE;
    bool is_done = send_one(canister, "inc", true, true) &&
                   check(weir_canister_save(canister, sum, &writer, &error), &error) &&
                   check(weir_canister_load_changes(canister, sum, &reader, &error), &error) &&
                   send_one(canister, "inc", true, true);
    made.at = 0;
    if (is_done) /* of another state: the canister is done with */
        is_done = weir_canister_load_changes(canister, lost, &reader, NULL) == WEIR_CORRUPT;
    free(made.bytes);
    return is_done;
}

static bool load(struct canister_stream *state)
{
    struct weir_canister *canister = NULL;
    struct weir_error error = {0};
    struct weir_image_reader reader = canister_reader(state);
    if (!check(weir_canister_new(engine, &config, &canister, &error), &error))
        return false;
    bool is_done =
        check(weir_canister_load(canister, plain_wasm, sizeof plain_wasm, &reader, &error), &error);
    is_done = is_done && send_one(canister, "look", false, true) && change(canister, state);
    weir_canister_free(canister);
    return is_done;
}

static bool whole_way(void)
{
    struct weir_canister *canister = NULL;
    struct canister_stream state = {0};
    struct weir_image_writer writer = canister_writer(&state);
    struct weir_error error = {0};
    if (!check(weir_canister_new(engine, &config, &canister, &error), &error))
        return false;
    bool is_done =
        code(canister, WEIR_CANISTER_INSTALL) && use(canister) &&
        code(canister, WEIR_CANISTER_UPGRADE) && code(canister, WEIR_CANISTER_REINSTALL) &&
        check(weir_canister_save(canister, NULL, &writer, &error), &error) && load(&state);
    weir_canister_free(canister);
    free(state.bytes);
    return is_done;
}

/* --- what must be as before ---------------------------------------------------------------- */

struct held {
    uint64_t kinds[WEIR_KIND_COUNT];
    uint64_t heap_bytes;
    size_t mapping_count;
    unsigned descriptor_count;
};

static struct held look(void)
{
    struct held held = {.heap_bytes = weir_ledger_heap_bytes(),
                        .mapping_count = weir_mapping_count()};
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    memcpy(held.kinds, reading.kinds, sizeof held.kinds);
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        held.descriptor_count++;
    (void)closedir(dir);
    return held;
}

static void same(const struct held *before, unsigned n)
{
    struct held now = look();
    for (int kind = 0; kind < WEIR_KIND_COUNT; kind++)
        ck_assert_msg(before->kinds[kind] == now.kinds[kind], "charge %u: %s %llu, was %llu", n,
                      weir_kind_name((enum weir_kind)kind), (unsigned long long)now.kinds[kind],
                      (unsigned long long)before->kinds[kind]);
    /* By the allocator's chunks: a record that lasts may come to lie in one with some bytes more.
     */
    ck_assert_msg(now.heap_bytes <= before->heap_bytes + HEAP_SLACK,
                  "charge %u: heap %llu, was %llu", n, (unsigned long long)now.heap_bytes,
                  (unsigned long long)before->heap_bytes);
    ck_assert_uint_eq(before->mapping_count, now.mapping_count);
    ck_assert_uint_eq(before->descriptor_count, now.descriptor_count);
}

START_TEST(fails_cleanly)
{
    begin();
    ck_assert(whole_way());
    ck_assert(whole_way());
    struct held before = look();
    unsigned n = 1;
    for (; n < CHARGES_MAX; n++) {
        (void)weir_ledger_fail_nth(n);
        bool is_done = whole_way();
        uint64_t counted = weir_ledger_fail_nth(0);
        if (counted < n) {
            ck_assert(is_done);
            break;
        }
        ck_assert_msg(whole_way(), "after charge %u nothing works", n); /* caches are full again */
        same(&before, n);
    }
    ck_assert_uint_gt(n, 30);
    ck_assert_uint_lt(n, CHARGES_MAX);
    end();
}
END_TEST

/* --- no growth ----------------------------------------------------------------------------- */

static uint64_t memory_now(void)
{
    uint64_t bytes = 0;
    ck_assert_int_eq(weir_growth_read(&bytes, NULL), WEIR_OK);
    return bytes;
}

static unsigned long calls;

START_TEST(does_not_grow)
{
    begin();
    struct weir_canister *canister = canister_make(engine, &config);
    ck_assert(code(canister, WEIR_CANISTER_INSTALL));
    for (unsigned i = 0; i < 500; i++)
        ck_assert(use(canister));
    (void)memory_now();
    uint64_t before = memory_now();
    struct held held = look();
    for (unsigned long i = 0; i < calls / 6; i++)
        ck_assert(use(canister));
    same(&held, 0);
    int64_t grown = (int64_t)(memory_now() - before);
    printf("%lu calls, %lld bytes grown\n", calls, (long long)grown);
    ck_assert(WEIR_ASAN || WEIR_TSAN || grown <= GROWTH_MAX);
    weir_canister_free(canister);
    end();
}
END_TEST

int main(int argc, char **argv)
{
    weir_process_tune_malloc();
    calls = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    Suite *suite = suite_create("canister sweep");
    TCase *tests = tcase_create("sweep");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, calls == 0 ? fails_cleanly : does_not_grow);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    if (calls != 0) /* a child would share pages with its parent */
        srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
