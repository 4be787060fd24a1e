/* A governor's status as JSON (docs/GUARD.md lists the keys). */
#include "govern/governor_pages.h"

#include "base/clock.h"
#include "base/json_number.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static uint64_t milliseconds(uint64_t from_ns, uint64_t now_ns)
{
    return now_ns > from_ns ? (now_ns - from_ns) / WEIR_MS_NS : 0;
}

/* A text from the kernel: null when it is not UTF-8. */
static json_t *string(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_null();
}

static json_t *figure(struct weir_figure value)
{
    return value.state == WEIR_FIGURE_VALUE ? weir_json_number(value.value) : json_null();
}

static json_t *reading_json(const struct weir_reading *reading, uint64_t now_ns)
{
    bool is_known = reading->state == WEIR_READING_KNOWN;
    json_t *object = json_pack("{s:s, s:o, s:o}", "state", weir_reading_state_name(reading->state),
                               "age_ms", weir_json_number(milliseconds(reading->at_ns, now_ns)),
                               "levels", weir_json_number(reading->level_count));
    if (is_known) {
        (void)json_object_set_new(object, "binding", string(reading->binding));
        weir_json_set_number(object, "level", reading->level);
        weir_json_set_number(object, "limit_bytes", reading->limit_bytes);
        weir_json_set_number(object, "usage_bytes", reading->usage_bytes);
        weir_json_set_number(object, "reclaimable_bytes", reading->reclaimable_bytes);
        weir_json_set_number(object, "used_bytes", reading->used_bytes);
        weir_json_set_number(object, "free_bytes", reading->free_bytes);
    } else {
        (void)json_object_set_new(object, "why", string(reading->why));
    }
    return object;
}

static json_t *pressure_line(const struct weir_pressure_line *line)
{
    if (!line->is_given)
        return json_null();
    return json_pack("{s:f, s:f, s:f, s:o}", "avg10_percent", line->avg10_bp / 100.0,
                     "avg60_percent", line->avg60_bp / 100.0, "avg300_percent",
                     line->avg300_bp / 100.0, "total_us", weir_json_number(line->total_us));
}

static json_t *signals_json(const struct weir_reading *reading)
{
    json_t *up = json_array();
    for (unsigned i = 0; i < WEIR_SIGNAL_COUNT; i++)
        if ((reading->signals >> i & 1) != 0)
            (void)json_array_append_new(up,
                                        json_string(weir_signal_name((enum weir_signal)(1u << i))));
    json_t *psi = json_null();
    if (reading->pressure.state == WEIR_FIGURE_VALUE)
        psi = json_pack(
            "{s:s, s:o, s:o}", "of", reading->is_machine_pressure ? "machine" : "cgroup", "some",
            pressure_line(&reading->pressure.some), "full", pressure_line(&reading->pressure.full));
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "up", up, "psi", psi, "high_bytes",
                     figure(reading->high), "swap_limit_bytes", figure(reading->swap_limit),
                     "swap_usage_bytes", figure(reading->swap_usage));
}

static json_t *action_json(const struct weir_action_status *action, uint64_t now_ns)
{
    static const char *const KINDS[] = {"reclaim", "pause", "refuse", "hold"};
    const struct weir_trigger *trigger = &action->trigger;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:b, s:s, s:o}", "name", action->name, "kind",
        KINDS[action->kind], "state", weir_trigger_state_name(trigger->state), "reason",
        weir_trigger_reason_name(trigger->reason), "since_ms",
        weir_json_number(milliseconds(trigger->since_ns, now_ns)), "active", action->is_active,
        "on_unknown", action->on_unknown == WEIR_UNKNOWN_OPEN ? "open" : "closed", "transitions",
        weir_json_number(trigger->change_count));
    if (!trigger->config.is_off) {
        weir_json_set_number(object, "enter_free_bytes", trigger->config.enter_free_bytes);
        weir_json_set_number(object, "leave_free_bytes", trigger->config.leave_free_bytes);
    }
    if (action->kind == WEIR_ACTION_RECLAIM) {
        weir_json_set_number(object, "calls", action->calls);
        weir_json_set_number(object, "given_bytes", action->given_bytes);
    }
    return object;
}

static json_t *task_json(const struct weir_task_status *task, uint64_t now_ns)
{
    return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "name", task->name, "state",
                     weir_task_state_name(task->state), "since_ms",
                     weir_json_number(milliseconds(task->since_ns, now_ns)), "reason", task->reason,
                     "pauses", weir_json_number(task->pauses), "resumes",
                     weir_json_number(task->resumes), "failures", weir_json_number(task->failures));
}

static json_t *admissions_json(const struct weir_governor_status *status)
{
    json_t *refused = json_object();
    for (int i = WEIR_REASON_SHORT; i < WEIR_REASON_COUNT; i++)
        (void)json_object_set_new(refused, weir_trigger_reason_name((enum weir_trigger_reason)i),
                                  weir_json_number(status->refused[i]));
    return json_pack("{s:o, s:o, s:o}", "admitted", weir_json_number(status->admitted),
                     "admitted_unknown", weir_json_number(status->admitted_unknown), "refused",
                     refused);
}

static void set_lists(json_t *object, const struct weir_governor_status *status, uint64_t now_ns)
{
    json_t *actions = json_array();
    json_t *tasks = json_array();
    for (size_t i = 0; i < status->action_count; i++)
        (void)json_array_append_new(actions, action_json(&status->actions[i], now_ns));
    for (size_t i = 0; i < status->task_count; i++)
        (void)json_array_append_new(tasks, task_json(&status->tasks[i], now_ns));
    (void)json_object_set_new(object, "actions", actions);
    (void)json_object_set_new(object, "tasks", tasks);
}

char *weir_governor_json(const struct weir_governor_status *status, uint64_t now_ns)
{
    const struct weir_action_status *action = weir_governor_main_action(status);
    bool is_stale = status->is_stale && (action == NULL || !action->trigger.config.is_off);
    json_t *object = json_object();
    if (action != NULL) {
        (void)json_object_set_new(object, "state",
                                  json_string(weir_trigger_state_name(
                                      is_stale ? WEIR_TRIGGER_UNKNOWN : action->trigger.state)));
        (void)json_object_set_new(object, "reason",
                                  json_string(weir_trigger_reason_name(
                                      is_stale ? WEIR_REASON_STALE : action->trigger.reason)));
    }
    (void)json_object_set_new(object, "protecting",
                              json_boolean(weir_governor_is_protecting(status)));
    (void)json_object_set_new(object, "reading", reading_json(&status->reading, now_ns));
    if (status->is_read_failing)
        (void)json_object_set_new(object, "read_failing", string(status->read_why));
    (void)json_object_set_new(object, "signals", signals_json(&status->reading));
    (void)json_object_set_new(
        object, "events",
        json_pack("{s:o, s:o, s:o, s:o}", "high", weir_json_number(status->events.high), "max",
                  weir_json_number(status->events.max), "oom", weir_json_number(status->events.oom),
                  "oom_kill", weir_json_number(status->events.oom_kill)));
    weir_json_set_number(object, "polls", status->polls);
    weir_json_set_number(object, "read_failures", status->read_failures);
    (void)json_object_set_new(object, "admissions", admissions_json(status));
    set_lists(object, status, now_ns);
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(object);
    if (text == NULL)
        return NULL;
    size_t size = strlen(text);
    char *line = realloc(text, size + 2);
    if (line == NULL) {
        free(text);
        return NULL;
    }
    memcpy(line + size, "\n", 2);
    return line;
}
