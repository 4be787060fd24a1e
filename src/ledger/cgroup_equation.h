/* Equation (b) of DESIGN law 1, for the memory cgroup of a process:
 *
 *   usage = anonymous memory of its processes + page cache + shared memory + kernel memory
 *           + unexplained
 *
 * Left side: memory.current (v1: memory.usage_in_bytes), the charge counter that the limit is
 * compared with. Right side: smaps_rollup of every process in the cgroup and below it; cache and
 * shmem of memory.stat; its kernel and sock (v1: memory.kmem.usage_in_bytes). File-backed RSS is
 * shown beside it: its pages are page cache already, of this cgroup or of the one that read the
 * file first.
 *
 * A process's share counts (Pss_Anon): pages that a fork left to two processes are charged once.
 */
#ifndef WEIR_LEDGER_CGROUP_EQUATION_H
#define WEIR_LEDGER_CGROUP_EQUATION_H

#include "base/proc_cgroup.h"

enum weir_cgroup_equation_state {
#define WEIR_EQUATION_STATE(id, name, meaning) WEIR_CGROUP_EQUATION_##id,
#include "ledger/cgroup_equation_states.def"
#undef WEIR_EQUATION_STATE
    WEIR_CGROUP_EQUATION_STATE_COUNT
};

struct weir_cgroup_equation {
    enum weir_cgroup_equation_state state;
    enum weir_cgroup_version version;
    /* Figures are zero where the state is neither HOLDS nor BROKEN, but what could be read. */
    uint64_t usage_bytes;
    uint64_t anonymous_bytes;
    uint64_t cache_bytes; /* without shared memory */
    uint64_t shared_bytes;
    uint64_t kernel_bytes;
    int64_t unexplained_bytes;
    uint64_t tolerance_bytes;
    uint64_t file_resident_bytes; /* shown only */
    uint64_t process_count;
    uint64_t unreadable_count; /* processes whose smaps may not be read */
    uint64_t read_ns;          /* weir_clock_ns() after the reading, and how long it took */
    uint64_t cost_ns;
};

/* The state tells; never fails. `root` as in proc_cgroup.h. The kernel walks every page of all
 * processes: 40 to 150 µs for each MiB they have touched (measured with 100 and 500 MiB). */
void weir_cgroup_equation_read(const char *root, const struct weir_cgroup *cgroup,
                               struct weir_cgroup_equation *ret);
/* Of the cgroup that process `pid` ("self" or a number) is in, or of `folder` unless it is NULL. */
void weir_cgroup_equation_find(const char *root, const char *pid, const char *folder,
                               struct weir_cgroup_equation *ret);

/* As above, unless *equation was read so lately that this would take more than 1 % of the time. */
void weir_cgroup_equation_renew(struct weir_cgroup_equation *equation, const char *root,
                                const char *pid, const char *folder);

const char *weir_cgroup_equation_state_name(enum weir_cgroup_equation_state state);
/* A sentence for people. */
const char *weir_cgroup_equation_state_meaning(enum weir_cgroup_equation_state state);

#endif
