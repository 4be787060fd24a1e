/* The artifact directory as a disk tier: pins, quota, versions, pruning; and that it keeps its
 * promises when power goes or a writer is killed: no corrupt file is served, and nothing is lost
 * but what was being written. */
#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "artifact/artifact.h"
#include "base/io_crash.h"
#include "job_helpers.h"
#include "runtime/artifact_name.h"
#include "runtime/artifact_store.h"
#include "tests/run_suite.h"

#define FILE_BYTES 20000u
#define WHOLE_BYTES (FILE_BYTES + WEIR_ARTIFACT_SEAL_BYTES)
#define KEYS 12

/* In memory where that is possible: what is lost is decided here, and syncing takes its time. */
static struct folder store_folder(void)
{
    struct folder folder = {"/dev/shm/weir-store-XXXXXX"};
    return mkdtemp(folder.path) != NULL ? folder : new_folder();
}

/* --- artifacts by number ------------------------------------------------------------------- */

static struct weir_hash hash_of(unsigned number, char what)
{
    struct weir_hash hash;
    char text[16];
    int size = snprintf(text, sizeof text, "%c%u", what, number);
    ck_assert_int_eq(weir_hash_bytes(text, (size_t)size, &hash, NULL), WEIR_OK);
    return hash;
}

/* As much of an artifact as the directory looks at. */
static void make_bytes(unsigned number, uint8_t bytes[FILE_BYTES])
{
    struct weir_hash key = hash_of(number, 'k'), module = hash_of(number, 'm');
    struct weir_artifact_head head = {.file_bytes = FILE_BYTES, .module_bytes = 100 + number};
    memcpy(head.magic, WEIR_ARTIFACT_MAGIC, sizeof head.magic);
    memcpy(head.key, key.bytes, sizeof head.key);
    memcpy(head.module_sha256, module.bytes, sizeof head.module_sha256);
    for (uint32_t i = 0; i < FILE_BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + number + 1);
    memcpy(bytes + WEIR_ARTIFACT_HEAD_OFFSET, &head, sizeof head);
}

static enum weir_status put(struct weir_artifact_dir *dir, unsigned number)
{
    uint8_t bytes[FILE_BYTES];
    struct weir_hash key = hash_of(number, 'k');
    int fd = -1;
    make_bytes(number, bytes);
    enum weir_status status = weir__artifact_dir_file(dir, &key, bytes, sizeof bytes, &fd, NULL);
    if (status == WEIR_OK)
        (void)close(fd);
    return status;
}

/* A descriptor, or -1; what is found must be whole. */
static int find(struct weir_artifact_dir *dir, unsigned number)
{
    uint8_t bytes[FILE_BYTES], got[FILE_BYTES];
    struct weir_hash key = hash_of(number, 'k');
    enum weir_artifact_miss miss;
    int fd = -1;
    enum weir_status status = weir__artifact_dir_find(dir, &key, &fd, &miss, NULL);
    if (status == WEIR_NOT_FOUND)
        return -1;
    ck_assert_int_eq(status, WEIR_OK);
    make_bytes(number, bytes);
    ck_assert_int_eq(pread(fd, got, sizeof got, 0), FILE_BYTES);
    ck_assert_int_eq(memcmp(bytes, got, sizeof got), 0);
    return fd;
}

static bool has(struct weir_artifact_dir *dir, unsigned number)
{
    int fd = find(dir, number);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

/* As if it had been used so long ago. */
static void age(const struct folder *folder, unsigned number, int64_t seconds)
{
    char hex[WEIR_HASH_HEX_SIZE], path[400];
    struct weir_hash key = hash_of(number, 'k');
    weir_hash_hex(&key, hex);
    (void)snprintf(path, sizeof path, "%s/%s", version_folder(folder).path, hex);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const struct timespec times[2] = {{now.tv_sec - seconds, 0}, {now.tv_sec - seconds, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool count_file(void *context, const struct weir_artifact_file *file)
{
    ck_assert_uint_eq(file->bytes, WHOLE_BYTES);
    ck_assert(!file->is_foreign);
    (*(unsigned *)context)++;
    return true;
}

static unsigned count_files(struct weir_artifact_dir *dir)
{
    unsigned count = 0;
    ck_assert_int_eq(weir_artifact_dir_walk(dir, count_file, &count, NULL), WEIR_OK);
    return count;
}

/* --- pins ---------------------------------------------------------------------------------- */

static bool count_pin(void *context, const struct weir_hash *module)
{
    (void)module;
    (*(unsigned *)context)++;
    return true;
}

START_TEST(test_pins)
{
    struct folder folder = store_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    struct weir_hash module = hash_of(1, 'm'), other = hash_of(2, 'm');
    ck_assert(!weir_artifact_dir_is_pinned(dir, &module));
    ck_assert_int_eq(weir_artifact_dir_pin(dir, &module, false, NULL), WEIR_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_artifact_dir_pin(dir, &module, true, NULL), WEIR_OK);
    ck_assert_int_eq(weir_artifact_dir_pin(dir, &other, true, NULL), WEIR_OK);
    weir_artifact_dir_close(dir);
    dir = open_dir(folder.path);
    unsigned count = 0;
    weir_artifact_dir_walk_pins(dir, count_pin, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert(weir_artifact_dir_is_pinned(dir, &module));
    ck_assert_int_eq(weir_artifact_dir_pin(dir, &module, false, NULL), WEIR_OK);
    ck_assert(!weir_artifact_dir_is_pinned(dir, &module));
    /* Something else under its name pins too, is not waited for, and goes with it. */
    char hex[WEIR_HASH_HEX_SIZE], path[200];
    weir_hash_hex(&module, hex);
    (void)snprintf(path, sizeof path, "%s/pins/%s", folder.path, hex);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(weir_artifact_dir_pin(dir, &module, true, NULL), WEIR_OK);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(weir_artifact_dir_pin(dir, &module, false, NULL), WEIR_OK);
    ck_assert(!weir_artifact_dir_is_pinned(dir, &module));
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* --- quota --------------------------------------------------------------------------------- */

START_TEST(test_quota)
{
    struct folder folder = store_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    struct weir_hash pinned = hash_of(0, 'm');
    ck_assert_int_eq(weir_artifact_dir_pin(dir, &pinned, true, NULL), WEIR_OK);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(put(dir, i), WEIR_OK);
        age(&folder, i, 1000 - 100 * (int)i);
    }
    int loaded = find(dir, 1); /* in use, though used long ago */
    age(&folder, 1, 900);
    weir_artifact_dir_set_quota(dir, 4 * WHOLE_BYTES + 100);
    ck_assert_int_eq(put(dir, 4), WEIR_OK);
    ck_assert(has(dir, 0) && has(dir, 1) && !has(dir, 2) && has(dir, 3) && has(dir, 4));
    ck_assert_uint_eq(counts_of(dir).removed, 1);
    ck_assert_uint_eq(counts_of(dir).bytes, 4 * WHOLE_BYTES);
    /* What another process adds is seen, and makes room necessary. */
    struct weir_artifact_dir *other = open_dir(folder.path);
    ck_assert_int_eq(put(other, 5), WEIR_OK);
    age(&folder, 3, 700);
    ck_assert_int_eq(put(dir, 6), WEIR_OK);
    ck_assert_uint_eq(count_files(dir), 4);
    ck_assert(has(dir, 0) && has(dir, 1) && has(dir, 6) && !has(dir, 3));
    weir_artifact_dir_close(other);
    /* All that is left is pinned or loaded. */
    weir_artifact_dir_set_quota(dir, 2 * WHOLE_BYTES);
    ck_assert_int_eq(put(dir, 7), WEIR_LIMIT);
    ck_assert(has(dir, 0) && has(dir, 1) && !has(dir, 7));
    ck_assert_uint_eq(counts_of(dir).file_failures, 1);
    (void)close(loaded);
    ck_assert_int_eq(put(dir, 7), WEIR_OK);
    ck_assert(!has(dir, 1));
    weir_artifact_dir_set_quota(dir, WHOLE_BYTES - 1);
    ck_assert_int_eq(put(dir, 8), WEIR_LIMIT);
    ck_assert_uint_eq(count_files(dir), 2); /* nothing went for what cannot fit */
    ck_assert_int_eq(count_names(folder.path, ".new-"), 0);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* A copy under a name that is read as a hash, but is not how we write one: it is no artifact, takes
 * no part in the quota, and is not removed in place of the one that it looks like. */
START_TEST(test_other_names)
{
    struct folder folder = store_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    char hex[WEIR_HASH_HEX_SIZE], from[400], to[400];
    struct weir_hash key = hash_of(1, 'k');
    ck_assert_int_eq(put(dir, 1), WEIR_OK);
    weir_hash_hex(&key, hex);
    (void)snprintf(from, sizeof from, "%s/%s", version_folder(&folder).path, hex);
    for (char *c = hex; *c != 0; c++)
        *c = (char)toupper((unsigned char)*c);
    (void)snprintf(to, sizeof to, "%s/%s", version_folder(&folder).path, hex);
    ck_assert_int_eq(link(from, to), 0);
    ck_assert_uint_eq(count_files(dir), 1);
    weir_artifact_dir_set_quota(dir, 2 * WHOLE_BYTES);
    ck_assert_int_eq(put(dir, 2), WEIR_OK);
    ck_assert(has(dir, 1) && has(dir, 2));
    ck_assert_uint_eq(counts_of(dir).removed, 0);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* A writer that was stopped in the middle holds up the others for a bounded time only. */
START_TEST(test_lock_is_held)
{
    struct folder folder = store_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    char path[160];
    (void)snprintf(path, sizeof path, "%s/write.lock", folder.path);
    AUTO_CLOSE fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    weir_artifact_dir_set_quota(dir, 100 * WHOLE_BYTES);
    ck_assert_int_eq(put(dir, 1), WEIR_BUSY);
    ck_assert_int_eq(count_names(version_folder(&folder).path, ""), 0);
    ck_assert_int_eq(flock(fd, LOCK_UN), 0);
    ck_assert_int_eq(put(dir, 1), WEIR_OK);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* Some network file systems have no flock(): the quota holds all the same. */
START_TEST(test_no_locks)
{
    static const int ERRORS[] = {ENOLCK, EOPNOTSUPP, ENOSYS};
    struct folder folder = store_folder();
    struct weir_io_faulty faulty;
    struct weir_artifact_dir *dir = NULL;
    struct weir_artifact_pruned pruned;
    weir_io_faulty_init(&faulty, weir_io_system());
    const struct weir_io_rule rule = {.op = WEIR_IO_FLOCK, .error = ERRORS[_i]};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    ck_assert_int_eq(weir__artifact_dir_open(folder.path, &faulty.io, &dir, NULL), WEIR_OK);
    weir_artifact_dir_set_quota(dir, 2 * WHOLE_BYTES);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(put(dir, i), WEIR_OK);
    ck_assert_uint_eq(count_files(dir), 2);
    const struct weir_artifact_prune prune = {.bytes_max = 0, .stale_s = -1};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert_uint_eq(pruned.files, 2);
    weir_artifact_dir_close(dir);
    weir_io_faulty_done(&faulty);
    remove_folder(&folder);
}
END_TEST

static void let_go(void *context, enum weir_io_op op, const long args[6])
{
    (void)op;
    (void)args;
    ck_assert_int_eq(flock(*(int *)context, LOCK_UN), 0);
}

/* Another build's `weir cache stat`, or a collector that changes its mind, has this build's version
 * locked for a moment: who opens it waits. */
START_TEST(test_version_is_held)
{
    struct folder folder = store_folder();
    weir_artifact_dir_close(open_dir(folder.path));
    AUTO_CLOSE held = open(version_folder(&folder).path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(flock(held, LOCK_EX), 0);
    struct weir_io_faulty faulty;
    weir_io_faulty_init(&faulty, weir_io_system());
    const struct weir_io_rule rule = {
        .op = WEIR_IO_FLOCK, .first = 20, .count = 1, .before = let_go, .context = &held};
    ck_assert(weir_io_faulty_add(&faulty, &rule));
    struct weir_artifact_dir *dir = NULL;
    ck_assert_int_eq(weir__artifact_dir_open(folder.path, &faulty.io, &dir, NULL), WEIR_OK);
    weir_artifact_dir_close(dir);
    ck_assert_int_eq(flock(held, LOCK_EX), 0);
    struct weir_error error = {0};
    ck_assert_int_eq(weir_artifact_dir_open(folder.path, &dir, &error), WEIR_BUSY);
    ck_assert_ptr_nonnull(strstr(error.message, folder.path));
    weir_io_faulty_done(&faulty);
    remove_folder(&folder);
}
END_TEST

/* --- versions and pruning ------------------------------------------------------------------ */

static void make_version(const struct folder *folder, const char *name, int64_t days)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/%s/x", folder->path, name);
    AUTO_CLOSE fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "12345", 5), 5);
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const struct timespec times[2] = {{now.tv_sec - days * 86400, 0},
                                      {now.tv_sec - days * 86400, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool is_there(const struct folder *folder, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    return access(path, F_OK) == 0;
}

static bool count_version(void *context, const struct weir_artifact_version *version)
{
    unsigned *counts = context;
    counts[0]++;
    counts[1] += version->is_current;
    counts[2] += version->is_in_use;
    return true;
}

START_TEST(test_versions)
{
    static const char *const OLD = "v0-00000000000000aa", *const YOUNG = "v0-00000000000000bb",
                             *const USED = "v0-00000000000000cc";
    struct folder folder = store_folder();
    make_version(&folder, OLD, 30);
    make_version(&folder, YOUNG, 1);
    make_version(&folder, USED, 30);
    make_version(&folder, ".old-0123456789abcdef", 0); /* a collector that died */
    make_version(&folder, "unrelated", 30);
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder.path, USED);
    AUTO_CLOSE used = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(flock(used, LOCK_SH), 0);
    struct weir_artifact_dir *dir = open_dir(folder.path);
    ck_assert(!is_there(&folder, OLD) && is_there(&folder, YOUNG) && is_there(&folder, USED));
    ck_assert(is_there(&folder, "unrelated") && !is_there(&folder, ".old-0123456789abcdef"));
    unsigned counts[3] = {0};
    ck_assert_int_eq(weir_artifact_dir_walk_versions(dir, count_version, counts, NULL), WEIR_OK);
    ck_assert_uint_eq(counts[0], 3);
    ck_assert_uint_eq(counts[1], 1);
    ck_assert_uint_eq(counts[2], 2);
    struct weir_artifact_pruned pruned;
    struct weir_artifact_prune prune = {.bytes_max = WEIR_UNLIMITED, .is_trial = true};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert_uint_eq(pruned.versions, 1);
    ck_assert_uint_eq(pruned.bytes, 5);
    ck_assert(is_there(&folder, YOUNG));
    prune.is_trial = false;
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert(!is_there(&folder, YOUNG) && is_there(&folder, USED));
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* A child that is forked while a lock is held, and lives on, does not keep it. */
struct forked {
    pid_t pids[8];
    unsigned count;
};

static void fork_child(void *context, const char *name, uint64_t bytes)
{
    struct forked *forked = context;
    (void)name;
    (void)bytes;
    ck_assert_uint_lt(forked->count, sizeof forked->pids / sizeof forked->pids[0]);
    pid_t pid = forked->pids[forked->count++] = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        for (;;)
            (void)pause();
}

START_TEST(test_forked_under_locks)
{
    static const char *const STALE = "v0-00000000000000aa";
    struct folder folder = store_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    struct weir_artifact_pruned pruned;
    struct forked forked = {.count = 0};
    ck_assert_int_eq(put(dir, 1), WEIR_OK);
    make_version(&folder, STALE, 30);
    const struct weir_artifact_prune prune = {
        .bytes_max = 0, .is_trial = true, .visit = fork_child, .context = &forked};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert_uint_eq(forked.count, 2); /* under the write lock, and the old version's as well */
    ck_assert_int_eq(put(dir, 2), WEIR_OK);
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder.path, STALE);
    AUTO_CLOSE stale = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(flock(stale, LOCK_SH | LOCK_NB), 0);
    for (unsigned i = 0; i < forked.count; i++) {
        ck_assert_int_eq(kill(forked.pids[i], SIGKILL), 0);
        ck_assert_int_eq(waitpid(forked.pids[i], NULL, 0), forked.pids[i]);
    }
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* A clock that was wrong, or somebody's touch: any second there is. */
START_TEST(test_odd_times)
{
    static const int64_t SECONDS[] = {INT64_MIN + 1, -99999999999, 99999999999, INT64_MAX - 1};
    struct folder folder = store_folder();
    struct weir_artifact_pruned pruned;
    char hex[WEIR_HASH_HEX_SIZE], stale[24], path[400];
    for (unsigned i = 0; i < 4; i++) {
        const struct timespec times[2] = {{SECONDS[i], 0}, {SECONDS[i], 0}};
        struct weir_artifact_dir *dir = open_dir(folder.path);
        struct weir_hash key = hash_of(i, 'k');
        ck_assert_int_eq(put(dir, i), WEIR_OK);
        weir_artifact_dir_close(dir);
        weir_hash_hex(&key, hex);
        (void)snprintf(path, sizeof path, "%s/%s/%s", folder.path, weir__dir_version_now().text,
                       hex);
        ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
        (void)snprintf(stale, sizeof stale, "v0-%016x", i);
        make_version(&folder, stale, 1);
        (void)snprintf(path, sizeof path, "%s/%s", folder.path, stale);
        ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
        dir = open_dir(folder.path);
        ck_assert(has(dir, i));
        ck_assert_int_eq(is_there(&folder, stale), SECONDS[i] > 0);
        weir_artifact_dir_close(dir);
    }
    struct weir_artifact_dir *dir = open_dir(folder.path);
    const struct weir_artifact_prune prune = {
        .bytes_max = WEIR_UNLIMITED, .unused_s = 3600, .stale_s = -1};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert_uint_eq(pruned.files + pruned.left_files, 4);
    ck_assert(has(dir, 2) && has(dir, 3));
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

START_TEST(test_prune)
{
    struct folder folder = store_folder();
    struct weir_artifact_dir *dir = open_dir(folder.path);
    struct weir_artifact_pruned pruned;
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(put(dir, i), WEIR_OK);
        age(&folder, i, 5000 - 1000 * (int)i);
    }
    struct weir_hash pinned = hash_of(0, 'm');
    ck_assert_int_eq(weir_artifact_dir_pin(dir, &pinned, true, NULL), WEIR_OK);
    struct weir_artifact_prune prune = {
        .bytes_max = WEIR_UNLIMITED, .unused_s = 3500, .stale_s = -1};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert_uint_eq(pruned.files, 1); /* 1; 0 is pinned */
    ck_assert(has(dir, 0) && !has(dir, 1) && has(dir, 2));
    prune = (struct weir_artifact_prune){.bytes_max = 2 * WHOLE_BYTES, .stale_s = -1};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert_uint_eq(pruned.left_files, 2);
    ck_assert_uint_eq(pruned.left_bytes, 2 * WHOLE_BYTES);
    ck_assert(has(dir, 0) && has(dir, 2) && !has(dir, 4)); /* 2 was used since */
    /* A damaged one is found by a check, and by emptying the quarantine it is gone. */
    char hex[WEIR_HASH_HEX_SIZE], path[400];
    struct weir_hash key = hash_of(2, 'k');
    weir_hash_hex(&key, hex);
    (void)snprintf(path, sizeof path, "%s/%s", version_folder(&folder).path, hex);
    ck_assert_int_eq(truncate(path, 1000), 0);
    ck_assert_int_eq(weir_artifact_dir_check(dir, &key, NULL), WEIR_CORRUPT);
    ck_assert_int_eq(weir_artifact_dir_check(dir, &key, NULL), WEIR_NOT_FOUND);
    struct weir_artifact_quarantine quarantine;
    weir_artifact_dir_quarantine_read(dir, &quarantine);
    ck_assert_uint_eq(quarantine.files, 1);
    ck_assert_uint_eq(quarantine.bytes, 1000);
    prune = (struct weir_artifact_prune){
        .bytes_max = WEIR_UNLIMITED, .stale_s = -1, .quarantine = true};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    weir_artifact_dir_quarantine_read(dir, &quarantine);
    ck_assert_uint_eq(quarantine.files, 0);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

/* --- power goes ---------------------------------------------------------------------------- */

struct writer {
    struct weir_io *io;
    const char *path;
    uint64_t quota;
    unsigned number;
    _Atomic bool *kept;   /* by key: it was said to be kept */
    _Atomic bool *pinned; /* by module */
};

static void *write_until_cut(void *context)
{
    struct writer *writer = context;
    struct weir_artifact_dir *dir = NULL;
    if (weir__artifact_dir_open(writer->path, writer->io, &dir, NULL) != WEIR_OK)
        return NULL;
    weir_artifact_dir_set_quota(dir, writer->quota);
    for (unsigned i = 0; i < 3 * KEYS; i++) {
        unsigned number = (i * 5 + writer->number * 3) % KEYS;
        struct weir_hash module = hash_of(number, 'm');
        if (put(dir, number) == WEIR_OK)
            writer->kept[number] = true;
        if (i % 4 == 0 && weir_artifact_dir_pin(dir, &module, true, NULL) == WEIR_OK)
            writer->pinned[number] = true;
    }
    weir_artifact_dir_close(dir);
    return NULL;
}

/* Four writers on one disk that loses power at some call; then what the next start finds. Returns
 * whether there was power to the end. */
static bool lose_power(uint64_t calls, uint64_t quota)
{
    struct folder folder = store_folder(), attic = store_folder();
    struct weir_io_crash crash;
    _Atomic bool kept[KEYS] = {false}, pinned[KEYS] = {false};
    pthread_t threads[4];
    struct writer writers[4];
    ck_assert(weir_io_crash_init(&crash, weir_io_system(), attic.path));
    weir_io_crash_cut_after(&crash, calls);
    for (unsigned i = 0; i < 4; i++) {
        writers[i] = (struct writer){&crash.io, folder.path, quota, i, kept, pinned};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_until_cut, &writers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    bool had_power = !crash.is_cut;
    weir_io_crash_settle(&crash, calls);
    struct weir_artifact_dir *dir = open_dir(folder.path);
    for (unsigned i = 0; i < KEYS; i++) {
        struct weir_hash module = hash_of(i, 'm');
        bool is_there = has(dir, i);
        ck_assert_msg(is_there || !kept[i] || quota != WEIR_UNLIMITED,
                      "power went at call %llu: %u is lost", (unsigned long long)calls, i);
        ck_assert_msg(!pinned[i] || weir_artifact_dir_is_pinned(dir, &module),
                      "power went at call %llu: the pin of %u is lost", (unsigned long long)calls,
                      i);
    }
    ck_assert_uint_eq(counts_of(dir).quarantined, 0);
    ck_assert_uint_le(count_files(dir) * WHOLE_BYTES, quota);
    ck_assert_int_eq(put(dir, 0), WEIR_OK); /* and life goes on */
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
    remove_folder(&attic);
    return had_power;
}

START_TEST(test_power_loss)
{
    uint64_t calls = 1;
    while (!lose_power(calls, _i == 0 ? WEIR_UNLIMITED : 14 * WHOLE_BYTES))
        calls += calls / 16 + 7;
    ck_assert_uint_gt(calls, 500);
}
END_TEST

/* That the disk does lose what is not synced: otherwise the test above shows nothing. What happens
 * hangs on the seed and on the folder's inode: of 32 seeds 4 to 12 tear the file, so many more are
 * taken than are asked for. */
#define SEEDS 256
START_TEST(test_disk_is_wicked)
{
    unsigned lost = 0, torn = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct folder folder = store_folder(), attic = store_folder();
        struct weir_io_crash crash;
        char path[160], bytes[4096], got[4096];
        memset(bytes, 'x', sizeof bytes);
        ck_assert(weir_io_crash_init(&crash, weir_io_system(), attic.path));
        int at = weir_io_open(&crash.io, AT_FDCWD, folder.path, O_RDONLY | O_DIRECTORY, 0);
        int fd = weir_io_open(&crash.io, at, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
        ck_assert_int_eq(weir_io_write_all(&crash.io, fd, bytes, sizeof bytes), 0);
        ck_assert_int_eq(weir_io_renameat(&crash.io, at, "new", at, "final", 0), 0);
        (void)weir_io_close(&crash.io, fd);
        (void)weir_io_close(&crash.io, at);
        weir_io_crash_settle(&crash, seed);
        (void)snprintf(path, sizeof path, "%s/final", folder.path);
        AUTO_CLOSE found = open(path, O_RDONLY | O_CLOEXEC);
        lost += found < 0;
        torn += found >= 0 && (read(found, got, sizeof got) != (ssize_t)sizeof got ||
                               memcmp(got, bytes, sizeof got) != 0);
        remove_folder(&folder);
        remove_folder(&attic);
    }
    ck_assert_uint_gt(lost, SEEDS / 8);
    ck_assert_uint_gt(torn, SEEDS / 8);
}
END_TEST

/* --- a writer is killed -------------------------------------------------------------------- */

static void write_for_ever(const char *path, unsigned writer, int pipe)
{
    struct weir_artifact_dir *dir = NULL;
    if (weir_artifact_dir_open(path, &dir, NULL) != WEIR_OK)
        _exit(1);
    weir_artifact_dir_set_quota(dir, 1000 * WHOLE_BYTES); /* so that the lock is taken */
    for (unsigned i = 0;; i++) {
        uint8_t number = (uint8_t)((i * 5 + writer * 3) % KEYS);
        if (put(dir, number) != WEIR_OK || write(pipe, &number, 1) != 1)
            _exit(1);
    }
}

START_TEST(test_killed_writers)
{
    struct folder folder = store_folder();
    bool kept[KEYS] = {false};
    int pipes[2];
    pid_t writers[4];
    weir_artifact_dir_close(open_dir(folder.path));
    ck_assert_int_eq(pipe(pipes), 0);
    for (unsigned i = 0; i < 4; i++) {
        writers[i] = fork();
        ck_assert_int_ge(writers[i], 0);
        if (writers[i] == 0)
            write_for_ever(folder.path, i, pipes[1]);
    }
    (void)close(pipes[1]);
    uint8_t number = 0;
    for (int i = 0; i < 20 + 7 * _i; i++) {
        ck_assert_int_eq(read(pipes[0], &number, 1), 1);
        kept[number] = true;
    }
    for (unsigned i = 0; i < 4; i++)
        (void)kill(writers[i], SIGKILL);
    for (unsigned i = 0; i < 4; i++)
        (void)waitpid(writers[i], NULL, 0);
    while (read(pipes[0], &number, 1) == 1)
        kept[number] = true;
    (void)close(pipes[0]);
    struct weir_artifact_dir *dir = open_dir(folder.path);
    for (unsigned i = 0; i < KEYS; i++)
        ck_assert(has(dir, i) || !kept[i]);
    ck_assert_uint_eq(counts_of(dir).quarantined, 0);
    /* Their locks went with them. */
    struct weir_artifact_pruned pruned;
    const struct weir_artifact_prune prune = {.bytes_max = 0, .stale_s = -1};
    ck_assert_int_eq(weir_artifact_dir_prune(dir, &prune, &pruned, NULL), WEIR_OK);
    ck_assert_uint_eq(pruned.left_files, 0);
    weir_artifact_dir_close(dir);
    remove_folder(&folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("artifact store");
    TCase *tests = tcase_create("keeping");
    tcase_add_test(tests, test_pins);
    tcase_add_test(tests, test_quota);
    tcase_add_test(tests, test_other_names);
    tcase_add_test(tests, test_lock_is_held);
    tcase_add_loop_test(tests, test_no_locks, 0, 3);
    tcase_add_test(tests, test_version_is_held);
    tcase_add_test(tests, test_versions);
    tcase_add_test(tests, test_forked_under_locks);
    tcase_add_test(tests, test_odd_times);
    tcase_add_test(tests, test_prune);
    suite_add_tcase(suite, tests);
    TCase *crashes = tcase_create("crashes");
    tcase_add_test(crashes, test_disk_is_wicked);
    tcase_add_loop_test(crashes, test_power_loss, 0, 2);
    tcase_add_loop_test(crashes, test_killed_writers, 0, 8);
    suite_add_tcase(suite, crashes);
    return run_suite(suite);
}
