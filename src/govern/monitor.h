/* The monitor: reads how much room a process has under its memory limit, with second signals.
 *
 * The limit is that of the memory cgroup and of every ancestor (base/proc_cgroup.h); of all levels
 * the one with the least room counts. A test may hand in a tree of its own (`root`), or one text
 * file with the figures (`pressure_file`). What a reading can be:
 *
 *   KNOWN      some level has a limit, and every level could be read.
 *   UNLIMITED  every level could be read, and none has a limit; or there is no memory cgroup.
 *   UNKNOWN    some level has or may have a limit, but a file is missing, malformed or unreadable,
 *              the cgroup or the process is gone.
 *
 * When other levels have figures the reading is KNOWN but partial: who finds it short may act on
 * it, whatever the unread level would say; for everybody else it is as good as UNKNOWN.
 *
 * One thread at a time. Nothing is allocated between weir_monitor_new() and weir_monitor_free(),
 * except that a process (`pid`) which moved to another cgroup is looked up again.
 */
#ifndef WEIR_GOVERN_MONITOR_H
#define WEIR_GOVERN_MONITOR_H

#include "base/proc_cgroup.h"
#include "govern/govern_limits.h"
#include "ledger/ledger.h"

/* Strings are kept by pointer and must live as long as the monitor. */
struct weir_monitor_config {
    const char *root;          /* in front of every path; NULL or "": this machine */
    const char *pid;           /* whose cgroup: "self" (also NULL) or a number */
    const char *cgroup;        /* instead: a folder or a name, see weir_cgroup_open() */
    const char *pressure_file; /* instead of all this: injected figures, see below */
};

enum weir_reading_state {
    WEIR_READING_KNOWN,
    WEIR_READING_UNLIMITED,
    WEIR_READING_UNKNOWN
};
const char *weir_reading_state_name(enum weir_reading_state state); /* "known" … */

/* Second signals: none of them decides alone (govern/trigger.h). */
enum weir_signal {
    WEIR_SIGNAL_PSI = 1,    /* all tasks stalled for memory: `full` avg10 is high */
    WEIR_SIGNAL_HIGH = 2,   /* usage has reached memory.high: the kernel throttles */
    WEIR_SIGNAL_EVENTS = 4, /* memory.events counted high, max or oom since the reading before */
    WEIR_SIGNAL_SWAP = 8    /* what may be swapped is nearly all swapped */
};
#define WEIR_SIGNAL_COUNT 4
const char *weir_signal_name(enum weir_signal signal); /* "psi" … */

/* What happened at the binding level; 0 where the kernel does not count it. */
struct weir_cgroup_events {
    uint64_t high, max, oom, oom_kill;
};

struct weir_reading {
    enum weir_reading_state state;
    bool is_partial; /* KNOWN by some levels, while another is UNKNOWN: `why` */
    uint64_t at_ns;
    /* Of the binding level. UNLIMITED: the limit and what is free are UINT64_MAX. UNKNOWN: 0. */
    uint64_t limit_bytes;
    uint64_t usage_bytes;
    uint64_t reclaimable_bytes;
    uint64_t used_bytes; /* usage without reclaimable */
    uint64_t free_bytes;
    size_t level;
    size_t level_count;
    char binding[WEIR_GOVERN_BINDING_SIZE]; /* the limit's file; "" without */
    char why[WEIR_GOVERN_REASON_SIZE];      /* UNLIMITED, UNKNOWN, partial: in words */
    unsigned signals;                       /* enum weir_signal, or'ed */
    struct weir_pressure pressure;
    bool is_machine_pressure;      /* the cgroup has none of its own: /proc/pressure/memory */
    struct weir_figure high;       /* the least memory.high of all levels */
    struct weir_figure swap_limit; /* of the binding level, without memory */
    struct weir_figure swap_usage;
    struct weir_cgroup_events events; /* since the reading before */
};

struct weir_monitor;

/* Reads nothing yet: a cgroup that cannot be found is an UNKNOWN reading. INVALID_ARGUMENT for a
 * pid that is no number. */
enum weir_status weir_monitor_new(const struct weir_monitor_config *config,
                                  struct weir_account *account, struct weir_monitor **ret_monitor,
                                  struct weir_error *error) WEIR_MUST_USE;
void weir_monitor_free(struct weir_monitor *monitor);

void weir_monitor_read(struct weir_monitor *monitor, uint64_t now_ns,
                       struct weir_reading *ret_reading);
/* "/sys/fs/cgroup/x (v2)", "process 77", the pressure file: what is watched, in words. */
void weir_monitor_describe(const struct weir_monitor *monitor, char *text, size_t size);

/* The injected figures: one "key value" per line, sizes in the grammar of base/sizes.h.
 *
 *   limit 2GiB           needed; "max": no limit
 *   usage 1500MiB        needed
 *   active_file 0B       and inactive_file, high, swap_limit, swap_usage: as they are left out
 *   psi_full_avg10 3.50  percent
 *
 * Or the one line "unknown WHY". MALFORMED with the line for everything else. */
struct weir_injected {
    struct weir_cgroup_level figures;
    struct weir_pressure pressure;
    bool is_unknown;
    char why[WEIR_GOVERN_REASON_SIZE];
};
enum weir_status weir_injected_parse(const char *text, size_t size,
                                     struct weir_injected *ret_injected, struct weir_error *error)
    WEIR_MUST_USE;

/* Explains line by line which file binds, at which level, and what every level said; at most 80
 * columns but for paths. `free_limit_bytes` is what the refusing compares with, or UINT64_MAX. */
typedef void weir_explain_line(void *context, const char *line);
void weir_monitor_explain(struct weir_monitor *monitor, uint64_t free_limit_bytes,
                          weir_explain_line *line, void *context);

#endif
