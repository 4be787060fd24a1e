/* A disk that loses power, for tests: an I/O layer that does everything on the real file system and
 * keeps what it would take to undo it until it is synced.
 *
 *   weir_io_crash_init(&crash, weir_io_system(), attic);   attic: an empty folder beside the files
 *   ... use &crash.io from any thread ...
 *   weir_io_crash_cut_after(&crash, n);                    power goes with the n-th call from now
 *   weir_io_crash_settle(&crash, seed);                    the disk as it is found afterwards
 *
 * What may be lost: of a file everything written since its last fsync, sector by sector in any
 * choice, and its size; of a folder its newest changes (created, renamed, linked, removed names)
 * since its last fsync, as a journal loses them: in order, any number of them. Folders and files
 * lose independently of each other. Once power is gone every call fails with EIO. */
#ifndef WEIR_BASE_IO_CRASH_H
#define WEIR_BASE_IO_CRASH_H

#include "base/io.h"

struct weir__crash_write;
struct weir__crash_name;

struct weir_io_crash {
    struct weir_io io; /* pass &crash.io */
    struct weir_io *below;
    pthread_mutex_t lock; /* for what follows, and held over each call that changes something */
    int attic;
    uint64_t serial;
    uint64_t calls, cut_at; /* 0: never */
    bool is_cut;
    struct weir__crash_write *writes; /* newest first */
    struct weir__crash_name *names;   /* newest first */
};

/* False when the attic cannot be opened. */
bool weir_io_crash_init(struct weir_io_crash *crash, struct weir_io *below, const char *attic);
void weir_io_crash_cut_after(struct weir_io_crash *crash, uint64_t calls);
/* Undoes what is lost, by a choice that `seed` decides, and forgets the rest. Nothing may run. */
void weir_io_crash_settle(struct weir_io_crash *crash, uint64_t seed);
void weir_io_crash_done(struct weir_io_crash *crash);

#endif
