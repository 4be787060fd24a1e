/* See watch_process.h. */
#include "doctor/watch_process.h"

#include <math.h>
#include <string.h>

static bool is_malloc(enum weir_doctor_class class)
{
    return class == WEIR_DOCTOR_MALLOC_MAIN || class == WEIR_DOCTOR_MALLOC_ARENA ||
           class == WEIR_DOCTOR_MALLOC_MAPPED;
}

enum weir_status weir_watch_process_classes(struct weir_watch *watch, struct weir_error *error)
{
    enum weir_status status = weir_watch_class_add(watch, WEIR_WATCH_PROCESS, "The process", error);
    if (status == WEIR_OK)
        status = weir_watch_class_add(watch, WEIR_WATCH_MALLOC, "malloc", error);
    for (int i = 0; i < WEIR_DOCTOR_CLASS_COUNT && status == WEIR_OK; i++) {
        enum weir_doctor_class class = (enum weir_doctor_class)i;
        if (!is_malloc(class))
            status = weir_watch_class_add(watch, weir_doctor_class_name(class),
                                          weir_doctor_class_text(class), error);
    }
    return status;
}

static double resident_of(const struct weir_doctor_sum *sum, enum weir_doctor_class class)
{
    uint64_t resident = class == WEIR_DOCTOR_SHARED ? sum->rss_bytes : sum->anon_bytes;
    return (double)(resident + sum->swap_bytes);
}

/* Live and system bytes of heaps that were walked whole; otherwise unseen, unless nothing is
 * there. */
static void add_heaps(const struct weir_doctor_malloc *heaps, const struct weir_doctor_sum *sum,
                      struct weir_watch_class *to)
{
    bool is_whole = heaps->state == WEIR_DOCTOR_WALK_WHOLE;
    bool is_absent = heaps->state == WEIR_DOCTOR_WALK_NONE && sum->anon_bytes == 0;
    to->live += is_whole ? (double)heaps->live_bytes : is_absent ? 0 : NAN;
    to->system += is_whole ? (double)heaps->system_bytes : is_absent ? 0 : NAN;
}

static struct weir_watch_class malloc_of(const struct weir_doctor_snapshot *snapshot)
{
    const struct weir_doctor_sum *sums = snapshot->sums;
    double mapped = resident_of(&sums[WEIR_DOCTOR_MALLOC_MAPPED], WEIR_DOCTOR_MALLOC_MAPPED);
    struct weir_watch_class class = {.resident = mapped, .live = mapped, .system = mapped};
    class.resident += resident_of(&sums[WEIR_DOCTOR_MALLOC_MAIN], WEIR_DOCTOR_MALLOC_MAIN) +
                      resident_of(&sums[WEIR_DOCTOR_MALLOC_ARENA], WEIR_DOCTOR_MALLOC_ARENA);
    add_heaps(&snapshot->main_heap, &sums[WEIR_DOCTOR_MALLOC_MAIN], &class);
    add_heaps(&snapshot->arenas, &sums[WEIR_DOCTOR_MALLOC_ARENA], &class);
    return class;
}

void weir_watch_process_fill(const struct weir_doctor_snapshot *snapshot,
                             struct weir_watch_sample *sample)
{
    size_t at = 1;
    double whole = 0;
    sample->classes[at++] = malloc_of(snapshot);
    for (int i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++) {
        enum weir_doctor_class class = (enum weir_doctor_class)i;
        double resident = resident_of(&snapshot->sums[class], class);
        whole += resident;
        if (!is_malloc(class))
            sample->classes[at++].resident = resident;
    }
    sample->classes[0].resident = whole;
    if (snapshot->has_cgroup) {
        sample->limit_bytes = (double)snapshot->cgroup.limit_bytes;
        sample->used_bytes =
            (double)(snapshot->cgroup.limit_bytes - snapshot->cgroup.headroom_bytes);
    }
}

const char *weir_watch_process_text(const char *name)
{
    if (strcmp(name, WEIR_WATCH_PROCESS) == 0)
        return "The process";
    if (strcmp(name, WEIR_WATCH_MALLOC) == 0)
        return "malloc";
    for (int i = 0; i < WEIR_DOCTOR_CLASS_COUNT; i++)
        if (strcmp(name, weir_doctor_class_name((enum weir_doctor_class)i)) == 0)
            return weir_doctor_class_text((enum weir_doctor_class)i);
    return NULL;
}
