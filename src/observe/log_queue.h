/* A log that never holds up who writes to it: lines go into a bounded ring, one thread takes them
 * to a file, a pipe or a socket. What does not fit is dropped and counted; what is in the ring is
 * written whole and in order, across a full disk and across rotation.
 */
#ifndef WEIR_OBSERVE_LOG_QUEUE_H
#define WEIR_OBSERVE_LOG_QUEUE_H

#include <stdbool.h>

#include "base/io.h"
#include "ledger/ledger.h"

struct weir_log_queue;

enum weir_log_trouble {
    WEIR_LOG_DROPPED, /* `count` lines since the last time; told when there is room again */
    WEIR_LOG_FAILED,  /* writing fails, for the reason in `number`; once until it works again */
    WEIR_LOG_WORKS,
    WEIR_LOG_NOT_OPENED /* a reopen; the old file is written on */
};

struct weir_log_config {
    const char *path; /* NULL: `fd`, which stays the caller's and is never reopened */
    int fd;
    size_t queue_bytes; /* of the ring */
    struct weir_account *account;
    struct weir_io *io; /* NULL: the system's */
    /* By the log's own thread, holding no lock; may write to this or another log. May be NULL. */
    void (*tell)(void *context, enum weir_log_trouble trouble, uint64_t count, int number);
    void *context;
};

/* What is charged beside the ring. */
#define WEIR_LOG_BATCH_BYTES ((size_t)64 << 10)
/* Longest line that is taken. */
#define WEIR_LOG_LINE_MAX ((size_t)16 << 10)

/* Opens and starts the thread. Strings of `config` must outlive the log. IO names the file. */
enum weir_status weir_log_queue_new(const struct weir_log_config *config,
                                    struct weir_log_queue **ret_queue, struct weir_error *error)
    WEIR_MUST_USE;
/* Writes what is there as long as that works, for a second at most where it does not. */
void weir_log_queue_free(struct weir_log_queue *queue);

/* One line with its line feed. False: dropped. Never waits for the file. */
bool weir_log_queue_write(struct weir_log_queue *queue, const char *line, size_t size);
/* Opens the path again, soon; lines taken from now on go to the file that is there then. */
void weir_log_queue_reopen(struct weir_log_queue *queue);

struct weir_log_figures {
    uint64_t lines, bytes; /* written */
    uint64_t dropped;
    uint64_t queued_bytes;
    uint64_t reopens;
};
void weir_log_queue_figures(struct weir_log_queue *queue, struct weir_log_figures *ret);

#endif
