/* Tasks and their executors, as their two files see them.
 *
 * Locks: a group's before an executor's, never the other way. The executor's lock guards its queue
 * and who is running; the group's lock guards its lists, whether the store is open, and, once it is
 * closed, every charge of the store's account.
 */
#ifndef WEIR_RUNTIME_TASK_INTERNAL_H
#define WEIR_RUNTIME_TASK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <weir/task.h>

#include "runtime/store_internal.h"

struct weir__task_group;

struct weir_store_task {
    struct weir_store_task_definition definition;
    struct weir__task_group *group;
    struct weir_executor *executor;
    struct weir_store_task *next; /* in the group's list */
    uint64_t made_ns;
    struct weir_store_task *next_waiting; /* in the executor's queue */
    _Atomic bool is_cancelled;
    /* The group's lock: run has come back, or it was taken out of the queue before. */
    bool has_ended;
    bool was_dropped;
};

/* The tasks of one store; outlives it until the last one has ended. */
struct weir__task_group {
    pthread_mutex_t lock;
    struct weir_account *account;
    struct weir_store_task *tasks; /* not reaped */
    uint32_t count;
    bool is_open;
    struct weir__task_group *previous_group, *next_group; /* of the process */
    uint32_t visitors;                                    /* censuses that look at it */
    struct weir_drain *drain; /* told when the last task of a closed store has ended */
};

/* Puts the task into the queue: BUSY when it is full. */
enum weir_status weir__executor_push(struct weir_executor *executor, struct weir_store_task *task,
                                     struct weir_error *error);
/* Takes a task out of the queue; false when a thread has it already. */
bool weir__executor_take_back(struct weir_executor *executor, struct weir_store_task *task);
/* The executor's thread, after run. */
void weir__task_ended(struct weir_store_task *task);
/* The executor took it out of its queue, because it ends itself. */
void weir__task_dropped(struct weir_store_task *task);

/* Ends what can be ended at once and names what still runs in the receipt (may be NULL). The answer
 * is NULL when nothing does; else tasks that end now wait until weir__tasks_leave(), after the last
 * use of the store's account by its own thread. */
struct weir__task_group *weir__tasks_close(struct weir_store *store, struct weir_receipt *receipt);
void weir__tasks_leave(struct weir__task_group *group);
/* Names the tasks of an instance. */
void weir__tasks_visit(const struct weir_store *store, const struct weir_instance *instance,
                       void (*visit)(void *context, const char *label), void *context);

#endif
