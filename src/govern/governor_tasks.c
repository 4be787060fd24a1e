/* Pausing and resuming of background tasks: all at once, one after the other. */
#include "govern/governor_internal.h"

#include <stdio.h>

const char *weir_task_state_name(enum weir_task_state state)
{
    static const char *const NAMES[] = {"running", "pausing", "paused", "resuming"};
    return NAMES[state];
}

static void enter(struct weir_governor *governor, size_t index, enum weir_task_state state,
                  const char *reason, uint64_t now_ns)
{
    struct weir_task_status *status = &governor->work.tasks[index];
    status->state = state;
    status->since_ns = now_ns;
    if (reason != NULL)
        (void)snprintf(status->reason, sizeof status->reason, "%s", reason);
    status->pauses += state == WEIR_TASK_PAUSED;
    status->resumes += state == WEIR_TASK_RUNNING;
    weir__governor_event(governor,
                         (struct weir_governor_event){.kind = WEIR_EVENT_TASK, .task = status});
}

/* Asks the task; true when it has arrived. */
static bool ask(struct weir_governor *governor, size_t index, bool is_paused, uint64_t now_ns)
{
    struct weir__task_work *work = &governor->tasks[index];
    struct weir_task_status *status = &governor->work.tasks[index];
    if (now_ns < work->retry_ns)
        return false;
    enum weir_status answer =
        work->task.set(work->task.context, is_paused, &governor->reading, status->reason);
    work->retry_ns = 0;
    if (answer == WEIR_OK)
        enter(governor, index, is_paused ? WEIR_TASK_PAUSED : WEIR_TASK_RUNNING, NULL, now_ns);
    if (answer == WEIR_OK || answer == WEIR_PENDING)
        return answer == WEIR_OK;
    status->failures++;
    work->retry_ns = now_ns + WEIR_TASK_RETRY_NS;
    weir__governor_event(governor, (struct weir_governor_event){
                                       .kind = WEIR_EVENT_TASK, .task = status, .status = answer});
    return false;
}

static void turn(struct weir_governor *governor, size_t index, enum weir_task_state towards,
                 const char *reason, uint64_t now_ns)
{
    if (governor->work.tasks[index].state == towards)
        return;
    governor->tasks[index].retry_ns = 0;
    enter(governor, index, towards, reason, now_ns);
}

static void pause_all(struct weir_governor *governor, const char *reason, uint64_t now_ns)
{
    for (size_t i = governor->work.task_count; i-- > 0;) {
        if (governor->work.tasks[i].state == WEIR_TASK_PAUSED)
            continue;
        turn(governor, i, WEIR_TASK_PAUSING, reason, now_ns);
        (void)ask(governor, i, true, now_ns);
    }
}

/* The first that does not run; one that has just failed does not keep the others waiting. */
static void resume_next(struct weir_governor *governor, const char *reason, uint64_t now_ns)
{
    for (size_t i = 0; i < governor->work.task_count; i++) {
        if (governor->work.tasks[i].state == WEIR_TASK_RUNNING)
            continue;
        turn(governor, i, WEIR_TASK_RESUMING, reason, now_ns);
        if (now_ns < governor->tasks[i].retry_ns)
            continue;
        (void)ask(governor, i, false, now_ns);
        return;
    }
}

void weir__governor_tasks(struct weir_governor *governor, bool is_paused, const char *reason,
                          uint64_t now_ns)
{
    if (is_paused)
        pause_all(governor, reason, now_ns);
    else
        resume_next(governor, reason, now_ns);
}
