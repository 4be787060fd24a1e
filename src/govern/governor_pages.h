/* A governor's status as others read it: the part of a metrics page, and JSON. */
#ifndef WEIR_GOVERN_GOVERNOR_PAGES_H
#define WEIR_GOVERN_GOVERNOR_PAGES_H

#include "govern/governor.h"
#include "observe/metrics.h"

/* The action whose state speaks for all: the one that refuses, else the first; NULL without. */
const struct weir_action_status *
weir_governor_main_action(const struct weir_governor_status *status);
/* Whether requests can be refused at all: a limit and a free limit are known. */
bool weir_governor_is_protecting(const struct weir_governor_status *status);

/* Every weir_pressure_*, weir_memory_*, weir_cgroup_*, weir_admissions and weir_background_* metric
 * of the table. */
void weir_metrics_governor(struct weir_metrics *metrics, const struct weir_governor_status *status,
                           uint64_t now_ns);

/* A malloc'ed text with a newline; NULL when memory is refused. */
char *weir_governor_json(const struct weir_governor_status *status, uint64_t now_ns);

#endif
