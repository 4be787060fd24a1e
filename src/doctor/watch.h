/* A watch: samples of a process, thinned so that they never take more than a fixed room, and the
 * verdicts on them.
 *
 * Room. A watch keeps WEIR_VERDICT_SAMPLES_MAX slots. When they are full, neighbours are merged in
 * pairs, and from then on a slot takes twice as many samples: of those it keeps, for each class,
 * the one with the least resident memory (the trough, which is what the rules look at) and the
 * height of the highest. So a watch of any length keeps 512 to 1,024 slots over its whole time. */
#ifndef WEIR_DOCTOR_WATCH_H
#define WEIR_DOCTOR_WATCH_H

#include "doctor/verdict.h"
#include "doctor/verdict_limits.h"

#define WEIR_WATCH_NAME_SIZE 32

/* What one class was at one moment; bytes, NAN where it was not seen. */
struct weir_watch_class {
    double resident; /* with what is swapped out */
    double live, system;
};

/* One moment. The classes of a watch are numbered in the order of weir_watch_class_add. */
struct weir_watch_sample {
    double seconds;
    double operations, cache, cache_limit; /* NAN: not seen */
    double limit_bytes, used_bytes;        /* of the memory limit that binds; 0: none */
    struct weir_watch_class classes[WEIR_VERDICT_CLASSES_MAX];
};
/* Everything unseen. */
struct weir_watch_sample weir_watch_sample_empty(double seconds);

struct weir_watch;

enum weir_status weir_watch_new(struct weir_watch **ret_watch, struct weir_error *error)
    WEIR_MUST_USE;
void weir_watch_free(struct weir_watch *watch);
/* A class that is watched: `name` for programs ([a-z0-9_]), `text` for people. The first one is the
 * whole process. LIMIT: more than WEIR_VERDICT_CLASSES_MAX. */
enum weir_status weir_watch_class_add(struct weir_watch *watch, const char *name, const char *text,
                                      struct weir_error *error) WEIR_MUST_USE;
/* The cache is counted in entries, not bytes. */
void weir_watch_cache_entries(struct weir_watch *watch);
bool weir_watch_is_cache_entries(const struct weir_watch *watch);
/* Adds a moment; its seconds never go back (STATE). NO_MEMORY leaves the watch as it was. */
enum weir_status weir_watch_add(struct weir_watch *watch, const struct weir_watch_sample *sample,
                                struct weir_error *error) WEIR_MUST_USE;

size_t weir_watch_class_count(const struct weir_watch *watch);
const char *weir_watch_class_name(const struct weir_watch *watch, size_t index);
const char *weir_watch_class_text(const struct weir_watch *watch, size_t index);
/* How many moments were added, how many slots hold them, and how many moments a slot takes. */
struct weir_watch_count {
    size_t seen, kept, merged;
    double seconds; /* between the first and the last */
};
struct weir_watch_count weir_watch_count(const struct weir_watch *watch);

/* --- verdicts ------------------------------------------------------------------------------ */

/* What a trim of the process's allocator gave back. */
struct weir_watch_probe {
    bool is_done;
    double released;
};

struct weir_watch_verdicts {
    size_t count;
    size_t overall; /* the index of the one that speaks for the process */
    struct {
        size_t class; /* of the watch */
        struct weir_verdict verdict;
    } of[WEIR_VERDICT_CLASSES_MAX];
};

/* Judges every class that moved, and the whole process when it is the only one, when its own live
 * bytes are known, or when no class makes half of its growth. `probe` may be NULL. */
enum weir_status weir_watch_judge(const struct weir_watch *watch,
                                  const struct weir_watch_probe *probe,
                                  struct weir_watch_verdicts *ret_verdicts,
                                  struct weir_error *error) WEIR_MUST_USE;

/* --- the loop ------------------------------------------------------------------------------ */

enum weir_watch_end {
    WEIR_WATCH_COMPLETE, /* the time is over */
    WEIR_WATCH_STOPPED,  /* by a signal */
    WEIR_WATCH_GONE      /* the process ended */
};

/* Where samples come from and how time passes; tests put their own in. */
struct weir_watch_loop {
    uint64_t duration_ns, interval_ns;
    /* Fills `sample`, whose seconds are set. NOT_FOUND or STATE: the process is gone. Other
     * failures end the watch when it is the first sample or the tenth in a row. */
    enum weir_status (*take)(void *context, struct weir_watch_sample *sample,
                             struct weir_error *error);
    /* Waits until weir_clock_ns() is `until_ns`; false: stop. */
    bool (*wait)(void *context, uint64_t until_ns);
    /* After each sample; may be NULL. */
    void (*seen)(void *context, const struct weir_watch_sample *sample);
    void *context;
};

/* Samples until the end. A sample that took long delays the next by ten times that, so that reading
 * never takes more than about a tenth of the time. */
enum weir_status weir_watch_run(struct weir_watch *watch, const struct weir_watch_loop *loop,
                                enum weir_watch_end *ret_end, struct weir_error *error)
    WEIR_MUST_USE;

#endif
