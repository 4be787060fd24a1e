/* What a watch takes from snapshots of a process: which classes, and what of them. */
#ifndef WEIR_DOCTOR_WATCH_PROCESS_H
#define WEIR_DOCTOR_WATCH_PROCESS_H

#include "doctor/doctor.h"
#include "doctor/watch.h"

#define WEIR_WATCH_PROCESS "process"
#define WEIR_WATCH_MALLOC "malloc"

/* Adds the whole process, malloc with all that is its own, and every class that is not of malloc.
 * Of each, R is what no file backs, and what of it is swapped out: file pages are the page cache's,
 * which the kernel takes back. malloc alone has L and S: its heaps by the walk over their chunks,
 * mapped chunks as they are. */
enum weir_status weir_watch_process_classes(struct weir_watch *watch, struct weir_error *error)
    WEIR_MUST_USE;
/* Fills in all but the time, operations and cache. */
void weir_watch_process_fill(const struct weir_doctor_snapshot *snapshot,
                             struct weir_watch_sample *sample);
/* What people call the class of that name; NULL: there is none. */
const char *weir_watch_process_text(const char *name);

#endif
