/* The state: order of keys from both ends, snapshots inside snapshots, what survives closing, files
 * of somebody else, two writers, every allocation failing once. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/run_suite.h"
#include "worlds/contract/contract_sqlite.h"
#include "worlds/contract/contract_state_internal.h"

static struct weir_contract_state *state;
static struct weir_contract_state_place place, other_place;
static struct weir_contract_storage storage, other;
static char path[] = "/tmp/weir-state-XXXXXX";
static char file[64];

static void open_state(void)
{
    struct weir_error error = {0};
    ck_assert_msg(weir_contract_state_open(file, &state, &error) == WEIR_OK, "%s", error.message);
    place = (struct weir_contract_state_place){state, 1};
    other_place = (struct weir_contract_state_place){state, 2};
    storage = weir_contract_state_storage(&place);
    other = weir_contract_state_storage(&other_place);
}

static void make(void)
{
    ck_assert_ptr_nonnull(mkdtemp(path));
    (void)snprintf(file, sizeof file, "%s/state.db", path);
    open_state();
}

static void drop(void)
{
    char command[128];
    weir_contract_state_close(state);
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    ck_assert_int_eq(system(command), 0);
}

static struct weir_contract_bytes bytes(const char *text)
{
    return (struct weir_contract_bytes){(const uint8_t *)text, strlen(text)};
}

static void set(const struct weir_contract_storage *to, const char *key, const char *value)
{
    ck_assert_int_eq(to->set(to->context, bytes(key), bytes(value), NULL), WEIR_OK);
}

/* "key=value" pairs of a range, each followed by a space. */
static const char *list(const struct weir_contract_storage *from, const char *start,
                        const char *end, bool is_descending)
{
    static char text[512];
    char low[64], high[64];
    struct weir_contract_buffer key = {.account = weir_account_host()}, value = key;
    bool is_found = true;
    text[0] = 0;
    (void)snprintf(low, sizeof low, "%s", start);
    (void)snprintf(high, sizeof high, "%s", end != NULL ? end : "");
    size_t low_size = strlen(low), high_size = strlen(high);
    bool has_end = end != NULL;
    for (;;) {
        const struct weir_contract_range range = {.start = {(const uint8_t *)low, low_size},
                                                  .end = {(const uint8_t *)high, high_size},
                                                  .has_end = has_end,
                                                  .is_descending = is_descending};
        key.size = value.size = 0;
        ck_assert_int_eq(from->first(from->context, &range, &is_found, &key, &value, NULL),
                         WEIR_OK);
        if (!is_found)
            break;
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%.*s=%.*s ", (int)key.size,
                       (const char *)key.data, (int)value.size, (const char *)value.data);
        char *bound = is_descending ? high : low;
        if (key.size > 0)
            memcpy(bound, key.data, key.size);
        bound[key.size] = 0;
        if (is_descending) {
            high_size = key.size;
            has_end = true;
        } else {
            low_size = key.size + 1;
        }
    }
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
    return text;
}

START_TEST(keys_are_in_order)
{
    set(&storage, "foo", "bar");
    set(&storage, "ant", "hill");
    set(&storage, "ze", "bra");
    set(&storage, "zebra", "");
    set(&other, "cow", "bell");
    ck_assert_str_eq(list(&storage, "", NULL, false), "ant=hill foo=bar ze=bra zebra= ");
    ck_assert_str_eq(list(&storage, "", NULL, true), "zebra= ze=bra foo=bar ant=hill ");
    ck_assert_str_eq(list(&storage, "f", "n", false), "foo=bar ");
    ck_assert_str_eq(list(&storage, "air", "loop", true), "foo=bar ant=hill ");
    ck_assert_str_eq(list(&storage, "foo", "foo", false), "");
    ck_assert_str_eq(list(&storage, "z", "a", false), "");
    ck_assert_str_eq(list(&storage, "z", "a", true), "");
    ck_assert_str_eq(list(&storage, "foo", "ze", true), "foo=bar ");
    ck_assert_str_eq(list(&storage, "", "", false), "");
    ck_assert_str_eq(list(&other, "", NULL, true), "cow=bell ");
    set(&storage, "foo", "other");
    ck_assert_int_eq(storage.remove(storage.context, bytes("ze"), NULL), WEIR_OK);
    ck_assert_int_eq(storage.remove(storage.context, bytes("ze"), NULL), WEIR_OK);
    ck_assert_str_eq(list(&storage, "", NULL, false), "ant=hill foo=other zebra= ");
}
END_TEST

/* Bytes, not text: zeros and 0xff sort as numbers, and the empty key is one. */
START_TEST(keys_are_bytes)
{
    static const struct weir_contract_bytes KEYS[] = {
        {(const uint8_t *)"", 0},     {(const uint8_t *)"\0", 1},    {(const uint8_t *)"\0\0", 2},
        {(const uint8_t *)"\0\1", 2}, {(const uint8_t *)"\x7f", 1},  {(const uint8_t *)"\x80", 1},
        {(const uint8_t *)"\xff", 1}, {(const uint8_t *)"\xff\0", 2}};
    enum {
        COUNT = sizeof KEYS / sizeof KEYS[0]
    };
    struct weir_contract_buffer key = {.account = weir_account_host()}, value = key;
    for (size_t i = 0; i < COUNT; i++)
        ck_assert_int_eq(
            storage.set(storage.context, KEYS[(i * 3) % COUNT], KEYS[(i * 3) % COUNT], NULL),
            WEIR_OK);
    for (size_t i = 0; i < COUNT; i++) {
        bool is_found;
        const struct weir_contract_range from = {.start = KEYS[i]};
        const struct weir_contract_range before = {
            .end = KEYS[i], .has_end = true, .is_descending = true};
        key.size = value.size = 0;
        ck_assert_int_eq(storage.first(storage.context, &from, &is_found, &key, &value, NULL),
                         WEIR_OK);
        ck_assert(is_found && key.size == KEYS[i].size && value.size == key.size);
        ck_assert(key.size == 0 || memcmp(key.data, KEYS[i].data, key.size) == 0);
        key.size = 0;
        ck_assert_int_eq(storage.first(storage.context, &before, &is_found, &key, &value, NULL),
                         WEIR_OK);
        ck_assert_int_eq(is_found, i > 0);
        ck_assert(i == 0 || key.size == KEYS[i - 1].size);
    }
    weir_contract_buffer_done(&key);
    weir_contract_buffer_done(&value);
}
END_TEST

START_TEST(snapshots_nest)
{
    ck_assert_int_eq(storage.begin(storage.context, NULL), WEIR_OK);
    set(&storage, "a", "1");
    ck_assert_int_eq(storage.begin(storage.context, NULL), WEIR_OK);
    set(&storage, "a", "2");
    set(&storage, "b", "2");
    ck_assert_int_eq(storage.begin(storage.context, NULL), WEIR_OK);
    set(&storage, "c", "3");
    ck_assert_int_eq(storage.end(storage.context, true, NULL), WEIR_OK);
    ck_assert_str_eq(list(&storage, "", NULL, false), "a=2 b=2 c=3 ");
    ck_assert_int_eq(storage.end(storage.context, false, NULL), WEIR_OK);
    ck_assert_str_eq(list(&storage, "", NULL, false), "a=1 ");
    ck_assert_int_eq(storage.end(storage.context, true, NULL), WEIR_OK);
    ck_assert_int_eq(storage.begin(storage.context, NULL), WEIR_OK);
    set(&storage, "d", "4");
    ck_assert_int_eq(storage.end(storage.context, false, NULL), WEIR_OK);
    ck_assert_str_eq(list(&storage, "", NULL, false), "a=1 ");
}
END_TEST

START_TEST(what_is_kept_survives)
{
    struct weir_contract_record record = {.address = "x1", .creator = "y", .label = "z"}, found;
    const struct weir_contract_bytes wasm = bytes("\0asm\1\0\0\0");
    struct weir_hash checksum;
    ck_assert_int_eq(weir_hash_bytes(wasm.data, wasm.size, &checksum, NULL), WEIR_OK);
    record.checksum = checksum;
    ck_assert_int_eq(weir_contract_state_begin(state, NULL), WEIR_OK);
    ck_assert_int_eq(weir_contract_state_put_code(state, &checksum, wasm, NULL), WEIR_OK);
    ck_assert_int_eq(weir_contract_state_put(state, &record, NULL), WEIR_OK);
    set(&storage, "key", "value");
    ck_assert_int_eq(weir_contract_state_end(state, true, NULL), WEIR_OK);
    ck_assert_int_eq(weir_contract_state_begin(state, NULL), WEIR_OK);
    set(&storage, "lost", "value");
    weir_contract_state_close(state); /* in the middle of a transaction */
    open_state();
    ck_assert_str_eq(list(&storage, "", NULL, false), "key=value ");
    ck_assert_int_eq(weir_contract_state_find(state, "x1", &found, NULL), WEIR_OK);
    ck_assert_str_eq(found.creator, "y");
    ck_assert_int_eq(weir_contract_state_find(state, "x2", &found, NULL), WEIR_NOT_FOUND);
    ck_assert_int_eq(weir_contract_state_put(state, &record, NULL), WEIR_EXISTS);
    struct weir_contract_buffer read = {.account = weir_account_host()};
    ck_assert_int_eq(weir_contract_state_get_code(state, &checksum, &read, NULL), WEIR_OK);
    ck_assert_uint_eq(read.size, wasm.size);
    weir_contract_buffer_done(&read);
}
END_TEST

/* A code whose bytes were changed in the file is not run. */
START_TEST(changed_codes_are_noticed)
{
    struct weir_hash checksum = {{1, 2, 3}};
    struct weir_contract_buffer read = {.account = weir_account_host()};
    ck_assert_int_eq(weir_contract_state_put_code(state, &checksum, bytes("abc"), NULL), WEIR_OK);
    ck_assert_int_eq(weir_contract_state_get_code(state, &checksum, &read, NULL), WEIR_CORRUPT);
    weir_contract_buffer_done(&read);
    checksum.bytes[0] = 2;
    ck_assert_int_eq(weir_contract_state_get_code(state, &checksum, &read, NULL), WEIR_NOT_FOUND);
}
END_TEST

static enum weir_status open_file(const char *name, const char *content)
{
    char where[128];
    struct weir_contract_state *opened = NULL;
    (void)snprintf(where, sizeof where, "%s/%s", path, name);
    int fd = open(where, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
    enum weir_status status = weir_contract_state_open(where, &opened, NULL);
    weir_contract_state_close(opened);
    return status;
}

START_TEST(files_of_others_are_left_alone)
{
    char foreign[4200];
    memset(foreign, 'x', sizeof foreign - 1);
    foreign[sizeof foreign - 1] = 0;
    ck_assert_int_eq(open_file("text.db", foreign), WEIR_CORRUPT);
    ck_assert_int_eq(open_file("empty.db", ""), WEIR_OK);
    /* A database of another program. */
    char where[128];
    (void)snprintf(where, sizeof where, "%s/other.db", path);
    sqlite3 *database = NULL;
    ck_assert_int_eq(sqlite3_open(where, &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);
    struct weir_contract_state *opened = NULL;
    ck_assert_int_eq(weir_contract_state_open(where, &opened, NULL), WEIR_FOREIGN);
    ck_assert_int_eq(weir_contract_state_open("/nowhere/at/all.db", &opened, NULL), WEIR_IO);
    ck_assert_int_eq(weir_contract_state_open(path, &opened, NULL), WEIR_IO);
    ck_assert_ptr_null(opened);
}
END_TEST

/* Another process that writes: each transaction is seen whole. */
START_TEST(writers_take_turns)
{
    enum {
        TURNS = 50
    };
    weir_contract_state_close(state);
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        open_state();
        for (int turn = 0; turn < TURNS; turn++) {
            char value[32] = "0";
            struct weir_contract_buffer found = {.account = weir_account_host()};
            bool is_found;
            ck_assert_int_eq(weir_contract_state_begin(state, NULL), WEIR_OK);
            ck_assert_int_eq(storage.get(storage.context, bytes("n"), &is_found, &found, NULL),
                             WEIR_OK);
            if (is_found)
                (void)snprintf(value, sizeof value, "%.*s", (int)found.size,
                               (const char *)found.data);
            weir_contract_buffer_done(&found);
            (void)snprintf(value, sizeof value, "%d", (int)strtol(value, NULL, 10) + 1);
            set(&storage, "n", value);
            ck_assert_int_eq(weir_contract_state_end(state, true, NULL), WEIR_OK);
        }
        weir_contract_state_close(state);
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    open_state();
    ck_assert_str_eq(list(&storage, "", NULL, false), "n=100 ");
}
END_TEST

/* A disk that is full in the middle of a snapshot inside of a transaction: SQLite rolls back by
 * itself, and what was there before is there. */
START_TEST(a_full_disk_changes_nothing)
{
    static const uint8_t LARGE[100000];
    const struct weir_contract_bytes large = {LARGE, sizeof LARGE};
    struct weir_error error = {0};
    char pragma[64];
    set(&storage, "a", "1");
    sqlite3_stmt *count;
    ck_assert_int_eq(sqlite3_prepare_v2(state->database, "PRAGMA page_count", -1, &count, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(count), SQLITE_ROW);
    (void)snprintf(pragma, sizeof pragma, "PRAGMA max_page_count = %d",
                   sqlite3_column_int(count, 0) + 30);
    (void)sqlite3_finalize(count);
    ck_assert_int_eq(sqlite3_exec(state->database, pragma, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(storage.begin(storage.context, NULL), WEIR_OK);
    set(&storage, "b", "2");
    ck_assert_int_eq(storage.begin(storage.context, NULL), WEIR_OK);
    enum weir_status status = WEIR_OK;
    for (char key = 'c'; key < 'z' && status == WEIR_OK; key++)
        status = storage.set(storage.context, (struct weir_contract_bytes){(uint8_t *)&key, 1},
                             large, &error);
    ck_assert_int_eq(status, WEIR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, file));
    ck_assert_ptr_nonnull(strstr(error.message, "full; nothing was changed: make room"));
    ck_assert_int_eq(storage.end(storage.context, false, NULL), WEIR_OK);
    ck_assert_int_eq(storage.end(storage.context, false, NULL), WEIR_OK);
    ck_assert_str_eq(list(&storage, "", NULL, false), "a=1 ");
    set(&storage, "b", "3");
    weir_contract_state_close(state);
    open_state();
    ck_assert_str_eq(list(&storage, "", NULL, false), "a=1 b=3 ");
    weir_error_done(&error);
}
END_TEST

/* Every allocation of SQLite and ours fails once: an error, and what was there before is there. */
START_TEST(allocations_may_fail)
{
    ck_assert(weir_contract_sqlite_account() != NULL);
    set(&storage, "a", "1");
    uint64_t failures = 0;
    for (uint64_t n = 1; n < 3000; n++) {
        (void)weir_ledger_fail_nth(n);
        bool is_begun = storage.begin(storage.context, NULL) == WEIR_OK;
        enum weir_status status = WEIR_NO_MEMORY;
        char key[32];
        (void)snprintf(key, sizeof key, "k%u", (unsigned)n);
        if (is_begun)
            status = storage.set(storage.context, bytes(key), bytes("2"), NULL);
        if (is_begun) {
            enum weir_status ended = storage.end(storage.context, status == WEIR_OK, NULL);
            status = status == WEIR_OK ? ended : status;
        }
        uint64_t counted = weir_ledger_fail_nth(0);
        struct weir_contract_buffer value = {.account = weir_account_host()};
        bool is_found;
        ck_assert_int_eq(storage.get(storage.context, bytes("a"), &is_found, &value, NULL),
                         WEIR_OK);
        ck_assert(is_found);
        ck_assert_int_eq(storage.get(storage.context, bytes(key), &is_found, &value, NULL),
                         WEIR_OK);
        ck_assert_msg(is_found == (status == WEIR_OK), "allocation %u", (unsigned)n);
        weir_contract_buffer_done(&value);
        failures += status != WEIR_OK;
        if (counted < n)
            break;
        weir_contract_state_close(state); /* statements are prepared again */
        open_state();
    }
    ck_assert_uint_gt(failures, 3);
}
END_TEST

/* Bytes of SQLite are in the ledger, and gone with the last connection. */
START_TEST(sqlite_is_charged)
{
    struct weir_account_reading reading;
    weir_account_read(weir_contract_sqlite_account(), &reading);
    ck_assert_uint_gt(reading.used_bytes, 10000);
    ck_assert_uint_eq(reading.limit_bytes, 16 << 20);
    weir_contract_state_close(state);
    ck_assert_int_eq(sqlite3_shutdown(), SQLITE_OK);
    weir_account_read(weir_contract_sqlite_account(), &reading);
    ck_assert_uint_eq(reading.used_bytes, 0);
    open_state();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state of contracts");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, make, drop);
    tcase_add_test(tests, keys_are_in_order);
    tcase_add_test(tests, keys_are_bytes);
    tcase_add_test(tests, snapshots_nest);
    tcase_add_test(tests, what_is_kept_survives);
    tcase_add_test(tests, changed_codes_are_noticed);
    tcase_add_test(tests, files_of_others_are_left_alone);
    tcase_add_test(tests, writers_take_turns);
    tcase_add_test(tests, a_full_disk_changes_nothing);
    tcase_add_test(tests, allocations_may_fail);
    tcase_add_test(tests, sqlite_is_charged);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
