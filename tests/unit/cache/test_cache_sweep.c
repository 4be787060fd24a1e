/* The n-th charge fails, for every n, on the cache's whole way: an error, or a cache that goes
 * without, and nothing else. Afterwards accounts, heap, mappings and descriptors are as before. */
#include <dirent.h>
#include <fcntl.h>

#include "cache/cache_internal.h"
#include "ledger/mapping.h"
#include "tests/unit/cache/cache_modules.h"
#include "tests/unit/runtime/runtime_fixture.h"

#define CHARGES_MAX 1000
#define MODULES 3
#define DATA_BYTES (64u << 10)

static struct cache_folder folder;
static struct cache_module *modules;

struct state {
    uint64_t kinds[WEIR_KIND_COUNT];
    uint64_t heap_bytes;
    size_t mappings;
    int descriptors;
};

static int count_descriptors(void)
{
    int count = 0;
    DIR *names = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(names);
    while (readdir(names) != NULL)
        count++;
    (void)closedir(names);
    return count;
}

static struct state read_state(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    struct state state = {.heap_bytes = weir_ledger_heap_bytes(),
                          .mappings = weir_mapping_count(),
                          .descriptors = count_descriptors()};
    memcpy(state.kinds, reading.kinds, sizeof state.kinds);
    return state;
}

/* An error says what it is; what was opened is given back by the caller. */
static bool is_ok(enum weir_status status, struct weir_error *error)
{
    if (status != WEIR_OK)
        ck_assert_msg(error->status == status && error->message[0] != 0, "%s: %s",
                      weir_status_name(status), error->message);
    weir_error_done(error);
    return status == WEIR_OK;
}

static bool get(struct weir_cache *cache, struct weir_engine *engine, int number)
{
    const struct weir_cache_request request = {.engine = engine,
                                               .id = &modules[number].id,
                                               .bytes = modules[number].bytes,
                                               .size = modules[number].size};
    struct weir_module *module = NULL;
    struct weir_error error = {0};
    bool is_done = is_ok(weir_cache_get(cache, &request, &module, &error), &error);
    ck_assert(is_done == (module != NULL));
    weir_module_unref(module);
    weir__cache_check(cache);
    return is_done;
}

static bool look(void *context, const struct weir_cache_entry *entry)
{
    *(uint64_t *)context += entry->bytes;
    return true;
}

static bool use(struct weir_cache *cache, struct weir_engine *engine, int null)
{
    struct weir_error error = {0};
    const struct weir_cache_request request = {.engine = engine, .id = &modules[1].id};
    uint64_t sum = 0;
    bool is_done = is_ok(weir_cache_record(cache, null, &error), &error);
    for (int i = 0; i < 2 * MODULES; i++)
        is_done &= get(cache, engine, i % MODULES);
    is_done &= is_ok(weir_cache_pin(cache, &request, &error), &error);
    weir_cache_walk(cache, look, &sum);
    if (is_done)
        is_done = is_ok(weir_cache_unpin(cache, &modules[1].id, &error), &error);
    else /* the next way shall find no pin */
        (void)weir_cache_unpin(cache, &modules[1].id, NULL);
    (void)weir_cache_shrink(cache, 1);
    is_done &= is_ok(weir_cache_record(cache, -1, &error), &error);
    weir__cache_check(cache);
    return is_done;
}

static bool whole_way(int null)
{
    const struct weir_cache_config config = {
        .dir = folder.path, .memory_bytes_max = 3 * DATA_BYTES, .modules_max = 16};
    struct weir_error error = {0};
    struct weir_engine *engine = NULL;
    struct weir_cache *cache = NULL;
    bool is_done = is_ok(weir_engine_new(NULL, &engine, &error), &error) &&
                   is_ok(weir_cache_new(&config, &cache, &error), &error) &&
                   use(cache, engine, null);
    weir_cache_free(cache);
    weir_engine_unref(engine);
    return is_done;
}

START_TEST(fails_cleanly)
{
    folder = cache_folder_new();
    modules = cache_modules_make(MODULES, DATA_BYTES);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert(whole_way(null)); /* compiles; from here on the disk tier serves */
    ck_assert(whole_way(null));
    struct state before = read_state();
    uint64_t n = 1;
    for (; n < CHARGES_MAX; n++) {
        (void)weir_ledger_fail_nth(n);
        bool is_done = whole_way(null);
        if (weir_ledger_fail_nth(0) < n) {
            ck_assert(is_done);
            break;
        }
        struct state after = read_state();
        ck_assert_msg(memcmp(&before, &after, sizeof before) == 0, "charge %u leaves something",
                      (unsigned)n);
    }
    ck_assert_uint_gt(n, 10);
    ck_assert_uint_lt(n, CHARGES_MAX);
    (void)close(null);
    cache_modules_free(modules, MODULES);
    cache_folder_remove(&folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache sweep");
    TCase *tests = tcase_create("charges");
    tcase_add_test(tests, fails_cleanly);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
