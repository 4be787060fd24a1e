/* Inside of the monitor: what it keeps between readings, shared with its explanation. */
#ifndef WEIR_GOVERN_MONITOR_INTERNAL_H
#define WEIR_GOVERN_MONITOR_INTERNAL_H

#include "govern/monitor.h"

/* /proc/PID/cgroup: one line per hierarchy; v1 has about a dozen. */
#define WEIR__MEMBERSHIP_SIZE 16384u

struct weir_monitor {
    struct weir_monitor_config config;
    struct weir_account *account;
    bool has_cgroup;
    struct weir_cgroup cgroup;
    /* The text that led to the cgroup; another one leads to another. */
    char membership[WEIR__MEMBERSHIP_SIZE];
    size_t membership_size;
    char scratch[WEIR__MEMBERSHIP_SIZE];
    /* Of the last reading. */
    struct weir_cgroup_level levels[WEIR_CGROUP_LEVELS_MAX];
    struct weir_room rooms[WEIR_CGROUP_LEVELS_MAX];
    struct weir_injected injected;
    /* Counts of memory.events at the level that bound, for the difference. */
    bool has_events;
    size_t events_level;
    struct weir_cgroup_events events;
};

/* What an UNLIMITED or UNKNOWN room says: "memory.max is missing: …". */
void weir__room_words(const struct weir_monitor *monitor, size_t level, char *text, size_t size);

#endif
