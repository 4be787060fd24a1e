/* The executor: threads that take tasks from one queue, first come, first served. After a fork they
 * are in the process that made it only; its child has a queue that nobody serves. */
#include <unistd.h>

#include "base/check.h"
#include "runtime/task_internal.h"

struct weir_executor {
    struct weir_account *account;
    pid_t owner; /* the process whose threads they are */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct weir_store_task *first, *last;
    uint32_t waiting, running, queue_max;
    bool is_stopping;
    uint64_t started, done, refused;
    uint64_t stack_bytes;
    uint32_t thread_count;
    pthread_t threads[WEIR_EXECUTOR_THREADS_MAX];
};

static struct weir_store_task *pop(struct weir_executor *executor)
{
    struct weir_store_task *task = executor->first;
    executor->first = task->next_waiting;
    if (executor->first == NULL)
        executor->last = NULL;
    executor->waiting--;
    return task;
}

static void *serve(void *context)
{
    struct weir_executor *executor = context;
    (void)pthread_mutex_lock(&executor->lock);
    for (;;) {
        while (executor->first == NULL && !executor->is_stopping)
            (void)pthread_cond_wait(&executor->wake, &executor->lock);
        if (executor->first == NULL)
            break;
        struct weir_store_task *task = pop(executor);
        executor->running++;
        (void)pthread_mutex_unlock(&executor->lock);
        task->definition.run(task, task->definition.data);
        weir__task_ended(task);
        (void)pthread_mutex_lock(&executor->lock);
        executor->running--;
        executor->done++;
    }
    (void)pthread_mutex_unlock(&executor->lock);
    return NULL;
}

static enum weir_status start_thread(struct weir_executor *executor, struct weir_error *error)
{
    pthread_attr_t attributes;
    enum weir_status status =
        weir_account_charge(executor->account, WEIR_KIND_THREAD, executor->stack_bytes, error);
    if (status != WEIR_OK)
        return status;
    (void)pthread_attr_init(&attributes);
    int failed = pthread_attr_setstacksize(&attributes, executor->stack_bytes);
    if (failed == 0)
        failed = pthread_create(&executor->threads[executor->thread_count], &attributes, serve,
                                executor);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0) {
        weir_account_discharge(executor->account, WEIR_KIND_THREAD, executor->stack_bytes);
        return weir_error_set_errno(error, WEIR_NO_MEMORY, failed,
                                    "a thread of the executor cannot be started");
    }
    executor->thread_count++;
    return WEIR_OK;
}

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

static enum weir_status check_config(const struct weir_executor_config *config,
                                     struct weir_error *error)
{
    uint64_t stack = config->stack_bytes;
    if (config->threads > WEIR_EXECUTOR_THREADS_MAX || config->queue_max > WEIR_EXECUTOR_QUEUE_MAX)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "an executor of %u threads and %u tasks that wait; at most %u and %u",
                              config->threads, config->queue_max, WEIR_EXECUTOR_THREADS_MAX,
                              WEIR_EXECUTOR_QUEUE_MAX);
    if (stack != 0 && (stack < WEIR_EXECUTOR_STACK_MIN || stack > WEIR_EXECUTOR_STACK_MAX))
        return weir_error_set(
            error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
            "a stack of %llu bytes for an executor's thread; between %llu and %llu",
            (unsigned long long)stack, (unsigned long long)WEIR_EXECUTOR_STACK_MIN,
            (unsigned long long)WEIR_EXECUTOR_STACK_MAX);
    return WEIR_OK;
}

enum weir_status weir_executor_new(const struct weir_executor_config *config,
                                   struct weir_executor **ret_executor, struct weir_error *error)
{
    static const struct weir_executor_config defaults;
    if (config == NULL)
        config = &defaults;
    enum weir_status status = check_config(config, error);
    if (status != WEIR_OK)
        return status;
    struct weir_account *account = config->account != NULL ? config->account : weir_account_host();
    struct weir_executor *executor =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *executor, error);
    if (executor == NULL)
        return weir_error_refused(error);
    executor->account = account;
    executor->owner = getpid();
    (void)pthread_mutex_init(&executor->lock, NULL);
    (void)pthread_cond_init(&executor->wake, NULL);
    executor->queue_max = (uint32_t)or_default(config->queue_max, WEIR_EXECUTOR_QUEUE_DEFAULT);
    executor->stack_bytes = or_default(config->stack_bytes, WEIR_EXECUTOR_STACK_DEFAULT);
    uint32_t threads = (uint32_t)or_default(config->threads, WEIR_EXECUTOR_THREADS_DEFAULT);
    while (status == WEIR_OK && executor->thread_count < threads)
        status = start_thread(executor, error);
    if (status != WEIR_OK) {
        weir_executor_free(executor);
        return status;
    }
    *ret_executor = executor;
    return WEIR_OK;
}

/* Tasks that wait are as if they had been run, but for run: their groups take them back. */
static void cancel_waiting(struct weir_executor *executor)
{
    (void)pthread_mutex_lock(&executor->lock);
    while (executor->first != NULL) {
        struct weir_store_task *task = pop(executor);
        (void)pthread_mutex_unlock(&executor->lock);
        atomic_store(&task->is_cancelled, true);
        weir__task_dropped(task);
        (void)pthread_mutex_lock(&executor->lock);
    }
    (void)pthread_mutex_unlock(&executor->lock);
}

void weir_executor_free(struct weir_executor *executor)
{
    if (executor == NULL)
        return;
    bool has_threads = executor->owner == getpid();
    if (!has_threads) /* that wait by it, as far as it knows */
        (void)pthread_cond_init(&executor->wake, NULL);
    cancel_waiting(executor);
    (void)pthread_mutex_lock(&executor->lock);
    executor->is_stopping = true;
    (void)pthread_cond_broadcast(&executor->wake);
    (void)pthread_mutex_unlock(&executor->lock);
    for (uint32_t i = 0; i < executor->thread_count; i++) {
        if (has_threads)
            (void)pthread_join(executor->threads[i], NULL);
        weir_account_discharge(executor->account, WEIR_KIND_THREAD, executor->stack_bytes);
    }
    (void)pthread_cond_destroy(&executor->wake);
    (void)pthread_mutex_destroy(&executor->lock);
    weir_account_free(executor->account, WEIR_KIND_METADATA, executor, sizeof *executor);
}

enum weir_status weir__executor_push(struct weir_executor *executor, struct weir_store_task *task,
                                     struct weir_error *error)
{
    if (executor->owner != getpid())
        return weir_error_set(error, WEIR_STATE, WEIR_NO_OFFSET,
                              "\"%s\" is refused: the executor's threads are in process %d, which "
                              "this one was forked from; make another here",
                              task->definition.label, (int)executor->owner);
    (void)pthread_mutex_lock(&executor->lock);
    bool is_full = executor->waiting >= executor->queue_max || executor->is_stopping;
    if (is_full) {
        executor->refused++;
    } else {
        task->next_waiting = NULL;
        *(executor->last != NULL ? &executor->last->next_waiting : &executor->first) = task;
        executor->last = task;
        executor->waiting++;
        executor->started++;
        (void)pthread_cond_signal(&executor->wake);
    }
    (void)pthread_mutex_unlock(&executor->lock);
    if (is_full)
        return weir_error_set(error, WEIR_BUSY, WEIR_NO_OFFSET,
                              "\"%s\" has to wait: %u tasks are in the executor's queue, as many "
                              "as it holds",
                              task->definition.label, executor->queue_max);
    return WEIR_OK;
}

bool weir__executor_take_back(struct weir_executor *executor, struct weir_store_task *task)
{
    (void)pthread_mutex_lock(&executor->lock);
    struct weir_store_task *before = NULL;
    struct weir_store_task *at = executor->first;
    while (at != NULL && at != task) {
        before = at;
        at = at->next_waiting;
    }
    if (at != NULL) {
        *(before != NULL ? &before->next_waiting : &executor->first) = at->next_waiting;
        if (executor->last == at)
            executor->last = before;
        executor->waiting--;
        executor->done++;
    }
    (void)pthread_mutex_unlock(&executor->lock);
    return at != NULL;
}

void weir_executor_figures(struct weir_executor *executor, struct weir_executor_figures *ret)
{
    (void)pthread_mutex_lock(&executor->lock);
    *ret = (struct weir_executor_figures){.threads = executor->thread_count,
                                          .running = executor->running,
                                          .waiting = executor->waiting,
                                          .started = executor->started,
                                          .done = executor->done,
                                          .refused = executor->refused};
    (void)pthread_mutex_unlock(&executor->lock);
}
