/* The memory cgroup a process is in, and every ancestor that limits it: v1, v2, hybrid.
 *
 * The own path comes from /proc/PID/cgroup, its place in the file system from mountinfo. Every
 * figure has a state of its own: a file that is missing, says "max" or cannot be understood is
 * told apart from a number, and nothing is guessed. All files are read below `root`, so that a test
 * can hand in a tree of its own; "" is the machine. Nothing is allocated.
 */
#ifndef WEIR_BASE_PROC_CGROUP_H
#define WEIR_BASE_PROC_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/proc_pressure.h"

enum weir_cgroup_version {
    WEIR_CGROUP_NONE,  /* no memory controller that can be seen */
    WEIR_CGROUP_V1,    /* memory in v1, no v2 mounted */
    WEIR_CGROUP_V2,    /* memory in v2 */
    WEIR_CGROUP_HYBRID /* memory in v1, v2 mounted beside it */
};

/* One cgroup. What a version does not have is MISSING. */
struct weir_cgroup_level {
    struct weir_figure limit;      /* memory.max; memory.limit_in_bytes */
    struct weir_figure high;       /* memory.high; memory.soft_limit_in_bytes is something else */
    struct weir_figure usage;      /* memory.current; memory.usage_in_bytes */
    struct weir_figure swap_limit; /* memory.swap.max; v1: memsw limit, memory and swap together */
    struct weir_figure swap_usage;
    struct weir_figure kernel_usage; /* v1: memory.kmem.usage_in_bytes; v2: kernel of memory.stat */
    /* Of memory.stat, with everything below (v1: the total_ lines). */
    struct weir_figure anon, file, shmem, active_file, inactive_file, unevictable, dirty;
    /* Of memory.events (v1: failcnt as max, oom_kill of memory.oom_control). */
    struct weir_figure events_high, events_max, events_oom, events_oom_kill;
    bool limits_below; /* v1 without use_hierarchy limits itself only; else true */
    bool is_gone;      /* the folder is not there: removed, or not made yet */
};

#define WEIR_CGROUP_PATH_SIZE 4096
#define WEIR_CGROUP_LEVELS_MAX 32

struct weir_cgroup {
    enum weir_cgroup_version version;
    /* The path did not lead into the mount (another namespace); the mount's top stands for it. */
    bool approximate;
    char path[WEIR_CGROUP_PATH_SIZE];   /* as the kernel names it: "/system.slice/x" */
    char folder[WEIR_CGROUP_PATH_SIZE]; /* where it is, without root: "/sys/fs/cgroup/…" */
    /* Level 0 is the cgroup itself, the last one the top of the mount; each is a prefix. */
    size_t level_count;
    size_t folder_lengths[WEIR_CGROUP_LEVELS_MAX];
};

/* `pid` is "self" or a number. NOT_FOUND without such a process; MALFORMED; version NONE is OK. */
enum weir_status weir_cgroup_find(const char *root, const char *pid, struct weir_cgroup *ret_cgroup,
                                  struct weir_error *error) WEIR_MUST_USE;
/* As above for a folder that is given ("/sys/fs/cgroup/memory/x"), up to its mount; or for a name
 * as the kernel writes it ("/system.slice/x", v1's memory hierarchy before v2). It need not
 * exist yet. Paths in /sys are always folders. */
enum weir_status weir_cgroup_open(const char *root, const char *folder,
                                  struct weir_cgroup *ret_cgroup, struct weir_error *error)
    WEIR_MUST_USE;

/* Reads one level afresh; never fails, the states tell. */
void weir_cgroup_read(const char *root, const struct weir_cgroup *cgroup, size_t level,
                      struct weir_cgroup_level *ret_level);

/* What a level says about the room under its limit.
 *
 *   VALUE      limit and usage are numbers; the figures below count.
 *   UNLIMITED  nothing limits this level: `why` MAX is "max" (or v1's 2^63), MISSING is a cgroup
 *              without the files: the root, or v2 where the memory controller is not enabled.
 *   UNKNOWN    there is or may be a limit, but `file` could not be used: `why` says how.
 *
 * A folder that is gone is UNKNOWN with file "". A level above that does not limit what is below
 * it (v1 without use_hierarchy) is UNLIMITED with `file` memory.use_hierarchy.
 */
enum weir_room_state {
    WEIR_ROOM_VALUE,
    WEIR_ROOM_UNLIMITED,
    WEIR_ROOM_UNKNOWN
};
struct weir_room {
    enum weir_room_state state;
    enum weir_figure_state why;
    const char *file; /* static */
    bool has_figures; /* of VALUE; also where memory.stat alone is unknown: nothing reclaimable */
    uint64_t limit_bytes;
    uint64_t usage_bytes;
    uint64_t reclaimable_bytes; /* active_file + inactive_file, at most the usage */
    uint64_t used_bytes;        /* usage without reclaimable */
    uint64_t headroom_bytes;    /* limit without used; 0 when more is used */
};
struct weir_room weir_cgroup_room(const struct weir_cgroup *cgroup, size_t level,
                                  const struct weir_cgroup_level *figures);

/* Whether usage - (active_file + inactive_file) >= limit - free_limit, without overflow: a free
 * limit of the whole limit or more is always met. */
static inline bool weir_room_is_short(const struct weir_room *room, uint64_t free_limit_bytes)
{
    return room->headroom_bytes <= free_limit_bytes;
}

/* The level with the least room between usage and limit, of those that have figures; usage counts
 * without what the kernel can drop at once. False when there is no such level. */
struct weir_cgroup_binding {
    size_t level;
    uint64_t limit_bytes;
    uint64_t usage_bytes;
    uint64_t reclaimable_bytes;
    uint64_t headroom_bytes;
};
bool weir_cgroup_binding(const char *root, const struct weir_cgroup *cgroup,
                         struct weir_cgroup_binding *ret_binding);

/* Files' names in this version: "memory.max" or "memory.limit_in_bytes" … */
const char *weir_cgroup_limit_file(const struct weir_cgroup *cgroup);
const char *weir_cgroup_usage_file(const struct weir_cgroup *cgroup);
const char *weir_cgroup_version_name(enum weir_cgroup_version version); /* "v1", "none" … */

/* memory.pressure of a level (v2 only); MISSING where the kernel has none. */
void weir_cgroup_read_pressure(const char *root, const struct weir_cgroup *cgroup, size_t level,
                               struct weir_pressure *ret_pressure);

/* --- the texts, for tests and fuzzing ------------------------------------------------------ */

struct weir_text {
    const char *bytes;
    size_t length;
};

/* /proc/PID/cgroup: the paths in the v1 memory hierarchy and in v2. bytes NULL: not in one. */
struct weir_cgroup_membership {
    struct weir_text v1;
    struct weir_text v2;
};
enum weir_status weir_cgroup_parse_membership(const char *text, size_t size,
                                              struct weir_cgroup_membership *ret_membership,
                                              struct weir_error *error) WEIR_MUST_USE;

/* A line of mountinfo; root and point are decoded ("\040"). */
struct weir_mount {
    char root[WEIR_CGROUP_PATH_SIZE];
    char point[WEIR_CGROUP_PATH_SIZE];
    bool is_v1_memory;
    bool is_v2;
};
/* MALFORMED when it is no line of mountinfo; TOO_LARGE when a path does not fit. */
enum weir_status weir_mount_parse(const char *line, size_t length, struct weir_mount *ret_mount,
                                  struct weir_error *error) WEIR_MUST_USE;

/* The whole text of a one-figure file: digits or "max", a newline at most behind. */
struct weir_figure weir_cgroup_parse_figure(const char *text, size_t size);
/* "key value" lines of memory.stat, memory.events … */
struct weir_figure weir_cgroup_parse_key(const char *text, size_t size, const char *key);

#endif
