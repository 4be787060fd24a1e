/* The ring holds whole lines. The thread moves as many as fit its batch, gives their room back, and
 * writes the batch to its end before it looks at the ring again; a batch that cannot be written is
 * tried again, never thrown away, so a line is either whole in a file or still here. */
#include "observe/log_queue.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define RETRY_MS 100
#define GIVE_UP_NS UINT64_C(1000000000)
#define THREAD_STACK (256u << 10) /* as the server's threads */

enum target {
    TARGET_FILE,  /* a write to it does not wait for a reader */
    TARGET_PIPE,  /* asked by poll() first, at most PIPE_BUF at once */
    TARGET_SOCKET /* sent with MSG_DONTWAIT */
};

struct weir_log_queue {
    struct weir_log_config config;
    struct weir_io *io;
    int fd;
    enum target target;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Under the lock. */
    size_t begin, size;
    uint64_t dropped, dropped_told;
    bool is_waiting, wants_reopen, is_stopping;
    struct weir_log_figures figures;
    /* The thread's. */
    bool is_failing;
    uint64_t give_up_ns;
    size_t batch_size, batch_done;
    char batch[WEIR_LOG_BATCH_BYTES];
    char ring[];
};

static size_t queue_size(const struct weir_log_config *config)
{
    return sizeof(struct weir_log_queue) + config->queue_bytes;
}

static void tell(struct weir_log_queue *queue, enum weir_log_trouble trouble, uint64_t count,
                 int number)
{
    if (queue->config.tell != NULL)
        queue->config.tell(queue->config.context, trouble, count, number);
}

/* --- the file ------------------------------------------------------------------------------ */

/* The descriptor, or -errno. O_NONBLOCK: a FIFO without a reader is an error, not a wait. */
static int open_target(struct weir_log_queue *queue)
{
    if (queue->config.path == NULL)
        return queue->config.fd;
    return weir_io_open(queue->io, AT_FDCWD, queue->config.path,
                        O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0640);
}

static void set_target(struct weir_log_queue *queue, int fd)
{
    struct stat st = {0};
    (void)weir_io_fstat(queue->io, fd, &st);
    queue->fd = fd;
    queue->target = S_ISREG(st.st_mode)    ? TARGET_FILE
                    : S_ISSOCK(st.st_mode) ? TARGET_SOCKET
                                           : TARGET_PIPE;
}

/* Bytes taken, or -errno; -EAGAIN when nobody reads for RETRY_MS. */
static long write_some(struct weir_log_queue *queue, const char *bytes, size_t size)
{
    if (queue->target == TARGET_FILE)
        return weir_io_write(queue->io, queue->fd, bytes, size);
    struct pollfd poll = {.fd = queue->fd, .events = POLLOUT};
    int ready = weir_io_poll(queue->io, &poll, 1, RETRY_MS);
    if (ready <= 0)
        return ready < 0 ? ready : -EAGAIN;
    if (queue->target == TARGET_PIPE)
        return weir_io_write(queue->io, queue->fd, bytes, size < PIPE_BUF ? size : PIPE_BUF);
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    const struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    return weir_io_sendmsg(queue->io, queue->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Where the line that is being written begins. */
static size_t line_begin(const struct weir_log_queue *queue)
{
    size_t at = queue->batch_done;
    while (at > 0 && queue->batch[at - 1] != '\n')
        at--;
    return at;
}

/* What was begun in the old file is ended there; if that does not work, the line is written whole
 * in the new one. */
static void end_line(struct weir_log_queue *queue)
{
    size_t begin = line_begin(queue);
    if (begin == queue->batch_done)
        return;
    const char *rest = queue->batch + queue->batch_done;
    const char *feed = memchr(rest, '\n', queue->batch_size - queue->batch_done);
    WEIR_DASSERT(feed != NULL);
    size_t left = (size_t)(feed - rest) + 1;
    for (long done = -EINTR; left > 0 && (done > 0 || done == -EINTR);) {
        done = write_some(queue, queue->batch + queue->batch_done, left);
        queue->batch_done += done > 0 ? (size_t)done : 0;
        left -= done > 0 ? (size_t)done : 0;
    }
    if (left > 0)
        queue->batch_done = begin;
}

/* Without another file the line that is being written goes on where it is. */
static void reopen(struct weir_log_queue *queue)
{
    if (queue->config.path == NULL)
        return;
    int fd = open_target(queue);
    if (fd < 0) {
        tell(queue, WEIR_LOG_NOT_OPENED, 0, -fd);
        return;
    }
    end_line(queue);
    (void)weir_io_close(queue->io, queue->fd);
    set_target(queue, fd);
    (void)pthread_mutex_lock(&queue->lock);
    queue->figures.reopens++;
    (void)pthread_mutex_unlock(&queue->lock);
}

/* --- the thread ---------------------------------------------------------------------------- */

/* As many whole lines as fit, out of the ring. */
static void fill_batch(struct weir_log_queue *queue)
{
    size_t size = queue->size < WEIR_LOG_BATCH_BYTES ? queue->size : WEIR_LOG_BATCH_BYTES;
    size_t room = queue->config.queue_bytes - queue->begin;
    size_t first = size < room ? size : room;
    memcpy(queue->batch, queue->ring + queue->begin, first);
    memcpy(queue->batch + first, queue->ring, size - first);
    while (size > 0 && queue->batch[size - 1] != '\n')
        size--;
    queue->batch_done = 0;
    queue->batch_size = size;
    queue->begin = (queue->begin + size) % queue->config.queue_bytes;
    queue->size -= size;
}

static void wait(struct weir_log_queue *queue, unsigned ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&queue->lock);
    if (!queue->wants_reopen && !queue->is_stopping)
        (void)pthread_cond_timedwait(&queue->wake, &queue->lock, &until);
    (void)pthread_mutex_unlock(&queue->lock);
}

/* False while it cannot be written. */
static bool write_batch(struct weir_log_queue *queue)
{
    long done = write_some(queue, queue->batch + queue->batch_done,
                           queue->batch_size - queue->batch_done);
    if (done == -EINTR)
        return true;
    if (done <= 0) {
        if (!queue->is_failing && done != -EAGAIN) {
            queue->is_failing = true;
            tell(queue, WEIR_LOG_FAILED, 0, done < 0 ? (int)-done : EIO);
        }
        if (done != -EAGAIN)
            wait(queue, RETRY_MS);
        return false;
    }
    if (queue->is_failing)
        tell(queue, WEIR_LOG_WORKS, 0, 0);
    queue->is_failing = false;
    uint64_t lines = 0;
    for (long i = 0; i < done; i++)
        lines += queue->batch[queue->batch_done + (size_t)i] == '\n';
    queue->batch_done += (size_t)done;
    (void)pthread_mutex_lock(&queue->lock);
    queue->figures.lines += lines;
    queue->figures.bytes += (uint64_t)done;
    (void)pthread_mutex_unlock(&queue->lock);
    return true;
}

struct turn {
    bool wants_reopen, is_over;
    uint64_t dropped;
};

/* Waits for something to do. */
static struct turn next_turn(struct weir_log_queue *queue)
{
    struct turn turn = {0};
    (void)pthread_mutex_lock(&queue->lock);
    bool has_batch = queue->batch_done < queue->batch_size;
    while (!has_batch && queue->size == 0 && !queue->wants_reopen && !queue->is_stopping &&
           queue->dropped == queue->dropped_told) {
        queue->is_waiting = true;
        (void)pthread_cond_wait(&queue->wake, &queue->lock);
    }
    queue->is_waiting = false;
    turn.wants_reopen = queue->wants_reopen;
    queue->wants_reopen = false;
    if (!has_batch && !turn.wants_reopen)
        fill_batch(queue);
    turn.is_over = queue->is_stopping && queue->batch_done == queue->batch_size;
    if (queue->is_stopping && queue->give_up_ns == 0)
        queue->give_up_ns = weir_clock_ns() + GIVE_UP_NS;
    if (!queue->is_failing && !has_batch) {
        turn.dropped = queue->dropped - queue->dropped_told;
        queue->dropped_told = queue->dropped;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return turn;
}

static void *write_lines(void *context)
{
    struct weir_log_queue *queue = context;
    for (;;) {
        struct turn turn = next_turn(queue);
        if (turn.wants_reopen)
            reopen(queue);
        if (turn.dropped > 0)
            tell(queue, WEIR_LOG_DROPPED, turn.dropped, 0);
        bool is_written = queue->batch_done == queue->batch_size || write_batch(queue);
        bool has_given_up =
            queue->give_up_ns != 0 && !is_written && weir_clock_ns() >= queue->give_up_ns;
        if ((turn.is_over && !turn.wants_reopen) || has_given_up)
            return NULL;
    }
}

/* --- life ---------------------------------------------------------------------------------- */

static enum weir_status start(struct weir_log_queue *queue, struct weir_error *error)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for others */
    int failed = pthread_create(&queue->thread, &attributes, write_lines, queue);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0)
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed, "cannot start a log's thread");
    return WEIR_OK;
}

static void release(struct weir_log_queue *queue)
{
    if (queue->config.path != NULL && queue->fd >= 0)
        (void)weir_io_close(queue->io, queue->fd);
    (void)pthread_mutex_destroy(&queue->lock);
    (void)pthread_cond_destroy(&queue->wake);
    struct weir_account *account = queue->config.account;
    weir_account_free(account, WEIR_KIND_SERVER, queue, queue_size(&queue->config));
    weir_account_discharge(account, WEIR_KIND_THREAD, THREAD_STACK);
}

enum weir_status weir_log_queue_new(const struct weir_log_config *config,
                                    struct weir_log_queue **ret_queue, struct weir_error *error)
{
    enum weir_status status =
        weir_account_charge(config->account, WEIR_KIND_THREAD, THREAD_STACK, error);
    if (status != WEIR_OK)
        return status;
    struct weir_log_queue *queue =
        weir_account_alloc(config->account, WEIR_KIND_SERVER, queue_size(config), error);
    if (queue == NULL) {
        weir_account_discharge(config->account, WEIR_KIND_THREAD, THREAD_STACK);
        return WEIR_LIMIT;
    }
    queue->config = *config;
    queue->io = config->io != NULL ? config->io : weir_io_system();
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->wake, NULL);
    int fd = open_target(queue);
    if (fd < 0)
        status = weir_error_set_errno(error, WEIR_IO, -fd, "cannot write the log %s", config->path);
    set_target(queue, fd);
    if (status == WEIR_OK)
        status = start(queue, error);
    if (status != WEIR_OK) {
        release(queue);
        return status;
    }
    *ret_queue = queue;
    return WEIR_OK;
}

void weir_log_queue_free(struct weir_log_queue *queue)
{
    if (queue == NULL)
        return;
    (void)pthread_mutex_lock(&queue->lock);
    queue->is_stopping = true;
    (void)pthread_cond_signal(&queue->wake);
    (void)pthread_mutex_unlock(&queue->lock);
    (void)pthread_join(queue->thread, NULL);
    release(queue);
}

bool weir_log_queue_write(struct weir_log_queue *queue, const char *line, size_t size)
{
    WEIR_DASSERT(size > 0 && size <= WEIR_LOG_LINE_MAX && line[size - 1] == '\n');
    size_t capacity = queue->config.queue_bytes;
    (void)pthread_mutex_lock(&queue->lock);
    bool fits = size <= capacity - queue->size;
    if (fits) {
        size_t at = (queue->begin + queue->size) % capacity;
        size_t first = size < capacity - at ? size : capacity - at;
        memcpy(queue->ring + at, line, first);
        memcpy(queue->ring, line + first, size - first);
        queue->size += size;
    } else {
        queue->dropped++;
    }
    if (queue->is_waiting)
        (void)pthread_cond_signal(&queue->wake);
    (void)pthread_mutex_unlock(&queue->lock);
    return fits;
}

void weir_log_queue_reopen(struct weir_log_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->wants_reopen = true;
    (void)pthread_cond_signal(&queue->wake);
    (void)pthread_mutex_unlock(&queue->lock);
}

void weir_log_queue_figures(struct weir_log_queue *queue, struct weir_log_figures *ret)
{
    (void)pthread_mutex_lock(&queue->lock);
    *ret = queue->figures;
    ret->dropped = queue->dropped;
    ret->queued_bytes = queue->size;
    (void)pthread_mutex_unlock(&queue->lock);
}
