/* The governor's metrics, in the order of the table. */
#include "govern/governor_pages.h"

#define NS_PER_SECOND 1e9

const struct weir_action_status *
weir_governor_main_action(const struct weir_governor_status *status)
{
    for (size_t i = 0; i < status->action_count; i++)
        if (status->actions[i].kind == WEIR_ACTION_REFUSE)
            return &status->actions[i];
    return status->action_count > 0 ? &status->actions[0] : NULL;
}

bool weir_governor_is_protecting(const struct weir_governor_status *status)
{
    const struct weir_action_status *action = weir_governor_main_action(status);
    return action != NULL && action->kind == WEIR_ACTION_REFUSE && !action->trigger.config.is_off &&
           !status->is_stale && action->trigger.state != WEIR_TRIGGER_UNKNOWN &&
           status->reading.state == WEIR_READING_KNOWN;
}

static void add_labelled(struct weir_metrics *metrics, enum weir_metric metric, const char *label,
                         const char *name, uint64_t value)
{
    const struct weir_metrics_label labels[] = {{label, name}, {NULL, NULL}};
    weir_metrics_value(metrics, metric, labels, value);
}

static void add_states(struct weir_metrics *metrics, const struct weir_action_status *action,
                       bool is_stale, uint64_t now_ns)
{
    const struct weir_trigger *trigger = &action->trigger;
    enum weir_trigger_state now =
        is_stale && !trigger->config.is_off ? WEIR_TRIGGER_UNKNOWN : trigger->state;
    weir_metrics_family(metrics, WEIR_METRIC_PRESSURE_STATE);
    for (int i = 0; i < WEIR_TRIGGER_STATE_COUNT; i++)
        add_labelled(metrics, WEIR_METRIC_PRESSURE_STATE, "state",
                     weir_trigger_state_name((enum weir_trigger_state)i),
                     (enum weir_trigger_state)i == now);
    weir_metrics_family(metrics, WEIR_METRIC_PRESSURE_TRANSITIONS);
    for (int i = 0; i < WEIR_TRIGGER_STATE_COUNT; i++)
        add_labelled(metrics, WEIR_METRIC_PRESSURE_TRANSITIONS, "to",
                     weir_trigger_state_name((enum weir_trigger_state)i), trigger->entered[i]);
    weir_metrics_family(metrics, WEIR_METRIC_PRESSURE_SINCE);
    weir_metrics_real(metrics, WEIR_METRIC_PRESSURE_SINCE, NULL,
                      (double)(now_ns - trigger->since_ns) / NS_PER_SECOND);
    weir_metrics_family(metrics, WEIR_METRIC_FREE_LIMIT_BYTES);
    if (trigger->config.is_off)
        return;
    add_labelled(metrics, WEIR_METRIC_FREE_LIMIT_BYTES, "edge", "enter",
                 trigger->config.enter_free_bytes);
    add_labelled(metrics, WEIR_METRIC_FREE_LIMIT_BYTES, "edge", "leave",
                 trigger->config.leave_free_bytes);
}

static void add_figure(struct weir_metrics *metrics, enum weir_metric metric, bool is_known,
                       uint64_t value)
{
    weir_metrics_family(metrics, metric);
    if (is_known)
        weir_metrics_value(metrics, metric, NULL, value);
}

static void add_reading(struct weir_metrics *metrics, const struct weir_reading *reading)
{
    bool is_known = reading->state == WEIR_READING_KNOWN;
    add_figure(metrics, WEIR_METRIC_LIMIT_BYTES, is_known, reading->limit_bytes);
    add_figure(metrics, WEIR_METRIC_USAGE_BYTES, is_known, reading->usage_bytes);
    add_figure(metrics, WEIR_METRIC_RECLAIMABLE_BYTES, is_known, reading->reclaimable_bytes);
    add_figure(metrics, WEIR_METRIC_FREE_BYTES, is_known, reading->free_bytes);
    add_figure(metrics, WEIR_METRIC_HIGH_BYTES, reading->high.state == WEIR_FIGURE_VALUE,
               reading->high.value);
    add_figure(metrics, WEIR_METRIC_SWAP_LIMIT_BYTES,
               reading->swap_limit.state == WEIR_FIGURE_VALUE, reading->swap_limit.value);
    add_figure(metrics, WEIR_METRIC_SWAP_USAGE_BYTES,
               reading->swap_usage.state == WEIR_FIGURE_VALUE, reading->swap_usage.value);
    weir_metrics_family(metrics, WEIR_METRIC_PRESSURE_SIGNAL);
    for (int i = 0; i < WEIR_SIGNAL_COUNT; i++)
        add_labelled(metrics, WEIR_METRIC_PRESSURE_SIGNAL, "signal",
                     weir_signal_name((enum weir_signal)(1 << i)), (reading->signals >> i) & 1);
}

static void add_stalls(struct weir_metrics *metrics, const struct weir_pressure *pressure)
{
    const struct {
        const char *kind;
        const struct weir_pressure_line *line;
    } lines[] = {{"some", &pressure->some}, {"full", &pressure->full}};
    for (int pass = 0; pass < 2; pass++) {
        enum weir_metric metric = pass == 0 ? WEIR_METRIC_STALL_SECONDS : WEIR_METRIC_STALL_RATIO;
        weir_metrics_family(metrics, metric);
        for (int i = 0; i < 2 && pressure->state == WEIR_FIGURE_VALUE; i++) {
            const struct weir_metrics_label labels[] = {{"kind", lines[i].kind}, {NULL, NULL}};
            if (lines[i].line->is_given)
                weir_metrics_real(metrics, metric, labels,
                                  pass == 0 ? (double)lines[i].line->total_us / 1e6
                                            : lines[i].line->avg10_bp / 1e4);
        }
    }
}

static void add_events(struct weir_metrics *metrics, const struct weir_governor_status *status)
{
    const struct weir_cgroup_events *events = &status->events;
    weir_metrics_single(metrics, WEIR_METRIC_PRESSURE_POLLS, status->polls);
    weir_metrics_single(metrics, WEIR_METRIC_READ_FAILURES, status->read_failures);
    weir_metrics_family(metrics, WEIR_METRIC_CGROUP_EVENTS);
    add_labelled(metrics, WEIR_METRIC_CGROUP_EVENTS, "event", "high", events->high);
    add_labelled(metrics, WEIR_METRIC_CGROUP_EVENTS, "event", "max", events->max);
    add_labelled(metrics, WEIR_METRIC_CGROUP_EVENTS, "event", "oom", events->oom);
    add_labelled(metrics, WEIR_METRIC_CGROUP_EVENTS, "event", "oom_kill", events->oom_kill);
    add_stalls(metrics, &status->reading.pressure);
}

static void add_admission(struct weir_metrics *metrics, const char *answer, const char *reason,
                          uint64_t value)
{
    const struct weir_metrics_label labels[] = {
        {"answer", answer}, {"reason", reason}, {NULL, NULL}};
    weir_metrics_value(metrics, WEIR_METRIC_ADMISSIONS, labels, value);
}

static void add_admissions(struct weir_metrics *metrics, const struct weir_governor_status *status)
{
    weir_metrics_family(metrics, WEIR_METRIC_ADMISSIONS);
    add_admission(metrics, "admitted", "known", status->admitted - status->admitted_unknown);
    add_admission(metrics, "admitted", "unknown", status->admitted_unknown);
    for (int i = WEIR_REASON_SHORT; i < WEIR_REASON_COUNT; i++)
        add_admission(metrics, "refused", weir_trigger_reason_name((enum weir_trigger_reason)i),
                      status->refused[i]);
}

static void add_actions(struct weir_metrics *metrics, const struct weir_governor_status *status)
{
    weir_metrics_family(metrics, WEIR_METRIC_ACTION_ACTIVE);
    for (size_t i = 0; i < status->action_count; i++)
        add_labelled(metrics, WEIR_METRIC_ACTION_ACTIVE, "action", status->actions[i].name,
                     status->actions[i].is_active);
    weir_metrics_family(metrics, WEIR_METRIC_ACTION_GIVEN_BYTES);
    for (size_t i = 0; i < status->action_count; i++)
        if (status->actions[i].kind == WEIR_ACTION_RECLAIM)
            add_labelled(metrics, WEIR_METRIC_ACTION_GIVEN_BYTES, "action", status->actions[i].name,
                         status->actions[i].given_bytes);
}

static void add_tasks(struct weir_metrics *metrics, const struct weir_governor_status *status)
{
    weir_metrics_family(metrics, WEIR_METRIC_BACKGROUND_PAUSED);
    for (size_t i = 0; i < status->task_count; i++)
        add_labelled(metrics, WEIR_METRIC_BACKGROUND_PAUSED, "task", status->tasks[i].name,
                     status->tasks[i].state == WEIR_TASK_PAUSED ||
                         status->tasks[i].state == WEIR_TASK_PAUSING);
    weir_metrics_family(metrics, WEIR_METRIC_BACKGROUND_TRANSITIONS);
    for (size_t i = 0; i < status->task_count; i++) {
        const struct weir_task_status *task = &status->tasks[i];
        const struct weir_metrics_label pause[] = {
            {"task", task->name}, {"to", "paused"}, {NULL, NULL}};
        const struct weir_metrics_label resume[] = {
            {"task", task->name}, {"to", "running"}, {NULL, NULL}};
        weir_metrics_value(metrics, WEIR_METRIC_BACKGROUND_TRANSITIONS, pause, task->pauses);
        weir_metrics_value(metrics, WEIR_METRIC_BACKGROUND_TRANSITIONS, resume, task->resumes);
    }
    weir_metrics_family(metrics, WEIR_METRIC_BACKGROUND_FAILURES);
    for (size_t i = 0; i < status->task_count; i++)
        add_labelled(metrics, WEIR_METRIC_BACKGROUND_FAILURES, "task", status->tasks[i].name,
                     status->tasks[i].failures);
}

void weir_metrics_governor(struct weir_metrics *metrics, const struct weir_governor_status *status,
                           uint64_t now_ns)
{
    const struct weir_action_status *action = weir_governor_main_action(status);
    if (action != NULL)
        add_states(metrics, action, status->is_stale, now_ns);
    weir_metrics_single(metrics, WEIR_METRIC_PRESSURE_PROTECTED,
                        weir_governor_is_protecting(status));
    add_reading(metrics, &status->reading);
    add_events(metrics, status);
    add_admissions(metrics, status);
    add_actions(metrics, status);
    add_tasks(metrics, status);
}
