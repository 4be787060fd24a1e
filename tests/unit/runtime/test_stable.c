/* Stable memory against a plain array: random reads, writes and growth, committed and rolled back;
 * what was never written takes nothing; refusals leave the version before. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "heir_wasm.h"
#include "ledger/ledger.h"
#include "tests/run_suite.h"

#define PAGE UINT64_C(65536)
#define LIMIT (UINT64_C(500) << 30)
#define HEAP (2 * PAGE)

static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_store *store;
static struct weir_account *account;
static struct weir_memory *memory;
static struct weir_stable *stable;

static void begin(uint64_t limit)
{
    static const struct weir_engine_config config;
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, heir_wasm, sizeof heir_wasm);
    store = fixture_store(engine);
    struct weir_linker *linker = NULL;
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
    memory = fixture_memory(fixture_instance(store, linker, module), "memory");
    weir_linker_free(linker);
    ck_assert_int_eq(weir_account_new(weir_account_host(), WEIR_ACCOUNT_TENANT, "canister", limit,
                                      &account, NULL),
                     WEIR_OK);
    ck_assert_int_eq(weir_stable_new(account, LIMIT, &stable, NULL), WEIR_OK);
}

static void end(void)
{
    weir_stable_free(stable);
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_MAPPING], 0);
    weir_account_close(account);
    weir_store_close(store, NULL);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

static uint64_t used(void)
{
    struct weir_account_reading reading;
    weir_account_read(account, &reading);
    return reading.used_bytes;
}

static void put(uint64_t offset, uint8_t value, uint64_t size)
{
    uint8_t *at = weir_memory_at(memory, 0, HEAP);
    memset(at, value, size);
    struct weir_error error = {0};
    enum weir_status status = weir_stable_write(stable, offset, memory, 0, size, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static const uint8_t *get(uint64_t offset, uint64_t size)
{
    uint8_t *at = weir_memory_at(memory, 0, HEAP);
    memset(at, 0xaa, size);
    struct weir_error error = {0};
    enum weir_status status = weir_stable_read(stable, offset, memory, 0, size, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return at;
}

static bool is_all(const uint8_t *bytes, uint8_t value, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

START_TEST(is_sparse)
{
    begin(WEIR_UNLIMITED);
    uint64_t empty = used();
    ck_assert_uint_eq(weir_stable_grow(stable, LIMIT / PAGE, NULL), 0);
    ck_assert_uint_eq(weir_stable_grow(stable, 1, NULL), UINT64_MAX);
    ck_assert_uint_eq(weir_stable_pages(stable), LIMIT / PAGE);
    /* Reading all over it takes nothing. */
    for (uint64_t at = 0; at < LIMIT; at += LIMIT / 4096)
        ck_assert(is_all(get(at, 100), 0, 100));
    ck_assert_uint_eq(used() - empty, 0);
    put(LIMIT - 5000, 7, 5000);
    ck_assert(is_all(get(LIMIT - 5000, 5000), 7, 5000));
    ck_assert_uint_le(used() - empty, 64 << 10);
    ck_assert_uint_eq(weir_stable_rollback(stable), 2);
    ck_assert_uint_eq(weir_stable_pages(stable), 0);
    ck_assert_uint_eq(weir_stable_grow(stable, LIMIT / PAGE, NULL), 0);
    ck_assert(is_all(get(LIMIT - 5000, 5000), 0, 5000));
    end();
}
END_TEST

START_TEST(bounds)
{
    begin(WEIR_UNLIMITED);
    ck_assert_uint_eq(weir_stable_grow(stable, 2, NULL), 0);
    static const struct {
        uint64_t offset, address, size;
        bool is_good;
    } cases[] = {
        {0, 0, 2 * PAGE, true},        {0, 0, 2 * PAGE + 1, false}, {2 * PAGE, 0, 0, true},
        {2 * PAGE + 1, 0, 0, false},   {UINT64_MAX, 0, 1, false},   {1, 0, UINT64_MAX, false},
        {0, 2 * PAGE, 1, false},       {0, UINT64_MAX, 1, false},   {PAGE, PAGE, PAGE, true},
        {PAGE, PAGE + 1, PAGE, false}, {4095, 1, 4098, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum weir_status wanted = cases[i].is_good ? WEIR_OK : WEIR_INVALID_ARGUMENT;
        ck_assert_int_eq(weir_stable_write(stable, cases[i].offset, memory, cases[i].address,
                                           cases[i].size, NULL),
                         wanted);
        ck_assert_int_eq(weir_stable_read(stable, cases[i].offset, memory, cases[i].address,
                                          cases[i].size, NULL),
                         wanted);
    }
    end();
}
END_TEST

struct model {
    uint8_t bytes[32 * 65536];
    uint64_t pages;
};

START_TEST(like_an_array)
{
    begin(WEIR_UNLIMITED);
    static struct model now, kept;
    uint64_t random = 12345;
    for (int step = 0; step < 20000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        uint64_t r = random >> 20;
        uint64_t bytes = now.pages * PAGE;
        if (r % 64 == 0 && now.pages < 32) {
            ck_assert_uint_eq(weir_stable_grow(stable, 1, NULL), now.pages);
            now.pages++;
        } else if (r % 64 == 1) {
            (void)weir_stable_commit(stable);
            kept = now;
        } else if (r % 64 == 2) {
            (void)weir_stable_rollback(stable);
            now = kept;
        } else if (bytes > 0) {
            uint64_t at = r / 64 % bytes;
            uint64_t size = r / 64 / 7 % 9000;
            size = size < bytes - at ? size : bytes - at;
            if (r % 2 == 0) {
                put(at, (uint8_t)step, size);
                memset(now.bytes + at, (uint8_t)step, size);
            } else {
                ck_assert(memcmp(get(at, size), now.bytes + at, size) == 0);
            }
        }
        ck_assert_uint_eq(weir_stable_pages(stable), now.pages);
    }
    for (uint64_t at = 0; at < now.pages * PAGE; at += PAGE)
        ck_assert(memcmp(get(at, PAGE), now.bytes + at, PAGE) == 0);
    end();
}
END_TEST

/* Writing is charged, copies for going back too; a refusal can be rolled back. */
START_TEST(is_charged)
{
    begin(UINT64_C(1) << 20);
    ck_assert_uint_eq(weir_stable_grow(stable, 1000, NULL), 0);
    put(0, 1, PAGE);
    (void)weir_stable_commit(stable);
    struct weir_stable_figures figures;
    weir_stable_figures(stable, &figures);
    ck_assert_uint_eq(figures.touched_bytes, PAGE + 4096);
    enum weir_status status = WEIR_OK;
    struct weir_error error = {0};
    put(0, 2, PAGE);
    weir_stable_figures(stable, &figures);
    ck_assert_uint_ge(figures.undo_bytes, PAGE);
    for (uint64_t at = PAGE; status == WEIR_OK && at < 999 * PAGE; at += PAGE)
        status = weir_stable_write(stable, at, memory, 0, PAGE, &error);
    ck_assert_int_eq(status, WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "tenant \"canister\""));
    weir_error_done(&error);
    uint64_t full = used();
    (void)weir_stable_rollback(stable);
    ck_assert_uint_lt(used(), full - PAGE);
    ck_assert(is_all(get(0, PAGE), 1, PAGE));
    ck_assert(is_all(get(PAGE, PAGE), 0, PAGE));
    end();
}
END_TEST

/* Rolled back over and over in new places: page tables stay charged, and nothing grows unseen. */
START_TEST(page_tables_are_charged)
{
    begin(UINT64_C(16) << 20);
    ck_assert_uint_eq(weir_stable_grow(stable, LIMIT / PAGE, NULL), 0);
    (void)weir_stable_commit(stable);
    unsigned refused = 0;
    for (uint64_t i = 0; i < 8192; i++) {
        if (weir_stable_write(stable, i * (2 << 20), memory, 0, 1, NULL) != WEIR_OK)
            refused++;
        (void)weir_stable_rollback(stable);
    }
    ck_assert_uint_gt(refused, 0); /* 8,192 tables are 32 MiB */
    ck_assert_uint_le(used(), 16 << 20);
    end();
}
END_TEST

struct stream {
    uint8_t bytes[1 << 20];
    size_t size, at;
};

static enum weir_status write_stream(void *context, const void *bytes, size_t size,
                                     struct weir_error *error)
{
    struct stream *stream = context;
    (void)error;
    ck_assert_uint_le(size, sizeof stream->bytes - stream->size);
    memcpy(stream->bytes + stream->size, bytes, size);
    stream->size += size;
    return WEIR_OK;
}

static enum weir_status read_stream(void *context, void *to, size_t size, struct weir_error *error)
{
    struct stream *stream = context;
    if (stream->size - stream->at < size)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET, "it ends early");
    memcpy(to, stream->bytes + stream->at, size);
    stream->at += size;
    return WEIR_OK;
}

START_TEST(comes_back)
{
    static struct stream stream;
    const struct weir_image_writer writer = {write_stream, &stream};
    const struct weir_image_reader reader = {read_stream, &stream};
    begin(WEIR_UNLIMITED);
    ck_assert_uint_eq(weir_stable_grow(stable, 10000, NULL), 0);
    ck_assert_int_eq(weir_stable_save(stable, &writer, NULL), WEIR_STATE);
    put(5 * PAGE + 9, 3, 70000);
    put(9999 * PAGE, 4, PAGE);
    (void)weir_stable_commit(stable);
    ck_assert_int_eq(weir_stable_save(stable, &writer, NULL), WEIR_OK);
    ck_assert_uint_lt(stream.size, 300000);
    size_t full = stream.size;
    for (size_t cut = 0; cut < full; cut += 1001) {
        struct weir_stable *part = NULL;
        stream.size = cut;
        stream.at = 0;
        ck_assert_int_eq(weir_stable_new(account, LIMIT, &part, NULL), WEIR_OK);
        ck_assert_int_eq(weir_stable_load(part, &reader, NULL), WEIR_CORRUPT);
        weir_stable_free(part);
    }
    weir_stable_free(stable);
    stream.size = full;
    stream.at = 0;
    ck_assert_int_eq(weir_stable_new(account, LIMIT, &stable, NULL), WEIR_OK);
    ck_assert_int_eq(weir_stable_load(stable, &reader, NULL), WEIR_OK);
    ck_assert_uint_eq(stream.at, full);
    ck_assert_uint_eq(weir_stable_pages(stable), 10000);
    ck_assert(is_all(get(5 * PAGE + 9, 70000), 3, 70000));
    ck_assert(is_all(get(5 * PAGE, 9), 0, 9));
    ck_assert(is_all(get(9999 * PAGE, PAGE), 4, PAGE));
    end();
}
END_TEST

/* What commits have changed since, onto what was saved. */
START_TEST(changes_come_back)
{
    static struct stream first;
    static struct stream changes;
    const struct weir_image_writer writers[] = {{write_stream, &first}, {write_stream, &changes}};
    const struct weir_image_reader readers[] = {{read_stream, &first}, {read_stream, &changes}};
    begin(WEIR_UNLIMITED);
    ck_assert_uint_eq(weir_stable_grow(stable, 100, NULL), 0);
    put(5 * PAGE, 3, PAGE);
    put(6 * PAGE, 3, PAGE);
    put(7 * PAGE, 3, PAGE);
    (void)weir_stable_commit(stable);
    ck_assert_int_eq(weir_stable_save(stable, &writers[0], NULL), WEIR_OK);
    weir_stable_saved(stable);
    put(6 * PAGE, 0, PAGE); /* zeros are a change */
    (void)weir_stable_commit(stable);
    put(7 * PAGE, 9, PAGE); /* this is none */
    (void)weir_stable_rollback(stable);
    ck_assert_uint_eq(weir_stable_grow(stable, 20, NULL), 100);
    put(110 * PAGE, 4, PAGE);
    (void)weir_stable_commit(stable);
    ck_assert_int_eq(weir_stable_save_changes(stable, &writers[1], NULL), WEIR_OK);
    ck_assert_uint_lt(changes.size, 34 * 4096);
    weir_stable_free(stable);
    ck_assert_int_eq(weir_stable_new(account, LIMIT, &stable, NULL), WEIR_OK);
    ck_assert_int_eq(weir_stable_load(stable, &readers[0], NULL), WEIR_OK);
    ck_assert_int_eq(weir_stable_load(stable, &readers[1], NULL), WEIR_OK);
    ck_assert_uint_eq(weir_stable_pages(stable), 120);
    ck_assert(is_all(get(5 * PAGE, PAGE), 3, PAGE));
    ck_assert(is_all(get(6 * PAGE, PAGE), 0, PAGE));
    ck_assert(is_all(get(7 * PAGE, PAGE), 3, PAGE));
    ck_assert(is_all(get(110 * PAGE, PAGE), 4, PAGE));
    first.at = 0; /* smaller than what is there */
    ck_assert_int_eq(weir_stable_load(stable, &readers[0], NULL), WEIR_CORRUPT);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime stable");
    TCase *tests = tcase_create("stable");
    tcase_add_test(tests, is_sparse);
    tcase_add_test(tests, bounds);
    tcase_add_test(tests, like_an_array);
    tcase_add_test(tests, is_charged);
    tcase_add_test(tests, page_tables_are_charged);
    tcase_add_test(tests, comes_back);
    tcase_add_test(tests, changes_come_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
