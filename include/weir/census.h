/* Census: which objects of Weir live in this process, who owns them, how old they are, who made
 * them; two can be compared. Retention: the ways in which hosts keep guests by mistake, by name.
 *
 * A census is taken from any thread while stores run on theirs: a store that makes or drops
 * something at that very moment waits for the census to have passed over a batch of stores, and
 * nobody pays anything otherwise. Each object is seen in one moment; all of them together are not.
 * Memory is bounded: totals are exact, objects that are alike (type, name, origin) share a group,
 * and what finds no room in a group is in `left_out`.
 */
#ifndef WEIR_CENSUS_H
#define WEIR_CENSUS_H

#include <weir/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_census_type {
    WEIR_CENSUS_ENGINE,
    WEIR_CENSUS_MODULE,
    WEIR_CENSUS_LINKER,
    WEIR_CENSUS_STORE,
    WEIR_CENSUS_INSTANCE,
    WEIR_CENSUS_MEMORY,
    WEIR_CENSUS_TABLE,
    WEIR_CENSUS_HANDLE, /* name: of the resource type */
    WEIR_CENSUS_TASK,   /* not reaped; name: its label */
    WEIR_CENSUS_PIN,    /* name: the holder */
    WEIR_CENSUS_HELD,   /* registered by weir_held_new(); name: its label */
    WEIR_CENSUS_TYPE_COUNT
};
const char *weir_census_type_name(enum weir_census_type type); /* "handle" */

#define WEIR_CENSUS_NAME_SIZE 64
#define WEIR_CENSUS_ORIGIN_SIZE 192
#define WEIR_CENSUS_OWNER_SIZE 96

/* Zero-initialise; zero means the default named behind each field. */
struct weir_census_config {
    struct weir_account *account; /* pays for the census; the host's */
    uint32_t groups_max;          /* 1,024 */
    uint32_t stores_max;          /* listed one by one, the oldest: 256 */
    /* What is younger than this census is `fresh` in the new one: none is. So is what was made
     * while that one was being taken. */
    const struct weir_census *since;
};

struct weir_census_group {
    enum weir_census_type type;
    char name[WEIR_CENSUS_NAME_SIZE];
    /* Handles: label, guest function and place that made them. Tasks, held things: their state.
     * Stores: whether they are slots of a pool. */
    char origin[WEIR_CENSUS_ORIGIN_SIZE];
    char owner[WEIR_CENSUS_OWNER_SIZE]; /* of the oldest: 'instance 2 of store "x"' */
    uint64_t count, bytes;
    uint64_t fresh_count;
    uint64_t ended_count; /* things that stand for an instance or store that has ended */
    uint64_t oldest_ns;   /* age */
};

struct weir_census_total {
    uint64_t count, bytes;
    uint64_t left_out; /* of count, in no group */
    uint64_t made;     /* so far; handles, tasks, pins, memories and tables: 0, not counted */
};

struct weir_census_store {
    uint64_t id; /* never used again */
    char name[WEIR_CENSUS_NAME_SIZE];
    char tenant[WEIR_CENSUS_NAME_SIZE]; /* the account above it */
    const struct weir_account *account; /* to be compared, not to be used: it may be gone */
    uint64_t age_ns;
    uint64_t used_bytes, linear_bytes;
    uint64_t calls, resets;  /* from the host, outermost; of instances */
    uint64_t thread_changes; /* calls by another thread than the one before */
    uint32_t instances, instances_made, handles;
    bool is_pooled; /* a slot of a weir_pool */
};

struct weir_census;

/* `engine` NULL: of all engines; held things and tasks of closed stores are always of all. LIMIT
 * when the account has no room for it; BUSY, once, when the kernel stopped to grant membarrier. */
enum weir_status weir_census_take(struct weir_engine *engine,
                                  const struct weir_census_config *config,
                                  struct weir_census **ret_census, struct weir_error *error);
void weir_census_free(struct weir_census *census); /* NULL is allowed */

void weir_census_total(const struct weir_census *census, enum weir_census_type type,
                       struct weir_census_total *ret);
/* NULL beyond the count. */
size_t weir_census_group_count(const struct weir_census *census);
const struct weir_census_group *weir_census_group(const struct weir_census *census, size_t index);
size_t weir_census_store_count(const struct weir_census *census);
const struct weir_census_store *weir_census_store(const struct weir_census *census, size_t index);
uint64_t weir_census_taken_ns(const struct weir_census *census); /* CLOCK_MONOTONIC */
/* Instances that were made and have ended, by release, by a reset or with their store. */
uint64_t weir_census_completed(const struct weir_census *census);
/* Bytes that stores, engines and held things account for. */
uint64_t weir_census_bytes(const struct weir_census *census);

/* What differs between two, the most bytes first, then the most objects. */
struct weir_census_change {
    const struct weir_census_group *before, *after; /* one of them may be NULL */
    int64_t count, bytes;
    /* Where `after` was taken since `before`; otherwise only what the count shows. */
    uint64_t made, gone;
};
/* Returns how many changes there are; fills the first `capacity`. Valid as long as both are. */
size_t weir_census_diff(const struct weir_census *before, const struct weir_census *after,
                        struct weir_census_change *changes, size_t capacity);

/* Gives back what is only kept to be fast: idle guest stacks and warm slots of pools, of the whole
 * process. What a census shows then is held by somebody. Any thread. Returns the bytes. */
uint64_t weir_engine_quiesce(struct weir_engine *engine);

/* --- bytes per completed instance ----------------------------------------------------------- */

#define WEIR_CENSUS_ROUNDS_MAX 64u
/* Zero-initialise. One round: run some guests, quiesce, take a census, add it. */
struct weir_census_growth {
    uint32_t rounds; /* the oldest go when there are more than WEIR_CENSUS_ROUNDS_MAX */
    double completed[WEIR_CENSUS_ROUNDS_MAX], bytes[WEIR_CENSUS_ROUNDS_MAX];
};
void weir_census_growth_add(struct weir_census_growth *growth, uint64_t completed, uint64_t bytes);
struct weir_census_growth_reading {
    double bytes_per_instance; /* Theil-Sen */
    double low, high;          /* 95 % interval (Sen) */
    bool is_growing;           /* low > 0 */
};
/* STATE with fewer than 6 rounds in which instances completed: undecided. */
enum weir_status weir_census_growth_read(const struct weir_census_growth *growth,
                                         struct weir_census_growth_reading *ret,
                                         struct weir_error *error);

/* --- what only the embedder knows ----------------------------------------------------------- */

enum weir_held_kind {
    WEIR_HELD_BUFFER,   /* logging, batching: values of a guest that wait in the host */
    WEIR_HELD_CACHE,    /* an entry of a host's cache that is keyed by the instance */
    WEIR_HELD_CALLBACK, /* a linker's callback whose data leads to the instance */
    WEIR_HELD_WAIT      /* a channel's end or a timeout that will use the instance */
};
struct weir_held;
/* Says that the host holds something of an instance. Nothing is pinned by it: when the instance
 * ends first (or is reset), the record says so. Label copied. On the store's thread; LIMIT,
 * INVALID_ARGUMENT without a label or for an unknown kind. */
enum weir_status weir_held_new(struct weir_instance *instance, enum weir_held_kind kind,
                               const char *label, uint64_t bytes, struct weir_held **ret_held,
                               struct weir_error *error);
void weir_held_free(struct weir_held *held); /* any thread; NULL is allowed */
/* The instance has ended. Any thread. */
bool weir_held_has_ended(const struct weir_held *held);

/* "`from` keeps `to`": objects of the host by address, instances and stores too. Any thread. */
struct weir_ref_edge;
enum weir_status weir_ref_edge_new(const void *from, const void *to, const char *label,
                                   struct weir_ref_edge **ret_edge, struct weir_error *error);
void weir_ref_edge_free(struct weir_ref_edge *edge); /* NULL is allowed */

/* --- retention ------------------------------------------------------------------------------ */

enum weir_retention_pattern {
#define WEIR_RETENTION(id, name, advice) WEIR_RETENTION_##id,
#include <weir/retention_patterns.def>
#undef WEIR_RETENTION
    WEIR_RETENTION_COUNT
};
const char *weir_retention_name(enum weir_retention_pattern pattern);
const char *weir_retention_advice(enum weir_retention_pattern pattern);

enum weir_retention_state {
    WEIR_RETENTION_ABSENT,
    WEIR_RETENTION_PRESENT,
    WEIR_RETENTION_NOT_OBSERVABLE /* nothing was registered, or the store is not among the listed */
};

/* Zero-initialise; zero means the default named behind each field. */
struct weir_retention_config {
    uint64_t age_ns;    /* what is meant to be short is old from here on: 60 s */
    uint32_t turns_min; /* so often must it have happened between the two: 8 */
};

struct weir_retention_finding {
    enum weir_retention_pattern pattern;
    enum weir_retention_state state;
    uint64_t count, bytes; /* of objects that it explains, where known */
    char evidence[256];
};
/* What happened between two censuses, `after` taken since `before`; one finding per pattern. */
void weir_retention_read(const struct weir_census *before, const struct weir_census *after,
                         const struct weir_retention_config *config,
                         struct weir_retention_finding ret_findings[WEIR_RETENTION_COUNT]);

#ifdef __cplusplus
}
#endif
#endif
