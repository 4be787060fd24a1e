/* The doctor: whose memory is it? One snapshot of a process (ours or not, without its help): every
 * resident byte in a class, by rules with names and a confidence; swap, faults, page tables and
 * limits beside it; and, where the process's memory may be read, what malloc holds free.
 *
 *   rss_bytes = sum over all classes of sums[class].rss_bytes     (exact: unknown is a class too)
 *
 * Everything comes from /proc/PID of a running process, so a snapshot is a smear over a few
 * milliseconds: each area is right for its own moment, none is counted twice. VMA sizes are never
 * reported as memory. What cannot be seen is "not observable", never zero: look at the has_ and
 * state fields first. One thread at a time per snapshot.
 */
#ifndef WEIR_DOCTOR_DOCTOR_H
#define WEIR_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/proc_cgroup.h"

enum weir_doctor_class {
#define WEIR_DOCTOR_CLASS(id, name, text, generic) WEIR_DOCTOR_##id,
#include "doctor/doctor_classes.def"
#undef WEIR_DOCTOR_CLASS
    WEIR_DOCTOR_CLASS_COUNT
};

/* How far to believe a class. A sum has the confidence of the least of its rules that gave it a
 * twentieth of its bytes or more. */
enum weir_doctor_confidence {
    WEIR_DOCTOR_UNKNOWN,   /* a generic class */
    WEIR_DOCTOR_GEOMETRY,  /* size and place only */
    WEIR_DOCTOR_FLAGS,     /* VmFlags and geometry */
    WEIR_DOCTOR_NAMED,     /* the kernel or the owner wrote a name on it */
    WEIR_DOCTOR_CONFIRMED, /* the owner's own structures were found in the memory */
    WEIR_DOCTOR_CONFIDENCE_COUNT
};

const char *weir_doctor_class_name(enum weir_doctor_class class); /* "malloc_arena" */
const char *weir_doctor_class_text(enum weir_doctor_class class); /* "malloc: arenas" */
bool weir_doctor_class_is_generic(enum weir_doctor_class class);
/* "unknown", "geometry", "flags+geometry", "named", "confirmed" */
const char *weir_doctor_confidence_name(enum weir_doctor_confidence confidence);

/* The rules that classify, in the order in which they are tried (doctor_rules.def). */
enum weir_doctor_rule {
#define WEIR_DOCTOR_RULE(id, name, class, confidence, match, argument, text) WEIR_DOCTOR_BY_##id,
#include "doctor/doctor_rules.def"
#undef WEIR_DOCTOR_RULE
    WEIR_DOCTOR_RULE_COUNT
};
const char *weir_doctor_rule_name(enum weir_doctor_rule rule); /* stable: "glibc-arena" */
const char *weir_doctor_rule_text(enum weir_doctor_rule rule); /* how it knows */

/* One class of a snapshot. All in bytes. */
struct weir_doctor_sum {
    uint64_t rss_bytes;         /* R: resident now (Rss of smaps, or pages of a split area) */
    uint64_t anon_bytes;        /* of those, anonymous: only these are the process's own */
    uint64_t swap_bytes;        /* beside rss_bytes, not in it */
    uint64_t huge_bytes;        /* of rss_bytes, in transparent huge pages */
    uint64_t space_bytes;       /* address space of the areas; not memory */
    uint64_t count;             /* arenas, stacks, chunks, memories ... else areas */
    enum weir_doctor_rule rule; /* the rule that gave most of rss_bytes */
    enum weir_doctor_confidence confidence;
    bool is_merged; /* areas of several owners lie in one VMA here, and were divided by guess */
};

/* Whether malloc's own chunks could be walked (glibc only). */
enum weir_doctor_walk_state {
    WEIR_DOCTOR_WALK_NONE,    /* no such heap */
    WEIR_DOCTOR_WALK_WHOLE,   /* all of it, every step validated */
    WEIR_DOCTOR_WALK_PART,    /* some heaps were lost or left out: see lost_bytes */
    WEIR_DOCTOR_WALK_REFUSED, /* the process's memory may not be read */
    WEIR_DOCTOR_WALK_LOST     /* nothing was found in order; not observable */
};

/* What a walk over glibc's chunks found. Freed chunks that a thread keeps back (tcache) or that
 * wait in fastbins look in use, as for mallinfo2: they are within live_bytes. Those of tcache are
 * counted in cached_bytes too, where the lists were found (glibc 2.30 to 2.41). */
struct weir_doctor_malloc {
    enum weir_doctor_walk_state state;
    uint64_t system_bytes; /* S: from the first chunk to the end of the top chunk, walked heaps */
    uint64_t live_bytes;   /* L: chunks in use, headers included, walked heaps */
    uint64_t free_bytes;   /* system - live: free chunks and top chunks */
    uint64_t free_resident_bytes; /* of free_bytes, pages that are resident and hold nothing else */
    uint64_t lost_bytes;          /* resident bytes of heaps that could not be walked */
    uint64_t chunk_count;         /* in use */
    uint64_t free_count;
    uint64_t heap_count; /* walked */
    uint64_t cached_bytes;
};

struct weir_doctor_snapshot {
    uint64_t pid;
    char name[64];       /* comm */
    char program[256];   /* what /proc/PID/exe leads to; "" when it may not be read */
    uint64_t time_ns;    /* CLOCK_MONOTONIC when smaps had been read */
    uint64_t took_ns;    /* how long the snapshot took */
    uint64_t start_time; /* of the process, clock ticks since boot: tells a PID that was reused */

    uint64_t rss_bytes; /* Σ Rss of smaps */
    uint64_t pss_bytes;
    uint64_t anon_bytes; /* Σ Anonymous: what a cgroup is charged for this process */
    uint64_t swap_bytes;
    uint64_t huge_bytes;
    uint64_t page_table_bytes; /* VmPTE, not in rss_bytes */
    uint64_t unknown_bytes;    /* rss_bytes of generic classes */
    uint64_t area_count;       /* VMAs */
    uint64_t moved_count;      /* areas that changed under the reading and were read again */
    uint64_t thread_count;
    uint64_t cpu_count;    /* that the machine has, configured */
    uint64_t major_faults; /* since the process began */
    uint64_t minor_faults;
    uint64_t hwm_bytes; /* VmHWM: the most RSS ever */

    struct weir_doctor_sum sums[WEIR_DOCTOR_CLASS_COUNT];
    /* Series for a verdict per class c: R = sums[c].rss_bytes; L and S only where they can be seen:
     * main heap and arenas by the walk, mapped chunks are all live (L = S = R). */
    struct weir_doctor_malloc main_heap; /* of class MALLOC_MAIN */
    struct weir_doctor_malloc arenas;    /* of class MALLOC_ARENA, all heaps together */
    uint64_t arena_count; /* arenas; a chain of heaps is one (0: could not be told from heaps) */

    /* What was seen of the program itself. */
    bool is_go; /* Go build information in the executable */
    bool has_glibc, has_musl, has_jemalloc, has_mimalloc, has_tcmalloc, has_v8, has_python;
    bool can_read_memory; /* process_vm_readv is permitted */
    bool can_read_pages;  /* /proc/PID/pagemap is readable */
    bool has_gomemlimit;  /* in its environment, which may be unreadable */
    bool has_arena_max;
    bool can_read_environment;
    char gomemlimit[32];
    char arena_max[32];

    bool has_cgroup; /* a cgroup limits it: the binding one */
    struct weir_cgroup_binding cgroup;
    char cgroup_folder[512];
};

/* Where to read: "" is the machine; else a folder that holds proc/ and sys/ (saved files: then no
 * memory is read and nothing is confirmed). */
struct weir_doctor_options {
    const char *root;
    bool no_memory; /* leave process_vm_readv alone */
};

/* Takes one. `pid` is a number or "self". NOT_FOUND: no such process, or it ended meanwhile; STATE:
 * a zombie (all its threads have ended) or a kernel thread, which has no memory; PERMISSION with
 * what would help; LIMIT: more areas than doctor_limits.h allows; MALFORMED: a saved file that is
 * none; IO: a file of /proc cannot be read, or the process begins other programs all the time. */
enum weir_status weir_doctor_read(const struct weir_doctor_options *options, const char *pid,
                                  struct weir_doctor_snapshot *ret_snapshot,
                                  struct weir_error *error) WEIR_MUST_USE;

/* Adds `more` to `sum`, class by class (the processes of a cgroup). Pages that several processes
 * share are counted once per process in rss_bytes; anon_bytes does not have that fault. */
void weir_doctor_add(struct weir_doctor_snapshot *sum, const struct weir_doctor_snapshot *more);

#endif
