/* The artifact directory: found again, sealed, refused when anything about it is off, bounded, and
 * whole whatever the disk does. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>

#include "job_helpers.h"
#include "runtime/artifact_store.h"
#include "tests/run_suite.h"

/* The key of own.wasm as compiled by job_for(). */
static void own_name(char name[WEIR_HASH_HEX_SIZE], struct weir_hash *ret_key)
{
    struct weir_hash module_hash;
    struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
    ck_assert_int_eq(weir_hash_bytes(job.module, job.module_bytes, &module_hash, NULL), WEIR_OK);
    ck_assert_int_eq(weir_artifact_key(&module_hash, &job.options, ret_key, NULL), WEIR_OK);
    weir_hash_hex(ret_key, name);
}

static int open_own(const struct folder *folder, int flags)
{
    char name[WEIR_HASH_HEX_SIZE], path[400];
    struct weir_hash key;
    own_name(name, &key);
    (void)snprintf(path, sizeof path, "%s/%s", version_folder(folder).path, name);
    return open(path, flags | O_CLOEXEC);
}

static void expect_cached(struct weir_artifact_dir *dir, bool is_cached)
{
    struct weir_compile_result result = run_job(dir);
    ck_assert_int_eq(result.was_cached, is_cached);
    ck_assert(result.is_filed);
    ck_assert_int_eq(weir_artifact_dir_verify(dir, result.fd, NULL), WEIR_OK);
    (void)close(result.fd);
}

START_TEST(test_found_again)
{
    struct folder folder = new_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    expect_cached(dir, false);
    expect_cached(dir, true);
    expect_cached(dir, true);
    struct weir_artifact_dir_counts counts = counts_of(dir);
    ck_assert_uint_eq(counts.misses, 1);
    ck_assert_uint_eq(counts.filed, 1);
    ck_assert_uint_eq(counts.hits, 2);
    ck_assert_uint_eq(counts.verified, 0); /* made by us, so its identity is known */
    weir_artifact_dir_close(dir);

    /* Another process, as it were: hashed once, then remembered. */
    dir = open_dir(folder.path);
    for (int i = 0; i < 3; i++)
        expect_cached(dir, true);
    counts = counts_of(dir);
    ck_assert_uint_eq(counts.hits, 3);
    ck_assert_uint_eq(counts.verified, 1);
    weir_artifact_dir_close(dir);
    ck_assert_int_eq(count_names(folder.path, ".new-"), 0);
    ck_assert_int_eq(count_names(version_folder(&folder).path, ".new-"), 0);
    ck_assert_int_eq(count_names(version_folder(&folder).path, ""), 1);
    remove_folder(&folder);
}
END_TEST

/* --- what is off about a file --- */

static void flip_byte(const struct folder *folder)
{
    AUTO_CLOSE fd = open_own(folder, O_RDWR);
    uint8_t byte;
    ck_assert_int_eq(pread(fd, &byte, 1, 5000), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, 5000), 1);
}

static void flip_seal(const struct folder *folder)
{
    AUTO_CLOSE fd = open_own(folder, O_RDWR);
    off_t end = lseek(fd, -1, SEEK_END);
    uint8_t byte;
    ck_assert_int_eq(pread(fd, &byte, 1, end), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, end), 1);
}

static void cut(const struct folder *folder)
{
    AUTO_CLOSE fd = open_own(folder, O_RDWR);
    ck_assert_int_eq(ftruncate(fd, 6000), 0);
}

static void cut_to_nothing(const struct folder *folder)
{
    AUTO_CLOSE fd = open_own(folder, O_RDWR);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
}

static void extend(const struct folder *folder)
{
    AUTO_CLOSE fd = open_own(folder, O_RDWR | O_APPEND);
    ck_assert_int_eq(write(fd, "more", 4), 4);
}

struct own_path {
    char text[400];
};
static struct own_path own_path(const struct folder *folder)
{
    char name[WEIR_HASH_HEX_SIZE];
    struct own_path path;
    struct weir_hash key;
    own_name(name, &key);
    (void)snprintf(path.text, sizeof path.text, "%s/%s", version_folder(folder).path, name);
    return path;
}

static void replace_by_link(const struct folder *folder)
{
    char moved[160];
    (void)snprintf(moved, sizeof moved, "%s/elsewhere", folder->path);
    ck_assert_int_eq(rename(own_path(folder).text, moved), 0);
    ck_assert_int_eq(symlink(moved, own_path(folder).text), 0);
}

/* Nobody will ever write to it: who opens it as a file waits for ever. */
static void replace_by_pipe(const struct folder *folder)
{
    ck_assert_int_eq(unlink(own_path(folder).text), 0);
    ck_assert_int_eq(mkfifo(own_path(folder).text, 0600), 0);
}

static void replace_by_folder(const struct folder *folder)
{
    char inside[460];
    ck_assert_int_eq(unlink(own_path(folder).text), 0);
    ck_assert_int_eq(mkdir(own_path(folder).text, 0700), 0);
    (void)snprintf(inside, sizeof inside, "%s/inside", own_path(folder).text);
    ck_assert_int_eq(mkdir(inside, 0700), 0);
}

/* A good seal under the wrong name: the artifact of another module. */
static void replace_by_other(const struct folder *folder)
{
    static const unsigned char empty[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    struct weir_artifact_dir *dir = open_dir(folder->path);
    struct weir_compile_job job = job_for(empty, sizeof empty);
    struct weir_compile_result result;
    ck_assert_int_eq(weir_compile_job_run(dir, &job, &result, NULL), WEIR_OK);
    char name[WEIR_HASH_HEX_SIZE], command[400];
    struct weir_hash key;
    own_name(name, &key);
    (void)snprintf(command, sizeof command, "cat /proc/%d/fd/%d > %s/%s", getpid(), result.fd,
                   version_folder(folder).path, name);
    ck_assert_int_eq(system(command), 0);
    (void)close(result.fd);
    weir_artifact_dir_close(dir);
}

static void (*const damages[])(const struct folder *folder) = {
    flip_byte,       flip_seal,       cut,               cut_to_nothing,   extend,
    replace_by_link, replace_by_pipe, replace_by_folder, replace_by_other,
};

START_TEST(test_damage)
{
    struct folder folder = new_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    expect_cached(dir, false);
    damages[_i](&folder);
    /* The identity changed, so what was known about it does not count: compiled again. */
    expect_cached(dir, false);
    expect_cached(dir, true);
    struct weir_artifact_dir_counts counts = counts_of(dir);
    ck_assert_uint_eq(counts.quarantined, 1);
    ck_assert_uint_eq(counts.filed, 2);
    char path[160];
    (void)snprintf(path, sizeof path, "%s/quarantine", folder.path);
    ck_assert_int_eq(count_names(path, ""), 1);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* A bad one takes the place of what was moved away before, whatever that was. */
START_TEST(test_quarantine_takes_all)
{
    struct folder folder = new_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    char path[160];
    (void)snprintf(path, sizeof path, "%s/quarantine", folder.path);
    expect_cached(dir, false);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        damages[i](&folder);
        expect_cached(dir, false);
        expect_cached(dir, true);
        ck_assert_int_eq(count_names(path, ""), 1);
    }
    const struct weir_artifact_prune prune = {
        .bytes_max = WEIR_UNLIMITED, .stale_s = -1, .quarantine = true};
    struct weir_artifact_pruned pruned;
    for (size_t i = 0; i < 2; i++) { /* a folder with something in it; a file */
        (i == 0 ? replace_by_folder : flip_byte)(&folder);
        expect_cached(dir, false);
        ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
        ck_assert_uint_eq(pruned.files, 1);
        ck_assert_int_eq(count_names(path, ""), 0);
    }
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* On an overlay of several file systems a file has another device number than its folder. */
static long tell_other_device(struct weir_io *io, enum weir_io_op op, const long args[6])
{
    (void)io;
    long result = weir_io_system()->call(weir_io_system(), op, args);
    if (op == WEIR_IO_FSTAT && result == 0 && S_ISREG(((struct stat *)args[1])->st_mode))
        ((struct stat *)args[1])->st_dev += 1;
    return result;
}

START_TEST(test_overlay)
{
    struct folder folder = new_folder();
    struct weir_io overlay = {tell_other_device};
    struct weir_artifact_dir *dir = NULL;
    ck_assert_int_eq(weir__artifact_dir_open(folder.path, &overlay, &dir, NULL), WEIR_OK);
    expect_cached(dir, false);
    expect_cached(dir, true);
    ck_assert_uint_eq(counts_of(dir).quarantined, 0);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

START_TEST(test_quarantine_is_bounded)
{
    struct folder folder = new_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    char path[200];
    (void)snprintf(path, sizeof path, "%s/quarantine", folder.path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (unsigned i = 0; i < WEIR_ARTIFACT_QUARANTINE_MAX; i++) {
        (void)snprintf(path, sizeof path, "%s/quarantine/%u", folder.path, i);
        AUTO_CLOSE fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
    }
    weir_artifact_dir_close(dir);
    dir = open_dir(folder.path);
    expect_cached(dir, false);
    flip_byte(&folder);
    expect_cached(dir, false);
    (void)snprintf(path, sizeof path, "%s/quarantine", folder.path);
    ck_assert_int_eq(count_names(path, ""), (int)WEIR_ARTIFACT_QUARANTINE_MAX);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

START_TEST(test_verify_strangers)
{
    struct folder folder = new_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    AUTO_CLOSE memory = memfd_create("stranger", MFD_CLOEXEC);
    ck_assert_int_eq(weir_artifact_dir_verify(dir, memory, NULL), WEIR_CORRUPT);
    AUTO_CLOSE null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(weir_artifact_dir_verify(dir, null, NULL), WEIR_FOREIGN);
    ck_assert_int_eq(weir_artifact_dir_verify(dir, -1, NULL), WEIR_IO);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* --- what is off about the directory --- */

static void refuse_dir(const char *path, enum weir_status status, const char *words)
{
    struct weir_artifact_dir *dir = NULL;
    struct weir_error error = {0};
    ck_assert_int_eq(weir_artifact_dir_open(path, &dir, &error), status);
    ck_assert_ptr_null(dir);
    ck_assert_msg(strstr(error.message, words) != NULL, "%s", error.message);
}

START_TEST(test_refused_directories)
{
    struct folder folder = new_folder();
    char path[160], key[200];
    (void)snprintf(path, sizeof path, "%s/cache", folder.path);
    (void)snprintf(key, sizeof key, "%s/cache/seal.key", folder.path);
    weir_artifact_dir_close(open_dir(path)); /* created */
    struct stat stat_of;
    ck_assert_int_eq(stat(path, &stat_of), 0);
    ck_assert_uint_eq(stat_of.st_mode & 07777u, 0700);
    ck_assert_int_eq(stat(key, &stat_of), 0);
    ck_assert_uint_eq(stat_of.st_mode & 07777u, 0600);
    ck_assert_int_eq(stat_of.st_size, 32);

    ck_assert_int_eq(chmod(path, 0770), 0);
    refuse_dir(path, WEIR_PERMISSION, "mode 0770");
    ck_assert_int_eq(chmod(path, 0702), 0);
    refuse_dir(path, WEIR_PERMISSION, "mode 0702");
    ck_assert_int_eq(chmod(path, 0700), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 12345, 0), 0);
        refuse_dir(path, WEIR_PERMISSION, "user 12345");
        ck_assert_int_eq(chown(path, 0, 0), 0);
    }
    refuse_dir("/nowhere/at/all", WEIR_IO, "/nowhere/at/all");
    refuse_dir("/dev/null", WEIR_IO, "/dev/null");
    (void)snprintf(key, sizeof key, "%s/link", folder.path);
    ck_assert_int_eq(symlink(path, key), 0);
    refuse_dir(key, WEIR_IO, "is a symbolic link");
    remove_folder(&folder);
}
END_TEST

/* What is off about the key names its file, and says what to do. */
static void refuse_key(const char *path, enum weir_status status, const char *format)
{
    struct weir_artifact_dir *dir = NULL;
    struct weir_error error = {0};
    char key[200], wanted[300];
    (void)snprintf(key, sizeof key, "%s/seal.key", path);
    const char *at = strstr(format, "KEY");
    (void)snprintf(wanted, sizeof wanted, "%.*s%s%s; remove it, all modules will be compiled again",
                   (int)(at - format), format, key, at + strlen("KEY"));
    ck_assert_int_eq(weir_artifact_dir_open(path, &dir, &error), status);
    ck_assert_ptr_null(dir);
    ck_assert_str_eq(error.message, wanted);
}

START_TEST(test_refused_keys)
{
    struct folder folder = new_folder();
    char path[160], key[200];
    (void)snprintf(path, sizeof path, "%s/cache", folder.path);
    (void)snprintf(key, sizeof key, "%s/cache/seal.key", folder.path);
    weir_artifact_dir_close(open_dir(path));
    ck_assert_int_eq(chmod(key, 0640), 0);
    refuse_key(path, WEIR_PERMISSION, "others may read KEY (mode 0640)");
    ck_assert_int_eq(chmod(key, 0600), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(key, 12345, 0), 0);
        refuse_key(path, WEIR_PERMISSION, "KEY belongs to user 12345, we are 0");
        ck_assert_int_eq(chown(key, 0, 0), 0);
    }
    ck_assert_int_eq(truncate(key, 31), 0);
    refuse_key(path, WEIR_CORRUPT, "KEY has 31 bytes instead of 32");
    ck_assert_int_eq(truncate(key, 33), 0);
    refuse_key(path, WEIR_CORRUPT, "KEY has 33 bytes instead of 32");
    ck_assert_int_eq(unlink(key), 0);
    ck_assert_int_eq(mkfifo(key, 0600), 0);
    refuse_key(path, WEIR_CORRUPT, "KEY is no file");
    ck_assert_int_eq(unlink(key), 0);
    ck_assert_int_eq(symlink("elsewhere", key), 0);
    refuse_key(path, WEIR_CORRUPT, "KEY is a symbolic link");
    remove_folder(&folder);
}
END_TEST

/* The system's own failures name the file too. */
START_TEST(test_keys_that_cannot_be_opened)
{
    static const struct {
        struct weir_io_rule rule;
        enum weir_status status;
        const char *begin, *end;
    } cases[] = {
        {{.op = WEIR_IO_OPENAT2, .first = 2, .error = EACCES},
         WEIR_PERMISSION,
         "we may not read ",
         "/seal.key; remove it, all modules will be compiled again"},
        {{.op = WEIR_IO_OPENAT2, .first = 2, .error = EMFILE},
         WEIR_IO,
         "cannot open ",
         "/seal.key: Too many open files"},
        {{.op = WEIR_IO_READ, .first = 1, .error = EIO},
         WEIR_IO,
         "cannot read ",
         "/seal.key: Input/output error"},
    };
    struct folder folder = new_folder();
    weir_artifact_dir_close(open_dir(folder.path));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_artifact_dir *dir = NULL;
        struct weir_error error = {0};
        struct weir_io_faulty faulty;
        char wanted[300];
        weir_io_faulty_init(&faulty, weir_io_system());
        ck_assert(weir_io_faulty_add(&faulty, &cases[i].rule));
        ck_assert_int_eq(weir__artifact_dir_open(folder.path, &faulty.io, &dir, &error),
                         cases[i].status);
        (void)snprintf(wanted, sizeof wanted, "%s%s%s", cases[i].begin, folder.path, cases[i].end);
        ck_assert_str_eq(error.message, wanted);
        weir_error_done(&error);
        weir_io_faulty_done(&faulty);
    }
    remove_folder(&folder);
}
END_TEST

static void *open_and_close(void *context)
{
    struct weir_artifact_dir *dir = open_dir(context);
    struct weir_compile_result result = run_job(dir);
    (void)close(result.fd);
    weir_artifact_dir_close(dir);
    return NULL;
}

/* Eight at once on an empty folder: one key, one artifact, everybody served. */
START_TEST(test_many_openers)
{
    struct folder folder = new_folder();
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, folder.path), 0);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    struct weir_artifact_dir *dir = open_dir(folder.path);
    expect_cached(dir, true);
    ck_assert_uint_eq(counts_of(dir).quarantined, 0);
    weir_artifact_dir_close(dir);
    ck_assert_int_eq(count_names(folder.path, ""), 3); /* key, lock, version */
    remove_folder(&folder);
}
END_TEST

/* Files in the making: of an age in seconds, and whether somebody who lives holds them. */
START_TEST(test_stale_files)
{
    static const struct {
        int64_t age_s;
        bool is_held, stays;
    } FILES[] = {{0, false, true},     {0, true, true},      {600, false, false},
                 {600, true, true},    {9000, false, false}, {9000, true, false},
                 {-9000, false, true}, {-9000, true, true}};
    struct folder folder = new_folder();
    int held[sizeof FILES / sizeof FILES[0]];
    char path[160];
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        const struct timespec then = {now.tv_sec - FILES[i].age_s, 0};
        (void)snprintf(path, sizeof path, "%s/.new-%zu", folder.path, i);
        held[i] = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_eq(futimens(held[i], (const struct timespec[2]){then, then}), 0);
        if (FILES[i].is_held)
            ck_assert_int_eq(flock(held[i], LOCK_EX), 0);
    }
    weir_artifact_dir_close(open_dir(folder.path));
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/.new-%zu", folder.path, i);
        ck_assert_int_eq(access(path, F_OK) == 0, FILES[i].stays);
        (void)close(held[i]);
    }
    remove_folder(&folder);
}
END_TEST

/* A writer holds its file from the first byte on. */
static void look_at_lock(void *context, enum weir_io_op op, const long args[6])
{
    (void)op;
    AUTO_CLOSE again = -1;
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%ld", args[0]);
    again = open(path, O_RDONLY | O_CLOEXEC);
    *(int *)context += flock(again, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

START_TEST(test_writer_holds_file)
{
    struct folder folder = new_folder();
    struct weir_io_faulty faulty;
    struct weir_artifact_dir *dir = NULL;
    int locked = 0;
    weir_io_faulty_init(&faulty, weir_io_system());
    const struct weir_io_rule rule = {
        .op = WEIR_IO_FTRUNCATE, .before = look_at_lock, .context = &locked};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    ck_assert_int_eq(weir__artifact_dir_open(folder.path, &faulty.io, &dir, NULL), WEIR_OK);
    expect_cached(dir, false);
    ck_assert_int_eq(locked, 1);
    weir_artifact_dir_close(dir);
    weir_io_faulty_done(&faulty);
    remove_folder(&folder);
}
END_TEST

/* --- when the disk fails --- */

/* Linux closes a descriptor even where close() reports an error. */
static void close_anyway(void *context, enum weir_io_op op, const long args[6])
{
    (void)context;
    if (op == WEIR_IO_CLOSE)
        (void)close((int)args[0]);
}

/* The n-th call fails: the job works all the same or says so, nothing is left behind, and what
 * can be found afterwards is whole. */
START_TEST(test_every_call_fails)
{
    static const int errors[] = {EIO, ENOSPC, EMFILE, EACCES};
    int worked_unfiled = 0;
    bool was_reached = true;
    struct weir_compile_result first = run_job(NULL); /* the spawner's socket stays open */
    (void)close(first.fd);
    for (uint64_t n = 1; was_reached; n++) {
        struct folder folder = new_folder();
        struct weir_io_faulty faulty;
        weir_io_faulty_init(&faulty, weir_io_system());
        const struct weir_io_rule rule = {.op = WEIR_IO_ANY,
                                          .first = n,
                                          .count = 1,
                                          .error = errors[n % 4],
                                          .before = close_anyway};
        ck_assert(weir_io_faulty_add(&faulty, &rule));
        int before = count_descriptors();
        struct weir_artifact_dir *dir = NULL;
        struct weir_error error = {0};
        if (weir__artifact_dir_open(folder.path, &faulty.io, &dir, &error) == WEIR_OK) {
            struct weir_compile_result result = run_job(dir);
            worked_unfiled += !result.is_filed;
            ck_assert_uint_eq(counts_of(dir).file_failures, !result.is_filed);
            (void)close(result.fd);
            weir_artifact_dir_close(dir);
        } else {
            ck_assert_ptr_null(dir);
            ck_assert_int_eq(error.status, WEIR_IO);
        }
        was_reached = faulty.calls[WEIR_IO_ANY] >= n;
        weir_io_faulty_done(&faulty);
        ck_assert_int_eq(count_descriptors(), before);
        dir = open_dir(folder.path);
        struct weir_compile_result result = run_job(dir);
        ck_assert(result.is_filed);
        ck_assert_uint_eq(counts_of(dir).quarantined, 0);
        (void)close(result.fd);
        weir_artifact_dir_close(dir);
        remove_folder(&folder);
    }
    ck_assert_int_gt(worked_unfiled, 5);
}
END_TEST

/* The n-th charge fails. */
START_TEST(test_every_charge_fails)
{
    struct folder folder = new_folder();
    bool was_reached = true;
    for (uint64_t n = 1; was_reached; n++) {
        struct weir_compile_job job = job_for(own_wasm, sizeof own_wasm);
        struct weir_compile_result result = {.fd = -1};
        struct weir_error error = {0};
        struct weir_artifact_dir *dir = NULL;
        (void)weir_ledger_fail_nth(n);
        enum weir_status status = weir_artifact_dir_open(folder.path, &dir, &error);
        if (status == WEIR_OK)
            status = weir_compile_job_run(n % 2 == 0 ? dir : NULL, &job, &result, &error);
        was_reached = weir_ledger_fail_nth(0) >= n;
        ck_assert_msg(status == WEIR_OK || status == WEIR_NO_MEMORY || status == WEIR_LIMIT, "%s",
                      error.message);
        ck_assert(status != WEIR_OK || result.fd >= 0);
        if (status == WEIR_OK)
            (void)close(result.fd);
        weir_artifact_dir_close(dir);
        weir_error_done(&error);
        weir_compile_stop();
    }
    struct weir_account_reading reading;
    weir_account_read(weir_account_host(), &reading);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_COMPILER], 0);
    ck_assert_uint_eq(reading.kinds[WEIR_KIND_DESCRIPTOR], 0);
    remove_folder(&folder);
}
END_TEST

int main(void)
{
    if (setenv("WEIR_COMPILE", WEIR_STUB_PROGRAM, 1) != 0)
        return 1;
    Suite *suite = suite_create("artifact_dir");
    TCase *files = tcase_create("files");
    tcase_add_test(files, test_found_again);
    tcase_add_loop_test(files, test_damage, 0, (int)(sizeof damages / sizeof damages[0]));
    tcase_add_test(files, test_quarantine_takes_all);
    tcase_add_test(files, test_quarantine_is_bounded);
    tcase_add_test(files, test_overlay);
    tcase_add_test(files, test_verify_strangers);
    suite_add_tcase(suite, files);
    TCase *folders = tcase_create("folders");
    tcase_add_test(folders, test_refused_directories);
    tcase_add_test(folders, test_refused_keys);
    tcase_add_test(folders, test_keys_that_cannot_be_opened);
    tcase_add_test(folders, test_many_openers);
    tcase_add_test(folders, test_stale_files);
    tcase_add_test(folders, test_writer_holds_file);
    suite_add_tcase(suite, folders);
    TCase *faults = tcase_create("faults");
    tcase_add_test(faults, test_every_call_fails);
    tcase_add_test(faults, test_every_charge_fails);
    suite_add_tcase(suite, faults);
    return run_suite(suite);
}
