/* See io_crash.h. Old bytes are read before they are overwritten, files that lose their last name
 * are linked into the attic. Undoing goes from the newest change to the oldest. */
#include "base/io_crash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define SECTOR 512u
#define NAME_BYTES 128u

struct weir__crash_write {
    struct weir__crash_write *next;
    dev_t device;
    ino_t inode;
    int fd; /* for reading and writing, of our own */
    uint64_t offset, old_file_bytes;
    size_t size;
    uint8_t old[];
};

enum change {
    CREATED, /* a file, or a link to one */
    MOVED,
    REMOVED,
    MADE_FOLDER
};

struct weir__crash_name {
    struct weir__crash_name *next;
    enum change change;
    int from_dir, dir; /* of our own */
    dev_t device;
    ino_t inode; /* of `dir` */
    char from[NAME_BYTES], name[NAME_BYTES];
    char replaced[24]; /* in the attic; "": nothing was there */
};

static void *make(size_t bytes)
{
    void *memory = calloc(1, bytes);
    WEIR_ASSERT(memory != NULL);
    return memory;
}

/* --- before a change ----------------------------------------------------------------------- */

static void note_write(struct weir_io_crash *crash, int fd, uint64_t offset, size_t size)
{
    struct stat stat;
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_RDWR | O_CLOEXEC);
    WEIR_ASSERT(own >= 0 && fstat(own, &stat) == 0);
    struct weir__crash_write *write = make(sizeof *write + size);
    *write = (struct weir__crash_write){.next = crash->writes,
                                        .device = stat.st_dev,
                                        .inode = stat.st_ino,
                                        .fd = own,
                                        .offset = offset,
                                        .old_file_bytes = (uint64_t)stat.st_size,
                                        .size = size};
    ssize_t got = size > 0 ? pread(own, write->old, size, (off_t)offset) : 0;
    WEIR_ASSERT(got >= 0); /* behind the end there are zeros */
    crash->writes = write;
}

static struct weir__crash_name *new_name(enum change change, int dir, const char *name)
{
    struct stat stat;
    struct weir__crash_name *entry = make(sizeof *entry);
    entry->change = change;
    entry->from_dir = -1;
    entry->dir = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    WEIR_ASSERT(entry->dir >= 0 && fstat(entry->dir, &stat) == 0);
    entry->device = stat.st_dev;
    entry->inode = stat.st_ino;
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
    return entry;
}

/* What stands under the name stays reachable from the attic. */
static void keep_old(struct weir_io_crash *crash, struct weir__crash_name *entry)
{
    char spare[sizeof entry->replaced];
    (void)snprintf(spare, sizeof spare, "%" PRIu64, ++crash->serial);
    if (linkat(entry->dir, entry->name, crash->attic, spare, 0) == 0)
        memcpy(entry->replaced, spare, sizeof spare);
}

static void free_name(struct weir_io_crash *crash, struct weir__crash_name *entry)
{
    if (entry->replaced[0] != 0)
        (void)unlinkat(crash->attic, entry->replaced, 0);
    if (entry->from_dir >= 0)
        (void)close(entry->from_dir);
    (void)close(entry->dir);
    free(entry);
}

static void free_write(struct weir__crash_write *write)
{
    (void)close(write->fd);
    free(write);
}

/* --- the calls ----------------------------------------------------------------------------- */

/* What was synced can no longer be lost. */
static void forget(struct weir_io_crash *crash, int fd)
{
    struct stat stat;
    WEIR_ASSERT(fstat(fd, &stat) == 0);
    for (struct weir__crash_write **link = &crash->writes; *link != NULL;) {
        struct weir__crash_write *write = *link;
        if (write->device != stat.st_dev || write->inode != stat.st_ino) {
            link = &write->next;
            continue;
        }
        *link = write->next;
        free_write(write);
    }
    for (struct weir__crash_name **link = &crash->names; *link != NULL;) {
        struct weir__crash_name *entry = *link;
        if (entry->device != stat.st_dev || entry->inode != stat.st_ino) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        free_name(crash, entry);
    }
}

static long call_open(struct weir_io_crash *crash, enum weir_io_op op, const long args[6])
{
    const struct open_how *how = (const struct open_how *)args[2];
    bool may_create = (how->flags & O_CREAT) != 0;
    WEIR_ASSERT((how->flags & O_TRUNC) == 0); /* nobody needs it yet */
    bool was_there = may_create &&
                     faccessat((int)args[0], (const char *)args[1], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    long result = crash->below->call(crash->below, op, args);
    if (result >= 0 && may_create && !was_there) {
        struct weir__crash_name *entry = new_name(CREATED, (int)args[0], (const char *)args[1]);
        entry->next = crash->names;
        crash->names = entry;
    }
    return result;
}

/* Renaming, linking, removing, making a folder. */
static long call_name(struct weir_io_crash *crash, enum weir_io_op op, const long args[6])
{
    bool is_move = op == WEIR_IO_RENAMEAT2, is_link = op == WEIR_IO_LINKAT;
    bool is_pair = is_move || is_link;
    enum change change = is_move                  ? MOVED
                         : op == WEIR_IO_UNLINKAT ? REMOVED
                         : op == WEIR_IO_MKDIRAT  ? MADE_FOLDER
                                                  : CREATED;
    struct weir__crash_name *entry =
        new_name(change, (int)args[is_pair ? 2 : 0], (const char *)args[is_pair ? 3 : 1]);
    if (is_move) {
        entry->from_dir = openat((int)args[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)snprintf(entry->from, sizeof entry->from, "%s", (const char *)args[1]);
    }
    if (is_move || change == REMOVED)
        keep_old(crash, entry);
    long result = crash->below->call(crash->below, op, args);
    if (result < 0) {
        free_name(crash, entry);
    } else {
        entry->next = crash->names;
        crash->names = entry;
    }
    return result;
}

static long call_on(struct weir_io_crash *crash, enum weir_io_op op, const long args[6])
{
    int fd = (int)args[0];
    switch (op) {
    case WEIR_IO_OPENAT2:
        return call_open(crash, op, args);
    case WEIR_IO_RENAMEAT2:
    case WEIR_IO_LINKAT:
    case WEIR_IO_UNLINKAT:
    case WEIR_IO_MKDIRAT:
        return call_name(crash, op, args);
    case WEIR_IO_WRITE:
        note_write(crash, fd, (uint64_t)lseek(fd, 0, SEEK_CUR), (size_t)args[2]);
        break;
    case WEIR_IO_PWRITE:
        note_write(crash, fd, (uint64_t)args[3], (size_t)args[2]);
        break;
    case WEIR_IO_FTRUNCATE: { /* what is cut off could come back as well */
        struct stat stat;
        WEIR_ASSERT(fstat(fd, &stat) == 0);
        uint64_t end = (uint64_t)stat.st_size, cut = (uint64_t)args[1];
        note_write(crash, fd, cut, end > cut ? (size_t)(end - cut) : 0);
        break;
    }
    case WEIR_IO_WRITEV:
    case WEIR_IO_PWRITEV:
    case WEIR_IO_SYMLINKAT:
    case WEIR_IO_FALLOCATE:
        weir__assert_failed("the crash layer does not know this call yet", __FILE__, __LINE__);
        break;
    default:
        break;
    }
    if (op == WEIR_IO_FSYNC || op == WEIR_IO_FDATASYNC) { /* of this disk, not of the real one */
        forget(crash, fd);
        return 0;
    }
    return crash->below->call(crash->below, op, args);
}

static long crash_call(struct weir_io *io, enum weir_io_op op, const long args[6])
{
    struct weir_io_crash *crash =
        (struct weir_io_crash *)((char *)io - offsetof(struct weir_io_crash, io));
    if (op == WEIR_IO_CLOSE || op == WEIR_IO_CLOCK_GETTIME || op == WEIR_IO_GETRANDOM)
        return crash->below->call(crash->below, op, args);
    (void)pthread_mutex_lock(&crash->lock);
    crash->calls++;
    crash->is_cut |= crash->cut_at != 0 && crash->calls >= crash->cut_at;
    long result = crash->is_cut ? -EIO : call_on(crash, op, args);
    (void)pthread_mutex_unlock(&crash->lock);
    return result;
}

bool weir_io_crash_init(struct weir_io_crash *crash, struct weir_io *below, const char *attic)
{
    *crash = (struct weir_io_crash){.io = {crash_call}, .below = below};
    (void)pthread_mutex_init(&crash->lock, NULL);
    crash->attic = open(attic, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return crash->attic >= 0;
}

void weir_io_crash_cut_after(struct weir_io_crash *crash, uint64_t calls)
{
    (void)pthread_mutex_lock(&crash->lock);
    crash->cut_at = crash->calls + calls;
    (void)pthread_mutex_unlock(&crash->lock);
}

/* --- afterwards ---------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void undo_write(const struct weir__crash_write *write, uint64_t *state)
{
    unsigned style = (unsigned)(next_random(state) % 4); /* nothing, all, or torn */
    for (size_t at = 0; at < write->size; at += SECTOR) {
        size_t part = write->size - at < SECTOR ? write->size - at : SECTOR;
        if (style != 0 && (style == 1 || next_random(state) % 2 == 0))
            WEIR_ASSERT(pwrite(write->fd, write->old + at, part, (off_t)(write->offset + at)) ==
                        (ssize_t)part);
    }
    if (next_random(state) % 3 == 0)
        WEIR_ASSERT(ftruncate(write->fd, (off_t)write->old_file_bytes) == 0);
}

static void undo_name(struct weir_io_crash *crash, const struct weir__crash_name *entry)
{
    if (entry->change == MOVED)
        (void)renameat(entry->dir, entry->name, entry->from_dir, entry->from);
    else if (entry->change != REMOVED)
        (void)unlinkat(entry->dir, entry->name, entry->change == MADE_FOLDER ? AT_REMOVEDIR : 0);
    if (entry->replaced[0] != 0)
        WEIR_ASSERT(linkat(crash->attic, entry->replaced, entry->dir, entry->name, 0) == 0);
}

/* How many of the newest changes of the entry's folder are lost: the same answer for each of them,
 * by a number that the folder and the seed decide. */
static bool is_lost(const struct weir_io_crash *crash, const struct weir__crash_name *entry,
                    uint64_t seed)
{
    uint64_t all = 0, newer = 0;
    bool is_past = false;
    for (const struct weir__crash_name *other = crash->names; other != NULL; other = other->next) {
        is_past |= other == entry;
        if (other->device != entry->device || other->inode != entry->inode)
            continue;
        all++;
        newer += !is_past;
    }
    uint64_t state = seed ^ (uint64_t)entry->inode * UINT64_C(0x9e3779b97f4a7c15);
    (void)next_random(&state);
    return newer < next_random(&state) % (all + 1);
}

void weir_io_crash_settle(struct weir_io_crash *crash, uint64_t seed)
{
    uint64_t state = seed;
    for (const struct weir__crash_write *write = crash->writes; write != NULL; write = write->next)
        undo_write(write, &state);
    for (const struct weir__crash_name *entry = crash->names; entry != NULL; entry = entry->next)
        if (is_lost(crash, entry, seed))
            undo_name(crash, entry);
    weir_io_crash_done(crash);
}

void weir_io_crash_done(struct weir_io_crash *crash)
{
    while (crash->writes != NULL) {
        struct weir__crash_write *write = crash->writes;
        crash->writes = write->next;
        free_write(write);
    }
    while (crash->names != NULL) {
        struct weir__crash_name *entry = crash->names;
        crash->names = entry->next;
        free_name(crash, entry);
    }
    if (crash->attic >= 0)
        (void)close(crash->attic);
    crash->attic = -1;
    (void)pthread_mutex_destroy(&crash->lock);
}
