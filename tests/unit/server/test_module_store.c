/* Uploads on a disk that fills up, fails, and loses power: a name holds the old module or the new
 * one, whole; hidden files do not stay. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io_crash.h"
#include "server/module_store.h"

#define OLD "the old module"
#define NEW_SIZE 20000

static char root[] = "/tmp/weir-store-XXXXXX";
static char folder[64], attic[64], path[96];
static char new_bytes[NEW_SIZE];

static void set_up(void)
{
    (void)mkdir(root, 0700);
    (void)snprintf(folder, sizeof folder, "%s/modules", root);
    (void)snprintf(attic, sizeof attic, "%s/attic", root);
    (void)snprintf(path, sizeof path, "%s/a.wasm", folder);
    (void)mkdir(folder, 0700);
    (void)mkdir(attic, 0700);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(OLD, file);
    (void)fclose(file);
    for (size_t i = 0; i < NEW_SIZE; i++)
        new_bytes[i] = (char)('a' + i % 23);
}

static struct weir_module_store *open_store(struct weir_io *io)
{
    struct weir_module_store *store = NULL;
    struct weir_error error = {0};
    enum weir_status status =
        weir_module_store_open(folder, weir_account_host(), io, &store, &error);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    return store;
}

/* In three pieces; the first status that is not OK. */
static enum weir_status upload(struct weir_module_store *store, bool *ret_is_published,
                               bool *ret_is_disk_full)
{
    struct weir_module_upload *upload = NULL;
    *ret_is_published = *ret_is_disk_full = false;
    enum weir_status status = weir_module_upload_begin(store, "a.wasm", &upload, NULL);
    for (size_t at = 0; status == WEIR_OK && at < NEW_SIZE; at += 8000)
        status = weir_module_upload_write(upload, new_bytes + at,
                                          NEW_SIZE - at < 8000 ? NEW_SIZE - at : 8000, NULL);
    if (status == WEIR_OK)
        status = weir_module_upload_seal(upload, NULL);
    if (status == WEIR_OK)
        status = weir_module_upload_publish(upload, ret_is_published, NULL);
    if (upload != NULL)
        *ret_is_disk_full = weir_module_upload_is_disk_full(upload);
    weir_module_upload_end(upload);
    return status;
}

static bool is_file(const char *bytes, size_t size)
{
    static char got[NEW_SIZE + 1];
    FILE *file = fopen(path, "re");
    size_t count = file != NULL ? fread(got, 1, sizeof got, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    return count == size && memcmp(got, bytes, size) == 0;
}

static unsigned count_hidden(void)
{
    DIR *dir = opendir(folder);
    unsigned count = 0;
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strncmp(entry->d_name, ".upload-", 8) == 0;
    (void)closedir(dir);
    return count;
}

static uint64_t used_bytes(void)
{
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    return reading.used_bytes;
}

START_TEST(checks_names)
{
    static const struct {
        const char *name;
        bool is_good;
    } NAMES[] = {{"a.wasm", true},   {"A-b_9.x.wasm", true}, {".wasm", false},  {"a", false},
                 {"", false},        {".a.wasm", false},     {"a/b.wasm", false},
                 {"..wasm", false},  {"a b.wasm", false},    {"a\n.wasm", false},
                 {"\xc3.wasm", false}, {"a.wasm.wasm", true}, {"a.WASM", false}};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        ck_assert_msg(weir_module_name_is_good(NAMES[i].name) == NAMES[i].is_good, "%s",
                      NAMES[i].name);
    char name[WEIR_MODULE_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    (void)snprintf(name + WEIR_MODULE_NAME_MAX - 5, 7, ".wasm");
    ck_assert(weir_module_name_is_good(name));
    (void)snprintf(name + WEIR_MODULE_NAME_MAX - 4, 6, ".wasm");
    name[WEIR_MODULE_NAME_MAX - 5] = 'a';
    ck_assert(!weir_module_name_is_good(name));
}
END_TEST

START_TEST(replaces)
{
    uint64_t before = used_bytes();
    bool is_published, is_full;
    struct weir_module_store *store = open_store(NULL);
    ck_assert_int_eq(upload(store, &is_published, &is_full), WEIR_OK);
    ck_assert(is_published && is_file(new_bytes, NEW_SIZE));
    struct weir_module_entry entry;
    struct weir_hash hash;
    ck_assert_int_eq(weir_module_store_find(store, "a.wasm", &entry, NULL), WEIR_OK);
    ck_assert_int_eq(weir_hash_bytes(new_bytes, NEW_SIZE, &hash, NULL), WEIR_OK);
    ck_assert(weir_hash_equal(&entry.hash, &hash));
    ck_assert_uint_eq(entry.bytes, NEW_SIZE);
    ck_assert_int_eq(weir_module_store_remove(store, "a.wasm", NULL), WEIR_OK);
    ck_assert_int_eq(weir_module_store_remove(store, "a.wasm", NULL), WEIR_NOT_FOUND);
    ck_assert_int_eq(weir_module_store_find(store, "a.wasm", &entry, NULL), WEIR_NOT_FOUND);
    ck_assert_uint_eq(count_hidden(), 0);
    weir_module_store_close(store);
    ck_assert_uint_eq(used_bytes(), before);
}
END_TEST

START_TEST(has_places)
{
    struct weir_module_store *store = open_store(NULL);
    struct weir_module_upload *uploads[WEIR_MODULE_UPLOADS_MAX] = {0}, *more = NULL;
    for (unsigned i = 0; i < WEIR_MODULE_UPLOADS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u.wasm", i);
        ck_assert_int_eq(weir_module_upload_begin(store, name, &uploads[i], NULL), WEIR_OK);
    }
    ck_assert_int_eq(weir_module_upload_begin(store, "1.wasm", &more, NULL), WEIR_EXISTS);
    ck_assert_int_eq(weir_module_upload_begin(store, "x.wasm", &more, NULL), WEIR_BUSY);
    ck_assert_int_eq(weir_module_store_remove(store, "1.wasm", NULL), WEIR_EXISTS);
    ck_assert_ptr_null(more);
    /* Another process that opens the folder leaves what is at work alone. */
    struct weir_module_store *other = open_store(NULL);
    ck_assert_uint_eq(count_hidden(), WEIR_MODULE_UPLOADS_MAX);
    weir_module_store_close(other);
    for (unsigned i = 0; i < WEIR_MODULE_UPLOADS_MAX; i++)
        weir_module_upload_end(uploads[i]);
    ck_assert_uint_eq(count_hidden(), 0);
    weir_module_store_close(store);
}
END_TEST

START_TEST(refuses_open_folders)
{
    struct weir_module_store *store = NULL;
    ck_assert_int_eq(chmod(folder, 0777), 0);
    ck_assert_int_eq(weir_module_store_open(folder, weir_account_host(), NULL, &store, NULL),
                     WEIR_PERMISSION);
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(weir_module_store_open("/nowhere/x", weir_account_host(), NULL, &store, NULL),
                     WEIR_IO);
}
END_TEST

/* Every call fails once, with ENOSPC and with EIO, and every write is short once. */
START_TEST(outlives_every_error)
{
    static const int ERRORS[] = {ENOSPC, EIO, 0};
    struct weir_io_faulty faulty;
    weir_io_faulty_init(&faulty, weir_io_system());
    struct weir_module_store *store = open_store(&faulty.io);
    unsigned failures = 0, full = 0;
    for (size_t e = 0; e < sizeof ERRORS / sizeof ERRORS[0]; e++) {
        for (uint64_t n = 1;; n++) {
            set_up();
            weir_io_faulty_reset(&faulty);
            const struct weir_io_rule rule = {
                .op = WEIR_IO_ANY, .first = n, .count = 1, .error = ERRORS[e], .bytes_max = 1000};
            ck_assert(weir_io_faulty_add(&faulty, &rule));
            bool is_published, is_full;
            enum weir_status status = upload(store, &is_published, &is_full);
            uint64_t calls = faulty.calls[WEIR_IO_ANY];
            ck_assert_msg(is_published ? is_file(new_bytes, NEW_SIZE) : is_file(OLD, strlen(OLD)),
                          "call %lu of %lu", (unsigned long)n, (unsigned long)calls);
            ck_assert(status != WEIR_OK || is_published);
            ck_assert(ERRORS[e] != 0 || status == WEIR_OK);
            failures += status != WEIR_OK;
            full += is_full;
            if (calls < n)
                break;
        }
    }
    ck_assert_uint_ge(failures, 12);
    ck_assert_uint_ge(full, 4);
    weir_module_store_close(store);
    weir_io_faulty_done(&faulty);
    weir_module_store_close(open_store(NULL));
    ck_assert_uint_eq(count_hidden(), 0); /* swept, where even the removal failed */
}
END_TEST

/* Power is lost with the n-th call: once the upload is answered the new module is there, before one
 * of the two. */
START_TEST(outlives_loss_of_power)
{
    unsigned kept = 0, lost = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        for (uint64_t n = 1; n < 60; n++) {
            set_up();
            struct weir_io_crash crash;
            bool is_published, is_full;
            ck_assert(weir_io_crash_init(&crash, weir_io_system(), attic));
            struct weir_module_store *store = open_store(&crash.io);
            weir_io_crash_cut_after(&crash, n);
            enum weir_status status = upload(store, &is_published, &is_full);
            weir_io_crash_settle(&crash, seed);
            weir_module_store_close(store);
            weir_io_crash_done(&crash);
            bool is_new = is_file(new_bytes, NEW_SIZE);
            ck_assert_msg(is_new || (status != WEIR_OK && is_file(OLD, strlen(OLD))),
                          "seed %lu, call %lu, status %d", (unsigned long)seed, (unsigned long)n,
                          (int)status);
            kept += is_new;
            lost += !is_new;
            weir_module_store_close(open_store(NULL));
            ck_assert_uint_eq(count_hidden(), 0);
        }
    }
    ck_assert_uint_gt(kept, 100);
    ck_assert_uint_gt(lost, 20);
}
END_TEST

int main(void)
{
    if (mkdtemp(root) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("module_store");
    TCase *tcase = tcase_create("module_store");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, checks_names);
    tcase_add_test(tcase, replaces);
    tcase_add_test(tcase, has_places);
    tcase_add_test(tcase, refuses_open_folders);
    tcase_add_test(tcase, outlives_every_error);
    tcase_add_test(tcase, outlives_loss_of_power);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void)unlink(path);
    (void)rmdir(folder);
    (void)rmdir(attic);
    (void)rmdir(root);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
