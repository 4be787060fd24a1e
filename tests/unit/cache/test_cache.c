/* The module cache by its interface: tiers, limits, reasons, pins, damage, loads that fail. */
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

#include "cache/replay.h"
#include "tests/unit/cache/cache_modules.h"
#include "tests/unit/runtime/runtime_fixture.h"

#define DATA_BYTES (256u << 10) /* of each module: its artifact takes a little more */
#define COUNT 6

static struct cache_folder folder;
static struct weir_engine *engine;
static struct cache_module *modules;

static void set_up(void)
{
    folder = cache_folder_new();
    engine = fixture_engine(NULL);
    modules = cache_modules_make(COUNT, DATA_BYTES);
}

static void tear_down(void)
{
    cache_modules_free(modules, COUNT);
    weir_engine_unref(engine);
    cache_folder_remove(&folder);
}

static struct weir_cache *open_with(uint64_t pinned, uint64_t memory)
{
    const struct weir_cache_config config = {
        .dir = folder.path, .pinned_bytes_max = pinned, .memory_bytes_max = memory};
    return cache_open(&config);
}

static void use(struct weir_cache *cache, int number)
{
    weir_module_unref(cache_get(cache, engine, &modules[number]));
}

/* What one module counts in its tier. */
static uint64_t unit(struct weir_cache *cache)
{
    use(cache, 0);
    uint64_t bytes = cache_entry(cache, &modules[0]).bytes;
    ck_assert_uint_gt(bytes, DATA_BYTES);
    return bytes;
}

START_TEST(hits_and_misses)
{
    struct weir_cache *cache = open_with(0, 0);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < COUNT; j++)
            use(cache, j);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.uses, 3 * COUNT);
    ck_assert_uint_eq(figures.compiled, COUNT);
    ck_assert_uint_eq(figures.disk_absent, COUNT);
    ck_assert_uint_eq(figures.misses[WEIR_CACHE_CAUSE_FIRST], COUNT);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].hits, 2 * COUNT);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].modules, COUNT);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_DISK].hits, 0);
    struct weir_cache_entry entry = cache_entry(cache, &modules[2]);
    ck_assert_uint_eq(entry.place, WEIR_CACHE_AT_MEMORY);
    ck_assert_uint_eq(entry.hits, 2);
    ck_assert_uint_eq(entry.loads, 1);
    ck_assert_uint_eq(entry.users, 0);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].used_bytes, COUNT * entry.bytes);
    ck_assert_uint_ge(entry.mapped_bytes, DATA_BYTES);
    ck_assert_uint_le(entry.resident_bytes, entry.mapped_bytes + 4096);
    ck_assert_uint_gt(entry.private_bytes, 0);
    ck_assert_uint_le(entry.private_bytes, 8192);
    weir_cache_free(cache);

    cache = open_with(0, 0); /* a restart: the disk tier serves */
    for (int j = 0; j < COUNT; j++)
        use(cache, j);
    figures = cache_figures(cache);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_DISK].hits, COUNT);
    ck_assert_uint_gt(figures.tiers[WEIR_CACHE_DISK].load_ns_sum, 0);
    ck_assert_uint_eq(figures.compiled, 0);
    weir_cache_free(cache);
}
END_TEST

START_TEST(asks_by_id)
{
    struct weir_cache *cache = open_with(0, 0);
    struct weir_cache_request request = {.engine = engine, .id = &modules[1].id};
    struct weir_module *module = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_cache_get(cache, &request, &module, &error), WEIR_NOT_FOUND);
    ck_assert_ptr_null(module);
    weir_error_done(&error);
    use(cache, 1);
    ck_assert_int_eq(weir_cache_get(cache, &request, &module, NULL), WEIR_OK);
    weir_module_unref(module);
    request = (struct weir_cache_request){
        .engine = engine, .bytes = modules[1].bytes, .size = modules[1].size};
    ck_assert_int_eq(weir_cache_get(cache, &request, &module, NULL), WEIR_OK);
    weir_module_unref(module);
    ck_assert_uint_eq(cache_figures(cache).compiled, 1);
    request.id = &modules[2].id; /* not that of the bytes */
    ck_assert_int_eq(weir_cache_get(cache, &request, &module, &error), WEIR_INVALID_ARGUMENT);
    weir_error_done(&error);
    request = (struct weir_cache_request){.engine = engine};
    ck_assert_int_eq(weir_cache_get(cache, &request, &module, NULL), WEIR_INVALID_ARGUMENT);
    weir_cache_free(cache);
}
END_TEST

START_TEST(evicts_by_bytes)
{
    struct weir_cache *cache = open_with(0, 0);
    uint64_t bytes = unit(cache);
    weir_cache_free(cache);
    cache = open_with(0, 2 * bytes + bytes / 2);
    use(cache, 0);
    use(cache, 1);
    use(cache, 0); /* marked: the hand spares it */
    use(cache, 2);
    ck_assert_uint_eq(cache_entry(cache, &modules[0]).place, WEIR_CACHE_AT_MEMORY);
    struct weir_cache_entry entry = cache_entry(cache, &modules[1]);
    ck_assert_uint_eq(entry.place, WEIR_CACHE_AT_NONE);
    ck_assert_uint_eq(entry.cause, WEIR_CACHE_CAUSE_EVICTED);
    char text[256];
    weir_cache_explain(&entry, text, sizeof text);
    ck_assert_msg(strstr(text, "made room for another") != NULL, "%s", text);
    use(cache, 1);
    entry = cache_entry(cache, &modules[1]);
    ck_assert_uint_eq(entry.misses[WEIR_CACHE_CAUSE_EVICTED], 1);
    ck_assert_uint_eq(entry.evictions, 1);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].evictions, 2);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].evicted_bytes, 2 * bytes);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].used_bytes, 2 * bytes);
    ck_assert_uint_eq(figures.misses[WEIR_CACHE_CAUSE_EVICTED], 1);
    weir_cache_free(cache);
}
END_TEST

/* What is in use is not evicted; what comes then is shared among its users, and kept as soon as
 * there is room. */
START_TEST(spares_what_is_in_use)
{
    struct weir_cache *cache = open_with(0, 0);
    uint64_t bytes = unit(cache);
    weir_cache_free(cache);
    cache = open_with(0, bytes + bytes / 2);
    size_t mappings = cache_mapped_modules();
    struct weir_module *first = cache_get(cache, engine, &modules[0]);
    struct weir_module *second = cache_get(cache, engine, &modules[1]);
    struct weir_module *again = cache_get(cache, engine, &modules[1]);
    ck_assert_ptr_eq(second, again);
    ck_assert_uint_eq(cache_mapped_modules(), mappings + 2);
    struct weir_cache_entry entry = cache_entry(cache, &modules[1]);
    ck_assert_uint_eq(entry.place, WEIR_CACHE_AT_LENT);
    ck_assert_uint_eq(entry.cause, WEIR_CACHE_CAUSE_CROWDED);
    ck_assert_uint_eq(entry.users, 2);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.crowded, 1);
    ck_assert_uint_eq(figures.lent_modules, 1);
    ck_assert_uint_eq(figures.lent_bytes, bytes);
    ck_assert_uint_eq(figures.lent_hits, 1);
    weir_module_unref(first);
    weir_module_unref(again);
    use(cache, 1); /* there is room now */
    ck_assert_uint_eq(cache_entry(cache, &modules[1]).place, WEIR_CACHE_AT_MEMORY);
    ck_assert_uint_eq(cache_entry(cache, &modules[0]).place, WEIR_CACHE_AT_NONE);
    weir_module_unref(second);
    first = cache_get(cache, engine, &modules[2]);
    second = cache_get(cache, engine, &modules[3]);
    weir_module_unref(second); /* the last user of what is kept nowhere */
    ck_assert_uint_eq(cache_figures(cache).lent_modules, 0);
    ck_assert_uint_eq(cache_figures(cache).lent_bytes, 0);
    ck_assert_uint_eq(cache_mapped_modules(), mappings + 1);
    weir_cache_free(cache);
    ck_assert_str_eq(weir_module_name(first), "test"); /* outlives the cache */
    weir_module_unref(first);
    ck_assert_uint_eq(cache_mapped_modules(), mappings);
}
END_TEST

START_TEST(serves_oversize)
{
    struct weir_cache *cache = open_with(0, 128u << 10);
    use(cache, 1);
    size_t mappings = cache_mapped_modules();
    for (int i = 0; i < 4; i++)
        use(cache, i % 2);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.oversize, 5);
    ck_assert_uint_eq(figures.misses[WEIR_CACHE_CAUSE_OVERSIZE], 3);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].modules, 0);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_DISK].hits, 3);
    ck_assert_uint_eq(cache_mapped_modules(), mappings);
    weir_cache_free(cache);
}
END_TEST

static enum weir_status pin(struct weir_cache *cache, int number, struct weir_error *error)
{
    const struct weir_cache_request request = {.engine = engine,
                                               .bytes = modules[number].bytes,
                                               .size = modules[number].size,
                                               .module = {.name = "pinned one"}};
    return weir_cache_pin(cache, &request, error);
}

START_TEST(pins)
{
    struct weir_cache *cache = open_with(0, 0);
    uint64_t bytes = unit(cache);
    weir_cache_free(cache);
    cache = open_with(2 * bytes, bytes + bytes / 2);
    struct weir_error error = {0};
    use(cache, 0);
    ck_assert_int_eq(pin(cache, 0, NULL), WEIR_OK); /* from the memory tier */
    ck_assert_int_eq(pin(cache, 0, NULL), WEIR_OK);
    ck_assert_int_eq(pin(cache, 1, NULL), WEIR_OK); /* loaded for it */
    ck_assert_int_eq(pin(cache, 2, &error), WEIR_LIMIT);
    ck_assert_msg(strstr(error.message, "pinned one") != NULL, "%s", error.message);
    weir_error_done(&error);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_PINNED].modules, 2);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_PINNED].used_bytes, 2 * bytes);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].modules, 1); /* 2, where it was */
    ck_assert_uint_eq(figures.pins_refused, 1);
    use(cache, 1);
    ck_assert_uint_eq(cache_figures(cache).tiers[WEIR_CACHE_PINNED].hits,
                      figures.tiers[WEIR_CACHE_PINNED].hits + 1);
    weir_cache_shrink(cache, UINT64_MAX);
    ck_assert_uint_eq(cache_figures(cache).tiers[WEIR_CACHE_PINNED].modules, 2);
    ck_assert_uint_eq(cache_entry(cache, &modules[2]).cause, WEIR_CACHE_CAUSE_PRESSURE);
    ck_assert_int_eq(weir_cache_unpin(cache, &modules[1].id, NULL), WEIR_OK);
    ck_assert_uint_eq(cache_entry(cache, &modules[1]).place, WEIR_CACHE_AT_MEMORY);
    ck_assert_int_eq(weir_cache_unpin(cache, &modules[1].id, NULL), WEIR_NOT_FOUND);
    ck_assert_int_eq(weir_cache_unpin(cache, &modules[5].id, NULL), WEIR_NOT_FOUND);
    weir_cache_free(cache);

    /* A restart: what is pinned is pinned when it comes, or at once when warmed. */
    cache = open_with(2 * bytes, bytes + bytes / 2);
    use(cache, 0);
    use(cache, 1);
    ck_assert_uint_eq(cache_entry(cache, &modules[0]).place, WEIR_CACHE_AT_PINNED);
    ck_assert_uint_eq(cache_entry(cache, &modules[1]).place, WEIR_CACHE_AT_MEMORY);
    weir_cache_free(cache);
    cache = open_with(2 * bytes, bytes + bytes / 2);
    ck_assert_uint_eq(weir_cache_warm(cache, engine), 1);
    ck_assert_uint_eq(cache_entry(cache, &modules[0]).place, WEIR_CACHE_AT_PINNED);
    ck_assert_int_eq(weir_cache_drop(cache, &modules[0].id, NULL), WEIR_OK);
    ck_assert_uint_eq(cache_entry(cache, &modules[0]).cause, WEIR_CACHE_CAUSE_DROPPED);
    ck_assert_int_eq(weir_cache_drop(cache, &modules[0].id, NULL), WEIR_NOT_FOUND);
    weir_cache_free(cache);
}
END_TEST

/* An artifact that somebody changed: moved away, counted, compiled again. */
START_TEST(refuses_damage)
{
    struct weir_cache *cache = open_with(0, 0);
    use(cache, 0);
    weir_cache_free(cache);
    char pattern[96];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/v*/*", folder.path);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    int fd = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, "x", 1, 5000), 1);
    (void)close(fd);
    globfree(&found);
    cache = open_with(0, 0);
    use(cache, 0);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.disk_quarantined, 1);
    ck_assert_uint_eq(figures.compiled, 1);
    use(cache, 0);
    ck_assert_uint_eq(cache_figures(cache).tiers[WEIR_CACHE_MEMORY].hits, 1);
    weir_cache_free(cache);
}
END_TEST

START_TEST(tells_why_a_load_failed)
{
    struct weir_cache *cache = open_with(0, 0);
    static const uint8_t bad[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 9};
    const struct weir_cache_request request = {.engine = engine, .bytes = bad, .size = sizeof bad};
    struct weir_module *module = NULL;
    for (int i = 0; i < 3; i++) {
        struct weir_error error = {0};
        ck_assert_int_eq(weir_cache_get(cache, &request, &module, &error), WEIR_MALFORMED);
        ck_assert_uint_eq(error.offset, 9);
        weir_error_done(&error);
    }
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.failures, 3);
    ck_assert_uint_eq(figures.misses[WEIR_CACHE_CAUSE_FAILED], 2);
    weir_cache_free(cache);
}
END_TEST

/* Without a directory every load compiles, and no disk tier missed anything. */
START_TEST(works_without_a_disk)
{
    const struct weir_cache_config config = {0};
    struct weir_cache *cache = cache_open(&config);
    use(cache, 0);
    use(cache, 0);
    ck_assert_int_eq(weir_cache_drop(cache, &modules[0].id, NULL), WEIR_OK);
    use(cache, 0);
    ck_assert_int_eq(pin(cache, 0, NULL), WEIR_OK);
    ck_assert_uint_eq(weir_cache_warm(cache, engine), 0);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.compiled, 2);
    ck_assert_uint_eq(figures.disk_absent, 0);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_DISK].limit_bytes, 0);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_PINNED].modules, 1);
    weir_cache_free(cache);
}
END_TEST

/* What is recorded can be replayed. */
START_TEST(records_uses)
{
    struct weir_cache *cache = open_with(0, 0);
    char path[96], text[4096] = "";
    (void)snprintf(path, sizeof path, "%s/trace", folder.path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    use(cache, 0);
    ck_assert_int_eq(weir_cache_record(cache, fd, NULL), WEIR_OK);
    for (int i = 0; i < 6; i++)
        use(cache, i % 2);
    ck_assert_int_eq(weir_cache_record(cache, -1, NULL), WEIR_OK);
    use(cache, 1);
    ck_assert_int_gt(pread(fd, text, sizeof text - 1, 0), 0);
    (void)close(fd);
    const struct weir_replay_trace trace = {.name = path, .bytes = text, .size = strlen(text)};
    struct weir_replay *replay = NULL;
    struct weir_replay_figures figures;
    ck_assert_int_eq(weir_replay_open(&trace, &replay, NULL), WEIR_OK);
    weir_replay_figures(replay, &figures);
    ck_assert_uint_eq(figures.uses, 6);
    ck_assert_uint_eq(figures.modules, 2);
    ck_assert_uint_eq(figures.largest_bytes, cache_entry(cache, &modules[0]).bytes);
    weir_replay_free(replay);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(weir_cache_record(cache, full, NULL), WEIR_OK);
    ck_assert_int_eq(weir_cache_record(cache, -1, NULL), WEIR_IO);
    (void)close(full);
    weir_cache_free(cache);
}
END_TEST

static uint64_t count_call(void *context, const uint8_t module[32])
{
    ++*(unsigned *)context;
    return module[0] == 0x11 ? 1000 : 0;
}

/* A log of a million uses of what the directory does not have asks for each module once. */
START_TEST(asks_for_a_size_once)
{
    static const char LOG[] =
        "1100112233445566778899aabbccddeeff00112233445566778899aabbccddee\n"
        "2200112233445566778899aabbccddeeff00112233445566778899aabbccddee\n";
    char text[100 * (sizeof LOG - 1)];
    unsigned calls = 0;
    for (size_t i = 0; i < sizeof text; i += sizeof LOG - 1)
        memcpy(text + i, LOG, sizeof LOG - 1);
    const struct weir_replay_trace trace = {.name = "log",
                                            .bytes = text,
                                            .size = sizeof text,
                                            .size_of = count_call,
                                            .context = &calls};
    struct weir_replay *replay = NULL;
    struct weir_replay_figures figures;
    ck_assert_int_eq(weir_replay_open(&trace, &replay, NULL), WEIR_OK);
    weir_replay_figures(replay, &figures);
    ck_assert_uint_eq(figures.uses, 100);
    ck_assert_uint_eq(figures.unknown_uses, 100);
    ck_assert_uint_eq(calls, 2);
    weir_replay_free(replay);
}
END_TEST

START_TEST(keeps_engines_apart)
{
    const struct weir_engine_config with_fuel = {.has_fuel = true};
    struct weir_engine *other = fixture_engine(&with_fuel);
    struct weir_cache *cache = open_with(0, 0);
    struct weir_module *plain = cache_get(cache, engine, &modules[0]);
    struct weir_module *fueled = cache_get(cache, other, &modules[0]);
    ck_assert_ptr_ne(plain, fueled);
    ck_assert_uint_eq(cache_figures(cache).compiled, 2);
    weir_module_unref(plain);
    weir_module_unref(fueled);
    weir_engine_unref(other); /* its module keeps it */
    ck_assert_int_eq(weir_cache_drop(cache, &modules[0].id, NULL), WEIR_OK);
    ck_assert_uint_eq(cache_figures(cache).tiers[WEIR_CACHE_MEMORY].modules, 0);
    weir_cache_free(cache);
}
END_TEST

/* More modules than it can remember: the oldest history goes, nothing else changes. */
START_TEST(forgets_history)
{
    const struct weir_cache_config config = {
        .dir = folder.path, .memory_bytes_max = 64u << 10, .modules_max = 16};
    struct weir_cache *cache = cache_open(&config);
    struct cache_module *many = cache_modules_make(40, 0);
    struct weir_module *held[20];
    for (int i = 0; i < 40; i++)
        weir_module_unref(cache_get(cache, engine, &many[i]));
    ck_assert_uint_eq(cache_figures(cache).remembered, 16);
    for (int i = 0; i < 20; i++)
        held[i] = cache_get(cache, engine, &many[i]);
    for (int i = 0; i < 20; i++) {
        struct weir_store *store = fixture_store(engine);
        ck_assert_int_eq(CALL_OK(fixture_instance(store, NULL, held[i]), "get"), i);
        weir_store_close(store, NULL);
        weir_module_unref(held[i]);
    }
    cache_modules_free(many, 40);
    weir_cache_free(cache);
}
END_TEST

START_TEST(checks_limits)
{
    static const struct weir_cache_config bad[] = {
        {.memory_bytes_max = 1},
        {.memory_bytes_max = UINT64_C(2) << 40},
        {.memory_bytes_max = UINT64_MAX},
        {.pinned_bytes_max = 4095},
        {.pinned_bytes_max = UINT64_C(2) << 40},
        {.disk_bytes_max = 100},
        {.disk_bytes_max = UINT64_C(2) << 50},
        {.modules_max = 15},
        {.modules_max = 1048577},
    };
    struct weir_error error = {0};
    struct weir_cache *cache = NULL;
    ck_assert_int_eq(weir_cache_new(&bad[_i], &cache, &error), WEIR_INVALID_ARGUMENT);
    ck_assert_ptr_null(cache);
    ck_assert_str_ne(error.message, "");
    weir_error_done(&error);
}
END_TEST

/* Four uses of two modules of known size: the advice can be checked by hand. */
START_TEST(advises)
{
    struct weir_cache *cache = open_with(0, 0);
    struct weir_cache_advice advice;
    char text[256];
    weir_cache_advise(cache, &advice);
    ck_assert_uint_eq(advice.point_count, 0);
    weir_cache_advice_text(&advice, text, sizeof text);
    ck_assert_msg(strstr(text, "nothing was used twice") != NULL, "%s", text);
    uint64_t bytes = unit(cache);
    use(cache, 1);
    use(cache, 0);
    use(cache, 1);
    weir_cache_advise(cache, &advice);
    ck_assert_uint_gt(advice.point_count, 0);
    const struct weir_cache_point *last = &advice.points[advice.point_count - 1];
    ck_assert_uint_ge(last->cache_bytes, 2 * bytes);
    ck_assert_uint_le(last->cache_bytes, 2 * bytes + 2 * bytes / 32);
    ck_assert_double_eq_tol(last->reload_byte_ratio, 0, 1e-9);
    struct weir_cache_point point = {.cache_bytes = bytes + bytes / 2};
    weir_cache_curve(cache, &point, 1);
    ck_assert_double_eq_tol(point.reload_byte_ratio, 0.5, 1e-9);
    ck_assert_double_eq_tol(point.reload_ratio, 0.5, 1e-9);
    ck_assert_double_eq_tol(advice.now.reload_byte_ratio, 0, 1e-9);
    ck_assert_double_eq_tol(advice.first_byte_ratio, 0.5, 1e-9);
    weir_cache_advice_text(&advice, text, sizeof text);
    ck_assert_msg(strstr(text, "and more: nothing") != NULL, "%s", text);
    weir_cache_free(cache);
}
END_TEST

START_TEST(gives_back_under_pressure)
{
    struct weir_cache *cache = open_with(0, 0);
    for (int i = 0; i < 4; i++)
        use(cache, i);
    uint64_t bytes = cache_entry(cache, &modules[0]).bytes;
    struct weir_module *used = cache_get(cache, engine, &modules[3]);
    uint64_t given = weir_ledger_reclaim(2 * bytes);
    ck_assert_uint_ge(given, 2 * bytes);
    (void)weir_ledger_reclaim(UINT64_MAX);
    struct weir_cache_figures figures = cache_figures(cache);
    ck_assert_uint_eq(figures.tiers[WEIR_CACHE_MEMORY].modules, 1);
    ck_assert_uint_eq(cache_entry(cache, &modules[3]).place, WEIR_CACHE_AT_MEMORY);
    weir_module_unref(used);
    weir_cache_free(cache);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache");
    TCase *tests = tcase_create("tiers");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, hits_and_misses);
    tcase_add_test(tests, asks_by_id);
    tcase_add_test(tests, evicts_by_bytes);
    tcase_add_test(tests, spares_what_is_in_use);
    tcase_add_test(tests, serves_oversize);
    tcase_add_test(tests, pins);
    tcase_add_test(tests, refuses_damage);
    tcase_add_test(tests, tells_why_a_load_failed);
    tcase_add_test(tests, works_without_a_disk);
    tcase_add_test(tests, records_uses);
    tcase_add_test(tests, asks_for_a_size_once);
    tcase_add_test(tests, keeps_engines_apart);
    tcase_add_test(tests, forgets_history);
    tcase_add_test(tests, advises);
    tcase_add_test(tests, gives_back_under_pressure);
    suite_add_tcase(suite, tests);
    TCase *limits = tcase_create("limits");
    tcase_add_loop_test(limits, checks_limits, 0, 9);
    suite_add_tcase(suite, limits);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
