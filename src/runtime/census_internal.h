/* What a census sees: engines, modules, linkers and stores in one list of the process, the rest
 * through them.
 *
 * A store's lists change on its own thread without a lock. The owner marks that it is inside a
 * change by plain stores; who takes a census sets weir__census_state, asks the kernel (membarrier)
 * to make that visible, and waits until the marked stores are outside. So a change costs two stores
 * and a load when nobody looks. Inside a change nothing may be allocated, freed or waited for.
 */
#ifndef WEIR_RUNTIME_CENSUS_INTERNAL_H
#define WEIR_RUNTIME_CENSUS_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include <weir/census.h>

struct weir_store;

struct weir__census_link {
    struct weir__census_link *previous, *next; /* older, younger */
    enum weir_census_type type;                /* TYPE_COUNT: a census under way, its place */
    uint64_t id;
    uint64_t made_ns;
};

/* What has ended under an engine; guarded by the list's lock. */
struct weir__census_past {
    uint64_t made[WEIR_CENSUS_TYPE_COUNT];
    uint64_t resets;
};

/* Puts an object at the end of the list, with a new id. Any thread. */
void weir__census_enlist(struct weir__census_link *link, enum weir_census_type type,
                         struct weir__census_past *past);
/* Takes it out, unless it was never in. Afterwards no census looks at it. */
void weir__census_delist(struct weir__census_link *link);
/* As above, and what the store has done is added to its engine's past. */
void weir__census_delist_store(struct weir_store *store);
/* An engine's past outlives it. */
void weir__census_delist_engine(struct weir__census_link *link,
                                const struct weir__census_past *past);

/* --- changes of a store, by its owner ------------------------------------------------------- */

#define WEIR__CENSUS_READING 1u /* somebody looks */
#define WEIR__CENSUS_FENCED 2u  /* there is no membarrier: owners pay for the barrier */
extern _Atomic uint32_t weir__census_state;

struct weir__census_mark {
    _Atomic uint32_t busy;
};
void weir__census_wait(struct weir__census_mark *mark);

static inline void weir__census_begin(struct weir__census_mark *mark)
{
    atomic_store_explicit(&mark->busy, 1, memory_order_relaxed);
    /* The compiler keeps the order here; the reader's membarrier makes the processor keep it. */
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&weir__census_state, memory_order_acquire) != 0, 0))
        weir__census_wait(mark);
}

static inline void weir__census_end(struct weir__census_mark *mark)
{
    atomic_store_explicit(&mark->busy, 0, memory_order_release);
}

/* Figures that only the owner writes. */
static inline void weir__census_count(_Atomic uint64_t *figure)
{
    uint64_t value = atomic_load_explicit(figure, memory_order_relaxed);
    atomic_store_explicit(figure, value + 1, memory_order_relaxed);
}

/* --- looking, by who takes a census --------------------------------------------------------- */

/* Calls `visit` for everything in the list, the oldest first, in batches, with the list's lock
 * held; stores are outside their changes then and stay there. False, and not all was visited, when
 * membarrier was there and is no more: from then on owners pay, and the next walk is good. */
bool weir__census_walk(void (*visit)(void *context, const struct weir__census_link *link),
                       void *context);
/* Calls `finish` with the lock held. */
void weir__census_locked(void (*finish)(void *context), void *context);
/* What engines that are gone have done, and engines made so far. Under the lock. */
const struct weir__census_past *weir__census_gone(void);

/* Loads and compilations of the same module, of the modules that came last. */
#define WEIR__CENSUS_SOURCES 32
struct weir__census_source {
    uint8_t hash[32];
    char name[WEIR_CENSUS_NAME_SIZE];
    uint64_t loads, compiles, last;
};
void weir__census_loaded(const uint8_t hash[32], const char *name, bool was_compiled);
const struct weir__census_source *weir__census_sources(void); /* under the lock */

/* --- held things and edges (held.c) --------------------------------------------------------- */

struct weir__held_view {
    const char *label, *owner;
    enum weir_held_kind kind;
    uint64_t bytes, made_ns;
    bool has_ended;
};
void weir__held_visit(void (*visit)(void *context, const struct weir__held_view *view),
                      void *context);
/* The instance ends: what is held of it stands for nothing any more. */
void weir__held_end(struct weir_instance *instance);

struct weir__edge_view {
    const void *from, *to;
    char label[WEIR_CENSUS_NAME_SIZE];
};
/* Copies at most `capacity`; returns how many there are. */
size_t weir__edges_copy(struct weir__edge_view *edges, size_t capacity);

/* --- tasks (task.c) ------------------------------------------------------------------------- */

struct weir__task_view {
    const char *label;
    uint64_t bytes, made_ns;
    bool has_ended, is_cancelled;
    bool is_orphan;           /* its store is closed */
    uint32_t instance_number; /* for whom, while the store is open; 0: the store */
    struct weir_account *account;
};
/* Of all stores of the process, closed ones too. */
void weir__tasks_census(void (*visit)(void *context, const struct weir__task_view *view),
                        void *context);

#define WEIR__CENSUS_SLOT "slot of a pool" /* origin of such a store */

/* --- what a census holds (census.c), for retention.c ----------------------------------------- */

struct weir_census {
    uint64_t taken_ns, since_ns;
    struct weir_account *account;
    struct weir_engine *engine; /* NULL: all; only compared */
    struct weir_census_total totals[WEIR_CENSUS_TYPE_COUNT];
    uint64_t resets, live_resets;
    uint64_t stores_left_out;
    struct weir_census_group *groups;
    uint32_t *buckets; /* group + 1, or 0 */
    uint32_t group_count, groups_max, bucket_count;
    struct weir_census_store *stores;
    uint32_t store_count, stores_max;
    struct weir__census_source sources[WEIR__CENSUS_SOURCES];
    struct weir__edge_view *edges;
    size_t edge_count, edges_max; /* registered; copied at most */
};
size_t weir__census_edges(const struct weir_census *census); /* copied */
/* The group of another census that is like this one; NULL without. */
const struct weir_census_group *weir__census_like(const struct weir_census *census,
                                                  const struct weir_census_group *group);

#endif
