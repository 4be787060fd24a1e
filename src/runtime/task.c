/* The store's side of tasks: starting, reaping, cancelling, and what outlives a closed store. */
#include "base/check.h"
#include "base/clock.h"
#include "runtime/task_internal.h"

/* All groups, for censuses. Never held together with a group's own lock: that one is held while a
 * store closes, and what the embedder does then may end another store's group. */
static pthread_mutex_t groups_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t visitor_left = PTHREAD_COND_INITIALIZER;
static struct weir__task_group *groups;

static void enlist_group(struct weir__task_group *group)
{
    (void)pthread_mutex_lock(&groups_lock);
    group->next_group = groups;
    if (groups != NULL)
        groups->previous_group = group;
    groups = group;
    (void)pthread_mutex_unlock(&groups_lock);
}

/* Waits for censuses that look at the group's list of tasks, which is empty by now. */
static void unlist_group(struct weir__task_group *group)
{
    (void)pthread_mutex_lock(&groups_lock);
    while (group->visitors != 0)
        (void)pthread_cond_wait(&visitor_left, &groups_lock);
    *(group->previous_group != NULL ? &group->previous_group->next_group : &groups) =
        group->next_group;
    if (group->next_group != NULL)
        group->next_group->previous_group = group->previous_group;
    (void)pthread_mutex_unlock(&groups_lock);
}

static enum weir_status make_group(struct weir_store *store, struct weir_error *error)
{
    if (store->tasks != NULL)
        return WEIR_OK;
    struct weir__task_group *group =
        weir_account_alloc(store->account, WEIR_KIND_METADATA, sizeof *group, error);
    if (group == NULL)
        return weir_error_refused(error);
    (void)pthread_mutex_init(&group->lock, NULL);
    group->account = store->account;
    group->is_open = true;
    enlist_group(group);
    store->tasks = group;
    return WEIR_OK;
}

static void free_group(struct weir__task_group *group)
{
    unlist_group(group);
    struct weir_drain *drain = group->drain;
    (void)pthread_mutex_destroy(&group->lock);
    weir_account_free(group->account, WEIR_KIND_METADATA, group, sizeof *group);
    weir_drain_end(drain); /* what it says is true now: nothing is charged any more */
}

/* --- one task ------------------------------------------------------------------------------- */

static enum weir_status make_task(struct weir__task_group *group,
                                  const struct weir_store_task_definition *definition,
                                  struct weir_store_task **ret_task, struct weir_error *error)
{
    enum weir_status status =
        weir_account_charge(group->account, WEIR_KIND_HOST_BUFFER, definition->bytes, error);
    if (status != WEIR_OK)
        return status;
    struct weir_store_task *task =
        weir_account_alloc(group->account, WEIR_KIND_METADATA, sizeof *task, error);
    if (task == NULL) {
        weir_account_discharge(group->account, WEIR_KIND_HOST_BUFFER, definition->bytes);
        return weir_error_refused(error);
    }
    task->definition = *definition;
    task->group = group;
    task->made_ns = weir_clock_ns();
    *ret_task = task;
    return WEIR_OK;
}

/* The group's lock, or the store's thread while the store is open. */
static void free_task(struct weir_store_task *task)
{
    struct weir_account *account = task->group->account;
    uint64_t bytes = task->definition.bytes;
    weir_account_free(account, WEIR_KIND_METADATA, task, sizeof *task);
    weir_account_discharge(account, WEIR_KIND_HOST_BUFFER, bytes);
}

static void unlink_task(struct weir_store_task *task)
{
    struct weir_store_task **at = &task->group->tasks;
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    task->group->count--;
}

enum weir_status weir_store_task_start(struct weir_store *store, struct weir_executor *executor,
                                       const struct weir_store_task_definition *definition,
                                       struct weir_error *error)
{
    struct weir_store_task *task = NULL;
    if (executor == NULL || definition->label == NULL || definition->run == NULL ||
        definition->done == NULL)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "a task needs an executor, a label, run and done");
    enum weir_status status = make_group(store, error);
    if (status != WEIR_OK)
        return status;
    struct weir__task_group *group = store->tasks;
    if (weir_store_task_count(store) >= store->tasks_max)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "\"%s\" is refused: the store has %u tasks, which is its limit",
                              definition->label, store->tasks_max);
    status = make_task(group, definition, &task, error);
    if (status != WEIR_OK)
        return status;
    task->executor = executor;
    (void)pthread_mutex_lock(&group->lock);
    task->next = group->tasks;
    group->tasks = task;
    group->count++;
    status = weir__executor_push(executor, task, error);
    if (status != WEIR_OK)
        unlink_task(task);
    (void)pthread_mutex_unlock(&group->lock);
    if (status != WEIR_OK)
        free_task(task);
    return status;
}

bool weir_store_task_is_cancelled(const struct weir_store_task *task)
{
    return atomic_load_explicit(&task->is_cancelled, memory_order_relaxed);
}

/* The store is closed: the last one out takes the group along. Called with the lock, gives it up.
 */
static void end_orphan(struct weir_store_task *task, bool was_run)
{
    struct weir__task_group *group = task->group;
    const struct weir_store_task_definition definition = task->definition;
    (void)pthread_mutex_unlock(&group->lock);
    definition.done(definition.data, was_run);
    (void)pthread_mutex_lock(&group->lock);
    unlink_task(task);
    free_task(task);
    bool is_last = group->count == 0;
    (void)pthread_mutex_unlock(&group->lock);
    if (is_last)
        free_group(group);
}

void weir__task_ended(struct weir_store_task *task)
{
    void (*wake)(void *) = task->definition.wake;
    void *data = task->definition.data;
    struct weir__task_group *group = task->group;
    (void)pthread_mutex_lock(&group->lock);
    if (!group->is_open) {
        end_orphan(task, true);
        return;
    }
    if (wake != NULL)
        wake(data); /* before anybody can reap the task */
    task->has_ended = true;
    (void)pthread_mutex_unlock(&group->lock);
}

void weir__task_dropped(struct weir_store_task *task)
{
    struct weir__task_group *group = task->group;
    (void)pthread_mutex_lock(&group->lock);
    task->was_dropped = true;
    if (!group->is_open) {
        end_orphan(task, false);
        return;
    }
    task->has_ended = true;
    (void)pthread_mutex_unlock(&group->lock);
}

/* --- reaping and cancelling ------------------------------------------------------------------ */

/* Takes one ended task out of the list; NULL when there is none. */
static struct weir_store_task *take_ended(struct weir__task_group *group)
{
    (void)pthread_mutex_lock(&group->lock);
    struct weir_store_task *task = group->tasks;
    while (task != NULL && !task->has_ended)
        task = task->next;
    if (task != NULL)
        unlink_task(task);
    (void)pthread_mutex_unlock(&group->lock);
    return task;
}

static uint32_t reap(struct weir__task_group *group)
{
    uint32_t count = 0;
    for (struct weir_store_task *task; (task = take_ended(group)) != NULL; count++) {
        const struct weir_store_task_definition definition = task->definition;
        bool was_run = !task->was_dropped;
        free_task(task);
        definition.done(definition.data, was_run);
    }
    return count;
}

uint32_t weir_store_reap(struct weir_store *store)
{
    return store->tasks != NULL ? reap(store->tasks) : 0;
}

uint32_t weir_store_task_count(const struct weir_store *store)
{
    struct weir__task_group *group = store->tasks;
    if (group == NULL)
        return 0;
    (void)pthread_mutex_lock(&group->lock);
    uint32_t count = group->count;
    (void)pthread_mutex_unlock(&group->lock);
    return count;
}

/* Tells every task, and takes back those that wait. */
static void cancel(struct weir__task_group *group, const struct weir_instance *instance)
{
    (void)pthread_mutex_lock(&group->lock);
    for (struct weir_store_task *task = group->tasks; task != NULL; task = task->next) {
        if (instance != NULL && task->definition.instance != instance)
            continue;
        atomic_store(&task->is_cancelled, true);
        if (!task->has_ended && weir__executor_take_back(task->executor, task)) {
            task->was_dropped = true;
            task->has_ended = true;
        }
    }
    (void)pthread_mutex_unlock(&group->lock);
}

void weir_store_cancel_tasks(struct weir_store *store, const struct weir_instance *instance)
{
    if (store->tasks == NULL)
        return;
    cancel(store->tasks, instance);
    (void)reap(store->tasks);
}

void weir__tasks_visit(const struct weir_store *store, const struct weir_instance *instance,
                       void (*visit)(void *context, const char *label), void *context)
{
    struct weir__task_group *group = store->tasks;
    if (group == NULL)
        return;
    (void)pthread_mutex_lock(&group->lock);
    for (const struct weir_store_task *task = group->tasks; task != NULL; task = task->next)
        if (task->definition.instance == instance)
            visit(context, task->definition.label);
    (void)pthread_mutex_unlock(&group->lock);
}

static void visit_group(struct weir__task_group *group,
                        void (*visit)(void *context, const struct weir__task_view *view),
                        void *context)
{
    (void)pthread_mutex_lock(&group->lock);
    for (const struct weir_store_task *task = group->tasks; task != NULL; task = task->next) {
        const struct weir_instance *instance = task->definition.instance;
        const struct weir__task_view view = {
            .label = task->definition.label,
            .bytes = task->definition.bytes + sizeof *task,
            .made_ns = task->made_ns,
            .has_ended = task->has_ended,
            .is_cancelled = weir_store_task_is_cancelled(task),
            .is_orphan = !group->is_open,
            .instance_number = instance != NULL && group->is_open ? instance->number : 0,
            .account = group->account};
        visit(context, &view);
    }
    (void)pthread_mutex_unlock(&group->lock);
}

void weir__tasks_census(void (*visit)(void *context, const struct weir__task_view *view),
                        void *context)
{
    (void)pthread_mutex_lock(&groups_lock);
    for (struct weir__task_group *group = groups; group != NULL; group = group->next_group) {
        group->visitors++; /* it stays in the list */
        (void)pthread_mutex_unlock(&groups_lock);
        visit_group(group, visit, context);
        (void)pthread_mutex_lock(&groups_lock);
        if (--group->visitors == 0)
            (void)pthread_cond_broadcast(&visitor_left);
    }
    (void)pthread_mutex_unlock(&groups_lock);
}

/* --- the end of the store -------------------------------------------------------------------- */

struct weir__task_group *weir__tasks_close(struct weir_store *store, struct weir_receipt *receipt)
{
    struct weir__task_group *group = store->tasks;
    if (group == NULL)
        return NULL;
    cancel(group, NULL);
    bool has_ended = true;
    while (has_ended) {
        (void)reap(group);
        (void)pthread_mutex_lock(&group->lock);
        has_ended = false;
        for (const struct weir_store_task *at = group->tasks; at != NULL; at = at->next)
            has_ended = has_ended || at->has_ended;
        if (has_ended)
            (void)pthread_mutex_unlock(&group->lock);
    }
    store->tasks = NULL;
    if (group->count == 0) {
        (void)pthread_mutex_unlock(&group->lock);
        free_group(group);
        return NULL;
    }
    group->is_open = false;
    group->drain = weir_drain_new(receipt);
    for (const struct weir_store_task *task = group->tasks; task != NULL; task = task->next)
        weir_receipt_pin(receipt, WEIR_KIND_HOST_BUFFER, task->definition.bytes,
                         "task \"%s\" still runs; it was told to end", task->definition.label);
    return group;
}

void weir__tasks_leave(struct weir__task_group *group)
{
    if (group != NULL)
        (void)pthread_mutex_unlock(&group->lock);
}
