/* --explain: which file binds, at which level, and what every level said. */
#include "govern/monitor_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/sizes.h"

#define LINE_SIZE (WEIR_CGROUP_PATH_SIZE + 128u)

struct explain {
    weir_explain_line *line;
    void *context;
    char text[LINE_SIZE];
};

static void WEIR_PRINTF(2, 3) say(struct explain *explain, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(explain->text, sizeof explain->text, format, args);
    va_end(args);
    explain->line(explain->context, explain->text);
}

static struct weir_size_text size_of(struct weir_figure figure)
{
    struct weir_size_text text = {{0}};
    if (figure.state == WEIR_FIGURE_VALUE)
        return weir_size_format(figure.value);
    (void)snprintf(text.text, sizeof text.text, "%s", weir_figure_state_name(figure.state));
    return text;
}

static void say_answer(struct explain *explain, const struct weir_reading *reading,
                       uint64_t free_limit_bytes)
{
    if (reading->state == WEIR_READING_UNLIMITED) {
        say(explain, "Nothing binds: %s.", reading->why);
        return;
    }
    bool is_short = free_limit_bytes != UINT64_MAX && reading->free_bytes <= free_limit_bytes;
    if (reading->state == WEIR_READING_UNKNOWN || (reading->is_partial && !is_short)) {
        say(explain, "Unknown: %s.", reading->why);
        return;
    }
    say(explain, "Binds: %s", reading->binding);
    say(explain, "  limit %s, used %s, free %s", weir_size_format(reading->limit_bytes).text,
        weir_size_format(reading->used_bytes).text, weir_size_format(reading->free_bytes).text);
    if (free_limit_bytes != UINT64_MAX)
        say(explain, "  %s: free is %s the free limit of %s",
            reading->free_bytes <= free_limit_bytes ? "refuses" : "admits",
            reading->free_bytes <= free_limit_bytes ? "not above" : "above",
            weir_size_format(free_limit_bytes).text);
}

static void say_level(struct explain *explain, const struct weir_monitor *monitor, size_t level,
                      bool binds)
{
    const struct weir_cgroup *cgroup = &monitor->cgroup;
    const struct weir_room *room = &monitor->rooms[level];
    const struct weir_cgroup_level *figures = &monitor->levels[level];
    char words[WEIR_GOVERN_REASON_SIZE];
    say(explain, "%.*s%s", (int)cgroup->folder_lengths[level], cgroup->folder,
        binds ? "  <- binds" : "");
    if (room->state != WEIR_ROOM_VALUE) {
        weir__room_words(monitor, level, words, sizeof words);
        say(explain, "  %s%s", words, room->state == WEIR_ROOM_UNKNOWN ? ": unknown" : "");
    }
    if (room->has_figures) {
        say(explain, "  %-23s %9s", weir_cgroup_limit_file(cgroup), size_of(figures->limit).text);
        say(explain, "  %-23s %9s  of that %s active_file + inactive_file",
            weir_cgroup_usage_file(cgroup), size_of(figures->usage).text,
            weir_size_format(room->reclaimable_bytes).text);
        say(explain, "  %-23s %9s", "free", weir_size_format(room->headroom_bytes).text);
    }
    if (figures->high.state == WEIR_FIGURE_VALUE)
        say(explain, "  %-23s %9s  from there on the kernel throttles", "memory.high",
            size_of(figures->high).text);
    if (figures->dirty.state == WEIR_FIGURE_VALUE && figures->dirty.value > 0)
        say(explain, "  %-23s %9s  cannot be dropped before it is written", "dirty",
            size_of(figures->dirty).text);
    if (figures->unevictable.state == WEIR_FIGURE_VALUE && figures->unevictable.value > 0)
        say(explain, "  %-23s %9s  cannot be dropped", "unevictable",
            size_of(figures->unevictable).text);
}

static void say_signals(struct explain *explain, const struct weir_monitor *monitor,
                        const struct weir_reading *reading)
{
    const struct weir_pressure_line *full = &reading->pressure.full;
    const struct weir_cgroup_events *events = &monitor->events;
    say(explain, "second signals, which count only near the free limit");
    if (reading->pressure.state == WEIR_FIGURE_VALUE && full->is_given)
        say(explain, "  psi     full avg10 %u.%02u %% %s, signals from %u %% on",
            full->avg10_bp / 100, full->avg10_bp % 100,
            reading->is_machine_pressure ? "on the machine" : "in the cgroup",
            WEIR_SIGNAL_PSI_FULL_BP / 100);
    else
        say(explain, "  psi     %s", weir_figure_state_name(reading->pressure.state));
    say(explain, "  high    %s%s", size_of(reading->high).text,
        (reading->signals & WEIR_SIGNAL_HIGH) != 0 ? ", reached" : "");
    if (reading->swap_usage.state == WEIR_FIGURE_MISSING)
        say(explain, "  swap    missing");
    else
        say(explain, "  swap    used %s of %s, signals from %u %% on",
            size_of(reading->swap_usage).text, size_of(reading->swap_limit).text,
            WEIR_SIGNAL_SWAP_PERCENT);
    if (monitor->has_events)
        say(explain,
            "  events  high %" PRIu64 ", max %" PRIu64 ", oom %" PRIu64 ", oom_kill %" PRIu64
            " since the cgroup was made",
            events->high, events->max, events->oom, events->oom_kill);
}

void weir_monitor_explain(struct weir_monitor *monitor, uint64_t free_limit_bytes,
                          weir_explain_line *line, void *context)
{
    struct explain explain = {.line = line, .context = context};
    struct weir_reading reading;
    char watched[WEIR_CGROUP_PATH_SIZE + 64u];
    weir_monitor_read(monitor, weir_clock_ns(), &reading);
    say_answer(&explain, &reading, free_limit_bytes);
    weir_monitor_describe(monitor, watched, sizeof watched);
    say(&explain, "watched: %s", watched);
    if (reading.level_count == 0)
        return;
    say(&explain, "%s", "");
    for (size_t i = 0; i < reading.level_count; i++)
        say_level(&explain, monitor, i, reading.state == WEIR_READING_KNOWN && i == reading.level);
    say(&explain, "%s", "");
    say_signals(&explain, monitor, &reading);
}
