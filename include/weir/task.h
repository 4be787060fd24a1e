/* Tasks: host work that is done for a guest on other threads, and that ends with the guest's store.
 *
 * An executor is a bounded pool of threads with a bounded queue. A task belongs to a store: what it
 * holds is charged there, closing the store cancels it. Closing never waits: a task that runs at
 * that moment is told by weir_store_task_is_cancelled(), and the receipt says what comes back when
 * it has ended (pending, until drained); weir_receipt_wait() waits for that.
 *
 * `done` runs exactly once for each task that was started: after `run`, or instead of it when the
 * task was cancelled while it waited. While the store is open that is on the store's thread, in
 * weir_store_reap() or weir_store_close(); afterwards on the executor's. A task may name an
 * instance, which cannot be released until the task is reaped.
 */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

#include <weir/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- executors: any thread ------------------------------------------------------------------ */

struct weir_executor;

/* Zero-initialise; zero means the default named behind each field. */
struct weir_executor_config {
    struct weir_account *account; /* of its threads and records: the host */
    uint32_t threads;             /* 2; at most 256 */
    uint32_t queue_max;           /* tasks that wait: 64; at most 65,536 */
    uint64_t stack_bytes;         /* of a thread: 256 KiB; from 64 KiB to 1 GiB */
};

/* INVALID_ARGUMENT out of these ranges, LIMIT, NO_MEMORY. Its threads are of this process: in a
 * child of fork() it takes no task, see engine.h. */
enum weir_status weir_executor_new(const struct weir_executor_config *config,
                                   struct weir_executor **ret_executor, struct weir_error *error);
/* Waits for the tasks that run (not in a child of fork(), which has none of its threads); those
 * that wait are cancelled. No store may start a task with it any more. NULL is allowed. */
void weir_executor_free(struct weir_executor *executor);

struct weir_executor_figures {
    uint32_t threads, running, waiting;
    uint64_t started, done, refused;
};
void weir_executor_figures(struct weir_executor *executor, struct weir_executor_figures *ret);

/* --- tasks: the store's thread, where nothing else is said ---------------------------------- */

struct weir_store_task;

struct weir_store_task_definition {
    const char *label; /* static: "resolve" */
    /* On a thread of the executor. Must not touch the store, and should look at
     * weir_store_task_is_cancelled() when it takes long. */
    void (*run)(struct weir_store_task *task, void *data);
    /* Any thread, right after run: to wake the store's owner. May be NULL. Must not block. */
    void (*wake)(void *data);
    /* Frees `data`. Must not call into the store when it runs because the store closes. */
    void (*done)(void *data, bool was_run);
    void *data;
    uint64_t bytes;                 /* what the work holds at most: charged until it is done */
    struct weir_instance *instance; /* for whom; may be NULL */
};

/* BUSY when the executor's queue is full, STATE when its threads are another process's, LIMIT when
 * the store may not have so many (tasks_max) or the charge is refused, INVALID_ARGUMENT without
 * executor, label, run or done; `done` is not called then. */
enum weir_status weir_store_task_start(struct weir_store *store, struct weir_executor *executor,
                                       const struct weir_store_task_definition *definition,
                                       struct weir_error *error);
/* The running task's own thread. */
bool weir_store_task_is_cancelled(const struct weir_store_task *task);
/* Cancels all tasks of the store, or of one instance; those that wait are done at once. */
void weir_store_cancel_tasks(struct weir_store *store, const struct weir_instance *instance);
/* Calls `done` for the tasks that have ended. Returns how many. */
uint32_t weir_store_reap(struct weir_store *store);
/* Tasks that are not reaped yet. */
uint32_t weir_store_task_count(const struct weir_store *store);

#ifdef __cplusplus
}
#endif
#endif
