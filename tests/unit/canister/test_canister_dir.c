/* States on a disk that fails, loses power and holds foreign things: what comes back is the state
 * before or the one after, whole, and the one after whenever the save said so. */
#include "tests/unit/canister/canister_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io_crash.h"
#include "plain_wasm.h"
#include "tests/run_suite.h"
#include "worlds/canister/canister_dir.h"

static struct weir_engine *engine;
static char top[] = "/tmp/weir-canister-XXXXXX";
static char state_dir[64], attic[64], cache[64];

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(top));
    (void)snprintf(state_dir, sizeof state_dir, "%s/ic", top);
    (void)snprintf(attic, sizeof attic, "%s/attic", top);
    (void)snprintf(cache, sizeof cache, "%s/cache", top);
    ck_assert_int_eq(mkdir(attic, 0700), 0);
    struct weir_engine_config config = {.artifact_dir = cache};
    weir_canister_engine_config(&config);
    ck_assert_int_eq(weir_engine_new(&config, &engine, NULL), WEIR_OK);
}

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
    (void)stat, (void)kind, (void)walk;
    return remove(path);
}

static void end(void)
{
    weir_engine_unref(engine);
    (void)nftw(top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static enum weir_status open_dir(struct weir_canister_dir *dir, struct weir_io *io, unsigned access,
                                 struct weir_error *error)
{
    return weir_canister_dir_open(dir, io, state_dir, "plain", access, error);
}

/* A canister as it is on disk; NULL: there is none. */
static struct weir_canister *load(void)
{
    struct weir_canister_dir dir;
    struct weir_error error = {0};
    struct weir_canister *canister = canister_make(engine, NULL);
    enum weir_status status = open_dir(&dir, NULL, WEIR_CANISTER_READ, &error);
    if (status == WEIR_OK)
        status = weir_canister_dir_load(&dir, canister, weir_account_host(), &error);
    weir_canister_dir_close(&dir);
    ck_assert_msg(status == WEIR_OK || status == WEIR_NOT_FOUND, "%s", error.message);
    weir_error_done(&error);
    if (status == WEIR_OK)
        return canister;
    weir_canister_free(canister);
    return NULL;
}

static uint32_t count_on_disk(void)
{
    struct weir_canister *canister = load();
    ck_assert_ptr_nonnull(canister);
    struct plain_state state = canister_look(canister);
    ck_assert_uint_eq(state.memory, state.stable_pages != 0 ? state.stable : 5);
    weir_canister_free(canister);
    return state.memory;
}

static enum weir_status save(struct weir_canister *canister, struct weir_io *io, bool has_module)
{
    struct weir_canister_dir dir;
    struct weir_error error = {0};
    enum weir_status status = open_dir(&dir, io, WEIR_CANISTER_CREATE, &error);
    if (status == WEIR_OK)
        status = weir_canister_dir_save(&dir, canister, has_module ? plain_wasm : NULL,
                                        sizeof plain_wasm, &error);
    ck_assert(status == WEIR_OK || error.message[0] != 0);
    weir_error_done(&error);
    weir_canister_dir_close(&dir);
    return status;
}

static struct weir_canister *installed(void)
{
    struct weir_canister *canister = canister_make(engine, NULL);
    canister_replied(
        canister_code(canister, WEIR_CANISTER_INSTALL, plain_wasm, sizeof plain_wasm, 5));
    return canister;
}

START_TEST(goes_on)
{
    struct weir_canister *canister = installed();
    ck_assert_ptr_null(load());
    ck_assert_int_eq(save(canister, NULL, true), WEIR_OK);
    weir_canister_free(canister);
    for (uint32_t i = 5; i < 9; i++) {
        ck_assert_uint_eq(count_on_disk(), i);
        canister = load();
        canister_replied(canister_update(canister, "inc", NULL, 0));
        ck_assert_int_eq(save(canister, NULL, false), WEIR_OK);
        weir_canister_free(canister);
    }
}
END_TEST

/* Closing goes past the failures: a lock that stays held would keep this very process out. */
struct closing {
    struct weir_io io;
    struct weir_io *below;
};

static long call_closing(struct weir_io *io, enum weir_io_op op, const long args[6])
{
    struct closing *closing = (struct closing *)(void *)io;
    struct weir_io *below = op == WEIR_IO_CLOSE ? weir_io_system() : closing->below;
    return below->call(below, op, args);
}

/* Each call of a save fails once, with three kinds of failure. */
START_TEST(failing_calls)
{
    static const struct weir_io_rule kinds[] = {
        {.op = WEIR_IO_ANY, .count = 1, .error = EIO},
        {.op = WEIR_IO_ANY, .count = 0, .error = ENOSPC},
        {.op = WEIR_IO_ANY, .count = 1, .bytes_max = 7},
    };
    struct weir_canister *canister = installed();
    ck_assert_int_eq(save(canister, NULL, true), WEIR_OK);
    uint32_t before = 5;
    for (uint64_t n = 1;; n++) {
        struct weir_io_faulty faulty;
        struct weir_io_rule rule = kinds[_i];
        rule.first = n;
        weir_io_faulty_init(&faulty, weir_io_system());
        ck_assert(weir_io_faulty_add(&faulty, &rule));
        struct closing closing = {{call_closing}, &faulty.io};
        canister_replied(canister_update(canister, "inc", NULL, 0));
        uint32_t after = canister_look(canister).memory;
        enum weir_status status = save(canister, &closing.io, true);
        uint64_t calls = faulty.calls[WEIR_IO_OP_COUNT];
        weir_io_faulty_done(&faulty);
        uint32_t found = count_on_disk();
        if (status == WEIR_OK)
            ck_assert_uint_eq(found, after);
        else
            ck_assert(found == before || found == after);
        before = found;
        if (calls < n)
            break;
    }
    weir_canister_free(canister);
}
END_TEST

/* Power goes with each call of a save, and the disk loses what it may. */
START_TEST(power_goes)
{
    struct weir_canister *canister = installed();
    ck_assert_int_eq(save(canister, NULL, true), WEIR_OK);
    uint32_t before = 5;
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct weir_io_crash crash;
            ck_assert(weir_io_crash_init(&crash, weir_io_system(), attic));
            weir_io_crash_cut_after(&crash, n);
            canister_replied(canister_update(canister, "inc", NULL, 0));
            uint32_t after = canister_look(canister).memory;
            enum weir_status status = save(canister, &crash.io, n % 2 == 0);
            is_done = !crash.is_cut;
            weir_io_crash_settle(&crash, seed + (uint64_t)_i * 100);
            weir_io_crash_done(&crash);
            uint32_t found = count_on_disk();
            if (status == WEIR_OK)
                ck_assert_uint_eq(found, after);
            else
                ck_assert(found == before || found == after);
            before = found;
        }
    }
    weir_canister_free(canister);
}
END_TEST

/* The very first save: nothing, or all of it. */
START_TEST(first_save)
{
    struct weir_canister *canister = installed();
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        struct weir_io_crash crash;
        ck_assert(weir_io_crash_init(&crash, weir_io_system(), attic));
        weir_io_crash_cut_after(&crash, n);
        enum weir_status status = save(canister, &crash.io, true);
        is_done = !crash.is_cut;
        weir_io_crash_settle(&crash, n);
        weir_io_crash_done(&crash);
        struct weir_canister *found = load();
        ck_assert(found != NULL || status != WEIR_OK);
        weir_canister_free(found);
        (void)nftw(state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
    weir_canister_free(canister);
}
END_TEST

static bool has_folder(void)
{
    char path[80];
    (void)snprintf(path, sizeof path, "%s/plain", state_dir);
    return access(path, F_OK) == 0;
}

/* The first save fails at each of its writes: no folder is left, or the whole canister. */
START_TEST(failing_first_save)
{
    struct weir_canister *canister = installed();
    for (uint64_t n = 1;; n++) {
        struct weir_canister_dir dir;
        struct weir_io_faulty faulty;
        struct weir_io_rule rule = {
            .op = _i == 0 ? WEIR_IO_WRITE : WEIR_IO_FSYNC, .count = 1, .error = ENOSPC};
        weir_io_faulty_init(&faulty, weir_io_system());
        ck_assert_int_eq(open_dir(&dir, &faulty.io, WEIR_CANISTER_CREATE, NULL), WEIR_OK);
        rule.first = faulty.calls[rule.op] + n;
        ck_assert(weir_io_faulty_add(&faulty, &rule));
        ck_assert(has_folder());
        enum weir_status status =
            weir_canister_dir_save(&dir, canister, plain_wasm, sizeof plain_wasm, NULL);
        uint64_t calls = faulty.calls[rule.op];
        weir_canister_dir_close(&dir);
        weir_io_faulty_done(&faulty);
        struct weir_canister *found = load();
        ck_assert(found != NULL || status != WEIR_OK);
        ck_assert_int_eq(has_folder(), found != NULL);
        weir_canister_free(found);
        (void)nftw(state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        if (calls < rule.first)
            break;
    }
    weir_canister_free(canister);
}
END_TEST

/* --- changes ------------------------------------------------------------------------------- */

/* What goes wrong from the n-th call of a save on. */
struct trouble {
    struct weir_io *io;
    struct weir_io_crash *crash;
    struct weir_io_faulty *faulty;
    struct weir_io_rule rule;
    uint64_t n;
};

static void arm(struct trouble *trouble)
{
    if (trouble->crash != NULL)
        weir_io_crash_cut_after(trouble->crash, trouble->n);
    if (trouble->faulty == NULL)
        return;
    trouble->rule.first = trouble->faulty->calls[WEIR_IO_OP_COUNT] + trouble->n;
    ck_assert(weir_io_faulty_add(trouble->faulty, &trouble->rule));
}

/* What a command does: loads, runs an update, saves what changed. What it was told at the end, and
 * the counter after the update. */
static enum weir_status command(struct trouble *trouble, uint32_t *ret_after)
{
    static struct trouble none;
    trouble = trouble != NULL ? trouble : &none;
    struct weir_io *io = trouble->io;
    struct weir_canister_dir dir;
    struct weir_canister *canister = canister_make(engine, NULL);
    ck_assert_int_eq(open_dir(&dir, io, WEIR_CANISTER_WRITE, NULL), WEIR_OK);
    ck_assert_int_eq(weir_canister_dir_load(&dir, canister, weir_account_host(), NULL), WEIR_OK);
    canister_replied(canister_update(canister, "inc", NULL, 0));
    *ret_after = canister_look(canister).memory;
    arm(trouble);
    enum weir_status status = weir_canister_dir_save(&dir, canister, NULL, 0, NULL);
    weir_canister_dir_close(&dir);
    weir_canister_free(canister);
    return status;
}

/* Files of changes there are, and the name of the last one that the folder tells. */
static unsigned changes_on_disk(char last[256])
{
    char path[128];
    unsigned count = 0;
    (void)snprintf(path, sizeof path, "%s/plain", state_dir);
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, "change-", 7) != 0)
            continue;
        if (last != NULL)
            (void)snprintf(last, 256, "%s", entry->d_name);
        count++;
    }
    (void)closedir(folder);
    return count;
}

static void install_on_disk(void)
{
    struct weir_canister *canister = installed();
    ck_assert_int_eq(save(canister, NULL, true), WEIR_OK);
    weir_canister_free(canister);
}

/* Changes are small, and are not let become many. */
START_TEST(changes_go_on)
{
    install_on_disk();
    unsigned most = 0;
    for (uint32_t i = 6; i < 100; i++) {
        uint32_t after = 0;
        ck_assert_int_eq(command(NULL, &after), WEIR_OK);
        ck_assert_uint_eq(after, i);
        ck_assert_uint_eq(count_on_disk(), i);
        unsigned count = changes_on_disk(NULL);
        ck_assert_uint_le(count, CANISTER_CHANGES_MAX);
        most = count > most ? count : most;
    }
    ck_assert_uint_gt(most, 0);
    /* Nothing changed, nothing is written. */
    struct weir_canister_dir dir;
    struct weir_canister *canister = canister_make(engine, NULL);
    ck_assert_int_eq(open_dir(&dir, NULL, WEIR_CANISTER_WRITE, NULL), WEIR_OK);
    ck_assert_int_eq(weir_canister_dir_load(&dir, canister, weir_account_host(), NULL), WEIR_OK);
    canister_rejected(canister_update(canister, "boom", NULL, 0), WEIR_CANISTER_ERROR, "a text");
    unsigned before = changes_on_disk(NULL);
    ck_assert_int_eq(weir_canister_dir_save(&dir, canister, NULL, 0, NULL), WEIR_OK);
    ck_assert_uint_eq(changes_on_disk(NULL), before);
    weir_canister_dir_close(&dir);
    weir_canister_free(canister);
}
END_TEST

/* Each call of a save of changes fails once, with three kinds of failure. */
START_TEST(failing_commands)
{
    static const struct weir_io_rule kinds[] = {
        {.op = WEIR_IO_ANY, .count = 1, .error = EIO},
        {.op = WEIR_IO_ANY, .count = 0, .error = ENOSPC},
        {.op = WEIR_IO_ANY, .count = 1, .bytes_max = 7},
    };
    install_on_disk();
    uint32_t before = 5;
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        struct weir_io_faulty faulty;
        weir_io_faulty_init(&faulty, weir_io_system());
        struct closing closing = {{call_closing}, &faulty.io};
        struct trouble trouble = {.io = &closing.io, .faulty = &faulty, .rule = kinds[_i], .n = n};
        uint32_t after = 0;
        enum weir_status status = command(&trouble, &after);
        is_done = faulty.calls[WEIR_IO_OP_COUNT] < trouble.rule.first;
        weir_io_faulty_done(&faulty);
        uint32_t found = count_on_disk();
        ck_assert(found == before || found == after);
        ck_assert(status != WEIR_OK || found == after);
        before = found;
    }
}
END_TEST

/* Power goes with each call of a save of changes, and the disk loses what it may. */
START_TEST(power_goes_in_commands)
{
    install_on_disk();
    uint32_t before = 5;
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct weir_io_crash crash;
            uint32_t after = 0;
            ck_assert(weir_io_crash_init(&crash, weir_io_system(), attic));
            struct trouble trouble = {.io = &crash.io, .crash = &crash, .n = n};
            enum weir_status status = command(&trouble, &after);
            is_done = !crash.is_cut;
            weir_io_crash_settle(&crash, seed + (uint64_t)_i * 100);
            weir_io_crash_done(&crash);
            uint32_t found = count_on_disk();
            ck_assert(found == before || found == after);
            ck_assert(status != WEIR_OK || found == after);
            before = found;
        }
    }
}
END_TEST

/* A command is killed before its names are durable; the next one goes on from what it finds, and
 * then power goes. None of them was answered, or what was answered is there. */
START_TEST(killed_then_power_goes)
{
    install_on_disk();
    uint32_t before = 5;
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        struct weir_io_crash crash;
        struct weir_io_faulty faulty;
        uint32_t first = 0;
        uint32_t second = 0;
        ck_assert(weir_io_crash_init(&crash, weir_io_system(), attic));
        weir_io_faulty_init(&faulty, &crash.io);
        ck_assert(weir_io_faulty_add(
            &faulty,
            &(struct weir_io_rule){.op = WEIR_IO_FSYNC, .first = 3, .count = 1, .error = EIO}));
        ck_assert_int_ne(command(&(struct trouble){.io = &faulty.io}, &first), WEIR_OK);
        weir_io_faulty_done(&faulty);
        struct trouble trouble = {.io = &crash.io, .crash = &crash, .n = n};
        enum weir_status status = command(&trouble, &second);
        is_done = !crash.is_cut;
        weir_io_crash_settle(&crash, n + (uint64_t)_i * 100);
        weir_io_crash_done(&crash);
        uint32_t found = count_on_disk();
        ck_assert(found == before || found == first || found == second);
        ck_assert(status != WEIR_OK || found == second);
        before = found;
    }
}
END_TEST

static enum weir_status load_status(struct weir_error *error)
{
    struct weir_canister_dir dir;
    struct weir_canister *canister = canister_make(engine, NULL);
    ck_assert_int_eq(open_dir(&dir, NULL, WEIR_CANISTER_READ, NULL), WEIR_OK);
    enum weir_status status = weir_canister_dir_load(&dir, canister, weir_account_host(), error);
    weir_canister_dir_close(&dir);
    weir_canister_free(canister);
    return status;
}

START_TEST(damaged_changes)
{
    char name[256];
    char path[400];
    char away[400];
    uint32_t after = 0;
    struct weir_error error = {0};
    install_on_disk();
    ck_assert_int_eq(command(NULL, &after), WEIR_OK);
    ck_assert_uint_eq(changes_on_disk(name), 1);
    (void)snprintf(path, sizeof path, "%s/plain/%s", state_dir, name);
    (void)snprintf(away, sizeof away, "%s/away", top);
    int fd = open(path, O_RDWR);
    struct stat stat;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &stat), 0);
    for (off_t at = 0; at < stat.st_size; at += at < 700 ? 17 : 1999) {
        uint8_t byte = 0;
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x20;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        ck_assert_msg(load_status(&error) == WEIR_CORRUPT, "%ld", (long)at);
        weir_error_done(&error);
        byte ^= 0x20;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    ck_assert_uint_eq(count_on_disk(), 6);
    /* The first of two is gone: the second one tells. */
    ck_assert_int_eq(command(NULL, &after), WEIR_OK);
    ck_assert_uint_eq(after, 7);
    ck_assert_uint_eq(changes_on_disk(NULL), 2);
    ck_assert_int_eq(rename(path, away), 0);
    ck_assert_int_eq(load_status(&error), WEIR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "-1 is missing, and a later one is there"));
    weir_error_done(&error);
    ck_assert_int_eq(rename(away, path), 0);
    ck_assert_uint_eq(count_on_disk(), 7);
    ck_assert_int_eq(ftruncate(fd, stat.st_size / 2), 0);
    ck_assert_int_eq(load_status(&error), WEIR_CORRUPT);
    weir_error_done(&error);
    /* Changes of another state are of no consequence, and go. */
    install_on_disk();
    ck_assert_uint_eq(count_on_disk(), 5);
    ck_assert_uint_eq(changes_on_disk(NULL), 0);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* One at a time, and a folder that nobody may write can be read. */
START_TEST(locks)
{
    struct weir_canister_dir first;
    struct weir_canister_dir second;
    struct weir_error error = {0};
    install_on_disk();
    ck_assert_int_eq(open_dir(&first, NULL, WEIR_CANISTER_READ, NULL), WEIR_OK);
    ck_assert_int_eq(open_dir(&second, NULL, WEIR_CANISTER_READ | WEIR_CANISTER_NOW, NULL),
                     WEIR_OK);
    weir_canister_dir_close(&second);
    ck_assert_int_eq(open_dir(&second, NULL, WEIR_CANISTER_WRITE | WEIR_CANISTER_NOW, &error),
                     WEIR_BUSY);
    ck_assert_str_eq(error.message, "another command works on canister plain");
    weir_error_done(&error);
    weir_canister_dir_close(&first);
    ck_assert_int_eq(open_dir(&second, NULL, WEIR_CANISTER_WRITE | WEIR_CANISTER_NOW, NULL),
                     WEIR_OK);
    weir_canister_dir_close(&second);
    struct weir_io_faulty faulty;
    weir_io_faulty_init(&faulty, weir_io_system());
    ck_assert(weir_io_faulty_add(
        &faulty,
        &(struct weir_io_rule){.op = WEIR_IO_OPENAT2, .first = 3, .count = 1, .error = EROFS}));
    struct weir_canister *canister = canister_make(engine, NULL);
    ck_assert_int_eq(open_dir(&first, &faulty.io, WEIR_CANISTER_READ, NULL), WEIR_OK);
    ck_assert_int_eq(weir_canister_dir_load(&first, canister, weir_account_host(), NULL), WEIR_OK);
    weir_canister_dir_close(&first);
    weir_io_faulty_done(&faulty);
    weir_canister_free(canister);
}
END_TEST

/* Another process ends its failed install before a call of ours. */
struct meanwhile {
    struct weir_io io;
    struct weir_canister_dir *other;
    enum weir_io_op op;
    unsigned calls_before;
};

static long call_meanwhile(struct weir_io *io, enum weir_io_op op, const long args[6])
{
    struct meanwhile *meanwhile = (struct meanwhile *)(void *)io;
    if (op == meanwhile->op && meanwhile->calls_before-- == 0)
        weir_canister_dir_close(meanwhile->other);
    return weir_io_system()->call(weir_io_system(), op, args);
}

/* Who opens the lock or waits for it while the folder goes gets one of a folder that is there. */
START_TEST(folders_that_go)
{
    static const struct {
        enum weir_io_op op;
        unsigned calls_before;
    } moments[] = {{WEIR_IO_OPENAT2, 1}, {WEIR_IO_OPENAT2, 2}, {WEIR_IO_FLOCK, 0}};
    struct weir_canister_dir first;
    struct weir_canister_dir second;
    struct weir_error error = {0};
    struct meanwhile meanwhile = {
        {call_meanwhile}, &first, moments[_i].op, moments[_i].calls_before};
    ck_assert_int_eq(open_dir(&first, NULL, WEIR_CANISTER_CREATE, NULL), WEIR_OK);
    enum weir_status status = open_dir(&second, &meanwhile.io, WEIR_CANISTER_CREATE, &error);
    ck_assert_int_eq(first.lock, -1);
    ck_assert_msg(status == WEIR_OK, "%s", error.message);
    struct weir_canister *canister = installed();
    ck_assert_int_eq(weir_canister_dir_save(&second, canister, plain_wasm, sizeof plain_wasm, NULL),
                     WEIR_OK);
    weir_canister_dir_close(&second);
    weir_canister_free(canister);
    ck_assert_uint_eq(count_on_disk(), 5);
}
END_TEST

/* A folder that was there, and one with a file that is not ours, stay. */
START_TEST(folders_that_stay)
{
    char path[96];
    struct weir_canister_dir dir;
    (void)snprintf(path, sizeof path, "%s/plain", state_dir);
    ck_assert_int_eq(mkdir(state_dir, 0700), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(open_dir(&dir, NULL, WEIR_CANISTER_CREATE, NULL), WEIR_OK);
    weir_canister_dir_close(&dir);
    ck_assert(has_folder());
    (void)nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    ck_assert_int_eq(open_dir(&dir, NULL, WEIR_CANISTER_CREATE, NULL), WEIR_OK);
    (void)snprintf(path, sizeof path, "%s/plain/notes", state_dir);
    ck_assert_int_eq(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
    weir_canister_dir_close(&dir);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* A state that a later program wrote. */
START_TEST(later_states)
{
    char path[128];
    struct weir_error error = {0};
    install_on_disk();
    (void)snprintf(path, sizeof path, "%s/plain/state", state_dir);
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(pwrite(fd, "9", 1, 7), 1);
    ck_assert_int_eq(load_status(&error), WEIR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "canister plain is of version 9"));
    weir_error_done(&error);
    ck_assert_int_eq(pwrite(fd, "x", 1, 7), 1);
    ck_assert_int_eq(load_status(&error), WEIR_CORRUPT);
    weir_error_done(&error);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* The module's file holds another one, or a part: said before anything is made of it. */
START_TEST(damaged_modules)
{
    struct weir_error error = {0};
    char pattern[128];
    glob_t found;
    install_on_disk();
    (void)snprintf(pattern, sizeof pattern, "%s/plain/*.wasm", state_dir);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    const char *path = found.gl_pathv[0];
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_int_eq(load_status(&error), WEIR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "its module is damaged, or another one"));
    weir_error_done(&error);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(load_status(&error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, strrchr(path, '/') + 1));
    weir_error_done(&error);
    globfree(&found);
}
END_TEST

START_TEST(foreign_things)
{
    static const char *const names[] = {"", ".", "..", ".x", "-x", "a/b", "a b", "\xc3\xa4"};
    struct weir_canister_dir dir;
    struct weir_error error = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_int_eq(
            weir_canister_dir_open(&dir, NULL, state_dir, names[i], WEIR_CANISTER_CREATE, &error),
            WEIR_INVALID_ARGUMENT);
        weir_error_done(&error);
    }
    ck_assert_int_eq(open_dir(&dir, NULL, WEIR_CANISTER_WRITE, &error), WEIR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.message, state_dir));
    ck_assert_ptr_nonnull(strstr(error.message, "install NAME FILE"));
    weir_error_done(&error);
    struct weir_canister *canister = installed();
    ck_assert_int_eq(save(canister, NULL, true), WEIR_OK);
    weir_canister_free(canister);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/plain/state", state_dir);
    for (int size = 0; size < 400; size += 39) {
        ck_assert_int_eq(truncate(path, size), 0);
        canister = canister_make(engine, NULL);
        ck_assert_int_eq(open_dir(&dir, NULL, WEIR_CANISTER_READ, &error), WEIR_OK);
        ck_assert_int_eq(weir_canister_dir_load(&dir, canister, weir_account_host(), &error),
                         WEIR_CORRUPT);
        weir_error_done(&error);
        weir_canister_dir_close(&dir);
        weir_canister_free(canister);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("canister dir");
    TCase *tests = tcase_create("dir");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, goes_on);
    tcase_add_loop_test(tests, failing_calls, 0, 3);
    tcase_add_loop_test(tests, power_goes, 0, 3);
    tcase_add_test(tests, first_save);
    tcase_add_loop_test(tests, failing_first_save, 0, 2);
    tcase_add_test(tests, changes_go_on);
    tcase_add_loop_test(tests, failing_commands, 0, 3);
    tcase_add_loop_test(tests, power_goes_in_commands, 0, 3);
    tcase_add_loop_test(tests, killed_then_power_goes, 0, 3);
    tcase_add_test(tests, damaged_changes);
    tcase_add_test(tests, damaged_modules);
    tcase_add_test(tests, locks);
    tcase_add_loop_test(tests, folders_that_go, 0, 3);
    tcase_add_test(tests, folders_that_stay);
    tcase_add_test(tests, later_states);
    tcase_add_test(tests, foreign_things);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
