/* Who is in a cgroup: the processes of its cgroup.procs and of those of all cgroups below it. */
#ifndef WEIR_BASE_PROC_CGROUP_MEMBERS_H
#define WEIR_BASE_PROC_CGROUP_MEMBERS_H

#include "base/proc_cgroup.h"

/* `pid` 0: a process that has no number here (another pid namespace). False ends the listing. */
typedef bool weir_cgroup_visit_process(void *context, uint64_t pid);

/* More cgroups than this below one are refused: a host's root has hundreds, and nobody who asks
 * for its processes wants to wait for thousands of folders. */
#define WEIR_CGROUP_FOLDERS_MAX 2048

/* Cgroups and processes that come or go meanwhile may or may not be seen; one that moves may be
 * seen twice. TOO_LARGE, NOT_FOUND, PERMISSION, IO, MALFORMED, NO_MEMORY. */
enum weir_status weir_cgroup_processes(const char *root, const struct weir_cgroup *cgroup,
                                       weir_cgroup_visit_process *visit, void *context,
                                       struct weir_error *error) WEIR_MUST_USE;

/* The text of cgroup.procs. Sets *ret_more to false when the visitor ended it. */
enum weir_status weir_cgroup_parse_processes(struct weir_text text,
                                             weir_cgroup_visit_process *visit, void *context,
                                             bool *ret_more, struct weir_error *error)
    WEIR_MUST_USE;

#endif
