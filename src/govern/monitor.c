/* Finding what to watch, reading all levels, and judging them together. */
#include "govern/monitor_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/proc_smaps.h"

const char *weir_reading_state_name(enum weir_reading_state state)
{
    static const char *const NAMES[] = {"known", "unlimited", "unknown"};
    return NAMES[state];
}

const char *weir_signal_name(enum weir_signal signal)
{
    switch (signal) {
    case WEIR_SIGNAL_PSI:
        return "psi";
    case WEIR_SIGNAL_HIGH:
        return "high";
    case WEIR_SIGNAL_EVENTS:
        return "events";
    default:
        return "swap";
    }
}

/* --- making --------------------------------------------------------------------------------- */

static bool is_pid(const char *pid)
{
    size_t length = strspn(pid, "0123456789");
    return strcmp(pid, "self") == 0 || (length > 0 && length <= 10 && pid[length] == '\0');
}

enum weir_status weir_monitor_new(const struct weir_monitor_config *config,
                                  struct weir_account *account, struct weir_monitor **ret_monitor,
                                  struct weir_error *error)
{
    if (config->pid != NULL && !is_pid(config->pid))
        return weir_error_set(error, WEIR_INVALID_ARGUMENT, WEIR_NO_OFFSET,
                              "\"%.40s\" is no process id", config->pid);
    struct weir_monitor *monitor =
        weir_account_alloc(account, WEIR_KIND_METADATA, sizeof *monitor, error);
    if (monitor == NULL)
        return WEIR_LIMIT;
    monitor->config = *config;
    monitor->account = account;
    if (monitor->config.root == NULL)
        monitor->config.root = "";
    if (monitor->config.pid == NULL)
        monitor->config.pid = "self";
    *ret_monitor = monitor;
    return WEIR_OK;
}

void weir_monitor_free(struct weir_monitor *monitor)
{
    if (monitor != NULL)
        weir_account_free(monitor->account, WEIR_KIND_METADATA, monitor, sizeof *monitor);
}

void weir_monitor_describe(const struct weir_monitor *monitor, char *text, size_t size)
{
    const struct weir_monitor_config *config = &monitor->config;
    const struct weir_cgroup *cgroup = &monitor->cgroup;
    char process[32] = "this process";
    if (strcmp(config->pid, "self") != 0)
        (void)snprintf(process, sizeof process, "process %.12s", config->pid);
    if (config->pressure_file != NULL)
        (void)snprintf(text, size, "injected figures in %s", config->pressure_file);
    else if (config->cgroup != NULL && !monitor->has_cgroup)
        (void)snprintf(text, size, "cgroup %s", config->cgroup);
    else if (!monitor->has_cgroup)
        (void)snprintf(text, size, "%s", process);
    else if (cgroup->version == WEIR_CGROUP_NONE)
        (void)snprintf(text, size, "%s, in no memory cgroup", process);
    else
        (void)snprintf(text, size, "%s%s%s (cgroup %s)%s", config->cgroup == NULL ? process : "",
                       config->cgroup == NULL ? ", " : "", cgroup->folder,
                       weir_cgroup_version_name(cgroup->version),
                       cgroup->approximate ? ", the top of what can be seen" : "");
}

/* "/sys/fs/cgroup/x/memory.max", the end of it when it is longer. */
static void path_of(const struct weir_monitor *monitor, size_t level, const char *file, char *text,
                    size_t size)
{
    const struct weir_cgroup *cgroup = &monitor->cgroup;
    size_t folder = cgroup->folder_lengths[level];
    size_t wanted = folder + 1 + strlen(file);
    size_t cut = 0;
    if (wanted >= size) /* "..." in front of what still fits */
        cut = wanted + 3 - (size - 1);
    cut = cut < folder ? cut : folder;
    (void)snprintf(text, size, "%s%.*s%s%s", cut > 0 ? "..." : "", (int)(folder - cut),
                   cgroup->folder + cut, *file != '\0' ? "/" : "", file);
}

void weir__room_words(const struct weir_monitor *monitor, size_t level, char *text, size_t size)
{
    const struct weir_room *room = &monitor->rooms[level];
    const bool is_top = level + 1 == monitor->cgroup.level_count;
    const char *what = "";
    if (room->state == WEIR_ROOM_UNLIMITED && room->why == WEIR_FIGURE_VALUE)
        what = ": limits nothing below";
    else if (room->state == WEIR_ROOM_UNLIMITED && room->why == WEIR_FIGURE_MISSING)
        what = is_top ? ": the root of the hierarchy has no limit"
                      : ": the memory controller is not enabled here";
    if (room->state == WEIR_ROOM_UNKNOWN && *room->file == '\0')
        (void)snprintf(text, size, "the folder does not exist");
    else
        (void)snprintf(text, size, "%s is %s%s", room->file,
                       room->why == WEIR_FIGURE_VALUE ? "0" : weir_figure_state_name(room->why),
                       what);
}

/* --- finding -------------------------------------------------------------------------------- */

static void set_unknown(struct weir_reading *reading, const char *why)
{
    reading->state = WEIR_READING_UNKNOWN;
    (void)snprintf(reading->why, sizeof reading->why, "%s", why);
}

static bool lookup(struct weir_monitor *monitor, struct weir_reading *reading)
{
    const struct weir_monitor_config *config = &monitor->config;
    struct weir_error error = {0};
    enum weir_status status =
        config->cgroup != NULL
            ? weir_cgroup_open(config->root, config->cgroup, &monitor->cgroup, &error)
            : weir_cgroup_find(config->root, config->pid, &monitor->cgroup, &error);
    monitor->has_cgroup = status == WEIR_OK;
    monitor->has_events = false;
    if (status != WEIR_OK)
        set_unknown(reading, error.message);
    weir_error_done(&error);
    return monitor->has_cgroup;
}

/* Looks the cgroup up when it is not known or the process has moved; false with the reading set. */
static bool find(struct weir_monitor *monitor, struct weir_reading *reading)
{
    char path[WEIR_CGROUP_PATH_SIZE];
    size_t size = 0;
    if (monitor->config.cgroup != NULL)
        return monitor->has_cgroup || lookup(monitor, reading);
    int length =
        snprintf(path, sizeof path, "%s/proc/%s/cgroup", monitor->config.root, monitor->config.pid);
    enum weir_status status = WEIR_TOO_LARGE;
    struct weir_error error = {0};
    if (length > 0 && (size_t)length < sizeof path)
        status =
            weir_proc_file_read(path, monitor->scratch, sizeof monitor->scratch, &size, &error);
    if (status == WEIR_OK && monitor->has_cgroup && size == monitor->membership_size &&
        memcmp(monitor->scratch, monitor->membership, size) == 0)
        return true;
    if (status == WEIR_OK) {
        memcpy(monitor->membership, monitor->scratch, size);
        monitor->membership_size = size;
        return lookup(monitor, reading);
    }
    monitor->has_cgroup = false;
    reading->state = WEIR_READING_UNKNOWN;
    if (status == WEIR_NOT_FOUND)
        (void)snprintf(reading->why, sizeof reading->why, "process %s is gone",
                       monitor->config.pid);
    else
        set_unknown(reading, error.message);
    weir_error_done(&error);
    return false;
}

/* The injected figures as the one level of a v2 cgroup. */
static bool inject(struct weir_monitor *monitor, struct weir_reading *reading)
{
    const char *file = monitor->config.pressure_file;
    struct weir_cgroup *cgroup = &monitor->cgroup;
    struct weir_error error = {0};
    size_t size = 0;
    enum weir_status status =
        weir_proc_file_read(file, monitor->scratch, WEIR_INJECTED_BYTES_MAX, &size, &error);
    if (status == WEIR_OK)
        status = weir_injected_parse(monitor->scratch, size, &monitor->injected, &error);
    if (status != WEIR_OK || monitor->injected.is_unknown)
        set_unknown(reading, status != WEIR_OK ? error.message : monitor->injected.why);
    weir_error_done(&error);
    monitor->has_cgroup = status == WEIR_OK && !monitor->injected.is_unknown;
    if (!monitor->has_cgroup)
        return false;
    (void)snprintf(cgroup->folder, sizeof cgroup->folder, "%s", file);
    cgroup->folder_lengths[0] = strlen(cgroup->folder);
    cgroup->version = WEIR_CGROUP_V2;
    cgroup->level_count = 1;
    monitor->levels[0] = monitor->injected.figures;
    return true;
}

/* --- judging -------------------------------------------------------------------------------- */

struct judged {
    const struct weir_room *least;   /* the least headroom of the VALUEs; NULL without */
    const struct weir_room *unknown; /* the first UNKNOWN; NULL without */
};

static struct judged judge(const struct weir_monitor *monitor)
{
    struct judged judged = {NULL, NULL};
    for (size_t i = 0; i < monitor->cgroup.level_count; i++) {
        const struct weir_room *room = &monitor->rooms[i];
        if (room->state == WEIR_ROOM_UNKNOWN && judged.unknown == NULL)
            judged.unknown = room;
        if (room->state == WEIR_ROOM_VALUE &&
            (judged.least == NULL || room->headroom_bytes < judged.least->headroom_bytes))
            judged.least = room;
    }
    return judged;
}

static void take_binding(const struct weir_monitor *monitor, const struct weir_room *room,
                         struct weir_reading *reading)
{
    const char *file =
        monitor->config.pressure_file != NULL ? "" : weir_cgroup_limit_file(&monitor->cgroup);
    reading->state = WEIR_READING_KNOWN;
    reading->level = (size_t)(room - monitor->rooms);
    reading->limit_bytes = room->limit_bytes;
    reading->usage_bytes = room->usage_bytes;
    reading->reclaimable_bytes = room->reclaimable_bytes;
    reading->used_bytes = room->used_bytes;
    reading->free_bytes = room->headroom_bytes;
    path_of(monitor, reading->level, file, reading->binding, sizeof reading->binding);
}

static void conclude(const struct weir_monitor *monitor, struct weir_reading *reading)
{
    char words[WEIR_GOVERN_REASON_SIZE];
    char path[WEIR_GOVERN_REASON_SIZE / 2];
    struct judged judged = judge(monitor);
    if (judged.unknown != NULL) {
        reading->level = (size_t)(judged.unknown - monitor->rooms);
        weir__room_words(monitor, reading->level, words, sizeof words);
        path_of(monitor, reading->level, "", path, sizeof path);
        reading->state = WEIR_READING_UNKNOWN;
        (void)snprintf(reading->why, sizeof reading->why, "%.120s: %.120s", path, words);
        if (judged.least == NULL)
            return;
        reading->is_partial = true;
    }
    if (judged.least != NULL) {
        take_binding(monitor, judged.least, reading);
        return;
    }
    reading->state = WEIR_READING_UNLIMITED;
    reading->limit_bytes = reading->free_bytes = UINT64_MAX;
    if (monitor->cgroup.level_count == 0) {
        (void)snprintf(reading->why, sizeof reading->why, "no memory cgroup");
        return;
    }
    weir__room_words(monitor, 0, words, sizeof words);
    (void)snprintf(reading->why, sizeof reading->why, "no limit at any of %zu %s (%.180s)",
                   monitor->cgroup.level_count,
                   monitor->cgroup.level_count == 1 ? "level" : "levels", words);
}

/* --- second signals ------------------------------------------------------------------------- */

static void read_pressure(struct weir_monitor *monitor, struct weir_reading *reading)
{
    const char *root = monitor->config.root;
    if (monitor->config.pressure_file != NULL) {
        reading->pressure = monitor->injected.pressure;
        return;
    }
    reading->pressure.state = WEIR_FIGURE_MISSING;
    if (monitor->cgroup.level_count > 0)
        weir_cgroup_read_pressure(root, &monitor->cgroup, reading->level, &reading->pressure);
    if (reading->pressure.state != WEIR_FIGURE_MISSING)
        return;
    reading->is_machine_pressure = true;
    weir_pressure_read(root, &reading->pressure);
}

/* v1 counts memory and swap together. */
static void take_swap(const struct weir_monitor *monitor, struct weir_reading *reading)
{
    const struct weir_cgroup_level *level = &monitor->levels[reading->level];
    reading->swap_limit = level->swap_limit;
    reading->swap_usage = level->swap_usage;
    if (monitor->cgroup.version == WEIR_CGROUP_V2)
        return;
    if (level->swap_limit.state == WEIR_FIGURE_VALUE && level->limit.state == WEIR_FIGURE_VALUE)
        reading->swap_limit.value = weir_sub_sat(level->swap_limit.value, level->limit.value);
    if (level->swap_usage.state == WEIR_FIGURE_VALUE && level->usage.state == WEIR_FIGURE_VALUE)
        reading->swap_usage.value = weir_sub_sat(level->swap_usage.value, level->usage.value);
}

static bool is_swap_full(const struct weir_reading *reading)
{
    return reading->swap_limit.state == WEIR_FIGURE_VALUE &&
           reading->swap_usage.state == WEIR_FIGURE_VALUE && reading->swap_limit.value > 0 &&
           reading->swap_usage.value / WEIR_SIGNAL_SWAP_PERCENT >= reading->swap_limit.value / 100;
}

static uint64_t count_of(struct weir_figure figure)
{
    return figure.state == WEIR_FIGURE_VALUE ? figure.value : 0;
}

/* A count that went down is of another cgroup of the same name: it begins anew. */
static void take_events(struct weir_monitor *monitor, struct weir_reading *reading)
{
    const struct weir_cgroup_level *level = &monitor->levels[reading->level];
    const struct weir_cgroup_events now = {count_of(level->events_high),
                                           count_of(level->events_max), count_of(level->events_oom),
                                           count_of(level->events_oom_kill)};
    const struct weir_cgroup_events before = monitor->events;
    if (monitor->has_events && monitor->events_level == reading->level)
        reading->events = (struct weir_cgroup_events){
            weir_sub_sat(now.high, before.high), weir_sub_sat(now.max, before.max),
            weir_sub_sat(now.oom, before.oom), weir_sub_sat(now.oom_kill, before.oom_kill)};
    monitor->events = now;
    monitor->events_level = reading->level;
    monitor->has_events = true;
}

/* The least memory.high; true when some level has reached its own. */
static bool take_high(const struct weir_monitor *monitor, struct weir_reading *reading)
{
    bool is_reached = false;
    reading->high.state = WEIR_FIGURE_MISSING;
    for (size_t i = 0; i < monitor->cgroup.level_count; i++) {
        const struct weir_figure high = monitor->levels[i].high, usage = monitor->levels[i].usage;
        if (high.state != WEIR_FIGURE_VALUE) {
            if (reading->high.state == WEIR_FIGURE_MISSING)
                reading->high = high;
            continue;
        }
        is_reached = is_reached || (usage.state == WEIR_FIGURE_VALUE && usage.value >= high.value);
        if (reading->high.state != WEIR_FIGURE_VALUE || high.value < reading->high.value)
            reading->high = high;
    }
    return is_reached;
}

static void take_signals(struct weir_monitor *monitor, struct weir_reading *reading)
{
    const struct weir_pressure_line *full = &reading->pressure.full;
    read_pressure(monitor, reading);
    if (reading->pressure.state == WEIR_FIGURE_VALUE && full->is_given &&
        full->avg10_bp >= WEIR_SIGNAL_PSI_FULL_BP)
        reading->signals |= WEIR_SIGNAL_PSI;
    if (monitor->cgroup.level_count == 0)
        return;
    if (take_high(monitor, reading))
        reading->signals |= WEIR_SIGNAL_HIGH;
    take_events(monitor, reading);
    if (reading->events.high != 0 || reading->events.max != 0 || reading->events.oom != 0)
        reading->signals |= WEIR_SIGNAL_EVENTS;
    take_swap(monitor, reading);
    if (is_swap_full(reading))
        reading->signals |= WEIR_SIGNAL_SWAP;
}

void weir_monitor_read(struct weir_monitor *monitor, uint64_t now_ns,
                       struct weir_reading *ret_reading)
{
    struct weir_reading reading = {.at_ns = now_ns,
                                   .high.state = WEIR_FIGURE_MISSING,
                                   .swap_limit.state = WEIR_FIGURE_MISSING,
                                   .swap_usage.state = WEIR_FIGURE_MISSING,
                                   .pressure.state = WEIR_FIGURE_MISSING};
    bool is_injected = monitor->config.pressure_file != NULL;
    if (is_injected ? inject(monitor, &reading) : find(monitor, &reading)) {
        struct weir_cgroup *cgroup = &monitor->cgroup;
        for (size_t i = 0; i < cgroup->level_count; i++) {
            if (!is_injected)
                weir_cgroup_read(monitor->config.root, cgroup, i, &monitor->levels[i]);
            monitor->rooms[i] = weir_cgroup_room(cgroup, i, &monitor->levels[i]);
        }
        reading.level_count = cgroup->level_count;
        conclude(monitor, &reading);
        take_signals(monitor, &reading);
    }
    *ret_reading = reading;
}
