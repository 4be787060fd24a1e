/* Versions: commit moves the state that a reset goes back to; what is saved comes back the same,
 * byte for byte; a damaged one is refused; a successor finds its predecessor's memory before its
 * start runs. On both kernel paths, in both bounds forms, with pages resident and dropped. The
 * whole instance is compared each time: memory, all globals, tables, and by weir_instance_verify(),
 * which reads every page. */
#include "tests/unit/runtime/runtime_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "heir_wasm.h"
#include "ledger/ledger.h"
#include "runtime/process_internal.h"
#include "state_wasm.h"
#include "tests/run_suite.h"

#define PAGE 65536
#define ITEMS_MAX 32

static struct weir_engine_config config;
static struct weir_engine *engine;
static struct weir_module *module;
static struct weir_linker *linker;
static struct weir_store *store;
static struct weir_instance *instance;

static const struct {
    enum weir_bounds bounds;
    enum weir__scan_path path;
    uint64_t keep_bytes;
} forms[] = {{WEIR_BOUNDS_GUARD, WEIR__SCAN_BEST, 0},
             {WEIR_BOUNDS_GUARD, WEIR__SCAN_PAGEMAP, 0},
             {WEIR_BOUNDS_EXPLICIT, WEIR__SCAN_BEST, 0},
             {WEIR_BOUNDS_GUARD, WEIR__SCAN_BEST, 3 * 4096},
             {WEIR_BOUNDS_EXPLICIT, WEIR__SCAN_PAGEMAP, 1}};
#define FORM_COUNT ((int)(sizeof forms / sizeof forms[0]))

static struct weir_store *store_of(int form, uint64_t bytes_max)
{
    struct weir_store_config store_config = {.keep_resident_bytes = forms[form].keep_bytes,
                                             .memory_bytes_max = bytes_max};
    struct weir_store *made = NULL;
    ck_assert_int_eq(weir_store_new(engine, &store_config, &made, NULL), WEIR_OK);
    return made;
}

static void begin(int form, const uint8_t *wasm, size_t size)
{
    config.bounds = forms[form].bounds;
    weir__privatised_choose(forms[form].path);
    engine = fixture_engine(&config);
    module = fixture_module(engine, &config, wasm, size);
    store = store_of(form, 0);
    ck_assert_int_eq(weir_linker_new(engine, &linker, NULL), WEIR_OK);
}

static void end(void)
{
    weir_store_close(store, NULL);
    weir_linker_free(linker);
    weir_module_unref(module);
    weir_engine_unref(engine);
}

/* --- the whole of an instance -------------------------------------------------------------- */

struct whole {
    uint8_t *memory;
    size_t size;
    union weir_value globals[ITEMS_MAX];
    size_t global_count;
    uint32_t elements[ITEMS_MAX]; /* function index + 1; 0: null */
    uint64_t element_count;
};

static struct whole look(struct weir_instance *at)
{
    struct whole whole = {0};
    struct weir_memory *memory = weir_instance_memory(at, 0);
    whole.size = weir_memory_bytes(memory);
    whole.memory = malloc(whole.size);
    ck_assert_ptr_nonnull(whole.memory);
    ck_assert_int_eq(weir_memory_read(memory, 0, whole.memory, whole.size), WEIR_OK);
    whole.global_count = weir_instance_global_count(at);
    ck_assert_uint_le(whole.global_count, ITEMS_MAX);
    for (size_t i = 0; i < whole.global_count; i++)
        whole.globals[i] = weir_global_get(weir_instance_global(at, i));
    struct weir_extern table;
    ck_assert_int_eq(weir_instance_export(at, "table", 5, &table), WEIR_OK);
    whole.element_count = weir_table_size(table.table);
    ck_assert_uint_le(whole.element_count, ITEMS_MAX);
    for (uint64_t i = 0; i < whole.element_count; i++) {
        void *ref = NULL;
        ck_assert_int_eq(weir_table_get(table.table, i, &ref), WEIR_OK);
        whole.elements[i] = ref != NULL ? ((const struct weir_funcref *)ref)->func_index + 1 : 0;
    }
    return whole;
}

static void same(const struct whole *a, struct weir_instance *at)
{
    struct whole b = look(at);
    ck_assert_uint_eq(a->size, b.size);
    ck_assert(memcmp(a->memory, b.memory, a->size) == 0);
    ck_assert_uint_eq(a->global_count, b.global_count);
    ck_assert(memcmp(a->globals, b.globals, sizeof a->globals) == 0);
    ck_assert_uint_eq(a->element_count, b.element_count);
    ck_assert(memcmp(a->elements, b.elements, sizeof a->elements) == 0);
    free(b.memory);
    struct weir_error error = {0};
    enum weir_status status = weir_instance_verify(at, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
}

static struct weir_commit commit(void)
{
    struct weir_commit done = {0};
    struct weir_error error = {0};
    enum weir_status status = weir_instance_commit(instance, &done, &error);
    ck_assert_msg(status == WEIR_OK, "commit: %s", error.message);
    return done;
}

static void reset(void)
{
    struct weir_error error = {0};
    enum weir_status status = weir_instance_reset(instance, &error);
    ck_assert_msg(status == WEIR_OK, "reset: %s", error.message);
}

static void use_everything(int64_t secret)
{
    (void)CALL_OK(instance, "touch", 8 * 16, secret);
    (void)CALL_OK(instance, "store", 100, secret);
    int64_t old = CALL_OK(instance, "grow", 3);
    ck_assert_int_ge(old, 8);
    (void)CALL_OK(instance, "store", (old + 1) * PAGE + 4, secret);
    (void)CALL_OK(instance, "set_counter", secret);
    (void)CALL_OK(instance, "table_set", secret % 4);
    (void)CALL_OK(instance, "table_grow", 2);
}

/* --- commit and back ----------------------------------------------------------------------- */

START_TEST(commit_moves_the_point)
{
    begin(_i, state_wasm, sizeof state_wasm);
    instance = fixture_instance(store, linker, module);
    (void)CALL_OK(instance, "init", 5000);
    (void)CALL_OK(instance, "table_init", 0);
    for (int round = 0; round < 4; round++) {
        if (round != 2) /* once there is nothing new */
            use_everything(round + 1);
        (void)commit();
        struct whole kept = look(instance);
        same(&kept, instance);
        for (int i = 0; i < 3; i++) {
            use_everything(77 + i);
            CALL_TRAPS(instance, "load", WEIR_TRAP_MEMORY_BOUNDS, 64 * PAGE);
            reset();
            same(&kept, instance);
        }
        /* What was grown and taken back is zeros when it is grown again. */
        int64_t old = CALL_OK(instance, "grow", 3);
        ck_assert_int_eq(CALL_OK(instance, "load", (old + 1) * PAGE + 4), 0);
        reset();
        free(kept.memory);
    }
    end();
}
END_TEST

/* The passive segments: dropped stays dropped, and what is not comes back. */
START_TEST(segments_are_part_of_it)
{
    begin(_i, state_wasm, sizeof state_wasm);
    instance = fixture_instance(store, linker, module);
    (void)commit();
    (void)CALL_OK(instance, "drop_data");
    reset();
    (void)CALL_OK(instance, "init", 5000);
    (void)CALL_OK(instance, "drop_data");
    (void)CALL_OK(instance, "drop_elem");
    (void)commit();
    reset();
    CALL_TRAPS(instance, "init", WEIR_TRAP_MEMORY_BOUNDS, 5000);
    CALL_TRAPS(instance, "table_init", WEIR_TRAP_TABLE_BOUNDS, 0);
    end();
}
END_TEST

/* Costs go by pages written, not by the size; and a page paged out meanwhile is not forgotten. */
START_TEST(counts_pages)
{
    begin(_i, state_wasm, sizeof state_wasm);
    instance = fixture_instance(store, linker, module);
    (void)CALL_OK(instance, "grow", 50);
    (void)CALL_OK(instance, "touch", 58 * 16, 1);
    ck_assert_uint_ge(commit().pages_copied, 58 * 16);
    ck_assert_uint_eq(commit().pages_copied, 0);
    for (int round = 0; round < 3; round++) {
        (void)CALL_OK(instance, "touch", 5, 100 + round);
        struct weir_memory *memory = fixture_memory(instance, "memory");
        (void)madvise(weir_memory_at(memory, 0, PAGE), PAGE, 21 /* MADV_PAGEOUT */);
        struct weir_commit done = commit();
        ck_assert_uint_eq(done.pages_copied, 5);
        uint64_t keep = forms[_i].keep_bytes != 0 ? forms[_i].keep_bytes / 4096 : 256;
        ck_assert_uint_le(done.pages_seen, keep + 5);
        (void)CALL_OK(instance, "touch", 9, 7);
        (void)madvise(weir_memory_at(memory, 0, PAGE), PAGE, 21 /* MADV_PAGEOUT */);
        reset();
        ck_assert_int_eq(CALL_OK(instance, "load", 8 + 4096), 100 + round);
        ck_assert_int_eq(CALL_OK(instance, "load", 8 + 7 * 4096), 1);
        ck_assert_int_eq(weir_instance_verify(instance, NULL), WEIR_OK);
    }
    end();
}
END_TEST

/* Whatever is refused, the version before stays, and the next commit works. */
START_TEST(refused_commits_change_nothing)
{
    for (uint64_t n = 1;; n++) {
        begin(_i, state_wasm, sizeof state_wasm);
        instance = fixture_instance(store, linker, module);
        if (n % 2 == 0) {
            use_everything(1);
            (void)commit();
        }
        struct whole kept = look(instance);
        use_everything(2);
        struct weir_error error = {0};
        (void)weir_ledger_fail_nth(n);
        enum weir_status status = weir_instance_commit(instance, NULL, &error);
        (void)weir_ledger_fail_nth(0);
        if (status != WEIR_OK) {
            ck_assert(status == WEIR_NO_MEMORY || status == WEIR_LIMIT);
            ck_assert_str_ne(error.message, "");
            weir_error_done(&error);
            reset();
            same(&kept, instance);
            use_everything(3);
            (void)commit();
        }
        free(kept.memory);
        end();
        if (status == WEIR_OK && n > 2)
            break;
    }
}
END_TEST

START_TEST(everything_is_charged)
{
    begin(_i, state_wasm, sizeof state_wasm);
    struct weir_account_reading before;
    struct weir_account_reading after;
    for (int round = 0; round < 2; round++) {
        instance = fixture_instance(store, linker, module);
        use_everything(1);
        (void)commit();
        weir_account_read(weir_store_account(store), &after);
        ck_assert_uint_ge(after.kinds[WEIR_KIND_IMAGE], 11 * PAGE);
        ck_assert_uint_eq(after.kinds[WEIR_KIND_DESCRIPTOR], 1);
        ck_assert_int_eq(weir_instance_release(instance, NULL, NULL), WEIR_OK);
        weir_account_read(weir_store_account(store), &after);
        if (round > 0)
            ck_assert(memcmp(before.kinds, after.kinds, sizeof before.kinds) == 0);
        before = after;
    }
    weir_store_close(store, NULL);
    store = store_of(_i, 8 * PAGE + (12 << 12));
    instance = fixture_instance(store, linker, module);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_instance_commit(instance, NULL, &error), WEIR_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "image"));
    weir_error_done(&error);
    reset();
    end();
}
END_TEST

/* --- saved and made ------------------------------------------------------------------------ */

struct buffer {
    uint8_t *bytes;
    size_t size, capacity, at;
};

static enum weir_status write_buffer(void *context, const void *bytes, size_t size,
                                     struct weir_error *error)
{
    struct buffer *buffer = context;
    (void)error;
    if (buffer->size + size > buffer->capacity) {
        buffer->capacity = (buffer->size + size) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        ck_assert_ptr_nonnull(buffer->bytes);
    }
    if (size > 0)
        memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
    return WEIR_OK;
}

static enum weir_status read_buffer(void *context, void *to, size_t size, struct weir_error *error)
{
    struct buffer *buffer = context;
    if (buffer->size - buffer->at < size)
        return weir_error_set(error, WEIR_CORRUPT, WEIR_NO_OFFSET, "it ends early");
    memcpy(to, buffer->bytes + buffer->at, size);
    buffer->at += size;
    return WEIR_OK;
}

static struct buffer save(const struct weir_instance *from)
{
    struct buffer buffer = {0};
    const struct weir_image_writer writer = {write_buffer, &buffer};
    struct weir_error error = {0};
    enum weir_status status = weir_instance_save(from, &writer, &error);
    ck_assert_msg(status == WEIR_OK, "save: %s", error.message);
    return buffer;
}

static enum weir_status load(struct buffer *buffer, struct weir_store *into,
                             struct weir_instance **ret_instance, struct weir_error *error)
{
    const struct weir_image_reader reader = {read_buffer, buffer};
    buffer->at = 0;
    return weir_instance_new_saved(into, linker, module, &reader, ret_instance, error);
}

START_TEST(comes_back)
{
    begin(_i, state_wasm, sizeof state_wasm);
    instance = fixture_instance(store, linker, module);
    struct buffer none = {0};
    const struct weir_image_writer writer = {write_buffer, &none};
    ck_assert_int_eq(weir_instance_save(instance, &writer, NULL), WEIR_STATE);
    use_everything(3);
    (void)CALL_OK(instance, "drop_data");
    (void)commit();
    struct whole kept = look(instance);
    struct buffer first = save(instance);
    ck_assert_uint_lt(first.size, 9 * PAGE); /* zeros are left out */
    use_everything(4);                       /* is no part of it */
    struct weir_store *other = store_of(_i, 0);
    struct weir_error error = {0};
    struct weir_instance *made = NULL;
    enum weir_status status = load(&first, other, &made, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    ck_assert_uint_eq(first.at, first.size);
    same(&kept, made);
    struct buffer second = save(made);
    ck_assert_uint_eq(first.size, second.size);
    ck_assert(memcmp(first.bytes, second.bytes, first.size) == 0);
    /* It lives: works, commits, goes back. */
    instance = made;
    CALL_TRAPS(instance, "init", WEIR_TRAP_MEMORY_BOUNDS, 5000);
    use_everything(5);
    reset();
    same(&kept, made);
    use_everything(6);
    (void)commit();
    free(kept.memory);
    free(first.bytes);
    free(second.bytes);
    weir_store_close(other, NULL);
    end();
}
END_TEST

static struct buffer save_changes(const struct weir_instance *from)
{
    struct buffer buffer = {0};
    const struct weir_image_writer writer = {write_buffer, &buffer};
    struct weir_error error = {0};
    enum weir_status status = weir_instance_save_changes(from, &writer, &error);
    ck_assert_msg(status == WEIR_OK, "save: %s", error.message);
    return buffer;
}

/* What has changed since, pages that became zeros and grown ones too, onto what was saved. */
START_TEST(changes_come_back)
{
    begin(_i, state_wasm, sizeof state_wasm);
    instance = fixture_instance(store, linker, module);
    struct buffer changes[2] = {0};
    const struct weir_image_writer writer = {write_buffer, &changes[0]};
    use_everything(3);
    (void)commit();
    ck_assert_int_eq(weir_instance_save_changes(instance, &writer, NULL), WEIR_STATE);
    struct buffer first = save(instance);
    weir_instance_saved(instance);
    (void)CALL_OK(instance, "store", 5 * 4096 + 8, 0); /* all of the page is zeros again */
    (void)CALL_OK(instance, "drop_data");
    (void)commit();
    changes[0] = save_changes(instance);
    ck_assert_uint_lt(changes[0].size, 3 * PAGE);
    weir_instance_saved(instance);
    use_everything(4);
    (void)CALL_OK(instance, "store", 4096, 0);
    (void)commit();
    changes[1] = save_changes(instance);
    struct whole kept = look(instance);
    struct buffer wanted = save(instance);
    struct weir_store *other = store_of(_i, 0);
    struct weir_error error = {0};
    struct weir_instance *made = NULL;
    enum weir_status status = load(&first, other, &made, &error);
    for (int i = 0; i < 2 && status == WEIR_OK; i++) {
        const struct weir_image_reader reader = {read_buffer, &changes[i]};
        status = weir_instance_load_changes(made, &reader, &error);
        ck_assert_uint_eq(changes[i].at, changes[i].size);
    }
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    same(&kept, made);
    struct buffer found = save(made);
    ck_assert_uint_eq(found.size, wanted.size);
    ck_assert(memcmp(found.bytes, wanted.bytes, found.size) == 0);
    instance = made;
    use_everything(5);
    reset();
    same(&kept, made);
    free(kept.memory);
    free(first.bytes);
    free(changes[0].bytes);
    free(changes[1].bytes);
    free(wanted.bytes);
    free(found.bytes);
    weir_store_close(other, NULL);
    end();
}
END_TEST

/* Cut anywhere, or with any byte of its structure changed: refused or the same kind of thing, and
 * nothing stays behind in the store. */
START_TEST(damaged_ones_are_refused)
{
    begin(_i, state_wasm, sizeof state_wasm);
    instance = fixture_instance(store, linker, module);
    (void)CALL_OK(instance, "touch", 3, 1);
    (void)CALL_OK(instance, "table_grow", 2);
    (void)commit();
    struct buffer whole = save(instance);
    struct weir_store *other = store_of(_i, 64 << 20);
    struct weir_instance *made = NULL;
    struct weir_account_reading before;
    struct weir_account_reading after;
    ck_assert_int_eq(load(&whole, other, &made, NULL), WEIR_OK);
    ck_assert_int_eq(weir_instance_release(made, NULL, NULL), WEIR_OK);
    weir_account_read(weir_store_account(other), &before);
    size_t full = whole.size;
    for (size_t cut = 0; cut < full; cut += cut < 128 || cut > full - 128 ? 1 : 4001) {
        struct weir_error error = {0};
        whole.size = cut;
        ck_assert_int_eq(load(&whole, other, &made, &error), WEIR_CORRUPT);
        ck_assert_str_ne(error.message, "");
        weir_error_done(&error);
    }
    whole.size = full;
    for (size_t at = 0; at < full; at += at < 128 || at > full - 128 ? 1 : 4001) {
        uint8_t change = (uint8_t)(1u << (at + (size_t)_i) % 8);
        whole.bytes[at] ^= change;
        if (load(&whole, other, &made, NULL) == WEIR_OK) {
            ck_assert_int_eq(weir_instance_verify(made, NULL), WEIR_OK);
            ck_assert_int_eq(weir_instance_release(made, NULL, NULL), WEIR_OK);
        }
        whole.bytes[at] ^= change;
    }
    weir_account_read(weir_store_account(other), &after);
    ck_assert(memcmp(before.kinds, after.kinds, sizeof before.kinds) == 0);
    free(whole.bytes);
    weir_store_close(other, NULL);
    end();
}
END_TEST

/* --- a successor --------------------------------------------------------------------------- */

START_TEST(successor_finds_the_memory)
{
    begin(_i, heir_wasm, sizeof heir_wasm);
    instance = fixture_instance(store, linker, module);
    struct weir_error error = {0};
    struct weir_successor successor = {module, linker, instance};
    struct weir_instance *next = NULL;
    struct weir_store *other = store_of(_i, 0);
    (void)CALL_OK(instance, "store", 64, 0x01020304);
    ck_assert_int_eq(CALL_OK(instance, "grow", 3), 2);
    (void)CALL_OK(instance, "store", 4 * PAGE, 99);
    if (_i != 0) /* what was never committed is taken over as well */
        (void)commit();
    (void)CALL_OK(instance, "store", 80, 5);
    enum weir_status status = weir_instance_new_successor(other, &successor, &next, NULL, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    ck_assert_int_eq(CALL_OK(next, "size"), 5);
    ck_assert_int_eq(CALL_OK(next, "load", 32), 2);          /* start ran on what was there */
    ck_assert_int_eq(CALL_OK(next, "load", 64), 0x01020304); /* no segment was applied */
    ck_assert_int_eq(CALL_OK(next, "load", 4 * PAGE), 99);
    ck_assert_int_eq(CALL_OK(next, "load", 80), 5);
    struct whole kept = look(next);
    ck_assert_int_eq(kept.globals[0].i32, 101); /* globals are its own */
    ck_assert_uint_ne(kept.elements[0], 0);
    ck_assert_uint_eq(kept.elements[1], 0);
    (void)CALL_OK(next, "store", 64, 6);
    ck_assert_int_eq(weir_instance_reset(next, NULL), WEIR_OK);
    same(&kept, next);
    ck_assert_int_eq(CALL_OK(instance, "load", 64), 0x01020304); /* not the predecessor's */
    free(kept.memory);
    weir_store_close(other, NULL);
    end();
}
END_TEST

/* --- the growth hook ----------------------------------------------------------------------- */

struct growths {
    unsigned calls;
    uint64_t old_pages, pages;
    uint64_t refuse_above;
    char function[WEIR_TRAP_NAME_SIZE];
};

static enum weir_status see_growth(void *context, const struct weir_growth *growth,
                                   struct weir_error *error)
{
    struct growths *growths = context;
    growths->calls++;
    growths->old_pages = growth->old_pages;
    growths->pages = growth->pages;
    ck_assert_uint_ge(growth->frame_count, 1);
    memcpy(growths->function, growth->frames[0].function, sizeof growths->function);
    if (growth->old_pages + growth->pages > growths->refuse_above)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET, "no more than that");
    return WEIR_OK;
}

START_TEST(growth_is_told)
{
    struct growths growths = {.refuse_above = 20};
    begin(_i, state_wasm, sizeof state_wasm);
    struct weir_store *told = NULL;
    const struct weir_store_config told_config = {.growth_hook = see_growth,
                                                  .growth_context = &growths};
    ck_assert_int_eq(weir_store_new(engine, &told_config, &told, NULL), WEIR_OK);
    instance = fixture_instance(told, linker, module);
    ck_assert_int_eq(CALL_OK(instance, "grow", 5), 8);
    ck_assert_uint_eq(growths.old_pages, 8);
    ck_assert_uint_eq(growths.pages, 5);
    ck_assert_str_eq(growths.function, "grow");
    (void)CALL_OK(instance, "grow", 0);
    ck_assert_uint_eq(growths.calls, 1);
    struct weir_trap trap = {0};
    const int64_t args[] = {8};
    ck_assert_int_eq(fixture_call(instance, "grow", args, 1, NULL, &trap), WEIR_TRAP);
    ck_assert_int_eq(trap.code, WEIR_TRAP_MEMORY_LIMIT);
    ck_assert_str_eq(trap.cause.message, "no more than that");
    weir_trap_done(&trap);
    ck_assert_int_eq(CALL_OK(instance, "size"), 13);
    weir_store_close(told, NULL);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runtime image");
    TCase *tests = tcase_create("forms");
    tcase_add_loop_test(tests, commit_moves_the_point, 0, FORM_COUNT);
    tcase_add_loop_test(tests, segments_are_part_of_it, 0, FORM_COUNT);
    tcase_add_loop_test(tests, counts_pages, 0, FORM_COUNT);
    tcase_add_loop_test(tests, refused_commits_change_nothing, 0, FORM_COUNT);
    tcase_add_loop_test(tests, everything_is_charged, 0, FORM_COUNT);
    tcase_add_loop_test(tests, comes_back, 0, FORM_COUNT);
    tcase_add_loop_test(tests, changes_come_back, 0, FORM_COUNT);
    tcase_add_loop_test(tests, damaged_ones_are_refused, 0, FORM_COUNT);
    tcase_add_loop_test(tests, successor_finds_the_memory, 0, FORM_COUNT);
    tcase_add_loop_test(tests, growth_is_told, 0, FORM_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
