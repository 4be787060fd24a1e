/* What `weir guard` says: at its start, at every change, and on failed readings. */
#include "cli/guard_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sizes.h"
#include "cli/guard_limits.h"

void guard__log(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)fprintf(stderr, "weir guard: %s\n", line);
}

static const char *policy_text(const struct guard_options *options)
{
    return options->on_unknown == WEIR_UNKNOWN_OPEN ? "requests are admitted (--on-unknown open)"
                                                    : "requests are refused (--on-unknown closed)";
}

/* "free 512 MiB of 2.0 GiB, memory.max of /x", or why there are no figures. */
static void write_figures(const struct weir_reading *reading, char *text, size_t size)
{
    if (reading->state != WEIR_READING_KNOWN) {
        (void)snprintf(text, size, "%s", reading->why);
        return;
    }
    (void)snprintf(text, size, "%s free of %s, %s", weir_size_format(reading->free_bytes).text,
                   weir_size_format(reading->limit_bytes).text, reading->binding);
}

void guard__write_answer(const struct guard_options *options,
                         const struct weir_governor_status *status, char *text, size_t size)
{
    char figures[WEIR_GOVERN_BINDING_SIZE + 64];
    const struct weir_action_status *action = weir_governor_main_action(status);
    const struct weir_trigger *trigger = &action->trigger;
    write_figures(&status->reading, figures, sizeof figures);
    if (trigger->state == WEIR_TRIGGER_UNKNOWN)
        (void)snprintf(text, size, "%s: the pressure is unknown: %s",
                       action->is_active ? "refuses" : "admits", status->read_why);
    else if (trigger->config.is_off)
        (void)snprintf(text, size, "admits: no free limit is set; %s", figures);
    else if (status->reading.state == WEIR_READING_UNLIMITED)
        (void)snprintf(text, size, "%s: %s", action->is_active ? "refuses" : "admits", figures);
    else
        (void)snprintf(text, size, "%s: %s; %s, free limit %s",
                       action->is_active ? "refuses" : "admits",
                       weir_trigger_reason_text(trigger->reason), figures,
                       weir_size_format(options->free_limit_bytes).text);
}

/* --- start ---------------------------------------------------------------------------------- */

static void log_background(const struct guard_options *options)
{
    if (options->on_pause == NULL && options->on_resume == NULL)
        return;
    if (options->is_pause_off)
        guard__log("background work is never paused: --pause-free-limit \"\"");
    else
        guard__log("background work is paused when no more than %s is free",
                   weir_size_format(options->pause_limit_bytes).text);
}

static void log_high(const struct guard_options *options, const struct weir_reading *reading)
{
    if (reading->high.state != WEIR_FIGURE_VALUE || reading->state != WEIR_READING_KNOWN ||
        options->free_limit_bytes >= reading->limit_bytes ||
        reading->high.value > reading->limit_bytes - options->free_limit_bytes)
        return;
    guard__log("warning: memory.high is %s: the kernel slows everything down before requests are "
               "refused, and without swap it may do so for ever; raise it above %s",
               weir_size_format(reading->high.value).text,
               weir_size_format(reading->limit_bytes - options->free_limit_bytes).text);
}

void guard__log_start(struct guard_log *log, struct weir_governor *governor)
{
    const struct guard_options *options = log->options;
    static struct weir_governor_status status; /* 20 KiB, and asked for once */
    char watched[WEIR_CGROUP_PATH_SIZE + 64];
    char figures[WEIR_GOVERN_BINDING_SIZE + 64];
    weir_governor_status(governor, 0, &status);
    const struct weir_reading *reading = &status.reading;
    const struct weir_trigger *trigger = &weir_governor_main_action(&status)->trigger;
    weir_monitor_describe(weir_governor_monitor(governor), watched, sizeof watched);
    write_figures(reading, figures, sizeof figures);
    guard__log("watching %s", watched);
    if (!options->has_free_limit)
        guard__log("protection is off: no --mem-free-limit is set; every request is admitted");
    else if (reading->state == WEIR_READING_UNLIMITED)
        guard__log("protection is not active: %s; every request is admitted until there is a limit",
                   reading->why);
    else if (trigger->state == WEIR_TRIGGER_UNKNOWN)
        guard__log("error: protection is blind: %s; %s until it can be read", reading->why,
                   policy_text(options));
    else if (trigger->reason == WEIR_REASON_LIMIT)
        guard__log("protection is active but refuses everything: the free limit of %s is not "
                   "below the limit: %s",
                   weir_size_format(options->free_limit_bytes).text, figures);
    else
        guard__log("protection is active: refuses when no more than %s is free, admits again "
                   "above %s for %s: %s",
                   weir_size_format(options->free_limit_bytes).text,
                   weir_size_format(trigger->config.leave_free_bytes).text,
                   weir_duration_format(options->dwell_ns).text, figures);
    if (trigger->reason == WEIR_REASON_SHORT)
        guard__log("refuses requests: %s", weir_trigger_reason_text(trigger->reason));
    log_high(options, reading);
    log_background(options);
    log->is_started = true;
}

/* --- events --------------------------------------------------------------------------------- */

/* Once when it begins or changes, and then with its count from time to time. */
static void log_failure(struct guard_log *log, const struct weir_governor_event *event)
{
    uint64_t now_ns = event->reading->at_ns;
    bool is_new = !log->is_failing || strcmp(log->why, event->text) != 0;
    log->unlogged++;
    if (!is_new && now_ns - log->logged_ns < GUARD_LOG_AGAIN_NS)
        return;
    if (log->is_started)
        guard__log("error: cannot tell the memory pressure: %s (%" PRIu64 " failed %s)",
                   event->text, log->unlogged, log->unlogged == 1 ? "reading" : "readings");
    log->is_failing = true;
    log->logged_ns = now_ns;
    log->unlogged = 0;
    (void)snprintf(log->why, sizeof log->why, "%s", event->text);
}

static void log_good(struct guard_log *log, const struct weir_governor_event *event)
{
    char figures[WEIR_GOVERN_BINDING_SIZE + 64];
    if (log->is_failing) {
        write_figures(event->reading, figures, sizeof figures);
        guard__log("the memory pressure can be told again: %s", figures);
    }
    log->is_failing = false;
    log->unlogged = 0;
}

static void log_state(const struct guard_log *log, const struct weir_governor_event *event)
{
    char figures[WEIR_GOVERN_BINDING_SIZE + 64];
    const struct weir_trigger *trigger = &event->action->trigger;
    if (event->action->kind != WEIR_ACTION_REFUSE || !log->is_started)
        return;
    write_figures(event->reading, figures, sizeof figures);
    if (trigger->state == WEIR_TRIGGER_UNKNOWN)
        guard__log("%s until the pressure can be told", policy_text(log->options));
    else
        guard__log("%s requests: %s; %s",
                   trigger->state == WEIR_TRIGGER_PRESSED ? "refuses" : "admits",
                   weir_trigger_reason_text(trigger->reason), figures);
}

void guard__log_event(void *context, const struct weir_governor_event *event)
{
    struct guard_log *log = context;
    switch (event->kind) {
    case WEIR_EVENT_READ:
        log_failure(log, event);
        break;
    case WEIR_EVENT_READ_GOOD:
        log_good(log, event);
        break;
    case WEIR_EVENT_STATE:
        log_state(log, event);
        break;
    case WEIR_EVENT_OOM_KILL:
        guard__log("error: the kernel has killed %" PRIu64 " %s for want of memory in %s",
                   event->bytes, event->bytes == 1 ? "process" : "processes",
                   event->reading->binding);
        break;
    case WEIR_EVENT_TASK:
        if (event->status == WEIR_OK &&
            (event->task->state == WEIR_TASK_PAUSING || event->task->state == WEIR_TASK_RESUMING))
            guard__log("%s background work: %s", weir_task_state_name(event->task->state),
                       event->task->reason);
        else if (event->status == WEIR_OK)
            guard__log("background work is %s", weir_task_state_name(event->task->state));
        break;
    default:
        break;
    }
}
