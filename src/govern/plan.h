/* A plan: every bound that a configuration allows, line by line with its source, their sum, and the
 * limit it must stay under.
 *
 * Strings are copied, lines keep their order. Sums saturate: a plan that cannot be counted does not
 * fit. A line without a bound is shown and never summed. One thread at a time.
 */
#ifndef WEIR_GOVERN_PLAN_H
#define WEIR_GOVERN_PLAN_H

#include "govern/govern_limits.h"
#include "ledger/ledger.h"

/* Where a figure is from. */
enum weir_plan_origin {
    WEIR_PLAN_DOCUMENT, /* the software's own documentation */
    WEIR_PLAN_CODE,     /* read in the software's source */
    WEIR_PLAN_CONFIG,   /* follows from the configuration */
    WEIR_PLAN_MEASURED, /* read from this machine: files, processes */
    WEIR_PLAN_ESTIMATE  /* reckoned; the line says how */
};
const char *weir_plan_origin_name(enum weir_plan_origin origin); /* "document" ... */

struct weir_plan_line {
    const char *name;      /* stable, for programs: "pebble_block_cache" */
    const char *what;      /* "Pebble block cache" */
    const char *allocator; /* who takes it: "calloc", "mmap", "Go"; or NULL */
    const char *why;       /* the key and the arithmetic */
    const char *where;     /* section of the document, file of the source; or NULL */
    enum weir_plan_origin origin;
    unsigned section; /* the caller's own grouping, for partial sums */
    uint64_t bytes;
    bool is_unbounded; /* nothing bounds it; `bytes` does not count */
};

/* Something the operator can move. */
struct weir_plan_knob {
    const char *name; /* "execution.caching.database-cache" */
    const char *unit; /* "MB", "threads" */
    uint64_t value;
    uint64_t minimum;
    uint64_t unit_bytes; /* what one unit less takes off the plan */
};

struct weir_plan;

enum weir_status weir_plan_new(const char *title, struct weir_plan **ret_plan,
                               struct weir_error *error) WEIR_MUST_USE;
void weir_plan_free(struct weir_plan *plan);
const char *weir_plan_title(const struct weir_plan *plan);

enum weir_status weir_plan_add(struct weir_plan *plan, const struct weir_plan_line *line,
                               struct weir_error *error) WEIR_MUST_USE;
enum weir_status weir_plan_add_knob(struct weir_plan *plan, const struct weir_plan_knob *knob,
                                    struct weir_error *error) WEIR_MUST_USE;
/* A weir_bound_report: takes what folders register with the ledger, what is charged in section 0,
 * what stands beside in section 1; mappings and descriptors are added to their counts. `context` is
 * the plan. What memory is refused for makes the plan incomplete: see total. */
enum weir_plan_section {
    WEIR_PLAN_CHARGED,
    WEIR_PLAN_BESIDE
};
void weir_plan_bound(void *context, const struct weir_bound *bound);

/* One limit over all lines of a section: what they sum up to beyond it is refused when it is asked
 * for, and does not count. At most one section of a plan is capped. */
enum weir_status weir_plan_cap(struct weir_plan *plan, unsigned section, uint64_t bytes,
                               const char *source, struct weir_error *error) WEIR_MUST_USE;
const char *weir_plan_cap_source(const struct weir_plan *plan); /* NULL: no cap */
uint64_t weir_plan_cut(const struct weir_plan *plan);           /* what the cap takes off */

/* Things that are counted: they fit or not beside the bytes. */
enum weir_plan_count_kind {
    WEIR_PLAN_MAPPINGS,
    WEIR_PLAN_DESCRIPTORS,
    WEIR_PLAN_COUNTS
};
struct weir_plan_count {
    const char *what;         /* "mappings" */
    const char *limit_source; /* static: "7/8 of vm.max_map_count"; NULL: no limit */
    uint64_t count, limit;
};
void weir_plan_set_count_limit(struct weir_plan *plan, enum weir_plan_count_kind kind,
                               uint64_t limit, const char *source);
struct weir_plan_count weir_plan_count(const struct weir_plan *plan,
                                       enum weir_plan_count_kind kind);
bool weir_plan_count_fits(const struct weir_plan_count *count);

/* What the sum must stay under and who says so: "--memory", "memory.max of /system.slice". */
enum weir_status weir_plan_set_limit(struct weir_plan *plan, uint64_t bytes, const char *source,
                                     struct weir_error *error) WEIR_MUST_USE;
/* The limit of the binding cgroup of process `pid` ("self"); `root` as in base/proc_cgroup.h.
 * NOT_FOUND when no cgroup limits it, MALFORMED when a limit cannot be read. */
enum weir_status weir_plan_set_cgroup(struct weir_plan *plan, const char *root, const char *pid,
                                      struct weir_error *error) WEIR_MUST_USE;

size_t weir_plan_line_count(const struct weir_plan *plan);
const struct weir_plan_line *weir_plan_line_at(const struct weir_plan *plan, size_t index);
/* Sums; UINT64_MAX: more than can be counted, or a bound got lost for want of memory. */
uint64_t weir_plan_total(const struct weir_plan *plan);
uint64_t weir_plan_section_total(const struct weir_plan *plan, unsigned section);
bool weir_plan_has_limit(const struct weir_plan *plan);
uint64_t weir_plan_limit(const struct weir_plan *plan); /* UINT64_MAX without one */
const char *weir_plan_limit_source(const struct weir_plan *plan);
/* True without a limit. Bytes and counts. */
bool weir_plan_fits(const struct weir_plan *plan);
uint64_t weir_plan_headroom(const struct weir_plan *plan); /* 0 when bytes do not fit */
uint64_t weir_plan_missing(const struct weir_plan *plan);  /* 0 when bytes fit */

/* How far one knob alone would have to move for the plan to fit. */
struct weir_plan_move {
    const struct weir_plan_knob *knob;
    uint64_t to;    /* the minimum when that is not enough */
    uint64_t gives; /* bytes that it takes off the plan */
    bool is_enough;
};
/* The knobs that can give most, the largest first; 0 when the bytes fit. */
size_t weir_plan_moves(const struct weir_plan *plan,
                       struct weir_plan_move ret_moves[WEIR_PLAN_MOVES]);

#endif
