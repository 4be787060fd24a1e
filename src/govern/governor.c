/* Registration, the poll down the ladder, and the own thread. */
#include "govern/governor_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* A poll reads files into the stack: 16 KiB of memory.stat, paths, a reading. */
#define THREAD_STACK_BYTES (UINT64_C(256) << 10)

/* --- making --------------------------------------------------------------------------------- */

enum weir_status weir_governor_new(const struct weir_governor_config *config,
                                   struct weir_account *account,
                                   struct weir_governor **ret_governor, struct weir_error *error)
{
    struct weir_governor *governor =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *governor, error);
    if (governor == NULL)
        return WEIR_LIMIT;
    governor->config = *config;
    governor->account = account;
    governor->refuse_index = WEIR_GOVERNOR_ACTIONS_MAX;
    governor->verdict = WEIR_TRIGGER_UNKNOWN;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&governor->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&governor->lock, NULL);
    enum weir_status status =
        weir_monitor_new(&config->monitor, account, &governor->monitor, error);
    if (status != WEIR_OK) {
        weir_governor_free(governor);
        return status;
    }
    *ret_governor = governor;
    return WEIR_OK;
}

void weir_governor_free(struct weir_governor *governor)
{
    if (governor == NULL)
        return;
    weir_governor_stop(governor);
    weir_monitor_free(governor->monitor);
    (void)pthread_cond_destroy(&governor->wake);
    (void)pthread_mutex_destroy(&governor->lock);
    weir_account_free(governor->account, WEIR_KIND_METADATA, governor, sizeof *governor);
}

struct weir_monitor *weir_governor_monitor(struct weir_governor *governor)
{
    return governor->monitor;
}

static enum weir_status check_trigger(const struct weir_action *action, struct weir_error *error)
{
    const struct weir_trigger_config *when = &action->when;
    if (when->leave_free_bytes != 0 && when->leave_free_bytes < when->enter_free_bytes)
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "action %s: leaves at less free memory than it enters at",
                              action->name);
    if (when->transitions_max != 0 && (when->transitions_max < WEIR_TRIGGER_TRANSITIONS_MIN ||
                                       when->transitions_max > WEIR_TRIGGER_TRANSITIONS_MAX))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "action %s: %u transitions a minute, %u to %u are possible",
                              action->name, when->transitions_max, WEIR_TRIGGER_TRANSITIONS_MIN,
                              WEIR_TRIGGER_TRANSITIONS_MAX);
    return WEIR_OK;
}

enum weir_status weir_governor_add_action(struct weir_governor *governor,
                                          const struct weir_action *action,
                                          struct weir_error *error)
{
    size_t index = governor->work.action_count;
    enum weir_status status = check_trigger(action, error);
    if (status != WEIR_OK)
        return status;
    if (index == WEIR_GOVERNOR_ACTIONS_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "action %s is one too many: at most %u", action->name,
                              WEIR_GOVERNOR_ACTIONS_MAX);
    if (action->kind == WEIR_ACTION_REFUSE) {
        if (governor->refuse_index != WEIR_GOVERNOR_ACTIONS_MAX)
            return weir_error_set(error, WEIR_EXISTS, WEIR_NO_OFFSET,
                                  "action %s: another one refuses already", action->name);
        governor->refuse_index = index;
    }
    struct weir_action_status *to = &governor->work.actions[index];
    struct weir_trigger_config when = action->when;
    when.stale_ns = governor->config.stale_ns;
    governor->actions[index] = *action;
    to->name = action->name;
    to->kind = action->kind;
    to->on_unknown = action->on_unknown;
    weir_trigger_init(&to->trigger, &when);
    governor->work.action_count++;
    governor->published = governor->work;
    return WEIR_OK;
}

enum weir_status weir_governor_add_task(struct weir_governor *governor,
                                        const struct weir_task *task, struct weir_error *error)
{
    size_t index = governor->work.task_count;
    if (index == WEIR_GOVERNOR_TASKS_MAX)
        return weir_error_set(error, WEIR_LIMIT, WEIR_NO_OFFSET,
                              "background task %s is one too many: at most %u", task->name,
                              WEIR_GOVERNOR_TASKS_MAX);
    governor->tasks[index].task = *task;
    governor->work.tasks[index].name = task->name;
    governor->work.task_count++;
    governor->published = governor->work;
    return WEIR_OK;
}

/* --- polling -------------------------------------------------------------------------------- */

void weir__governor_event(const struct weir_governor *governor, struct weir_governor_event event)
{
    event.reading = &governor->reading;
    if (governor->config.event != NULL)
        governor->config.event(governor->config.event_context, &event);
}

static void count_events(struct weir_governor *governor)
{
    const struct weir_cgroup_events *now = &governor->reading.events;
    struct weir_cgroup_events *sum = &governor->work.events;
    sum->high += now->high;
    sum->max += now->max;
    sum->oom += now->oom;
    sum->oom_kill += now->oom_kill;
    if (now->oom_kill > 0)
        weir__governor_event(governor, (struct weir_governor_event){.kind = WEIR_EVENT_OOM_KILL,
                                                                    .bytes = now->oom_kill});
}

static void read_now(struct weir_governor *governor, uint64_t now_ns)
{
    struct weir_governor_status *work = &governor->work;
    bool was_failing = work->is_read_failing;
    weir_monitor_read(governor->monitor, now_ns, &governor->reading);
    work->is_read_failing =
        governor->reading.state == WEIR_READING_UNKNOWN || governor->reading.is_partial;
    if (governor->config.read != NULL)
        governor->config.read(governor->config.read_context, &governor->reading);
    count_events(governor);
    if (work->is_read_failing) {
        work->read_failures++;
        (void)snprintf(work->read_why, sizeof work->read_why, "%s", governor->reading.why);
        if (!governor->has_good || governor->reading.is_partial)
            work->reading = governor->reading;
        weir__governor_event(governor, (struct weir_governor_event){.kind = WEIR_EVENT_READ,
                                                                    .text = work->read_why});
        return;
    }
    work->reading = governor->reading;
    if (was_failing || !governor->has_good)
        weir__governor_event(governor, (struct weir_governor_event){.kind = WEIR_EVENT_READ_GOOD});
    governor->has_good = true;
}

static bool is_active(const struct weir_action_status *status)
{
    if (status->trigger.state == WEIR_TRIGGER_UNKNOWN)
        return status->kind != WEIR_ACTION_RECLAIM && status->on_unknown == WEIR_UNKNOWN_CLOSED;
    return status->trigger.state == WEIR_TRIGGER_PRESSED;
}

/* One call, and a fresh reading for the rungs below when it helped. */
static void reclaim(struct weir_governor *governor, size_t index, uint64_t now_ns)
{
    const struct weir_action *action = &governor->actions[index];
    struct weir_action_status *status = &governor->work.actions[index];
    uint64_t leave = status->trigger.config.leave_free_bytes;
    uint64_t wanted =
        leave > governor->reading.free_bytes ? leave - governor->reading.free_bytes : 0;
    if (governor->reading.state != WEIR_READING_KNOWN || wanted == 0 ||
        (governor->given_ns[index] != 0 && now_ns - governor->given_ns[index] < action->again_ns))
        return;
    uint64_t given = action->reclaim != NULL ? action->reclaim(action->context, wanted)
                                             : weir_ledger_reclaim(wanted);
    status->calls++;
    if (given == 0)
        return;
    status->given_bytes += given;
    governor->given_ns[index] = now_ns;
    weir__governor_event(governor, (struct weir_governor_event){.kind = WEIR_EVENT_RECLAIMED,
                                                                .action = status,
                                                                .bytes = given});
    read_now(governor, now_ns);
}

static void publish(struct weir_governor *governor)
{
    (void)pthread_mutex_lock(&governor->lock);
    governor->published = governor->work;
    (void)pthread_mutex_unlock(&governor->lock);
}

static void step(struct weir_governor *governor, size_t index, uint64_t now_ns)
{
    const struct weir_action *action = &governor->actions[index];
    struct weir_action_status *status = &governor->work.actions[index];
    enum weir_trigger_state before = status->trigger.state;
    bool is_changed = weir_trigger_step(&status->trigger, &governor->reading, now_ns);
    bool was_active = status->is_active;
    status->is_active = is_active(status);
    if (index == governor->refuse_index && is_changed) { /* at once, whatever callbacks take */
        publish(governor);
        atomic_store_explicit(&governor->verdict, status->trigger.state, memory_order_relaxed);
    }
    if (is_changed)
        weir__governor_event(governor, (struct weir_governor_event){.kind = WEIR_EVENT_STATE,
                                                                    .action = status,
                                                                    .before = before});
    if (was_active != status->is_active && action->set != NULL)
        action->set(action->context, status->is_active, &governor->reading);
    if (status->is_active && action->kind == WEIR_ACTION_RECLAIM)
        reclaim(governor, index, now_ns);
}

void weir_governor_poll(struct weir_governor *governor, uint64_t now_ns)
{
    const char *reason = weir_trigger_reason_text(WEIR_REASON_ENOUGH);
    bool is_paused = false;
    governor->work.polls++;
    read_now(governor, now_ns);
    for (size_t i = 0; i < governor->work.action_count; i++) {
        const struct weir_action_status *status = &governor->work.actions[i];
        step(governor, i, now_ns);
        if (status->kind != WEIR_ACTION_PAUSE || is_paused)
            continue;
        is_paused = status->is_active;
        reason = weir_trigger_reason_text(status->trigger.reason);
    }
    bool is_off = governor->refuse_index < WEIR_GOVERNOR_ACTIONS_MAX &&
                  governor->actions[governor->refuse_index].when.is_off;
    atomic_store_explicit(&governor->fresh_until_ns,
                          is_off ? UINT64_MAX : now_ns + governor->config.stale_ns,
                          memory_order_relaxed);
    publish(governor);
    weir__governor_tasks(governor, is_paused, reason, now_ns);
    publish(governor);
}

/* --- the own thread ------------------------------------------------------------------------- */

static void *run(void *context)
{
    struct weir_governor *governor = context;
    struct timespec due;
    (void)clock_gettime(CLOCK_MONOTONIC, &due);
    (void)pthread_mutex_lock(&governor->lock);
    while (!governor->is_stopping) {
        uint64_t ns = (uint64_t)due.tv_nsec + governor->interval_ns;
        due.tv_sec += (time_t)(ns / WEIR_SECOND_NS);
        due.tv_nsec = (long)(ns % WEIR_SECOND_NS);
        int waited = 0;
        while (!governor->is_stopping && waited != ETIMEDOUT)
            waited = pthread_cond_timedwait(&governor->wake, &governor->lock, &due);
        if (governor->is_stopping)
            break;
        (void)pthread_mutex_unlock(&governor->lock);
        weir_governor_poll(governor, weir_clock_ns());
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > due.tv_sec) /* more than a second late: no catching up */
            due = now;
        (void)pthread_mutex_lock(&governor->lock);
    }
    (void)pthread_mutex_unlock(&governor->lock);
    return NULL;
}

enum weir_status weir_governor_start(struct weir_governor *governor, uint64_t interval_ns,
                                     struct weir_error *error)
{
    enum weir_status status =
        weir_account_charge(governor->account, WEIR_KIND_THREAD, THREAD_STACK_BYTES, error);
    if (status != WEIR_OK)
        return status;
    weir_governor_poll(governor, weir_clock_ns());
    governor->interval_ns = interval_ns;
    governor->is_stopping = false;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    int failed = pthread_create(&governor->thread, &attributes, run, governor);
    (void)pthread_attr_destroy(&attributes);
    governor->has_thread = failed == 0;
    if (failed == 0)
        return WEIR_OK;
    weir_account_discharge(governor->account, WEIR_KIND_THREAD, THREAD_STACK_BYTES);
    return weir_error_set_errno(error, WEIR_NO_MEMORY, failed, "cannot start the monitor's thread");
}

void weir_governor_stop(struct weir_governor *governor)
{
    if (!governor->has_thread)
        return;
    (void)pthread_mutex_lock(&governor->lock);
    governor->is_stopping = true;
    (void)pthread_cond_signal(&governor->wake);
    (void)pthread_mutex_unlock(&governor->lock);
    (void)pthread_join(governor->thread, NULL);
    governor->has_thread = false;
    weir_account_discharge(governor->account, WEIR_KIND_THREAD, THREAD_STACK_BYTES);
}
